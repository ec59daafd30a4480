//! A column gets a type that holds less than the one that the migrations before gave it.

use super::{By, MYSQL, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "narrowing-column-type",
    engines: MYSQL,
    severity: Severity::Warning,
    why: "The version of the program that still runs on tenants of later waves, and on this one until it is replaced, writes values that do not \
          fit any more: they are refused, or cut where `sql_mode` is not strict. So are rows that are there, which stops the migration on \
          the tenants that have such rows.",
    instead: "first release a version that writes shorter values, and bring the old ones down in batches; narrow the type in a later release",
    bad: "CREATE TABLE IF NOT EXISTS orders (id int, note varchar(200));\nALTER TABLE orders MODIFY note varchar(50)",
    good: "CREATE TABLE IF NOT EXISTS orders (id int, note varchar(200));\nALTER TABLE orders MODIFY note varchar(300)",
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let columns = step.all.narrowed(s);
        (step.is_up() && !s.is_new && !columns.is_empty()).then(|| {
            let columns = columns.join(", ");
            format!("makes {columns} of {} narrower, and a program that still runs may write longer values", s.table())
        })
    })
}
