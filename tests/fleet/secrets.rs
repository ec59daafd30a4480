//! No password leaks: not to stdout or stderr, not into a report, the ledger or a log.

use crate::support::{Fleet, Ran, database_of, finish, mariadb_url, postgres_url, program, server_of, sql};

const LITERAL: &str = "l1teral/s3cret@with:all#of?them%41";
const VARIABLE: &str = "var1ableS3cretInUrl";
const ENV: &str = "env s3cret/with@specials&more";
const FILE: &str = "f1le's$ecret\\back";
const COMMAND: &str = "c0mmand-s3cret+plus=";
const WRONG: &str = "wr0ng/s3cret@nobody";
const LEDGER: &str = "ledg3r/s3cret:x";
/// In a statement: it is in the script, so that reports may quote it, and no log does.
const STATEMENT: &str = "stat3ment-s3cret";
const SECRETS: [&str; 7] = [LITERAL, VARIABLE, ENV, FILE, COMMAND, WRONG, LEDGER];

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// All ways in which a secret could be written.
fn spellings(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).unwrap();
    let lower = encoded(secret).to_lowercase();
    vec![secret.to_owned(), encoded(secret), lower, json.trim_matches('"').to_owned(), secret.replace('\'', "''")]
}

#[track_caller]
fn assert_clean(bytes: &[u8], whence: &str) {
    for secret in SECRETS {
        for spelling in spellings(secret) {
            let found = bytes.windows(spelling.len()).any(|w| w == spelling.as_bytes());
            assert!(!found, "{spelling:?} is in {whence}:\n{}", String::from_utf8_lossy(bytes));
        }
    }
}

/// A user of both servers with a password, who owns one database in each; gives URLs without the password.
struct User {
    name: String,
    postgres: String,
    mysql: String,
}

impl User {
    fn new(fleet: &mut Fleet, label: &str, password: &str) -> Self {
        let name = fleet.unique(label);
        let quoted = password.replace('\'', "''");
        sql(&postgres_url(), &format!("CREATE ROLE {name} LOGIN SUPERUSER PASSWORD '{quoted}'"));
        let quoted = quoted.replace('\\', "\\\\");
        sql(&mariadb_url(), &format!("CREATE USER '{name}'@'%' IDENTIFIED BY '{quoted}'"));
        sql(&mariadb_url(), &format!("GRANT ALL ON *.* TO '{name}'@'%'"));
        fleet.at_end(&postgres_url(), &format!("DROP ROLE IF EXISTS {name}"));
        fleet.at_end(&mariadb_url(), &format!("DROP USER IF EXISTS '{name}'@'%'"));
        let postgres = fleet.database("postgres", label);
        let mysql = fleet.database("mariadb", label);
        User { name, postgres, mysql }
    }

    /// The two URLs, with a password or none.
    fn urls(&self, password: Option<&str>) -> [String; 2] {
        [&self.postgres, &self.mysql].map(|url| {
            let (scheme, rest) = url.split_once("://").unwrap();
            let place = rest.rsplit_once('@').unwrap().1;
            let password = password.map(|p| format!(":{p}")).unwrap_or_default();
            format!("{scheme}://{}{password}@{place}", self.name)
        })
    }
}

fn fleet() -> Fleet {
    let mut fleet = Fleet::new().head("[fleet]\nattempts = 2\nretry_pause = \"5ms\"").sqlite(1);
    std::fs::write(fleet.path("password"), format!("{FILE}\n")).unwrap();
    let quoted = COMMAND.replace('\'', "'\\''");
    std::fs::write(fleet.path("ask.sh"), format!("printf '%s\\n' '{quoted}'\n")).unwrap();
    let forms = [
        ("literal", LITERAL, Some(encoded(LITERAL)), ""),
        ("variable", VARIABLE, Some("${E2E_URL_SECRET}".to_owned()), ""),
        ("env", ENV, None, "password = { env = \"E2E_SECRET\" }"),
        ("file", FILE, None, "password = { file = \"password\" }"),
        ("command", COMMAND, None, "password = { command = [\"sh\", \"ask.sh\"] }"),
        ("wrong", "the right one", Some(encoded(WRONG)), ""),
    ];
    for (label, password, in_url, more) in forms {
        let user = User::new(&mut fleet, label, password);
        for (engine, url) in ["pg", "my"].iter().zip(user.urls(in_url.as_deref())) {
            let id = format!("{label}-{engine}");
            fleet.add(&id, &url);
            fleet.tenant_mut(&id).more = more.to_owned();
        }
    }
    let dead = format!("postgres://someone:{}@127.0.0.1:1/nowhere", encoded(WRONG));
    fleet.add("dead", &dead);
    fleet.add("nameless", &format!("mysql://someone:{}@no-such-host.invalid/nowhere", encoded(WRONG)));
    fleet
}

fn run(fleet: &Fleet, arguments: &[&str]) -> Ran {
    run_with_log(fleet, arguments, None)
}

fn run_with_log(fleet: &Fleet, arguments: &[&str], log: Option<&str>) -> Ran {
    fleet.write();
    let mut command = program(fleet.folder.path(), arguments);
    if let Some(log) = log {
        command.env("FLEET_LOG", log);
    }
    let ran = finish(command.env("E2E_URL_SECRET", VARIABLE).env("E2E_SECRET", ENV));
    assert_clean(ran.out.as_bytes(), &format!("stdout of {arguments:?}"));
    assert_clean(ran.err.as_bytes(), &format!("stderr of {arguments:?}"));
    ran
}

/// Every file that the program has written.
fn assert_files_clean(fleet: &Fleet) {
    let inputs = ["tenants.toml", "password", "ask.sh"];
    let mut seen = Vec::new();
    let mut entries = vec![fleet.folder.path().to_owned()];
    while let Some(path) = entries.pop() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            entries.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if !inputs.contains(&&*name) {
            assert_clean(&std::fs::read(&path).unwrap(), &name);
            seen.push(name);
        }
    }
    assert!(seen.iter().any(|n| n == "fleet-ledger.db"), "{seen:?}");
}

#[test]
fn no_command_shows_a_password_in_any_form() {
    let fleet = fleet();
    let reports =
        ["--report", "junit=r.xml", "--report", "json=r.json", "--report", "csv=r.csv", "--report", "md=r.md"];
    for verbose in ["-vv", "-vvv"] {
        for look in [
            &["plan", "--sql"][..],
            &["status"],
            &["matrix", "--all"],
            &["tenants", "list"],
            &["tenants", "check"],
            &["config"],
            &["migrate", "--dry-run"],
        ] {
            let formats: &[&str] = match look[0] {
                "config" | "migrate" => &[""],
                _ => &["table", "json", "csv", "md"],
            };
            for format in formats {
                let format: &[&str] = if format.is_empty() { &[] } else { &["--format", format] };
                run(&fleet, &[look, format, &[verbose]].concat());
            }
        }
    }
    for (verbose, format) in [("-vv", "jsonl"), ("-vvv", "json"), ("-vvv", "table"), ("-vv", "csv"), ("-vv", "md")] {
        let ran = run(&fleet, &[&["migrate", "--yes", "--format", format, verbose][..], &reports].concat()).exits(100);
        if format == "json" {
            let report = ran.json();
            assert_eq!(crate::support::count(&report, "up_to_date"), 11, "the passwords were right: {report:#}");
            assert_eq!(crate::support::count(&report, "unreachable"), 4, "{report:#}");
        }
        assert_files_clean(&fleet);
    }
    for format in ["table", "json", "csv", "md"] {
        run(&fleet, &["runs", "show", "last", "--format", format, "-vvv"]);
        run(&fleet, &["runs", "list", "--format", format, "-vvv"]);
    }
    // The drivers' full logs.
    let ran = run_with_log(&fleet, &["rollback", "--steps", "1", "--yes"], Some("trace")).exits(100);
    assert!(ran.err.contains("DEBUG sqlx"), "{}", ran.err);
    run(&fleet, &["migrate", "--native", "--yes", "-vvv"]).exits(100);
    run(&fleet, &["migrate", "--failed-of", "last", "--yes", "-vvv"]).exits(100);
    assert_files_clean(&fleet);
}

/// The fullest log there is, of tenants that are migrated, refused, unreachable and stopped by a script that sets a password.
#[test]
fn no_log_holds_a_password_of_a_url_a_command_or_a_statement() {
    let mut fleet = fleet();
    fleet.head.push_str("\nscripts = \"sql\"");
    std::fs::create_dir(fleet.path("sql")).unwrap();
    let role = fleet.unique("told");
    for (engine, create, drop) in [
        ("postgres", format!("CREATE ROLE {role} PASSWORD '{STATEMENT}'"), format!("DROP ROLE {role}")),
        ("mysql", format!("CREATE USER {role} IDENTIFIED BY '{STATEMENT}'"), format!("DROP USER {role}")),
        ("sqlite", format!("CREATE TABLE told (password text DEFAULT '{STATEMENT}')"), "DROP TABLE told".to_owned()),
    ] {
        // The second time it is there: a fault with the statement in it.
        let up = format!("{create};\n{drop};\n{create};\n{create};\n");
        std::fs::write(fleet.path(&format!("sql/0001_told.{engine}.up.sql")), up).unwrap();
    }
    fleet.at_end(&postgres_url(), &format!("DROP ROLE IF EXISTS {role}"));
    fleet.at_end(&mariadb_url(), &format!("DROP USER IF EXISTS {role}"));
    for (format, native) in [("text", false), ("json", true)] {
        let all = ["migrate", "--yes", "-vv", "--trace-sql", "--log-dir", "logs", "--log-format", format];
        let ran = run(&fleet, &[&all[..], if native { &["--native"] } else { &[] }].concat()).exits(100);
        let logs = fleet.path("logs");
        for run in std::fs::read_dir(logs).unwrap() {
            for file in std::fs::read_dir(run.unwrap().path()).unwrap() {
                let file = file.unwrap().path();
                let text = std::fs::read(&file).unwrap();
                let found = text.windows(STATEMENT.len()).any(|window| window == STATEMENT.as_bytes());
                assert!(!found, "{}:\n{}", file.display(), String::from_utf8_lossy(&text));
            }
        }
        let log_lines: String =
            ran.err.lines().filter(|line| line.contains("fleet::") || line.starts_with("    ")).collect();
        assert!(!log_lines.contains(STATEMENT), "{}", ran.err);
        assert!(ran.err.contains("told") && ran.err.contains("'***'"), "the scripts ran: {}", ran.err);
        assert_files_clean(&fleet);
    }
}

#[test]
fn the_password_of_the_ledger_stays_inside_too() {
    let mut fleet = Fleet::new().sqlite(1);
    let user = User::new(&mut fleet, "keeper", LEDGER);
    let encoded_password = encoded(LEDGER);
    let urls = user.urls(Some(&encoded_password));
    for url in &urls {
        for verbose in ["-vv", "-vvv"] {
            run(&fleet, &["migrate", "--yes", "--ledger", url, verbose]).exits(0);
            run(&fleet, &["runs", "list", "--ledger", url, verbose]).exits(0);
            run(&fleet, &["runs", "show", "last", "--ledger", url, verbose]).exits(0);
            run(&fleet, &["config", "--ledger", url, verbose]).exits(0);
        }
        let wrong = url.replace(&encoded_password, &encoded(WRONG));
        run(&fleet, &["migrate", "--yes", "--ledger", &wrong, "-vvv"]).exits(75);
        let gone = database_of(url, "nowhere_at_all");
        run(&fleet, &["migrate", "--yes", "--ledger", &gone, "-vvv"]).exits(75);
        // A password that was not percent-encoded breaks the URL; the answer must not quote it.
        let broken = url.replace(&encoded_password, LEDGER);
        let ran = run(&fleet, &["migrate", "--yes", "--ledger", &broken, "-vvv"]);
        assert!(matches!(ran.code, Some(64 | 75 | 78)), "{ran:?}");
    }
}

#[test]
fn a_mistake_in_a_url_does_not_quote_its_password() {
    let mut fleet = Fleet::new().sqlite(1);
    for (n, url) in [
        format!("postgres://app:{LITERAL}@db/acme"),
        format!("mysql://app:{WRONG}@db:notaport/acme"),
        format!("postgress://app:{}@db/acme", encoded(WRONG)),
        format!("postgres://app:{}@db/acme?pasword={}", encoded(WRONG), encoded(LITERAL)),
        format!("postgres://app:{}@/", encoded(WRONG)),
    ]
    .iter()
    .enumerate()
    {
        fleet.add(&format!("wrong-{n}"), url);
    }
    let ran = run(&fleet, &["plan", "-vvv"]).exits(78);
    assert!(ran.err.matches("tenants.toml:").count() >= 5, "{}", ran.err);
}

/// A regression: the list ran every password command of the fleet only to print addresses.
#[test]
fn the_list_of_tenants_runs_no_password_command() {
    let mut fleet = Fleet::new();
    fleet.add("a", "mysql://app@db7:3307/acme");
    fleet.tenant_mut("a").more = "password = { command = [\"sh\", \"-c\", \"echo ran > ran; exit 1\"] }".to_owned();
    let listed = fleet.run(&["tenants", "list", "--format", "csv"]).exits(0);
    assert!(listed.out.contains("mysql://db7:3307/acme"), "{}", listed.out);
    assert!(!fleet.folder.path().join("ran").exists());
}

/// Migrates two tenants, one after the other, whose user gets its password from this command; how often it was asked.
fn migrated_behind(engine: &'static str, max_age: &str, command: &str, script: &str) -> usize {
    let mut fleet = Fleet::new();
    let (user, server) = (fleet.unique("u"), server_of(engine));
    let (create, account) = match engine {
        "postgres" => (format!("CREATE ROLE {user} LOGIN SUPERUSER PASSWORD 'old'"), user.clone()),
        _ => (format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'old'"), format!("'{user}'@'%'")),
    };
    sql(&server, &create);
    if engine != "postgres" {
        sql(&server, &format!("GRANT ALL ON *.* TO {account}"));
    }
    fleet.at_end(&server, &format!("DROP {} {account}", if engine == "postgres" { "ROLE" } else { "USER" }));
    let mut fleet = fleet.head(&format!(
        "[fleet]\nscripts = \"sql\"\nconcurrency = 1\nattempts = 1\npassword_max_age = \"{max_age}\"\n[defaults]\n\
         password = {{ command = [\"sh\", \"-c\", \"echo asked >> calls; {command}\"] }}"
    ));
    for name in ["a", "b"] {
        let url = fleet.database(engine, name);
        let (scheme, rest) = url.split_once("://").unwrap();
        fleet.add(name, &format!("{scheme}://{user}@{}", rest.rsplit_once('@').unwrap().1));
    }
    std::fs::create_dir(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql/0001_change.sql"), script.replace("ACCOUNT", &account)).unwrap();
    fleet.run(&["migrate", "--yes", "--no-preflight"]).exits(0).shows(&["2 migrated"]);
    std::fs::read_to_string(fleet.path("calls")).unwrap().lines().count()
}

/// The first tenant's script changes the password with which the second one is to be reached.
fn a_password_changes_in_the_middle(engine: &'static str) {
    let command = "if [ -f changed ]; then echo new; else touch changed; echo old; fi";
    // A refused login asks again where the answer is a second old.
    let script = match engine {
        "postgres" => "ALTER ROLE ACCOUNT PASSWORD 'new';\nSELECT pg_sleep(1.1);\n",
        _ => "ALTER USER ACCOUNT IDENTIFIED BY 'new';\nDO SLEEP(1.1);\n",
    };
    let asked = migrated_behind(engine, "10m", command, script);
    assert_eq!(asked, 2, "{engine}: once at the start, and once for the refused login");
}

fn a_password_is_too_old(engine: &'static str) {
    let asked = migrated_behind(engine, "1ms", "echo old", "SELECT 1;\n");
    assert!(asked > 2, "{engine}: {asked}");
}

#[test]
fn a_password_that_changes_in_the_middle_of_a_run_is_asked_for_again_once() {
    ["postgres", "mariadb"].into_iter().for_each(a_password_changes_in_the_middle);
}

#[test]
fn a_password_that_is_too_old_is_asked_for_again() {
    ["postgres", "mariadb"].into_iter().for_each(a_password_is_too_old);
}

#[test]
fn mysql() {
    a_password_changes_in_the_middle("mysql");
    a_password_is_too_old("mysql");
}
