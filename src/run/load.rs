//! The load of the servers on which a run works: read now and then beside the work, and judged by the limits on it.
//!
//! Each reading has a session of its own, which only reads and is closed behind it. Dying in it, or while tenants wait for a
//! server: nothing is held anywhere, those that wait were not started, and `runs resume` reads the servers anew.

use std::collections::{BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::engine::Database;
use crate::model::event::Event;
use crate::model::fault::{Fault, FaultClass};
use crate::model::load::{Excess, Overload, ServerLoad};
use crate::model::tenant::Tenant;
use crate::policy::{LoadLimits, Timeouts};

/// A reading, and the server that it is of.
pub(super) type Reading = (Arc<str>, Result<ServerLoad, Fault>);

/// The watch over the servers of a run.
pub(super) struct LoadWatch {
    /// `None`: nobody asks.
    limits: Option<LoadLimits>,
    database: Arc<dyn Database>,
    timeouts: Timeouts,
    servers: HashMap<Arc<str>, Watched>,
    /// The times of the next readings.
    due: BTreeSet<(Instant, Arc<str>)>,
    readings: JoinSet<Reading>,
    /// Whether servers were closed or opened since [`LoadWatch::take_change`].
    has_changed: bool,
}

/// A server on which tenants were started, or are about to be.
struct Watched {
    /// The tenant through which it is asked: the last that was started on it.
    through: Arc<Tenant>,
    in_flight: usize,
    /// When it is asked next; `None`: it is being asked.
    next: Option<Instant>,
    /// The end of the last reading.
    read_at: Option<Instant>,
    /// Its log at the first reading.
    log_before: Option<u64>,
    /// It is to be read before anything is started on it.
    is_awaited: bool,
    /// The first reading of those at which it was beyond a limit, one after another, and its excesses now.
    over: Option<(Instant, Vec<Excess>)>,
    unkept: Vec<Excess>,
}

impl Watched {
    fn is_closed(&self) -> bool {
        self.is_awaited || self.over.is_some()
    }
}

impl LoadWatch {
    pub(super) fn new(limits: Option<LoadLimits>, database: Arc<dyn Database>, timeouts: Timeouts) -> Self {
        let (servers, due, readings) = Default::default();
        LoadWatch { limits, database, timeouts, servers, due, readings, has_changed: false }
    }

    /// Whether a tenant may be started that was not before. If not, its server is closed until it was read, or is within its
    /// limits.
    pub(super) fn admits(&mut self, tenant: &Arc<Tenant>, now: Instant) -> bool {
        let Some(limits) = self.limits.filter(LoadLimits::is_any) else { return true };
        let watched = self.watched(tenant, now);
        // A server that was idle for a while is looked at again.
        let is_fresh = watched.read_at.is_some_and(|at| now < at + limits.interval * 2);
        if !is_fresh && watched.in_flight == 0 {
            watched.is_awaited = true;
            self.hasten(&tenant.server, now);
        }
        let is_closed = self.is_closed(&tenant.server);
        self.has_changed |= is_closed;
        !is_closed
    }

    /// An attempt on a tenant begins.
    pub(super) fn started(&mut self, tenant: &Arc<Tenant>, now: Instant) {
        let Some(limits) = self.limits else { return };
        let watched = self.watched(tenant, now + limits.interval);
        watched.through = tenant.clone();
        watched.in_flight += 1;
    }

    /// An attempt on a tenant of this server has ended.
    pub(super) fn ended(&mut self, server: &str) {
        if let Some(watched) = self.servers.get_mut(server) {
            watched.in_flight -= 1;
        }
    }

    /// The entry of a tenant's server; a new one, and one that nobody was at work on, is due at this time.
    fn watched(&mut self, tenant: &Arc<Tenant>, due: Instant) -> &mut Watched {
        let server = &tenant.server;
        let watched = self.servers.entry(server.clone()).or_insert_with(|| Watched {
            through: tenant.clone(),
            in_flight: 0,
            next: Some(due),
            read_at: None,
            log_before: None,
            is_awaited: false,
            over: None,
            unkept: Vec::new(),
        });
        if let Some(next) = watched.next {
            self.due.insert((next, server.clone()));
        }
        watched
    }

    /// Has a server asked now, unless it is being asked.
    fn hasten(&mut self, server: &Arc<str>, now: Instant) {
        if let Some(watched) = self.servers.get_mut(server)
            && let Some(next) = watched.next
        {
            watched.next = Some(now);
            self.due.remove(&(next, server.clone()));
            self.due.insert((now, server.clone()));
        }
    }

    /// Whether nothing new is started on a server.
    pub(super) fn is_closed(&self, server: &str) -> bool {
        self.servers.get(server).is_some_and(Watched::is_closed)
    }

    /// Whether there is a server on which nothing new is started.
    pub(super) fn holds_any(&self) -> bool {
        self.limits.is_some_and(|limits| limits.is_any()) && self.servers.values().any(Watched::is_closed)
    }

    /// Whether servers were closed or opened since this was asked last.
    pub(super) fn take_change(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    /// A wave begins, whose queue knows nothing of closed servers.
    pub(super) fn wave_begins(&mut self) {
        self.has_changed = true;
    }

    /// Begins the readings that are due. A server without work and without tenants that wait for it is not read.
    pub(super) fn ask(&mut self, now: Instant) {
        while self.due.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, server)) = self.due.pop_first() else { return };
            let watched = self.servers.get_mut(&server).expect("a due server is watched");
            if watched.in_flight == 0 && !watched.is_closed() {
                // It is due as soon as there is something to do again.
                continue;
            }
            watched.next = None;
            // The tenant's own time limits: a server that does not answer holds up nobody but this reading.
            let (database, through, timeouts) = (self.database.clone(), watched.through.clone(), self.timeouts);
            let read = async move {
                let mut session = database.connect_within(&through, timeouts).await?;
                let load = session.server_load().await;
                session.close().await;
                load
            };
            let limit = self.timeouts.connect * 2;
            // Its panic is no matter of any tenant.
            let read = AssertUnwindSafe(tokio::time::timeout(limit, read)).catch_unwind();
            self.readings.spawn(async move {
                let lost = |text| Err(Fault::new(FaultClass::ConnectTimeout, text));
                let read = match read.await {
                    Ok(Ok(read)) => read,
                    Ok(Err(_)) => lost("the server did not answer in time"),
                    Err(_) => lost("the reading ended unexpectedly"),
                };
                (server, read)
            });
        }
    }

    /// The time of the next reading.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The next reading that has ended; `None` while there is none under way.
    pub(super) async fn read(&mut self) -> Option<Reading> {
        Some(self.readings.join_next().await?.expect("a task catches its panic, and none is aborted"))
    }

    /// Judges a reading: the event that tells of it, and the overload at which the run is to pause.
    pub(super) fn judge(&mut self, (server, read): Reading, now: Instant) -> (Option<Event>, Option<Overload>) {
        let (Some(limits), Some(watched)) = (self.limits, self.servers.get_mut(&server)) else { return (None, None) };
        let next = now + limits.interval;
        watched.next = Some(next);
        self.due.insert((next, server.clone()));
        let was_closed = watched.is_closed();
        watched.is_awaited = false;
        let (load, over, unkept) = match read {
            Ok(mut load) => {
                load.log_bytes = load.log_bytes.map(|now| now.saturating_sub(*watched.log_before.get_or_insert(now)));
                let (over, unkept) = (limits.excesses(&load), limits.unkept(&load));
                (load, over, unkept)
            }
            Err(fault) if fault.class == FaultClass::TooManyConnections => {
                (ServerLoad::default(), limits.used_up(&fault.to_string()), watched.unkept.clone())
            }
            // It says nothing of its load: what was known of that holds on, and the tenants find out themselves.
            Err(fault) => {
                let over = watched.over.as_ref().map(|(_, over)| over.clone()).unwrap_or_default();
                (ServerLoad::default(), over, limits.none_kept(&fault.to_string()))
            }
        };
        watched.read_at = Some(now);
        let names = |of: &[Excess]| of.iter().map(|excess| excess.limit.clone()).collect::<Vec<_>>();
        let turns = watched.over.is_some() == over.is_empty() || names(&watched.unkept) != names(&unkept);
        let since = watched.over.as_ref().map_or(now, |(since, _)| *since);
        watched.over = (!over.is_empty()).then(|| (since, over.clone()));
        watched.unkept.clone_from(&unkept);
        self.has_changed |= was_closed != watched.is_closed();
        let lasted = now.saturating_duration_since(since);
        let overload = (!over.is_empty() && lasted >= limits.patience).then(|| Overload {
            server: server.to_string(),
            over: over.clone(),
            for_ms: u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX),
        });
        (Some(Event::ServerLoad { server: server.to_string(), load, over, unkept, turns }), overload)
    }
}
