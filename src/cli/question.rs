//! The question before a migration or a rollback: how many tenants and steps, and what can't be taken back.
//!
//! It asks no database: the tenants were read for the plan.

use std::sync::Arc;

use super::goals;
use super::inspect::{Planned, Planning};
use crate::model::schema::Direction;
use crate::model::tenant::Engine;
use crate::report::plan::PlanRow;
use crate::report::{count, towards};

/// Maximum number of migrations named in a line.
const MOST_NAMES: usize = 5;

/// The question, without its `[y/N]`.
pub(super) async fn text(planning: &Planning<'_>, planned: &Planned) -> String {
    let Planning { set, selection, goal, .. } = planning;
    let rows = planned.rows();
    let pending: Vec<&&PlanRow> = rows.iter().filter(|row| !row.steps.is_empty()).collect();
    let trouble = rows.iter().filter(|row| row.refusal.is_some() || row.error.is_some()).count();
    let done = rows.len() - pending.len() - trouble;
    let verb = if goal.direction == Direction::Up { "Migrate" } else { "Roll back" };
    let held = if trouble > 0 { format!(", {trouble} can't be changed now") } else { String::new() };
    let waves: Vec<String> = selection.waves.iter().map(|w| format!("{} {}", w.name, w.tenants.len())).collect();
    let mut lines = vec![format!(
        "{verb} {} of {} {} ({done} there already{held}).",
        pending.len(),
        count(rows.len(), "tenant"),
        towards(&goal.describe(set.catalog())),
    )];
    let steps: usize = pending.iter().map(|row| row.steps.len()).sum();
    lines.extend((steps > 0).then(|| format!("Steps: {steps}, at most {} a tenant.", most(&pending))));
    let half_way = planned.scripts().iter().filter(|script| !script.is_atomic() && !script.statements.is_empty());
    let half_way = half_way.map(|script| (&script.migration, script.engine));
    lines.extend(named("Not atomic, a failure leaves their first statements in place", half_way));
    if goal.direction == Direction::Up {
        let irreversible = goals::irreversible(set, &rows, planning.native).await;
        lines.extend(named("No way down", irreversible.iter().map(|of| (&of.migration, of.engine))));
    }
    lines.push(format!("Waves: {}. Go ahead?", waves.join(", ")));
    lines.join("\n")
}

fn most(pending: &[&&PlanRow]) -> usize {
    pending.iter().map(|row| row.steps.len()).max().unwrap_or_default()
}

/// A line of migrations with their engines, if there are any.
fn named<'a>(what: &str, scripts: impl Iterator<Item = (&'a Arc<str>, Engine)>) -> Option<String> {
    let names: Vec<String> = scripts.map(|(migration, engine)| format!("{migration} ({engine})")).collect();
    let more = names.len().saturating_sub(MOST_NAMES);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!names.is_empty()).then(|| format!("{what}: {}{rest}.", names[..names.len() - more].join(", ")))
}
