//! Statements of online forms that a tenant's server will refuse because of an index of its table: said before a run.

use std::sync::Arc;

use super::inspect::Planning;
use crate::compile::refused_beside_full_text;
use crate::model::schema::Script;
use crate::model::tenant::Tenant;
use crate::report::plan::PlanRow;
use crate::run;

/// Notes them in the rows of their tenants. Only tenants with such a statement are asked; one that does not answer now is told by the
/// run.
pub(super) async fn note(planning: &Planning<'_>, scripts: &[Script], waves: &mut [(String, Vec<PlanRow>)]) {
    let tenants: Vec<Arc<Tenant>> = planning.selection.tenants().cloned().collect();
    let rows = waves.iter_mut().flat_map(|(_, rows)| rows).zip(&tenants);
    let concerned = rows.filter_map(|(row, tenant)| {
        let of_script = |script: &Script| {
            let named = |(number, table)| (script.migration.clone(), number, table);
            refused_beside_full_text(script).into_iter().map(named).collect::<Vec<_>>()
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
    let look = run::observe_full_texts(&asked, &door, program.pace());
    let answers = program.looking("looking for full-text indexes", asked.len(), look).await;
    for ((row, _, wanted), answer) in concerned.into_iter().zip(answers) {
        for (migration, number, table) in wanted {
            let indexes = answer.as_ref().map(Vec::as_slice).unwrap_or_default();
            if let Some((table, index)) = indexes.iter().find(|(name, _)| name.eq_ignore_ascii_case(&table)) {
                row.add_note(format!(
                    "the server will refuse statement {number} of {migration} in its online form: {table} has the full-text index {index}; \
                     `online = false` in [migrations.\"{migration}\"] is the way on"
                ));
            }
        }
    }
}
