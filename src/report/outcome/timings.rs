//! The slowest tenants and steps of a run, and the division of their time.
//!
//! It shows what was measured, and measures nothing; a run without `--timings` has nothing here.

use std::time::Duration;

use serde_json::{Value, json};

use super::view::{millis, took};
use crate::model::outcome::TenantRecord;
use crate::model::tenant::TenantId;
use crate::model::timings::{Phases, StepTimings};
use crate::report::sheet::{Cell, Column, Sheet};
use crate::report::style::Style;

/// The most rows of each list.
const SLOWEST: usize = 5;

/// A tenant, or a step on one, with its whole time.
struct Row<'a> {
    tenant: &'a TenantId,
    step: Option<&'a StepTimings>,
    took: Duration,
    phases: Phases,
}

impl Row<'_> {
    /// The time that no phase has: reading and deciding, backups, pauses, closing.
    fn other(&self) -> Duration {
        self.took.saturating_sub(self.phases.total())
    }
}

/// The slowest tenants and the slowest steps, slowest first.
fn slowest(records: &[TenantRecord]) -> [Vec<Row<'_>>; 2] {
    let timed = || records.iter().filter_map(|r| Some((r, r.timings.as_ref()?)));
    let tenants =
        timed().map(|(r, t)| Row { tenant: &r.tenant, step: None, took: r.duration, phases: t.phases }).collect();
    let steps = timed()
        .flat_map(|(r, t)| {
            let row = |step| Row {
                tenant: &r.tenant,
                step: Some(step),
                took: Phases::total(&step.phases),
                phases: step.phases,
            };
            t.steps.iter().map(row)
        })
        .collect();
    [tenants, steps].map(|mut rows: Vec<Row<'_>>| {
        rows.sort_by_key(|row| std::cmp::Reverse(row.took));
        rows.truncate(SLOWEST);
        rows
    })
}

/// Both lists as tables; empty without timings.
pub(super) fn tables(records: &[TenantRecord], style: &Style) -> Vec<String> {
    let [tenants, steps] = slowest(records);
    let cell = |time: Duration| if time.is_zero() { Cell::from("-") } else { Cell::from(took(time)) };
    let mut parts = Vec::new();
    if !tenants.is_empty() {
        let sheet = Sheet::of(tenants)
            .column(Column::new("Slowest tenants").at_least(16), |row| row.tenant)
            .column(Column::new("Took").right(), |row| cell(row.took))
            .column(Column::new("Connect").right(), |row| cell(row.phases.connect))
            .column(Column::new("Lock").right(), |row| cell(row.phases.lock))
            .column(Column::new("Statements").right(), |row| cell(row.phases.statements))
            .column(Column::new("Commit").right(), |row| cell(row.phases.commit))
            .column(Column::new("In one message").right(), |row| cell(row.phases.message))
            .column(Column::new("Other").right(), |row| cell(row.other()))
            .sheet();
        parts.push(sheet.table(style));
    }
    if !steps.is_empty() {
        let name = |row: &Row<'_>| Cell::maybe(row.step.map(|step| &step.step));
        let sheet = Sheet::of(steps)
            .column(Column::new("Slowest steps").at_least(16), name)
            .column(Column::new("Tenant"), |row| row.tenant)
            .column(Column::new("Took").right(), |row| cell(row.took))
            .column(Column::new("Lock").right(), |row| cell(row.phases.lock))
            .column(Column::new("Statements").right(), |row| cell(row.phases.statements))
            .column(Column::new("Commit").right(), |row| cell(row.phases.commit))
            .column(Column::new("In one message").right(), |row| cell(row.phases.message))
            .sheet();
        parts.push(sheet.table(style));
    }
    parts
}

/// Both lists as JSON; `null` without timings.
pub(super) fn fields(records: &[TenantRecord]) -> Value {
    let [tenants, steps] = slowest(records);
    if tenants.is_empty() {
        return Value::Null;
    }
    let with = |row: &Row<'_>, mut value: Value| {
        let phases = serde_json::to_value(row.phases).unwrap_or_default();
        value.as_object_mut().into_iter().for_each(|all| all.extend(phases.as_object().cloned().unwrap_or_default()));
        value
    };
    let tenant = |row: &Row<'_>| {
        let value = json!({ "tenant": row.tenant, "took_ms": millis(row.took), "other_ms": millis(row.other()) });
        with(row, value)
    };
    let step = |row: &Row<'_>| {
        let name = row.step.map(|step| &step.step);
        with(row, json!({ "step": name, "tenant": row.tenant, "took_ms": millis(row.took) }))
    };
    json!({
        "slowest_tenants": tenants.iter().map(tenant).collect::<Vec<_>>(),
        "slowest_steps": steps.iter().map(step).collect::<Vec<_>>(),
    })
}
