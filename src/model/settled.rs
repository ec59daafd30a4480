//! Whether a later run has settled what an earlier one left of a tenant.
//!
//! A pure decision. Backups are kept, and tenants are taken again by `runs resume`, as long as it says no: in doubt it does.

use crate::model::outcome::Outcome;
use crate::model::plan::Target;
use crate::model::run_kind::RunKind;
use crate::model::schema::Direction::{self, Down, Up};

/// The work of a run on one tenant, and how far it was to go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Aim<'a> {
    pub(crate) kind: &'a RunKind,
    /// The run's catalog, in order. Another run may have had another one: migrations are compared by name.
    pub(crate) catalog: &'a [String],
    /// The tenant's own target, where the run settled one.
    pub(crate) target: Option<Target>,
}

impl<'a> Aim<'a> {
    fn direction(&self) -> Option<Direction> {
        self.kind.goal().map(|goal| goal.direction)
    }

    /// The migrations that are applied at its target; `None`: a number of steps that was not settled for this tenant, or
    /// nothing that moves versions.
    fn applied(&self) -> Option<&'a [String]> {
        let goal = self.kind.goal()?;
        match (self.target.unwrap_or(goal.target), goal.direction) {
            (Target::Migration(last), _) => self.catalog.get(..=last),
            (Target::End, Up) => Some(self.catalog),
            (Target::End, Down) => Some(&[]),
            (Target::Steps(_), _) => None,
        }
    }

    /// Whether a tenant at this target is, in the direction of both, at least where `left` was to bring it.
    fn reaches(&self, left: &Aim<'_>) -> bool {
        let within = |some: &[String], all: &[String]| some.iter().all(|name| all.contains(name));
        match (left.applied(), self.applied(), left.direction()) {
            (Some(wanted), Some(applied), Some(Up)) => within(wanted, applied),
            (Some(wanted), Some(applied), Some(Down)) => within(applied, wanted),
            // Unsettled steps taken by another run with the same number of them were taken: not twice.
            (None, _, _) => self.kind.goal() == left.kind.goal() || self.is_whole_way(left),
            _ => false,
        }
    }

    fn is_whole_way(&self, left: &Aim<'_>) -> bool {
        match (self.applied(), left.direction()) {
            (Some(applied), Some(Up)) => left.catalog.iter().all(|name| applied.contains(name)),
            (Some(applied), Some(Down)) => applied.is_empty(),
            _ => false,
        }
    }
}

/// Whether a tenant that a run left, failed or not got to, is settled by this outcome of a later run.
pub(crate) fn settles(left: &Aim<'_>, later: &Aim<'_>, outcome: &Outcome) -> bool {
    use Outcome::{Accepted, BackedUp, Migrated, Refreshed, Restored, RolledBack, Seeded, Stamped, UpToDate};
    let is_up = later.direction() == Some(Up) && matches!(outcome, Migrated(_) | UpToDate);
    let is_down = later.direction() == Some(Down) && matches!(outcome, RolledBack(_) | UpToDate);
    match (left.kind, later.kind) {
        (RunKind::Migrate { .. }, RunKind::Restore { .. }) => matches!(outcome, Restored { .. }),
        (RunKind::Migrate { goal, .. }, _) if goal.direction == Up => {
            // A rollback that found nothing to take back leaves a failed way up as it was.
            (is_up && later.reaches(left)) || (is_down && matches!(outcome, RolledBack(_)))
        }
        (RunKind::Migrate { .. }, _) => is_up || (is_down && later.reaches(left)),
        // A tenant that was found up to date has still not the content that somebody wanted back.
        (RunKind::Restore { run }, RunKind::Restore { run: other }) => {
            run == other && matches!(outcome, Restored { .. })
        }
        // The content to be backed up is gone once the tenant was changed.
        (RunKind::Backup { .. }, _) => {
            matches!(outcome, BackedUp { .. } | Migrated(_) | RolledBack(_) | Restored { .. })
        }
        (RunKind::Seed { .. }, _) => left.kind == later.kind && matches!(outcome, Seeded { .. }),
        (RunKind::Refresh { views }, RunKind::Refresh { views: later }) => {
            matches!(outcome, Refreshed { .. }) && views.iter().all(|view| later.contains(view))
        }
        (RunKind::Repair { scripts }, RunKind::Repair { scripts: later })
        | (RunKind::Forget { scripts }, RunKind::Forget { scripts: later }) => {
            matches!(outcome, Accepted { .. } | UpToDate) && scripts.iter().all(|script| later.contains(script))
        }
        (RunKind::Baseline(wanted) | RunKind::Stamp(wanted), RunKind::Baseline(later) | RunKind::Stamp(later)) => {
            matches!(outcome, Stamped(_) | UpToDate) && wanted.version == later.version
        }
        (RunKind::Exec { sha256 }, RunKind::Exec { sha256: later }) => {
            matches!(outcome, Outcome::Committed { .. }) && sha256 == later
        }
        // A tenant with an edited script is refused.
        (RunKind::Repair { scripts }, _) => is_up && scripts.iter().all(|script| later.catalog.contains(script)),
        _ => false,
    }
}

/// Whether a later run has given a tenant, which a restore was to bring back, other content: bringing it back after all
/// would destroy that.
pub(crate) fn replaces(left: &Aim<'_>, outcome: &Outcome) -> bool {
    matches!(left.kind, RunKind::Restore { .. }) && matches!(outcome, Outcome::Restored { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::{Moved, NotStarted};
    use crate::model::plan::Goal;
    use crate::model::run_kind::RecordedVersion;

    fn migrate(direction: Direction, target: Target) -> RunKind {
        RunKind::migrate(Goal { direction, target, out_of_order: false })
    }

    fn catalog(names: &str) -> Vec<String> {
        names.split(' ').map(str::to_owned).collect()
    }

    fn moved() -> Moved {
        Moved { from: None, to: None, n: 1 }
    }

    /// Whether `later` settles `left`, both with this catalog.
    fn in_one_catalog(left: &RunKind, later: &RunKind, outcome: &Outcome) -> bool {
        let names = catalog("m1 m2 m3");
        let aim = |kind| Aim { kind, catalog: &names, target: None };
        settles(&aim(left), &aim(later), outcome)
    }

    #[test]
    fn a_failed_way_up_is_settled_by_what_reaches_its_target_and_by_a_real_way_back() {
        let end = migrate(Up, Target::End);
        let second = migrate(Up, Target::Migration(1));
        for outcome in [Outcome::UpToDate, Outcome::Migrated(moved())] {
            assert!(in_one_catalog(&end, &end, &outcome) && in_one_catalog(&second, &end, &outcome));
            assert!(!in_one_catalog(&end, &second, &outcome), "an earlier migration is not the target");
        }
        let back = migrate(Down, Target::Migration(0));
        assert!(in_one_catalog(&end, &back, &Outcome::RolledBack(moved())));
        assert!(!in_one_catalog(&end, &back, &Outcome::UpToDate), "nothing was taken back");
        let restore = RunKind::Restore { run: "b".into() };
        assert!(in_one_catalog(&end, &restore, &Outcome::Restored { bytes: 1 }));
        assert!(!in_one_catalog(&end, &end, &NotStarted::Interrupted.outcome()));
    }

    #[test]
    fn tasks_that_found_nothing_to_do_settle_no_migration() {
        let end = migrate(Up, Target::End);
        let repair = RunKind::Repair { scripts: vec!["m1".into()] };
        for outcome in [Outcome::UpToDate, Outcome::Accepted { n: 1 }] {
            assert!(!in_one_catalog(&end, &repair, &outcome));
        }
        let seed = RunKind::Seed { scale: 1, seed: 1, rows: vec![], append: false, malformed_percent: 0 };
        assert!(!in_one_catalog(&end, &seed, &Outcome::Seeded { n: 1 }));
        let backup = RunKind::Backup { backups: None };
        assert!(!in_one_catalog(&end, &backup, &Outcome::BackedUp { bytes: 1 }));
    }

    #[test]
    fn migrations_are_compared_by_name_and_a_tenant_by_its_own_target() {
        let end = migrate(Up, Target::End);
        let (old, new, other) = (catalog("m1 m2"), catalog("m0 m1 m2 m3"), catalog("m1 m3"));
        let aim = |catalog, target| Aim { kind: &end, catalog, target };
        assert!(settles(&aim(&old, None), &aim(&new, None), &Outcome::UpToDate));
        assert!(!settles(&aim(&old, None), &aim(&other, None), &Outcome::UpToDate), "m2 was never applied");
        assert!(!settles(&aim(&old, None), &aim(&new, Some(Target::Migration(1))), &Outcome::UpToDate));
        assert!(settles(&aim(&old, Some(Target::Migration(0))), &aim(&other, None), &Outcome::UpToDate));
    }

    #[test]
    fn a_way_back_is_settled_by_going_as_far_back_or_up_again() {
        let first = migrate(Down, Target::Migration(0));
        let rolled_back = Outcome::RolledBack(moved());
        assert!(in_one_catalog(&first, &migrate(Down, Target::End), &rolled_back));
        assert!(in_one_catalog(&first, &first, &Outcome::UpToDate));
        assert!(!in_one_catalog(&first, &migrate(Down, Target::Migration(1)), &rolled_back), "not as far");
        assert!(in_one_catalog(&first, &migrate(Up, Target::End), &Outcome::UpToDate));
        assert!(!in_one_catalog(&first, &RunKind::Repair { scripts: vec![] }, &Outcome::UpToDate));
    }

    #[test]
    fn steps_that_were_settled_for_nobody_are_not_taken_twice() {
        let (one, two, end) = (migrate(Up, Target::Steps(1)), migrate(Up, Target::Steps(2)), migrate(Up, Target::End));
        let names = catalog("m1 m2 m3");
        let aim = |kind, target| Aim { kind, catalog: &names, target };
        let first = Some(Target::Migration(0));
        assert!(settles(&aim(&one, None), &aim(&one, first), &Outcome::Migrated(moved())));
        assert!(!settles(&aim(&two, None), &aim(&one, first), &Outcome::Migrated(moved())));
        assert!(settles(&aim(&two, None), &aim(&end, None), &Outcome::UpToDate));
        assert!(!settles(&aim(&end, None), &aim(&one, None), &Outcome::Migrated(moved())));
    }

    #[test]
    fn a_restore_is_settled_by_a_restore_from_the_same_backups_only() {
        let restore = |run: &str| RunKind::Restore { run: run.into() };
        let restored = Outcome::Restored { bytes: 1 };
        assert!(in_one_catalog(&restore("b"), &restore("b"), &restored));
        assert!(!in_one_catalog(&restore("b"), &restore("a"), &restored));
        let left = restore("b");
        let left = Aim { kind: &left, catalog: &[], target: None };
        assert!(replaces(&left, &restored) && !replaces(&left, &Outcome::UpToDate));
        for outcome in [Outcome::UpToDate, Outcome::Migrated(moved())] {
            assert!(!in_one_catalog(&restore("b"), &migrate(Up, Target::End), &outcome));
        }
    }

    #[test]
    fn a_task_is_settled_by_one_that_does_as_much() {
        let refresh = |views: &[&str]| RunKind::Refresh { views: views.iter().map(|v| (*v).to_owned()).collect() };
        let refreshed = Outcome::Refreshed { n: 1 };
        assert!(in_one_catalog(&refresh(&["a"]), &refresh(&["b", "a"]), &refreshed));
        assert!(!in_one_catalog(&refresh(&["a", "b"]), &refresh(&["b"]), &refreshed));
        let backup = RunKind::Backup { backups: None };
        assert!(in_one_catalog(
            &backup,
            &RunKind::Backup { backups: Some("x".into()) },
            &Outcome::BackedUp { bytes: 1 }
        ));
        assert!(!in_one_catalog(&backup, &migrate(Up, Target::End), &Outcome::UpToDate), "it can still be backed up");
        let repair = |script: &str| RunKind::Repair { scripts: vec![script.into()] };
        assert!(in_one_catalog(&repair("m1"), &repair("m1"), &Outcome::UpToDate));
        assert!(in_one_catalog(&repair("m1"), &migrate(Up, Target::End), &Outcome::UpToDate));
        assert!(!in_one_catalog(&repair("m9"), &migrate(Up, Target::End), &Outcome::UpToDate));
        let recorded = |version: &str| RecordedVersion { version: version.into(), reason: None, checked: true };
        let (baseline, stamp) = (RunKind::Baseline(recorded("m1")), RunKind::Stamp(recorded("m1")));
        assert!(in_one_catalog(&baseline, &stamp, &Outcome::Stamped(moved())));
        assert!(!in_one_catalog(&baseline, &RunKind::Stamp(recorded("m2")), &Outcome::Stamped(moved())));
    }
}
