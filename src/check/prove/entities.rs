//! Entities against migrations: the tables that the entities describe, and those that the migrations make.
//!
//! Both are made on scratch databases by the engine itself, so that one spelling is compared with itself. Only tables,
//! columns, their types, NULL and primary keys are compared: SeaORM reads and writes by those.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use super::Bench;
use super::trial::Trial;
use crate::compile::{Entities, Form, MigrationSet};
use crate::engine::dialect;
use crate::model::schema::Direction;
use crate::model::shape::{Column, Shape, Table};
use crate::model::tenant::{Engine, Tenant};

/// A difference between entities and migrations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) engine: Engine,
    pub(crate) table: String,
    /// The column, for a finding about one.
    pub(crate) column: Option<String>,
    /// Its definition according to the migrations.
    pub(crate) migrations: String,
    /// Its definition according to the entities.
    pub(crate) entities: String,
}

/// The tables that the entities describe, made on a scratch database.
///
/// # Errors
/// A text that says what could not be made or read.
pub(crate) async fn described(bench: &Bench, entities: &Entities) -> Result<Shape, String> {
    let described = Arc::new(entities.as_migrations().await.map_err(|e| e.to_string())?);
    let described = head(bench, &described).await;
    described.map_err(|e| format!("what the entities describe could not be made: {e}"))
}

/// The differences of a live tenant's tables, as [`Finding::migrations`]. A table without an entity is none: scripts make such tables.
pub(crate) fn against_live(engine: Engine, live: &Shape, entities: &Shape) -> Vec<Finding> {
    let mut found = compare(engine, live, entities);
    found.retain(|finding| entities.tables.iter().any(|table| table.name == finding.table));
    found
}

/// Applies all migrations to one scratch database and creates the tables that the entities describe in another.
///
/// # Errors
/// A text that says what could not be made or read; nothing was compared then.
pub(crate) async fn entities(bench: &Bench, entities: &Entities) -> Result<Vec<Finding>, String> {
    let (made, described) = tokio::join!(head(bench, &bench.set), described(bench, entities));
    let made = made.map_err(|e| format!("the migrations could not be applied: {e}"))?;
    Ok(compare(bench.place.engine(), &made, &described?))
}

/// The schema after all migrations of a set.
async fn head(bench: &Bench, set: &Arc<MigrationSet>) -> Result<Shape, String> {
    let scripts = set.compile(bench.variant, Direction::Up, 0..set.catalog().migrations.len(), Form::default()).await;
    let work = async |tenant: Arc<Tenant>| {
        let mut trial = Trial::open(set, bench.timeouts, &tenant).await?;
        trial.apply(scripts.iter().cloned().enumerate()).await?;
        let shape = trial.shape().await?;
        trial.close().await;
        Ok(shape)
    };
    let made = bench.place.with((bench.stop)(), &*bench.tell, work).await.map_err(|fault| fault.to_string())?;
    made.unwrap_or_else(|| Err("interrupted".to_owned()))
}

/// The differences between the two, in both directions, sorted by table and column.
pub(crate) fn compare(engine: Engine, migrations: &Shape, entities: &Shape) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |table: &str, column: Option<&str>, migrations: &str, entities: &str| {
        let column = column.map(str::to_owned);
        let (migrations, entities) = (migrations.to_owned(), entities.to_owned());
        found.push(Finding { engine, table: table.to_owned(), column, migrations, entities });
    };
    let names: BTreeSet<&str> = migrations.tables.iter().chain(&entities.tables).map(|t| t.name.as_str()).collect();
    for name in names {
        let of = |shape: &'_ Shape| shape.tables.iter().find(|t| t.name == name).cloned();
        match (of(migrations), of(entities)) {
            (Some(ours), Some(theirs)) => {
                columns(engine, &ours, &theirs, &mut |column, ours, theirs| add(name, Some(column), ours, theirs));
                let key = |table: &Table| table.primary_key.iter().cloned().collect::<BTreeSet<String>>();
                let text = |table: &Table| match table.primary_key.is_empty() {
                    true => "no primary key".to_owned(),
                    false => format!("primary key {}", table.primary_key.join(", ")),
                };
                // The key columns of an entity have no order but that of its fields.
                if key(&ours) != key(&theirs) {
                    add(name, None, &text(&ours), &text(&theirs));
                }
            }
            (Some(_), None) => add(name, None, "a table", "no entity"),
            (None, _) => add(name, None, "no table", "an entity"),
        }
    }
    found
}

fn columns(engine: Engine, ours: &Table, theirs: &Table, add: &mut impl FnMut(&str, &str, &str)) {
    let names: BTreeSet<&str> = ours.columns.iter().chain(&theirs.columns).map(|c| c.name.as_str()).collect();
    for name in names {
        let of = |table: &Table| table.columns.iter().find(|c| c.name == name).cloned();
        match (of(ours), of(theirs)) {
            (Some(a), Some(b)) => {
                if family(engine, &a.kind) != family(engine, &b.kind) {
                    add(name, &a.kind, &b.kind);
                }
                // A key column is never NULL, even where SQLite has no NOT NULL on it.
                let in_key = ours.primary_key.iter().any(|key| key == name);
                if a.nullable != b.nullable && !in_key {
                    add(name, null(&a), null(&b));
                }
            }
            (Some(_), None) => add(name, "a column", "no field"),
            (None, _) => add(name, "no column", "a field"),
        }
    }
}

fn null(column: &Column) -> &'static str {
    if column.nullable { "takes NULL" } else { "not NULL" }
}

/// The type as a program that reads it sees it: lengths, precisions, collations and the several names of text types are
/// ignored. The width of an integer counts, since SeaORM decodes integers strictly; but not on SQLite, where there is
/// only one integer type.
fn family(engine: Engine, kind: &str) -> String {
    let kind = kind.split(" collate ").next().unwrap_or(kind).split(" storage ").next().unwrap_or(kind);
    let mut base = String::new();
    let mut depth = 0_usize;
    for c in kind.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if depth == 0 => base.push(c.to_ascii_lowercase()),
            _ => {}
        }
    }
    let base = base.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = ["character varying", "character", "text", "bpchar", "citext", "varchar", "char"];
    let base = base.as_str();
    // A boolean type takes precedence over its base type.
    let family = match dialect(engine).family(kind, base) {
        Some("boolean") => "boolean",
        _ if text.contains(&base) => "text",
        own => own.unwrap_or(base),
    };
    family.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, columns: &[(&str, &str, bool)], key: &[&str]) -> Table {
        let column = |&(name, kind, nullable): &(&str, &str, bool)| Column {
            name: name.into(),
            kind: kind.into(),
            nullable,
            ..Column::default()
        };
        Table {
            name: name.into(),
            columns: columns.iter().map(column).collect(),
            primary_key: key.iter().map(|k| k.to_string()).collect(),
            ..Table::default()
        }
    }

    fn found(ours: Table, theirs: Table) -> Vec<String> {
        let shape = |table| Shape { tables: vec![table], ..Shape::default() };
        let line = |f: Finding| {
            let column = f.column.map(|c| format!(".{c}")).unwrap_or_default();
            format!("{}{column}: {} / {}", f.table, f.migrations, f.entities)
        };
        compare(Engine::Postgres, &shape(ours), &shape(theirs)).into_iter().map(line).collect()
    }

    #[test]
    fn both_directions_types_null_and_keys_are_compared() {
        let ours = table("t", &[("a", "integer", false), ("b", "text", true), ("c", "numeric(12,2)", true)], &["a"]);
        assert_eq!(found(ours.clone(), ours.clone()), [""; 0]);
        let other = table("t", &[("a", "bigint", false), ("b", "text", false), ("d", "text", true)], &["b", "a"]);
        assert_eq!(
            found(ours.clone(), other),
            [
                "t.a: integer / bigint",
                "t.b: takes NULL / not NULL",
                "t.c: a column / no field",
                "t.d: no column / a field",
                "t: primary key a / primary key b, a",
            ]
        );
        assert_eq!(found(ours, table("u", &[], &[])), ["t: a table / no entity", "u: no table / an entity"]);
    }

    #[test]
    fn a_family_is_what_a_program_reads() {
        use Engine::*;
        for (engine, one, other, same) in [
            (Postgres, "character varying(64)", "text", true),
            (Postgres, "integer", "bigint", false),
            (Postgres, "numeric(12,2)", "numeric(19,4)", true),
            (Postgres, "timestamp with time zone", "timestamp without time zone", false),
            (Postgres, "timestamp(6) with time zone", "timestamp with time zone", true),
            (Postgres, "json", "jsonb", true),
            (Mysql, "tinyint(1)", "tinyint(4)", false),
            (Mysql, "bigint(20) unsigned", "bigint(20)", false),
            (Mysql, "int(11)", "int", true),
            (Mysql, "longtext collate utf8mb4_bin", "varchar(9)", true),
            (Mysql, "binary(16)", "blob", true),
            (Sqlite, "bigint", "integer", true),
            (Sqlite, "uuid_text", "text", false),
        ] {
            assert_eq!(family(engine, one) == family(engine, other), same, "{engine} {one} {other}");
        }
    }
}
