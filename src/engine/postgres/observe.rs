//! A PostgreSQL session observed from outside: by its name in `pg_stat_activity`, over a separate connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;

use crate::engine::liveness::Question;
use crate::engine::locks::refused;
use crate::engine::postgres::{PostgresSession, guards, liveness, locks};
use crate::engine::queries::{KeptAside, Queries as _, connect_aside};
use crate::engine::{Canceller, Look, Observe, Probe, Watch};
use crate::model::fault::{Fault, FaultClass};
use crate::model::locks::{LockWait, Terminations};

#[async_trait]
impl Observe for PostgresSession {
    async fn is_held(&mut self) -> Result<bool, Fault> {
        let rows = self.rows(guards::is_locked(&self.door)).await?;
        Ok(rows.first().is_some_and(|row| row.is_true(0)))
    }

    fn canceller(&self) -> Canceller {
        let (options, own, limit) = (self.options.clone(), self.own.clone(), self.door.timeouts.connect);
        Box::new(move || {
            Box::pin(async move {
                let cancel = format!(
                    "SELECT pg_cancel_backend(a.pid) FROM pg_stat_activity a WHERE {} AND a.pid <> pg_backend_pid()",
                    own.is_it("a")
                );
                let control = connect_aside(options.application_name("fleet:cancel"));
                if let Ok(Ok(mut connection)) = tokio::time::timeout(limit, control).await {
                    let _ = connection.run(cancel).await;
                    connection.close().await;
                }
            })
        })
    }

    fn watch(&self) -> Option<Watch> {
        let aside = Arc::new(KeptAside::of(self.options.clone().application_name("fleet:watch")));
        let (own, limit) = (self.own.clone(), self.door.timeouts.connect);
        let is_patient = self.is_patient.clone();
        Some(Box::new(move |look| {
            let most = look.most.filter(|_| !is_patient.load(Ordering::Relaxed));
            let (aside, own) = (aside.clone(), own.clone());
            let wait = async move { locks::wait(&aside, &own, Look { most, ..look }).await };
            Box::pin(async move { tokio::time::timeout(limit, wait).await.ok().flatten().unwrap_or_default() })
        }))
    }

    fn probe(&self) -> Option<Probe> {
        let (options, own, limit) = (self.options.clone(), self.own.clone(), self.door.timeouts.connect);
        Some(Box::new(move |idle, end| {
            Box::pin(liveness::ask(options.clone(), own.clone(), Question { idle, end, limit }))
        }))
    }

    async fn terminate(&mut self, locked: &LockWait, older_than: Duration) -> Terminations {
        let mut all = Terminations::default();
        for holder in &locked.holders {
            match self.rows(locks::terminate(holder, older_than)).await {
                Ok(rows) if rows.iter().any(|row| row.is_true(0)) => all.terminated.push(holder.clone()),
                Ok(_) if self.rows(locks::is_hidden(holder)).await.is_ok_and(|rows| !rows.is_empty()) => {
                    all.refused.push(refused(holder, "pg_read_all_stats, which shows since when it holds on"));
                }
                Err(fault) if fault.class == FaultClass::PermissionDenied => {
                    all.refused.push(refused(holder, "pg_signal_backend (of a superuser's session: superuser)"));
                }
                Ok(_) | Err(_) => {}
            }
        }
        all
    }
}
