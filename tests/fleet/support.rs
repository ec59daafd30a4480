//! What the tests of the program share: fleets of real databases, and the names in the small catalog.

use std::sync::OnceLock;

use sea_orm_migration::MigratorTrait;
use small::Migrator;

#[path = "../support/process.rs"]
mod process;

pub(crate) use process::*;

/// The catalog's names in order, asked of the catalog itself.
pub(crate) fn all() -> &'static [String] {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    NAMES.get_or_init(|| Migrator::migrations().iter().map(|m| m.name().to_owned()).collect())
}

/// How many migrations there are up to and with the one whose name ends so.
pub(crate) fn up_to(name: &str) -> usize {
    all().iter().position(|migration| migration.ends_with(name)).unwrap() + 1
}
