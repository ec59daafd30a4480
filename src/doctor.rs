//! What is wrong, or may go wrong, with tenants and their servers, from what their databases said; and what an outage is.
//!
//! Pure: it asks nobody. A finding always says what to do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::fault::{Fault, FaultClass};
use crate::health::{Health, OpenTransaction};
use crate::policy::format_duration;
use crate::tenant::{Engine, Tenant, TenantId};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A run on these tenants fails.
    Error,
    /// A run may fail, or wait.
    Warning,
    /// Good to know.
    Info,
}

impl Severity {
    /// The name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The server key; empty for what is about this machine.
    pub server: String,
    /// The tenants that it is about; empty: the whole server.
    pub tenants: Vec<TenantId>,
    /// What was found.
    pub what: String,
    /// What to do, or to type; empty where nothing is to be done.
    pub fix: String,
}

/// What findings are measured by.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A transaction that is open for longer is a finding.
    pub long_transaction: Duration,
    /// A lock that is held for longer would make a migration fail.
    pub lock: Duration,
    /// Tenants that are in flight at once on one server.
    pub per_server: usize,
}

/// A disk with less is nearly full.
const LEAST_FREE: u64 = 256 * 1024 * 1024;

/// The findings of tenants, each with what its database said: the worst first, then in the order of the tenants.
pub fn judge(examined: &[(Arc<Tenant>, Result<Health, Fault>)], limits: &Limits) -> Vec<Finding> {
    let mut findings = Findings::default();
    for (tenant, health) in examined {
        match health {
            Ok(health) => judge_one(&mut findings, tenant, health, limits),
            Err(fault) => findings.tenant(tenant, Severity::Error, format!("not reached: {fault}"), way_out(fault)),
        }
    }
    let mut list = findings.list;
    list.sort_by_key(|finding| finding.severity);
    list
}

#[derive(Default)]
struct Findings {
    list: Vec<Finding>,
    places: HashMap<(String, String, String), usize>,
}

impl Findings {
    /// About a server: said once, whichever tenant it was seen from.
    fn server(&mut self, tenant: &Tenant, severity: Severity, what: String, fix: String) {
        self.add(tenant, severity, (what, fix), None);
    }

    /// About a tenant; tenants of one server with the same finding share it.
    fn tenant(&mut self, tenant: &Tenant, severity: Severity, what: String, fix: String) {
        self.add(tenant, severity, (what, fix), Some(tenant.id.clone()));
    }

    fn add(&mut self, tenant: &Tenant, severity: Severity, (what, fix): (String, String), id: Option<TenantId>) {
        let server = tenant.server.to_string();
        let next = self.list.len();
        let place = *self.places.entry((server.clone(), what.clone(), fix.clone())).or_insert(next);
        if place == next {
            self.list.push(Finding { severity, server, tenants: Vec::new(), what, fix });
        }
        self.list[place].tenants.extend(id);
    }
}

fn judge_one(findings: &mut Findings, tenant: &Tenant, health: &Health, limits: &Limits) {
    use Severity::{Error, Info, Warning};
    if health.read_only {
        let fix = "let this tenant's url lead to the primary, or lift the setting that makes it read-only";
        findings.tenant(tenant, Error, "nothing can be written: it is a standby, or read-only".into(), fix.into());
    }
    if !health.missing_rights.is_empty() {
        let what = format!("the user lacks the right {}", health.missing_rights.join(", "));
        findings.tenant(tenant, Error, what, rights_fix(tenant.engine).into());
    }
    if !health.foreign_tables.is_empty() {
        let what = format!("only their owners may alter these tables: {}", health.foreign_tables.join(", "));
        let fix =
            "as an administrator: ALTER TABLE … OWNER TO the user of this tenant, or GRANT the owner's role to it";
        findings.tenant(tenant, Warning, what, fix.into());
    }
    judge_server(findings, tenant, health, limits);
    for open in health.transactions.iter().filter(|open| Duration::from_secs(open.seconds) >= limits.long_transaction) {
        let what = format!("a transaction has been open for {}: {}", age(open), who(open));
        findings.server(tenant, Warning, what, end(tenant.engine, open));
    }
    for lock in &health.locks {
        let strong = lock.mode.contains("Exclusive") && lock.mode != "RowExclusiveLock";
        if strong || Duration::from_secs(lock.by.seconds) >= limits.lock {
            let what =
                format!("{} has been locked ({}) for {}: {}", lock.table, lock.mode, age(&lock.by), who(&lock.by));
            findings.tenant(tenant, Warning, what, end(tenant.engine, &lock.by));
        }
    }
    if let Some(free) = health.free_bytes {
        let what = format!("{} MiB are free on the disk", free / (1024 * 1024));
        let (severity, fix) = if free < LEAST_FREE { (Warning, "free some, or move the files") } else { (Info, "") };
        findings.server(tenant, severity, what, fix.into());
    }
    if !health.unknown.is_empty() {
        findings.server(tenant, Info, format!("not known: {}", health.unknown.join("; ")), String::new());
    }
}

fn judge_server(findings: &mut Findings, tenant: &Tenant, health: &Health, limits: &Limits) {
    if !health.version.is_empty() {
        let (oldest, name) = oldest(tenant.engine, &health.version);
        let (severity, fix) = if health.number < oldest {
            (
                Severity::Warning,
                format!("fleet is made for {name} {}.{} and later: upgrade the server", oldest.0, oldest.1),
            )
        } else {
            (Severity::Info, String::new())
        };
        findings.server(tenant, severity, health.version.clone(), fix);
    }
    if health.pooled {
        let what =
            "a connection pooler stands in front: native migrations, and steps outside a transaction, are refused";
        let fix = "set migration_url of its tenants to the server itself";
        findings.server(tenant, Severity::Info, what.into(), fix.into());
    }
    if let Some(room) = health.connections {
        // The one that asked is among those in use.
        let spare = (room.most + 1).saturating_sub(room.used);
        if usize::try_from(spare).is_ok_and(|spare| spare < limits.per_server) {
            let what = format!(
                "room for {spare} connections ({} of {} in use), and per_server is {}",
                room.used, room.most, limits.per_server
            );
            let fix = format!("--per-server {}, or more connections for this user and server", spare.max(1));
            findings.server(tenant, Severity::Warning, what, fix);
        }
    }
}

/// The oldest version that is supported, and the product's name.
fn oldest(engine: Engine, version: &str) -> ((u32, u32), &'static str) {
    match engine {
        Engine::Sqlite => ((3, 35), "SQLite"),
        Engine::Postgres => ((12, 0), "PostgreSQL"),
        Engine::Mysql if version.starts_with("MariaDB") => ((10, 5), "MariaDB"),
        Engine::Mysql => ((8, 0), "MySQL"),
    }
}

fn rights_fix(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "give the user that runs fleet the right to write the file and its folder",
        Engine::Postgres => "as an administrator: GRANT CREATE ON SCHEMA (or DATABASE) … TO the user of this tenant",
        Engine::Mysql => {
            "as an administrator: GRANT CREATE, ALTER, DROP, INDEX ON database.* TO the user of this tenant"
        }
    }
}

fn age(open: &OpenTransaction) -> String {
    // The servers tell whole seconds.
    if open.seconds < 60 { format!("{}s", open.seconds) } else { format_duration(Duration::from_secs(open.seconds)) }
}

fn who(open: &OpenTransaction) -> String {
    let application = if open.application.is_empty() { String::new() } else { format!(", {}", open.application) };
    format!("session {}, user {}{application}", open.id, open.user)
}

fn end(engine: Engine, open: &OpenTransaction) -> String {
    match engine {
        Engine::Mysql => format!("KILL {};", open.id),
        _ => format!("SELECT pg_terminate_backend({});", open.id),
    }
}

/// What to do about a tenant that could not be reached.
fn way_out(fault: &Fault) -> String {
    use FaultClass::*;
    let text = match fault.class {
        ConnectionRefused | ConnectTimeout => "start the server, or correct host and port of the tenant's url",
        Dns => "correct the host of the tenant's url, or the name service",
        Authentication => "correct the user or the password of the tenant",
        UnknownDatabase => "create the database, or correct its name; create_missing = true makes a file or a schema",
        TooManyConnections => "free connections, or lower --per-server",
        Tls => "correct sslmode and the certificates in the tenant's url, or switch TLS on at the server",
        PermissionDenied => "grant the user of this tenant the right",
        _ => "see: fleet tenants check",
    };
    text.to_owned()
}

/// The dump tools of this machine, and what is to be said of them. `versions`: program, and its version where it is there.
pub fn tools(
    versions: &[(&str, Engine, Option<String>)],
    examined: &[(Arc<Tenant>, Result<Health, Fault>)],
) -> Vec<Finding> {
    let finding = |severity, what: String, fix: String| Finding {
        severity,
        server: String::new(),
        tenants: Vec::new(),
        what,
        fix,
    };
    let mut found = Vec::new();
    for (program, engine, version) in versions {
        let here = examined.iter().filter(|(tenant, _)| tenant.engine == *engine);
        let newest = here.clone().filter_map(|(_, health)| health.as_ref().ok()).map(|health| health.number.0).max();
        if here.count() == 0 {
            continue;
        }
        let Some(version) = version else {
            let what = format!("{program} is not installed; it is not needed for migrating");
            found.push(finding(Severity::Info, what, format!("install the client package that has {program}")));
            continue;
        };
        let own = version.split(|c: char| !c.is_ascii_digit()).find_map(|n| n.parse::<u32>().ok());
        // It refuses a server that is newer than itself.
        let too_old = *engine == Engine::Postgres && own.zip(newest).is_some_and(|(own, server)| own < server);
        let (severity, fix) = if too_old {
            (Severity::Warning, "install the client package of the server's version")
        } else {
            (Severity::Info, "")
        };
        found.push(finding(severity, format!("dump tool: {version}"), fix.to_owned()));
    }
    found
}

/// What asking some tenants of a server came to.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The server key.
    pub server: String,
    /// How many tenants are selected on it.
    pub tenants: usize,
    /// How many of them were asked.
    pub asked: usize,
    /// Those that could not be reached, with the reason.
    pub unreachable: Vec<(TenantId, Fault)>,
}

impl Probe {
    /// How many of the server's tenants are taken for unreachable: the share of those that were asked.
    fn presumed(&self) -> usize {
        (self.tenants * self.unreachable.len()).checked_div(self.asked).unwrap_or(0)
    }
}

/// Below this many tenants nothing is called an outage: each has its own outcome.
pub const LEAST_TENANTS: usize = 5;

/// Why no run should start, where more than `share` percent of the tenants seem to be unreachable; one line a server.
pub fn outage(probes: &[Probe], share: u8) -> Option<String> {
    let all: usize = probes.iter().map(|probe| probe.tenants).sum();
    let gone: usize = probes.iter().map(Probe::presumed).sum();
    if all < LEAST_TENANTS || gone * 100 <= all * usize::from(share) {
        return None;
    }
    let mut lines = vec![format!(
        "about {gone} of {all} tenants can't be reached, more than the {share}% that `outage` allows; nothing was started"
    )];
    for probe in probes.iter().filter(|probe| probe.presumed() > 0) {
        if let Some((tenant, fault)) = probe.unreachable.first() {
            let n = probe.presumed();
            lines.push(format!("  {}: {n} of {} tenants, such as {tenant}: {fault}", probe.server, probe.tenants));
        }
    }
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::health::{HeldLock, Room};
    use crate::tenant::Address;

    fn tenant(id: &str, server: &str, engine: Engine) -> Arc<Tenant> {
        Arc::new(Tenant {
            lock_timeout: None,
            depends_on: Vec::new(),
            id: TenantId::from(id),
            engine,
            server: server.into(),
            tags: BTreeMap::new(),
            schema: None,
            address: Address::Unusable(String::new()),
            migration_address: None,
            create_missing: false,
        })
    }

    const LIMITS: Limits =
        Limits { long_transaction: Duration::from_secs(300), lock: Duration::from_secs(3), per_server: 8 };

    fn sound() -> Health {
        Health { version: "PostgreSQL 15.4".into(), number: (15, 4), ..Health::default() }
    }

    fn open(seconds: u64) -> OpenTransaction {
        OpenTransaction { id: 7, user: "app".into(), application: "shop".into(), seconds }
    }

    fn judged(healths: impl IntoIterator<Item = Result<Health, Fault>>) -> Vec<Finding> {
        let all = healths.into_iter().enumerate();
        judge(&all.map(|(i, h)| (tenant(&format!("t{i}"), "s", Engine::Postgres), h)).collect::<Vec<_>>(), &LIMITS)
    }

    #[test]
    fn a_sound_server_is_only_named_and_only_once() {
        let found = judged([Ok(sound()), Ok(sound())]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].severity, found[0].what.as_str()), (Severity::Info, "PostgreSQL 15.4"));
        assert!(found[0].tenants.is_empty());
    }

    #[test]
    fn the_same_of_several_tenants_is_one_finding_and_errors_come_first() {
        let standby = Health { read_only: true, ..sound() };
        let found = judged([Ok(sound()), Ok(standby.clone()), Ok(standby)]);
        assert_eq!(found[0].severity, Severity::Error);
        assert_eq!(found[0].tenants, [TenantId::from("t1"), TenantId::from("t2")]);
    }

    #[test]
    fn only_long_transactions_and_locks_that_would_be_waited_for_are_told() {
        let lock = |mode: &str, seconds| HeldLock { table: "orders".into(), mode: mode.into(), by: open(seconds) };
        let health = Health {
            transactions: vec![open(299), open(300)],
            locks: vec![
                lock("AccessShareLock", 2),
                lock("RowExclusiveLock", 2),
                lock("ShareLock", 2),
                lock("AccessShareLock", 3),
                lock("AccessExclusiveLock", 0),
            ],
            ..sound()
        };
        let found = judged([Ok(health)]);
        let warnings: Vec<&str> =
            found.iter().filter(|f| f.severity == Severity::Warning).map(|f| f.what.as_str()).collect();
        assert_eq!(
            warnings,
            [
                "a transaction has been open for 5m: session 7, user app, shop",
                "orders has been locked (AccessShareLock) for 3s: session 7, user app, shop",
                "orders has been locked (AccessExclusiveLock) for 0s: session 7, user app, shop",
            ]
        );
        assert_eq!(found[0].fix, "SELECT pg_terminate_backend(7);");
    }

    #[test]
    fn room_is_measured_by_the_cap_of_a_server_and_old_versions_are_named() {
        let with = |used, most| Health { connections: Some(Room { used, most }), ..sound() };
        assert!(judged([Ok(with(93, 100))]).iter().all(|f| f.severity == Severity::Info));
        let found = judged([Ok(with(98, 100))]);
        assert!(found[0].what.starts_with("room for 3 connections") && found[0].fix.starts_with("--per-server 3"));
        let old = Health { version: "PostgreSQL 9.6".into(), number: (9, 6), ..Health::default() };
        let found = judged([Ok(old)]);
        assert!(found[0].severity == Severity::Warning && found[0].fix.contains("12.0"), "{found:?}");
    }

    #[test]
    fn a_dump_tool_that_is_older_than_the_server_is_a_warning() {
        let seen = [(tenant("a", "s", Engine::Postgres), Ok(sound()))];
        let severity = |version: Option<&str>| {
            tools(&[("pg_dump", Engine::Postgres, version.map(str::to_owned))], &seen)[0].severity
        };
        assert_eq!(severity(Some("pg_dump (PostgreSQL) 14.9")), Severity::Warning);
        assert_eq!(severity(Some("pg_dump (PostgreSQL) 15.1")), Severity::Info);
        assert_eq!(severity(None), Severity::Info);
        assert!(tools(&[("mariadb-dump", Engine::Mysql, None)], &seen).is_empty(), "no tenant of that engine");
    }

    #[test]
    fn an_outage_is_a_share_of_at_least_five_tenants() {
        let probe = |server: &str, tenants, asked, gone| Probe {
            server: server.to_owned(),
            tenants,
            asked,
            unreachable: (0..gone)
                .map(|i| (TenantId::from(format!("t{i}").as_str()), Fault::new(FaultClass::ConnectionRefused, "no")))
                .collect(),
        };
        assert_eq!(outage(&[probe("a", 4, 1, 1)], 50), None, "too few to speak of an outage");
        assert_eq!(outage(&[probe("a", 5, 1, 1), probe("b", 5, 1, 0)], 50), None, "half is not more than half");
        let text = outage(&[probe("a", 6, 1, 1), probe("b", 5, 1, 0)], 50).unwrap();
        assert!(text.contains("6 of 11") && text.contains("a: 6 of 6 tenants, such as t0: no"), "{text}");
        assert_eq!(outage(&[probe("files", 100, 20, 10)], 50), None);
        assert!(outage(&[probe("files", 100, 20, 11)], 50).is_some());
        assert_eq!(outage(&[probe("a", 9, 1, 1)], 100), None, "100% never stops a run");
    }
}
