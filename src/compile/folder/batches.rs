//! `-- fleet: batch=ROWS`: an `UPDATE` or `DELETE` of all rows becomes one of so many, which is repeated until it finds none.
//!
//! Only where the text shows that the repetition ends, and that a row which was changed is not changed again.

use sqlparser::ast::{
    Assignment, AssignmentTarget, BinaryOperator, Delete, Expr, FromTable, FunctionArguments, InTarget, Query, SetExpr,
    Statement, TableFactor, TableWithJoins, Update, Value,
};
use sqlparser::dialect::{Dialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::Parser;

use crate::model::engine::{Engine, EngineMap};
use crate::sql::first_words;
use crate::sql::lex::{self, Kind};

/// The most rows of a batch.
pub(super) const MOST: u32 = 1_000_000;

pub(in crate::compile) static DIALECTS: EngineMap<&(dyn Dialect + Sync)> =
    EngineMap { sqlite: &SQLiteDialect {}, postgres: &PostgreSqlDialect {}, mysql: &MySqlDialect {} };

/// The name under which an engine finds a row again within one statement, and the words around those that are wanted; none
/// where an `UPDATE` takes a limit itself.
const ROW: EngineMap<Option<[&str; 3]>> = EngineMap {
    sqlite: Some(["rowid", "rowid IN (", ")"]),
    postgres: Some(["ctid", "ctid = ANY (ARRAY (", "))"]),
    mysql: None,
};

/// A statement of all its rows, as one of at most `rows` that is repeated; the comments before it stay.
///
/// # Errors
/// The reason why it can't be done in batches.
pub(super) fn in_batches(engine: Engine, sql: &str, rows: u32) -> Result<String, &'static str> {
    let parsed = Parser::parse_sql(DIALECTS[engine], sql).map_err(|_| "the parser does not know it")?;
    let [parsed] = parsed.as_slice() else { return Err("it is not one statement") };
    of_parsed(engine, (sql, parsed), rows)
}

/// The same of a statement that was parsed before.
///
/// # Errors
/// As [`in_batches`].
pub(in crate::compile) fn of_parsed(
    engine: Engine,
    (sql, parsed): (&str, &Statement),
    rows: u32,
) -> Result<String, &'static str> {
    // The parser reads it as an escape in some texts, and would not write it again as it was.
    if sql.contains('\\') {
        return Err("it has a backslash");
    }
    let (change, table, condition) = match parsed {
        Statement::Update(update) => of_update(update)?,
        Statement::Delete(delete) => of_delete(delete)?,
        _ => return Err("it is no UPDATE and no DELETE"),
    };
    let of_rows = match (ROW[engine], &condition) {
        (None, Some(condition)) => format!("{change} WHERE {condition} LIMIT {rows}"),
        (None, None) => format!("{change} LIMIT {rows}"),
        // The condition stands outside as well: partitions have rows of the same place.
        (Some([row, open, close]), Some(condition)) => {
            let some = format!("SELECT {row} FROM {table} WHERE {condition} LIMIT {rows}");
            format!("{change} WHERE ({condition}) AND {open}{some}{close}")
        }
        (Some([row, open, close]), None) => {
            format!("{change} WHERE {open}SELECT {row} FROM {table} LIMIT {rows}{close}")
        }
    };
    let code = lex::tokens(engine, sql).find(|token| !matches!(token.kind, Kind::Space | Kind::Comment));
    let head = code.map_or("", |token| &sql[..token.start]);
    Ok(format!("{head}/* fleet: batch */ {of_rows}"))
}

/// The rows that a repeated statement still has to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) table: String,
    /// The query that counts them.
    pub(crate) count: String,
}

/// How the rows are counted that a repeated statement still has to change; `None` where its text does not show that each row
/// is changed once: a person wrote it.
pub(crate) fn left(engine: Engine, sql: &str) -> Option<Left> {
    let is_one = first_words(engine, sql).next().is_some_and(|verb| ["update", "delete"].contains(&&*verb));
    if !is_one || sql.contains('\\') {
        return None;
    }
    let parsed = Parser::parse_sql(DIALECTS[engine], sql).ok()?;
    let [parsed] = parsed.as_slice() else { return None };
    let (table, selection, limit, sets) = match parsed {
        Statement::Update(Update { table, selection, limit, assignments, from: None, .. }) => {
            (table, selection.as_ref(), limit, Some(assignments))
        }
        Statement::Delete(Delete { from: FromTable::WithFromKeyword(from), selection, limit, using: None, .. }) => {
            (from.first()?, selection.as_ref(), limit, None)
        }
        _ => return None,
    };
    let table = plain_table(table)?;
    let condition = match limit {
        Some(_) => selection,
        None => limited(engine, &table, selection?, sets.is_some())?,
    };
    let mut empty = Vec::new();
    condition.into_iter().for_each(|condition| empty_columns(condition, &mut empty));
    let fills = |set: &Assignment| matches!(&set.target, AssignmentTarget::ColumnName(name) if empty.contains(&name.to_string()));
    let ends = sets.is_none_or(|sets| sets.iter().any(fills));
    let condition = condition.map(|condition| format!(" WHERE {condition}")).unwrap_or_default();
    ends.then(|| Left { count: format!("SELECT count(*) FROM {table}{condition}"), table })
}

/// The condition of the rows of which a subquery takes some; `Some(None)` where that has none.
fn limited<'a>(engine: Engine, table: &str, selection: &'a Expr, is_update: bool) -> Option<Option<&'a Expr>> {
    let (outside, rows) = match selection {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => (Some(&**left), rows_of(right)?),
        rows => (None, rows_of(rows)?),
    };
    let outside = match outside {
        Some(Expr::Nested(inner)) => Some(&**inner),
        other => other,
    };
    let SetExpr::Select(select) = &*rows.body else { return None };
    let [from] = select.from.as_slice() else { return None };
    let inside = select.selection.as_ref();
    let is_its_own = plain_table(from).as_deref() == Some(table) && rows.limit_clause.is_some();
    let row = select.projection.first().map(ToString::to_string);
    // By a key that a person chose, a DELETE takes other rows as well.
    let is_of_rows = is_update || row.as_deref() == ROW[engine].map(|[row, ..]| row);
    (is_its_own && is_of_rows && (outside.is_none() || outside == inside)).then_some(inside)
}

/// The query whose rows a condition takes.
fn rows_of(condition: &Expr) -> Option<&Query> {
    match condition {
        Expr::In { target: InTarget::Subquery(query), negated: false, .. } | Expr::Subquery(query) => Some(query),
        Expr::AnyOp { right: inner, .. } | Expr::Nested(inner) => rows_of(inner),
        Expr::Function(call) => match &call.args {
            FunctionArguments::Subquery(query) => Some(query),
            _ => None,
        },
        _ => None,
    }
}

/// The table of a repeated statement, as it names it.
pub(in crate::compile) fn table_of(engine: Engine, sql: &str) -> Option<String> {
    match Parser::parse_sql(DIALECTS[engine], sql).ok()?.as_slice() {
        [Statement::Update(Update { table, .. })] => plain_table(table),
        _ => None,
    }
}

type Parts = (String, String, Option<String>);

fn of_update(update: &Update) -> Result<Parts, &'static str> {
    let Update { table, assignments, from, selection, returning, or, order_by, limit, .. } = update;
    let is_plain = from.is_none() && returning.is_none() && or.is_none() && order_by.is_empty() && limit.is_none();
    let table = plain_table(table).filter(|_| is_plain).ok_or(NOT_PLAIN)?;
    let condition = selection.as_ref().ok_or(NO_END)?;
    let mut empty = Vec::new();
    empty_columns(condition, &mut empty);
    let ends = assignments.iter().find(|assignment| {
        matches!(&assignment.target, AssignmentTarget::ColumnName(name) if empty.contains(&name.to_string()))
    });
    let Assignment { value, .. } = ends.ok_or(NO_END)?;
    let is_set = matches!(value, Expr::Value(value) if !matches!(value.value, Value::Null));
    // A row whose new value is NULL stays as it is, and would be found again.
    let condition = if is_set { condition.to_string() } else { format!("({condition}) AND ({value}) IS NOT NULL") };
    let sets: Vec<String> = assignments.iter().map(ToString::to_string).collect();
    Ok((format!("UPDATE {table} SET {}", sets.join(", ")), table, Some(condition)))
}

fn of_delete(delete: &Delete) -> Result<Parts, &'static str> {
    let Delete { tables, from, using, selection, returning, order_by, limit, .. } = delete;
    let is_plain =
        tables.is_empty() && using.is_none() && returning.is_none() && order_by.is_empty() && limit.is_none();
    let FromTable::WithFromKeyword(from) = from else { return Err(NOT_PLAIN) };
    let [from] = from.as_slice() else { return Err(NOT_PLAIN) };
    let table = plain_table(from).filter(|_| is_plain).ok_or(NOT_PLAIN)?;
    Ok((format!("DELETE FROM {table}"), table, selection.as_ref().map(ToString::to_string)))
}

const NOT_PLAIN: &str = "it is not of one table alone, without an alias, a join, an order, a limit or RETURNING";

const NO_END: &str =
    "nothing shows that it comes to an end: its WHERE has to ask for a column that it sets and that IS NULL before";

fn plain_table(table: &TableWithJoins) -> Option<String> {
    match &table.relation {
        TableFactor::Table { name, alias: None, .. } if table.joins.is_empty() => Some(name.to_string()),
        _ => None,
    }
}

/// The columns that are NULL in each row of a condition, as it spells them.
fn empty_columns(condition: &Expr, all: &mut Vec<String>) {
    match condition {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            empty_columns(left, all);
            empty_columns(right, all);
        }
        Expr::Nested(inner) => empty_columns(inner, all),
        Expr::IsNull(column) if matches!(**column, Expr::Identifier(_)) => all.push(column.to_string()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rows_become_some_at_a_time() {
        let fill =
            "-- fleet: batch=500\n-- fleet: allow=x why\nUPDATE t SET a = 1, b = b + 1 WHERE a IS NULL AND c > 2";
        let head = "-- fleet: batch=500\n-- fleet: allow=x why\n/* fleet: batch */ ";
        let set = "UPDATE t SET a = 1, b = b + 1 WHERE";
        for (engine, rest) in [
            (Engine::Mysql, format!("{set} a IS NULL AND c > 2 LIMIT 500")),
            (
                Engine::Postgres,
                format!(
                    "{set} (a IS NULL AND c > 2) AND ctid = ANY (ARRAY (SELECT ctid FROM t WHERE a IS NULL AND c > 2 LIMIT 500))"
                ),
            ),
            (
                Engine::Sqlite,
                format!(
                    "{set} (a IS NULL AND c > 2) AND rowid IN (SELECT rowid FROM t WHERE a IS NULL AND c > 2 LIMIT 500)"
                ),
            ),
        ] {
            assert_eq!(in_batches(engine, fill, 500).unwrap(), format!("{head}{rest}"));
        }
        let may_be_empty = in_batches(Engine::Mysql, "UPDATE t SET a = lower(b) WHERE (a IS NULL)", 9).unwrap();
        assert_eq!(
            may_be_empty,
            "/* fleet: batch */ UPDATE t SET a = lower(b) WHERE ((a IS NULL)) AND (lower(b)) IS NOT NULL LIMIT 9"
        );
        let all = in_batches(Engine::Postgres, "DELETE FROM s.t", 9).unwrap();
        assert_eq!(all, "/* fleet: batch */ DELETE FROM s.t WHERE ctid = ANY (ARRAY (SELECT ctid FROM s.t LIMIT 9))");
        let some = in_batches(Engine::Mysql, "DELETE FROM `t` WHERE a < 3", 9).unwrap();
        assert_eq!(some, "/* fleet: batch */ DELETE FROM `t` WHERE a < 3 LIMIT 9");
    }

    #[test]
    fn the_rows_that_are_left_are_counted_by_the_condition_of_a_batch() {
        for engine in [Engine::Sqlite, Engine::Postgres, Engine::Mysql] {
            for (sql, rest) in [
                ("UPDATE t SET a = 1 WHERE a IS NULL AND b > 'LIMIT 1)'", " WHERE a IS NULL AND b > 'LIMIT 1)'"),
                ("UPDATE t SET a = b WHERE a IS NULL", " WHERE (a IS NULL) AND (b) IS NOT NULL"),
                ("DELETE FROM t WHERE b < 3", " WHERE b < 3"),
                ("DELETE FROM t", ""),
            ] {
                let found = left(engine, &in_batches(engine, sql, 9).unwrap()).unwrap();
                let count = format!("SELECT count(*) FROM t{rest}");
                assert_eq!(found, Left { count, table: "t".to_owned() }, "{engine}");
            }
        }
        let by_hand = |sql: &str| left(Engine::Postgres, &format!("/* fleet: batch */ {sql}"));
        let key = "UPDATE t SET a = 1 WHERE id IN (SELECT id FROM t WHERE a IS NULL LIMIT 9)";
        let count = "SELECT count(*) FROM t WHERE a IS NULL".to_owned();
        assert_eq!(by_hand(key), Some(Left { count, table: "t".to_owned() }));
        for sql in [
            "UPDATE t SET n = n - 1 WHERE id IN (SELECT id FROM t WHERE n > 0 LIMIT 9)",
            "UPDATE t SET a = 1 WHERE k = 2 AND id IN (SELECT id FROM t WHERE a IS NULL LIMIT 9)",
            "DELETE FROM t WHERE id IN (SELECT t FROM old LIMIT 9)",
            "DELETE FROM t WHERE id IN (SELECT id FROM t WHERE old LIMIT 9)",
            "INSERT INTO t SELECT a FROM u LIMIT 9",
        ] {
            assert_eq!(by_hand(sql), None, "{sql}");
        }
        assert_eq!(left(Engine::Mysql, "UPDATE t SET n = n - 1 WHERE n > 0 LIMIT 9"), None);
    }

    #[test]
    fn what_may_not_end_or_would_be_done_twice_is_refused() {
        for (sql, why) in [
            ("UPDATE t SET a = a + 1", "comes to an end"),
            ("UPDATE t SET a = a + 1 WHERE a < 9", "comes to an end"),
            ("UPDATE t SET a = 1 WHERE a IS NULL OR b IS NULL", "comes to an end"),
            ("UPDATE t SET a = 1 WHERE b IS NULL", "comes to an end"),
            ("UPDATE t AS x SET a = 1 WHERE a IS NULL", "one table"),
            ("DELETE FROM t USING u WHERE t.a = u.a", "one table"),
            ("INSERT INTO t VALUES (1)", "no UPDATE"),
        ] {
            let found = in_batches(Engine::Postgres, sql, 5).unwrap_err();
            assert!(found.contains(why), "{sql}: {found}");
        }
        assert!(in_batches(Engine::Mysql, "DELETE FROM t WHERE a = 1 LIMIT 5", 5).unwrap_err().contains("a limit"));
        let escaped = in_batches(Engine::Mysql, r"UPDATE t SET a = 'C:\\new' WHERE a IS NULL", 5);
        assert!(escaped.unwrap_err().contains("a backslash"));
        let quoted = in_batches(Engine::Mysql, "UPDATE t SET a = 'it''s' WHERE a IS NULL", 5).unwrap();
        assert!(quoted.contains("SET a = 'it''s' WHERE"), "{quoted}");
    }
}
