//! The shape of a MySQL or MariaDB database: `information_schema` without joins, which are ten times slower there, in
//! one message.
//!
//! It reads the database `DATABASE()` only. `CHECK` constraints are in `information_schema` from MySQL 8.0.16 and
//! MariaDB 10.2.22 on; older servers answer with an error, not with less.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;

use super::inspect_others;
use crate::engine::Inspect;
use crate::engine::inspect::{
    Gathered, count_queries, counted, estimated, literals, only_count, own_tables, refreshed,
};
use crate::engine::mysql::MysqlSession;
use crate::engine::mysql::flavour::Flavour;
use crate::engine::own_tables::OwnTables as _;
use crate::engine::queries::{Queries as _, TextRow};
use crate::model::fault::Fault;
use crate::model::shape::{Column, ForeignKey, Shape, Unique};
use crate::model::tenant::Engine;

/// The first column of each query is the kind of its rows. Columns that only one of the two products has are read by
/// name, so those queries select all columns.
const QUERIES: [&str; 9] = [
    "SELECT 'server', VERSION(), DATABASE()",
    "SELECT 'default', default_character_set_name, default_collation_name FROM information_schema.schemata WHERE schema_name = \
     DATABASE()",
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

#[async_trait]
impl Inspect for MysqlSession {
    /// Switches back to the tenant's database, in case a migration has switched to another. Defaults of timestamps are read
    /// in one time zone, so that tenants on servers of different zones are equal.
    async fn shape(&mut self) -> Result<Shape, Fault> {
        let begin = self
            .use_own_database()
            .into_iter()
            .chain(["SET @fleet_zone = @@time_zone, time_zone = '+00:00'".to_owned()]);
        let queries = QUERIES
            .iter()
            .chain(&inspect_others::QUERIES)
            .chain(&inspect_others::GRANTS)
            .map(|query| (*query).to_owned());
        let all = begin.chain(queries).chain(["SET time_zone = @fleet_zone".to_owned()]);
        let message = all.collect::<Vec<_>>().join(";\n");
        let mut reading = Reading::default();
        for row in self.rows(message).await? {
            reading.add(&row);
        }
        if !reading.views.is_empty() {
            let rows = self.rows(inspect_others::view_queries(&reading.views)).await?;
            inspect_others::add_algorithms(&mut reading.gathered, &reading.views, &rows);
        }
        if !reading.full_texts.is_empty() {
            let rows = self.rows(inspect_others::table_queries(&reading.full_texts)).await?;
            inspect_others::add_parsers(&mut reading.gathered, &reading.full_texts, &rows);
        }
        if !reading.sequences.is_empty() {
            let rows = self.rows(inspect_others::sequence_queries(&reading.sequences)).await?;
            inspect_others::add_sequences(&mut reading.gathered, &reading.sequences, &rows);
        }
        Ok(reading.gathered.finish(&self.door.migrations.catalog().history_table))
    }

    async fn table_count(&mut self) -> Result<usize, Fault> {
        let query = format!(
            "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type IN \
             ('BASE TABLE', 'SYSTEM VERSIONED') AND table_name NOT IN ({})",
            own_tables(Engine::Mysql, &self.door.migrations.catalog().history_table)
        );
        Ok(only_count(&self.rows(query).await?))
    }

    async fn row_counts(&mut self, tables: &[String]) -> Result<Vec<u64>, Fault> {
        if tables.is_empty() {
            return Ok(Vec::new());
        }
        let database = self.door.namespace();
        counted(tables, &self.rows(count_queries(Engine::Mysql, database.as_deref(), tables)).await?)
    }

    async fn row_estimates(&mut self, tables: &[String]) -> Result<Vec<(String, u64)>, Fault> {
        if tables.is_empty() {
            return Ok(Vec::new());
        }
        let query = format!(
            "SELECT table_name, CAST(table_rows AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE() AND \
             table_type = 'BASE TABLE' AND LOWER(table_name) IN ({})",
            literals(Engine::Mysql, tables)
        );
        Ok(estimated(&self.rows(query).await?))
    }

    async fn online_hindrances(&mut self) -> Result<Vec<(String, String)>, Fault> {
        let query = "SELECT table_name, CONCAT('the full-text index ', MIN(index_name)) FROM information_schema.statistics WHERE table_schema = DATABASE() AND \
                     index_type = 'FULLTEXT' GROUP BY table_name";
        let rows = self.rows(query.to_owned()).await?;
        Ok(rows.iter().filter_map(|row| Some((row.text(0)?, row.text(1)?))).collect())
    }

    async fn refreshes(&mut self) -> Result<Vec<(String, i64)>, Fault> {
        Ok(refreshed(self.table_rows(self.door.books().read_refreshes()).await?.unwrap_or_default()))
    }
}

#[derive(Default)]
struct Reading {
    gathered: Gathered,
    /// Told by the first row.
    flavour: Option<Flavour>,
    database_name: String,
    /// Quoted.
    database: String,
    collations: HashMap<String, String>,
    /// The table of a CHECK constraint and whether it is enforced, for MySQL, which keeps them apart from the
    /// constraint's text.
    checks: HashMap<String, (String, bool)>,
    sequences: Vec<String>,
    /// Tables with an index of full texts, whose parser the catalog lacks.
    full_texts: BTreeSet<String>,
    /// Views of MySQL, whose catalog lacks their algorithm. One whose text this user may not read is left out.
    views: Vec<String>,
}

impl Reading {
    fn add(&mut self, row: &TextRow) {
        match row.must(0).as_str() {
            "server" => {
                self.flavour = Some(Flavour::of(&row.must(1)));
                self.database_name = row.must(2);
                self.database = Engine::Mysql.quote(&self.database_name);
            }
            "default" => {
                let names = ["character set", "collation"];
                self.gathered
                    .defaults
                    .extend(names.into_iter().zip(1..).map(|(name, at)| (name.to_owned(), row.must(at))));
            }
            "table" => self.table(row),
            "column" => self.column(row),
            "index" => self.index(row),
            "key" => self.key(row),
            "reference" => self.reference(row),
            "constraint" => {
                let enforced = row.named("enforced").filter(|enforced| enforced == "NO");
                let constraint = (row.must_named("table_name"), enforced.is_none());
                self.checks.insert(row.must_named("constraint_name"), constraint);
            }
            "check" => self.check(row),
            "grant" => {
                let (kind, name) = (row.must(1), row.must(2));
                self.gathered.add_grant((&kind, &name), &row.must(3), &row.must(4), &self.database_name);
            }
            "view" => {
                let is_told = row.named("algorithm").is_some() || row.must_named("view_definition").is_empty();
                self.views.extend((!is_told).then(|| row.must_named("table_name")));
                inspect_others::add(&mut self.gathered, "view", row, &self.database);
            }
            other => inspect_others::add(&mut self.gathered, other, row, &self.database),
        }
    }

    fn table(&mut self, row: &TextRow) {
        let (name, kind) = (row.must_named("table_name"), row.must_named("table_type"));
        match kind.as_str() {
            "BASE TABLE" | "SYSTEM VERSIONED" => {}
            "SEQUENCE" => {
                self.sequences.push(name);
                return;
            }
            _ => return,
        }
        let collation = row.must_named("table_collation");
        let mut options =
            vec![format!("engine {}", row.must_named("engine").to_lowercase()), format!("collate {collation}")];
        for (what, text) in [("options", row.named("create_options")), ("comment", row.named("table_comment"))] {
            options.extend(text.filter(|text| !text.is_empty()).map(|text| format!("{what} {text}")));
        }
        if kind == "SYSTEM VERSIONED" {
            options.push("system versioned".to_owned());
        }
        self.collations.insert(name.clone(), collation);
        self.gathered.add_table(name.clone());
        self.gathered.table(&name).expect("added just above").options = options;
    }

    fn column(&mut self, row: &TextRow) {
        let collation = self.collations.get(&row.must_named("table_name"));
        let own = row.named("collation_name").filter(|own| Some(own) != collation);
        let Some(flavour) = self.flavour else { return };
        let Some(table) = self.gathered.table(&row.must_named("table_name")) else { return };
        let mut kind = row.must_named("column_type").to_lowercase();
        // The values of an ENUM are data, not keywords.
        if kind.starts_with("enum(") || kind.starts_with("set(") {
            kind = row.must_named("column_type");
        }
        kind.extend(own.map(|own| format!(" collate {own}")));
        kind.extend(row.named("srs_id").map(|srid| format!(" srid {srid}")));
        let nullable = row.must_named("is_nullable") == "YES";
        let expression = row.named("generation_expression").filter(|e| !e.is_empty());
        let expression = expression.map(|e| format!("as ({})", flavour.expression(e)));
        let extra = row.named("extra").unwrap_or_default();
        // A time's default can't be a text that looks like an expression.
        let is_expression =
            extra.starts_with("DEFAULT_GENERATED") && !kind.starts_with("timestamp") && !kind.starts_with("datetime");
        let default = row.named("column_default").map(|text| if is_expression { format!("({text})") } else { text });
        let extra = Some(extra).filter(|e| !e.is_empty() && e != "DEFAULT_GENERATED").map(|e| e.to_lowercase());
        let generated: Vec<String> = extra.into_iter().chain(expression).collect();
        table.columns.push(Column {
            name: row.must_named("column_name"),
            kind,
            nullable,
            // MariaDB prints the default as SQL, so a column without one says NULL; a text of that name has quotes.
            default: default.filter(|d| !(flavour.writes_null_defaults() && d == "NULL")),
            generated: Some(generated.join(" ")).filter(|g| !g.is_empty()),
            comment: row.named("column_comment").filter(|c| !c.is_empty()),
        });
    }

    /// Adds one row per column of an index, in order.
    fn index(&mut self, row: &TextRow) {
        if row.must_named("index_type") == "FULLTEXT" {
            self.full_texts.insert(row.must_named("table_name"));
        }
        let Some(table) = self.gathered.table(&row.must_named("table_name")) else { return };
        let name = row.must_named("index_name");
        let column = row.named("column_name");
        let expression = row.named("expression").map(|e| format!("({e})"));
        let mut part = column.clone().or(expression).unwrap_or_default();
        part.extend(row.named("sub_part").map(|length| format!("({length})")));
        if row.named("collation").as_deref() == Some("D") {
            part.push_str(" desc");
        }
        if name == "PRIMARY" {
            if Some(&part) != column.as_ref() {
                table.options.push(format!("primary key on {part}"));
            }
            table.primary_key.extend(column);
            return;
        }
        let is_unique = row.must_named("non_unique") == "0";
        let is_plain = Some(&part) == column.as_ref();
        let mut kind = row.must_named("index_type").to_lowercase();
        if row.named("ignored").as_deref() == Some("YES") {
            kind.push_str(" ignored");
        }
        if row.named("is_visible").as_deref() == Some("NO") {
            kind.push_str(" invisible");
        }
        kind.extend(row.named("index_comment").filter(|c| !c.is_empty()).map(|c| format!(" comment {c}")));
        let head = format!("{name}: {}{kind} (", if is_unique { "unique " } else { "" });
        let index = table.indexes.iter().position(|index| index.starts_with(&head));
        let unique = table.uniques.iter().position(|unique| unique.name == name);
        let mut before = Vec::new();
        match unique {
            // With an order, a prefix or an expression it is more than a unique constraint, whose columns come first.
            Some(at) if !is_plain => before = table.uniques.remove(at).columns,
            Some(at) => table.uniques[at].columns.push(part.clone()),
            None if is_unique && is_plain && index.is_none() => {
                table.uniques.push(Unique { name: name.clone(), columns: vec![part.clone()] });
            }
            None => {}
        }
        if is_unique && is_plain && index.is_none() && kind == "btree" {
            return;
        }
        match index {
            Some(at) => {
                let index = &mut table.indexes[at];
                index.truncate(index.len() - 1);
                index.push_str(&format!(", {part})"));
            }
            None => {
                before.push(part);
                table.indexes.push(format!("{head}{})", before.join(", ")));
            }
        }
    }

    /// Adds one row per column of a foreign key, in order.
    fn key(&mut self, row: &TextRow) {
        let Some(table) = self.gathered.table(&row.must_named("table_name")) else { return };
        let (name, to) = (row.must_named("constraint_name"), row.must_named("referenced_table_name"));
        let (column, to_column) = (row.must_named("column_name"), row.must_named("referenced_column_name"));
        let schema = Engine::Mysql.quote(&row.must_named("referenced_table_schema"));
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

    fn reference(&mut self, row: &TextRow) {
        let Some(table) = self.gathered.table(&row.must_named("table_name")) else { return };
        let name = row.must_named("constraint_name");
        for key in table.foreign_keys.iter_mut().filter(|key| key.name == name) {
            key.on_delete = row.must_named("delete_rule").to_lowercase();
            key.on_update = row.must_named("update_rule").to_lowercase();
        }
    }

    fn check(&mut self, row: &TextRow) {
        let (name, clause) = (row.must_named("constraint_name"), row.must_named("check_clause"));
        let Some(flavour) = self.flavour else { return };
        let mut clause = flavour.expression(clause);
        let known = self.checks.get(&name).cloned();
        if known.as_ref().is_some_and(|(_, enforced)| !enforced) {
            clause.push_str(" not enforced");
        }
        let table = row.named("table_name").or(known.map(|(table, _)| table)).unwrap_or_default();
        if let Some(table) = self.gathered.table(&table) {
            table.checks.push((name, clause));
        }
    }
}
