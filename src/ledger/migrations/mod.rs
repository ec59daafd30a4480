//! The ledger's own migrations, run by SeaORM's migrator in the ledger's database.
//!
//! A released migration is never edited: a later version adds a later migration. Each can be repeated, because MySQL
//! commits every statement by itself, and a process that dies between two of them leaves the first.

mod m0001_tables;
mod m0002_live_runs;
mod m0004_approvals;
mod m0006_databases;
mod m0007_sources;
mod m0008_shared_runs;
mod m0009_texts;
mod m0010_pauses;

use sea_orm_migration::prelude::*;

/// The migrations of the ledger, in order; their number is the ledger's version.
pub(super) struct LedgerMigrator;

impl MigratorTrait for LedgerMigrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_tables::Migration),
            Box::new(m0002_live_runs::Migration),
            Box::new(m0004_approvals::Migration),
            Box::new(m0006_databases::Migration),
            Box::new(m0007_sources::Migration),
            Box::new(m0008_shared_runs::Migration),
            Box::new(m0009_texts::Migration),
            Box::new(m0010_pauses::Migration),
        ]
    }

    fn migration_table_name() -> DynIden {
        Alias::new(TABLE).into_iden()
    }
}

/// The first version of the ledger that has approvals.
pub(super) fn version_of_approvals() -> i32 {
    version_of(m0004_approvals::NAME)
}

/// The first version of the ledger that has the databases of tenants.
pub(super) fn version_of_databases() -> i32 {
    version_of(m0006_databases::NAME)
}

/// The first version of the ledger that has notes of sources.
pub(super) fn version_of_sources() -> i32 {
    version_of(m0007_sources::NAME)
}

/// The first version of the ledger that has shared runs.
pub(super) fn version_of_shared_runs() -> i32 {
    version_of(m0008_shared_runs::NAME)
}

/// The first version of the ledger that has the texts of scripts.
pub(super) fn version_of_texts() -> i32 {
    version_of(m0009_texts::NAME)
}

/// The first version of the ledger that has requests to pause.
pub(super) fn version_of_pauses() -> i32 {
    version_of(m0010_pauses::NAME)
}

fn version_of(name: &str) -> i32 {
    let place = LedgerMigrator::migrations().iter().position(|migration| migration.name() == name);
    place.and_then(|place| TryInto::<i32>::try_into(place + 1).ok()).unwrap_or(i32::MAX)
}

/// The history of these migrations. It is not SeaORM's usual name: a database on a server may be shared with an
/// application.
pub(super) const TABLE: &str = "fleet_ledger_migrations";

/// A table with the character set that the ledger has on MySQL: names are compared byte by byte.
fn table(manager: &SchemaManager<'_>, name: &'static str) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name).if_not_exists();
    if manager.get_database_backend() == sea_orm::DbBackend::MySql {
        table.engine("InnoDB").character_set("utf8mb4").collate("utf8mb4_bin");
    }
    table
}

/// A column of unbounded text: MySQL's TEXT ends at 64 KB, which a long catalog or a record with many migrations
/// exceeds.
fn long_text(manager: &SchemaManager<'_>, name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    if manager.get_database_backend() == sea_orm::DbBackend::MySql {
        column.custom("longtext");
    } else {
        column.text();
    }
    column
}

/// A run's id: a UUID in lower case with hyphens. It is no `char(36)`: PostgreSQL compares a `char` column with a text
/// parameter by casting the column, and would not use its index.
fn run_id() -> ColumnDef {
    let mut column = ColumnDef::new("run");
    column.string_len(36).not_null();
    column
}
