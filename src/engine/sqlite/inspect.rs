//! The shape of an SQLite database: pragmas as tables, and the parts that only the SQL text holds.
//!
//! A table's text alone does not identify it: ALTER TABLE rewrites it, so a column dropped and added again would make
//! it look like another table.

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use crate::engine::inspect::{
    Gathered, count_queries, counted, estimated, literals, only_count, own_tables, refreshed,
};
use crate::engine::queries::{Queries as _, TextRow};
use crate::engine::sqlite::SqliteSession;
use crate::engine::sqlite::inspect_text::{canonical, tokens, written};
use crate::engine::{Inspect, history, literal};
use crate::model::fault::{Fault, FaultClass};
use crate::model::shape::{Column, ForeignKey, Shape, Table, Unique};
use crate::model::tenant::Engine;
use crate::model::text::hex;

/// Tables other than SQLite's own and those of virtual tables.
const OURS: &str = "FROM sqlite_master m JOIN pragma_table_list l ON l.name = m.name AND l.schema = 'main' WHERE m.type = \
                    'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND l.type <> 'shadow'";

/// Numbers of the file's head, which programs give a meaning.
const NUMBERS: &str = "SELECT 'user_version' AS name, CAST(user_version AS text) AS value FROM pragma_user_version UNION ALL SELECT \
                       'application_id', CAST(application_id AS text) FROM pragma_application_id";

/// All queries in one message and one transaction, since another process may be changing the file. The first column of
/// each query is the kind of its rows; all columns are text.
fn queries() -> String {
    let ours = format!("(SELECT m.name AS name {OURS})");
    let all = [
        "BEGIN".to_owned(),
        format!("SELECT 'table', m.name, m.sql, l.type, CAST(l.wr AS text), CAST(l.strict AS text) {OURS}"),
        format!(
            "SELECT 'column', o.name, x.name, lower(x.type), CAST(x.\"notnull\" AS text), x.dflt_value, CAST(x.pk AS text) \
             FROM {ours} o, pragma_table_xinfo(o.name) x ORDER BY o.name, x.cid"
        ),
        format!(
            "SELECT 'primary', o.name, x.name FROM {ours} o, pragma_table_xinfo(o.name) x WHERE x.pk > 0 ORDER BY o.name, x.pk"
        ),
        format!(
            "SELECT 'index', o.name, i.name, i.origin, CAST(i.\"unique\" AS text), CAST(i.partial AS text), (SELECT \
             group_concat(coalesce(x.name, ''), char(10)) FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno) \
             x), m.sql FROM {ours} o, pragma_index_list(o.name) i LEFT JOIN sqlite_master m ON m.type = 'index' AND m.name = \
             i.name"
        ),
        format!(
            "SELECT 'foreign', o.name, CAST(f.id AS text), f.\"table\", f.\"from\", f.\"to\", lower(f.on_delete), \
             lower(f.on_update), lower(f.match) FROM {ours} o, pragma_foreign_key_list(o.name) f ORDER BY o.name, f.id, f.seq"
        ),
        "SELECT 'other', m.type, CASE m.type WHEN 'trigger' THEN m.tbl_name || '.' ELSE '' END || m.name, m.sql FROM \
         sqlite_master m WHERE m.type IN ('view', 'trigger')"
            .to_owned(),
        format!("SELECT 'default', name, value FROM ({NUMBERS})"),
        "COMMIT".to_owned(),
    ];
    all.join(";\n")
}

#[async_trait]
impl Inspect for SqliteSession {
    async fn shape(&mut self) -> Result<Shape, Fault> {
        if self.is_missing() {
            return Ok(Shape::default());
        }
        let rows = self.transaction(queries()).await?;
        Ok(gather(&rows).finish(&self.door.migrations.catalog().history_table))
    }

    async fn table_count(&mut self) -> Result<usize, Fault> {
        if self.is_missing() {
            return Ok(0);
        }
        let own = own_tables(Engine::Sqlite, &self.door.migrations.catalog().history_table);
        let query = format!(
            "SELECT CAST(count(*) AS text) FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual') AND \
             substr(name, 1, 7) <> 'sqlite_' AND name NOT IN ({own})"
        );
        Ok(only_count(&self.rows(query).await?))
    }

    /// Every pragma that [`queries`] asks is SQLite's own reading of these texts.
    async fn shape_text(&mut self) -> Result<Option<String>, Fault> {
        if self.is_missing() {
            return Ok(None);
        }
        let texts = "SELECT type, name, tbl_name, sql FROM sqlite_master";
        let texts = format!("{texts} UNION ALL SELECT '', name, '', value FROM ({NUMBERS}) ORDER BY 1, 2");
        let mut digest = Sha256::new();
        for row in self.rows(texts).await? {
            for column in 0..4 {
                let text = row.text(column).unwrap_or_default();
                digest.update(text.len().to_le_bytes());
                digest.update(text);
            }
        }
        Ok(Some(hex(&digest.finalize())))
    }

    async fn row_counts(&mut self, tables: &[String]) -> Result<Vec<u64>, Fault> {
        if tables.is_empty() {
            return Ok(Vec::new());
        }
        if self.is_missing() {
            return Err(Fault::new(FaultClass::Missing, "the file does not exist, so no table does"));
        }
        let message = format!("BEGIN;\n{}COMMIT", count_queries(Engine::Sqlite, None, tables));
        counted(tables, &self.transaction(message).await?)
    }

    async fn row_estimates(&mut self, tables: &[String]) -> Result<Vec<(String, u64)>, Fault> {
        if self.is_missing() || tables.is_empty() {
            return Ok(Vec::new());
        }
        // A table WITHOUT ROWID would have to be counted, and a virtual one answers as it likes.
        let there = format!(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND wr = 0 AND lower(name) IN ({})",
            literals(Engine::Sqlite, tables)
        );
        let named = |row: &TextRow| {
            let name = row.must(0);
            let (text, table) = (literal(Engine::Sqlite, &name), Engine::Sqlite.quote(&name));
            format!("SELECT {text}, CAST(coalesce(max(_rowid_), 0) AS text) FROM {table};\n")
        };
        let largest: String = self.rows(there).await?.iter().map(named).collect();
        if largest.is_empty() { Ok(Vec::new()) } else { Ok(estimated(&self.rows(largest).await?)) }
    }

    async fn refreshes(&mut self) -> Result<Vec<(String, i64)>, Fault> {
        if self.connection.is_none() || !self.has_table(history::REFRESHES).await? {
            return Ok(Vec::new());
        }
        Ok(refreshed(self.rows(self.door.books().read_refreshes()).await?))
    }
}

fn gather(rows: &[TextRow]) -> Gathered {
    let mut gathered = Gathered::default();
    // The number of a foreign key is unique within its table only.
    let mut key = None;
    for row in rows {
        match row.must(0).as_str() {
            "table" => gathered.add_table(row.must(1)),
            "default" => gathered.defaults.push((row.must(1), row.must(2))),
            "other" => gathered.add_other(&row.must(1), row.must(2), canonical(&tokens(&row.must(3)))),
            _ => {}
        }
        let Some(table) = gathered.table(&row.must(1)) else { continue };
        match row.must(0).as_str() {
            "table" => {
                for (is, option) in [(row.is_true(4), "without rowid"), (row.is_true(5), "strict")] {
                    table.options.extend(is.then(|| option.to_owned()));
                }
                if row.must(3) == "virtual" {
                    table.options.push(canonical(&tokens(&row.must(2))));
                }
            }
            "column" => table.columns.push(Column {
                name: row.must(2),
                kind: row
                    .must(3)
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
                    .replace(" (", "(")
                    .replace(", ", ","),
                nullable: row.must(4) == "0",
                default: row.text(5).map(|default| canonical(&tokens(&default))).filter(|default| default != "null"),
                ..Column::default()
            }),
            "primary" => table.primary_key.push(row.must(2)),
            "index" => index(table, row),
            "foreign" => {
                let this = Some((row.must(1), row.must(2)));
                foreign_key(table, row, key == this);
                key = this;
            }
            _ => {}
        }
    }
    for row in rows.iter().filter(|row| row.must(0) == "table" && row.must(3) == "table") {
        add_written(&mut gathered, &row.must(1), &row.must(2));
    }
    gathered
}

/// The automatic index of a key has a number in its name, and is listed with the key, without that name.
fn index(table: &mut Table, row: &TextRow) {
    let (name, origin, definition) = (row.must(2), row.must(3), row.must(7));
    let columns: Vec<String> = row.must(6).split('\n').map(str::to_owned).collect();
    match origin.as_str() {
        "pk" => {}
        "u" => table.uniques.push(Unique { name: String::new(), columns }),
        _ => {
            // A unique index is not a unique constraint, and can have an order or a collation: it is also listed as an
            // index.
            let is_of_columns = columns.iter().all(|column| !column.is_empty());
            if row.is_true(4) && !row.is_true(5) && is_of_columns {
                table.uniques.push(Unique { name: name.clone(), columns });
            }
            table.indexes.push(format!("{name}: {}", canonical(&tokens(&definition))));
        }
    }
}

/// Adds one row per column of a foreign key, in order.
fn foreign_key(table: &mut Table, row: &TextRow, is_same: bool) {
    if is_same && let Some(key) = table.foreign_keys.last_mut() {
        key.columns.push(row.must(4));
        key.to_columns.extend(row.text(5));
        return;
    }
    table.foreign_keys.push(ForeignKey {
        name: String::new(),
        columns: vec![row.must(4)],
        to_table: row.must(3),
        // Without columns, it refers to the primary key.
        to_columns: row.text(5).into_iter().collect(),
        on_delete: row.must(6),
        on_update: row.must(7),
    });
    if row.must(8) != "none" {
        table.options.push(format!("foreign key {} matches {}", row.must(4), row.must(8)));
    }
}

fn add_written(gathered: &mut Gathered, name: &str, sql: &str) {
    let Some(table) = gathered.table(name) else { return };
    let written = written(sql);
    table.checks.extend(written.checks);
    table.options.extend(written.clauses);
    for (name, collation) in written.collations {
        if let Some(column) = table.columns.iter_mut().find(|c| c.name.eq_ignore_ascii_case(&name)) {
            column.kind.push_str(&format!(" collate {collation}"));
        }
    }
    for (name, how) in written.generated {
        if let Some(column) = table.columns.iter_mut().find(|c| c.name.eq_ignore_ascii_case(&name)) {
            column.generated = Some(how);
        }
    }
}
