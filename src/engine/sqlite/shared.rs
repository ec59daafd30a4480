//! The steps that can share a transaction: foreign keys are on or off for a whole transaction, and what a script leaves in the
//! session ends with its connection only.
//!
//! Reads scripts only.

use crate::engine::sqlite::key_check::KeyCheck;
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::Script;
use crate::model::tenant::Engine;
use crate::sql::dialect::syntax;
use crate::sql::foreign_keys::{ForeignKeys, mentions};
use crate::sql::words::Words;
use crate::sql::{changes_session, first_words, reads_session, split};

/// The effects of scripts in one transaction that concern the others in it.
#[derive(Debug, Clone, Copy, Default)]
struct Effects {
    /// One runs with foreign keys off.
    keys_off: bool,
    /// One that runs with foreign keys on deletes or updates rows, or says that they are on: with keys off it would take and
    /// change other rows.
    needs_keys: bool,
    /// The last one leaves something in the session, or makes what replaces rows: a trigger or a table with such a rule.
    leaves: bool,
}

impl Effects {
    fn of(script: &Script) -> Self {
        let keys_off = !KeyCheck::of(script).are_keys_on();
        Effects { keys_off, needs_keys: !keys_off && relies_on_keys(script), leaves: leaves(script) }
    }
}

/// The scripts behind which a transaction has to end.
pub(super) fn ends(scripts: &[&Script]) -> Vec<usize> {
    let (mut ends, mut before) = (Vec::new(), Effects::default());
    for (index, script) in scripts.iter().enumerate() {
        let own = Effects::of(script);
        let [keys_off, needs_keys] = [before.keys_off || own.keys_off, before.needs_keys || own.needs_keys];
        let asks = || script.statements.iter().any(|sql| reads_session(sql));
        if index > 0 && (before.leaves || keys_off && needs_keys || asks()) {
            ends.push(index - 1);
            before = own;
        } else {
            before = Effects { keys_off, needs_keys, leaves: own.leaves };
        }
    }
    ends
}

/// Whether a script with foreign keys on deletes or updates rows, which others may follow by their foreign keys.
pub(super) fn relies_on_keys(script: &Script) -> bool {
    let changes = |sql: &str| {
        let words = Words::of(Engine::Sqlite, sql);
        (0..words.len()).any(|at| words.is(at, "delete") || words.is(at, "update"))
    };
    let changes = |sql: &&String| {
        // `CREATE TABLE .. ON DELETE CASCADE` changes no row; a trigger's body does later.
        let rows = |piece: &str| first_words(Engine::Sqlite, piece).next().is_none_or(|word| word != "create");
        mentions(sql, &["delete", "update"])
            && split(Engine::Sqlite, sql).iter().any(|piece| rows(piece.text) && changes(piece.text))
    };
    syntax(script.engine).foreign_keys(&script.statements) == ForeignKeys::On
        || script.statements.iter().find(changes).is_some()
}

/// The refusal of a transaction whose other steps run with foreign keys off because of what this tenant holds.
pub(super) fn refused(script: &Script) -> Fault {
    let text = format!(
        "{} deletes or updates rows with foreign keys on, and another step of the same transaction replaces rows of a table that \
         others refer to, which runs with foreign keys off: they can't share a transaction on this tenant, and nothing was \
         touched. Let it go on with transaction = \"migration\" (--transaction migration, where its wave and it say nothing else)",
        script.migration
    );
    Fault::new(FaultClass::ConstraintViolation, text)
}

fn leaves(script: &Script) -> bool {
    const WORDS: [&str; 5] = ["pragma", "temp", "attach", "detach", "replace"];
    let makes =
        |sql: &str| mentions(sql, &["replace"]) && first_words(Engine::Sqlite, sql).next().as_deref() == Some("create");
    let leaves = |sql: &&String| {
        let pieces = || split(Engine::Sqlite, sql);
        mentions(sql, &WORDS)
            && (changes_session(Engine::Sqlite, sql) || pieces().iter().any(|piece| makes(piece.text)))
    };
    script.statements.iter().find(leaves).is_some()
}
