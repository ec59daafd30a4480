//! The origin of a run: user, host, process and command line.

use serde::{Deserialize, Serialize};

/// The user, host, process and command line that started a run. Empty for runs recorded before these were kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StartedBy {
    /// The login name.
    pub(crate) user: String,
    /// The name of the machine.
    pub(crate) host: String,
    /// The process on that machine.
    pub(crate) process: Process,
    /// The command line, without passwords.
    pub(crate) command: String,
    /// Whether the run touches no tenant of a wave before the ledger has the beginning of that wave. Programs before this one
    /// did, and runners that share a run do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) awaits_waves: bool,
}

impl StartedBy {
    /// The mark, in place of a boot, of a run that several runners share: only its heartbeat says whether it lives.
    const SHARED: &str = "enqueued";

    /// As the origin of a run that its process hands out to runners.
    pub(crate) fn shared(self) -> Self {
        let process = Process { space: Self::SHARED.to_owned(), ..self.process };
        StartedBy { process, awaits_waves: false, ..self }
    }

    /// Whether the run was handed out to runners.
    pub(crate) fn is_shared(&self) -> bool {
        self.process.space == Self::SHARED
    }
}

/// A process, distinguishable from a later one with the same id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// The process id.
    pub(crate) id: u32,
    /// Its start, in clock ticks since the machine was booted.
    pub(crate) start: u64,
    /// The boot of the machine and the PID namespace: a process id is meaningful only within the same ones. Empty where
    /// unknown.
    pub(crate) space: String,
}

/// Whether a run whose end is not recorded still goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Liveness {
    /// Its process exists, or its last heartbeat is recent.
    Running,
    /// Its process is gone, or its last heartbeat is too old.
    Dead,
    /// It was recorded before runs had heartbeats.
    Unknown,
}

/// A run without a heartbeat for this long, in milliseconds, is dead; it sends one every 5 seconds.
pub(crate) const SILENCE_MS: i64 = 30_000;

/// Decides whether a run is alive. `age_ms` is the age of its last heartbeat by the ledger's own clock; `process` is
/// whether its process exists on this machine, `None` for a process of another machine.
pub(crate) fn liveness(age_ms: Option<i64>, process: Option<bool>) -> Liveness {
    match (process, age_ms) {
        (Some(true), Some(_)) => Liveness::Running,
        (Some(false), Some(_)) => Liveness::Dead,
        (_, None) => Liveness::Unknown,
        (None, Some(age)) if age <= SILENCE_MS => Liveness::Running,
        (None, Some(_)) => Liveness::Dead,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_can_be_seen_decides_and_else_the_heartbeat() {
        assert_eq!(liveness(Some(999_999), Some(true)), Liveness::Running, "stopped by a signal, but there");
        assert_eq!(liveness(Some(10), Some(false)), Liveness::Dead, "killed a moment ago");
        assert_eq!(liveness(Some(SILENCE_MS), None), Liveness::Running);
        assert_eq!(liveness(Some(SILENCE_MS + 1), None), Liveness::Dead);
        assert_eq!(liveness(None, None), Liveness::Unknown);
    }
}
