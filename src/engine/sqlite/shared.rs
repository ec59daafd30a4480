//! The steps that can share a transaction: foreign keys are on or off for a whole transaction, and what a script leaves in the
//! session ends with its connection only.
//!
//! Reads only.

use crate::engine::Step;
use crate::engine::queries::Queries;
use crate::engine::sqlite::key_check::{KeyCheck, Orphans};
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::Script;
use crate::model::tenant::Engine;
use crate::sql::foreign_keys::mentions;
use crate::sql::{changes_session, first_words, reads_session, split};

/// The scripts behind which a transaction has to end: one that runs with foreign keys off has its own.
pub(super) fn ends(scripts: &[&Script]) -> Vec<usize> {
    let is_alone: Vec<bool> = scripts.iter().map(|script| !KeyCheck::of(script).are_keys_on()).collect();
    let asks = |script: &Script| script.statements.iter().any(|sql| reads_session(sql));
    let parts = |&at: &usize| {
        is_alone[at]
            || leaves(scripts[at])
            || is_alone.get(at + 1) == Some(&true)
            || scripts.get(at + 1).is_some_and(|s| asks(s))
    };
    (0..scripts.len()).filter(parts).collect()
}

/// Whether a script leaves something in the session, or makes what replaces rows: a trigger or a table with such a rule.
fn leaves(script: &Script) -> bool {
    const WORDS: [&str; 5] = ["pragma", "temp", "attach", "detach", "replace"];
    let creates = |sql: &str| first_words(Engine::Sqlite, sql).next().as_deref() == Some("create");
    let makes = |sql: &str| mentions(sql, &["replace"]) && creates(sql);
    script.statements.iter().any(|sql| {
        mentions(sql, &WORDS)
            && (changes_session(Engine::Sqlite, sql)
                || split(Engine::Sqlite, sql).iter().any(|piece| makes(piece.text)))
    })
}

/// The refusal of a transaction of which a step needs foreign keys off because of what this tenant holds by then.
pub(super) fn refused(script: &Script) -> Fault {
    let text = format!(
        "on this tenant {} replaces rows of a table that others refer to, which runs with foreign keys off and can't share a \
         transaction; nothing was changed. Let it go on with transaction = \"migration\" (--transaction migration, where its wave \
         and it say nothing else)",
        script.migration
    );
    Fault::new(FaultClass::ConstraintViolation, text)
}

/// Foreign keys that SQLite checks at the commit, where each step by itself would have one.
pub(super) struct Deferred(Option<Orphans>);

impl Deferred {
    /// Looks at the rows before the first step, if the tenant or one of these steps has such a key.
    pub(super) async fn of(steps: &[Step], tenant: &mut dyn Queries) -> Result<Self, Fault> {
        const ANY: &str = "SELECT CAST(count(*) AS TEXT) FROM sqlite_master WHERE sql LIKE '%deferred%'";
        let makes = steps.iter().flat_map(|step| &step.script.statements).any(|sql| mentions(sql, &["deferred"]));
        let has = makes || tenant.rows(ANY.to_owned()).await?.first().is_some_and(|row| row.must(0) != "0");
        Ok(Deferred(if has { Some(Orphans::count(tenant).await?) } else { None }))
    }

    /// Fails if a row refers to nothing that did not before.
    pub(super) async fn hold(&self, tenant: &mut dyn Queries) -> Result<(), Fault> {
        let Some(before) = &self.0 else { return Ok(()) };
        let worse = Orphans::count(tenant).await?.worse_than(before, &[]);
        worse.map_or(Ok(()), |why| {
            let text = format!("FOREIGN KEY constraint failed: {why} at the end of this step");
            Err(Fault::with_code(FaultClass::ConstraintViolation, "787", text))
        })
    }
}
