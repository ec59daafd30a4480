//! The migrations with their dates, descriptions and spread over the fleet; one tenant's own history; versions alone.
//!
//! A date is read from a migration's name; it says when the migration was written, not when it was applied.

use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::sheet::{Cell, Column, Sheet};
use super::style::{Tone, clean, paragraph};
use super::{Format, Style, label, summary};
use crate::model::observation::Observation;
use crate::model::schema::{Catalog, MigrationNote, State};

/// A migration in the catalog.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CatalogRow {
    pub(crate) name: String,
    /// `rust`, `versioned`, `repeatable`, or `unknown`: only tenants have it.
    pub(crate) kind: &'static str,
    /// The day in its name, as `2025-01-10`.
    pub(crate) date: Option<String>,
    pub(crate) description: String,
    /// Tenants that have it in its present form.
    pub(crate) have: usize,
    /// Its status, its impact and the known issues of its way down, where its author noted them.
    #[serde(flatten)]
    pub(crate) note: MigrationNote,
}

impl CatalogRow {
    /// A row of no tenant yet. Without a description in its note, its name is put in words.
    pub(crate) fn new(name: &str, kind: &'static str, note: MigrationNote) -> Self {
        let description = note.description.clone().unwrap_or_else(|| in_words(name));
        CatalogRow { name: name.to_owned(), kind, date: date_of(name), description, have: 0, note }
    }
}

/// An entry of a tenant's own history.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AppliedRow {
    pub(crate) name: String,
    /// Whether this program has it.
    pub(crate) known: bool,
    /// In seconds since 1970-01-01 UTC, as the tenant's own history has it.
    pub(crate) applied_at: Option<i64>,
    /// The last run that applied it, if the ledger has one.
    pub(crate) run: Option<Uuid>,
    /// `user@host` of that run.
    pub(crate) by: Option<String>,
}

/// The day at the beginning of a name, behind an `m` or a `V`.
fn date_of(name: &str) -> Option<String> {
    let digits = name.strip_prefix(['m', 'V']).unwrap_or(name).get(..8)?;
    let number = |range: std::ops::Range<usize>| digits.get(range)?.parse::<u32>().ok();
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    let is_day = (1990..2100).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    (digits.bytes().all(|b| b.is_ascii_digit()) && is_day).then(|| format!("{year:04}-{month:02}-{day:02}"))
}

/// `m20250110_000001_initial_schema` is `initial schema`.
fn in_words(name: &str) -> String {
    let plain = name.strip_prefix("R__").or_else(|| name.strip_prefix(['m', 'V'])).unwrap_or(name);
    let words = plain.trim_start_matches(|c: char| c.is_ascii_digit() || "_-.".contains(c));
    if words.is_empty() { name.to_owned() } else { words.replace(['_', '-'], " ") }
}

/// The catalog with the number of tenants that have each migration.
pub(crate) fn spread(rows: &[CatalogRow], observations: &[Observation], format: Format, style: &Style) -> String {
    let read = observations.iter().filter(|o| o.state != State::Unreachable).count();
    let table = || {
        let total = summary::total_line(observations);
        format!("{}\n{}, {total}\n", spread_sheet(rows, read).table(style), label::count(rows.len(), "migration"))
    };
    format.write(table, || json!({ "tenants": read, "migrations": rows }), || spread_sheet(rows, read))
}

fn spread_sheet(rows: &[CatalogRow], read: usize) -> Sheet {
    let have = |row: &&CatalogRow| {
        let tone = if row.have == read { Tone::Good } else { Tone::Warning };
        Cell::from(format!("{} of {read}", row.have)).tone(tone)
    };
    Sheet::of(rows)
        .column(Column::new("Migration").at_least(20), |row| &row.name)
        .column(Column::new("Kind").expendable(2), |row| row.kind)
        .column(Column::new("Date").expendable(1), |row| Cell::maybe(row.date.as_ref()))
        .column(Column::new("Description").at_least(20).expendable(3), |row| &row.description)
        .column(Column::screen("Tenants").right(), have)
        .column(Column::data("Have"), |row| row.have)
        .column(Column::data("Tenants"), |_| read)
        .column(Column::data("Status"), |row| Cell::maybe(row.note.status.as_ref()))
        .column(Column::data("Impact"), |row| Cell::maybe(row.note.impact.as_ref()))
        .column(Column::data("Rollback"), |row| Cell::maybe(row.note.rollback.as_ref()))
        .sheet()
}

/// The catalog as a timeline, newest first, with what the authors noted. The data forms are those of [`spread`].
pub(crate) fn timeline(rows: &[CatalogRow], observations: &[Observation], format: Format, style: &Style) -> String {
    const INDENT: &str = "    ";
    if format != Format::Table {
        return spread(rows, observations, format, style);
    }
    let read = observations.iter().filter(|o| o.state != State::Unreachable).count();
    let (repeated, once): (Vec<&CatalogRow>, Vec<&CatalogRow>) = rows.iter().partition(|row| row.kind == "repeatable");
    let entry = |row: &&CatalogRow| {
        let name = style.paint(Tone::Bold, clean(&row.name));
        let date = row.date.as_ref().map(|date| format!("{date}  ")).unwrap_or_default();
        let mut out = format!("{date}{name}\n");
        let notes = [("status", &row.note.status), ("impact", &row.note.impact), ("rollback", &row.note.rollback)];
        let notes = notes.iter().filter_map(|(key, text)| Some(format!("{key}: {}", text.as_ref()?)));
        let spread = format!("{}, {} of {}", row.kind, row.have, label::count(read, "tenant"));
        for line in [row.description.clone()].into_iter().chain(notes).chain([spread]) {
            out.push_str(&paragraph(&line, INDENT, usize::MAX, style));
        }
        out
    };
    let entries: String = once.iter().rev().map(entry).collect();
    let repeated = match repeated.len() {
        0 => String::new(),
        n => format!(", {} not shown", label::count(n, "repeatable script")),
    };
    let total = summary::total_line(observations);
    format!("{entries}\n{}{repeated}, {total}\n", label::count(once.len(), "migration"))
}

/// The history of one tenant, oldest first.
pub(crate) fn of_tenant(rows: &[AppliedRow], of: &Observation, format: Format, style: &Style) -> String {
    let sheet = || {
        Sheet::of(rows)
            .column(Column::new("Migration").at_least(20), |row| &row.name)
            .column("Applied at", |row| Cell::maybe(row.applied_at.map(|at| label::moment(at * 1000))))
            .column(Column::new("Run").expendable(2), |row| Cell::maybe(row.run))
            .column(Column::new("By").expendable(1), |row| Cell::maybe(row.by.as_ref()))
            .sheet()
    };
    let table = || {
        let entries = if rows.is_empty() { "nothing applied\n".to_owned() } else { sheet().table(style) };
        let state = summary::state_text(&of.state);
        format!("{entries}\n{}: {}, {state}\n", super::clean(of.tenant.as_str()), label::count(rows.len(), "migration"))
    };
    let fields = || json!({ "tenant": of.tenant, "state": of.state.name(), "version": of.version, "history": rows });
    format.write(table, fields, sheet)
}

/// The version of each tenant, with `(head)` at the newest.
pub(crate) fn current(catalog: &Catalog, observations: &[Observation], format: Format, style: &Style) -> String {
    let head = catalog.head().map(|name| &**name);
    let version = |o: &&Observation| {
        let is_head = o.version.is_some() && o.version.as_deref() == head;
        let nothing = if o.state == State::Unreachable { "(not known)" } else { "(nothing applied)" };
        let text = o.version.as_deref().unwrap_or(nothing);
        Cell::from(format!("{text}{}", if is_head { " (head)" } else { "" })).data(o.version.as_deref().unwrap_or(""))
    };
    let sheet = || {
        Sheet::of(observations)
            .column(Column::new("Tenant").at_least(12), |o| &o.tenant)
            .column(Column::new("Version").at_least(20), version)
            .column("State", |o| Cell::from(summary::state_text(&o.state)).tone(summary::tone(&o.state)))
            .sheet()
    };
    let fields = || {
        let one = |o: &Observation| json!({ "id": o.tenant, "version": o.version, "state": o.state.name(), "error": o.error });
        json!({ "head": head, "tenants": observations.iter().map(one).collect::<Vec<_>>() })
    };
    format.write(|| sheet().table(style), fields, sheet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_dates_and_words_where_they_have_them() {
        assert_eq!(date_of("m20250110_000001_initial_schema").as_deref(), Some("2025-01-10"));
        assert_eq!(date_of("V20251231__x").as_deref(), Some("2025-12-31"));
        assert_eq!((date_of("0001_create_indexes"), date_of("99999999_x"), date_of("é")), (None, None, None));
        assert_eq!(in_words("m20250110_000001_initial_schema"), "initial schema");
        assert_eq!((in_words("0001_create_indexes"), in_words("R__sales")), ("create indexes".into(), "sales".into()));
        assert_eq!(in_words("0001"), "0001");
    }
}
