//! The shape of a PostgreSQL schema: the system catalogs in one message, in one read-only transaction.
//!
//! It runs the queries of `inspect_queries` on the server and assembles the rows.

use async_trait::async_trait;

use super::inspect_queries;
use crate::engine::inspect::{
    Gathered, count_queries, counted, estimated, literals, only_count, own_tables, refreshed, unqualified,
};
use crate::engine::own_tables::OwnTables as _;
use crate::engine::postgres::spelling::one_spelling;
use crate::engine::postgres::{PostgresSession, guards, online};
use crate::engine::provision::MARKED;
use crate::engine::queries::{Queries as _, TextRow};
use crate::engine::{Inspect, TenantEndpoint, literal};
use crate::model::fault::Fault;
use crate::model::shape::{Column, ForeignKey, Shape, Unique};
use crate::model::tenant::Engine;
use crate::sql::spaced;

/// Begins a read-only transaction whose only schema is the tenant's: the first of its own search path, or the one that
/// it names. Definitions are then printed unqualified.
fn prelude(door: &TenantEndpoint) -> String {
    let path = match &door.tenant.schema {
        Some(schema) => format!("SET LOCAL search_path = {};\n", Engine::Postgres.quote(schema)),
        None => "SET LOCAL search_path TO DEFAULT;\nDO $fleet$ BEGIN PERFORM set_config('search_path', \
                 coalesce(quote_ident(current_schema()), ''), true); END $fleet$;\n"
            .to_owned(),
    };
    let settings = guards::local_settings(&door.timeouts).join(";\n");
    format!("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;\n{settings};\n{path}")
}

impl PostgresSession {
    async fn read(&mut self, queries: &str) -> Result<Vec<TextRow>, Fault> {
        self.transaction(format!("{}{queries}COMMIT", prelude(&self.door))).await
    }
}

#[async_trait]
impl Inspect for PostgresSession {
    async fn shape(&mut self) -> Result<Shape, Fault> {
        let (mut gathered, mut here) = (Gathered::default(), None);
        for mut row in self.read(&inspect_queries::all()).await? {
            let expressions: &[usize] = match row.must(0).as_str() {
                "option" if row.must(2) != "comment" => &[3],
                "column" => &[5, 6],
                "constraint" => &[6, 7],
                "index" => &[4],
                "policy" => &[2],
                "other" | "routine" if row.must(1) != "schema comment" => &[3],
                _ => &[],
            };
            expressions.iter().for_each(|&column| row.change(column, one_spelling));
            match row.must(0).as_str() {
                "schema" => here = row.text(1),
                "table" => gathered.add_table(row.must(1)),
                "option" => option(&mut gathered, &row.must(1), format!("{} {}", row.must(2), row.must(3))),
                "policy" => option(&mut gathered, &row.must(1), row.must(2)),
                "statistics" => {
                    let text = unqualified(&row.must(2), here.as_deref().unwrap_or_default());
                    option(&mut gathered, &row.must(1), text);
                }
                "column" => column(&mut gathered, &row),
                "constraint" => constraint(&mut gathered, &row),
                "index" => index(&mut gathered, &row),
                "grant" => {
                    let (kind, schema) = (row.must(1), self.door.tenant.schema.as_deref());
                    // The database of several schemas is none of theirs.
                    if kind != "database" || schema.is_none() {
                        let (database, name) = (row.must(5), row.must(2));
                        let own = schema.unwrap_or(&database);
                        gathered.add_grant((&kind, &name), &row.must(3), &row.must(4), own);
                    }
                }
                // The database of several schemas is none of theirs.
                "database" | "default" if self.door.tenant.schema.is_some() => {}
                "default" => gathered.defaults.push((row.must(1), row.must(2))),
                "routine" => {
                    let definition = with_plain_body(row.must(3), &row.must(6));
                    let definition = unqualified(&definition, here.as_deref().unwrap_or_default());
                    gathered.add_other(&row.must(1), row.must(2), with_notes(definition, row.text(4), row.text(5)));
                }
                // Schemas of one database share its extensions, and the first one says where they are.
                "other" if row.must(1) == "extension" && self.door.tenant.schema.is_some() => {
                    gathered.add_other("extension", row.must(2), String::new());
                }
                // The mark of a schema that is being made.
                "other" if row.must(1) == "schema comment" && row.must(3).starts_with(MARKED) => {}
                _ => gathered.add_other(&row.must(1), row.must(2), with_notes(row.must(3), row.text(4), row.text(5))),
            }
        }
        match here {
            Some(_) => Ok(gathered.finish(&self.door.migrations.catalog().history_table)),
            None if self.door.tenant.create_missing => Ok(Shape::default()),
            None => Err(self.door.no_schema()),
        }
    }

    async fn table_count(&mut self) -> Result<usize, Fault> {
        let own = own_tables(Engine::Postgres, &self.door.migrations.catalog().history_table);
        let here = match &self.door.tenant.schema {
            Some(schema) => literal(Engine::Postgres, schema),
            None => "current_schema()".to_owned(),
        };
        Ok(only_count(&self.rows(inspect_queries::count(&here, &own)).await?))
    }

    async fn row_counts(&mut self, tables: &[String]) -> Result<Vec<u64>, Fault> {
        counted(tables, &self.read(&count_queries(Engine::Postgres, None, tables)).await?)
    }

    async fn row_estimates(&mut self, tables: &[String]) -> Result<Vec<(String, u64)>, Fault> {
        if tables.is_empty() {
            return Ok(Vec::new());
        }
        // A table that was never analysed has -1, before version 14 0; a partitioned one has the sum only once analysed. One without
        // a page has no row.
        let query = format!(
            "SELECT c.relname::text, greatest(c.reltuples, 0)::bigint::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'm') AND (c.reltuples > 0 \
             OR c.relkind <> 'p' AND pg_relation_size(c.oid) = 0) AND \
             lower(c.relname) IN ({});\n",
            literals(Engine::Postgres, tables)
        );
        Ok(estimated(&self.read(&query).await?))
    }

    async fn online_hindrances(&mut self) -> Result<Vec<(String, String)>, Fault> {
        let query =
            format!("{} WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema()))", online::HINDRANCES);
        let query = format!("SELECT name, hindrance FROM ({query}) o WHERE hindrance IS NOT NULL;\n");
        Ok(self.read(&query).await?.iter().filter_map(|row| Some((row.text(0)?, row.text(1)?))).collect())
    }

    async fn refreshes(&mut self) -> Result<Vec<(String, i64)>, Fault> {
        Ok(refreshed(self.table_rows(self.door.books().read_refreshes()).await?.unwrap_or_default()))
    }
}

/// The definition of a routine whose body is SQL or PL/pgSQL, without white space that means nothing there.
fn with_plain_body(definition: String, body: &str) -> String {
    match definition.rfind(&format!("${body}$")) {
        Some(at) if !body.is_empty() => {
            let (before, behind) = (&definition[..=at], &definition[at + 1 + body.len()..]);
            format!("{before}{}{behind}", spaced(Engine::Postgres, body))
        }
        _ => definition,
    }
}

fn with_notes(definition: String, state: Option<String>, comment: Option<String>) -> String {
    let mut all = definition.trim_end().to_owned();
    for (word, text) in [("", state), ("comment ", comment)] {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            all.push_str(&format!("\n{word}{text}"));
        }
    }
    all
}

fn names(joined: Option<String>) -> Vec<String> {
    joined.map(|all| all.split('\n').map(str::to_owned).collect()).unwrap_or_default()
}

fn option(gathered: &mut Gathered, table: &str, text: String) {
    if let Some(table) = gathered.table(table) {
        table.options.push(text);
    }
}

fn column(gathered: &mut Gathered, row: &TextRow) {
    let Some(table) = gathered.table(&row.must(1)) else { return };
    table.columns.push(Column {
        name: row.must(2),
        kind: row.must(3),
        nullable: row.text(4).as_deref() == Some("yes"),
        default: row.text(5),
        generated: row.text(6),
        comment: row.text(7),
    });
}

fn constraint(gathered: &mut Gathered, row: &TextRow) {
    let Some(table) = gathered.table(&row.must(1)) else { return };
    let (name, columns, definition) = (row.must(3), names(row.text(4)), row.must(6));
    let plain = |words: &str| definition == format!("{words} ({})", row.must(5));
    let state = row.text(12).filter(|state| !state.is_empty());
    let whole = || Some([Some(definition.clone()), state.clone()].into_iter().flatten().collect::<Vec<_>>().join(" "));
    let mut note = state.clone();
    match row.must(2).as_str() {
        "p" => {
            if !plain("PRIMARY KEY") || name != format!("{}_pkey", table.name) {
                note = whole();
            }
            table.primary_key = columns;
        }
        "u" => {
            if !plain("UNIQUE") {
                note = whole();
            }
            table.uniques.push(Unique { name: name.clone(), columns });
        }
        "f" => table.foreign_keys.push(ForeignKey {
            name: name.clone(),
            columns,
            to_table: row.must(8),
            to_columns: names(row.text(9)),
            on_delete: action(&row.must(10)),
            on_update: action(&row.must(11)),
        }),
        "c" => table.checks.push((name.clone(), row.must(7))),
        _ => note = whole(),
    }
    if let Some(note) = note {
        table.options.push(format!("constraint {name}: {note}"));
    }
    if let Some(comment) = row.text(13) {
        table.options.push(format!("constraint {name}: comment {comment}"));
    }
}

/// <https://www.postgresql.org/docs/current/catalog-pg-constraint.html>
fn action(letter: &str) -> String {
    let word = match letter {
        "c" => "cascade",
        "r" => "restrict",
        "n" => "set null",
        "d" => "set default",
        _ => "no action",
    };
    word.to_owned()
}

fn index(gathered: &mut Gathered, row: &TextRow) {
    if row.must(2) == "m" {
        gathered.add_other("index", format!("{}.{}", row.must(1), row.must(3)), row.must(4));
        return;
    }
    let Some(table) = gathered.table(&row.must(1)) else { return };
    // A unique index is not a unique constraint, and can have an order or an operator class: it is also listed as an
    // index.
    table.indexes.push(format!("{}: {}", row.must(3), row.must(4)));
    if let Some(columns) = row.text(5) {
        table.uniques.push(Unique { name: row.must(3), columns: names(Some(columns)) });
    }
}
