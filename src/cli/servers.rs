//! The limits of servers, as far as a command line tells or refuses them.

use std::collections::HashMap;
use std::sync::Arc;

use super::exit::CliError;
use super::setup::Program;
use crate::inputs::registry::rule_of_server;
use crate::inputs::select::Selection;
use crate::model::clock::now_ms;
use crate::model::tenant::Tenant;
use crate::policy::Window;
use crate::report::plan::ServerNote;
use crate::report::{clean, count};

/// The windows of the servers of these tenants.
pub(super) fn windows(program: &Program, tenants: &[Arc<Tenant>]) -> HashMap<Arc<str>, Window> {
    let window = |server: &Arc<str>| rule_of_server(&program.registry.servers, server)?.window.clone();
    tenants.iter().filter_map(|tenant| Some((tenant.server.clone(), window(&tenant.server)?))).collect()
}

/// The limits of the servers of these tenants, in plan order.
pub(super) fn notes(program: &Program, tenants: &[Arc<Tenant>]) -> Vec<ServerNote> {
    let now_ms = now_ms();
    let mut notes: Vec<ServerNote> = Vec::new();
    for tenant in tenants {
        let Some(rule) = rule_of_server(&program.registry.servers, &tenant.server) else { continue };
        match notes.iter_mut().find(|note| *note.server == *tenant.server) {
            Some(note) => note.tenants += 1,
            None => notes.push(ServerNote {
                server: tenant.server.to_string(),
                tenants: 1,
                window: rule.window.as_ref().map(ToString::to_string),
                opens_at_ms: rule.window.as_ref().and_then(|window| window.opens_at(now_ms)),
                per_server: rule.per_server,
            }),
        }
    }
    notes
}

/// Refuses tenants whose server and whose wave are never open at the same time: a run would wait for ever.
pub(super) fn refuse_shut(program: &Program, selection: &Selection) -> Result<(), CliError> {
    let now_ms = now_ms();
    for wave in &selection.waves {
        let of_wave = wave.window.as_ref().unwrap_or(&program.settings().window);
        let windows = windows(program, &wave.tenants);
        let Some(first) = wave
            .tenants
            .iter()
            .find(|tenant| windows.get(&tenant.server).is_some_and(|window| !window.meets(of_wave, now_ms)))
        else {
            continue;
        };
        let of_server = &windows[&first.server];
        let tenants = wave.tenants.iter().filter(|tenant| tenant.server == first.server).count();
        return Err(CliError::CanNotStart(format!(
            "the windows of wave {} ({of_wave}) and of server {} ({of_server}) are never open at the same time, so that {} \
             would never be started; nothing was touched: change one of them in {}",
            clean(&wave.name),
            clean(&first.server),
            count(tenants, "tenant"),
            program.shown(&program.registry.path).display()
        )));
    }
    Ok(())
}
