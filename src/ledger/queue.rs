//! The queue through which the tenants of a shared run come to its runners.
//!
//! It is a way of handing out and nothing else: a job that is lost, or comes twice, changes nothing but the time. Which tenant
//! is whose is in the claims, and the leader of a run puts a claim into the queue again that nobody holds.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use graphile_worker::{
    IntoTaskHandlerResult, JobKeyMode, JobSpec, TaskHandler, Worker, WorkerContext, WorkerOptions, WorkerUtils,
};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgPool};
use uuid::Uuid;

use super::Location;
use super::database::LedgerDatabase;
use super::error::LedgerError;

/// The schema of the queue, in the ledger's database.
const SCHEMA: &str = "fleet_queue";

/// The interval at which a runner that is free looks for a tenant. It listens for nothing: a pooler in between would lose that.
const LOOK: Duration = Duration::from_millis(100);

/// The connections of a runner to the queue.
const CONNECTIONS: u32 = 3;

/// A job is never given up while its claim is there.
const ATTEMPTS: i16 = i16::MAX;

/// Takes the tenant at a place, if it is still to be taken, and comes back when it has its end.
pub(crate) type Take = Arc<dyn Fn(i64) -> BoxFuture<'static, ()> + Send + Sync>;

/// A job: a tenant that is handed out.
#[derive(Serialize, Deserialize)]
struct HandedOut {
    run: Uuid,
    place: i64,
}

/// The taker of a runner, as its jobs find it.
#[derive(Clone)]
struct Taker(Take);

impl std::fmt::Debug for Taker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Taker")
    }
}

impl TaskHandler for HandedOut {
    const IDENTIFIER: &'static str = "fleet_tenant";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let Some(Taker(take)) = context.get_ext::<Taker>().cloned() else { return Err("there is no taker") };
        take(self.place).await;
        Ok::<(), &'static str>(())
    }
}

/// The queue beside a ledger on PostgreSQL.
pub(crate) struct Queue {
    pool: PgPool,
    site: LedgerDatabase,
    utils: WorkerUtils,
}

impl Queue {
    /// The queue of a ledger on PostgreSQL; `None`: the ledger is elsewhere.
    ///
    /// # Errors
    /// [`LedgerError`] when it can't be reached, or its tables can't be made.
    pub(crate) async fn open(location: &Location) -> Result<Option<Queue>, LedgerError> {
        let site = LedgerDatabase::of(location)?;
        let Some(url) = location.postgres_url() else { return Ok(None) };
        let options: PgConnectOptions = url.parse().map_err(|error| site.explain_sqlx("open", &error))?;
        let pool =
            PgPoolOptions::new().max_connections(CONNECTIONS).connect_lazy_with(options.disable_statement_logging());
        let utils = WorkerUtils::new(pool.clone(), SCHEMA);
        utils.migrate().await.map_err(|error| site.unreachable("make the queue of", &error))?;
        Ok(Some(Queue { pool, site, utils }))
    }

    /// Puts a tenant into a queue; one that is there already is not there twice.
    ///
    /// # Errors
    /// [`LedgerError`] when it can't be written.
    pub(crate) async fn put(&self, run: Uuid, place: i64, queue: &str) -> Result<(), LedgerError> {
        let spec = JobSpec {
            queue_name: Some(queue.to_owned()),
            job_key: Some(key(run, place)),
            job_key_mode: Some(JobKeyMode::Replace),
            max_attempts: Some(ATTEMPTS),
            flags: Some(vec![run.to_string()]),
            ..JobSpec::default()
        };
        let put = self.utils.add_job(HandedOut { run, place }, spec).await;
        put.map(drop).map_err(|error| self.site.unreachable("hand a tenant out through", &error))
    }

    /// Puts a tenant that nobody has into its queue again, and opens the queue where nobody is at work in it: a worker that was
    /// frozen ends its job by the job's number alone, and the lock of whoever has it by then would stay.
    ///
    /// # Errors
    /// [`LedgerError`] when it can't be written.
    pub(crate) async fn put_again(&self, run: Uuid, place: i64, queue: &str) -> Result<(), LedgerError> {
        const OPEN: &str = "UPDATE fleet_queue._private_job_queues q SET locked_at = NULL, locked_by = NULL \
             WHERE q.queue_name = $1 AND q.locked_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM fleet_queue._private_jobs j \
             WHERE j.job_queue_id = q.id AND j.locked_by = q.locked_by)";
        let opened = sqlx::query(OPEN).bind(queue).execute(&self.pool).await;
        opened.map_err(|error| self.site.explain_sqlx("write", &error))?;
        self.put(run, place, queue).await
    }

    /// Takes a tenant out of the queue that is not handed out any more. One that stays is for nobody: there is no claim.
    pub(crate) async fn remove(&self, run: Uuid, place: i64) {
        let _ = self.utils.remove_job(&key(run, place)).await;
    }

    /// A worker that takes the tenants of one run, so many at once, until it is told to stop. One that gives no sign for a
    /// lease is taken for dead, and its jobs go to others.
    ///
    /// # Errors
    /// [`LedgerError`] when it can't begin.
    pub(crate) async fn worker(&self, run: Uuid, slots: usize, how: (Duration, Take)) -> Result<Worker, LedgerError> {
        let (lease, take) = how;
        let options = WorkerOptions::default()
            .pg_pool(self.pool.clone())
            .schema(SCHEMA)
            .concurrency(slots)
            .poll_interval(LOOK)
            .use_notification_delivery(false)
            .listen_os_shutdown_signals(false)
            // Tenants in flight come to their end.
            .shutdown_grace_period(Duration::from_secs(u32::MAX.into()))
            .heartbeat_interval(lease / 4)
            .sweep_interval(lease / 2)
            .sweep_threshold(lease)
            .recovery_delay(Duration::ZERO)
            .add_accepted_flag(&run.to_string())
            .add_extension(Taker(take))
            .define_job::<HandedOut>();
        options.init().await.map_err(|error| self.site.unreachable("take tenants from", &error))
    }
}

/// The key under which a tenant is in the queue once.
fn key(run: Uuid, place: i64) -> String {
    format!("{run}:{place}")
}
