//! Processes of this machine, from `/proc` (proc(5)): this one, and whether another still exists.

use std::fs;

use crate::model::started_by::Process;

/// This process. On a system without `/proc` only its id is known, and other programs rely on its heartbeat.
pub(crate) fn current() -> Process {
    let id = std::process::id();
    Process { id, start: start_of(id).unwrap_or(0), space: space().unwrap_or_default() }
}

/// Whether a process exists; `None` where its id is meaningless here, because it belongs to another machine, boot or
/// container.
pub(super) fn is_there(process: &Process) -> Option<bool> {
    let here = space().filter(|space| *space == process.space)?;
    debug_assert!(!here.is_empty());
    Some(start_of(process.id) == Some(process.start))
}

/// The boot of the machine and the PID namespace.
fn space() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.display()))
}

/// The start of a process that is no zombie, in clock ticks since boot: field 22 of its `stat`. The name before it may
/// hold blanks and parentheses, so fields are counted from the last parenthesis.
fn start_of(id: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
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

    #[test]
    fn a_process_that_ended_is_not_there_even_before_its_parent_asks() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = Process { id: child.id(), ..current() };
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while start_of(child.id()).is_some() && std::time::Instant::now() < until {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert_eq!(is_there(&process), Some(false));
        child.wait().unwrap();
    }
}
