//! The outcome of a run for one tenant. Every selected tenant has exactly one outcome.
//!
//! Plain data: the only decision here is what an outcome counts as.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::Unfinished;
use crate::model::tenant::{Engine, TenantId};
use crate::model::timings::Timings;

/// The outcome of a run for one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, strum::EnumDiscriminants)]
#[strum_discriminants(name(OutcomeKind), vis(pub(crate)), doc = "An outcome without its particulars.")]
#[strum_discriminants(
    derive(strum::EnumCount, strum::EnumIter, strum::IntoStaticStr),
    strum(serialize_all = "snake_case")
)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// The tenant was at its target already.
    UpToDate,
    /// Migrations were applied, and all of them were committed.
    Migrated(Moved),
    /// Migrations were rolled back, and all of it was committed.
    RolledBack(Moved),
    /// Views were refreshed, and all of it was committed.
    Refreshed {
        /// Their number.
        n: u64,
    },
    /// The present checksums of SQL scripts were recorded as applied.
    Accepted {
        /// Number of scripts.
        n: u64,
    },
    /// A version was recorded, and nothing of its migrations was run.
    Stamped(Moved),
    /// Rows were generated.
    Seeded {
        /// Their number.
        n: u64,
    },
    /// The tenant was backed up, and nothing in it changed.
    BackedUp {
        /// The size of the backup file in bytes; 0 where the operator's own command made it.
        bytes: u64,
    },
    /// The tenant was restored from a backup.
    Restored {
        /// The size of that backup in bytes.
        bytes: u64,
    },
    /// An operator's SQL was sent and committed.
    Committed {
        /// The rows that its statements changed, as the engine counts them.
        n: u64,
    },
    /// A fault that a retry would not help, or that outlasted the attempts.
    Failed { class: FaultClass },
    /// A lock was not granted in any attempt.
    LockTimeout {
        /// The holder, where known; of several, the session with the oldest transaction.
        blocker: Option<Box<Blocker>>,
        /// The other holders, and the sessions that waited behind ours for the same lock.
        #[serde(flatten, default)]
        queue: LockQueue,
    },
    /// A migration was begun and not finished, and the engine could not roll it back. Nothing was touched by this run,
    /// or the connection was lost at the worst moment.
    InDoubt(InDoubt),
    /// Its history has migrations unknown to this binary. Nothing was touched.
    Ahead {
        /// The unknown versions.
        unknown: Vec<String>,
    },
    /// It could not be reached in the last attempt. Changes committed by earlier attempts are in the record; without
    /// any, nothing was touched.
    Unreachable {
        /// The reason.
        class: FaultClass,
    },
    /// The run was cancelled while it was in flight.
    Interrupted,
    /// Selected, but the run had a reason to leave it alone.
    Skipped {
        /// The reason.
        reason: String,
    },
    /// The run ended before its turn came.
    NotStarted {
        /// The reason.
        reason: NotStarted,
        /// The tenant that it depends on, where that is the reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        waited_for: Option<TenantId>,
    },
}

/// The reason to skip a tenant that a migration has to come to first.
pub(crate) const MIGRATE_FIRST: &str = "none of the views has been made here yet; migrate it first";

/// The versions before and after, and the number of migrations between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moved {
    /// The version before; `None`: nothing had been applied.
    pub(crate) from: Option<String>,
    /// The version now; `None`: nothing is applied any more.
    pub(crate) to: Option<String>,
    /// Number of migrations applied or rolled back.
    pub(crate) n: usize,
}

/// The information about a tenant in doubt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "snake_case")]
pub(crate) enum InDoubt {
    /// The journal shows a migration that was begun and not finished.
    Journal(Unfinished),
    /// The connection was lost while a commit or a non-transactional statement was under way, and the tenant could not
    /// be read again to find out, or was held from then on, perhaps by the session that was lost.
    Unanswered,
}

/// The reason why a tenant was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NotStarted {
    /// The operator interrupted the run.
    Interrupted,
    /// The failure budget of a wave was used up.
    FailureBudget,
    /// The failure budget of the whole run was used up.
    RunFailureBudget,
    /// The gate of an earlier wave did not hold.
    GateFailed,
    /// The run paused at the gate of an earlier wave, for a person, or because a person had it pause.
    Paused,
    /// The ledger could no longer be written.
    Ledger,
    /// A tenant that it depends on, or on a rollback one that depends on it, did not end well.
    Dependency,
    /// A hook before the run or its wave failed.
    Hook,
    /// The run's deadline had passed.
    Deadline,
    /// The maintenance window of its wave was closed.
    Window,
    /// A server stayed beyond a limit on its load for too long.
    Overloaded,
}

impl NotStarted {
    /// Whether a run has been stopped for this reason only if there was a tenant left to start.
    pub(crate) fn needs_a_tenant(self) -> bool {
        matches!(
            self,
            NotStarted::FailureBudget
                | NotStarted::RunFailureBudget
                | NotStarted::Paused
                | NotStarted::Deadline
                | NotStarted::Window
                | NotStarted::Overloaded
        )
    }

    /// Whether the run paused, and is to be gone on with.
    pub(crate) fn is_pause(self) -> bool {
        matches!(self, NotStarted::Paused | NotStarted::Overloaded)
    }

    /// Whether failures, or a gate that failed, stopped the run.
    pub(crate) fn is_failure(self) -> bool {
        self.is_budget() || self == NotStarted::GateFailed
    }

    /// Whether failures stopped the run.
    pub(crate) fn is_budget(self) -> bool {
        matches!(self, NotStarted::FailureBudget | NotStarted::RunFailureBudget)
    }

    /// The outcome of a tenant that was not started for this reason.
    pub(crate) fn outcome(self) -> Outcome {
        Outcome::NotStarted { reason: self, waited_for: None }
    }
}

/// Other sessions at a lock that was not granted; at most ten of each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockQueue {
    /// Other holders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) others: Vec<Blocker>,
    /// Sessions queued behind ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) waiting: Vec<Blocker>,
}

/// A session, or a process, that holds a lock or waits for one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Blocker {
    /// The server's process or connection id.
    pub(crate) id: i64,
    /// The database user.
    pub(crate) user: Option<String>,
    /// Its application name.
    pub(crate) application: Option<String>,
    /// The client's host, as the server sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<String>,
    /// The database that it is connected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) database: Option<String>,
    /// How long its transaction has been open, in seconds.
    pub(crate) transaction_seconds: Option<u64>,
    /// Its current or last query; at most 200 characters.
    pub(crate) query: Option<String>,
    /// The lock that it holds and its mode, where the engine reports them: `orders (MDL_SHARED_READ)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lock: Option<String>,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.id)?;
        for (what, text) in [("user", &self.user), ("application", &self.application), ("from", &self.address)] {
            if let Some(text) = text {
                write!(f, ", {what} {text}")?;
            }
        }
        if let Some(lock) = &self.lock {
            write!(f, ", holds {lock}")?;
        }
        if let Some(seconds) = self.transaction_seconds {
            write!(f, ", transaction open for {}", humantime::format_duration(Duration::from_secs(seconds)))?;
        }
        self.query.as_ref().map_or(Ok(()), |query| write!(f, ": {query}"))
    }
}

/// The place where a tenant's script stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoppedAt {
    pub(crate) migration: String,
    /// The statement in it, counted from 1, where it is known.
    pub(crate) statement: Option<usize>,
    /// That statement's SQL, where it is known; at most 500 characters.
    pub(crate) sql: Option<String>,
    /// Its file and line, for an SQL script: `sql/0003_views.up.sql:12`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// The number of its statements that have stayed in the tenant, where it is known; 0: it was rolled back whole, or nothing
    /// of it had happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stayed: Option<usize>,
    /// State of its session that the statements from that one on may read and that is gone, so that no run goes on there by itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) lost: String,
    /// The steps before it that shared its transaction and were rolled back with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) with: Vec<String>,
}

/// Everything recorded about one tenant's part in a run: its row in the report and in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TenantRecord {
    /// Its place in the plan, from 0. The plan order is the report order.
    pub(crate) index: usize,
    pub(crate) tenant: TenantId,
    pub(crate) engine: Engine,
    /// Its server key.
    pub(crate) server: String,
    /// The wave it belonged to.
    pub(crate) wave: String,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    /// The tenant's version as last read or committed; `None` when nothing is applied or when it is not known.
    pub(crate) version: Option<String>,
    /// Whether `version` was read or committed. The version of a tenant that could not be read, or was lost, is
    /// unknown.
    #[serde(default)]
    pub(crate) version_known: bool,
    /// Migrations that this run committed on the tenant, in order, also when a later one failed.
    pub(crate) committed: Vec<String>,
    /// Number of attempts; 0 when it was not started.
    pub(crate) attempts: u32,
    /// From the start of the first attempt to the end of the last, pauses included; in JSON in milliseconds.
    #[serde(rename = "duration_ms", with = "millis")]
    pub(crate) duration: Duration,
    /// The migrations' notes on this tenant's data, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
    /// Whether the backup of this run was restored after the failure: none of the run's changes remain.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) brought_back: bool,
    /// The place where it stopped, when it did not end well.
    pub(crate) stopped_at: Option<Box<StoppedAt>>,
    /// The fault, if any.
    pub(crate) error: Option<Fault>,
    /// The division of its time, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timings: Option<Timings>,
    /// The runner that had it, in a run that several share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) runner: Option<String>,
}

impl StoppedAt {
    /// Migration, statement and, for an SQL script, file and line, as reports print them.
    pub(crate) fn place(&self) -> String {
        let statement = self.statement.map(|n| format!(", statement {n}")).unwrap_or_default();
        let file = self.file.as_ref().map(|file| format!(" ({file})")).unwrap_or_default();
        format!("{}{statement}{file}", self.migration)
    }
}

impl TenantRecord {
    /// Whether it tells the version at which the run left the tenant. That nothing was applied is told by a run that made
    /// it so: one that only found it so may have looked at another database.
    pub(crate) fn tells_version(&self) -> bool {
        use Outcome::{Restored, RolledBack, Stamped};
        let is_made =
            !self.committed.is_empty() || matches!(self.outcome, Restored { .. } | RolledBack(_) | Stamped(_));
        self.version_known && (self.version.is_some() || is_made)
    }
}

impl Outcome {
    /// The outcome without its particulars.
    pub(crate) fn kind(&self) -> OutcomeKind {
        self.into()
    }

    /// The snake_case name, as in JSON and in the ledger.
    pub(crate) fn name(&self) -> &'static str {
        self.kind().into()
    }

    /// The standing of the outcome.
    pub(crate) fn standing(&self) -> Standing {
        self.kind().standing()
    }
}

impl OutcomeKind {
    /// The standing of outcomes of this kind.
    pub(crate) fn standing(self) -> Standing {
        use OutcomeKind::*;
        match self {
            UpToDate | Migrated | RolledBack | Refreshed | Accepted | Stamped | Seeded | BackedUp | Restored
            | Committed => Standing::AtTarget,
            Failed | LockTimeout | InDoubt | Ahead | Unreachable => Standing::Failed,
            Interrupted | Skipped | NotStarted => Standing::Outstanding,
        }
    }
}

/// The standing of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// The tenant is at the target of the run.
    AtTarget,
    /// It is not, and needs attention.
    Failed,
    /// It is not, because the run did not get that far.
    Outstanding,
}

/// Durations as whole milliseconds in JSON.
pub(super) mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::model) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(in crate::model) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_json() {
        let record = TenantRecord {
            index: 3,
            tenant: TenantId::from("acme"),
            engine: Engine::Mysql,
            server: "db7".into(),
            wave: "canary".into(),
            outcome: Outcome::InDoubt(InDoubt::Journal(Unfinished {
                migration: "m1".into(),
                direction: crate::model::schema::Direction::Up,
                statement: Some(4),
                run: "r".into(),
                stopped: false,
                sha256: String::new(),
                is_gone: false,
                lost: String::new(),
                vouched: false,
            })),
            version: None,
            version_known: false,
            committed: vec![],
            attempts: 1,
            duration: Duration::from_millis(1234),
            notes: vec![],
            brought_back: false,
            stopped_at: None,
            error: Some(Fault::with_code(FaultClass::ConnectionLost, "2013", "lost connection")),
            timings: None,
            runner: None,
        };
        let json = serde_json::to_string(&record).unwrap();
        assert!(json.contains(r#""outcome":"in_doubt""#) && json.contains(r#""duration_ms":1234"#), "{json}");
        assert_eq!(serde_json::from_str::<TenantRecord>(&json).unwrap(), record);
    }
}
