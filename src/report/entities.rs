//! The differences between entities and migrations.

use serde::Serialize;
use serde_json::json;

use super::sheet::{Cell, Column, Sheet};
use super::style::Tone;
use super::{Format, Style, label};
use crate::check::prove::Finding;
use crate::model::tenant::Engine;

/// One engine.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct EngineFindings {
    pub(crate) engine: Engine,
    /// The reason why it was not checked.
    pub(crate) could_not: Option<String>,
    /// The differences.
    pub(crate) findings: Vec<Finding>,
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
        for EngineFindings { engine, could_not, findings } in self.engines {
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

    fn text(&self, style: &Style) -> String {
        let sheet = self.sheet();
        let mut out = if sheet.is_empty() { String::new() } else { sheet.table(style) + "\n" };
        for engine in self.engines {
            let said = match (&engine.could_not, engine.findings.len()) {
                (Some(_), _) => "not checked".to_owned(),
                (None, 0) => "entities and migrations agree".to_owned(),
                (None, found) => label::count(found, "finding"),
            };
            out.push_str(&format!("{}: {said}\n", engine.engine));
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
            EngineFindings { engine: Engine::Sqlite, could_not: None, findings: Vec::new() },
            EngineFindings { engine: Engine::Postgres, could_not: None, findings },
            EngineFindings {
                engine: Engine::Mysql,
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
