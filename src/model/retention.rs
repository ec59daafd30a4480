//! The runs that a ledger may forget.
//!
//! A pure decision. In doubt a run is kept: the next command that needs it can't know what it said.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use uuid::Uuid;

use super::run_kind::RunKind;
use super::run_summary::{RunStatus, RunSummary};
use super::tenant::TenantId;

/// A run, and everything that later commands may need it for.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) run: RunSummary,
    /// The tenants that it left, and no later run has settled.
    pub(crate) unsettled: BTreeSet<TenantId>,
    /// Number of tenants whose last known version it tells.
    pub(crate) last_of: usize,
    /// Whether its backups are on the disk.
    pub(crate) has_backups: bool,
}

/// The runs that are old enough to be forgotten.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Retention {
    /// The number of the newest runs that stay.
    pub(crate) keep: usize,
    /// Runs that were started then or later stay, in milliseconds since 1970-01-01 UTC.
    pub(crate) since_ms: Option<i64>,
}

/// The reason why a run stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pin {
    /// It is not old enough.
    Recent,
    Alive,
    Unsettled(BTreeSet<TenantId>),
    /// It is the last that tells the version of so many tenants.
    LastOf(usize),
    Backups,
    /// One that stays goes on with it, takes it back, or is taken back or resumed by it.
    Linked(Uuid),
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pin::Recent => f.write_str("it is not old enough"),
            Pin::Alive => f.write_str("it goes on"),
            Pin::Unsettled(tenants) => {
                let first = tenants.first().map(TenantId::as_str).unwrap_or_default();
                write!(f, "{} of its tenants are not settled by a later run, the first {first}", tenants.len())
            }
            Pin::LastOf(tenants) => write!(f, "it is the last that tells the version of {tenants} of its tenants"),
            Pin::Backups => f.write_str("its backups are on the disk"),
            Pin::Linked(run) => write!(f, "it belongs to run {run}, which stays"),
        }
    }
}

/// Why each run stays; `None`: it may be forgotten. `all` has every run of the ledger, the newest first.
pub(crate) fn decide(all: &[Candidate], rule: Retention) -> Vec<(Uuid, Option<Pin>)> {
    let own = |(age, of): (usize, &Candidate)| match of {
        _ if age < rule.keep || rule.since_ms.is_some_and(|since| of.run.started_at_ms >= since) => Some(Pin::Recent),
        _ if of.run.status() == RunStatus::Running => Some(Pin::Alive),
        _ if !of.unsettled.is_empty() => Some(Pin::Unsettled(of.unsettled.clone())),
        _ if of.last_of > 0 => Some(Pin::LastOf(of.last_of)),
        _ if of.has_backups => Some(Pin::Backups),
        _ => None,
    };
    let mut pins: Vec<Option<Pin>> = all.iter().enumerate().map(own).collect();
    let places: HashMap<Uuid, usize> = all.iter().enumerate().map(|(place, of)| (of.run.run, place)).collect();
    let mut linked: Vec<Vec<usize>> = vec![Vec::new(); all.len()];
    for (place, of) in all.iter().enumerate() {
        for other in links(&of.run).filter_map(|run| places.get(&run)) {
            linked[place].push(*other);
            linked[*other].push(place);
        }
    }
    // Everything that hangs together stays together.
    let mut open: Vec<usize> = (0..all.len()).filter(|place| pins[*place].is_some()).collect();
    while let Some(place) = open.pop() {
        for &other in &linked[place] {
            if pins[other].is_none() {
                pins[other] = Some(Pin::Linked(all[place].run.run));
                open.push(other);
            }
        }
    }
    all.iter().map(|of| of.run.run).zip(pins).collect()
}

/// The runs that a run names: the one that it resumes, takes back, or has its backups from.
fn links(run: &RunSummary) -> impl Iterator<Item = Uuid> {
    let backups = if let RunKind::Restore { run } = &run.kind { run.parse().ok() } else { None };
    [run.resumes, run.kind.undoes(), backups].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::{Goal, Target};
    use crate::model::schema::Direction;
    use crate::model::started_by::Liveness;

    fn run(n: u128) -> Candidate {
        let goal = Goal { direction: Direction::Up, target: Target::End, out_of_order: false };
        let run = RunSummary {
            run: Uuid::from_u128(n),
            direction: Direction::Up,
            goal: String::new(),
            kind: RunKind::migrate(goal),
            resumes: None,
            program: String::new(),
            started_at_ms: i64::try_from(n).unwrap(),
            finished_at_ms: Some(0),
            stats: None,
            selected: 1,
            counts: Default::default(),
            gone_on: false,
            taken_back: false,
            started_by: Default::default(),
            selection: Vec::new(),
            liveness: Liveness::Unknown,
            silent_ms: None,
        };
        Candidate { run, unsettled: BTreeSet::new(), last_of: 0, has_backups: false }
    }

    /// The runs that may be forgotten, by their numbers.
    fn forgotten(all: &[Candidate], keep: usize) -> Vec<u128> {
        let decided = decide(all, Retention { keep, since_ms: None });
        decided.into_iter().filter(|(_, pin)| pin.is_none()).map(|(run, _)| run.as_u128()).collect()
    }

    #[test]
    fn only_runs_that_nobody_needs_are_forgotten() {
        let mut all: Vec<Candidate> = (1..=9).rev().map(run).collect();
        let at = |n: usize| 9 - n;
        assert_eq!(forgotten(&all, 1), [8, 7, 6, 5, 4, 3, 2, 1]);
        all[at(2)].unsettled.insert(TenantId::from("acme"));
        all[at(4)].last_of = 3;
        all[at(6)].has_backups = true;
        (all[at(7)].run.finished_at_ms, all[at(7)].run.liveness) = (None, Liveness::Running);
        assert_eq!(forgotten(&all, 2), [5, 3, 1]);
        // Its process died, and everything of it was settled since.
        (all[at(5)].run.finished_at_ms, all[at(5)].run.liveness) = (None, Liveness::Dead);
        assert_eq!(forgotten(&all, 2), [5, 3, 1]);
        let recent = decide(&all, Retention { keep: 0, since_ms: Some(5) });
        assert!(recent.iter().all(|(run, pin)| (run.as_u128() >= 5) == (*pin == Some(Pin::Recent))));
    }

    #[test]
    fn runs_that_belong_together_stay_together() {
        let mut all: Vec<Candidate> = (1..=6).rev().map(run).collect();
        let at = |n: usize| 6 - n;
        all[at(2)].run.resumes = Some(Uuid::from_u128(1));
        all[at(4)].run.kind = all[at(4)].run.kind.clone().undoing(Some(Uuid::from_u128(1)));
        all[at(5)].run.kind = RunKind::Restore { run: Uuid::from_u128(3).to_string() };
        assert_eq!(forgotten(&all, 1), [5, 4, 3, 2, 1]);
        all[at(4)].last_of = 1;
        assert_eq!(forgotten(&all, 1), [5, 3]);
        all[at(3)].has_backups = true;
        assert_eq!(forgotten(&all, 1), [0_u128; 0]);
    }
}
