//! CHECK constraints as each engine prints them: parsed, asked about a row, and read for limits.
//!
//! What it does not understand it calls unknown and lets pass: the engine has the last word.

use std::collections::BTreeMap;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    Column(String),
    Number(f64),
    Text(String),
    Bool(bool),
    Null,
    Binary(Box<Expression>, String, Box<Expression>),
    Not(Box<Expression>),
    IsNull(Box<Expression>, bool),
    In(Box<Expression>, Vec<Expression>),
    Call(String, Vec<Expression>),
    Unknown,
}

/// What an expression comes to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Number(f64),
    Text(String),
    Bool(bool),
    Unknown,
}

/// What a column must be between, one of, or as long as.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Limits {
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
    /// Not equal to its limit.
    pub(super) above: bool,
    pub(super) below: bool,
    pub(super) one_of: Option<Vec<String>>,
    pub(super) shortest: Option<usize>,
    pub(super) longest: Option<usize>,
}

pub(super) fn parse(text: &str) -> Expression {
    let mut parser = Parser { tokens: tokens(text), at: 0 };
    let found = parser.any(0);
    if parser.at < parser.tokens.len() { Expression::Unknown } else { found }
}

fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let start = at;
        let c = chars[at];
        at += 1;
        if c.is_whitespace() {
            continue;
        }
        // MariaDB writes a character set before a text: _utf8mb4'a'.
        if c == '\'' || c == '"' || c == '`' {
            while at < chars.len() {
                if chars[at] == '\\' && chars.get(at + 1) == Some(&c) {
                    // MariaDB prints a quote in a text so.
                    at += 1;
                } else if chars[at] == c {
                    if chars.get(at + 1) == Some(&c) {
                        at += 1;
                    } else {
                        break;
                    }
                }
                at += 1;
            }
            at += 1;
        } else if c.is_alphanumeric() || c == '_' || (c == '.' && chars.get(at).is_some_and(char::is_ascii_digit)) {
            let is_number = c.is_ascii_digit() || c == '.';
            while at < chars.len()
                && (chars[at].is_alphanumeric() || chars[at] == '_' || (is_number && chars[at] == '.'))
            {
                at += 1;
            }
        } else if "<>=!:|".contains(c) {
            while at < chars.len() && "<>=!:|".contains(chars[at]) {
                at += 1;
            }
        }
        found.push(chars[start..at.min(chars.len())].iter().collect());
    }
    found
}

struct Parser {
    tokens: Vec<String>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.peek().eq_ignore_ascii_case(word);
        self.at += usize::from(found);
        found
    }

    /// Binary operators by how strongly they bind.
    fn any(&mut self, least: u8) -> Expression {
        let mut left = self.one();
        loop {
            let operator = self.peek().to_lowercase();
            let strength = match operator.as_str() {
                "or" => 1,
                "and" => 2,
                "=" | "==" | "<>" | "!=" | "<" | "<=" | ">" | ">=" | "is" | "in" | "between" | "not" => 4,
                "+" | "-" => 5,
                "*" | "/" | "%" => 6,
                _ => return left,
            };
            if strength < least {
                return left;
            }
            self.at += 1;
            left = match operator.as_str() {
                "is" => {
                    let not = self.take("not");
                    match self.take("null") {
                        true => Expression::IsNull(Box::new(left), !not),
                        false => {
                            self.one();
                            Expression::Unknown
                        }
                    }
                }
                "not" => {
                    let operator = if self.take("in") {
                        "in"
                    } else if self.take("between") {
                        "between"
                    } else {
                        ""
                    };
                    Expression::Not(Box::new(self.listed(left, operator)))
                }
                "in" | "between" => self.listed(left, &operator),
                _ => {
                    let right = self.any(strength + 1);
                    Expression::Binary(Box::new(left), operator, Box::new(right))
                }
            };
        }
    }

    fn listed(&mut self, left: Expression, operator: &str) -> Expression {
        match operator {
            "in" if self.take("(") => Expression::In(Box::new(left), self.list(")")),
            "between" => {
                let low = self.any(5);
                self.take("and");
                let high = self.any(5);
                let above = Expression::Binary(Box::new(left.clone()), ">=".into(), Box::new(low));
                let below = Expression::Binary(Box::new(left), "<=".into(), Box::new(high));
                Expression::Binary(Box::new(above), "and".into(), Box::new(below))
            }
            _ => Expression::Unknown,
        }
    }

    fn list(&mut self, end: &str) -> Vec<Expression> {
        let mut all = Vec::new();
        while !self.peek().is_empty() && !self.take(end) {
            let before = self.at;
            all.push(self.any(0));
            self.take(",");
            if self.at == before {
                self.at += 1;
            }
        }
        all
    }

    fn one(&mut self) -> Expression {
        let found = self.bare();
        // A cast changes nothing here: `(status)::text`, `'a'::character varying(3)[]`.
        while self.peek() == "::" {
            self.at += 1;
            self.at += 1;
            while ["varying", "precision", "without", "with", "time", "zone"]
                .iter()
                .any(|word| self.peek().eq_ignore_ascii_case(word))
            {
                self.at += 1;
            }
            for (open, close) in [("(", ")"), ("[", "]")] {
                if self.take(open) {
                    while !self.peek().is_empty() && !self.take(close) {
                        self.at += 1;
                    }
                }
            }
        }
        found
    }

    fn bare(&mut self) -> Expression {
        let token = self.peek().to_owned();
        self.at += 1;
        let lower = token.to_lowercase();
        let first = token.chars().next().unwrap_or(' ');
        match lower.as_str() {
            "(" => {
                let inner = self.any(0);
                if self.take(")") { inner } else { Expression::Unknown }
            }
            "not" => Expression::Not(Box::new(self.any(3))),
            "-" => match self.one() {
                Expression::Number(number) => Expression::Number(-number),
                _ => Expression::Unknown,
            },
            "null" => Expression::Null,
            "true" => Expression::Bool(true),
            "false" => Expression::Bool(false),
            "" => Expression::Unknown,
            _ if first == '\'' => Expression::Text(unquoted(&token)),
            _ if first == '"' || first == '`' => self.name(unquoted(&token)),
            _ if first.is_ascii_digit() || first == '.' => {
                token.parse().map_or(Expression::Unknown, Expression::Number)
            }
            _ if lower.starts_with("_utf8") || lower.starts_with("_latin") => self.one(),
            "array" if self.take("[") => Expression::Call("array".into(), self.list("]")),
            // `= ANY (ARRAY[…])`
            "any" if self.take("(") => {
                let list = self.list(")");
                match list.into_iter().next() {
                    Some(Expression::Call(name, list)) if name == "array" => Expression::Call("any".into(), list),
                    _ => Expression::Unknown,
                }
            }
            _ if self.peek() == "(" => {
                self.at += 1;
                Expression::Call(lower, self.list(")"))
            }
            _ if first.is_alphabetic() || first == '_' => self.name(token),
            _ => Expression::Unknown,
        }
    }

    /// The last part of `orders.total`.
    fn name(&mut self, mut name: String) -> Expression {
        while self.take(".") {
            name = unquoted(self.peek());
            self.at += 1;
        }
        Expression::Column(name)
    }
}

fn unquoted(token: &str) -> String {
    let Some(quote) = token.chars().next().filter(|c| ['\'', '"', '`'].contains(c)) else { return token.to_owned() };
    let inner = token.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)).unwrap_or(token);
    inner.replace(&format!("\\{quote}"), &quote.to_string()).replace(&format!("{quote}{quote}"), &quote.to_string())
}

impl Expression {
    /// Parts that must all hold.
    pub(super) fn parts(&self) -> Vec<&Expression> {
        match self {
            Expression::Binary(a, operator, b) if operator == "and" => [a.parts(), b.parts()].concat(),
            // `x IS NULL OR …`: what is asked of a value that is there.
            Expression::Binary(a, operator, b) if operator == "or" => match (&**a, &**b) {
                (Expression::IsNull(_, true), other) | (other, Expression::IsNull(_, true)) => other.parts(),
                _ => vec![self],
            },
            _ => vec![self],
        }
    }

    pub(super) fn value(&self, column: &dyn Fn(&str) -> Value) -> Value {
        match self {
            Expression::Column(name) => column(name),
            Expression::Number(number) => Value::Number(*number),
            Expression::Text(text) => Value::Text(text.clone()),
            Expression::Bool(yes) => Value::Bool(*yes),
            Expression::Null => Value::Null,
            Expression::Unknown => Value::Unknown,
            Expression::Not(inner) => match truth(&inner.value(column)) {
                Value::Bool(yes) => Value::Bool(!yes),
                other => other,
            },
            Expression::IsNull(inner, wanted) => match inner.value(column) {
                Value::Unknown => Value::Unknown,
                value => Value::Bool((value == Value::Null) == *wanted),
            },
            Expression::In(left, list) => among(&left.value(column), list, column),
            Expression::Binary(left, operator, right) => match (&**right, operator.as_str()) {
                (Expression::Call(name, list), "=") if name == "any" => among(&left.value(column), list, column),
                _ => binary(&left.value(column), operator, &right.value(column)),
            },
            Expression::Call(name, list) => called(name, &list.iter().map(|e| e.value(column)).collect::<Vec<_>>()),
        }
    }

    /// `column = something computed`: the column and what it has to be.
    pub(super) fn assigned(&self) -> Option<(&str, &Expression)> {
        let Expression::Binary(left, operator, right) = self else { return None };
        match (&**left, operator.as_str(), &**right) {
            (Expression::Column(name), "=" | "==", computed @ Expression::Binary(..)) => Some((name, computed)),
            _ => None,
        }
    }

    /// `a <= b`: two columns in their order.
    pub(super) fn ordered(&self) -> Option<(&str, &str)> {
        let Expression::Binary(left, operator, right) = self else { return None };
        match (&**left, operator.as_str(), &**right) {
            (Expression::Column(a), "<" | "<=", Expression::Column(b)) => Some((a, b)),
            (Expression::Column(b), ">" | ">=", Expression::Column(a)) => Some((a, b)),
            _ => None,
        }
    }

    /// Narrows what the columns may be.
    pub(super) fn limit(&self, limits: &mut BTreeMap<String, Limits>) {
        for part in self.parts() {
            match part {
                Expression::In(left, list) => one_of(left, list, limits),
                Expression::Binary(left, operator, right) => match (&**left, operator.as_str(), &**right) {
                    (_, "=", Expression::Call(name, list)) if name == "any" => one_of(left, list, limits),
                    (Expression::Column(name), "=", Expression::Text(text)) => {
                        limits.entry(name.clone()).or_default().one_of = Some(vec![text.clone()]);
                    }
                    (Expression::Number(_), _, other) => {
                        let turned: String = operator
                            .chars()
                            .map(|c| {
                                if c == '<' {
                                    '>'
                                } else if c == '>' {
                                    '<'
                                } else {
                                    c
                                }
                            })
                            .collect();
                        compare(other, &turned, left, limits);
                    }
                    _ => compare(left, operator, right, limits),
                },
                _ => {}
            }
        }
    }
}

fn one_of(left: &Expression, list: &[Expression], limits: &mut BTreeMap<String, Limits>) {
    let Expression::Column(name) = left else { return };
    let text = |e: &Expression| match e {
        Expression::Text(text) => Some(text.clone()),
        Expression::Number(number) => Some(number.to_string()),
        _ => None,
    };
    limits.entry(name.clone()).or_default().one_of = list.iter().map(text).collect();
}

/// `column <= 5`, `length(column) >= 3`, `column <> ''`.
fn compare(left: &Expression, operator: &str, right: &Expression, limits: &mut BTreeMap<String, Limits>) {
    match (left, right) {
        (Expression::Column(name), Expression::Number(number)) => {
            let limits = limits.entry(name.clone()).or_default();
            match operator {
                ">" | ">=" => (limits.low, limits.above) = (Some(*number), operator == ">"),
                "<" | "<=" => (limits.high, limits.below) = (Some(*number), operator == "<"),
                "=" => (limits.low, limits.high) = (Some(*number), Some(*number)),
                _ => {}
            }
        }
        (Expression::Call(function, arguments), Expression::Number(number)) if function.contains("length") => {
            let Some(Expression::Column(name)) = arguments.first() else { return };
            let limits = limits.entry(name.clone()).or_default();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a length is small; others are cut"
            )]
            let length = number.clamp(0.0, 1e6) as usize;
            match operator {
                ">" => limits.shortest = Some(length + 1),
                ">=" => limits.shortest = Some(length),
                "<" => limits.longest = Some(length.saturating_sub(1)),
                "<=" => limits.longest = Some(length),
                "=" => (limits.shortest, limits.longest) = (Some(length), Some(length)),
                _ => {}
            }
        }
        _ => {}
    }
}

fn truth(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::Bool(*number != 0.0),
        Value::Text(_) => Value::Unknown,
        other => other.clone(),
    }
}

fn among(left: &Value, list: &[Expression], column: &dyn Fn(&str) -> Value) -> Value {
    let all: Vec<Value> = list.iter().map(|e| binary(left, "=", &e.value(column))).collect();
    let one = |wanted: &Value| all.contains(wanted);
    match () {
        () if one(&Value::Bool(true)) => Value::Bool(true),
        () if one(&Value::Unknown) => Value::Unknown,
        () if one(&Value::Null) => Value::Null,
        () => Value::Bool(false),
    }
}

fn binary(left: &Value, operator: &str, right: &Value) -> Value {
    use Value::{Bool, Null, Number, Text, Unknown};
    if operator == "and" || operator == "or" {
        let ends = operator == "or";
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
        (Number(a), Number(b)) => match operator {
            "+" => return Number(a + b),
            "-" => return Number(a - b),
            "*" => return Number(a * b),
            "/" | "%" => return Unknown,
            _ => a.partial_cmp(b),
        },
        (Text(a), Text(b)) => Some(a.cmp(b)),
        (Bool(a), Bool(b)) => Some(a.cmp(b)),
        (Bool(a), Number(b)) => f64::from(u8::from(*a)).partial_cmp(b),
        _ => None,
    };
    let Some(order) = order else { return Unknown };
    match operator {
        "=" | "==" => Bool(order.is_eq()),
        "<>" | "!=" => Bool(order.is_ne()),
        "<" => Bool(order.is_lt()),
        "<=" => Bool(order.is_le()),
        ">" => Bool(order.is_gt()),
        ">=" => Bool(order.is_ge()),
        _ => Unknown,
    }
}

fn called(name: &str, arguments: &[Value]) -> Value {
    match (name, arguments) {
        (_, [Value::Null]) => Value::Null,
        ("length" | "char_length" | "character_length" | "octet_length", [Value::Text(text)]) => {
            Value::Number(text.chars().count() as f64)
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
        parse(check).value(&|name| match name {
            "five" => Value::Number(5.0),
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
            "\"t\".\"five\" = 2 + 1.5 * 2",
            "length(trim(word)) > -1",
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
        let mut limits = BTreeMap::new();
        parse("a >= 5 AND (b > 0 OR b IS NULL) AND 10 >= a AND s IN ('x','y') AND length(t) >= 3").limit(&mut limits);
        parse("((k)::text = ANY ((ARRAY['p'::character varying])::text[]))").limit(&mut limits);
        assert_eq!((limits["a"].low, limits["a"].high), (Some(5.0), Some(10.0)));
        assert!(limits["b"].above && limits["b"].low == Some(0.0));
        assert_eq!(limits["s"].one_of, Some(vec!["x".into(), "y".into()]));
        assert_eq!(limits["k"].one_of, Some(vec!["p".into()]));
        assert_eq!(limits["t"].shortest, Some(3));
        assert_eq!(parse("((ends_on >= starts_on))").ordered(), Some(("starts_on", "ends_on")));
        assert_eq!(parse("total = a * b").assigned().map(|(name, _)| name.to_owned()), Some("total".into()));
    }
}
