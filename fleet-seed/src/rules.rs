//! Rules that choose values by the names of tables and columns.
//!
//! The general ones are in `rules.toml`; a program puts its own before them. They apply to any engine, and nothing here
//! generates a value.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::Error;

use crate::check::{self, Check};
use crate::pattern::Pattern;
use crate::value::Moment;

/// A mistake in rules, with its line and column.
pub use toml::de::Error as RulesError;

/// Rules that choose values by the names of tables and columns. `docs/seed-rules.md` lists the keys.
///
/// # Examples
/// ```
/// let rules = fleet_seed::Rules::parse(
///     r#"
///     [[column]]
///     table = ["orders", "order_*"]
///     last = ["status"]
///     one_of = ["placed", "paid", "sent"]
///
///     [[table]]
///     table = ["order_items"]
///     holds = ["line_total = quantity * unit_price"]
///     "#,
/// );
/// assert!(rules.is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    #[serde(default)]
    pub(crate) words: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(crate) references: NamedReferences,
    #[serde(default)]
    pub(crate) ordered: Vec<(String, String)>,
    #[serde(default, rename = "table")]
    tables: Vec<TableRule>,
    #[serde(default, rename = "column")]
    columns: Vec<ColumnRule>,
}

/// References of columns to another table without a foreign key.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NamedReferences {
    /// Columns that identify a table's rows; the first also without its name.
    pub(crate) keys: Vec<String>,
    /// Columns that must agree where both tables have them.
    pub(crate) within: Vec<String>,
}

/// A rule for tables.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TableRule {
    /// Names, `*` at an end for any text.
    table: Vec<String>,
    /// Last words of names.
    last: Vec<String>,
    pub(crate) size: Option<Size>,
    /// Conditions that all rows meet, beside the table's own CHECKs.
    pub(crate) holds: Vec<Condition>,
}

/// A condition in SQL.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Condition(pub(crate) Check);

impl TryFrom<String> for Condition {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        check::parse(&text).map(Condition).ok_or_else(|| format!("`{text}` is not a condition in SQL"))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Size {
    Lookup,
    Events,
}

/// A rule for columns: its conditions and properties.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ColumnRule {
    table: Vec<String>,
    column: Vec<String>,
    /// Words between the underscores of the name, any of which is enough.
    word: Vec<String>,
    last: Vec<String>,
    /// Minimum and maximum length of the column in characters.
    length: Option<(usize, usize)>,
    pub(crate) true_percent: Option<u64>,
    pub(crate) int: Option<(i64, i64)>,
    pub(crate) decimal: Option<(f64, f64)>,
    pub(crate) moment: Option<Moment>,
    pub(crate) one_of: Vec<String>,
    pub(crate) text: Option<Pattern>,
    #[serde(rename = "as")]
    pub(crate) written: Option<Written>,
    /// Whether the column's default, if any, takes precedence over the pattern.
    pub(crate) or_default: bool,
    pub(crate) json: Option<BTreeMap<String, Pattern>>,
    pub(crate) nulls: Option<u64>,
    /// The boolean column that must be true for this one not to be NULL.
    pub(crate) present_if: Option<String>,
    /// Texts for malformed amounts and days.
    pub(crate) malformed: Option<Vec<String>>,
}

/// A value of another type, written as a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Written {
    Moment,
    Day,
    Amount,
}

impl Default for Rules {
    fn default() -> Self {
        Rules::parse("").expect("the general rules are well-formed")
    }
}

impl Rules {
    /// A program's rules, followed by the general ones.
    ///
    /// # Errors
    /// [`RulesError`] with the line and the column of the mistake.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let mut rules: Rules = toml::from_str(text)?;
        let general: Rules = toml::from_str(include_str!("rules.toml"))?;
        rules.references.keys.extend(general.references.keys);
        rules.references.within.extend(general.references.within);
        rules.ordered.extend(general.ordered);
        rules.tables.extend(general.tables);
        rules.columns.extend(general.columns);
        let words: BTreeMap<_, _> = general.words.into_iter().chain(std::mem::take(&mut rules.words)).collect();
        for rule in &mut rules.columns {
            for pattern in rule.text.iter_mut().chain(rule.json.iter_mut().flat_map(BTreeMap::values_mut)) {
                pattern.resolve(&words).map_err(RulesError::custom)?;
            }
        }
        Ok(rules)
    }

    pub(crate) fn of_table(&self, name: &str) -> impl Iterator<Item = &TableRule> {
        let name = name.to_lowercase();
        self.tables.iter().filter(move |rule| {
            let last = name.rsplit('_').next().unwrap_or_default();
            fits_any(&rule.table, &name) && is_in(&rule.last, last)
        })
    }

    /// The rules of a column, by precedence.
    pub(crate) fn of_column(&self, table: &str, column: &str, length: usize) -> Vec<&ColumnRule> {
        let (table, column) = (table.to_lowercase(), column.to_lowercase());
        let words: Vec<&str> = column.split('_').collect();
        let fits = |rule: &&ColumnRule| {
            fits_any(&rule.table, &table)
                && fits_any(&rule.column, &column)
                && (rule.word.is_empty() || words.iter().any(|word| is_in(&rule.word, word)))
                && is_in(&rule.last, words.last().unwrap_or(&""))
                && rule.length.is_none_or(|(least, most)| (least..=most).contains(&length))
        };
        self.columns.iter().filter(fits).collect()
    }
}

fn is_in(list: &[String], word: &str) -> bool {
    list.is_empty() || list.iter().any(|one| one == word)
}

fn fits_any(globs: &[String], name: &str) -> bool {
    globs.is_empty()
        || globs.iter().any(|glob| match (glob.strip_prefix('*'), glob.strip_suffix('*')) {
            (Some(rest), Some(_)) => name.contains(rest.trim_end_matches('*')),
            (Some(end), None) => name.ends_with(end),
            (None, Some(start)) => name.starts_with(start),
            (None, None) => name == glob,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_a_program_stand_before_the_general_ones() {
        let rules = Rules::parse(
            "[words]\nthing = ['Bolt']\n[[column]]\ntable = ['legacy*', '*_old']\nword = ['year']\nint = [1, 2]\nnulls = 0",
        )
        .unwrap();
        let first = |table: &str, column: &str| rules.of_column(table, column, 9)[0].int;
        assert_eq!(first("legacy_sales", "year"), Some((1, 2)));
        assert_eq!(first("Sales_Old", "the_YEAR"), Some((1, 2)));
        assert_eq!(first("sales", "year"), Some((2_024, 2_026)));
        assert_eq!(rules.of_column("sales", "legacy", 9).len(), 3, "the rules for every column");
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        for (text, words) in [
            ("[[column]]\nint = [1]", "line 2"),
            ("[[column]]\nwhat = 1", "unknown field `what`"),
            ("[[column]]\ntext = '{thing'", "`{thing` has no closing brace"),
            ("[[column]]\ntext = '{thing:big}'", "`big`"),
            ("[[column]]\ntext = '{thng}'", "`thng`"),
            ("[[table]]\n\nholds = ['a = = b']", "line 3"),
        ] {
            let told = Rules::parse(text).unwrap_err().to_string();
            assert!(told.contains(words), "{text}: {told}");
        }
    }
}
