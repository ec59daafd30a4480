//! A dry run of a baseline, a stamp or a restore: what it would do to each tenant, or why not.
//!
//! Text only; JSON has all differences.

use serde::Serialize;
use serde_json::json;

use super::outcome::moved_text;
use super::sheet::{Cell, Column, Sheet};
use super::style::Tone;
use super::{Format, Style, summary};
use crate::model::fault::Fault;
use crate::model::outcome::{Outcome, Standing};
use crate::model::tenant::{Engine, TenantId};

/// The outcome that a tenant would have.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Foreseen {
    pub(crate) tenant: TenantId,
    pub(crate) engine: Engine,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    pub(crate) error: Option<Fault>,
    /// The backup that it would be restored from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) backup: Option<String>,
    /// All differences of its schema, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) differences: Vec<String>,
}

/// The rows in the order given.
pub(crate) fn render(rows: &[Foreseen], format: Format, style: &Style) -> String {
    let whole = |fault: &Fault| fault.to_string();
    format.write(|| text(rows, style), || json!({ "dry_run": true, "tenants": rows }), || sheet(rows, style, whole))
}

/// `of_fault`: the words for a fault in a cell.
fn sheet(rows: &[Foreseen], style: &Style, of_fault: impl Fn(&Fault) -> String) -> Sheet {
    let tone = |row: &&Foreseen| match row.outcome.standing() {
        Standing::Failed => Tone::Bad,
        Standing::AtTarget | Standing::Outstanding => Tone::Plain,
    };
    let detail = |row: &&Foreseen| match (&row.outcome, &row.error) {
        (_, Some(error)) => of_fault(error),
        _ if row.backup.is_some() => row.backup.clone().unwrap_or_default(),
        (Outcome::Stamped(moved), _) => moved_text(moved, style),
        (Outcome::Ahead { unknown }, _) => format!("has what this program does not know: {}", unknown.join(", ")),
        _ => String::new(),
    };
    Sheet::of(rows)
        .column("Tenant", |row| &row.tenant)
        .column("Engine", |row| row.engine)
        .column("Would be", |row| Cell::from(summary::words(row.outcome.name())).tone(tone(row)))
        .column(Column::new("Detail").at_least(30), detail)
        .sheet()
}

fn text(rows: &[Foreseen], style: &Style) -> String {
    let mut out = sheet(rows, style, |fault| summary::words(fault.class.name())).table(style);
    for row in rows.iter().filter(|row| row.error.is_some() || !row.differences.is_empty()) {
        out.push_str(&format!("\n{}\n", super::style::clean(row.tenant.as_str())));
        out.extend(row.error.iter().map(|error| super::style::paragraph(&error.to_string(), "  ", usize::MAX, style)));
        out.extend(row.differences.iter().map(|line| format!("  {}\n", super::style::clean(line))));
    }
    out + "\ndry run: nothing was touched\n"
}
