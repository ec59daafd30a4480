//! The origin of a run: user, host, process and command line.

use serde::{Deserialize, Serialize};

/// Who started a run, where, and with which command. Empty for runs that were recorded before this was kept.
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
}

/// A process, told from a later one that has the same number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// The process id.
    pub(crate) id: u32,
    /// Its start, in clock ticks since the machine was booted.
    pub(crate) start: u64,
    /// The boot of the machine and the PID namespace: only in the same ones an id says anything. Empty where unknown.
    pub(crate) space: String,
}

/// Whether a run whose end is not recorded still goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Liveness {
    /// Its process is there, or its last heartbeat is recent.
    Running,
    /// Its process is gone, or it has not given a sign for too long.
    Dead,
    /// It was recorded before runs gave signs of life.
    Unknown,
}

/// A run that has given no sign for this long, in milliseconds, is dead; it gives one every 5 seconds.
pub(crate) const SILENCE_MS: i64 = 30_000;

/// Decides whether a run is alive. `age_ms` is the age of its last heartbeat by the ledger's own clock; `process` is what
/// this machine knows of its process, `None` where that is another machine's.
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
