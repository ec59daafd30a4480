//! Who holds and who waits on the tenants' databases at this moment, and whose open transaction the next migration may
//! have to wait for: one query a server.
//!
//! It only looks. Files are asked of the system, where that tells (Linux).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use url::Url;

use super::address;
use super::dialect::literal;
use super::driver::driver;
use super::sqlite::file;
use crate::model::engine::Engine;
use crate::model::fault::{Fault, FaultClass};
use crate::model::locks::LockHolder;
use crate::model::outcome::Blocker;
use crate::model::tenant::{Address, Tenant};

/// At most so many holders of a lock that a session waits for, and as many who wait.
pub(super) const MOST: usize = 10;

/// How long a transaction has to be open before it is listed although nobody waits for it, in seconds.
pub(super) const OPEN_FOR: u64 = 1;

/// What the servers of these tenants say, sorted; a server that can't be asked is a fault with its key.
pub(crate) async fn locks(tenants: &[Arc<Tenant>], limit: Duration) -> (Vec<LockHolder>, Vec<(String, Fault)>) {
    let mut groups: BTreeMap<(Engine, String), Vec<Arc<Tenant>>> = BTreeMap::new();
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for tenant in tenants {
        match tenant.address_for_migrations() {
            Address::File(path) => found.extend(file::holders(path).into_iter().map(|session| LockHolder {
                tenants: vec![tenant.id.to_string()],
                engine: tenant.engine,
                server: tenant.server.to_string(),
                session,
                waits_for: Vec::new(),
                is_holder: true,
                certain: true,
            })),
            Address::Url(url) => {
                let mut key = Url::parse(url.expose_secret()).ok();
                if let Some(url) = &mut key {
                    url.set_path("");
                }
                let key = key.map(|url| url.to_string()).unwrap_or_default();
                groups.entry((tenant.engine, key)).or_default().push(tenant.clone());
            }
            Address::Unusable(reason) => {
                faults.push((tenant.server.to_string(), Fault::new(FaultClass::BadAddress, reason.clone())));
            }
        }
    }
    let asked = groups.into_values().map(|group| async move {
        let answer = tokio::time::timeout(limit, driver(group[0].engine).locks(&group)).await;
        let silent = || Fault::new(FaultClass::ConnectTimeout, "the server did not answer");
        (group[0].server.to_string(), answer.unwrap_or_else(|_| Err(silent())))
    });
    for (server, answer) in futures_util::future::join_all(asked).await {
        match answer {
            Ok(rows) => found.extend(rows),
            Err(fault) => faults.push((server, fault)),
        }
    }
    found.sort_by(|a, b| {
        let key = |row: &LockHolder| {
            (row.server.clone(), row.tenants.clone(), !row.is_holder, row.waits_for.is_empty(), row.session.id)
        };
        key(a).cmp(&key(b))
    });
    (found, faults)
}

/// The tenants by their database.
pub(super) fn databases(group: &[Arc<Tenant>]) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for tenant in group {
        all.entry(address::database(tenant).unwrap_or_default()).or_default().push(tenant.id.to_string());
    }
    all
}

pub(super) fn names(databases: &BTreeMap<String, Vec<String>>, engine: Engine) -> String {
    databases.keys().map(|name| literal(engine, name)).collect::<Vec<_>>().join(", ")
}

pub(super) fn at_lock(group: &[Arc<Tenant>], tenants: &[String], session: Blocker, waits_for: Vec<i64>) -> LockHolder {
    let (engine, server) = (group[0].engine, group[0].server.to_string());
    LockHolder { tenants: tenants.to_vec(), engine, server, session, waits_for, is_holder: false, certain: true }
}

/// Says of all who of them holds what another waits for, or may hold it: somebody whom nobody waits for with certainty.
pub(super) fn mark_holders(mut found: Vec<LockHolder>) -> Vec<LockHolder> {
    let wanted: Vec<(i64, bool)> =
        found.iter().flat_map(|row| row.waits_for.iter().map(|id| (*id, row.certain))).collect();
    for row in &mut found {
        let mut waits = wanted.iter().filter(|(id, _)| *id == row.session.id).peekable();
        row.is_holder = waits.peek().is_some();
        row.certain &= !row.is_holder || waits.any(|(_, certain)| *certain);
    }
    found
}

/// That a session was not terminated, and which right it takes.
pub(super) fn refused(blocker: &Blocker, right: &str) -> String {
    let user = blocker.user.as_ref().map(|user| format!(" of user {user}")).unwrap_or_default();
    format!("connection {}{user} was not terminated: this user lacks {right}", blocker.id)
}
