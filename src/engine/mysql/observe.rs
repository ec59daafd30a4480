//! A MySQL or MariaDB session observed from outside: by its connection id, over a separate connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;

use crate::engine::liveness::Question;
use crate::engine::locks::refused;
use crate::engine::mysql::tenant_lock::{LOAD_LOCK, LOCK_NAME};
use crate::engine::mysql::{MysqlSession, liveness, locks};
use crate::engine::queries::{KeptAside, Queries as _, connect_aside};
use crate::engine::{Canceller, Observe, Probe, Watch};
use crate::model::fault::{Fault, FaultClass};
use crate::model::locks::{LockWait, Terminations};
use crate::model::outcome::Blocker;

#[async_trait]
impl Observe for MysqlSession {
    async fn is_held(&mut self) -> Result<bool, Fault> {
        let sql = format!(
            "SELECT CAST(COALESCE(IS_USED_LOCK({LOCK_NAME}), IS_USED_LOCK({LOAD_LOCK}), 0) AS signed), CAST(CONNECTION_ID() AS signed)"
        );
        let rows = self.rows(sql).await?;
        let number = |i| rows.first().and_then(|row| row.parse::<u64>(i)).unwrap_or(0);
        Ok(number(0) != 0 && number(0) != number(1))
    }

    fn canceller(&self) -> Canceller {
        let (options, id, limit) = (self.options.clone(), self.id.clone(), self.door.timeouts.connect);
        Box::new(move || {
            Box::pin(async move {
                let id = id.load(Ordering::Relaxed);
                if id == 0 {
                    return;
                }
                if let Ok(Ok(mut connection)) = tokio::time::timeout(limit, connect_aside(options)).await {
                    let _ = connection.run(format!("KILL QUERY {id}")).await;
                    connection.close().await;
                }
            })
        })
    }

    fn watch(&self) -> Option<Watch> {
        let aside = Arc::new(KeptAside::of(self.options.clone()));
        let (id, limit) = (self.id.clone(), self.door.timeouts.connect);
        Some(Box::new(move |look| {
            let (aside, id) = (aside.clone(), id.load(Ordering::Relaxed));
            let wait = async move { locks::wait(&aside, id, look).await };
            Box::pin(async move { tokio::time::timeout(limit, wait).await.ok().flatten().unwrap_or_default() })
        }))
    }

    fn probe(&self) -> Option<Probe> {
        let (options, id, limit) = (self.options.clone(), self.id.clone(), self.door.timeouts.connect);
        Some(Box::new(move |idle, end| {
            let id = id.load(Ordering::Relaxed);
            Box::pin(liveness::ask(options.clone(), id, Question { idle, end, limit }))
        }))
    }

    async fn terminate(&mut self, locked: &LockWait, older_than: Duration) -> Terminations {
        let mut all = Terminations::default();
        if let Err(fault) = self.rows(locks::SEES_ALL.to_owned()).await
            && fault.class == FaultClass::PermissionDenied
        {
            all.refused
                .push("nobody was terminated: who holds a lock is hidden from this user, who lacks PROCESS".into());
            return all;
        }
        if !locked.certain {
            all.refused.extend((!locked.holders.is_empty()).then(|| unproven(&locked.holders)));
            return all;
        }
        for holder in &locked.holders {
            let sql = locks::may_terminate(holder, older_than, LOCK_NAME);
            if !self.rows(sql).await.is_ok_and(|rows| !rows.is_empty()) {
                continue;
            }
            match self.run(format!("KILL CONNECTION {}", holder.id)).await {
                Ok(()) => all.terminated.push(holder.clone()),
                // 1094: the session is already gone.
                Err(fault) if fault.code.as_deref() == Some("1094") => {}
                Err(_) => all.refused.push(refused(holder, "CONNECTION ADMIN (or SUPER)")),
            }
        }
        all
    }
}

/// The reason for terminating no session where the server does not report a lock's holder, and how it would.
fn unproven(holders: &[Blocker]) -> String {
    let candidate = |holder: &Blocker| {
        let user = holder.user.as_ref().map(|user| format!(" of user {user}")).unwrap_or_default();
        format!("connection {}{user}, {} s in its transaction", holder.id, holder.transaction_seconds.unwrap_or(0))
    };
    let candidates = holders.iter().map(candidate).collect::<Vec<_>>().join("; ");
    format!(
        "nobody was terminated: the server does not tell who holds the lock; MariaDB does with INSTALL SONAME 'metadata_lock_info', \
         MySQL tells who may read performance_schema; perhaps one of these, to be ended with KILL: {candidates}"
    )
}
