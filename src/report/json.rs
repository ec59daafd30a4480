//! JSON documents.
//!
//! Text from elsewhere is kept exactly; it is only escaped so that printing the document can't control a terminal.

use serde::Serialize;
use serde_json::{Value, json};

use super::style::is_harmless;

/// The schema version of every document and line. It changes when a field is removed or changes its meaning, not when
/// one is added.
pub(super) const SCHEMA_VERSION: u32 = 2;

/// Any plain data as a value.
pub(super) fn value(data: impl Serialize) -> Value {
    serde_json::to_value(data).expect("plain data with text keys always serialises")
}

/// A document for people and programs: indented, `schema_version` first.
pub(super) fn document(fields: Value) -> String {
    let text = serde_json::to_string_pretty(&versioned(fields)).expect("a value always serialises");
    escape(&text) + "\n"
}

/// The same on one line, without a line break at its end.
pub(super) fn line(fields: Value) -> String {
    escape(&versioned(fields).to_string())
}

fn versioned(fields: Value) -> Value {
    let mut all = json!({ "schema_version": SCHEMA_VERSION });
    if let (Value::Object(all), Value::Object(fields)) = (&mut all, fields) {
        all.extend(fields);
    }
    all
}

/// Escapes as `\uXXXX` the characters that are valid in JSON and unsafe on a terminal: they occur only inside strings.
pub(super) fn escape(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || is_harmless(c) {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_kept_exactly_and_can_be_printed() {
        let hostile = "\x1b[2J\u{9b}1m\u{202e}\n\u{e0041}\u{7f}東京";
        let text = line(serde_json::json!({ "id": hostile }));
        assert!(text.chars().all(is_harmless), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["id"], hostile);
    }

    #[test]
    fn the_version_comes_first() {
        assert_eq!(line(serde_json::json!({ "a": 1 })), r#"{"schema_version":2,"a":1}"#);
        assert_eq!(document(serde_json::json!({})), "{\n  \"schema_version\": 2\n}\n");
    }
}
