//! The files that pass passwords to tools: readable by us alone, and removed with the process.
//!
//! A killed process leaves its file. The file was locked as long as the process lived, so a later process sees that it
//! is stale and removes it. Nothing else in the folder is touched.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::broken;
use crate::backup::open_private;
use crate::model::fault::Fault;

/// The prefix of the file names; a random part follows.
const PREFIX: &str = "fleet-secret-";

/// A concurrent cleanup may remove a file just before it is locked; this often in a row is unlikely.
const TRIES: usize = 5;

/// A file that only its owner may read, locked while it exists and removed on drop.
#[derive(Debug)]
pub(crate) struct SecretFile {
    path: PathBuf,
    _locked: File,
}

impl SecretFile {
    pub(crate) fn new(content: &str) -> Result<Self, Fault> {
        SecretFile::new_in(&std::env::temp_dir(), content)
    }

    fn new_in(folder: &Path, content: &str) -> Result<Self, Fault> {
        let failed = |e: std::io::Error| {
            broken(format!("no file for a tool's password can be made in {}: {e}", folder.display()))
        };
        for _ in 0..TRIES {
            let path = folder.join(format!("{PREFIX}{:032x}", fastrand::u128(..)));
            let mut file = open_private(&path).map_err(failed)?;
            // Only the lock marks it as in use, so nothing secret is written before it is taken.
            let is_ours = match file.try_lock() {
                Ok(()) => path.exists(),
                Err(TryLockError::WouldBlock) => false,
                // A file system without locks: no process cleans up there either.
                Err(TryLockError::Error(_)) => true,
            };
            let secret = SecretFile { path, _locked: file.try_clone().map_err(failed)? };
            if is_ours {
                file.write_all(content.as_bytes()).map_err(failed)?;
                return Ok(secret);
            }
        }
        Err(failed(std::io::ErrorKind::AlreadyExists.into()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Removes the files of processes that were killed while a tool was running.
pub(crate) fn remove_left_secrets() {
    remove_left_in(&std::env::temp_dir());
}

fn remove_left_in(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        let path = entry.path();
        // Only regular files are ours. A file that no process has locked is stale.
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let Some(file) = is_file.then(|| File::open(&path).ok()).flatten() else { continue };
        if file.try_lock().is_ok() {
            let _ = std::fs::remove_file(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_is_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let used = SecretFile::new_in(folder.path(), "secret").unwrap();
        let left = folder.path().join(format!("{PREFIX}0"));
        let other = folder.path().join("fleet-notes");
        for path in [&left, &other] {
            std::fs::write(path, "x").unwrap();
        }
        remove_left_in(folder.path());
        assert!(!left.exists() && other.exists() && used.path().exists());
        let path = used.path().to_owned();
        drop(used);
        assert!(!path.exists());
    }
}
