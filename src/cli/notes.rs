//! The notes of the authors: of a script from the comments at its head, of a Rust migration from the `//!` lines of its
//! source, where the crate's sources are there. Nothing is refused for lack of one.

use std::collections::HashMap;
use std::sync::Arc;

use super::new;
use crate::compile::MigrationSet;
use crate::compile::folder::{SqlScript, Variants};
use crate::model::schema::MigrationNote;

/// The notes by migration.
pub(super) fn of(set: &MigrationSet) -> HashMap<Arc<str>, MigrationNote> {
    let scripts = set.scripts().iter().map(|script| (script.name.clone(), of_script(script)));
    let mut notes: HashMap<Arc<str>, MigrationNote> = scripts.collect();
    let Some(folder) = new::folder_of_sources() else { return notes };
    for name in &set.catalog().migrations {
        let files = [folder.join(format!("{name}.rs")), folder.join(&**name).join("mod.rs")];
        let text = || files.iter().find_map(|file| std::fs::read_to_string(file).ok());
        if !notes.contains_key(name)
            && let Some(text) = text()
        {
            notes.insert(name.clone(), MigrationNote::of_rust(&text));
        }
    }
    notes
}

/// The note of a script; one that only the way down has is there too.
fn of_script(script: &SqlScript) -> MigrationNote {
    let note = |part: &Variants| {
        let first = part.iter().find_map(|(_, part)| part.statements.first());
        first.map(|statement| MigrationNote::of_script(&statement.sql)).unwrap_or_default()
    };
    note(&script.up).or(MigrationNote { description: None, ..note(&script.down) })
}

/// The known issues of taking back these migrations, each with its name, in their order.
pub(super) fn rollback_issues(set: &MigrationSet, steps: &[&str]) -> Vec<(String, String)> {
    let mut notes = of(set);
    let issue = |name: &&str| Some(((*name).to_owned(), notes.remove(*name)?.rollback?));
    steps.iter().filter_map(issue).collect()
}
