//! The session that each step finds: as the server gives it to its own clients for SQL scripts, as SeaORM sets it for Rust
//! migrations, and nothing in it of the steps before.
//!
//! It applies nothing.

use sqlx::Connection as _;

use crate::engine::address;
use crate::engine::mysql::MysqlSession;
use crate::engine::mysql::tenant_lock::{LOAD_LOCK, LOCK_NAME, session_settings};
use crate::engine::native::Link;
use crate::engine::queries::Queries as _;
use crate::engine::{Segment, Work};
use crate::model::engine::Engine;
use crate::model::fault::Fault;
use crate::model::schema::{Execution, Record, Script};
use crate::sql::{SessionUse, session_use};

/// Steps that are sent in one way, in one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) segment: Segment,
    /// The use that its steps make of their session. A step with any has a session of its own.
    pub(crate) uses: SessionUse,
}

impl Part {
    /// The work in parts: a step that sets or reads its session stands alone, and if it may reach fleet's own writes or
    /// its code can't be seen, its statements go one by one.
    pub(crate) fn of(work: &Work, segments: Vec<Segment>) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for segment in segments {
            let steps = match segment {
                Segment::Together(steps) => steps,
                Segment::Alone(step) => {
                    let uses = use_of(&work.steps[step].script);
                    parts.push(Part { segment, uses });
                    continue;
                }
                Segment::Native { .. } => {
                    parts.push(Part { segment, uses: SessionUse::Code });
                    continue;
                }
            };
            for step in steps {
                let script = &work.steps[step].script;
                let uses = use_of(script);
                let has_transaction = script.record.is_of_rows();
                let segment = match uses {
                    SessionUse::Whole | SessionUse::Code if !has_transaction => Segment::Alone(step),
                    _ => Segment::Together(step..step + 1),
                };
                match (parts.last_mut(), segment) {
                    (
                        Some(Part { segment: Segment::Together(before), uses: SessionUse::None }),
                        Segment::Together(more),
                    ) if uses == SessionUse::None && before.end == more.start => {
                        before.end = more.end;
                    }
                    (_, segment) => parts.push(Part { segment, uses }),
                }
            }
        }
        parts
    }
}

/// The settings of a connection.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settings {
    /// As the driver connects: it asks for `IGNORE_SPACE`.
    #[default]
    Driver,
    /// As the server's own clients see it, for SQL scripts.
    Client,
    /// As SeaORM's driver sets it, for Rust migrations.
    SeaOrm,
}

/// The use that a script makes of its session.
fn use_of(script: &Script) -> SessionUse {
    script.statements.iter().map(|sql| session_use(script.engine, sql)).max().unwrap_or(SessionUse::None)
}

impl MysqlSession {
    /// Replaces the connection. Dying here: no step is begun, and the tenant is at a whole version.
    ///
    /// The new connection takes the load lock before the old one gives the tenant's lock away: another run that gets that
    /// one in between sees that the tenant is taken.
    pub(crate) async fn reconnect(&mut self) -> Result<(), Fault> {
        if self.door.tape.reconnects() {
            self.run(format!("DO GET_LOCK({LOAD_LOCK}, 0)")).await?;
            (self.used, self.settings) = (None, Settings::default());
            return Ok(());
        }
        let (old, old_pool) = (self.connection.take(), self.pool.take());
        let is_pooled = old_pool.is_some();
        if is_pooled {
            self.become_pooled().await?;
        } else {
            self.connection = Some(Link::Alone(self.door.connect(&self.options).await?));
        }
        self.run(format!("DO GET_LOCK({LOAD_LOCK}, 0)")).await?;
        self.id.store(0, std::sync::atomic::Ordering::Relaxed);
        if let Some(mut link) = old {
            let _ = link.run(self.release()).await;
            link.close().await;
        }
        if let Some(pool) = old_pool {
            // Native code may have kept a connection.
            let _ = tokio::time::timeout(self.door.timeouts.connect, pool.close()).await;
        }
        (self.used, self.settings) = (None, Settings::default());
        Ok(())
    }

    /// Whether a step with this use of its session needs another connection: a step that sets or reads its session has
    /// one to itself.
    pub(crate) fn needs_another_connection(&self, next: SessionUse) -> bool {
        self.used.is_some_and(|used| used.max(next) > SessionUse::None)
    }

    /// The statement that returns to the tenant's database.
    pub(crate) fn use_own_database(&self) -> Option<String> {
        self.door.namespace().map(|name| format!("USE {}", Engine::Mysql.quote(&name)))
    }

    /// Releases the tenant's lock, whose name is made of the database's. Closing the connection releases it too, but only
    /// when the server notices.
    pub(crate) fn release(&self) -> String {
        let all = self.use_own_database().into_iter().chain([format!("DO RELEASE_LOCK({LOCK_NAME})")]);
        all.collect::<Vec<_>>().join(";\n")
    }

    /// Opens a second connection, for fleet's own writes while a script has the session to itself.
    pub(crate) async fn open_aside(&mut self) -> Result<(), Fault> {
        self.aside = Some(self.door.connect(&self.options).await?);
        self.door.tape.goes_aside();
        self.run(session_settings(&self.door.timeouts)).await
    }

    /// Closes it.
    pub(crate) async fn close_aside(&mut self) {
        if let Some(aside) = self.aside.take() {
            let _ = aside.close().await;
        }
    }

    /// The statements that give a step the session it is written for, unless it has that session already.
    pub(crate) fn session_of(&mut self, script: &Script) -> Vec<String> {
        let wanted = if matches!(script.record, Record::Migration) { Settings::SeaOrm } else { Settings::Client };
        let was = std::mem::replace(&mut self.settings, wanted);
        if was == wanted {
            return Vec::new();
        }
        let differs = |settings| match settings {
            Settings::Driver => false,
            Settings::Client => self.held.ignores_space,
            Settings::SeaOrm => true,
        };
        let mut sql = Vec::new();
        if differs(was) {
            sql.push("SET SESSION sql_mode = @fleet_sql_mode, time_zone = @fleet_time_zone".to_owned());
        } else if differs(wanted) {
            sql.push("SET @fleet_sql_mode = @@sql_mode, @fleet_time_zone = @@time_zone".to_owned());
        }
        if differs(wanted) {
            let is_native = matches!(script.execution, Execution::Native { .. });
            sql.push(match wanted {
                Settings::SeaOrm => self.as_seaorm(is_native),
                _ => "SET SESSION sql_mode = REPLACE(@@sql_mode, 'IGNORE_SPACE', '')".to_owned(),
            });
        }
        sql
    }

    /// The settings that SeaORM's driver makes when it connects. A literal in a compiled migration is written with
    /// backslash escapes, so they must be enabled there.
    pub(crate) fn as_seaorm(&self, is_native: bool) -> String {
        let mode = if is_native { "@@sql_mode" } else { "REPLACE(@@sql_mode, 'NO_BACKSLASH_ESCAPES', '')" };
        let zone = if address::has_time_zone(&self.door.tenant) { "" } else { ", time_zone = '+00:00'" };
        format!("SET SESSION sql_mode = CONCAT({mode}, ',PIPES_AS_CONCAT,NO_ENGINE_SUBSTITUTION'){zone}")
    }
}
