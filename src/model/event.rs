//! The events of a run in progress. Events own their data, so that they can be kept and sent as they are.
//!
//! Plain data: only the dispatcher creates them; the ledger and the report only read them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::fault::Fault;
use crate::model::gate::GateRecord;
use crate::model::hook::HookPoint;
use crate::model::load::{Excess, Overload, ServerLoad};
use crate::model::outcome::{NotStarted, TenantRecord};
use crate::model::pause::Pause;
use crate::model::plan::Target;
use crate::model::run_kind::RunKind;
use crate::model::schema::Direction;
use crate::model::started_by::StartedBy;
use crate::model::stats::RunStats;
use crate::model::tenant::{Engine, TenantId};

/// An event of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(tag = "event", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Event {
    /// The run begins. It is in the ledger before any tenant is touched.
    RunStarted(RunHeader),
    /// A wave begins.
    WaveStarted {
        /// Its name.
        wave: String,
        /// Number of tenants in it.
        tenants: usize,
        /// Its failure budget: a count, a percentage or `unlimited`; a run of an older program has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_failures: Option<String>,
        /// The failure budget of the whole run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run_max_failures: Option<String>,
    },
    /// An attempt on a tenant begins.
    AttemptStarted {
        /// The tenant's place in the plan.
        index: usize,
        tenant: TenantId,
        /// 1 for the first.
        attempt: u32,
    },
    /// An attempt failed, left nothing behind, and will be retried.
    AttemptFailed {
        /// The tenant's place in the plan.
        index: usize,
        tenant: TenantId,
        /// The number of the attempt.
        attempt: u32,
        /// The fault.
        error: Fault,
        /// Delay before the next attempt, in milliseconds.
        retry_in_ms: u64,
    },
    /// Progress of a statement that is repeated in batches; sent now and then, not for every batch.
    Progress {
        /// The tenant's place in the plan.
        index: usize,
        tenant: TenantId,
        /// The migration, or the table that is filled.
        migration: String,
        /// The statement in it, counted from 1; `None` where a table is filled.
        statement: Option<usize>,
        /// Rows so far in this attempt.
        rows: u64,
    },
    /// A tenant has its outcome. The changes it reports were committed before the event.
    TenantFinished(TenantRecord),
    /// A wave is over.
    WaveFinished {
        /// Its name.
        wave: String,
        /// The counts of the whole run so far.
        stats: RunStats,
    },
    /// The gate behind a wave is asked.
    GateStarted {
        /// The wave.
        wave: String,
        /// How long it has to hold, in milliseconds.
        soak_ms: u64,
        /// Its checks, in words.
        checks: Vec<String>,
    },
    /// A gate came to its end.
    GateFinished(GateRecord),
    /// Failures stopped the run at a wave whose gate says that it is taken back then: by a run of its own, behind this one.
    RollbackDue {
        /// The wave.
        wave: String,
        /// The gate's own failure, or the failure budget that was used up before it.
        reason: NotStarted,
    },
    /// A wave failed, or paused behind its gate: nothing new of it is started from here on, nor of waves that wait for it, while
    /// others go on.
    WaveClosed {
        /// The wave.
        wave: String,
        /// The reason.
        reason: NotStarted,
        /// Tenants still in flight.
        in_flight: usize,
    },
    /// Tenants that a run would have taken, and that are in quarantine.
    LeftOut {
        /// Each with the reason.
        tenants: BTreeMap<TenantId, String>,
    },
    /// Kinds of tenants that a stratified wave has none of, and neither has one before it.
    Uncovered {
        /// Its name.
        wave: String,
        /// Each kind in words, with its tenants counted.
        kinds: Vec<String>,
    },
    /// Tenants came into the fleet while the run went on, and it would have taken them.
    LateJoiners {
        tenants: Vec<TenantId>,
        /// Whether a run of their own behind this one takes them.
        are_taken: bool,
    },
    /// A person had the run pause: nothing new is started, and what is in flight comes to its end.
    PauseRequested(Pause),
    /// From here on nothing new is started.
    Draining {
        /// The reason.
        reason: NotStarted,
        /// Tenants still in flight.
        in_flight: usize,
    },
    /// A hook has ended. Of those around tenants only the failed ones behind them are told: a failure before one is its
    /// outcome.
    HookFinished {
        hook: HookPoint,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wave: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant: Option<TenantId>,
        /// In milliseconds.
        took_ms: u64,
        /// The reason why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// The maintenance window of a wave, or of a server, is closed: its tenants wait for it.
    OutsideWindow {
        /// The wave's name.
        wave: String,
        /// The server, if it is its window.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        server: Option<String>,
        /// The window.
        window: String,
        /// The time at which it opens, in milliseconds since 1970-01-01 UTC.
        opens_at_ms: i64,
    },
    /// A reading of a server on which the run works. Those at which something turns are kept; of the others the last is.
    ServerLoad {
        /// Its server key.
        server: String,
        #[serde(flatten)]
        load: ServerLoad,
        /// Its numbers beyond their limits: nothing new is started on it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        over: Vec<Excess>,
        /// Limits that are not kept, because their numbers are not known.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unkept: Vec<Excess>,
        /// Whether it went beyond a limit with this reading, came back within all of them, or has other limits that are not kept.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        turns: bool,
    },
    /// A server stayed beyond a limit for longer than the run waits for it: nothing new is started.
    Overloaded(Overload),
    /// The work in flight is being cancelled on the servers.
    Cancelling {
        /// Tenants in flight.
        in_flight: usize,
    },
    /// The run is over; every selected tenant had its outcome before this.
    RunFinished {
        /// The final counts.
        stats: RunStats,
    },
}

/// The description of a run, known when it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunHeader {
    /// A UUIDv7: ids sort by time.
    pub(crate) run: Uuid,
    /// Up or down.
    pub(crate) direction: Direction,
    /// The goal in words, as the report prints it: `head`, `to m2_x`, `2 steps`; for a task, the command that repeats
    /// it.
    pub(crate) goal: String,
    /// The work, as data.
    #[serde(rename = "goal_data")]
    pub(crate) kind: RunKind,
    /// The run that this run resumes.
    pub(crate) resumes: Option<Uuid>,
    /// The catalog's migrations, in order.
    pub(crate) catalog: Vec<String>,
    /// By the place in the catalog the beginning of a checksum of a script's texts; empty for a Rust migration. Empty as a whole: the
    /// run brings no script.
    #[serde(skip)]
    pub(crate) texts: Vec<String>,
    /// Every selected tenant in plan order.
    pub(crate) tenants: Vec<PlannedTenant>,
    /// Its start, in milliseconds since 1970-01-01 UTC.
    pub(crate) started_at_ms: i64,
    /// The version of the program.
    pub(crate) program: String,
    /// User, host, process and command line.
    #[serde(default)]
    pub(crate) started_by: StartedBy,
    /// The flags that selected the tenants, as they were given.
    #[serde(default)]
    pub(crate) selection: Vec<String>,
}

impl RunHeader {
    /// The command that repeats a task, such as `refresh --group hourly`; `None` for a migration, which is resumed.
    pub(crate) fn command(&self) -> Option<&str> {
        self.kind.is_task().then_some(&*self.goal)
    }

    /// All of it but its tenants, which may be many.
    pub(crate) fn without_tenants(&self) -> Self {
        RunHeader {
            run: self.run,
            direction: self.direction,
            goal: self.goal.clone(),
            kind: self.kind.clone(),
            resumes: self.resumes,
            catalog: self.catalog.clone(),
            texts: self.texts.clone(),
            tenants: Vec::new(),
            started_at_ms: self.started_at_ms,
            program: self.program.clone(),
            started_by: self.started_by.clone(),
            selection: self.selection.clone(),
        }
    }
}

/// A tenant in the plan, as events and the ledger keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedTenant {
    pub(crate) tenant: TenantId,
    pub(crate) engine: Engine,
    /// Its server key.
    pub(crate) server: String,
    /// Its wave.
    pub(crate) wave: String,
    /// For a goal of a number of steps: the target this means for the tenant, counted from its version when the run was
    /// planned. It keeps a resumed run from taking the steps twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<Target>,
    /// The place of its database, without user and password, for the ledger alone: where an id is given to another database,
    /// what a run did on the former is not taken back on it. `None`: recorded before it was kept.
    #[serde(skip)]
    pub(crate) database: Option<String>,
}
