//! Groups the files of a folder into scripts.
//!
//! It reads and never writes; an error in one file does not hide errors in others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::layout::{self, Named};
use super::names::{self, Key};
use super::part::{Found, Source, checksum};
use super::{ScriptKind, ScriptMistake, SqlFolder, SqlScript, Variants};
use crate::external::file;
use crate::model::engine::{Flavour, Variant};
use crate::model::schema::Direction;

/// Reads a folder of SQL scripts for a run.
///
/// # Errors
/// All errors at once, in file order, except errors in a general file for one engine only: they are in its
/// [`SqlPart`](super::SqlPart).
pub(crate) fn read(folder: &Path) -> Result<SqlFolder, Vec<ScriptMistake>> {
    let mut folder = look(folder)?;
    let mistakes = std::mem::take(&mut folder.mistakes);
    if mistakes.is_empty() { Ok(folder) } else { Err(mistakes) }
}

/// The same for who only looks: the catalog is known, although some of its texts can't be run.
///
/// # Errors
/// All errors at once, if any is one of a name or of a file that can't be read.
pub(crate) fn look(folder: &Path) -> Result<SqlFolder, Vec<ScriptMistake>> {
    let mut mistakes = Vec::new();
    let mut groups: BTreeMap<Key, Vec<Named>> = BTreeMap::new();
    for (path, file) in layout::files(folder, &mut mistakes) {
        groups.entry(file.key.clone()).or_default().push((path, file));
    }
    // Reading and splitting is all of the work, and scripts are independent: one task each, on all cores, in order.
    let groups: Vec<(Key, Vec<Named>)> = groups.into_iter().collect();
    let read: Vec<(Option<SqlScript>, Vec<ScriptMistake>)> = groups
        .into_par_iter()
        .map(|(key, files)| {
            let mut mistakes = Vec::new();
            (script(&key, &files, &mut mistakes), mistakes)
        })
        .collect();
    let mut scripts = Vec::with_capacity(read.len());
    for (script, found) in read {
        scripts.extend(script);
        mistakes.extend(found);
    }
    mistakes.sort();
    let (warnings, mistakes): (Vec<_>, Vec<_>) = mistakes.into_iter().partition(|found| found.is_warning);
    let is_known = mistakes.iter().all(|found| found.is_of_text);
    if is_known { Ok(SqlFolder { scripts, warnings, mistakes }) } else { Err(mistakes) }
}

/// The script made up of the files with one key; `None` only with an error reported.
fn script(key: &Key, files: &[Named], mistakes: &mut Vec<ScriptMistake>) -> Option<SqlScript> {
    let (up, down): (Vec<&Named>, Vec<&Named>) = files.iter().partition(|(_, file)| file.direction == Direction::Up);
    let Some((first, name)) = up.first().and_then(|(path, file)| Some((path, file.name.as_ref()?))) else {
        for (path, _) in down {
            let instead = "add the part that is applied, or remove this one";
            mistakes.push(Found::new(None, "it takes back a script that is not here", instead).in_file(path));
        }
        return None;
    };
    let mut told = BTreeSet::new();
    for (path, file) in up.iter().chain(&down) {
        if let Some(other) = file.name.as_ref().filter(|other| *other != name)
            && told.insert(other)
        {
            let what = format!("it has the same version as {} but another name", first.display());
            let pairs = [(other, name), (name, other)];
            let instead = pairs.into_iter().find(|(back, whole)| names::is_way_down_of(back, whole)).map_or_else(
                || "give it another version, or the same name if they belong together".to_owned(),
                |(back, whole)| {
                    format!("if {back}.sql is the way down, name it `{whole}.down.sql`; else give it another version")
                },
            );
            mistakes.push(Found::new(None, what, instead).in_file(path));
        }
    }
    let ours = |files: Vec<&Named>| -> Vec<Named> {
        let is_ours = |(_, file): &&Named| file.name.as_ref().is_none_or(|other| other == name);
        files.into_iter().filter(is_ours).cloned().collect()
    };
    let ups = ours(up);
    let up = variants(&ups, &[], mistakes);
    let downs = ours(down);
    for (path, file) in &downs {
        if let Some(variant) = file.variant.filter(|variant| up.get(*variant).is_none()) {
            let what = format!("it takes back a script that has no part for {variant}");
            mistakes.push(Found::new(None, what, "add that part, or remove this one").in_file(path));
        }
    }
    let down = variants(&downs, &ups, mistakes);
    let kind = match key {
        Key::Versioned(_) => ScriptKind::Versioned,
        Key::Repeatable(_) => ScriptKind::Repeatable,
    };
    Some(SqlScript { name: Arc::from(name.as_str()), kind, up, down })
}

/// The files of one direction, each for its servers.
/// `up`: the files of the way up, where these are those of the way down: parts for MySQL and MariaDB there are apart here, too.
fn variants(files: &[Named], up: &[Named], mistakes: &mut Vec<ScriptMistake>) -> Variants {
    let mut variants = Variants::default();
    let mut seen: Vec<(Option<Variant>, &Path)> = Vec::new();
    // Alone, a file for either of MySQL and MariaDB is for both.
    let has = |files: &[Named], flavour| {
        files.iter().any(|(_, file)| file.variant.and_then(Variant::flavour) == Some(flavour))
    };
    let are_both = |files: &[Named]| has(files, Flavour::MySql) && has(files, Flavour::MariaDb);
    let are_apart = are_both(files) || are_both(up);
    // The general file comes last: it is for the remaining engines.
    let own = files.iter().filter(|(_, file)| file.variant.is_some());
    for (path, file) in own.chain(files.iter().filter(|(_, file)| file.variant.is_none())) {
        let variant = file.variant.map(|own| if are_apart { own } else { own.engine().into() });
        if let Some((_, other)) = seen.iter().find(|(seen, _)| *seen == variant) {
            let servers = variant.map(|variant| format!(" for {variant}")).unwrap_or_default();
            let what = format!("it is the same part{servers} as {}", other.display());
            mistakes.push(Found::new(None, what, "remove one of them").in_file(path));
            continue;
        }
        seen.push((variant, path));
        let Some(source) = source(path, file.direction, mistakes) else { continue };
        match variant {
            Some(variant) => source.own(variant, &mut variants, mistakes),
            None => source.general(&mut variants, mistakes),
        }
    }
    if are_apart && has(files, Flavour::MySql) && !has(files, Flavour::MariaDb) {
        variants.no_mariadb();
    }
    variants
}

/// Reads a file and the settings beside it.
fn source<'a>(path: &'a Path, direction: Direction, mistakes: &mut Vec<ScriptMistake>) -> Option<Source<'a>> {
    let found = match file::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) if text.contains('\0') => {
                let line = text.split('\0').next().unwrap_or_default().lines().count().max(1);
                let what = "it has a character NUL, as UTF-16 without a mark has, and no server takes that";
                Found::new(Some(line), what, "save it as UTF-8")
            }
            Ok(text) => {
                let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n");
                let (checksum, transaction) = (checksum(&text), settings(path, mistakes));
                return Some(Source { file: path, direction, text, checksum, transaction });
            }
            Err(error) => {
                let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = good.iter().filter(|&&byte| byte == b'\n').count() + 1;
                Found::new(Some(line), "it is not UTF-8", "save it as UTF-8")
            }
        },
        Err(error) => Found::new(None, format!("it can't be read ({error})"), "see that it exists and may be read"),
    };
    mistakes.push(found.in_file(path));
    None
}

/// The transaction setting in the settings file beside a script: Flyway's for one file, Diesel's for the folder of one
/// migration.
fn settings(script: &Path, mistakes: &mut Vec<ScriptMistake>) -> Option<bool> {
    let mut flyway = script.as_os_str().to_owned();
    flyway.push(".conf");
    let flyway = setting(&PathBuf::from(flyway), "executeInTransaction", mistakes);
    let is_part =
        script.file_name().is_some_and(|name| matches!(names::part_name(&name.to_string_lossy()), Ok(Some(_))));
    let diesel = || setting(&script.with_file_name("metadata.toml"), "run_in_transaction", mistakes);
    flyway.or_else(|| is_part.then(diesel).flatten())
}

/// The value of the one key that such a file may have.
fn setting(path: &Path, key: &str, mistakes: &mut Vec<ScriptMistake>) -> Option<bool> {
    let text = match file::read_text(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => {
            let what = format!("it can't be read ({error})");
            mistakes.push(Found::new(None, what, "make it a readable text, or remove it").in_file(path));
            return None;
        }
    };
    let mut transaction = None;
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let value = line.split_once('=').filter(|(name, _)| name.trim() == key);
        match value.map(|(_, value)| value.trim().to_ascii_lowercase().parse()) {
            Some(Ok(value)) => transaction = Some(value),
            _ => {
                let what = format!("`{line}` has no meaning here");
                let instead = format!("only `{key}=true` or `=false` is understood");
                mistakes.push(Found::new(Some(number + 1), what, instead).in_file(path));
            }
        }
    }
    transaction
}
