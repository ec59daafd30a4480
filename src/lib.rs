//! `fleet` brings every tenant database of a multi-tenant SaaS to the schema version that its SeaORM migration crate
//! defines. A program of your own gets all of it with one line: `fleet::cli::main(MyMigrator)`.
//!
//! Modules are listed in the order of the flow: one imports only from those above it (a test reads the imports).

pub mod compile;
pub mod database;
pub mod config;
pub mod event;
pub mod fault;
pub mod ledger;
pub mod observation;
pub mod outcome;
pub mod plan;
pub mod policy;
pub mod run;
pub mod registry;
pub mod report;
pub mod schema;
pub mod select;
pub mod stats;
pub mod tenant;
