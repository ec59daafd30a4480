//! The program at a terminal: the question before a change, and signs of life before it. `script` of util-linux makes the
//! terminal.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::Fleet;

/// The program at a terminal of 100 columns. `typed` is typed at once, `answer` when the question stands there.
fn at_terminal(fleet: &Fleet, arguments: &[&str], typed: &str, answer: &str) -> (i32, String) {
    answered(fleet, arguments, typed, ("[y/N]", 1, answer))
}

/// The same with an answer to another text that has come so many times.
fn answered(
    fleet: &Fleet,
    arguments: &[&str],
    typed: &str,
    (text, times, answer): (&str, usize, &str),
) -> (i32, String) {
    fleet.write();
    let words: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
    // The pause makes sure that what was typed ahead is there before the program begins.
    let line = format!("stty cols 100 rows 40; sleep 0.3; exec '{}' {}", crate::PROGRAM, words.join(" "));
    let program = fleet.program(arguments);
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).current_dir(program.get_current_dir().unwrap()).env("LC_ALL", "C.UTF-8");
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    stdin.write_all(typed.as_bytes()).unwrap();
    let (mut shown, mut piece, begun) = (Vec::new(), [0; 4096], Instant::now());
    let mut is_answered = false;
    while let Ok(count @ 1..) = stdout.read(&mut piece) {
        shown.extend(&piece[..count]);
        if !is_answered && String::from_utf8_lossy(&shown).matches(text).count() >= times {
            std::thread::sleep(Duration::from_millis(100));
            stdin.write_all(answer.as_bytes()).unwrap();
            is_answered = true;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", String::from_utf8_lossy(&shown));
    }
    let status = child.wait().unwrap();
    (status.code().unwrap_or_else(|| status.signal().unwrap()), String::from_utf8_lossy(&shown).replace('\r', ""))
}

fn with_scripts(fleet: &Fleet, scripts: &[(&str, &str)]) {
    std::fs::create_dir_all(fleet.path("sql")).unwrap();
    for (name, text) in scripts {
        std::fs::write(fleet.path("sql").join(name), text).unwrap();
    }
}

#[test]
fn the_question_says_what_will_happen() {
    let fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"").sqlite(2).postgres(1).mariadb(1);
    let tenants = ["lite-000", "lite-001", "pg-000", "my-000"];
    with_scripts(
        &fleet,
        &[
            ("0008_orders.sql", "CREATE TABLE orders (id int PRIMARY KEY, paid int);\n"),
            ("0009_gone.sql", "CREATE VIEW gone AS SELECT id FROM orders;\n"),
            ("R__paid.sql", "DROP VIEW IF EXISTS paid;\nCREATE VIEW paid AS SELECT id, paid FROM orders;\n"),
        ],
    );
    fleet.run(&["migrate", "--yes"]).exits(0);
    for (rows, id) in [1_200, 40, 300, 70].into_iter().zip(tenants) {
        let numbers = format!("WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < {rows})");
        let insert = match id {
            "my-000" => format!("INSERT INTO orders {numbers} SELECT i, i FROM n"),
            _ => format!("{numbers} INSERT INTO orders SELECT i, i FROM n"),
        };
        fleet.ask(id, &insert);
    }
    fleet.ask("pg-000", "ANALYZE orders");
    fleet.ask("my-000", "ANALYZE TABLE orders");
    with_scripts(
        &fleet,
        &[
            ("0010_rename.sql", "DROP VIEW gone;\nALTER TABLE orders RENAME COLUMN paid TO settled;\n"),
            ("R__paid.sql", "DROP VIEW IF EXISTS paid;\nCREATE VIEW paid AS SELECT id, settled AS paid FROM orders;\n"),
        ],
    );
    let (code, shown) = at_terminal(&fleet, &["migrate"], "", "n\n");
    assert_eq!(code, 1, "{shown}");
    for words in [
        "Migrate 4 of 4 tenants to head",
        "Steps: 8, at most 2 a tenant.",
        "Not atomic, a failure leaves their first statements in place: 0010_rename (mysql)",
        "No way down: 0010_rename (sqlite)",
        "Views that go: gone.",
        "Largest tables that they work on, in rows: orders about 1.2k (lite-000).",
        "nothing was done",
    ] {
        assert!(shown.contains(words), "no {words:?} in:\n{shown}");
    }
    let (_, narrow) = at_terminal(&fleet, &["migrate", "--width", "60"], "", "n\n");
    let question = narrow.split_once("Migrate 4 of 4").unwrap().1.split_once("[y/N]").unwrap().0;
    assert!(question.lines().all(|line| line.len() <= 60) && question.contains("in\nplace"), "{question}");
    // The known issues of a rollback stand in its comment.
    let noted = "-- rollback: what was settled\n--   is lost\nCREATE TABLE settled (id int);\n";
    let lone = Fleet::new().head("[fleet]\nscripts = \"sql\"").sqlite(1);
    with_scripts(&lone, &[("0001_settled.up.sql", noted), ("0001_settled.down.sql", "DROP TABLE settled;\n")]);
    lone.run(&["migrate", "--yes"]).exits(0);
    let (code, shown) = at_terminal(&lone, &["rollback", "--steps", "1"], "", "n\n");
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("Known issue of taking back 0001_settled: what was settled is lost"), "{shown}");
    // Statistics are asked of each engine.
    for (id, rows) in [("pg-000", "orders about 300 (pg-000)"), ("my-000", "orders about 70 (my-000)")] {
        let (_, shown) = at_terminal(&fleet, &["migrate", "--tenant", id], "", "n\n");
        assert!(shown.contains(rows), "no {rows:?} in:\n{shown}");
    }
}

/// As one line, however the terminal broke it.
fn unbroken(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_question_says_what_is_not_as_a_migration_expects_it() {
    let mut fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"").sqlite(3);
    fleet.tenant_mut("lite-000").more = "create_missing = true".to_owned();
    with_scripts(&fleet, &[("0008_a.sql", "CREATE TABLE a (i int);\n")]);
    fleet.run(&["migrate", "--yes", "--tenant", "lite-000"]).exits(0);
    std::fs::remove_file(fleet.path("lite-000.db")).unwrap();
    fleet.ask("lite-001", "CREATE TABLE of_others (i int)");
    let (code, shown) = at_terminal(&fleet, &["migrate", "--recreate"], "", "n\n");
    assert_eq!(code, 1, "{shown}");
    let shown = unbroken(&shown);
    for words in [
        "Databases that were lost, made anew without their rows: lite-000.",
        "Tables without a history: lite-001 (1 table). if something else has made them: small baseline VERSION --dry-run",
    ] {
        assert!(shown.contains(words), "no {words:?} in:\n{shown}");
    }
}

#[test]
fn the_question_before_a_restore_says_whose_rows_go_and_how_old_the_backups_are() {
    let fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"").sqlite(2);
    with_scripts(&fleet, &[("0008_a.sql", "CREATE TABLE a (i int);\n")]);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let newest = crate::support::all().last().unwrap();
    fleet.run(&["backup", "--tenant", "lite-000"]).exits(0);
    let (code, shown) = at_terminal(&fleet, &["restore", "--latest", "--tenant", "lite-000"], "", "n\n");
    assert_eq!(code, 1, "{shown}");
    let shown = unbroken(&shown);
    let end = format!("s ago, at {newest} What came since is lost. Replace the content by the backups of run ");
    for words in ["lite-000 (", "lite-000.db): as of ", &end] {
        assert!(shown.contains(words), "no {words:?} in:\n{shown}");
    }
    assert!(fleet.has_table("lite-000", "a"));
}

#[test]
fn a_line_typed_before_the_question_is_no_answer() {
    let fleet = Fleet::new().sqlite(1);
    let (code, shown) = at_terminal(&fleet, &["migrate"], "y\n", "n\n");
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("nothing was done"), "{shown}");
    assert_eq!(fleet.history("lite-000"), None);
    let (code, shown) = at_terminal(&fleet, &["migrate"], "", "y\n");
    assert_eq!(code, 0, "{shown}");
    assert!(fleet.history("lite-000").is_some());
}

/// A server that accepts and says nothing: the silence before an answer has a line.
#[test]
fn a_look_that_takes_long_is_shown() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut fleet = Fleet::new().head("[fleet]\nconnect_timeout = \"1s\"\nscripts = \"sql\"").sqlite(1);
    fleet.add("silent", &format!("postgres://u@{}/d", silent.local_addr().unwrap()));
    let slow = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)";
    let slow = format!("CREATE TABLE slow (i int);\n{slow} INSERT INTO slow SELECT count(*) FROM n;\n");
    with_scripts(&fleet, &[("0008_slow.sql", &slow)]);
    for (arguments, words) in [
        (&["status"][..], "reading tenants  1/2"),
        (&["doctor"], "examining databases  1/2"),
        (&["prove", "--engine", "sqlite"], "trying migrations out  6/"),
    ] {
        let (_, shown) = at_terminal(&fleet, arguments, "", "");
        assert!(shown.contains(words), "no {words:?} in:\n{shown}");
        // It is taken away again.
        let last = shown.rfind(words).unwrap();
        assert!(shown[last..].contains("\u{1b}[2K") || shown[last..].contains("\u{1b}[K"), "{shown:?}");
    }
    // Without a terminal there is no line.
    assert!(!fleet.run(&["status"]).exits(0).err.contains("reading tenants"));
}

#[test]
fn no_question_is_asked_where_there_is_nothing_to_do() {
    let fleet = Fleet::new().sqlite(2);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let (code, shown) = at_terminal(&fleet, &["migrate"], "", "n\n");
    assert!(code == 0 && !shown.contains("[y/N]") && shown.contains("2 up to date"), "{code}: {shown}");
}

#[test]
fn what_is_watched_is_read_and_shown_again_and_again() {
    let fleet = Fleet::new().sqlite(2);
    fleet.run(&["migrate", "--yes", "--tenant", "lite-000"]).exits(0);
    for (arguments, said) in [
        (&["status", "--watch=200ms"][..], "at target"),
        (&["matrix", "--watch=200ms"], "lite-001"),
        (&["tenants", "check", "--watch=200ms"], "at target"),
        (&["locks", "--watch=200ms"], "0 sessions: 0 waiting"),
    ] {
        let (code, shown) = answered(&fleet, arguments, "", ("every 200ms; Ctrl-C ends it", 3, "\u{3}"));
        assert!(code == 130 || code == 2, "{code}: {shown}");
        assert!(shown.matches(said).count() >= 2, "{shown}");
    }
    fleet.run(&["status", "--watch"]).exits(64).tells(&["--watch needs a terminal"]);
    fleet.run(&["status", "--watch=1ms"]).exits(64).tells(&["100ms or more"]);
    fleet.run(&["locks", "--watch", "--exit-code"]).exits(64);
}
