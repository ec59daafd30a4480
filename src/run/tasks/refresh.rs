//! Refreshes views.

use crate::engine::{Session, Step};
use crate::model::outcome::{MIGRATE_FIRST, Outcome};
use crate::run::unit::{Assignment, Attempt, AttemptEnd};

impl Assignment {
    /// Refreshes the named views that this tenant has.
    pub(super) async fn refresh(&self, session: &mut dyn Session, history: Vec<String>, views: &[String]) -> Attempt {
        match self.refreshes(views, &history) {
            Ok(steps) => self.apply_steps(session, history, steps, |n| Outcome::Refreshed { n }).await,
            Err(reason) => Attempt::without_work(Some(history), AttemptEnd::Task(Outcome::Skipped { reason })),
        }
    }

    /// One step per view. A view whose script was not applied here has nothing to refresh yet.
    fn refreshes(&self, wanted: &[String], history: &[String]) -> Result<Vec<Step>, String> {
        let views = self.plan.scripts.migrations().views().iter().filter(|view| wanted.contains(&view.name));
        let of_engine: Vec<Step> = views
            .filter_map(|view| {
                let script = view.refresh(self.tenant.variant())?.clone();
                Some(Step::new(view.index, script, self.limits(view.index)))
            })
            .collect();
        if of_engine.is_empty() {
            return Err(format!("there is no such view on {}", self.tenant.engine));
        }
        let applied = self.plan.catalog.applied(history);
        let there: Vec<Step> = of_engine.into_iter().filter(|step| applied.contains(&step.index)).collect();
        if there.is_empty() {
            return Err(MIGRATE_FIRST.to_owned());
        }
        Ok(there)
    }
}
