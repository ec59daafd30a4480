//! Hooks: an operator's own programs and addresses that are called around a run, a wave and a tenant.
//!
//! Data, and the trait by which a run calls them. It holds no secret: what a hook is told may be logged where it goes.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::outcome::TenantRecord;
use crate::model::schema::Direction;
use crate::model::stats::RunStats;
use crate::model::tenant::{Engine, TenantId};

/// The place of a hook in a run.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(crate) enum HookPoint {
    /// Before any tenant is touched. If it fails, none is.
    BeforeRun,
    AfterRun,
    /// Before the first tenant of a wave. If it fails, the rollout stops.
    BeforeWave,
    AfterWave,
    /// Before the first attempt on a tenant. If it fails, the tenant fails, and is not touched.
    BeforeTenant,
    AfterTenant,
}

impl HookPoint {
    /// Whether its failure stops what it precedes.
    pub(crate) fn is_before(self) -> bool {
        matches!(self, HookPoint::BeforeRun | HookPoint::BeforeWave | HookPoint::BeforeTenant)
    }
}

/// The subject of a call, as a hook is told it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HookCall {
    pub(crate) hook: HookPoint,
    pub(crate) run: Uuid,
    pub(crate) direction: Direction,
    /// The goal in words, or the command of a task.
    pub(crate) goal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wave: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<HookTenant>,
    /// After a run or a wave: the counts of the run so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stats: Option<RunStats>,
}

/// The tenant of a call.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HookTenant {
    pub(crate) tenant: TenantId,
    pub(crate) engine: Engine,
    /// Its server key.
    pub(crate) server: String,
    /// After it: its outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<&'static str>,
    /// After it: its version, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
}

impl HookTenant {
    /// A tenant that has its outcome.
    pub(crate) fn after(record: &TenantRecord) -> Self {
        HookTenant {
            tenant: record.tenant.clone(),
            engine: record.engine,
            server: record.server.clone(),
            outcome: Some(record.outcome.name()),
            version: record.version.clone(),
        }
    }
}

/// The hooks of an operator.
#[async_trait]
pub(crate) trait Hooks: Send + Sync {
    /// Whether there is one at this place.
    fn has(&self, point: HookPoint) -> bool;

    /// Calls the hook of this place and waits for its end, no longer than its time limit.
    ///
    /// # Errors
    /// The reason why it failed, in words and without a secret.
    async fn call(&self, call: &HookCall) -> Result<(), String>;
}
