//! The real `fleet` program with this repository's own migrations, entities and scripts, where the sample itself is
//! under test. The program's handling of tenants is tested in `tests/fleet`, on a catalog that takes a tenth of the
//! time.
//!
//! Two servers are needed: `eval "$(scripts/servers start)"` gives the variables. Without them the tests fail; none is
//! skipped.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod checking;
#[path = "../support/dumps.rs"]
mod dumps;
mod mysql;
mod restoring;
mod support;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_fleet");
