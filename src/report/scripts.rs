//! The SQL scripts behind the migrations: kind, what each is on each engine, and the views they make.
//!
//! Text only; no tenant is asked.

use serde_json::json;

use super::sheet::{Cell, Column, Sheet};
use super::{Format, Style};
use crate::compile::folder::{SqlPart, SqlScript};
use crate::model::tenant::Engine;

/// The list of scripts.
pub(crate) fn list(scripts: &[SqlScript], format: Format, style: &Style) -> String {
    let none = || "no SQL scripts: the tenant file names no folder (`scripts`)\n".to_owned();
    let table = || if scripts.is_empty() { none() } else { sheet(scripts).table(style) };
    let fields = |s: &SqlScript| json!({ "script": s, "name": s.name, "kind": s.kind });
    format.write(table, || json!({ "scripts": scripts.iter().map(fields).collect::<Vec<_>>() }), || sheet(scripts))
}

/// The names stay on a narrow terminal; the rest goes by its rank.
fn sheet(scripts: &[SqlScript]) -> Sheet {
    let columns = [("Script", 0), ("Kind", 1), ("SQLite", 5), ("Postgres", 6), ("MySQL", 7), ("Down", 3), ("View", 2)];
    Sheet::new(columns.map(|(title, rank)| Column::new(title).expendable(rank))).rows(scripts.iter().map(row))
}

fn row(script: &SqlScript) -> Vec<Cell> {
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
    let mut row: Vec<Cell> = vec![(&script.name).into(), <&str>::from(script.kind).into()];
    row.extend(Engine::ALL.map(|engine| cell(script.up.get(engine)).into()));
    row.push(if down.len() == Engine::ALL.len() { "yes".into() } else { down.join(" ").into() });
    row.push(view.map(|v| format!("{} ({})", v.name, v.group)).unwrap_or_default().into());
    row
}
