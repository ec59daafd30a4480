//! The runs that have backups: one row a run.
//!
//! It reads no folder and no ledger; rows are handed in.

use serde_json::json;

use super::style::Style;
use super::table::{Column, Table};
use super::{Format, csv_text, json, label, markdown};

/// The backups of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupRow {
    /// The run.
    pub run: String,
    /// When it began, in milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
    /// How many tenants have a whole backup.
    pub tenants: usize,
    /// The size of all of them.
    pub bytes: u64,
    /// Whether the run ended and nothing half written is left.
    pub is_complete: bool,
    /// Why `prune` keeps them; `None`: it does not.
    pub pinned: Option<String>,
}

/// The list, in the order given.
pub fn list(rows: &[BackupRow], format: Format, style: &Style) -> String {
    const HEADER: [&str; 6] = ["run", "when", "tenants", "bytes", "complete", "pinned"];
    let flat = || -> Vec<[String; 6]> {
        let row = |r: &BackupRow| {
            let (when, pinned) = (label::moment(r.at_ms), r.pinned.clone().unwrap_or_default());
            [r.run.clone(), when, r.tenants.to_string(), r.bytes.to_string(), r.is_complete.to_string(), pinned]
        };
        rows.iter().map(row).collect()
    };
    match format {
        Format::Table => text(rows, style),
        Format::Json => {
            let row = |r: &BackupRow| {
                json!({
                    "run": r.run, "at": label::moment(r.at_ms), "at_ms": r.at_ms, "tenants": r.tenants,
                    "bytes": r.bytes, "complete": r.is_complete, "pinned": r.pinned,
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
        Column::new("TENANTS").right(),
        Column::new("SIZE").right(),
        Column::new("COMPLETE"),
        Column::new("KEPT BY PRUNE BECAUSE").at_least(12).expendable(1),
    ]);
    for r in rows {
        table.row([
            r.run.clone().into(),
            label::moment(r.at_ms).into(),
            r.tenants.to_string().into(),
            label::bytes(r.bytes).into(),
            if r.is_complete { "yes" } else { "no" }.to_owned().into(),
            r.pinned.clone().unwrap_or_default().into(),
        ]);
    }
    table.render(style)
}
