//! A tenant whose last attempt was lost is read again, so that its outcome is what the tenant itself says.
//!
//! It changes nothing in the tenant, and claims nothing while another session holds it: that may be the lost one.

use std::time::Duration;

use tokio::time::Instant;

use super::decide::WAITS;
use super::unit::{Assignment, Attempt, AttemptEnd};
use crate::engine::{PartialState, Session};
use crate::model::fault::{Fault, FaultClass};
use crate::model::plan::{self, Decision};
use crate::model::schema::Unfinished;

/// A server needs a moment to see that the lost session is closed: so long it is waited for, whatever the settings say.
const CLOSES: Duration = Duration::from_secs(2);

/// A server that ended its sessions may start again: so long is it tried.
const STARTS_AGAIN: Duration = Duration::from_secs(10);

/// The tenant as it was read after a lost attempt.
#[derive(Debug, Clone)]
pub(super) struct Reread {
    pub(super) history: Vec<String>,
    /// The end of the attempt, now that it is known.
    pub(super) end: AttemptEnd,
}

impl Assignment {
    /// Reads the tenant after an attempt whose end is not known, if no other attempt follows that would read it. Dying
    /// here: nothing was recorded yet, and the next run reads the tenant.
    pub(super) async fn read_again(&self, attempt: &Attempt) -> Option<Reread> {
        let is_lost = match &attempt.end {
            // Code that ended its own transaction has left behind what no history tells.
            AttemptEnd::Stopped { fault, residue: PartialState::Unknown, .. } => {
                (self.last_try || !fault.class.is_transient()) && fault.class != FaultClass::Migration
            }
            AttemptEnd::Cancelled { residue: PartialState::Unknown, .. } => true,
            _ => false,
        };
        if !is_lost || self.goal.is_none() {
            return None;
        }
        let begun = Instant::now();
        for tries in 0.. {
            let limit = match self.look().await {
                Ok(Some((history, unfinished))) => {
                    let residue = self.residue_of(unfinished).await;
                    return Some(self.known_end(attempt, history, residue));
                }
                Ok(None) => self.plan.retry.lock_wait_limit.max(CLOSES),
                Err(fault) if fault.class.is_transient() => self.plan.retry.lock_wait_limit.min(STARTS_AGAIN),
                Err(_) => return None,
            };
            if self.cancel.is_cancelled() || begun.elapsed() >= limit {
                return None;
            }
            tokio::time::sleep(WAITS.pause(tries, fastrand::f64())).await;
        }
        None
    }

    /// History and journal of a tenant that nobody holds; `None` if another session does.
    async fn look(&self) -> Result<Option<(Vec<String>, Option<Unfinished>)>, Fault> {
        let mut session = self.database.connect_within(&self.tenant, self.timeouts).await?;
        let limit = self.timeouts.connect + self.timeouts.lock;
        let looked = tokio::time::timeout(limit, seen(session.as_mut())).await;
        let _ = tokio::time::timeout(self.timeouts.cancel, session.close()).await;
        looked.unwrap_or_else(|_| Err(Fault::new(FaultClass::ConnectTimeout, "the server did not answer")))
    }

    /// The state that a journal tells; one with which the next run goes on by itself is not in doubt.
    async fn residue_of(&self, unfinished: Option<Unfinished>) -> PartialState {
        let Some(unfinished) = unfinished else { return PartialState::Nothing };
        match self.goes_on_with(&unfinished).await {
            goes_on if goes_on || unfinished.goes_on() => {
                PartialState::Resumable { statements: unfinished.statement.unwrap_or(1).saturating_sub(1) }
            }
            _ if !unfinished.may_begin_again() => PartialState::InDoubt(unfinished),
            _ => PartialState::Nothing,
        }
    }

    fn known_end(&self, attempt: &Attempt, history: Vec<String>, residue: PartialState) -> Reread {
        let is_done = self.goal.as_ref().is_some_and(|goal| {
            plan::decide(&self.plan.catalog, self.tenant.variant(), &history, goal) == Decision::Nothing
        });
        let end = match attempt.end.clone() {
            _ if is_done && residue == PartialState::Nothing => AttemptEnd::Nothing,
            AttemptEnd::Stopped { mut fault, at, .. } => {
                if residue == PartialState::Nothing {
                    fault.message.push_str("; the tenant was read again: what was begun is rolled back");
                }
                AttemptEnd::Stopped { fault, at, residue }
            }
            AttemptEnd::Cancelled { at, .. } => AttemptEnd::Cancelled { at, residue },
            end => end,
        };
        Reread { history, end }
    }
}

/// The lock first: a history that is read before it may still change.
async fn seen(session: &mut dyn Session) -> Result<Option<(Vec<String>, Option<Unfinished>)>, Fault> {
    if session.is_held().await? {
        return Ok(None);
    }
    let history = session.history().await?;
    Ok(Some((history, session.unfinished().await?)))
}
