//! A column gets a type that holds less than the one that the migrations before gave it.

use super::super::{Statement, types};
use super::{ALL, About, By, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "narrowing-column-type",
    engines: ALL,
    severity: Severity::Warning,
    why: "The version of the program that still runs on tenants of later waves, and on this one until it is replaced, writes values that do not \
          fit any more: they are refused, or cut where MySQL's `sql_mode` is not strict. So are rows that are there, which stops the migration \
          on the tenants that have such rows. A table that is built anew narrows its columns like `MODIFY` does; on PostgreSQL \
          `changing-column-type` finds the `ALTER TABLE`. On SQLite a length limits nothing, and a type is narrower where values do not \
          stay as they are written: in a numeric column '007' becomes 7, in a `REAL` one a whole number of more than 15 digits loses \
          the last, and a `STRICT` table refuses every value of another kind.",
    instead: "first release a version that writes values of the new type, and bring the old ones into it in batches; narrow the type in a \
              later release",
    bad: "CREATE TABLE IF NOT EXISTS orders (id int PRIMARY KEY, code varchar(20));\nCREATE TABLE orders_new (id int PRIMARY KEY, code int);\n\
          INSERT INTO orders_new SELECT id, code FROM orders WHERE id > 0;\nDROP TABLE orders;\nALTER TABLE orders_new RENAME TO orders",
    good: "CREATE TABLE IF NOT EXISTS orders (id int PRIMARY KEY, code varchar(20));\nCREATE TABLE orders_new (id int PRIMARY KEY, code varchar(40));\n\
           INSERT INTO orders_new SELECT id, code FROM orders WHERE id > 0;\nDROP TABLE orders;\nALTER TABLE orders_new RENAME TO orders",
    by: By::Tables(look),
};

fn look(step: &Step<'_>) -> Vec<About> {
    if !step.is_up() {
        return Vec::new();
    }
    let modified = step.statements.iter().filter(|s| !s.is_new).map(|s| {
        let table = s.target.clone().unwrap_or_default();
        let columns = step.all.narrowed(&table, types::modified(s), false);
        (s, table, columns)
    });
    let rebuilt = step.statements.iter().flat_map(|s| {
        let narrowed = move |(table, made): (String, &Statement<'_>)| {
            let columns = step.all.narrowed(&table, types::declared(made), made.is_strict());
            (s, table, columns)
        };
        step.rebuilt_by(s).into_iter().map(narrowed)
    });
    let found = modified.chain(rebuilt).filter(|(.., columns)| !columns.is_empty());
    let about = |(s, table, columns): (&Statement<'_>, String, Vec<String>)| {
        let columns = columns.join(", ");
        let what = format!(
            "makes {columns} of {table} narrower, and a program that still runs may write values that do not fit"
        );
        About { statement: s.number, table: Some(table), what }
    };
    found.map(about).collect()
}
