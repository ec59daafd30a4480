//! The sources of the tenant file: how many tenants each has, and which are new or gone.
//!
//! It asks no source; rows are handed in.

use serde::Serialize;
use serde_json::json;

use super::sheet::{Cell, Column, Sheet};
use super::{Format, Style, label};
use crate::model::tenant::TenantId;

/// The most names in a cell, in columns.
const NAMED: usize = 40;

/// One source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SourceRow {
    pub(crate) source: String,
    /// The key that says where it asks: `query`.
    pub(crate) kind: &'static str,
    pub(crate) tenants: usize,
    /// Tenants that it did not have when it was noted last.
    pub(crate) new: Vec<TenantId>,
    /// Tenants that it had then, and that are nowhere in the fleet now.
    pub(crate) gone: Vec<TenantId>,
    /// The share, in percent, above which a run is refused.
    pub(crate) max_gone: u8,
    /// The note that it is compared with.
    pub(crate) since: Option<Since>,
}

/// The last note of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Since {
    /// The run that noted it; `None`: a person accepted it.
    pub(crate) run: Option<String>,
    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) at_ms: i64,
    /// The tenants that it had.
    pub(crate) tenants: usize,
}

impl Since {
    /// `run 019… at 2026-11-29 12:00:00`.
    pub(crate) fn text(&self) -> String {
        let what = self.run.as_ref().map_or_else(|| "it was accepted".to_owned(), |run| format!("run {run}"));
        format!("{what} at {}", label::moment(self.at_ms))
    }
}

/// The list, in the order of the file.
pub(crate) fn list(rows: &[SourceRow], format: Format, style: &Style) -> String {
    let table = || match rows {
        [] => "the tenant file has no source\n".to_owned(),
        _ => sheet(rows, style).table(style),
    };
    format.write(table, || json!({ "sources": rows }), || sheet(rows, &Style::FILE))
}

fn sheet(rows: &[SourceRow], style: &Style) -> Sheet {
    let named = |ids: &[TenantId]| match ids.len() {
        0 => Cell::from(0),
        n => Cell::from(format!("{n}: {}", label::names(ids.iter(), NAMED, style))).data(n),
    };
    Sheet::of(rows)
        .column(Column::new("Source").at_least(10), |row| &row.source)
        .column("Kind", |row| row.kind)
        .column(Column::new("Tenants").right(), |row| row.tenants)
        .column(Column::new("New").at_least(12), |row| named(&row.new))
        .column(Column::new("Gone").at_least(12), |row| named(&row.gone))
        .column(Column::new("Since").at_least(16).expendable(1), |row| {
            Cell::from(row.since.as_ref().map_or_else(|| "no run yet".to_owned(), Since::text))
        })
        .sheet()
}
