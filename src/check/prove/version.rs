//! The schema that a version has: its migrations on a scratch database.

use std::sync::Arc;

use super::Bench;
use super::drive::{INTERRUPTED, script};
use super::trial::Trial;
use crate::compile::LazyScripts;
use crate::model::health::Questions;
use crate::model::schema::{Direction, VersionSchema};
use crate::model::tenant::Tenant;

/// Applies all versions up to the one at this place, none without a place, then the repeatable scripts whose text fits, and reads the schema
/// before and behind those.
///
/// # Errors
/// The reason that the version can't be made on a scratch database.
pub(crate) async fn version_schema(bench: &Bench, to: Option<usize>) -> Result<VersionSchema, String> {
    let (catalog, engine) = (bench.set.catalog(), bench.place.engine());
    let all = 0..catalog.migrations.len();
    let (repeatable, versions): (Vec<usize>, Vec<usize>) = all.clone().partition(|&i| catalog.is_repeatable(i));
    let scripts = LazyScripts::new(bench.set.clone(), Direction::Up, all, false).get(engine).await;
    let work = async |tenant: Arc<Tenant>| -> Result<VersionSchema, String> {
        let mut trial = Trial::open(&bench.set, bench.timeouts, &tenant).await?;
        trial
            .apply(versions.into_iter().filter(|i| to.is_some_and(|to| *i <= to)).map(|i| script(&scripts, i)))
            .await?;
        let bare = trial.shape().await?;
        // A file says nothing of itself before it is there.
        let product = match to {
            Some(_) => trial.session.health(&Questions::default()).await.map_err(|fault| fault.to_string())?.version,
            None => String::new(),
        };
        for index in &repeatable {
            // The text of one may need a later version.
            let _ = trial.apply([script(&scripts, *index)]).await;
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
