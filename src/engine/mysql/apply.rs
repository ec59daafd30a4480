//! Applying steps: in one message with the journal between them, statement by statement, or natively.
//!
//! Reading and settling are in the session.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use sea_orm::SqlxMySqlConnector;
use sqlx::mysql::MySqlQueryResult;
use sqlx::{MySql, Pool};

use crate::engine::directives;
use crate::engine::history;
use crate::engine::journal;
use crate::engine::journalled::{self, Journalled, Opening, Refusal};
use crate::engine::message::{Message, Place, send, stopped_at, stopped_at_statement};
use crate::engine::mysql::MysqlSession;
use crate::engine::mysql::native::{COMMANDS, commands, left_nothing};
use crate::engine::mysql::refused::run;
use crate::engine::mysql::tenant_lock::{LOCK_NAME, session_settings};
use crate::engine::native::Link;
use crate::engine::queries::Queries as _;
use crate::engine::work::ScriptStatement;
use crate::engine::{ApplyError, PartialState, Session, Step, Work, errors, native};
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::{Direction, Execution, Unfinished};
use crate::model::tenant::Engine;
use crate::policy::Limits;
use crate::sql::{SessionUse, directive, first_words, session_use};

impl MysqlSession {
    /// Moves the session to a connection from a pool of one, for work that has native steps. No lock is held and no
    /// step begun yet.
    pub(crate) async fn become_pooled(&mut self) -> Result<(), Fault> {
        if self.pool.is_some() && self.connection.is_some() || self.door.tape.is_on() {
            // A second pool would find the tenant locked by the connection of the first.
            return Ok(());
        }
        if let Some(link) = self.connection.take() {
            link.close().await;
        }
        let (pool, link) = native::pooled(&self.door, self.options.clone()).await?;
        (self.pool, self.connection) = (Some(pool), Some(link));
        Ok(())
    }

    /// Takes the connection back from native code. A replaced connection has lost the tenant's lock.
    pub(crate) async fn take_back(&mut self, pool: &Pool<MySql>) -> Result<(), Fault> {
        let before = self.id.load(Ordering::Relaxed);
        self.connection = Some(Link::Pooled(pool.acquire().await.map_err(|e| errors::fault(&e))?));
        let rows = self.rows("SELECT CONNECTION_ID()".to_owned()).await?;
        if rows.first().and_then(|row| row.parse(0)) == Some(before) {
            return Ok(());
        }
        Err(native::lost_connection())
    }

    /// The time limits of a step, if any step of the work has its own: the session keeps those of the previous step.
    pub(crate) fn own_settings(&self, work: &Work, step: usize) -> Option<String> {
        let any = work.steps.iter().any(|step| step.limits != Limits::default());
        any.then(|| session_settings(&self.door.limits(&work.steps[step])))
    }

    /// Applies a script statement by statement. If it may reach fleet's own writes, it has the session to itself, and they go
    /// over a second connection.
    pub(crate) async fn apply_alone(&mut self, work: &Work, step: usize, uses: SessionUse) -> Result<(), ApplyError> {
        self.ran_code = false;
        if uses >= SessionUse::Whole {
            self.open_aside().await.map_err(|fault| ApplyError::before(step, fault))?;
        }
        let applied = journalled::apply_alone(self, work, step).await;
        self.close_aside().await;
        applied
    }

    /// Ends a transaction that the code of a statement left open, and sets fleet's own time limits again: they hold
    /// whatever a script says. Dying here: the journal names the statement, which happened.
    async fn restore_limits(&mut self, this: ScriptStatement<'_>, sql: &str) -> Result<(), Fault> {
        if self.aside.is_none() {
            return Ok(());
        }
        let uses = session_use(Engine::Mysql, sql);
        self.ran_code |= uses == SessionUse::Code;
        let mut all = Vec::new();
        if self.ran_code {
            all.push("COMMIT".to_owned());
        }
        // Any statement here would replace the row count that the next one of the script may read.
        if uses == SessionUse::Code || first_words(Engine::Mysql, sql).next().as_deref() == Some("set") {
            all.push(session_settings(&self.door.limits(this.step())));
        }
        match all.is_empty() {
            true => Ok(()),
            false => self.run_in_script(all.join(";\n")).await,
        }
    }

    /// The stop before anything is sent, if a statement is longer than the server takes.
    pub(crate) fn too_long(&self, work: &Work) -> Option<ApplyError> {
        let most = self.held.most_bytes?;
        work.steps.iter().enumerate().find_map(|(step, Step { script, .. })| {
            let statement = script.statements.iter().position(|sql| sql.len() > longest(most))?;
            let text = format!(
                "the statement has {} bytes, and the server takes less than {most} in one message; nothing was sent to this \
                 tenant; write it as several statements, or as an administrator: SET GLOBAL max_allowed_packet = {}",
                script.statements[statement].len(),
                (script.statements[statement].len() / 1024 + 2) * 1024
            );
            let fault = Fault::with_code(FaultClass::Resources, "1153", text);
            let at = stopped_at_statement(work, step, statement);
            Some(ApplyError { at, ..ApplyError::before(0, fault) })
        })
    }

    /// The statements that create fleet's own tables, where they are missing.
    fn tables(&self) -> Vec<String> {
        let mut sql = if self.held.has_history { Vec::new() } else { self.door.install() };
        if !self.held.has_journal {
            sql.push(self.door.journal().create());
        }
        sql
    }

    /// A step that starts at its first statement requires the planned history.
    fn check_history(&self, work: &Work, step: usize, opening: Opening) -> Result<(), Fault> {
        match opening.resumed.is_some() || self.held.history == work.history_before(step) {
            true => Ok(()),
            false => Err(history::moved()),
        }
    }

    fn push_step<'w>(&mut self, message: &mut Message<'w>, work: &'w Work, step: usize, resumed: Option<usize>) {
        let script = &work.steps[step].script;
        let first = resumed.unwrap_or(0);
        if let Some(setting) = self.own_settings(work, step) {
            message.push(Place::Prepare { step }, setting);
        }
        message.push_all(Place::Prepare { step }, self.session_of(script));
        for setting in journal::settings_before(script, first) {
            message.push(Place::Prepare { step }, &script.statements[setting]);
        }
        let open = match resumed {
            Some(statement) => self.door.journal().resume(&work.steps[step], statement, &work.run),
            None => self.door.journal().begin(&work.steps[step], &work.run),
        };
        message.push(Place::Prepare { step }, open);
        message.push_all(Place::Prepare { step }, self.use_own_database().into_iter().collect());
        if script.direction == Direction::Down && resumed.is_none() {
            // Deleted first: if the rest does not happen, the tenant must not look as if it were at its target.
            message.push(Place::Record { step }, self.door.record(&work.steps[step]));
        }
        for (statement, sql) in script.statements.iter().enumerate().skip(first) {
            if statement > first {
                message.push(Place::Record { step }, self.door.journal().advance(statement));
            }
            message.push(Place::Statement { step, statement }, sql);
        }
        message.push_all(Place::Record { step }, self.end(work, step));
        message.push(Place::Commit { step }, "COMMIT");
    }

    /// A step that changes rows only has a transaction and no journal. Dying in it: the server rolls it back.
    fn push_rows<'w>(&self, message: &mut Message<'w>, work: &'w Work, step: usize) {
        message.push(Place::Prepare { step }, "START TRANSACTION");
        for (statement, sql) in work.steps[step].script.statements.iter().enumerate() {
            message.push(Place::Statement { step, statement }, sql);
        }
        message.push(Place::Record { step }, self.door.record(&work.steps[step]));
        message.push(Place::Commit { step }, "COMMIT");
    }

    /// A repeatable script loses its row first. Dying behind it: the tenant lacks the script, and the next run makes it
    /// again; so it needs no journal.
    fn push_taken_down<'w>(&self, message: &mut Message<'w>, work: &'w Work, step: usize) {
        message.push(Place::Prepare { step }, self.door.record(&work.steps[step]));
        if let Some(database) = self.door.namespace() {
            message.push(Place::Prepare { step }, format!("USE {}", Engine::Mysql.quote(&database)));
        }
        for (statement, sql) in work.steps[step].script.statements.iter().enumerate() {
            message.push(Place::Statement { step, statement }, sql);
        }
        message.push(Place::Commit { step }, "COMMIT");
    }

    /// Drops the tables of the session, and no others, that hide fleet's own behind Rust code, which had the session to itself.
    fn shows_own_tables(&self) -> String {
        let (books, journal) = (self.door.books(), self.door.journal());
        let tables: Vec<&str> = books.tables().into_iter().chain([journal.table()]).collect();
        format!("DROP TEMPORARY TABLE IF EXISTS {}", tables.join(", "))
    }

    /// The history row and the end of the journal in one transaction, without its commit.
    fn end(&self, work: &Work, step: usize) -> Vec<String> {
        let mut sql = vec!["START TRANSACTION".to_owned()];
        if work.steps[step].script.direction == Direction::Up {
            sql.push(self.door.record(&work.steps[step]));
        }
        sql.push(self.door.journal().close());
        sql
    }

    pub(crate) async fn apply_steps(&mut self, work: &Work, steps: std::ops::Range<usize>) -> Result<(), ApplyError> {
        let (first, last) = (steps.start, steps.end);
        let opening = journalled::opening(self.held.entry.clone(), work, first)?;
        self.check_history(work, first, opening).map_err(|fault| ApplyError::before(first, fault))?;
        let mut message = Message::of(Engine::Mysql, work);
        message.most_bytes = self.held.most_bytes.map(longest);
        message.ends_bodies = self.held.stores_end;
        let prepare = Place::Prepare { step: first };
        message.push_all(prepare, self.tables());
        if first == 0 && work.refreshes() {
            message.push(prepare, self.door.books().create_refreshes());
        }
        if opening.closes_void {
            message.push(prepare, self.door.journal().close());
        }
        for step in steps {
            if is_of_rows(work, step) {
                message.push_all(Place::Prepare { step }, self.session_of(&work.steps[step].script));
                self.push_rows(&mut message, work, step);
            } else if work.steps[step].is_taken_down() {
                self.push_taken_down(&mut message, work, step);
            } else {
                let resumed = opening.resumed.filter(|_| step == first);
                self.push_step(&mut message, work, step, resumed);
            }
        }
        if last == work.steps.len() {
            // Closing the connection releases it too, but only when the server notices.
            message.push_all(Place::Tidy, self.use_own_database().into_iter().collect());
            message.push(Place::Tidy, format!("DO RELEASE_LOCK({LOCK_NAME})"));
        }
        if self.door.tape.takes_message(&message, 0..message.len()) {
            return Ok(());
        }
        let connection = self.connection().map_err(|fault| ApplyError::before(first, fault))?;
        let sent = send(connection, &message, 0..message.len()).await;
        message.tell_reports(work, &sent);
        let Some(error) = &sent.error else { return Ok(()) };
        let fault = errors::fault(error);
        let place = message.place(sent.completed);
        let committed = first + message.committed(sent.completed);
        let residue = match &fault.code {
            Some(_) => self.residue(work, place, message.within(&sent), &fault).await,
            // The driver has given up, and the server may have gone on to the end.
            None => PartialState::Unknown,
        };
        Err(ApplyError { committed, at: stopped_at(work, place, 0), fault, residue })
    }

    /// The state of a step after the engine refused a message at this place, where up to this many statements of the
    /// place may have completed. It is recorded in the journal while the connection still answers.
    async fn residue(&mut self, work: &Work, place: Option<Place>, within: usize, fault: &Fault) -> PartialState {
        if fault.class == FaultClass::ConnectionLost {
            return PartialState::Unknown;
        }
        if place.and_then(Place::step).is_some_and(|step| is_of_rows(work, step)) {
            return self.run("ROLLBACK".to_owned()).await.map_or(PartialState::Unknown, |()| PartialState::Nothing);
        }
        if place.and_then(Place::step).is_some_and(|step| work.steps[step].is_taken_down()) {
            return PartialState::Nothing;
        }
        // Only the server's own refusal, which has an error number, proves that a statement did not happen.
        let place = place.filter(|_| fault.code.is_some());
        let is_certain = match place {
            // The engine refused the whole statement.
            Some(Place::Statement { statement, step }) if within == 0 => {
                let Step { script, .. } = &work.steps[step];
                self.did_nothing(&script.statements[..=statement], fault).await
            }
            _ => false,
        };
        match place {
            Some(Place::Prepare { .. }) => PartialState::Nothing,
            Some(Place::Statement { statement, step }) if is_certain => {
                let (note, left) =
                    journalled::refusal_note(&self.door, ScriptStatement { work, step, statement }, true);
                let note = match left {
                    // Dying in it: the journal is open still.
                    PartialState::Nothing => format!("START TRANSACTION;\n{};\nCOMMIT", note.join(";\n")),
                    _ => note.join(";\n"),
                };
                self.run(note).await.map_or(PartialState::Unknown, |()| left)
            }
            _ => {
                let _ = self.run("ROLLBACK".to_owned()).await;
                match self.unfinished().await {
                    Ok(Some(unfinished)) => PartialState::InDoubt(unfinished),
                    Ok(None) => PartialState::Nothing,
                    Err(_) => PartialState::Unknown,
                }
            }
        }
    }
}

/// Steps with statements in batches, and native code. Dying between two batches: the journal names the statement, and
/// the next run repeats it.
#[async_trait]
impl Journalled for MysqlSession {
    /// The lock was taken before the first step, and the journal was read under it.
    async fn prepare(&mut self, _: &Work, _: usize) -> Result<Option<Unfinished>, Fault> {
        Ok(self.held.entry.clone())
    }

    async fn open(&mut self, work: &Work, step: usize, opening: Opening) -> Result<(), Fault> {
        self.check_history(work, step, opening)?;
        let mut sql: Vec<String> = self.own_settings(work, step).into_iter().collect();
        sql.extend(self.session_of(&work.steps[step].script));
        if self.aside.is_some() && !sql.is_empty() {
            let settings = std::mem::take(&mut sql).join(";\n");
            self.run_in_script(settings).await?;
        }
        sql.extend(self.tables());
        let journal = self.door.journal();
        if opening.closes_void {
            sql.push(journal.close());
        }
        match opening.resumed {
            Some(statement) => sql.push(journal.resume(&work.steps[step], statement, &work.run)),
            None => sql.extend(journalled::begin_sql(&self.door, work, step)),
        }
        self.run(sql.join(";\n")).await
    }

    async fn advance(&mut self, this: ScriptStatement<'_>) -> Result<(), ApplyError> {
        let advanced = self.run(self.door.journal().advance(this.statement)).await;
        advanced.map_err(|fault| ApplyError::lost(this.step, fault))
    }

    async fn send<'a>(&mut self, this: ScriptStatement<'a>) -> Result<(), Refusal<'a>> {
        let refusal = |within, fault| Refusal { of: this, within, fault };
        if self.aside.is_none() || directive(this.sql()).is_some() {
            let within = usize::from(crate::sql::is_multiple(Engine::Mysql, this.sql()));
            if !self.door.tape.takes_directive(Engine::Mysql, this.sql()) {
                let connection = self.connection().map_err(|fault| refusal(within, fault))?;
                let sent = directives::run(connection, this, MySqlQueryResult::rows_affected).await;
                sent.map_err(|fault| refusal(within, fault))?;
            }
            return self.restore_limits(this, this.sql()).await.map_err(|fault| refusal(1, fault));
        }
        // One call of Rust code may send several statements, and the first of them change the limits.
        for (within, piece) in crate::sql::split(Engine::Mysql, this.sql()).into_iter().enumerate() {
            if !self.door.tape.takes(piece.text) {
                let before = this.statement.checked_sub(1).map(|at| this.step().script.statements[at].as_str());
                self.count_before(before, piece.text).await;
                let connection = self.connection().map_err(|fault| refusal(within, fault))?;
                run(connection, piece.text).await.map_err(|fault| refusal(within, fault))?;
            }
            // If this fails, the statement itself happened.
            self.restore_limits(this, piece.text).await.map_err(|fault| refusal(within + 1, fault))?;
        }
        Ok(())
    }

    async fn left_behind(&mut self, refusal: &Refusal<'_>) -> PartialState {
        let ScriptStatement { work, step, statement } = refusal.of;
        let place = Some(Place::Statement { step, statement });
        self.residue(work, place, refusal.within, &refusal.fault).await
    }

    /// The code gets the session's own connection, through a pool of one. If it fails, the server's count of what it sent
    /// says whether that left anything.
    async fn run_native(&mut self, work: &Work, step: usize) -> (Result<(), ApplyError>, Result<(), Fault>) {
        if self.door.tape.takes_code(&work.steps[step].script.migration) {
            return (Ok(()), Ok(()));
        }
        let pool = self.pool.clone().expect("the session became pooled before the tenant was locked");
        let before = match self.rows(COMMANDS.to_owned()).await {
            Ok(rows) => commands(&rows),
            Err(fault) => return (Err(ApplyError::lost(step, fault)), Ok(())),
        };
        drop(self.connection.take());
        let db = SqlxMySqlConnector::from_sqlx_mysql_pool(pool.clone());
        let native = native::Native { door: &self.door, work, step };
        let (ended, rolled_back) = match work.steps[step].script.execution {
            Execution::Native { transaction: true, .. } => native.mysql(&db).await,
            _ => (native.alone(&db).await, false),
        };
        let holds = self.take_back(&pool).await;
        self.left_nothing = false;
        if ended.is_err() && holds.is_ok() {
            let after = self.rows(COMMANDS.to_owned()).await.map(|rows| commands(&rows));
            self.left_nothing = after.is_ok_and(|after| left_nothing(&before, &after, rolled_back));
        }
        (ended, holds)
    }

    /// Dying in it: the journal is open still.
    async fn stop_native(&mut self, work: &Work, step: usize) -> PartialState {
        if self.left_nothing {
            let undo = self.door.undo(&work.steps[step].script).join(";\n");
            let shows = self.shows_own_tables();
            let undone = self.run(format!("{shows};\nSTART TRANSACTION;\n{undo};\nCOMMIT")).await;
            return undone.map_or(PartialState::Unknown, |()| PartialState::Nothing);
        }
        let _ = self.run(format!("{};\n{}", self.shows_own_tables(), self.door.journal().stop(None))).await;
        journalled::in_doubt(self).await
    }

    async fn finish(&mut self, work: &Work, step: usize) -> Result<(), Fault> {
        if self.ran_code {
            self.run_in_script("COMMIT".to_owned()).await?;
        }
        let mut end = self.end(work, step);
        end.push("COMMIT".to_owned());
        let is_native = matches!(work.steps[step].script.execution, Execution::Native { .. });
        if is_native {
            end.insert(0, self.shows_own_tables());
        }
        let releases = step + 1 == work.steps.len() && !is_native;
        let release = self.release();
        match &self.aside {
            Some(_) => {
                self.run(end.join(";\n")).await?;
                // The history row is there: closing the connection releases the lock too.
                let _ = if releases { self.run_in_script(release).await } else { Ok(()) };
                Ok(())
            }
            None => {
                end.extend(releases.then_some(release));
                self.run(end.join(";\n")).await
            }
        }
    }
}

/// The longest text of a message of at most this many bytes: the protocol adds one, and the limit itself is too much.
fn longest(most: usize) -> usize {
    most.saturating_sub(2)
}

/// A refresh, a baseline and a stamp have a transaction, and no journal.
fn is_of_rows(work: &Work, step: usize) -> bool {
    work.steps[step].script.record.is_of_rows()
}
