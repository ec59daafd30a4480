//! Reads many tenants at once, for read-only commands.
//!
//! It creates and changes nothing; an unreadable tenant is an observation like any other.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::decide::WAITS;
use super::queue::Queue;
use crate::compile::MigrationSet;
use crate::engine::{Continuation, Database, Session, continuation, with_session};
use crate::model::answer::Answer;
use crate::model::engine::Variant;
use crate::model::fault::{Fault, FaultClass};
use crate::model::health::{Health, Questions};
use crate::model::observation::Observation;
use crate::model::schema::{Catalog, State};
use crate::model::tenant::{Engine, Tenant};
use crate::policy::{Concurrency, Timeouts};

/// The concurrency and time limits of reading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace<'a> {
    /// The concurrency caps.
    pub(crate) concurrency: Concurrency,
    /// The time limits per tenant.
    pub(crate) timeouts: Timeouts,
    /// Maximum wait per tenant for a server without a free connection.
    pub(crate) lock_wait_limit: Duration,
    /// The time limit of one tenant's whole answer; `None`: that of a short question.
    pub(crate) answer: Option<Duration>,
    /// Counts the tenants that were read, for who waits.
    pub(crate) done: &'a AtomicUsize,
}

/// The distinct histories of many tenants, each of them once.
#[derive(Default)]
pub(super) struct Histories(Mutex<HashSet<Arc<[String]>>>);

impl Histories {
    pub(super) fn shared(&self, history: Vec<String>) -> Arc<[String]> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(history.as_slice()) {
            return known.clone();
        }
        let new: Arc<[String]> = history.into();
        known.insert(new.clone());
        new
    }
}

/// Reads every tenant once and returns the observations, in the order given. If it asks for tables, the tenants on which nothing is
/// applied have their number.
pub(crate) async fn observe(
    tenants: &[Arc<Tenant>],
    (set, asks_tables): (&MigrationSet, bool),
    database: &Arc<dyn Database>,
    pace: Pace<'_>,
) -> Vec<Observation> {
    let catalog = set.catalog();
    let mut found: Vec<Option<Observation>> = vec![None; tenants.len()];
    let together = database.read_together(tenants).await;
    let histories = Arc::new(Histories::default());
    let mut alone = Vec::new();
    for (i, tenant) in tenants.iter().enumerate() {
        // One with an open journal is not among them.
        match together.get(&tenant.id).map(|history| (history, catalog.state(history, tenant.variant()))) {
            Some((_, State::Empty)) if asks_tables => alone.push(i),
            None => alone.push(i),
            Some((history, state)) => {
                found[i] = Some(Observation::new(tenant, catalog, histories.shared(history.clone()), state));
            }
        }
    }
    pace.done.fetch_add(tenants.len() - alone.len(), Ordering::Relaxed);
    let rest: Vec<Arc<Tenant>> = alone.iter().map(|&i| tenants[i].clone()).collect();
    let known = catalog.clone();
    let answers = ask_each(&rest, database, pace, move |tenant, session| {
        let (catalog, histories, variant) = (known.clone(), histories.clone(), tenant.variant());
        Box::pin(async move {
            let (history, state) = state_of(session, variant, &catalog).await?;
            // Without an answer none are told.
            let tables = match state {
                State::Empty if asks_tables => session.table_count().await.unwrap_or_default(),
                _ => 0,
            };
            Ok((histories.shared(history), state, tables))
        })
    });
    for (i, answer) in alone.into_iter().zip(answers.await) {
        found[i] = Some(match answer {
            Ok((history, state, tables)) => {
                Observation { tables, ..Observation::new(&tenants[i], catalog, history, state) }
            }
            Err(fault) => Observation::unreachable(&tenants[i], fault),
        });
    }
    let mut found: Vec<Observation> = found.into_iter().flatten().collect();
    compare_scripts(found.iter_mut().map(|o| (o.variant(), &mut o.state)), set).await;
    found
}

/// A tenant with an unfinished migration is partially applied if the next run resumes it by itself, otherwise in doubt. Many
/// tenants stop in the same script, and each is compiled once.
pub(super) async fn compare_scripts(states: impl Iterator<Item = (Variant, &mut State)>, set: &MigrationSet) {
    let mut scripts = HashMap::new();
    for (variant, state) in states {
        let (State::Stopped(unfinished) | State::InDoubt(unfinished)) = &*state else { continue };
        let key = (variant, unfinished.direction, unfinished.migration.clone(), unfinished.sha256.clone());
        if !scripts.contains_key(&key) {
            scripts.insert(key.clone(), set.script_of(variant, unfinished).await);
        }
        let script = scripts[&key].as_ref();
        let next = script.map(|script| continuation(unfinished, script));
        let unfinished = set.catalog().named(unfinished.clone());
        let unfinished = script.map_or(unfinished.clone(), |script| with_session(unfinished, script));
        *state = match next {
            Some(Continuation::At(_)) => State::Stopped(unfinished),
            _ if !unfinished.lost.is_empty() => State::Stopped(unfinished),
            _ => State::InDoubt(unfinished),
        };
    }
}

/// The time of each entry in one tenant's history.
pub(crate) async fn observe_applied(
    tenant: &Arc<Tenant>,
    database: &Arc<dyn Database>,
    pace: Pace<'_>,
) -> Result<Vec<(String, i64)>, Fault> {
    let tenants = std::slice::from_ref(tenant);
    ask_each(tenants, database, pace, |_, session| session.applied()).await.remove(0)
}

/// The answers of each tenant to a text of SQL that can't change anything: one list per tenant, in the order given. The
/// text has the time that a statement has.
pub(crate) async fn answers(
    tenants: &[Arc<Tenant>],
    database: &Arc<dyn Database>,
    pace: Pace<'_>,
    sql: &Arc<str>,
) -> Vec<Result<Vec<Answer>, Fault>> {
    let statement = pace.timeouts.statement;
    let most = if statement.is_zero() { Duration::from_secs(u64::from(u32::MAX)) } else { statement };
    let timeouts = Timeouts { lock: pace.timeouts.lock + most, ..pace.timeouts };
    let sql = sql.clone();
    ask_each(tenants, database, Pace { timeouts, ..pace }, move |_, session| {
        let sql = sql.clone();
        Box::pin(async move { session.answers(&sql).await })
    })
    .await
}

/// The last refresh time of each view of each tenant: one list per tenant, in the order given.
pub(crate) async fn observe_refreshes(
    tenants: &[Arc<Tenant>],
    database: &Arc<dyn Database>,
    pace: Pace<'_>,
) -> Vec<Result<Vec<(String, i64)>, Fault>> {
    ask_each(tenants, database, pace, |_, session| session.refreshes()).await
}

/// The estimated rows of each tenant's tables, of those wanted on its engine: one list per tenant, in the order given.
/// Names of tables are in lower case.
pub(crate) async fn estimate_rows(
    tenants: &[Arc<Tenant>],
    database: &Arc<dyn Database>,
    pace: Pace<'_>,
    wanted: HashMap<Engine, Vec<String>>,
) -> Vec<Result<Vec<(String, u64)>, Fault>> {
    let wanted = Arc::new(wanted);
    ask_each(tenants, database, pace, move |tenant, session| {
        let (wanted, engine) = (wanted.clone(), tenant.engine);
        Box::pin(async move { session.row_estimates(wanted.get(&engine).map_or(&[], Vec::as_slice)).await })
    })
    .await
}

/// The sizes of the tenants' databases in bytes, as their engines tell them, in the order given; `None`: not known, or there
/// is no database yet.
pub(crate) async fn sizes(tenants: &[Arc<Tenant>], database: &Arc<dyn Database>, pace: Pace<'_>) -> Vec<Option<u64>> {
    let answers = ask_each(tenants, database, pace, |_, session| session.footprint()).await;
    answers.into_iter().map(|answer| answer.ok().flatten()).collect()
}

/// The health of each tenant's database and its server: one answer per tenant, in the order given. Server-wide values
/// are read from the first tenant of the server that answers, and extensions from the first of each database.
pub(crate) async fn examine(
    tenants: &[Arc<Tenant>],
    database: &Arc<dyn Database>,
    pace: Pace<'_>,
    wanted: &Questions,
) -> Vec<Result<Health, Fault>> {
    let asked = Arc::new(Mutex::new(HashSet::new()));
    let wanted = wanted.clone();
    ask_each(tenants, database, pace, move |tenant, session| {
        let questions = questions(tenant, &asked, &wanted);
        Box::pin(async move {
            let health = session.health(&questions).await?;
            let is_held = questions.closely && session.is_held().await?;
            Ok(Health { is_held, ..health })
        })
    })
    .await
}

/// Asks each tenant one question in a separate session, within the caps and the time limit of one reading. A server
/// without a free connection is asked with lower concurrency, and again.
pub(super) async fn ask_each<T: Send + 'static>(
    tenants: &[Arc<Tenant>],
    database: &Arc<dyn Database>,
    pace: Pace<'_>,
    question: impl for<'a> Fn(&Tenant, &'a mut dyn Session) -> BoxFuture<'a, Result<T, Fault>>
    + Clone
    + Send
    + Sync
    + 'static,
) -> Vec<Result<T, Fault>> {
    let mut queue =
        Queue::new(tenants.iter().enumerate(), pace.concurrency.global.get(), pace.concurrency.per_server.get());
    let limit = pace.answer.unwrap_or(pace.timeouts.connect * 2 + pace.timeouts.lock);
    let mut found: Vec<_> = tenants.iter().map(|_| Err(lost())).collect();
    let mut running = JoinSet::new();
    let mut waits: HashMap<usize, (u32, Duration)> = HashMap::new();
    loop {
        while let Some(i) = queue.pop(Instant::now(), true) {
            let (tenant, database, question) = (tenants[i].clone(), database.clone(), question.clone());
            let read = async move {
                let mut session = database.connect(&tenant).await?;
                let answer = question(&tenant, session.as_mut()).await;
                session.close().await;
                answer
            };
            let span = super::log::tenant(&tenants[i]);
            let within = async move { tokio::time::timeout(limit, read).await.unwrap_or_else(|_| Err(silent())) };
            let read =
                async move { (i, AssertUnwindSafe(within).catch_unwind().await.unwrap_or_else(|_| Err(lost()))) };
            running.spawn(read.instrument(span));
        }
        let wake = queue.next_wake();
        if running.is_empty() && wake.is_none() {
            return found;
        }
        let (i, answer) = tokio::select! {
            Some(joined) = running.join_next() => joined.expect("a task catches its panic, and none is aborted"),
            () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => continue,
        };
        queue.release(i);
        let is_full = answer.as_ref().is_err_and(|fault| fault.class == FaultClass::TooManyConnections);
        found[i] = answer;
        if !is_full {
            queue.relax(i);
            pace.done.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        queue.throttle(i);
        let (times, waited) = waits.entry(i).or_default();
        if *waited < pace.lock_wait_limit {
            let pause = WAITS.pause(*times, fastrand::f64());
            *times += 1;
            *waited += pause;
            queue.delay(i, Instant::now() + pause);
        } else {
            pace.done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The open questions about a tenant's server and database; they count as asked from now on.
fn questions(tenant: &Tenant, asked: &Mutex<HashSet<String>>, wanted: &Questions) -> Questions {
    let Questions { extensions, closely, .. } = wanted;
    let (server, database) = crate::engine::place(tenant);
    let mut asked = asked.lock().expect("nobody panics while holding it");
    let is_new = tenant.engine.capabilities().extensions
        && !extensions.is_empty()
        && asked.insert(format!("database {database}"));
    let extensions = if is_new { extensions.clone() } else { Vec::new() };
    Questions { server: asked.insert(server), extensions, closely: *closely }
}

fn lost() -> Fault {
    Fault::new(FaultClass::Panic, "fleet itself panicked while it read this tenant")
}

fn silent() -> Fault {
    Fault::new(FaultClass::ConnectTimeout, "the server accepted the connection and did not answer")
}

/// The history and state of a tenant. A journal comes before any of them: a step that is half there may be no part of the
/// catalog any more.
pub(super) async fn state_of(
    session: &mut dyn Session,
    variant: Variant,
    catalog: &Catalog,
) -> Result<(Vec<String>, State), Fault> {
    let mut was_open = false;
    loop {
        let history = session.history().await?;
        let state = catalog.state(&history, variant);
        if session.saw_no_journal() {
            return Ok((history, state));
        }
        let state = match session.unfinished().await? {
            None => state,
            Some(unfinished) if unfinished.goes_on() => State::Stopped(unfinished),
            Some(_) if session.is_held().await? => State::Migrating,
            // The run that held it may have finished between the two queries.
            Some(_) if !was_open => {
                was_open = true;
                continue;
            }
            Some(unfinished) => State::InDoubt(unfinished),
        };
        return Ok((history, state));
    }
}
