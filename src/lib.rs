//! `fleet` brings every tenant database of a multi-tenant SaaS to the schema version that its SeaORM migration crate
//! defines. Your own program gets all its commands with one line, [`cli::main`]:
//!
//! ```standalone_crate
//! use sea_orm_migration::prelude::*;
//!
//! struct Accounts;
//!
//! impl MigrationName for Accounts {
//!     fn name(&self) -> &str {
//!         "m20250201_000001_accounts"
//!     }
//! }
//!
//! #[async_trait::async_trait]
//! impl MigrationTrait for Accounts {
//!     async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
//!         let id = ColumnDef::new("id").integer().primary_key().to_owned();
//!         manager.create_table(Table::create().table("accounts").col(id).to_owned()).await
//!     }
//! }
//!
//! struct ServiceMigrator;
//!
//! #[async_trait::async_trait]
//! impl MigratorTrait for ServiceMigrator {
//!     fn migrations() -> Vec<Box<dyn MigrationTrait>> {
//!         vec![Box::new(Accounts)]
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//! #   // The example runs itself as `fleet migrate --yes` on two tenants in a folder of its own.
//! #   if std::env::args().len() == 1 {
//! #       let folder = tempfile::tempdir().unwrap();
//! #       let tenant = |id| format!("[[tenant]]\nid = \"{id}\"\nurl = \"sqlite:{id}.db\"\n");
//! #       let file = format!("[defaults]\ncreate_missing = true\n{}{}", tenant("acme"), tenant("globex"));
//! #       std::fs::write(folder.path().join("tenants.toml"), file).unwrap();
//! #       let mut program = std::process::Command::new(std::env::current_exe().unwrap());
//! #       let ran = program.args(["migrate", "--yes"]).current_dir(folder.path()).output().unwrap();
//! #       assert!(ran.status.success() && String::from_utf8_lossy(&ran.stdout).contains("2 migrated"), "{ran:?}");
//! #       return std::process::ExitCode::SUCCESS;
//! #   }
//!     fleet::cli::main(ServiceMigrator)
//! }
//! ```
//!
//! Modules are listed in dependency order: each imports only from those above it (checked by a test).

// Nothing at all, but in the tests.
pub(crate) mod crash;

pub(crate) mod model;

pub(crate) mod policy;

pub(crate) mod external;

pub(crate) mod sql;

pub(crate) mod compile;

pub(crate) mod backup;

pub(crate) mod engine;

pub(crate) mod inputs;

pub(crate) mod seed;

pub(crate) mod hooks;

pub(crate) mod sources;

pub(crate) mod run;

pub(crate) mod gates;

pub(crate) mod check;

// Two siblings fed by the same events.
pub(crate) mod ledger;

pub(crate) mod report;

// HTTP; the command line answers what it asks.
#[cfg(feature = "serve")]
pub(crate) mod server;

// The only place that prints.
pub mod cli;

/// The names that a program with its own migrations needs.
pub mod prelude {
    pub use crate::cli::{main, main_with, set_version};
    pub use crate::compile::{Entities, Migrator};
}

// One suite for all engines, on real servers. It is part of the library's tests because it uses private items.
#[cfg(all(test, feature = "sample"))]
#[path = "../tests/engines/main.rs"]
mod engines;
