//! stdout is data and nothing else; every machine-readable output can be parsed.

use std::io::{BufRead, BufReader};

use crate::support::{Fleet, all, finish, json_file, wait};

fn fleet() -> Fleet {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1").sqlite(3).postgres(1).mariadb(1);
    fleet.ask("lite-001", "CREATE TABLE users (id int)");
    fleet
}

#[track_caller]
fn csv_rows(text: &str) -> Vec<csv::StringRecord> {
    csv::Reader::from_reader(text.as_bytes()).records().map(|r| r.unwrap()).collect()
}

#[test]
fn every_format_of_every_command_can_be_read_by_what_it_is_for() {
    let fleet = fleet();
    let json = fleet.run(&["migrate", "--yes", "--format", "json"]).exits(100);
    assert_eq!(json.json()["tenants"].as_array().unwrap().len(), 5);
    assert!(json.err.contains("lite-000"), "progress is on stderr:\n{}", json.err);
    let run = fleet.run(&["migrate", "--yes", "--format", "csv"]).exits(100);
    assert_eq!(csv_rows(&run.out).len(), 5);
    let run = fleet.run(&["migrate", "--yes", "--format", "jsonl"]).exits(100);
    assert!(
        run.out.lines().all(|l| serde_json::from_str::<serde_json::Value>(l).is_ok_and(|v| v["event"].is_string()))
    );
    let run = fleet.run(&["migrate", "--yes", "--format", "md"]).exits(100);
    assert!(run.out.contains("| lite-001 |"), "{}", run.out);

    let tenants: [(&[&str], usize); 5] =
        [(&["plan"], 5), (&["matrix"], 5), (&["status"], 5), (&["tenants", "list"], 5), (&["runs", "list"], 4)];
    for (command, rows) in tenants {
        let with = |format: &str| fleet.run(&[command, &["--format", format]].concat()).exits(0);
        assert!(with("json").json()["schema_version"].is_number(), "{command:?}");
        let csv = with("csv");
        assert!(csv_rows(&csv.out).len() >= rows.min(1), "{command:?}:\n{}", csv.out);
        if command != ["status"] {
            assert_eq!(csv_rows(&csv.out).len(), rows, "{command:?}:\n{}", csv.out);
        }
        assert!(with("md").out.contains("| --"), "{command:?}:\n{}", with("md").out);
        let table = with("table");
        assert!(!table.out.is_empty() && table.err.is_empty(), "{command:?}:\n{}", table.err);
    }
    fleet.run(&["runs", "show", "last", "--format", "json"]).exits(0).json();
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let fleet = Fleet::new().sqlite(200);
    fleet.write();
    for arguments in [
        vec!["matrix", "--all", "--format", "json"],
        vec!["tenants", "list", "--format", "csv"],
        vec!["migrate", "--yes", "--format", "jsonl", "--quiet"],
        vec!["migrate", "--yes", "--format", "json", "--quiet"],
    ] {
        let mut child = fleet.program(&arguments).spawn().unwrap();
        let mut line = String::new();
        BufReader::with_capacity(1, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ran = wait(child).exits(0);
        assert_eq!(ran.err, "", "{arguments:?}");
    }
    assert_eq!(fleet.history("lite-199").unwrap(), all());
}

#[test]
fn a_closed_stderr_changes_nothing() {
    let fleet = Fleet::new().sqlite(30);
    fleet.write();
    let mut child = fleet.program(&["migrate", "--yes"]).spawn().unwrap();
    drop(child.stderr.take());
    wait(child).exits(0);
    assert_eq!(fleet.history("lite-029").unwrap(), all());
}

#[test]
fn reports_are_written_and_a_place_that_can_not_be_written_is_refused_first() {
    let fleet = fleet();
    for place in ["json=nowhere/report.json", "junit=.", "csv=/proc/report.csv"] {
        let ran = fleet.run(&["migrate", "--yes", "--report", place]).exits(1);
        ran.tells(&[place.split_once('=').unwrap().1]);
    }
    fleet.run(&["migrate", "--yes", "--output", "nowhere/out"]).exits(1).tells(&["nowhere/out"]);
    fleet.run(&["migrate", "--yes", "--output", "nowhere/out", "--format", "jsonl"]).exits(1).tells(&["nowhere/out"]);
    assert!(fleet.history("lite-000").is_none() && !fleet.path("fleet-ledger.db").exists());

    let reports = ["junit=r.xml", "json=r.json", "csv=r.csv", "md=r.md"];
    let arguments: Vec<&str> = reports.iter().flat_map(|r| ["--report", r]).collect();
    let ran = fleet.run(&[&["migrate", "--yes", "--output", "out.txt"][..], &arguments].concat()).exits(100);
    assert_eq!(ran.out, "", "--output takes stdout's part");
    let text = |name: &str| std::fs::read_to_string(fleet.path(name)).unwrap();
    assert!(text("out.txt").contains("lite-001") && !text("out.txt").contains('\u{1b}'));
    assert_eq!(json_file(&fleet.path("r.json"))["tenants"].as_array().unwrap().len(), 5);
    assert_eq!(csv_rows(&text("r.csv")).len(), 5);
    assert_eq!(text("r.xml").matches("<testcase ").count(), 5);
    assert_eq!(text("r.xml").matches("<failure").count(), 1, "{}", text("r.xml"));
    assert!(text("r.md").contains("lite-001"));
}

/// A disk that is full at the end of a run costs one report, and neither the others nor the exit code.
#[test]
fn a_report_that_fails_at_the_end_hides_nothing() {
    let fleet = fleet();
    let arguments = ["migrate", "--yes", "--report", "csv=/dev/full", "--report", "json=r.json"];
    let ran = fleet.run(&arguments).exits(100).shows(&["lite-001", "4 migrated"]);
    ran.tells(&["/dev/full", "the run itself is over and recorded", "small runs show "]);
    assert_eq!(json_file(&fleet.path("r.json"))["tenants"].as_array().unwrap().len(), 5);

    fleet.ask("lite-001", "DROP TABLE users");
    fleet.run(&arguments).exits(1).shows(&["1 migrated"]).tells(&["/dev/full"]);
    assert!(std::fs::metadata("/dev/full").is_ok_and(|found| !found.is_file()), "a device was replaced");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    finish(fleet.program(&["matrix"]).stdout(full)).exits(1).tells(&["stdout"]);
}

#[test]
fn quiet_and_colours() {
    let fleet = fleet();
    let coloured = |ran: &crate::support::Ran| ran.out.contains('\u{1b}') || ran.err.contains('\u{1b}');
    let quiet = fleet.run(&["migrate", "--yes", "--quiet"]).exits(100);
    assert_eq!(quiet.err, "");
    assert!(quiet.out.contains("lite-001") && !coloured(&quiet));
    let ran = finish(fleet.program(&["migrate", "--yes", "--color", "always"]).env("NO_COLOR", "1")).exits(100);
    assert!(ran.out.contains('\u{1b}') && ran.err.contains('\u{1b}'), "a flag is stronger than NO_COLOR");
    let ran = finish(fleet.program(&["migrate", "--yes"]).env("CLICOLOR_FORCE", "1")).exits(100);
    assert!(coloured(&ran));
    let ran = finish(fleet.program(&["migrate", "--yes"]).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1")).exits(100);
    assert!(!coloured(&ran), "NO_COLOR is stronger than CLICOLOR_FORCE");
    let json = fleet.run(&["migrate", "--yes", "--format", "json", "--color", "always"]).exits(100);
    json.json();
}

#[test]
fn five_hundred_tenants_fit_on_a_screen() {
    let fleet = Fleet::new().sqlite(500);
    fleet.run(&["migrate", "--tenant", "lite-0*", "--yes", "--quiet"]).exits(0);
    fleet.run(&["migrate", "--tenant", "lite-1*", "--steps", "1", "--yes", "--quiet"]).exits(0);
    fleet.ask(
        "lite-250",
        "CREATE TABLE seaql_migrations (version varchar PRIMARY KEY, applied_at bigint NOT NULL); \
                           INSERT INTO seaql_migrations VALUES ('m20990101_000001_x', 1)",
    );
    std::fs::write(fleet.path("lite-251.db"), "this is no database, and it is long enough to be seen".repeat(40))
        .unwrap();
    let matrix = fleet.run(&["matrix", "--width", "80"]).exits(0);
    let widest = matrix.out.lines().map(|l| l.chars().count()).max().unwrap();
    assert!(widest <= 80, "{widest} columns:\n{}", matrix.out);
    assert!(matrix.out.lines().count() <= 40, "{}", matrix.out);
    let matrix = matrix.shows(&["500 tenants", "lite-250", "lite-251"]);
    drop(matrix);
    let all = fleet.run(&["matrix", "--all", "--width", "80"]).exits(0);
    for tenant in &fleet.tenants {
        let rows = all.out.lines().filter(|l| l.starts_with(&format!("{} ", tenant.id))).count();
        assert_eq!(rows, 1, "{} in:\n{}", tenant.id, all.out);
    }
    let status = fleet.run(&["status", "--width", "80"]).exits(0);
    assert!(status.out.lines().all(|l| l.chars().count() <= 80), "{}", status.out);
}
