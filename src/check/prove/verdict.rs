//! The verdict on each migration, and the comparison of snapshots.
//!
//! Plain data and pure functions; nothing here drives anything.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::engine::Flavour;
use crate::model::shape::Shape;
use crate::model::tenant::Engine;

/// The proof of one migration on one engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Proof {
    pub(crate) migration: String,
    pub(crate) engine: Engine,
    /// The result.
    #[serde(flatten)]
    pub(crate) verdict: Verdict,
    /// Number of rows in its database when it ran.
    pub(crate) rows: u64,
    /// Duration of its steps and snapshots, in milliseconds.
    pub(crate) took_ms: u64,
}

/// The result of a proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Up, down and up again gave the expected schemas, and native execution the same as compiled.
    Proven,
    /// It has no `down`; up was the same compiled and native.
    Irreversible {
        /// The migration's own reason.
        reason: String,
    },
    /// The proof found an error.
    Failed {
        /// The errors, in words.
        why: Vec<String>,
    },
    /// An earlier migration could not be applied, as a script or natively.
    NotReached,
}

/// All migrations on one engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct EngineProof {
    pub(crate) engine: Engine,
    /// The reason why nothing, or nothing more, could be proven: no scratch server, or it failed.
    pub(crate) could_not: Option<String>,
    /// One for each examined migration, in catalog order.
    pub(crate) proofs: Vec<Proof>,
    /// The parts of scripts for the product that the scratch server is not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) other_parts: Vec<OtherPart>,
}

/// The part of a script for MySQL where MariaDB was asked, or the other way around.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct OtherPart {
    pub(crate) migration: String,
    pub(crate) product: Flavour,
}

impl EngineProof {
    /// Nothing was proven on this engine.
    pub(crate) fn none(engine: Engine, why: String) -> Self {
        EngineProof { engine, could_not: Some(why), proofs: Vec::new(), other_parts: Vec::new() }
    }

    /// Whether any migration failed. With `strict`, a migration without a `down` counts as failed.
    pub(crate) fn has_failures(&self, strict: bool) -> bool {
        self.proofs.iter().any(|proof| match proof.verdict {
            Verdict::Proven => false,
            Verdict::Irreversible { .. } => strict,
            Verdict::Failed { .. } | Verdict::NotReached => true,
        })
    }
}

/// The schema and row counts of a database at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) shape: Shape,
    /// Rows by table.
    pub(super) rows: BTreeMap<String, u64>,
}

/// The differences that rolling a migration back left. Rows count as lost where there are fewer than before; tables
/// `derived` from others are refilled at each refresh, and are not compared. An extension or another schema may stay: others
/// may use it.
pub(super) fn not_restored(before: &Snapshot, after: &Snapshot, derived: &[String]) -> Vec<String> {
    let mut now = after.shape.clone();
    now.others.retain(|other| !other.is_beside() || before.shape.others.contains(other));
    let mut why = in_words("down does not restore the schema", &before.shape, &now, ("before", "after"));
    for (table, rows) in before.rows.iter().filter(|(table, _)| !derived.contains(table)) {
        // A missing table has been reported already.
        if let Some(now) = after.rows.get(table).filter(|now| *now < rows) {
            why.push(format!("down does not restore the rows: table {table} had {rows} before and has {now} after"));
        }
    }
    why
}

/// The differences of the second up from the first.
pub(super) fn not_repeated(first: &Snapshot, second: &Snapshot) -> Vec<String> {
    in_words("the second up gives another schema", &first.shape, &second.shape, ("first", "second"))
}

/// The differences of native execution from the compiled script.
pub(super) fn not_the_same_natively(compiled: &Shape, native: &Shape) -> Vec<String> {
    in_words("native execution gives another schema than the script", compiled, native, ("compiled", "native"))
}

/// The differences of the online form from the script as the migration has it.
pub(super) fn not_the_same_online(plain: &Shape, online: &Shape) -> Vec<String> {
    in_words("the online form gives another schema than the script", plain, online, ("plain", "online"))
}

/// The differences of a tenant that had the repeatable scripts from early on.
pub(super) fn not_the_same_in_place(fresh: &Shape, old: &Shape) -> Vec<String> {
    in_words("a tenant that has the repeatable scripts ends with another schema", fresh, old, ("new", "old"))
}

/// The differences with the names of the two sides, each prefixed with `about`.
fn in_words(about: &str, one: &Shape, other: &Shape, (here, there): (&str, &str)) -> Vec<String> {
    if one.fingerprint() == other.fingerprint() {
        return Vec::new();
    }
    one.differences_between(other, here, there).into_iter().map(|line| format!("{about}: {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::shape::Table;

    fn snapshot(rows: &[(&str, u64)]) -> Snapshot {
        let table = |(name, _): &(&str, u64)| Table { name: name.to_string(), ..Table::default() };
        let shape = Shape { tables: rows.iter().map(table).collect(), ..Shape::default() };
        Snapshot { shape, rows: rows.iter().map(|(name, n)| (name.to_string(), *n)).collect() }
    }

    #[test]
    fn rows_count_only_in_tables_that_were_there_before() {
        let before = snapshot(&[("a", 2), ("b", 3)]);
        assert_eq!(not_restored(&before, &before, &[]), [""; 0]);
        let lost = snapshot(&[("a", 2), ("b", 1)]);
        assert_eq!(
            not_restored(&before, &lost, &["a".to_owned()]),
            ["down does not restore the rows: table b had 3 before and has 1 after"]
        );
        assert_eq!(not_restored(&before, &lost, &["b".to_owned()]), [""; 0]);
        assert_eq!(not_restored(&lost, &before, &[]), [""; 0], "more rows are no loss");
        let gone = snapshot(&[("a", 2)]);
        assert_eq!(not_restored(&before, &gone, &[]), ["down does not restore the schema: table b is only before"]);
        assert_eq!(not_repeated(&before, &lost), [""; 0]);
    }

    #[test]
    fn what_has_no_way_down_fails_only_when_asked_for() {
        let proof = |verdict| Proof { migration: "m".into(), engine: Engine::Sqlite, verdict, rows: 0, took_ms: 0 };
        let of = |verdict| EngineProof {
            engine: Engine::Sqlite,
            could_not: None,
            proofs: vec![proof(verdict)],
            other_parts: Vec::new(),
        };
        let irreversible = of(Verdict::Irreversible { reason: "never".into() });
        assert!(!irreversible.has_failures(false) && irreversible.has_failures(true));
        assert!(!of(Verdict::Proven).has_failures(true));
        assert!(of(Verdict::NotReached).has_failures(false));
    }
}
