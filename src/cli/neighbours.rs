//! A restore of a whole database in which other tenants live: refused, since it would take them back with it.

use std::collections::{BTreeSet, HashMap};

use super::exit::CliError;
use super::setup::Program;
use super::start::Intent;
use crate::engine;
use crate::model::tenant::{Tenant, TenantId};
use crate::report::clean;

/// Refuses what restores, or may restore, a whole database in which other tenants live.
pub(super) fn refuse(program: &Program, intent: &Intent) -> Result<(), CliError> {
    let on_failure = intent.backup.as_ref().is_some_and(|plan| plan.restore_on_failure);
    if intent.restore.is_none() && !on_failure {
        return Ok(());
    }
    let database = |tenant: &Tenant| engine::place(tenant).1;
    let mut others: HashMap<String, BTreeSet<TenantId>> = HashMap::new();
    for tenant in &program.registry.tenants {
        others.entry(database(tenant)).or_default().insert(tenant.id.clone());
    }
    let whole = intent.selection.tenants().filter(|tenant| tenant.schema.is_none());
    let mut around = whole.filter_map(|tenant| Some((tenant, others.get(&database(tenant))?)));
    let Some((tenant, all)) = around.find(|(_, all)| all.len() > 1) else { return Ok(()) };
    let mut all = all.clone();
    all.remove(&tenant.id);
    let way_out = if on_failure { "go without with --on-failure leave, or leave" } else { "leave" };
    Err(CliError::CanNotStart(format!(
        "a restore of {id} replaces its whole database, in which other tenants live: {}; they would be taken back with it, and what \
         they wrote since would be lost\n{way_out} it out with --exclude {id}, or bring it back by hand from its file: {}\nnothing was \
         touched",
        program.terminal.names(&all),
        program.command("backup list"),
        id = clean(tenant.id.as_str()),
    )))
}
