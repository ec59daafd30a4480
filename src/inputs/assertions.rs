//! `[[assertion]]` and `[[measure]]`: conditions on the rows of tenants, and values that are compared before and after.
//!
//! It comes from the file only; the text of a query is judged where all assertions are together.

use super::Diagnostics;
use super::document::{Document, Reader};
use crate::model::engine::Engine;

/// The name of an assertion or a measure, the engine that it is for alone, and its query.
pub(crate) type InFile = (String, Option<Engine>, String);

const KEYS: [&str; 3] = ["name", "sql", "engine"];

/// Reads all of this kind.
pub(super) fn read(document: &Document<'_>, kind: &str, drafts: &mut Diagnostics) -> Vec<InFile> {
    let (title, mut all) = (format!("[[{kind}]]"), Vec::new());
    for item in document.tables(kind, drafts) {
        let Some(reader) = Reader::of(item, &title, &KEYS, drafts) else { continue };
        let engine = reader.text("engine", drafts).map(|text| (Engine::named(text), text));
        if let Some((None, text)) = engine {
            let names = Engine::ALL.map(Engine::name).join(", ");
            drafts.at(reader.at("engine"), format!("`{text}` is no engine")).help(format!("write one of: {names}"));
        }
        for key in ["name", "sql"].into_iter().filter(|key| !reader.has(key)) {
            drafts.at(reader.span.clone(), format!("this {title} has no `{key}`"));
        }
        // A query has lines.
        let sql = reader.item("sql").map(|item| item.get_ref().as_str().map(str::to_owned));
        if let Some(None) = sql {
            drafts.at(reader.at("sql"), "`sql` must be a text in quotes");
        }
        if let (Some(name), Some(sql)) = (reader.text("name", drafts), sql.flatten()) {
            all.push((name.to_owned(), engine.and_then(|(engine, _)| engine), sql));
        }
    }
    all
}
