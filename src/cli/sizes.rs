//! `order = "largest"`: puts the tenants of such waves in the order of the sizes of their databases, which are asked for.

use std::sync::Arc;

use super::setup::Program;
use crate::compile::MigrationSet;
use crate::inputs::select::Selection;
use crate::model::tenant::Tenant;
use crate::report::count;
use crate::run;

/// Asks the tenants of waves whose largest databases come first, and puts those first. Tenants without an answer come last, and
/// the run tells why they have none.
pub(super) async fn largest_first(program: &Program, set: &Arc<MigrationSet>, selection: &mut Selection) {
    let (door, pace) = (program.door(set), program.pace());
    for wave in selection.waves.iter_mut().filter(|wave| wave.largest_first && wave.sizes.is_empty()) {
        let look = run::sizes(&wave.tenants, &door, pace);
        let sizes = program.looking("asking for sizes", wave.tenants.len(), look).await;
        let mut all: Vec<(Option<u64>, Arc<Tenant>)> = sizes.into_iter().zip(wave.tenants.drain(..)).collect();
        all.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
        let unknown = all.iter().filter(|(size, _)| size.is_none()).count();
        if unknown > 0 {
            program.terminal.warn(&format!(
                "the size of {} of wave {} is not known; they come last",
                count(unknown, "tenant"),
                wave.name
            ));
        }
        (wave.sizes, wave.tenants) = all.into_iter().unzip();
    }
}
