//! Asks tenants which of their tables have something that keeps statements of an online form from them.
//!
//! It reads only, and judges nothing.

use std::sync::Arc;

use super::observe::{Pace, ask_each};
use crate::engine::Database;
use crate::model::fault::Fault;
use crate::model::tenant::Tenant;

/// These tables of each tenant, each with that in words, in the order given.
pub(crate) async fn observe_online_hindrances(
    tenants: &[Arc<Tenant>],
    database: &Arc<dyn Database>,
    pace: Pace<'_>,
) -> Vec<Result<Vec<(String, String)>, Fault>> {
    ask_each(tenants, database, pace, |_, session| session.online_hindrances()).await
}
