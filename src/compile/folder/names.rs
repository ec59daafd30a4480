//! File names of scripts: the conventions of sqlx and Flyway, with an optional engine before the extension.
//!
//! It reads names only and opens no file.

use super::part::Found;
use crate::model::engine::{Engine, Variant};
use crate::model::schema::Direction;
use crate::model::text::is_unseen;

/// The parts of a version, without trailing zeros: `1.0` is `1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(Vec<u128>);

/// The key that identifies and orders the scripts of a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Versioned(Version),
    Repeatable(String),
}

/// A file that is a part of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ScriptFile {
    pub(super) key: Key,
    /// The script's name; `None` for Flyway's undo file, which is matched to its script by version only.
    pub(super) name: Option<String>,
    pub(super) direction: Direction,
    /// `None`: for every engine without a file of its own.
    pub(super) variant: Option<Variant>,
}

/// The word for MariaDB. Without a file for MySQL beside it, it is for both.
const MARIADB: &str = "mariadb";

/// Maximum number of digits in a version, or in one of its parts.
const MOST_DIGITS: usize = 20;

/// Endings that mean SQL elsewhere.
const SQL_ENDINGS: [&str; 6] = ["sql", "ddl", "dml", "psql", "pgsql", "mysql"];

/// Endings of documents and settings beside scripts.
const OTHER_ENDINGS: [&str; 3] = ["md", "txt", "conf"];

/// Endings of the copies that editors and merges leave behind.
const COPIES: [&str; 5] = ["~", ".bak", ".orig", ".rej", ".swp"];

/// Parses a file name. `None`: not an SQL script.
pub(super) fn parse(file_name: &str) -> Result<Option<ScriptFile>, Found> {
    let Some(stem) = file_name.strip_suffix(".sql") else { return not_sql(file_name).map_or(Ok(None), Err) };
    if file_name.chars().any(is_unseen) {
        return Err(wrong("its name has characters that nobody sees", "give it a plain name"));
    }
    let (base, variant, direction) = suffixes(stem)?;
    if base.chars().count() > 255 {
        return Err(wrong("its name is longer than the 255 characters that the history keeps", "shorten it"));
    }
    let (key, is_undo) = key(base)?;
    if is_undo && direction.is_some() {
        let instead = "leave `.up` and `.down` out: a U file is the down part of its V file";
        return Err(wrong(format!("`{base}` is an undo file with a direction"), instead));
    }
    Ok(Some(ScriptFile {
        key,
        name: (!is_undo).then(|| base.to_owned()),
        direction: if is_undo { Direction::Down } else { direction.unwrap_or(Direction::Up) },
        variant,
    }))
}

/// The error of a file without the ending `.sql` that looks like a script nevertheless.
fn not_sql(file_name: &str) -> Option<Found> {
    let (stem, ending) = file_name.rsplit_once('.').unwrap_or((file_name, ""));
    let lower = ending.to_ascii_lowercase();
    if lower == "sql" {
        return Some(wrong("its ending is not in lower case", "let it end with `.sql`"));
    }
    if OTHER_ENDINGS.contains(&lower.as_str()) || COPIES.iter().any(|copy| file_name.ends_with(copy)) {
        return None;
    }
    // In `V1.2__x` nothing is an ending.
    let is_ending = !ending.is_empty() && ending.chars().all(|c| c.is_ascii_alphanumeric());
    let base = if is_ending { stem } else { file_name };
    let is_script = base.chars().count() <= 255 && key(base).is_ok();
    (is_script || SQL_ENDINGS.contains(&lower.as_str())).then(|| {
        let base = base.strip_suffix(".sql").unwrap_or(base);
        let instead =
            format!("name it `{base}.sql` if it is one, else give it another name or move it out of this folder");
        wrong("it is named like a script but does not end with `.sql`", instead)
    })
}

/// The name and version of a folder that is one migration: a number of at most 20 digits, dashes among them, and a name
/// behind it. `None`: it is no such folder.
pub(super) fn migration_folder(name: &str) -> Option<ScriptFile> {
    let digits: String = name.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
    let is_name = name[digits.len()..].starts_with('_') && name.chars().count() <= 255 && !name.chars().any(is_unseen);
    let number = digits.replace('-', "");
    let version = (is_name && !number.is_empty()).then(|| version(&number))?.ok()?;
    let (key, name) = (Key::Versioned(version), Some(name.to_owned()));
    Some(ScriptFile { key, name, direction: Direction::Up, variant: None })
}

/// Whether a text is the name of a script, as the history has it.
pub(in crate::compile) fn is_name(text: &str) -> bool {
    key(text).is_ok_and(|(_, is_undo)| !is_undo) || migration_folder(text).is_some()
}

/// The direction and the variant of a file in the folder of one migration. `None`: it is no part of the migration.
pub(super) fn part_name(file_name: &str) -> Result<Option<(Direction, Option<Variant>)>, Found> {
    let Some(stem) = file_name.strip_suffix(".sql") else { return not_sql(file_name).map_or(Ok(None), Err) };
    let (base, variant, direction) = match stem {
        "up" | "down" => (stem, None, None),
        _ => suffixes(stem)?,
    };
    Ok(match (base, direction) {
        ("up", None) | ("migration", None | Some(Direction::Up)) => Some((Direction::Up, variant)),
        ("down", None) | ("migration", Some(Direction::Down)) => Some((Direction::Down, variant)),
        _ => None,
    })
}

/// The direction that other tools write with this word.
fn direction_elsewhere(word: &str) -> Option<&'static str> {
    const BACK: [&str; 8] = ["down", "undo", "rollback", "revert", "backward", "backwards", "downgrade", "reverse"];
    const FORTH: [&str; 5] = ["up", "do", "deploy", "forward", "upgrade"];
    let is = |words: &[&str]| words.iter().any(|known| word.eq_ignore_ascii_case(known));
    is(&BACK).then_some("down").or_else(|| is(&FORTH).then_some("up"))
}

/// Whether a name is another one with a word behind it by which other tools mean its way down: `0001_x` and `0001_x_rollback`.
pub(super) fn is_way_down_of(name: &str, other: &str) -> bool {
    let rest = name.strip_prefix(other).and_then(|rest| rest.strip_prefix(['_', '-', '.']));
    rest.and_then(direction_elsewhere) == Some("down")
}

/// Strips the engine and the direction.
fn suffixes(stem: &str) -> Result<(&str, Option<Variant>, Option<Direction>), Found> {
    let (rest, direction) = match stem.rsplit_once('.') {
        Some((rest, "up")) => (rest, Some(Direction::Up)),
        Some((rest, "down")) => (rest, Some(Direction::Down)),
        _ => (stem, None),
    };
    let Some((base, last)) = rest.rsplit_once('.') else { return Ok((rest, None, direction)) };
    let lower = last.to_ascii_lowercase();
    let engine = match (Engine::named(&lower), direction_elsewhere(&lower)) {
        (Some(engine), _) => engine,
        (None, Some(here)) => {
            let instead = format!("name it `{base}.{here}.sql`, in lower case and with one direction");
            return Err(wrong(format!("`.{last}` is no direction here"), instead));
        }
        _ => return Ok((rest, None, direction)),
    };
    let end = direction.map(|d| format!(".{d}")).unwrap_or_default();
    let variant = if last == MARIADB { Variant::MariaDb } else { Variant::Of(engine) };
    if last != engine.name() && last != MARIADB {
        let instead = format!("name it `{base}.{engine}{end}.sql`");
        return Err(wrong(format!("`.{last}` is not how an engine is written here"), instead));
    }
    if let Some((base, Some(here))) = base.rsplit_once('.').map(|(base, early)| (base, direction_elsewhere(early))) {
        let instead = format!("name it `{base}.{engine}.{here}.sql`");
        return Err(wrong("the direction stands before the engine", instead));
    }
    if let Some((base, other)) = base.rsplit_once('.')
        && let Some(other) = Engine::named(&other.to_ascii_lowercase())
    {
        let instead = format!("make a file for each: `{base}.{other}{end}.sql` and `{base}.{engine}{end}.sql`");
        return Err(wrong("its name has two engines", instead));
    }
    Ok((base, Some(variant), direction))
}

/// The key of a script, and whether the file is Flyway's undo file.
fn key(base: &str) -> Result<(Key, bool), Found> {
    let digits = base.chars().take_while(char::is_ascii_digit).count();
    if digits > 0 && base[digits..].starts_with('_') {
        return Ok((Key::Versioned(version(&base[..digits])?), false));
    }
    if let Some(rest) = base.strip_prefix("R__") {
        return match rest {
            "" => Err(wrong("it has no name behind `R__`", "name it like `R__daily_totals.sql`")),
            _ => Ok((Key::Repeatable(base.to_owned()), false)),
        };
    }
    let numbered = base.strip_prefix('V').map(|rest| (rest, false)).or(base.strip_prefix('U').map(|rest| (rest, true)));
    if let Some((rest, is_undo)) = numbered
        && let Some((number, _)) = rest.split_once("__")
        && number.split(['.', '_']).all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()))
    {
        return Ok((Key::Versioned(version(number)?), is_undo));
    }
    Err(nearest(base, digits))
}

/// Parses digits separated by `.` or `_`.
fn version(text: &str) -> Result<Version, Found> {
    let mut parts = Vec::new();
    for part in text.split(['.', '_']) {
        let number = part.parse().ok().filter(|_| part.len() <= MOST_DIGITS);
        let number = number.ok_or_else(|| {
            let what = format!("its version has more than {MOST_DIGITS} digits");
            wrong(what, "use a counter (0001) or a time (20260131120000)")
        })?;
        parts.push(number);
    }
    while parts.len() > 1 && parts.last() == Some(&0) {
        parts.pop();
    }
    Ok(Version(parts))
}

/// The closest naming convention.
fn nearest(base: &str, digits: usize) -> Found {
    let words = |text: &str| text.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
    let mut letters = base.chars();
    let first = letters.next().unwrap_or_default().to_ascii_uppercase();
    let rest = letters.as_str();
    let number: String = rest.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | '_')).collect();
    let has_number = rest.starts_with(|c: char| c.is_ascii_digit());
    let name = |text: &str| if words(text).is_empty() { "what_it_does".to_owned() } else { words(text) };
    // `001.undo.add-users`, as Postgrator has it.
    let mut parts = base[digits..].trim_start_matches('.').splitn(2, '.');
    let elsewhere = parts.next().and_then(direction_elsewhere).filter(|_| digits > 0);
    let instead = match first {
        _ if elsewhere.is_some() => {
            let (rest, here) = (parts.next().unwrap_or_default(), elsewhere.unwrap_or_default());
            format!("name it `{}_{}.{here}.sql`", &base[..digits], name(rest))
        }
        _ if digits > 0 => format!("name it `{}_{}.sql`", &base[..digits], name(&base[digits..])),
        'B' if has_number => "Flyway's baselines are not supported: leave the file out of this folder".to_owned(),
        'V' | 'U' if has_number => format!("name it `{first}{}__{}.sql`", words(&number), name(&rest[number.len()..])),
        'R' if rest.starts_with('_') => format!("name it `R__{}.sql`", name(rest)),
        _ => {
            let name = name(base);
            format!("name it like `0001_{name}.sql` (applied once) or `R__{name}.sql` (whenever it changes)")
        }
    };
    wrong("its name fits no convention of SQL scripts", instead)
}

fn wrong(what: impl Into<String>, instead: impl Into<String>) -> Found {
    Found::new(None, what, instead)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str) -> String {
        match parse(name) {
            Ok(None) => "ignored".to_owned(),
            Ok(Some(file)) => {
                let key = match &file.key {
                    Key::Versioned(version) => format!("{:?}", version.0),
                    Key::Repeatable(name) => name.clone(),
                };
                let engine = file.variant.map_or("any".to_owned(), |variant| variant.to_string());
                format!("{key} {} {} {engine}", file.name.as_deref().unwrap_or("-"), file.direction)
            }
            Err(found) => format!("{}; {}", found.what, found.instead),
        }
    }

    #[test]
    fn names_are_read_as_their_tools_read_them() {
        for (name, wanted) in [
            ("0001_a_b.sql", "[1] 0001_a_b up any"),
            ("20260131120000_x.up.sql", "[20260131120000] 20260131120000_x up any"),
            ("2_x.v2.down.sql", "[2] 2_x.v2 down any"),
            ("3_.sql", "[3] 3_ up any"),
            ("1__x.sql", "[1] 1__x up any"),
            ("0001_x.postgres.up.sql", "[1] 0001_x up postgres"),
            ("0001_x.mariadb.sql", "[1] 0001_x up mariadb"),
            ("V1__a.sql", "[1] V1__a up any"),
            ("V1.2__a_b.sql", "[1, 2] V1.2__a_b up any"),
            ("V01_2_0__a.sqlite.sql", "[1, 2] V01_2_0__a up sqlite"),
            ("V0__a.sql", "[0] V0__a up any"),
            ("U1.2__whatever.sql", "[1, 2] - down any"),
            ("R__x.sql", "R__x R__x up any"),
            ("R__x.mysql.down.sql", "R__x R__x down mysql"),
            ("README.md", "ignored"),
            ("0001_x.sql.conf", "ignored"),
            ("0001_x.md", "ignored"),
            ("0001_x.sql~", "ignored"),
            ("0001_x.sql.orig", "ignored"),
            ("migration_lock.toml", "ignored"),
            ("schema.prisma", "ignored"),
            ("notes.txt", "ignored"),
        ] {
            assert_eq!(told(name), wanted, "{name}");
        }
    }

    #[test]
    fn a_name_that_fits_nothing_gets_the_nearest_convention() {
        for (name, wanted) in [
            ("add_users.sql", "name it like `0001_add_users.sql` (applied once) or `R__add_users.sql`"),
            ("0001-add.sql", "name it `0001_add.sql`"),
            ("0001.sql", "name it `0001_what_it_does.sql`"),
            ("v1__x.sql", "name it `V1__x.sql`"),
            ("V1_x.sql", "name it `V1__x.sql`"),
            ("V1.sql", "name it `V1__what_it_does.sql`"),
            ("r__x.sql", "name it `R__x.sql`"),
            ("R_x.sql", "name it `R__x.sql`"),
            ("R__.sql", "no name behind"),
            ("B1__x.sql", "baselines are not supported"),
            ("0001_x.SQL", "lower case"),
            ("0003_x.ddl", "does not end with `.sql`; name it `0003_x.sql` if it is one"),
            ("add_users.psql", "name it `add_users.sql`"),
            ("0003_x", "name it `0003_x.sql`"),
            ("0003_x.sql.gz", "does not end with `.sql`"),
            ("V1.2__x", "name it `V1.2__x.sql`"),
            ("V1.2__x.mysql", "name it `V1.2__x.sql`"),
            ("R__totals.view", "name it `R__totals.sql`"),
            ("0001_x.pg.sql", "name it `0001_x.postgres.sql`"),
            ("0001_x.MySQL.down.sql", "name it `0001_x.mysql.down.sql`"),
            ("0001_x.up.sqlite.sql", "name it `0001_x.sqlite.up.sql`"),
            ("0001_x.Down.sql", "`0001_x.down.sql`"),
            ("001.do.add-users.sql", "name it `001_add-users.up.sql`"),
            ("001.undo.add-users.sql", "name it `001_add-users.down.sql`"),
            ("U1__x.down.sql", "undo file with a direction"),
            ("V1__x.undo.sql", "name it `V1__x.down.sql`"),
            ("0001_x.mysql.rollback.sql", "name it `0001_x.mysql.down.sql`"),
            ("0001_x.revert.sql", "name it `0001_x.down.sql`"),
            ("0001_x.Undo.SQL", "lower case"),
            ("0001_x.do.sql", "name it `0001_x.up.sql`"),
            ("0001_x.undo.postgres.sql", "name it `0001_x.postgres.down.sql`"),
            ("R__x.deploy.sql", "name it `R__x.up.sql`"),
            ("123456789012345678901_x.sql", "more than 20 digits"),
            ("0001_\t.sql", "characters that nobody sees"),
            ("0001_a\u{202e}b.sql", "characters that nobody sees"),
            (&format!("1_{}.sql", "x".repeat(254)), "255 characters"),
            ("V1.__x.sql", "fits no convention"),
            (".sql", "0001_what_it_does.sql"),
        ] {
            assert!(told(name).contains(wanted), "{name}: {}", told(name));
        }
    }

    #[test]
    fn a_folder_may_be_one_migration() {
        for (name, wanted) in [
            ("20230101000000_init", Some(vec![20_230_101_000_000])),
            ("2023-01-01-120000_create_posts", Some(vec![20_230_101_120_000])),
            ("1617181723_init", Some(vec![1_617_181_723])),
            ("2026", None),
            ("seeds", None),
            ("-_x", None),
            ("123456789012345678901_x", None),
        ] {
            let found = migration_folder(name).map(|file| match file.key {
                Key::Versioned(version) => version.0,
                Key::Repeatable(_) => Vec::new(),
            });
            assert_eq!(found, wanted, "{name}");
        }
        for (name, wanted) in [
            ("migration.sql", Some((Direction::Up, None))),
            ("up.sql", Some((Direction::Up, None))),
            ("down.sql", Some((Direction::Down, None))),
            ("up.postgres.sql", Some((Direction::Up, Some(Engine::Postgres.into())))),
            ("migration.mariadb.sql", Some((Direction::Up, Some(Variant::MariaDb)))),
            ("down.sqlite.sql", Some((Direction::Down, Some(Engine::Sqlite.into())))),
            ("other.sql", None),
            ("README.md", None),
        ] {
            assert_eq!(part_name(name), Ok(wanted), "{name}");
        }
        assert!(part_name("up.SQL").is_err() && part_name("up.pg.sql").is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_name_is_survived(name in "\\PC{0,20}(\\.up|\\.mysql)?(\\.down)?\\.sql", number in "[VUR0-9_.é]{1,8}") {
            let _ = parse(&name);
            let _ = migration_folder(&name);
            let _ = parse(&format!("{number}.sql"));
            let _ = (parse(&number), migration_folder(&number), part_name(&name));
        }
    }
}
