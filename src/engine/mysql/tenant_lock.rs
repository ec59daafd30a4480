//! A MySQL tenant's lock, and the history and journal read under it.
//!
//! It changes no rows and no tables.

use std::sync::atomic::Ordering;

use futures_util::StreamExt;
use sqlx::{AssertSqlSafe, Either, MySql};

use crate::engine::expectation::NextHistory;
use crate::engine::history::HistoryTables;
use crate::engine::mysql::MysqlSession;
use crate::engine::mysql::cluster::refused_lock;
use crate::engine::mysql::flavour::Flavour;
use crate::engine::mysql::fresh::Settings;
use crate::engine::queries::TextColumns as _;
use crate::engine::{Session as _, errors, journal, literal};
use crate::model::engine::Engine;
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::{Catalog, Unfinished};
use crate::policy::Timeouts;
use crate::sql::SessionUse;

/// The name of a tenant's lock, as an expression: lock names are global to the server, so it includes the database; at
/// most 64 characters.
pub(crate) const LOCK_NAME: &str = "CONCAT('fleet:', SUBSTRING(SHA2(DATABASE(), 256), 1, 56))";

/// The name of the lock that the engine's own client holds while it loads a tenant. The client may outlive the run that
/// started it, whose lock is then gone.
pub(crate) const LOAD_LOCK: &str = "CONCAT('fleet-load:', SUBSTRING(SHA2(DATABASE(), 256), 1, 48))";

/// The statements that a client runs before it loads: it takes the load lock, or fails if session `holder`, which
/// started it, no longer holds the tenant's lock. These engines have no plain statement that fails on a condition.
pub(crate) fn load_under(holder: u64) -> String {
    format!(
        "SET @fleet = IF(COALESCE(IS_USED_LOCK({LOCK_NAME}), 0) = {holder} AND GET_LOCK({LOAD_LOCK}, 0) = 1, 1, (SELECT 1 \
         UNION SELECT 2))"
    )
}

/// The state of a tenant, read once its lock is held.
#[derive(Debug, Default)]
pub(crate) struct TenantLock {
    /// The applied versions, sorted.
    pub(crate) history: Vec<String>,
    /// Whether all history tables exist.
    pub(crate) has_history: bool,
    pub(crate) has_journal: bool,
    pub(crate) entry: Option<Unfinished>,
    /// The most bytes that the server takes in one message, as far as known.
    pub(crate) most_bytes: Option<usize>,
    /// Whether the server stores a body with the semicolon behind it.
    pub(crate) stores_end: bool,
    /// Whether the session has the `sql_mode` `IGNORE_SPACE` only because the driver asks for it.
    pub(crate) ignores_space: bool,
}

impl MysqlSession {
    /// Takes the tenant's lock and reads history and journal under it, in one message.
    ///
    /// The lock belongs to the session: dying releases it, DDL does not. A load left running by a dead run counts as
    /// another run.
    ///
    /// If earlier steps or the next ones use their session, it is a new one. Another run that has just seen that the tenant is
    /// taken gives its lock back, which is waited for.
    pub(crate) async fn hold(&mut self, next: SessionUse) -> Result<TenantLock, Fault> {
        let mut held = TenantLock::default();
        let mut wait = 0;
        if self.needs_another_connection(next) {
            self.reconnect().await?;
            wait = 3;
        }
        self.check_writers().await?;
        let (settings, books, journal) =
            (session_settings(&self.door.timeouts), self.door.books(), self.door.journal());
        let take = |lock: &str| {
            format!(
                "{settings};\nSELECT CONNECTION_ID(), IF(COALESCE({lock}, 0) = 1, \
             COALESCE(IS_USED_LOCK({LOAD_LOCK}), CONNECTION_ID()) = CONNECTION_ID(), 0), @@max_allowed_packet, \
             FIND_IN_SET('IGNORE_SPACE', @@sql_mode) > FIND_IN_SET('IGNORE_SPACE', @@global.sql_mode), VERSION();\nDO RELEASE_LOCK({LOAD_LOCK});\n{};\n{}",
                books.read(),
                journal.read()
            )
        };
        let mut sql = take(&format!("GET_LOCK({LOCK_NAME}, {wait})"));
        if self.door.tape.is_on() {
            self.door.tape.asks(&sql);
            // The same questions, without the lock.
            sql = take("1");
        }
        let id = self.id.clone();
        // The session of an earlier work has the mode of its last step.
        let known_space = (self.settings != Settings::Driver).then_some(self.held.ignores_space);
        let connection = self.connection()?;
        // The results of the message: settings, lock, load lock, history, journal.
        let mut results = 0;
        let mut locked = false;
        let mut stream = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_many(connection);
        while let Some(item) = stream.next().await {
            match item {
                Ok(Either::Left(_)) => results += 1,
                Ok(Either::Right(row)) => match results {
                    1 => {
                        let own = MySql::text(&row, 0).and_then(|own| own.parse().ok());
                        id.store(own.unwrap_or(0), Ordering::Relaxed);
                        locked = MySql::text(&row, 1).as_deref() == Some("1");
                        held.most_bytes = MySql::text(&row, 2).and_then(|most| most.parse().ok());
                        held.ignores_space = known_space.unwrap_or(MySql::text(&row, 3).as_deref() == Some("1"));
                        held.stores_end =
                            MySql::text(&row, 4).is_some_and(|version| Flavour::of(&version).stores_end());
                    }
                    3 => held.history.push(MySql::text(&row, 0).unwrap_or_default()),
                    _ => held.entry = Some(journal::entry(std::array::from_fn(|i| MySql::text(&row, i)))),
                },
                Err(error) => {
                    let fault = errors::fault(&error);
                    // 1146: the table read now does not exist; the rest was not sent.
                    if fault.code.as_deref() != Some("1146") || results < 3 {
                        return Err(if results == 1 { refused_lock(fault) } else { fault });
                    }
                    break;
                }
            }
        }
        drop(stream);
        if !locked {
            return Err(Fault::new(FaultClass::TenantLocked, "another run holds this tenant"));
        }
        held.has_history = results >= 4;
        held.has_journal = results >= 5;
        if !held.has_history {
            // Anything not read in the message is read under the same lock.
            held.history = self.history().await?;
            (held.entry, held.has_journal) = self.entry().await?.map_or((None, false), |entry| (entry, true));
        }
        held.history.sort_unstable();
        self.door.tape.by_hand(|| by_hand(&held, &books, self.door.migrations.catalog()));
        Ok(held)
    }
}

/// The statements that fail unless this session can have the tenant's lock, and the history is as it was read.
fn by_hand(held: &TenantLock, books: &HistoryTables, catalog: &Catalog) -> String {
    let is_planned = match held.has_history {
        true => {
            let (entries, there) = (held.history.len(), held.history.clone());
            books.is_as(&NextHistory { entries, there, gone: Vec::new() })
        }
        false => format!(
            "NOT EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = {})",
            literal(Engine::Mysql, &catalog.history_table)
        ),
    };
    let require = |condition: &str| format!("SET @fleet = IF({condition}, 1, (SELECT 1 UNION SELECT 2))");
    format!("{};\n{}", require(&format!("COALESCE(GET_LOCK({LOCK_NAME}, 0), 0) = 1")), require(&is_planned))
}

/// Whole seconds, rounded up, at least one: the engine knows no smaller unit for metadata locks.
///
/// `/*M! */` is read by MariaDB only; MySQL has no such limit for anything but `SELECT`.
pub(crate) fn session_settings(timeouts: &Timeouts) -> String {
    let lock = timeouts.lock.as_millis().div_ceil(1000).max(1);
    let statement = timeouts.statement.as_secs_f64();
    format!(
        "SET SESSION lock_wait_timeout = {lock}, innodb_lock_wait_timeout = {lock} /*M!, \
         max_statement_time = {statement} */"
    )
}
