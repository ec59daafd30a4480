//! A version recorded without running it: the rows that make a history that of the version, and the schema that the
//! version has, to compare a tenant's with.
//!
//! Pure: nothing here reads or changes a tenant.

use serde::Serialize;

use super::catalog::Catalog;
use super::reading::Reading;
use crate::model::engine::Engine;
use crate::model::shape::{Other, Shape, Table};

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
    /// the present checksums of scripts, and none behind it. Rows that are right stay, under whatever name.
    ///
    /// Where anything changes, repeatable scripts lose their rows: they run again at the next migration. Entries that
    /// nothing explains stay.
    pub(crate) fn change_to(&self, to: usize, history: &[String], engine: Engine) -> HistoryChange {
        let reading = Reading::of(self, history);
        let mut change = HistoryChange::default();
        for (place, applied) in reading.applied.iter().enumerate().filter(|(place, _)| !self.is_repeatable(*place)) {
            let own = reading.own(self, place);
            let is_wanted = place <= to;
            match own {
                Some(own) if is_wanted && !self.is_current(place, own, engine) => change.removed.push(own.to_owned()),
                _ if is_wanted && !applied.is_empty() => continue,
                _ if !is_wanted => change.removed.extend(applied.iter().map(|&entry| entry.to_owned())),
                _ => {}
            }
            change.added.extend(is_wanted.then(|| self.entry(place, engine)));
        }
        if !change.is_empty() {
            let repeatable = reading.applied.iter().enumerate().filter(|(place, _)| self.is_repeatable(*place));
            change.removed.extend(repeatable.flat_map(|(_, applied)| applied).map(|&entry| entry.to_owned()));
        }
        change
    }
}

/// The schema of a version on one engine, read from a scratch database.
#[derive(Debug, Clone, Default)]
pub(crate) struct VersionSchema {
    /// The product and its version: `PostgreSQL 15.4`.
    pub(crate) product: String,
    /// With nothing but the versions.
    pub(crate) bare: Shape,
    /// With the repeatable scripts whose text fits the version.
    pub(crate) full: Shape,
}

impl VersionSchema {
    /// The differences of a tenant's schema, in words, one line each. What only repeatable scripts make may be there or
    /// not, and in any form: they run again.
    pub(crate) fn differences(&self, version: &str, found: &Shape) -> Vec<String> {
        let has = |shape: &Shape, other: &Other| {
            shape.others.iter().any(|o| (&o.kind, &o.name) == (&other.kind, &other.name))
        };
        let has_table = |shape: &Shape, table: &Table| shape.tables.iter().any(|t| t.name == table.name);
        let mut own = found.clone();
        own.others.retain(|other| has(&self.bare, other) || !has(&self.full, other));
        own.tables.retain(|table| has_table(&self.bare, table) || !has_table(&self.full, table));
        self.bare.differences_between(&own, &format!("at {version}"), "here")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::engine::EngineMap;
    use crate::model::schema::{ScriptEntry, ScriptKind};

    fn catalog() -> Catalog {
        let script = |kind, checksum: &str| ScriptEntry { kind, checksums: EngineMap::from_fn(|_| checksum.into()) };
        let scripts = vec![
            script(ScriptKind::Versioned, "c1"),
            script(ScriptKind::Versioned, "c2"),
            script(ScriptKind::Repeatable, "r"),
        ];
        Catalog { scripts, ..Catalog::new(["m1", "m2", "1_a", "2_b", "R__v"], "h") }
    }

    fn change(to: usize, history: &[&str]) -> [Vec<String>; 2] {
        let history: Vec<String> = history.iter().map(|entry| (*entry).to_owned()).collect();
        let HistoryChange { removed, added } = catalog().change_to(to, &history, Engine::Sqlite);
        [removed, added]
    }

    #[test]
    fn a_history_becomes_that_of_a_version() {
        assert_eq!(change(1, &[]), [&[][..], &["m1", "m2"]].map(<[&str]>::to_vec));
        assert_eq!(change(2, &["m1"]), [&[][..], &["m2", "1_a\tc1"]].map(<[&str]>::to_vec));
        let back = change(0, &["m1", "m2", "1_a\tc1", "R__v\tr"]);
        assert_eq!(back, [&["m2", "1_a\tc1", "R__v\tr"][..], &[]].map(<[&str]>::to_vec), "and repeatables run again");
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
        let table = |name: &str| Table { name: name.into(), ..Table::default() };
        let view = |text: &str| Other { kind: "view".into(), name: "v".into(), definition: text.into() };
        let bare = Shape { tables: vec![table("a")], others: vec![] };
        let full = Shape { tables: vec![table("a"), table("r")], others: vec![view("select 1")] };
        let schema = VersionSchema { product: String::new(), bare: bare.clone(), full: full.clone() };
        for found in [&bare, &full, &Shape { others: vec![view("select 2")], ..bare.clone() }] {
            assert_eq!(schema.differences("m1", found), [""; 0]);
        }
        let more = Shape { tables: vec![table("b")], others: vec![] };
        assert_eq!(schema.differences("m1", &more), ["table a is only at m1", "table b is only here"]);
    }
}
