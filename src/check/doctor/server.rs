//! Findings about a server, whichever of its tenants it was seen from: version, free connections, replication, disk,
//! extensions.
//!
//! Findings about single tenants are not made here.

use std::time::Duration;

use super::Severity::{Error, Info, Warning};
use super::{Findings, Limits};
use crate::engine::{Product, dialect, location};
use crate::model::health::{Extension, Health, NeededExtension, Upstream};
use crate::model::tenant::Tenant;
use crate::policy::format_duration;

/// A disk with less free space than this, in bytes, is nearly full.
const LEAST_FREE: u64 = 256 * 1024 * 1024;

/// A server's report, and the limits it is held to.
pub(super) struct Seen<'a> {
    /// The tenant the server was seen from.
    pub(super) tenant: &'a Tenant,
    pub(super) health: &'a Health,
    pub(super) limits: &'a Limits<'a>,
}

pub(super) fn judge(findings: &mut Findings, seen: &Seen<'_>, needed: &[NeededExtension]) {
    let &Seen { tenant, health, limits } = seen;
    if !health.version.is_empty() {
        let Product { oldest, name, .. } = dialect(tenant.engine).product(&health.version);
        let (severity, fix) = if health.number < oldest {
            (Warning, format!("fleet is made for {name} {}.{} and later: upgrade the server", oldest.0, oldest.1))
        } else {
            (Info, String::new())
        };
        findings.server(tenant, severity, health.version.clone(), fix);
    }
    if health.pooled {
        let what =
            "a connection pooler stands in front: native migrations, and steps outside a transaction, are refused";
        let fix = "set migration_url of its tenants to the server itself";
        findings.server(tenant, Info, what.into(), fix.into());
    }
    if let Some(room) = health.connections {
        // The connection that asked is among those in use.
        let spare = (room.most + 1).saturating_sub(room.used);
        let per_server = tenant.per_server.map_or(limits.per_server, |own| own.get().min(limits.per_server));
        if usize::try_from(spare).is_ok_and(|spare| spare < per_server) {
            let what = format!(
                "room for {spare} connection{} ({} of {} in use), and per_server is {}",
                if spare == 1 { "" } else { "s" },
                room.used,
                room.most,
                per_server
            );
            let fix = format!("--per-server {}, or more connections for this user and server", spare.max(1));
            findings.server(tenant, Warning, what, fix);
        }
    }
    if let Some(upstream) = &health.follows {
        judge_upstream(findings, seen, upstream);
    }
    for follower in &health.followers {
        let lag = Duration::from_secs(follower.lag_seconds);
        if lag >= limits.replication_lag {
            let what = format!("its follower {} is {} behind, and a run makes that more", follower.name, seconds(lag));
            let fix = "wait until it has caught up: SELECT application_name, replay_lag FROM pg_stat_replication;";
            findings.server(tenant, Warning, what, fix.into());
        }
    }
    // It is asked for once in a database, whichever of its tenants has the migration before it.
    findings.worst = Error;
    for extension in &health.extensions {
        if let Some(needed) = needed.iter().find(|needed| needed.name == extension.name) {
            judge_extension(findings, tenant, extension, needed);
        }
    }
    if let Some(free) = health.free_bytes {
        // The files of one key may lie on several disks.
        let folder = match tenant.engine.capabilities().server {
            true => String::new(),
            false => location(tenant).rsplit_once('/').map(|(folder, _)| format!(" of {folder}")).unwrap_or_default(),
        };
        let what = format!("{} MiB are free on the disk{folder}", free / (1024 * 1024));
        let (severity, fix) = if is_low(free) { (Warning, "free some, or move the files") } else { (Info, "") };
        findings.server(tenant, severity, what, fix.into());
    }
}

pub(super) fn is_low(free: u64) -> bool {
    free < LEAST_FREE
}

/// Whole seconds, as the servers report them.
pub(super) fn seconds(duration: Duration) -> String {
    if duration < Duration::from_secs(60) { format!("{}s", duration.as_secs()) } else { format_duration(duration) }
}

/// A server that replicates from another one. PostgreSQL rejects all writes on it, which is a finding for each of its
/// tenants; MariaDB accepts them, and such writes exist on no other server.
fn judge_upstream(findings: &mut Findings, seen: &Seen<'_>, upstream: &Upstream) {
    let &Seen { tenant, health, limits } = seen;
    let host = if upstream.host.is_empty() { "another server".to_owned() } else { upstream.host.clone() };
    let lag = upstream.lag_seconds.map(Duration::from_secs);
    let state = match (upstream.is_running, lag) {
        (false, _) => ", and replication is stopped".to_owned(),
        (true, Some(lag)) => format!(", {} behind it", seconds(lag)),
        (true, None) => String::new(),
    };
    let is_late = !upstream.is_running || lag.is_some_and(|lag| lag >= limits.replication_lag);
    let takes_writes = tenant.engine.capabilities().writable_replicas;
    let writable = takes_writes && !health.read_only;
    let kind = if takes_writes { "a replica" } else { "a standby" };
    let danger = if writable { "; what is changed here is missing there" } else { "" };
    let severity = if is_late || writable { Warning } else { Info };
    let fix =
        format!("let the url of its tenants lead to {}", if upstream.host.is_empty() { "the primary" } else { &host });
    findings.server(tenant, severity, format!("the server is {kind} of {host}{state}{danger}"), fix);
}

/// Only a missing extension is certain: an administrator may have granted the right in a way that can't be queried.
fn judge_extension(findings: &mut Findings, tenant: &Tenant, extension: &Extension, needed: &NeededExtension) {
    let (name, database, migration) = (&extension.name, &extension.database, &needed.migration);
    let (severity, what, fix) = match extension {
        Extension { is_installed: true, .. } | Extension { is_available: true, may_create: true, .. } => return,
        Extension { is_available: true, .. } => (
            Warning,
            format!("the user may not create the extension {name} in the database {database}, which {migration} does"),
            format!("as an administrator, in that database: CREATE EXTENSION {};", tenant.engine.quote(name)),
        ),
        Extension { is_available: false, .. } => (
            Error,
            format!("the server does not have the extension {name}, which {migration} creates in {database}"),
            format!("install on the server the package that has {name}, such as postgresql-contrib"),
        ),
    };
    let (severity, what) =
        if needed.is_optional { (Info, format!("{what} and does without")) } else { (severity, what) };
    findings.server(tenant, severity, what, fix);
}
