//! The SQL scripts behind the migrations: kind, what each is on each engine, and the views they make.
//!
//! Text only; no tenant is asked.

use serde_json::json;

use super::style::{Format, Style, clean};
use super::table::{Column, Table};
use super::{csv_text, json as documents, markdown};
use crate::compile::folder::{SqlPart, SqlScript};
use crate::model::schema::ScriptKind;
use crate::model::tenant::Engine;

const HEADER: [&str; 7] = ["script", "kind", "sqlite", "postgres", "mysql", "down", "view"];

/// The list of scripts.
pub(crate) fn list(scripts: &[SqlScript], format: Format, style: &Style) -> String {
    let rows: Vec<Vec<String>> = scripts.iter().map(row).collect();
    match format {
        Format::Table => {
            if rows.is_empty() {
                return "no SQL scripts: the tenant file names no folder (`scripts`)\n".to_owned();
            }
            // What a narrow terminal can do without goes first: the names stay.
            let expendable = [0, 1, 5, 6, 7, 3, 2];
            let columns: Vec<Column> = HEADER
                .iter()
                .zip(expendable)
                .map(|(h, rank)| match rank {
                    0 => Column::new(h.to_uppercase()),
                    rank => Column::new(h.to_uppercase()).expendable(rank),
                })
                .collect();
            let mut table = Table::new(columns);
            for row in rows {
                table.row(row.into_iter().map(|text| clean(&text).into()));
            }
            table.render(style)
        }
        Format::Json => {
            let one = |s: &SqlScript| json!({ "script": s, "name": s.name, "kind": s.kind });
            documents::document(json!({ "scripts": scripts.iter().map(one).collect::<Vec<_>>() }))
        }
        Format::Csv => csv_text::write(&HEADER, rows.iter().map(|r| r.iter().map(String::as_str))),
        Format::Md => markdown::table(&HEADER, rows),
    }
}

fn row(script: &SqlScript) -> Vec<String> {
    let kind = match script.kind {
        ScriptKind::Versioned => "versioned",
        ScriptKind::Repeatable => "repeatable",
    };
    let cell = |part: Option<&std::sync::Arc<SqlPart>>| match part {
        None => "-".to_owned(),
        Some(part) if !part.mistakes.is_empty() => "unusable".to_owned(),
        Some(part) => {
            let alone = if part.transaction { "" } else { ", no transaction" };
            format!("{}{alone}", super::label::count(part.statements.len(), "statement"))
        }
    };
    let down = Engine::ALL.into_iter().filter(|engine| script.down.get(*engine).is_some()).map(Engine::name);
    let down: Vec<&str> = down.collect();
    let view = script.up.iter().find_map(|(_, part)| part.view.as_ref());
    let mut row = vec![script.name.to_string(), kind.to_owned()];
    row.extend(Engine::ALL.map(|engine| cell(script.up.get(engine))));
    row.push(if down.len() == Engine::ALL.len() { "yes".to_owned() } else { down.join(" ") });
    row.push(view.map(|v| format!("{} ({})", v.name, v.group)).unwrap_or_default());
    row
}
