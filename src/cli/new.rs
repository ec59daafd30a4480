//! `new`: a migration of Rust code or an SQL script with stubs, in the layout that is there. It reaches no tenant, never
//! replaces a file, and edits no file that it does not understand.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::args::New;
use super::exit::CliError;
use super::setup::Program;
use super::terminal;

impl New {
    /// Makes a migration of Rust code. Dying in it: its file is there and the migrator does not know it, which the
    /// same command says when it is given again.
    pub(super) fn rust(&self) -> Result<u8, CliError> {
        let name = self.plain_name()?;
        let source = match &self.dir {
            Some(dir) => source_in(dir).ok_or_else(|| usage(no_crate(dir)))?,
            None => source_above().map_err(|here| usage(no_crate(&here)))?,
        };
        let text = read(&source)?;
        let Home { path, modules, folder } = Home::of(&source, &text);
        refuse_known(&folder, &name)?;
        let module = format!("m{}_{name}", stamp(SystemTime::now(), "_"));
        create(&folder.join(format!("{module}.rs")), &rust_stub(&module))?;
        let edits = if modules == source {
            wired(&text, &module).map(|new| vec![(source.clone(), new)])
        } else {
            let declared = declared(&read(&modules)?, &module).map(|new| (modules, new));
            declared.zip(listed(&text, &path, &module)).map(|(first, new)| vec![first, (source.clone(), new)])
        };
        // Copies that are renamed: dying in it leaves the old text of a file or the new one.
        for (file, new) in edits.iter().flatten() {
            super::files::write(file, new)?;
            tell(&format!("listed in {}", file.display()))?;
        }
        if edits.is_none() {
            tell(&format!(
                "{} is not laid out as SeaORM's command line lays it out, so it was not touched; add to it\n  mod \
                 {module};\nand, last in the list of `migrations()`,\n  Box::new({module}::Migration),",
                source.display()
            ))?;
        }
        Ok(0)
    }

    /// Makes a script and its way down. Dying between the two: the script has no way down.
    pub(super) fn script(&self, program: &Program) -> Result<u8, CliError> {
        let name = self.plain_name()?;
        let folder = match (&self.dir, &program.settings().scripts) {
            (Some(folder), _) | (None, Some(folder)) => program.shown(folder),
            (None, None) => {
                return Err(usage("no folder of scripts: name it with --scripts FOLDER, or `scripts` in [fleet]"));
            }
        };
        refuse_known(&folder, &name)?;
        let version = next_version(&names_in(&folder)?, SystemTime::now());
        let (up, down) = match version.strip_prefix('V') {
            Some(number) => (format!("{version}__{name}.sql"), format!("U{number}__{name}.sql")),
            None => (format!("{version}_{name}.up.sql"), format!("{version}_{name}.down.sql")),
        };
        let words = name.replace('_', " ");
        create(&folder.join(up), &format!("-- {words}\n"))?;
        create(&folder.join(down), &format!("-- Takes back: {words}\n"))?;
        tell(
            "write their SQL next: until it is there, `plan`, `migrate` and other runs refuse the scripts (exit code 78)",
        )?;
        Ok(0)
    }

    /// The name in small letters, with `_` between the words.
    fn plain_name(&self) -> Result<String, CliError> {
        let letters = self.name.trim().chars().map(|c| if " -_".contains(c) { '_' } else { c.to_ascii_lowercase() });
        let name = letters.collect::<String>();
        let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        match is_plain && name.chars().any(|c| c.is_ascii_alphabetic()) && name.len() <= 100 {
            true => Ok(name),
            false => Err(usage("a name has letters, digits and _, at most 100 of them: add_phone_to_users")),
        }
    }
}

fn usage(text: impl Into<String>) -> CliError {
    CliError::Usage(text.into())
}

fn no_crate(place: &Path) -> String {
    format!(
        "no crate of migrations at {} (a src/lib.rs with `impl MigratorTrait`); name its folder with --dir; for an SQL \
         script: --sql",
        place.display()
    )
}

/// The file of a crate that lists its migrations.
fn source_in(folder: &Path) -> Option<PathBuf> {
    let files = ["src/lib.rs", "lib.rs", "src/migrator/mod.rs", "src/migrator.rs"].map(|name| folder.join(name));
    files.into_iter().find(|file| std::fs::read_to_string(file).is_ok_and(|text| text.contains("impl MigratorTrait")))
}

/// That file of the crate in this folder or above.
///
/// # Errors
/// This folder, if there is none.
fn source_above() -> Result<PathBuf, PathBuf> {
    let here = std::env::current_dir().unwrap_or_default();
    let mut above = here.ancestors().take(4).flat_map(|folder| [folder.join("migration"), folder.to_owned()]);
    above.find_map(|folder| source_in(&folder)).ok_or_else(|| here.clone())
}

/// The folder with the sources of the migrations, if the crate is in this folder or above.
pub(super) fn folder_of_sources() -> Option<PathBuf> {
    let source = source_above().ok()?;
    let text = std::fs::read_to_string(&source).ok()?;
    Some(Home::of(&source, &text).folder)
}

/// Where a migrator has its migrations.
struct Home {
    /// The text before a module in its list: `migrations::`, or nothing.
    path: String,
    /// The file with the `mod` lines.
    modules: PathBuf,
    /// The folder in which those lines find their files.
    folder: PathBuf,
}

impl Home {
    fn of(source: &Path, text: &str) -> Self {
        let parent = source.parent().unwrap_or(Path::new("."));
        let first = text.split("Box::new(").nth(1).and_then(|rest| rest.split_once("::Migration)"));
        if let Some((path, _)) = first.and_then(|(item, _)| item.rsplit_once("::")) {
            let folder = parent.join(path.trim_start_matches("crate::"));
            let files = [folder.join("mod.rs"), folder.with_extension("rs")];
            if let Some(modules) = files.into_iter().find(|file| file.is_file()) {
                return Home { path: format!("{path}::"), modules, folder };
            }
        }
        let is_root = source.file_name().is_some_and(|name| name == "lib.rs" || name == "mod.rs");
        let folder = if is_root { parent.to_owned() } else { source.with_extension("") };
        Home { path: String::new(), modules: source.to_owned(), folder }
    }
}

fn read(file: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(file).map_err(|error| usage(format!("can't read {}: {error}", file.display())))
}

fn names_in(folder: &Path) -> Result<Vec<String>, CliError> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder)
        .map_err(|error| usage(format!("can't read the folder {}: {error}", folder.display())))?;
    Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

/// The name of a migration without its version, suffixes and ending.
fn bare(file: &str) -> &str {
    let base = file.split('.').next().unwrap_or(file);
    base.trim_start_matches(['m', 'V', 'U', 'R']).trim_start_matches(|c: char| c.is_ascii_digit() || c == '_')
}

fn refuse_known(folder: &Path, name: &str) -> Result<(), CliError> {
    match names_in(folder)?.iter().find(|file| bare(file).eq_ignore_ascii_case(bare(name))) {
        Some(file) => Err(usage(format!(
            "there is one of this name already: {}; nothing was made, take another name",
            folder.join(file).display()
        ))),
        None => Ok(()),
    }
}

/// Makes a file that is not there yet, and its folder.
pub(super) fn create(file: &Path, text: &str) -> Result<(), CliError> {
    let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
    let made = folder.and_then(|()| OpenOptions::new().write(true).create_new(true).open(file));
    let written = made.and_then(|mut open| open.write_all(text.as_bytes()));
    written.map_err(|error| CliError::Write { what: file.display().to_string(), error })?;
    tell(&format!("made {}", file.display()))
}

fn tell(text: &str) -> Result<(), CliError> {
    terminal::print(text)
}

/// `20250131_235959` in UTC.
fn stamp(now: SystemTime, between: &str) -> String {
    let text = humantime::format_rfc3339_seconds(now).to_string();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    format!("{}{between}{}", &digits[..8], &digits[8..])
}

/// The version behind those of the scripts that are there, in their style: `0007`, `V8`, or the time.
fn next_version(files: &[String], now: SystemTime) -> String {
    let number = |file: &String| {
        let rest = file.strip_suffix(".sql")?;
        let (mark, rest) = rest.strip_prefix('V').map_or(("", rest), |rest| ("V", rest));
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let value: u64 = digits.parse().ok()?;
        rest[digits.len()..].starts_with('_').then_some((value, mark, digits.len()))
    };
    match files.iter().filter_map(number).max() {
        // Such a number is a time.
        Some((value, mark, wide)) if wide >= 12 => {
            let time: u64 = stamp(now, "")[..wide.min(14)].parse().unwrap_or_default();
            // One of a clock that is ahead comes before this one all the same.
            format!("{mark}{:0wide$}", time.max(value.saturating_add(1)))
        }
        Some((value, mark, wide)) => format!("{mark}{:0wide$}", value + 1),
        None if files.iter().any(|file| file.starts_with("V")) => format!("V{}", stamp(now, "")),
        None => stamp(now, ""),
    }
}

fn rust_stub(module: &str) -> String {
    let unwritten = |way| {
        format!(
            "        let _ = manager;\n        Err(DbErr::Migration(\"{module}: `{way}` is not written yet\".to_owned()))\n"
        )
    };
    format!(
        "use sea_orm_migration::prelude::*;\n\n#[derive(DeriveMigrationName)]\npub struct Migration;\n\n\
         #[async_trait::async_trait]\nimpl MigrationTrait for Migration {{\n    async fn up(&self, manager: \
         &SchemaManager) -> Result<(), DbErr> {{\n{}    }}\n\n    async fn down(&self, manager: &SchemaManager) -> \
         Result<(), DbErr> {{\n{}    }}\n}}\n",
        unwritten("up"),
        unwritten("down")
    )
}

/// The text of a migrator's file with one more migration, last in its order; `None` where the list of migrations is not
/// the one `vec![Box::new(MODULE::Migration), ..]` of SeaORM's layout.
fn wired(text: &str, module: &str) -> Option<String> {
    declared(&listed(text, "", module)?, module)
}

/// The same text with the module behind its other migrations.
fn declared(text: &str, module: &str) -> Option<String> {
    let of_module = |line: &str| {
        let (before, rest) = line.split_once("mod m")?;
        (rest.ends_with(';') && rest.starts_with(|c: char| c.is_ascii_digit())).then(|| before.to_owned())
    };
    if text.contains(&format!("mod {module};")) {
        return None;
    }
    let head = text.split_once("fn migrations()").map_or(text, |(head, _)| head);
    let is_use = |line: &&str| line.starts_with("use ") || line.starts_with("pub use ");
    let (last, own) = match head.lines().rev().find_map(|line| Some((line, of_module(line)?))) {
        Some((last, before)) => (last, format!("{before}mod {module};\n")),
        None => (head.lines().rfind(is_use)?, format!("\nmod {module};\n")),
    };
    let at = head.rfind(last)? + last.len() + 1;
    Some(format!("{}{own}{}", text.get(..at)?, &text[at..]))
}

/// The text with the migration last in the list, each of them with this path before its module.
fn listed(text: &str, path: &str, module: &str) -> Option<String> {
    let (head, tail) = text.split_once("fn migrations()")?;
    let (before, list) = tail.split_once("vec![")?;
    let (items, after) = list.split_once(']')?;
    let listed: Vec<&str> = items.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
    let is_item = |item: &&str| {
        let module =
            item.strip_prefix("Box::new(").and_then(|rest| rest.strip_prefix(path)?.strip_suffix("::Migration)"));
        module.is_some_and(|module| module.starts_with('m') && !module.contains("::"))
    };
    let is_only_list = !before.contains('}') && !after.contains("vec![") && listed.iter().all(is_item);
    if !is_only_list || !after.trim_start().starts_with('}') {
        return None;
    }
    let line = text.lines().find(|line| line.contains("vec!["))?;
    let indent = " ".repeat(line.len() - line.trim_start().len());
    let all: Vec<String> = listed.iter().map(|item| format!("{indent}    {item},\n")).collect();
    let all = all.concat();
    Some(format!(
        "{head}fn migrations(){before}vec![\n{all}{indent}    Box::new({path}{module}::Migration),\n{indent}]{after}"
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIB: &str = "pub use sea_orm_migration::prelude::*;\n\nmod m20220101_000001_create_table;\n\npub struct \
                       Migrator;\n\n#[async_trait::async_trait]\nimpl MigratorTrait for Migrator {\n    fn \
                       migrations() -> Vec<Box<dyn MigrationTrait>> {\n        \
                       vec![Box::new(m20220101_000001_create_table::Migration)]\n    }\n}\n";

    #[test]
    fn a_migrator_gets_one_more_and_one_that_is_not_understood_none() {
        let wired_once = wired(LIB, "m20250101_000000_b").unwrap();
        let list = "vec![\n            Box::new(m20220101_000001_create_table::Migration),\n            \
                    Box::new(m20250101_000000_b::Migration),\n        ]\n    }\n}\n";
        assert!(wired_once.ends_with(list), "{wired_once}");
        assert!(wired_once.contains("mod m20220101_000001_create_table;\nmod m20250101_000000_b;\n\n"), "{wired_once}");
        assert!(wired(&wired_once, "m20250101_000001_c").unwrap().matches("Box::new").count() == 3);
        let empty = LIB.replace("Box::new(m20220101_000001_create_table::Migration)", "");
        assert!(
            wired(&empty.replace("mod m20220101_000001_create_table;\n", ""), "m1_b")
                .unwrap()
                .contains("*;\n\nmod m1_b;")
        );
        for other in
            ["all()", "vec![Box::new(One), Box::new(Two)]", "vec![Box::new(m1::Migration)].into_iter().collect()"]
        {
            assert_eq!(
                wired(&LIB.replace("vec![Box::new(m20220101_000001_create_table::Migration)]", other), "m2_b"),
                None
            );
        }
    }

    #[test]
    fn a_script_gets_the_next_number_in_the_style_of_the_others() {
        let now = std::time::UNIX_EPOCH + Duration::from_secs(1_738_368_000);
        let next = |files: &[&str]| next_version(&files.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), now);
        assert_eq!(next(&[]), "20250201000000");
        assert_eq!(next(&["0009_a.up.sql", "0002_b.sql", "R__v.sql", "notes.md"]), "0010");
        assert_eq!(next(&["V1__a.sql", "V9__b.sql"]), "V10");
        assert_eq!(next(&["20240101000000_a.sql"]), "20250201000000");
        assert_eq!(next(&["20260101000000_of_a_clock_ahead.sql"]), "20260101000001");
        // Of milliseconds, too.
        assert_eq!(next(&["20240101000000000_a.sql"]), "20240101000000001");
    }
}
