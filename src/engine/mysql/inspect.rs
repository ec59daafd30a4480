//! The shape of a MySQL or MariaDB database: `information_schema` without joins, which are ten times slower there, in one
//! message.
//!
//! It reads what `DATABASE()` holds and nothing else. `CHECK` constraints are in `information_schema` from MySQL 8.0.16 and
//! MariaDB 10.2.22 on; older servers answer with an error, not with less.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Column as _, Row as _};

use super::inspect_others as mysql_others;
use crate::engine::history::HistoryTables;
use crate::engine::inspect::{Gathered, count_queries, counted};
use crate::engine::mysql::flavour::Flavour;
use crate::engine::mysql::{MysqlSession, decode};
use crate::engine::{Inspect, errors};
use crate::model::fault::Fault;
use crate::model::shape::{Column, ForeignKey, Shape, Unique};
use crate::model::tenant::Engine;

/// Each query's first column says what its rows are. Columns that only one of the two engines has are read by name, so
/// those queries ask for all of them.
const QUERIES: [&str; 8] = [
    "SELECT 'server', VERSION(), DATABASE()",
    "SELECT 'table', table_name, table_type, engine, table_collation, create_options, table_comment FROM \
     information_schema.tables WHERE table_schema = DATABASE()",
    "SELECT 'column', c.* FROM information_schema.columns c WHERE c.table_schema = DATABASE() ORDER BY c.table_name, \
     c.ordinal_position",
    "SELECT 'index', s.* FROM information_schema.statistics s WHERE s.table_schema = DATABASE() ORDER BY s.table_name, \
     s.index_name, s.seq_in_index",
    "SELECT 'key', k.constraint_name, k.table_name, k.column_name, k.referenced_table_schema, k.referenced_table_name, \
     k.referenced_column_name FROM information_schema.key_column_usage k WHERE k.table_schema = DATABASE() AND \
     k.referenced_table_name IS NOT NULL ORDER BY k.table_name, k.constraint_name, k.ordinal_position",
    "SELECT 'reference', constraint_name, table_name, delete_rule, update_rule FROM \
     information_schema.referential_constraints WHERE constraint_schema = DATABASE()",
    "SELECT 'constraint', t.* FROM information_schema.table_constraints t WHERE t.table_schema = DATABASE() AND \
     t.constraint_type = 'CHECK'",
    "SELECT 'check', c.* FROM information_schema.check_constraints c WHERE c.constraint_schema = DATABASE()",
];

/// A row, by the names of its columns.
pub(crate) struct Named<'a>(pub(crate) &'a MySqlRow);

impl Named<'_> {
    /// MySQL 8 has the names of its catalog's columns in upper case.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let at = self.0.columns().iter().position(|c| c.name().eq_ignore_ascii_case(name))?;
        decode::text(self.0, at).or_else(|| decode::number(self.0, at).map(|n| n.to_string()))
    }

    pub(crate) fn must(&self, name: &str) -> String {
        self.text(name).unwrap_or_default()
    }
}

async fn read(connection: &mut MySqlConnection, message: String) -> Result<Vec<MySqlRow>, Fault> {
    sqlx::raw_sql(AssertSqlSafe(message)).fetch_all(connection).await.map_err(|e| errors::fault(&e))
}

#[async_trait]
impl Inspect for MysqlSession {
    async fn shape(&mut self) -> Result<Shape, Fault> {
        let history_table = self.door.migrations.catalog().history_table.clone();
        let use_own = self.door.namespace().map(|name| format!("USE {};\n", Engine::Mysql.quote(&name)));
        shape(self.connection()?, &use_own.unwrap_or_default(), &history_table).await
    }

    async fn row_counts(&mut self, tables: &[String]) -> Result<Vec<u64>, Fault> {
        let database = self.door.namespace();
        row_counts(self.connection()?, database.as_deref(), tables).await
    }

    async fn refreshes(&mut self) -> Result<Vec<(String, i64)>, Fault> {
        let rows = self.table_rows(self.door.books().read_refreshes()).await?.unwrap_or_default();
        Ok(rows.iter().filter_map(|row| HistoryTables::refresh([0, 1].map(|i| decode::text(row, i)))).collect())
    }
}

/// `use_own` switches back to the tenant's database, should a migration have switched to another.
async fn shape(connection: &mut MySqlConnection, use_own: &str, history_table: &str) -> Result<Shape, Fault> {
    let queries = QUERIES.iter().chain(&mysql_others::QUERIES).map(|query| format!("{query};\n"));
    let message: String = std::iter::once(use_own.to_owned()).chain(queries).collect();
    let rows = read(&mut *connection, message).await?;
    let mut reading = Reading::default();
    for row in &rows {
        let row = Named(row);
        let kind = decode::text(row.0, 0).unwrap_or_default();
        match kind.as_str() {
            "server" => {
                reading.is_mariadb = Flavour::of(&row.must("VERSION()")) == Flavour::MariaDb;
                reading.database = Engine::Mysql.quote(&row.must("DATABASE()"));
            }
            "table" => reading.table(&row),
            "column" => reading.column(&row),
            "index" => reading.index(&row),
            "key" => reading.key(&row),
            "reference" => reading.reference(&row),
            "constraint" => {
                let enforced = row.text("enforced").filter(|enforced| enforced == "NO");
                reading.checks.insert(row.must("constraint_name"), (row.must("table_name"), enforced.is_none()));
            }
            "check" => reading.check(&row),
            other => mysql_others::add(&mut reading.gathered, other, &row, &reading.database),
        }
    }
    if !reading.sequences.is_empty() {
        let queries = mysql_others::sequence_queries(&reading.sequences);
        let rows = read(connection, queries).await?;
        mysql_others::add_sequences(&mut reading.gathered, &reading.sequences, &rows);
    }
    Ok(reading.gathered.finish(history_table))
}

/// The number of rows of each table.
async fn row_counts(
    connection: &mut MySqlConnection,
    database: Option<&str>,
    tables: &[String],
) -> Result<Vec<u64>, Fault> {
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let rows = read(connection, count_queries(Engine::Mysql, database, tables)).await?;
    counted(tables, rows.iter().map(|row| decode::number(row, 0)))
}

#[derive(Default)]
struct Reading {
    gathered: Gathered,
    is_mariadb: bool,
    /// Quoted.
    database: String,
    collations: HashMap<String, String>,
    /// The table of a CHECK constraint and whether it is enforced, for MySQL, which has that elsewhere than its text.
    checks: HashMap<String, (String, bool)>,
    sequences: Vec<String>,
}

impl Reading {
    fn table(&mut self, row: &Named<'_>) {
        let (name, kind) = (row.must("table_name"), row.must("table_type"));
        match kind.as_str() {
            "BASE TABLE" | "SYSTEM VERSIONED" => {}
            "SEQUENCE" => {
                self.sequences.push(name);
                return;
            }
            _ => return,
        }
        let collation = row.must("table_collation");
        let mut options = vec![format!("engine {}", row.must("engine").to_lowercase()), format!("collate {collation}")];
        for (what, text) in [("options", row.text("create_options")), ("comment", row.text("table_comment"))] {
            options.extend(text.filter(|text| !text.is_empty()).map(|text| format!("{what} {text}")));
        }
        if kind == "SYSTEM VERSIONED" {
            options.push("system versioned".to_owned());
        }
        self.collations.insert(name.clone(), collation);
        self.gathered.add_table(name.clone());
        self.gathered.table(&name).expect("added just above").options = options;
    }

    fn column(&mut self, row: &Named<'_>) {
        let collation = self.collations.get(&row.must("table_name"));
        let own = row.text("collation_name").filter(|own| Some(own) != collation);
        let Some(table) = self.gathered.table(&row.must("table_name")) else { return };
        let mut kind = row.must("column_type").to_lowercase();
        // An ENUM's values are data, not a keyword.
        if kind.starts_with("enum(") || kind.starts_with("set(") {
            kind = row.must("column_type");
        }
        kind.extend(own.map(|own| format!(" collate {own}")));
        let nullable = row.must("is_nullable") == "YES";
        let expression = row.text("generation_expression").filter(|e| !e.is_empty()).map(|e| format!("as ({e})"));
        let extra = row.text("extra").filter(|e| !e.is_empty() && e != "DEFAULT_GENERATED").map(|e| e.to_lowercase());
        let generated: Vec<String> = extra.into_iter().chain(expression).collect();
        table.columns.push(Column {
            name: row.must("column_name"),
            kind,
            nullable,
            // MariaDB prints the default as SQL, so a column without one says NULL; a text of that name has quotes.
            default: row.text("column_default").filter(|d| !(self.is_mariadb && d == "NULL")),
            generated: Some(generated.join(" ")).filter(|g| !g.is_empty()),
            comment: row.text("column_comment").filter(|c| !c.is_empty()),
        });
    }

    /// One row a column of an index, in order.
    fn index(&mut self, row: &Named<'_>) {
        let Some(table) = self.gathered.table(&row.must("table_name")) else { return };
        let name = row.must("index_name");
        let column = row.text("column_name");
        let expression = row.text("expression").map(|e| format!("({e})"));
        let mut part = column.clone().or(expression).unwrap_or_default();
        part.extend(row.text("sub_part").map(|length| format!("({length})")));
        if row.text("collation").as_deref() == Some("D") {
            part.push_str(" desc");
        }
        if name == "PRIMARY" {
            if Some(&part) != column.as_ref() {
                table.options.push(format!("primary key on {part}"));
            }
            table.primary_key.extend(column);
            return;
        }
        let is_unique = row.must("non_unique") == "0";
        let is_plain = Some(&part) == column.as_ref();
        if is_unique && let Some(column) = column.filter(|_| is_plain) {
            match table.uniques.iter_mut().find(|u| u.name == name) {
                Some(unique) => unique.columns.push(column),
                None => table.uniques.push(Unique { name: name.clone(), columns: vec![column] }),
            }
        }
        let mut kind = row.must("index_type").to_lowercase();
        if row.text("ignored").as_deref() == Some("YES") || row.text("is_visible").as_deref() == Some("NO") {
            kind.push_str(" ignored");
        }
        kind.extend(row.text("index_comment").filter(|c| !c.is_empty()).map(|c| format!(" comment {c}")));
        if is_unique && is_plain && kind == "btree" {
            return;
        }
        let head = format!("{name}: {}{kind} (", if is_unique { "unique " } else { "" });
        match table.indexes.iter_mut().find(|index| index.starts_with(&head)) {
            Some(index) => {
                index.truncate(index.len() - 1);
                index.push_str(&format!(", {part})"));
            }
            None => table.indexes.push(format!("{head}{part})")),
        }
    }

    /// One row a column of a foreign key, in order.
    fn key(&mut self, row: &Named<'_>) {
        let Some(table) = self.gathered.table(&row.must("table_name")) else { return };
        let (name, to) = (row.must("constraint_name"), row.must("referenced_table_name"));
        let (column, to_column) = (row.must("column_name"), row.must("referenced_column_name"));
        let schema = Engine::Mysql.quote(&row.must("referenced_table_schema"));
        let to_table = if schema == self.database { to } else { format!("{schema}.{to}") };
        match table.foreign_keys.iter_mut().find(|f| f.name == name) {
            Some(key) => {
                key.columns.push(column);
                key.to_columns.push(to_column);
            }
            None => table.foreign_keys.push(ForeignKey {
                name,
                columns: vec![column],
                to_table,
                to_columns: vec![to_column],
                ..ForeignKey::default()
            }),
        }
    }

    fn reference(&mut self, row: &Named<'_>) {
        let Some(table) = self.gathered.table(&row.must("table_name")) else { return };
        let name = row.must("constraint_name");
        for key in table.foreign_keys.iter_mut().filter(|key| key.name == name) {
            key.on_delete = row.must("delete_rule").to_lowercase();
            key.on_update = row.must("update_rule").to_lowercase();
        }
    }

    fn check(&mut self, row: &Named<'_>) {
        let (name, mut clause) = (row.must("constraint_name"), row.must("check_clause"));
        let known = self.checks.get(&name).cloned();
        if known.as_ref().is_some_and(|(_, enforced)| !enforced) {
            clause.push_str(" not enforced");
        }
        let table = row.text("table_name").or(known.map(|(table, _)| table)).unwrap_or_default();
        if let Some(table) = self.gathered.table(&table) {
            table.checks.push((name, clause));
        }
    }
}
