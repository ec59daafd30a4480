//! A foreign key whose columns have no index. MySQL and MariaDB make one themselves.

use super::{By, Rule, Step};
use crate::check::doctor::Severity;
use crate::model::engine::EngineMap;

pub(super) const RULE: Rule = Rule {
    id: "foreign-key-without-index",
    engines: EngineMap { sqlite: true, postgres: true, mysql: false },
    severity: Severity::Warning,
    why: "Each DELETE, and each UPDATE of the key, of a parent row reads the whole child table to look for references.",
    instead: "create an index that begins with the columns of the foreign key, in the same release",
    bad: "CREATE TABLE items (id integer PRIMARY KEY, order_id integer REFERENCES orders (id))",
    good: "CREATE TABLE items (id integer PRIMARY KEY, order_id integer REFERENCES orders (id));\n\
           CREATE INDEX items_order_id ON items (order_id)",
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    if !step.is_up() {
        return Vec::new();
    }
    step.each(|s| {
        let table = s.target.clone()?;
        let last = step.statements.iter().filter(|later| later.target.as_ref() == Some(&table));
        let name = last.rev().find_map(super::super::Statement::renames_to).unwrap_or_else(|| table.clone());
        let has = |column: &String| {
            [&table, &name].into_iter().any(|table| step.all.indexed.contains(&(table.clone(), column.clone())))
        };
        let lacking: Vec<String> = s.foreign_keys().into_iter().filter(|column| !has(column)).collect();
        (!lacking.is_empty())
            .then(|| format!("a foreign key on {} of {name}, and no index begins with it", lacking.join(", ")))
    })
}
