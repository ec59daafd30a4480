//! The differences between entities and migrations.

use serde::Serialize;
use serde_json::json;

use super::sheet::{Cell, Column, Sheet};
use super::style::Tone;
use super::{Format, Style, label};
use crate::check::prove::Finding;
use crate::model::tenant::{Engine, TenantId};

/// One engine.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct EngineFindings {
    pub(crate) engine: Engine,
    /// The live tenants whose tables were compared in the place of those of the migrations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tenants: Vec<TenantId>,
    /// The reason why it was not checked.
    pub(crate) could_not: Option<String>,
    /// The differences.
    pub(crate) findings: Vec<Finding>,
}

impl EngineFindings {
    /// Table, column, and both definitions.
    fn rows(&self) -> Vec<[String; 4]> {
        let not_checked = self
            .could_not
            .iter()
            .map(|why| [String::new(), String::new(), String::new(), format!("not checked: {why}")]);
        let found = self
            .findings
            .iter()
            .map(|f| [f.table.clone(), f.column.clone().unwrap_or_default(), f.migrations.clone(), f.entities.clone()]);
        not_checked.chain(found).collect()
    }
}

/// All engines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntitiesView<'a> {
    /// In the order in which they are shown.
    pub(crate) engines: &'a [EngineFindings],
}

impl EntitiesView<'_> {
    /// The text in the form asked for.
    pub(crate) fn render(&self, format: Format, style: &Style) -> String {
        format.write(|| self.text(style), || json!({ "engines": self.engines }), || self.sheet())
    }

    /// An engine that was not checked is a row, too: a table without it would look green.
    fn sheet(&self) -> Sheet {
        let mut sheet = Sheet::new([
            Column::new("Engine"),
            Column::new("Table").at_least(12),
            Column::new("Column").at_least(10),
            Column::new("Migrations").at_least(16),
            Column::new("Entities").at_least(16),
        ]);
        for EngineFindings { engine, could_not, findings, .. } in self.engines.iter().filter(|e| e.tenants.is_empty()) {
            if let Some(why) = could_not {
                let row = [engine.name(), "", "", &format!("not checked: {why}")];
                sheet.row(row.map(|text| Cell::from(text).tone(Tone::Bad)));
            }
            for f in findings {
                let column = f.column.as_deref().unwrap_or_default();
                sheet.row([engine.name(), &f.table, column, &f.migrations, &f.entities].map(Cell::from));
            }
        }
        sheet
    }

    /// The same for live tenants.
    fn live_sheet(&self, style: &Style) -> Sheet {
        let rows = self.engines.iter().filter(|of| !of.tenants.is_empty());
        let rows = rows.flat_map(|of| of.rows().into_iter().map(move |row| (of, row)));
        Sheet::of(rows)
            .column(Column::new("Tenants").at_least(12), |(of, _)| label::names(of.tenants.iter(), 40, style))
            .column("Engine", |(of, _)| of.engine)
            .column(Column::new("Table").at_least(12), |(_, row)| row[0].clone())
            .column(Column::new("Column").at_least(10), |(_, row)| row[1].clone())
            .column(Column::new("Live").at_least(16), |(_, row)| row[2].clone())
            .column(Column::new("Entities").at_least(16), |(_, row)| row[3].clone())
            .sheet()
    }

    fn text(&self, style: &Style) -> String {
        let sheet = self.sheet();
        let mut out = if sheet.is_empty() { String::new() } else { sheet.table(style) + "\n" };
        let live = self.live_sheet(style);
        if !live.is_empty() {
            out.push_str(&(live.table(style) + "\n"));
        }
        for engine in self.engines {
            let said = match (&engine.could_not, engine.findings.len()) {
                (Some(_), _) => "not checked".to_owned(),
                (None, 0) if !engine.tenants.is_empty() => "entities and tables agree".to_owned(),
                (None, 0) => "entities and migrations agree".to_owned(),
                (None, found) => label::count(found, "finding"),
            };
            let live = label::names(engine.tenants.iter(), 40, style);
            let live = if live.is_empty() {
                live
            } else {
                format!(" {} ({live})", label::count(engine.tenants.len(), "tenant"))
            };
            out.push_str(&format!("{}{live}: {said}\n", engine.engine));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_tell_every_engine() {
        let finding = |table: &str, column: Option<&str>, migrations: &str, entities: &str| Finding {
            engine: Engine::Postgres,
            table: table.to_owned(),
            column: column.map(str::to_owned),
            migrations: migrations.to_owned(),
            entities: entities.to_owned(),
        };
        let findings = vec![
            finding("orders", Some("total"), "numeric(12,2)", "bigint"),
            finding("users", None, "a table", "no entity"),
        ];
        let engines = [
            EngineFindings { engine: Engine::Sqlite, tenants: Vec::new(), could_not: None, findings: Vec::new() },
            EngineFindings { engine: Engine::Postgres, tenants: Vec::new(), could_not: None, findings },
            EngineFindings {
                engine: Engine::Mysql,
                tenants: Vec::new(),
                could_not: Some("no scratch server".to_owned()),
                findings: Vec::new(),
            },
        ];
        let view = EntitiesView { engines: &engines };
        insta::assert_snapshot!(view.render(Format::Table, &Style::plain(100)), @r#"
        ENGINE    TABLE   COLUMN  MIGRATIONS                      ENTITIES
        postgres  orders  total   numeric(12,2)                   bigint
        postgres  users           a table                         no entity
        mysql                     not checked: no scratch server

        sqlite: entities and migrations agree
        postgres: 2 findings
        mysql: not checked
        "#);
        insta::assert_snapshot!(view.render(Format::Csv, &Style::plain(100)), @r#"
        engine,table,column,migrations,entities
        postgres,orders,total,"numeric(12,2)",bigint
        postgres,users,,a table,no entity
        mysql,,,not checked: no scratch server,
        "#);
        insta::assert_snapshot!(view.render(Format::Md, &Style::plain(100)), @r#"
        | Engine | Table | Column | Migrations | Entities |
        | --- | --- | --- | --- | --- |
        | postgres | orders | total | numeric(12,2) | bigint |
        | postgres | users |  | a table | no entity |
        | mysql |  |  | not checked: no scratch server |  |
        "#);
        let json: serde_json::Value = serde_json::from_str(&view.render(Format::Json, &Style::plain(100))).unwrap();
        assert_eq!(json["engines"][1]["findings"][0]["column"], "total");
    }
}
