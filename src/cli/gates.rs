//! The gates of a run: who asks their checks, and those that a resumed run has not passed yet.
//!
//! It asks nothing itself.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use super::exit::CliError;
use super::setup::{Program, quoted};
use super::verify::{limit, written};
use crate::compile::MigrationSet;
use crate::engine;
use crate::external::Secrets;
use crate::gates::Checks;
use crate::inputs::folder_of;
use crate::inputs::registry::{REST, places};
use crate::inputs::select::{Mismatch, Selection, Wave};
use crate::model::assertion::Assertion;
use crate::model::gate::{GateAction, GateEnd, GateRecord};
use crate::model::tenant::{Tenant, TenantId};
use crate::model::text::suggestion;
use crate::policy::{Check, Gate};
use crate::report::{clean, count};
use crate::run::{Gatekeeper, OpenGate, RunPlan};

/// The keeper of a run's gates, if it has any.
///
/// # Errors
/// For an assertion that there is none of.
pub(super) fn keeper(
    program: &Program,
    set: &Arc<MigrationSet>,
    plan: &RunPlan,
) -> Result<Option<Arc<dyn Gatekeeper>>, CliError> {
    let open = plan.open_gates.iter().map(|open| (open.wave.as_str(), &open.gate));
    let between = plan.waves.iter().filter_map(|wave| Some((wave.name.as_str(), wave.gate.as_ref()?)));
    let gates: Vec<(&str, &Gate)> = open.chain(between).collect();
    if gates.is_empty() {
        return Ok(None);
    }
    let (settings, assertions) = (program.settings(), assertions(program, gates.into_iter())?);
    Ok(Some(Arc::new(Checks {
        run: plan.header.run,
        folder: folder_of(&program.registry.path),
        answer: limit(program, assertions.len()),
        assertions: assertions.into(),
        database: program.door(set),
        concurrency: settings.concurrency(),
        timeouts: settings.timeouts(),
        lock_wait_limit: settings.retry().lock_wait_limit,
        secrets: secrets(&plan.tenants),
    })))
}

/// The passwords of these tenants, which the programs of gates and hooks may print.
pub(super) fn secrets(tenants: &[Arc<Tenant>]) -> Secrets {
    let addresses = |tenant: &Arc<Tenant>| [Some(tenant.address.clone()), tenant.migration_address.clone()];
    Secrets::new(tenants.iter().flat_map(addresses).flatten().flat_map(|address| engine::secrets(&address)))
}

/// The gates of a selection, each with its wave.
pub(super) fn of(selection: &Selection) -> impl Iterator<Item = (&str, &Gate)> {
    selection.waves.iter().filter_map(|wave| Some((wave.name.as_str(), wave.gate.as_ref()?)))
}

/// The reason not to start a migration in which a gate would be passed over: all tenants of the wave in front of it are in
/// quarantine, or in another partition. Whoever selects tenants of later waves by other flags says so.
pub(super) fn unguarded(program: &Program, selection: &Selection) -> Option<String> {
    let registry = &program.registry;
    if registry.waves.iter().all(|rule| rule.gate.is_none()) {
        return None;
    }
    let places = places(&registry.waves, &registry.tenants);
    let is_taken = |tenant: &Tenant| tenant.hold.quarantine.is_none();
    let taken: BTreeSet<&TenantId> = selection.tenants().filter(|of| is_taken(of)).map(|of| &of.id).collect();
    let left_out: HashMap<&TenantId, &Mismatch> = selection.mismatches.iter().map(|(id, why)| (id, why)).collect();
    registry.waves.iter().enumerate().filter(|(_, rule)| rule.gate.is_some()).find_map(|(place, rule)| {
        let of = |wanted: &dyn Fn(usize) -> bool| -> Vec<&Arc<Tenant>> {
            registry.tenants.iter().zip(&places).filter(|(_, at)| wanted(**at)).map(|(tenant, _)| tenant).collect()
        };
        let (members, later) = (of(&|at| at == place), of(&|at| at > place));
        let later = later.iter().filter(|tenant| taken.contains(&tenant.id)).count();
        if later == 0 || members.iter().any(|tenant| taken.contains(&tenant.id)) {
            return None;
        }
        let held = members.iter().find(|tenant| !left_out.contains_key(&tenant.id) && tenant.hold.quarantine.is_some());
        let is_elsewhere = members.iter().any(|tenant| left_out.get(&tenant.id) == Some(&&Mismatch::Partition));
        let name = clean(&rule.name);
        let (why, way) = match held {
            Some(tenant) => {
                let (id, file) = (clean(tenant.id.as_str()), program.shown(&registry.path).display().to_string());
                let way = format!("take it out of quarantine, or give wave {name} another tenant in {file}");
                (format!("its tenant {id} is in quarantine"), way)
            }
            None if is_elsewhere => {
                let first = program.command(&format!("migrate --wave {}", quoted(&rule.name)));
                ("its tenants are in other partitions".to_owned(), format!("run it first: {first}"))
            }
            None => return None,
        };
        let after = registry.waves[place + 1..].iter().map(|rule| rule.name.as_str()).chain([REST]);
        let after: Vec<String> = after.map(|name| format!("--wave {}", quoted(name))).collect();
        Some(format!(
            "wave {name} has a gate and no tenant in this run: {why}; so {} of later waves would pass no gate\n{way}\nto go on \
             without it: name the waves behind it: {}",
            count(later, "tenant"),
            after.join(" ")
        ))
    })
}

/// Whether a gate of these waves asks tenants.
pub(super) fn verify(selection: &Selection) -> bool {
    of(selection).any(|(_, gate)| gate.checks.iter().any(|check| matches!(check, Check::Verify(_))))
}

/// All assertions, if a gate asks for any.
pub(super) fn assertions<'g>(
    program: &Program,
    gates: impl Iterator<Item = (&'g str, &'g Gate)>,
) -> Result<Vec<Assertion>, CliError> {
    let mut all: Option<Vec<Assertion>> = None;
    for (wave, gate) in gates {
        for names in
            gate.checks.iter().filter_map(|check| if let Check::Verify(names) = check { Some(names) } else { None })
        {
            let known = match &mut all {
                Some(known) => known,
                none => none.insert(written(program)?),
            };
            if let Some(name) = names.iter().find(|name| known.iter().all(|of| of.name != **name)) {
                let near = suggestion(name, known.iter().map(|of| of.name.as_str()));
                let near = near.map(|near| format!("; did you mean {}?", clean(near))).unwrap_or_default();
                let (wave, name) = (clean(wave), clean(name));
                let text = format!("the gate of wave {wave} asks for the assertion {name}, and there is none{near}");
                return Err(CliError::Settings(text));
            }
        }
    }
    Ok(all.unwrap_or_default())
}

/// A run that is to be resumed, as far as its gates are concerned.
pub(super) struct Resumed<'a> {
    /// All tenants of the run and of those that it resumed, in today's waves.
    pub(super) waves: &'a Selection,
    /// The tenants that are still to be taken.
    pub(super) left: &'a BTreeSet<TenantId>,
    /// The tenants that failed and were not settled since.
    pub(super) is_failed: &'a dyn Fn(&TenantId) -> bool,
    /// The last end of each wave's gate.
    pub(super) gates: &'a HashMap<String, GateRecord>,
    /// The person who has it go on.
    pub(super) approved_by: Option<&'a str>,
}

impl Resumed<'_> {
    /// The gates that stand between the tenants that are done and those that are left, and were not passed.
    pub(super) fn open(&self) -> Vec<OpenGate> {
        let is_left = |tenant: &Arc<Tenant>| self.left.contains(&tenant.id);
        let mut open = Vec::new();
        for (place, wave) in self.waves.waves.iter().enumerate() {
            let is_between = !wave.tenants.iter().any(is_left)
                && self.waves.waves[place..]
                    .iter()
                    .any(|later| later.waits_for.contains(&wave.name) && later.tenants.iter().any(is_left));
            let Some(gate) = wave.gate.clone().filter(|_| is_between) else { continue };
            let last = self.gates.get(&wave.name);
            let approved_by = self.approved_by.filter(|_| last.is_some_and(|last| last.then == GateAction::Pause));
            if approved_by.is_some() || !last.is_some_and(GateRecord::is_passed) {
                let (wave, tenants) = (wave.name.clone(), self.done_of(wave));
                open.push(OpenGate { wave, gate, tenants, approved_by: approved_by.map(str::to_owned) });
            }
        }
        open
    }

    /// By wave, the tenants that the resumed run brought to their target.
    pub(super) fn done(&self) -> HashMap<String, Vec<Arc<Tenant>>> {
        self.waves.waves.iter().map(|wave| (wave.name.clone(), self.done_of(wave))).collect()
    }

    fn done_of(&self, wave: &Wave) -> Vec<Arc<Tenant>> {
        let is_done = |tenant: &&Arc<Tenant>| !self.left.contains(&tenant.id) && !(self.is_failed)(&tenant.id);
        wave.tenants.iter().filter(is_done).cloned().collect()
    }
}

/// Refuses an approval of a run that waits for nobody.
pub(super) fn refuse_approval(program: &Program, run: Uuid, last: Option<&GateRecord>) -> Result<(), CliError> {
    match last {
        Some(gate) if gate.then == GateAction::Pause => Ok(()),
        Some(gate) if gate.end == GateEnd::Failed => Err(CliError::Usage(format!(
            "run {run} did not pause: {}; to have its gate asked again: {}",
            clean(&gate.to_string()),
            program.command(&format!("runs resume {run}"))
        ))),
        _ => Err(CliError::Usage(format!(
            "run {run} did not pause at a gate, so there is nothing to approve; see: {}",
            program.command(&format!("runs show {run}"))
        ))),
    }
}
