//! Migrations that stand for others: what they may replace, on each engine.
//!
//! It reads names and no text.

use std::sync::Arc;

use super::CompileError;
use super::folder::{SqlFolder, SqlScript, is_name};
use crate::model::engine::Variant;
use crate::model::schema::{Catalog, names_of};

/// Checks that a squash replaces the same on each engine that the folder has scripts for: a new tenant would lack on another
/// what the replaced ones made.
pub(super) fn replaces_on_each(script: &SqlScript, folder: &SqlFolder) -> Result<(), CompileError> {
    let all = script.replaces();
    let has_scripts = |variant: &Variant| folder.scripts.iter().any(|other| other.up.get(*variant).is_some());
    for variant in Variant::ALL.into_iter().filter(has_scripts) {
        let part = script.up.get(variant);
        let mut own = part.map(|part| part.replaces.clone()).unwrap_or_default();
        own.sort_unstable();
        if own != all {
            let what = part.map_or_else(
                || "there is no part of it".to_owned(),
                |part| format!("{} names other ones", part.file.display()),
            );
            return Err(CompileError::ReplacesInPart { migration: script.name.to_string(), what, variant });
        }
    }
    Ok(())
}

/// Enters what a migration replaces into the catalog.
pub(super) fn replace(catalog: &mut Catalog, place: usize, parts: Vec<Arc<str>>) -> Result<(), CompileError> {
    let is_script = catalog.script(place).is_some();
    for part in parts.iter().flat_map(|part| names_of(part)) {
        if is_script && !is_name(part) {
            let near = catalog.migrations.iter().find(|name| name.ends_with(&format!("_{part}")));
            let near = near.map_or_else(|| format!(", with its version: 0001_{part}"), |near| format!(": {near}"));
            let (migration, part) = (catalog.migrations[place].to_string(), part.to_owned());
            return Err(CompileError::ReplacesNoName { migration, part, near });
        }
        let is_replaced = catalog.replaces.values().flatten().any(|other| names_of(other).contains(&part));
        let why = match catalog.position(part) {
            Some(_) => "which is still here and would be applied as well",
            None if is_replaced => "which another one replaces already",
            None if catalog.is_repeatable(place) => "and is itself repeatable: only a version can replace others",
            None => continue,
        };
        let (migration, part) = (catalog.migrations[place].to_string(), part.to_string());
        return Err(CompileError::Replaces { migration, part, why });
    }
    catalog.replaces.entry(place).or_default().extend(parts);
    Ok(())
}
