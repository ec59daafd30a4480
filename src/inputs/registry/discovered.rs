//! Rows of sources, as the tables that `[[tenant]]` would be.
//!
//! It judges no value: that is the reader's of tenants. A row holds secrets, so that nothing here can be displayed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::inputs::Item;
use crate::model::text::excerpt;

/// The keys of a row. It can't say where a password is: that would run a program or read a file for whoever writes the row.
pub(super) const ROW_KEYS: [&str; 9] =
    ["id", "url", "schema", "server", "tags", "migration_url", "depends_on", "quarantine", "freeze_at"];

/// The keys whose value is one text, and which a number stands for as well.
const TEXTS: [&str; 6] = ["id", "url", "schema", "server", "migration_url", "freeze_at"];

/// The longest id in the name of a row, in characters.
const LONGEST_SHOWN: usize = 60;

/// The rows of each source, by its name.
pub(crate) type Discovered = HashMap<Arc<str>, Vec<Row>>;

/// One row of a source.
pub(crate) struct Row {
    /// Its place in the answer, from 1.
    number: usize,
    values: Map<String, Value>,
}

impl Row {
    /// A row of an answer.
    ///
    /// # Errors
    /// The reason that a value can't be taken apart; it holds none.
    pub(crate) fn new(number: usize, mut values: Map<String, Value>) -> Result<Self, String> {
        values.retain(|_, value| !value.is_null() && value.as_str() != Some(""));
        for key in TEXTS {
            if let Some(value) = values.get_mut(key) {
                make_text(value);
            }
        }
        if let Some(tags) = values.get_mut("tags") {
            *tags = Value::Object(labels(tags.take()).ok_or_else(|| {
                format!("row {number}: `tags` must be a JSON object of texts, or a text such as plan=pro,region=eu")
            })?);
        }
        if let Some(ids) = values.get_mut("depends_on")
            && let Some(text) = ids.as_str()
        {
            *ids = text.split(',').map(str::trim).filter(|id| !id.is_empty()).collect();
        }
        if let Some(hold) = values.get_mut("quarantine")
            && hold.is_string()
        {
            *hold = Value::Object(Map::from_iter([("reason".to_owned(), hold.take())]));
        }
        Ok(Row { number, values })
    }

    /// Its id, as the source has it.
    pub(crate) fn id(&self) -> Option<&str> {
        self.values.get("id")?.as_str()
    }

    /// Puts a text in front of its id.
    pub(crate) fn prefix(&mut self, prefix: &str) {
        if let Some(Value::String(id)) = self.values.get_mut("id") {
            id.insert_str(0, prefix);
        }
    }

    /// Its name in messages: `row 17 (acme)`.
    pub(super) fn name(&self) -> String {
        let id = self.id().map(|id| format!(" ({})", excerpt(id, LONGEST_SHOWN).escape_debug()));
        format!("row {}{}", self.number, id.unwrap_or_default())
    }

    /// The table at a place of the tenant file.
    pub(super) fn table(&self, at: &Range<usize>) -> Item<'_> {
        Spanned::new(at.clone(), DeValue::Table(table(&self.values, at)))
    }
}

fn make_text(value: &mut Value) {
    if value.is_number() || value.is_boolean() {
        *value = Value::String(value.to_string());
    }
}

/// Tags from an object, the text of one, or `key=value` pairs.
fn labels(value: Value) -> Option<Map<String, Value>> {
    let mut labels = match value {
        Value::Object(labels) => labels,
        Value::String(text) if text.trim_start().starts_with('{') => serde_json::from_str(&text).ok()?,
        Value::String(text) => {
            let pair = |pair: &str| {
                let (key, value) = pair.split_once('=')?;
                Some((key.trim().to_owned(), Value::from(value.trim())))
            };
            text.split(',').filter(|part| !part.trim().is_empty()).map(pair).collect::<Option<_>>()?
        }
        _ => return None,
    };
    labels.retain(|_, value| !value.is_null());
    labels.values_mut().for_each(make_text);
    Some(labels)
}

fn table<'v>(values: &'v Map<String, Value>, at: &Range<usize>) -> DeTable<'v> {
    let mut table = DeTable::new();
    for (key, value) in values {
        table.insert(Spanned::new(at.clone(), Cow::Borrowed(key.as_str())), item(value, at));
    }
    table
}

fn item<'v>(value: &'v Value, at: &Range<usize>) -> Item<'v> {
    let value = match value {
        Value::String(text) => DeValue::String(Cow::Borrowed(text)),
        Value::Bool(yes) => DeValue::Boolean(*yes),
        Value::Array(list) => {
            let mut array = DeArray::new();
            list.iter().for_each(|value| array.push(item(value, at)));
            DeValue::Array(array)
        }
        Value::Object(values) => DeValue::Table(table(values, at)),
        Value::Null | Value::Number(_) => DeValue::String(Cow::Owned(value.to_string())),
    };
    Spanned::new(at.clone(), value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(value: Value) -> Result<Row, String> {
        let Value::Object(values) = value else { panic!("no object") };
        Row::new(3, values)
    }

    #[test]
    fn values_have_one_form_whatever_the_source_writes() {
        let of = |value: Value| row(value).map_err(|why| panic!("{why}")).unwrap_or_else(|()| unreachable!()).values;
        let wanted = json!({ "id": "7", "tags": { "plan": "pro", "n": "1" }, "depends_on": ["a", "b"],
                             "quarantine": { "reason": "broken" } });
        let texts = json!({ "id": 7, "url": null, "schema": "", "tags": "plan=pro, n = 1", "depends_on": "a, b",
                            "quarantine": "broken" });
        let objects = json!({ "id": "7", "tags": { "plan": "pro", "n": 1, "gone": null }, "depends_on": ["a", "b"],
                              "quarantine": { "reason": "broken" } });
        assert_eq!(Value::Object(of(texts)), wanted);
        assert_eq!(Value::Object(of(objects)), wanted);
        assert_eq!(of(json!({ "id": "7", "tags": "{\"plan\": \"pro\", \"n\": 1}" }))["tags"], wanted["tags"]);
        for tags in [json!("pro"), json!(["pro"]), json!("{\"plan\""), json!(7)] {
            assert!(row(json!({ "id": "a", "tags": tags })).err().unwrap().starts_with("row 3: `tags` must be"));
        }
    }

    #[test]
    fn a_name_of_a_row_is_short_and_steers_no_terminal() {
        assert_eq!(row(json!({ "id": "a\u{1b}[2J" })).ok().unwrap().name(), "row 3 (a\\u{1b}[2J)");
        assert_eq!(row(json!({})).ok().unwrap().name(), "row 3");
        assert!(row(json!({ "id": "x".repeat(1_000) })).ok().unwrap().name().len() < 100);
    }
}
