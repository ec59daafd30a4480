//! Processes of this machine, from `/proc` (proc(5)): this one, and whether another still exists.

use std::{fs, io};

use rustix::process::{Pid, test_kill_process};

use crate::model::started_by::Process;

/// This process. On a system without `/proc` only its id is known, and other programs rely on its heartbeat.
pub(crate) fn current() -> Process {
    let id = std::process::id();
    Process {
        id,
        start: stat_of(id).ok().and_then(|stat| start_in(&stat)).unwrap_or(0),
        space: space().unwrap_or_default(),
    }
}

/// Whether a process exists; `None` where its id is meaningless here, because it belongs to another machine, boot or
/// container, or where `/proc` does not show it: mounted with `hidepid`, it hides the processes of other users.
pub(super) fn is_there(process: &Process) -> Option<bool> {
    let here = space().filter(|space| *space == process.space)?;
    debug_assert!(!here.is_empty());
    judge(stat_of(process.id), process.start, || is_gone(process.id))
}

/// Whether the process with this `stat` is the one that started then. A `stat` that can't be read says nothing, and neither
/// that there is none: gone is what the kernel calls gone.
fn judge(stat: io::Result<String>, start: u64, is_gone: impl FnOnce() -> bool) -> Option<bool> {
    match stat {
        Ok(stat) => Some(start_in(&stat) == Some(start)),
        Err(_) if is_gone() => Some(false),
        Err(_) => None,
    }
}

/// Whether the kernel knows no process with this id, not even one of another user (kill(2) with signal 0).
fn is_gone(id: u32) -> bool {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

/// The boot of the machine and the PID namespace.
fn space() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.display()))
}

fn stat_of(id: u32) -> io::Result<String> {
    fs::read_to_string(format!("/proc/{id}/stat"))
}

/// The start of a process that is no zombie, in clock ticks since boot: field 22 of its `stat`. The name before it may
/// hold blanks and parentheses, so fields are counted from the last parenthesis.
fn start_in(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_there_and_a_later_one_with_its_number_is_another() {
        let own = current();
        assert_eq!(is_there(&own), Some(true));
        assert_eq!(is_there(&Process { start: own.start + 1, ..own.clone() }), Some(false));
        assert_eq!(is_there(&Process { space: "another boot".to_owned(), ..own }), None);
    }

    /// As with `/proc` mounted with `hidepid`: then another user's process can't be opened, or is not listed at all.
    #[test]
    fn a_process_that_can_not_be_read_is_gone_only_if_the_kernel_says_so() {
        for error in [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied] {
            assert_eq!(judge(Err(error.into()), 7, || false), None, "{error}: its heartbeat decides");
            assert_eq!(judge(Err(error.into()), 7, || true), Some(false), "{error}");
        }
        assert!(!is_gone(1) && !is_gone(std::process::id()));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert!(is_gone(child.id()));
    }

    #[test]
    fn a_process_that_ended_is_not_there_even_before_its_parent_asks() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = Process { id: child.id(), ..current() };
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while start_in(&stat_of(child.id()).unwrap()).is_some() && std::time::Instant::now() < until {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert_eq!(is_there(&process), Some(false));
        child.wait().unwrap();
    }
}
