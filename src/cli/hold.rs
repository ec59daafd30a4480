//! Quarantine and freeze: tenants that a run leaves out, and versions that it does not go beyond.
//!
//! The tenant file says both; nothing is written.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::exit::CliError;
use super::origin;
use super::setup::Program;
use super::start::Intent;
use crate::model::observation::Observation;
use crate::model::plan::predecessors;
use crate::model::run_kind::RunKind;
use crate::model::schema::{Catalog, Direction, State};
use crate::model::tenant::{Tenant, TenantId};
use crate::report::{clean, count};

/// Takes the tenants in quarantine out of a run. Backups are made of them, and a restore may be what they wait for.
///
/// # Errors
/// One that the command line names, or where no other is left.
pub(super) fn set_aside(program: &Program, intent: &mut Intent) -> Result<(), CliError> {
    if matches!(intent.kind, RunKind::Backup { .. } | RunKind::Restore { .. }) {
        return Ok(());
    }
    let mut held: Vec<(TenantId, String)> = Vec::new();
    let waiting = match intent.kind.goal() {
        Some(goal) => {
            let tenants: Vec<Arc<Tenant>> = intent.selection.tenants().cloned().collect();
            waiting(&tenants, goal.direction)
        }
        None => BTreeMap::new(),
    };
    for wave in &mut intent.selection.waves {
        wave.tenants.retain(|tenant| !waiting.contains_key(&tenant.id));
    }
    // Skipped tenants must not produce exit code 0.
    intent.selection.held_back += waiting.len();
    for (id, other) in &waiting {
        program.terminal.warn(&format!(
            "left out: {} waits for {}, which is in quarantine; to take it all the same, name it with --tenant",
            clean(id.as_str()),
            clean(other.as_str())
        ));
    }
    for wave in &mut intent.selection.waves {
        wave.tenants.retain(|tenant| {
            let quarantine = tenant.hold.quarantine.as_ref();
            held.extend(quarantine.map(|quarantine| (tenant.id.clone(), quarantine.to_string())));
            quarantine.is_none()
        });
    }
    intent.selection.waves.retain(|wave| !wave.tenants.is_empty());
    let words = origin::selection();
    let is_named = |id: &TenantId| is_named(&words, id);
    if let Some((id, why)) = held.iter().find(|(id, _)| is_named(id)) {
        return Err(CliError::Usage(format!(
            "tenant {} is in quarantine: {}; nothing was touched; {}",
            clean(id.as_str()),
            clean(why),
            release(program, id)
        )));
    }
    if intent.selection.is_empty() && !held.is_empty() {
        let (id, why) = &held[0];
        let what =
            format!("{} in quarantine, the first {}: {}", count(held.len(), "tenant"), clean(id.as_str()), clean(why));
        return Err(CliError::NothingMatched(what));
    }
    intent.quarantined = held;
    Ok(())
}

/// The way out of the quarantine of a tenant.
fn release(program: &Program, id: &TenantId) -> String {
    match source_of(program, id) {
        Some(source) => format!("the source `{}` says so: change it there", clean(source)),
        None => {
            let id = super::setup::quoted(id.as_str());
            format!("to take it out: {}", program.command(&format!("tenants release {id}")))
        }
    }
}

/// That a tenant is in quarantine, and the way out of it; `None`: it is not.
pub(super) fn in_quarantine(program: &Program, id: &TenantId) -> Option<String> {
    let tenant = program.registry.tenants.iter().find(|tenant| tenant.id == *id)?;
    let (why, way) = (tenant.hold.quarantine.as_ref()?.to_string(), release(program, id));
    Some(format!("{} is in quarantine, {}; {way}", clean(id.as_str()), clean(&why)))
}

fn is_named(words: &[String], id: &TenantId) -> bool {
    words.iter().any(|word| word.strip_prefix("--tenant=") == Some(id.as_str()))
}

/// The tenants that wait for one in quarantine, each with the first of those: nobody knows whether that one is where they need
/// it, and it stays as it is. One that the command line names is taken all the same.
pub(super) fn waiting(tenants: &[Arc<Tenant>], direction: Direction) -> BTreeMap<TenantId, TenantId> {
    if tenants.iter().all(|tenant| tenant.depends_on.is_empty() || tenant.hold.quarantine.is_some()) {
        return BTreeMap::new();
    }
    let (words, before) = (origin::selection(), predecessors(tenants, direction));
    let mut held: Vec<Option<usize>> =
        (0..tenants.len()).map(|i| tenants[i].hold.quarantine.as_ref().map(|_| i)).collect();
    let mut is_changed = true;
    while std::mem::take(&mut is_changed) {
        for (place, others) in before.iter().enumerate().filter(|(place, _)| !is_named(&words, &tenants[*place].id)) {
            if held[place].is_none()
                && let Some(other) = others.iter().find_map(|&other| held[other])
            {
                (held[place], is_changed) = (Some(other), true);
            }
        }
    }
    let waits = |(place, other): (usize, Option<usize>)| Some((place, other.filter(|other| *other != place)?));
    let waiting = held.into_iter().enumerate().filter_map(waits);
    waiting.map(|(place, other)| (tenants[place].id.clone(), tenants[other].id.clone())).collect()
}

/// The lines of tenants in quarantine at the end of a run.
pub(super) fn lines(program: &Program, quarantined: &BTreeMap<TenantId, String>) -> String {
    let line = |(id, why): (&TenantId, &String)| format!("in quarantine, left out: {id}: {why}\n");
    let mut lines: String = quarantined.iter().map(line).collect();
    let sources: BTreeSet<Option<&str>> = quarantined.keys().map(|id| source_of(program, id)).collect();
    for source in sources {
        lines.push_str(&match source {
            Some(source) => format!("the source `{}` says so: to take one out of it, change it there\n", clean(source)),
            None => format!("to take one out of it: {}\n", program.command("tenants release TENANT")),
        });
    }
    lines
}

/// The source that a tenant comes from; `None`: the tenant file itself.
fn source_of<'a>(program: &'a Program, id: &TenantId) -> Option<&'a str> {
    program.registry.tenants.iter().find(|tenant| tenant.id == *id)?.source.as_deref()
}

/// The migration that each of these tenants is not taken beyond, as its place in the catalog.
pub(super) fn freezes(program: &Program, catalog: &Catalog, tenants: &[Arc<Tenant>]) -> HashMap<TenantId, usize> {
    let fleet = program.settings().freeze_at.as_ref();
    let place = |tenant: &Arc<Tenant>| {
        let name = tenant.hold.freeze_at.as_ref().or(fleet)?;
        Some((tenant.id.clone(), catalog.position(name)?))
    };
    tenants.iter().filter_map(place).collect()
}

/// Refuses to freeze at a migration that does not exist, or at a repeatable, which has no place: nothing would be frozen.
pub(super) fn check_freezes(program: &Program, catalog: &Catalog) -> Result<(), CliError> {
    let fleet = program.settings().freeze_at.iter().map(|name| ("[fleet]".to_owned(), name));
    let own =
        program.registry.tenants.iter().filter_map(|tenant| {
            Some((format!("tenant {}", clean(tenant.id.as_str())), tenant.hold.freeze_at.as_ref()?))
        });
    let wrong = |name: &str| match catalog.position(name) {
        None => {
            let near = crate::model::text::suggestion(name, catalog.migrations.iter().map(|name| &**name));
            let near = near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
            Some(format!("no migration of this program{near}"))
        }
        Some(place) if catalog.is_repeatable(place) => {
            Some("a repeatable script, which comes behind all migrations; name a migration".to_owned())
        }
        Some(_) => None,
    };
    let Some((of, name, wrong)) = fleet.chain(own).find_map(|(of, name)| Some((of, name, wrong(name)?))) else {
        return Ok(());
    };
    let (path, name) = (program.registry.path.display(), clean(name));
    Err(CliError::Settings(format!("{path}: freeze_at = \"{name}\" of {of} names {wrong}")))
}

/// Notes which of these tenants are in quarantine, and which are where they are frozen.
pub(super) fn note(program: &Program, catalog: &Catalog, tenants: &[Arc<Tenant>], observations: &mut [Observation]) {
    let freezes = freezes(program, catalog, tenants);
    for (tenant, seen) in tenants.iter().zip(observations) {
        seen.hold.quarantine.clone_from(&tenant.hold.quarantine);
        let at = |version: &String| catalog.position(version);
        let last = freezes.get(&tenant.id).copied();
        if let Some(last) = last
            && matches!(seen.state, State::Behind { .. })
            && seen.version.as_ref().and_then(at).is_some_and(|version| version >= last)
        {
            seen.hold.freeze_at = Some(catalog.migrations[last].to_string());
        }
    }
}
