//! `migrate --enqueue`: a run goes to the ledger, and its tenants to whoever works on it.
//!
//! It applies nothing. Dying before the run is recorded leaves terms that nobody reads; behind it, the run waits for runners.

use std::collections::{BTreeMap, HashSet};

use super::exit::CliError;
use super::plan_settings::SETTINGS as PLANNED;
use super::session::held_or;
use super::setup::Program;
use super::start::Intent;
use super::{files, session};
use crate::ledger::{Ledger, Queue};
use crate::model::engine::Variant;
use crate::model::gate::{GateAction, GateRecord};
use crate::model::program;
use crate::model::saved_plan::{hash, short};
use crate::model::schema::Direction;
use crate::model::shared::{SharedRun, Terms};
use crate::policy::LoadLimits;
use crate::report::count;
use crate::run::{OpenGate, RunPlan};

/// The settings that runners have to agree on besides those that a saved plan holds for.
const SETTINGS: [&str; 5] = ["freeze_at", "longest_pause", "retry_pause", "load_interval", "load_wait"];

/// Refuses what runners can't share, before anything is asked or read.
pub(super) fn refuse(program: &Program, intent: &Intent) -> Result<(), CliError> {
    let no = |why: &str| Err(CliError::Usage(format!("{why}; nothing was started")));
    if !is_on_postgres(program) {
        return no(
            "a run that several runners share needs a ledger on PostgreSQL, which all of them reach: set `ledger` to a \
             postgres:// URL, or divide the tenants without a queue, by --partition",
        );
    }
    let goes_up = intent.kind.goal().is_some_and(|goal| goal.direction == Direction::Up);
    if !goes_up || intent.backup.is_some() || intent.kind.undoes().is_some() {
        return no("only a migration up, without backups, can be enqueued");
    }
    if program.settings().deadline.is_some() {
        return no("a run with a deadline can't be enqueued: give it a window instead, or run it without --enqueue");
    }
    if intent.selection.tenants().any(|tenant| !tenant.depends_on.is_empty()) {
        return no("tenants that depend on others can't be enqueued yet: run them without --enqueue");
    }
    let takes_back = |gate: &crate::policy::Gate| gate.on_failure == GateAction::RollbackWave;
    let open = intent.open_gates.iter().map(|open| &open.gate);
    if intent.selection.waves.iter().filter_map(|wave| wave.gate.as_ref()).chain(open).any(takes_back) {
        return no("a run with a gate that takes its wave back can't be enqueued: run it without --enqueue");
    }
    Ok(())
}

/// Whether the ledger is where runners can share a run.
pub(super) fn is_on_postgres(program: &Program) -> bool {
    program.settings().ledger.postgres_url().is_some()
}

/// Records the run and says how it goes on. Returns the exit code.
pub(super) async fn enqueue(program: &Program, mut plan: RunPlan) -> Result<u8, CliError> {
    session::refuse_tenant(program)?;
    files::check_logs(program)?;
    let location = &program.settings().ledger;
    let terms = terms(program, &plan).await;
    plan.header.started_by = plan.header.started_by.shared();
    let ledger = Ledger::open(location).await.map_err(CliError::Ledger)?;
    // It makes the tables of the queue.
    Queue::open(location).await.map_err(CliError::Ledger)?;
    let shared = SharedRun { lease: program.settings().lease, held_back: plan.held_back, terms };
    let run = plan.header.run;
    ledger.share(run, &shared).await.map_err(CliError::Ledger)?;
    let approved: Vec<GateRecord> = plan.open_gates.iter().filter_map(OpenGate::approval).collect();
    let mut recorder = ledger.recorder();
    recorder.begin_approved(&plan.header, &approved).await.map_err(|error| held_or(program, error))?;
    recorder.finish().await.map_err(CliError::Ledger)?;
    super::sources::note(program, &ledger, run).await;
    ledger.close().await;
    let waves = plan.waves.iter().filter(|wave| !wave.tenants.is_empty()).count();
    program.terminal.tell(&format!(
        "run {run} is enqueued: {} in {}; nothing was touched yet\ntake its tenants, on as many machines as you like: {}\n\
         follow it: {}",
        count(plan.tenants.len(), "tenant"),
        count(waves, "wave"),
        program.command(&format!("work {run}")),
        program.command(&format!("runs show {run} --watch"))
    ));
    Ok(0)
}

/// The conditions of a run.
pub(super) async fn terms(program: &Program, plan: &RunPlan) -> Terms {
    let mut terms: BTreeMap<String, String> = BTreeMap::new();
    terms.insert("version".to_owned(), program::version().to_owned());
    terms.insert("migrations".to_owned(), migrations(plan).await);
    let tenants = plan.tenants.iter().zip(&plan.header.tenants).map(|(tenant, planned)| {
        let place = planned.database.as_deref().unwrap_or_default();
        let (id, server, wave) = (&tenant.id, &planned.server, &planned.wave);
        let (target, depends_on) = (planned.target, &tenant.depends_on);
        let own = (tenant.lock_timeout, tenant.transaction, tenant.online, plan.freezes.get(id));
        format!("{id} {place} {server} {wave} {target:?} {depends_on:?} {own:?}\n")
    });
    terms.insert("tenants".to_owned(), digest(&tenants.collect::<String>()));
    for wave in &plan.waves {
        let gate = wave.gate.as_ref().map(|gate| digest(&format!("{gate:?}")));
        let of = (wave.concurrency, wave.per_server, wave.lock_timeout, wave.transaction, &wave.waits_for, gate);
        let (budget, window) = (wave.max_failures, wave.window.as_ref().map(ToString::to_string));
        terms.insert(format!("wave {}", wave.name), format!("max_failures {budget}, window {window:?}, {of:?}"));
    }
    terms.insert("failure budget of the run".to_owned(), plan.max_failures.to_string());
    let mut limits: Vec<String> = plan.limits.iter().map(|(of, limits)| format!("{of:?} {limits:?}")).collect();
    limits.sort();
    terms.insert("limits of migrations".to_owned(), digest(&limits.concat()));
    for (key, value, _) in &program.settings().origins {
        let mut of_load = LoadLimits::keys();
        if SETTINGS.contains(&key.as_str()) || PLANNED.contains(&key.as_str()) || of_load.any(|limit| limit == key) {
            terms.insert(key.clone(), value.clone());
        }
    }
    Terms(terms)
}

/// The migrations with what they send to the engines that the run has.
async fn migrations(plan: &RunPlan) -> String {
    let mut text = plan.header.catalog.join("\n");
    let mut seen = HashSet::new();
    for tenant in &plan.tenants {
        let online = tenant.online.unwrap_or_default();
        if seen.insert((tenant.engine, online)) {
            // The flavour of a server is known to those who have asked it.
            let scripts = plan.scripts.in_form(Variant::new(tenant.engine, None), Some(online)).await;
            text.extend(scripts.iter().map(|script| format!("\n{}", script.sha256)));
        }
    }
    digest(&text)
}

/// The beginning of a checksum: enough to tell two texts apart.
pub(super) fn digest(text: &str) -> String {
    short(&hash(text)).to_owned()
}
