//! stdout is data and nothing else; every machine-readable output can be parsed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;

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
fn what_a_migration_prints_goes_to_stderr() {
    let fleet = Fleet::new().sqlite(2);
    fleet.write();
    for arguments in [vec!["plan", "--format", "json"], vec!["migrate", "--yes", "--format", "jsonl"]] {
        let run = finish(fleet.program(&arguments).env("SMALL_PRINTS", "1")).exits(0).tells(&["says where it is"]);
        let parsed = serde_json::Deserializer::from_str(&run.out).into_iter::<serde_json::Value>();
        assert!(parsed.fold(0, |n, value| n + value.map(|_| 1).unwrap()) > 0, "{}", run.out);
    }
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

/// The files of a folder and of those in it, with what is in them.
fn files(folder: &std::path::Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => _ = found.insert(path.clone(), std::fs::read(&path).unwrap_or_default()),
        }
    }
    found
}

/// A slip on the command line costs no tenant, and not the ledger.
#[test]
fn a_file_that_the_fleet_lives_by_is_not_written_over() {
    let fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"\nbackups = \"copies\"").sqlite(2);
    for folder in ["sql", "sub"] {
        std::fs::create_dir(fleet.path(folder)).unwrap();
    }
    std::fs::write(fleet.path("sql/0008_one.sql"), "CREATE TABLE one (i int);\n").unwrap();
    // There is no ledger yet: one that begins with a report would be none.
    fleet.run(&["migrate", "--yes", "--report", "json=fleet-ledger.db"]).exits(64).tells(&["destroy the ledger"]);
    assert!(!fleet.path("fleet-ledger.db").exists());
    fleet.run(&["migrate", "--backup", "--yes"]).exits(0);
    let run = std::fs::read_dir(fleet.path("copies")).unwrap().next().unwrap().unwrap().file_name();
    let in_backups = format!("copies/{}/report", run.to_string_lossy());
    symlink("lite-001.db", fleet.path("link")).unwrap();
    symlink("lite-000.db-wal", fleet.path("to-come")).unwrap();
    std::fs::hard_link(fleet.path("fleet-ledger.db"), fleet.path("hard")).unwrap();
    let absolute = fleet.path("lite-000.db").display().to_string();
    let before = files(fleet.folder.path());
    for (place, loss) in [
        ("fleet-ledger.db", "destroy the ledger"),
        ("sub/../fleet-ledger.db-wal", "destroy the ledger"),
        ("fleet-ledger.db-shm", "destroy the ledger"),
        ("hard", "destroy the ledger"),
        ("tenants.toml", "replace the tenant file"),
        ("sub/../tenants.toml", "replace the tenant file"),
        (&absolute, "destroy the database of tenant lite-000"),
        ("lite-001.db-journal", "destroy the database of tenant lite-001"),
        ("link", "destroy the database of tenant lite-001"),
        ("to-come", "destroy the database of tenant lite-000"),
        ("sql/report", "write into the folder of the SQL scripts"),
        (&in_backups, "write into the backups of run"),
    ] {
        let refused = |flag: &str, arguments: &[&str]| {
            fleet.run(arguments).exits(64).tells(&[&format!("{flag} {place} would {loss}"), "nothing was started"]);
        };
        refused("--output", &["status", "-o", place]);
        refused("--output", &["rollback", "--all", "--yes", "--format", "jsonl", "--output", place]);
        for kind in ["junit", "json", "csv", "md"] {
            refused("--report", &["rollback", "--all", "--yes", "--report", &format!("{kind}={place}")]);
        }
    }
    for command in [
        &["plan"][..],
        &["matrix"],
        &["locks"],
        &["config"],
        &["doctor"],
        &["check", "--entities"],
        &["prove"],
        &["tenants", "list"],
        &["tenants", "check"],
        &["scripts", "list"],
        &["runs", "list"],
        &["runs", "show", "last"],
        &["runs", "resume", "last", "--yes"],
        &["backup", "--yes"],
        &["backup", "list"],
        &["refresh", "--yes"],
        &["seed", "--yes"],
    ] {
        fleet.run(&[command, &["-o", "fleet-ledger.db"]].concat()).exits(64).tells(&["would destroy the ledger"]);
    }
    assert!(before == files(fleet.folder.path()), "a file was changed");

    let twice = ["migrate", "--yes", "--format", "json", "-o", "r", "--report", "csv=sub/../r"];
    fleet.run(&twice).exits(64).tells(&["--report sub/../r would replace what --output writes"]);
    fleet.run(&["migrate", "--yes", "-o", "/dev/null", "--report", "csv=/dev/null"]).exits(0);
    fleet.run(&["status", "-o", "copies/status"]).exits(0);
    assert!(std::fs::read_to_string(fleet.path("copies/status")).unwrap().contains("at target"));
}

/// The stream of events is a report like the others: a script that reads it must not take half of it for all of it.
#[test]
fn a_stream_that_fails_is_a_report_that_fails() {
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let over = ["the run itself is over and recorded", "small runs show "];
    let fleet = fleet();
    let stream = ["migrate", "--yes", "--format", "jsonl"];
    fleet
        .run(&[&stream[..], &["--output", "/dev/full"]].concat())
        .exits(100)
        .tells(&["can't write /dev/full", over[0]]);
    fleet.ask("lite-001", "DROP TABLE users");
    fleet
        .run(&[&stream[..], &["--output", "/dev/full"]].concat())
        .exits(1)
        .tells(&over)
        .tells(&["can't write /dev/full"]);
    finish(fleet.program(&stream).stdout(full())).exits(1).tells(&over).tells(&["can't write to stdout"]);
    assert_eq!(fleet.history("lite-001").unwrap(), all(), "the run went on");
    fleet.run(&[&stream[..], &["--output", "events"]].concat()).exits(0);
    let events = std::fs::read_to_string(fleet.path("events")).unwrap();
    assert!(events.lines().last().unwrap().contains("run_finished"), "{events}");
    let left: Vec<_> =
        files(fleet.folder.path()).into_keys().filter(|p| p.to_string_lossy().contains("partial")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_width_that_nothing_fits_into_is_refused() {
    let fleet = Fleet::new().sqlite(1);
    for width in ["20", "59", "0"] {
        fleet.run(&["status", "--width", width]).exits(64).tells(&["--width", "less than 60 columns"]);
    }
    fleet.run(&["status", "--width", "wide"]).exits(64).tells(&["a number of columns"]);
    let plan = fleet.run(&["plan", "--sql", "--width", "60"]).exits(0);
    assert!(fleet.run(&["status", "--width", "60"]).exits(0).out.lines().all(|line| line.chars().count() <= 60));
    assert!(!plan.out.is_empty());
}
