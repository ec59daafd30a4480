//! Changes of data that PostgreSQL tells by `NOTIFY`.
//!
//! A notification is told when its transaction commits, to the sessions of the same database that listen by then, once for
//! those that are alike (<https://www.postgresql.org/docs/current/sql-notify.html>).

use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgListener, PgPoolOptions};

use super::connect::{MARK, asks_mark};
use crate::engine::changes::{CHANNEL, Changes, Tells};
use crate::engine::queries::Queries as _;
use crate::engine::{address, errors};
use crate::model::fault::{Fault, FaultClass};
use crate::model::tenant::Tenant;
use crate::policy::Timeouts;

/// The silence after which a session is asked whether it is still there: a server that lost its power tells nobody.
const SILENCE: Duration = Duration::from_secs(60);

pub(in crate::engine) struct Notifications;

#[async_trait]
impl Tells for Notifications {
    async fn listen(&self, tenant: &Tenant, timeouts: Timeouts) -> Result<Box<dyn Changes>, Fault> {
        let limit = timeouts.connect;
        let options = address::postgres(tenant)?.application_name("fleet:changes").options([MARK]);
        let begin = async {
            // The listener takes its session out of a pool only; this one has no other.
            let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
            let pool = pool.acquire_timeout(limit).connect_with(options).await.map_err(|error| connecting(&error))?;
            let mut listener = PgListener::connect_with(&pool).await.map_err(|error| errors::fault(&error))?;
            listener.eager_reconnect(false);
            let session = sqlx::Acquire::acquire(&mut listener).await.map_err(|error| errors::fault(&error))?;
            if session.rows(asks_mark()).await?.first().is_none_or(|row| row.must(0) != MARK.1) {
                return Err(pooled());
            }
            listener.listen(CHANNEL).await.map_err(|error| errors::fault(&error))?;
            Ok(listener)
        };
        let begun = tokio::time::timeout(limit * 2, begin).await;
        let listener = begun.unwrap_or_else(|_| Err(silent("the server did not answer in time")))?;
        Ok(Box::new(Listening { listener, limit }))
    }
}

fn connecting(error: &sqlx::Error) -> Fault {
    let fault = match error {
        // The pool has tried again until then.
        sqlx::Error::PoolTimedOut => silent("no connection was made in time"),
        _ => errors::connecting(error),
    };
    // The same codes as in `connect::open`.
    if matches!(fault.code.as_deref(), Some("08P01" | "0A000")) { pooled() } else { fault }
}

fn silent(text: &str) -> Fault {
    Fault::new(FaultClass::ConnectTimeout, text)
}

fn pooled() -> Fault {
    let text = "a connection pooler lends a session for one transaction, and NOTIFY is told to none that listens; set \
                migration_url to the server itself for this tenant";
    Fault::new(FaultClass::Pooler, text)
}

struct Listening {
    listener: PgListener,
    limit: Duration,
}

#[async_trait]
impl Changes for Listening {
    async fn next(&mut self) -> Result<String, Fault> {
        let lost = || Fault::new(FaultClass::ConnectionLost, "the session that listens was lost");
        loop {
            match tokio::time::timeout(SILENCE, self.listener.try_recv()).await {
                Ok(Ok(Some(told))) => return Ok(told.payload().to_owned()),
                Ok(Ok(None)) => return Err(lost()),
                Ok(Err(error)) => return Err(errors::fault(&error)),
                Err(_) => {
                    let ask = sqlx::Executor::execute(&mut self.listener, "SELECT 1");
                    tokio::time::timeout(self.limit, ask).await.map_err(|_| lost())?.map_err(|e| errors::fault(&e))?;
                }
            }
        }
    }
}
