//! Changes of all rows of a table, which become batches where the text proves that this ends, that it leaves no row out, and
//! that no row depends on another one.

use std::collections::BTreeSet;

use sqlparser::ast::{
    BinaryOperator, Delete, Expr, FromTable, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName, Statement,
    TableFactor, Update, Value,
};
use sqlparser::parser::Parser;

use super::Rewritten;
use crate::compile::folder::batches;
use crate::model::engine::Engine;
use crate::sql::dialect::syntax;
use crate::sql::lex::{self, Kind};
use crate::sql::{directive, first_words};

/// The rows of a batch.
const ROWS: u32 = 5_000;

/// Functions whose result follows from their arguments.
const PLAIN: [&str; 16] = [
    "abs",
    "coalesce",
    "concat",
    "concat_ws",
    "date",
    "greatest",
    "ifnull",
    "least",
    "left",
    "length",
    "lower",
    "nullif",
    "replace",
    "right",
    "round",
    "upper",
];

/// Words that stand for themselves: no value, and the clock of MySQL.
const NO_COLUMNS: [&str; 4] = ["default", "utc_date", "utc_time", "utc_timestamp"];

/// The relations of which more is known than their names.
#[derive(Clone, Copy)]
pub(super) struct Relations<'a> {
    /// The tables that the script makes, by their names as the engine folds them.
    pub(super) new: &'a BTreeSet<String>,
    /// The names, in lower case, that any migration makes a view of.
    pub(super) views: &'a BTreeSet<String>,
}

/// An `UPDATE` or `DELETE` of all rows; `None` for any other statement, for one of some rows, and for a table that is new.
pub(super) fn of_all_rows(engine: Engine, sql: &str, relations: Relations<'_>) -> Option<Rewritten> {
    let verb = first_words(engine, sql).next()?;
    if !["update", "delete"].contains(&verb.as_str()) || directive(sql).is_some() {
        return None;
    }
    let parsed = Parser::parse_sql(batches::DIALECTS[engine], sql).ok()?;
    let [parsed] = parsed.as_slice() else { return None };
    let name = table(parsed)?.0.last().and_then(|part| part.as_ident());
    if name.is_some_and(|name| {
        let keeps_case = name.quote_style.is_some() && syntax(engine).lexis().folds_names;
        relations.new.contains(&if keeps_case { name.value.clone() } else { name.value.to_lowercase() })
    }) {
        return None;
    }
    let is_view = name.is_some_and(|name| relations.views.contains(&name.value.to_lowercase()));
    let why = match parsed {
        Statement::Update(update) => match extent(update) {
            Extent::Some => return None,
            Extent::All => {
                "nothing in it tells the rows that are done from the others; ask for a column that it sets and that IS NULL"
            }
            // Nor does every server take a limit there.
            Extent::Empty if is_view => {
                "it goes through a view, whose rows have no place of their own by which a batch finds them"
            }
            Extent::Empty => match backfill(engine, sql, (parsed, update)) {
                Ok(sql) => return Some(Rewritten::Into(vec![sql])),
                Err(why) => why,
            },
        },
        Statement::Delete(delete) if delete.selection.as_ref().is_none_or(is_always) && delete.limit.is_none() => {
            "a row may have to go together with one that refers to it; where none does, `-- fleet: batch=ROWS` before it parts it"
        }
        _ => return None,
    };
    Some(Rewritten::Kept(format!("it changes all rows in one statement: {why}")))
}

fn table(parsed: &Statement) -> Option<&ObjectName> {
    let from = match parsed {
        Statement::Update(update) => &update.table,
        Statement::Delete(Delete { from: FromTable::WithFromKeyword(from), .. }) => from.first()?,
        _ => return None,
    };
    match &from.relation {
        TableFactor::Table { name, .. } => Some(name),
        _ => None,
    }
}

/// The rows that an `UPDATE` takes.
enum Extent {
    /// Those that a limit or a value leaves.
    Some,
    /// Those in which a column that it sets is NULL.
    Empty,
    All,
}

fn extent(update: &Update) -> Extent {
    if update.limit.is_some() {
        return Extent::Some;
    }
    let Some(condition) = update.selection.as_ref().filter(|condition| !is_always(condition)) else {
        return Extent::All;
    };
    let mut terms = Vec::new();
    parts(condition, &mut terms);
    let sets = |column: &Expr| update.assignments.iter().any(|set| set.target.to_string() == column.to_string());
    let is_empty = |term: &&Expr| matches!(term, Expr::IsNull(column) if sets(column));
    // A condition that asks for a value takes few rows, as far as a text can tell.
    let is_value = |term: &&Expr| matches!(term, Expr::BinaryOp { op: BinaryOperator::Eq, .. } | Expr::In { .. });
    match terms.iter().any(is_empty) && !terms.iter().any(is_value) {
        true => Extent::Empty,
        false => Extent::Some,
    }
}

/// The terms that have to hold all.
fn parts<'a>(condition: &'a Expr, all: &mut Vec<&'a Expr>) {
    match condition {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            parts(left, all);
            parts(right, all);
        }
        Expr::Nested(inner) => parts(inner, all),
        other => all.push(other),
    }
}

/// Whether a condition holds for every row: `true`, `1`, `1 = 1`.
fn is_always(condition: &Expr) -> bool {
    match condition {
        Expr::Nested(inner) => is_always(inner),
        Expr::Value(value) => matches!(&value.value, Value::Boolean(true)) || value.to_string() == "1",
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            matches!((&**left, &**right), (Expr::Value(a), Expr::Value(b)) if a.value == b.value)
        }
        _ => false,
    }
}

/// The batches of an `UPDATE` that gives a value to a column wherever it has none.
fn backfill(engine: Engine, sql: &str, (parsed, update): (&Statement, &Update)) -> Result<String, &'static str> {
    let values = || update.assignments.iter().map(|set| &set.value);
    if !values().chain(&update.selection).all(is_of_the_row) {
        return Err("a value that is not made of literals and of the row's own columns may differ between two batches");
    }
    // A row whose new value is NULL is left out, and with it what else it would be set to.
    let is_literal = |value: &Expr| matches!(value, Expr::Value(value) if !matches!(value.value, Value::Null));
    if update.assignments.len() > 1 && !values().all(is_literal) {
        return Err("it sets several columns, and a row is left out where one of the new values is NULL");
    }
    let code: Vec<lex::Token> = lex::tokens(engine, sql).filter(|token| token.kind != Kind::Space).collect();
    let head = code.iter().take_while(|token| token.kind == Kind::Comment).count();
    let tail = code.iter().rev().take_while(|token| token.kind == Kind::Comment).count();
    let is_hint = |token: &lex::Token| matches!(token.kind, Kind::Comment | Kind::Executable);
    if code[head..code.len() - tail].iter().any(is_hint) {
        return Err("a comment within it may be a hint for the server");
    }
    batches::of_parsed(engine, (sql, parsed), ROWS)
}

/// Whether a text may stand for the present time: <https://www.postgresql.org/docs/current/datatype-datetime.html>, 8.5.1.4.
fn is_of_the_clock(value: &Value) -> bool {
    let Some(text) = value.clone().into_string() else { return false };
    let mut words = text.split(|c: char| !c.is_ascii_alphabetic());
    words.any(|word| ["now", "today", "tomorrow", "yesterday"].iter().any(|clock| word.eq_ignore_ascii_case(clock)))
}

/// Whether a value follows from literals and the columns of the row alone, whenever it is asked for.
fn is_of_the_row(value: &Expr) -> bool {
    let all = |values: &[&Expr]| values.iter().all(|value| is_of_the_row(value));
    match value {
        // An @ is a variable of the session.
        Expr::Identifier(name) => {
            name.quote_style.is_some()
                || !(NO_COLUMNS.contains(&&*name.value.to_lowercase()) || name.value.starts_with('@'))
        }
        Expr::CompoundIdentifier(names) => !names.iter().any(|name| name.value.starts_with('@')),
        Expr::Value(value) => !is_of_the_clock(&value.value),
        Expr::TypedString(typed) => !is_of_the_clock(&typed.value.value),
        Expr::Nested(of)
        | Expr::UnaryOp { expr: of, .. }
        | Expr::Cast { expr: of, .. }
        | Expr::IsNull(of)
        | Expr::IsNotNull(of)
        | Expr::IsTrue(of)
        | Expr::IsNotTrue(of)
        | Expr::IsFalse(of)
        | Expr::IsNotFalse(of) => is_of_the_row(of),
        Expr::BinaryOp { left, right, .. } => all(&[left, right]),
        Expr::Like { expr, pattern, .. } | Expr::ILike { expr, pattern, .. } => all(&[expr, pattern]),
        Expr::Between { expr, low, high, .. } => all(&[expr, low, high]),
        Expr::Case { operand, conditions, else_result, .. } => {
            operand.iter().chain(else_result).all(|of| is_of_the_row(of))
                && conditions.iter().all(|when| all(&[&when.condition, &when.result]))
        }
        Expr::Trim { trim_what: None, trim_characters: None, expr, .. } => is_of_the_row(expr),
        Expr::Function(call) => {
            let is_plain = call.over.is_none() && call.filter.is_none() && call.within_group.is_empty();
            let FunctionArguments::List(list) = &call.args else { return false };
            let is_argument = |arg: &FunctionArg| matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) if is_of_the_row(value));
            is_plain
                && list.clauses.is_empty()
                && PLAIN.contains(&call.name.to_string().to_lowercase().as_str())
                && list.args.iter().all(is_argument)
        }
        _ => false,
    }
}
