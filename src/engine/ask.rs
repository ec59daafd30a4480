//! A guard's question, asked before the first step of a work: on a table of the session, so that nothing is changed.

use super::queries::Queries;
use crate::model::fault::{Fault, FaultClass};
use crate::sql::guard::Guard;

/// The refusal of a guard in a transaction that begins so and is rolled back; `None` if it does not refuse, or can't be
/// asked now: its step asks it again.
///
/// Dying in it: the table goes with the session, and the tenant was not touched.
pub(super) async fn ask(tenant: &mut dyn Queries, mut begin: Vec<String>, guard: &Guard) -> Option<Fault> {
    begin.extend(guard.ask.iter().cloned());
    let asked = tenant.run(begin.join(";\n")).await;
    let _ = tenant.run("ROLLBACK".to_owned()).await;
    asked.err().filter(|fault| fault.class == FaultClass::ConstraintViolation)
}
