//! A database that plays a script, for tests of scheduling only: behaviour that depends on a real database is tested on
//! real ones.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{Answers, Dump, HealthCheck, Inspect, Observe, Rows, WriteError, Writes};
use super::{ApplyError, Canceller, Database, Liveness, PartialState, Probe, Session, Settlement, Work};
use crate::model::answer::Answer;
use crate::model::assertion::FirstRows;
use crate::model::fault::{Fault, FaultClass};
use crate::model::health::{Health, Questions};
use crate::model::load::ServerLoad;
use crate::model::schema::{Direction, Unfinished};
use crate::model::shape::{Cell, Column, Key, Shape, Table};
use crate::model::tenant::{Tenant, TenantId};
use crate::policy::Timeouts;
use crate::sql::guard::Guard;

/// The scripted result of one attempt.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Everything works.
    Succeeds,
    /// Connecting fails.
    Refuses(FaultClass),
    /// The first step fails with this fault and state.
    Stops(FaultClass, PartialState),
    /// Everything is committed, and the connection is lost before the answer arrives.
    CommitsUnseen,
    /// Everything is committed, no answer arrives, and the server reports this state of the session.
    AnswersNever(Liveness),
    /// The code panics.
    Panics,
    /// Nothing happens until it is cancelled.
    Hangs,
}

/// The load of a server by its key.
pub(crate) type Loads = Arc<dyn Fn(&str) -> Result<ServerLoad, Fault> + Send + Sync>;

/// The scripted database.
#[derive(Default)]
pub(crate) struct Scripted {
    pub(crate) acts: Mutex<HashMap<TenantId, VecDeque<Act>>>,
    pub(crate) histories: Arc<Mutex<HashMap<TenantId, Vec<String>>>>,
    pub(crate) takes: Duration,
    pub(crate) now: Arc<AtomicUsize>,
    pub(crate) most: Arc<AtomicUsize>,
    pub(crate) connects: AtomicUsize,
    /// The lock timeouts of each tenant's connections, in order.
    pub(crate) locks: Mutex<HashMap<TenantId, Vec<Duration>>>,
    pub(crate) read_together: bool,
    /// The load of each server.
    pub(crate) load: Option<Loads>,
    /// Maximum number of simultaneous connections; 0: unlimited.
    pub(crate) room: usize,
}

impl Scripted {
    pub(crate) fn act(&self, tenant: &str, acts: impl IntoIterator<Item = Act>) {
        self.acts.lock().unwrap().insert(TenantId::from(tenant), acts.into_iter().collect());
    }

    pub(crate) fn set_history(&self, tenant: &str, versions: &[&str]) {
        let versions = versions.iter().map(|v| v.to_string()).collect();
        self.histories.lock().unwrap().insert(TenantId::from(tenant), versions);
    }

    pub(crate) fn history(&self, tenant: &str) -> Vec<String> {
        self.histories.lock().unwrap().get(&TenantId::from(tenant)).cloned().unwrap_or_default()
    }
}

struct ScriptedSession {
    tenant: TenantId,
    act: Act,
    takes: Duration,
    pub(crate) histories: Arc<Mutex<HashMap<TenantId, Vec<String>>>>,
    pub(crate) now: Arc<AtomicUsize>,
    cancelled: CancellationToken,
    server: Arc<str>,
    load: Option<Loads>,
}

impl Drop for ScriptedSession {
    fn drop(&mut self) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Database for Scripted {
    async fn connect(&self, tenant: &Arc<Tenant>) -> Result<Box<dyn Session>, Fault> {
        self.connect_within(tenant, Timeouts::default()).await
    }

    async fn connect_within(&self, tenant: &Arc<Tenant>, timeouts: Timeouts) -> Result<Box<dyn Session>, Fault> {
        self.locks.lock().unwrap().entry(tenant.id.clone()).or_default().push(timeouts.lock);
        self.connects.fetch_add(1, Ordering::SeqCst);
        let act = self.acts.lock().unwrap().get_mut(&tenant.id).and_then(VecDeque::pop_front).unwrap_or(Act::Succeeds);
        if let Act::Refuses(class) = act {
            return Err(Fault::new(class, "scripted"));
        }
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        if self.room > 0 && now > self.room {
            self.now.fetch_sub(1, Ordering::SeqCst);
            return Err(Fault::new(FaultClass::TooManyConnections, "scripted"));
        }
        self.most.fetch_max(now, Ordering::SeqCst);
        Ok(Box::new(ScriptedSession {
            tenant: tenant.id.clone(),
            act,
            takes: self.takes,
            histories: self.histories.clone(),
            now: self.now.clone(),
            cancelled: CancellationToken::new(),
            server: tenant.server.clone(),
            load: self.load.clone(),
        }))
    }

    async fn read_together(&self, tenants: &[Arc<Tenant>]) -> HashMap<TenantId, Vec<String>> {
        if !self.read_together {
            return HashMap::new();
        }
        tenants.iter().map(|t| (t.id.clone(), self.history(t.id.as_str()))).collect()
    }
}

#[async_trait]
impl Session for ScriptedSession {
    async fn history(&mut self) -> Result<Vec<String>, Fault> {
        Ok(self.histories.lock().unwrap().get(&self.tenant).cloned().unwrap_or_default())
    }

    async fn unfinished(&mut self) -> Result<Option<Unfinished>, Fault> {
        Ok(None)
    }

    async fn settle(&mut self, _: &Settlement) -> Result<Unfinished, Fault> {
        Err(Fault::new(FaultClass::Other, "scripted"))
    }

    async fn apply(&mut self, work: &Work) -> Result<(), ApplyError> {
        tokio::time::sleep(self.takes).await;
        let commit = |histories: &Mutex<HashMap<TenantId, Vec<String>>>| {
            let mut histories = histories.lock().unwrap();
            let history = histories.entry(self.tenant.clone()).or_default();
            for step in &work.steps {
                let again = history.contains(&step.script.migration.to_string());
                assert!(step.script.direction == Direction::Down || !again, "applied twice");
                step.script.enter_into(history);
            }
        };
        match self.act.clone() {
            Act::Succeeds => commit(&self.histories),
            Act::Panics => panic!("scripted panic"),
            Act::Stops(class, residue) => {
                return Err(ApplyError { committed: 0, at: None, fault: Fault::new(class, "scripted"), residue });
            }
            Act::CommitsUnseen => {
                commit(&self.histories);
                let fault = Fault::new(FaultClass::ConnectionLost, "scripted");
                return Err(ApplyError { committed: 0, at: None, fault, residue: PartialState::Unknown });
            }
            Act::AnswersNever(_) => {
                commit(&self.histories);
                return std::future::pending().await;
            }
            Act::Hangs => {
                self.cancelled.cancelled().await;
                let fault = Fault::new(FaultClass::Cancelled, "scripted");
                return Err(ApplyError { committed: 0, at: None, fault, residue: PartialState::Nothing });
            }
            Act::Refuses(_) => unreachable!("it was refused when it connected"),
        }
        Ok(())
    }

    async fn ask(&mut self, guard: &Guard) -> Option<Fault> {
        let _ = guard;
        None
    }

    async fn close(self: Box<Self>) {}
}

#[async_trait]
impl Inspect for ScriptedSession {
    async fn shape(&mut self) -> Result<Shape, Fault> {
        Ok(Shape::default())
    }

    async fn table_count(&mut self) -> Result<usize, Fault> {
        Ok(3)
    }

    async fn row_counts(&mut self, tables: &[String]) -> Result<Vec<u64>, Fault> {
        Ok(vec![0; tables.len()])
    }

    async fn row_estimates(&mut self, _: &[String]) -> Result<Vec<(String, u64)>, Fault> {
        Ok(Vec::new())
    }

    async fn refreshes(&mut self) -> Result<Vec<(String, i64)>, Fault> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl HealthCheck for ScriptedSession {
    async fn health(&mut self, _: &Questions) -> Result<Health, Fault> {
        Ok(Health::default())
    }

    async fn server_load(&mut self) -> Result<ServerLoad, Fault> {
        self.load.as_ref().map_or_else(|| Ok(ServerLoad::default()), |load| load(&self.server))
    }
}

#[async_trait]
impl Rows for ScriptedSession {
    async fn fill(&mut self, _: &Table, _: &[&Column], rows: &[Vec<Cell>]) -> Result<u64, (u64, Fault)> {
        Ok(rows.len() as u64)
    }

    async fn keys(&mut self, _: &Table, _: &[&Column]) -> Result<Vec<Vec<Option<Key>>>, Fault> {
        Ok(Vec::new())
    }
}

impl Dump for ScriptedSession {}

#[async_trait]
impl Answers for ScriptedSession {
    async fn applied(&mut self) -> Result<Vec<(String, i64)>, Fault> {
        Ok(Vec::new())
    }

    async fn answers(&mut self, _: &str) -> Result<Vec<Answer>, Fault> {
        Ok(Vec::new())
    }

    async fn first_rows(&mut self, _: &str, _: usize) -> Result<FirstRows, Fault> {
        Ok(FirstRows::default())
    }
}

#[async_trait]
impl Writes for ScriptedSession {
    async fn write(&mut self, _: &str) -> Result<u64, WriteError> {
        Ok(0)
    }
}

#[async_trait]
impl Observe for ScriptedSession {
    async fn is_held(&mut self) -> Result<bool, Fault> {
        Ok(false)
    }

    fn canceller(&self) -> Canceller {
        let cancelled = self.cancelled.clone();
        Box::new(move || Box::pin(async move { cancelled.cancel() }))
    }

    fn probe(&self) -> Option<Probe> {
        let sign = if let Act::AnswersNever(sign) = self.act { sign } else { Liveness::Works };
        Some(Box::new(move |_, _| Box::pin(async move { sign })))
    }
}
