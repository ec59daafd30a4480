//! Shared parts of the sample's tests: fleets of real databases, and the names in the sample's catalog.

use std::sync::OnceLock;

use migration::Migrator;
use sea_orm_migration::MigratorTrait;

#[path = "../support/process.rs"]
#[expect(dead_code, reason = "most of it is for the tests of the program")]
mod process;

pub(crate) use process::*;

/// The catalog's names in order, asked of the catalog itself.
pub(crate) fn all() -> &'static [String] {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    NAMES.get_or_init(|| Migrator::migrations().iter().map(|m| m.name().to_owned()).collect())
}
