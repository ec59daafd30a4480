//! The way back of a rollout: for each tenant the version that it had before, by the records of the runs alone.
//!
//! A pure decision. A tenant whose version before is not certain, or that something else has moved since, is refused with
//! the reason: nothing is guessed.

use std::collections::{BTreeSet, HashMap};

use indexmap::IndexMap;
use uuid::Uuid;

use crate::model::event::Event;
use crate::model::observation::Observation;
use crate::model::outcome::{Outcome, Standing, TenantRecord};
use crate::model::plan::Target;
use crate::model::run_summary::{LeftAt, RunStatus, RunSummary};
use crate::model::schema::{Catalog, State};
use crate::model::stats::{RunStats, Verdict};
use crate::model::tenant::TenantId;

/// A run with those that it resumed and those that resumed it: one rollout.
#[derive(Debug, Clone)]
pub(crate) struct Rollout {
    /// Oldest first; never empty.
    pub(crate) runs: Vec<RunSummary>,
    /// Its tenants in the order in which it took them.
    pub(crate) trails: IndexMap<TenantId, Trail>,
    /// The failure budgets of its waves as they were recorded, by the names of the waves.
    pub(crate) budgets: HashMap<String, String>,
}

/// The runs that took a tenant, from the first of a rollout on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trail {
    /// Its wave in the rollout.
    pub(crate) wave: String,
    /// The version at which the last run before the rollout left it; read only where a run of the rollout has no outcome.
    pub(crate) before: Option<LeftAt>,
    /// Oldest first.
    pub(crate) stages: Vec<Stage>,
    /// The place of its database in the last run of the rollout; `None`: not recorded.
    pub(crate) database: Option<String>,
}

/// A run in the trail of a tenant.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) run: Uuid,
    /// Whether it is one of the rollout.
    pub(crate) is_own: bool,
    /// Whether it is a rollback of the rollout, begun before.
    pub(crate) takes_back: bool,
    /// `None`: its outcome was not recorded.
    pub(crate) record: Option<TenantRecord>,
}

impl Stage {
    /// Whether nobody knows how far the run came with the tenant.
    fn is_uncertain(&self) -> bool {
        self.record.as_ref().is_none_or(|record| matches!(record.outcome, Outcome::InDoubt(_)))
    }
}

/// The rollback of a run, or of a wave of it, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Undoing {
    /// The waves that are taken back by themselves, because they failed and their gates say so.
    pub(crate) due: Vec<String>,
    /// The runs that took back what this one had moved, oldest first.
    pub(crate) runs: Vec<TakenBack>,
}

/// A run that took back what another one had moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TakenBack {
    pub(crate) run: Uuid,
    pub(crate) stats: RunStats,
    pub(crate) status: RunStatus,
}

impl Undoing {
    /// By the events of a run, and the runs since that took back what it had moved.
    pub(crate) fn of(events: &[(i64, Event)], runs: Vec<TakenBack>) -> Self {
        let due = events.iter().filter_map(|(_, event)| match event {
            Event::RollbackDue { wave, .. } => Some(wave.clone()),
            _ => None,
        });
        Undoing { due: due.collect(), runs }
    }
}

impl TakenBack {
    /// Whether everything that it was to take back is back.
    pub(crate) fn is_whole(&self) -> bool {
        self.status == RunStatus::Finished && self.stats.verdict() == Verdict::AllAtTarget
    }
}

/// The way back of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WayBack {
    /// The rollout moved it by no migration.
    Untouched,
    /// Nothing of the rollout is applied any more.
    Done,
    /// Back to this target.
    To(Target),
    /// It must not be touched: the reason, which follows its id.
    Refused(String),
}

impl Trail {
    /// The outcomes that runs of the rollout have recorded of it.
    pub(crate) fn records(&self) -> impl Iterator<Item = &TenantRecord> {
        self.stages.iter().filter(|stage| stage.is_own).filter_map(|stage| stage.record.as_ref())
    }

    /// The version at which the rollout left it, as far as that was recorded; `Some(None)`: none.
    pub(crate) fn left_by_rollout(&self) -> Option<Option<String>> {
        self.left_at(|stage| stage.is_own)
    }

    fn left_at(&self, is_wanted: impl Fn(&Stage) -> bool) -> Option<Option<String>> {
        let mut records = self.stages.iter().filter(|stage| is_wanted(stage)).filter_map(|stage| stage.record.as_ref());
        records.rfind(|record| record.version_known).map(|record| record.version.clone())
    }

    /// Whether a run of the rollout has no outcome for it, or one that does not say how far it came.
    pub(crate) fn has_gap(&self) -> bool {
        self.stages.iter().any(|stage| stage.is_own && stage.is_uncertain())
    }

    /// Whether a run of the rollout moved it by a migration, failed on it, or has no outcome for it.
    pub(crate) fn may_have_moved(&self) -> bool {
        let is_moved = |r: &TenantRecord| !r.committed.is_empty() || r.outcome.standing() == Standing::Failed;
        self.stages.iter().any(|stage| stage.is_own && stage.record.as_ref().is_none_or(is_moved))
    }

    /// The run that moved it back, or may have, from where it counted as done for the waves behind its own: something of that is not
    /// applied any more. `reach`: the place of the rollout's goal, beyond which nothing counts. Without a look at it, or where it can't be
    /// read, the records decide.
    pub(crate) fn moved_back_by(
        &self,
        catalog: &Catalog,
        reach: Option<usize>,
        now: Option<&Observation>,
    ) -> Option<Uuid> {
        let (done, later) = self.since_done()?;
        let committed = self.records().flat_map(|record| &record.committed);
        let steps = committed.filter_map(|name| catalog.position(name));
        let mut steps = steps.filter(|&place| !catalog.is_repeatable(place));
        let least = done.version.as_ref().and_then(|name| catalog.position(name));
        let least = least.map(|place| reach.map_or(place, |reach| place.min(reach)));
        let is_there = |at: Option<usize>| at >= least;
        let stands = match now.filter(|now| now.state != State::Unreachable) {
            None => {
                let last = later.iter().rev().find_map(|stage| match &stage.record {
                    None => Some(None),
                    Some(record) => record.version_known.then_some(Some(&record.version)),
                });
                last.flatten().is_some_and(|at| is_there(at.as_ref().and_then(|name| catalog.position(name))))
            }
            Some(now) => {
                let applied = catalog.applied(&now.history);
                let highest = applied.iter().copied().filter(|&place| !catalog.is_repeatable(place)).max();
                is_there(highest) && steps.all(|place| applied.contains(&place))
            }
        };
        let is_back = |stage: &&&Stage| {
            use Outcome::{Migrated, UpToDate};
            stage.record.as_ref().is_none_or(|record| !matches!(record.outcome, Migrated(_) | UpToDate))
        };
        let by = || later.iter().rev().find(is_back).or(later.last()).map(|stage| stage.run);
        if stands { None } else { by() }
    }

    /// Whether another run has moved it, or may have, since it counted as done.
    pub(crate) fn may_be_moved_back(&self) -> bool {
        self.since_done().is_some()
    }

    /// The last record by which it counted as done for the waves behind its own, of the rollout if one of its runs has any, and the
    /// other runs since that moved it, or may have. `None`: there is no such run.
    fn since_done(&self) -> Option<(&TenantRecord, Vec<&Stage>)> {
        let is_done = |stage: &Stage| {
            let record = stage.record.as_ref();
            record.is_some_and(|record| matches!(record.outcome, Outcome::Migrated(_) | Outcome::UpToDate))
        };
        let own = self.stages.iter().rposition(|stage| stage.is_own && is_done(stage));
        let at = own.or_else(|| self.stages.iter().position(is_done))?;
        let may_move = |stage: &&Stage| !stage.is_own && stage.record.as_ref().is_none_or(moves);
        let later: Vec<&Stage> = self.stages[at + 1..].iter().filter(may_move).collect();
        let record = self.stages[at].record.as_ref()?;
        (!later.is_empty()).then_some((record, later))
    }

    /// Whether the rollout may have moved it, and no other run has since.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.may_have_moved() && self.moved_by().is_none()
    }

    /// Whether the rollout may have moved it, and no run has taken it back or moved it elsewhere since.
    pub(crate) fn is_not_back(&self) -> bool {
        let is_back = |stage: &Stage| stage.takes_back && stage.record.as_ref().is_some_and(moves);
        self.is_unsettled() && !self.stages.iter().any(is_back)
    }

    /// The way back of a tenant that was read just now.
    pub(crate) fn way_back(&self, catalog: &Catalog, now: &Observation) -> WayBack {
        let committed: Vec<&String> = self.records().flat_map(|record| &record.committed).collect();
        if !self.may_have_moved() {
            return WayBack::Untouched;
        }
        match unreadable(now) {
            // A tenant that is in the middle of a migration is one of the rollout, although it has none of it whole.
            Some(why) if !committed.is_empty() || self.has_gap() || is_half_way(now) => return WayBack::Refused(why),
            _ if committed.is_empty() && !self.has_gap() => return self.untouched(now),
            _ => {}
        }
        if let Some(name) = committed.iter().find(|name| catalog.position(name).is_none()) {
            return WayBack::Refused(format!("the run applied {name}, which this program does not have"));
        }
        let applied = catalog.applied(&now.history);
        let places: Vec<usize> = committed.iter().filter_map(|name| catalog.position(name)).collect();
        let steps: Vec<usize> = places.iter().copied().filter(|&place| !catalog.is_repeatable(place)).collect();
        if !steps.is_empty() && steps.iter().all(|place| !applied.contains(place)) {
            return WayBack::Done;
        }
        if let Some(run) = self.moved_by() {
            return WayBack::Refused(format!("run {run} has moved it since"));
        }
        let left = self.left_at(|stage| stage.is_own || stage.takes_back);
        if !committed.is_empty()
            && let Some(left) = left.filter(|left| !self.may_be_at(catalog, left.as_ref(), now))
        {
            let (left, now) = (named(left.as_ref()), named(now.version.as_ref()));
            return WayBack::Refused(format!("it is at {now}, where no run has brought it: the run left it at {left}"));
        }
        let (still, gone): (Vec<usize>, Vec<usize>) = steps.into_iter().partition(|place| applied.contains(place));
        let may_be_gone = |place: &usize| {
            self.may_have_taken_back(&catalog.migrations[*place]) && still.iter().all(|below| below < place)
        };
        if let Some(place) = gone.iter().find(|place| !may_be_gone(place)) {
            let name = &catalog.migrations[*place];
            return WayBack::Refused(format!("{name}, which the run applied, is not applied any more"));
        }
        self.target(catalog, (&still, &places), now)
    }

    /// A tenant that the rollout failed on without a migration that is recorded: it is where it was left, or something is wrong.
    fn untouched(&self, now: &Observation) -> WayBack {
        let is_others = |stage: &Stage| !stage.is_own && stage.record.as_ref().is_some_and(moves);
        match self.left_by_rollout() {
            Some(left) if !self.stages.iter().any(is_others) && left != now.version => {
                let (left, now) = (named(left.as_ref()), named(now.version.as_ref()));
                WayBack::Refused(format!("it is at {now}, where no run has brought it: the run left it at {left}"))
            }
            _ => WayBack::Untouched,
        }
    }

    /// Whether it can be where it is now, by the last version that is recorded: there, or further down where a rollback of the
    /// rollout has not recorded how far it came.
    fn may_be_at(&self, catalog: &Catalog, left: Option<&String>, now: &Observation) -> bool {
        let place = |version: Option<&String>| version.map(|name| catalog.position(name));
        left == now.version.as_ref() || self.is_half_taken_back() && place(now.version.as_ref()) < place(left)
    }

    /// Whether a rollback of the rollout has not recorded how far it came.
    fn is_half_taken_back(&self) -> bool {
        self.stages.iter().any(|stage| stage.takes_back && stage.is_uncertain())
    }

    fn may_have_taken_back(&self, name: &str) -> bool {
        let records = self.stages.iter().filter(|stage| stage.takes_back).filter_map(|stage| stage.record.as_ref());
        self.is_half_taken_back() || records.flat_map(|record| &record.committed).any(|committed| committed == name)
    }

    /// The target of a tenant that is where the rollout left it.
    fn target(&self, catalog: &Catalog, (steps, places): (&[usize], &[usize]), now: &Observation) -> WayBack {
        let applied = catalog.applied(&now.history);
        let before = |place: &usize| applied.contains(place) && !places.contains(place);
        let all = 0..catalog.migrations.len();
        let stays = all.clone().rev().find(|place| before(place) && !catalog.is_repeatable(*place));
        if let (Some(stays), Some(lowest)) = (stays, steps.iter().min())
            && stays > *lowest
        {
            let (above, name) = (&catalog.migrations[stays], &catalog.migrations[*lowest]);
            return WayBack::Refused(format!("it had {above} before, which comes after {name} and would go with it"));
        }
        let version = stays.map(|place| catalog.migrations[place].to_string());
        if self.has_gap() && version.is_some() {
            let known = self.before.as_ref();
            // The id may have been given to another database since.
            let elsewhere = known.and_then(|known| known.database.as_ref().filter(|then| self.is_elsewhere(then)));
            if elsewhere.is_some() || known.is_none_or(|known| Some(&known.version) != version.as_ref()) {
                let at = elsewhere.map(|then| format!(", when its database was {then}")).unwrap_or_default();
                let known = known.map(|left| format!("run {} left it at {}{at}", left.run, left.version));
                let known = known.unwrap_or_else(|| "no run before has recorded one".to_owned());
                return WayBack::Refused(format!(
                    "a run ended without a certain outcome for it, so that its version before is not certain: {known}"
                ));
            }
        }
        if steps.is_empty() {
            return match places.is_empty() {
                true => WayBack::Untouched,
                false => {
                    WayBack::Refused("only repeatable scripts ran on it, and their former texts are not kept".into())
                }
            };
        }
        match stays {
            Some(stays) => WayBack::To(Target::Migration(stays)),
            // The way back to nothing takes every repeatable script along.
            None if all.clone().any(|place| before(&place)) => WayBack::Refused(
                "it had repeatable scripts before its first version, which would go with it".to_owned(),
            ),
            None => WayBack::To(Target::End),
        }
    }

    /// Whether this was another database than the one that the rollout moved.
    fn is_elsewhere(&self, then: &String) -> bool {
        self.database.as_ref().is_some_and(|now| now != then)
    }

    /// The last run that moved it after a rollback of these runs had begun, other than they.
    pub(crate) fn moved_behind(&self, rollback: &BTreeSet<Uuid>) -> Option<Uuid> {
        let is_its = |stage: &Stage| rollback.contains(&stage.run);
        self.moved_after(is_its, is_its)
    }

    /// The last run that moved it after the rollout had, other than rollbacks of it.
    fn moved_by(&self) -> Option<Uuid> {
        let is_begun = |stage: &Stage| stage.is_own && stage.record.as_ref().is_none_or(|r| !r.committed.is_empty());
        self.moved_after(is_begun, |stage| stage.is_own || stage.takes_back)
    }

    fn moved_after(&self, is_begun: impl Fn(&Stage) -> bool, is_its: impl Fn(&Stage) -> bool) -> Option<Uuid> {
        let others = self.stages.iter().skip_while(|stage| !is_begun(stage)).filter(|stage| !is_its(stage));
        others.filter(|stage| stage.record.as_ref().is_some_and(moves)).map(|stage| stage.run).last()
    }
}

/// Whether a run moved the tenant of this record.
fn moves(record: &TenantRecord) -> bool {
    use Outcome::{Migrated, Restored, RolledBack, Stamped};
    let is_moved = matches!(record.outcome, Migrated(_) | RolledBack(_) | Restored { .. } | Stamped(_));
    is_moved || !record.committed.is_empty()
}

fn is_half_way(now: &Observation) -> bool {
    matches!(now.state, State::InDoubt(_) | State::Stopped(_))
}

/// The reason why the state of a tenant tells nothing about its versions.
fn unreadable(now: &Observation) -> Option<String> {
    Some(match &now.state {
        State::Unreachable => {
            let why = now.error.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("it can't be read: {why}")
        }
        _ if now.is_lost() => "nothing is applied on it: its database is gone, or is another one".to_owned(),
        State::Migrating => "another run is working on it".to_owned(),
        State::InDoubt(at) => format!("in doubt: {} was begun and not finished; see `runs resolve`", at.migration),
        State::Stopped(at) => format!("partially applied: {}; or see `runs resolve`", at.in_words()),
        State::Ahead { unknown } => format!("it has {}, which this program does not know", unknown.join(", ")),
        State::Edited { scripts } => format!("{} was edited since; see `scripts repair`", scripts.join(", ")),
        State::Empty | State::Behind { .. } | State::AtTarget | State::Gap { .. } => return None,
    })
}

fn named(version: Option<&String>) -> &str {
    version.map_or("no version", |version| version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fault::FaultClass;
    use crate::model::outcome::{InDoubt, Moved};
    use crate::model::tenant::Engine;

    const ALL: [&str; 4] = ["m1", "m2", "m3", "m4"];

    fn record(outcome: Outcome, version: Option<&str>, committed: &[&str]) -> TenantRecord {
        TenantRecord {
            index: 0,
            tenant: TenantId::from("acme"),
            engine: Engine::Sqlite,
            server: String::new(),
            wave: "rest".into(),
            outcome,
            version: version.map(str::to_owned),
            version_known: true,
            committed: committed.iter().map(|name| (*name).to_owned()).collect(),
            attempts: 1,
            duration: Default::default(),
            notes: Vec::new(),
            brought_back: false,
            stopped_at: None,
            error: None,
            timings: None,
            runner: None,
        }
    }

    fn migrated(from: Option<&str>, to: &str, committed: &[&str]) -> TenantRecord {
        let moved = Moved { from: from.map(str::to_owned), to: Some(to.to_owned()), n: committed.len() };
        record(Outcome::Migrated(moved), Some(to), committed)
    }

    fn stage(run: u128, is_own: bool, record: Option<TenantRecord>) -> Stage {
        Stage { run: Uuid::from_u128(run), is_own, takes_back: false, record }
    }

    fn rollback(run: u128, record: Option<TenantRecord>) -> Stage {
        Stage { takes_back: true, ..stage(run, false, record) }
    }

    fn trail(stages: Vec<Stage>) -> Trail {
        Trail { stages, ..Trail::default() }
    }

    /// A tenant with this history.
    fn seen(history: &[&str]) -> Observation {
        let catalog = Catalog::new(ALL, "h");
        let history: Vec<String> = history.iter().map(|name| (*name).to_owned()).collect();
        Observation {
            tenant: TenantId::from("acme"),
            engine: Engine::Sqlite,
            flavour: None,
            server: String::new(),
            version: catalog.version_of(&history),
            state: catalog.state(&history, Engine::Sqlite),
            history: history.into(),
            tables: 0,
            error: None,
            hold: Default::default(),
            source: None,
        }
    }

    fn way(trail: &Trail, history: &[&str]) -> WayBack {
        trail.way_back(&Catalog::new(ALL, "h"), &seen(history))
    }

    #[track_caller]
    fn refused(way: WayBack, words: &str) {
        let WayBack::Refused(why) = way else { panic!("{way:?}") };
        assert!(why.contains(words), "{why}");
    }

    #[test]
    fn back_to_the_version_before_and_no_further() {
        let own = |record| trail(vec![stage(1, true, Some(record))]);
        let moved = own(migrated(Some("m2"), "m4", &["m3", "m4"]));
        assert_eq!(way(&moved, &ALL), WayBack::To(Target::Migration(1)));
        assert_eq!(way(&moved, &["m1", "m2"]), WayBack::Done);
        assert_eq!(way(&own(migrated(None, "m4", &ALL)), &ALL), WayBack::To(Target::End));
        assert_eq!(way(&own(record(Outcome::UpToDate, Some("m4"), &[])), &ALL), WayBack::Untouched);
        // A failed tenant keeps what was committed before.
        let failed = own(record(Outcome::Failed { class: FaultClass::Other }, Some("m3"), &["m3"]));
        assert_eq!(way(&failed, &ALL[..3]), WayBack::To(Target::Migration(1)));
        let nothing = own(record(Outcome::Failed { class: FaultClass::Other }, Some("m2"), &[]));
        assert_eq!(way(&nothing, &ALL[..2]), WayBack::Untouched);
        refused(way(&nothing, &ALL[..3]), "it is at m3, where no run has brought it");
        let by_others = stage(2, false, Some(migrated(Some("m2"), "m3", &["m3"])));
        let failed = || stage(1, true, Some(record(Outcome::Failed { class: FaultClass::Other }, Some("m2"), &[])));
        assert_eq!(way(&trail(vec![failed(), by_others]), &ALL[..3]), WayBack::Untouched);
    }

    #[test]
    fn runs_that_resume_each_other_are_one_rollout() {
        let interrupted = record(Outcome::Interrupted, Some("m3"), &["m3"]);
        let all = vec![stage(1, true, Some(interrupted)), stage(2, true, Some(migrated(Some("m3"), "m4", &["m4"])))];
        assert_eq!(way(&trail(all), &ALL), WayBack::To(Target::Migration(1)));
    }

    #[test]
    fn a_tenant_that_moved_since_is_refused_whoever_moved_it() {
        let own = || stage(1, true, Some(migrated(Some("m1"), "m3", &["m2", "m3"])));
        refused(way(&trail(vec![own()]), &ALL), "no run has brought it");
        refused(way(&trail(vec![own()]), &["m1", "m2"]), "no run has brought it");
        refused(way(&trail(vec![own()]), &["m1", "m3"]), "m2, which the run applied, is not applied any more");
        let later = |record| trail(vec![own(), stage(2, false, Some(record))]);
        refused(way(&later(migrated(Some("m3"), "m4", &["m4"])), &ALL), &format!("run {}", Uuid::from_u128(2)));
        refused(way(&later(record(Outcome::Restored { bytes: 1 }, Some("m3"), &[])), &ALL[..3]), "has moved it since");
        let seeded = later(record(Outcome::Seeded { n: 1 }, Some("m3"), &[]));
        assert_eq!(way(&seeded, &ALL[..3]), WayBack::To(Target::Migration(0)));
        let before = vec![stage(2, false, Some(migrated(None, "m1", &["m1"]))), own()];
        assert_eq!(way(&trail(before), &ALL[..3]), WayBack::To(Target::Migration(0)));
    }

    /// A canary by which later waves are let on has to stand as it stood then.
    #[test]
    fn a_tenant_that_counted_as_done_and_was_moved_back_is_told_with_the_run_that_did() {
        let catalog = Catalog::new(ALL, "h");
        let back = |stages: Vec<Stage>, reach: Option<usize>, applied: &[&str]| {
            trail(stages).moved_back_by(&catalog, reach, Some(&seen(applied))).map(|run| run.as_u128())
        };
        let own = || stage(1, true, Some(migrated(Some("m1"), "m3", &["m2", "m3"])));
        let down = |run, to: &str| {
            let moved = Moved { from: Some("m3".into()), to: Some(to.to_owned()), n: 1 };
            stage(run, false, Some(record(Outcome::RolledBack(moved), Some(to), &["m3"])))
        };
        let up = |run, to: &str| stage(run, false, Some(migrated(Some("m2"), to, &[to])));
        assert_eq!(back(vec![own()], None, &ALL[..3]), None);
        assert_eq!(back(vec![own(), down(2, "m2")], None, &ALL[..2]), Some(2));
        assert_eq!(back(vec![own(), down(2, "m2"), up(3, "m3")], None, &ALL[..3]), None, "it is there again");
        // A restore of an older backup, and a version that was only recorded.
        let restored = |to: &str| stage(2, false, Some(record(Outcome::Restored { bytes: 1 }, Some(to), &[])));
        assert_eq!(back(vec![own(), restored("m1")], None, &ALL[..1]), Some(2));
        assert_eq!(back(vec![own(), restored("m3")], None, &ALL[..3]), None);
        let stamped = record(Outcome::Stamped(Moved { from: None, to: None, n: 0 }), Some("m1"), &[]);
        assert_eq!(back(vec![own(), stage(2, false, Some(stamped))], None, &ALL[..1]), Some(2));
        // A later run moved it further, and it came back no further than to the goal.
        assert_eq!(back(vec![own(), up(2, "m4")], Some(2), &ALL), None);
        assert_eq!(back(vec![own(), up(2, "m4"), down(3, "m3")], Some(2), &ALL[..3]), None);
        assert_eq!(back(vec![own(), up(2, "m4"), down(3, "m2")], Some(2), &ALL[..2]), Some(3));
        // A rollback died: the tenant itself says how far that came.
        assert_eq!(back(vec![own(), stage(2, false, None)], None, &ALL[..3]), None);
        assert_eq!(back(vec![own(), stage(2, false, None)], None, &ALL[..1]), Some(2));
        // One that can't be read is where the last record has it.
        let unread = |stages: Vec<Stage>| {
            let now = Observation { state: State::Unreachable, ..seen(&[]) };
            trail(stages).moved_back_by(&catalog, None, Some(&now)).map(|run| run.as_u128())
        };
        assert_eq!(unread(vec![own(), down(2, "m2")]), Some(2));
        assert_eq!(unread(vec![own(), down(2, "m2"), up(3, "m3")]), None);
        assert_eq!(unread(vec![own(), stage(2, false, None)]), Some(2));
        // It failed in the rollout, another run mended it, and it went back then; nobody built on one that still failed.
        let failed = || stage(1, true, Some(record(Outcome::Failed { class: FaultClass::Other }, Some("m2"), &[])));
        assert_eq!(back(vec![failed(), up(2, "m3"), down(3, "m2")], None, &ALL[..2]), Some(3));
        assert_eq!(back(vec![failed(), down(3, "m1")], None, &ALL[..1]), None);
        // It was found at the goal, and has moved then.
        let found = stage(1, true, Some(record(Outcome::UpToDate, Some("m3"), &[])));
        assert_eq!(back(vec![found, down(2, "m2")], None, &ALL[..2]), Some(2));
    }

    #[test]
    fn a_rollback_that_stopped_half_way_is_gone_on_with_where_it_stopped() {
        let own = || stage(1, true, Some(migrated(Some("m1"), "m4", &["m2", "m3", "m4"])));
        let with = |record| trail(vec![own(), rollback(2, record)]);
        let goes_on = WayBack::To(Target::Migration(0));
        // It died, and nobody knows how far it came.
        assert_eq!(way(&with(None), &ALL), goes_on);
        assert_eq!(way(&with(None), &ALL[..3]), goes_on);
        assert_eq!(way(&with(None), &ALL[..1]), WayBack::Done);
        refused(way(&with(None), &["m1", "m2", "m4"]), "m3, which the run applied, is not applied any more");
        // It did not get to it, so that somebody else has moved it.
        let unreached = || Some(TenantRecord { version_known: false, ..record(Outcome::Interrupted, None, &[]) });
        assert_eq!(way(&with(unreached()), &ALL), goes_on);
        refused(way(&with(unreached()), &ALL[..3]), "no run has brought it");
        // It failed, and left it there.
        let failed = || Some(record(Outcome::Failed { class: FaultClass::Other }, Some("m3"), &["m4"]));
        assert_eq!(way(&with(failed()), &ALL[..3]), goes_on);
        refused(way(&with(failed()), &ALL[..2]), "no run has brought it");
        refused(way(&with(failed()), &ALL), "no run has brought it");
        // Somebody moved it between.
        let again = || stage(3, false, Some(migrated(Some("m3"), "m4", &["m4"])));
        refused(way(&trail(vec![own(), rollback(2, failed()), again()]), &ALL), "has moved it since");
        // It was above where the rollout left it.
        let lower = stage(1, true, Some(migrated(Some("m1"), "m3", &["m2", "m3"])));
        refused(way(&trail(vec![lower, rollback(2, None)]), &ALL), "no run has brought it");
    }

    #[test]
    fn a_migration_that_filled_a_gap_does_not_take_others_along() {
        let own = trail(vec![stage(1, true, Some(migrated(Some("m3"), "m3", &["m2"])))]);
        refused(way(&own, &ALL[..3]), "it had m3 before");
    }

    #[test]
    fn a_run_that_died_leaves_no_version_before_but_one_that_the_ledger_knows() {
        let died = |then: Option<TenantRecord>| {
            let mut stages = vec![stage(1, true, None)];
            stages.extend(then.map(|record| stage(2, true, Some(record))));
            trail(stages)
        };
        let knows = |trail: Trail, version: &str| {
            let before = Some(LeftAt { run: Uuid::from_u128(9), version: version.to_owned(), database: None });
            Trail { before, ..trail }
        };
        let moved = || migrated(Some("m3"), "m4", &["m4"]);
        refused(way(&died(Some(moved())), &ALL), "not certain: no run before has recorded one");
        refused(way(&knows(died(Some(moved())), "m2"), &ALL), "left it at m2");
        assert_eq!(way(&knows(died(Some(moved())), "m3"), &ALL), WayBack::To(Target::Migration(2)));
        assert_eq!(way(&died(Some(migrated(None, "m4", &ALL))), &ALL), WayBack::To(Target::End));
        let found = || record(Outcome::UpToDate, Some("m4"), &[]);
        refused(way(&knows(died(Some(found())), "m3"), &ALL), "not certain");
        assert_eq!(way(&knows(died(Some(found())), "m4"), &ALL), WayBack::Untouched);
        assert_eq!(way(&died(None), &[]), WayBack::Untouched);
        refused(way(&died(None), &ALL[..2]), "not certain");
        // Nobody knows how far a tenant in doubt came, whatever has been found out since.
        let in_doubt =
            || TenantRecord { version_known: false, ..record(Outcome::InDoubt(InDoubt::Unanswered), None, &[]) };
        let doubted = |then: Option<TenantRecord>| {
            let mut stages = vec![stage(1, true, Some(in_doubt()))];
            stages.extend(then.map(|record| stage(2, true, Some(record))));
            trail(stages)
        };
        refused(way(&knows(doubted(None), "m1"), &ALL[..2]), "run 00000000-0000-0000-0000-000000000009 left it at m1");
        refused(way(&knows(doubted(Some(found())), "m3"), &ALL), "not certain");
        assert_eq!(way(&knows(doubted(None), "m2"), &ALL[..2]), WayBack::Untouched);
    }
}
