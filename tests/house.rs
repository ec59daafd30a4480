//! The rules of the house that no compiler checks: one direction of imports, who may name what, the length of files, and
//! a README that says what the program does.
//!
//! It reads texts and the program's own help; it opens no database.

#![expect(clippy::unwrap_used, reason = "a test ends with the first thing that is not as it should be")]

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files that may be longer than 600 lines of code, each with the reason.
const LONG_FILES: [(&str, &str); 0] = [];

/// The most lines of code of a file; blank lines, comments and unit tests are not counted.
const LONGEST: usize = 600;

/// What a module must not import although it stands above, with the reason.
const FORBIDDEN: [(&str, &[&str], &str); 4] = [
    ("run", &["inputs", "ledger", "report"], "the run gets its plan handed in and only tells events"),
    (
        "check",
        &["inputs", "run"],
        "it gets the places for scratch databases handed in, and knows no tenant of the file",
    ),
    ("ledger", &["run", "report"], "the ledger is fed by events; it and the report are siblings"),
    ("report", &["run", "ledger"], "the report renders data; it and the ledger are siblings"),
];

/// Words that only some modules may hold, the modules, and the reason.
const RESERVED: [(&[&str], &[&str], &str); 3] = [
    (
        &["sea_orm::", "sea_orm_migration::", "sqlx::"],
        &["compile", "engine", "ledger"],
        "SQL and SeaORM stay behind the doors that are made for them",
    ),
    (&["migration::"], &["main"], "only main.rs knows this repository's own migrations"),
    (&["println!", "print!", "eprintln!", "eprint!", "stdout()", "stderr()"], &["cli"], "only the command line prints"),
];

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    file: String,
    line: usize,
    rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.rule)
    }
}

/// The modules in the order of the `mod` lines in `src/lib.rs`.
fn order(lib: &str) -> Vec<String> {
    let module = |line: &str| {
        let name = line.strip_prefix("pub(crate) mod ").or_else(|| line.strip_prefix("pub mod "))?;
        Some(name.strip_suffix(';')?.to_owned())
    };
    lib.lines().filter_map(module).collect()
}

/// The module that a file of `src/` belongs to: its first folder, or its own name.
fn module_of(file: &str) -> &str {
    let path = file.strip_prefix("src/").unwrap();
    path.split(['/', '.']).next().unwrap()
}

/// The lines of a file without comments and without the texts in quotes, and without its unit tests.
fn code(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line == "#[cfg(test)]" {
            // A module of tests ends a file; a `mod tests;` has its own.
            let rest: Vec<&str> = text.lines().skip(number + 1).collect();
            if rest.first().is_some_and(|next| next.ends_with('{')) {
                break;
            }
        }
        let bare = bare(line);
        if !bare.trim().is_empty() {
            lines.push((number + 1, bare));
        }
    }
    lines
}

/// A line without its comment, and with empty quotes. Texts over several lines are seen as code, which is harmless here.
fn bare(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => break,
            '"' => {
                out.push_str("\"\"");
                while let Some(inner) = chars.next() {
                    match inner {
                        '\\' => drop(chars.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '\'' if chars.clone().nth(1) == Some('\'') => {
                out.push_str("' '");
                chars.nth(1);
            }
            _ => out.push(c),
        }
    }
    out
}

/// The modules that a line names: `crate::run::x`, `use crate::run;`, and all of `use crate::{run, plan}`.
fn imports(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let rest = &line[at + "crate::".len()..];
        let names = match rest.strip_prefix('{') {
            Some(list) => list.split(['}', ',']).map(str::trim).collect(),
            None => vec![rest],
        };
        for name in names {
            let end = name.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(name.len());
            if end > 0 {
                found.push(name[..end].to_owned());
            }
        }
    }
    found
}

/// Whether a line names a path or macro, and not only a longer word that ends with it.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let is_part = before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
        // `std::io::stdout()` is what is looked for; `crate::compile::migration::` is something else.
        !is_part || (word.ends_with("()") && before == Some(':'))
    })
}

/// Checks one file of `src/`.
fn check(file: &str, text: &str, order: &[String]) -> Vec<Violation> {
    let module = module_of(file);
    let place = |name: &str| order.iter().position(|m| m == name);
    let mut found = Vec::new();
    for (line, code) in code(text) {
        let mut violation = |rule: String| found.push(Violation { file: file.to_owned(), line, rule });
        for import in imports(&code).iter().filter(|import| *import != module) {
            let forbidden = FORBIDDEN.iter().find(|(from, to, _)| *from == module && to.contains(&import.as_str()));
            if let Some((_, _, why)) = forbidden {
                violation(format!("{module} must not import {import}: {why}"));
            } else if let (Some(own), Some(other)) = (place(module), place(import))
                && other > own
            {
                violation(format!("{module} imports {import}, which stands below it in src/lib.rs"));
            }
        }
        for (words, modules, why) in &RESERVED {
            let tells_the_path =
                |w: &&&str| names(&code, w) || code.trim() == format!("use {};", w.trim_end_matches(':'));
            if let Some(word) = words.iter().find(tells_the_path)
                && !modules.contains(&module)
            {
                violation(format!("{module} names `{word}`, which only {} may: {why}", modules.join(", ")));
            }
        }
    }
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// All `.rs` files of `src/`, unit tests left out.
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&root().join("src"), &mut paths);
    paths.sort();
    let name = |path: &PathBuf| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    let is_test =
        |name: &str| name.contains("/tests/") || name.ends_with("/tests.rs") || name.ends_with("/scripted.rs");
    paths.iter().map(name).filter(|n| !is_test(n)).map(|n| (n.clone(), read(&n))).collect()
}

fn none<T: fmt::Display>(what: &str, found: &[T]) {
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{what}:\n{}", lines.join("\n"));
}

#[test]
fn imports_go_one_way_and_each_module_keeps_to_its_business() {
    let order = order(&read("src/lib.rs"));
    assert!(order.len() >= 10, "{order:?}");
    let found: Vec<Violation> = sources().iter().flat_map(|(file, text)| check(file, text, &order)).collect();
    none("against the rules of docs/architecture.md", &found);
}

#[test]
fn planted_violations_are_found() {
    let order = order(&read("src/lib.rs"));
    let rules = |file: &str, text: &str| -> Vec<(usize, String)> {
        check(file, text, &order).into_iter().map(|v| (v.line, v.rule)).collect()
    };
    let only = |file: &str, text: &str, line: usize, part: &str| {
        let found = rules(file, text);
        assert!(found.len() == 1 && found[0].0 == line && found[0].1.contains(part), "{file} {text}: {found:?}");
    };
    only("src/model/plan.rs", "//! Docs.\nuse crate::run::Cancel;\n", 2, "model imports run, which stands below");
    only("src/model/fault.rs", "use crate::{model::fault::Fault, cli};", 1, "model imports cli");
    only("src/sql/tests_of.rs", "fn f() { crate::engine::location(t) }", 1, "sql imports engine");
    only("src/run/unit.rs", "use crate::inputs::Settings;", 1, "run must not import inputs");
    only("src/check/prove/drive.rs", "use crate::inputs::registry::Registry;", 1, "check must not import inputs");
    only("src/report/live.rs", "pub use crate::ledger::Ledger;", 1, "report must not import ledger");
    only("src/ledger/open.rs", "use crate::report::Style;", 1, "ledger must not import report");
    only("src/model/plan.rs", "use sea_orm::DbErr;", 1, "only compile, engine, ledger may");
    only("src/report/x.rs", "let p = sqlx::query(sql);", 1, "only compile, engine, ledger may");
    only("src/cli/mod.rs", "use migration::Migrator;", 1, "only main may");
    only("src/run/mod.rs", "    println!(\"\");", 1, "only cli may");
    only("src/report/x.rs", "let out = std::io::stdout();", 1, "only cli may");

    assert_eq!(rules("src/run/mod.rs", "// use crate::cli;\nlet x = \"println! crate::cli sqlx::\";"), []);
    assert_eq!(rules("src/cli/mod.rs", "use crate::run::Cancel;\nuse crate::ledger::Ledger;"), []);
    assert_eq!(rules("src/run/x.rs", "let m = self.migrations.migration(0); pub(super) use super::unit;"), []);
    assert_eq!(rules("src/run/x.rs", "#[cfg(test)]\nmod tests {\n    use crate::cli;\n}"), []);
}

#[test]
fn files_are_short_or_listed_with_a_reason() {
    let lines = |file: &str| sources().iter().find(|(name, _)| name == file).map_or(0, |(_, text)| code(text).len());
    let long = |(file, text): &(String, String)| {
        let lines = code(text).len();
        let listed = LONG_FILES.iter().any(|(name, _)| name == file);
        (lines > LONGEST && !listed)
            .then(|| format!("{file} has {lines} lines of code; split it, or list it in LONG_FILES"))
    };
    none("too long", &sources().iter().filter_map(long).collect::<Vec<_>>());
    let stale = |(file, _): &&(&str, &str)| lines(file) <= LONGEST;
    none("not long any more", &LONG_FILES.iter().filter(stale).map(|(file, _)| file).collect::<Vec<_>>());
}

fn fleet(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleet"));
    let output = command.args(arguments).env_remove("FLEET_CONFIG").current_dir(root()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "fleet {}: {err}", arguments.join(" "));
    out.into_owned()
}

/// The lines after `$ ` in the fenced `console` blocks of a text, with their line numbers.
fn console_commands(text: &str) -> Vec<(usize, String)> {
    let mut inside = false;
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let (true, Some(command)) = (inside, line.strip_prefix("$ ")) {
            found.push((number + 1, command.to_owned()));
        }
    }
    found
}

/// What is wrong with a `fleet` command: a subcommand or a long flag that the program's help does not have.
fn wrong_with(command: &str) -> Option<String> {
    const NESTED: [&str; 4] = ["backup", "runs", "scripts", "tenants"];
    let command = command.split(['|', '>', ';', '#']).next().unwrap();
    let words: Vec<&str> = command.split_whitespace().skip(1).collect();
    let plain: Vec<&str> = words.iter().copied().take_while(|word| !word.starts_with('-')).collect();
    let depth = if plain.first().is_some_and(|first| NESTED.contains(first)) { 2 } else { 1 };
    let subcommand = &plain[..depth.min(plain.len())];
    let mut arguments = subcommand.to_vec();
    arguments.push("--help");
    let mut program = Command::new(env!("CARGO_BIN_EXE_fleet"));
    let output = program.args(&arguments).output().unwrap();
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        return Some(format!("there is no `fleet {}`", subcommand.join(" ")));
    }
    let known: BTreeSet<&str> =
        help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).filter(|w| w.starts_with("--")).collect();
    let flags = words.iter().filter(|word| word.starts_with("--")).map(|word| word.split('=').next().unwrap());
    let unknown = flags.into_iter().find(|flag| !known.contains(flag))?;
    Some(format!("`fleet {}` has no flag {unknown}", subcommand.join(" ")))
}

#[test]
fn every_command_of_the_readme_exists() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (line, command) in console_commands(&read("README.md")) {
        if command.starts_with("fleet ") {
            count += 1;
            wrong.extend(wrong_with(&command).map(|what| format!("README.md:{line}: {what}")));
        }
        let script = command.split_whitespace().next().filter(|word| word.starts_with("scripts/"));
        if let Some(script) = script.filter(|script| !root().join(script).is_file()) {
            wrong.push(format!("README.md:{line}: there is no {script}"));
        }
    }
    none("wrong commands", &wrong);
    assert!(count > 5, "the tour has only {count} commands");

    assert!(wrong_with("fleet migrat --yes").is_some());
    assert!(wrong_with("fleet migrate --jes").is_some());
    assert!(wrong_with("fleet runs sho last").is_some());
    assert!(wrong_with("fleet migrate --canary --max-failures=3").is_none());
}

/// The cells of the rows of a Markdown table whose head begins with `head`, without back-quotes.
fn table(text: &str, head: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()
    };
    let rows = text.lines().skip_while(|line| !line.starts_with(head)).skip(2);
    let found: Vec<Vec<String>> = rows.take_while(|line| line.starts_with('|')).map(cells).collect();
    assert!(!found.is_empty(), "README.md has no table that begins with {head}");
    found
}

#[test]
fn the_exit_codes_of_the_readme_are_those_of_the_program() {
    let told: Vec<(String, String)> = fleet(&["help-exit-codes"])
        .lines()
        .map(|line| line.trim().split_once(' ').map(|(code, what)| (code.to_owned(), what.trim().to_owned())).unwrap())
        .collect();
    let written: Vec<(String, String)> =
        table(&read("README.md"), "| code |").into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    assert_eq!(written, told, "the table in README.md (left) and `fleet help-exit-codes` (right)");
}

#[test]
fn the_settings_of_the_readme_are_those_of_the_program() {
    let told: BTreeSet<String> =
        fleet(&["config"]).lines().skip(1).map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
    let written: BTreeSet<String> =
        table(&read("README.md"), "| `[fleet]` key |").into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(written, told, "the table in README.md (left) and `fleet config` (right)");
}

#[test]
fn global_options_come_last_in_every_help_page() {
    for page in [&["migrate"][..], &["status"], &["runs", "settle"], &["tenants", "list"], &["completions"]] {
        let mut arguments = page.to_vec();
        arguments.push("--help");
        let help = fleet(&arguments);
        let (own, global) = help.split_once("\nGlobal:\n").unwrap_or_else(|| panic!("{page:?}: {help}"));
        for option in ["--config", "--color", "--width", "--verbose", "--quiet"] {
            assert!(global.contains(option) && !own.contains(&format!("  {option} ")), "{page:?} {option}: {help}");
        }
        assert!(!global.contains("\n\n"), "{page:?} has a heading behind the global options: {help}");
    }
}

#[test]
fn every_command_of_the_program_is_in_the_readme() {
    let readme = read("README.md");
    let commands = |arguments: &[&str]| -> Vec<String> {
        let help = fleet(arguments);
        let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        lines.filter_map(|line| Some(line.strip_prefix("  ")?.split(' ').next()?.to_owned())).collect()
    };
    let mut all = commands(&["--help"]);
    assert!(all.len() > 8, "{all:?}");
    for nested in ["backup", "runs", "scripts", "tenants"] {
        // `backup` is a command by itself, too.
        all.retain(|name| name != nested || nested == "backup");
        all.extend(commands(&[nested, "--help"]).into_iter().map(|name| format!("{nested} {name}")));
    }
    let missing = |name: &String| {
        let name = name.as_str();
        !["", "help", "backup help", "runs help", "scripts help", "tenants help"].contains(&name)
            && !readme.contains(&format!("fleet {name}"))
    };
    none("not in README.md", &all.iter().filter(|name| missing(name)).collect::<Vec<_>>());
}
