//! The goal of a run, and the decision it leads to for one tenant.
//!
//! Pure functions: `plan`, which only prints the decision, and the run, which acts on it, share them.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::engine::Variant;
use crate::model::run_summary::LeftAt;
use crate::model::schema::{Catalog, Direction, State, Unfinished};
use crate::model::tenant::{Tenant, TenantId};

/// The goal of a run on each tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Goal {
    /// Up or down.
    pub(crate) direction: Direction,
    pub(crate) target: Target,
    /// Whether a missing migration may be applied although a later one has been.
    pub(crate) out_of_order: bool,
}

/// The target of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// Up: the end of the catalog. Down: nothing applied.
    End,
    /// Up: this migration and all before it applied. Down: all after it rolled back; it stays.
    Migration(usize),
    /// This many migrations from where each tenant is.
    Steps(usize),
}

/// The action on one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is at its target.
    Nothing,
    /// Apply these migrations, in this order (places in the catalog).
    Apply(Vec<usize>),
    /// It must not be touched.
    Refuse(Refusal),
}

/// The reason why a tenant must not be touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Its history has versions that the catalog does not contain.
    Ahead(Vec<String>),
    /// Its history has a gap.
    Gap(Vec<String>),
    /// SQL scripts were edited after they had been applied to it.
    Edited(Vec<String>),
    /// A way down is that of a part for MariaDB, and MariaDB was sent the part for MySQL.
    OtherPart(Vec<String>),
    /// It stopped in another step, which has to be finished first.
    PartiallyApplied(Unfinished),
    /// Nothing is applied to it, although a run left it at a version.
    Lost(TenantId, LeftAt),
    /// It is not at the version that the plan was made for.
    Moved {
        /// The version of the plan.
        planned: Option<String>,
        /// The version that it has.
        found: Option<String>,
    },
}

/// For each tenant, by its place, the tenants that must be done before it. On the way up these are the tenants it
/// depends on, on a rollback those that depend on it. No tenant waits for one that is not in `tenants`.
pub(crate) fn predecessors(tenants: &[Arc<Tenant>], direction: Direction) -> Vec<Vec<usize>> {
    let places: HashMap<&TenantId, usize> = tenants.iter().enumerate().map(|(i, tenant)| (&tenant.id, i)).collect();
    let mut before = vec![Vec::new(); tenants.len()];
    for (i, tenant) in tenants.iter().enumerate() {
        for other in tenant.depends_on.iter().filter_map(|id| places.get(id).copied()) {
            match direction {
                Direction::Up => before[i].push(other),
                Direction::Down => before[other].push(i),
            }
        }
    }
    before
}

/// Decides the action that `goal` requires on a tenant with this history.
pub(crate) fn decide(catalog: &Catalog, variant: impl Into<Variant>, history: &[String], goal: &Goal) -> Decision {
    let variant = variant.into();
    match catalog.state(history, variant) {
        State::Ahead { unknown } => return Decision::Refuse(Refusal::Ahead(unknown)),
        State::Edited { scripts } => return Decision::Refuse(Refusal::Edited(scripts)),
        State::Gap { missing } if goal.direction == Direction::Up && !goal.out_of_order => {
            // A gap beyond the target does not concern this run.
            let concerned = match goal.target {
                Target::Migration(to) => {
                    missing.into_iter().filter(|m| catalog.position(m).is_some_and(|i| i <= to)).collect()
                }
                Target::End | Target::Steps(_) => missing,
            };
            if !concerned.is_empty() {
                return Decision::Refuse(Refusal::Gap(concerned));
            }
        }
        _ => {}
    }
    let missing = catalog.missing(history, variant);
    let steps: Vec<usize> = match goal.direction {
        Direction::Up => match goal.target {
            Target::End => missing,
            Target::Migration(to) => missing.into_iter().filter(|&i| i <= to).collect(),
            Target::Steps(n) => missing.into_iter().take(n).collect(),
        },
        Direction::Down => back(catalog, history, goal.target),
    };
    if goal.direction == Direction::Down && variant == Variant::MariaDb {
        let other = catalog.of_other_part(history, variant, &steps);
        if !other.is_empty() {
            return Decision::Refuse(Refusal::OtherPart(other));
        }
    }
    if steps.is_empty() { Decision::Nothing } else { Decision::Apply(steps) }
}

/// The refusal of a way down of the other part, in words.
pub(crate) fn other_part(scripts: &[String]) -> String {
    format!(
        "{} was sent to it in the part for MySQL, before there was one for MariaDB, whose way down takes back something else; \
         nothing was touched: take it back with the files for MariaDB out of the folder",
        scripts.join(", ")
    )
}

/// The migrations to roll back, newest first. Repeatable scripts come after all versions and are no step of their own:
/// they go first where everything goes, and otherwise only where they stand in the way of a step.
fn back(catalog: &Catalog, history: &[String], target: Target) -> Vec<usize> {
    let all = catalog.applied(history);
    let applied = (0..catalog.migrations.len()).rev().filter(|i| all.contains(i));
    let versions = applied.clone().filter(|&i| !catalog.is_repeatable(i));
    match target {
        Target::End => applied.clone().filter(|&i| catalog.is_repeatable(i)).chain(versions).collect(),
        Target::Steps(n) => versions.take(n).collect(),
        Target::Migration(to) => versions.filter(|&i| i > to).collect(),
    }
}

/// The target that a number of steps means for a tenant with this history; acting on it repeatedly gives the same
/// result. `None` when the goal is not a number of steps, or the tenant must not be touched.
pub(crate) fn settle_steps(
    catalog: &Catalog,
    variant: impl Into<Variant>,
    history: &[String],
    goal: &Goal,
) -> Option<Target> {
    let Target::Steps(_) = goal.target else { return None };
    let steps = match decide(catalog, variant, history, goal) {
        Decision::Apply(steps) => steps,
        Decision::Nothing => Vec::new(),
        Decision::Refuse(_) => return None,
    };
    let done = catalog.applied(history);
    let applied = |i: &usize| done.contains(i);
    let all = (0..catalog.migrations.len()).filter(|&i| goal.direction == Direction::Up || !catalog.is_repeatable(i));
    Some(match goal.direction {
        Direction::Up => match steps.last().copied().or_else(|| all.rev().find(applied)) {
            Some(last) => Target::Migration(last),
            None => Target::End,
        },
        Direction::Down => match all.rev().filter(applied).find(|i| !steps.contains(i)) {
            Some(stays) => Target::Migration(stays),
            None => Target::End,
        },
    })
}

impl Goal {
    /// The goal in words, as the report prints it.
    pub(crate) fn describe(&self, catalog: &Catalog) -> String {
        let name = |i: usize| catalog.migrations.get(i).map_or("?", |m| &**m).to_owned();
        match (self.direction, self.target) {
            (Direction::Up, Target::End) => "head".to_owned(),
            (Direction::Down, Target::End) => "empty".to_owned(),
            (_, Target::Migration(i)) => name(i),
            (_, Target::Steps(1)) => "1 step".to_owned(),
            (_, Target::Steps(n)) => format!("{n} steps"),
        }
    }

    /// The range of migrations that any tenant could need for this goal.
    pub(crate) fn could_touch(&self, catalog: &Catalog) -> std::ops::Range<usize> {
        let all = catalog.migrations.len();
        match (self.direction, self.target) {
            (Direction::Up, Target::Migration(to)) => 0..(to + 1).min(all),
            (Direction::Down, Target::Migration(to)) => (to + 1).min(all)..all,
            _ => 0..all,
        }
    }

    /// The same for tenants of which each has this goal or, where it has one, a target of its own.
    pub(crate) fn could_touch_each(
        &self,
        catalog: &Catalog,
        own: impl Iterator<Item = Option<Target>>,
    ) -> std::ops::Range<usize> {
        let each = own.map(|own| Goal { target: own.unwrap_or(self.target), ..*self }.could_touch(catalog));
        let all = each.reduce(|all, one| all.start.min(one.start)..all.end.max(one.end));
        all.unwrap_or_else(|| self.could_touch(catalog))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::engine::{Engine, EngineMap, VariantMap};
    use crate::model::schema::{ScriptEntry, ScriptKind};

    #[test]
    fn the_whole_way_back_takes_repeatable_scripts_first_and_a_part_of_it_counts_versions() {
        let script = |kind| ScriptEntry {
            kind,
            checksums: VariantMap { engines: EngineMap::from_fn(|_| "c".into()), mariadb: None },
        };
        let scripts =
            vec![script(ScriptKind::Versioned), script(ScriptKind::Repeatable), script(ScriptKind::Repeatable)];
        let c = Catalog { scripts, ..Catalog::new(["m1", "1_a", "R__b", "R__c"], "h") };
        let all = history(&["m1", "1_a\tc", "R__b\told", "R__c\tc"]);
        let down = |t| decide(&c, Engine::Sqlite, &all, &goal(Direction::Down, t));
        assert_eq!(down(Target::Steps(1)), Decision::Apply(vec![1]));
        assert_eq!(down(Target::Migration(0)), Decision::Apply(vec![1]));
        assert_eq!(down(Target::End), Decision::Apply(vec![3, 2, 1, 0]));
        assert_eq!(
            settle_steps(&c, Engine::Sqlite, &all, &goal(Direction::Down, Target::Steps(1))),
            Some(Target::Migration(0))
        );
        let up = decide(&c, Engine::Sqlite, &all, &goal(Direction::Up, Target::End));
        assert_eq!(up, Decision::Apply(vec![2]), "it changed");
        let edited = history(&["m1", "1_a\tother"]);
        assert_eq!(
            decide(&c, Engine::Sqlite, &edited, &goal(Direction::Up, Target::End)),
            Decision::Refuse(Refusal::Edited(vec!["1_a".into()]))
        );
    }

    fn catalog() -> Catalog {
        Catalog::new(["m1", "m2", "m3"], "h")
    }

    #[test]
    fn a_number_of_steps_needs_no_more_than_the_targets_that_it_means() {
        let back = goal(Direction::Down, Target::Steps(1));
        let needed = |own: &[Option<Target>]| back.could_touch_each(&catalog(), own.iter().copied());
        let stays = |at| Some(Target::Migration(at));
        assert_eq!(needed(&[stays(1), stays(1)]), 2..3);
        assert_eq!(needed(&[stays(1), stays(0)]), 1..3);
        assert_eq!(needed(&[stays(1), None]), 0..3, "of one that could not be read");
        assert_eq!(needed(&[stays(1), Some(Target::End)]), 0..3);
        assert_eq!(needed(&[]), 0..3);
    }

    fn goal(direction: Direction, target: Target) -> Goal {
        Goal { direction, target, out_of_order: false }
    }

    fn history(versions: &[&str]) -> Vec<String> {
        versions.iter().map(|v| v.to_string()).collect()
    }

    #[test]
    fn up() {
        let c = catalog();
        let up = |t| goal(Direction::Up, t);
        assert_eq!(decide(&c, Engine::Sqlite, &[], &up(Target::End)), Decision::Apply(vec![0, 1, 2]));
        assert_eq!(decide(&c, Engine::Sqlite, &history(&["m1"]), &up(Target::Steps(1))), Decision::Apply(vec![1]));
        assert_eq!(decide(&c, Engine::Sqlite, &history(&["m1", "m2"]), &up(Target::Migration(0))), Decision::Nothing);
        assert_eq!(decide(&c, Engine::Sqlite, &history(&["m1", "m2", "m3"]), &up(Target::End)), Decision::Nothing);
    }

    #[test]
    fn down_takes_the_newest_first() {
        let c = catalog();
        let down = |t| goal(Direction::Down, t);
        let all = history(&["m1", "m2", "m3"]);
        assert_eq!(decide(&c, Engine::Sqlite, &all, &down(Target::End)), Decision::Apply(vec![2, 1, 0]));
        assert_eq!(decide(&c, Engine::Sqlite, &all, &down(Target::Migration(0))), Decision::Apply(vec![2, 1]));
        assert_eq!(decide(&c, Engine::Sqlite, &history(&["m1"]), &down(Target::Steps(2))), Decision::Apply(vec![0]));
        assert_eq!(decide(&c, Engine::Sqlite, &[], &down(Target::Steps(2))), Decision::Nothing);
    }

    #[test]
    fn a_gap_is_refused_unless_asked_for_or_beyond_the_target() {
        let c = catalog();
        let h = history(&["m1", "m3"]);
        let mut g = goal(Direction::Up, Target::End);
        assert_eq!(decide(&c, Engine::Sqlite, &h, &g), Decision::Refuse(Refusal::Gap(vec!["m2".into()])));
        g.out_of_order = true;
        assert_eq!(decide(&c, Engine::Sqlite, &h, &g), Decision::Apply(vec![1]));
        assert_eq!(decide(&c, Engine::Sqlite, &h, &goal(Direction::Up, Target::Migration(0))), Decision::Nothing);
    }

    #[test]
    fn steps_settle_to_a_target_that_is_the_same_when_taken_again() {
        let c = catalog();
        let up = goal(Direction::Up, Target::Steps(1));
        assert_eq!(settle_steps(&c, Engine::Sqlite, &history(&["m1"]), &up), Some(Target::Migration(1)));
        let again = goal(Direction::Up, Target::Migration(1));
        assert_eq!(decide(&c, Engine::Sqlite, &history(&["m1", "m2"]), &again), Decision::Nothing);
        let down = goal(Direction::Down, Target::Steps(2));
        assert_eq!(settle_steps(&c, Engine::Sqlite, &history(&["m1", "m2", "m3"]), &down), Some(Target::Migration(0)));
        assert_eq!(settle_steps(&c, Engine::Sqlite, &history(&["m1"]), &down), Some(Target::End));
        assert_eq!(settle_steps(&c, Engine::Sqlite, &[], &goal(Direction::Up, Target::End)), None);
    }

    #[test]
    fn an_unknown_row_is_never_touched() {
        let c = catalog();
        for direction in [Direction::Up, Direction::Down] {
            assert_eq!(
                decide(&c, Engine::Sqlite, &history(&["m1", "zz"]), &goal(direction, Target::End)),
                Decision::Refuse(Refusal::Ahead(vec!["zz".into()]))
            );
        }
    }
}
