//! Records the current checksums of edited SQL scripts as the applied ones.

use std::sync::Arc;

use crate::engine::{Session, Step};
use crate::model::outcome::Outcome;
use crate::run::unit::{Assignment, Attempt};

impl Assignment {
    /// Repairs the named scripts whose checksum differs on this tenant.
    pub(super) async fn repair(&self, session: &mut dyn Session, history: Vec<String>, scripts: &[String]) -> Attempt {
        let edited = self.plan.catalog.edited(&history, self.tenant.variant());
        let step = |name: &String| {
            let index = self.plan.catalog.position(name)?;
            let script = self.plan.scripts.migrations().acceptance(index, self.tenant.variant())?;
            Some(Step::new(index, Arc::new(script), self.limits(index)))
        };
        let steps = edited.iter().filter(|name| scripts.contains(name)).filter_map(step).collect();
        self.apply_steps(session, history, steps, |n| Outcome::Accepted { n }).await
    }
}
