//! Named moments of a run, at which the process of a test dies as by `kill -9`.
//!
//! It changes nothing else, and without the feature `crash-points` or in a build with optimisations it does nothing at all:
//! nobody's program can be killed through its environment.

/// Whether this program has such moments.
pub(crate) const ARE_ARMED: bool = cfg!(all(feature = "crash-points", debug_assertions));

/// A moment: `at("told", "gate_finished")`. With `FLEET_TEST_CRASH_AT=told:gate_finished` the process dies in it, with
/// `told:gate_finished@2` when it comes there for the second time. `FLEET_TEST_CRASH_LOG` names a file that gets a line for
/// each moment.
#[inline]
pub(crate) fn at(place: &str, what: &str) {
    #[cfg(all(feature = "crash-points", debug_assertions))]
    armed::at(place, what);
    #[cfg(not(all(feature = "crash-points", debug_assertions)))]
    let _ = (place, what);
}

#[cfg(all(feature = "crash-points", debug_assertions))]
mod armed {
    use std::io::Write as _;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// The moment to die in, and how often the process gets there first.
    static WANTED: OnceLock<Option<(String, usize)>> = OnceLock::new();
    static TIMES: AtomicUsize = AtomicUsize::new(0);

    pub(super) fn at(place: &str, what: &str) {
        if let Some(file) = std::env::var_os("FLEET_TEST_CRASH_LOG") {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(file);
            let _ = file.and_then(|mut file| file.write_all(format!("{place}:{what}\n").as_bytes()));
        }
        let wanted = WANTED.get_or_init(|| {
            let wanted = std::env::var("FLEET_TEST_CRASH_AT").ok()?;
            let (name, time) = wanted.split_once('@').unwrap_or((&wanted, "1"));
            Some((name.to_owned(), time.parse().ok()?))
        });
        let Some((name, time)) = wanted else { return };
        let is_it = name.split_once(':') == Some((place, what));
        if is_it && TIMES.fetch_add(1, Ordering::SeqCst) + 1 == *time {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            loop {
                std::thread::park();
            }
        }
    }
}
