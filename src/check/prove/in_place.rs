//! The versions on a tenant that has the repeatable scripts in place, as every tenant of an earlier release does.
//!
//! The other databases of a proof get the repeatable scripts last, as a new tenant does.

use std::sync::Arc;

use super::drive::{INTERRUPTED, script};
use super::trial::Trial;
use super::{Bench, Fill};
use crate::compile::LazyScripts;
use crate::model::schema::Direction;
use crate::model::shape::Shape;
use crate::model::tenant::Tenant;

/// The result of all ups with the repeatable scripts in place.
#[derive(Default)]
pub(super) struct InPlace {
    /// The version that failed, by its index in the catalog, with the error.
    pub(super) failed: Option<(usize, String)>,
    /// The schema at the end; `None` where there are no repeatable scripts, or something failed.
    pub(super) end: Option<Shape>,
    pub(super) could_not: Option<String>,
}

/// Applies one version after the other as a run does, each on a database that has the repeatable scripts whose text
/// fits.
pub(super) async fn in_place(bench: &Bench, fill: &dyn Fill) -> InPlace {
    let catalog = bench.set.catalog();
    let all = 0..catalog.migrations.len();
    let (repeatable, versions): (Vec<usize>, Vec<usize>) = all.clone().partition(|&i| catalog.is_repeatable(i));
    let mut found = InPlace::default();
    if repeatable.is_empty() {
        return found;
    }
    let lazy = LazyScripts::new(bench.set.clone(), Direction::Up, all, false);
    let scripts = lazy.get(bench.variant).await;
    let InPlace { failed, end, .. } = &mut found;
    let work = async |tenant: Arc<Tenant>| -> Result<(), String> {
        let mut trial = Trial::open(&bench.set, bench.timeouts, &tenant).await?;
        for index in versions {
            let _ = fill.fill(trial.session.as_mut()).await;
            let history = trial.history().await?;
            let around = lazy.around(&tenant, &history, &[index]).await;
            let down = around.taken.iter().map(|taken| (taken.index, taken.down.clone()));
            if let Err(error) = trial.apply(down.chain([script(&scripts, index)])).await {
                *failed = Some((index, error));
                trial.close().await;
                return Ok(());
            }
            let history = trial.history().await?;
            let there = catalog.applied(&history);
            for &index in repeatable.iter().filter(|index| !there.contains(index)) {
                // The text of one may need a later version.
                let _ = trial.apply([script(&scripts, index)]).await;
            }
        }
        let history = trial.history().await?;
        if catalog.missing(&history, tenant.variant()).is_empty() {
            *end = Some(trial.shape().await?);
        }
        trial.close().await;
        Ok(())
    };
    let ended = bench.place.with((bench.stop)(), &*bench.tell, work).await;
    found.could_not = match ended {
        Ok(Some(result)) => result.err(),
        Ok(None) => Some(INTERRUPTED.to_owned()),
        Err(fault) => Some(format!("no scratch database could be made: {fault}")),
    };
    found
}
