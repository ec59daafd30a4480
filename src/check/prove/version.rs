//! The schema that a version has: its migrations on a scratch database.

use std::sync::Arc;

use super::Bench;
use super::drive::{INTERRUPTED, script};
use super::trial::Trial;
use crate::compile::LazyScripts;
use crate::model::health::Questions;
use crate::model::schema::{AppliedSet, Direction, VersionSchema};
use crate::model::tenant::Tenant;

/// Applies the migrations of a set, then the other repeatable scripts whose text fits, and reads the schema before and
/// behind those.
///
/// # Errors
/// The reason that the schema can't be made on a scratch database.
pub(crate) async fn version_schema(bench: &Bench, applied: &AppliedSet) -> Result<VersionSchema, String> {
    let catalog = bench.set.catalog();
    let all = 0..catalog.migrations.len();
    let others = all.clone().filter(|&i| catalog.is_repeatable(i) && !applied.repeatable.contains(&i));
    let scripts = LazyScripts::new(bench.set.clone(), Direction::Up, all.clone(), false).get(bench.variant).await;
    let work = async |tenant: Arc<Tenant>| -> Result<VersionSchema, String> {
        let mut trial = Trial::open(&bench.set, bench.timeouts, &tenant).await?;
        let wanted = applied.versions.iter().chain(&applied.repeatable);
        trial.apply(wanted.map(|&i| script(&scripts, i))).await?;
        let bare = trial.shape().await?;
        // A file says nothing of itself before it is there.
        let product = match applied.versions.is_empty() {
            false => trial.session.health(&Questions::default()).await.map_err(|fault| fault.to_string())?.version,
            true => String::new(),
        };
        for index in others {
            // The text of one may need a later version.
            let _ = trial.apply([script(&scripts, index)]).await;
        }
        let full = trial.shape().await?;
        trial.close().await;
        Ok(VersionSchema { product, bare, full })
    };
    match bench.place.with((bench.stop)(), &*bench.tell, work).await {
        Ok(made) => made.unwrap_or_else(|| Err(INTERRUPTED.to_owned())),
        Err(fault) => Err(format!("no scratch database could be made: {fault}")),
    }
}
