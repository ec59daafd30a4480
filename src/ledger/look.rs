//! A look at a file before it is opened as a ledger: the database of a tenant or of another program stays as it is, with its
//! journal mode, and without a new file beside it.
//!
//! Nothing is written here. Dying in it: there is nothing to be found.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::Location;
use super::database::LedgerDatabase;
use super::error::LedgerError;
use super::open::{Access, Store, connect_file};

/// A file at one moment, as far as it can be known without SQLite.
#[derive(PartialEq, Eq)]
struct Glimpse {
    written_at: Option<SystemTime>,
    bytes: u64,
    /// Bytes of its write-ahead log.
    log: u64,
    /// Whether changes go to such a log: then the file itself is complete as long as the log is empty.
    has_log_mode: bool,
}

impl Glimpse {
    fn of(file: &Path) -> Glimpse {
        let (found, log) = (fs::metadata(file).ok(), fs::metadata(write_ahead_log(file)));
        // The version of the format: <https://www.sqlite.org/fileformat.html#file_format_version_numbers>.
        let mut head = [0; 20];
        let is_read = crate::external::file::check(file)
            .and_then(|()| fs::File::open(file))
            .and_then(|mut opened| opened.read_exact(&mut head))
            .is_ok();
        Glimpse {
            written_at: found.as_ref().and_then(|found| found.modified().ok()),
            bytes: found.map_or(0, |found| found.len()),
            log: log.map_or(0, |log| log.len()),
            has_log_mode: is_read && head[18] == 2,
        }
    }
}

/// The place of a file's write-ahead log: beside the file itself, wherever a link to it is.
pub(super) fn write_ahead_log(file: &Path) -> PathBuf {
    let mut log = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned()).into_os_string();
    log.push("-wal");
    PathBuf::from(log)
}

/// Refuses a file that is neither empty nor a ledger that this program knows.
pub(super) async fn refuse_others(file: &Path, patience: Duration) -> Result<(), LedgerError> {
    let until = Instant::now() + patience;
    loop {
        let before = Glimpse::of(file);
        if before.bytes == 0 {
            return Ok(());
        }
        // Opening a file in log mode creates files beside it, even for reading only; without locks it does not. Where the
        // log is not empty, its index is the only one that may be new.
        let access = if before.has_log_mode && before.log == 0 { Access::Immutable } else { Access::Look };
        match look(file, access, patience).await {
            // Without locks, what another process writes meanwhile may look like damage.
            Err(_) if Glimpse::of(file) != before && Instant::now() < until => {}
            // A transaction that a killed process left has to be rolled back, which writes: by what can be seen without
            // that, the file may be another's. If it is not, opening it tells what else is wrong.
            Err(LedgerError::NotWritable { .. }) => {
                return match look(file, Access::Immutable, patience).await {
                    Err(error @ (LedgerError::NotALedger { .. } | LedgerError::Newer { .. })) => Err(error),
                    _ => Ok(()),
                };
            }
            done => return done,
        }
    }
}

async fn look(file: &Path, access: Access, patience: Duration) -> Result<(), LedgerError> {
    let site = LedgerDatabase::of(&Location::File(file.to_owned()))?;
    let store = Store::new(connect_file(file, access, patience, &site).await?, site);
    let judged = match store.version().await {
        Ok(Some(found)) => store.check_version(found),
        Ok(None) => store.check_own().await,
        Err(error) => Err(error),
    };
    let _ = store.db.close_by_ref().await;
    judged
}
