//! `runs resolve`: the information on a tenant in doubt, and the operator's decision about it.

use std::sync::Arc;
use std::time::Duration;

use super::args::Resolve;
use super::exit::CliError;
use super::probe::{self, Evidence};
use super::setup::{Program, tenant_flag};
use super::terminal;
use crate::compile::MigrationSet;
use crate::engine::{Session, Settlement};
use crate::inputs::select::Filter;
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::{Direction, Execution, Script, Unfinished};
use crate::model::tenant::{Engine, Tenant};
use crate::policy::format_duration;
use crate::report::clean;
use crate::sql::{DdlEffect, effect};

pub(super) async fn resolve(program: &Program, args: &Resolve) -> Result<u8, CliError> {
    let set = program.set().await?;
    let tenant = one(program, &args.tenant).await?;
    // A dead connection gives no signal, and the operator waits.
    let timeouts = program.settings().timeouts();
    let case = Case { program, args, tenant, limit: timeouts.connect + timeouts.lock };
    let connected = program.door(&set).connect(&case.tenant).await;
    let mut session = connected.map_err(|fault| case.failed(&fault))?;
    let result = case.resolve(&set, session.as_mut()).await;
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

impl Case<'_> {
    async fn resolve(&self, set: &MigrationSet, session: &mut dyn Session) -> Result<u8, CliError> {
        let (program, id) = (self.program, &self.tenant.id);
        let unfinished = answered(self.limit, session.unfinished()).await.map_err(|fault| self.failed(&fault))?;
        let Some(unfinished) = unfinished else {
            let text = format!("tenant {id} is not in doubt: no migration was begun and left unfinished");
            program.terminal.tell(&text);
            return Ok(0);
        };
        if answered(self.limit, session.is_held()).await.map_err(|fault| self.failed(&fault))? {
            program.terminal.tell(&format!("tenant {id} is being migrated by another run; wait for its end"));
            return Ok(75);
        }
        if unfinished.is_restore() {
            let next = program.command(&format!("restore --run {} {}", clean(&unfinished.run), tenant_flag(id)));
            let text = format!("tenant {id}: a restore was begun and not finished; finish it with\n  {next}");
            terminal::print(&text)?;
            return Ok(2);
        }
        let script = script(set, self.tenant.engine, &unfinished).await;
        program.terminal.tell(&explain(&self.tenant, &unfinished, script.as_deref()));
        if let Some(found) = self.evidence(session, &unfinished, script.as_deref()).await {
            program.terminal.tell(&advice(&unfinished, script.as_deref(), &found));
        }
        let Some(settlement) = settlement(self.args, script.as_deref())? else {
            let next = ["--applied", "--not-applied", "--resume-at K"].map(|flag| program.resolve_command(id, flag));
            terminal::print(&format!("look at the database, then one of:\n  {}", next.join("\n  ")))?;
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
            if !program.terminal.confirm(&format!("Resolve it as: {}?", words(&settlement))) {
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
        terminal::print(&format!("tenant {id} is resolved as: {}; next: {next}", words(&settlement)))?;
        Ok(0)
    }

    /// The evidence of the statement in doubt. Only a hint: an unreadable catalog gives none.
    async fn evidence(
        &self,
        session: &mut dyn Session,
        unfinished: &Unfinished,
        script: Option<&Script>,
    ) -> Option<Evidence> {
        let effect = effect_in_doubt(&self.tenant, unfinished, script)?;
        let shape = answered(self.limit, session.shape()).await.ok()?;
        probe::evidence(self.tenant.engine, self.tenant.schema.as_deref(), &effect, &shape)
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

/// The script that this program has for an unfinished migration.
pub(super) async fn script(set: &MigrationSet, engine: Engine, unfinished: &Unfinished) -> Option<Arc<Script>> {
    let place = set.catalog().position(&unfinished.migration)?;
    let scripts = set.compile(engine, unfinished.direction, place..place + 1, false).await;
    scripts.get(place).cloned()
}

fn explain(tenant: &Tenant, unfinished: &Unfinished, script: Option<&Script>) -> String {
    let Unfinished { direction, statement, .. } = unfinished;
    let (id, migration, run) = (clean(tenant.id.as_str()), clean(&unfinished.migration), clean(&unfinished.run));
    if unfinished.goes_on() {
        let next = if *direction == Direction::Up { "migrate" } else { "rollback" };
        let stopped = format!(
            "{migration} ({direction}), begun by run {run}, stopped before statement {}",
            statement.unwrap_or_default()
        );
        return if script.is_some_and(|script| unfinished.was_edited(script)) {
            format!(
                "tenant {id} is in doubt: {stopped} of a script that was edited since: all before it happened, no other \
                 did; put its old text back, or resolve it by what is in the database"
            )
        } else {
            format!("tenant {id} is not in doubt: {stopped}; the next {next} goes on there")
        };
    }
    let mut text =
        format!("tenant {id} is in doubt: {migration} ({direction}) was begun by run {run} and not finished");
    let count = script.map(|s| s.statements.len());
    match (statement, count) {
        (Some(k), Some(n)) => text.push_str(&format!(
            "\nstatements 1 to {} of {n} happened; statement {k} may have, or in part; none behind it",
            k.saturating_sub(1)
        )),
        (Some(k), None) => {
            text.push_str(&format!("\nstatement {k} may have happened; all before it did, none behind it"))
        }
        (None, _) => text.push_str("\nit ran as Rust code: how far it came is not known"),
    }
    if let (Some(k), Some(script)) = (statement, script)
        && let Some(sql) = script.statements.get(k.saturating_sub(1))
    {
        text.push_str(&format!("\nstatement {k}: {}", clean(sql)));
    }
    text
}

/// The effect of the statement in doubt.
fn effect_in_doubt(tenant: &Tenant, unfinished: &Unfinished, script: Option<&Script>) -> Option<DdlEffect> {
    let sql = script?.statements.get(unfinished.statement?.checked_sub(1)?)?;
    if unfinished.stopped { None } else { effect(tenant.engine, sql) }
}

/// The evidence in words, and the flag it suggests; only displayed, never applied.
fn advice(unfinished: &Unfinished, script: Option<&Script>, found: &Evidence) -> String {
    let k = unfinished.statement.unwrap_or_default();
    let last = script.is_some_and(|script| script.statements.len() == k);
    let (meaning, flag) = match found.happened {
        Some(true) if last => ("it happened", Some("--applied".to_owned())),
        Some(true) => ("it happened", Some(format!("--resume-at {}", k + 1))),
        Some(false) if k == 1 => ("it did not happen", Some("--not-applied".to_owned())),
        Some(false) => ("it did not happen", Some(format!("--resume-at {k}"))),
        None => ("that does not say whether it happened", None),
    };
    let flag = flag.map(|flag| format!(": {flag}")).unwrap_or_default();
    format!("{} -> {meaning}{flag}", clean(&found.text))
}

fn settlement(args: &Resolve, script: Option<&Script>) -> Result<Option<Settlement>, CliError> {
    if args.applied {
        return Ok(Some(Settlement::Applied));
    }
    if args.not_applied {
        return Ok(Some(Settlement::NotApplied));
    }
    let Some(statement) = args.resume_at else { return Ok(None) };
    match script {
        Some(script) if matches!(script.execution, Execution::Compiled { .. }) => {
            let last = script.statements.len();
            if (1..=last).contains(&statement) {
                return Ok(Some(Settlement::ResumeAt { statement, sha256: script.sha256.clone() }));
            }
            Err(CliError::Usage(format!("--resume-at takes 1 to {last} for this migration")))
        }
        _ => Err(CliError::Usage("--resume-at needs a migration that is sent as a script; this one is not".to_owned())),
    }
}

/// The reason to refuse a settlement that would send again statements that the journal has as done. The numbers mean
/// nothing in a script that was edited since.
fn backwards(settlement: &Settlement, unfinished: &Unfinished) -> Option<String> {
    let Settlement::ResumeAt { statement, sha256 } = settlement else { return None };
    let done = unfinished.statement?.checked_sub(1).filter(|done| statement <= done)?;
    let is_same = unfinished.sha256.is_empty() || unfinished.sha256 == *sha256;
    let what = if done == 1 { "statement 1".to_owned() } else { format!("statements 1 to {done}") };
    is_same.then(|| {
        format!(
            "by the journal {what} happened, and --resume-at {statement} would send it again: take {} or more",
            done + 1
        )
    })
}

fn words(settlement: &Settlement) -> String {
    match settlement {
        Settlement::Applied => "applied".to_owned(),
        Settlement::NotApplied => "not applied".to_owned(),
        Settlement::ResumeAt { statement, .. } => format!("to be resumed at statement {statement}"),
    }
}
