//! `doctor`, and the look at the servers before a run. They read; findings are judged elsewhere.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::args::Doctor;
use super::cautions;
use super::command::Run;
use super::exit::CliError;
use super::goals;
use super::inspect::{self, Planned};
use super::setup::{Program, quoted, resolve_words, tenant_flag};
use super::start::Intent;
use crate::backup;
use crate::check::doctor::{self, Finding, Limits, Probe, Refused, Severity};
use crate::compile::MigrationSet;
use crate::engine::{Database, place};
use crate::inputs::select::Selection;
use crate::model::engine::Capabilities;
use crate::model::fault::{Fault, FaultClass};
use crate::model::health::{Extension, Health, Needs, Questions};
use crate::model::observation::Observation;
use crate::model::plan::{Goal, Target};
use crate::model::schema::{Direction, Execution, Script, State};
use crate::model::tenant::{Tenant, TenantId};
use crate::report;
use crate::run::{self, Pace};
use crate::sql::{Directive, directive};

type Examined = Vec<(Arc<Tenant>, Result<Health, Fault>)>;

/// A tool that does not print its version within this time counts as missing.
const TOOL_LIMIT: Duration = Duration::from_secs(5);

/// Number of SQLite files examined per server key before a run, spread over all of its tenants.
const FILES_ASKED: usize = 20;

/// Number of further tenants of a server probed before a run when the first one is refused access.
const ASKED_AGAIN: usize = 4;

impl Run for Doctor {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        let set = program.set_to_look().await?;
        let selection = program.select(&self.read.selection).await?;
        let tenants: Vec<Arc<Tenant>> = selection.tenants().cloned().collect();
        let goal = Goal { direction: Direction::Up, target: Target::End, out_of_order: false };
        goals::refuse_unset(&set, &selection, &goal)?;
        let intent = Intent::migrate(goal, selection);
        let planned = inspect::planned(&intent.planning(program, &set, &goal)).await;
        let rows = planned.rows();
        let mut needs = needs(&set, &tenants).await;
        needs.extensions.retain(|extension| rows.iter().any(|row| row.steps.contains(&extension.migration)));
        let (door, ask) = (program.door(&set), questions(&needs, true));
        let look = run::examine(&tenants, &door, program.pace(), &ask);
        let answers = program.looking("examining databases", tenants.len(), look).await;
        let examined: Examined = tenants.into_iter().zip(answers).collect();
        let check = program.command("tenants check");
        let limits = limits(program, &check);
        let busy: HashSet<&TenantId> = rows.iter().filter(|r| !r.is_done()).map(|r| &r.tenant).collect();
        let mut findings = doctor::judge(&examined, &limits, &needs, |id| busy.contains(id));
        findings.extend(doctor::refused(refusals(program, &planned, &examined, &limits)).into_iter().map(with_tenants));
        findings.extend(planned.with_tables.iter().filter_map(|(id, tables)| {
            let tenant = &examined.iter().find(|(tenant, _)| tenant.id == *id)?.0;
            let fix = cautions::adoption(program, &format!(" {}", tenant_flag(id)));
            Some(doctor::without_history(tenant, *tables, fix))
        }));
        findings.extend(planned.observations.iter().filter_map(|seen| {
            let (resolve, flag) = (resolve_words(&seen.tenant, ""), tenant_flag(&seen.tenant));
            doctor::unfinished(seen, &resolve, &flag, |words| program.command(words))
        }));
        findings.extend(backups(program));
        let mut versions = Vec::new();
        for (engine, tool) in doctor::dump_programs(&examined) {
            versions.push((tool, engine, version_of(tool).await));
        }
        findings.extend(doctor::tools(&versions, &examined));
        findings.sort_by_key(|finding| finding.severity);
        let output = &self.read.output;
        output.deliver(&report::doctor::render(&findings, examined.len(), output.format, &output.style(program)))?;
        Ok(if findings.iter().any(|finding| finding.severity == Severity::Error) { 2 } else { 0 })
    }
}

/// The refusals of `migrate`, by the plan that it would make: the same decision, tenant by tenant.
fn refusals(program: &Program, planned: &Planned, examined: &Examined, limits: &Limits<'_>) -> Vec<Refused> {
    let mut all = Vec::new();
    let asked = examined.iter().filter_map(|(tenant, health)| Some((tenant, &health.as_ref().ok()?.extensions)));
    let extensions = asked.filter(|(_, known)| !known.is_empty()).map(|(tenant, known)| (place(tenant).1, &known[..]));
    let extensions: HashMap<String, &[Extension]> = extensions.collect();
    for ((row, seen), (tenant, health)) in planned.rows().into_iter().zip(&planned.observations).zip(examined) {
        let mut refuse = |what: String, fix: String| {
            let (tenant, server) = (row.tenant.clone(), row.server.clone());
            all.push(Refused { tenant, server, what, fix });
        };
        // A fault of both looks is one finding, and an unfinished migration has its own.
        let is_told = matches!(seen.state, State::InDoubt(_) | State::Stopped(_));
        if let (Some(fault), Ok(_)) = (&row.error, health) {
            refuse(format!("not read: {fault}"), doctor::way_out(fault, limits));
        }
        if let Some(refusal) = row.refusal.as_ref().filter(|_| !is_told) {
            refuse(format!("`migrate` refuses it: {refusal}"), remedy(program, seen));
        }
        let is_pooled = health.as_ref().is_ok_and(|health| health.pooled);
        for script in planned.scripts_of(row) {
            let name = &script.migration;
            for extension in unplaced(tenant, script, &extensions) {
                refuse(
                    format!("{name} would create the extension {extension} in this tenant's schema, where no other tenant finds it"),
                    "write CREATE EXTENSION ... WITH SCHEMA extensions, and shared_schemas = [\"extensions\"] in the tenant file".to_owned(),
                );
            }
            match &script.execution {
                Execution::Compiled { transaction: true } if !has_batches(script) => {}
                _ if !is_pooled => {}
                _ => {
                    let fix = "set migration_url of the tenant to the server itself";
                    refuse(format!("{name} can't run through a connection pooler"), fix.to_owned());
                }
            }
        }
    }
    all
}

/// The extensions that a script would create in the schema of a tenant that is one. `known`: of each database; those that are
/// there are not created, and some have a schema that their files name.
fn unplaced(tenant: &Tenant, script: &Script, known: &HashMap<String, &[Extension]>) -> BTreeSet<String> {
    let Some(known) = tenant.schema.as_ref().and_then(|_| known.get(&place(tenant).1)) else { return BTreeSet::new() };
    let names = script.statements.iter().flat_map(|sql| crate::sql::extension::unplaced(tenant.engine, sql));
    let is_made_here = |name: &String| known.iter().any(|e| e.name == *name && !e.is_installed && !e.is_placed);
    names.filter(is_made_here).collect()
}

fn has_batches(script: &Script) -> bool {
    script.statements.iter().any(|sql| directive(sql) == Some(Directive::Batch))
}

/// Stands in a remedy for the flags that name its tenants, until they are known.
const TENANTS: &str = " <TENANTS>";

/// The finding with its tenants in the command of its remedy; with none where they are too many for a line.
fn with_tenants(mut finding: Finding) -> Finding {
    let flags = match finding.tenants.len() {
        0..=10 => finding.tenants.iter().map(|id| format!(" {}", tenant_flag(id))).collect(),
        _ => String::new(),
    };
    finding.fix = finding.fix.replace(TENANTS, &flags);
    finding
}

/// The remedy for a tenant that a run refuses because of its history.
fn remedy(program: &Program, seen: &Observation) -> String {
    match &seen.state {
        State::Ahead { .. } => "migrate it with the program that has them".to_owned(),
        State::Gap { .. } => {
            format!("to apply them now: {}", program.command(&format!("migrate --out-of-order{TENANTS}")))
        }
        State::Edited { scripts } => {
            let names: Vec<String> = scripts.iter().map(|name| quoted(name)).collect();
            let repair = program.command(&format!("scripts repair {}{TENANTS}", names.join(" ")));
            format!("put the old text back; or, if the new one is what was applied: {repair}")
        }
        State::Empty if seen.is_lost() => format!(
            "bring the database back; or, to have it made anew, without its rows: {}",
            program.command(&format!("migrate --recreate{TENANTS}"))
        ),
        State::Migrating => "wait until the other run has ended; see: runs list".to_owned(),
        _ => "correct the script, or give it a file for this engine".to_owned(),
    }
}

/// The requirements of the migrations on the tenants' engines.
async fn needs(set: &MigrationSet, tenants: &[Arc<Tenant>]) -> Needs {
    let any = |have: fn(&Capabilities) -> bool| tenants.iter().any(|tenant| have(tenant.engine.capabilities()));
    Needs {
        extensions: if any(|can| can.extensions) { set.extensions().await } else { Vec::new() },
        rights: if any(|can| can.single_privileges) { set.rights().await } else { Vec::new() },
    }
}

fn questions(needs: &Needs, closely: bool) -> Questions {
    let extensions = needs.extensions.iter().map(|extension| extension.name.clone()).collect();
    Questions { extensions, closely, ..Questions::default() }
}

/// Findings about the disk for backups: that of their folder, or of the nearest existing one above it. An operator
/// without backups need not be able to write there; a folder that exists was made for them.
fn backups(program: &Program) -> Vec<Finding> {
    let settings = program.settings();
    let folder = &settings.backups;
    let Some(there) = folder.ancestors().find(|above| above.is_dir()) else { return Vec::new() };
    let shown = program.shown(folder);
    let prune = program.command("backup prune --older-than 30d");
    let free = backup::free_space(there).ok().map(|free| doctor::backups(&shown, free, &prune));
    let are_made = folder.is_dir() || settings.backup_command.is_some() || settings.restore_on_failure();
    let is_read_only = are_made && !backup::may_write(there);
    free.into_iter().chain(is_read_only.then(|| doctor::read_only_backups(&shown))).collect()
}

fn limits<'a>(program: &Program, check: &'a str) -> Limits<'a> {
    let settings = program.settings();
    Limits {
        long_transaction: settings.long_transaction,
        replication_lag: settings.replication_lag,
        lock: settings.timeouts().lock,
        per_server: settings.concurrency().per_server.get().min(settings.concurrency().global.get()),
        check,
    }
}

async fn version_of(tool: &str) -> Option<String> {
    let output = tokio::process::Command::new(tool).arg("--version").kill_on_drop(true).output();
    let output = tokio::time::timeout(TOOL_LIMIT, output).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
}

/// Looks at the servers of a run: a few tenants of each, never all. Warns of its findings. `goes_up`: whether
/// migrations are applied, so that the objects they create are checked for.
///
/// # Errors
/// Enough tenants are unreachable for an outage; nothing may start.
pub(super) async fn preflight(
    program: &Program,
    set: &Arc<MigrationSet>,
    selection: &Selection,
    goes_up: bool,
) -> Result<(), CliError> {
    let mut servers: Vec<(Arc<str>, Vec<Arc<Tenant>>)> = Vec::new();
    let mut places: HashMap<Arc<str>, usize> = HashMap::new();
    for tenant in selection.tenants() {
        let place = *places.entry(tenant.server.clone()).or_insert(servers.len());
        if place == servers.len() {
            servers.push((tenant.server.clone(), Vec::new()));
        }
        servers[place].1.push(tenant.clone());
    }
    let door = program.door(set);
    // A server without free connections is no outage; waiting for one is the run's task.
    let pace = Pace { lock_wait_limit: Duration::ZERO, ..program.pace() };
    let first: Vec<Vec<Arc<Tenant>>> = servers.iter().map(|(_, tenants)| first_asked(tenants)).collect();
    let all: Vec<Arc<Tenant>> = first.iter().flatten().cloned().collect();
    let needs = if goes_up { needs(set, &all).await } else { Needs::default() };
    let wanted = questions(&needs, false);
    let look = ask(&door, pace, first, &wanted);
    let mut examined = program.looking("looking at the servers", all.len(), look).await;
    let again = servers.iter().zip(&examined).map(|((_, tenants), seen)| asked_again(tenants, seen)).collect();
    let more = program.looking("looking at the servers again", 0, ask(&door, pace, again, &wanted)).await;
    for (seen, more) in examined.iter_mut().zip(more) {
        seen.extend(more);
    }
    let probe = |((server, tenants), seen): (&(Arc<str>, Vec<Arc<Tenant>>), &Examined)| Probe {
        server: server.to_string(),
        tenants: tenants.len(),
        asked: seen.len(),
        unreachable: seen.iter().filter_map(|(tenant, seen)| Some((tenant.id.clone(), gone(seen)?.clone()))).collect(),
    };
    let probes: Vec<Probe> = servers.iter().zip(&examined).map(probe).collect();
    if let Some(text) = doctor::outage(&probes, program.settings().outage) {
        return Err(CliError::Outage { text, next: program.command("doctor") });
    }
    // An unreachable tenant is an outcome of the run.
    let gone: BTreeSet<TenantId> =
        probes.iter().flat_map(|probe| &probe.unreachable).map(|(id, _)| id.clone()).collect();
    if let Some((id, fault)) = probes.iter().flat_map(|probe| &probe.unreachable).next() {
        program.terminal.warn(&format!(
            "not reached, of those asked before the run: {} ({}: {}); see: {}",
            program.terminal.names(&gone),
            report::clean(id.as_str()),
            report::clean(&fault.to_string()),
            program.command("doctor")
        ));
    }
    let reached: Examined = examined.into_iter().flatten().filter(|(_, seen)| seen.is_ok()).collect();
    let check = program.command("tenants check");
    let mut findings = doctor::judge(&reached, &limits(program, &check), &needs, |_| true);
    findings.retain(|finding| finding.severity != Severity::Info);
    for line in report::doctor::lines(&findings) {
        program.terminal.warn(&line);
    }
    Ok(())
}

fn gone(seen: &Result<Health, Fault>) -> Option<&Fault> {
    seen.as_ref().err().filter(|fault| fault.class.is_unreachable() && fault.class != FaultClass::TooManyConnections)
}

/// One tenant of a server; several SQLite files, since no single file represents them all.
fn first_asked(tenants: &[Arc<Tenant>]) -> Vec<Arc<Tenant>> {
    let most = if tenants[0].engine.capabilities().server { 1 } else { FILES_ASKED };
    let n = tenants.len().min(most);
    (0..n).map(|i| tenants[i * tenants.len() / n].clone()).collect()
}

/// Further tenants of a server whose first one was refused for a reason that may be specific to it.
fn asked_again(tenants: &[Arc<Tenant>], seen: &Examined) -> Vec<Arc<Tenant>> {
    use FaultClass::{Authentication, BadAddress, Tls, UnknownDatabase};
    let [(_, Err(fault))] = &seen[..] else { return Vec::new() };
    let own = matches!(fault.class, Authentication | BadAddress | Tls | UnknownDatabase);
    if own && tenants[0].engine.capabilities().server {
        tenants.iter().skip(1).take(ASKED_AGAIN).cloned().collect()
    } else {
        Vec::new()
    }
}

/// Probes groups of tenants concurrently; returns the answers in their groups.
async fn ask(
    door: &Arc<dyn Database>,
    pace: Pace<'_>,
    groups: Vec<Vec<Arc<Tenant>>>,
    wanted: &Questions,
) -> Vec<Examined> {
    let all: Vec<Arc<Tenant>> = groups.iter().flatten().cloned().collect();
    let mut answers = all.iter().cloned().zip(run::examine(&all, door, pace, wanted).await);
    groups.iter().map(|group| answers.by_ref().take(group.len()).collect()).collect()
}
