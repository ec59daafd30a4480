//! Which files of a folder are parts of scripts: those directly in it, and those in the folder of one migration, as
//! Prisma, Diesel, Hasura and Drizzle have them.
//!
//! It reads names only. SQL that would be passed over is a mistake, because a run without it would look like a success.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::ScriptMistake;
use super::names::{self, ScriptFile};
use super::part::Found;
use crate::external::file;

/// A file and its parsed name.
pub(super) type Named = (PathBuf, ScriptFile);

/// The parts of scripts in a folder, sorted by path. Names that begin with a dot are passed over: editors, version
/// control and file managers leave such files.
pub(super) fn files(folder: &Path, mistakes: &mut Vec<ScriptMistake>) -> Vec<Named> {
    let mut found = Vec::new();
    let before = mistakes.len();
    for (path, name, is_folder) in entries(folder, mistakes) {
        let parsed = match (is_folder, names::migration_folder(&name)) {
            (false, _) => names::parse(&name),
            (true, Some(version)) if holds_a_part(&path) => {
                in_migration(&path, &version, &mut found, mistakes);
                continue;
            }
            (true, _) => {
                mistakes.extend(unseen(&path).map(|(sql, more)| passed_over(folder, &sql, more)));
                continue;
            }
        };
        match parsed {
            Ok(None) => {}
            Ok(Some(file)) => found.push((path, file)),
            Err(wrong) => mistakes.push(wrong.in_file(&path)),
        }
    }
    if found.is_empty() && mistakes.len() == before {
        let instead = "add one, or leave `scripts` out (a script that does nothing on purpose is a file with `-- fleet: nothing`)";
        mistakes.push(Found::new(None, "this folder of scripts holds no script", instead).in_file(folder));
    }
    found
}

/// The files and folders in a folder: path, name, and whether it is a folder. Links count as what they point to.
fn entries(folder: &Path, mistakes: &mut Vec<ScriptMistake>) -> Vec<(PathBuf, String, bool)> {
    let mut wrong = |file: &Path, error: &std::io::Error| {
        let instead = "see that it exists and may be read";
        mistakes.push(Found::new(None, format!("it can't be read ({error})"), instead).in_file(file));
    };
    let read = std::fs::read_dir(folder).map_err(|error| wrong(folder, &error)).into_iter().flatten();
    let mut entries = Vec::new();
    for entry in read {
        let name = match entry {
            Ok(entry) => entry.file_name(),
            Err(error) => {
                wrong(folder, &error);
                continue;
            }
        };
        let (path, text) = (folder.join(&name), name.to_string_lossy().into_owned());
        if text.starts_with('.') {
            continue;
        }
        match std::fs::metadata(&path) {
            Ok(data) if data.is_file() || data.is_dir() => entries.push((path, text, data.is_dir())),
            Ok(_) if is_sql(&path) => {
                file::check(&path).err().iter().for_each(|error| wrong(&path, error));
            }
            Ok(_) => {}
            Err(error) if is_sql(&path) => wrong(&path, &error),
            Err(_) => {}
        }
    }
    entries.sort();
    entries
}

fn is_sql(path: &Path) -> bool {
    path.extension().and_then(OsStr::to_str).is_some_and(|ending| ending.eq_ignore_ascii_case("sql"))
}

/// Whether a folder holds a file that its tool would run.
fn holds_a_part(folder: &Path) -> bool {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.into_iter().any(|name| matches!(names::part_name(&name.to_string_lossy()), Ok(Some(_))))
}

/// The parts in the folder of one migration, which has the script's name and version.
fn in_migration(folder: &Path, named: &ScriptFile, found: &mut Vec<Named>, mistakes: &mut Vec<ScriptMistake>) {
    for (path, name, is_folder) in entries(folder, mistakes) {
        if is_folder {
            let scripts = folder.parent().unwrap_or(folder);
            mistakes.extend(unseen(&path).map(|(sql, more)| passed_over(scripts, &sql, more)));
            continue;
        }
        match names::part_name(&name) {
            Ok(Some((direction, variant))) => found.push((path, ScriptFile { direction, variant, ..named.clone() })),
            Ok(None) if is_sql(&path) => {
                let what = "in the folder of a migration only migration.sql, up.sql and down.sql are looked at";
                let instead = "name it so, or move it out of this folder";
                mistakes.push(Found::new(None, what, instead).in_file(&path));
            }
            Ok(None) => {}
            Err(wrong) => mistakes.push(wrong.in_file(&path)),
        }
    }
}

/// The first SQL file anywhere below a folder, by path, and how many more there are.
fn unseen(folder: &Path) -> Option<(PathBuf, usize)> {
    let (mut all, mut seen, mut open) = (Vec::new(), HashSet::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        // A link to a folder above would never end.
        if !std::fs::canonicalize(&folder).is_ok_and(|real| seen.insert(real)) {
            continue;
        }
        for (path, _, is_folder) in entries(&folder, &mut Vec::new()) {
            if is_folder {
                open.push(path);
            } else if is_sql(&path) {
                all.push(path);
            }
        }
    }
    let more = all.len().checked_sub(1)?;
    all.into_iter().min().map(|first| (first, more))
}

/// The mistake of SQL in a folder inside the folder of scripts.
fn passed_over(folder: &Path, sql: &Path, more: usize) -> ScriptMistake {
    let (parent, name) = (sql.parent().unwrap_or(folder), sql.file_name().unwrap_or_default().to_string_lossy());
    let is_part = matches!(names::part_name(&name), Ok(Some(_)));
    let is_migration =
        is_part && parent.file_name().is_some_and(|n| names::migration_folder(&n.to_string_lossy()).is_some());
    let own = if is_migration { parent.parent().unwrap_or(folder) } else { parent };
    let others = if more > 0 { format!(" (and {more} more)") } else { String::new() };
    let way = if own == folder { String::new() } else { format!(", or name {} as `scripts`", own.display()) };
    let what = format!("it{others} is in a folder inside the folder of scripts, where no script is looked for");
    let instead = if is_part && !is_migration {
        format!("name its folder like `0001_add_users`, or move it to {}{way}", folder.display())
    } else {
        format!("move it to {}{way}", folder.display())
    };
    Found::new(None, what, instead).in_file(sql)
}
