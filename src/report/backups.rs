//! The runs that have backups: one row a run.
//!
//! It reads no folder and no ledger; rows are handed in.

use serde_json::json;

use super::style::Style;
use super::table::{Column, Table};
use super::{Format, csv_text, json, label, markdown};

/// The backups of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BackupRow {
    /// The run.
    pub(crate) run: String,
    /// When it began, in milliseconds since 1970-01-01 UTC.
    pub(crate) at_ms: i64,
    /// How many tenants have a whole backup.
    pub(crate) tenants: usize,
    /// The size of all of them.
    pub(crate) bytes: u64,
    /// How many tenants the run was to back up; `None`: the ledger does not know the run.
    pub(crate) expected: Option<usize>,
    /// Files that were left half written, or lack their other half.
    pub(crate) broken: usize,
    /// Why `prune` keeps them; `None`: it does not.
    pub(crate) pinned: Option<String>,
}

impl BackupRow {
    /// Whether all that the run was to back up is there and whole; `None`: nobody knows what it was to.
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
    const HEADER: [&str; 7] = ["run", "when", "tenants", "expected", "bytes", "complete", "pinned"];
    let flat = || -> Vec<[String; 7]> {
        let row = |r: &BackupRow| {
            let (when, pinned) = (label::moment(r.at_ms), r.pinned.clone().unwrap_or_default());
            let text = |known: Option<String>| known.unwrap_or_default();
            let (expected, complete) = (r.expected.map(|n| n.to_string()), r.is_complete().map(|is| is.to_string()));
            let (tenants, bytes) = (r.tenants.to_string(), r.bytes.to_string());
            [r.run.clone(), when, tenants, text(expected), bytes, text(complete), pinned]
        };
        rows.iter().map(row).collect()
    };
    match format {
        Format::Table => text(rows, style),
        Format::Json => {
            let row = |r: &BackupRow| {
                json!({
                    "run": r.run, "at": label::moment(r.at_ms), "at_ms": r.at_ms, "tenants": r.tenants,
                    "expected": r.expected, "bytes": r.bytes, "complete": r.is_complete(), "pinned": r.pinned,
                })
            };
            json::document(json!({ "backups": rows.iter().map(row).collect::<Vec<_>>() }))
        }
        Format::Csv => csv_text::write(&HEADER, flat().iter().map(|r| r.iter().map(String::as_str))),
        Format::Md => markdown::table(&HEADER, flat()),
    }
}

fn text(rows: &[BackupRow], style: &Style) -> String {
    if rows.is_empty() {
        return "no backups yet\n".to_owned();
    }
    let mut table = Table::new([
        Column::new("RUN"),
        Column::new("WHEN").expendable(2),
        Column::new("BACKED UP"),
        Column::new("SIZE").right(),
        Column::new("KEPT BY PRUNE BECAUSE").at_least(12).expendable(1),
    ]);
    for r in rows {
        table.row([
            r.run.clone().into(),
            label::moment(r.at_ms).into(),
            r.complete().into(),
            label::bytes(r.bytes).into(),
            r.pinned.clone().unwrap_or_default().into(),
        ]);
    }
    table.render(style)
}
