//! Lists of tenants as text: JSON, a JSON object a line, CSV and TOML.
//!
//! Its errors name places and never a value: a list holds secrets.

use std::fmt;
use std::io::Read as _;
use std::path::Path;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::error::Category;

use super::{MOST_BYTES, MOST_ROWS, Values, too_many, value};
use crate::external::file;
use crate::inputs::registry::ListForm;

/// Reads a list from a file.
pub(super) fn read(path: &Path, form: ListForm) -> Result<Vec<Values>, String> {
    let (mut text, shown) = (String::new(), path.display());
    let file = file::check(path)
        .and_then(|()| std::fs::File::open(path))
        .map_err(|error| format!("can't open {shown}: {error}"))?;
    if !file.metadata().is_ok_and(|found| found.is_file()) {
        return Err(format!("names {shown}, which is no file"));
    }
    let read = file.take(MOST_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| format!("can't read {shown}: {error}"))?;
    if text.len() as u64 > MOST_BYTES {
        return Err(format!("names {shown}, which has more than {MOST_BYTES} bytes"));
    }
    let text = without_mark(&text);
    let rows = match form {
        ListForm::Json => json(text),
        ListForm::JsonLines => json_lines(text),
        ListForm::Csv => csv(text),
        ListForm::Toml => toml(text),
    };
    rows.map_err(|why| format!("names {shown}: {why}"))
}

/// The text behind a byte order mark, which some programs write.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// An object a line.
pub(super) fn json_lines(text: &str) -> Result<Vec<Values>, String> {
    let mut rows = Vec::new();
    for (at, line) in without_mark(text).lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        if rows.len() == MOST_ROWS {
            return Err(too_many());
        }
        let Object(values) = serde_json::from_str(line).map_err(|error| {
            let cut = if error.is_eof() { ", as if it was cut off" } else { "" };
            format!("line {} is no JSON object{cut}: {}", at + 1, why(&error))
        })?;
        rows.push(values);
    }
    Ok(rows)
}

/// A list of objects, or an object with such a list as `tenants`.
fn json(text: &str) -> Result<Vec<Values>, String> {
    /// An object that says more may have more tenants elsewhere.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Listing {
        tenants: Vec<Object>,
    }
    let read = match text.trim_start().starts_with('[') {
        true => serde_json::from_str(text),
        false => serde_json::from_str(text).map(|Listing { tenants }| tenants),
    };
    let rows: Vec<Object> = read.map_err(|error| match error.classify() {
        Category::Eof => format!("it is no JSON, as if it was cut off: {error}"),
        Category::Data => format!("it is no list of objects, and has none as `tenants` alone: {}", why(&error)),
        Category::Syntax | Category::Io => format!("it is no JSON: {error}"),
    })?;
    Ok(rows.into_iter().map(|Object(values)| values).collect())
}

/// A JSON object in which no key is twice: of two values the last would win.
struct Object(Values);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut values = Values::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if values.contains_key(&key) {
                        return Err(A::Error::custom(format!("the key `{key}` is twice")));
                    }
                    values.insert(key, value);
                }
                Ok(Object(values))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// An error without the value that it is about.
fn why(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.starts_with("invalid type") {
        true => format!("line {} has something else where an object belongs", error.line()),
        false => text,
    }
}

/// `[[tenant]]` tables, as the tenant file has them.
fn toml(text: &str) -> Result<Vec<Values>, String> {
    let document: ::toml::Table = text.parse().map_err(|error: ::toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        format!("line {line} is no TOML: {}", error.message())
    })?;
    let none = || "it has no [[tenant]]".to_owned();
    let tables = document.get("tenant").and_then(::toml::Value::as_array).ok_or_else(none)?;
    if let Some(other) = document.keys().find(|key| *key != "tenant") {
        return Err(format!("it has `{other}` beside [[tenant]]"));
    }
    let object = |table| if let Ok(Value::Object(values)) = serde_json::to_value(table) { Some(values) } else { None };
    tables.iter().map(object).collect::<Option<_>>().ok_or_else(none)
}

/// Lines under a line of keys. Each ends with a line break, the last one as well: without it, it may be the half of one.
fn csv(text: &str) -> Result<Vec<Values>, String> {
    if !text.ends_with('\n') {
        return Err("its last line has no end, as if it was cut off; end it with a line break".to_owned());
    }
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let wrong = |error: ::csv::Error| match error.kind() {
        ::csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, ::csv::Position::line);
            format!("line {line} has {len} values, and the first line {expected_len}")
        }
        _ => format!("it is no CSV: {error}"),
    };
    let keys: Vec<String> = reader.headers().map_err(wrong)?.iter().map(|key| key.trim().to_owned()).collect();
    if let Some(twice) = keys.iter().enumerate().find_map(|(at, key)| keys[..at].contains(key).then_some(key)) {
        return Err(format!("the key `{twice}` is twice in its first line"));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        if rows.len() == MOST_ROWS {
            return Err(too_many());
        }
        let record = record.map_err(wrong)?;
        rows.push(keys.iter().zip(&record).map(|(key, text)| (key.clone(), value(text))).collect());
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(rows: Result<Vec<Values>, String>) -> Result<Vec<String>, String> {
        rows.map(|rows| rows.iter().map(|row| row["id"].as_str().unwrap_or("-").to_owned()).collect())
    }

    #[test]
    fn each_form_gives_the_same_rows() {
        let two = Ok(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(ids(json_lines("{\"id\": \"a\"}\n\n{\"id\": \"b\"}")), two);
        assert_eq!(
            ids(json_lines("\u{feff}{\"id\": \"a\"}\n{\"id\": \"b\"}\n")),
            two,
            "a byte order mark is no part of it"
        );
        assert_eq!(ids(json("[{\"id\": \"a\"}, {\"id\": \"b\"}]")), two);
        assert_eq!(ids(json("{\"tenants\": [{\"id\": \"a\"}, {\"id\": \"b\"}]}")), two);
        assert_eq!(ids(csv("id,url\na,x\nb,\"y,z\"\n")), two);
        assert_eq!(ids(toml("[[tenant]]\nid = \"a\"\n[[tenant]]\nid = \"b\"\n")), two);
    }

    #[test]
    fn half_an_answer_is_an_error_without_a_value() {
        let url = "postgres://u:s3cret@h/d";
        let lines = format!("{{\"id\": \"a\", \"url\": \"{url}\"}}\n{{\"id\": \"b\", \"url\": \"{}", &url[..18]);
        let whole = format!("[{{\"id\": \"a\", \"url\": \"{url}\"}}, {{\"id\": \"b\"");
        let table = format!("id,url\na,{url}\nb,{}", &url[..18]);
        let tables = format!("[[tenant]]\nid = \"a\"\nurl = \"{}", &url[..18]);
        for (told, wanted) in [
            (json_lines(&lines), "line 2 is no JSON object, as if it was cut off"),
            (json_lines("{\"id\": \"a\"}\n[]\n"), "line 2 is no JSON object"),
            (json_lines("oops: s3cret"), "line 1 is no JSON object"),
            (json(&whole), "it is no JSON, as if it was cut off"),
            (json("{}"), "it is no list of objects"),
            (json("[1]"), "it is no list of objects"),
            (csv(&table), "its last line has no end"),
            (csv("id,url\na,x\nb\n"), "line 3 has 1 values, and the first line 2"),
            (toml(&tables), "line 3 is no TOML"),
            (toml("id = \"a\""), "it has no [[tenant]]"),
            // More may be elsewhere, and of two values the last would win.
            (toml("[[tenant]]\nid = \"a\"\n[[tenants]]\nid = \"b\"\n"), "it has `tenants` beside [[tenant]]"),
            (
                json("{\"tenants\": [], \"next\": \"s3cret\"}"),
                "it is no list of objects, and has none as `tenants` alone: unknown field `next`",
            ),
            (
                json("{\"tenants\": [], \"tenants\": []}"),
                "it is no list of objects, and has none as `tenants` alone: duplicate field",
            ),
            (
                json("[{\"id\": \"a\", \"id\": \"b\"}]"),
                "it is no list of objects, and has none as `tenants` alone: the key `id` is twice",
            ),
            (
                json("[\"s3cret\"]"),
                "it is no list of objects, and has none as `tenants` alone: line 1 has something else",
            ),
            (json_lines("{\"url\": \"s3cret\", \"url\": \"x\"}"), "line 1 is no JSON object: the key `url` is twice"),
            (csv("id,id,url\na,b,x\n"), "the key `id` is twice in its first line"),
        ] {
            let why = told.unwrap_err();
            assert!(why.starts_with(wanted) && !why.contains("s3cr"), "{why}");
        }
    }
}
