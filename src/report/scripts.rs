//! The SQL scripts after the migrations: kind, file on each engine, and the views they create.
//!
//! Text only; no tenant is queried.

use serde_json::json;

use super::sheet::{Cell, Column, Sheet};
use super::{Format, Style, label};
use crate::compile::folder::{SqlPart, SqlScript};
use crate::model::engine::{Engine, Variant};

/// The list of scripts.
pub(crate) fn list(scripts: &[SqlScript], format: Format, style: &Style) -> String {
    let none =
        || "no SQL scripts: neither the tenant file (`scripts`) nor `--scripts` names a folder of them\n".to_owned();
    let table = || if scripts.is_empty() { none() } else { sheet(scripts).table(style) };
    let fields = |s: &SqlScript| json!({ "script": s, "name": s.name, "kind": s.kind });
    format.write(table, || json!({ "scripts": scripts.iter().map(fields).collect::<Vec<_>>() }), || sheet(scripts))
}

/// The names stay on a narrow terminal; other columns are dropped by rank.
fn sheet(scripts: &[SqlScript]) -> Sheet {
    let column = |title, rank| Column::new(title).expendable(rank);
    let down = |script: &&SqlScript| {
        let down = Engine::ALL.into_iter().filter(|engine| script.down.get(*engine).is_some()).map(Engine::name);
        let down: Vec<&str> = down.collect();
        let only = script.has_flavours() && script.down.get(Variant::MariaDb).is_some() && !down.contains(&"mysql");
        let mariadb = if only { " mariadb" } else { "" };
        if down.len() == Engine::ALL.len() { "yes".to_owned() } else { format!("{}{mariadb}", down.join(" ")) }
    };
    let view = |script: &&SqlScript| {
        let view = script.up.iter().find_map(|(_, part)| part.view.as_ref());
        Cell::maybe(view.map(|view| format!("{} ({})", view.name, view.group)))
    };
    let mut rows = Sheet::of(scripts)
        .column("Script", |script| &script.name)
        .column(column("Kind", 1), |script| <&str>::from(script.kind));
    for (engine, (title, rank)) in Engine::ALL.into_iter().zip([("SQLite", 5), ("Postgres", 6), ("MySQL", 7)]) {
        rows = rows.column(column(title, rank), |script| on_engine(script.up.get(engine).map(|part| &**part)));
    }
    if scripts.iter().any(SqlScript::has_flavours) {
        let title = column("MariaDB", 8);
        rows = rows.column(title, |script| on_engine(script.up.get(Variant::MariaDb).map(|part| &**part)));
    }
    rows.column(column("Down", 3), down).column(column("View", 2), view).sheet()
}

fn on_engine(part: Option<&SqlPart>) -> String {
    match part {
        None => "-".to_owned(),
        Some(part) if !part.mistakes.is_empty() => "unusable".to_owned(),
        Some(part) => {
            let alone = if part.transaction { "" } else { ", no transaction" };
            format!("{}{alone}", label::count(part.statements.len(), "statement"))
        }
    }
}
