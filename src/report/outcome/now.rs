//! The state of a tenant after a run, in words that its record supports.
//!
//! The part of a migration that has stayed is in the record; one of an older program does not have it, and then it is said
//! only with the script at hand.

use crate::model::fault::LEFT_INVALID;
use crate::model::outcome::{Blocker, InDoubt, LockQueue, Moved, Outcome, TenantRecord};
use crate::model::schema::{Direction, Execution, Script, session_is_gone};
use crate::report::style::{Style, clean};
use crate::report::{label, summary};

/// Maximum number of migrations named in a line.
const MOST_NAMED: usize = 3;

/// The version in a cell.
pub(in crate::report) fn version_text(r: &TenantRecord) -> String {
    match &r.version {
        Some(version) => version.clone(),
        None if r.version_known => "nothing applied".to_owned(),
        None => "not known".to_owned(),
    }
}

/// The version before the run, `Some(None)` where nothing was applied; `None`: the record does not say.
pub(in crate::report) fn version_before(r: &TenantRecord) -> Option<Option<&str>> {
    match &r.outcome {
        Outcome::Migrated(moved) | Outcome::RolledBack(moved) | Outcome::Stamped(moved) => Some(moved.from.as_deref()),
        Outcome::Restored { .. } => None,
        _ => (r.version_known && r.committed.is_empty()).then_some(r.version.as_deref()),
    }
}

/// `empty -> inventory (3)`.
pub(in crate::report) fn moved_text(moved: &Moved, style: &Style) -> String {
    let (from, to) = (moved.from.as_deref(), moved.to.as_deref());
    let short = [from, to].map(label::version);
    // Two migrations with one short name are told apart by their whole names.
    let [from, to] = match short[0] == short[1] && from != to {
        true => [from, to].map(|version| clean(version.unwrap_or("empty"))),
        false => short,
    };
    format!("{from} {} {to} ({})", style.arrow(), moved.n)
}

/// As [`moved_text`]; where the version is the one before, with what ran: repeatable scripts, or one that was left out.
pub(in crate::report) fn done_text(moved: &Moved, committed: &[String], style: &Style) -> String {
    if moved.from != moved.to || committed.is_empty() {
        return moved_text(moved, style);
    }
    format!("{}; it got {}", label::version(moved.to.as_deref()), label::first(committed, MOST_NAMED))
}

/// A doubt in words, as far as it is known.
pub(super) fn doubt_text(doubt: &InDoubt) -> String {
    match doubt {
        InDoubt::Journal(unfinished) => summary::unfinished_text(unfinished),
        InDoubt::Unanswered => "the connection was lost during a commit or a statement that can't be rolled back, and \
            what came of it could not be found out"
            .to_owned(),
    }
}

/// The reason that the outcome itself gives, apart from an error.
pub(super) fn reason(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Ahead { unknown } => {
            Some(format!("its history has what this program does not know: {}", unknown.join(", ")))
        }
        Outcome::InDoubt(doubt) => Some(doubt_text(doubt)),
        Outcome::LockTimeout { blocker, queue } => lock_text(blocker.as_deref(), queue),
        Outcome::Skipped { reason } => Some(reason.clone()),
        Outcome::NotStarted { reason, waited_for } => Some(super::text::why_not_started(*reason, waited_for.as_ref())),
        _ => None,
    }
}

/// The sessions at a lock that was not granted.
fn lock_text(blocker: Option<&Blocker>, queue: &LockQueue) -> Option<String> {
    let list = |all: &[Blocker]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let mut parts: Vec<String> = blocker.map(|holder| format!("lock held by {holder}")).into_iter().collect();
    for (what, who) in [("and by", &queue.others), ("behind us waited", &queue.waiting)] {
        if !who.is_empty() {
            parts.push(format!("{what} {}", list(who)));
        }
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The state in which the run left the tenant, after its version.
pub(super) fn left_behind(r: &TenantRecord, direction: Direction, scripts: &[Script]) -> String {
    let mut parts = Vec::new();
    // On its way down a migration loses its row first, and is not back for all that.
    let in_doubt = match &r.outcome {
        Outcome::InDoubt(InDoubt::Journal(unfinished)) => Some(&unfinished.migration),
        _ => None,
    };
    let committed: Vec<&str> = r.committed.iter().filter(|name| Some(*name) != in_doubt).map(String::as_str).collect();
    if !committed.is_empty() {
        let done = if direction == Direction::Up { "applied" } else { "took back" };
        parts.push(format!("this run {done} {}", committed.join(", ")));
    }
    if r.brought_back {
        parts.push("as it was before this run, from its backup; nothing of the run has stayed".to_owned());
        return parts.join("; ");
    }
    match &r.outcome {
        Outcome::Ahead { .. } | Outcome::Unreachable { .. } if r.committed.is_empty() => {
            parts.push("nothing was touched".to_owned())
        }
        Outcome::InDoubt(doubt) => parts.push(doubt_text(doubt)),
        Outcome::Interrupted => {
            parts.push("cancelled while it was in flight".to_owned());
            parts.extend(failed_migration(r, direction, scripts));
        }
        Outcome::Failed { .. } | Outcome::LockTimeout { .. } => parts.extend(failed_migration(r, direction, scripts)),
        _ => {}
    }
    parts.join("; ")
}

fn failed_migration(r: &TenantRecord, direction: Direction, scripts: &[Script]) -> Option<String> {
    let at = r.stopped_at.as_deref()?;
    let name = &at.migration;
    // The error of an operator's SQL has the state.
    if name == "exec" {
        return None;
    }
    match at.stayed {
        Some(0) if r.error.as_ref().is_some_and(|fault| fault.message.contains(LEFT_INVALID)) => {
            return Some(format!("nothing of {name} has stayed, but for an index that is invalid"));
        }
        Some(0) if r.engine.capabilities().transactional_ddl => {
            let with = match at.with.is_empty() {
                true => String::new(),
                false => format!(", and with it what shared its transaction: {}", at.with.join(", ")),
            };
            return Some(format!("{name} was rolled back whole{with}"));
        }
        Some(0) => return Some(format!("nothing of {name} has stayed")),
        Some(n) => {
            let (what, have) =
                if n == 1 { ("statement 1".to_owned(), "has") } else { (format!("statements 1 to {n}"), "have") };
            let lost = match at.lost.is_empty() {
                true => String::new(),
                false => format!("; {}", session_is_gone(&at.lost)),
            };
            return Some(format!("{what} of {name} {have} stayed, and nothing behind{lost}"));
        }
        None => {}
    }
    let script = scripts.iter().find(|s| *s.migration == **name && s.direction == direction && s.engine == r.engine);
    let Some(script) = script.filter(|s| !matches!(s.execution, Execution::Irreversible { .. })) else {
        return Some(format!("{name} was not completed"));
    };
    if script.is_atomic() {
        return Some(format!("{name} was rolled back whole"));
    }
    Some(match at.statement {
        Some(1) => format!("{name} is not atomic; it stopped at its first statement"),
        Some(2) => format!("{name} is not atomic: its first statement may have stayed"),
        Some(n) if n > 2 => format!("{name} is not atomic: its statements 1 to {} may have stayed", n - 1),
        _ => format!("{name} is not atomic: a part of it may have stayed"),
    })
}
