//! A tenant's history as a catalog reads it: which entry stands for which migration, under whatever name it was applied.
//!
//! Pure: it changes no history. An entry that nothing explains stays unknown, and stops every run.

use std::collections::HashMap;

use super::catalog::{Catalog, NOTHING, name_of};

/// The entries of a history, by what they stand for.
#[derive(Debug)]
pub(super) struct Reading<'h> {
    /// By place in the catalog: the entries by which the migration counts as applied, its own first.
    pub(super) applied: Vec<Vec<&'h str>>,
    /// Repeatable scripts that the catalog has no more.
    pub(super) gone: Vec<&'h str>,
    /// All others, each with what there is to say of it.
    pub(super) unknown: Vec<(&'h str, Option<String>)>,
}

impl<'h> Reading<'h> {
    /// Reads a history.
    ///
    /// | entry | stands for |
    /// |---|---|
    /// | the name of a migration | that migration |
    /// | a part of a squash, if all of its parts are there or the squash itself is | the squash |
    /// | the checksum of a script that is not applied, and of no other entry or script | that script, which was renamed |
    /// | a repeatable script without a file | nothing: it is gone |
    /// | a script that did nothing on this engine | nothing |
    pub(super) fn of(catalog: &Catalog, history: &'h [String]) -> Self {
        let mut reading =
            Reading { applied: vec![Vec::new(); catalog.migrations.len()], gone: Vec::new(), unknown: Vec::new() };
        let mut rest: Vec<&str> = Vec::new();
        for entry in history {
            match catalog.position(entry) {
                Some(place) => reading.applied[place].push(entry),
                None => rest.push(entry),
            }
        }
        let explained = reading.squashes(catalog, &mut rest);
        reading.renamed(catalog, &mut rest);
        // A script that did nothing on this engine leaves nothing to know: its file, for another, may have any name by now.
        // Without a folder of scripts nothing says so, and they are not read before each step.
        let has_scripts = !catalog.scripts.is_empty();
        for entry in rest.into_iter().filter(|entry| !has_scripts || checksum(entry) != Some(NOTHING)) {
            let is_gone = has_scripts && checksum(entry).is_some() && entry.starts_with("R__");
            match is_gone {
                true => reading.gone.push(name_of(entry)),
                false => reading.unknown.push((name_of(entry), explained.get(name_of(entry)).cloned())),
            }
        }
        reading
    }

    /// Takes the parts of squashes out of the rest. Where only some are there, they stay, with the reason.
    fn squashes(&mut self, catalog: &Catalog, rest: &mut Vec<&'h str>) -> HashMap<&'h str, String> {
        let mut explained = HashMap::new();
        for (&place, parts) in &catalog.replaces {
            let is_script = catalog.script(place).is_some();
            let parts: Vec<Vec<&str>> = parts.iter().map(|part| names_of(part)).collect();
            let is_part = |entry: &&str| {
                checksum(entry).is_some() == is_script && parts.iter().flatten().any(|p| *p == name_of(entry))
            };
            let found: Vec<&str> = rest.iter().copied().filter(is_part).collect();
            let has = |part: &str| found.iter().any(|entry| name_of(entry) == part);
            // An earlier squash counts, too, where all are there that it stood for.
            let is_there = |names: &[&str]| has(names[0]) || names.len() > 1 && names[1..].iter().all(|name| has(name));
            let lacks: Vec<&str> = parts.iter().filter(|names| !is_there(names)).map(|names| names[0]).collect();
            if lacks.is_empty() || !self.applied[place].is_empty() {
                rest.retain(|entry| !is_part(entry));
                self.applied[place].extend(found);
                continue;
            }
            for entry in found {
                let squash = &catalog.migrations[place];
                explained.insert(
                    name_of(entry),
                    format!("{squash} replaces it together with {}, not applied", lacks.join(", ")),
                );
            }
        }
        // Names that a squash was meant to name.
        for (&place, parts) in &catalog.replaces {
            for part in parts.iter().flat_map(|part| names_of(part)) {
                let is_meant =
                    |name: &str| name.ends_with(&format!("_{part}")) || part.starts_with(&format!("{name}."));
                for name in rest.iter().map(|entry| name_of(entry)).filter(|name| is_meant(name)) {
                    let squash = &catalog.migrations[place];
                    let told = || format!("{squash} replaces {part}: let it say {name}, as the history has it");
                    explained.entry(name).or_insert_with(told);
                }
            }
        }
        explained
    }

    /// Takes the entries of renamed scripts out of the rest.
    fn renamed(&mut self, catalog: &Catalog, rest: &mut Vec<&'h str>) {
        if rest.is_empty() {
            return;
        }
        // A text that several have says nothing.
        let mut by_text: HashMap<&str, Option<usize>> = HashMap::new();
        let first = catalog.migrations.len() - catalog.scripts.len();
        for (number, script) in catalog.scripts.iter().enumerate().filter(|(n, _)| self.applied[first + n].is_empty()) {
            let mut texts: Vec<&str> = script.checksums.iter().map(|(_, text)| &**text).collect();
            texts.sort_unstable();
            texts.dedup();
            for text in texts.into_iter().filter(|text| *text != NOTHING) {
                by_text.entry(text).and_modify(|place| *place = None).or_insert(Some(first + number));
            }
        }
        let mut alone: HashMap<&str, bool> = HashMap::new();
        for text in rest.iter().filter_map(|entry| checksum(entry)) {
            alone.entry(text).and_modify(|alone| *alone = false).or_insert(true);
        }
        rest.retain(|entry| {
            let Some(text) = checksum(entry) else { return true };
            let is_repeatable = entry.starts_with("R__");
            match by_text.get(text).copied().flatten() {
                Some(place) if alone[text] && catalog.is_repeatable(place) == is_repeatable => {
                    self.applied[place].push(entry);
                    false
                }
                _ => true,
            }
        });
    }

    /// The entry that a migration has under its own name.
    pub(super) fn own(&self, catalog: &Catalog, place: usize) -> Option<&'h str> {
        self.applied[place].iter().copied().find(|entry| *name_of(entry) == *catalog.migrations[place])
    }
}

/// The names in a part of a squash: its own, and in parentheses those that it stood for itself, `0003_s(0001_a,0002_b)`.
pub(crate) fn names_of(part: &str) -> Vec<&str> {
    part.split(['(', ',', ')']).filter(|name| !name.is_empty()).collect()
}

/// The checksum of an entry; `None` for a Rust migration.
fn checksum(entry: &str) -> Option<&str> {
    entry.split_once('\t').map(|(_, checksum)| checksum)
}
