//! The scripts of a plan: how many there are and which need attention, a line for each, and their SQL.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::model::engine::{Flavour, Variant};
use crate::model::schema::{Execution, Script};
use crate::model::tenant::{Engine, TenantId};
use crate::report::sheet::{Cell, Column, Sheet};
use crate::report::style::{Style, Tone, clean, is_harmless, paragraph, width};
use crate::report::{count, label};
use crate::sql::dialect::syntax;
use crate::sql::first_words;
use crate::sql::words::Words;

use super::{Detail, PlanView, ScriptLocks, is_form};

/// Maximum number of migrations named in a line of the summary.
const MOST_NAMES: usize = 6;

impl PlanView<'_> {
    /// A line for each engine, then the migrations that need attention, then where the rest is.
    fn summary(&self) -> Vec<String> {
        let of_variant = |variant: Variant| {
            let here = || self.scripts.iter().filter(move |script| script.variant() == variant);
            let native = here().filter(|s| matches!(s.execution, Execution::Native { .. })).count();
            let native = if native > 0 { format!(", {native} of them as Rust code") } else { String::new() };
            let (first, last) = (here().next()?, here().next_back()?);
            let ends = if here().count() == 1 {
                self.numbered(first)
            } else {
                format!("{} to {}", self.numbered(first), self.numbered(last))
            };
            Some(format!("{variant}: {}{native}: {ends}", count(here().count(), "migration")))
        };
        let mut lines: Vec<String> = Variant::ALL.into_iter().filter_map(of_variant).collect();
        let which = |what: &str, which: &dyn Fn(&&Script) -> bool| {
            let names: Vec<String> = self
                .scripts
                .iter()
                .filter(|script| which(script))
                .map(|script| format!("{} ({})", self.numbered(script), script.variant()))
                .collect();
            (!names.is_empty()).then(|| format!("{what}: {}", label::first(&names, MOST_NAMES)))
        };
        let is_irreversible = |s: &&Script| matches!(s.execution, Execution::Irreversible { .. });
        lines.extend(which("NOT ATOMIC, when one fails midway, what it did before stays", &|s| {
            !s.is_atomic() && !s.statements.is_empty() && !is_irreversible(s)
        }));
        lines.extend(which("no way down", &is_irreversible));
        lines.extend(which("online form, committed statement by statement", &|s| s.is_online()));
        lines.extend(which("without an online form, at least in part", &|s| {
            s.online.as_ref().is_some_and(|form| !form.kept.is_empty())
        }));
        lines.extend(self.without_foreign_keys());
        lines.extend(self.with_one_time());
        lines
    }

    /// The commands that show more of the same plan. They are to be copied, so that none is broken: each has its own line
    /// where one is too short for both.
    fn commands(&self, style: &Style) -> String {
        let plan = clean(self.command);
        let (scripts, sql) =
            (format!("each script: `{plan} --list-scripts`"), format!("the SQL that is sent: `{plan} --sql`"));
        let both = format!("  {scripts}; {sql}\n");
        if width(&both) <= style.columns() { both } else { format!("  {scripts}\n  {sql}\n") }
    }

    /// Number and name of a script's migration.
    fn numbered(&self, script: &Script) -> String {
        let number = self.catalog.position(&script.migration).map(|at| format!("{} ", label::number(at)));
        format!("{}{}", number.unwrap_or_default(), label::tail(&script.migration))
    }

    pub(super) fn script_sheet(&self, style: &Style) -> Sheet {
        let number = |s: &&Script| Cell::maybe(self.catalog.position(&s.migration).map(label::number));
        let name = |s: &&Script| {
            let name = if style.columns() < 100 { label::tail(&s.migration) } else { &s.migration };
            Cell::from(name).data(&s.migration)
        };
        // A script that can't run has no note.
        let atomic = |s: &&Script| match &s.execution {
            Execution::Irreversible { .. } => Cell::default(),
            _ if s.is_atomic() => Cell::fixed("yes"),
            _ => Cell::fixed("NOT ATOMIC").tone(Tone::Warning),
        };
        Sheet::of(self.scripts)
            .column("", number)
            .column(Column::new("Migration").at_least(16), name)
            .column("Engine", |s| s.variant().to_string())
            .column("Runs", |s| <&str>::from(&s.execution))
            .column("Atomic", atomic)
            .column(Column::new("SQL").right().expendable(1), |s| s.statements.len())
            .column(Column::new("SHA256").expendable(2), |s| s.sha256.chars().take(12).collect::<String>())
            .sheet()
            .indent(2)
    }

    /// For each script the tenants that are sent it.
    pub(super) fn recipients<'s>(&'s self) -> impl Fn(&Script) -> Vec<&'s TenantId> {
        let mut tenants: HashMap<(Engine, Option<Flavour>, bool, &str), Vec<&TenantId>> = HashMap::new();
        for row in self.rows() {
            for step in &row.steps {
                tenants.entry((row.engine, row.flavour, row.online, step)).or_default().push(&row.tenant);
            }
        }
        move |script: &Script| {
            let forms = [false, true].into_iter().filter(|&online| is_form(script, online, self.scripts));
            let all = [None, Some(Flavour::MySql), Some(Flavour::MariaDb)];
            let flavours = || all.into_iter().filter(|of| script.flavour.is_none() || *of == script.flavour);
            let keys = forms.flat_map(|online| flavours().map(move |of| (of, online)));
            let tenants = keys.filter_map(|(of, online)| tenants.get(&(script.engine, of, online, &*script.migration)));
            tenants.flatten().copied().collect()
        }
    }

    /// The SQL of each script, once for all tenants that are sent it.
    pub(super) fn sql(&self, style: &Style) -> Vec<String> {
        let recipients = self.recipients();
        let of = |script: &Script| -> Option<String> {
            let tenants = recipients(script);
            if tenants.is_empty() {
                return None;
            }
            Some(format!("x {}: {}", count(tenants.len(), "tenant"), label::names(tenants.into_iter(), 60, style)))
        };
        let all = self.scripts.iter().chain(self.aside);
        all.map(|script| sql(script, of(script), self.locks_of(script))).collect()
    }

    pub(super) fn scripts_text(&self, style: &Style) -> String {
        if self.scripts.is_empty() {
            return String::new();
        }
        let lines = |notes: Vec<String>, indent: &str| {
            notes.iter().map(|note| paragraph(note, indent, 4, style)).collect::<String>()
        };
        if self.detail == Detail::Summary {
            return lines(self.summary(), "  ") + &self.commands(style);
        }
        self.script_sheet(style).table(style) + &lines(self.notes(), "    ")
    }

    /// The notes below the table: the reason for a native script, and the consequence of "not atomic".
    pub(super) fn notes(&self) -> Vec<String> {
        let any_not_atomic = |with_transactions: bool| {
            let differs = |s: &Script| s.engine.capabilities().transactional_ddl == with_transactions;
            self.scripts.iter().any(|s| !s.is_atomic() && differs(s))
        };
        let mut notes: Vec<String> = self.scripts.iter().filter_map(remark).collect();
        notes.extend(self.scripts.iter().flat_map(online_remarks));
        if any_not_atomic(false) {
            let note = "mysql commits each DDL statement by itself: when a script that is not atomic fails midway, what it \
                        did before stays";
            notes.push(note.to_owned());
        }
        if any_not_atomic(true) {
            let note = "a script that runs outside a transaction is not atomic: when it fails midway, what it did before \
                        stays";
            notes.push(note.to_owned());
        }
        notes.extend(self.without_foreign_keys());
        notes.extend(self.with_one_time());
        notes
    }

    /// The note for scripts that write the present time, where several are sent in one message.
    fn with_one_time(&self) -> Option<String> {
        let is_one =
            |s: &&Script| s.engine.capabilities().one_time_a_message && s.is_atomic() && !s.statements.is_empty();
        let together: Vec<&Script> = self.scripts.iter().filter(is_one).collect();
        let writes = |s: &&&Script| s.statements.iter().any(|sql| writes_time(s.engine, sql));
        let places: Vec<usize> =
            together.iter().filter(writes).filter_map(|s| self.catalog.position(&s.migration)).collect();
        (together.len() > 1 && !places.is_empty()).then(|| {
            format!(
                "{} {} now(): what a tenant is sent together has one time, that of the first of it; clock_timestamp() goes on",
                label::ranges(&places),
                if places.len() == 1 { "writes" } else { "write" }
            )
        })
    }

    /// The note for the scripts that run with foreign keys off.
    fn without_foreign_keys(&self) -> Option<String> {
        let runs = |s: &&Script| !matches!(s.execution, Execution::Irreversible { .. }) && s.is_atomic();
        let are_off = |s: &&Script| syntax(s.engine).foreign_keys(&s.statements).are_off();
        let scripts = self.scripts.iter().filter(runs).filter(are_off);
        let places: Vec<usize> = scripts.filter_map(|s| self.catalog.position(&s.migration)).collect();
        let verb = if places.len() == 1 { "runs" } else { "run" };
        (!places.is_empty()).then(|| {
            format!(
                "{} {verb} with foreign keys off, and they are checked before the commit: a table is dropped or rows are replaced, \
                 and no row of another table may go with them",
                label::ranges(&places)
            )
        })
    }
}

/// Whether a statement writes the present time into rows. As a default of a new table it is none yet.
fn writes_time(engine: Engine, sql: &str) -> bool {
    const TIMES: [&str; 7] = [
        "now",
        "current_timestamp",
        "current_date",
        "localtimestamp",
        "current_time",
        "transaction_timestamp",
        "statement_timestamp",
    ];
    let is_of_rows = |word: &str| matches!(word, "insert" | "update" | "merge" | "delete" | "with" | "alter" | "copy");
    first_words(engine, sql).next().is_some_and(|word| is_of_rows(&word))
        && Words::of(engine, sql).all().iter().any(|word| TIMES.contains(&word.as_str()))
}

fn remark(s: &Script) -> Option<String> {
    match &s.execution {
        Execution::Compiled { .. } => None,
        Execution::Native { reason, .. } => Some(format!("{} on {} is native: {reason}", s.migration, s.variant())),
        Execution::Irreversible { reason } => {
            Some(format!("{} on {} can't be taken back: {reason}", s.migration, s.variant()))
        }
    }
}

/// Remarks on an online form: how many statements it has, and those that stay, with the reason.
fn online_remarks(s: &Script) -> Vec<String> {
    let Some(form) = &s.online else { return Vec::new() };
    let name = format!("{} on {}", s.migration, s.variant());
    let each = match s.engine.capabilities().transactional_ddl {
        true => ", each committed by itself; a run that is cut off goes on behind the last, by the journal",
        false => "; the server refuses one that it can't carry out so, and nothing of it has happened then",
    };
    let rewritten = s.is_online().then(|| {
        let (from, to) = (count(form.original.len(), "statement"), s.statements.len());
        format!("{name} is in its online form: {from} of the migration, {to} sent{each}")
    });
    let kept = form.kept.iter().map(|kept| match kept.statement {
        Some(number) => format!("{name}: statement {number} has no online form: {}", kept.why),
        None => format!("{name} has no online form: {}", kept.why),
    });
    rewritten.into_iter().chain(kept).collect()
}

/// The original of an online form, as comments.
fn original(s: &Script) -> String {
    let Some(form) = s.online.as_ref().filter(|form| !form.original.is_empty()) else { return String::new() };
    let mut out = format!("-- the migration itself, {}:\n", form.original_sha256);
    for line in form.original.iter().flat_map(|sql| sql.lines().chain([";"])) {
        out.push_str(&format!("--   {}\n", clean(line)));
    }
    out
}

/// The SQL of one script, exactly as it is sent, one statement after the other. A statement with characters that could
/// deceive a reader is shown escaped, and a comment says so.
fn sql(s: &Script, tenants: Option<String>, locks: Option<&ScriptLocks>) -> String {
    let mut out = format!("-- {} {} {} {}\n", clean(&s.migration), s.variant(), s.direction, s.sha256);
    let runs = match &s.execution {
        Execution::Irreversible { .. } => None,
        _ if s.is_atomic() => Some(format!("{}, atomic", <&str>::from(&s.execution))),
        _ => Some(format!("{}, NOT ATOMIC", <&str>::from(&s.execution))),
    };
    let facts: Vec<String> = runs.into_iter().chain(tenants).collect();
    if !facts.is_empty() {
        out.push_str(&format!("-- {}\n", facts.join("; ")));
    }
    if let Some(ScriptLocks { locks, wait, .. }) = locks.filter(|of| !of.locks.is_empty()) {
        locks.iter().for_each(|lock| out.push_str(&format!("-- lock: {}\n", clean(lock))));
        out.push_str(&format!("-- each lock is waited for: {wait}\n"));
    }
    if let Some(remark) = remark(s) {
        out.push_str(&format!("-- {}; below is what was recorded, for reading only\n", clean(&remark)));
    }
    online_remarks(s).iter().for_each(|remark| out.push_str(&format!("-- {}\n", clean(remark))));
    out.push_str(&original(s));
    if s.has_variables {
        out.push_str("-- has variables: each tenant is sent its own value in the place of '{{...}}', quoted as here\n");
    }
    s.statements.iter().for_each(|statement| out.push_str(&ended(&shown(statement))));
    out
}

/// A text as it is, if it can't deceive a reader; else escaped, behind a comment that says so.
pub(super) fn shown(sql: &str) -> Cow<'_, str> {
    if sql.chars().all(|c| matches!(c, '\n' | '\t') || is_harmless(c)) {
        return Cow::Borrowed(sql);
    }
    let escaped = sql.split('\n').map(clean).collect::<Vec<_>>().join("\n");
    Cow::Owned(format!(
        "-- the next statement holds control or hidden characters; they are shown escaped here\n{escaped}"
    ))
}

/// A text with a semicolon at its end, and a line break.
pub(super) fn ended(sql: &str) -> String {
    let end = match sql.trim_end().lines().last().unwrap_or_default() {
        last if last.ends_with(';') && sql.ends_with('\n') => "",
        last if last.ends_with(';') => "\n",
        // A semicolon after a comment would be part of it.
        last if last.contains("--") || last.contains('#') => "\n;\n",
        _ => ";\n",
    };
    format!("{sql}{end}")
}
