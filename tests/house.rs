//! The rules of the house that no compiler checks: one direction of imports, who may name what, the length of files, and
//! the order of help pages. What the book says is checked by the test `book`.
//!
//! It reads texts and the program's own help; it opens no database.

#![expect(clippy::unwrap_used, reason = "a test ends with the first thing that is not as it should be")]

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files that may be longer than 500 lines of code, each with the reason.
const LONG_FILES: [(&str, &str); 0] = [];

/// The most lines of code of a file; blank lines, comments and unit tests are not counted.
const LONGEST: usize = 500;

/// The most methods of a trait: one with more is several things.
const MOST_METHODS: usize = 8;

/// The most parameters of a function, its `self` not counted; more are a struct.
const MOST_PARAMETERS: usize = 4;

/// The engines, each with the folder in `src/engine/` that is its own.
const ENGINES: [(&str, &str); 3] =
    [("Engine::Sqlite", "sqlite"), ("Engine::Postgres", "postgres"), ("Engine::Mysql", "mysql")];

/// Where any engine may be named: the vocabulary, what people write, and how SQL is read. Others ask for capabilities, or
/// for the value of an engine in an `EngineMap`.
const NAME_ENGINES: [&str; 3] = ["src/model/", "src/inputs/", "src/sql/dialect/"];

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

/// First words of comments that talk around a thing instead of naming it.
const ROUNDABOUT: [&str; 5] = ["What ", "Who ", "Whose ", "So many ", "So much "];

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

/// Where one engine is told from another, outside of the places that are made for it.
fn engines_named(file: &str, text: &str) -> Vec<Violation> {
    let is_free = NAME_ENGINES.iter().any(|place| file.starts_with(place));
    let mut found = Vec::new();
    for (line, code) in code(text).into_iter().filter(|_| !is_free) {
        let foreign = ENGINES.iter().filter(|(_, folder)| !file.starts_with(&format!("src/engine/{folder}/")));
        let imported = code.contains("Engine::{") || code.contains("Engine::*");
        let name =
            foreign.map(|(name, _)| *name).find(|name| code.contains(name)).or(imported.then_some("Engine::{…}"));
        if let Some(name) = name {
            let rule = format!("names {name}; ask for a capability, or write it in the engine's own folder");
            found.push(Violation { file: file.to_owned(), line, rule });
        }
    }
    found
}

/// Traits with more than [`MOST_METHODS`].
fn large_traits(file: &str, text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut within: Option<(usize, usize)> = None;
    for (line, code) in code(text) {
        let bare = code.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ").trim_start_matches("pub ");
        within = match within {
            None if bare.starts_with("trait ") && code.ends_with('{') => Some((line, 0)),
            Some((begun, methods)) if code == "}" => {
                if methods > MOST_METHODS {
                    let rule = format!("a trait of {methods} methods; {MOST_METHODS} are the most");
                    found.push(Violation { file: file.to_owned(), line: begun, rule });
                }
                None
            }
            Some((begun, methods)) => {
                let is_method = code.starts_with("    fn ") || code.starts_with("    async fn ");
                Some((begun, methods + usize::from(is_method)))
            }
            None => None,
        };
    }
    found
}

/// Lines of comments that begin with one of [`ROUNDABOUT`].
fn roundabout_comments(file: &str, text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Some(comment) = line.trim_start().strip_prefix("//") else { continue };
        let comment = comment.trim_start_matches(['/', '!']).trim_start();
        if let Some(word) = ROUNDABOUT.iter().find(|word| comment.starts_with(**word)) {
            let rule = format!("a comment begins with `{}`; name the thing first", word.trim_end());
            found.push(Violation { file: file.to_owned(), line: number + 1, rule });
        }
    }
    found
}

/// Functions with more than [`MOST_PARAMETERS`].
fn long_signatures(file: &str, text: &str) -> Vec<Violation> {
    let code = code(text);
    let mut found = Vec::new();
    for (at, (line, first)) in code.iter().enumerate() {
        let Some(name) =
            first.find("fn ").filter(|at| first[..*at].trim_end().is_empty() || first[..*at].ends_with(' '))
        else {
            continue;
        };
        let rest: String = code[at..].iter().take(20).map(|(_, line)| format!("{line} ")).collect();
        let parameters = parameters(&rest[name..]);
        if parameters > MOST_PARAMETERS {
            let rule = format!("a function of {parameters} parameters; {MOST_PARAMETERS} are the most");
            found.push(Violation { file: file.to_owned(), line: *line, rule });
        }
    }
    found
}

/// How many parameters a function has, from its `fn` on; its `self` is not counted.
fn parameters(signature: &str) -> usize {
    let Some(open) = signature.find('(') else { return 0 };
    let (mut depth, mut current, mut all) = (0_i32, String::new(), Vec::new());
    let mut before = ' ';
    for c in signature[open + 1..].chars() {
        match c {
            '(' | '[' | '{' | '<' => depth += 1,
            ')' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            '>' if before != '-' && before != '=' => depth -= 1,
            _ => {}
        }
        if c == ',' && depth == 0 {
            all.push(std::mem::take(&mut current));
        } else {
            current.push(c);
        }
        before = c;
    }
    all.push(current);
    let counts = |parameter: &&String| {
        let name = parameter.split(':').next().unwrap_or_default().trim();
        !name.is_empty() && !name.ends_with("self")
    };
    all.iter().filter(counts).count()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn sources() -> Vec<(String, String)> {
    sources_in("src")
}

/// All `.rs` files of a folder and of those inside it, sorted by path.
fn rust_files(folder: &str) -> Vec<String> {
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
    walk(&root().join(folder), &mut paths);
    paths.sort();
    paths.iter().map(|path| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned()).collect()
}

/// All `.rs` files of a folder with their texts, unit tests left out.
fn sources_in(folder: &str) -> Vec<(String, String)> {
    let is_test =
        |name: &str| name.contains("/tests/") || name.ends_with("/tests.rs") || name.ends_with("/scripted.rs");
    rust_files(folder).into_iter().filter(|n| !is_test(n)).map(|n| (n.clone(), read(&n))).collect()
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
    none("against the rules of docs/book/src/design/architecture.md", &found);
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

/// Words that the generator of rows must not hold: a database, a clock, a random number that is not its own.
const NOT_IN_THE_GENERATOR: [&str; 10] =
    ["sqlx", "sea_orm", "tokio", "async", "SystemTime", "Instant", "::now()", "rand::", "std::fs", "println!"];

#[test]
fn the_generator_of_rows_holds_no_database_and_no_clock() {
    let mut found = Vec::new();
    for folder in ["fleet-seed/src", "fleet-shape/src"] {
        for (file, text) in sources_in(folder) {
            let lines = code(&text);
            found.extend((lines.len() > LONGEST).then(|| format!("{file} has {} lines of code", lines.len())));
            for (line, code) in lines {
                let word = NOT_IN_THE_GENERATOR.iter().find(|word| code.contains(**word));
                found.extend(word.map(|word| format!("{file}:{line} names `{word}`")));
            }
        }
    }
    none("the generator takes a description of tables and returns rows, the same each time", &found);
}

#[test]
fn an_engine_is_named_in_its_own_folder_only() {
    let all = sources();
    none("engines told apart", &all.iter().flat_map(|(file, text)| engines_named(file, text)).collect::<Vec<_>>());

    let count = |file: &str, text: &str| engines_named(file, text).len();
    assert_eq!(count("src/engine/mysql/apply.rs", "Message::new(Engine::Mysql);\n"), 0);
    assert_eq!(count("src/engine/mysql/apply.rs", "Message::new(Engine::Postgres);\n"), 1);
    assert_eq!(count("src/run/unit.rs", "if tenant::Engine::Sqlite == engine {}\n// Engine::Mysql\n"), 1);
    assert_eq!(count("src/cli/x.rs", "use crate::model::engine::Engine::{Mysql, Sqlite};\n"), 1);
    assert_eq!(count("src/model/engine.rs", "match self { Engine::Sqlite => 1 }\n"), 0);
}

/// Where a test needs MySQL without being left out with it: its variables, and its servers outside of what is named `mysql`.
fn mysql_for_all(file: &str, text: &str) -> Vec<Violation> {
    const DOOR: [&str; 2] = ["tests/support/mysql.rs", "tests/support/own_servers.rs"];
    let mut found = Vec::new();
    // The last line of the item that is named `mysql`.
    let mut end: Option<String> = None;
    let is_named = file.ends_with("/mysql.rs");
    for (line, code) in text.lines().enumerate() {
        let code = code.split("//").next().unwrap_or_default();
        let bare = code.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("async ");
        if end.is_none() && (bare.starts_with("mod mysql {") || bare.starts_with("fn mysql(")) {
            end = Some(format!("{}}}", &code[..code.len() - code.trim_start().len()]));
        }
        let variable = ["FLEET_TEST_MYSQL_", "FLEET_TEST_WITHOUT"].iter().find(|word| code.contains(**word));
        let is_free = file.starts_with("tests/support/") || is_named || end.is_some();
        let server = [".mysql(", "database(\"mysql\"", "OwnMysql::start"].iter().find(|word| code.contains(**word));
        let site = code.match_indices("Site::Mysql").any(|(at, word)| {
            let (before, behind) = (&code[..at], code[at + word.len()..].trim_start());
            !before.ends_with("== ")
                && !before.ends_with("!= ")
                && !behind.starts_with("=>")
                && !behind.starts_with("if ")
        });
        let rule = match (variable, server) {
            (Some(word), _) if !DOOR.contains(&file) => {
                format!("names {word}; tests/support/mysql.rs says what there is")
            }
            (_, Some(word)) if !is_free => format!("`{word}` outside of what is named `mysql`: it fails without MySQL"),
            _ if site && !is_free => {
                "Site::Mysql outside of what is named `mysql`; Site::mysqls() has it where it is".into()
            }
            _ => String::new(),
        };
        if !rule.is_empty() {
            found.push(Violation { file: file.to_owned(), line: line + 1, rule });
        }
        if end.as_deref() == Some(code.trim_end()) {
            end = None;
        }
    }
    found
}

#[test]
fn the_tests_do_without_mysql_where_it_is_left_out() {
    let files = rust_files("tests").into_iter().filter(|file| file != "tests/house.rs");
    none(
        "tests that fail under FLEET_TEST_WITHOUT=mysql",
        &files.flat_map(|f| mysql_for_all(&f, &read(&f))).collect::<Vec<_>>(),
    );

    let lines = |text: &str| mysql_for_all("tests/x.rs", text).iter().map(|v| v.line).collect::<Vec<_>>();
    assert_eq!(lines("with(Site::Mysql, x);\n// Site::Mysql\nif site == Site::Mysql {}\nSite::Mysql => 1,\n"), [1]);
    assert_eq!(lines("mod mysql {\n    f(Site::Mysql);\n    }\n}\nf(Site::Mysql);\n"), [5]);
    assert_eq!(
        lines("async fn mysql() {\n    fleet.mysql(1);\n}\nfleet.mysql(1);\nfleet.mysql_where_there(1);\n"),
        [4]
    );
    assert_eq!(lines("mod mysql {\n    var(\"FLEET_TEST_MYSQL_URL\");\n}\n"), [2]);
    assert_eq!(mysql_for_all("tests/fleet/mysql.rs", "f(Site::Mysql); var(\"FLEET_TEST_WITHOUT\")").len(), 1);
}

#[test]
fn traits_are_small_and_functions_take_few_parameters() {
    let all = sources();
    none("large traits", &all.iter().flat_map(|(file, text)| large_traits(file, text)).collect::<Vec<_>>());
    none("long signatures", &all.iter().flat_map(|(file, text)| long_signatures(file, text)).collect::<Vec<_>>());

    let methods = |n: usize| format!("pub(crate) trait T: Send {{\n{}}}\n", "    async fn f(&self);\n".repeat(n));
    assert_eq!(large_traits("src/x.rs", &methods(MOST_METHODS)), []);
    assert_eq!(large_traits("src/x.rs", &methods(MOST_METHODS + 1)).len(), 1);
    let four = "    pub(crate) fn f<T>(\n        &mut self,\n        a: HashMap<T, T>,\n        b: &dyn Fn(u8, u8) -> u8,\n        \
                (c, d): (u8, u8),\n        e: [u8; 2],\n    ) -> Result<u8, u8> {\n";
    assert_eq!(long_signatures("src/x.rs", four), []);
    assert_eq!(long_signatures("src/x.rs", &four.replace("e:", "f: u8, e:")).len(), 1);
}

#[test]
fn doc_comments_name_the_thing() {
    let mut found = Vec::new();
    for folder in ["src", "fleet-seed", "fleet-shape"] {
        let files = rust_files(folder);
        assert!(!files.is_empty(), "{folder}");
        found.extend(files.iter().flat_map(|file| roundabout_comments(file, &read(file))));
    }
    none("comments that do not name the thing", &found);

    let lines = |text: &str| {
        let found = roundabout_comments("src/x.rs", text);
        found.iter().map(|violation| violation.line.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(lines("//! What it is.\n\n/// Whose it is.\nfn f() {\n    // So many at most.\n}\n"), "1 3 5");
    assert_eq!(lines("/// The kind.\n///\n/// Who waits for whom.\n    //! So much is read.\n"), "3 4");
    assert_eq!(lines("/// Whatever it is, whole.\n// The lock and who has it.\nlet what = \"// What \";\n"), "");
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

#[test]
fn global_options_come_last_in_every_help_page() {
    for page in [&["migrate"][..], &["status"], &["runs", "resolve"], &["tenants", "list"], &["completions"]] {
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
