//! The work to apply to one tenant, and its progress.
//!
//! Plain data for the engines and the run; sends nothing.

use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::driver::driver;
use super::expectation::Expectation;
use super::stopwatch::{Running, Stopwatch, millis};
use crate::model::fault::{Fault, FaultClass};
use crate::model::outcome::StoppedAt;
use crate::model::schema::{Direction, Execution, Record, Script, Unfinished};
use crate::model::timings::Phase;
use crate::model::transaction::TransactionScope;
use crate::policy::Limits;
use crate::sql::{Directive, directive, first_words, is_multiple};

/// The work to apply to one tenant.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    /// The run's id, for the journal.
    pub(crate) run: String,
    /// The tenant's sorted history when the work was planned. A tenant whose history has since changed is left alone.
    pub(crate) history: Vec<String>,
    /// The steps in order.
    pub(crate) steps: Vec<Step>,
    /// The receiver of notices about the progress.
    pub(crate) teller: Notifier,
    /// Set when the work is to stop; between two batches it can then end at once.
    pub(crate) cancelled: Arc<AtomicBool>,
    /// Whether batches of the statement in progress are committed, perhaps by an earlier run.
    pub(crate) has_rows: Arc<AtomicBool>,
    /// The history that each step expects, computed on first use.
    pub(crate) expectations: OnceLock<Vec<Expectation>>,
    /// The extent of its transactions.
    pub(crate) transaction: TransactionScope,
    /// The clock of the tenant's time.
    pub(crate) stopwatch: Stopwatch,
}

/// A notice about a step in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// The number of rows that a batched statement has changed so far in this attempt.
    Rows {
        /// The migration, or the table being filled.
        migration: Arc<str>,
        /// The statement, from 1; `None` if a table is filled.
        statement: Option<usize>,
        /// The number of rows so far.
        rows: u64,
    },
    /// A migration's note about this tenant's data.
    Note(String),
}

/// The receiver of notices; by default they are dropped.
#[derive(Clone, Default)]
pub(crate) struct Notifier(Option<Arc<dyn Fn(Notice) + Send + Sync>>);

impl Notifier {
    /// Passes notices to `hear`, which must not block.
    pub(crate) fn new(hear: impl Fn(Notice) + Send + Sync + 'static) -> Self {
        Notifier(Some(Arc::new(hear)))
    }

    /// Sends a notice.
    pub(crate) fn tell(&self, telling: Notice) {
        if let Some(hear) = &self.0 {
            hear(telling);
        }
    }
}

/// The interval between row counts of long work: a statement in batches, a table being filled.
pub(crate) const TELL_EVERY: Duration = Duration::from_secs(2);

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Teller")
    }
}

/// One migration in one direction.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// The index of the migration in the catalog.
    pub(crate) index: usize,
    pub(crate) script: Arc<Script>,
    /// The step's own time limits; unset ones fall back to those of the session.
    pub(crate) limits: Limits,
    /// Whether it only makes way for others, or is made again behind them: no step of its own for those who count.
    pub(crate) is_aside: bool,
}

impl Step {
    /// Whether a statement of it may set a limit for locks within itself: Rust code, and any that may run code of its own.
    pub(crate) fn may_set_limits(&self) -> bool {
        let plain = ["alter", "create", "drop", "rename", "truncate", "lock"];
        let is_plain = |sql: &String| {
            let first = first_words(self.script.engine, sql).next();
            first.is_some_and(|word| plain.contains(&&*word)) && !is_multiple(self.script.engine, sql)
        };
        matches!(self.script.execution, Execution::Native { .. }) || !self.script.statements.iter().all(is_plain)
    }

    pub(crate) fn new(index: usize, script: Arc<Script>, limits: Limits) -> Self {
        Step { index, script, limits, is_aside: false }
    }

    /// Whether it takes a repeatable script down in statements that may be repeated.
    pub(crate) fn is_taken_down(&self) -> bool {
        self.script.record.is_taken_down()
    }
}

/// The reason and position at which `Session::apply` stopped.
#[derive(Debug, Clone)]
pub(crate) struct ApplyError {
    /// The number of steps committed before.
    pub(crate) committed: usize,
    /// The step and statement that failed, if one was in progress.
    pub(crate) at: Option<StoppedAt>,
    /// The reason.
    pub(crate) fault: Fault,
    /// The state that the failed step left behind.
    pub(crate) residue: PartialState,
}

/// The state that a failed step left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PartialState {
    /// Nothing: it was rolled back, or had not begun.
    Nothing,
    /// Its first statements are in place, by the journal; another attempt resumes after them.
    Resumable {
        /// The number of statements in place.
        statements: usize,
    },
    /// A journal that only an operator can settle.
    InDoubt(Unfinished),
    /// The connection was lost; the state is unknown until the tenant is read again.
    Unknown,
}

/// A statement of a script, by its indexes from 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScriptStatement<'a> {
    pub(crate) work: &'a Work,
    pub(crate) step: usize,
    pub(crate) statement: usize,
}

impl<'a> ScriptStatement<'a> {
    pub(crate) fn step(&self) -> &'a Step {
        &self.work.steps[self.step]
    }

    pub(crate) fn sql(&self) -> &'a str {
        &self.step().script.statements[self.statement]
    }
}

/// Steps that are sent in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    /// Consecutive scripts, in one message.
    Together(Range<usize>),
    /// A script that must not run in a transaction, on an engine with transactional DDL, or one with statements in
    /// batches.
    Alone(usize),
    /// Rust code.
    Native {
        /// The index of the step.
        step: usize,
        /// Whether it runs in a transaction of ours.
        transaction: bool,
    },
}

impl Segment {
    /// The index of its first step.
    pub(crate) fn start(&self) -> usize {
        match self {
            Segment::Together(steps) => steps.start,
            Segment::Alone(step) | Segment::Native { step, .. } => *step,
        }
    }

    /// The index after the segment.
    pub(crate) fn end(&self) -> usize {
        match self {
            Segment::Together(steps) => steps.end,
            Segment::Alone(step) | Segment::Native { step, .. } => step + 1,
        }
    }
}

impl Work {
    /// Begins a phase of a step.
    pub(crate) fn start(&self, phase: Phase, step: usize) -> Running<'_> {
        self.stopwatch.start(phase, Some(&*self.steps[step].script.migration))
    }

    /// The span of a step that is sent by itself.
    pub(crate) fn span(&self, step: usize) -> tracing::Span {
        tracing::info_span!(target: "fleet::span", "step", step = &*self.steps[step].script.migration)
    }

    /// The span of a statement (from 0) that is sent by itself.
    pub(crate) fn statement_span(statement: usize) -> tracing::Span {
        tracing::info_span!(target: "fleet::span", "statement", statement = statement + 1)
    }

    /// Tells the log of a statement (from 0) that has ended, and its time if it has one of its own.
    pub(crate) fn tell_statement(&self, step: usize, statement: usize, took: Option<Duration>) {
        let script = &self.steps[step].script;
        let head = script.statements.get(statement).map(String::as_str);
        let (step, took_ms) = (&*script.migration, took.map(millis));
        tracing::debug!(target: "fleet::engine", step, statement = statement + 1, took_ms, head, "statement");
    }

    /// The steps of a segment by the transactions that they share: as few as can be, if the work says so; else one for each
    /// step, where what is taken down goes together with the step that it makes way for, so that a failure brings it back.
    pub(crate) fn transactions(&self, segment: &Range<usize>) -> Vec<Range<usize>> {
        let leads = |i: usize| {
            let [this, next] = [&self.steps[i], &self.steps[i + 1]].map(|step| &*step.script);
            let is_whole = |script: &Script| {
                matches!(script.execution, Execution::Compiled { .. }) && script.is_atomic() && !has_batches(script)
            };
            self.steps[i].is_aside && this.direction == Direction::Down && is_whole(this) && is_whole(next)
        };
        let ends = match self.transaction {
            TransactionScope::Migration => segment.clone().collect(),
            TransactionScope::Tenant => {
                let scripts: Vec<&Script> = self.steps[segment.clone()].iter().map(|step| &*step.script).collect();
                ends_of_transactions(&scripts).into_iter().map(|end| segment.start + end).collect::<Vec<_>>()
            }
        };
        let last = segment.end - 1;
        let (mut all, mut first) = (Vec::new(), segment.start);
        for end in ends.into_iter().filter(|&end| end < last).chain([last]) {
            // The steps that make way stay with the step behind them: the transaction ends before the first of these.
            let end =
                if end == last { end + 1 } else { (first..=end).rev().find(|&i| !leads(i)).map_or(first, |i| i + 1) };
            if end > first {
                all.push(first..end);
                first = end;
            }
        }
        all
    }

    /// The steps that shared a transaction with the one that stopped, and were rolled back with it.
    pub(crate) fn went_back(&self, committed: usize, at: &StoppedAt, left: &PartialState) -> Vec<String> {
        let is_it = |step: &Step| *step.script.migration == *at.migration && !step.is_aside;
        let stopped = self.steps.iter().position(is_it).filter(|_| *left == PartialState::Nothing).unwrap_or(0);
        let before = self.steps.iter().take(stopped).skip(committed).filter(|step| !step.is_aside);
        before.map(|step| step.script.migration.to_string()).collect()
    }

    /// Whether views are refreshed, which is recorded in a separate table.
    pub(crate) fn refreshes(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.script.record, Record::Refresh { .. }))
    }

    /// A batched statement that might never run out of rows to change.
    fn endless(&self) -> Option<(&str, &str)> {
        const RUN_OUT: [&str; 5] = ["insert", "update", "delete", "replace", "with"];
        self.steps.iter().find_map(|Step { script, .. }| {
            let is_endless = |sql: &&String| {
                let first = crate::sql::first_words(script.engine, sql).next();
                directive(sql) == Some(Directive::Batch) && !first.is_some_and(|word| RUN_OUT.contains(&word.as_str()))
            };
            script.statements.iter().find(is_endless).map(|sql| (&*script.migration, sql.as_str()))
        })
    }

    /// The steps in order, grouped where they can share one message.
    ///
    /// # Errors
    /// A [`Fault`] when a step has no way down; nothing has been sent yet.
    pub(crate) fn segments(&self) -> Result<Vec<Segment>, Fault> {
        if let Some((migration, sql)) = self.endless() {
            let text = format!(
                "{migration} has a batch that is no INSERT, UPDATE, DELETE, REPLACE or WITH, so that it might never end: {}",
                sql.chars().take(120).collect::<String>()
            );
            return Err(Fault::new(FaultClass::Migration, text));
        }
        let mut segments: Vec<Segment> = Vec::new();
        for (step, Step { script, .. }) in self.steps.iter().enumerate() {
            let next = match &script.execution {
                Execution::Compiled { .. } if has_batches(script) => Segment::Alone(step),
                Execution::Compiled { transaction }
                    if *transaction || !script.engine.capabilities().transactional_ddl =>
                {
                    Segment::Together(step..step + 1)
                }
                Execution::Compiled { .. } => Segment::Alone(step),
                Execution::Native { transaction, .. } => Segment::Native { step, transaction: *transaction },
                Execution::Irreversible { reason } => {
                    return Err(Fault::new(FaultClass::Migration, reason.clone()));
                }
            };
            match (segments.last_mut(), next) {
                (Some(Segment::Together(steps)), Segment::Together(more)) => steps.end = more.end,
                (_, next) => segments.push(next),
            }
        }
        Ok(segments)
    }
}

/// The scripts, by index, behind which there is a commit although others follow, where a tenant takes these scripts in as
/// few transactions as can be; `None` on an engine that commits each statement.
pub(crate) fn commits_between(scripts: &[&Script]) -> Option<Vec<usize>> {
    if !scripts.first()?.engine.capabilities().transactional_ddl {
        return None;
    }
    let shares =
        |script: &Script| matches!(script.execution, Execution::Compiled { transaction: true }) && !has_batches(script);
    let ends = ends_of_transactions(scripts);
    let is_between = |&at: &usize| !shares(scripts[at]) || !shares(scripts[at + 1]) || ends.contains(&at);
    Some((0..scripts.len() - 1).filter(is_between).collect())
}

/// The scripts, by index, behind which a transaction that holds several of these ends.
fn ends_of_transactions(scripts: &[&Script]) -> Vec<usize> {
    scripts.first().map(|script| driver(script.engine).ends_transaction(scripts)).unwrap_or_default()
}

/// Whether a statement is repeated until it changes no row, each time in its own transaction.
fn has_batches(script: &Script) -> bool {
    script.statements.iter().any(|sql| directive(sql) == Some(Directive::Batch))
}

impl ApplyError {
    /// A stop before anything was sent.
    pub(crate) fn before(committed: usize, fault: Fault) -> Self {
        ApplyError { committed, at: None, fault, residue: PartialState::Nothing }
    }

    /// A stop after which the tenant has to be read again.
    pub(crate) fn lost(committed: usize, fault: Fault) -> Self {
        ApplyError { residue: PartialState::Unknown, ..ApplyError::before(committed, fault) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::expectation::NextHistory;
    use crate::engine::history::HistoryTables;
    use crate::model::schema::{Direction, NativeReason};
    use crate::model::tenant::Engine;

    fn work(engine: Engine, executions: impl IntoIterator<Item = Execution>) -> Work {
        let step = |(index, execution)| {
            let script = Script {
                flavour: None,
                migration: format!("m{index}").into(),
                direction: Direction::Up,
                engine,
                execution,
                statements: Vec::new(),
                sha256: String::new(),
                has_variables: false,
                record: Record::Migration,
                source: None,
                online: None,
            };
            Step::new(index, Arc::new(script), Limits::default())
        };
        let steps = executions.into_iter().enumerate().map(step).collect();
        Work {
            run: "r".into(),
            history: vec!["a".into()],
            steps,
            teller: Notifier::default(),
            cancelled: Arc::default(),
            has_rows: Arc::default(),
            expectations: OnceLock::default(),
            transaction: TransactionScope::default(),
            stopwatch: Stopwatch::default(),
        }
    }

    fn compiled(transaction: bool) -> Execution {
        Execution::Compiled { transaction }
    }

    #[test]
    fn scripts_in_a_row_go_together_and_others_part_them() {
        let native = Execution::Native { transaction: true, reason: NativeReason::Forced };
        let steps = [compiled(true), compiled(true), compiled(false), native, compiled(true)];
        assert_eq!(
            work(Engine::Postgres, steps).segments().unwrap(),
            [
                Segment::Together(0..2),
                Segment::Alone(2),
                Segment::Native { step: 3, transaction: true },
                Segment::Together(4..5),
            ]
        );
        let steps = [compiled(false), compiled(false)];
        assert_eq!(
            work(Engine::Mysql, steps).segments().unwrap(),
            [Segment::Together(0..2)],
            "nothing is wrapped there"
        );
    }

    #[test]
    fn a_step_without_a_way_down_stops_all_of_them_before_the_first() {
        let steps = [compiled(true), Execution::Irreversible { reason: "never".into() }];
        assert_eq!(work(Engine::Postgres, steps).segments().unwrap_err().class, FaultClass::Migration);
    }

    #[test]
    fn the_history_grows_with_the_steps() {
        let work = work(Engine::Sqlite, [compiled(true), compiled(true)]);
        assert_eq!(work.history_before(0), ["a"]);
        assert_eq!(work.history_before(2), ["a", "m0", "m1"]);
        let next = NextHistory { entries: 2, there: vec!["m0".into()], gone: vec!["m1".into()] };
        assert_eq!(work.expectation(0), &Expectation::Whole(vec!["a".into()]));
        assert_eq!(work.expectation(1), &Expectation::Next(next));
    }

    #[test]
    fn a_way_down_expects_the_entry_that_it_takes() {
        let mut work = work(Engine::Sqlite, [compiled(true), compiled(true)]);
        work.history = vec!["m0".into(), "m1".into()];
        for step in &mut work.steps {
            Arc::make_mut(&mut step.script).direction = Direction::Down;
        }
        let next = NextHistory { entries: 1, there: vec!["m1".into()], gone: vec!["m0".into()] };
        assert_eq!(work.expectation(1), &Expectation::Next(next));
    }

    /// Each step checks a bounded part of the history, however long the work is.
    #[test]
    fn a_long_work_has_checks_of_one_length() {
        let steps = (0..1_000).map(|_| compiled(true));
        let work = work(Engine::Sqlite, steps);
        let books = HistoryTables::new(Engine::Sqlite, None, "h".into(), true);
        let length = |step: usize| match work.expectation(step) {
            Expectation::Next(next) => books.is_as(next).len(),
            Expectation::Whole(_) => 0,
        };
        assert!((1..1_000).all(|step| length(step) < 400), "{}", length(999));
    }
}
