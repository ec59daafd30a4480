//! Sessions that a run keeps for the next tenant of their database: the tenants that are schemas of it. To begin a session
//! costs a server more than many of its migrations.
//!
//! It holds connections and sends nothing; the session ends what a tenant left, and says whether that is possible.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use crate::engine::Work;
use crate::engine::driver::driver;
use crate::model::engine::Engine;
use crate::model::schema::{Execution, Script};
use crate::model::tenant::Tenant;
use crate::sql::split;
use crate::sql::words::Words;

/// Tenants per session: a server's process remembers each table that it has seen.
const MOST_TENANTS: u32 = 50;

/// The time after which a session that nobody takes is closed.
const IDLE: Duration = Duration::from_secs(2);

/// A session between two tenants.
pub(crate) struct Kept {
    pub(crate) connection: PgConnection,
    /// The number of tenants that have had it.
    pub(crate) served: u32,
    /// The database, and who signed in.
    key: Key,
    number: u64,
}

/// The kept sessions of one run.
#[derive(Clone, Default)]
pub(crate) struct KeptSessions(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The number of tenants still to come, by the key of their database.
    expected: HashMap<Key, usize>,
    /// By server.
    idle: HashMap<Arc<str>, Vec<Kept>>,
    last: u64,
}

/// Equal for the schemas that one session can serve: a digest, because what they share holds a password.
type Key = [u8; 32];

fn key(tenant: &Tenant) -> Option<Key> {
    tenant.schema.as_ref()?;
    driver(tenant.engine).shared_connection(tenant).map(|shared| Sha256::digest(shared).into())
}

impl KeptSessions {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics while holding it")
    }

    /// Announces the tenants to come: a session is kept only while there are some of its database.
    pub(crate) fn expect(&self, tenants: &[Arc<Tenant>]) {
        let mut expected = HashMap::new();
        for key in tenants.iter().filter_map(|tenant| key(tenant)) {
            *expected.entry(key).or_default() += 1;
        }
        self.state().expected = expected;
    }

    /// The session kept for the database of this tenant. Where there are only some for other databases of its server, one of
    /// them is closed: a server never has more sessions than tenants at work.
    pub(crate) async fn take(&self, tenant: &Tenant) -> Option<Kept> {
        let key = key(tenant);
        let (kept, spare) = {
            let mut state = self.state();
            if let Some(left) = key.as_ref().and_then(|key| state.expected.get_mut(key)) {
                *left = left.saturating_sub(1);
            }
            let idle = state.idle.get_mut(&tenant.server)?;
            match idle.iter().position(|kept| Some(&kept.key) == key.as_ref()) {
                Some(at) => (Some(idle.swap_remove(at)), None),
                None => (None, idle.pop()),
            }
        };
        if let Some(spare) = spare {
            let _ = spare.connection.close().await;
        }
        kept
    }

    /// Whether a session of this tenant's database, which has had so many tenants, is of use to another one.
    pub(crate) fn wants(&self, tenant: &Tenant, served: u32) -> bool {
        let left = || key(tenant).and_then(|key| self.state().expected.get(&key).copied());
        served < MOST_TENANTS && left().is_some_and(|left| left > 0)
    }

    /// Keeps a session in which this tenant left nothing, until another takes it or none does in time.
    pub(crate) fn give(&self, tenant: &Tenant, connection: PgConnection, served: u32) {
        let Some(key) = key(tenant) else { return };
        let (server, all) = (tenant.server.clone(), self.clone());
        let number = {
            let mut state = self.state();
            state.last += 1;
            let number = state.last;
            state.idle.entry(server.clone()).or_default().push(Kept { connection, served, key, number });
            number
        };
        tokio::spawn(async move {
            tokio::time::sleep(IDLE).await;
            let old = all.state().idle.get_mut(&server).and_then(|idle| {
                let at = idle.iter().position(|kept| kept.number == number)?;
                Some(idle.swap_remove(at))
            });
            if let Some(old) = old {
                let _ = old.connection.close().await;
            }
        });
    }
}

/// Whether `DISCARD ALL` ends all that this work can have left in its session, in a database without functions of its own:
/// its statements make tables and indexes or change rows, and each function that they call is one of PostgreSQL.
pub(crate) fn leaves_nothing(work: &Work) -> bool {
    work.steps.iter().map(|step| &*step.script).all(|Script { execution, statements, .. }| {
        matches!(execution, Execution::Compiled { transaction: true }) && statements.iter().all(|sql| is_plain(sql))
    })
}

fn is_plain(sql: &str) -> bool {
    const KINDS: [&str; 5] = ["table", "unlogged", "index", "unique", "sequence"];
    let words = Words::of(Engine::Postgres, sql).all();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let is_known = match words.as_slice() {
        ["create" | "drop" | "alter", kind, ..] => KINDS.contains(kind),
        ["insert" | "update" | "delete", ..] => true,
        _ => false,
    };
    is_known && !outlives_discard(sql) && split(Engine::Postgres, sql).len() == 1
}

/// Whether a text may do something to its session that `DISCARD ALL` does not undo: the name of a setting of its own, which
/// stays known; the seed of random numbers; libraries, and languages with a memory of their own; text that is put together
/// and run; settings of a role or database, which only sessions to come have.
fn outlives_discard(sql: &str) -> bool {
    const OUTLIVES: [&str; 5] = ["call", "load", "perform", "set_config", "setseed"];
    let text = sql.to_lowercase();
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let words: Vec<&str> = text.split(|c| !is_word(c)).filter(|word| !word.is_empty()).collect();
    let word = |at: usize| words.get(at).copied().unwrap_or_default();
    (0..words.len()).any(|at| match word(at) {
        "execute" => !["function", "procedure"].contains(&word(at + 1)),
        "language" => !["sql", "plpgsql"].contains(&word(at + 1)),
        "alter" => ["role", "user", "database", "system"].contains(&word(at + 1)),
        "set" => {
            let name = at + 1 + usize::from(["session", "local"].contains(&word(at + 1)));
            word(name).contains('.') || word(name + 1).starts_with('.')
        }
        word => OUTLIVES.contains(&word) || word.contains("dblink"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_statements_leave_nothing() {
        for sql in [
            "CREATE TABLE t (a int DEFAULT f(), CHECK (a > g(1)))",
            "CREATE UNIQUE INDEX i ON t (a, b)",
            "ALTER TABLE t ADD COLUMN b int",
            "DROP TABLE t",
            "INSERT INTO t VALUES (1)",
        ] {
            assert!(is_plain(sql), "{sql}");
        }
        for sql in [
            "DROP TABLE t; SELECT f()",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE VIEW v AS SELECT 1",
            "DO $$ BEGIN NULL; END $$",
            "RESET ALL",
            "SET /* c */ app.x = 1",
            "SELECT f()",
            "INSERT INTO t SELECT set_config('a.b', '', false)",
        ] {
            assert!(!is_plain(sql), "{sql}");
        }
    }

    #[test]
    fn what_a_session_never_forgets_is_seen_in_a_text() {
        for sql in [
            "SET my.own = 'x'",
            "set session \"my\".\"own\" to 1",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET my.own = 'x' AS $$ SELECT 1 $$",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('a.b', '', false); END $$",
            "DO $$ BEGIN EXECUTE 'SET ' || 'my.own = 1'; END $$",
            "CREATE FUNCTION f() RETURNS int LANGUAGE 'plpython3u' AS $$ return 1 $$",
            "LOAD 'auto_explain'",
            "SELECT setseed(0.5)",
            "SELECT public.dblink_connect('x')",
            "ALTER DATABASE shop SET search_path = a",
        ] {
            assert!(outlives_discard(sql), "{sql}");
        }
        for sql in [
            "CREATE TABLE t (a int REFERENCES u ON DELETE SET NULL)",
            "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = excluded.a",
            "ALTER TABLE t ALTER COLUMN a SET DEFAULT 1.5",
            "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
            "SET search_path = a; SET ROLE b; CREATE TEMP TABLE t (i int); LISTEN news; PREPARE p AS SELECT 1",
            "DO $$ BEGIN CREATE EXTENSION IF NOT EXISTS pgcrypto; EXCEPTION WHEN others THEN RAISE NOTICE 'no'; END $$",
        ] {
            assert!(!outlives_discard(sql), "{sql}");
        }
    }
}
