//! The commands to type next after a run: the same words at its end, in `runs show` and in `runs resume`.
//!
//! It reads only recorded data and prints nothing.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use super::previous_run::is_outstanding;
use super::setup::{Program, quoted, tenant_flag};
use super::{hold, origin};
use crate::model::event::RunHeader;
use crate::model::fault::FaultClass::{self, ChecksumMismatch, DatabaseLost, HasHistory, OutOfOrder};
use crate::model::gate::GateRecord;
use crate::model::outcome::{InDoubt, MIGRATE_FIRST, Outcome, Standing, StoppedAt, TenantRecord};
use crate::model::plan::{Goal, Target};
use crate::model::run_kind::RunKind;
use crate::model::run_summary::RunStatus;
use crate::model::schema::Direction;
use crate::model::tenant::TenantId;
use crate::model::undo::Undoing;
use crate::policy::{FailureBudget, StopCause, Tally, UsedUp};
use crate::sql::duplicates;

/// The commands that go on with a run.
#[derive(Default)]
pub(super) struct Next {
    /// The first command to type, if any work is left that a command can do by itself.
    pub(super) first: Option<String>,
    /// The others, one per line with its purpose.
    pub(super) rest: String,
}

/// Why a run started nothing more, as far as whoever goes on with it has to know.
#[derive(Default)]
pub(super) struct Stop<'a> {
    pub(super) cause: Option<&'a StopCause>,
    /// The gate at which a person is waited for, whatever else stopped it.
    pub(super) paused: Option<&'a GateRecord>,
    /// The runs that it resumed in which tenants failed that still do: they have used up its budgets.
    pub(super) earlier: &'a [RunHeader],
    /// The number of tenants that it left and that nobody may go on with as they are, and the lines that say why and what to type.
    pub(super) held: Option<(usize, String)>,
}

/// A run that is over, however long ago.
pub(super) struct Over<'a> {
    /// With the tenants that no later run has settled.
    pub(super) header: &'a RunHeader,
    /// The outcomes of these.
    pub(super) open: &'a [TenantRecord],
    /// All outcomes.
    pub(super) records: &'a [TenantRecord],
    pub(super) stop: Stop<'a>,
    /// Whether a failure budget was used up, whatever else stopped the run.
    pub(super) is_used_up: bool,
    /// The waves that are taken back by themselves, and the runs that took back what it had moved.
    pub(super) undoing: Undoing,
    /// The tenants that it left out because they were in quarantine, each with the reason.
    pub(super) left_out: BTreeMap<TenantId, String>,
    /// The lines on the tenants that a rollback of a run left out for other reasons.
    pub(super) left_behind: &'a str,
}

/// Everything to type next after a run: the same at its end and in every later look at it.
pub(super) fn of(program: &Program, over: &Over<'_>) -> Next {
    let Over { header, open, records, stop, is_used_up, undoing, left_out, left_behind } = over;
    let stands = *undoing == Undoing::default();
    let mut next = match stands {
        true => after(program, header, open, stop),
        false => after_undo(program, header, records, undoing),
    };
    let is_stopped = *is_used_up || stop.cause.is_some_and(StopCause::is_failed_gate);
    if is_stopped && stands {
        next.rest.push_str(&way_back(program, header, records));
    }
    next.rest.push_str(left_behind);
    next.rest.push_str(&hold::lines(program, left_out));
    next
}

/// The commands to type next after a run with these outcomes; a tenant of the header without one was not reached.
pub(super) fn after(program: &Program, header: &RunHeader, records: &[TenantRecord], stop: &Stop<'_>) -> Next {
    let cause = stop.cause;
    if matches!(header.kind, RunKind::Exec { .. }) {
        return after_exec(program, header, records);
    }
    let count = |wanted: fn(&Outcome) -> bool| records.iter().filter(|r| wanted(&r.outcome)).count();
    // The same command helps neither a tenant in doubt nor one that stopped on its other way: theirs are listed
    // separately. One that is ahead takes another program.
    let is_own = |r: &&TenantRecord| {
        r.outcome.standing() == Standing::Failed
            && !matches!(r.outcome, Outcome::InDoubt(_) | Outcome::Ahead { .. })
            && !is_partially_applied(r)
            && !is_of_another_schema(header, r)
            && !matches!(class_of(r), Some(HasHistory | DatabaseLost | OutOfOrder | ChecksumMismatch))
    };
    let failed = records.iter().filter(is_own).count();
    let lost = count(|o| matches!(o, Outcome::InDoubt(InDoubt::Unanswered)));
    let (held, why_held) = stop.held.as_ref().map_or((0, ""), |(held, why)| (*held, why.as_str()));
    let left = header.tenants.len().saturating_sub(records.len()) + count(is_outstanding);
    let left = left.saturating_sub(held);
    // Nothing is resumed past failures that have used up a budget, whichever run of the rollout they are of.
    let is_stopped = count(is_stop) > 0;
    let earlier = if is_stopped { stop.earlier } else { &[] };
    let mut failures = (failed > 0).then_some(header).into_iter().chain(earlier).map(|of| program.command(&again(of)));
    let again = failures.next();
    let go_on = (left > 0).then(|| program.command(&resume(header)));
    let or_lost = if lost > 0 { ", or whose end it did not learn" } else { "" };
    let once = cause.map(|of| format!(", {}", of.condition())).unwrap_or_default();
    let others = |command: &str| format!("the {left} that the run did not get to{or_lost}{once}: {command}\n");
    let doubt = why_held.to_owned() + &past(program, header, records) + &others_first(program, header, records);
    let doubt = failures.map(|command| format!("those that failed before: {command}\n")).collect::<String>() + &doubt;
    let approve = stop.paused.filter(|_| left > 0).map(|gate| {
        let how = if gate.is_passed() { "with a name in the ledger" } else { "in spite of its gate" };
        let once = if matches!(cause, Some(StopCause::Budget(_))) { once.as_str() } else { "" };
        format!("{how}{once}: {}\n", program.command(&approve(header)))
    });
    let approve = approve.unwrap_or_default();
    let others = |command: &str| look_at_gate(program, cause) + &others(command);
    match (again, go_on) {
        (Some(again), go_on) => {
            let go_on = go_on.map(|command| others(&command)).unwrap_or_default() + &approve;
            Next { first: Some(again), rest: if is_stopped { doubt + &go_on } else { go_on + &doubt } }
        }
        // The run is not resumed past failures that stopped it: here all of them are in doubt.
        (None, Some(go_on)) if is_stopped && !doubt.is_empty() => Next { first: None, rest: doubt + &others(&go_on) },
        (None, Some(go_on)) if cause.is_some_and(StopCause::is_failed_gate) => {
            Next { first: None, rest: others(&go_on) + &doubt }
        }
        (None, go_on) => Next { first: go_on, rest: approve + &doubt },
    }
}

/// The line for a gate whose assertions did not hold.
fn look_at_gate(program: &Program, cause: Option<&StopCause>) -> String {
    let gate = cause.filter(|cause| cause.is_failed_gate()).and_then(StopCause::gate);
    let Some(gate) = gate.filter(|gate| gate.answers.iter().any(|of| !of.holds && of.check.starts_with("verify")))
    else {
        return String::new();
    };
    format!(
        "the rows that its assertions find: {}\n",
        program.command(&format!("verify --wave {}", quoted(&gate.wave)))
    )
}

/// The commands to type next after a run that was taken back, or of which a wave was to be taken back by itself.
fn after_undo(program: &Program, header: &RunHeader, records: &[TenantRecord], undo: &Undoing) -> Next {
    let run = header.run;
    let mut rest = others_first(program, header, records);
    let may_have_moved = |r: &TenantRecord| !r.committed.is_empty() || r.outcome.standing() == Standing::Failed;
    let first = match undo.runs.last() {
        None if header.resumes.is_some() || records.iter().any(|r| undo.due.contains(&r.wave) && may_have_moved(r)) => {
            let waves: String = undo.due.iter().map(|wave| format!(" --wave {}", quoted(wave))).collect();
            Some(program.command(&format!("rollback --run {run}{waves}")))
        }
        Some(last) if last.status == RunStatus::Running => None,
        Some(last) if last.status != RunStatus::Finished || last.stats.outstanding() > 0 => {
            Some(program.command(&format!("runs resume {}", last.run)))
        }
        Some(last) if !last.is_whole() => {
            let look = program.command(&format!("runs show {}", last.run));
            rest.push_str(&format!("what of it is not back, and what to do about it: {look}\n"));
            None
        }
        _ => None,
    };
    let again = program.command(&from_the_beginning(header));
    rest.push_str(&format!("once it is mended, from the first wave on: {again}\n"));
    Next { first, rest }
}

/// The arguments that begin a migration again, to the same goal and for the same tenants.
pub(super) fn from_the_beginning(header: &RunHeader) -> String {
    if header.kind.plan().is_some() {
        return "migrate --plan FILE".to_owned();
    }
    to_its_goal(header, &header.selection)
}

/// The arguments of a migration to the goal of this one, with its flags, of what these flags select.
pub(super) fn to_its_goal(header: &RunHeader, selection: &[String]) -> String {
    let mut flags: Vec<String> = Vec::new();
    if let Some(goal) = header.kind.goal() {
        match goal.target {
            Target::Migration(to) => flags.extend(header.catalog.get(to).map(|name| format!("--to {}", quoted(name)))),
            Target::Steps(n) => flags.push(format!("--steps {n}")),
            Target::End => {}
        }
        flags.extend(goal.out_of_order.then(|| "--out-of-order".to_owned()));
    }
    flags.extend(header.kind.backups().map(|_| "--backup".to_owned()));
    flags.extend(selection.iter().map(|flag| quoted(flag)));
    flags.extend(origin::kept(&header.started_by.command, &["migrate"]));
    with("migrate".to_owned(), &flags)
}

/// The way back of a migration that its failures stopped, where it has moved any tenant.
fn way_back(program: &Program, header: &RunHeader, records: &[TenantRecord]) -> String {
    let is_up = header.kind.goal().is_some_and(|goal| goal.direction == Direction::Up);
    match is_up && records.iter().any(|r| !r.committed.is_empty()) {
        true => format!("to take back what it moved: {}\n", program.command(&format!("rollback --run {}", header.run))),
        false => String::new(),
    }
}

/// A failure budget of a run: the wave (`None`: the whole run), the budget, the tenants that it began with as done, and the
/// number of its tenants.
pub(super) type Budget = (Option<String>, FailureBudget, Tally, usize);

/// The first of these budgets that the failures were more than.
pub(super) fn used_up(mut budgets: impl Iterator<Item = Budget>, records: &[TenantRecord]) -> Option<UsedUp> {
    budgets.find_map(|(wave, budget, former, total)| {
        let mut tally = former;
        let of_it = |r: &&TenantRecord| wave.as_ref().is_none_or(|wave| r.wave == *wave);
        let finished = records.iter().filter(of_it).filter(|r| !matches!(r.outcome, Outcome::NotStarted { .. }));
        finished.for_each(|r| tally.add(r.outcome.kind()));
        budget.is_exceeded(&tally, total).then_some(UsedUp { wave, budget, tally })
    })
}

/// The commands to type next after a run whose ledger was lost: it may lack any outcome, so none is built on.
pub(super) fn after_loss(program: &Program, over: &Over<'_>) -> Next {
    let Over { header, records, left_out, .. } = over;
    let ended = |r: &&TenantRecord| {
        r.outcome.standing() == Standing::AtTarget || matches!(r.outcome, Outcome::Skipped { .. } | Outcome::InDoubt(_))
    };
    let done: BTreeSet<&TenantId> = records.iter().filter(ended).map(|r| &r.tenant).collect();
    let left: Vec<&TenantId> = header.tenants.iter().map(|p| &p.tenant).filter(|id| !done.contains(id)).collect();
    let first = match header.command() {
        _ if left.is_empty() => None,
        // A tenant that was restored or seeded is not asked whether it was: the tenants that were not are named.
        Some(command) => Some(program.command(&only(command, left))),
        // It takes every tenant without a recorded outcome, and finds those that are at their target so.
        None => Some(program.command(&resume(header))),
    };
    Next { first, rest: others_first(program, header, records) + &hold::lines(program, left_out) }
}

/// The commands after an operator's SQL: nothing repeats it on a tenant that may have it.
fn after_exec(program: &Program, header: &RunHeader, records: &[TenantRecord]) -> Next {
    let of = |wanted: &dyn Fn(&Outcome) -> bool| -> Vec<&TenantId> {
        records.iter().filter(|r| wanted(&r.outcome)).map(|r| &r.tenant).collect()
    };
    let failed = of(&|outcome| outcome.standing() == Standing::Failed && !matches!(outcome, Outcome::InDoubt(_)));
    let doubt: BTreeSet<TenantId> =
        of(&|outcome| matches!(outcome, Outcome::InDoubt(_))).into_iter().cloned().collect();
    let left = of(&|outcome| outcome.standing() == Standing::Outstanding);
    let recorded: BTreeSet<&TenantId> = records.iter().map(|r| &r.tenant).collect();
    // Those of a run that died: one of them may have been in flight.
    let unrecorded: BTreeSet<TenantId> =
        header.tenants.iter().map(|p| &p.tenant).filter(|id| !recorded.contains(id)).cloned().collect();
    let first = match failed.len() {
        0 => None,
        n if n > NAMED => Some(program.command(&format!("{} --failed-of {}", header.goal, header.run))),
        _ => Some(program.command(&only(&header.goal, failed))),
    };
    let mut rest = String::new();
    if !left.is_empty() {
        rest.push_str(&format!("not started: {}\n", first_of(program, &header.goal, left)));
    }
    for ids in [doubt, unrecorded].iter().filter(|ids| !ids.is_empty()) {
        rest.push_str(&look_first(program, header, ids));
        rest.push('\n');
    }
    Next { first, rest }
}

/// The line for tenants on which an operator's SQL may have been committed.
pub(super) fn look_first(program: &Program, header: &RunHeader, ids: &BTreeSet<TenantId>) -> String {
    let look = first_of(program, "exec 'SELECT ...'", ids);
    format!(
        "run {} may have been committed on {}: look with {look}; where it was not, give it again: {}",
        header.run,
        program.terminal.names(ids),
        first_of(program, &header.goal, ids)
    )
}

/// A command for exactly these tenants.
pub(super) fn only<'a>(command: &str, tenants: impl IntoIterator<Item = &'a TenantId>) -> String {
    tenants.into_iter().fold(command.to_owned(), |line, id| format!("{line} {}", tenant_flag(id)))
}

/// The most tenants that a proposed command names.
const NAMED: usize = 10;

/// A command for these tenants, or for the first of them where they are many, which it says.
pub(super) fn first_of<'a>(program: &Program, command: &str, ids: impl IntoIterator<Item = &'a TenantId>) -> String {
    let ids: Vec<&TenantId> = ids.into_iter().collect();
    let line = program.command(&only(command, ids.iter().copied().take(NAMED)));
    match ids.len() > NAMED {
        // A shell takes it for a comment.
        true => format!("{line} # the first {NAMED} of {}", ids.len()),
        false => line,
    }
}

/// The lines for tenants that something else has to be done for, before this command can help.
fn others_first(program: &Program, header: &RunHeader, records: &[TenantRecord]) -> String {
    let of = |wanted: &dyn Fn(&TenantRecord) -> bool| -> Vec<&TenantId> {
        records.iter().filter(|r| wanted(r)).map(|r| &r.tenant).collect()
    };
    let command = |verb: &str, ids: &[&TenantId]| match ids.len() > NAMED {
        true => program.command(&format!("{verb} --failed-of {}", header.run)),
        false => program.command(&only(verb, ids.iter().copied())),
    };
    let mut lines = String::new();
    let doubt = of(&|r| matches!(r.outcome, Outcome::InDoubt(InDoubt::Journal(_))));
    match doubt.as_slice() {
        [] => {}
        [one] => lines.push_str(&format!("in doubt: look at it with {}\n", program.resolve_command(one, ""))),
        many => lines.push_str(&format!("in doubt: look at them with {}\n", command("runs resolve", many))),
    }
    let by_hand = of(&is_by_hand);
    match by_hand.as_slice() {
        [] => {}
        [one] => lines.push_str(&format!("partially applied: look at it with {}\n", program.resolve_command(one, ""))),
        many => lines.push_str(&format!("partially applied: look at them with {}\n", command("runs resolve", many))),
    }
    let stopped = of(&|r| is_partially_applied(r) && !is_by_hand(r));
    // The step in which a tenant stopped says which way goes on there: a stamp, or either direction, may have been refused.
    let goes_back = |id: &&TenantId| {
        let mut of_it = records.iter().filter(|r| is_partially_applied(r) && r.tenant == **id);
        let words = "the next rollback goes on there";
        of_it.any(|r| r.error.as_ref().is_some_and(|error| error.message.contains(words)))
    };
    let (back, on): (Vec<&TenantId>, Vec<&TenantId>) = stopped.into_iter().partition(goes_back);
    for (verb, ids) in [("migrate", on), ("rollback --steps 1", back)] {
        let [first, ..] = ids.as_slice() else { continue };
        lines.push_str(&format!(
            "partially applied: when what the engine refused is corrected, go on with {}; or see {}\n",
            first_of(program, verb, ids.iter().copied()),
            program.resolve_command(first, "")
        ));
    }
    let lost = of(&|r| class_of(r) == Some(DatabaseLost));
    if !lost.is_empty() {
        let anew = command("migrate --recreate", &lost);
        lines.push_str(&format!("lost: bring the database back and migrate it, or have it made anew, empty: {anew}\n"));
    }
    let waited = of(&|r| matches!(r.outcome, Outcome::LockTimeout { .. }));
    if !waited.is_empty() {
        lines.push_str(&format!("a lock was not granted: to see who holds it now: {}\n", command("locks", &waited)));
    }
    lines.push_str(&with_duplicates(program, header, records));
    lines.push_str(&with_another_history(program, header, records));
    lines.push_str(&with_what_exists(program, header, records, &command));
    lines.push_str(&with_another_schema(header, records, &command));
    lines.push_str(&with_older_version(program, header, records));
    let behind = of(&|r| matches!(&r.outcome, Outcome::Skipped { reason } if reason == MIGRATE_FIRST));
    if !behind.is_empty() {
        lines.push_str(&format!("not migrated yet: {}\n", first_of(program, "migrate", behind)));
    }
    lines
}

/// The lines for tenants with rows that a unique key does not take: the same run fails again until they are gone.
fn with_duplicates(program: &Program, header: &RunHeader, records: &[TenantRecord]) -> String {
    let mut groups: IndexMap<String, Vec<&TenantId>> = IndexMap::new();
    for r in records.iter().filter(|r| class_of(r) == Some(FaultClass::ConstraintViolation)) {
        let sql = r.stopped_at.as_ref().and_then(|at| at.sql.as_deref());
        if let Some(query) = sql.and_then(|sql| duplicates::query(r.engine, sql)) {
            groups.entry(query).or_default().push(&r.tenant);
        }
    }
    let line = |(query, ids): (&String, &Vec<&TenantId>)| {
        let look = first_of(program, &format!("exec {}", quoted(query)), ids.iter().copied());
        format!(
            "duplicates: the rows that are in the way: {look}\nonce they are gone: {}\n",
            program.command(&again(header))
        )
    };
    groups.iter().map(line).collect()
}

/// The lines for tenants whose histories are not those of this program: the same run fails again, and each needs something
/// else first.
fn with_another_history(program: &Program, header: &RunHeader, records: &[TenantRecord]) -> String {
    let of = |wanted: &dyn Fn(&TenantRecord) -> bool| -> BTreeSet<TenantId> {
        records.iter().filter(|r| wanted(r)).map(|r| r.tenant.clone()).collect()
    };
    // The command that repeats the run has those that failed already.
    let flags = |ids: &BTreeSet<TenantId>| if ids.len() > NAMED { String::new() } else { only("", ids) };
    let mut lines = String::new();
    let ahead = of(&|r| matches!(r.outcome, Outcome::Ahead { .. }));
    if !ahead.is_empty() {
        let names = program.terminal.names(&ahead);
        lines.push_str(&format!(
            "ahead: migrate them with the program that has what their histories have: {names}\nahead of a file that was removed: \
             put it back, or let a script that does the same say `-- fleet: replaces=NAME` (of Rust: `replaces` in the tenant \
             file)\n"
        ));
    }
    let lacking = of(&|r| class_of(r) == Some(OutOfOrder));
    if !lacking.is_empty() {
        let now = program.command(&format!("{} --out-of-order{}", again(header), flags(&lacking)));
        lines.push_str(&format!("out of order: to apply now what is missing: {now}\n"));
    }
    let edited = of(&|r| class_of(r) == Some(ChecksumMismatch));
    if !edited.is_empty() {
        // The fault ends with the names, as the command takes them.
        let names = |r: &TenantRecord| Some(r.error.as_ref()?.message.split_once(" scripts repair ")?.1.to_owned());
        let names: BTreeSet<String> = records
            .iter()
            .filter(|r| class_of(r) == Some(ChecksumMismatch))
            .flat_map(|r| names(r).unwrap_or_default().split(' ').map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        let those = if edited.len() > NAMED { format!(" --failed-of {}", header.run) } else { flags(&edited) };
        let repair = program.command(&format!("scripts repair {}{those}", names.join(" ")));
        let again = program.command(&again(header));
        lines.push_str(&format!(
            "edited: put the old text back, or accept the new one as applied: {repair}\nthen: {again}\n"
        ));
    }
    lines
}

/// The lines for tenants that have more than their history says: something that a migration makes, or a history that a
/// baseline does not expect.
fn with_what_exists(
    program: &Program,
    header: &RunHeader,
    records: &[TenantRecord],
    command: &dyn Fn(&str, &[&TenantId]) -> String,
) -> String {
    let is_up = header.kind.goal().is_some_and(|goal| goal.direction == Direction::Up);
    let mut groups: IndexMap<(FaultClass, String), Vec<&TenantId>> = IndexMap::new();
    for r in records {
        let class = class_of(r);
        // A step that a tenant is in the middle of is settled before anything is recorded.
        let is_whole = |at: &&StoppedAt| match at.stayed {
            Some(stayed) => stayed == 0,
            None => r.engine.capabilities().transactional_ddl || at.statement <= Some(1),
        };
        let migration = r.stopped_at.as_deref().filter(is_whole).map(|at| at.migration.as_str());
        let verb = match (class, migration, &header.kind) {
            (Some(FaultClass::AlreadyExists), Some(migration), _) if migration.starts_with("R__") => {
                migration.to_owned()
            }
            (Some(FaultClass::AlreadyExists), Some(migration), _) if is_up => match r.version {
                Some(_) => format!("stamp --to {} --reason TEXT", quoted(migration)),
                None => format!("baseline {}", quoted(migration)),
            },
            (Some(FaultClass::AlreadyExists), None, _) if is_up && r.stopped_at.is_some() => HALF.to_owned(),
            (Some(HasHistory), _, RunKind::Baseline(recorded)) => {
                format!("stamp --to {} --reason TEXT", quoted(&recorded.version))
            }
            _ => continue,
        };
        groups.entry((class.unwrap_or(FaultClass::Other), verb)).or_default().push(&r.tenant);
    }
    let line = |((class, verb), ids): (&(FaultClass, String), &Vec<&TenantId>)| match class {
        FaultClass::AlreadyExists if verb.starts_with("R__") => format!(
            "exists already: {verb} runs again whenever its text changes, so it has to begin with DROP ... IF EXISTS, or \
             CREATE OR REPLACE; correct it and run again\n"
        ),
        FaultClass::AlreadyExists if verb == HALF => format!(
            "exists already: the first statements of that step have stayed, so no version can be recorded: take away what is in \
             the way, and run again; or see {}\n",
            program.resolve_command(ids[0], "")
        ),
        HasHistory => format!("has a history: to set it right: {}\n", command(verb, ids)),
        _ => format!(
            "exists already: a tenant with the whole schema of that version, or of a later one, gets it recorded by:\n  {}\nonly \
             what nobody needs is dropped instead\n",
            command(verb, ids)
        ),
    };
    groups.iter().map(line).collect()
}

/// Stands for a tenant that is in the middle of a step.
const HALF: &str = "";

/// The line for tenants of which a version was to be recorded that their schema does not have: the same again does not help.
fn with_another_schema(
    header: &RunHeader,
    records: &[TenantRecord],
    command: &dyn Fn(&str, &[&TenantId]) -> String,
) -> String {
    let look = match &header.kind {
        RunKind::Baseline(_) => "baseline VERSION --dry-run",
        RunKind::Stamp(_) => "stamp --to VERSION --reason TEXT --dry-run",
        _ => return String::new(),
    };
    let of_it = records.iter().filter(|r| is_of_another_schema(header, r)).map(|r| &r.tenant);
    match of_it.collect::<Vec<_>>().as_slice() {
        [] => String::new(),
        ids => format!(
            "another schema: name the version that it has; to look, without recording it: {}\n",
            command(look, ids)
        ),
    }
}

fn is_of_another_schema(header: &RunHeader, record: &TenantRecord) -> bool {
    matches!(header.kind, RunKind::Baseline(_) | RunKind::Stamp(_))
        && class_of(record) == Some(FaultClass::SchemaDiffers)
}

/// The line for tenants that a restore has brought back to an older version than the newest.
fn with_older_version(program: &Program, header: &RunHeader, records: &[TenantRecord]) -> String {
    let newest = header.catalog.iter().rfind(|name| !name.starts_with("R__"));
    let is_older = |r: &&TenantRecord| matches!(r.outcome, Outcome::Restored { .. }) && r.version.as_ref() != newest;
    let older: Vec<&TenantRecord> = records.iter().filter(is_older).collect();
    let (Some(first), Some(newest)) = (older.first(), newest) else { return String::new() };
    let is_same = older.iter().all(|r| r.version == first.version);
    let at = if is_same { first.version.as_deref().unwrap_or("no version") } else { "older versions" };
    let (ids, verb) = (older.iter().map(|r| &r.tenant), if older.len() == 1 { "is" } else { "are" });
    format!(
        "restored: {} {verb} at {at} now, the newest is {newest}: {}\n",
        program.terminal.names(&ids.clone().cloned().collect()),
        first_of(program, "migrate", ids)
    )
}

/// Whether its step stopped where no run goes on by itself.
fn is_by_hand(record: &TenantRecord) -> bool {
    record.stopped_at.as_ref().is_some_and(|at| !at.lost.is_empty())
}

fn is_partially_applied(record: &TenantRecord) -> bool {
    class_of(record) == Some(FaultClass::PartiallyApplied)
}

fn class_of(record: &TenantRecord) -> Option<FaultClass> {
    record.error.as_ref().map(|error| error.class)
}

/// The arguments that resume a run in the same way.
fn resume(header: &RunHeader) -> String {
    let flags = origin::kept(&header.started_by.command, &["runs", "resume"]);
    with(format!("runs resume {}", header.run), &flags)
}

/// The arguments that resume a run in the same way, with the name of a person.
fn approve(header: &RunHeader) -> String {
    let flags = origin::kept(&header.started_by.command, &["runs", "approve"]);
    with(format!("runs approve {} --by NAME", header.run), &flags)
}

fn with(command: String, flags: &[String]) -> String {
    flags.iter().fold(command, |line, flag| format!("{line} {flag}"))
}

/// The line for tenants that are past the goal of a migration: it never takes them back.
fn past(program: &Program, header: &RunHeader, records: &[TenantRecord]) -> String {
    let Some(Goal { direction: Direction::Up, target: Target::Migration(to), .. }) = header.kind.goal() else {
        return String::new();
    };
    let place = |version: &String| header.catalog.iter().position(|name| name == version);
    let is_past = |r: &&TenantRecord| {
        r.outcome == Outcome::UpToDate && r.version.as_ref().and_then(place).is_some_and(|place| place > to)
    };
    match (records.iter().filter(is_past).count(), header.catalog.get(to)) {
        (0, _) | (_, None) => String::new(),
        (n, Some(goal)) => {
            let command = program.command(&format!("rollback --to {goal}"));
            format!(
                "{} past {goal}; the way back is {command}\n",
                if n == 1 { "1 tenant is".to_owned() } else { format!("{n} tenants are") }
            )
        }
    }
}

/// Whether the failures before this tenant's turn stopped the run.
fn is_stop(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::NotStarted { reason, .. } if reason.is_budget())
}

/// The arguments that retry the failures of a run in the same way.
pub(super) fn again(header: &RunHeader) -> String {
    let run = header.run;
    let words = |command: &str| command.split_whitespace().next().unwrap_or_default().to_owned();
    if let Some(command) = header.command() {
        let flags = origin::kept(&header.started_by.command, &[&words(command)]);
        return with(format!("{command} --failed-of {run}"), &flags);
    }
    let verb = if header.direction == Direction::Up { "migrate" } else { "rollback" };
    let order = if header.kind.goal().is_some_and(|goal| goal.out_of_order) { " --out-of-order" } else { "" };
    let mut flags = origin::kept(&header.started_by.command, &[verb]);
    flags.retain(|flag| !flag.starts_with("--on-failure"));
    let on_failure = match header.kind.restores_on_failure() {
        Some(true) => " --on-failure restore",
        // Without it, the tenant file may say something else by then.
        Some(false) if header.started_by.command.contains("--on-failure") => " --on-failure leave",
        _ => "",
    };
    let backup = header.kind.backups().map(|_| format!(" --backup{on_failure}")).unwrap_or_default();
    with(format!("{verb} --failed-of {run}{order}{backup}"), &flags)
}
