//! Sources that are SQLite files of a folder.
//!
//! It opens none of them.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::{Answer, MOST_ROWS, Values, too_many, value};
use crate::engine::{ScratchPlace, is_beside_another};

/// Files that are no tenants, whatever a pattern matches.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnFiles {
    /// The ledger, if it is a file.
    pub(crate) ledger: Option<PathBuf>,
    /// Folders of backups and of templates.
    pub(crate) folders: Vec<PathBuf>,
}

impl OwnFiles {
    /// The same with the places where the files really are.
    fn resolved(&self) -> Self {
        let real = |path: &PathBuf| std::fs::canonicalize(path).ok();
        OwnFiles {
            ledger: self.ledger.as_ref().and_then(real),
            folders: self.folders.iter().filter_map(real).collect(),
        }
    }

    /// The kind of such a file in words; `None`: it is none.
    fn kind_of(&self, file: &Path) -> Option<&'static str> {
        let is_same = |ledger: &Path| {
            let ids = [ledger, file].map(|path| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino())));
            ids[0].is_some() && ids[0] == ids[1]
        };
        let real = std::fs::canonicalize(file).ok()?;
        if self.ledger.as_deref().is_some_and(is_same) {
            return Some("the ledger");
        }
        let is_within = self.folders.iter().any(|folder| real.starts_with(folder));
        (is_within || ScratchPlace::is_one(&real)).then_some("a backup, a template or a scratch database")
    }
}

/// The kind of thing in the place of a file; `None`: it is a file.
fn odd(path: &Path) -> Option<&'static str> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => None,
        Ok(_) => Some("a pipe, a socket or a device"),
        Err(_) => Some("a link that leads nowhere"),
    }
}

/// Characters that have a meaning in a URL of a file.
const SPECIAL: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#');

/// A row for each file that a glob matches; relative ones start at `folder`. The id is the file's name without its ending. What
/// SQLite and fleet keep beside a database is none, and files of fleet's own are left out.
pub(super) fn matching(pattern: &str, folder: &Path, own: &OwnFiles) -> Result<Answer, String> {
    let is_absolute = Path::new(pattern).is_absolute();
    let base = glob::Pattern::escape(folder.to_str().ok_or("is in a folder whose name is not UTF-8 text")?);
    let pattern = if is_absolute { pattern.to_owned() } else { format!("{base}/{pattern}") };
    let found = glob::glob(&pattern).map_err(|error| format!("has no valid pattern: {}", error.msg))?;
    let (mut rows, mut left_out, own) = (Vec::new(), Vec::new(), own.resolved());
    for path in found {
        let path = path.map_err(|error| format!("can't look into {}: {}", error.path().display(), error.error()))?;
        if path.is_dir() || is_beside_another(&path) {
            continue;
        }
        if rows.len() == MOST_ROWS {
            return Err(too_many());
        }
        let names = path.to_str().zip(path.file_stem().and_then(|stem| stem.to_str()));
        let (text, id) = names.ok_or_else(|| format!("has a file whose name is not UTF-8 text: {}", path.display()))?;
        if let Some(what) = odd(&path).or_else(|| own.kind_of(&path)) {
            left_out.push((id.to_owned(), format!("{text} is {what}")));
            continue;
        }
        let url = format!("sqlite:{}", utf8_percent_encode(text, SPECIAL));
        rows.push(Values::from_iter([("id".to_owned(), value(id)), ("url".to_owned(), value(url))]));
    }
    Ok(Answer { rows, left_out })
}
