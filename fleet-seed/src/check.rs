//! CHECK constraints as each engine prints them: asked about a row, and read for limits.
//!
//! An expression that is not understood evaluates to unknown and lets every row pass: the engine decides.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use sqlparser::ast::{BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, UnaryOperator};
use sqlparser::ast::{InTarget, Value as Literal};
use sqlparser::dialect::{Dialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

/// A condition on the values of one row.
pub(crate) type Check = Expr;

/// The value of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Number(Decimal),
    Text(String),
    Bool(bool),
    Unknown,
}

/// The range, the list or the length that a column's values must keep to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Limits {
    pub(crate) low: Option<Decimal>,
    pub(crate) high: Option<Decimal>,
    /// Not equal to its limit.
    pub(crate) above: bool,
    pub(crate) below: bool,
    pub(crate) one_of: Option<Vec<String>>,
    pub(crate) shortest: Option<usize>,
    pub(crate) longest: Option<usize>,
}

impl Limits {
    /// The lowest and the highest value in units of the last decimal place, within those of a type.
    pub(crate) fn bounds(&self, scale: u32, (low, high): (i64, i64)) -> (i64, i64) {
        let units = |n: Decimal| n.checked_mul(Decimal::from(10_i64.pow(scale)));
        let least = self.low.and_then(units).and_then(|n| n.ceil().to_i64());
        let most = self.high.and_then(units).and_then(|n| n.floor().to_i64());
        (
            least.map_or(low, |n| n.saturating_add(i64::from(self.above)).max(low)),
            most.map_or(high, |n| n.saturating_sub(i64::from(self.below)).min(high)),
        )
    }
}

/// A CHECK in the dialect of any engine. MySQL's dialect reads `"a"` as a string, so it is tried after PostgreSQL's.
pub(crate) fn parse(text: &str) -> Option<Check> {
    let dialects: [&dyn Dialect; 3] = [&PostgreSqlDialect {}, &MySqlDialect {}, &SQLiteDialect {}];
    dialects.into_iter().find_map(|dialect| {
        let mut parser = Parser::new(dialect).try_with_sql(text).ok()?;
        let found = parser.parse_expr().ok()?;
        (parser.peek_token().token == Token::EOF).then_some(found)
    })
}

/// An expression without parentheses, and without casts and character sets, which change nothing here.
fn bare(expression: &Expr) -> &Expr {
    match expression {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } | Expr::Prefixed { value: inner, .. } => bare(inner),
        other => other,
    }
}

fn column_of(expression: &Expr) -> Option<&str> {
    match bare(expression) {
        Expr::Identifier(ident) => Some(&ident.value),
        Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.as_str()),
        _ => None,
    }
}

/// `x IN (…)` and `x = ANY (ARRAY[…])`: the left side, the list, and whether it is negated.
fn choice(expression: &Expr) -> Option<(&Expr, &[Expr], bool)> {
    match expression {
        Expr::In { expr, target: InTarget::List(list), negated, .. } => Some((expr, list, *negated)),
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => match bare(right) {
            Expr::Array(array) => Some((left, &array.elem, false)),
            _ => None,
        },
        _ => None,
    }
}

/// Parts that must all hold.
pub(crate) fn parts(check: &Check) -> Vec<&Check> {
    match bare(check) {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => [parts(left), parts(right)].concat(),
        // `x IS NULL OR …`: the condition on a value that is not NULL.
        Expr::BinaryOp { left, op: BinaryOperator::Or, right } => match (bare(left), bare(right)) {
            (Expr::IsNull(_), other) | (other, Expr::IsNull(_)) => parts(other),
            _ => vec![bare(check)],
        },
        other => vec![other],
    }
}

/// `column = something computed`: the column and its value.
pub(crate) fn assigned(check: &Check) -> Option<(&str, &Expr)> {
    match check {
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => match bare(right) {
            computed @ Expr::BinaryOp { .. } => Some((column_of(left)?, computed)),
            _ => None,
        },
        _ => None,
    }
}

/// `a <= b`: two columns in their order.
pub(crate) fn ordered(check: &Check) -> Option<(&str, &str)> {
    let Expr::BinaryOp { left, op, right } = check else { return None };
    let (left, right) = (column_of(left)?, column_of(right)?);
    match op {
        BinaryOperator::Lt | BinaryOperator::LtEq => Some((left, right)),
        BinaryOperator::Gt | BinaryOperator::GtEq => Some((right, left)),
        _ => None,
    }
}

/// Narrows the values of the columns.
pub(crate) fn limit(check: &Check, limits: &mut BTreeMap<String, Limits>) {
    for part in parts(check) {
        if let Some((left, list, false)) = choice(part) {
            one_of(left, list, limits);
            continue;
        }
        match part {
            Expr::Between { expr, negated: false, low, high } => {
                compare(expr, &BinaryOperator::GtEq, low, limits);
                compare(expr, &BinaryOperator::LtEq, high, limits);
            }
            Expr::BinaryOp { left, op, right } => match constant(left) {
                Value::Number(_) => compare(right, &turned(op), left, limits),
                _ => compare(left, op, right, limits),
            },
            _ => {}
        }
    }
}

fn turned(operator: &BinaryOperator) -> BinaryOperator {
    match operator {
        BinaryOperator::Lt => BinaryOperator::Gt,
        BinaryOperator::LtEq => BinaryOperator::GtEq,
        BinaryOperator::Gt => BinaryOperator::Lt,
        BinaryOperator::GtEq => BinaryOperator::LtEq,
        other => other.clone(),
    }
}

fn constant(expression: &Expr) -> Value {
    value(expression, &|_| Value::Unknown)
}

fn one_of(left: &Expr, list: &[Expr], limits: &mut BTreeMap<String, Limits>) {
    let Some(name) = column_of(left) else { return };
    let text = |e: &Expr| match constant(e) {
        Value::Text(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    limits.entry(name.to_owned()).or_default().one_of = list.iter().map(text).collect();
}

/// `column <= 5`, `column = 'a'`, `length(column) >= 3`.
fn compare(left: &Expr, operator: &BinaryOperator, right: &Expr, limits: &mut BTreeMap<String, Limits>) {
    let value = constant(right);
    if let (BinaryOperator::Eq, Value::Text(_)) = (operator, &value) {
        return one_of(left, std::slice::from_ref(right), limits);
    }
    let Value::Number(number) = value else { return };
    if let Some(name) = column_of(left) {
        let limits = limits.entry(name.to_owned()).or_default();
        match operator {
            BinaryOperator::Gt => (limits.low, limits.above) = (Some(number), true),
            BinaryOperator::GtEq => (limits.low, limits.above) = (Some(number), false),
            BinaryOperator::Lt => (limits.high, limits.below) = (Some(number), true),
            BinaryOperator::LtEq => (limits.high, limits.below) = (Some(number), false),
            BinaryOperator::Eq => (limits.low, limits.high) = (Some(number), Some(number)),
            _ => {}
        }
    } else if let Expr::Function(function) = bare(left)
        && let (name, arguments) = call(function)
        && name.contains("length")
        && let Some(column) = arguments.first().and_then(|argument| column_of(argument))
    {
        let limits = limits.entry(column.to_owned()).or_default();
        let length = number.to_usize().unwrap_or(0);
        match operator {
            BinaryOperator::Gt => limits.shortest = Some(length + 1),
            BinaryOperator::GtEq => limits.shortest = Some(length),
            BinaryOperator::Lt => limits.longest = Some(length.saturating_sub(1)),
            BinaryOperator::LtEq => limits.longest = Some(length),
            BinaryOperator::Eq => (limits.shortest, limits.longest) = (Some(length), Some(length)),
            _ => {}
        }
    }
}

/// The value of an expression in a row whose columns have these values.
pub(crate) fn value(expression: &Expr, column: &dyn Fn(&str) -> Value) -> Value {
    let of = |e: &Expr| value(e, column);
    let expression = bare(expression);
    if let Some(name) = column_of(expression) {
        return column(name);
    }
    if let Some((left, list, negated)) = choice(expression) {
        let found = among(&of(left), list.iter().map(of));
        return if negated { not(&found) } else { found };
    }
    match expression {
        Expr::Value(literal) => written(&literal.value),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => not(&of(expr)),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match of(expr) {
            Value::Number(number) => Value::Number(-number),
            _ => Value::Unknown,
        },
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => match of(inner) {
            Value::Unknown => Value::Unknown,
            found => Value::Bool((found == Value::Null) == matches!(expression, Expr::IsNull(_))),
        },
        Expr::Between { expr, negated, low, high } => {
            let (found, low, high) = (of(expr), of(low), of(high));
            let is_above = binary(&found, &BinaryOperator::GtEq, &low);
            let is_below = binary(&found, &BinaryOperator::LtEq, &high);
            let is_between = binary(&is_above, &BinaryOperator::And, &is_below);
            if *negated { not(&is_between) } else { is_between }
        }
        Expr::BinaryOp { left, op, right } => binary(&of(left), op, &of(right)),
        Expr::Trim { expr, trim_where: None, trim_what: None, trim_characters: None } => called("trim", &[of(expr)]),
        Expr::Function(function) => {
            let (name, arguments) = call(function);
            called(&name, &arguments.into_iter().map(of).collect::<Vec<_>>())
        }
        _ => Value::Unknown,
    }
}

fn written(literal: &Literal) -> Value {
    match literal {
        Literal::Number(text, _) => number(text),
        Literal::SingleQuotedString(text) | Literal::EscapedStringLiteral(text) => Value::Text(text.clone()),
        Literal::Boolean(yes) => Value::Bool(*yes),
        Literal::Null => Value::Null,
        _ => Value::Unknown,
    }
}

/// A number as an engine writes it.
pub(crate) fn number(text: &str) -> Value {
    text.parse().or_else(|_| Decimal::from_scientific(text)).map_or(Value::Unknown, Value::Number)
}

/// A function's name and its arguments.
fn call(function: &Function) -> (String, Vec<&Expr>) {
    let arguments = match &function.args {
        FunctionArguments::List(list) => list.args.as_slice(),
        _ => &[],
    };
    let plain = arguments.iter().filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    (function.name.to_string().to_lowercase(), plain.collect())
}

fn truth(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::Bool(!number.is_zero()),
        Value::Text(_) => Value::Unknown,
        other => other.clone(),
    }
}

fn not(value: &Value) -> Value {
    match truth(value) {
        Value::Bool(yes) => Value::Bool(!yes),
        other => other,
    }
}

fn among(left: &Value, list: impl Iterator<Item = Value>) -> Value {
    let all: Vec<Value> = list.map(|right| binary(left, &BinaryOperator::Eq, &right)).collect();
    let found = [Value::Bool(true), Value::Unknown, Value::Null].into_iter().find(|wanted| all.contains(wanted));
    found.unwrap_or(Value::Bool(false))
}

fn binary(left: &Value, operator: &BinaryOperator, right: &Value) -> Value {
    use Value::{Bool, Null, Number, Text, Unknown};
    if matches!(operator, BinaryOperator::And | BinaryOperator::Or) {
        let ends = *operator == BinaryOperator::Or;
        let (a, b) = (truth(left), truth(right));
        return match (&a, &b) {
            (Bool(x), _) | (_, Bool(x)) if *x == ends => Bool(ends),
            (Unknown, _) | (_, Unknown) => Unknown,
            (Null, _) | (_, Null) => Null,
            _ => Bool(!ends),
        };
    }
    let order = match (left, right) {
        (Unknown, _) | (_, Unknown) => return Unknown,
        (Null, _) | (_, Null) => return Null,
        (Number(a), Number(b)) => {
            let computed = match operator {
                BinaryOperator::Plus => Some(a.checked_add(*b)),
                BinaryOperator::Minus => Some(a.checked_sub(*b)),
                BinaryOperator::Multiply => Some(a.checked_mul(*b)),
                _ => None,
            };
            match computed {
                Some(result) => return result.map_or(Unknown, Number),
                None => a.cmp(b),
            }
        }
        (Text(a), Text(b)) => a.cmp(b),
        (Bool(a), Bool(b)) => a.cmp(b),
        (Bool(a), Number(b)) => Decimal::from(u8::from(*a)).cmp(b),
        _ => return Unknown,
    };
    match operator {
        BinaryOperator::Eq => Bool(order.is_eq()),
        BinaryOperator::NotEq => Bool(order.is_ne()),
        BinaryOperator::Lt => Bool(order.is_lt()),
        BinaryOperator::LtEq => Bool(order.is_le()),
        BinaryOperator::Gt => Bool(order.is_gt()),
        BinaryOperator::GtEq => Bool(order.is_ge()),
        _ => Unknown,
    }
}

fn called(name: &str, arguments: &[Value]) -> Value {
    match (name, arguments) {
        (_, [Value::Null]) => Value::Null,
        ("length" | "char_length" | "character_length" | "octet_length", [Value::Text(text)]) => {
            Value::Number(Decimal::from(text.chars().count()))
        }
        ("lower", [Value::Text(text)]) => Value::Text(text.to_lowercase()),
        ("upper", [Value::Text(text)]) => Value::Text(text.to_uppercase()),
        ("trim" | "btrim", [Value::Text(text)]) => Value::Text(text.trim().to_owned()),
        ("abs", [Value::Number(number)]) => Value::Number(number.abs()),
        ("coalesce" | "ifnull", list) => list.iter().find(|v| **v != Value::Null).cloned().unwrap_or(Value::Null),
        _ => Value::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(check: &str) -> Value {
        let Some(check) = parse(check) else { return Value::Unknown };
        value(&check, &|name| match name {
            "five" => Value::Number(5.into()),
            "word" => Value::Text("abc".into()),
            "nothing" => Value::Null,
            _ => Value::Unknown,
        })
    }

    #[test]
    fn checks_of_all_engines_are_answered() {
        for yes in [
            "((five >= (0)::numeric))",
            "`five` >= 0 and `five` <= 5",
            "five BETWEEN 1 AND 5 AND word <> ''",
            "((word)::text = ANY ((ARRAY['abc'::character varying, 'b'::character varying])::text[]))",
            "`word` in (_utf8mb4'abc','b')",
            "word IN ( 'abc' , 'it''s' )",
            r"`word` in ('it\'s','abc')",
            "(nothing IS NULL) OR (nothing > 3)",
            "char_length((word)::text) = 3",
            "NOT five = 4",
            "five NOT IN (1, 2)",
            "five NOT BETWEEN 6 AND 9",
            "\"t\".\"five\" = 2 + 1.5 * 2",
            "0.1 + 0.2 = 0.3",
            "length(trim(word)) > -1",
            "[five] == 5 AND word GLOB 'a*' OR true",
        ] {
            assert_eq!(holds(yes), Value::Bool(true), "{yes}");
        }
        for no in ["five < 5", "word = ANY (ARRAY['x'::text])", "(nothing IS NOT NULL) OR five = 4", "not (five=5)"] {
            assert_eq!(holds(no), Value::Bool(false), "{no}");
        }
        assert_eq!(holds("nothing > 1"), Value::Null);
        for unknown in ["json_valid(word)", "word ~ '^a'", "", ")(", "word like 'a%'", "five > other"] {
            assert_eq!(holds(unknown), Value::Unknown, "{unknown}");
        }
    }

    #[test]
    fn limits_are_read() {
        let of = |text: &str| parse(text).unwrap();
        let mut limits = BTreeMap::new();
        let all =
            "a >= 5 AND (b > 0 OR b IS NULL) AND 10 >= a AND s IN ('x','y') AND length(t) >= 3 AND c BETWEEN -1 AND 2";
        limit(&of(all), &mut limits);
        limit(&of("((k)::text = ANY ((ARRAY['p'::character varying])::text[]))"), &mut limits);
        assert_eq!(limits["a"].bounds(0, (0, 100)), (5, 10));
        assert_eq!(limits["b"].bounds(2, (0, 100)), (1, 100));
        assert_eq!(limits["c"].bounds(1, (i64::MIN, i64::MAX)), (-10, 20));
        assert_eq!(limits["s"].one_of, Some(vec!["x".into(), "y".into()]));
        assert_eq!(limits["k"].one_of, Some(vec!["p".into()]));
        assert_eq!(limits["t"].shortest, Some(3));
        assert_eq!(ordered(parts(&of("((ends_on >= starts_on))"))[0]), Some(("starts_on", "ends_on")));
        assert_eq!(assigned(&of("total = a * b")).map(|(name, _)| name.to_owned()), Some("total".into()));
    }

    #[test]
    fn an_expression_of_any_depth_ends_no_process() {
        let deep = |n: usize| format!("{}five = 5{}", "(".repeat(n), ")".repeat(n));
        assert_eq!(holds(&deep(20)), Value::Bool(true));
        assert_eq!(holds(&deep(5_000)), Value::Unknown);
    }
}
