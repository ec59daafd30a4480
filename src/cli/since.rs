//! `lint --since`: a migration, or a git revision whose files are compared with those of today.
//!
//! It runs `git` and reads only.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::exit::CliError;
use super::setup::Program;
use crate::check::lint::{Linted, Place, Subject};
use crate::model::schema::{Catalog, Direction, Script};
use crate::model::text::distance;

/// The base of a comparison.
pub(super) enum Since {
    /// Everything up to the migration before this index.
    Index(usize),
    /// The files of a revision.
    Revision(Revision),
}

/// The files of a revision, as far as they differ from those of today.
pub(super) struct Revision {
    folder: PathBuf,
    top: PathBuf,
    /// The full name of its commit.
    commit: String,
    /// The files that it has, below the top.
    there: HashSet<PathBuf>,
    /// Those of today that are new or differ.
    changed: HashSet<PathBuf>,
}

/// A file of today, compared with the revision.
enum File {
    Same,
    New,
    /// With its text there.
    Edited(String),
}

impl Since {
    /// The migration of this name, or the revision; a name that could be both is the migration's.
    ///
    /// # Errors
    /// It is neither: the nearest names of both are told.
    pub(super) fn of(program: &Program, catalog: &Catalog, wanted: &str) -> Result<Since, CliError> {
        let is_hash = wanted.len() >= 4 && wanted.bytes().all(|b| b.is_ascii_hexdigit());
        let folder = program.registry.path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // A part of a name must not become a revision because some commit begins with the same digits.
        let named = catalog.resolve(wanted);
        let unknown = match named {
            Ok(at) if is_hash || catalog.position(wanted).is_some() => return Ok(Since::Index(at + 1)),
            Ok(at) => match Revision::of(folder, wanted) {
                Ok(revision) => return Ok(Since::Revision(revision)),
                Err(_) => return Ok(Since::Index(at + 1)),
            },
            Err(unknown) => unknown,
        };
        match Revision::of(folder, wanted) {
            Ok(revision) => Ok(Since::Revision(revision)),
            Err(why) => Err(CliError::Usage(format!("{unknown}; and {why}"))),
        }
    }

    /// Chooses the migrations that the base does not have.
    pub(super) fn choose(&self, catalog: &Catalog, subject: &mut Subject) {
        for index in 0..catalog.migrations.len() {
            let (is_chosen, is_new) = match self {
                Since::Index(first) => (index >= *first, index >= *first),
                Since::Revision(revision) => {
                    let files = files(subject, index);
                    match files.is_empty() {
                        true => revision.rust(&catalog.migrations[index]),
                        false => {
                            let files: Vec<File> = files.iter().map(|file| revision.file(file)).collect();
                            let is_chosen = files.iter().any(|file| !matches!(file, File::Same));
                            (is_chosen, files.iter().all(|file| matches!(file, File::New)))
                        }
                    }
                }
            };
            subject.chosen[index] &= is_chosen;
            subject.is_new[index] = is_new;
        }
    }

    /// Leaves out what is about a statement that the base has in the same words.
    pub(super) fn keep_new(&self, subject: &Subject, linted: &mut Linted) {
        let Since::Revision(revision) = self else { return };
        let mut known: HashMap<String, File> = HashMap::new();
        let mut is_new = |place: &Place| {
            let script = subject.scripts.iter().filter_map(|(_, pairs)| pairs.get(place.index)).map(|pair| match place
                .direction
            {
                Direction::Up => &pair.up,
                Direction::Down => &pair.down,
            });
            let mut script =
                script.filter(|script| script.source.as_ref().is_some_and(|s| Some(&s.file) == place.file.as_ref()));
            let (Some(file), Some(script)) = (&place.file, script.next()) else { return true };
            let statement = place.statement.checked_sub(1).and_then(|at| script.statements.get(at));
            match (known.entry(file.clone()).or_insert_with(|| revision.file(file)), statement) {
                (File::Same, _) => false,
                (File::Edited(old), Some(sql)) => !old.contains(sql.trim()),
                _ => true,
            }
        };
        linted.findings.retain(|finding| is_new(&finding.place));
        linted.not_analysed.retain(|note| is_new(&note.place));
    }
}

/// The files of a migration's scripts, of both ways and all engines.
fn files(subject: &Subject, index: usize) -> HashSet<String> {
    let pairs = subject.scripts.iter().filter_map(|(_, pairs)| pairs.get(index));
    let of = |script: &Script| script.source.as_ref().map(|source| source.file.clone());
    pairs.flat_map(|pair| [of(&pair.up), of(&pair.down)]).flatten().collect()
}

impl Revision {
    fn of(folder: &Path, wanted: &str) -> Result<Self, String> {
        let top = git(folder, ["rev-parse", "--show-toplevel"])?;
        let top = PathBuf::from(top.trim_end());
        let commit =
            git(folder, ["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{wanted}^{{commit}}")]);
        let Ok(commit) = commit else {
            let names =
                git(folder, ["for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags", "refs/remotes"])?;
            let mut names: Vec<&str> = names.lines().collect();
            names.sort_by_cached_key(|name| distance(wanted, name));
            names.truncate(6);
            return Err(format!("no revision of git either: the nearest are {}", names.join(", ")));
        };
        let commit = commit.trim_end().to_owned();
        let list = |arguments: &[&str]| Ok::<_, String>(paths(&git(&top, arguments)?));
        let there = list(&["ls-tree", "-r", "-z", "--name-only", &commit])?;
        let mut changed = list(&["diff", "--no-renames", "-z", "--name-only", &commit])?;
        changed.extend(list(&["ls-files", "-z", "--others", "--exclude-standard"])?);
        Ok(Revision { folder: folder.to_owned(), top, commit, there, changed })
    }

    /// A script's file, as messages show it.
    fn file(&self, shown: &str) -> File {
        let path = Path::new(shown);
        let path = std::fs::canonicalize(path).or_else(|_| std::fs::canonicalize(self.folder.join(path)));
        let Some(path) = path.ok().and_then(|path| Some(path.strip_prefix(&self.top).ok()?.to_owned())) else {
            return File::New;
        };
        if !self.there.contains(&path) {
            return File::New;
        }
        if !self.changed.contains(&path) {
            return File::Same;
        }
        let text = git(&self.top, [OsStr::new("show"), OsStr::new(&format!("{}:{}", self.commit, path.display()))]);
        text.map_or(File::New, File::Edited)
    }

    /// Whether a Rust migration is to be linted, and whether it is new: by a file of its name, or by its name in any file.
    fn rust(&self, name: &str) -> (bool, bool) {
        match self.there.iter().find(|path| path.file_stem().is_some_and(|stem| stem == name)) {
            Some(path) => (self.changed.contains(path), false),
            None => {
                let found = git(&self.top, ["grep", "--quiet", "-F", "-e", name, &self.commit]).is_ok();
                (!found, !found)
            }
        }
    }
}

fn paths(list: &str) -> HashSet<PathBuf> {
    list.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from).collect()
}

/// The output of `git`, or the reason why there is none.
fn git<S: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = S>) -> Result<String, String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments).stdin(Stdio::null());
    let output = command.output().map_err(|e| format!("git can't be run: {e}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("git says: {}", String::from_utf8_lossy(&output.stderr).trim_end())),
    }
}
