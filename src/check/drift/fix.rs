//! SQL that takes a difference away, as a suggestion with its danger; a comment where a person has to decide.
//!
//! Only what is missing is ever made. Nothing here drops, changes or runs anything.

use crate::model::shape::{Column, Difference, Shape, Table};
use crate::model::tenant::Engine;

/// One text for each difference: a comment that names the danger with a statement below it, or a comment alone.
pub(super) fn suggested(engine: Engine, differences: &[Difference], reference: &Shape) -> Vec<String> {
    let one = |difference: &Difference| match statement(engine, difference, reference) {
        Some((danger, sql)) => format!("-- {}: {danger}\n{};", difference.title(), sql.trim_end_matches(';')),
        None => by_hand(difference),
    };
    // An index that is unique is told twice, and made once.
    let is_told = |d: &&Difference| {
        let index = d.part.strip_prefix("unique ").map(|name| format!("index {name}"));
        !differences.iter().any(|other| other.object == d.object && Some(&other.part) == index.as_ref())
    };
    differences.iter().filter(is_told).map(one).map(|text| harmless(&text)).collect()
}

/// A comment must end where its line ends.
fn harmless(text: &str) -> String {
    text.replace('\r', " ")
}

fn by_hand(difference: &Difference) -> String {
    let title = difference.title().replace(['\n', '\r'], " ");
    if difference.is_of_grants() {
        return format!(
            "-- {title}: not as on most tenants of this version. Whoever owns the role decides on GRANT or REVOKE"
        );
    }
    if difference.is_of_most() {
        return format!(
            "-- {title}: not as on most tenants of this version. ALTER DATABASE changes it for later tables only: those that are there \
             keep theirs"
        );
    }
    match (difference.first.is_empty(), difference.second.is_empty()) {
        (true, _) => format!("-- {title}: only here. A DROP loses what it holds: write it by hand, behind a backup"),
        (_, true) => {
            format!("-- {title}: missing. Look in the migrations for the statements that make it, with its rows")
        }
        _ => format!("-- {title}: another form than in its version. Compare both, and write the change by hand"),
    }
}

/// The statement that makes what is missing, with its danger.
fn statement(engine: Engine, difference: &Difference, reference: &Shape) -> Option<(&'static str, String)> {
    if !difference.second.is_empty() {
        return None;
    }
    let [form] = difference.first.as_slice() else { return None };
    let Some(table) = difference.object.strip_prefix("table ") else {
        return view(engine, difference, form);
    };
    let table = reference.tables.iter().find(|there| there.name == table)?;
    match difference.part.split_once(' ')? {
        ("column", name) => column(engine, table, table.columns.iter().find(|column| column.name == name)?),
        ("index", name) => index(engine, table, name, form),
        _ => None,
    }
}

fn column(engine: Engine, table: &Table, column: &Column) -> Option<(&'static str, String)> {
    let is_plain = column.generated.is_none() && column.comment.is_none();
    // A serial's sequence may be missing as well; SQLite adds a column with a constant only.
    let is_constant = |default: &String| {
        default.starts_with('\'') || default.parse::<f64>().is_ok() || ["true", "false"].contains(&default.as_str())
    };
    let is_possible = |default: &String| match engine.capabilities().server {
        false => is_constant(default),
        true => !default.contains("nextval("),
    };
    if !is_plain || !column.default.as_ref().is_none_or(is_possible) || !column.nullable && column.default.is_none() {
        return None;
    }
    let sql = format!(
        "ALTER TABLE {} ADD COLUMN {} {}",
        engine.quote(&table.name),
        engine.quote(&column.name),
        column.in_words()
    );
    Some((
        "locks the table for a moment; rows that are there get the default or NULL, not what a migration put in",
        sql,
    ))
}

fn index(engine: Engine, table: &Table, name: &str, form: &str) -> Option<(&'static str, String)> {
    const DANGER: &str = "writes to the table may wait while it is built; a unique one fails where values repeat";
    // The index of a partitioned table: those of its partitions would be missing.
    if form.contains(" ON ONLY ") {
        return None;
    }
    if is_create(form) {
        return Some((DANGER, form.to_owned()));
    }
    let (unique, rest) = form.strip_prefix("unique ").map_or(("", form), |rest| ("UNIQUE ", rest));
    let columns = rest.strip_prefix("btree (")?.strip_suffix(')')?;
    let is_plain = |column: &str| {
        let name = column.strip_suffix(" desc").unwrap_or(column);
        table.columns.iter().any(|of| of.name == name) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let (table, name) = (engine.quote(&table.name), engine.quote(name));
    columns.split(", ").all(is_plain).then(|| (DANGER, format!("CREATE {unique}INDEX {name} ON {table} ({columns})")))
}

fn view(engine: Engine, difference: &Difference, form: &str) -> Option<(&'static str, String)> {
    let name = difference.object.strip_prefix("view ")?;
    let danger = "whoever may read it has to be granted that again";
    if is_create(form) {
        return Some((danger, form.to_owned()));
    }
    // Text behind the semicolon says what a plain CREATE would not make.
    form.ends_with(';').then(|| (danger, format!("CREATE VIEW {} AS\n{form}", engine.quote(name))))
}

fn is_create(form: &str) -> bool {
    form.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("create "))
}
