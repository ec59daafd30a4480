//! Rows and tables are changed in one script where each change of a table commits.

use super::{By, MYSQL, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "implicit-commit",
    engines: MYSQL,
    severity: Severity::Info,
    why: "Each DDL statement commits what came before it (https://dev.mysql.com/doc/refman/8.4/en/implicit-commit.html). If a later \
          statement fails, the rows stay changed; the next run goes on behind them, and a rollback finds them.",
    instead: "put the change of rows in a migration of its own",
    bad: "UPDATE users SET plan = 'free' WHERE plan IS NULL;\nALTER TABLE users ADD COLUMN region varchar(9)",
    good: "UPDATE users SET plan = 'free' WHERE plan IS NULL",
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    let is_rows = |s: &super::super::Statement<'_>| {
        !s.is_new && ["insert", "update", "delete", "replace"].contains(&s.verb().as_str())
    };
    let Some(rows) = step.statements.iter().find(|s| is_rows(s)) else { return Vec::new() };
    let Some(ddl) = step.statements[rows.number..].iter().find(|s| s.is_ddl()) else { return Vec::new() };
    let what = format!(
        "the rows that it changes are committed by {} in statement {}",
        ddl.verb().to_uppercase(),
        ddl.number + 1
    );
    vec![(Some(rows.number), what)]
}
