//! Lock holders and waiters on the tenants' databases at this moment, including open transactions that the next
//! migration may have to wait for. Each engine has one reading of them; the blocker of a lock timeout and the list of
//! `fleet locks` are two views of it.
//!
//! Read-only. For files, the operating system is asked, where it can tell (Linux).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::address;
use super::dialect::literal;
use super::driver::driver;
use super::sqlite::file;
use crate::model::engine::Engine;
use crate::model::fault::{Fault, FaultClass};
use crate::model::locks::LockHolder;
use crate::model::outcome::Blocker;
use crate::model::tenant::{Address, Tenant};

/// Maximum number of holders reported for a lock that a session waits for, and of waiters.
pub(super) const MOST: usize = 10;

/// The age from which an open transaction is listed although no session waits for it, in seconds.
pub(super) const OPEN_FOR: u64 = 1;

/// A session in the lock reading of its server.
#[derive(Debug, Clone)]
pub(crate) struct AtLock {
    pub(crate) session: Blocker,
    /// The sessions that it waits for.
    pub(crate) waits_for: Vec<i64>,
    /// The server reported these as the sessions it waits for; otherwise they are only likely.
    pub(crate) certain: bool,
    /// It is in a transaction that is listed although no session waits for it.
    pub(crate) is_open: bool,
}

/// The lock reports of these tenants' servers, sorted; a server that can't be asked is a fault with its key.
pub(crate) async fn locks(tenants: &[Arc<Tenant>], limit: Duration) -> (Vec<LockHolder>, Vec<(String, Fault)>) {
    let mut groups: BTreeMap<(Engine, String), Vec<Arc<Tenant>>> = BTreeMap::new();
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for tenant in tenants {
        match tenant.address_for_migrations() {
            Address::File(path) => found.extend(file::holders(path).into_iter().map(|session| LockHolder {
                tenants: vec![tenant.id.to_string()],
                engine: tenant.engine,
                server: tenant.server.to_string(),
                waits_for: Vec::new(),
                is_holder: true,
                certain: true,
                session,
            })),
            Address::Url(_) => {
                let server = address::server(tenant).unwrap_or_default();
                groups.entry((tenant.engine, server)).or_default().push(tenant.clone());
            }
            Address::Unusable(reason) => {
                faults.push((tenant.server.to_string(), Fault::new(FaultClass::BadAddress, reason.clone())));
            }
        }
    }
    let asked = groups.into_values().map(|group| async move {
        let answer = tokio::time::timeout(limit, listed(&group)).await;
        let silent = || Fault::new(FaultClass::ConnectTimeout, "the server did not answer");
        // Another login to the same server may be answered.
        let as_whom = |fault: Fault| Fault { message: format!("as {}: {}", group[0].id, fault.message), ..fault };
        (group[0].server.to_string(), answer.unwrap_or_else(|_| Err(silent())).map_err(as_whom))
    });
    for (server, answer) in futures_util::future::join_all(asked).await {
        match answer {
            Ok(rows) => found.extend(rows),
            Err(fault) => faults.push((server, fault)),
        }
    }
    found.sort_by_cached_key(|row| {
        (row.server.clone(), row.tenants.clone(), !row.is_holder, row.waits_for.is_empty(), row.session.id)
    });
    (found, faults)
}

/// The sessions in one server's tenant databases that hold locks, wait for them, or have been in a transaction for
/// long.
async fn listed(group: &[Arc<Tenant>]) -> Result<Vec<LockHolder>, Fault> {
    let engine = group[0].engine;
    let mut databases: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for tenant in group {
        databases.entry(address::database(tenant).unwrap_or_default()).or_default().push(tenant.id.to_string());
    }
    let names = databases.keys().map(|name| literal(engine, name)).collect::<Vec<_>>().join(", ");
    let found: Vec<(&Vec<String>, AtLock)> = driver(engine)
        .locks(&group[0], &names)
        .await?
        .into_iter()
        .filter_map(|at| Some((databases.get(at.session.database.as_deref()?)?, at)))
        .collect();
    let wanted: Vec<(i64, bool)> =
        found.iter().flat_map(|(_, at)| at.waits_for.iter().map(|id| (*id, at.certain))).collect();
    let listed = found.into_iter().filter_map(|(tenants, at)| {
        let mut waits = wanted.iter().filter(|(id, _)| *id == at.session.id).peekable();
        let is_holder = waits.peek().is_some();
        // A session that no waiter names for certain is only a possible holder.
        let certain = at.certain && (!is_holder || waits.any(|(_, certain)| *certain));
        let is_listed = is_holder || !at.waits_for.is_empty() || at.is_open;
        is_listed.then(|| LockHolder {
            tenants: tenants.clone(),
            engine,
            server: group[0].server.to_string(),
            waits_for: at.waits_for,
            is_holder,
            certain,
            session: at.session,
        })
    });
    Ok(listed.collect())
}

/// The message that a session was not terminated, and the right that it takes.
pub(super) fn refused(blocker: &Blocker, right: &str) -> String {
    let user = blocker.user.as_ref().map(|user| format!(" of user {user}")).unwrap_or_default();
    format!("connection {}{user} was not terminated: this user lacks {right}", blocker.id)
}
