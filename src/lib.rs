//! `fleet` brings every tenant database of a multi-tenant SaaS to the schema version that its SeaORM migration crate
//! defines. A program of your own gets all of it with one line: `fleet::cli::main(MyMigrator)`.
//!
//! Modules are listed in the order of the flow: one imports only from those above it (a test reads the imports).

// Vocabulary: plain data and pure functions.
pub mod tenant;

pub mod fault;

pub mod schema;

pub use fleet_shape as shape;

pub mod outcome;

pub mod observation;

pub mod health;

pub mod stats;

pub mod plan;

pub mod event;

pub mod policy;

pub mod doctor;

// Inputs: settings, tenants, selection.
pub mod config;

pub mod registry;

pub mod select;

// Migrations become scripts; no database.
pub mod compile;

// Backups on disk; no database.
pub mod backup;

// The only door to a tenant's database.
pub mod database;

// Generated rows for any schema.
pub mod seed;

// The one loop that applies anything.
pub mod run;

// Proofs on databases that are made for them.
pub mod prove;

// Two siblings fed by the same events.
pub mod ledger;

pub mod report;

// The only place that prints.
pub mod cli;
