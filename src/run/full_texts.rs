//! Asks tenants which of their tables have a full-text index: those are changed in fewer ways while others write.
//!
//! It reads only, and judges nothing.

use std::sync::Arc;

use super::observe::{Pace, ask_each};
use crate::engine::Database;
use crate::model::fault::Fault;
use crate::model::tenant::Tenant;

/// The tables with a full-text index of each tenant, each with the index, in the order given.
pub(crate) async fn observe_full_texts(
    tenants: &[Arc<Tenant>],
    database: &Arc<dyn Database>,
    pace: Pace<'_>,
) -> Vec<Result<Vec<(String, String)>, Fault>> {
    ask_each(tenants, database, pace, |_, session| session.full_text_indexes()).await
}
