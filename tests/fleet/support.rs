//! Shared parts of the program's tests: fleets of real databases, and the names in the small catalog.

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

/// Number of migrations up to and including the one whose name ends with `name`.
pub(crate) fn up_to(name: &str) -> usize {
    all().iter().position(|migration| migration.ends_with(name)).unwrap() + 1
}
