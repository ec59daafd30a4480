//! The files of `--output` and `--report`: written whole or not at all, and never over a file that the fleet needs.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::args::OutputFile;
use super::exit::CliError;
use super::setup::Program;
use crate::inputs::LedgerLocation;
use crate::model::tenant::Address;

/// The endings of a database file and of the files that its engine keeps beside it.
const DATABASE_FILES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// The maximum of symbolic links that are followed, as in the kernel.
const MOST_LINKS: usize = 40;

/// Refuses files before anything is done: those that the fleet needs, one file for two flags, and those that could not be
/// written at the end.
pub(super) fn check(program: &Program, files: &[OutputFile]) -> Result<(), CliError> {
    let mut seen: Vec<(&OutputFile, Place)> = Vec::new();
    for file in files {
        let (name, place) = (file.path.display(), Place::of(&file.path));
        if let Some(loss) = loss(program, &place) {
            let text = format!("{} {name} would {loss}; nothing was started: name another file", file.flag);
            return Err(CliError::Usage(text));
        }
        let other = seen.iter().find(|(_, other)| other.is(&place)).filter(|_| !is_special(&file.path));
        if let Some((other, _)) = other {
            let text = format!("{} {name} would replace what {} writes; nothing was started", file.flag, other.flag);
            return Err(CliError::Usage(text));
        }
        check_writable(&file.path)?;
        seen.push((file, place));
    }
    Ok(())
}

/// Refuses a folder of logs before a run: one that can't be made or written, and one within a folder whose content fleet
/// reads.
pub(super) fn check_logs(program: &Program) -> Result<(), CliError> {
    let settings = program.settings();
    let Some(logs) = &settings.log_dir else { return Ok(()) };
    let read = [(settings.scripts.as_ref(), "SQL scripts"), (Some(&settings.backups), "backups")];
    let within = read.iter().find(|(folder, _)| folder.is_some_and(|folder| real(logs).starts_with(real(folder))));
    if let Some((_, what)) = within {
        return Err(CliError::Settings(format!(
            "the folder of logs, {}, is in that of the {what}; nothing was started: name another with --log-dir",
            program.shown(logs).display()
        )));
    }
    let error = match logs.ancestors().find(|path| path.exists()) {
        Some(there) if !there.is_dir() => io::ErrorKind::NotADirectory,
        Some(there) if !crate::backup::may_write(there) => io::ErrorKind::PermissionDenied,
        _ => return Ok(()),
    };
    let what =
        format!("logs to {}; nothing was started: name another folder with --log-dir", program.shown(logs).display());
    Err(CliError::Write { what, error: error.into() })
}

/// The damage that a file written at this place would do.
fn loss(program: &Program, place: &Place) -> Option<String> {
    let (registry, settings) = (&program.registry, program.settings());
    let is_database = |file: &Path| {
        let file = real(file);
        DATABASE_FILES.iter().any(|ending| {
            let mut name = file.clone().into_os_string();
            name.push(ending);
            Place::at(name.into()).is(place)
        })
    };
    let below = |folder: &Path| place.path.strip_prefix(real(folder)).ok().map(Path::to_owned);
    if Place::of(&registry.path).is(place) {
        return Some("replace the tenant file".to_owned());
    }
    if matches!(&settings.ledger, LedgerLocation::File(file) if is_database(file)) {
        return Some("destroy the ledger".to_owned());
    }
    if settings.seed_rules.as_ref().is_some_and(|rules| Place::of(rules).is(place)) {
        return Some("replace the rules of [seed]".to_owned());
    }
    if settings.scripts.as_ref().and_then(|folder| below(folder)).is_some() {
        return Some("write into the folder of the SQL scripts".to_owned());
    }
    let backup = below(&settings.backups).and_then(|file| Some(file.iter().next()?.to_string_lossy().into_owned()));
    if let Some(run) = backup.filter(|folder| uuid::Uuid::parse_str(folder).is_ok()) {
        return Some(format!("write into the backups of run {run}"));
    }
    let is_tenants = |address: &Address| matches!(address, Address::File(file) if is_database(file));
    let tenant = registry.tenants.iter().find(|tenant| is_tenants(&tenant.address))?;
    Some(format!("destroy the database of tenant {}", tenant.id))
}

/// The resolved path, with device and inode of an existing file: it may have other names.
struct Place {
    path: PathBuf,
    file: Option<(u64, u64)>,
}

impl Place {
    fn of(path: &Path) -> Self {
        Place::at(real(path))
    }

    fn at(path: PathBuf) -> Self {
        let file = std::fs::metadata(&path).ok().map(|found| (found.dev(), found.ino()));
        Place { path, file }
    }

    fn is(&self, other: &Place) -> bool {
        self.path == other.path || (self.file.is_some() && self.file == other.file)
    }
}

/// A path without symbolic links and `..`. A link to a missing file resolves to the place where the file would be created.
fn real(path: &Path) -> PathBuf {
    let mut path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for _ in 0..MOST_LINKS {
        if let Ok(real) = std::fs::canonicalize(&path) {
            return real;
        }
        let Ok(target) = std::fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    let folder = path.parent().and_then(|folder| std::fs::canonicalize(folder).ok());
    folder.zip(path.file_name()).map_or_else(|| path.clone(), |(folder, name)| folder.join(name))
}

/// Refuses early a file that could not be written at the end.
fn check_writable(path: &Path) -> Result<(), CliError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let tried = if path.is_dir() {
        Err(io::Error::other("it is a folder; nothing was started"))
    } else if !folder.is_dir() {
        Err(io::Error::other("its folder does not exist; nothing was started"))
    } else if is_special(path) {
        Ok(())
    } else {
        Partial::beside(path).map(drop).map_err(|error| io::Error::other(format!("{error}; nothing was started")))
    };
    tried.map_err(|error| unwritable(path, error))
}

/// Writes a file whole or not at all: to a temporary file beside it first, then renamed. An existing file that is not a
/// regular file, such as /dev/null or a pipe, is written to and never replaced.
pub(super) fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    let text = format!("{text}{newline}");
    let written = if is_special(path) {
        OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()))
    } else {
        let whole = |mut partial: Partial| partial.file.write_all(text.as_bytes()).and_then(|()| partial.settle(path));
        Partial::beside(path).and_then(whole)
    };
    written.map_err(|error| unwritable(path, error))
}

/// Replaces a file as a whole by one with these permissions, which it has before anything is in it.
pub(super) fn replace(path: &Path, text: &str, mode: std::fs::Permissions) -> io::Result<()> {
    let mut partial = Partial::beside(path)?;
    partial.file.set_permissions(mode)?;
    partial.file.write_all(text.as_bytes())?;
    partial.file.sync_all()?;
    partial.settle(path)
}

/// Opens a file that is in place from its first line on, for a reader that follows it. An existing file is replaced and not
/// truncated: it may have other names.
pub(super) fn stream(path: &Path) -> Result<File, CliError> {
    let opened = if is_special(path) {
        OpenOptions::new().write(true).open(path)
    } else {
        let begun = |partial: Partial| partial.settle(path).and_then(|()| partial.file.try_clone());
        Partial::beside(path).and_then(begun)
    };
    opened.map_err(|error| unwritable(path, error))
}

pub(super) fn unwritable(path: &Path, error: io::Error) -> CliError {
    CliError::Write { what: path.display().to_string(), error }
}

fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// A temporary file beside the final one, under an unused name. Dropping it removes it, unless it was renamed. If the
/// process dies before that, a `.partial` file is left that nothing reads.
struct Partial {
    path: PathBuf,
    file: File,
}

impl Partial {
    fn beside(place: &Path) -> io::Result<Self> {
        let mut path = place.as_os_str().to_owned();
        path.push(format!(".{:08x}.partial", fastrand::u32(..)));
        let path = PathBuf::from(path);
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Partial { path, file })
    }

    fn settle(&self, place: &Path) -> io::Result<()> {
        std::fs::rename(&self.path, place)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After the rename, no file has this name.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A folder of the program's own in the user's folder for what can be made again, which need not exist. `None`: the user has none.
pub(super) fn cache(name: &str) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    Some(folder.join("fleet").join(name))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_no_plain_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("null");
        symlink("/dev/null", &link).unwrap();
        check_writable(&link).unwrap();
        write(&link, "text").unwrap();
        stream(&link).unwrap();
        assert!(is_special(&link));
        assert_eq!(names(folder.path()), ["null"], "nothing is left beside it");
    }

    #[test]
    fn a_file_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let (file, taken) = (folder.path().join("report"), folder.path().join("taken"));
        write(&file, "text").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "text\n");
        std::fs::create_dir(&taken).unwrap();
        write(&taken, "text").unwrap_err();
        stream(&taken).unwrap_err();
        assert_eq!(names(folder.path()), ["report", "taken"], "what could not be put in its place is removed");
    }

    #[test]
    fn a_stream_leaves_the_other_names_of_a_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&file, "kept").unwrap();
        std::fs::hard_link(&file, &other).unwrap();
        stream(&other).unwrap().write_all(b"line\n").unwrap();
        let text = |path: &Path| std::fs::read_to_string(path).unwrap();
        assert_eq!((text(&file).as_str(), text(&other).as_str()), ("kept", "line\n"));
    }

    #[test]
    fn a_file_has_one_place_by_all_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("sub")).unwrap();
        symlink(folder.path(), at("here")).unwrap();
        symlink("new.db", at("dangling")).unwrap();
        let is = |one: &str, other: &str| Place::of(&at(one)).is(&Place::of(&at(other)));
        for name in ["sub/../new.db", "here/new.db", "dangling", "here/dangling"] {
            assert!(is(name, "new.db"), "{name}, before there is a file");
        }
        std::fs::write(at("new.db"), "").unwrap();
        std::fs::hard_link(at("new.db"), at("hard")).unwrap();
        for name in ["sub/../new.db", "here/new.db", "dangling", "hard"] {
            assert!(is(name, "new.db"), "{name}");
        }
        assert!(!is("other.db", "new.db"));
    }
}
