//! The load of a server while a run works on it, as the server tells it.
//!
//! Plain data. Limits on it are `policy::LoadLimits`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::health::Room;

/// The numbers of one reading; what the server does not tell is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServerLoad {
    /// Its connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) connections: Option<Room>,
    /// Sessions that wait for locks, this program's own included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lock_waits: Option<u64>,
    /// How far the replica that is furthest behind is behind, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replication_lag: Option<u64>,
    /// Bytes written to its log (WAL, binary log): in all, and in a run since its first reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) log_bytes: Option<u64>,
    /// Free bytes on its disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) free_bytes: Option<u64>,
    /// Those of the numbers that it would tell, each with the reason why it does not.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) unknown: BTreeMap<String, String>,
}

/// A number beyond its limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Excess {
    /// The key of the limit in `[fleet]`.
    pub(crate) limit: String,
    /// The number and the limit, in words.
    pub(crate) text: String,
}

/// A server that stayed beyond a limit for so long that the run paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Overload {
    /// Its server key.
    pub(crate) server: String,
    /// Its numbers beyond their limits.
    pub(crate) over: Vec<Excess>,
    /// For how long, in milliseconds.
    pub(crate) for_ms: u64,
}

/// Several of them, in words.
pub(crate) fn in_words(over: &[Excess]) -> String {
    over.iter().map(|excess| &*excess.text).collect::<Vec<_>>().join("; ")
}
