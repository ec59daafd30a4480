//! Records one run: the plan before anything is touched, then events as they come.
//!
//! A run must never go on as if it were recorded: the first failed write is reported at once.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::entity::{event, pause, run, run_texts, tenant, version};
use super::error::{LedgerError, LedgerLost};
use super::fence::Fence;
use super::open::Store;
use super::writer::{Begun, QUEUE, Timed, Writer, insert_all, json, place};
use crate::crash;
use crate::model::event::{Event, RunHeader};
use crate::model::gate::{GateEnd, GateRecord};
use crate::model::pause::Pause;
use crate::model::sink::{EventSink, SinkLost};

const BEGIN: &str = "begin a run in";

/// Records one run. Dropped without [`Recorder::finish`], it still writes the queued events as long as the runtime
/// lives.
pub(crate) struct Recorder {
    store: Arc<Store>,
    writing: Option<Writing>,
    lost: CancellationToken,
    failure: Arc<OnceLock<Arc<LedgerError>>>,
    asked: watch::Sender<Option<Pause>>,
    begun: Begun,
}

/// The writer task, and the channel to it.
struct Writing {
    inbox: mpsc::Sender<Timed>,
    task: JoinHandle<()>,
    /// How far the times of this run are shifted: see [`Recorder::write_plan`].
    moved_ms: i64,
    /// Makes the task write without waiting for more events; so does dropping it.
    ending: DropGuard,
}

#[async_trait]
impl EventSink for &Recorder {
    async fn take(&mut self, event: &Event, at_ms: i64) -> Result<(), SinkLost> {
        // They were written before the run began.
        if matches!(event, Event::RunStarted(_)) || is_approval(event) {
            return Ok(());
        }
        self.record(event.clone(), at_ms).await.map_err(|_| SinkLost)
    }
}

impl Recorder {
    pub(super) fn new(store: Arc<Store>) -> Recorder {
        Recorder {
            store,
            writing: None,
            lost: CancellationToken::new(),
            failure: Arc::default(),
            asked: watch::Sender::default(),
            begun: Begun::default(),
        }
    }

    /// Writes the run and every selected tenant. When it returns they are on the disk and survive a power cut: nothing
    /// may be touched before.
    ///
    /// # Errors
    /// [`LedgerError::Held`]: a living run has some of the tenants. Others: nothing was recorded, or the answer was lost; do
    /// not start the run.
    pub(crate) async fn begin(&mut self, header: &RunHeader) -> Result<(), LedgerError> {
        self.begin_approved(header, &[]).await
    }

    /// As [`Recorder::begin`], with the gates that a person has approved for it: nobody's approval is lost, and no tenant
    /// moves by one that is not recorded.
    ///
    /// # Errors
    /// As [`Recorder::begin`].
    pub(crate) async fn begin_approved(
        &mut self,
        header: &RunHeader,
        approved: &[GateRecord],
    ) -> Result<(), LedgerError> {
        let explain = || self.store.explain(BEGIN);
        self.store.durably(true).await.map_err(explain())?;
        let written = self.write_plan(header, approved).await;
        let restored = self.store.durably(false).await.map_err(explain());
        let began_at_ms = written.and_then(|began| restored.map(|()| began))?;
        self.store.check_place(BEGIN)?;
        let moved_ms = began_at_ms.saturating_sub(header.started_at_ms);
        self.write(header.run, moved_ms, |writer| writer.behind(place(approved.len())));
        Ok(())
    }

    /// Goes on with a run that several processes share, under this right.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be read.
    pub(crate) async fn join(&mut self, run: Uuid, fence: Fence) -> Result<(), LedgerError> {
        let last = event::Entity::find().select_only().column_as(event::Column::Seq.max(), "last");
        let last = last.filter(event::Column::Run.eq(run.to_string())).into_tuple().one(&self.store.db).await;
        let last: Option<Option<i64>> = last.map_err(self.store.explain("read"))?;
        let next = last.flatten().map_or(0, |last| last + 1);
        self.write(run, 0, |writer| writer.behind(next).under(fence));
        Ok(())
    }

    /// Starts the writer task.
    fn write(&mut self, run: Uuid, moved_ms: i64, with: impl FnOnce(Writer) -> Writer) {
        let (inbox, outbox) = mpsc::channel(QUEUE);
        let ending = CancellationToken::new();
        let writer = with(Writer::new(Arc::clone(&self.store), run.to_string(), outbox, ending.clone()));
        let writer = writer.telling(self.asked.clone(), self.begun.clone());
        let (lost, failure) = (self.lost.clone(), Arc::clone(&self.failure));
        let task = tokio::spawn(async move {
            // The guard signals a panic, too.
            let tell = lost.drop_guard();
            match writer.run().await {
                Ok(()) => drop(tell.disarm()),
                Err(error) => drop(failure.set(Arc::new(error))),
            }
        });
        self.writing = Some(Writing { inbox, task, moved_ms, ending: ending.drop_guard() });
    }

    /// Hands an event to the writer task, which begins to write it within about 50 ms. It waits only when the disk is
    /// thousands of events behind, so that memory stays bounded.
    ///
    /// # Errors
    /// [`LedgerLost`]: a write failed, this event is not recorded and no other will be.
    pub(crate) async fn record(&self, event: Event, now_ms: i64) -> Result<(), LedgerLost> {
        let Some(writing) = &self.writing else { return Err(LedgerLost(Arc::new(LedgerError::NotBegun))) };
        let begins_wave = matches!(event, Event::WaveStarted { .. });
        let sent = writing
            .inbox
            .send((event, now_ms.saturating_add(writing.moved_ms)))
            .await
            .map_err(|_| LedgerLost(self.why_lost()));
        if begins_wave {
            self.begun.hurry.notify_one();
        }
        sent
    }

    /// The waves whose beginnings are on the disk.
    pub(crate) fn begun(&self) -> watch::Receiver<BTreeSet<String>> {
        self.begun.waves.subscribe()
    }

    /// A token that is cancelled at once when a write has failed: nothing new may be started then.
    /// [`Recorder::failure`] says why.
    pub(crate) fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// Completes with the request to pause the run, once that was read: at a heartbeat.
    pub(crate) async fn asked(&self) -> Pause {
        let mut asked = self.asked.subscribe();
        loop {
            let request = asked.borrow_and_update().clone();
            if let Some(request) = request {
                return request;
            }
            // The sender lives as long as the recorder.
            let _ = asked.changed().await;
        }
    }

    /// The error that lost the ledger, once it is lost.
    #[cfg(test)]
    pub(crate) fn failure(&self) -> Option<Arc<LedgerError>> {
        self.lost.is_cancelled().then(|| self.why_lost())
    }

    /// Writes the remaining events and waits for it.
    ///
    /// # Errors
    /// The first write that failed, in all of the run.
    pub(crate) async fn finish(mut self) -> Result<(), LedgerError> {
        let Some(Writing { inbox, task, ending, .. }) = self.writing.take() else { return Ok(()) };
        drop((inbox, ending));
        let failure = match task.await {
            Ok(()) => self.failure.get().cloned(),
            Err(_) => Some(self.why_lost()),
        };
        failure.map_or(Ok(()), |error| Err(Arc::unwrap_or_clone(error)))
    }

    fn why_lost(&self) -> Arc<LedgerError> {
        let died = || Arc::new(LedgerError::WriterDied { site: self.store.site.name() });
        self.failure.get().cloned().unwrap_or_else(died)
    }

    /// Writes the plan and returns when the run began, in the ledger's order: later than every run that is recorded
    /// already. By the clock of its machine alone, a run after one of a machine whose clock is fast would count as the
    /// earlier one. All times of a run are shifted by the same amount, so that durations stay correct. Two runs that are
    /// recorded at the same moment may have the same time; their ids decide then.
    ///
    /// Dying in it: nothing is recorded, and no tenant was touched.
    async fn write_plan(&self, header: &RunHeader, approved: &[GateRecord]) -> Result<i64, LedgerError> {
        let explain = || self.store.explain(BEGIN);
        let tx = self.store.begin().await.map_err(explain())?;
        // One run begins at a time: of two that are started together, the second finds the first. SQLite's transaction has
        // the lock already.
        version::Entity::find().lock_exclusive().all(&tx).await.map_err(explain())?;
        let tenants = header.tenants.iter().map(|planned| &planned.tenant).collect();
        self.store.refuse_held(&tx, &tenants, None).await?;
        let began = self.write_rows(header, approved, &tx).await.map_err(explain())?;
        crash::at("unwritten", "run_started");
        tx.commit().await.map_err(explain())?;
        crash::at("written", "run_started");
        Ok(began)
    }

    /// Dying in it: as [`Recorder::write_plan`].
    async fn write_rows(
        &self,
        header: &RunHeader,
        approved: &[GateRecord],
        tx: &DatabaseTransaction,
    ) -> Result<i64, DbErr> {
        let run = header.run.to_string();
        let newest = run::Entity::find().select_only().column_as(run::Column::StartedAtMs.max(), "newest");
        let newest: Option<Option<i64>> = newest.into_tuple().one(tx).await?;
        let began_at_ms =
            newest.flatten().map_or(header.started_at_ms, |ms| header.started_at_ms.max(ms.saturating_add(1)));
        let row = run::Model {
            run: run.clone(),
            direction: header.direction.to_string(),
            goal: header.goal.clone(),
            goal_data: json(&header.kind),
            resumes: header.resumes.as_ref().map(Uuid::to_string),
            catalog: json(&header.catalog),
            program: header.program.clone(),
            selected: place(header.tenants.len()),
            started_at_ms: began_at_ms,
            finished_at_ms: None,
            stats: None,
            heartbeat_at_ms: Some(began_at_ms),
            started_by: Some(json(&header.started_by)),
            selection: Some(json(&header.selection)),
        };
        let tenant = |(index, planned): (usize, &crate::model::event::PlannedTenant)| tenant::Model {
            run: run.clone(),
            place: place(index),
            tenant: planned.tenant.to_string(),
            engine: planned.engine.name().to_owned(),
            server: planned.server.clone(),
            wave: planned.wave.clone(),
            target: planned.target.as_ref().map(json),
            database_at: planned.database.clone(),
        };
        let tenants: Vec<tenant::Model> = header.tenants.iter().enumerate().map(tenant).collect();
        insert_all(tx, [&row], |_| 0).await?;
        if !header.texts.is_empty() {
            let texts = run_texts::Model { run: run.clone(), texts: json(&header.texts) };
            insert_all(tx, [&texts], |_| 0).await?;
        }
        insert_all(tx, &[pause::Model { run: run.clone(), request: None }], |_| 0).await?;
        self.store.sign_of_life(&run, tx).await?;
        insert_all(tx, &tenants, |row| row.tenant.len() + row.server.len() + 128).await?;
        let event = |(seq, gate): (usize, &GateRecord)| event::Model {
            run: run.clone(),
            seq: place(seq),
            at_ms: began_at_ms,
            event: json(&Event::GateFinished(gate.clone())),
        };
        let events: Vec<event::Model> = approved.iter().enumerate().map(event).collect();
        insert_all(tx, &events, |row| row.event.len()).await?;
        Ok(began_at_ms)
    }
}

/// Whether an event tells of a gate that a person approved, which happens before a run alone.
fn is_approval(event: &Event) -> bool {
    matches!(event, Event::GateFinished(GateRecord { end: GateEnd::Approved, .. }))
}
