//! The shape of a PostgreSQL schema: the system catalogs in one message, in one read-only transaction.
//!
//! It asks the server and puts its answers together; what is asked stands in `postgres_queries`.

use async_trait::async_trait;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Row as _};

use super::inspect_queries as postgres_queries;
use crate::engine::history::HistoryTables;
use crate::engine::inspect::{Gathered, count_queries, counted, unqualified};
use crate::engine::postgres::{PostgresSession, guards};
use crate::engine::{Inspect, TenantEndpoint, errors};
use crate::model::fault::Fault;
use crate::model::shape::{Column, ForeignKey, Shape, Unique};
use crate::model::tenant::Engine;
use crate::policy::Timeouts;

/// Where and how long is read.
struct Place<'a> {
    /// The tenant's schema; without one, the first of its own search path.
    schema: Option<&'a str>,
    timeouts: &'a Timeouts,
}

impl<'a> Place<'a> {
    fn of(door: &'a TenantEndpoint) -> Self {
        Place { schema: door.tenant.schema.as_deref(), timeouts: &door.timeouts }
    }
}

/// Begins a transaction that can't write and whose only schema is the tenant's: its own search path's first one, or the
/// one that it names. Definitions are then printed without it.
fn prelude(place: &Place<'_>) -> String {
    let path = match place.schema {
        Some(schema) => format!("SET LOCAL search_path = {};\n", Engine::Postgres.quote(schema)),
        None => "SET LOCAL search_path TO DEFAULT;\nDO $fleet$ BEGIN PERFORM set_config('search_path', \
                 coalesce(quote_ident(current_schema()), ''), true); END $fleet$;\n"
            .to_owned(),
    };
    let settings = guards::local_settings(place.timeouts).join(";\n");
    format!("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;\n{settings};\n{path}")
}

/// The rows of all queries. An error ends the transaction, too.
async fn read(connection: &mut PgConnection, place: &Place<'_>, queries: &str) -> Result<Vec<PgRow>, Fault> {
    let message = format!("{}{queries}COMMIT", prelude(place));
    let rows = sqlx::raw_sql(AssertSqlSafe(message)).fetch_all(&mut *connection).await;
    if rows.is_err() {
        let _ = sqlx::raw_sql("ROLLBACK").execute(connection).await;
    }
    rows.map_err(|e| errors::fault(&e))
}

#[async_trait]
impl Inspect for PostgresSession {
    async fn shape(&mut self) -> Result<Shape, Fault> {
        self.connection().await?;
        let place = Place::of(&self.door);
        let connection = self.connection.as_mut().expect("made just above");
        match shape(connection, &place, &self.door.migrations.catalog().history_table).await? {
            Some(shape) => Ok(shape),
            None if self.door.tenant.create_missing => Ok(Shape::default()),
            None => Err(self.door.no_schema()),
        }
    }

    async fn row_counts(&mut self, tables: &[String]) -> Result<Vec<u64>, Fault> {
        self.connection().await?;
        let place = Place::of(&self.door);
        let connection = self.connection.as_mut().expect("made just above");
        row_counts(connection, &place, tables).await
    }

    async fn refreshes(&mut self) -> Result<Vec<(String, i64)>, Fault> {
        match self.rows(self.door.books().read_refreshes()).await {
            Ok(rows) => {
                Ok(rows.iter().filter_map(|r| HistoryTables::refresh([0, 1].map(|i| r.try_get(i).ok()))).collect())
            }
            Err(error) => match errors::fault(&error) {
                fault if fault.code.as_deref() == Some("42P01") => Ok(Vec::new()),
                fault => Err(fault),
            },
        }
    }
}

/// The shape of the tenant's schema; `None` where there is no such schema.
async fn shape(connection: &mut PgConnection, place: &Place<'_>, history_table: &str) -> Result<Option<Shape>, Fault> {
    let rows = read(connection, place, &postgres_queries::all()).await?;
    let mut gathered = Gathered::default();
    let mut here = None;
    for row in &rows {
        let text = |i: usize| row.try_get::<Option<String>, _>(i).ok().flatten();
        let must = |i: usize| text(i).unwrap_or_default();
        match must(0).as_str() {
            "schema" => here = text(1),
            "table" => gathered.add_table(must(1)),
            "option" => option(&mut gathered, &must(1), format!("{} {}", must(2), must(3))),
            "policy" => option(&mut gathered, &must(1), must(2)),
            "statistics" => {
                let text = unqualified(&must(2), here.as_deref().unwrap_or_default());
                option(&mut gathered, &must(1), text);
            }
            "column" => column(&mut gathered, row),
            "constraint" => constraint(&mut gathered, row),
            "index" => index(&mut gathered, row),
            "routine" => {
                let definition = unqualified(&must(3), here.as_deref().unwrap_or_default());
                gathered.add_other(&must(1), must(2), with_notes(definition, text(4), text(5)));
            }
            _ => gathered.add_other(&must(1), must(2), with_notes(must(3), text(4), text(5))),
        }
    }
    Ok(here.map(|_| gathered.finish(history_table)))
}

/// The number of rows of each table.
async fn row_counts(connection: &mut PgConnection, place: &Place<'_>, tables: &[String]) -> Result<Vec<u64>, Fault> {
    let rows = read(connection, place, &count_queries(Engine::Postgres, None, tables)).await?;
    counted(tables, rows.iter().map(|row| row.try_get(0).ok()))
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

fn column(gathered: &mut Gathered, row: &PgRow) {
    let text = |i: usize| row.try_get::<Option<String>, _>(i).ok().flatten();
    let Some(table) = gathered.table(&text(1).unwrap_or_default()) else { return };
    table.columns.push(Column {
        name: text(2).unwrap_or_default(),
        kind: text(3).unwrap_or_default(),
        nullable: text(4).as_deref() == Some("yes"),
        default: text(5),
        generated: text(6),
        comment: text(7),
    });
}

fn constraint(gathered: &mut Gathered, row: &PgRow) {
    let text = |i: usize| row.try_get::<Option<String>, _>(i).ok().flatten();
    let must = |i: usize| text(i).unwrap_or_default();
    let Some(table) = gathered.table(&must(1)) else { return };
    let (name, columns, definition) = (must(3), names(text(4)), must(6));
    let plain = |words: &str| definition == format!("{words} ({})", must(5));
    let mut note = text(12).filter(|state| !state.is_empty());
    match must(2).as_str() {
        "p" => {
            if !plain("PRIMARY KEY") || name != format!("{}_pkey", table.name) {
                note = Some(definition);
            }
            table.primary_key = columns;
        }
        "u" => {
            if !plain("UNIQUE") {
                note = Some(definition);
            }
            table.uniques.push(Unique { name: name.clone(), columns });
        }
        "f" => table.foreign_keys.push(ForeignKey {
            name: name.clone(),
            columns,
            to_table: must(8),
            to_columns: names(text(9)),
            on_delete: action(&must(10)),
            on_update: action(&must(11)),
        }),
        "c" => table.checks.push((name.clone(), must(7))),
        _ => note = Some(definition),
    }
    if let Some(note) = note {
        table.options.push(format!("constraint {name}: {note}"));
    }
    if let Some(comment) = text(13) {
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

fn index(gathered: &mut Gathered, row: &PgRow) {
    let text = |i: usize| row.try_get::<Option<String>, _>(i).ok().flatten();
    let must = |i: usize| text(i).unwrap_or_default();
    if must(2) == "m" {
        gathered.add_other("index", format!("{}.{}", must(1), must(3)), must(4));
        return;
    }
    let Some(table) = gathered.table(&must(1)) else { return };
    // A unique index is not a unique constraint, and can have an order or an operator class: it is told as an index, too.
    table.indexes.push(format!("{}: {}", must(3), must(4)));
    if let Some(columns) = text(5) {
        table.uniques.push(Unique { name: must(3), columns: names(Some(columns)) });
    }
}
