//! SQLite: the engine's online backup API, from a live file and back into it.
//!
//! Dump: one read transaction spans the whole copy, so it is a consistent snapshot despite concurrent writers. The copy
//! is in journal mode `delete`, a single self-contained file. Restore: all pages are written in one transaction of the
//! tenant's file, which is never replaced: other connections wait or see the old content until its commit, and dying in
//! it leaves a journal that the next process to open the file rolls back. A rename over the file would leave open
//! connections on the old one, and a `-wal` that belongs to neither.

use std::path::Path;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio_util::sync::CancellationToken;

use crate::engine::Dump;
use crate::engine::backup::{Shell, Transfer, broken, fault_undone, tool};
use crate::engine::queries::Queries as _;
use crate::engine::sqlite::SqliteSession;
use crate::engine::sqlite::file::FileLock;
use crate::model::fault::{Fault, FaultClass};

/// Number of pages copied between two checks for a stop.
const PAGES: i32 = 2_000;

/// The limits of a copy.
#[derive(Clone)]
struct Bounds {
    lock: Duration,
    limit: Duration,
    cancel: CancellationToken,
}

#[async_trait]
impl Dump for SqliteSession {
    async fn footprint(&mut self) -> Result<Option<u64>, Fault> {
        if self.is_missing() {
            return Ok(None);
        }
        let sql = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
        Ok(Some(self.rows(sql.to_owned()).await?.first().and_then(|row| row.parse(0)).unwrap_or(0)))
    }

    async fn dump(&mut self, to: &Transfer<'_>) -> Result<String, Fault> {
        let (from, file) = (self.path.clone(), to.file.to_owned());
        let bounds = self.bounds(to);
        // Takes the lock, so that no step without a transaction is in progress.
        let _lock = FileLock::take(&from)?;
        blocking(move || copy_out(&from, &file, &bounds)).await?;
        Ok(format!("SQLite {} online backup", rusqlite::version()))
    }

    async fn shell(&mut self) -> Result<Shell, Fault> {
        if self.is_missing() {
            return Err(broken("the file does not exist yet: migrate makes it"));
        }
        tool::version("sqlite3").await?;
        let mut command = tokio::process::Command::new("sqlite3");
        // An absolute path is no option, whatever it begins with.
        command.arg(std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone()));
        Ok(Shell { command, secret: None })
    }

    async fn load(&mut self, from: &Transfer<'_>) -> Result<(), Fault> {
        // The transaction must not wait for our own connection.
        self.release().await;
        let (source, file, create) = (from.file.to_owned(), self.path.clone(), self.door.tenant.create_missing);
        let bounds = self.bounds(from);
        let _lock = FileLock::take(&file)?;
        blocking(move || copy_in(&source, &file, create, &bounds)).await?;
        self.connection().await.map(drop)
    }
}

impl SqliteSession {
    fn bounds(&self, transfer: &Transfer<'_>) -> Bounds {
        Bounds { lock: self.door.timeouts.lock, limit: transfer.limit, cancel: transfer.cancel.clone() }
    }
}

async fn blocking(work: impl FnOnce() -> Result<(), Fault> + Send + 'static) -> Result<(), Fault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(broken(format!("the copy was lost: {error}"))),
    }
}

fn copy_out(from: &Path, to: &Path, bounds: &Bounds) -> Result<(), Fault> {
    drop(crate::backup::open_private(to).map_err(|e| broken(format!("{} can't be made: {e}", to.display())))?);
    let source = open(from, OpenFlags::SQLITE_OPEN_READ_WRITE, bounds)?;
    source.execute_batch("BEGIN; SELECT count(*) FROM sqlite_master").map_err(|e| fault(&e))?;
    let mut copy = open(to, OpenFlags::SQLITE_OPEN_READ_WRITE, bounds)?;
    copy_pages(&source, &mut copy, bounds)?;
    drop(source);
    copy.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).map_err(|e| fault(&e))?;
    check(&copy, to)?;
    copy.close().map_err(|(_, e)| fault(&e))
}

fn copy_in(from: &Path, to: &Path, create: bool, bounds: &Bounds) -> Result<(), Fault> {
    let source = open(from, OpenFlags::SQLITE_OPEN_READ_ONLY, bounds)?;
    check(&source, from)?;
    let create = if create { OpenFlags::SQLITE_OPEN_CREATE } else { OpenFlags::empty() };
    let mut tenant = open(to, OpenFlags::SQLITE_OPEN_READ_WRITE | create, bounds)?;
    copy_pages(&source, &mut tenant, bounds).map_err(fault_undone)?;
    tenant.close().map_err(|(_, e)| fault(&e))
}

fn open(file: &Path, flags: OpenFlags, bounds: &Bounds) -> Result<Connection, Fault> {
    let connection =
        Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(|e| fault(&e))?;
    connection.busy_timeout(bounds.lock).map_err(|e| fault(&e))?;
    Ok(connection)
}

/// Copies all pages in one transaction of the destination. Stopping midway rolls it back.
fn copy_pages(from: &Connection, to: &mut Connection, bounds: &Bounds) -> Result<(), Fault> {
    let begun = Instant::now();
    let mut waited_since = None;
    let backup = Backup::new(from, to).map_err(|e| fault(&e))?;
    loop {
        if bounds.cancel.is_cancelled() {
            return Err(Fault::new(FaultClass::Cancelled, "the copy was ended"));
        }
        if !bounds.limit.is_zero() && begun.elapsed() > bounds.limit {
            let limit = crate::policy::format_duration(bounds.limit);
            return Err(broken(format!("the copy did not end within {limit}; backup_timeout sets that limit")));
        }
        match backup.step(PAGES).map_err(|e| fault(&e))? {
            StepResult::Done => return Ok(()),
            StepResult::More => waited_since = None,
            _ => {
                let since = *waited_since.get_or_insert_with(Instant::now);
                if since.elapsed() > bounds.lock {
                    return Err(Fault::with_code(FaultClass::Busy, "5", "the database is locked"));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

fn check(copy: &Connection, file: &Path) -> Result<(), Fault> {
    let found: String = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(|e| fault(&e))?;
    if found == "ok" {
        return Ok(());
    }
    Err(broken(format!("{} is damaged (PRAGMA integrity_check: {found})", file.display())))
}

fn fault(error: &rusqlite::Error) -> Fault {
    let Some(code) = error.sqlite_error() else { return broken(error.to_string()) };
    let class = match code.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => FaultClass::Busy,
        ErrorCode::DiskFull | ErrorCode::OutOfMemory => FaultClass::Resources,
        ErrorCode::ReadOnly => FaultClass::ReadOnly,
        _ => FaultClass::Backup,
    };
    Fault::with_code(class, code.extended_code.to_string(), error.to_string())
}
