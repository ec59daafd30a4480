//! A run as recorded in the ledger: its header, its counts and its attempts.
//!
//! Plain data: the ledger reads it, and the report shows it.

use std::time::Duration;

use uuid::Uuid;

use super::fault::{Fault, FaultClass};
use super::outcome::{NotStarted, OutcomeKind};
use super::program;
use super::run_kind::RunKind;
use super::schema::Direction;
use super::started_by::{Liveness, StartedBy};
use super::stats::{RunStats, Verdict};
use super::tenant::TenantId;
use super::typed::tenant_flag;

/// The migrations that a run applied to a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commits {
    pub(crate) run: Uuid,
    pub(crate) by: StartedBy,
    pub(crate) migrations: Vec<String>,
}

/// The version at which the last run that knew it left a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftAt {
    pub(crate) run: Uuid,
    pub(crate) version: String,
    /// The place of its database then; `None`: not recorded.
    pub(crate) database: Option<String>,
}

impl LeftAt {
    /// The fault of a tenant that was left at a version, and on which nothing is applied any more.
    pub(crate) fn lost(&self, tenant: &TenantId) -> Fault {
        let text = format!(
            "nothing is applied here, and run {} left it at {}: its database is gone, or is another one. Bring it back (a \
             volume that is not mounted, a wrong url, a backup), or have it made anew, without its rows: {} migrate \
             --recreate {}",
            self.run,
            self.version,
            program::name(),
            tenant_flag(tenant)
        );
        Fault::new(FaultClass::DatabaseLost, text)
    }
}

/// A run as recorded in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunSummary {
    pub(crate) run: Uuid,
    /// Up or down.
    pub(crate) direction: Direction,
    /// The goal in words.
    pub(crate) goal: String,
    /// The work, as data.
    pub(crate) kind: RunKind,
    /// The run that this run resumes.
    pub(crate) resumes: Option<Uuid>,
    /// The version of the program.
    pub(crate) program: String,
    /// Its start, in milliseconds since 1970-01-01 UTC.
    pub(crate) started_at_ms: i64,
    /// Its end, in milliseconds since 1970-01-01 UTC.
    pub(crate) finished_at_ms: Option<i64>,
    /// The final counts; `None` while it goes on, or when its process died.
    pub(crate) stats: Option<RunStats>,
    /// Selected tenants.
    pub(crate) selected: usize,
    /// The final counts, or while there are none those of the outcomes that are recorded.
    pub(crate) counts: RunStats,
    /// Whether it paused, and another run has gone on with it since.
    pub(crate) gone_on: bool,
    /// Whether a later run took back what it, or its rollout, had moved; asked of runs that paused.
    pub(crate) taken_back: bool,
    /// User, host, process and command line; empty for a run of an older program.
    pub(crate) started_by: StartedBy,
    /// The flags that selected the tenants.
    pub(crate) selection: Vec<String>,
    /// Whether it goes on, where its end is not recorded.
    pub(crate) liveness: Liveness,
    /// The age of its last heartbeat, in milliseconds by the ledger's clock.
    pub(crate) silent_ms: Option<i64>,
}

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum RunStatus {
    /// Its end is recorded.
    Finished,
    /// The run goes on.
    Running,
    /// Its process died, or its ledger was lost, before the run ended.
    #[strum(serialize = "died")]
    Dead,
    /// Its end is not recorded, and it was started by a version without heartbeats.
    Unfinished,
}

/// The result of a run in one word, as `runs list --status` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumIter, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum RunResult {
    /// It brought all its tenants to its goal.
    Ok,
    /// It came to its end, and tenants failed.
    Failed,
    /// It paused: at a gate, because a person had it pause, or because a server stayed beyond a limit on its load.
    Paused,
    /// It was stopped: by a failure budget, a gate, a hook, its deadline, a window, a signal, a lost ledger; or it paused, and
    /// another run has gone on with it.
    Stopped,
    /// It came to its end and no tenant failed, but it left some behind: by `--limit`, say.
    Outstanding,
    /// It goes on.
    Alive,
    /// Its end is not recorded.
    Dead,
}

/// The runs to list. By default all.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunFilter {
    /// Only runs that took this tenant.
    pub(crate) tenant: Option<TenantId>,
    /// Only runs that were started then or later, in milliseconds since 1970-01-01 UTC.
    pub(crate) since_ms: Option<i64>,
    /// Only runs with one of these results; empty: with any.
    pub(crate) results: Vec<RunResult>,
    /// Only runs that refresh views, or only others.
    pub(crate) refreshes: Option<bool>,
}

impl RunSummary {
    pub(crate) fn result(&self) -> RunResult {
        match self.status() {
            RunStatus::Running => return RunResult::Alive,
            RunStatus::Dead | RunStatus::Unfinished => return RunResult::Dead,
            RunStatus::Finished => {}
        }
        match (self.counts.verdict(), self.counts.stopped) {
            _ if self.waits() => RunResult::Paused,
            (Verdict::AllAtTarget | Verdict::NothingSelected, _) => RunResult::Ok,
            (Verdict::Failures, stopped) if !stopped.is_some_and(NotStarted::is_pause) => RunResult::Failed,
            (Verdict::Outstanding, None) => RunResult::Outstanding,
            _ => RunResult::Stopped,
        }
    }

    /// Whether it paused, and nobody has gone on with it, or has taken it back.
    pub(crate) fn waits(&self) -> bool {
        self.counts.stopped.is_some_and(NotStarted::is_pause)
            && self.finished_at_ms.is_some()
            && !self.gone_on
            && !self.taken_back
    }

    /// The time for a tenant that it changed, all its tenants at once: a measure for the next run of the same kind. `None`:
    /// its end is not recorded, or it changed none.
    pub(crate) fn pace(&self) -> Option<Duration> {
        let changed = self.counts.at_target() - self.counts.outcomes[OutcomeKind::UpToDate];
        let changed = u32::try_from(changed).ok().filter(|changed| *changed > 0)?;
        Some(self.elapsed()? / changed)
    }

    /// Selected tenants without an outcome at their target, failures aside.
    pub(crate) fn outstanding(&self) -> usize {
        self.counts.outstanding() + self.selected.saturating_sub(self.counts.finished())
    }

    pub(crate) fn status(&self) -> RunStatus {
        match self.liveness {
            _ if self.finished_at_ms.is_some() => RunStatus::Finished,
            Liveness::Running => RunStatus::Running,
            Liveness::Dead => RunStatus::Dead,
            Liveness::Unknown => RunStatus::Unfinished,
        }
    }

    /// The time from start to end; `None` when the end is not recorded, or the clock went backwards.
    pub(crate) fn elapsed(&self) -> Option<Duration> {
        let ms = self.finished_at_ms?.checked_sub(self.started_at_ms)?;
        u64::try_from(ms).ok().map(Duration::from_millis)
    }
}

/// One recorded attempt. A single successful attempt has no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AttemptRow {
    /// The tenant's place in the plan.
    pub(crate) index: usize,
    /// The number of the attempt, from 1.
    pub(crate) attempt: u32,
    /// Its start, in milliseconds since 1970-01-01 UTC.
    pub(crate) started_at_ms: i64,
    /// Its end, in milliseconds since 1970-01-01 UTC.
    pub(crate) ended_at_ms: i64,
    /// The fault; `None` when this attempt succeeded.
    pub(crate) error: Option<Fault>,
    /// Delay before the next attempt, in milliseconds; `None` for the last.
    pub(crate) retry_in_ms: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_was_lost_is_made_anew_for_its_tenant_only() {
        let left = LeftAt { run: Uuid::nil(), version: "0001_a".to_owned(), database: None };
        let told = left.lost(&TenantId::from("*")).message;
        assert!(told.ends_with("fleet migrate --recreate --tenant '[*]'"), "{told}");
    }
}
