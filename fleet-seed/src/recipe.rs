//! The recipe of a column's values: determined once, from its type, the rules, its default and the limits of CHECKs.

use std::collections::BTreeMap;

use fleet_shape::{Cell, Column, Table};
use rust_decimal::Decimal;

use crate::check::Limits;
use crate::kind::Kind;
use crate::pattern::Pattern;
use crate::rules::{ColumnRule, Rules, Written};
use crate::value::Moment;

/// The recipe of a column's values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Recipe<'a> {
    pub(crate) what: What<'a>,
    /// The maximum and minimum length of a text in characters.
    pub(crate) longest: usize,
    pub(crate) shortest: usize,
    /// Percentage of NULLs.
    pub(crate) nulls: u64,
    /// The boolean column that must be true for this one not to be NULL.
    pub(crate) present_if: Option<&'a str>,
    /// Malformed texts that it may contain.
    pub(crate) malformed: &'a [String],
    /// Maximum integer, or number of units of the last decimal place, that the type and the CHECKs allow.
    pub(crate) most: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What<'a> {
    /// One of these.
    OneOf(Vec<Cell>),
    /// Percentage of true ones.
    Bool(u64),
    Int(i64, i64),
    /// Between two, in units of the last decimal place; and the number of places.
    Decimal(i64, i64, u32),
    Uuid,
    Bytes(usize),
    Moment(Moment),
    Day(Moment),
    Time,
    Json(&'a BTreeMap<String, Pattern>),
    Text(&'a Pattern),
    /// A moment, a day or an amount in a column of texts.
    Written(Written, Moment),
    /// No value; the engine's default, or NULL.
    Nothing,
}

/// Days that a unique set of days goes through.
pub(crate) const DAYS: u64 = 3_650;

/// Characters of a text without a limit.
const LONGEST: usize = 2_000;

/// The first rule that has the property counts.
fn first<'a, T>(rules: &[&'a ColumnRule], property: impl Fn(&'a ColumnRule) -> Option<T>) -> T {
    rules.iter().copied().find_map(property).expect("the general rules end with rules for every column")
}

impl<'a> Recipe<'a> {
    pub(crate) fn new(
        rules: &'a Rules,
        (table, column): (&Table, &Column),
        kind: &Kind,
        limits: &Limits,
    ) -> Recipe<'a> {
        let length = if let Kind::Text(Some(length)) = kind { *length } else { LONGEST };
        let rules = rules.of_column(&table.name, &column.name, length);
        let what = match &limits.one_of {
            Some(list) if !list.is_empty() => What::OneOf(list.iter().map(|text| of_list(kind, text)).collect()),
            _ => what(&rules, column, kind, limits),
        };
        let is_plain = limits.one_of.is_none() && limits.shortest.unwrap_or(0) == 0;
        let may_be_malformed = is_plain && matches!(what, What::Written(Written::Amount | Written::Day, _));
        let malformed = rules.iter().find_map(|rule| rule.malformed.as_deref()).filter(|_| may_be_malformed);
        Recipe {
            longest: limits.longest.unwrap_or(length).min(length),
            shortest: limits.shortest.unwrap_or(0),
            nulls: if column.nullable { first(&rules, |rule| rule.nulls) } else { 0 },
            present_if: rules.iter().find_map(|rule| rule.present_if.as_deref()),
            malformed: malformed.unwrap_or_default(),
            most: match kind {
                Kind::Int(low, high) => limits.bounds(0, (*low, *high)).1,
                Kind::Decimal(precision, scale) => limits.bounds(*scale, decimals(*precision)).1,
                _ => i64::MAX,
            },
            what,
        }
    }

    /// The number of values, where there are few; otherwise a row's number can be encoded.
    pub(crate) fn domain(&self) -> Option<u64> {
        match &self.what {
            What::OneOf(list) => Some(list.len() as u64),
            What::Bool(_) => Some(2),
            What::Int(low, high) => Some(high.abs_diff(*low).saturating_add(1)),
            What::Day(_) | What::Written(Written::Day, _) => Some(DAYS),
            What::Time => Some(24 * 60),
            What::Nothing | What::Json(_) => Some(1),
            What::Text(_) if self.longest < 4 => Some(36_u64.pow(u32::try_from(self.longest).unwrap_or(0))),
            _ => None,
        }
    }

    /// How well a row's number can be encoded in a value; 0: not at all.
    pub(crate) fn strength(&self) -> u8 {
        match &self.what {
            What::Uuid => 6,
            What::Text(_) if self.longest >= 4 => 5,
            What::Bytes(length) if *length >= 8 => 4,
            What::Moment(_) | What::Written(Written::Moment, _) => 3,
            What::Int(..) => 2,
            What::Decimal(..) => 1,
            _ => 0,
        }
    }

    /// Number of rows whose number can be encoded before the maximum is reached.
    pub(crate) fn room(&self) -> u64 {
        match &self.what {
            What::Int(low, _) | What::Decimal(low, _, _) => self.most.saturating_sub(*low).unsigned_abs(),
            _ => u64::MAX,
        }
    }
}

fn of_list(kind: &Kind, text: &str) -> Cell {
    match kind {
        Kind::Int(..) | Kind::Bool => text.parse().map(Cell::Int).ok(),
        Kind::Decimal(_, scale) => text.parse::<Decimal>().ok().map(|number| Cell::Decimal(scaled(number, *scale))),
        _ => None,
    }
    .unwrap_or_else(|| Cell::Text(text.to_owned()))
}

/// A number with this many decimal places.
pub(crate) fn scaled(mut number: Decimal, scale: u32) -> Decimal {
    number.rescale(scale);
    number
}

/// The lowest and the highest number of this many digits.
fn decimals(precision: u32) -> (i64, i64) {
    let top = 10_i64.pow(precision) - 1;
    (-top, top)
}

fn what<'a>(rules: &[&'a ColumnRule], column: &Column, kind: &Kind, limits: &Limits) -> What<'a> {
    let moment = first(rules, |rule| rule.moment);
    match kind {
        Kind::Bool => What::Bool(first(rules, |rule| rule.true_percent)),
        Kind::Int(low, high) => {
            let (from, to) = within(first(rules, |rule| rule.int), limits.bounds(0, (*low, *high)), 50);
            What::Int(from, to)
        }
        Kind::Decimal(precision, scale) => {
            let one = 10_i64.pow(*scale);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                reason = "rules name small numbers"
            )]
            let units = |number: f64| (number * one as f64).round() as i64;
            let (from, to) = first(rules, |rule| rule.decimal);
            let bounds = limits.bounds(*scale, decimals(*precision));
            let (from, to) = within((units(from), units(to)), bounds, 50 * one);
            What::Decimal(from, to, *scale)
        }
        Kind::Uuid => What::Uuid,
        Kind::Bytes(length) => What::Bytes(*length),
        Kind::Moment => What::Moment(moment),
        Kind::Day => What::Day(moment),
        Kind::Time => What::Time,
        Kind::Json => What::Json(first(rules, |rule| rule.json.as_ref())),
        Kind::OneOf(values) => What::OneOf(values.iter().cloned().map(Cell::Text).collect()),
        Kind::Inet => What::Text(Pattern::ip()),
        Kind::Empty(text) => What::OneOf(vec![Cell::Text((*text).to_owned())]),
        Kind::Text(length) => first(rules, |rule| text(rule, column, length.unwrap_or(LONGEST), moment)),
        Kind::Unknown => What::Nothing,
    }
}

/// A range within bounds. Where it lies outside of them it begins at 0 or at the lower bound, and is `span` wide.
fn within((from, to): (i64, i64), (least, most): (i64, i64), span: i64) -> (i64, i64) {
    let start = if most > 0 { 0 } else { most.saturating_sub(span) };
    let from = if from > most { least.max(start) } else { from.max(least) };
    let to = if to < from { from.saturating_add(span) } else { to };
    (from, to.min(most))
}

/// A default of a text: `'active'::character varying`, `'active'`.
fn default_text(column: &Column) -> Option<&str> {
    let default = column.default.as_deref()?;
    default.strip_prefix('\'')?.split('\'').next().filter(|text| !text.is_empty())
}

/// The texts that a rule has for a column; `None` where it has none that fit.
fn text<'a>(rule: &'a ColumnRule, column: &Column, length: usize, moment: Moment) -> Option<What<'a>> {
    let default = default_text(column);
    if let Some(written) = rule.written {
        return Some(What::Written(written, moment));
    }
    let mut list: Vec<&str> = Vec::new();
    let all = default.filter(|_| rule.or_default || !rule.one_of.is_empty()).into_iter();
    for text in all.chain(rule.one_of.iter().map(String::as_str)) {
        if text.chars().count() <= length && !list.contains(&text) {
            list.push(text);
        }
    }
    if list.is_empty() {
        return rule.text.as_ref().map(What::Text);
    }
    Some(What::OneOf(list.into_iter().map(|text| Cell::Text(text.to_owned())).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind;

    fn of<'a>(rules: &'a Rules, table: &str, name: &str, kind_text: &str, limits: &Limits) -> Recipe<'a> {
        let table = Table { name: table.into(), ..Table::default() };
        let column = Column { name: name.into(), kind: kind_text.into(), nullable: true, ..Column::default() };
        Recipe::new(rules, (&table, &column), &kind::parse(kind_text), limits)
    }

    fn pattern(what: &What<'_>) -> Pattern {
        match what {
            What::Text(pattern) => (*pattern).clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_name_and_a_type_tell_what_is_made() {
        let rules = Rules::default();
        let what = |table: &str, name: &str, kind: &str| of(&rules, table, name, kind, &Limits::default()).what;
        let text = |table: &str, name: &str| pattern(&what(table, name, "varchar(254)"));
        assert_eq!(text("users", "name"), text("t", "full_name"));
        assert_eq!(text("brands", "name"), text("t", "company"));
        assert_ne!(text("products", "name"), text("users", "name"));
        assert!(text("users", "email").is_unique() && !text("users", "name").is_unique());
        let What::OneOf(countries) = what("customers", "country", "char(2)") else { panic!() };
        assert_eq!(countries[0], Cell::Text("DE".into()));
        assert_eq!(what("orders", "version", "integer"), What::Int(1, 1));
        assert_eq!(what("orders", "fee_rate", "numeric(6,4)"), What::Decimal(0, 2_500, 4));
        assert_eq!(what("orders", "updated_at", "timestamp with time zone"), What::Moment(Moment::Updated));
        assert_eq!(what("orders", "sold_on", "varchar(64)"), What::Written(Written::Day, Moment::Later));
        assert_eq!(what("orders", "weird", "geometry"), What::Nothing);
        // No list fits: the next rule applies.
        assert!(matches!(what("orders", "unit", "char(1)"), What::Text(_)));
    }

    #[test]
    fn limits_are_kept() {
        let rules = Rules::default();
        let what = |name: &str, kind: &str, limits: &Limits| of(&rules, "b", name, kind, limits).what;
        let limits = |low: Option<i64>, high: Option<i64>| Limits {
            low: low.map(Decimal::from),
            high: high.map(Decimal::from),
            ..Limits::default()
        };
        assert_eq!(what("participants", "integer", &limits(Some(5), None)), What::Int(5, 1_000));
        assert_eq!(what("n", "integer", &limits(Some(5_000), None)), What::Int(5_000, 5_050));
        assert_eq!(what("n", "integer", &limits(None, Some(0))), What::Int(-50, 0));
        assert_eq!(what("x", "numeric(4,2)", &limits(None, Some(1))), What::Decimal(0, 100, 2));
        let above = Limits { above: true, ..limits(Some(1_000), None) };
        assert_eq!(what("x", "numeric(12,2)", &above), What::Decimal(100_001, 105_001, 2));
    }

    #[test]
    fn only_texts_that_a_rule_marks_may_be_malformed() {
        let rules = Rules::parse("[[column]]\ntable = ['old*']\nmalformed = ['abc']").unwrap();
        let may = |table: &str, name: &str, kind: &str| {
            !of(&rules, table, name, kind, &Limits::default()).malformed.is_empty()
        };
        assert!(may("old_sales", "amount", "varchar(64)") && may("old_sales", "sold_on", "text"));
        assert!(!may("orders", "total", "text") && !may("old_sales", "amount", "numeric(12,2)"));
        assert!(!may("old_sales", "notes", "text"));
    }
}
