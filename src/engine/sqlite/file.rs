//! An SQLite tenant's file: where it may be made, and the lock beside it. No database is opened here.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::model::fault::{Fault, FaultClass};
use crate::model::outcome::Blocker;

/// The ending of our own lock's file.
const LOCK: &str = ".fleet-lock";

/// The lock of a tenant for work that no transaction protects: a file beside the database, locked by the system. Dying
/// releases the lock; the file that is left is taken by whoever comes next.
#[derive(Debug)]
pub(crate) struct FileLock {
    path: PathBuf,
    /// Closing it gives the lock up.
    _file: File,
}

impl FileLock {
    /// Whether somebody has it now. Nothing is made; a lock that nobody has is touched for a moment, in a way that lets
    /// others look too.
    pub(crate) fn is_taken(database: &Path) -> bool {
        let Ok(file) = File::open(beside(database, LOCK)) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Takes it without waiting; `None` where the file system knows no locks.
    pub(crate) fn take(database: &Path) -> Result<Option<Self>, Fault> {
        let path = beside(database, LOCK);
        let made = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = made.map_err(|error| {
            Fault::new(FaultClass::ReadOnly, format!("the lock file {} can't be made: {error}", path.display()))
        })?;
        match file.try_lock() {
            Ok(()) if is_still_there(&file, &path) => Ok(Some(FileLock { path, _file: file })),
            Ok(()) | Err(TryLockError::WouldBlock) => {
                Err(Fault::new(FaultClass::TenantLocked, "another run holds this tenant"))
            }
            Err(TryLockError::Error(_)) => Ok(None),
        }
    }
}

/// The file of a database with this ending.
fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // While it is still locked: whoever has opened it already sees that it is gone, and tries again.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether the file that was locked is the one that others will open.
fn is_still_there(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(there)) = (file.metadata(), std::fs::metadata(path)) else { return false };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

/// Only the folder of a file is made with it: a path that is wrong further up, or a disk that is not mounted, is a fault.
pub(crate) fn check_folder(file: &Path) -> Result<(), Fault> {
    let Some(folder) = file.parent().filter(|folder| !folder.is_dir()) else { return Ok(()) };
    let Some(above) = folder.parent().filter(|above| !above.is_dir()) else { return Ok(()) };
    let text = format!(
        "the file {} can't be made: there is no folder {}; correct the path, or make it with: mkdir -p {}",
        file.display(),
        above.display(),
        folder.display()
    );
    Err(Fault::with_code(FaultClass::UnknownDatabase, "14", text))
}

pub(crate) fn make_folder(file: &Path) -> Result<(), Fault> {
    check_folder(file)?;
    let Some(folder) = file.parent() else { return Ok(()) };
    match std::fs::create_dir(folder) {
        // Another tenant's work may have made it just now.
        Err(error) if !folder.is_dir() => {
            let text = format!("the folder {} can't be made: {error}", folder.display());
            Err(Fault::new(FaultClass::UnknownDatabase, text))
        }
        _ => Ok(()),
    }
}

/// The other processes that have a lock on a database file, by what Linux tells (`man 5 proc_locks`); elsewhere nobody.
///
/// A database in WAL mode is locked in the file beside it.
pub(crate) fn holders(database: &Path) -> Vec<Blocker> {
    who_locks(database, |_, _| true)
}

/// Those of them whose lock keeps a migration out: who writes, and in a database that is not in WAL mode who reads. In WAL
/// mode each open connection has a lock, and is in nobody's way with it (<https://www.sqlite.org/walformat.html>).
pub(crate) fn in_the_way(database: &Path) -> Vec<Blocker> {
    let is_wal = beside(database, SHARED_MEMORY).exists();
    who_locks(database, |kind, first| match is_wal {
        false => true,
        true => kind == "WRITE" && (first == WAL_WRITE_LOCK || first >= PENDING_BYTE),
    })
}

/// The ending of the file beside a database in WAL mode that is locked in its place.
const SHARED_MEMORY: &str = "-shm";

/// The byte of that file which whoever writes has locked.
const WAL_WRITE_LOCK: u64 = 120;

/// The first byte of a database file that is locked (<https://www.sqlite.org/src/file/src/os.h>).
const PENDING_BYTE: u64 = 0x4000_0000;

/// `counts`: whether a lock does, by its kind (`READ`, `WRITE`) and its first byte.
fn who_locks(database: &Path, counts: impl Fn(&str, u64) -> bool) -> Vec<Blocker> {
    let Ok(locks) = std::fs::read_to_string("/proc/locks") else { return Vec::new() };
    let mut pids: Vec<u32> = Vec::new();
    for file in [database.to_owned(), beside(database, SHARED_MEMORY)] {
        let Ok(inode) = std::fs::metadata(&file).map(|found| found.ino()) else { continue };
        for line in locks.lines() {
            // `1: POSIX  ADVISORY  WRITE 4711 08:01:1234 1073741824 1073742335`; one that waits has an arrow.
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, "POSIX", _, kind, pid, place, first, ..] = fields.as_slice() else { continue };
            let is_it = place.rsplit(':').next().and_then(|n| n.parse().ok()) == Some(inode);
            let Ok(pid) = pid.parse::<u32>() else { continue };
            let counts = is_it && counts(kind, first.parse().unwrap_or(0));
            if counts && pid != std::process::id() && !pids.contains(&pid) && has_open(pid, &file) {
                pids.push(pid);
            }
        }
    }
    pids.into_iter().map(process).collect()
}

/// Another file system may have the same number: only the open file itself says that it is this one. Of another user's
/// process that is not told, and the number has to do.
fn has_open(pid: u32, file: &Path) -> bool {
    let Ok(mut open) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return true };
    let file = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    open.any(|fd| fd.is_ok_and(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to == file)))
}

fn process(pid: u32) -> Blocker {
    let command = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok().map(|name| name.trim().to_owned());
    Blocker { id: pid.into(), application: command, ..Blocker::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_holds_a_tenant_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let held = FileLock::take(&database).unwrap().unwrap();
        assert_eq!(FileLock::take(&database).unwrap_err().class, FaultClass::TenantLocked);
        assert!(FileLock::is_taken(&database));
        drop(held);
        assert!(!FileLock::is_taken(&database));
        let again = FileLock::take(&database).unwrap();
        assert!(again.is_some());
        drop(again);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
