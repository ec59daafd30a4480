//! The runs that have backups: one row per run.
//!
//! It reads no folder and no ledger; rows are handed in.

use serde_json::json;

use super::sheet::{Cell, Column, Sheet};
use super::{Format, Style, label};

/// The backups of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BackupRow {
    pub(crate) run: String,
    /// Its start, in milliseconds since 1970-01-01 UTC.
    pub(crate) at_ms: i64,
    /// Number of tenants with a complete backup.
    pub(crate) tenants: usize,
    /// Their total size in bytes.
    pub(crate) bytes: u64,
    /// Number of tenants that the run was to back up; `None`: the ledger does not have the run.
    pub(crate) expected: Option<usize>,
    /// Number of incomplete files, or files without their counterpart.
    pub(crate) broken: usize,
    /// The reason why `prune` keeps them; `None`: it does not.
    pub(crate) pinned: Option<String>,
}

impl BackupRow {
    /// Whether all backups of the run are present and complete; `None`: the expected number is unknown.
    fn is_complete(&self) -> Option<bool> {
        self.expected.map(|expected| self.broken == 0 && self.tenants == expected)
    }

    fn complete(&self) -> String {
        let of = self.expected.map_or("?".to_owned(), |expected| expected.to_string());
        let broken = if self.broken == 0 { String::new() } else { format!(", {} broken", self.broken) };
        format!("{} of {of}{broken}", self.tenants)
    }
}

/// The list, in the order given.
pub(crate) fn list(rows: &[BackupRow], format: Format, style: &Style) -> String {
    let table = || if rows.is_empty() { "no backups yet\n".to_owned() } else { sheet(rows).table(style) };
    let fields = |r: &BackupRow| {
        json!({
            "run": r.run, "at": label::moment(r.at_ms), "at_ms": r.at_ms, "tenants": r.tenants,
            "expected": r.expected, "bytes": r.bytes, "complete": r.is_complete(), "pinned": r.pinned,
        })
    };
    format.write(table, || json!({ "backups": rows.iter().map(fields).collect::<Vec<_>>() }), || sheet(rows))
}

fn sheet(rows: &[BackupRow]) -> Sheet {
    Sheet::of(rows)
        .column("Run", |r| &r.run)
        .column(Column::new("When").expendable(2), |r| label::moment(r.at_ms))
        .column(Column::screen("Backed up").at_least(12), |r| r.complete())
        .column(Column::data("Tenants"), |r| r.tenants)
        .column(Column::data("Expected"), |r| Cell::maybe(r.expected))
        .column(Column::new("Size").key("bytes").right(), |r| Cell::from(label::bytes(r.bytes)).data(r.bytes))
        .column(Column::data("Complete"), |r| Cell::maybe(r.is_complete()))
        .column(Column::new("Kept by prune because").key("pinned").at_least(12).expendable(1), |r| {
            Cell::maybe(r.pinned.as_ref())
        })
        .sheet()
}
