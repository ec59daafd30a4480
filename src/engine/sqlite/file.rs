//! An SQLite tenant's file: where it may be created, and the lock file beside it. No database is opened here.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::provision::MARK;
use crate::model::fault::{Fault, FaultClass};
use crate::model::outcome::Blocker;

/// The suffix of fleet's lock file.
const LOCK: &str = ".fleet-lock";

/// The lock of a tenant for work that no transaction protects: a file beside the database, locked through the operating
/// system. Dying releases the lock; the next process reuses the remaining file.
#[derive(Debug)]
pub(crate) struct FileLock {
    path: PathBuf,
    /// Closing the file releases the lock.
    _file: File,
}

impl FileLock {
    /// Whether another process holds the lock now. Creates nothing; a free lock is taken for a moment, in shared mode,
    /// so that others can check too.
    pub(crate) fn is_taken(database: &Path) -> bool {
        let Ok(file) = File::open(lock_of(database)) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Takes the lock without waiting; `None` if the file system has no locks.
    pub(crate) fn take(database: &Path) -> Result<Option<Self>, Fault> {
        let path = lock_of(database);
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

/// The lock file of a database, beside the file itself where the path leads over a link.
fn lock_of(database: &Path) -> PathBuf {
    let missing = || Some(std::fs::canonicalize(database.parent()?).ok()?.join(database.file_name()?));
    let real = std::fs::canonicalize(database).ok().or_else(missing);
    beside(real.as_deref().unwrap_or(database), LOCK)
}

/// Whether a file is one that SQLite, or fleet, keeps beside a database that is there.
pub(crate) fn is_beside_another(file: &Path) -> bool {
    let Some(text) = file.to_str() else { return false };
    let mut endings = ["-wal", "-shm", "-journal", LOCK, MARK].into_iter();
    endings.any(|ending| text.strip_suffix(ending).is_some_and(|database| Path::new(database).is_file()))
}

/// The file beside a database, with this suffix.
pub(crate) fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Removed while still locked: a process that has already opened it sees that it is gone, and retries.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether the locked file is still the one at this path.
fn is_still_there(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(there)) = (file.metadata(), std::fs::metadata(path)) else { return false };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

/// Creates at most the folder of a file: a wrong path further up, or an unmounted disk, is a fault.
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
        // Another tenant's task may have just created it.
        Err(error) if !folder.is_dir() => {
            let text = format!("the folder {} can't be made: {error}", folder.display());
            Err(Fault::new(FaultClass::UnknownDatabase, text))
        }
        _ => Ok(()),
    }
}

/// The other processes that hold a lock on a database file, according to Linux (`man 5 proc_locks`); empty on other
/// systems.
///
/// A database in WAL mode is locked through the file beside it.
pub(crate) fn holders(database: &Path) -> Vec<Blocker> {
    who_locks(database, |_, _| true)
}

/// The lock holders that block a migration: writers, and outside WAL mode also readers. In WAL mode each open
/// connection has a lock that blocks no other (<https://www.sqlite.org/walformat.html>).
pub(crate) fn in_the_way(database: &Path) -> Vec<Blocker> {
    let is_wal = beside(database, SHARED_MEMORY).exists();
    who_locks(database, |kind, first| match is_wal {
        false => true,
        true => kind == "WRITE" && (first == WAL_WRITE_LOCK || first >= PENDING_BYTE),
    })
}

/// Whether a process of this very program blocks a migration: another run, in the middle of a transaction.
pub(crate) fn is_held_by_run(database: &Path) -> bool {
    let own = std::fs::read_link("/proc/self/exe").ok();
    let program = |pid: i64| std::fs::read_link(format!("/proc/{pid}/exe")).ok();
    own.is_some() && in_the_way(database).iter().any(|holder| program(holder.id) == own)
}

/// The suffix of the file that is locked in place of a database in WAL mode.
const SHARED_MEMORY: &str = "-shm";

/// The byte of that file that a writer locks.
const WAL_WRITE_LOCK: u64 = 120;

/// The first byte of a database file that is locked (<https://www.sqlite.org/src/file/src/os.h>).
const PENDING_BYTE: u64 = 0x4000_0000;

/// `counts`: whether a lock counts, by its kind (`READ`, `WRITE`) and its first byte.
fn who_locks(database: &Path, counts: impl Fn(&str, u64) -> bool) -> Vec<Blocker> {
    let Ok(locks) = std::fs::read_to_string("/proc/locks") else { return Vec::new() };
    let mut pids: Vec<u32> = Vec::new();
    for file in [database.to_owned(), beside(database, SHARED_MEMORY)] {
        let Ok(inode) = std::fs::metadata(&file).map(|found| found.ino()) else { continue };
        for line in locks.lines() {
            // `1: POSIX  ADVISORY  WRITE 4711 08:01:1234 1073741824 1073742335`; a waiting lock has an arrow.
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

/// Another file system may have the same inode number: only the open file itself proves that it is this one. For
/// another user's process this can't be read, and the number has to do.
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

    #[test]
    fn a_link_has_the_lock_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let [real, inner, linked] = ["real", "real/inner", "linked"].map(|name| folder.path().join(name));
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &linked).unwrap();
        // The file is not there yet.
        let held = FileLock::take(&linked.join("a.db")).unwrap().unwrap();
        assert!(FileLock::is_taken(&real.join("a.db")));
        drop(held);
        std::fs::write(real.join("a.db"), "").unwrap();
        std::os::unix::fs::symlink("a.db", &inner).unwrap();
        let held = FileLock::take(&inner).unwrap();
        assert_eq!(FileLock::take(&real.join("a.db")).unwrap_err().class, FaultClass::TenantLocked);
        drop(held);
    }
}
