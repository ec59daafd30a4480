//! One tenant of a shared run: taken, run alone, and given its outcome.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Runner;
use crate::crash;
use crate::ledger::{Fence, LedgerError};
use crate::model::clock::now_ms;
use crate::model::event::Event;
use crate::model::outcome::Standing;
use crate::model::shared::Taken;
use crate::report::clean;
use crate::run::{self, Level, RunPlan};

/// The shortest time after which a tenant that another runner has is asked for again.
const AGAIN: Duration = Duration::from_millis(50);

impl Runner {
    /// Takes the tenant at this place, once no other runner has it, and runs it to its outcome.
    pub(super) async fn take(self: Arc<Self>, place: i64) {
        while self.cancel.level() == Level::Running {
            match self.ledger.take(self.run, place, &self.name).await {
                Ok(Taken::Done) => return,
                Ok(Taken::Held(rest)) => tokio::time::sleep(rest.min(self.lease / 4).max(AGAIN)).await,
                Ok(Taken::Mine(token)) => {
                    crash::at("taken", "tenant");
                    if let Err(error) = self.tenant(place, token).await {
                        self.tell(place, &error);
                    }
                    return;
                }
                Err(error) => {
                    // The leader puts it into the queue again.
                    self.tell(place, &error);
                    return;
                }
            }
        }
    }

    /// Runs a tenant to its outcome, or gives it back.
    async fn tenant(&self, place: i64, token: i64) -> Result<(), LedgerError> {
        let Some((index, plan)) = self.alone(place) else {
            return self.ledger.give_back(self.run, place, token).await;
        };
        let mut recorder = self.ledger.recorder();
        recorder.join(self.run, Fence::Has { place, token }).await?;
        let (sender, mut events) = mpsc::channel(64);
        let running = tokio::spawn(run::execute(Arc::new(plan), self.door.clone(), self.cancel.clone(), sender));
        let mut is_given_back = true;
        while let Some(event) = events.recv().await {
            let Some(event) = self.of_run(event, index) else { continue };
            is_given_back &= !matches!(event, Event::TenantFinished(_));
            self.view().show(&event, self.begun.elapsed());
            // A lost ledger, or a lost claim, is told at the end.
            let _ = recorder.record(event, now_ms()).await;
        }
        let written = recorder.finish().await;
        drop(running.await);
        written?;
        match is_given_back {
            true => self.ledger.give_back(self.run, place, token).await,
            false => Ok(()),
        }
    }

    fn alone(&self, place: i64) -> Option<(usize, RunPlan)> {
        let index = usize::try_from(place).ok()?;
        Some((index, self.plan.alone(index)?))
    }

    /// An event of a tenant's own run as one of the shared run; `None`: that does not concern it, as the end of a tenant that
    /// was not started.
    fn of_run(&self, mut event: Event, at: usize) -> Option<Event> {
        match &mut event {
            Event::AttemptStarted { index, .. }
            | Event::AttemptFailed { index, .. }
            | Event::Progress { index, .. } => {
                *index = at;
            }
            Event::TenantFinished(record) => {
                if record.outcome.standing() == Standing::Outstanding {
                    return None;
                }
                (record.index, record.runner) = (at, Some(self.name.clone()));
            }
            Event::HookFinished { tenant: Some(_), .. } => {}
            _ => return None,
        }
        Some(event)
    }

    fn tell(&self, place: i64, error: &LedgerError) {
        let planned = usize::try_from(place).ok().and_then(|index| self.plan.header.tenants.get(index));
        let tenant = planned.map(|planned| clean(planned.tenant.as_str())).unwrap_or_default();
        let what = match error {
            LedgerError::TakenOver { .. } => {
                "what this runner did is committed in the tenant or rolled back, and its outcome is the other runner's"
            }
            _ => "another runner takes it over after the lease",
        };
        self.terminal.warn(&format!("tenant {tenant}: failed to {error}; {what}"));
    }
}
