//! The rows that tenants answered with, each with its tenant in front.
//!
//! NULL is `NULL` in a table, `null` in JSON, and in CSV nothing between two commas; an empty text is `""` there.

use serde_json::{Map, Value, json};

use super::causes::{Cause, group_by};
use super::sheet::{Cell, Column, Sheet};
use super::style::Tone;
use super::{Format, Style, clean, json, label};
use crate::model::answer::Answer;
use crate::model::fault::Fault;
use crate::model::tenant::TenantId;

/// The answers of one tenant.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) tenant: TenantId,
    pub(crate) answers: Vec<Answer>,
}

/// A row with its tenant.
struct Row<'a> {
    tenant: &'a TenantId,
    values: &'a [Option<String>],
}

/// All rows, in a table for each set of columns.
pub(crate) fn render(all: &[Found], failed: &[(TenantId, Fault)], format: Format, style: &Style) -> String {
    let each = all.iter().flat_map(|found| found.answers.iter().map(|answer| (&found.tenant, answer)));
    let tables: Vec<(&Vec<String>, Vec<Row<'_>>)> = group_by(each, |(_, answer)| &answer.columns)
        .into_iter()
        .map(|(columns, answers)| {
            let rows = answers
                .into_iter()
                .flat_map(|(tenant, answer)| answer.rows.iter().map(move |values| Row { tenant, values }));
            (columns, rows.collect())
        })
        .collect();
    match format {
        Format::Json => json::document(json!({
            "tenants": all.iter().map(|found| json!({ "id": found.tenant, "answers": found.answers })).collect::<Vec<_>>(),
            "failed": failed.iter().map(|(id, error)| json!({ "id": id, "error": error })).collect::<Vec<_>>(),
        })),
        Format::Md => joined(tables.iter().map(|(columns, rows)| sheet(columns, rows).markdown())),
        _ => {
            let count = tables.iter().map(|(_, rows)| rows.len()).sum();
            let total = format!("{} of {}\n", label::count(count, "row"), label::count(all.len(), "tenant"));
            let sheets = tables.iter().map(|(columns, rows)| sheet(columns, rows).table(style));
            joined(sheets.chain([total]))
        }
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join("\n")
}

fn sheet(columns: &[String], rows: &[Row<'_>]) -> Sheet {
    let titles = columns.iter().map(|name| Column::new(name).verbatim().at_least(8));
    let cells = |row: &Row<'_>| -> Vec<Cell> {
        let value = |value: &Option<String>| match value {
            Some(text) => Cell::from(text),
            None => Cell::fixed("NULL").tone(Tone::Dim),
        };
        std::iter::once(Cell::from(row.tenant)).chain(row.values.iter().map(value)).collect()
    };
    Sheet::new(std::iter::once(Column::new("Tenant")).chain(titles)).rows(rows.iter().map(cells))
}

/// The rows as lines of CSV or JSON. `header`: the columns that stand above the last line; others get a header of their
/// own, behind an empty line.
pub(crate) fn lines(all: &[Found], format: Format, header: &mut Vec<String>) -> String {
    let mut out = String::new();
    for Found { tenant, answers } in all {
        for Answer { columns, rows } in answers {
            if format == Format::Jsonl {
                out.extend(rows.iter().map(|row| format!("{}\n", object(tenant, columns, row))));
                continue;
            }
            if header != columns {
                out.push_str(if header.is_empty() { "" } else { "\n" });
                let names = columns.iter().map(|name| Some(name.as_str()));
                out.push_str(&record(std::iter::once(Some("tenant")).chain(names)));
                header.clone_from(columns);
            }
            for row in rows {
                out.push_str(&record(std::iter::once(Some(tenant.as_str())).chain(row.iter().map(Option::as_deref))));
            }
        }
    }
    out
}

fn object(tenant: &TenantId, columns: &[String], row: &[Option<String>]) -> Value {
    let values: Map<String, Value> = columns.iter().cloned().zip(row.iter().map(|value| json!(value))).collect();
    json!({ "tenant": tenant, "row": values })
}

/// A line of CSV (RFC 4180). A library's writer would not tell NULL from an empty text.
fn record<'a>(values: impl Iterator<Item = Option<&'a str>>) -> String {
    let field = |value: Option<&str>| match value {
        None => String::new(),
        Some(text) if text.is_empty() || text.contains([',', '"', '\n', '\r']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Some(text) => text.to_owned(),
    };
    values.map(field).collect::<Vec<_>>().join(",") + "\n"
}

/// The failures, one line for each cause with its tenants.
pub(crate) fn failures(failed: &[(TenantId, Fault)], style: &Style) -> Vec<String> {
    let groups = group_by(failed.iter(), |(tenant, fault)| Cause::of(fault, tenant));
    let line = |(cause, members): (Cause, Vec<&(TenantId, Fault)>)| {
        let names = label::names(members.iter().map(|(tenant, _)| tenant), 60, style);
        let tenants = label::count(members.len(), "tenant");
        format!("{tenants} ({names}): {}; nothing was changed", clean(&cause.text(&cause.message)))
    };
    groups.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_no_empty_text_and_other_columns_get_a_header() {
        let answer = |column: &str, values: &[Option<&str>]| Answer {
            columns: vec![column.to_owned()],
            rows: values.iter().map(|value| vec![value.map(str::to_owned)]).collect(),
        };
        let of = |answers| vec![Found { tenant: TenantId::from("a"), answers }];
        let mut header = Vec::new();
        let first = lines(&of(vec![answer("x", &[None, Some(""), Some("1,\"2\"")])]), Format::Csv, &mut header);
        assert_eq!(first, "tenant,x\na,\na,\"\"\na,\"1,\"\"2\"\"\"\n");
        let more = lines(&of(vec![answer("x", &[Some("2")]), answer("y", &[Some("3")])]), Format::Csv, &mut header);
        assert_eq!(more, "a,2\n\ntenant,y\na,3\n");
        let json = lines(&of(vec![answer("x", &[None])]), Format::Jsonl, &mut header);
        assert_eq!(json, "{\"tenant\":\"a\",\"row\":{\"x\":null}}\n");
    }
}
