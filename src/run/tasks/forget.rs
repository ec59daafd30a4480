//! Removes repeatable scripts that are gone from the tables of applied scripts.

use std::sync::Arc;

use crate::engine::{Session, Step};
use crate::model::outcome::Outcome;
use crate::policy::Limits;
use crate::run::unit::{Assignment, Attempt};

impl Assignment {
    /// Forgets those of the named scripts that are applied here and that the catalog has no more. What they made stays.
    pub(super) async fn forget(&self, session: &mut dyn Session, history: Vec<String>, scripts: &[String]) -> Attempt {
        let (catalog, engine) = (&self.plan.catalog, self.tenant.engine);
        let gone = catalog.gone(&history);
        let step = |name: &String| {
            let script = Arc::new(self.plan.scripts.migrations().forgetting(name, engine));
            Step::new(catalog.migrations.len(), script, Limits::default())
        };
        let steps = scripts.iter().filter(|name| gone.contains(&name.as_str())).map(step).collect();
        self.apply_steps(session, history, steps, |n| Outcome::Accepted { n }).await
    }
}
