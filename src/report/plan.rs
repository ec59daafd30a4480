//! The plan of a run: the tenants in order, the migrations, and the SQL that would be sent.
//!
//! It shows a plan that was made elsewhere and decides nothing.

pub(crate) mod by_hand;
mod scripts;
mod wire;

use std::num::NonZeroUsize;

use serde::Serialize;
use serde_json::{Value, json};

use crate::model::engine::Flavour;
use crate::model::fault::Fault;
use crate::model::schema::{Catalog, Direction, Script};
use crate::model::tenant::{Engine, TenantId};
use crate::model::wire::WireGroup;
use crate::policy::Gate;

pub(crate) use wire::ScriptLocks;

use super::causes::{Cause, group_by};
use super::sheet::{Cell, Column, Sheet};
use super::style::{Tone, clean, paragraph};
use super::{Format, Style, json, label, markdown, summary};

/// The data of the plan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlanView<'a> {
    /// The migrations.
    pub(crate) catalog: &'a Catalog,
    /// Up or down.
    pub(crate) direction: Direction,
    /// The goal in words.
    pub(crate) goal: &'a str,
    /// The waves in order, by name.
    pub(crate) waves: &'a [(String, Vec<PlanRow>)],
    /// The gates of waves, and what stratified waves do not cover.
    pub(crate) notes: &'a [WaveNote],
    /// The limits of servers that have their own.
    pub(crate) servers: &'a [ServerNote],
    /// The scripts that any tenant of the plan needs.
    pub(crate) scripts: &'a [Script],
    /// The scripts that make way for them and are made again behind them.
    pub(crate) aside: &'a [Script],
    /// Time limits in force that differ from the fleet's.
    pub(crate) limits: &'a [LimitNote],
    /// The hooks that a run calls, in words.
    pub(crate) hooks: &'a [String],
    /// The known issues of taking these migrations back, each with its migration.
    pub(crate) issues: &'a [(String, String)],
    /// The locks of the scripts, where they are to be shown.
    pub(crate) locks: &'a [ScriptLocks],
    /// Everything that is sent, where it is to be shown in the place of the scripts.
    pub(crate) wires: &'a [WireGroup],
    /// The command that plans the same: `fleet plan --down --steps 1`.
    pub(crate) command: &'a str,
    /// The part of the scripts that the text shows. The JSON document always has everything.
    pub(crate) detail: Detail,
}

/// How much of the scripts is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Detail {
    /// Their number, and those that need attention.
    Summary,
    /// A line for each.
    Scripts,
    /// Each with its SQL.
    Sql,
}

/// Maximum number of tenants named with their sizes.
const SIZES: usize = 6;

/// More about a wave.
#[derive(Debug, Clone)]
pub(crate) struct WaveNote {
    pub(crate) wave: String,
    /// The waves that it waits for, where the file says which.
    pub(crate) waits_for: Option<Vec<String>>,
    /// The gate between it and the next one.
    pub(crate) gate: Option<Gate>,
    /// Its own maintenance window, and the time at which that opens, in milliseconds since 1970-01-01 UTC; `None`: it is open.
    pub(crate) window: Option<(String, Option<i64>)>,
    /// The tenants of a wave whose largest databases come first, with their sizes in bytes, as far as they are known.
    pub(crate) sizes: Vec<(TenantId, Option<u64>)>,
    /// Of a stratified wave: the kinds of tenants that come later and that it has none of.
    pub(crate) uncovered: Vec<String>,
}

impl WaveNote {
    fn lines(&self) -> impl Iterator<Item = String> {
        let gate = self.gate.as_ref().map(|gate| format!("gate: {gate}"));
        let waits_for = self.waits_for.as_ref().map(|waves| match waves.is_empty() {
            true => "waits for no other wave".to_owned(),
            false => format!("waits for: {}", waves.join(", ")),
        });
        let window = self.window.as_ref().map(|(window, opens_at_ms)| {
            let closed = opens_at_ms.map(|ms| format!(", closed until {}", label::moment(ms))).unwrap_or_default();
            format!("window: {window}{closed}")
        });
        let size = |(id, size): &(TenantId, Option<u64>)| match size {
            Some(size) => format!("{id} {}", label::bytes(*size)),
            None => format!("{id} not known"),
        };
        let sizes: Vec<String> = self.sizes.iter().map(size).collect();
        let sizes = (!sizes.is_empty()).then(|| format!("largest first: {}", label::first(&sizes, SIZES)));
        waits_for
            .into_iter()
            .chain(gate)
            .chain(window)
            .chain(sizes)
            .chain(self.uncovered.iter().map(|kind| format!("not covered by it: {kind}")))
    }
}

/// The limits of a server that has its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ServerNote {
    pub(crate) server: String,
    /// The number of its tenants in the plan.
    pub(crate) tenants: usize,
    /// Its maintenance window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) window: Option<String>,
    /// The time at which the window opens, in milliseconds since 1970-01-01 UTC; `None`: it is open, or there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) opens_at_ms: Option<i64>,
    /// The most of its tenants in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) per_server: Option<NonZeroUsize>,
}

impl ServerNote {
    fn text(&self) -> String {
        let window = self.window.as_ref().map(|window| match self.opens_at_ms {
            Some(at_ms) => format!("window {window}, closed until {}", label::moment(at_ms)),
            None => format!("window {window}"),
        });
        let cap = self.per_server.map(|cap| format!("per_server {cap}"));
        let limits: Vec<String> = window.into_iter().chain(cap).collect();
        format!("{} ({}): {}", self.server, label::count(self.tenants, "tenant"), limits.join("; "))
    }
}

/// A time limit that differs from the fleet's, and its scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LimitNote {
    /// The wave, the tenants or the migration, in words: `wave canary`.
    pub(crate) of: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lock_timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) statement_timeout: Option<String>,
}

impl LimitNote {
    fn text(&self) -> String {
        let all = [("lock_timeout", &self.lock_timeout), ("statement_timeout", &self.statement_timeout)];
        let said: Vec<String> = all.iter().filter_map(|(key, v)| Some(format!("{key} {}", v.as_ref()?))).collect();
        format!("{}: {}", self.of, said.join(", "))
    }
}

/// One tenant in the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PlanRow {
    pub(crate) tenant: TenantId,
    pub(crate) engine: Engine,
    /// The flavour of its server, where scripts differ by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) flavour: Option<Flavour>,
    /// Its server key.
    pub(crate) server: String,
    /// The source that it comes from, unless the file lists it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    /// Its state in words.
    pub(crate) state: String,
    /// The migrations that would be run on it, in order.
    pub(crate) steps: Vec<String>,
    /// Whether it gets their online forms.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) online: bool,
    /// The reason why it would not be touched.
    pub(crate) refusal: Option<String>,
    /// A remark, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// The reason why it could not be read.
    pub(crate) error: Option<Fault>,
    /// The tenants of the plan that must be done before it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) after: Vec<TenantId>,
}

impl PlanRow {
    /// Whether it is known that there is nothing to do.
    pub(crate) fn is_done(&self) -> bool {
        self.steps.is_empty() && self.refusal.is_none() && self.error.is_none()
    }

    /// Whether a script of these is one that it is sent.
    pub(crate) fn is_sent(&self, script: &Script, all: &[Script]) -> bool {
        self.engine == script.engine
            && script.flavour.is_none_or(|flavour| self.flavour == Some(flavour))
            && self.steps.iter().any(|step| **step == *script.migration)
            && is_form(script, self.online, all)
    }

    /// Adds a remark.
    pub(crate) fn add_note(&mut self, line: String) {
        self.note = Some(self.note.take().map_or_else(|| line.clone(), |note| format!("{note}; {line}")));
    }

    /// The reason why nothing would be done although it may be needed; without tenant names when it is shared.
    fn trouble(&self, is_shared: bool) -> Option<String> {
        match (&self.error, &self.refusal) {
            (Some(fault), _) => Some(Cause::told(fault, &self.tenant, is_shared)),
            (None, Some(refusal)) => Some(format!("refused: {refusal}")),
            (None, None) => self.note.clone(),
        }
    }
}

/// Whether a script of these is for tenants with the online form, or for those without: most have one form for all.
fn is_form(script: &Script, online: bool, all: &[Script]) -> bool {
    let is_same = |other: &&Script| (other.variant(), &other.migration) == (script.variant(), &script.migration);
    script.online.is_some() == online || !all.iter().filter(is_same).any(|other| other.online.is_some() == online)
}

impl PlanView<'_> {
    /// The plan in the form asked for.
    pub(crate) fn render(&self, format: Format, style: &Style) -> String {
        match format {
            Format::Md => self.markdown(),
            _ => format.write(|| self.text(style), || self.fields(), || self.every_tenant()),
        }
    }

    fn rows(&self) -> impl Iterator<Item = &PlanRow> + Clone {
        self.waves.iter().flat_map(|(_, rows)| rows)
    }

    fn has_sources(&self) -> bool {
        self.rows().any(|row| row.source.is_some())
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for row in self.rows() {
            counts.tenants += 1;
            match row {
                PlanRow { error: Some(_), .. } => counts.unreadable += 1,
                PlanRow { refusal: Some(_), .. } => counts.refused += 1,
                PlanRow { steps, .. } if steps.is_empty() => counts.nothing_to_do += 1,
                PlanRow { steps, .. } => {
                    counts.to_run += 1;
                    counts.steps += steps.len();
                }
            }
        }
        counts
    }

    fn total_line(&self) -> String {
        let c = self.counts();
        let verb = if self.direction == Direction::Up { "to migrate" } else { "to roll back" };
        let mut parts = vec![format!("{} {verb} ({})", c.to_run, label::count(c.steps, "step"))];
        let rest =
            [(c.nothing_to_do, "with nothing to do"), (c.refused, "refused"), (c.unreadable, "could not be read")];
        parts.extend(rest.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
        format!("{}: {}", label::count(c.tenants, "tenant"), parts.join(", "))
    }

    /// The steps as `m1-m3`, by the numbers of the catalog.
    fn steps_text(&self, steps: &[String]) -> String {
        let places: Option<Vec<usize>> = steps.iter().map(|s| self.catalog.position(s)).collect();
        let steps_text = places.map_or_else(|| steps.join(", "), |places| label::ranges(&places));
        if steps.is_empty() { "-".to_owned() } else { format!("{}: {steps_text}", steps.len()) }
    }

    fn text(&self, style: &Style) -> String {
        let (total, waves) = (paragraph(&self.total_line(), "", 3, style), label::count(self.waves.len(), "wave"));
        let title = format!("Plan: {} {}, {waves}", self.direction, clean(&label::towards(self.goal)));
        let wave = |(name, rows): &(String, Vec<PlanRow>)| {
            let head = format!("Wave {} ({})", clean(name), label::count(rows.len(), "tenant"));
            (head, self.wave(name, rows, style))
        };
        let lines = |lines: &[String], most| lines.iter().map(|line| paragraph(line, "  ", most, style)).collect();
        let limits: Vec<String> = self.limits.iter().map(LimitNote::text).collect();
        let servers: Vec<String> = self.servers.iter().map(ServerNote::text).collect();
        let changes = if self.detail == Detail::Summary { "Changes" } else { "Migrations" };
        let issues: Vec<String> = self.issues.iter().map(|(of, issue)| format!("{of}: {issue}")).collect();
        let rest = [
            ("Known issues of the way down", lines(&issues, usize::MAX)),
            ("Order", lines(&self.order(style), 2)),
            (changes, self.scripts_text(style)),
            ("Time limits that are not the fleet's", lines(&limits, 4)),
            ("Limits of servers", lines(&servers, 4)),
            ("Hooks", lines(self.hooks, 2)),
        ];
        let rest = rest.into_iter().filter(|(_, text): &(_, String)| !text.is_empty());
        let rest = rest.map(|(head, text)| (head.to_owned(), text));
        let mut out = format!("{}\n{total}", style.paint(Tone::Bold, title));
        for (head, text) in self.waves.iter().map(wave).chain(rest) {
            out.push_str(&format!("\n{}\n{text}", style.paint(Tone::Bold, head)));
        }
        if self.detail == Detail::Sql {
            out.extend(self.texts(style).into_iter().map(|script| format!("\n{script}")));
            // Behind pages of SQL nobody sees the beginning.
            out.push_str(&format!("\n{total}"));
        }
        out
    }

    /// The SQL: of each script, or of all that is sent.
    fn texts(&self, style: &Style) -> Vec<String> {
        if self.wires.is_empty() { self.sql(style) } else { self.wires(style) }
    }

    /// The dependencies: a line for each set of tenants that others wait for, as long as they fit on a screen.
    fn order(&self, style: &Style) -> Vec<String> {
        const MOST: usize = 20;
        let groups = group_by(self.rows().filter(|row| !row.after.is_empty()), |row| &row.after);
        let line = |(after, rows): &(&Vec<TenantId>, Vec<&PlanRow>)| {
            let waiting = rows.iter().map(|row| &row.tenant);
            format!("after {}: {}", label::names(after.iter(), 60, style), label::names(waiting, 60, style))
        };
        let mut lines: Vec<String> = groups.iter().take(MOST).map(line).collect();
        lines.extend(label::more(groups.len(), MOST, "", style));
        lines
    }

    fn wave(&self, name: &str, rows: &[PlanRow], style: &Style) -> String {
        let room = if style.columns() < 100 { 28 } else { 48 };
        let groups = groups(name, rows);
        let mut out = self.groups_sheet(&groups, room, style).table(style);
        for group in &groups {
            if let Some(why) = group.trouble() {
                out.push_str(&paragraph(&format!("{}: {why}", group.names(room, style)), "    ", 12, style));
            }
        }
        for line in self.notes.iter().filter(|note| note.wave == name).flat_map(WaveNote::lines) {
            out.push_str(&paragraph(&line, "    ", 3, style));
        }
        out
    }

    /// A row for each group. The table shows problems below; Markdown shows them in place of the steps.
    fn groups_sheet(&self, groups: &[Group<'_>], room: usize, style: &Style) -> Sheet {
        let steps = |group: &&Group<'_>| {
            let first = group.first();
            let steps = self.steps_text(&first.steps);
            let trouble = group.trouble().filter(|_| first.steps.is_empty());
            let shown = match (&first.error, &first.refusal) {
                (Some(_), _) => Cell::fixed("not known").tone(Tone::Bad),
                (None, Some(_)) => Cell::fixed("refused").tone(Tone::Bad),
                (None, None) => Cell::from(&steps),
            };
            shown.data(trouble.unwrap_or(steps))
        };
        Sheet::of(groups)
            .column(Column::data("Wave"), |group| group.wave)
            .column(Column::new("Tenants").at_least(16), |group| group.names(room, style))
            .column(Column::new("N").right(), |group| group.rows.len())
            .column("Engine", |group| group.first().engine)
            .column(Column::screen("Server").at_least(10).expendable(1), |group| &group.first().server)
            .column(Column::new("State").at_least(10), |group| summary::words(&group.first().state))
            .column(Column::new("Steps").at_least(10), steps)
            .column_if(self.has_sources(), Column::new("Source").at_least(8).expendable(2), |group| {
                Cell::maybe(group.first().source.as_ref())
            })
            .sheet()
            .indent(2)
    }

    fn fields(&self) -> Value {
        let wave = |(name, rows): &(String, Vec<PlanRow>)| {
            let mut wave = json!({ "wave": name, "tenants": rows });
            let note = self.notes.iter().find(|note| note.wave == *name);
            if let Some(gate) = note.and_then(|note| note.gate.as_ref()) {
                let checks: Vec<String> = gate.checks.iter().map(ToString::to_string).collect();
                wave["gate"] = json!({
                    "soak": humantime::format_duration(gate.soak).to_string(), "checks": checks,
                    "then": gate.then, "on_failure": gate.on_failure,
                });
            }
            if let Some((window, opens_at_ms)) = note.and_then(|note| note.window.as_ref()) {
                (wave["window"], wave["opens_at_ms"]) = (json!(window), json!(opens_at_ms));
            }
            if let Some(note) = note.filter(|note| !note.sizes.is_empty()) {
                let sizes = note.sizes.iter().map(|(id, size)| (id.to_string(), json!(size)));
                wave["sizes"] = sizes.collect::<serde_json::Map<_, _>>().into();
            }
            if let Some(waves) = note.and_then(|note| note.waits_for.as_ref()) {
                wave["waits_for"] = json!(waves);
            }
            if let Some(note) = note.filter(|note| !note.uncovered.is_empty()) {
                wave["uncovered"] = json!(note.uncovered);
            }
            wave
        };
        let script = |s: &Script| {
            let mut script = json::value(s);
            script["atomic"] = s.is_atomic().into();
            if let Some(of) = self.locks_of(s) {
                script["locks"] = json!({ "takes": of.locks, "wait": of.wait });
            }
            script
        };
        let recipients = self.recipients();
        let sent = |s: &Script| {
            let mut script = script(s);
            script["tenants"] = json!(recipients(s));
            script
        };
        let wire =
            |group: &WireGroup| json!({ "tenants": group.tenants, "engine": group.engine, "sent": &*group.wire });
        json!({
            "direction": self.direction, "goal": self.goal,
            "catalog": self.catalog.migrations.iter().map(|m| &**m).collect::<Vec<&str>>(),
            "waves": self.waves.iter().map(wave).collect::<Vec<Value>>(),
            "scripts": self.scripts.iter().map(sent).collect::<Vec<Value>>(),
            "aside": self.aside.iter().map(script).collect::<Vec<Value>>(),
            "limits": self.limits, "servers": self.servers, "hooks": self.hooks,
            "rollback_issues": self.issues.iter().map(|(of, issue)| json!({ "migration": of, "issue": issue })).collect::<Vec<Value>>(),
            "wire": self.wires.iter().map(wire).collect::<Vec<Value>>(), "summary": self.counts(),
        })
    }

    fn every_tenant(&self) -> Sheet {
        let rows = self.waves.iter().flat_map(|(wave, rows)| rows.iter().map(move |row| (wave, row)));
        Sheet::of(rows)
            .column("Wave", |(wave, _)| *wave)
            .column("Tenant", |(_, r)| &r.tenant)
            .column("Engine", |(_, r)| r.engine)
            .column("Server", |(_, r)| &r.server)
            .column("State", |(_, r)| &r.state)
            .column("Steps", |(_, r)| r.steps.join(" "))
            .column("Refusal", |(_, r)| Cell::maybe(r.refusal.as_ref()))
            .column("Error", |(_, r)| Cell::maybe(r.error.as_ref()))
            .column("After", |(_, r)| r.after.iter().map(TenantId::as_str).collect::<Vec<_>>().join(" "))
            .column_if(self.has_sources(), Column::data("Source"), |(_, r)| Cell::maybe(r.source.as_ref()))
            .sheet()
    }

    fn markdown(&self) -> String {
        let style = Style::FILE;
        let groups: Vec<Group<'_>> = self.waves.iter().flat_map(|(name, rows)| groups(name, rows)).collect();
        let waves = self.groups_sheet(&groups, 60, &style).markdown();
        let mut out = format!("**{}**\n\n{waves}", markdown::text(&self.total_line()));
        if self.detail >= Detail::Scripts {
            out.push_str(&format!("\n{}", self.script_sheet(&style).markdown()));
        }
        let limits = self.limits.iter().map(LimitNote::text).chain(self.servers.iter().map(ServerNote::text));
        let issues = self.issues.iter().map(|(of, issue)| format!("known issue of taking back {of}: {issue}"));
        let settings = issues.chain(limits).chain(self.hooks.iter().cloned());
        for note in self.order(&style).into_iter().chain(self.notes()).chain(settings) {
            out.push_str(&format!("\n- {}", markdown::text(&note)));
        }
        for script in self.texts(&style).into_iter().filter(|_| self.detail == Detail::Sql) {
            out.push_str(&format!("\n{}", markdown::code("sql", &script)));
        }
        out
    }
}

/// Tenants of a wave for which the plan reads the same.
struct Group<'a> {
    wave: &'a str,
    rows: Vec<&'a PlanRow>,
}

fn groups<'a>(wave: &'a str, rows: &'a [PlanRow]) -> Vec<Group<'a>> {
    let key = |r: &&'a PlanRow| (r.engine, (&r.server, &r.source), &r.state, &r.steps, r.trouble(true));
    group_by(rows, key).into_iter().map(|(_, rows)| Group { wave, rows }).collect()
}

impl<'a> Group<'a> {
    fn first(&self) -> &'a PlanRow {
        self.rows[0]
    }

    fn trouble(&self) -> Option<String> {
        self.first().trouble(self.rows.len() > 1)
    }

    fn names(&self, room: usize, style: &Style) -> String {
        label::names(self.rows.iter().map(|r| &r.tenant), room, style)
    }
}

/// Numbers of tenants by planned action, and the steps of all.
#[derive(Default, Serialize)]
struct Counts {
    tenants: usize,
    to_run: usize,
    steps: usize,
    nothing_to_do: usize,
    refused: usize,
    unreadable: usize,
}
