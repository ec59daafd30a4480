//! Problems of tenants and their servers, judged from what their databases report; and the definition of an outage.
//!
//! Pure: no database is queried. Every finding includes a remedy.

mod outage;
mod server;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::engine::{Product, dialect};
use crate::model::fault::{Fault, FaultClass};
use crate::model::health::{Health, HeldLock, Needs, Obstacle};
use crate::model::observation::Observation;
use crate::model::outcome::Blocker;
use crate::model::schema::{Direction, State, Unfinished};
use crate::model::tenant::{Engine, Tenant, TenantId};
pub(crate) use outage::{Probe, outage};

/// The severity of a finding.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, strum::IntoStaticStr, strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Severity {
    /// A run fails, or more is lost than the migration says.
    Error,
    /// A run may fail, or wait, or make others wait.
    Warning,
    /// Good to know.
    Info,
}

impl Severity {
    /// The name, as in JSON.
    pub(crate) fn name(self) -> &'static str {
        self.into()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// The server key; empty for a finding about this machine.
    pub(crate) server: String,
    /// The tenants concerned; empty: the whole server.
    pub(crate) tenants: Vec<TenantId>,
    /// The finding, in words.
    pub(crate) what: String,
    /// The remedy or the command to type; empty where none is needed.
    pub(crate) fix: String,
}

impl Finding {
    /// A finding about this machine.
    fn here(severity: Severity, what: String, fix: impl Into<String>) -> Self {
        Finding { severity, server: String::new(), tenants: Vec::new(), what, fix: fix.into() }
    }
}

/// The thresholds for findings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits<'a> {
    /// A transaction open for longer than this is a finding.
    pub(crate) long_transaction: Duration,
    /// Replication lag above this is a finding.
    pub(crate) replication_lag: Duration,
    /// A lock held for longer than this would make a migration fail.
    pub(crate) lock: Duration,
    /// Tenants in flight at once on one server.
    pub(crate) per_server: usize,
    /// The command that reports everything known about tenants that can't be read.
    pub(crate) check: &'a str,
}

/// The privileges that every run on MySQL and MariaDB needs: for fleet's own tables, the history, and tables of
/// migrations.
const RIGHTS: [&str; 8] = ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "INDEX"];

/// The privilege that MySQL requires for foreign keys and MariaDB does not
/// (<https://mariadb.com/kb/en/grant/#table-privileges>).
const REFERENCES: &str = "REFERENCES";

/// The findings about tenants, each given with the report of its database: the most severe first, then in tenant order.
/// `needs`: additional requirements of the migrations. `is_busy`: whether a run would change a tenant; what only a change
/// needs is a warning on the others.
pub(crate) fn judge(
    examined: &[(Arc<Tenant>, Result<Health, Fault>)],
    limits: &Limits<'_>,
    needs: &Needs,
    is_busy: impl Fn(&TenantId) -> bool,
) -> Vec<Finding> {
    let mut findings = Findings::default();
    for (tenant, health) in examined {
        findings.worst = if is_busy(&tenant.id) { Severity::Error } else { Severity::Warning };
        match health {
            Ok(health) => {
                judge_rights(&mut findings, tenant, health, needs);
                judge_one(&mut findings, tenant, health, limits);
                let concerns =
                    |o: &&Obstacle| o.concerns.is_empty() || o.concerns.iter().any(|r| needs.rights.contains(r));
                for Obstacle { stops, what, fix, .. } in health.obstacles.iter().filter(concerns) {
                    match stops {
                        true => findings.tenant(tenant, Severity::Error, what.clone(), fix.clone()),
                        false => findings.server(tenant, Severity::Warning, what.clone(), fix.clone()),
                    }
                }
                server::judge(&mut findings, &server::Seen { tenant, health, limits }, &needs.extensions);
            }
            Err(fault) => {
                let fix = way_out(fault, limits);
                findings.worst = Severity::Error;
                findings.tenant(tenant, Severity::Error, format!("not reached: {fault}"), fix);
            }
        }
    }
    findings.list.extend(one_database(examined));
    let mut list = findings.list;
    list.sort_by_key(|finding| finding.severity);
    list
}

/// Tenants that are one database under several addresses; the tenant file is refused only where the addresses, or the files, are the
/// same.
fn one_database(examined: &[(Arc<Tenant>, Result<Health, Fault>)]) -> impl Iterator<Item = Finding> {
    let mut all: BTreeMap<&str, Vec<&Tenant>> = BTreeMap::new();
    for (tenant, health) in examined {
        let identity = health.as_ref().ok().filter(|health| !health.is_standby).and_then(|h| h.identity.as_deref());
        all.entry(identity.unwrap_or_default()).or_default().push(tenant);
    }
    all.remove("");
    all.into_values().filter(|tenants| tenants.len() > 1).map(|tenants| Finding {
        severity: Severity::Warning,
        server: tenants[0].server.to_string(),
        tenants: tenants.iter().map(|tenant| tenant.id.clone()).collect(),
        what: "one database under several addresses: a migration of one of these tenants is a migration of all"
            .to_owned(),
        fix: "leave one of them in the tenant file: waves and counts take them for several".to_owned(),
    })
}

struct Findings {
    list: Vec<Finding>,
    places: HashMap<(Severity, String, String, String), usize>,
    /// The severity of an error on the tenant that is looked at.
    worst: Severity,
}

impl Default for Findings {
    fn default() -> Self {
        Findings { list: Vec::new(), places: HashMap::new(), worst: Severity::Error }
    }
}

impl Findings {
    /// A finding about a server: reported once, whichever tenant it was seen from.
    fn server(&mut self, tenant: &Tenant, severity: Severity, what: String, fix: String) {
        self.add(tenant, severity, (what, fix), None);
    }

    /// A finding about a tenant; tenants of one server with the same finding share it.
    fn tenant(&mut self, tenant: &Tenant, severity: Severity, what: String, fix: String) {
        self.add(tenant, severity, (what, fix), Some(tenant.id.clone()));
    }

    fn add(&mut self, tenant: &Tenant, severity: Severity, (what, fix): (String, String), id: Option<TenantId>) {
        let severity = severity.max(self.worst);
        self.put(&tenant.server, severity, (what, fix), id);
    }

    fn put(&mut self, server: &str, severity: Severity, (what, fix): (String, String), id: Option<TenantId>) {
        let (server, next) = (server.to_owned(), self.list.len());
        let place = *self.places.entry((severity, server.clone(), what.clone(), fix.clone())).or_insert(next);
        if place == next {
            self.list.push(Finding { severity, server, tenants: Vec::new(), what, fix });
        }
        self.list[place].tenants.extend(id);
    }
}

/// The missing privileges of the user, each with the statement that grants it.
fn judge_rights(findings: &mut Findings, tenant: &Tenant, health: &Health, needs: &Needs) {
    if let Some(schema) = &health.missing_schema {
        let what = format!("the schema {schema} does not exist");
        let fix = format!("set create_missing = true for this tenant, or type: CREATE SCHEMA {schema};");
        findings.tenant(tenant, Severity::Error, what, fix);
    }
    let are_single = tenant.engine.capabilities().single_privileges;
    let is_needed = |right: &str| !are_single || RIGHTS.contains(&right) || needs.rights.contains(&right);
    let (unsure, missing): (Vec<&str>, Vec<&str>) = health
        .missing_rights
        .iter()
        .map(String::as_str)
        .filter(|right| is_needed(right))
        .partition(|right| are_single && *right == REFERENCES);
    for (severity, rights) in [(Severity::Error, missing), (Severity::Warning, unsure)] {
        if !rights.is_empty() {
            let what = format!("the user lacks the right {}", rights.join(", "));
            findings.tenant(tenant, severity, what, rights_fix(tenant.engine, health, needs));
        }
    }
    if !health.foreign_tables.is_empty() {
        let more = health.foreign_count.saturating_sub(health.foreign_tables.len());
        let (more, again) = if more > 0 {
            (format!(" and {more} more"), format!(" and so for {more} more"))
        } else {
            (String::new(), String::new())
        };
        let what = format!("only their owners may alter these tables: {}{more}", health.foreign_tables.join(", "));
        let one = |table: &String| format!("ALTER TABLE {table} OWNER TO {};", health.grantee);
        let all: Vec<String> = health.foreign_tables.iter().map(one).collect();
        findings.tenant(tenant, Severity::Warning, what, format!("as an administrator: {}{again}", all.join(" ")));
    }
}

fn judge_one(findings: &mut Findings, tenant: &Tenant, health: &Health, limits: &Limits<'_>) {
    use Severity::{Error, Info, Warning};
    if health.read_only {
        let why = match &health.read_only_by[..] {
            _ if health.is_standby => "the server is a standby".to_owned(),
            [] => "it is read-only, or a standby".to_owned(),
            settings => format!("{} of the server is on", settings.join(", ")),
        };
        let fix = "let this tenant's url lead to the primary, or lift the setting that makes it read-only";
        findings.tenant(tenant, Error, format!("nothing can be written: {why}"), fix.into());
    }
    for open in health.transactions.iter().filter(|open| age(open) >= limits.long_transaction) {
        let what = format!("a transaction has been open for {}: {}", server::seconds(age(open)), who(open));
        findings.server(tenant, Warning, what, dialect(tenant.engine).end_session(open.id));
    }
    if !health.invalid_indexes.is_empty() {
        let what = format!(
            "invalid indexes, which no query uses and every write maintains: {}",
            health.invalid_indexes.join(", ")
        );
        let drops: Vec<String> =
            health.invalid_indexes.iter().map(|index| format!("DROP INDEX CONCURRENTLY {index};")).collect();
        let fix = format!("migrate, where the script that builds it is pending; else: {}", drops.join(" "));
        findings.tenant(tenant, Warning, what, fix);
    }
    if health.is_held {
        let fix = "wait until it has ended; see: runs list".to_owned();
        findings.tenant(tenant, Error, "another run works on it".to_owned(), fix);
    }
    for lock in health.locks.iter().filter(|lock| is_in_the_way(lock, limits)) {
        let (since, by) = (server::seconds(age(&lock.by)), who(&lock.by));
        let what = format!("{} has been locked ({}) for {since}: {by}", lock.table, lock.mode);
        findings.tenant(tenant, Warning, what, dialect(tenant.engine).end_session(lock.by.id));
    }
    for holder in &health.file_holders {
        let program = holder.application.as_ref().map(|program| format!(" ({program})")).unwrap_or_default();
        let what = format!("the file is locked by process {}{program}", holder.id);
        findings.tenant(tenant, Warning, what, format!("let it end what it is doing, or: kill {}", holder.id));
    }
    if !health.unknown.is_empty() {
        findings.server(tenant, Info, format!("not known: {}", health.unknown.join("; ")), String::new());
    }
}

/// A lock that blocks readers belongs to a session that changes the table; any other lock is a problem only when it
/// lasts.
fn is_in_the_way(lock: &HeldLock, limits: &Limits<'_>) -> bool {
    let mode = lock.mode.as_str();
    let keeps_out = ["Exclusive", "EXCLUSIVE", "UPGRADABLE", "NO_WRITE"].iter().any(|word| mode.contains(word));
    (keeps_out && mode != "RowExclusiveLock") || age(&lock.by) >= limits.lock
}

/// On MySQL all needed privileges, not only the missing ones: privileges on two name patterns that both match a
/// database do not add up.
fn rights_fix(engine: Engine, health: &Health, needs: &Needs) -> String {
    let can = engine.capabilities();
    if !can.server {
        return "give the user that runs fleet the right to write the file and its folder".to_owned();
    }
    let rights = match health.grant_on.starts_with("SCHEMA") {
        _ if can.single_privileges => [&RIGHTS[..], &needs.rights].concat().join(", "),
        true => "USAGE, CREATE".to_owned(),
        false => "CREATE".to_owned(),
    };
    format!("as an administrator: GRANT {rights} ON {} TO {};", health.grant_on, health.grantee)
}

/// A tenant whose last migration was begun and not finished: it blocks every other run. `command` builds a full command
/// from the words after the program's name, `settle` and `flag` name the tenant in it.
pub(crate) fn unfinished(
    seen: &Observation,
    settle: &str,
    flag: &str,
    command: impl Fn(&str) -> String,
) -> Option<Finding> {
    let place = |u: &Unfinished| format!("{} ({}), begun by run {}", u.migration, u.direction, u.run);
    let (what, fix) = match &seen.state {
        State::InDoubt(u) => (format!("in doubt: {}, and not finished{}", place(u), u.way_back()), command(settle)),
        State::Stopped(u) if !u.lost.is_empty() => (format!("partially applied: {}", u.in_words()), command(settle)),
        State::Stopped(u) => {
            let verb = if u.direction == Direction::Up { "migrate" } else { "rollback --steps 1" };
            let n = u.statement.unwrap_or(0);
            let fix = format!("correct what the engine refused, then: {}", command(&format!("{verb} {flag}")));
            (format!("stopped at statement {n} of {}", place(u)), fix)
        }
        _ => return None,
    };
    let (severity, server) = (Severity::Error, seen.server.clone());
    Some(Finding { severity, server, tenants: vec![seen.tenant.clone()], what, fix })
}

/// A tenant with tables and no history: a migration would begin with its first step, beside them.
pub(crate) fn without_history(tenant: &Tenant, tables: usize, fix: String) -> Finding {
    let s = if tables == 1 { "" } else { "s" };
    let what = format!("{tables} table{s} and no history: `migrate` would begin with its first step");
    let (severity, server) = (Severity::Warning, tenant.server.to_string());
    Finding { severity, server, tenants: vec![tenant.id.clone()], what, fix }
}

/// Something that `migrate` would refuse or fail at on a tenant: the tenant and its server, the reason and the remedy.
pub(crate) struct Refused {
    pub(crate) tenant: TenantId,
    pub(crate) server: String,
    pub(crate) what: String,
    pub(crate) fix: String,
}

/// The findings for refusals, each shared by the tenants of a server that it is about.
pub(crate) fn refused(all: impl IntoIterator<Item = Refused>) -> Vec<Finding> {
    let mut findings = Findings::default();
    for Refused { tenant, server, what, fix } in all {
        findings.put(&server, Severity::Error, (what, fix), Some(tenant));
    }
    findings.list
}

fn age(open: &Blocker) -> Duration {
    Duration::from_secs(open.transaction_seconds.unwrap_or(0))
}

fn who(open: &Blocker) -> String {
    let application = open.application.as_ref().map(|name| format!(", {name}")).unwrap_or_default();
    format!("session {}, user {}{application}", open.id, open.user.as_deref().unwrap_or_default())
}

/// The remedy for a tenant that could not be reached.
pub(crate) fn way_out(fault: &Fault, limits: &Limits<'_>) -> String {
    use FaultClass::*;
    let text = match fault.class {
        ConnectionRefused | ConnectTimeout => "start the server, or correct host and port of the tenant's url",
        Dns => "correct the host of the tenant's url, or the name service",
        Authentication => "correct the user or the password of the tenant, or the account as the server says",
        UnknownDatabase => "create the database, or correct its name; create_missing = true makes a file or a schema",
        TooManyConnections => "free connections, or lower --per-server",
        Tls => "correct sslmode and the certificates in the tenant's url, or switch TLS on at the server",
        PermissionDenied => "grant the user of this tenant the right",
        _ => return format!("see: {}", limits.check),
    };
    text.to_owned()
}

/// The finding about the disk that holds the backups. `prune`: the command that removes old ones.
pub(crate) fn backups(folder: &Path, free: u64, prune: &str) -> Finding {
    let what = format!("{} MiB are free for backups in {}", free / (1024 * 1024), folder.display());
    match server::is_low(free) {
        true => Finding::here(Severity::Warning, what, format!("{prune}, or another folder: --backups FOLDER")),
        false => Finding::here(Severity::Info, what, ""),
    }
}

/// The finding for a backup folder that can't be written.
pub(crate) fn read_only_backups(folder: &Path) -> Finding {
    let what = format!("no backup can be written in {}: this user may not write there", folder.display());
    let fix = "give the user that runs fleet the right to write there, or name another folder: --backups FOLDER";
    Finding::here(Severity::Warning, what, fix)
}

/// The programs that dump these databases, each with its engine.
pub(crate) fn dump_programs(examined: &[(Arc<Tenant>, Result<Health, Fault>)]) -> BTreeSet<(Engine, &'static str)> {
    examined.iter().filter_map(|(tenant, health)| Some((tenant.engine, dump_program(tenant, health)?))).collect()
}

fn dump_program(tenant: &Tenant, health: &Result<Health, Fault>) -> Option<&'static str> {
    dialect(tenant.engine).product(&health.as_ref().ok()?.version).dump
}

/// Findings about the dump tools of this machine. `versions`: each program, with its version where it is installed.
pub(crate) fn tools(
    versions: &[(&str, Engine, Option<String>)],
    examined: &[(Arc<Tenant>, Result<Health, Fault>)],
) -> Vec<Finding> {
    let mut found = Vec::new();
    for (program, engine, version) in versions {
        let is_here = |(tenant, health): &&(Arc<Tenant>, Result<Health, Fault>)| {
            tenant.engine == *engine && dump_program(tenant, health) == Some(*program)
        };
        let here = examined.iter().filter(is_here);
        let known = || here.clone().filter_map(|(_, health)| health.as_ref().ok());
        let newest = known().map(|health| health.number.0).max();
        if known().next().is_none() {
            continue;
        }
        let Some(version) = version else {
            let what = format!("{program} is not installed; it is not needed for migrating");
            found.push(Finding::here(Severity::Info, what, format!("install the client package that has {program}")));
            continue;
        };
        let product = |version: &str| dialect(*engine).product(version);
        let foreign = |server: Product| server.own_dump && server != product(version);
        if known().any(|health| foreign(product(&health.version))) {
            let what =
                format!("{program} is another product's ({version}), and backups of the servers are refused with it");
            let fix = format!("put the servers' own {program} first in PATH");
            found.push(Finding::here(Severity::Warning, what, fix));
            continue;
        }
        let own = version.split(|c: char| !c.is_ascii_digit()).find_map(|n| n.parse::<u32>().ok());
        // The program refuses a server newer than itself.
        let too_old =
            engine.capabilities().dump_refuses_newer && own.zip(newest).is_some_and(|(own, server)| own < server);
        let (severity, fix) = if too_old {
            (Severity::Warning, "install the client package of the server's version")
        } else {
            (Severity::Info, "")
        };
        found.push(Finding::here(severity, format!("dump tool: {version}"), fix));
    }
    found
}

#[cfg(test)]
mod tests;
