//! The task that writes a run's events: it gathers queued events and writes them in one transaction.
//!
//! The run must not wait for it, and it never gives up silently: its first failure ends it and is reported to the run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, Iterable, PrimaryKeyToColumn,
    QueryFilter,
};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::entity::{attempt, event, outcome, progress, run};
use super::error::LedgerError;
use super::fence::Fence;
use super::open::Store;
use crate::crash;
use crate::model::event::Event;
use crate::model::outcome::TenantRecord;
use crate::model::pause::Pause;

/// Maximum number of queued events. A run produces fewer in the time that a healthy disk needs for one batch.
pub(super) const QUEUE: usize = 4_096;

/// Number of events that are written without waiting for more.
const BATCH: usize = 512;

/// Maximum number of events in one transaction: its rows are in memory once more while they are written.
const LARGEST_BATCH: usize = 1_024;

/// Time for which the first event of a batch waits for others.
const GATHER: Duration = Duration::from_millis(50);

/// Maximum number of rows in one statement. With at most 8 columns it stays far below the lowest parameter limit of the
/// engines (SQLite 32,766, PostgreSQL and MySQL 65,535).
const ROWS: usize = 1_000;

/// Approximate maximum size of one statement in bytes: MySQL's default `max_allowed_packet` was 4 MB for long.
const BYTES: usize = 1_000_000;

/// Pauses before a batch is written again, for a server that restarts. Files are not tried again.
const PAUSES: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(4)];

/// The heartbeat interval.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// The low bits of the number of an attempt in a shared run, which are its tenant's place.
const PLACE_BITS: u32 = 20;

const WRITE: &str = "write";

/// An event and its time, in milliseconds since 1970-01-01 UTC.
pub(super) type Timed = (Event, i64);

/// The waves whose beginnings are on the disk: the run waits for them.
#[derive(Clone, Default)]
pub(super) struct Begun {
    pub(super) waves: watch::Sender<BTreeSet<String>>,
    /// Has the task write at once.
    pub(super) hurry: Arc<Notify>,
}

/// Writes the events of one run.
pub(super) struct Writer {
    store: Arc<Store>,
    run: String,
    inbox: mpsc::Receiver<Timed>,
    /// Cancelled when the run ends: from then on nothing waits for others.
    ending: CancellationToken,
    /// The tenants in flight.
    started: HashMap<usize, Started>,
    /// The places at which the last readings of servers are kept, below those of tenants.
    servers: HashMap<String, i64>,
    next_seq: i64,
    next_event: i64,
    heartbeat: Interval,
    /// The right to write of a run that several processes share.
    fence: Option<Fence>,
    /// Where a request to pause the run is told.
    asked: Option<watch::Sender<Option<Pause>>>,
    begun: Begun,
}

/// A tenant in flight.
struct Started {
    /// The start of its current attempt.
    at_ms: i64,
    /// Its first start, by two clocks, until it is noted: most are done before.
    first: Option<(i64, Instant, Event)>,
}

/// The rows of one transaction.
#[derive(Default, PartialEq)]
struct Batch {
    /// By place: a tenant that occurs twice in one batch is one row, as several engines require.
    outcomes: BTreeMap<i64, outcome::Model>,
    attempts: Vec<attempt::Model>,
    events: Vec<event::Model>,
    /// By place: only the latest of a tenant, or of a server, is kept.
    progress: BTreeMap<i64, progress::Model>,
    finished: Option<(i64, String)>,
    /// The waves that begin.
    waves: Vec<String>,
}

impl Writer {
    pub(super) fn new(
        store: Arc<Store>,
        run: String,
        inbox: mpsc::Receiver<Timed>,
        ending: CancellationToken,
    ) -> Writer {
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (started, servers, fence, asked, begun) = (HashMap::new(), HashMap::new(), None, None, Begun::default());
        Writer {
            store,
            run,
            inbox,
            ending,
            started,
            servers,
            next_seq: 0,
            next_event: 0,
            heartbeat,
            fence,
            asked,
            begun,
        }
    }

    /// Writes as one of several, under this right.
    pub(super) fn under(self, fence: Fence) -> Self {
        Writer { fence: Some(fence), ..self }
    }

    /// Tells of a request to pause the run, and of the waves that are recorded. One who has a single tenant of it brings that to
    /// its end.
    pub(super) fn telling(self, asked: watch::Sender<Option<Pause>>, begun: Begun) -> Self {
        let of_run = !matches!(self.fence, Some(Fence::Has { .. }));
        Writer { asked: of_run.then_some(asked), begun, ..self }
    }

    /// Counts events behind those that were written with the plan.
    pub(super) fn behind(self, written: i64) -> Self {
        Writer { next_event: written, ..self }
    }

    /// Writes until the inbox is closed and empty.
    pub(super) async fn run(mut self) -> Result<(), LedgerError> {
        let mut events = Vec::with_capacity(BATCH);
        while self.gather(&mut events).await? {
            let mut batch = Batch::default();
            let mut moments: Vec<&'static str> = Vec::new();
            if crash::ARE_ARMED {
                moments.extend(events.iter().map(|(event, _)| <&str>::from(event)));
            }
            for (event, now_ms) in events.drain(..) {
                self.add(&mut batch, event, now_ms);
            }
            moments.iter().for_each(|event| crash::at("unwritten", event));
            self.write(&batch).await?;
            moments.iter().for_each(|event| crash::at("written", event));
            if !batch.waves.is_empty() {
                self.begun.waves.send_modify(|waves| waves.extend(batch.waves));
            }
        }
        Ok(())
    }

    /// Takes the queued events; false when there are none and never will be. It sleeps instead of waking for each
    /// event: a run makes a thousand a second, and every wake would cost the run's own threads.
    async fn gather(&mut self, events: &mut Vec<Timed>) -> Result<bool, LedgerError> {
        let taken = loop {
            tokio::select! {
                taken = self.inbox.recv_many(events, BATCH) => break taken,
                _ = self.heartbeat.tick() => {
                    self.beat().await?;
                    self.look_for_pause().await;
                    self.note_in_flight().await?;
                }
            }
        };
        if taken == 0 {
            return Ok(false);
        }
        if taken < BATCH {
            tokio::select! {
                () = tokio::time::sleep(GATHER) => {}
                () = self.ending.cancelled() => {}
                () = self.begun.hurry.notified() => {}
            }
            while events.len() < LARGEST_BATCH {
                let Ok(event) = self.inbox.try_recv() else { break };
                events.push(event);
            }
        }
        Ok(true)
    }

    /// Writes a heartbeat, also while nothing else is written. Dying before it: the run counts as dead a little
    /// earlier. A heartbeat that waits for a lock is given up exactly as a batch is: without one, other programs take the
    /// run for dead and would accept to resume it. One that was frozen for so long that this has happened goes no further.
    async fn beat(&self) -> Result<(), LedgerError> {
        let once = || self.in_time(self.store.sign_of_life(&self.run, &self.store.db));
        persist(once, |error| self.store.site.is_worth_another_try(error)).await?;
        let (None, Ok(run)) = (self.fence, self.run.parse()) else { return Ok(()) };
        // One that can't be looked for now is looked for at the next heartbeat.
        match tokio::time::timeout(self.store.longest_write, self.store.refuse_superseded(run)).await {
            Ok(Err(superseded @ LedgerError::Superseded { .. })) => Err(superseded),
            _ => Ok(()),
        }
    }

    /// Looks whether the run is asked to pause. Dying behind it: the run has died, and is not paused.
    async fn look_for_pause(&mut self) {
        let Some(asked) = self.asked.as_ref().filter(|asked| asked.borrow().is_none()) else { return };
        // One that can't be read now is looked for at the next heartbeat.
        let read = tokio::time::timeout(self.store.longest_write, self.store.pause_of(&self.run)).await;
        if let Ok(Ok(Some(request))) = read {
            asked.send_replace(Some(request));
        }
    }

    /// Notes the tenants that have been in flight for longer than a heartbeat, each once, for readers of a run that goes on:
    /// where all are done sooner there is no row. Dying before it: a reader takes them for waiting.
    async fn note_in_flight(&mut self) -> Result<(), LedgerError> {
        let mut batch = Batch::default();
        for (&index, started) in &mut self.started {
            let is_long = |(_, since, _): &mut (i64, Instant, Event)| since.elapsed() >= HEARTBEAT;
            let Some((at_ms, _, event)) = started.first.take_if(is_long) else { continue };
            let (run, place) = (self.run.clone(), place(index));
            batch.progress.insert(place, progress::Model { run, place, at_ms, event: json(&event) });
        }
        self.write(&batch).await
    }

    fn add(&mut self, batch: &mut Batch, event: Event, now_ms: i64) {
        match event {
            Event::AttemptStarted { index, .. } => {
                let first = || Started { at_ms: now_ms, first: Some((now_ms, Instant::now(), event)) };
                self.started.entry(index).or_insert_with(first).at_ms = now_ms;
            }
            Event::AttemptFailed { index, attempt, error, retry_in_ms, .. } => {
                let retry_in_ms = Some(i64::try_from(retry_in_ms).unwrap_or(i64::MAX));
                let row = self.attempt(index, attempt, now_ms);
                batch.attempts.push(attempt::Model { fault: Some(json(&error)), retry_in_ms, ..row });
            }
            Event::TenantFinished(record) => {
                if record.attempts > 1 || (record.attempts == 1 && record.error.is_some()) {
                    let row = self.attempt(record.index, record.attempts, now_ms);
                    batch.attempts.push(attempt::Model { fault: record.error.as_ref().map(json), ..row });
                }
                self.started.remove(&record.index);
                let row = self.outcome(&record, now_ms);
                batch.outcomes.insert(row.place, row);
            }
            Event::RunFinished { stats } => batch.finished = Some((now_ms, json(&stats))),
            Event::Progress { index, .. } => {
                let (run, place) = (self.run.clone(), place(index));
                let row = progress::Model { run, place, at_ms: now_ms, event: json(&event) };
                batch.progress.insert(place, row);
                // A later note would hide it.
                self.started.entry(index).and_modify(|started| started.first = None);
            }
            Event::ServerLoad { ref server, turns: false, .. } => {
                let known = i64::try_from(self.servers.len()).unwrap_or(i64::MAX);
                let place = *self.servers.entry(server.clone()).or_insert(-1 - known);
                let row = progress::Model { run: self.run.clone(), place, at_ms: now_ms, event: json(&event) };
                batch.progress.insert(place, row);
            }
            Event::WaveStarted { .. }
            | Event::ServerLoad { .. }
            | Event::Overloaded(_)
            | Event::GateStarted { .. }
            | Event::GateFinished(_)
            | Event::RollbackDue { .. }
            | Event::WaveClosed { .. }
            | Event::WaveFinished { .. }
            | Event::HookFinished { .. }
            | Event::OutsideWindow { .. }
            | Event::LeftOut { .. }
            | Event::Uncovered { .. }
            | Event::LateJoiners { .. }
            | Event::PauseRequested(_)
            | Event::Draining { .. }
            | Event::Cancelling { .. } => {
                if let Event::WaveStarted { wave, .. } = &event {
                    batch.waves.push(wave.clone());
                }
                let seq = self.next_event;
                self.next_event += 1;
                batch.events.push(event::Model { run: self.run.clone(), seq, at_ms: now_ms, event: json(&event) });
            }
            Event::RunStarted(_) => {}
        }
    }

    /// An attempt that ended now, successful unless the caller adds a fault.
    fn attempt(&mut self, index: usize, attempt: u32, now_ms: i64) -> attempt::Model {
        // Readers go on behind the last that they saw, whichever process wrote it: among several, the time leads.
        if self.fence.is_some() {
            self.next_seq = self.next_seq.max((now_ms << PLACE_BITS) | (place(index) & ((1 << PLACE_BITS) - 1)));
        }
        let seq = self.next_seq;
        self.next_seq += 1;
        attempt::Model {
            run: self.run.clone(),
            seq,
            place: place(index),
            attempt: i64::from(attempt),
            started_at_ms: self.started.get(&index).map_or(now_ms, |started| started.at_ms),
            ended_at_ms: now_ms,
            fault: None,
            retry_in_ms: None,
        }
    }

    fn outcome(&self, record: &TenantRecord, now_ms: i64) -> outcome::Model {
        outcome::Model {
            run: self.run.clone(),
            place: place(record.index),
            outcome: record.outcome.name().to_owned(),
            at_ms: now_ms,
            record: json(record),
        }
    }

    /// Writes a batch, and again where that can help: all its statements may be repeated, also after a commit whose
    /// answer was lost.
    async fn write(&self, batch: &Batch) -> Result<(), LedgerError> {
        persist(|| self.in_time(self.try_durably(batch)), |error| self.store.site.is_worth_another_try(error)).await
    }

    /// The beginning of a wave survives a power cut, with all before it: tenants of the wave are touched then.
    async fn try_durably(&self, batch: &Batch) -> Result<(), DbErr> {
        if batch.waves.is_empty() {
            return self.try_write(batch).await;
        }
        self.store.durably(true).await?;
        let written = self.try_write(batch).await;
        written.and(self.store.durably(false).await)
    }

    /// Writes once, and no longer than a server may take for it.
    async fn in_time(&self, write: impl Future<Output = Result<(), DbErr>>) -> Result<(), LedgerError> {
        let limit = self.store.longest_write;
        match tokio::time::timeout(limit, write).await {
            Ok(done) => {
                done.map_err(self.store.explain(WRITE))?;
                self.store.check_place(WRITE)
            }
            Err(_) => {
                let text = format!("no answer within {} s; does another session lock its tables?", limit.as_secs());
                Err(self.store.site.unreachable(WRITE, &text))
            }
        }
    }

    async fn try_write(&self, batch: &Batch) -> Result<(), DbErr> {
        if *batch == Batch::default() {
            return Ok(());
        }
        let tx = self.store.begin().await?;
        if let Some(fence) = self.fence
            && !fence.pass(&tx, &self.run, batch.outcomes.values()).await?
        {
            return Ok(());
        }
        insert_all(&tx, batch.outcomes.values(), |row| row.record.len()).await?;
        insert_all(&tx, &batch.attempts, |row| row.fault.as_ref().map_or(0, String::len)).await?;
        insert_all(&tx, &batch.events, |row| row.event.len()).await?;
        insert_all(&tx, batch.progress.values(), |row| row.event.len()).await?;
        if let Some((at_ms, stats)) = &batch.finished {
            run::Entity::update_many()
                .col_expr(run::Column::FinishedAtMs, Expr::value(*at_ms))
                .col_expr(run::Column::Stats, Expr::value(stats.clone()))
                .filter(run::Column::Run.eq(&self.run))
                .exec(&tx)
                .await?;
        }
        tx.commit().await
    }
}

/// Does `once`, and again after each of [`PAUSES`] while its error is worth a retry.
async fn persist<F: Future<Output = Result<(), LedgerError>>>(
    once: impl Fn() -> F,
    is_worth_it: impl Fn(&LedgerError) -> bool,
) -> Result<(), LedgerError> {
    for pause in PAUSES {
        match once().await {
            Err(error) if is_worth_it(&error) => tokio::time::sleep(pause).await,
            done => return done,
        }
    }
    once().await
}

/// Inserts rows, many per statement; an existing row is replaced.
pub(super) async fn insert_all<'m, M, A, C>(
    db: &C,
    rows: impl IntoIterator<Item = &'m M>,
    bytes: impl Fn(&M) -> usize,
) -> Result<(), DbErr>
where
    M: Clone + IntoActiveModel<A> + sea_orm::ModelTrait<Entity = A::Entity> + 'm,
    A: ActiveModelTrait + Send,
    C: ConnectionTrait,
{
    let columns = || <A::Entity as EntityTrait>::Column::iter();
    let key = <A::Entity as EntityTrait>::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column);
    let replace = OnConflict::columns(key).update_columns(columns()).to_owned();
    let rows: Vec<&M> = rows.into_iter().collect();
    let mut rest = rows.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(fitting(rest, &bytes));
        let models = now.iter().map(|&row| row.clone().into_active_model());
        A::Entity::insert_many(models).on_conflict(replace.clone()).exec_without_returning(db).await?;
        rest = later;
    }
    Ok(())
}

/// Number of the first rows that fit in one statement; at least one.
fn fitting<M>(rows: &[&M], bytes: impl Fn(&M) -> usize) -> usize {
    let mut sum = 0;
    let fit = rows.iter().take(ROWS).take_while(|row| {
        sum += bytes(row);
        sum <= BYTES
    });
    fit.count().max(1)
}

/// A place in the plan as the ledger stores it.
pub(super) fn place(index: usize) -> i64 {
    i64::try_from(index).expect("a plan holds fewer than 2^63 tenants")
}

/// A value of `model` as JSON.
pub(super) fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("the vocabulary has string keys only and serialises without I/O")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// The number of tries of a write that fails `failures` times, and its result.
    async fn tries(failures: usize, is_worth_it: bool) -> (usize, Result<(), LedgerError>) {
        let made = Cell::new(0);
        let once = || {
            made.set(made.get() + 1);
            std::future::ready(if made.get() <= failures { Err(LedgerError::NotBegun) } else { Ok(()) })
        };
        let done = persist(once, |_| is_worth_it).await;
        (made.get(), done)
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_is_made_again_a_few_times_and_only_where_it_helps() {
        assert_eq!(tries(0, true).await, (1, Ok(())));
        assert_eq!(tries(3, true).await, (4, Ok(())));
        assert_eq!(tries(9, true).await, (4, Err(LedgerError::NotBegun)));
        assert_eq!(tries(9, false).await, (1, Err(LedgerError::NotBegun)));
    }

    #[test]
    fn a_statement_is_bounded_in_rows_and_bytes() {
        let rows: Vec<&usize> = vec![&400_000; 5];
        assert_eq!(fitting(&rows, |&size| size), 2);
        assert_eq!(fitting(&[&5_000_000_usize; 2], |&size| size), 1, "a giant goes alone");
        assert_eq!(fitting(&[&1_usize; 5_000], |&size| size), ROWS);
    }
}
