//! What a run does on a tenant besides migrating it: accepting edited scripts, refreshing views, seeding;
//! backups are in `backup`.
//!
//! It goes through the same attempt, the same session and the same outcomes as a migration; it never moves a version.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::Task;
use super::unit::{Assignment, Attempt, AttemptEnd};
use crate::engine::{Notice, PartialState, Session, Step, TELL_EVERY};
use crate::model::fault::Fault;
use crate::model::outcome::Outcome;
use crate::seed::{self, SeedProgress, SeedRequest};

impl Assignment {
    /// One attempt at the chore of this run on a tenant with this history.
    pub(super) async fn chore(&self, session: &mut dyn Session, history: Vec<String>) -> Attempt {
        let steps = match &self.plan.task {
            Task::Seed(request) => return self.seed(session, history, request).await,
            Task::Backup => return self.backup_chore(session, history).await,
            Task::Restore(_) => return self.restore_chore(session, history).await,
            Task::Migrate => Ok(Vec::new()),
            Task::Accept(scripts) => Ok(self.acceptances(scripts, &history)),
            Task::Refresh(_) => self.refreshes(&history),
        };
        let steps = match steps {
            Ok(steps) if steps.is_empty() => return Attempt::without_work(Some(history), AttemptEnd::Nothing),
            Ok(steps) => steps,
            Err(reason) => {
                return Attempt::without_work(Some(history), AttemptEnd::Task(Outcome::Skipped { reason }));
            }
        };
        let n = u64::try_from(steps.len()).unwrap_or(u64::MAX);
        let mut work = self.empty_work(&history);
        work.steps = steps;
        let mut attempt = self.carry_out(session, history, work).await;
        if matches!(attempt.end, AttemptEnd::Done) {
            attempt.end = AttemptEnd::Task(match self.plan.task {
                Task::Accept(_) => Outcome::Accepted { n },
                _ => Outcome::Refreshed { n },
            });
        }
        attempt
    }

    /// Fills tables. Dying in it leaves whole batches, which `--append` goes on behind.
    async fn seed(&self, session: &mut dyn Session, history: Vec<String>, request: &SeedRequest) -> Attempt {
        let told = Mutex::new(Instant::now());
        let progress = |made: SeedProgress| {
            let mut told = told.lock().expect("nobody panics while holding it");
            if told.elapsed() >= TELL_EVERY {
                *told = Instant::now();
                let migration = made.table.as_str().into();
                self.teller.tell(Notice::Rows { migration, statement: None, rows: made.added });
            }
        };
        let pulse = session.pulse();
        let result = tokio::select! {
            result = seed::seed(session, request, &progress) => result,
            fault = self.abandoned(pulse) => {
                let end = AttemptEnd::Stopped { fault, at: None, residue: PartialState::Unknown };
                return Attempt::without_work(Some(history), end);
            }
            () = self.cancel.cancelled() => {
                let end = AttemptEnd::Cancelled { at: None, residue: PartialState::Nothing };
                return Attempt::without_work(Some(history), end);
            }
        };
        let end = match result {
            Ok(summary) => {
                summary.tables.iter().filter_map(|table| table.note()).for_each(|note| {
                    self.teller.tell(Notice::Note(note));
                });
                AttemptEnd::Task(Outcome::Seeded { n: summary.added() })
            }
            Err(stop) => {
                let text = format!("{stop}; {} rows were added before that and stay", stop.done.added());
                let fault = Fault { message: text, ..stop.fault.clone() };
                AttemptEnd::Stopped { fault, at: None, residue: PartialState::Nothing }
            }
        };
        Attempt::without_work(Some(history), end)
    }

    fn acceptances(&self, wanted: &[String], history: &[String]) -> Vec<Step> {
        let edited = self.plan.catalog.edited(history, self.tenant.engine);
        let step = |name: &String| {
            let index = self.plan.catalog.position(name)?;
            let script = self.plan.scripts.acceptance(index, self.tenant.engine)?;
            Some(Step { index, script: Arc::new(script), limits: self.limits(index) })
        };
        edited.iter().filter(|name| wanted.contains(name)).filter_map(step).collect()
    }

    /// The views that this tenant has. One whose script was not applied here has nothing to refresh yet.
    fn refreshes(&self, history: &[String]) -> Result<Vec<Step>, String> {
        let Task::Refresh(views) = &self.plan.task else { return Ok(Vec::new()) };
        let of_engine: Vec<Step> = views
            .iter()
            .filter_map(|view| {
                let script = view.refresh(self.tenant.engine)?.clone();
                Some(Step { index: view.index, script, limits: self.limits(view.index) })
            })
            .collect();
        if of_engine.is_empty() {
            return Err(format!("there is no such view on {}", self.tenant.engine));
        }
        let there: Vec<Step> =
            of_engine.into_iter().filter(|step| self.plan.catalog.is_applied(step.index, history)).collect();
        if there.is_empty() {
            return Err("none of the views has been made here yet; migrate it first".to_owned());
        }
        Ok(there)
    }
}
