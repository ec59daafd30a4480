//! The question before a migration or a rollback: how many tenants and steps, what can't be taken back, which views go,
//! and how many rows the largest tables have that the scripts work on.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::cautions::{adoption, of_sample};
use super::goals;
use super::inspect::{Planned, Planning};
use crate::model::engine::Variant;
use crate::model::schema::Direction;
use crate::model::tenant::{Engine, Tenant, TenantId};
use crate::report::plan::PlanRow;
use crate::report::{approximately, count, first, paragraph, towards};
use crate::{run, sql};

/// Maximum number of migrations named in a line.
const MOST_NAMES: usize = 5;

/// Maximum number of tenants asked for the rows of their tables, spread over all that would change: a person waits.
const MOST_ASKED: usize = 100;

/// Maximum number of tables named with their rows.
const MOST_TABLES: usize = 3;

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
        towards(&planning.goal_text()),
    )];
    let steps: usize = pending.iter().map(|row| row.steps.len()).sum();
    lines.extend((steps > 0).then(|| format!("Steps: {steps}, at most {} a tenant.", most(&pending))));
    lines.extend(of_sample(set, planned));
    lines.extend(made_anew(planning, planned));
    let half_way = planned.scripts().iter().filter(|script| !script.is_atomic() && !script.statements.is_empty());
    let half_way = half_way.map(|script| (&script.migration, script.variant()));
    lines.extend(named("Not atomic, a failure leaves their first statements in place", half_way));
    if goal.direction == Direction::Up {
        let irreversible = goals::irreversible(set, &rows, planning.native).await;
        lines.extend(named("No way down", irreversible.iter().map(|of| (&of.migration, of.variant))));
    }
    lines.extend(issues(planned.issues()));
    let again: BTreeSet<&str> = planned.aside().iter().map(|script| &*script.migration).collect();
    lines.extend(listed("Taken down and made again", again.into_iter().map(str::to_owned).collect()));
    lines.extend(listed("Views that go", views_that_go(planned)));
    lines.extend(rows_of(planning, planned).await);
    lines.push(format!("Waves: {}. Go ahead?", waves.join(", ")));
    let style = planning.program.terminal.err;
    lines.iter().map(|line| paragraph(line, "", usize::MAX, &style)).collect::<String>().trim_end().to_owned()
}

/// Lines for tenants that are not what a migration expects: databases that were lost, and tables that something else has made.
fn made_anew(planning: &Planning<'_>, planned: &Planned) -> Vec<String> {
    let lost: Vec<String> = planned.recreated.iter().map(ToString::to_string).collect();
    let tables = planned.with_tables.iter().map(|(id, tables)| format!("{id} ({})", count(*tables, "table")));
    let tables = listed("Tables without a history", tables.collect());
    let tables = tables.map(|line| format!("{line} {}.", adoption(planning.program, "")));
    listed("Databases that were lost, made anew without their rows", lost).into_iter().chain(tables).collect()
}

/// A line for each of the first known issues of the way down.
fn issues(all: &[(String, String)]) -> Vec<String> {
    let line = |(of, issue): &(String, String)| format!("Known issue of taking back {of}: {issue}");
    let mut lines: Vec<String> = all.iter().take(MOST_NAMES).map(line).collect();
    lines.extend((all.len() > MOST_NAMES).then(|| {
        format!("{} more known issues: `plan --down` with the same flags shows all.", all.len() - MOST_NAMES)
    }));
    lines
}

/// The views that the scripts drop and do not make again.
fn views_that_go(planned: &Planned) -> Vec<String> {
    let mut gone = BTreeSet::new();
    for script in planned.scripts() {
        for statement in &script.statements {
            gone.extend(sql::dropped_views(script.engine, statement));
            sql::made(script.engine, statement).iter().for_each(|made| _ = gone.remove(&made.name));
        }
    }
    gone.into_iter().collect()
}

/// The largest tables that the scripts work on, as the engines of some tenants estimate them; `None` where nothing is known.
async fn rows_of(planning: &Planning<'_>, planned: &Planned) -> Option<String> {
    let mut tables: HashMap<Engine, HashSet<String>> = HashMap::new();
    for script in planned.scripts() {
        let of_engine = tables.entry(script.engine).or_default();
        script.statements.iter().for_each(|statement| sql::worked_on(script.engine, statement, of_engine));
    }
    let wanted = tables.into_iter().map(|(engine, names)| (engine, names.into_iter().collect())).collect();
    let pending: HashSet<&TenantId> =
        planned.rows().iter().filter(|row| !row.steps.is_empty()).map(|row| &row.tenant).collect();
    let tenants: Vec<&Arc<Tenant>> = planning.selection.tenants().filter(|t| pending.contains(&t.id)).collect();
    let n = tenants.len().min(MOST_ASKED);
    let asked: Vec<Arc<Tenant>> = (0..n).map(|i| tenants[i * tenants.len() / n].clone()).collect();
    let door = planning.program.door(planning.set);
    let look = run::estimate_rows(&asked, &door, planning.program.pace(), wanted);
    let answers = planning.program.looking("estimating rows", asked.len(), look).await;
    let mut largest: HashMap<String, (u64, &TenantId)> = HashMap::new();
    for (tenant, estimates) in asked.iter().zip(answers) {
        // A tenant that does not answer now is told by the run.
        for (table, rows) in estimates.unwrap_or_default().into_iter().filter(|(_, rows)| *rows > 0) {
            let most = largest.entry(table).or_insert((rows, &tenant.id));
            if rows > most.0 {
                *most = (rows, &tenant.id);
            }
        }
    }
    let mut largest: Vec<(String, (u64, &TenantId))> = largest.into_iter().collect();
    largest.sort_by(|(a, (more, _)), (b, (less, _))| (less, a).cmp(&(more, b)));
    let named = largest.iter().take(MOST_TABLES);
    let named: Vec<String> =
        named.map(|(table, (rows, tenant))| format!("{table} about {} ({tenant})", approximately(*rows))).collect();
    let of = if n < tenants.len() { format!(", of {n} tenants asked") } else { String::new() };
    (!named.is_empty()).then(|| format!("Largest tables that they work on, in rows{of}: {}.", named.join(", ")))
}

fn most(pending: &[&&PlanRow]) -> usize {
    pending.iter().map(|row| row.steps.len()).max().unwrap_or_default()
}

/// A line of migrations with their engines, if there are any.
fn named<'a>(what: &str, scripts: impl Iterator<Item = (&'a Arc<str>, Variant)>) -> Option<String> {
    listed(what, scripts.map(|(migration, variant)| format!("{migration} ({variant})")).collect())
}

/// A line of names, if there are any.
fn listed(what: &str, names: Vec<String>) -> Option<String> {
    (!names.is_empty()).then(|| format!("{what}: {}.", first(&names, MOST_NAMES)))
}
