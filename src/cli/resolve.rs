//! `runs resolve`: the information on a tenant in doubt, and the operator's decision about it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::args::Resolve;
use super::exit::CliError;
use super::probe::{self, Evidence};
use super::setup::{Program, tenant_flag};
use super::terminal;
use crate::compile::MigrationSet;
use crate::engine::{Continuation, Session, Settlement, continuation, settings_before, with_session};
use crate::inputs::select::Filter;
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::{Direction, Execution, Script, Unfinished};
use crate::model::tenant::Tenant;
use crate::policy::format_duration;
use crate::report::clean;
use crate::sql::{effect, moves_names};

pub(super) async fn resolve(program: &Program, args: &Resolve) -> Result<u8, CliError> {
    let set = program.set_to_look().await?;
    let tenants = wanted(program, args).await?;
    let is_one = tenants.len() == 1;
    let mut code = 0;
    for tenant in tenants {
        match resolve_one(program, &set, args, tenant).await {
            // Each tenant of several is resolved by itself, whatever came of the one before it.
            Err(error) if !is_one => {
                program.terminal.error(&error.to_string());
                code = code.max(error.code());
            }
            ended => code = code.max(ended?),
        }
    }
    Ok(code)
}

/// The tenants that are named, and those that the selection has.
async fn wanted(program: &Program, args: &Resolve) -> Result<Vec<Arc<Tenant>>, CliError> {
    let mut tenants = Vec::new();
    for id in &args.ids {
        tenants.push(one(program, id).await?);
    }
    if args.selection.names_tenants() {
        tenants.extend(program.select(&args.selection).await?.tenants().cloned());
    }
    if tenants.is_empty() {
        return Err(CliError::Usage("name the tenants, by their ids or with --tenant and the like".to_owned()));
    }
    let mut seen = std::collections::HashSet::new();
    tenants.retain(|tenant| seen.insert(tenant.id.clone()));
    Ok(tenants)
}

async fn resolve_one(
    program: &Program,
    set: &Arc<MigrationSet>,
    args: &Resolve,
    tenant: Arc<Tenant>,
) -> Result<u8, CliError> {
    // A dead connection gives no signal, and the operator waits.
    let timeouts = program.settings().timeouts();
    let case = Case { program, args, tenant, limit: timeouts.connect + timeouts.lock };
    let connected = program.door(set).connect(&case.tenant).await;
    let mut session = connected.map_err(|fault| case.failed(&fault))?;
    let result = case.resolve(set, session.as_mut()).await;
    let _ = tokio::time::timeout(case.limit, session.close()).await;
    result
}

/// The tenant that a person resolves.
struct Case<'a> {
    program: &'a Program,
    args: &'a Resolve,
    tenant: Arc<Tenant>,
    /// The time limit for an answer.
    limit: Duration,
}

/// A run that ended just now may hold its tenant for so long: its server has not yet seen that the session is gone.
const MOMENT: Duration = Duration::from_secs(1);

impl Case<'_> {
    async fn is_held(&self, session: &mut dyn Session) -> Result<bool, CliError> {
        let until = Instant::now() + MOMENT;
        loop {
            let is_held = answered(self.limit, session.is_held()).await.map_err(|fault| self.failed(&fault))?;
            if !is_held || Instant::now() >= until {
                return Ok(is_held);
            }
            tokio::time::sleep(MOMENT / 20).await;
        }
    }

    async fn resolve(&self, set: &MigrationSet, session: &mut dyn Session) -> Result<u8, CliError> {
        let (program, id) = (self.program, &self.tenant.id);
        let unfinished = answered(self.limit, session.unfinished()).await.map_err(|fault| self.failed(&fault))?;
        let Some(unfinished) = unfinished else {
            let text = format!("tenant {id} is not in doubt: no migration was begun and left unfinished");
            program.terminal.tell(&text);
            return Ok(0);
        };
        if self.is_held(session).await? {
            program.terminal.tell(&format!("tenant {id} is being migrated by another run; wait for its end"));
            return Ok(75);
        }
        if unfinished.is_restore() {
            let next = program.command(&format!("restore --run {} {}", clean(&unfinished.run), tenant_flag(id)));
            let text = format!("tenant {id}: a restore was begun and not finished; finish it with\n  {next}");
            terminal::print(&text)?;
            return Ok(2);
        }
        let unfinished = set.catalog().named(unfinished);
        let script = set.script_of(self.tenant.variant(), &unfinished).await;
        let unfinished = script.as_deref().map_or(unfinished.clone(), |script| with_session(unfinished, script));
        let found = Found::new(&unfinished, script.as_deref());
        program.terminal.tell(&found.explain(&self.tenant));
        if let Some(evidence) = self.evidence(session, &found).await {
            program.terminal.tell(&found.advice(&evidence));
        }
        let Some(settlement) = found.settlement(self.args).map_err(|why| self.refused(&found, &why))? else {
            terminal::print(&self.ways(&found))?;
            return Ok(2);
        };
        if let Some(why) = backwards(&settlement, &unfinished) {
            // After an earlier `--resume-at` the journal holds the operator's decision, which may be corrected.
            if !unfinished.stopped {
                return Err(CliError::Usage(format!("{why}; nothing was changed")));
            }
            program.terminal.warn(&why);
        }
        if !self.args.yes {
            program.terminal.require_person("changes databases", "")?;
            if !program.terminal.confirm(&format!("Resolve it as: {}?", words(&settlement, unfinished.direction))) {
                return Ok(1);
            }
        }
        self.settle(session, &settlement).await?;
        let verb = match (unfinished.direction, &settlement) {
            // Only a rollback continues after a statement of a rollback.
            (Direction::Down, Settlement::ResumeAt { .. }) => "rollback --steps 1",
            _ => "migrate",
        };
        let next = program.command(&format!("{verb} {}", tenant_flag(id)));
        terminal::print(&format!(
            "tenant {id} is resolved as: {}; next: {next}",
            words(&settlement, unfinished.direction)
        ))?;
        Ok(0)
    }

    /// The evidence of the statement in doubt. Only a hint: an unreadable catalog gives none.
    async fn evidence(&self, session: &mut dyn Session, found: &Found<'_>) -> Option<Evidence> {
        let effect = effect(self.tenant.engine, found.statement_in_doubt()?)?;
        let shape = answered(self.limit, session.shape()).await.ok()?;
        probe::evidence(self.tenant.engine, self.tenant.schema.as_deref(), &effect, &shape)
    }

    /// The commands that settle it, one a line.
    fn ways(&self, found: &Found<'_>) -> String {
        let before = if found.is_edited() { "put the old text back and look again, or " } else { "" };
        let ways = found.ways();
        let widest = ways.iter().map(|(meaning, _)| meaning.len()).max().unwrap_or_default();
        let line = |(meaning, flag): &(String, String)| {
            format!("\n  {meaning:widest$}  {}", self.program.resolve_command(&self.tenant.id, flag))
        };
        format!("{before}look at the database, then one of:{}", ways.iter().map(line).collect::<String>())
    }

    fn refused(&self, found: &Found<'_>, why: &str) -> CliError {
        CliError::Usage(format!("tenant {}: {why}; nothing was changed\n{}", self.tenant.id, self.ways(found)))
    }

    async fn settle(&self, session: &mut dyn Session, settlement: &Settlement) -> Result<(), CliError> {
        answered(self.limit * 2, session.settle(settlement)).await.map(drop).map_err(|fault| match fault.class {
            // The change may have been committed, with only the answer lost.
            FaultClass::ConnectionLost | FaultClass::ConnectTimeout => CliError::CanNotStart(format!(
                "tenant {}: {fault}; whether it was resolved is not known: look again with `{}`",
                self.tenant.id,
                self.program.resolve_command(&self.tenant.id, "")
            )),
            _ => self.failed(&fault),
        })
    }

    fn failed(&self, fault: &Fault) -> CliError {
        CliError::CanNotStart(format!("tenant {}: {fault}; nothing was changed", self.tenant.id))
    }
}

/// An answer, or the fault that there was none in time.
async fn answered<T>(limit: Duration, answer: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let silent = || {
        Fault::new(FaultClass::ConnectTimeout, format!("the server did not answer within {}", format_duration(limit)))
    };
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Err(silent()))
}

async fn one(program: &Program, id: &str) -> Result<Arc<Tenant>, CliError> {
    let only = program.registry.tenants.iter().filter(|t| t.id.as_str() == id).map(|t| t.id.clone()).collect();
    let selection =
        program.filter(Filter { only: Some(only), ..Filter::default() }).await.map_err(|error| match error {
            CliError::NothingMatched(_) => CliError::NothingMatched(format!("the file has no tenant {}", clean(id))),
            other => other,
        })?;
    Ok(selection.tenants().next().expect("a selection that is not empty has a tenant").clone())
}

/// An unfinished migration, with the meaning of its journal for today's script.
struct Found<'a> {
    unfinished: &'a Unfinished,
    script: Option<&'a Script>,
    next: Continuation,
}

impl<'a> Found<'a> {
    fn new(unfinished: &'a Unfinished, script: Option<&'a Script>) -> Self {
        let next = script.map_or(Continuation::Unknown, |script| continuation(unfinished, script));
        Found { unfinished, script, next }
    }

    /// Whether the script was edited since: statement numbers mean nothing in today's text.
    fn is_edited(&self) -> bool {
        self.next == Continuation::Edited
    }

    fn explain(&self, tenant: &Tenant) -> String {
        let u = self.unfinished;
        let (id, migration, run) = (clean(tenant.id.as_str()), clean(&u.migration), clean(&u.run));
        let begun = format!(
            "tenant {id} is in doubt: {migration} ({}) was begun by run {run} and not finished{}",
            u.direction,
            clean(&u.way_back())
        );
        match self.next {
            Continuation::At(at) => {
                let next = if u.direction == Direction::Up { "migrate" } else { "rollback" };
                let goes_on = if u.statement == Some(at + 1) { "goes on there" } else { "begins it again" };
                let end = match (u.statement, u.stopped) {
                    (Some(k), true) => format!("stopped before statement {k}"),
                    (Some(k), false) => format!("ended in statement {k}, which may be repeated"),
                    (None, _) => "was not finished".to_owned(),
                };
                let direction = u.direction;
                format!(
                    "tenant {id} is partially applied: {migration} ({direction}), begun by run {run}, {end}; the next {next} {goes_on}"
                )
            }
            Continuation::Edited => format!(
                "{begun}, and its script was edited since\n{}\nfleet does not keep the old text, and in that of today these \
                 numbers mean nothing",
                happened(u, "the old text")
            ),
            Continuation::Unknown if !u.lost.is_empty() => format!(
                "tenant {id} is partially applied: {migration} ({}), begun by run {run}, {}{}",
                u.direction,
                clean(&u.in_words().replace(&format!(" of {}", u.migration), "")),
                self.sent_again()
            ),
            Continuation::Unknown => {
                let of = self.script.map_or("its script".to_owned(), |script| script.statements.len().to_string());
                let number = u.statement.unwrap_or_default();
                let sql = self.script.and_then(|script| script.statements.get(number.checked_sub(1)?));
                let sql = sql.map(|sql| format!("\nstatement {number}: {}", clean(sql))).unwrap_or_default();
                format!("{begun}\n{}{sql}", happened(u, &of))
            }
        }
    }

    /// The statements that a run sends again before it goes on, where their values may be others then.
    fn sent_again(&self) -> String {
        let k = self.unfinished.statement.unwrap_or_default();
        let Some(script) = self.script.filter(|_| self.resumption(k).is_ok()) else { return String::new() };
        let line = |at: usize| format!("\n  {}: {}", at + 1, clean(&script.statements[at]));
        let all: String = settings_before(script, k.saturating_sub(1)).map(line).collect();
        format!(
            "\nwith --resume-at {k} a run sends these again first, and their values may be others than before:{all}"
        )
    }

    /// The statement in doubt, if its names mean what they mean in a new session.
    fn statement_in_doubt(&self) -> Option<&'a str> {
        let is_in_doubt = self.next == Continuation::Unknown && !self.unfinished.stopped;
        let script = self.script?;
        let (sql, before) = script.statements.get(..self.unfinished.statement?)?.split_last()?;
        // The catalog may have another object of that name, or have it where nobody looks.
        let leads_elsewhere = before.iter().any(|sql| moves_names(script.engine, sql));
        (is_in_doubt && !leads_elsewhere).then_some(sql)
    }

    /// The evidence in words, and the flag it suggests; only displayed, never applied.
    fn advice(&self, found: &Evidence) -> String {
        let k = self.unfinished.statement.unwrap_or_default();
        let last = self.script.is_some_and(|script| script.statements.len() == k);
        let resume_at = |k| self.resumption(k).is_ok().then(|| format!("--resume-at {k}"));
        let (meaning, flag) = match found.happened {
            Some(true) if last => ("it happened", Some("--applied".to_owned())),
            Some(true) => ("it happened", resume_at(k + 1)),
            Some(false) if k == 1 => ("it did not happen", Some("--not-applied".to_owned())),
            Some(false) => ("it did not happen", resume_at(k)),
            None => ("that does not say whether it happened", None),
        };
        let flag = flag.map(|flag| format!(": {flag}")).unwrap_or_default();
        format!("{} -> {meaning}{flag}", clean(&found.text))
    }

    /// The flags that may settle it, each behind its meaning for this tenant.
    fn ways(&self) -> Vec<(String, String)> {
        // The numbers of an edited script mean nothing.
        let last = self.script.filter(|_| !self.is_edited()).map_or(0, |script| script.statements.len());
        let mut ways = Vec::new();
        if let (Some(k), false) = (self.unfinished.statement.filter(|k| (1..=last).contains(k)), self.is_edited()) {
            // Resuming at the first statement is `--not-applied`.
            let mut at = |meaning: String, k: usize| {
                if k > 1 && self.resumption(k).is_ok() {
                    ways.push((meaning, format!("--resume-at {k}")));
                }
            };
            at(format!("statement {k} did not happen"), k);
            if k < last && !self.unfinished.stopped {
                at(format!("statement {k} happened, and none behind it"), k + 1);
            }
            if ways.is_empty() && (k.max(2)..=last).any(|k| self.resumption(k).is_ok()) {
                ways.push((
                    "all before statement K happened, and none from it on".to_owned(),
                    "--resume-at K".to_owned(),
                ));
            }
        }
        let (all, none) = match (last, self.unfinished.direction) {
            (0, Direction::Up) => ("all of it is in place".to_owned(), "nothing of it is in place".to_owned()),
            (0, Direction::Down) => ("all of it is taken back".to_owned(), "nothing of it is taken back".to_owned()),
            (1, _) => ("its statement happened".to_owned(), "it did not happen".to_owned()),
            (n, Direction::Up) => (format!("all {n} statements are in place"), format!("none of the {n} is in place")),
            (n, Direction::Down) => {
                (format!("all {n} statements of its way down happened"), format!("none of the {n} happened"))
            }
        };
        ways.push((all, "--applied".to_owned()));
        if !self.is_edited() || self.is_untouched() {
            ways.push((none, "--not-applied".to_owned()));
        }
        ways
    }

    /// Whether at most its first statement may have happened: the old text is not needed to see what to take back.
    fn is_untouched(&self) -> bool {
        self.unfinished.statement.is_some_and(|k| k <= 1)
    }

    /// The settlement that the flags ask for.
    ///
    /// # Errors
    /// The reason to refuse it: it would be a guess.
    fn settlement(&self, args: &Resolve) -> Result<Option<Settlement>, String> {
        if args.applied {
            return Ok(Some(Settlement::Applied));
        }
        if args.not_applied && self.is_edited() && !self.is_untouched() {
            let why = "only the old text of its script says what there is to take back: put it back, look again, take back \
                       by hand what happened, and then --not-applied";
            return Err(why.to_owned());
        }
        match args.resume_at {
            _ if args.not_applied => Ok(Some(Settlement::NotApplied)),
            Some(statement) => self.resumption(statement).map(Some),
            None => Ok(None),
        }
    }

    /// The settlement of `--resume-at`; statements count from 1.
    ///
    /// # Errors
    /// The reason that no run could resume there.
    fn resumption(&self, statement: usize) -> Result<Settlement, String> {
        let script = self.script.filter(|script| matches!(script.execution, Execution::Compiled { .. }));
        let script = script.ok_or("--resume-at needs a migration that is sent as a script; this one is not")?;
        if self.is_edited() {
            return Err(format!(
                "its script was edited since it was begun, so that --resume-at {statement} could mean another statement"
            ));
        }
        let last = script.statements.len();
        if !(1..=last).contains(&statement) {
            return Err(format!("--resume-at takes 1 to {last} for this migration"));
        }
        let sha256 = script.sha256.clone();
        let word =
            Unfinished { statement: Some(statement), stopped: true, vouched: true, sha256, ..self.unfinished.clone() };
        match continuation(&word, script) {
            Continuation::At(_) => Ok(Settlement::ResumeAt { statement, sha256: word.sha256 }),
            _ => Err(format!(
                "no run could go on at statement {statement}: what follows needs what earlier statements left in their session"
            )),
        }
    }
}

/// Its progress as text; `of`: the number of statements, or the name of their text.
fn happened(u: &Unfinished, of: &str) -> String {
    let Some(k) = u.statement else { return "it ran as Rust code: how far it came is not known".to_owned() };
    match (k, u.stopped) {
        (0, _) | (1, true) => format!("no statement of {of} happened"),
        (1, false) => {
            format!("no statement of {of} happened before it; statement 1 may have, or in part; none behind it")
        }
        (_, true) => format!("statements 1 to {} of {of} happened, no other did", k - 1),
        (_, false) => {
            format!("statements 1 to {} of {of} happened; statement {k} may have, or in part; none behind it", k - 1)
        }
    }
}

/// The reason to refuse a settlement that would send again statements that the journal has as done.
fn backwards(settlement: &Settlement, unfinished: &Unfinished) -> Option<String> {
    let Settlement::ResumeAt { statement, .. } = settlement else { return None };
    let done = unfinished.statement?.checked_sub(1).filter(|done| statement <= done)?;
    let what = if done == 1 { "statement 1".to_owned() } else { format!("statements 1 to {done}") };
    Some(format!(
        "by the journal {what} happened, and --resume-at {statement} would send it again: take {} or more",
        done + 1
    ))
}

fn words(settlement: &Settlement, direction: Direction) -> String {
    match (settlement, direction) {
        (Settlement::Applied, Direction::Up) => "applied".to_owned(),
        (Settlement::NotApplied, Direction::Up) => "not applied".to_owned(),
        (Settlement::Applied, Direction::Down) => "taken back, all of its way down is in place".to_owned(),
        (Settlement::NotApplied, Direction::Down) => "still applied, nothing of its way down has happened".to_owned(),
        (Settlement::ResumeAt { statement, .. }, _) => format!("to be resumed at statement {statement}"),
    }
}
