//! An operator's SQL, in one transaction a tenant.

use crate::engine::{PartialState, Session, WriteError};
use crate::model::outcome::{Outcome, StoppedAt};
use crate::run::unit::{Assignment, Attempt, AttemptEnd};
use crate::sql::masked;

/// Maximum length of a statement in an outcome, in characters.
const MOST_SQL: usize = 500;

impl Assignment {
    /// Sends the text and commits it. An attempt that may have committed anything is not repeated.
    ///
    /// Dying in it: see [`Writes::write`](crate::engine::Writes::write); the run has no outcome for the tenant then.
    pub(super) async fn exec(&self, session: &mut dyn Session, history: Vec<String>) -> Attempt {
        let Some(sql) = &self.plan.exec else { return Attempt::without_work(Some(history), AttemptEnd::Nothing) };
        let (probe, canceller) = (session.probe(), session.canceller());
        let mut writing = std::pin::pin!(session.write(sql));
        let (result, is_cancelled) = tokio::select! {
            result = &mut writing => (result, false),
            fault = self.abandoned(probe) => {
                let end = AttemptEnd::stopped(fault, PartialState::Unknown);
                return Attempt::without_work(Some(history), end);
            }
            () = self.cancel.cancelled() => {
                let grace = self.timeouts.cancel;
                let _ = tokio::time::timeout(grace, canceller()).await;
                match tokio::time::timeout(grace, writing).await {
                    Ok(result) => (result, true),
                    Err(_) => {
                        let end = AttemptEnd::Cancelled { at: None, residue: PartialState::Unknown };
                        return Attempt::without_work(Some(history), end);
                    }
                }
            }
        };
        let end = match result {
            Ok(n) => AttemptEnd::Task(Outcome::Committed { n }),
            Err(WriteError { at, fault, residue }) => {
                let at = at.map(|(statement, sql)| StoppedAt {
                    migration: "exec".to_owned(),
                    statement: Some(statement + 1),
                    sql: Some(masked(self.tenant.engine, &sql).chars().take(MOST_SQL).collect()),
                    ..StoppedAt::default()
                });
                match is_cancelled {
                    true => AttemptEnd::Cancelled { at, residue },
                    false => AttemptEnd::Stopped { fault, at, residue },
                }
            }
        };
        Attempt::without_work(Some(history), end)
    }
}
