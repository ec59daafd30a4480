//! The ledger's tables, one file each.
//!
//! Private to the ledger: no other module may read or write these tables.
//!
//! The column types are in the migrations, which create the tables.

pub(super) mod approval;
pub(super) mod attempt;
pub(super) mod claim;
pub(super) mod event;
pub(super) mod outcome;
pub(super) mod pause;
pub(super) mod progress;
pub(super) mod run;
pub(super) mod run_texts;
pub(super) mod runner;
pub(super) mod shared_run;
pub(super) mod source;
pub(super) mod source_tenant;
pub(super) mod tenant;
pub(super) mod version;
