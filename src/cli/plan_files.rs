//! `plan --sql --wire` and `plan --sql --out`: everything that a run would send, and files for those who send it by hand.
//!
//! It changes no tenant.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::exit::CliError;
use super::files;
use super::inspect::{Planned, Planning};
use super::setup::Program;
use super::start::{Intent, plan};
use crate::check::lint::locks;
use crate::engine::location;
use crate::model::schema::Script;
use crate::model::tenant::{Tenant, TenantId};
use crate::policy::{LockRetry, Timeouts, format_duration};
use crate::report::count;
use crate::report::plan::{ScriptLocks, by_hand};
use crate::run::{self, Wires};

/// Everything that the planned run would send. `by_hand`: for files.
pub(super) async fn wires(planning: &Planning<'_>, by_hand: bool) -> Result<Wires, CliError> {
    let &Planning { program, set, selection, goal, native, .. } = planning;
    let targets = planning.targets.clone();
    let intent = Intent { native, targets, ..Intent::migrate(*goal, selection.clone()) };
    let (plan, door, tenants) = (plan(program, set, intent), program.door(set), selection.tenants().count());
    let asking = run::wires(plan, &door, program.pace(), by_hand);
    let wires = program.looking("asking tenants", tenants, asking).await;
    if let Some((tenant, fault)) = wires.failed.first() {
        return Err(CliError::CanNotStart(format!(
            "{} can't be asked what it would be sent, the first of them {tenant}: {fault}; nothing was touched: leave them out \
             (--exclude), or see `{}`",
            count(wires.failed.len(), "tenant"),
            program.command("doctor")
        )));
    }
    Ok(wires)
}

/// The locks of the planned scripts, each with the time that it is waited for.
pub(super) fn script_locks(program: &Program, scripts: &[Script]) -> Vec<ScriptLocks> {
    let settings = program.settings();
    let (timeouts, retry) = (settings.timeouts(), settings.retry());
    let of = |script: &Script| {
        let limits = program.limits_of(&script.migration).over(timeouts);
        let wait = if retry.attempts <= 1 { format_duration(limits.lock) } else { waits(&retry.locks, &limits) };
        ScriptLocks { engine: script.engine, migration: script.migration.to_string(), locks: locks(script), wait }
    };
    scripts.iter().map(of).collect()
}

/// The waits of all tries, in words.
fn waits(retry: &LockRetry, limits: &Timeouts) -> String {
    let whole = format_duration(limits.lock);
    if retry.wait.is_zero() {
        return format!("up to {whole}, once");
    }
    let first = format_duration(limits.shortened(retry.divisor(0)).lock);
    format!(
        "up to {first} in each of the first {} tries, up to {whole} in later ones, {} in all",
        retry.burst,
        format_duration(retry.wait)
    )
}

/// Writes a file for each group into a new folder, and tells which.
pub(super) async fn write(planning: &Planning<'_>, planned: &Planned, folder: &Path) -> Result<String, CliError> {
    let unwritable = |error: std::io::Error| CliError::Write { what: format!("to {}", folder.display()), error };
    let is_used = folder.read_dir().is_ok_and(|mut files| files.next().is_some());
    if is_used {
        let text = format!(
            "{} holds files already, and old and new ones must not mix; nothing was written: name another",
            folder.display()
        );
        return Err(CliError::Usage(text));
    }
    let wires = wires(planning, true).await?;
    let tenants: HashMap<&TenantId, &Arc<Tenant>> = planning.selection.tenants().map(|t| (&t.id, t)).collect();
    let steps: HashMap<&TenantId, &[String]> =
        planned.rows().into_iter().map(|row| (&row.tenant, row.steps.as_slice())).collect();
    std::fs::create_dir_all(folder).map_err(unwritable)?;
    let (mut told, mut number) = (String::new(), 0);
    for group in &wires.groups {
        let first = &group.tenants[0];
        let of = count(group.tenants.len(), "tenant");
        if let Some(why) = by_hand::refusal(group) {
            told.push_str(&format!(
                "no file for {of} ({first}): {why}; let `{}` do it\n",
                planning.program.command("migrate")
            ));
            continue;
        }
        number += 1;
        let name = by_hand::name(number, group);
        let places: Vec<String> = group.tenants.iter().filter_map(|id| Some(location(tenants.get(id)?))).collect();
        let text = by_hand::file(&name, group, &places, steps.get(first).copied().unwrap_or_default());
        files::write(&folder.join(&name), &text)?;
        let rest =
            by_hand::rest(group).map(|(first, why)| format!("; stops before {first}: {why}")).unwrap_or_default();
        told.push_str(&format!("{}: {of}{rest}\n", folder.join(&name).display()));
    }
    if wires.groups.is_empty() {
        told.push_str("nothing to do, so there is no file\n");
    }
    Ok(told)
}
