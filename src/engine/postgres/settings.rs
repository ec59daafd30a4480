//! The session that each step begins with: nothing that an earlier script left in it, fleet's own limits, and for SQL
//! scripts the time zone and date style of the database's own clients.
//!
//! Builds text only; the session sends it.

use crate::engine::literal;
use crate::engine::postgres::clients::ClientSettings;
use crate::engine::postgres::guards::search_path;
use crate::model::schema::{Execution, Record, Script};
use crate::model::tenant::{Engine, Tenant};
use crate::policy::Timeouts;
use crate::sql::settings::{may_change_own, restores_forced, restores_search_path};
use crate::sql::split;

/// Ends what a script can leave in a session, as far as a transaction allows it; settings go back to those of the
/// session's start. `DISCARD ALL` can't run in a transaction, and ends statements that a pooler or the driver prepared.
pub(crate) const RESET: [&str; 7] = [
    "RESET SESSION AUTHORIZATION",
    // The role of the session's start, which a role's own settings may name.
    "RESET ROLE",
    "RESET ALL",
    "CLOSE ALL",
    "UNLISTEN *",
    "DISCARD TEMP",
    "DISCARD SEQUENCES",
];

/// Fires deferred triggers while the script's own role and settings are still in effect.
const DEFERRED: &str = "SET CONSTRAINTS ALL IMMEDIATE";

/// Whether this statement of fleet's checks what a script has deferred.
pub(crate) fn checks_deferred(sql: &str) -> bool {
    sql == DEFERRED || sql == AS_DECLARED
}

/// The same between two steps of one transaction, behind which constraints are as they were declared: each by its name, since
/// `ALL` would hold for those that the next step makes, too. A name stands for all constraints of it in a schema.
const AS_DECLARED: &str = "DO $fleet_guard$ DECLARE named text; deferred text; unclear text; BEGIN SELECT string_agg(own, ', '), \
     string_agg(own, ', ') FILTER (WHERE is_all), min(own) FILTER (WHERE NOT is_all AND is_one) INTO named, deferred, unclear FROM \
     (SELECT format('%I.%I', n.nspname, c.conname) AS own, bool_or(c.condeferred) AS is_one, bool_and(c.condeferred) AS is_all FROM \
     pg_catalog.pg_constraint c JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace WHERE has_schema_privilege(n.oid, 'USAGE') \
     GROUP BY n.nspname, c.conname HAVING bool_or(c.condeferrable)) names; IF unclear IS NOT NULL THEN RAISE EXCEPTION \
     'several constraints are named %, and not all of them are INITIALLY DEFERRED, so that these steps can''t share a \
     transaction; take transaction = \"migration\" for this tenant', unclear USING ERRCODE = 'FL009'; END IF; \
     IF named IS NOT NULL THEN EXECUTE 'SET CONSTRAINTS ' || named || ' IMMEDIATE'; END IF; \
     IF deferred IS NOT NULL THEN EXECUTE 'SET CONSTRAINTS ' || deferred || ' DEFERRED'; END IF; END $fleet_guard$";

/// Statements that SQL has prepared; those of a driver or a pooler stay.
const DEALLOCATE: &str = "DO $fleet_guard$ DECLARE own text; BEGIN FOR own IN SELECT name FROM pg_prepared_statements \
                          WHERE from_sql LOOP EXECUTE format('DEALLOCATE %I', own); END LOOP; END $fleet_guard$";

/// A transaction on fleet's own tables in the middle of a script: its role comes back behind it.
pub(crate) const BEGIN_OWN: &str =
    "BEGIN READ WRITE; SET LOCAL session_authorization = DEFAULT; SET LOCAL role = DEFAULT";

/// The statements behind a script that end what it left in the session, and check it as our own role meanwhile, before the
/// settings are gone in which the check finds what there was before. `is_last`: it is the last of its transaction.
pub(crate) fn leave(script: &Script, check: Option<String>, is_last: bool) -> Vec<String> {
    let names = |word: &str| script.statements.iter().any(|sql| sql.to_ascii_lowercase().contains(word));
    let (role, settings) = RESET.split_at(2);
    let mut sql = vec![(if is_last { DEFERRED } else { AS_DECLARED }).to_owned()];
    sql.extend(role.iter().map(|&sql| sql.to_owned()));
    sql.extend(check);
    sql.extend(settings.iter().map(|&sql| sql.to_owned()));
    // A pooler's sessions may hold such things for others, who are not to lose them for every script.
    sql.extend(names("prepare").then(|| DEALLOCATE.to_owned()));
    sql.extend(names("advisory_lock").then(|| "SELECT pg_advisory_unlock_all()".to_owned()));
    sql
}

/// The settings of a step that are fleet's own.
#[derive(Debug, Clone)]
pub(crate) struct OwnSettings {
    limits: Timeouts,
    /// The session's name in `pg_stat_activity`.
    name: String,
    /// `true` for a transaction, `false` for a session.
    is_local: bool,
    /// Whether Rust code runs, which may be silent for as long as it likes.
    is_native: bool,
    /// The settings that a script has as the database's own clients have them; empty for Rust code.
    clients: ClientSettings,
    /// The search path of a tenant that is a schema.
    path: Option<String>,
}

impl OwnSettings {
    pub(crate) fn new(limits: Timeouts, name: &str) -> Self {
        OwnSettings {
            limits,
            name: name.to_owned(),
            is_local: true,
            is_native: false,
            clients: ClientSettings::default(),
            path: None,
        }
    }

    /// For the session instead of a transaction.
    pub(crate) fn of_session(self) -> Self {
        OwnSettings { is_local: false, ..self }
    }

    /// For this script: Rust code has the session that SeaORM would have.
    pub(crate) fn of_script(self, script: &Script, clients: &ClientSettings) -> Self {
        let clients = if is_sql(script) { clients.clone() } else { ClientSettings::default() };
        OwnSettings { clients, is_native: matches!(script.execution, Execution::Native { .. }), ..self }
    }

    /// With the search path of this tenant.
    pub(crate) fn of_tenant(self, tenant: &Tenant) -> Self {
        OwnSettings { path: tenant.schema.as_ref().map(|schema| search_path(tenant, schema)), ..self }
    }

    /// All of them, at the start of a step.
    pub(crate) fn all(&self) -> Vec<String> {
        let mut sql = vec![self.own()];
        sql.extend(self.of_clients());
        sql
    }

    /// Those of the database's own clients, where they differ from the driver's.
    fn of_clients(&self) -> Option<String> {
        let mut values = self.clients.values().peekable();
        values.peek().is_some().then(|| set(values, self.is_local))
    }

    /// Fleet's own.
    pub(crate) fn own(&self) -> String {
        let limits = limits(&self.limits).map(|(name, ms)| (name, ms.to_string()));
        let own = [("client_encoding", "UTF8".to_owned()), ("application_name", self.name.clone())];
        let alive = ALIVE.into_iter().filter(|_| self.is_native).map(|(name, value)| (name, value.to_owned()));
        set(limits.into_iter().chain(own).chain(alive), self.is_local)
    }

    /// The parts of a script's statement between which a setting has to be set again: Rust code may send several
    /// statements as one.
    pub(crate) fn pieces<'a>(&self, script: &Script, sql: &'a str) -> Vec<&'a str> {
        if is_sql(script) {
            return vec![sql];
        }
        let pieces: Vec<&str> = split(Engine::Postgres, sql).into_iter().map(|piece| piece.text).collect();
        match pieces.iter().any(|piece| !self.again(piece).is_empty()) {
            true => pieces,
            false => vec![sql],
        }
    }

    /// Those that a statement may have changed, to be set again behind it.
    pub(crate) fn again(&self, sql: &str) -> Vec<String> {
        let mut again = Vec::new();
        again.extend(may_change_own(Engine::Postgres, sql).then(|| self.own()));
        if restores_forced(Engine::Postgres, sql) {
            again.extend(self.of_clients());
        }
        if restores_search_path(Engine::Postgres, sql) {
            let path = self.path.iter().map(|path| ("search_path", path.clone()));
            again.extend(self.path.is_some().then(|| set(path, self.is_local)));
        }
        again
    }
}

/// Whether a script is from the folder of SQL scripts.
pub(crate) fn is_sql(script: &Script) -> bool {
    !matches!(script.record, Record::Migration)
}

/// One statement for all: the name of the function is safe whatever search path a script has set.
fn set<'a>(settings: impl Iterator<Item = (&'a str, String)>, is_local: bool) -> String {
    let one = |(name, value): (&str, String)| {
        format!("pg_catalog.set_config('{name}', {}, {is_local})", literal(Engine::Postgres, &value))
    };
    format!("SELECT {}", settings.map(one).collect::<Vec<_>>().join(", "))
}

/// Rust code may be busy elsewhere for minutes while its transaction is idle. A runner that is gone is noticed by the
/// server's own questions to its host instead: within a minute.
const ALIVE: [(&str, &str); 4] = [
    ("idle_in_transaction_session_timeout", "0"),
    ("tcp_keepalives_idle", "30"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
];

/// Milliseconds; zero means no limit. An idle transaction of ours has lost its runner: 60 s are plenty.
pub(crate) fn limits(timeouts: &Timeouts) -> [(&'static str, u128); 3] {
    let (lock, statement) = (timeouts.lock.as_millis(), timeouts.statement.as_millis());
    [("lock_timeout", lock), ("statement_timeout", statement), ("idle_in_transaction_session_timeout", 60_000)]
}
