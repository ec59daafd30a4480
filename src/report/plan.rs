//! What a run would do: which tenants in which order, which migrations, and the SQL that would be sent.
//!
//! It shows a plan that was made elsewhere and decides nothing.

use serde::Serialize;
use serde_json::{Value, json};

use crate::model::fault::Fault;
use crate::model::schema::{Catalog, Direction, Execution, Script};
use crate::model::tenant::{Engine, TenantId};

use super::causes::{Cause, group_by};
use super::sheet::{Cell, Column, Sheet};
use super::style::{Tone, clean, is_harmless, paragraph};
use super::{Format, Style, json, label, markdown, summary};

/// What the plan shows.
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
    /// The scripts that any tenant of the plan needs.
    pub(crate) scripts: &'a [Script],
    /// Time limits in force that are not the fleet's.
    pub(crate) limits: &'a [LimitNote],
    /// Whether the text has the SQL in full. The JSON document always has it.
    pub(crate) show_sql: bool,
}

/// A time limit that is not the fleet's, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LimitNote {
    /// The wave, the tenants or the migration, in words: `wave canary`.
    pub(crate) of: String,
    /// To be granted a lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lock_timeout: Option<String>,
    /// For one statement.
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
    /// The tenant.
    pub(crate) tenant: TenantId,
    /// Its engine.
    pub(crate) engine: Engine,
    /// Its server key.
    pub(crate) server: String,
    /// Its state in words.
    pub(crate) state: String,
    /// The migrations that would be run on it, in order.
    pub(crate) steps: Vec<String>,
    /// Why it would not be touched.
    pub(crate) refusal: Option<String>,
    /// What else is to be known of it, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// Why it could not be read.
    pub(crate) error: Option<Fault>,
    /// The tenants of the plan that have to be done before it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) after: Vec<TenantId>,
}

impl PlanRow {
    /// Why nothing would be done although it may be needed; for several tenants at once when it is shared.
    fn trouble(&self, is_shared: bool) -> Option<String> {
        match (&self.error, &self.refusal) {
            (Some(fault), _) => Some(Cause::told(fault, &self.tenant, is_shared)),
            (None, Some(refusal)) => Some(format!("refused: {refusal}")),
            (None, None) => self.note.clone(),
        }
    }
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

    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for row in self.rows() {
            match row {
                PlanRow { error: Some(_), .. } => counts.unreadable += 1,
                PlanRow { refusal: Some(_), .. } => counts.refused += 1,
                PlanRow { steps, .. } if steps.is_empty() => counts.at_target += 1,
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
        let mut add = |n: usize, what: &str| {
            if n > 0 {
                parts.push(format!("{n} {what}"));
            }
        };
        add(c.at_target, "with nothing to do");
        add(c.refused, "refused");
        add(c.unreadable, "could not be read");
        format!("{}: {}", label::count(self.rows().count(), "tenant"), parts.join(", "))
    }

    /// The steps as `m1-m3`, by the numbers of the catalog.
    fn steps_text(&self, steps: &[String]) -> String {
        let places: Option<Vec<usize>> = steps.iter().map(|s| self.catalog.position(s)).collect();
        let steps_text = places.map_or_else(|| steps.join(", "), |places| label::ranges(&places));
        if steps.is_empty() { "-".to_owned() } else { format!("{}: {steps_text}", steps.len()) }
    }

    fn text(&self, style: &Style) -> String {
        let (tenants, waves) = (label::count(self.rows().count(), "tenant"), label::count(self.waves.len(), "wave"));
        let title = format!("Plan: {} {}, {tenants} in {waves}", self.direction, clean(&label::towards(self.goal)));
        let mut out = format!("{}\n", style.paint(Tone::Bold, &title));
        for (name, rows) in self.waves {
            let head = format!("Wave {} ({})", clean(name), label::count(rows.len(), "tenant"));
            out.push_str(&format!("\n{}\n{}", style.paint(Tone::Bold, &head), self.wave(rows, style)));
        }
        let order = self.order(style);
        if !order.is_empty() {
            out.push_str(&format!("\n{}\n", style.paint(Tone::Bold, "Order")));
            for line in order {
                out.push_str(&paragraph(&line, "  ", 2, style));
            }
        }
        if !self.scripts.is_empty() {
            out.push_str(&format!("\n{}\n{}", style.paint(Tone::Bold, "Scripts"), self.scripts_text(style)));
        }
        if !self.limits.is_empty() {
            out.push_str(&format!("\n{}\n", style.paint(Tone::Bold, "Time limits that are not the fleet's")));
            for limit in self.limits {
                out.push_str(&paragraph(&limit.text(), "  ", 4, style));
            }
        }
        if self.show_sql {
            for script in self.scripts {
                out.push_str(&format!("\n{}", sql(script)));
            }
        }
        out.push_str(&format!("\n{}\n", self.total_line()));
        out
    }

    /// Who waits for whom: a line for each set of tenants that are waited for, as long as they fit on a screen.
    fn order(&self, style: &Style) -> Vec<String> {
        const MOST: usize = 20;
        let groups = group_by(self.rows().filter(|row| !row.after.is_empty()), |row| row.after.clone());
        let names = |ids: &[&str]| label::names(ids, 60, style);
        let mut lines: Vec<String> = groups
            .iter()
            .take(MOST)
            .map(|(after, rows)| {
                let after: Vec<&str> = after.iter().map(TenantId::as_str).collect();
                let waiting: Vec<&str> = rows.iter().map(|row| row.tenant.as_str()).collect();
                format!("after {}: {}", names(&after), names(&waiting))
            })
            .collect();
        if groups.len() > MOST {
            lines.push(format!("{} {} more", style.ellipsis(), groups.len() - MOST));
        }
        lines
    }

    fn grouped<'r>(&self, rows: &'r [PlanRow]) -> Vec<Vec<&'r PlanRow>> {
        let key = |r: &&PlanRow| (r.engine, r.server.clone(), r.state.clone(), r.steps.clone(), r.trouble(true));
        group_by(rows, key).into_iter().map(|(_, same)| same).collect()
    }

    fn wave(&self, rows: &[PlanRow], style: &Style) -> String {
        let room = if style.columns() < 100 { 28 } else { 48 };
        let groups = self.grouped(rows);
        let mut out = wave_sheet().rows(groups.iter().map(|same| self.wave_row("", same, room, style))).table(style);
        for same in &groups {
            if let Some(why) = same[0].trouble(same.len() > 1) {
                out.push_str(&paragraph(&format!("{}: {why}", names(same, room, style)), "    ", 3, style));
            }
        }
        out
    }

    /// A group of tenants. The table has its trouble below; Markdown has it in the place of the steps.
    fn wave_row(&self, wave: &str, same: &[&PlanRow], room: usize, style: &Style) -> [Cell; 7] {
        let first = same[0];
        let steps = self.steps_text(&first.steps);
        let trouble = first.trouble(same.len() > 1).filter(|_| first.steps.is_empty());
        let shown = match (&first.error, &first.refusal) {
            (Some(_), _) => Cell::from("not known").tone(Tone::Bad),
            (None, Some(_)) => Cell::from("refused").tone(Tone::Bad),
            (None, None) => Cell::from(&steps),
        };
        [
            wave.into(),
            names(same, room, style).into(),
            same.len().into(),
            first.engine.into(),
            (&first.server).into(),
            summary::words(&first.state).into(),
            shown.data(trouble.unwrap_or(steps)),
        ]
    }

    fn script_sheet(&self, style: &Style) -> Sheet {
        let row = |s: &Script| -> [Cell; 7] {
            let name = if style.columns() < 100 { label::tail(&s.migration) } else { &s.migration };
            [
                self.catalog.position(&s.migration).map(label::number).unwrap_or_default().into(),
                Cell::from(name).data(&s.migration),
                s.engine.into(),
                <&str>::from(&s.execution).into(),
                Cell::from(atomic(s)).tone(if s.is_atomic() { Tone::Plain } else { Tone::Warning }),
                s.statements.len().into(),
                s.sha256.chars().take(12).collect::<String>().into(),
            ]
        };
        Sheet::new([
            Column::new(""),
            Column::new("Migration").at_least(16),
            Column::new("Engine"),
            Column::new("Runs"),
            Column::new("Atomic"),
            Column::new("SQL").right().expendable(1),
            Column::new("SHA256").expendable(2),
        ])
        .indent(2)
        .rows(self.scripts.iter().map(row))
    }

    fn scripts_text(&self, style: &Style) -> String {
        let mut out = self.script_sheet(style).table(style);
        for note in self.notes() {
            out.push_str(&paragraph(&note, "    ", 4, style));
        }
        out
    }

    /// What the table has no room for: why a script runs natively, and what "not atomic" means here.
    fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.scripts.iter().filter_map(remark).collect();
        if self.scripts.iter().any(|s| !s.is_atomic() && !s.engine.capabilities().transactional_ddl) {
            notes.push(
                "mysql commits each DDL statement by itself: when a script that is not atomic fails midway, what it did \
                 before stays"
                    .to_owned(),
            );
        }
        if self.scripts.iter().any(|s| !s.is_atomic() && s.engine.capabilities().transactional_ddl) {
            notes.push("a script that runs outside a transaction is not atomic: when it fails midway, what it did before stays".to_owned());
        }
        notes
    }

    fn fields(&self) -> Value {
        let c = self.counts();
        let waves: Vec<Value> =
            self.waves.iter().map(|(name, rows)| json!({ "wave": name, "tenants": rows })).collect();
        let scripts: Vec<Value> = self
            .scripts
            .iter()
            .map(|s| {
                let mut script = json::value(s);
                script["atomic"] = s.is_atomic().into();
                script
            })
            .collect();
        json!({
            "direction": self.direction, "goal": self.goal,
            "catalog": self.catalog.migrations.iter().map(|m| &**m).collect::<Vec<&str>>(),
            "waves": waves, "scripts": scripts, "limits": self.limits,
            "summary": { "tenants": self.rows().count(), "to_run": c.to_run, "steps": c.steps,
                "nothing_to_do": c.at_target, "refused": c.refused, "unreadable": c.unreadable },
        })
    }

    fn every_tenant(&self) -> Sheet {
        let row = |(wave, r): (&String, &PlanRow)| -> [Cell; 9] {
            [
                wave.into(),
                (&r.tenant).into(),
                r.engine.into(),
                (&r.server).into(),
                (&r.state).into(),
                r.steps.join(" ").into(),
                r.refusal.as_deref().unwrap_or_default().into(),
                r.error.as_ref().map(ToString::to_string).unwrap_or_default().into(),
                r.after.iter().map(TenantId::as_str).collect::<Vec<_>>().join(" ").into(),
            ]
        };
        let rows = self.waves.iter().flat_map(|(wave, rows)| rows.iter().map(move |r| (wave, r)));
        let columns = ["Wave", "Tenant", "Engine", "Server", "State", "Steps", "Refusal", "Error", "After"];
        Sheet::new(columns.map(Column::new)).rows(rows.map(row))
    }

    fn markdown(&self) -> String {
        let style = Style::FILE;
        let mut waves = wave_sheet();
        for (wave, rows) in self.waves {
            self.grouped(rows).iter().for_each(|same| waves.row(self.wave_row(wave, same, 60, &style)));
        }
        let (waves, scripts) = (waves.markdown(), self.script_sheet(&style).markdown());
        let mut out = format!("**{}**\n\n{waves}\n{scripts}", markdown::text(&self.total_line()));
        for note in self.order(&style).into_iter().chain(self.notes()).chain(self.limits.iter().map(LimitNote::text)) {
            out.push_str(&format!("\n- {}", markdown::text(&note)));
        }
        if self.show_sql {
            for script in self.scripts {
                out.push('\n');
                out.push_str(&markdown::code("sql", &sql(script)));
            }
        }
        out
    }
}

fn wave_sheet() -> Sheet {
    Sheet::new([
        Column::data("Wave"),
        Column::new("Tenants").at_least(16),
        Column::new("N").right(),
        Column::new("Engine"),
        Column::screen("Server").at_least(10).expendable(1),
        Column::new("State").at_least(10),
        Column::new("Steps").at_least(10),
    ])
    .indent(2)
}

fn names(rows: &[&PlanRow], room: usize, style: &Style) -> String {
    label::names(&rows.iter().map(|r| r.tenant.as_str()).collect::<Vec<_>>(), room, style)
}

#[derive(Default)]
struct Counts {
    to_run: usize,
    steps: usize,
    at_target: usize,
    refused: usize,
    unreadable: usize,
}

/// Nothing is said of what can't run.
fn atomic(s: &Script) -> &'static str {
    match &s.execution {
        Execution::Irreversible { .. } => "",
        _ if s.is_atomic() => "yes",
        _ => "NOT ATOMIC",
    }
}

fn remark(s: &Script) -> Option<String> {
    match &s.execution {
        Execution::Compiled { .. } => None,
        Execution::Native { reason, .. } => Some(format!("{} on {} is native: {reason}", s.migration, s.engine)),
        Execution::Irreversible { reason } => {
            Some(format!("{} on {} can't be taken back: {reason}", s.migration, s.engine))
        }
    }
}

/// The SQL of one script, exactly as it is sent, one statement after the other. A statement with characters that could
/// deceive a reader is shown escaped, and a comment says so.
fn sql(s: &Script) -> String {
    let mut out = format!("-- {} {} {} {}\n", clean(&s.migration), s.engine, s.direction, s.sha256);
    if let Some(remark) = remark(s) {
        out.push_str(&format!("-- {}; below is what was recorded, for reading only\n", clean(&remark)));
    }
    for statement in &s.statements {
        if statement.chars().all(|c| matches!(c, '\n' | '\t') || is_harmless(c)) {
            out.push_str(statement);
        } else {
            out.push_str("-- the next statement holds control or hidden characters; they are shown escaped here\n");
            let lines: Vec<String> = statement.split('\n').map(clean).collect();
            out.push_str(&lines.join("\n"));
        }
        let last = statement.trim_end().lines().last().unwrap_or_default();
        match last {
            _ if last.ends_with(';') => {}
            // A semicolon behind a comment would belong to it.
            _ if last.contains("--") || last.contains('#') => out.push_str("\n;"),
            _ => out.push(';'),
        }
        out.push('\n');
    }
    out
}
