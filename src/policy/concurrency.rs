//! The number of tenants in flight at once.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

/// Two caps that both apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Concurrency {
    /// Maximum number of tenants in flight over the whole fleet.
    pub(crate) global: NonZeroUsize,
    /// Maximum number of tenants in flight per server key.
    pub(crate) per_server: NonZeroUsize,
}

impl Default for Concurrency {
    /// 16 over the fleet, 8 on one server: on a server with few cores more connections make DDL slower, not faster.
    fn default() -> Self {
        Concurrency {
            global: NonZeroUsize::new(16).expect("16 is not zero"),
            per_server: NonZeroUsize::new(8).expect("8 is not zero"),
        }
    }
}
