//! Tenants by migrations: who is where.
//!
//! Only shows what was read. A tenant that could not be read has no applied and no pending migrations, but unknown ones.

use std::collections::HashSet;
use std::ops::Range;

use rayon::prelude::*;
use serde_json::{Value, json};

use crate::model::observation::Observation;
use crate::model::schema::{Catalog, State};

use super::causes::group_by;
use super::sheet::{Cell, Column, Sheet};
use super::style::{Tone, clean, paragraph, width};
use super::{Format, Style, json, label, markdown, summary};

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
            Format::Md => self.markdown(),
            _ => format.write(|| self.text(style), || self.fields(), || self.every_tenant()),
        }
    }

    fn rows(&self) -> Vec<Row<'_>> {
        let read = self.observations.par_iter().map(|o| Row::new(self.catalog, o)).collect::<Vec<Row<'_>>>();
        if self.all {
            return read;
        }
        let key = |r: &Row<'_>| (summary::rank(&r.tenants[0].state), r.marks.clone(), r.unknown);
        let mut rows: Vec<Row<'_>> = group_by(read, key)
            .into_iter()
            .map(|((_, marks, unknown), same)| Row {
                marks,
                unknown,
                tenants: same.iter().map(|row| row.tenants[0]).collect(),
            })
            .collect();
        rows.sort_by_key(|r| summary::rank(&r.tenants[0].state));
        rows
    }

    fn text(&self, style: &Style) -> String {
        if self.observations.is_empty() {
            return "0 tenants\n".to_owned();
        }
        let rows = self.rows();
        let layout = Layout::new(self, &rows, style);
        let mut out = self.grid(&rows, &layout, style).table(style);
        out.push('\n');
        out.push_str(&legend(&rows, style));
        if layout.numbered && !layout.shown.is_empty() {
            out.push_str(&self.key(&layout).table(style));
        }
        out.push_str(&layout.left_out(style));
        out.push('\n');
        out.push_str(
            &summary::version_sheet(&summary::by_version(self.catalog, self.observations), style).table(style),
        );
        let concerns = summary::concerns(self.observations);
        if !concerns.is_empty() {
            out.push('\n');
            out.push_str(&summary::concerns_text(&concerns, 20, style));
        }
        out.push_str(&format!("\n{}\n", summary::total_line(self.observations)));
        out
    }

    /// One row a group of tenants, or a tenant; one column a migration, or a run of them.
    fn grid(&self, rows: &[Row<'_>], layout: &Layout, style: &Style) -> Sheet {
        let mut columns = match self.all {
            true => vec![
                Column::new("Tenant").at_least(12),
                Column::new("Engine").expendable(2),
                Column::new("Server").expendable(1),
            ],
            false => vec![Column::new("Tenants"), Column::new("N").right()],
        };
        columns.push(Column::new("State"));
        columns.extend(layout.shown.iter().map(|r| Column::new(title(self.catalog, r, layout.numbered)).verbatim()));
        columns.extend(rows.iter().any(|r| r.unknown > 0).then(|| Column::new("Unknown")));
        let row = |row: &Row<'_>| -> Vec<Cell> {
            let first = row.tenants[0];
            let mut cells: Vec<Cell> = if self.all {
                vec![(&first.tenant).into(), first.engine.into(), (&first.server).into()]
            } else {
                let names: Vec<&str> = row.tenants.iter().map(|o| o.tenant.as_str()).collect();
                vec![label::names(&names, layout.names, style).into(), row.tenants.len().into()]
            };
            cells.push(Cell::from(summary::state_text(&first.state)).tone(summary::tone(&first.state)));
            cells.extend(layout.shown.iter().map(|r| row.marks[r.start].cell(style)));
            if row.unknown > 0 {
                cells.push(Cell::from(format!("{}{}", Mark::ahead(style), row.unknown)).tone(Tone::Bad));
            }
            cells
        };
        Sheet::new(columns).rows(rows.iter().map(row))
    }

    /// The names behind the numbers of the columns.
    fn key(&self, layout: &Layout) -> Sheet {
        let row = |range: &Range<usize>| -> [Cell; 2] {
            let (first, last) = (&self.catalog.migrations[range.start], &self.catalog.migrations[range.end - 1]);
            let names = if range.len() == 1 { first.to_string() } else { format!("{first} to {last}") };
            [title(self.catalog, range, true).into(), names.into()]
        };
        Sheet::new([Column::new(""), Column::new("").at_least(20)]).indent(2).rows(layout.shown.iter().map(row))
    }

    fn fields(&self) -> Value {
        let tenants: Vec<Value> = self.observations.par_iter().map(|o| tenant_json(self.catalog, o)).collect();
        json!({
            "catalog": self.catalog.migrations.iter().map(|m| &**m).collect::<Vec<&str>>(),
            "history_table": self.catalog.history_table,
            "tenants": tenants,
            "summary": summary::summary_json(self.catalog, self.observations),
        })
    }

    fn every_tenant(&self) -> Sheet {
        let mut columns: Vec<Column> = ["Tenant", "Engine", "Server", "State", "Version"].map(Column::new).into();
        columns.extend(self.catalog.migrations.iter().map(|m| Column::new(m).verbatim()));
        columns.extend(["Unknown", "Error"].map(Column::new));
        let row = |o: &Observation| -> Vec<Cell> {
            let mut row: Vec<Cell> =
                vec![(&o.tenant).into(), o.engine.into(), (&o.server).into(), o.state.name().into()];
            row.push(o.version.as_deref().unwrap_or_default().into());
            row.extend(marks(self.catalog, o).into_iter().map(|m| Cell::from(m.word())));
            row.push(unknown(o).join(" ").into());
            row.push(o.error.as_ref().map(ToString::to_string).unwrap_or_default().into());
            row
        };
        Sheet::new(columns).rows(self.observations.par_iter().map(row).collect::<Vec<_>>())
    }

    fn markdown(&self) -> String {
        let style = Style::FILE;
        let rows = self.rows();
        let layout = Layout { names: 60, ..Layout::new(self, &rows, &style) };
        let mut out = format!("**{}**\n\n", markdown::text(&summary::total_line(self.observations)));
        out.push_str(&self.grid(&rows, &layout, &style).markdown());
        let mut notes = legend(&rows, &style);
        if rows.iter().any(|row| row.tenants.len() > 1) {
            notes.push_str("tenants with equal rows share one; csv and json have every tenant\n");
        }
        out.push_str(&format!("\n{}\n\n", markdown::text(notes.trim().replace('\n', "; ").as_str())));
        out.push_str(&summary::markdown(self.catalog, self.observations, &style));
        out
    }
}

/// Tenants that read the same.
struct Row<'a> {
    tenants: Vec<&'a Observation>,
    marks: Vec<Mark>,
    unknown: usize,
}

impl<'a> Row<'a> {
    fn new(catalog: &Catalog, tenant: &'a Observation) -> Self {
        Row { marks: marks(catalog, tenant), unknown: unknown(tenant).len(), tenants: vec![tenant] }
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
            Mark::Gap => "out_of_order",
            Mark::Edited => "checksum_mismatch",
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
            (Mark::Gap, false) => "O",
            (Mark::Edited, false) => "C",
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
        Cell::from(self.sign(style)).tone(tone)
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
        "applied": named(&[Mark::Applied, Mark::Edited]), "pending": named(&[Mark::Pending, Mark::Gap]), "out_of_order": named(&[Mark::Gap]),
        "checksum_mismatch": named(&[Mark::Edited]),
        "unknown": read.then(|| unknown(o)),
        "in_doubt": if let State::InDoubt(u) = &o.state { json::value(u) } else { Value::Null },
        "partially_applied": if let State::Stopped(u) = &o.state { json::value(u) } else { Value::Null },
        "error": o.error,
    })
}

fn legend(rows: &[Row<'_>], style: &Style) -> String {
    let mut parts: Vec<String> = Mark::ALL
        .into_iter()
        .filter(|mark| rows.iter().any(|r| r.marks.contains(mark)))
        .map(|mark| {
            let meaning = match mark {
                Mark::Gap => "out of order (missing, a later one is applied)".to_owned(),
                other => summary::words(other.word()),
            };
            format!("{} {meaning}", mark.sign(style))
        })
        .collect();
    if rows.iter().any(|r| r.unknown > 0) {
        parts.push(format!("{}n ahead (n versions are not known to this program)", Mark::ahead(style)));
    }
    // A meaning stays on one line: only between two of them is there a blank to break at.
    let words: Vec<String> = parts.iter().map(|part| part.replace(' ', "\u{a0}")).collect();
    let options = textwrap::Options::new(style.columns()).word_separator(textwrap::WordSeparator::AsciiSpace);
    textwrap::fill(&words.join("   "), options).replace('\u{a0}', " ") + "\n"
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
        while style.width.is_some() && numbered && shown.len() > 1 && needed(&shown, true) > marks_room {
            cut += shown.remove(0).len();
        }
        let names = room.saturating_sub(needed(&shown, numbered)).clamp(least_names, Self::MOST_NAMES);
        Layout { shown, numbered, names, cut }
    }

    fn left_out(&self, style: &Style) -> String {
        if self.cut == 0 {
            return String::new();
        }
        let text = format!(
            "the oldest {} not shown for want of room; a larger --width shows more, --format csv or json all",
            label::count(self.cut, "migration")
        );
        paragraph(&text, "", 2, style)
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
