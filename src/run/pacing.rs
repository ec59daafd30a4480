//! The pace of a run: whether another tenant may be started now, and if not, when.
//!
//! It concerns tenants that were not started yet; it waits for nothing and ends nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::PlannedWave;
use crate::model::clock;
use crate::model::outcome::NotStarted;
use crate::policy::{LoadLimits, Rate, Window, until};

/// The longest time for which an opening is believed: the clock of the machine may be set.
const BELIEVED: Duration = Duration::from_secs(60);

/// The limits on starts.
#[derive(Debug, Clone)]
pub(crate) struct Pacing {
    pub(crate) rate: Option<Rate>,
    /// After this nothing new is started.
    pub(crate) deadline: Option<Instant>,
    /// Whether a run stops outside of a window, and does not wait for it.
    pub(crate) stops_outside: bool,
    /// The windows of servers, for those that have one: beside those of the waves.
    pub(crate) servers: HashMap<Arc<str>, Window>,
    /// The limits on the load of servers; `None`: it is not read.
    pub(crate) load: Option<LoadLimits>,
    /// The clock: milliseconds since 1970-01-01 UTC.
    pub(crate) now_ms: fn() -> i64,
}

impl Default for Pacing {
    fn default() -> Self {
        Pacing {
            rate: None,
            deadline: None,
            stops_outside: false,
            servers: HashMap::new(),
            load: None,
            now_ms: clock::now_ms,
        }
    }
}

/// The answer to the question whether another tenant may be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    Now,
    /// Not before then. `opens_at_ms`: the window of the wave is closed until that time, by the machine's clock.
    At {
        at: Instant,
        opens_at_ms: Option<i64>,
    },
    /// None at all.
    Never(NotStarted),
}

/// The pace as it is kept.
pub(super) struct Pacer {
    limits: Pacing,
    /// The time of the next start.
    next: Option<Instant>,
}

impl Pacer {
    pub(super) fn new(limits: Pacing) -> Self {
        Pacer { limits, next: None }
    }

    /// Whether another tenant of this wave may be started.
    pub(super) fn opening(&self, wave: &PlannedWave, now: Instant) -> Opening {
        if self.limits.deadline.is_some_and(|deadline| now >= deadline) {
            return Opening::Never(NotStarted::Deadline);
        }
        let now_ms = (self.limits.now_ms)();
        match wave.window.as_ref().and_then(|window: &Window| window.opens_at(now_ms)) {
            Some(_) if self.limits.stops_outside => Opening::Never(NotStarted::Window),
            Some(opens_at_ms) => Opening::At { at: self.look_at(opens_at_ms, now), opens_at_ms: Some(opens_at_ms) },
            None => match self.next.filter(|next| now < *next) {
                Some(at) => Opening::At { at, opens_at_ms: None },
                None => Opening::Now,
            },
        }
    }

    /// Those of the servers whose windows are closed, each with the time at which it opens, by the machine's clock.
    pub(super) fn closed(&self, servers: Vec<Arc<str>>) -> Vec<(Arc<str>, i64)> {
        let windows = &self.limits.servers;
        let now_ms = (self.limits.now_ms)();
        let opens = |server: Arc<str>| windows.get(&server)?.opens_at(now_ms).map(|opens_at_ms| (server, opens_at_ms));
        servers.into_iter().filter_map(opens).collect()
    }

    /// Whether any server has a window.
    pub(super) fn has_servers(&self) -> bool {
        !self.limits.servers.is_empty()
    }

    /// The window of a server.
    pub(super) fn window_of(&self, server: &str) -> Option<&Window> {
        self.limits.servers.get(server)
    }

    /// Whether a tenant outside of a window does not wait for it.
    pub(super) fn stops_outside(&self) -> bool {
        self.limits.stops_outside
    }

    /// The time to look again at a window that opens then, by the machine's clock.
    pub(super) fn look_at(&self, opens_at_ms: i64, now: Instant) -> Instant {
        now + until((self.limits.now_ms)(), opens_at_ms).min(BELIEVED)
    }

    /// A tenant is started that was not before.
    pub(super) fn started(&mut self, now: Instant) {
        self.next = self.limits.rate.map(|rate| now + rate.interval());
    }

    /// The time to look again, if a tenant that waits may be started only then.
    pub(super) fn wake(&self, opening: Opening) -> Option<Instant> {
        let at = if let Opening::At { at, .. } = opening { Some(at) } else { None };
        [at, self.limits.deadline].into_iter().flatten().min()
    }
}
