//! Tenants by migrations: who is where.
//!
//! Only shows what was read. A tenant that could not be read has no applied and no pending migrations, but unknown ones.

use std::collections::HashSet;
use std::ops::Range;

use serde_json::{Value, json};

use crate::model::observation::Observation;
use crate::model::schema::{Catalog, State};

use super::causes::group_by;
use super::style::{Format, Style, Tone, clean, width};
use super::table::{Cell, Column, Table};
use super::{csv_text, json, label, markdown, summary};

/// What the matrix shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MatrixView<'a> {
    /// The migrations.
    pub(crate) catalog: &'a Catalog,
    /// The tenants, in plan order.
    pub(crate) observations: &'a [Observation],
    /// Every tenant in a row of its own; otherwise equal rows are one.
    pub(crate) all: bool,
}

impl MatrixView<'_> {
    /// The matrix in the form asked for. CSV has a row a tenant, whatever `all` says.
    pub(crate) fn render(&self, format: Format, style: &Style) -> String {
        match format {
            Format::Table => self.text(style),
            Format::Json => self.json(),
            Format::Csv => self.csv(),
            Format::Md => self.markdown(),
        }
    }

    fn rows(&self) -> Vec<Row<'_>> {
        let mut rows: Vec<Row<'_>> = if self.all {
            self.observations.iter().map(|o| Row::new(self.catalog, vec![o])).collect()
        } else {
            let key = |o: &&Observation| (summary::rank(&o.state), marks(self.catalog, o), unknown(o).len());
            group_by(self.observations, key).into_iter().map(|(_, same)| Row::new(self.catalog, same)).collect()
        };
        if !self.all {
            rows.sort_by_key(|r| summary::rank(&r.tenants[0].state));
        }
        rows
    }

    fn text(&self, style: &Style) -> String {
        if self.observations.is_empty() {
            return "0 tenants\n".to_owned();
        }
        let rows = self.rows();
        let layout = Layout::new(self, &rows, style);
        let mut out = self.grid(&rows, &layout, style);
        out.push('\n');
        out.push_str(&legend(&rows, style));
        if layout.numbered && !layout.shown.is_empty() {
            out.push_str(&self.key(&layout, style));
        }
        out.push_str(&layout.left_out());
        out.push('\n');
        out.push_str(&summary::version_table(&summary::by_version(self.catalog, self.observations), style));
        let concerns = summary::concerns(self.observations);
        if !concerns.is_empty() {
            out.push('\n');
            out.push_str(&summary::concerns_text(&concerns, 20, style));
        }
        out.push_str(&format!("\n{}\n", summary::total_line(self.observations)));
        out
    }

    fn grid(&self, rows: &[Row<'_>], layout: &Layout, style: &Style) -> String {
        let mut columns = vec![if self.all { Column::new("TENANT").at_least(12) } else { Column::new("TENANTS") }];
        if self.all {
            columns.push(Column::new("ENGINE").expendable(2));
            columns.push(Column::new("SERVER").expendable(1));
        } else {
            columns.push(Column::new("N").right());
        }
        columns.push(Column::new("STATE"));
        columns.extend(layout.shown.iter().map(|r| Column::new(title(self.catalog, r, layout.numbered))));
        columns.push(Column::new("UNKNOWN"));
        let mut table = Table::new(columns);
        for row in rows {
            let first = row.tenants[0];
            let mut cells: Vec<Cell> = if self.all {
                vec![first.tenant.as_str().into(), first.engine.name().into(), Cell::new(&first.server)]
            } else {
                let names: Vec<&str> = row.tenants.iter().map(|o| o.tenant.as_str()).collect();
                vec![label::names(&names, layout.names, style).into(), row.tenants.len().to_string().into()]
            };
            cells.push(Cell::new(summary::state_text(&first.state)).tone(summary::tone(&first.state)));
            cells.extend(layout.shown.iter().map(|r| row.marks[r.start].cell(style)));
            if row.unknown > 0 {
                cells.push(Cell::new(format!("{}{}", Mark::ahead(style), row.unknown)).tone(Tone::Bad));
            }
            table.row(cells);
        }
        table.render(style)
    }

    fn key(&self, layout: &Layout, style: &Style) -> String {
        let mut table = Table::new([Column::new(""), Column::new("").at_least(20)]).indent(2);
        for range in &layout.shown {
            let (first, last) = (&self.catalog.migrations[range.start], &self.catalog.migrations[range.end - 1]);
            let names = if range.len() == 1 { first.to_string() } else { format!("{first} to {last}") };
            table.row([title(self.catalog, range, true).into(), Cell::new(names)]);
        }
        table.render(style)
    }

    fn json(&self) -> String {
        let tenants: Vec<Value> = self.observations.iter().map(|o| tenant_json(self.catalog, o)).collect();
        json::document(json!({
            "catalog": self.catalog.migrations.iter().map(|m| &**m).collect::<Vec<&str>>(),
            "history_table": self.catalog.history_table,
            "tenants": tenants,
            "summary": summary::summary_json(self.catalog, self.observations),
        }))
    }

    fn csv(&self) -> String {
        let mut header = vec!["tenant", "engine", "server", "state", "version"];
        header.extend(self.catalog.migrations.iter().map(|m| &**m));
        header.extend(["unknown", "error"]);
        let rows: Vec<Vec<String>> = self
            .observations
            .iter()
            .map(|o| {
                let mut row = vec![o.tenant.to_string(), o.engine.to_string(), o.server.clone()];
                row.extend([o.state.name().to_owned(), o.version.clone().unwrap_or_default()]);
                row.extend(marks(self.catalog, o).into_iter().map(|m| m.word().to_owned()));
                row.extend([unknown(o).join(" "), o.error.as_ref().map(ToString::to_string).unwrap_or_default()]);
                row
            })
            .collect();
        csv_text::write(&header, rows.iter().map(|r| r.iter().map(String::as_str)))
    }

    fn markdown(&self) -> String {
        let style = Style { colour: false, unicode: true, width: 160 };
        let rows = self.rows();
        let layout = Layout::new(self, &rows, &style);
        let titles: Vec<String> =
            layout.shown.iter().map(|r| markdown::text(&title(self.catalog, r, layout.numbered))).collect();
        let mut header = vec!["Tenants", "Count", "State"];
        header.extend(titles.iter().map(String::as_str));
        let ahead = rows.iter().any(|r| r.unknown > 0);
        if ahead {
            header.push("Unknown");
        }
        let body = rows.iter().map(|row| {
            let names: Vec<&str> = row.tenants.iter().map(|o| o.tenant.as_str()).collect();
            let mut cells = vec![label::names(&names, 60, &style), row.tenants.len().to_string()];
            cells.push(summary::state_text(&row.tenants[0].state));
            cells.extend(layout.shown.iter().map(|r| row.marks[r.start].sign(&style).to_owned()));
            if ahead {
                cells.push(if row.unknown > 0 { row.unknown.to_string() } else { String::new() });
            }
            cells
        });
        let mut out = format!("**{}**\n\n", markdown::text(&summary::total_line(self.observations)));
        out.push_str(&markdown::table(&header, body));
        let mut notes = legend(&rows, &style) + &layout.left_out();
        if rows.iter().any(|row| row.tenants.len() > 1) {
            notes.push_str("tenants with equal rows share one; csv and json have every tenant\n");
        }
        out.push_str(&format!("\n{}\n\n", markdown::text(notes.trim().replace('\n', "; ").as_str())));
        out.push_str(&survey_markdown(self.catalog, self.observations));
        out
    }
}

/// The parts that the status has too: the versions and the concerns.
pub(super) fn survey_markdown(catalog: &Catalog, observations: &[Observation]) -> String {
    let style = Style { colour: false, unicode: true, width: 160 };
    let versions = summary::by_version(catalog, observations);
    let body = versions.iter().map(|v| [v.text(), v.tenants.to_string(), label::share(v.tenants, observations.len())]);
    let mut out = markdown::table(&["Version", "Tenants", "Share"], body);
    let concerns = summary::concerns(observations);
    if !concerns.is_empty() {
        let body = concerns.iter().map(|c| {
            [c.state.clone(), c.tenants.len().to_string(), label::names(&c.tenants, 60, &style), c.why.clone()]
        });
        out.push('\n');
        out.push_str(&markdown::table(&["Needs attention", "N", "Tenants", "Why"], body));
    }
    out
}

/// Tenants that read the same.
struct Row<'a> {
    tenants: Vec<&'a Observation>,
    marks: Vec<Mark>,
    unknown: usize,
}

impl<'a> Row<'a> {
    fn new(catalog: &Catalog, tenants: Vec<&'a Observation>) -> Self {
        let first = tenants[0];
        Row { marks: marks(catalog, first), unknown: unknown(first).len(), tenants }
    }
}

/// What a tenant's history says of one migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Mark {
    Applied,
    Pending,
    Gap,
    Edited,
    InDoubt,
    Unread,
}

impl Mark {
    const ALL: [Mark; 6] = [Mark::Applied, Mark::Pending, Mark::Gap, Mark::Edited, Mark::InDoubt, Mark::Unread];

    fn word(self) -> &'static str {
        match self {
            Mark::Applied => "applied",
            Mark::Pending => "pending",
            Mark::Gap => "gap",
            Mark::Edited => "edited",
            Mark::InDoubt => "in_doubt",
            Mark::Unread => "unreachable",
        }
    }

    /// All of them are one column wide and tell apart without colour.
    fn sign(self, style: &Style) -> &'static str {
        match (self, style.unicode) {
            (Mark::Applied, true) => "●",
            (Mark::Pending, true) => "○",
            (Mark::Gap, true) => "✗",
            (Mark::Edited, true) => "≠",
            (Mark::InDoubt, true) => "◐",
            (Mark::Applied, false) => "A",
            (Mark::Pending, false) => ".",
            (Mark::Gap, false) => "G",
            (Mark::Edited, false) => "E",
            (Mark::InDoubt, false) => "D",
            (Mark::Unread, _) => "?",
        }
    }

    fn ahead(style: &Style) -> &'static str {
        if style.unicode { "▲" } else { "+" }
    }

    fn cell(self, style: &Style) -> Cell {
        let tone = match self {
            Mark::Applied => Tone::Good,
            Mark::Pending => Tone::Warning,
            Mark::Gap | Mark::Edited | Mark::InDoubt => Tone::Bad,
            Mark::Unread => Tone::Dim,
        };
        Cell::new(self.sign(style)).tone(tone)
    }
}

fn marks(catalog: &Catalog, o: &Observation) -> Vec<Mark> {
    if o.state == State::Unreachable {
        return vec![Mark::Unread; catalog.migrations.len()];
    }
    let missing = catalog.missing(&o.history, o.engine);
    let gaps: HashSet<usize> = catalog.gaps(&missing).into_iter().collect();
    let missing: HashSet<usize> = missing.into_iter().collect();
    let edited = catalog.edited(&o.history, o.engine);
    let in_doubt = |name: &str| matches!(&o.state, State::InDoubt(u) | State::Stopped(u) if u.migration == name);
    catalog
        .migrations
        .iter()
        .enumerate()
        .map(|(i, name)| match missing.contains(&i) {
            _ if in_doubt(name) => Mark::InDoubt,
            false if edited.iter().any(|e| **e == **name) => Mark::Edited,
            false => Mark::Applied,
            true if gaps.contains(&i) => Mark::Gap,
            true => Mark::Pending,
        })
        .collect()
}

fn unknown(o: &Observation) -> &[String] {
    if let State::Ahead { unknown } = &o.state { unknown } else { &[] }
}

fn tenant_json(catalog: &Catalog, o: &Observation) -> Value {
    let read = o.state != State::Unreachable;
    let marks = marks(catalog, o);
    // Nothing is said of the history of a tenant that could not be read: null is not an empty list.
    let named = |wanted: &[Mark]| -> Option<Vec<&str>> {
        let chosen = catalog.migrations.iter().zip(&marks).filter(|(_, m)| wanted.contains(m));
        read.then(|| chosen.map(|(name, _)| &**name).collect())
    };
    json!({
        "id": o.tenant, "engine": o.engine, "server": o.server,
        "state": o.state.name(), "version": o.version,
        "applied": named(&[Mark::Applied, Mark::Edited]), "pending": named(&[Mark::Pending, Mark::Gap]), "gap": named(&[Mark::Gap]),
        "edited": named(&[Mark::Edited]),
        "unknown": read.then(|| unknown(o)),
        "in_doubt": if let State::InDoubt(u) = &o.state { json::value(u) } else { Value::Null },
        "stopped": if let State::Stopped(u) = &o.state { json::value(u) } else { Value::Null },
        "error": o.error,
    })
}

fn legend(rows: &[Row<'_>], style: &Style) -> String {
    let mut parts: Vec<String> = Mark::ALL
        .into_iter()
        .filter(|mark| rows.iter().any(|r| r.marks.contains(mark)))
        .map(|mark| {
            let meaning = match mark {
                Mark::Gap => "gap (missing, a later one is applied)",
                Mark::InDoubt => "in doubt",
                other => other.word(),
            };
            format!("{} {meaning}", mark.sign(style))
        })
        .collect();
    if rows.iter().any(|r| r.unknown > 0) {
        parts.push(format!("{}n ahead (n versions are not known to this program)", Mark::ahead(style)));
    }
    let mut out = String::new();
    let mut used = 0;
    for part in parts {
        let needed = width(&part) + 3;
        if used > 0 && used + needed - 3 > style.columns() {
            out.push('\n');
            used = 0;
        }
        out.push_str(if used > 0 { "   " } else { "" });
        out.push_str(&part);
        used += needed;
    }
    out + "\n"
}

/// Which migrations have a column, and how they are called there.
struct Layout {
    /// The columns: runs of migrations that read the same on every row share one.
    shown: Vec<Range<usize>>,
    numbered: bool,
    /// The columns for the tenants' names.
    names: usize,
    /// Left out for want of room.
    cut: usize,
}

impl Layout {
    /// However wide the screen is, the marks stay near the names.
    const MOST_NAMES: usize = 48;

    fn new(view: &MatrixView<'_>, rows: &[Row<'_>], style: &Style) -> Self {
        let catalog = view.catalog;
        let least_names = if style.columns() < 100 { 16 } else { 28 };
        let room = room_for_names_and_marks(view, rows, style);
        let marks_room = room.saturating_sub(least_names);
        let single: Vec<Range<usize>> = (0..catalog.migrations.len()).map(|i| i..i + 1).collect();
        let needed = |shown: &[Range<usize>], numbered: bool| -> usize {
            shown.iter().map(|r| 2 + width(&clean(&title(catalog, r, numbered)))).sum()
        };
        let tails: HashSet<&str> = catalog.migrations.iter().map(|m| label::tail(m)).collect();
        let numbered = tails.len() < single.len() || needed(&single, false) > marks_room;
        let mut shown = single;
        if numbered && needed(&shown, true) > marks_room {
            shown = alike(rows, shown.len());
        }
        let mut cut = 0;
        while numbered && shown.len() > 1 && needed(&shown, true) > marks_room {
            cut += shown.remove(0).len();
        }
        let names = room.saturating_sub(needed(&shown, numbered)).clamp(least_names, Self::MOST_NAMES);
        Layout { shown, numbered, names, cut }
    }

    fn left_out(&self) -> String {
        match self.cut {
            0 => String::new(),
            n => format!(
                "the oldest {} left out for want of width; --format json has all\n",
                label::count(n, "migration")
            ),
        }
    }
}

fn room_for_names_and_marks(view: &MatrixView<'_>, rows: &[Row<'_>], style: &Style) -> usize {
    let state = rows.iter().map(|r| width(&summary::state_text(&r.tenants[0].state))).max().unwrap_or(0).max(5);
    let ahead = if rows.iter().any(|r| r.unknown > 0) { 9 } else { 0 };
    let digits = if view.all { 0 } else { 2 + view.observations.len().to_string().len() };
    style.columns().saturating_sub(state + 2 + ahead + digits)
}

/// What stands above the column of some migrations.
fn title(catalog: &Catalog, range: &Range<usize>, numbered: bool) -> String {
    if numbered {
        label::ranges(&range.clone().collect::<Vec<usize>>())
    } else {
        label::tail(&catalog.migrations[range.start]).to_owned()
    }
}

/// Neighbours that read the same on every row, as one.
fn alike(rows: &[Row<'_>], migrations: usize) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for i in 0..migrations {
        match runs.last_mut() {
            Some(run) if rows.iter().all(|r| r.marks[i] == r.marks[run.start]) => run.end = i + 1,
            _ => runs.push(i..i + 1),
        }
    }
    runs
}
