//! The refreshes of `serve --schedule` when data changed: one session for each database whose engine tells of changes.
//!
//! Nothing is kept: a change that is told while nobody listens is told to nobody, so a session that begins to listen has the
//! views of its tenants refreshed once. Dying here: the servers close the sessions, and the next server begins like that.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use indexmap::IndexMap;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::super::terminal::Terminal;
use crate::compile::View;
use crate::engine::{CHANNEL, Changes, place, tells_of_changes};
use crate::model::fault::Fault;
use crate::model::tenant::{Tenant, TenantId};
use crate::policy::RefreshGroup;
use crate::report::count;
use crate::report::site::Heard;

/// The interval at which the tenant file is looked at for databases that came or went.
const LOOK: Duration = Duration::from_secs(60);
/// The shortest and the longest pause before a session is opened anew.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// The time in which changes gather before the first of them is acted on.
const GATHER: Duration = Duration::from_millis(300);

/// Why views are to be refreshed. The stronger reason comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr)]
pub(super) enum Cause {
    /// A session has begun to listen: what changed before was told to nobody.
    #[strum(serialize = "listening began")]
    Began,
    #[strum(serialize = "data changed")]
    Told,
}

/// The tenants whose views are to be refreshed, in the order of their turns.
pub(super) type Due = IndexMap<TenantId, Cause>;

/// Those of them that were taken, and whether that is done with.
pub(super) type Taken = HashMap<TenantId, bool>;

/// The databases to listen to, by their places, and sentences on the tenants of which nothing is heard.
#[derive(Default)]
pub(super) struct Wanted {
    places: BTreeMap<String, Vec<Arc<Tenant>>>,
    pub(super) unheard: Vec<String>,
}

impl Wanted {
    /// Those of tenants with views that are refreshed when data changes; at most `most` databases of one server.
    pub(super) fn of<'a>(tenants: impl Iterator<Item = &'a Arc<Tenant>>, views: &[View], most: usize) -> Self {
        let views: Vec<&View> = views.iter().filter(|view| view.group == RefreshGroup::Changes).collect();
        let (mut servers, mut deaf) = (BTreeMap::<_, BTreeMap<_, Vec<_>>>::new(), BTreeMap::<_, usize>::new());
        for tenant in tenants.filter(|tenant| tenant.hold.quarantine.is_none()) {
            if !views.iter().any(|view| view.refresh(tenant.variant()).is_some()) {
                continue;
            }
            if !tells_of_changes(tenant.engine) {
                *deaf.entry(tenant.engine).or_default() += 1;
                continue;
            }
            let (server, database) = place(tenant);
            servers.entry(server).or_default().entry(database).or_default().push(tenant.clone());
        }
        let mut wanted = Wanted::default();
        for (engine, n) in deaf {
            wanted.unheard.push(format!(
                "{} on {engine}, which tells nobody of changes: the views of the group changes are not refreshed there by themselves; \
                 give them a group with times (group=hourly), or call POST /api/v1/refresh where the data changes",
                count(n, "tenant")
            ));
        }
        for (server, databases) in servers {
            if databases.len() > most {
                wanted.unheard.push(format!(
                    "{server}: {} of {} are not listened to, and their views of the group changes are not refreshed by themselves; \
                     each takes a connection, and --max-listeners allows {most} on one server",
                    databases.len() - most,
                    count(databases.len(), "database")
                ));
            }
            wanted.places.extend(databases.into_iter().take(most));
        }
        wanted
    }
}

/// A database that is listened to.
struct Place {
    name: String,
    tenants: RefCell<Vec<Arc<Tenant>>>,
    /// `Err`: nothing is heard, and why.
    hears: RefCell<Result<bool, String>>,
    gone: CancellationToken,
}

impl Place {
    /// The tenants that a change of this schema is of. Without the name of one it may be of any in the database, and one that has the
    /// database to itself has all its schemas.
    fn of(&self, schema: &str) -> Vec<TenantId> {
        let tenants = self.tenants.borrow();
        let is_of =
            |tenant: &&Arc<Tenant>| schema.is_empty() || tenant.schema.as_deref().is_none_or(|own| own == schema);
        tenants.iter().filter(is_of).map(|tenant| tenant.id.clone()).collect()
    }
}

/// The databases that are listened to, and what was heard.
pub(super) struct Listening {
    places: RefCell<BTreeMap<String, Rc<Place>>>,
    unheard: RefCell<Vec<String>>,
    due: RefCell<Due>,
    woken: Notify,
    /// The least time from the beginning of a run to that of the next.
    every: Duration,
    terminal: Terminal,
}

impl Listening {
    pub(super) fn new(every: Duration, terminal: Terminal) -> Self {
        let (places, unheard, due, woken) = Default::default();
        Listening { places, unheard, due, woken, every, terminal }
    }

    /// Listens for ever: `look` tells the databases (`None`: not known now), `listen` opens a session, and `refresh` refreshes the views
    /// of as many tenants as one run takes, and returns them.
    pub(super) async fn keep(
        &self,
        look: impl AsyncFn() -> Option<Wanted>,
        listen: impl AsyncFn(Arc<Tenant>) -> Result<Box<dyn Changes>, Fault>,
        refresh: impl AsyncFn(&Due) -> Taken,
    ) {
        let (begin, begun) = mpsc::unbounded_channel();
        tokio::join!(self.look_on(look, begin), self.hear_all(begun, &listen), self.act(refresh));
    }

    async fn look_on(&self, look: impl AsyncFn() -> Option<Wanted>, begin: mpsc::UnboundedSender<Rc<Place>>) {
        loop {
            if let Some(wanted) = look().await {
                self.update(wanted).into_iter().for_each(|place| drop(begin.send(place)));
            }
            sleep(LOOK).await;
        }
    }

    async fn hear_all(
        &self,
        mut begun: mpsc::UnboundedReceiver<Rc<Place>>,
        listen: &impl AsyncFn(Arc<Tenant>) -> Result<Box<dyn Changes>, Fault>,
    ) {
        let mut sessions = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(place) = begun.recv() => sessions.push(async move {
                    tokio::select! {
                        () = place.gone.cancelled() => {}
                        () = self.hear(&place, listen) => {}
                    }
                }),
                Some(()) = sessions.next() => {}
                else => return,
            }
        }
    }

    pub(super) fn heard(&self) -> Heard {
        let places = self.places.borrow();
        let deaf = places
            .values()
            .filter_map(|place| Some(format!("{}: {}", place.name, place.hears.borrow().as_ref().err()?)));
        Heard {
            databases: places.values().filter(|place| *place.hears.borrow() == Ok(true)).count(),
            unheard: self.unheard.borrow().iter().cloned().chain(deaf).collect(),
        }
    }

    /// Takes over what is wanted now, and returns the places that are new.
    fn update(&self, wanted: Wanted) -> Vec<Rc<Place>> {
        for told in wanted.unheard.iter().filter(|told| !self.unheard.borrow().contains(told)) {
            self.terminal.warn(told);
        }
        self.unheard.replace(wanted.unheard);
        let (mut places, mut new) = (self.places.borrow_mut(), Vec::new());
        places.retain(|name, place| {
            let stays = wanted.places.contains_key(name);
            if !stays {
                place.gone.cancel();
            }
            stays
        });
        for (name, tenants) in wanted.places {
            if let Some(place) = places.get(&name) {
                let before = place.tenants.replace(tenants);
                let is_new = |id: &TenantId| !before.iter().any(|tenant| tenant.id == *id);
                self.note(place.of("").into_iter().filter(is_new), Cause::Began);
                continue;
            }
            let (tenants, hears, gone) = (RefCell::new(tenants), RefCell::new(Ok(false)), CancellationToken::new());
            let place = Rc::new(Place { name: name.clone(), tenants, hears, gone });
            places.insert(name, place.clone());
            new.push(place);
        }
        new
    }

    fn note(&self, tenants: impl IntoIterator<Item = TenantId>, cause: Cause) {
        for tenant in tenants {
            let mut due = self.due.borrow_mut();
            let known = due.entry(tenant).or_insert(cause);
            *known = (*known).max(cause);
        }
        self.woken.notify_one();
    }

    /// Listens to a place for ever; a session that is lost is opened anew.
    async fn hear(&self, place: &Place, listen: &impl AsyncFn(Arc<Tenant>) -> Result<Box<dyn Changes>, Fault>) {
        let mut pause = PAUSES.0;
        loop {
            let (begun, through) = (Instant::now(), place.tenants.borrow()[0].clone());
            let fault = match listen(through).await {
                Ok(mut session) => {
                    let _ = place.hears.replace(Ok(true));
                    self.note(place.of(""), Cause::Began);
                    loop {
                        match session.next().await {
                            Ok(schema) => self.note(place.of(&schema), Cause::Told),
                            Err(fault) => break fault,
                        }
                    }
                }
                Err(fault) => fault,
            };
            let why = format!("changes on the channel {CHANNEL} are not heard: {fault}; it is tried again");
            let before = place.hears.replace(Err(why.clone()));
            if before.as_ref().err() != Some(&why) {
                self.terminal.warn(&format!("{}: {why}", place.name));
            }
            // One that is lost again and again is no reason to ask every second.
            pause = if begun.elapsed() > PAUSES.1 { PAUSES.0 } else { pause };
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Refreshes what is due, with one run at a time, and none sooner than `every` after the last. A tenant that was taken and is not
    /// done with goes behind the others: they do not wait for it.
    async fn act(&self, refresh: impl AsyncFn(&Due) -> Taken) {
        loop {
            while self.due.borrow().is_empty() {
                self.woken.notified().await;
            }
            sleep(GATHER).await;
            let begun = Instant::now();
            let due = self.due.take();
            // A change that is told from here on is one for the next run.
            let taken = refresh(&due).await;
            let told = self.due.take();
            let (tried, waiting): (Vec<_>, Vec<_>) = due.into_iter().partition(|(id, _)| taken.contains_key(id));
            let again = tried.into_iter().filter(|(id, _)| !taken[id]);
            for (tenant, cause) in waiting.into_iter().chain(told).chain(again) {
                self.note([tenant], cause);
            }
            sleep_until(begun + self.every).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_tenant_that_could_not_be_refreshed_goes_behind_the_others() {
        let listening = Listening::new(Duration::from_secs(1), Terminal::SILENT);
        listening.note((0..5).map(|n| TenantId::from(format!("t{n}").as_str())), Cause::Told);
        let seen = RefCell::new(Vec::new());
        // It takes two at a time, of which one is held by another run.
        let refresh = async |due: &Due| {
            let taken: Vec<TenantId> = due.keys().take(2).cloned().collect();
            seen.borrow_mut().push(taken.iter().map(TenantId::as_str).collect::<Vec<_>>().join(" "));
            taken.into_iter().map(|id| (id.clone(), id.as_str() != "t0")).collect()
        };
        let _ = tokio::time::timeout(Duration::from_secs(5), listening.act(refresh)).await;
        assert_eq!(*seen.borrow(), ["t0 t1", "t2 t3", "t4 t0", "t0"]);
    }
}
