//! The ledger's tables, one file each.
//!
//! Private to the ledger: no other module may read or write these tables.
//!
//! Run ids are `varchar(36)` and not `char(36)`: PostgreSQL compares a `char` column with a text parameter by casting
//! the column, and would not use its index.

pub(super) mod attempt;
pub(super) mod event;
pub(super) mod outcome;
pub(super) mod progress;
pub(super) mod run;
pub(super) mod tenant;
pub(super) mod version;
