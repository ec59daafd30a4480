//! The matrix of tenants by migrations.
//!
//! It only shows observations. A tenant that could not be read has no applied and no pending migrations, but unknown
//! ones.

use std::collections::HashSet;
use std::ops::Range;

use rayon::prelude::*;
use serde_json::{Value, json};

use crate::model::observation::Observation;
use crate::model::schema::{Catalog, State};

use super::causes::group_by;
use super::sheet::{Cell, Column, Sheet};
use super::style::{Tone, clean, paragraph, width};
use super::{Format, Style, label, markdown, summary};

/// The data of the matrix.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MatrixView<'a> {
    /// The migrations.
    pub(crate) catalog: &'a Catalog,
    /// The tenants, in plan order.
    pub(crate) observations: &'a [Observation],
    /// Every tenant in a row of its own; otherwise equal rows are one.
    pub(crate) all: bool,
}

impl<'a> MatrixView<'a> {
    /// The matrix in the form asked for. CSV has a row per tenant, whatever `all` says.
    pub(crate) fn render(&self, format: Format, style: &Style) -> String {
        match format {
            Format::Md => self.markdown(),
            _ => format.write(|| self.text(style), || self.fields(), || self.every_tenant()),
        }
    }

    fn rows(&self) -> Vec<Row<'a>> {
        let read = self.observations.par_iter().map(|o| Row::new(self.catalog, o)).collect::<Vec<Row<'_>>>();
        if self.all {
            return read;
        }
        let key = |r: &Row<'_>| (summary::rank(&r.tenants[0].state), r.marks.clone(), r.unknown);
        let mut groups = group_by(read, key);
        groups.sort_by_key(|((rank, ..), _)| *rank);
        let tenants = |same: Vec<Row<'a>>| same.iter().map(|row| row.tenants[0]).collect();
        groups.into_iter().map(|((_, marks, unknown), same)| Row { tenants: tenants(same), marks, unknown }).collect()
    }

    fn text(&self, style: &Style) -> String {
        if self.observations.is_empty() {
            return "0 tenants\n".to_owned();
        }
        let rows = self.rows();
        let layout = Layout::new(self, &rows, style);
        let mut notes = legend(&rows, style);
        if layout.numbered && !layout.shown.is_empty() {
            notes.push_str(&self.key(&layout).table(style));
        }
        notes.push_str(&layout.left_out(style));
        let versions = summary::version_sheet(self.catalog, self.observations, style).table(style);
        let parts = vec![self.grid(&rows, &layout, style).table(style), notes, versions];
        summary::text(parts, self.observations, 20, style)
    }

    /// One row per group of tenants, or per tenant; one column per migration, or per range of them.
    fn grid(&self, rows: &[Row<'_>], layout: &Layout, style: &Style) -> Sheet {
        let rows = Sheet::of(rows);
        let mut rows = match self.all {
            true => rows
                .column(Column::new("Tenant").at_least(12), |row| &row.tenants[0].tenant)
                .column(Column::new("Engine").expendable(2), |row| row.tenants[0].engine)
                .column(Column::new("Server").expendable(1), |row| &row.tenants[0].server)
                .column_if(self.has_sources(), Column::new("Source").expendable(3), |row| {
                    Cell::maybe(row.tenants[0].source.as_ref())
                }),
            false => rows
                .column(Column::new("Tenants").at_least(16), |row| {
                    label::names(row.tenants.iter().map(|o| &o.tenant), layout.names, style)
                })
                .column(Column::new("N").right(), |row| row.tenants.len()),
        }
        .column("State", |row| {
            let state = &row.tenants[0].state;
            Cell::from(summary::state_text(state)).tone(summary::tone(state))
        });
        for range in &layout.shown {
            let title = title(self.catalog, range, layout.numbered);
            rows = rows.column(Column::new(title).verbatim(), |row| row.marks[range.start].cell(style));
        }
        let unknown = |row: &&Row<'_>| match row.unknown {
            0 => Cell::default(),
            n => Cell::from(format!("{}{n}", Mark::ahead(style))).tone(Tone::Bad),
        };
        if layout.has_unknown { rows.column("Unknown", unknown).sheet() } else { rows.sheet() }
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

    pub(super) fn fields(&self) -> Value {
        let tenants: Vec<Value> = self.observations.par_iter().map(|o| tenant_json(self.catalog, o)).collect();
        json!({
            "catalog": self.catalog.migrations.iter().map(|m| &**m).collect::<Vec<&str>>(),
            "history_table": self.catalog.history_table,
            "tenants": tenants,
            "summary": summary::fields(self.catalog, self.observations),
        })
    }

    fn every_tenant(&self) -> Sheet {
        let row = |o| (o, marks(self.catalog, o));
        let rows: Vec<(&Observation, Vec<Mark>)> = self.observations.par_iter().map(row).collect();
        let mut rows = Sheet::of(&rows)
            .column("Tenant", |(o, _)| &o.tenant)
            .column("Engine", |(o, _)| o.engine)
            .column("Server", |(o, _)| &o.server)
            .column("State", |(o, _)| o.state.name())
            .column("Version", |(o, _)| Cell::maybe(o.version.as_ref()));
        for (at, name) in self.catalog.migrations.iter().enumerate() {
            rows = rows.column(Column::new(name).verbatim(), |(_, marks)| Cell::fixed(marks[at].word()));
        }
        rows.column("Unknown", |(o, _)| unknown(o).join(" "))
            .column("Error", |(o, _)| Cell::maybe(o.error.as_ref()))
            .column_if(self.has_sources(), Column::data("Source"), |(o, _)| Cell::maybe(o.source.as_ref()))
            .sheet()
    }

    fn has_sources(&self) -> bool {
        self.observations.iter().any(|o| o.source.is_some())
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

/// The state of one migration in a tenant's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Mark {
    Applied,
    Pending,
    Gap,
    Edited,
    Stopped,
    InDoubt,
    Unread,
}

impl Mark {
    pub(super) const ALL: [Mark; 7] =
        [Mark::Applied, Mark::Pending, Mark::Gap, Mark::Edited, Mark::Stopped, Mark::InDoubt, Mark::Unread];

    /// Its name, its sign with and without drawing characters, and its colour. All signs are one column wide and
    /// distinct without colour.
    fn look(self) -> (&'static str, [&'static str; 2], Tone) {
        match self {
            Mark::Applied => ("applied", ["●", "A"], Tone::Good),
            Mark::Pending => ("pending", ["○", "."], Tone::Warning),
            Mark::Gap => ("out_of_order", ["✗", "O"], Tone::Bad),
            Mark::Edited => ("checksum_mismatch", ["≠", "C"], Tone::Bad),
            Mark::Stopped => ("partially_applied", ["◑", "P"], Tone::Bad),
            Mark::InDoubt => ("in_doubt", ["◐", "D"], Tone::Bad),
            Mark::Unread => ("unreachable", ["?", "?"], Tone::Dim),
        }
    }

    pub(super) fn word(self) -> &'static str {
        self.look().0
    }

    fn sign(self, style: &Style) -> &'static str {
        self.look().1[usize::from(!style.unicode)]
    }

    fn ahead(style: &Style) -> &'static str {
        if style.unicode { "▲" } else { "+" }
    }

    fn cell(self, style: &Style) -> Cell {
        Cell::fixed(self.sign(style)).tone(self.look().2)
    }
}

pub(super) fn marks(catalog: &Catalog, o: &Observation) -> Vec<Mark> {
    if o.state == State::Unreachable {
        return vec![Mark::Unread; catalog.migrations.len()];
    }
    let mut marks = vec![Mark::Applied; catalog.migrations.len()];
    let mut mark = |at: Option<usize>, mark| at.into_iter().for_each(|at| marks[at] = mark);
    let missing = catalog.missing(&o.history, o.variant());
    missing.iter().for_each(|at| mark(Some(*at), Mark::Pending));
    catalog.gaps(&missing).into_iter().for_each(|at| mark(Some(at), Mark::Gap));
    catalog.edited(&o.history, o.variant()).iter().for_each(|name| mark(catalog.position(name), Mark::Edited));
    match &o.state {
        State::InDoubt(unfinished) => mark(catalog.position(&unfinished.migration), Mark::InDoubt),
        State::Stopped(unfinished) => mark(catalog.position(&unfinished.migration), Mark::Stopped),
        _ => {}
    }
    marks
}

fn unknown(o: &Observation) -> &[String] {
    if let State::Ahead { unknown } = &o.state { unknown } else { &[] }
}

pub(super) fn tenant_json(catalog: &Catalog, o: &Observation) -> Value {
    let read = o.state != State::Unreachable;
    let marks = marks(catalog, o);
    // Nothing is said of the history of a tenant that could not be read: null is not an empty list.
    let named = |wanted: &[Mark]| -> Option<Vec<&str>> {
        let chosen = catalog.migrations.iter().zip(&marks).filter(|(_, m)| wanted.contains(m));
        read.then(|| chosen.map(|(name, _)| &**name).collect())
    };
    let mut tenant = json!({
        "id": o.tenant, "engine": o.engine, "server": o.server,
        "state": o.state.name(), "version": o.version,
        "applied": named(&[Mark::Applied, Mark::Edited]), "pending": named(&[Mark::Pending, Mark::Gap]), "out_of_order": named(&[Mark::Gap]),
        "checksum_mismatch": named(&[Mark::Edited]),
        "unknown": read.then(|| unknown(o)),
        "in_doubt": if let State::InDoubt(u) = &o.state { Some(u) } else { None },
        "partially_applied": if let State::Stopped(u) = &o.state { Some(u) } else { None },
        "error": o.error, "quarantine": o.hold.quarantine, "frozen_at": o.hold.freeze_at,
    });
    if let Some(source) = &o.source {
        tenant["source"] = json!(source);
    }
    tenant
}

fn legend(rows: &[Row<'_>], style: &Style) -> String {
    let mut parts: Vec<String> = Mark::ALL
        .into_iter()
        .filter(|mark| rows.iter().any(|r| r.marks.contains(mark)))
        .map(|mark| {
            let more = if mark == Mark::Gap { " (missing, a later one is applied)" } else { "" };
            format!("{} {}{more}", mark.sign(style), summary::words(mark.word()))
        })
        .collect();
    if rows.iter().any(|r| r.unknown > 0) {
        parts.push(format!("{}n ahead (n versions are not known to this program)", Mark::ahead(style)));
    }
    // A meaning stays on one line: there is a breakable blank only between two of them.
    let words: Vec<String> = parts.iter().map(|part| part.replace(' ', "\u{a0}")).collect();
    let options = textwrap::Options::new(style.columns()).word_separator(textwrap::WordSeparator::AsciiSpace);
    textwrap::fill(&words.join("   "), options).replace('\u{a0}', " ") + "\n"
}

/// The migrations that have a column, and their titles there.
struct Layout {
    /// The columns: runs of migrations that read the same on every row share one.
    shown: Vec<Range<usize>>,
    numbered: bool,
    /// The columns for the tenants' names.
    names: usize,
    /// Number of columns left out for lack of room.
    cut: usize,
    /// Whether any tenant has versions that are not known here.
    has_unknown: bool,
}

impl Layout {
    /// Maximum width of the names: the marks stay near them on a wide screen.
    const MOST_NAMES: usize = 48;

    fn new(view: &MatrixView<'_>, rows: &[Row<'_>], style: &Style) -> Self {
        let catalog = view.catalog;
        let least_names = if style.columns() < 100 { 16 } else { 28 };
        let room = room_for_names_and_marks(view, rows, style);
        let marks_room = room.saturating_sub(least_names);
        let single: Vec<Range<usize>> = (0..catalog.migrations.len()).map(|i| i..i + 1).collect();
        let column = |r: &Range<usize>, numbered: bool| 2 + width(&clean(&title(catalog, r, numbered)));
        let needed = |shown: &[Range<usize>], numbered: bool| shown.iter().map(|r| column(r, numbered)).sum::<usize>();
        let tails: HashSet<&str> = catalog.migrations.iter().map(|m| label::tail(m)).collect();
        let numbered = tails.len() < single.len() || needed(&single, false) > marks_room;
        let mut shown = single;
        if numbered && needed(&shown, true) > marks_room {
            shown = alike(rows, shown.len());
        }
        let mut cut = 0;
        if style.width.is_some() && numbered {
            let mut missing = needed(&shown, true).saturating_sub(marks_room);
            let too_old = shown.iter().take(shown.len().saturating_sub(1)).take_while(|range| {
                let is_too_old = missing > 0;
                missing = missing.saturating_sub(column(range, true));
                is_too_old
            });
            let too_old = too_old.count();
            cut = shown.drain(..too_old).map(|range| range.len()).sum();
        }
        let names = room.saturating_sub(needed(&shown, numbered)).clamp(least_names, Self::MOST_NAMES);
        Layout { shown, numbered, names, cut, has_unknown: rows.iter().any(|r| r.unknown > 0) }
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

/// The title of the column of some migrations.
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
