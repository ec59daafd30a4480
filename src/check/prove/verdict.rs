//! What was proven of each migration, and the comparison of what was seen.
//!
//! Plain data and pure functions; nothing here drives anything.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::shape::Shape;
use crate::model::tenant::Engine;

/// What was proven of one migration on one engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Proof {
    pub(crate) migration: String,
    pub(crate) engine: Engine,
    /// The result.
    #[serde(flatten)]
    pub(crate) verdict: Verdict,
    /// Rows that were in its database when it ran.
    pub(crate) rows: u64,
    /// How long its steps and looks took, in milliseconds.
    pub(crate) took_ms: u64,
}

/// How a proof ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Up, down and up again gave what they must, and native execution the same as compiled.
    Proven,
    /// It has no way down; up was the same compiled and native.
    Irreversible {
        /// What the migration says.
        reason: String,
    },
    /// Something is not as it must be.
    Failed {
        /// What, in words.
        why: Vec<String>,
    },
    /// An earlier migration could not be applied, as a script or natively.
    NotReached,
}

/// All migrations on one engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct EngineProof {
    pub(crate) engine: Engine,
    /// Why nothing, or nothing more, could be proven: no scratch server, or it failed.
    pub(crate) could_not: Option<String>,
    /// One for each migration that was looked at, in catalog order.
    pub(crate) proofs: Vec<Proof>,
}

impl EngineProof {
    /// Nothing was proven on this engine.
    pub(crate) fn none(engine: Engine, why: String) -> Self {
        EngineProof { engine, could_not: Some(why), proofs: Vec::new() }
    }

    /// Whether a migration is not what it must be. With `strict`, one without a way down is not.
    pub(crate) fn has_failures(&self, strict: bool) -> bool {
        self.proofs.iter().any(|proof| match proof.verdict {
            Verdict::Proven => false,
            Verdict::Irreversible { .. } => strict,
            Verdict::Failed { .. } | Verdict::NotReached => true,
        })
    }
}

/// What a database looked like at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) shape: Shape,
    /// Rows by table.
    pub(super) rows: BTreeMap<String, u64>,
}

/// What taking a migration back did not restore. Rows count as lost where there are fewer than before; what is `derived`
/// from other tables is filled anew at each refresh, and does not count.
pub(super) fn not_restored(before: &Snapshot, after: &Snapshot, derived: &[String]) -> Vec<String> {
    let mut why = in_words("down does not restore the schema", &before.shape, &after.shape, ("before", "after"));
    for (table, rows) in before.rows.iter().filter(|(table, _)| !derived.contains(table)) {
        // A table that is gone has been told.
        if let Some(now) = after.rows.get(table).filter(|now| *now < rows) {
            why.push(format!("down does not restore the rows: table {table} had {rows} before and has {now} after"));
        }
    }
    why
}

/// What going up a second time did otherwise.
pub(super) fn not_repeated(first: &Snapshot, second: &Snapshot) -> Vec<String> {
    in_words("the second up gives another schema", &first.shape, &second.shape, ("first", "second"))
}

/// What native execution did otherwise than the compiled script.
pub(super) fn not_the_same_natively(compiled: &Shape, native: &Shape) -> Vec<String> {
    in_words("native execution gives another schema than the script", compiled, native, ("compiled", "native"))
}

/// Differences with the names of the two sides, each with what it is about.
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
        let shape = Shape { tables: rows.iter().map(table).collect(), others: Vec::new() };
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
        let of = |verdict| EngineProof { engine: Engine::Sqlite, could_not: None, proofs: vec![proof(verdict)] };
        let irreversible = of(Verdict::Irreversible { reason: "never".into() });
        assert!(!irreversible.has_failures(false) && irreversible.has_failures(true));
        assert!(!of(Verdict::Proven).has_failures(true));
        assert!(of(Verdict::NotReached).has_failures(false));
    }
}
