//! The files of `--log-dir`: one for each tenant of a run.
//!
//! A file is open while its tenant is in flight, so that their number is bounded. A failure to write is told once, and is
//! nobody's outcome.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::backup::safe_name;
use crate::cli::terminal::Terminal;
use crate::model::tenant::TenantId;

/// The folder that has a folder for each run.
pub(super) struct Folder {
    path: PathBuf,
    terminal: Terminal,
    is_told: AtomicBool,
}

/// The file of a tenant in flight; it is opened with its first line.
#[derive(Default)]
pub(super) struct TenantFile(Mutex<Option<File>>);

impl Folder {
    /// The folder at this place; it is made with the first line of a run.
    pub(super) fn new(path: &Path, terminal: Terminal) -> Self {
        Folder { path: path.to_owned(), terminal, is_told: AtomicBool::new(false) }
    }

    /// Appends a line to the file of a tenant of a run, through the file that it has open, if any. Dying here: the line may
    /// lack its end.
    pub(super) fn write(&self, place: Option<(&str, &str)>, open: Option<&TenantFile>, line: &str) {
        let Some((run, tenant)) = place else { return };
        let written = match open {
            Some(TenantFile(file)) => {
                let mut file = file.lock().expect("nobody panics while holding it");
                match &mut *file {
                    Some(file) => file.write_all(line.as_bytes()),
                    None => self.append_to(run, tenant).and_then(|new| file.insert(new).write_all(line.as_bytes())),
                }
            }
            None => self.append_to(run, tenant).and_then(|mut file| file.write_all(line.as_bytes())),
        };
        if let Err(error) = written
            && !self.is_told.swap(true, Ordering::Relaxed)
        {
            self.terminal.warn(&format!(
                "the logs in {} lack lines from here on: {error}; the run goes on",
                self.path.join(run).display()
            ));
        }
    }

    fn append_to(&self, run: &str, tenant: &str) -> io::Result<File> {
        let folder = self.path.join(run);
        let file = folder.join(format!("{}.log", safe_name(&TenantId::from(tenant))));
        let open = || OpenOptions::new().append(true).create(true).mode(0o600).open(&file);
        match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => private(&folder).and_then(|()| open()),
            opened => opened,
        }
    }
}

fn private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
