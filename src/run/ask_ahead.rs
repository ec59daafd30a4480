//! The guards of all steps of a way down, asked before the first of them: a tenant that a later step would refuse is not
//! left in the middle.
//!
//! Only what no step before it can change is asked ahead; the step itself asks in any case.

use super::unit::{Assignment, AttemptEnd};
use crate::engine::{PartialState, Session, Work, stopped_at_statement};
use crate::model::fault::Fault;
use crate::model::schema::Execution;
use crate::model::tenant::Engine;
use crate::sql::guard::{Guard, guards, is_undisturbed};

/// The guards whose answer no statement before them can change, each with its step. The first statement of all asks by
/// itself, and Rust code may change anything.
fn askable(engine: Engine, work: &Work) -> Vec<(usize, Guard)> {
    let mut found = Vec::new();
    for (step, this) in work.steps.iter().enumerate() {
        let script = &this.script;
        if !matches!(script.execution, Execution::Compiled { .. }) {
            break;
        }
        for guard in guards(engine, &script.statements) {
            let earlier = work.steps[..step].iter().flat_map(|step| &step.script.statements);
            let mut before = earlier.chain(&script.statements[..guard.at]).peekable();
            if before.peek().is_some() && before.all(|sql| is_undisturbed(engine, &guard, sql)) {
                found.push((step, guard));
            }
        }
    }
    found
}

impl Assignment {
    /// The end of an attempt whose work a guard would refuse. Dying in it: nothing was touched.
    pub(super) async fn refused_ahead(&self, session: &mut dyn Session, work: &Work) -> Option<AttemptEnd> {
        for (step, guard) in askable(self.tenant.engine, work) {
            let Some(fault) = session.ask(&guard).await else { continue };
            let migration = &work.steps[step].script.migration;
            let text = format!(
                "{migration} would refuse its way down: {}; it was asked before the first step, so nothing was changed. Mend those \
                 rows, or roll back only as far as it: --to {migration}",
                fault.message
            );
            let at = stopped_at_statement(work, step, guard.at + 1);
            let fault = Fault { message: text, ..fault };
            return Some(AttemptEnd::Stopped { fault, at, residue: PartialState::Nothing });
        }
        None
    }
}
