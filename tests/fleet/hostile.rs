//! Names and errors that try to be more than text: SQL, shell, paths, formulas, markup, terminal escapes, 10 MB.

use std::path::Path;
use std::process::Stdio;

use crate::support::{Fleet, Ran, all, database_of, finish, json_file, mariadb_url, record, sql};

/// Names that fit on one line and that a tenant file allows.
const NAMES: [&str; 14] = [
    "=cmd()|' /C calc'!A0",
    "+1+1",
    "@mention #12 https://example.org",
    "-rf",
    "--yes",
    "../../escaped",
    "..",
    "/tmp/absolute",
    "$(touch pwned);`touch pwned`|touch pwned&",
    "it's \"x\"; DROP TABLE seaql_migrations; --",
    "<script>alert(1)</script>]]>&amp;<!--",
    "%_\\%x{0}%s",
    "| a | `b` **c** [d](e)",
    "東京 🚀 é",
];

/// A text that a database may send.
const EVIL: &str = "=cmd()|' /C calc'!A0 \"q\" 'a' `b` \\ \u{1b}[2J\u{1b}]0;t\u{7}\u{9b}31m\n\r::error::x\n\
                    <script>alert(1)</script>]]>&amp;<!-- | ```` \u{202e}txt.exe\u{200b} \u{1}\u{7f} $(id) %s {0}";

fn toml(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// The first character that could control a terminal or deceive a reader, if any.
fn deceives(text: &str) -> Option<char> {
    text.chars().find(|&c| (c.is_control() && c != '\n') || "\u{200b}\u{202e}".contains(c))
}

#[track_caller]
fn assert_harmless(what: &str, text: &str) {
    assert_eq!(deceives(text), None, "{what}:\n{text:?}");
}

#[track_caller]
fn assert_ran_harmlessly(what: &str, ran: &Ran) {
    assert_harmless(what, &ran.out);
    assert_harmless(what, &ran.err);
}

#[track_caller]
fn assert_csv(what: &str, text: &str) -> Vec<csv::StringRecord> {
    assert_harmless(what, text);
    let rows: Vec<_> = csv::Reader::from_reader(text.as_bytes()).records().map(|row| row.unwrap()).collect();
    for cell in rows.iter().flatten() {
        assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']), "{what}: a formula: {cell}");
    }
    rows
}

/// Asserts that Markdown outside its code blocks has no markup from names or errors.
#[track_caller]
fn assert_markdown(what: &str, text: &str) {
    assert_harmless(what, text);
    let mut fence = None::<&str>;
    for line in text.lines() {
        let ticks = &line[..line.len() - line.trim_start_matches('`').len()];
        match fence {
            Some(open) if line == open => fence = None,
            Some(_) => {}
            None if ticks.len() >= 3 => fence = Some(ticks),
            None => assert!(!line.contains("<script") && !line.contains("[d](e)"), "{what}: {line}"),
        }
    }
    assert_eq!(fence, None, "{what}: a block of code has no end:\n{text}");
}

#[track_caller]
fn assert_junit(what: &str, text: &str, cases: usize) {
    assert_harmless(what, text);
    let report = quick_junit::Report::deserialize_from_str(text).unwrap_or_else(|e| panic!("{what}: {e}\n{text}"));
    assert_eq!(report.test_suites.iter().map(|suite| suite.test_cases.len()).sum::<usize>(), cases);
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// The fleet of all names: SQLite files, PostgreSQL schemas and MariaDB databases, in a wave and with tags of such
/// names.
fn fleet() -> Fleet {
    let mut fleet = Fleet::new();
    fleet.head = "[fleet]\nattempts = 1\n[backup]\ncommand = [\"true\"]\n[[wave]]\nname = \"=w'\\\"<script>|`x`\"\n\
                  tags = { \"=k'\\\"<script>\" = \"=v'\\\"|<script>\" }\n"
        .to_owned();
    let shared = fleet.database("postgres", "hostile");
    for (i, name) in NAMES.iter().enumerate() {
        let more = "tags = { \"=k'\\\"<script>\" = \"=v'\\\"|<script>\" }\nserver = \"=s'\\\"<script>|`x`\"".to_owned();
        match i % 3 {
            0 => {
                std::fs::write(fleet.path(&format!("f{i}.db")), "").unwrap();
                fleet.add(&toml(name), &format!("sqlite:f{i}.db"));
            }
            1 => {
                sql(&shared, &format!("CREATE SCHEMA \"{}\"", name.replace('"', "\"\"")));
                fleet.add(&toml(name), &shared);
                fleet.tenants.last_mut().unwrap().schema = Some(toml(name));
            }
            _ => {
                let database = format!("{}{}", fleet.unique(&format!("m{i}")), name.replace(['/', '\\', '.'], "x"));
                let database: String = database.chars().filter(|c| u32::from(*c) <= 0xffff).collect();
                let quoted = format!("`{}`", database.replace('`', "``"));
                sql(&mariadb_url(), &format!("CREATE DATABASE {quoted}"));
                fleet.at_end(&mariadb_url(), &format!("DROP DATABASE {quoted}"));
                let encoded = percent_encoding::utf8_percent_encode(&database, percent_encoding::NON_ALPHANUMERIC);
                fleet.add(&toml(name), &database_of(&mariadb_url(), &encoded.to_string()));
            }
        }
        fleet.tenants.last_mut().unwrap().more = more;
    }
    fleet
}

#[test]
fn names_that_try_to_be_more_than_names_are_names_everywhere() {
    let fleet = fleet();
    let reports =
        ["--report", "junit=r.xml", "--report", "json=r.json", "--report", "csv=r.csv", "--report", "md=r.md"];
    let ran = fleet.run(&[&["migrate", "--yes"][..], &reports].concat()).exits(0);
    assert_ran_harmlessly("migrate", &ran);
    let text = |name: &str| std::fs::read_to_string(fleet.path(name)).unwrap();
    let report = json_file(&fleet.path("r.json"));
    for name in NAMES {
        assert_eq!(record(&report, name)["outcome"], "migrated", "{name}: the id is kept exactly");
    }
    assert_eq!(assert_csv("report csv", &text("r.csv")).len(), NAMES.len());
    assert_markdown("report md", &text("r.md"));
    assert_junit("report junit", &text("r.xml"), NAMES.len());

    let looks: [&[&str]; 8] = [
        &["plan"],
        &["matrix", "--all"],
        &["status"],
        &["tenants", "list"],
        &["tenants", "check"],
        &["runs", "show", "last"],
        &["runs", "list"],
        &["locks"],
    ];
    for look in looks {
        for format in ["table", "json", "csv", "md"] {
            let what = format!("{look:?} {format}");
            let ran = fleet.run(&[look, &["--format", format]].concat());
            assert!(matches!(ran.code, Some(0)), "{what}: {ran:?}");
            assert_ran_harmlessly(&what, &ran);
            match format {
                "json" => drop(ran.json()),
                "csv" => drop(assert_csv(&what, &ran.out)),
                "md" => assert_markdown(&what, &ran.out),
                _ => {}
            }
        }
    }
    let listed = fleet.run(&["tenants", "list", "--format", "json"]).exits(0).json();
    let ids: Vec<&str> = listed["tenants"].as_array().unwrap().iter().map(|t| t["id"].as_str().unwrap()).collect();
    assert_eq!(ids, NAMES);

    // A word on the command line is an id before it is a glob, and never a flag, a path or a pattern of SQL.
    for name in NAMES {
        let flag = format!("--tenant={name}");
        let one = fleet.run(&["tenants", "list", &flag, "--format", "json"]).exits(0).json();
        let found: Vec<&str> = one["tenants"].as_array().unwrap().iter().map(|t| t["id"].as_str().unwrap()).collect();
        assert_eq!(found, [name]);
    }
    let ran = finish(&mut fleet.program(&["tenants", "list", "--tenant", "\u{1b}2J\u{202e}\n%"])).exits(4);
    assert_ran_harmlessly("a pattern that fits nobody", &ran);
    let ran = finish(&mut fleet.program(&["tenants", "list", "--tenant", "\u{1b}[2J\u{202e}%"])).exits(64);
    assert_ran_harmlessly("no pattern", &ran);
    let run = report["run"].as_str().unwrap();
    let again = fleet.run(&["migrate", "--yes", "--failed-of", run]);
    assert_ran_harmlessly("nobody failed", &again);
    for name in ["\u{1b}[2J", "' OR 1=1 --", "%"] {
        let ran = finish(&mut fleet.program(&["runs", "show", name]));
        assert!(ran.code != Some(0), "{name:?} is no run");
        assert_ran_harmlessly("runs show", &ran);
    }
    assert!(!fleet.path("pwned").exists());
}

#[test]
fn backups_of_such_tenants_stay_in_their_folder_and_come_back() {
    let mut fleet = fleet();
    fleet.head = String::new();
    fleet.run(&["migrate", "--yes", "--steps", "1"]).exits(0);
    let ran = fleet.run(&["migrate", "--yes", "--backup"]).exits(0);
    assert_ran_harmlessly("migrate --backup", &ran);
    let made = files_below(&fleet.path("backups"));
    assert_eq!(made.len(), 2 * NAMES.len(), "a file and its manifest each: {made:?}");
    for file in &made {
        let name = file.file_name().unwrap().to_str().unwrap();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_%.~".contains(&b);
        assert!(name.bytes().all(plain) && !name.starts_with('.'), "{name}");
    }
    let listed = fleet.run(&["backup", "list"]).exits(0);
    assert_ran_harmlessly("backup list", &listed);
    let back = fleet.run(&["restore", "--run", "last", "--yes"]).exits(0);
    assert_ran_harmlessly("restore", &back);
    for tenant in &fleet.tenants {
        if tenant.schema.is_none() {
            assert_eq!(fleet.history(&tenant.id).unwrap().len(), 1, "{}", tenant.id);
        }
    }
    for place in ["../escaped", "../../escaped"] {
        assert!(!fleet.path(place).exists(), "{place}");
    }
    assert!(!Path::new("/tmp/absolute").exists() && !fleet.path("pwned").exists());
}

/// The operator's command gets a tenant's id as a variable, which a shell does not read again.
#[test]
fn a_backup_command_is_told_the_id_and_can_not_be_made_to_run_it() {
    let mut fleet = Fleet::new();
    fleet.head =
        "[backup]\ncommand = [\"sh\", \"-c\", \"printf '%s\\\\n' \\\"$FLEET_TENANT\\\" >> told\"]\n".to_owned();
    for (i, name) in NAMES.iter().enumerate() {
        std::fs::write(fleet.path(&format!("f{i}.db")), "").unwrap();
        fleet.add(&toml(name), &format!("sqlite:f{i}.db"));
    }
    fleet.run(&["backup", "--yes", "--concurrency", "1"]).exits(0);
    let told = std::fs::read_to_string(fleet.path("told")).unwrap();
    assert_eq!(told.lines().collect::<Vec<_>>(), NAMES);
    assert!(!fleet.path("pwned").exists());
}

/// A tenant of each engine, and a script that fails on it with a text of our choice.
fn failing(text: &str) -> Fleet {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1\nscripts = \"sql\"").sqlite(1).postgres(1).mariadb(1);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    let quoted = text.replace('\'', "''");
    let (lite, pg, my) = if text.len() < 1_000 {
        let my = text.replace('\\', "\\\\").replace('\'', "''");
        (quoted.clone(), format!("'{quoted}'"), my)
    } else {
        // MariaDB cuts its own at 128 characters.
        (quoted, "'BEGIN' || repeat('x', 10000000) || 'END'".to_owned(), "BEGIN".to_owned())
    };
    let lite = format!(
        "CREATE TABLE boom (i int);\nCREATE TRIGGER boom_t BEFORE INSERT ON boom BEGIN\n\
         SELECT RAISE(ABORT, '{lite}');\nEND;\nINSERT INTO boom VALUES (1);\n"
    );
    let pg = format!("DO $boom$ BEGIN RAISE EXCEPTION USING MESSAGE = {pg}; END $boom$;\n");
    let my = format!("SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{my}';\n");
    for (engine, script) in [("sqlite", lite), ("postgres", pg), ("mysql", my)] {
        std::fs::write(fleet.path(&format!("sql/0001_boom.{engine}.sql")), script).unwrap();
    }
    fleet
}

/// Every form of a failed run, in `look`'s hands: its name, its text.
fn forms(fleet: &Fleet, mut look: impl FnMut(&str, &str)) {
    let reports =
        ["--report", "junit=r.xml", "--report", "json=r.json", "--report", "csv=r.csv", "--report", "md=r.md"];
    for format in ["table", "json", "jsonl", "csv", "md"] {
        let ran = fleet.run(&[&["migrate", "--yes", "--format", format][..], &reports].concat()).exits(100);
        look(&format!("stderr of {format}"), &ran.err);
        look(format, &ran.out);
    }
    for name in ["r.xml", "r.json", "r.csv", "r.md"] {
        look(name, &std::fs::read_to_string(fleet.path(name)).unwrap());
    }
    for format in ["table", "json", "csv", "md"] {
        let ran = fleet.run(&["runs", "show", "last", "--format", format]).exits(0);
        look(&format!("runs show {format}"), &ran.out);
    }
}

#[test]
fn what_a_database_says_is_text_in_every_form() {
    let fleet = failing(EVIL);
    forms(&fleet, |what, text| {
        assert_harmless(what, text);
        match what {
            "csv" | "r.csv" | "runs show csv" => drop(assert_csv(what, text)),
            "md" | "r.md" | "runs show md" => assert_markdown(what, text),
            "r.xml" => assert_junit(what, text, 3),
            _ => {}
        }
    });
    // Nothing of it is lost where a program reads it; MariaDB's own text escapes what can't be printed, and is cut.
    let report = json_file(&fleet.path("r.json"));
    let said = |id: &str| record(&report, id)["error"]["message"].as_str().unwrap().to_owned();
    assert_eq!(said("pg-000"), EVIL);
    assert_eq!(said("lite-000"), EVIL);
    assert!(said("my-000").starts_with("=cmd()|' /C calc'!A0 \"q\" 'a' `b` "), "{}", said("my-000"));
}

#[test]
fn ten_megabytes_of_an_error_are_cut_in_the_middle_everywhere() {
    let text = format!("BEGIN{}END", "y".repeat(900_000));
    let fleet = failing(&text);
    forms(&fleet, |what, text| assert!(text.len() < 40_000, "{what} has {} bytes", text.len()));
    let report = json_file(&fleet.path("r.json"));
    for (id, left_out) in [("pg-000", 10_000_008 - 1_900), ("lite-000", 900_008 - 1_900)] {
        let message = record(&report, id)["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("BEGIN") && message.ends_with("END") && message.len() <= 2_000, "{id}: {message}");
        assert!(message.contains(&format!(" [... {left_out} characters left out ...] ")), "{id}: {message}");
    }
    let ledger = std::fs::metadata(fleet.path("fleet-ledger.db")).unwrap().len();
    assert!(ledger < 400_000, "five runs took {ledger} bytes");
}

#[test]
fn names_that_nobody_could_read_are_refused_with_their_place() {
    let mut fleet = Fleet::new();
    let long = "x".repeat(10_000_000);
    for (i, (key, value)) in [
        ("server", "a\\u001b[2Jb"),
        ("schema", "a\\u0000"),
        ("server", "a\u{202e}b"),
        ("server", "a\u{200b}b"),
        ("server", "a\\u0085b"),
        ("server", "a\u{ad}b"),
        ("server", &long),
    ]
    .into_iter()
    .enumerate()
    {
        fleet.add(&format!("t{i}"), &format!("postgres://user@host/d{i}"));
        fleet.tenants.last_mut().unwrap().more = format!("{key} = \"{value}\"");
    }
    fleet.add("a\\nb", "sqlite:a.db");
    fleet.add(&long, "sqlite:b.db");
    fleet.add("tags", "sqlite:c.db");
    fleet.tenants.last_mut().unwrap().more = format!("tags = {{ plan = \"{long}\", \"{long}\" = \"x\" }}");
    fleet.add("url", &format!("sqlite:{long}"));
    fleet.head =
        format!("[[wave]]\nname = \"{long}\"\ncount = 1\n[[wave]]\nname = \"w\"\ntenants = [\"a\\u001b[2J\"]\n");
    let ran = fleet.run(&["plan"]).exits(78);
    assert_ran_harmlessly("plan", &ran);
    assert!(ran.err.len() < 20_000, "{} bytes", ran.err.len());
    let ran =
        ran.tells(&["U+001B", "U+0000", "U+202E", "U+200B", "U+0085", "U+00AD", "U+000A", "choose a shorter one"]);
    assert!(ran.err.ends_with("14 mistakes; nothing was started\n"), "{}", ran.err);
    assert_eq!(ran.err.matches("tenants.toml:").count(), 15, "each has its place:\n{}", ran.err);
    std::fs::write(fleet.path("tenants.toml"), format!("[[tenant]]\nid = {long}\n")).unwrap();
    let ran = finish(&mut fleet.program(&["plan"])).exits(78).tells(&["tenants.toml:2:6"]);
    assert!(ran.err.len() < 4_000, "{} bytes", ran.err.len());
}

/// The commands that fleet proposes for such tenants are typed as they are, by a shell.
#[test]
fn a_proposed_command_means_its_tenant_and_nothing_else() {
    let mut fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"\nattempts = 1");
    let ids = ["--yes", "-x'$(touch pwned)`touch pwned`", "*"];
    for (i, id) in ids.iter().enumerate() {
        let url = fleet.database("mariadb", &format!("m{i}"));
        fleet.add(&toml(id), &url);
    }
    std::fs::create_dir(fleet.path("sql")).unwrap();
    let script = "CREATE TABLE made (i int);\nINSERT INTO made SELECT i FROM wanted;\n";
    std::fs::write(fleet.path("sql/0001_made.sql"), script).unwrap();
    fleet.run(&["migrate", "--yes", "--quiet"]).exits(100);
    let shell = |line: &str| {
        let mut command = std::process::Command::new("sh");
        let here = Path::new(crate::PROGRAM).parent().unwrap();
        command
            .args(["-c", line])
            .current_dir(fleet.folder.path())
            .env("PATH", format!("{}:/usr/bin:/bin", here.display()));
        finish(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))
    };
    for id in ids {
        let looked = fleet.run(&["runs", "resolve", "--", id]).exits(2);
        assert_ran_harmlessly("runs resolve", &looked);
        // Each line has a meaning, and behind it the command.
        let line = looked.out.lines().find(|line| line.contains("--not-applied")).unwrap();
        let (_, line) = line.rsplit_once("  ").unwrap();
        fleet.ask(&toml(id), "DROP TABLE made");
        let settled = shell(&line.replace("--not-applied", "--not-applied --yes")).exits(0);
        fleet.ask(&toml(id), "CREATE TABLE wanted (i int)");
        let (_, next) = settled.out.split_once("; next: ").unwrap();
        let ran = shell(&format!("{} --yes", next.trim())).exits(0);
        drop(ran.shows(&["1 migrated"]));
    }
    assert!(!fleet.path("pwned").exists());
}

#[test]
fn names_of_script_files_are_refused_or_are_only_names() {
    let fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"").sqlite(1);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    let good =
        ["0001_=cmd()|'x'<script>.sql", "0002_$(touch pwned) \"q\".sql", "0003_a'b; DROP TABLE seaql_migrations.sql"];
    for (i, name) in good.iter().enumerate() {
        std::fs::write(fleet.path(&format!("sql/{name}")), format!("CREATE TABLE s{i} (i int);")).unwrap();
    }
    let bad = ["0004_\u{1b}[2Jx.sql", "0005_a\u{202e}b.sql", "0006_a\nb.sql"];
    for name in bad {
        std::fs::write(fleet.path(&format!("sql/{name}")), "SELECT 1;").unwrap();
    }
    let ran = fleet.run(&["plan"]).exits(78);
    assert_ran_harmlessly("plan", &ran);
    assert_eq!(ran.err.matches("characters that nobody sees").count(), 3, "{}", ran.err);
    for name in bad {
        std::fs::remove_file(fleet.path(&format!("sql/{name}"))).unwrap();
    }
    let reports = ["--report", "junit=r.xml", "--report", "csv=r.csv", "--report", "md=r.md"];
    assert_ran_harmlessly("migrate", &fleet.run(&[&["migrate", "--yes"][..], &reports].concat()).exits(0));
    let text = |name: &str| std::fs::read_to_string(fleet.path(name)).unwrap();
    assert_csv("r.csv", &text("r.csv"));
    assert_markdown("r.md", &text("r.md"));
    assert_junit("r.xml", &text("r.xml"), 1);
    assert_eq!(fleet.history("lite-000").unwrap(), all(), "the history is there");
    assert_eq!(fleet.ask("lite-000", "SELECT CAST(count(*) AS text) FROM fleet_scripts"), ["3"]);
    for look in [&["matrix"][..], &["scripts", "list"], &["plan", "--down", "--sql"]] {
        for format in ["table", "json", "csv", "md"] {
            let ran = fleet.run(&[look, &["--format", format]].concat()).exits(0);
            assert_ran_harmlessly(&format!("{look:?} {format}"), &ran);
            match format {
                "csv" => drop(assert_csv("csv", &ran.out)),
                "md" => assert_markdown("md", &ran.out),
                _ => {}
            }
        }
    }
}
