//! The start order of tenants: plan order, under a cap per server and a global cap.
//!
//! A pure data structure: it does not wait, but returns the time until which to wait.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tokio::time::Instant;

use crate::model::tenant::Tenant;

/// Waiting tenants, by their indexes in the plan.
#[derive(Debug, Default)]
pub(super) struct Queue {
    servers: Vec<Server>,
    /// (first waiting tenant, server) of each server that is open and has a waiting tenant and free capacity.
    eligible: BTreeSet<(usize, usize)>,
    server_of: HashMap<usize, usize>,
    /// Tenants that may not start yet.
    held: BTreeSet<usize>,
    /// Tenants to be tried again later, by time.
    delayed: BTreeSet<(Instant, usize)>,
    /// Those of the waiting tenants that were started before.
    again: BTreeSet<usize>,
    in_flight: usize,
    cap: usize,
}

#[derive(Debug, Default)]
struct Server {
    name: Arc<str>,
    /// Whether no tenant of it is started that was not before.
    is_closed: bool,
    /// In plan order; a retried tenant returns to its place.
    waiting: BTreeSet<usize>,
    in_flight: usize,
    /// The current cap on tenants in flight: lower than `most` while the server has no free connections.
    cap: usize,
    most: usize,
    /// The number of consecutive successful connections since the last change of the cap.
    relax: usize,
}

impl Server {
    fn has_room(&self) -> bool {
        self.in_flight < self.cap
    }
}

/// The number of consecutive connections after which a server's cap is raised by one.
const EASED_AFTER: usize = 8;

impl Queue {
    /// A queue of tenants (index in the plan), in plan order. The cap of a server is the least of `per_server` and that which
    /// its tenants were told.
    pub(super) fn new<'t>(
        tenants: impl IntoIterator<Item = (usize, &'t Arc<Tenant>)>,
        cap: usize,
        per_server: usize,
    ) -> Self {
        let mut names: HashMap<Arc<str>, usize> = HashMap::new();
        let mut queue = Queue { cap, ..Queue::default() };
        for (index, tenant) in tenants {
            let server = *names.entry(tenant.server.clone()).or_insert_with_key(|name| {
                let most = tenant.per_server.map_or(per_server, |own| own.get().min(per_server));
                queue.servers.push(Server { name: name.clone(), cap: most, most, ..Server::default() });
                queue.servers.len() - 1
            });
            queue.server_of.insert(index, server);
            queue.servers[server].waiting.insert(index);
        }
        (0..queue.servers.len()).for_each(|server| queue.refresh(server));
        queue
    }

    /// Takes the next tenant that may start now, or only one that was started before; it counts as in flight until
    /// [`Queue::release`].
    pub(super) fn pop(&mut self, now: Instant, is_new_allowed: bool) -> Option<usize> {
        self.wake(now);
        if self.in_flight >= self.cap {
            return None;
        }
        let new = self.eligible.first().filter(|_| is_new_allowed).map(|(index, _)| *index);
        let mut again = self.again.iter().copied();
        let again = again.find(|index| self.servers[self.server_of[index]].has_room());
        let index = [new, again].into_iter().flatten().min()?;
        self.again.remove(&index);
        self.change(index, |server| {
            server.waiting.remove(&index);
            server.in_flight += 1;
        });
        self.in_flight += 1;
        Some(index)
    }

    /// Removes a tenant from those in flight: it is done, or waits for another try.
    pub(super) fn release(&mut self, index: usize) {
        self.change(index, |server| server.in_flight -= 1);
        self.in_flight -= 1;
    }

    /// Puts a tenant back that was popped and is not started after all.
    pub(super) fn put_back(&mut self, index: usize) {
        self.release(index);
        self.change(index, |server| server.waiting.insert(index));
    }

    /// A tenant's server had no free connection: halves its cap on tenants in flight, to at least one.
    pub(super) fn throttle(&mut self, index: usize) {
        self.change(index, |server| (server.cap, server.relax) = ((server.cap / 2).max(1), 0));
    }

    /// A tenant got its connection: after several in a row, its server's cap is raised by one, up to its own maximum.
    pub(super) fn relax(&mut self, index: usize) {
        self.change(index, |server| {
            server.relax += 1;
            if server.cap < server.most && server.relax >= EASED_AFTER {
                (server.cap, server.relax) = (server.cap + 1, 0);
            }
        });
    }

    /// Schedules a released tenant for another try, not before `at`. It occupies no slot while it waits.
    pub(super) fn delay(&mut self, index: usize, at: Instant) {
        self.delayed.insert((at, index));
    }

    /// Keeps a waiting tenant from starting until [`Queue::admit`].
    pub(super) fn hold(&mut self, index: usize) {
        if self.change(index, |server| server.waiting.remove(&index)) {
            self.held.insert(index);
        }
    }

    /// Makes a held tenant eligible like all others. Returns whether it was held.
    pub(super) fn admit(&mut self, index: usize) -> bool {
        self.held.remove(&index) && self.change(index, |server| server.waiting.insert(index))
    }

    /// Removes a held tenant. Returns whether it was held.
    pub(super) fn dismiss(&mut self, index: usize) -> bool {
        self.held.remove(&index)
    }

    /// Whether a tenant waits that nothing holds.
    pub(super) fn is_waiting(&self) -> bool {
        self.servers.iter().any(|server| !server.waiting.is_empty())
    }

    /// The servers with a waiting tenant that was not started before.
    pub(super) fn waiting_servers(&self) -> Vec<Arc<str>> {
        let has_new = |server: &&Server| server.waiting.iter().any(|index| !self.again.contains(index));
        self.servers.iter().filter(has_new).map(|server| server.name.clone()).collect()
    }

    /// Closes the servers for which it holds, and opens the others.
    pub(super) fn close(&mut self, is_closed: impl Fn(&str) -> bool) {
        for server in 0..self.servers.len() {
            self.forget(server);
            self.servers[server].is_closed = is_closed(&self.servers[server].name);
            self.refresh(server);
        }
    }

    /// Takes the waiting tenants of closed servers that were not started before, in plan order.
    pub(super) fn drain_closed(&mut self) -> Vec<usize> {
        let closed = self.servers.iter_mut().filter(|server| server.is_closed);
        let mut all: Vec<usize> = Vec::new();
        for server in closed {
            all.extend(server.waiting.extract_if(.., |index| !self.again.contains(index)));
        }
        all.sort_unstable();
        all
    }

    /// The time at which the next delayed tenant may be tried.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.delayed.first().map(|(at, _)| *at)
    }

    /// Takes all waiting tenants, including delayed ones, in plan order.
    pub(super) fn drain(&mut self) -> Vec<usize> {
        let mut all: Vec<usize> = self.servers.iter_mut().flat_map(|s| std::mem::take(&mut s.waiting)).collect();
        self.again.clear();
        all.extend(std::mem::take(&mut self.held));
        all.extend(std::mem::take(&mut self.delayed).into_iter().map(|(_, index)| index));
        self.eligible.clear();
        all.sort_unstable();
        all
    }

    fn wake(&mut self, now: Instant) {
        while let Some(&(at, index)) = self.delayed.first()
            && at <= now
        {
            self.delayed.pop_first();
            self.again.insert(index);
            self.change(index, |server| server.waiting.insert(index));
        }
    }

    /// Changes the server of a tenant, and updates `eligible` accordingly.
    fn change<T>(&mut self, index: usize, change: impl FnOnce(&mut Server) -> T) -> T {
        let server = self.server_of[&index];
        self.forget(server);
        let done = change(&mut self.servers[server]);
        self.refresh(server);
        done
    }

    fn forget(&mut self, server: usize) {
        if let Some(&first) = self.servers[server].waiting.first() {
            self.eligible.remove(&(first, server));
        }
    }

    fn refresh(&mut self, server: usize) {
        let of = &self.servers[server];
        if let Some(&first) = of.waiting.first()
            && of.has_room()
            && !of.is_closed
        {
            self.eligible.insert((first, server));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::model::tenant::{Address, Engine};

    /// A server is written with its own cap behind a slash, if it has one.
    fn queue(servers: &[&str], cap: usize, per_server: usize) -> Queue {
        let tenant = |text: &&str| {
            let (server, own) = text.split_once('/').unwrap_or((text, ""));
            let apart = Tenant::apart("t", Engine::Sqlite, Address::Unusable(String::new()));
            Arc::new(Tenant { server: server.into(), per_server: own.parse().ok(), ..apart })
        };
        let tenants: Vec<Arc<Tenant>> = servers.iter().map(tenant).collect();
        Queue::new(tenants.iter().enumerate(), cap, per_server)
    }

    #[tokio::test]
    async fn a_server_with_a_cap_of_its_own_has_the_lesser_one() {
        let now = Instant::now();
        let mut queue = queue(&["a/1", "a/1", "b/9", "b/9", "b/9"], 10, 2);
        let started: Vec<usize> = std::iter::from_fn(|| queue.pop(now, true)).collect();
        assert_eq!(started, [0, 2, 3]);
    }

    #[tokio::test]
    async fn a_closed_server_goes_on_with_what_was_started_and_holds_up_no_other() {
        let now = Instant::now();
        let mut queue = queue(&["a", "a", "b", "b"], 10, 2);
        assert_eq!(queue.pop(now, true), Some(0));
        queue.close(|server| server == "a");
        queue.release(0);
        queue.delay(0, now);
        assert_eq!([queue.pop(now, true), queue.pop(now, true), queue.pop(now, true)], [Some(0), Some(2), Some(3)]);
        assert_eq!((queue.pop(now, true), queue.waiting_servers()), (None, vec!["a".into()]));
        queue.close(|_| false);
        assert_eq!(queue.pop(now, true), Some(1));
        let mut queue = self::queue(&["a", "b", "a"], 10, 1);
        queue.close(|server| server == "a");
        assert_eq!((queue.drain_closed(), queue.pop(now, true), queue.is_waiting()), (vec![0, 2], Some(1), false));
    }

    #[tokio::test]
    async fn a_full_server_does_not_hold_up_another() {
        let now = Instant::now();
        let mut queue = queue(&["a", "a", "a", "b"], 10, 1);
        assert_eq!(queue.pop(now, true), Some(0));
        assert_eq!(queue.pop(now, true), Some(3), "b has room");
        assert_eq!(queue.pop(now, true), None);
        queue.release(0);
        assert_eq!(queue.pop(now, true), Some(1));
    }

    #[tokio::test]
    async fn a_delayed_tenant_holds_no_place_and_comes_back_in_time() {
        let now = Instant::now();
        let mut queue = queue(&["a", "a"], 1, 1);
        assert_eq!(queue.pop(now, true), Some(0));
        queue.release(0);
        queue.delay(0, now + Duration::from_secs(1));
        assert_eq!(queue.pop(now, true), Some(1));
        queue.release(1);
        assert_eq!(queue.pop(now, true), None);
        assert_eq!(queue.next_wake(), Some(now + Duration::from_secs(1)));
        assert_eq!(queue.pop(now + Duration::from_secs(1), true), Some(0));
    }

    #[tokio::test]
    async fn while_nobody_new_may_start_one_that_was_started_goes_on() {
        let now = Instant::now();
        let mut queue = queue(&["a", "a", "a"], 3, 2);
        assert_eq!((queue.pop(now, true), queue.pop(now, false)), (Some(0), None));
        assert_eq!(queue.pop(now, true), Some(1));
        queue.release(1);
        queue.delay(1, now);
        assert_eq!((queue.pop(now, false), queue.pop(now, false)), (Some(1), None));
        queue.release(0);
        assert_eq!((queue.pop(now, false), queue.pop(now, true)), (None, Some(2)));
    }

    #[tokio::test]
    async fn a_server_without_connections_gets_fewer_tenants_and_slowly_more_again() {
        let now = Instant::now();
        let mut queue = queue(&["a"; 40], 10, 4);
        let started: Vec<usize> = std::iter::from_fn(|| queue.pop(now, true)).collect();
        assert_eq!(started.len(), 4);
        for index in started {
            queue.release(index);
            queue.throttle(index);
        }
        for _ in 0..EASED_AFTER {
            let index = queue.pop(now, true).unwrap();
            assert_eq!(queue.pop(now, true), None, "one at a time");
            queue.release(index);
            queue.relax(index);
        }
        assert!(queue.pop(now, true).is_some() && queue.pop(now, true).is_some(), "two at a time");
        assert_eq!(queue.pop(now, true), None);
    }

    #[tokio::test]
    async fn a_held_tenant_holds_up_nobody_and_comes_in_plan_order() {
        let now = Instant::now();
        let mut queue = queue(&["a", "a", "a", "a"], 10, 1);
        queue.hold(0);
        queue.hold(2);
        assert_eq!(queue.pop(now, true), Some(1));
        assert!(queue.admit(2) && !queue.admit(1) && !queue.dismiss(2));
        queue.release(1);
        assert_eq!(queue.pop(now, true), Some(2));
        assert_eq!(queue.drain(), [0, 3], "nobody is forgotten");
    }

    proptest! {
        #[test]
        fn every_tenant_comes_exactly_once_and_no_cap_is_ever_exceeded(
            servers in prop::collection::vec(0_u8..5, 0..60), cap in 1_usize..6, per_server in 1_usize..4, seed in any::<u64>()
        ) {
            let names: Vec<String> = servers.iter().map(|s| format!("s{s}")).collect();
            let mut queue = queue(&names.iter().map(String::as_str).collect::<Vec<_>>(), cap, per_server);
            let now = Instant::from_std(std::time::Instant::now());
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut running, mut seen): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
            loop {
                match queue.pop(now, true) {
                    Some(index) => {
                        running.push(index);
                        prop_assert!(running.len() <= cap);
                        let same = running.iter().filter(|&&r| servers[r] == servers[index]).count();
                        prop_assert!(same <= per_server);
                    }
                    None if running.is_empty() => break,
                    None => {
                        let done = running.swap_remove(random.usize(..running.len()));
                        queue.release(done);
                        if random.u8(..4) == 0 && !seen.contains(&done) {
                            queue.delay(done, now);
                            continue;
                        }
                        seen.push(done);
                    }
                }
                prop_assert!(seen.len() <= servers.len() * 2);
            }
            seen.sort_unstable();
            seen.dedup();
            prop_assert_eq!(seen, (0..servers.len()).collect::<Vec<_>>());
        }
    }
}
