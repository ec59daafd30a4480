//! A scratch database at the newest version, to be copied: nothing is proven on it.

use std::sync::Arc;

use super::drive::script;
use super::trial::Trial;
use crate::compile::{LazyScripts, MigrationSet};
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::Direction;
use crate::model::tenant::Tenant;
use crate::policy::Timeouts;

/// Applies all migrations, as a run does. Dying in it: the scratch database stays, and is swept later.
///
/// # Errors
/// A [`Fault`] that says where it stopped.
pub(crate) async fn newest(set: &Arc<MigrationSet>, timeouts: Timeouts, scratch: &Arc<Tenant>) -> Result<(), Fault> {
    let failed = |text: String| Fault::new(FaultClass::Migration, text);
    let all = 0..set.catalog().migrations.len();
    let mut trial = Trial::open(set, timeouts, scratch).await.map_err(failed)?;
    let scripts = LazyScripts::new(set.clone(), Direction::Up, all.clone(), false).get(scratch.variant()).await;
    let applied = trial.apply(all.map(|index| script(&scripts, index))).await;
    trial.close().await;
    applied.map_err(failed)
}
