//! The tasks of runs that change no version, one file each.
//!
//! A task uses the same attempt, session and outcomes as a migration.

mod adopt;
mod backup;
mod exec;
mod forget;
mod refresh;
mod repair;
mod restore;
mod seed;

use super::unit::{Assignment, Attempt, AttemptEnd};
use crate::engine::{Session, Step};
use crate::model::outcome::Outcome;
use crate::model::run_kind::RunKind;

pub(crate) use adopt::{AdoptPlan, Foreseen, foresee};
pub(crate) use backup::BackupPlan;
pub(crate) use restore::RestorePlan;

impl Assignment {
    /// Makes one attempt at the task of this run on a tenant with this history.
    pub(super) async fn task(&self, session: &mut dyn Session, history: Vec<String>) -> Attempt {
        match &self.plan.header.kind {
            RunKind::Refresh { views } => self.refresh(session, history, views).await,
            RunKind::Repair { scripts } => self.repair(session, history, scripts).await,
            RunKind::Forget { scripts } => self.forget(session, history, scripts).await,
            RunKind::Seed { .. } => self.seed(session, history).await,
            RunKind::Backup { .. } => self.backup(session, history).await,
            RunKind::Restore { .. } => self.restore(session, history).await,
            RunKind::Baseline(_) | RunKind::Stamp(_) => self.adopt(session, history).await,
            RunKind::Exec { .. } => self.exec(session, history).await,
            RunKind::Migrate { .. } | RunKind::Rebuild | RunKind::Unknown => {
                Attempt::without_work(Some(history), AttemptEnd::Nothing)
            }
        }
    }

    /// Applies the steps of a task; `outcome` receives their number. Without any step there is nothing to do.
    async fn apply_steps(
        &self,
        session: &mut dyn Session,
        history: Vec<String>,
        steps: Vec<Step>,
        outcome: fn(u64) -> Outcome,
    ) -> Attempt {
        if steps.is_empty() {
            return Attempt::without_work(Some(history), AttemptEnd::Nothing);
        }
        let n = u64::try_from(steps.len()).unwrap_or(u64::MAX);
        let mut work = self.empty_work(&history);
        work.steps = steps;
        let mut attempt = self.carry_out(session, history, work).await;
        if matches!(attempt.end, AttemptEnd::Done) {
            attempt.end = AttemptEnd::Task(outcome(n));
        }
        attempt
    }
}
