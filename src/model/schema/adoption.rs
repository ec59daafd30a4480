//! A version recorded without running it: the rows that make a history that of the version, and the schema that the
//! version has, to compare a tenant's with.
//!
//! Pure: nothing here reads or changes a tenant.

use serde::{Deserialize, Serialize};

use super::catalog::Catalog;
use super::reading::Reading;
use crate::model::engine::Variant;
use crate::model::shape::{Difference, EVENT_START, Other, Shape, Table};

/// The rows by which a history becomes that of a version, as history entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct HistoryChange {
    pub(crate) removed: Vec<String>,
    pub(crate) added: Vec<String>,
}

impl HistoryChange {
    pub(crate) fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }
}

impl Catalog {
    /// The change that leaves a history as `migrate --to` the migration at this place would: all versions up to it, with
    /// the present checksums of scripts, and none behind it; without a place, as `rollback --all` would. Rows that are
    /// right stay, under whatever name.
    ///
    /// Where anything changes, repeatable scripts lose their rows: they run again at the next migration. Entries that
    /// nothing explains stay.
    pub(crate) fn change_to(
        &self,
        to: Option<usize>,
        history: &[String],
        variant: impl Into<Variant>,
    ) -> HistoryChange {
        let (reading, variant) = (Reading::of(self, history), variant.into());
        let mut change = HistoryChange::default();
        for (place, applied) in reading.applied.iter().enumerate().filter(|(place, _)| !self.is_repeatable(*place)) {
            let own = reading.own(self, place);
            let is_wanted = to.is_some_and(|to| place <= to);
            match own {
                Some(own) if is_wanted && !self.is_current(place, own, variant) => change.removed.push(own.to_owned()),
                _ if is_wanted && !applied.is_empty() => continue,
                _ if !is_wanted => change.removed.extend(applied.iter().map(|&entry| entry.to_owned())),
                _ => {}
            }
            change.added.extend(is_wanted.then(|| self.entry(place, variant)));
        }
        if !change.is_empty() {
            let repeatable = reading.applied.iter().enumerate().filter(|(place, _)| self.is_repeatable(*place));
            change.removed.extend(repeatable.flat_map(|(_, applied)| applied).map(|&entry| entry.to_owned()));
        }
        change
    }
}

/// The migrations that make up a schema, by their places in the catalog, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AppliedSet {
    pub(crate) versions: Vec<usize>,
    /// The repeatable scripts whose present text has run.
    pub(crate) repeatable: Vec<usize>,
    /// Entries that the catalog does not explain, and scripts that were edited since.
    pub(crate) unknown: Vec<String>,
}

impl Catalog {
    /// All versions up to the one at this place, none without a place.
    pub(crate) fn up_to(&self, to: Option<usize>) -> AppliedSet {
        let versions = (0..to.map_or(0, |to| to + 1)).filter(|&place| !self.is_repeatable(place)).collect();
        AppliedSet { versions, ..AppliedSet::default() }
    }

    /// The migrations that a history has on this engine, under whatever names.
    pub(crate) fn applied_set(&self, history: &[String], variant: impl Into<Variant>) -> AppliedSet {
        let (reading, variant) = (Reading::of(self, history), variant.into());
        let mut set = AppliedSet {
            unknown: reading.unknown.iter().map(|(name, _)| (*name).to_owned()).collect(),
            ..AppliedSet::default()
        };
        set.unknown.extend(self.edited(history, variant));
        for (place, entries) in reading.applied.iter().enumerate().filter(|(_, entries)| !entries.is_empty()) {
            if !self.is_repeatable(place) {
                set.versions.push(place);
            } else if entries.iter().any(|entry| self.is_current(place, entry, variant)) {
                set.repeatable.push(place);
            }
        }
        set
    }
}

/// The schema of a version on one engine, read from a scratch database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VersionSchema {
    /// The product and its version: `PostgreSQL 15.4`. Empty where no version was made: nothing is the same on all.
    pub(crate) product: String,
    /// With the versions, and the repeatable scripts that have run.
    pub(crate) bare: Shape,
    /// With all repeatable scripts whose text fits the version.
    pub(crate) full: Shape,
}

impl VersionSchema {
    /// The differences of a tenant's schema, in words, one line each.
    pub(crate) fn differences(&self, version: &str, found: &Shape) -> Vec<String> {
        let at = format!("at {version}");
        self.compared(found).iter().map(|difference| difference.in_words(&at, "here")).collect()
    }

    /// The differences of a tenant's schema: the version's side is the first.
    ///
    /// A table that only repeatable scripts make, or an index or a column that they add to another, may be there or not;
    /// it must be as they make it. A view, a routine or a trigger of theirs may have any form: they make it again. What
    /// stands beside the tenant's namespace may be more than the version needs.
    pub(crate) fn compared(&self, found: &Shape) -> Vec<Difference> {
        let (mut want, mut own) = (self.bare.clone(), found.clone());
        for table in &self.full.tables {
            let Some(there) = found.tables.iter().find(|t| t.name == table.name) else { continue };
            match want.tables.iter_mut().find(|t| t.name == table.name) {
                Some(bare) => allow_table(bare, table, there),
                None => want.tables.push(table.clone()),
            }
        }
        let theirs = |other: &Other| other.of(&self.full).is_some_and(|o| other.of(&self.bare) != Some(o));
        want.others.retain(|other| !theirs(other));
        own.others.retain(|other| !theirs(other) && (!other.is_beside() || other.of(&self.bare).is_some()));
        for event in own.others.iter_mut().filter(|other| other.kind == "event") {
            let has_start = |definition: &str| definition.starts_with(EVENT_START);
            let any_start = event.of(&self.bare).is_some_and(|bare| !has_start(&bare.definition));
            // A dump writes the start of an event that has none of its own.
            if let Some((_, rest)) =
                event.definition.split_once('\n').filter(|_| any_start && has_start(&event.definition))
            {
                event.definition = rest.to_owned();
            }
        }
        want.compared(&own)
    }
}

/// Lets a table be as the versions make it or as the repeatable scripts do, part by part, whichever is there.
fn allow_table(want: &mut Table, full: &Table, there: &Table) {
    allow(&mut want.columns, &full.columns, &there.columns);
    allow(&mut want.uniques, &full.uniques, &there.uniques);
    allow(&mut want.indexes, &full.indexes, &there.indexes);
    allow(&mut want.foreign_keys, &full.foreign_keys, &there.foreign_keys);
    allow(&mut want.checks, &full.checks, &there.checks);
    allow(&mut want.options, &full.options, &there.options);
}

fn allow<T: Clone + PartialEq>(want: &mut Vec<T>, full: &[T], there: &[T]) {
    want.retain(|part| there.contains(part) || full.contains(part));
    let more: Vec<T> = there.iter().filter(|part| full.contains(part) && !want.contains(part)).cloned().collect();
    want.extend(more);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::engine::{Engine, EngineMap, VariantMap};
    use crate::model::schema::{ScriptEntry, ScriptKind};

    fn catalog() -> Catalog {
        let script = |kind, checksum: &str| ScriptEntry {
            kind,
            checksums: VariantMap { engines: EngineMap::from_fn(|_| checksum.into()), mariadb: None },
        };
        let scripts = vec![
            script(ScriptKind::Versioned, "c1"),
            script(ScriptKind::Versioned, "c2"),
            script(ScriptKind::Repeatable, "r"),
        ];
        Catalog { scripts, ..Catalog::new(["m1", "m2", "1_a", "2_b", "R__v"], "h") }
    }

    fn change(to: impl Into<Option<usize>>, history: &[&str]) -> [Vec<String>; 2] {
        let history: Vec<String> = history.iter().map(|entry| (*entry).to_owned()).collect();
        let HistoryChange { removed, added } = catalog().change_to(to.into(), &history, Engine::Sqlite);
        [removed, added]
    }

    #[test]
    fn a_history_becomes_that_of_a_version() {
        assert_eq!(change(1, &[]), [&[][..], &["m1", "m2"]].map(<[&str]>::to_vec));
        assert_eq!(change(2, &["m1"]), [&[][..], &["m2", "1_a\tc1"]].map(<[&str]>::to_vec));
        let back = change(0, &["m1", "m2", "1_a\tc1", "R__v\tr"]);
        assert_eq!(back, [&["m2", "1_a\tc1", "R__v\tr"][..], &[]].map(<[&str]>::to_vec), "and repeatables run again");
        let none = change(None, &["m1", "1_a\tc1", "R__v\tr", "m0"]);
        assert_eq!(none, [&["m1", "1_a\tc1", "R__v\tr"][..], &[]].map(<[&str]>::to_vec), "unknown rows stay");
        let there = ["m1", "m2", "1_a\tc1", "R__v\told"];
        assert_eq!(change(2, &there), [Vec::<String>::new(), Vec::new()], "nothing to do");
        let edited = change(2, &["m1", "m2", "1_a\told"]);
        assert_eq!(edited, [["1_a\told"], ["1_a\tc1"]].map(|e| e.map(str::to_owned).to_vec()));
        let renamed = change(3, &["m1", "m2", "1_old\tc1"]);
        assert_eq!(renamed, [vec![], vec!["2_b\tc2".to_owned()]], "a former name stands for it");
        assert_eq!(change(1, &["m1", "m2", "1_old\tc1"])[0], ["1_old\tc1"], "and goes with it");
    }

    #[test]
    fn what_repeatable_scripts_make_is_no_difference() {
        let table = |name: &str, indexes: &[&str]| Table {
            name: name.into(),
            indexes: indexes.iter().map(|index| (*index).to_owned()).collect(),
            ..Table::default()
        };
        let other = |kind: &str, text: &str| Other { kind: kind.into(), name: "o".into(), definition: text.into() };
        let view = |text: &str| other("view", text);
        let bare = Shape {
            tables: vec![table("a", &["i: (x)"])],
            others: vec![view("select 0"), other("event", "daily")],
            ..Shape::default()
        };
        let full_tables = vec![table("a", &["i: (x)", "j: (y)"]), table("r", &["k: (z)"])];
        let full =
            Shape { tables: full_tables, others: vec![view("select 1"), other("event", "daily")], ..Shape::default() };
        let schema = VersionSchema { product: String::new(), bare: bare.clone(), full: full.clone() };
        let event = other("event", "starts 2026-01-01\ndaily");
        let more = other("extension", "");
        for others in [vec![view("select 2"), event], vec![other("event", "daily"), more]] {
            assert_eq!(schema.differences("m1", &Shape { others, ..bare.clone() }), [""; 0]);
        }
        for found in [&bare, &full] {
            assert_eq!(schema.differences("m1", found), [""; 0]);
        }
        let of = |tables: &[Table]| schema.differences("m1", &Shape { tables: tables.to_vec(), ..bare.clone() });
        assert_eq!(of(&[table("b", &[])]), ["table a is only at m1", "table b is only here"]);
        let told = of(&[table("a", &["i: (x)", "j: (x)"]), table("r", &[])]);
        assert_eq!(told, ["table a: index j is only here", "table r: index k is only at m1"]);
        assert_eq!(of(&[table("a", &["j: (y)"])]), ["table a: index i is only at m1"]);
    }
}
