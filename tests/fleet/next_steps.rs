//! The reports of a run and of `status` say why, and what to type next.

use std::time::Duration;

use crate::support::{Fleet, block_on, record, wait};

fn fleet() -> Fleet {
    Fleet::new().head("[fleet]\nscripts = \"sql\"\nattempts = 1\n")
}

fn write(fleet: &Fleet, file: &str, text: &str) {
    std::fs::create_dir_all(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql").join(file), text).unwrap();
}

/// Some seconds of work in one transaction.
const LONG: &str = "CREATE TABLE c (n int);\nINSERT INTO c WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r \
                    WHERE x < 9000000) SELECT count(*) FROM r;";

#[test]
fn a_second_run_on_a_file_waits_for_the_first_or_says_that_it_holds_it() {
    let fleet = fleet().sqlite(1);
    write(&fleet, "0001_long.sql", LONG);
    fleet.write();
    let begun = fleet.path("lite-000.db-journal");
    let mut first = fleet.program(&["migrate", "--yes"]).spawn().unwrap();
    while !begun.exists() && first.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let short = ["--lock-timeout", "50ms", "--lock-wait", "0s"];
    // With one ledger the second is refused at once.
    let start = |ledger: &str, hold: &str| {
        let more = ["--ledger", ledger, "--hold-wait", hold, "--format", "json"];
        fleet.program(&[&["migrate", "--yes"], &short[..], &more].concat()).spawn().unwrap()
    };
    let (refused, patient) = (start("second.db", "0s"), start("third.db", "60s"));
    let pid = first.id();
    let refused = wait(refused).exits(100);
    assert!(first.try_wait().unwrap().is_none(), "the first run is at work still: {}", refused.out);
    let told = record(&refused.json(), "lite-000").clone();
    assert_eq!(told["error"]["class"], "tenant_locked", "{told:#}");
    assert_eq!(told["blocker"]["id"], pid, "{told:#}");
    wait(first).exits(0);
    assert_eq!(record(&wait(patient).exits(0).json(), "lite-000")["outcome"], "up_to_date");
}

/// In a file without a write-ahead log such a lock keeps readers out: nothing of the run gets as far as being watched.
#[test]
fn the_holder_of_a_file_is_named_where_it_can_not_even_be_read() {
    let fleet = fleet().sqlite(1);
    write(&fleet, "0001_a.sql", "CREATE TABLE a (i int)");
    let file = format!("sqlite:{}", fleet.path("lite-000.db").display());
    let mut holder = block_on(<sqlx::SqliteConnection as sqlx::Connection>::connect(&file)).unwrap();
    block_on(sqlx::Executor::execute(&mut holder, "BEGIN EXCLUSIVE")).unwrap();
    let told = fleet.run(&["migrate", "--yes", "--lock-timeout", "200ms", "--lock-wait", "0s"]).exits(100);
    let process = format!("connection {}", std::process::id());
    told.shows(&["LOCK TIMEOUT", "held by", &process, "to see who holds it now: small locks --tenant lite-000"]);
    drop(holder);
    fleet.run(&["migrate", "--yes"]).exits(0);
}

#[test]
fn the_rows_that_a_unique_index_refuses_can_be_asked_for_as_next_says() {
    let fleet = fleet().sqlite(1).postgres(1).mariadb(1);
    write(
        &fleet,
        "0001_a.sql",
        "CREATE TABLE a (i int, j int);\nINSERT INTO a VALUES (1, 1), (1, 1), (2, NULL), (2, NULL);",
    );
    fleet.run(&["migrate", "--yes"]).exits(0);
    write(&fleet, "0002_u.sql", "CREATE UNIQUE INDEX u ON a (i, j)");
    let told = fleet.run(&["migrate", "--yes"]).exits(100);
    let told = told.shows(&["duplicates: ", "once they are gone: "]);
    let query = told.out.split("exec '").nth(1).unwrap().split('\'').next().unwrap();
    assert_eq!(
        query,
        "SELECT i, j, count(*) FROM a WHERE i IS NOT NULL AND j IS NOT NULL GROUP BY i, j HAVING count(*) > 1"
    );
    let rows = fleet.run(&["exec", query, "--format", "csv"]).exits(0);
    assert_eq!(rows.out.matches(",1,1,2").count(), 3, "{}", rows.out);
    for id in ["lite-000", "pg-000", "my-000"] {
        fleet.ask(id, "DELETE FROM a WHERE i = 1");
    }
    fleet.run(&["migrate", "--failed-of", "last", "--yes"]).exits(0);
}

/// Twelve tenants that stopped in one script, and twelve whose script was edited since.
#[test]
fn a_next_step_for_many_tenants_names_the_first_and_says_of_how_many_or_takes_the_run() {
    let fleet = fleet().sqlite(12);
    write(&fleet, "0001_a.sql", "CREATE TABLE a (i int)");
    write(&fleet, "0001_a.down.sql", "DROP TABLE a");
    fleet.run(&["migrate", "--yes"]).exits(0);
    write(&fleet, "0002_b.sql", "-- fleet: transaction=false\nCREATE TABLE b (i int);\nCREATE TABLE a (i int);");
    write(&fleet, "0002_b.down.sql", "DROP TABLE b");
    fleet.run(&["migrate", "--yes"]).exits(100);
    let refused = fleet.run(&["rollback", "--steps", "1", "--yes"]).exits(100);
    let page = &refused.out;
    let step = page.lines().find(|line| line.trim_start().starts_with("partially applied")).unwrap();
    assert!(step.contains("--tenant lite-009 # the first 10 of 12") && !step.contains("lite-010"), "{page}");

    let all = self::fleet().sqlite(12);
    write(&all, "0001_a.sql", "CREATE TABLE a (i int)");
    all.run(&["migrate", "--yes"]).exits(0);
    write(&all, "0001_a.sql", "CREATE TABLE a (i int, j int)");
    let refused = all.run(&["migrate", "--yes"]).exits(100);
    let page = &refused.out;
    let step = page.lines().find(|line| line.trim_start().starts_with("edited: ")).unwrap();
    let command = step.rsplit_once("small ").unwrap().1;
    assert!(command.starts_with("scripts repair 0001_a --failed-of "), "{page}");
    let words: Vec<&str> = command.split(' ').chain(["--yes"]).collect();
    all.run(&words).exits(0).shows(&["12"]);
    all.run(&["migrate", "--yes"]).exits(0);
}

#[test]
fn status_says_why_a_tenant_at_the_newest_version_is_behind() {
    let fleet = fleet().sqlite(2);
    write(&fleet, "0001_a.sql", "CREATE TABLE a (i int)");
    write(&fleet, "R__v.sql", "DROP VIEW IF EXISTS v; CREATE VIEW v AS SELECT 1 AS one");
    fleet.run(&["migrate", "--yes"]).exits(0);
    write(&fleet, "R__v.sql", "DROP VIEW IF EXISTS v; CREATE VIEW v AS SELECT 2 AS two");
    let why = "Behind at the newest version, for repeatable scripts that are new or have changed: R__v (2 tenants)";
    fleet.run(&["status"]).exits(0).shows(&[why]);
    fleet.run(&["migrate", "--yes"]).exits(0);
    assert!(!fleet.run(&["status"]).exits(0).out.contains("Behind at"));
}

#[test]
fn a_plan_says_that_what_is_sent_together_has_one_time() {
    let fleet = fleet().sqlite(1).postgres(1);
    write(&fleet, "0001_a.sql", "CREATE TABLE a (at timestamp DEFAULT CURRENT_TIMESTAMP)");
    let plan = fleet.run(&["plan", "--to", "0001_a"]).exits(0);
    assert!(!plan.out.contains("one time"), "a default is no value yet: {}", plan.out);
    write(&fleet, "0002_b.postgres.sql", "INSERT INTO a VALUES (now())");
    for plan in [&["plan"][..], &["plan", "--list-scripts"]] {
        fleet.run(plan).exits(0).shows(&["writes now(): what a tenant is sent together has one time"]);
    }
    fleet.run(&["migrate", "--yes"]).exits(0);
}

#[test]
fn help_of_a_command_without_tenants_has_no_settings_of_runs() {
    let fleet = fleet();
    for command in [&["new", "--help"][..], &["runs", "show", "--help"], &["config", "--help"]] {
        let help = fleet.run(command).exits(0).shows(&["--ledger"]).out;
        assert!(!help.contains("--concurrency") && !help.contains("--lock-timeout"), "{command:?}: {help}");
    }
    fleet.run(&["runs", "resume", "--help"]).exits(0).shows(&["--recreate", "--lock-timeout"]);
    // They are understood as before.
    let fleet = fleet.sqlite(1);
    fleet.run(&["config", "--concurrency", "3"]).exits(0).shows(&["3"]);
}

/// The section of a page that says what to type.
fn next(page: &str) -> &str {
    let (_, rest) = page.split_once("<h2>Next</h2>").unwrap_or_else(|| panic!("{page}"));
    rest.split_once("</section>").unwrap().0
}

#[test]
fn a_page_of_a_run_that_is_made_later_says_the_same_to_type_next() {
    let head = "[fleet]\nattempts = 1\nconcurrency = 1\n[[wave]]\nname = \"early\"\ntenants = [\"lite-00[0-2]\"]\nmax_failures = 0\n";
    let mut fleet = Fleet::new().head(head).sqlite(5);
    fleet.tenant_mut("lite-002").more = "quarantine = { reason = \"half a restore\" }".to_owned();
    fleet.ask("lite-001", "CREATE TABLE users (id int)");
    let ran = fleet.run(&["migrate", "--yes", "--report", "html=end.html"]).exits(101);
    let words =
        ["to take back what it moved: ", "in quarantine, left out: lite-002: half a restore", "migrate --failed-of"];
    let ran = ran.shows(&words);
    fleet
        .run(&["runs", "show", "last", "--report", "html=later.html"])
        .exits(0)
        .shows(&words)
        .shows(&["in quarantine: lite-002"]);
    let page = |name: &str| std::fs::read_to_string(fleet.path(name)).unwrap();
    let (end, later) = (page("end.html"), page("later.html"));
    assert_eq!(next(&later), next(&end));
    assert!(words.iter().all(|words| next(&end).contains(words)), "{}\n{}", next(&end), ran.out);
    // Once it is taken back, nobody is told to do so.
    fleet.run(&["rollback", "--run", "last", "--yes"]).exits(0);
    let runs = fleet.run(&["runs", "list", "--format", "json"]).exits(0).json();
    let failed = runs["runs"][1]["run"].as_str().unwrap();
    let shown = fleet.run(&["runs", "show", failed]).exits(0);
    assert!(!shown.out.contains("to take back"), "{}", shown.out);
}
