//! The journal: the progress of a step that has no transaction, kept in the tenant's own database.
//!
//! It holds at most one row. No row: no step was begun, or all are finished. A row `running` means that the process or
//! the connection died; statement k may or may not have happened, all before it have. A row `stopped` means that the
//! engine refused statement k: all before it have happened, it and those behind it have not.

use super::Step;
use super::dialect::{dialect, literal};
use crate::model::clock::Stamp;
use crate::model::schema::{Direction, Execution, Script, Unfinished};
use crate::model::tenant::Engine;
use crate::sql::left::{computes_again, left_in_session, mentions_variable, only_reads_variables};
use crate::sql::prepared::{is_spent, leads_to_execute};
use crate::sql::transaction::hindrance;
use crate::sql::{
    DdlEffect, Directive, SchemaObject, can_be_set_again, changes_session, directive, effect, leaves_nothing,
    may_leave_a_part, reads_session,
};

/// The journal's table; once created, it stays in the tenant's database.
pub(crate) const TABLE: &str = "fleet_journal";

/// Whether an unfinished migration may be dropped for this step: a repeatable script that did not finish is still pending,
/// and restarts when its turn comes, whatever ran in between.
pub(crate) fn is_void(unfinished: &Unfinished, step: &Step) -> bool {
    unfinished.may_begin_again() && *unfinished.migration != *step.script.migration
}

/// The next run's step on an unfinished migration, in its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Continuation {
    /// It resumes by itself at this statement, from 0.
    At(usize),
    /// Nothing: the script differs from the one whose statements the journal counts.
    Edited,
    /// Nothing: how far it came is not known, or no other session can resume there.
    Unknown,
}

/// Decides on an unfinished migration, from its journal and today's script: for a run, and for every command that says
/// what a run would do.
pub(crate) fn continuation(unfinished: &Unfinished, script: &Script) -> Continuation {
    let is_up = script.direction == Direction::Up;
    if *unfinished.migration != *script.migration || unfinished.direction != script.direction {
        return Continuation::Unknown;
    }
    // A repeatable script restarts on its way up, whatever its text was before.
    if is_up && script.record.is_repeatable() {
        return Continuation::At(0);
    }
    let Some(statement) = unfinished.statement else { return Continuation::Unknown };
    if unfinished.sha256 != script.sha256 {
        return Continuation::Edited;
    }
    let is_batch = |k: usize| script.statements.get(k).is_some_and(|sql| directive(sql) == Some(Directive::Batch));
    // A batch may be repeated. On the way down the history row is gone, and a run asks before it looks at the script.
    let may_repeat = is_up && statement.checked_sub(1).is_some_and(is_batch);
    let first = statement.saturating_sub(1);
    if is_up && script.is_online() && repeats(script, first) {
        return Continuation::At(first);
    }
    // A tag may have been changed since: the rest would go elsewhere.
    if script.has_variables && first > 0 {
        return Continuation::Unknown;
    }
    // Another connection would lack the session state that the statements before it set up.
    let is_kept = keeps_session(script, first) || unfinished.vouched && can_be_computed_again(script, first);
    match (unfinished.stopped || may_repeat) && is_kept {
        true => Continuation::At(first),
        false => Continuation::Unknown,
    }
}

/// Whether a statement (from 0) of an online form is sent in one transaction with the journal's step behind it: where the
/// journal names it, it has not happened.
pub(crate) fn is_whole(script: &Script, statement: usize) -> bool {
    let is_alone = |sql: &String| directive(sql).is_none() && hindrance(script.engine, sql).is_none();
    script.is_online()
        && script.engine.capabilities().transactional_ddl
        && script.statements.get(statement).is_some_and(is_alone)
}

/// Whether a statement (from 0) of an online form can be sent again although it may have happened: the session finds out
/// whether an index is there. Behind the last one, all of them have happened.
fn repeats(script: &Script, statement: usize) -> bool {
    let is_index = |sql: &String| {
        let effect = effect(script.engine, sql);
        matches!(effect, Some(DdlEffect::Creates(SchemaObject::Index(..)) | DdlEffect::Drops(SchemaObject::Index(..))))
    };
    script.engine.capabilities().transactional_ddl
        && (is_whole(script, statement) || script.statements.get(statement).is_none_or(is_index))
}

/// Whether the statements before this one (from 0) leave no session state that later statements may need, other than what
/// [`settings_before`] sets again.
pub(crate) fn keeps_session(script: &Script, statement: usize) -> bool {
    let (before, rest) = script.statements.split_at(statement.min(script.statements.len()));
    // At the first statement, everything is repeated.
    before.is_empty()
        || (script.is_online() && script.engine.capabilities().transactional_ddl)
        || lost_before(script, statement).next().is_none() && !rest.iter().any(|sql| reads_session(sql))
}

/// The statements before this one (from 0) that set its session again, when the script goes on in another one.
pub(crate) fn settings_before(script: &Script, statement: usize) -> impl Iterator<Item = usize> + '_ {
    let (engine, all) = (script.engine, &script.statements);
    let (statement, is_kept) = (statement.min(all.len()), keeps_session(script, statement));
    (0..statement).filter(move |&at| {
        let is_sent = can_be_set_again(engine, &all[at]) || !is_kept && computes_again(engine, &all[at]);
        // The tables of a prepared statement may be gone.
        is_sent && !is_spent(engine, all, at, statement)
    })
}

/// The statements before this one (from 0) with session state that another session lacks.
fn lost_before(script: &Script, statement: usize) -> impl Iterator<Item = &str> {
    let (engine, all) = (script.engine, &script.statements);
    let statement = statement.min(all.len());
    let is_lost = move |at: &usize| {
        let sql = &all[*at];
        changes_session(engine, sql)
            && !can_be_set_again(engine, sql)
            && !only_reads_variables(engine, sql)
            && !is_spent(engine, all, *at, statement)
    };
    (0..statement).filter(is_lost).map(|at| all[at].as_str())
}

/// Whether all that another session lacks at this statement (from 0) can be computed again there, maybe to other values: only an
/// operator can say that this is wanted.
fn can_be_computed_again(script: &Script, statement: usize) -> bool {
    lost_before(script, statement).all(|sql| computes_again(script.engine, sql))
        && !script.statements.iter().skip(statement).any(|sql| reads_session(sql))
}

/// An unfinished migration with the state of its session that no other session has: known, and still nothing that a run goes on with.
pub(crate) fn with_session(unfinished: Unfinished, script: &Script) -> Unfinished {
    let same = *unfinished.migration == *script.migration && unfinished.direction == script.direction;
    match unfinished.statement {
        Some(n)
            if same && unfinished.is_known() && unfinished.sha256 == script.sha256 && !unfinished.may_begin_again() =>
        {
            match continuation(&unfinished, script) {
                Continuation::At(_) => unfinished,
                _ => Unfinished { lost: lost_session(script, n.saturating_sub(1)), ..unfinished },
            }
        }
        _ => unfinished,
    }
}

/// State of a session before this statement (from 0) that later statements may read and no other session has, in words.
pub(crate) fn lost_session(script: &Script, statement: usize) -> String {
    if keeps_session(script, statement) {
        return String::new();
    }
    let rest = script.statements.iter().enumerate().skip(statement);
    let read = |name: &String| rest.clone().find(|(_, sql)| name.starts_with('@') && mentions_variable(sql, name));
    let mut lost: Vec<String> = Vec::new();
    for name in lost_before(script, statement).flat_map(|sql| left_in_session(script.engine, sql)) {
        let at = read(&name).map(|(at, _)| format!(" (read by statement {})", at + 1)).unwrap_or_default();
        let name = name + &at;
        if !lost.contains(&name) {
            lost.push(name);
        }
    }
    if let Some((at, _)) = rest.clone().find(|(_, sql)| reads_session(sql)) {
        lost.push(format!("the result that statement {} asks for", at + 1));
    }
    lost.join(", ")
}

/// Whether the statements before this one (from 0) leave nothing but in their session: when this one is refused, nothing of the
/// script is left, and it can begin again.
pub(crate) fn only_settings_before(script: &Script, statement: usize) -> bool {
    script.statements.iter().take(statement).all(|sql| leaves_nothing(script.engine, sql))
}

/// Whether, when the engine refuses this statement (from 0), it certainly had no effect.
pub(crate) fn is_certain(step: &Step, statement: usize) -> bool {
    !step.script.statements.get(statement).is_some_and(|sql| may_leave_a_part(step.script.engine, sql))
}

/// The statement (from 0) with which another session can resume where the engine refused this one: itself, or one of those directly
/// before it that prepare it, leave nothing but in their session, and can be sent again.
pub(crate) fn goes_on_at(script: &Script, statement: usize) -> Option<usize> {
    let (engine, all) = (script.engine, &script.statements);
    let prepares = |at: &usize| leaves_nothing(engine, &all[*at]) && leads_to_execute(engine, all, *at);
    let first = (0..statement).rev().take_while(prepares).last().unwrap_or(statement);
    (first..=statement).rev().find(|&at| keeps_session(script, at))
}

/// Whether the history row of a script can't be restored once deleted: a repeatable script may have been applied with
/// another text.
pub(crate) fn is_row_lost(script: &Script) -> bool {
    script.direction == Direction::Down && script.record.is_repeatable()
}

/// The SQL of one tenant's journal.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    engine: Engine,
    table: String,
    now: Stamp,
}

impl Journal {
    pub(crate) fn new(engine: Engine, schema: Option<&str>) -> Self {
        let table = engine.quote(TABLE);
        let table = schema.map(|s| format!("{}.{table}", engine.quote(s))).unwrap_or(table);
        Journal { engine, table, now: Stamp::Now }
    }

    /// With this as the present time.
    pub(crate) fn at(self, now: Stamp) -> Self {
        Journal { now, ..self }
    }

    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    pub(crate) fn create(&self) -> String {
        let integer = dialect(self.engine).types().integer;
        format!(
            "CREATE TABLE IF NOT EXISTS {} (id {integer} NOT NULL PRIMARY KEY, migration varchar(255) NOT NULL, \
             direction varchar(4) NOT NULL, statement {integer} NULL, state varchar(8) NOT NULL, sha256 varchar(64) NOT NULL, \
             run varchar(36) NOT NULL, begun_at bigint NOT NULL)",
            self.table
        )
    }

    /// Every column as text, in the order that [`entry`] takes.
    pub(crate) fn read(&self) -> String {
        let text = |column: &str| dialect(self.engine).as_text(column);
        let columns = ["migration", "direction", "statement", "state", "sha256", "run"].map(text).join(", ");
        format!("SELECT {columns} FROM {} WHERE id = 1", self.table)
    }

    /// Records the start of a step, at its first statement or as native code.
    ///
    /// A second row has the same key: if a journal is already open, this fails and nothing after it is sent.
    pub(crate) fn begin(&self, step: &Step, run: &str) -> String {
        let is_native = matches!(step.script.execution, Execution::Native { .. });
        let (direction, sha256) = (step.script.direction, &step.script.sha256);
        let (migration, run) = (literal(self.engine, &step.script.migration), literal(self.engine, run));
        let statement = number((!is_native).then_some(0));
        self.row("INSERT", &format!("{migration}, '{direction}', {statement}, 'running', '{sha256}', {run}"))
    }

    /// Records that a run's backup is being loaded; it replaces any open journal.
    pub(crate) fn restoring(&self, run: &str) -> String {
        let (restore, run) = (literal(self.engine, Unfinished::RESTORE), literal(self.engine, run));
        self.row("REPLACE", &format!("{restore}, 'up', NULL, 'running', '', {run}"))
    }

    fn row(&self, verb: &str, values: &str) -> String {
        format!(
            "{verb} INTO {} (id, migration, direction, statement, state, sha256, run, begun_at) VALUES (1, {values}, {})",
            self.table, self.now
        )
    }

    /// Records that a stopped step resumes.
    pub(crate) fn resume(&self, step: &Step, statement: usize, run: &str) -> String {
        let (sha256, run) = (literal(self.engine, &step.script.sha256), literal(self.engine, run));
        self.set(&format!("state = 'running', statement = {}, sha256 = {sha256}, run = {run}", statement + 1))
    }

    /// Records that a statement (from 0) is about to be sent.
    pub(crate) fn advance(&self, statement: usize) -> String {
        self.set(&format!("statement = {}", statement + 1))
    }

    /// Records that the engine refused a statement (from 0).
    pub(crate) fn stop(&self, statement: Option<usize>) -> String {
        self.set(&format!("state = 'stopped', statement = {}", number(statement)))
    }

    /// Records an operator's word that everything before a statement (from 1) is in place.
    pub(crate) fn vouch(&self, statement: usize, sha256: &str) -> String {
        self.set(&format!("state = 'vouched', statement = {statement}, sha256 = {}", literal(self.engine, sha256)))
    }

    fn set(&self, columns: &str) -> String {
        format!("UPDATE {} SET {columns} WHERE id = 1", self.table)
    }

    /// Closes the journal.
    pub(crate) fn close(&self) -> String {
        format!("DELETE FROM {} WHERE id = 1", self.table)
    }
}

fn number(statement: Option<usize>) -> String {
    statement.map_or("NULL".to_owned(), |s| (s + 1).to_string())
}

/// The row of [`Journal::read`].
pub(crate) fn entry(columns: [Option<String>; 6]) -> Unfinished {
    let [migration, direction, statement, state, sha256, run] = columns;
    Unfinished {
        migration: migration.unwrap_or_default(),
        direction: if direction.as_deref() == Some("down") { Direction::Down } else { Direction::Up },
        statement: statement.and_then(|s| s.parse().ok()),
        run: run.unwrap_or_default(),
        stopped: matches!(state.as_deref(), Some("stopped" | "vouched")),
        sha256: sha256.unwrap_or_default(),
        is_gone: false,
        lost: String::new(),
        vouched: state.as_deref() == Some("vouched"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::schema::Record;

    fn step(sha: &str) -> Step {
        let script = Script {
            flavour: None,
            migration: "m1".into(),
            direction: Direction::Up,
            engine: Engine::Mysql,
            execution: Execution::Compiled { transaction: false },
            statements: vec!["a".into(), "b".into()],
            sha256: sha.into(),
            has_variables: false,
            record: Record::Migration,
            source: None,
            online: None,
        };
        Step::new(0, Arc::new(script), Default::default())
    }

    #[test]
    fn settings_with_constant_values_are_set_again() {
        let mut script = (*step("x").script).clone();
        let keeps = |script: &Script, first: &str| {
            let script = Script { statements: vec![first.into(), "a".into(), "b".into()], ..script.clone() };
            (keeps_session(&script, 2), settings_before(&script, 2).collect::<Vec<_>>())
        };
        assert_eq!(keeps(&script, "SET @x = 7, FOREIGN_KEY_CHECKS = 0"), (true, vec![0]));
        assert_eq!(keeps(&script, "SET @x = NOW()"), (false, vec![0]), "only if an operator says so");
        assert_eq!(keeps(&script, "SELECT 7 INTO @x"), (false, vec![]));
        let prepared =
            ["PREPARE s FROM 'DROP TABLE a'", "EXECUTE s", "DEALLOCATE PREPARE s", "SELECT 1"].map(str::to_owned);
        let script_of = Script { statements: prepared.to_vec(), ..script.clone() };
        let sent = |statement| settings_before(&script_of, statement).collect::<Vec<_>>();
        assert_eq!((sent(1), sent(3), sent(9)), (vec![0], vec![], vec![]), "the table is gone, and nobody executes it");
        script.engine = Engine::Postgres;
        assert_eq!(keeps(&script, "SET search_path TO other"), (true, vec![0]));
    }

    #[test]
    fn what_asks_the_session_can_only_begin_at_the_beginning() {
        let mut script = (*step("x").script).clone();
        script.statements = ["INSERT INTO p VALUES (1)", "INSERT INTO c VALUES (LAST_INSERT_ID())", "SELECT 1"]
            .map(str::to_owned)
            .into();
        assert_eq!([0, 1, 2].map(|statement| keeps_session(&script, statement)), [true, false, true]);
    }

    fn row(state: &str, statement: Option<&str>) -> Unfinished {
        let some = |s: &str| Some(s.to_owned());
        entry([some("m1"), some("up"), statement.map(str::to_owned), some(state), some("x"), some("r")])
    }

    #[test]
    fn only_a_certain_stop_of_the_same_script_can_be_resumed() {
        let of = |state, statement, step: &Step| continuation(&row(state, statement), &step.script);
        assert_eq!(of("stopped", Some("2"), &step("x")), Continuation::At(1));
        assert_eq!(of("stopped", Some("2"), &step("edited")), Continuation::Edited);
        assert_eq!(of("running", Some("2"), &step("x")), Continuation::Unknown);
        assert_eq!(of("stopped", None, &step("x")), Continuation::Unknown, "native code can't be resumed");
        let mut again = (*step("edited").script).clone();
        again.record = Record::Script { checksum: "c".into(), repeatable: true };
        let again = Step::new(0, Arc::new(again), Default::default());
        assert_eq!(of("running", Some("2"), &again), Continuation::At(0), "it may run again and again");
    }

    #[test]
    fn a_number_means_nothing_in_another_text_or_another_session() {
        let of = |state, statement, script: &Script| continuation(&row(state, statement), script);
        let (same, edited) = (step("x").script, step("edited").script);
        for state in ["running", "stopped"] {
            assert_eq!(of(state, Some("2"), &edited), Continuation::Edited, "{state}");
            assert_eq!(of(state, None, &edited), Continuation::Unknown, "Rust code has no numbers: {state}");
        }
        assert_eq!(of("running", Some("2"), &same), Continuation::Unknown);
        let asks = Script { statements: vec!["a".into(), "SELECT LAST_INSERT_ID()".into()], ..Script::clone(&same) };
        assert_eq!(of("stopped", Some("2"), &asks), Continuation::Unknown);
        let batches = vec!["a".into(), "/* fleet: batch */ DELETE FROM t LIMIT 9".into()];
        let mut batches = Script { statements: batches, ..Script::clone(&same) };
        assert_eq!(of("running", Some("2"), &batches), Continuation::At(1), "a batch may be repeated");
        batches.direction = Direction::Down;
        assert_eq!(of("running", Some("2"), &batches), Continuation::Unknown);
    }
}
