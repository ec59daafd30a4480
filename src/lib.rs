//! `fleet` brings every tenant database of a multi-tenant SaaS to the schema version that its SeaORM migration crate
//! defines. A program of your own gets all of it with one line: `fleet::cli::main(MyMigrator)`.
//!
//! Modules are listed in the order of the flow: one imports only from those above it (a test reads the imports).

pub(crate) mod model;

pub(crate) mod policy;

pub(crate) mod sql;

pub(crate) mod compile;

pub(crate) mod backup;

pub(crate) mod engine;

pub(crate) mod inputs;

pub(crate) mod seed;

pub(crate) mod run;

pub(crate) mod check;

// Two siblings fed by the same events.
pub(crate) mod ledger;

pub(crate) mod report;

// The only place that prints.
pub mod cli;

/// The names that a program with migrations of its own needs.
pub mod prelude {
    pub use crate::cli::{main, main_with};
    pub use crate::compile::{Entities, Migrator};
}

// One suite for all engines, on real servers. It is compiled into the library's tests because it uses what is not public.
#[cfg(all(test, feature = "sample"))]
#[path = "../tests/engines/main.rs"]
mod engines;
