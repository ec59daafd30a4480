//! The settings and limits that a saved plan holds: those of the run and of each wave, in words.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::inspect::{Planned, Planning};
use super::setup::Program;
use super::{gates, servers};
use crate::inputs::Origin;
use crate::inputs::select::Wave;
use crate::model::program;
use crate::model::saved_plan::{hash, short};
use crate::model::schema::Execution;
use crate::model::tenant::Tenant;
use crate::policy::{Limits, LoadLimits, format_duration};

/// The settings that a saved plan holds for.
pub(super) const SETTINGS: [&str; 18] = [
    "concurrency",
    "per_server",
    "connect_timeout",
    "lock_timeout",
    "statement_timeout",
    "cancel_timeout",
    "silence_timeout",
    "transaction",
    "online",
    "attempts",
    "hold_wait",
    "lock_wait",
    "max_failures",
    "run_max_failures",
    "rate",
    "window",
    "outside_window",
    "outage",
];

/// Whether a setting is one by which the load of a server holds a run back.
fn is_of_load(key: &str) -> bool {
    key == "load_wait" || LoadLimits::keys().any(|limit| limit == key)
}

/// The settings and limits of the run, by their names.
pub(super) fn of_run(planning: &Planning<'_>, planned: &Planned) -> BTreeMap<String, String> {
    let Planning { program, set, goal, .. } = planning;
    let origins = program.settings().origins.iter().filter(|(key, ..)| SETTINGS.contains(&key.as_str()));
    let mut all: BTreeMap<String, String> = origins.map(|(key, value, _)| (key.clone(), value.clone())).collect();
    // Where nobody has set them they hold nothing back.
    let load =
        program.settings().origins.iter().filter(|(key, _, origin)| is_of_load(key) && *origin != Origin::Default);
    all.extend(load.map(|(key, value, _)| (key.clone(), value.clone())));
    let catalog = set.catalog();
    for ((place, variant), limits) in set.limits(goal.direction, |name| program.limits_of(name)) {
        let name = &catalog.migrations[place];
        if planned.scripts().iter().any(|script| script.migration == *name && script.engine == variant.engine()) {
            all.insert(format!("limits of {name} on {variant}"), in_words(&limits));
        }
    }
    // They were found when the plan was made, or the run is refused where they are missing.
    let assertions = gates::assertions(program, gates::of(planning.selection)).unwrap_or_default();
    if !assertions.is_empty() {
        all.insert("assertions of gates".to_owned(), short(&hash(&format!("{assertions:?}"))).to_owned());
    }
    let tenants: Vec<Arc<Tenant>> = planning.selection.tenants().cloned().collect();
    for note in servers::notes(program, &tenants) {
        let of = [("window", note.window), ("per_server", note.per_server.map(|cap| cap.to_string()))];
        let own = of.into_iter().filter_map(|(key, text)| Some((format!("{key} of server {}", note.server), text?)));
        all.extend(own);
    }
    for (point, hook) in &program.settings().hooks {
        all.insert(format!("hook {point}"), format!("{} ({})", hook.shown(), short(&hash(&format!("{hook:?}")))));
    }
    // The Rust code of such a migration has no hash.
    let is_native = |execution: &Execution| matches!(execution, Execution::Native { .. });
    if planned.scripts().iter().any(|script| is_native(&script.execution)) {
        all.insert("version of the program".to_owned(), program::version().to_owned());
    }
    all
}

fn in_words(limits: &Limits) -> String {
    let all = [("lock", limits.lock), ("statement", limits.statement)];
    let all = all.into_iter().filter_map(|(what, limit)| Some(format!("{what} {}", format_duration(limit?))));
    all.collect::<Vec<_>>().join(", ")
}

/// The limits of a wave, by their names.
pub(super) fn of_wave(program: &Program, wave: &Wave) -> BTreeMap<String, String> {
    let rule = program.registry.waves.iter().find(|rule| rule.name == wave.name);
    let texts = [
        ("concurrency", wave.concurrency.map(|n| n.to_string())),
        ("per_server", wave.per_server.map(|n| n.to_string())),
        ("window", wave.window.as_ref().map(ToString::to_string)),
        // Its words leave out what may be a secret; the number changes with that, too.
        ("gate", wave.gate.as_ref().map(|gate| format!("{gate} ({:.8})", hash(&format!("{gate:?}"))))),
        ("max_failures", Some(wave.max_failures.to_string())),
        ("lock_timeout", wave.lock_timeout.map(format_duration)),
        ("transaction", wave.transaction.map(|scope| format!("{scope:?}").to_lowercase())),
        ("depends_on", rule.and_then(|rule| Some(rule.depends_on.as_ref()?.join(", ")))),
    ];
    texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text?))).collect()
}
