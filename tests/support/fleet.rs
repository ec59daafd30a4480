//! Runs of the program under test on tenants of a test, through its public library.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::compile::{Form, LazyScripts, MigrationSet, Migrator};
use crate::engine::{ApplyError, Database, Servers, Session, Step, Work};
use crate::model::engine::Variant;
use crate::model::event::{Event, RunHeader};
use crate::model::observation::Observation;
use crate::model::outcome::TenantRecord;
use crate::model::plan::{Goal, Target};
use crate::model::run_kind::RunKind;
use crate::model::schema::Direction;
use crate::model::tenant::Tenant;
use crate::policy::{Concurrency, FailureBudget, Limits, RetryPolicy, Timeouts};
use crate::run::{Cancel, Pace, PlannedWave, RunPlan, execute, observe};
use tokio::sync::mpsc;
use uuid::Uuid;

/// The migrations of one program, and how it runs them.
#[derive(Clone)]
pub(crate) struct Fleet {
    pub(crate) set: Arc<MigrationSet>,
    /// Everything through SeaORM, nothing compiled.
    pub(crate) native: bool,
    pub(crate) timeouts: Timeouts,
    pub(crate) retry: RetryPolicy,
    /// The time limits of single migrations.
    pub(crate) kill_blockers: Option<Duration>,
    pub(crate) transaction: crate::model::transaction::TransactionScope,
    pub(crate) limits: HashMap<(usize, Variant), Limits>,
    /// Whether the time of each tenant is divided.
    pub(crate) timings: bool,
    /// The number of tenants at once.
    pub(crate) at_once: NonZeroUsize,
}

impl Fleet {
    /// One attempt, and a second for any lock.
    pub(crate) async fn of(migrator: &impl Migrator) -> Self {
        Fleet {
            set: Arc::new(MigrationSet::new(migrator).await.unwrap()),
            native: false,
            timeouts: Timeouts { lock: Duration::from_secs(1), ..Timeouts::default() },
            retry: RetryPolicy { attempts: 1, lock_wait_limit: Duration::ZERO, ..RetryPolicy::default() },
            limits: HashMap::new(),
            kill_blockers: None,
            transaction: Default::default(),
            timings: false,
            at_once: NonZeroUsize::MIN.saturating_add(7),
        }
    }

    /// The same with SQL scripts after the migrations: file names and contents.
    pub(crate) async fn with_scripts(migrator: &impl Migrator, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let scripts = crate::compile::folder::read(folder.path()).unwrap();
        let set = MigrationSet::new(migrator).await.unwrap().with_scripts(scripts).unwrap();
        Fleet { set: Arc::new(set), ..Fleet::of(migrator).await }
    }

    /// Runs a task other than a migration on one tenant.
    pub(crate) async fn task(&self, kind: RunKind, tenant: &Arc<Tenant>) -> TenantRecord {
        let mut plan = self.plan(Direction::Up, std::slice::from_ref(tenant));
        plan.header.kind = kind;
        self.execute(plan, Cancel::default()).await.remove(0)
    }

    /// Moves one tenant towards a goal.
    pub(crate) async fn towards(&self, goal: Goal, tenant: &Arc<Tenant>) -> TenantRecord {
        let mut plan = self.plan(goal.direction, std::slice::from_ref(tenant));
        plan.header.kind = RunKind::migrate(goal);
        self.execute(plan, Cancel::default()).await.remove(0)
    }

    pub(crate) fn native(mut self, native: bool) -> Self {
        self.native = native;
        self
    }

    pub(crate) fn database(&self) -> Arc<dyn Database> {
        Arc::new(Servers::new(self.set.clone(), self.timeouts))
    }

    /// Applies everything on one tenant.
    pub(crate) async fn up(&self, tenant: &Arc<Tenant>) -> TenantRecord {
        self.run(Direction::Up, std::slice::from_ref(tenant), Cancel::default()).await.remove(0)
    }

    /// Rolls everything back on one tenant.
    pub(crate) async fn down(&self, tenant: &Arc<Tenant>) -> TenantRecord {
        self.run(Direction::Down, std::slice::from_ref(tenant), Cancel::default()).await.remove(0)
    }

    /// One run to its end; the records are in the order of the tenants.
    pub(crate) async fn run(&self, direction: Direction, tenants: &[Arc<Tenant>], cancel: Cancel) -> Vec<TenantRecord> {
        self.execute(self.plan(direction, tenants), cancel).await
    }

    async fn execute(&self, plan: RunPlan, cancel: Cancel) -> Vec<TenantRecord> {
        let tenants = plan.tenants.len();
        let plan = Arc::new(plan);
        let (sender, mut receiver) = mpsc::channel(16);
        let running = tokio::spawn(execute(plan, self.database(), cancel, sender));
        let mut records = Vec::new();
        while let Some(event) = receiver.recv().await {
            if let Event::TenantFinished(record) = event {
                records.push(record);
            }
        }
        running.await.unwrap();
        records.sort_by_key(|r| r.index);
        assert_eq!(records.len(), tenants, "each tenant has one outcome");
        records
    }

    fn plan(&self, direction: Direction, tenants: &[Arc<Tenant>]) -> RunPlan {
        let catalog = self.set.catalog().clone();
        let header = RunHeader {
            run: Uuid::now_v7(),
            direction,
            goal: "head".into(),
            kind: RunKind::migrate(Goal { direction, target: Target::End, out_of_order: false }),
            resumes: None,
            catalog: catalog.migrations.iter().map(|m| m.to_string()).collect(),
            texts: Vec::new(),
            tenants: Vec::new(),
            started_at_ms: 0,
            program: "test".into(),
            started_by: Default::default(),
            selection: Vec::new(),
        };
        let wave = PlannedWave {
            name: "all".into(),
            tenants: (0..tenants.len()).collect(),
            concurrency: None,
            per_server: None,
            max_failures: FailureBudget::UNLIMITED,
            former: Default::default(),
            waits_for: Default::default(),
            gate: None,
            done: Vec::new(),
            lock_timeout: None,
            transaction: None,
            window: None,
        };
        let all = 0..catalog.migrations.len();
        RunPlan {
            backup: None,
            restore: None,
            seed: None,
            adopt: None,
            exec: None,
            left_at: Default::default(),
            starts: Default::default(),
            freezes: Default::default(),
            quarantined: Vec::new(),
            uncovered: Vec::new(),
            header,
            catalog,
            tenants: tenants.to_vec(),
            waves: vec![wave],
            max_failures: FailureBudget::UNLIMITED,
            former: Default::default(),
            closed: Vec::new(),
            open_gates: Vec::new(),
            gatekeeper: None,
            runners: None,
            recorded: None,
            scripts: Arc::new(LazyScripts::new(self.set.clone(), direction, all, self.native)),
            held_back: 0,
            concurrency: Concurrency { global: self.at_once, ..Concurrency::default() },
            retry: self.retry,
            pacing: Default::default(),
            hooks: None,
            timeouts: self.timeouts,
            limits: self.limits.clone(),
            kill_blockers: self.kill_blockers,
            transaction: self.transaction,
            timings: self.timings,
        }
    }

    /// Reads one tenant without changing it.
    pub(crate) async fn observe(&self, tenant: &Arc<Tenant>) -> Observation {
        let tenants = std::slice::from_ref(tenant);
        self.observe_all(tenants).await.into_iter().next().unwrap()
    }

    /// Reads tenants without changing them.
    pub(crate) async fn observe_all(&self, tenants: &[Arc<Tenant>]) -> Vec<Observation> {
        let (timeouts, lock_wait_limit) = (self.timeouts, self.retry.lock_wait_limit);
        let done = std::sync::atomic::AtomicUsize::new(0);
        let pace = Pace { concurrency: Concurrency::default(), timeouts, lock_wait_limit, answer: None, done: &done };
        observe(tenants, (&self.set, false), &self.database(), pace).await
    }

    /// The whole catalog as work for a tenant with the given history.
    pub(crate) async fn work(&self, tenant: &Tenant, history: &[&str]) -> Work {
        let catalog = self.set.catalog();
        let history: Vec<String> = history.iter().map(|v| v.to_string()).collect();
        let missing = catalog.missing(&history, tenant.engine);
        let all = 0..catalog.migrations.len();
        let scripts =
            self.set.compile(tenant.engine, Direction::Up, all, Form { native: self.native, online: None }).await;
        let step = |index| Step::new(index, scripts.get(index).unwrap().clone(), Default::default());
        Work {
            run: Uuid::now_v7().to_string(),
            history,
            steps: missing.into_iter().map(step).collect(),
            teller: Default::default(),
            cancelled: Default::default(),
            has_rows: Default::default(),
            expectations: Default::default(),
            transaction: self.transaction,
            stopwatch: Default::default(),
        }
    }

    /// Reads the tenant, runs `meanwhile`, and then applies the decision made before it.
    pub(crate) async fn apply_after(
        &self,
        tenant: &Arc<Tenant>,
        meanwhile: impl AsyncFnOnce(),
    ) -> Result<(), ApplyError> {
        let mut session: Box<dyn Session> = self.database().connect(tenant).await.unwrap();
        let history = session.history().await.unwrap();
        let work = self.work(tenant, &history.iter().map(String::as_str).collect::<Vec<_>>()).await;
        meanwhile().await;
        let result = session.apply(&work).await;
        session.close().await;
        result
    }
}
