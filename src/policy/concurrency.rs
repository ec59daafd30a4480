//! How many tenants are in flight at once.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

/// Two caps that hold at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Concurrency {
    /// Tenants in flight over the whole fleet.
    pub(crate) global: NonZeroUsize,
    /// Tenants in flight on one server key.
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
