//! Connecting to PostgreSQL, and detecting a pooler in front of it.
//!
//! A pooler lends a server's session for one transaction. Nothing here relies on session state.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use sqlx::postgres::{PgConnectOptions, PgConnection};

use crate::engine::{Segment, TenantEndpoint, Work};
use crate::model::fault::{Fault, FaultClass};

/// A marker setting at session start. A server accepts any name with a dot; a pooler refuses it or silently drops it
/// (`ignore_startup_parameters`), because a session that it lends keeps no state
/// (<https://www.pgbouncer.org/config.html#ignore_startup_parameters>).
pub(crate) const MARK: (&str, &str) = ("fleet.direct", "yes");

/// The query of one row that has the mark's value where it arrived.
pub(crate) fn asks_mark() -> String {
    format!("SELECT coalesce(current_setting('{}', true), '')", MARK.0)
}

/// Servers, by host and port, that have refused the mark: it is not tried again for their other tenants.
#[derive(Debug, Clone, Default)]
pub(crate) struct Poolers(Arc<Mutex<HashSet<String>>>);

impl Poolers {
    fn has(&self, server: &str) -> bool {
        self.0.lock().expect("nobody panics while holding it").contains(server)
    }

    fn add(&self, server: String) {
        self.0.lock().expect("nobody panics while holding it").insert(server);
    }
}

/// A new connection, and whether it goes through a pooler; `None` if only the session itself can tell.
pub(crate) async fn open(
    options: &PgConnectOptions,
    door: &TenantEndpoint,
) -> Result<(PgConnection, Option<bool>), Fault> {
    let server = format!("{}:{}", options.get_host(), options.get_port());
    if door.poolers.has(&server) {
        return Ok((door.connect(options).await?, Some(true)));
    }
    match door.connect(&options.clone().options([MARK])).await {
        Ok(connection) => Ok((connection, None)),
        // 08P01: a startup parameter that pgbouncer does not know. 0A000: Amazon's proxy accepts no such options at
        // all.
        Err(fault) if matches!(fault.code.as_deref(), Some("08P01" | "0A000")) => {
            let connection = door.connect(options).await?;
            door.poolers.add(server);
            Ok((connection, Some(true)))
        }
        Err(fault) => Err(fault),
    }
}

/// The first step that can't run through a pooler, as a fault; `None`: all are whole transactions in one message.
pub(crate) fn too_much_for_a_pooler(work: &Work, segments: &[Segment]) -> Option<Fault> {
    let (step, why) = segments.iter().find_map(|segment| match segment {
        Segment::Together(_) => None,
        Segment::Alone(step) => Some((*step, "its statements run outside a transaction, under a lock of the session")),
        Segment::Native { step, .. } => Some((*step, "it runs as Rust code, with prepared statements of the session")),
    })?;
    let migration = &work.steps[step].script.migration;
    let text = format!(
        "{migration} can't run through a connection pooler: {why}; set migration_url to the server itself for this tenant; \
         nothing was touched"
    );
    Some(Fault::new(FaultClass::Pooler, text))
}
