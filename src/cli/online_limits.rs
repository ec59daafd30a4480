//! Statements of online forms that will be refused because of what a tenant's table has: said before a run.

use std::sync::Arc;

use super::inspect::{Planned, Planning};
use crate::compile::refused_online;
use crate::model::schema::Script;
use crate::model::tenant::Tenant;
use crate::run;
use crate::sql::unquoted;

/// Notes them in the rows of a plan that is shown. Only tenants with such a statement are asked; one that does not answer now is told by the
/// run.
pub(super) async fn note(planning: &Planning<'_>, planned: &mut Planned) {
    let (scripts, waves) = planned.parts();
    let tenants: Vec<Arc<Tenant>> = planning.selection.tenants().cloned().collect();
    let rows = waves.iter_mut().flat_map(|(_, rows)| rows).zip(&tenants);
    let concerned = rows.filter_map(|(row, tenant)| {
        let of_script = |script: &Script| {
            let named = |(number, table)| (script.migration.clone(), number, table);
            refused_online(script).into_iter().map(named).collect::<Vec<_>>()
        };
        let sent = scripts.iter().filter(|script| row.is_sent(script, scripts));
        let wanted: Vec<_> = sent.flat_map(of_script).collect();
        (!wanted.is_empty()).then_some((row, tenant.clone(), wanted))
    });
    let concerned: Vec<_> = concerned.collect();
    let asked: Vec<Arc<Tenant>> = concerned.iter().map(|(_, tenant, _)| tenant.clone()).collect();
    if asked.is_empty() {
        return;
    }
    let program = planning.program;
    let door = program.door(planning.set);
    let look = run::observe_online_hindrances(&asked, &door, program.pace());
    let answers = program.looking("looking for what the online form can't change", asked.len(), look).await;
    for ((row, _, wanted), answer) in concerned.into_iter().zip(answers) {
        for (migration, number, table) in wanted {
            let hindrances = answer.as_ref().map(Vec::as_slice).unwrap_or_default();
            let bare = table.rsplit('.').next().unwrap_or(&table);
            let table = unquoted(bare).unwrap_or_else(|| bare.to_owned());
            if let Some((table, what)) = hindrances.iter().find(|(name, _)| name.eq_ignore_ascii_case(&table)) {
                row.add_note(format!(
                    "statement {number} of {migration} will be refused in its online form: {table} has {what}; \
                     `online = false` in [migrations.\"{migration}\"] is the way on"
                ));
            }
        }
    }
}
