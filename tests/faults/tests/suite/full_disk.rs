//! Full disks: below the tenants, the ledger, the backups and the reports.
//!
//! The small disk is a tmpfs in the test's own mount namespace, and is removed with it. If mounting is not permitted,
//! the program's file size is limited instead; no test is skipped.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::after::{self, Running, audit, is_true};
use crate::books::CATALOG;
use crate::process::{Fleet, Ran, count, finish, json_file, with};
use crate::tally::Tally;

/// The variable that tells the test inside the namespace how the disk is made small; `files` selects the way without a
/// mount.
const HOW: &str = "FAULTS_SMALL_DISK";

/// A folder `small` beside the tenant file, on a disk that can be filled.
struct Disk {
    folder: PathBuf,
    mounted: bool,
    /// Maximum file size of the program in bytes, if nothing could be mounted.
    longest_file: Option<u64>,
}

/// Runs `body` where it may mount: in a second run of this test, in its own namespace.
fn on_a_small_disk(test: &str, body: impl FnOnce(bool)) {
    match std::env::var(HOW).as_deref() {
        Ok("mount") => return body(true),
        Ok(_) => return body(false),
        Err(_) => {}
    }
    let at = tempfile::tempdir().unwrap();
    let ways: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    let can_mount = |way: &&&[&str]| {
        let mut command = Command::new("unshare");
        command.args(**way).args(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(at.path());
        command.stderr(std::process::Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let Some(way) = ways.iter().find(can_mount) else { return body(false) };
    let mut inner = Command::new("unshare");
    inner.args(*way).arg(std::env::current_exe().unwrap()).args([test, "--exact", "--nocapture"]).env(HOW, "mount");
    let status = inner.status().unwrap();
    assert!(status.success(), "see above: {status}");
}

impl Disk {
    fn new(fleet: &Fleet, mounted: bool, megabytes: u32) -> Disk {
        let folder = fleet.path("small");
        std::fs::create_dir(&folder).unwrap();
        if mounted {
            let mut command = Command::new("mount");
            command.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"]).arg(&folder);
            assert!(command.status().unwrap().success());
        }
        Disk { folder, mounted, longest_file: None }
    }

    /// Fills the disk except for this many bytes; without a mount, limits files to `longest` bytes.
    fn fill(&mut self, left: u64, longest: u64) {
        if !self.mounted {
            self.longest_file = Some(longest);
            return;
        }
        let chunk = vec![0; 4096];
        let mut file = std::fs::File::create(self.folder.join("filler")).unwrap();
        while std::io::Write::write_all(&mut file, &chunk).is_ok() {}
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(left)).unwrap();
    }

    fn make_space(&mut self) {
        self.longest_file = None;
        if self.mounted {
            std::fs::remove_file(self.folder.join("filler")).unwrap();
        }
    }

    /// The program, under the disk's restrictions.
    fn program(&self, fleet: &Fleet, arguments: &[&str]) -> Command {
        let program = fleet.program(arguments);
        let Some(longest) = self.longest_file else { return program };
        // A write beyond the limit is refused instead of killing the program.
        let mut limited = fleet.program::<&str>(&[]);
        let mut shell = Command::new("sh");
        let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", longest / 512);
        shell.args(["-c", &script]).arg(program.get_program()).args(program.get_args());
        for (name, value) in limited.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        limited = shell;
        limited.current_dir(fleet.folder.path()).stdin(std::process::Stdio::null());
        limited.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        limited
    }

    fn run(&self, fleet: &Fleet, arguments: &[&str]) -> Ran {
        fleet.write();
        finish(&mut self.program(fleet, arguments))
    }
}

/// Adds SQLite tenants on the small disk, half of them with a write-ahead log, each padded with this many bytes.
fn on_it(fleet: &mut Fleet, disk: &Disk, n: usize, padding: u64) {
    for i in 0..n {
        let id = format!("lite-{i:03}");
        std::fs::write(disk.folder.join(format!("{id}.db")), "").unwrap();
        fleet.add(&id, &format!("sqlite:small/{id}.db"));
        if i % 2 == 1 {
            fleet.ask(&id, "PRAGMA journal_mode = WAL");
        }
        fleet.ask(&id, "CREATE TABLE padding (bytes blob)");
        fleet.ask(&id, &format!("INSERT INTO padding VALUES (randomblob({padding}))"));
    }
}

/// Asserts that every failure has a class, a reason and the commands to type, and that the claims about the tenants are
/// true.
#[track_caller]
fn is_honest(fleet: &Fleet, ran: &Ran, report: &Value, class: &str) -> Vec<String> {
    is_true(fleet, report);
    let failed = with(report, "failed");
    for record in report["tenants"].as_array().unwrap().iter().filter(|r| r["outcome"] == "failed") {
        assert_eq!(record["class"], class, "{record:#}");
        assert!(record["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{record:#}");
    }
    let run = report["run"].as_str().unwrap();
    let mut wanted = String::new();
    write!(wanted, "migrate --failed-of {run}").unwrap();
    assert!(failed.is_empty() || ran.out.contains(&wanted), "no {wanted:?} in\n{}", ran.out);
    failed
}

#[test]
fn sqlite_tenants_on_a_full_disk() {
    on_a_small_disk("full_disk::sqlite_tenants_on_a_full_disk", |mounted| {
        let mut fleet = Fleet::new().head("[fleet]\nconcurrency = 4");
        let mut disk = Disk::new(&fleet, mounted, 16);
        on_it(&mut fleet, &disk, 20, 200_000);
        after::open(&fleet);
        let mut tally = Tally::new("disk of the tenants full", "SQLite");
        // No space at all; space for a part of one migration; for some tenants.
        for left in [0, 16_384, 49_152] {
            disk.fill(left, 204_800);
            let ran = disk.run(&fleet, &["migrate", "--yes", "--report", "json=run.json"]).exits(100);
            let report = json_file(&fleet.path("run.json"));
            tally.report(&report);
            // Even reading a write-ahead log takes some space.
            disk.make_space();
            let failed = is_honest(&fleet, &ran, &report, "resources");
            assert!(!failed.is_empty(), "{report:#}");
            failed.iter().for_each(|_| tally.fault());
            for tenant in &failed {
                assert_eq!(crate::books::audit(&fleet, tenant), (0, 0), "{tenant}");
            }
            fleet.run(&["migrate", "--failed-of", "last", "--yes"]).exits(0);
            let (lost, twice) = audit(&fleet);
            tally.books(lost, twice);
            after::rewind(&fleet);
        }
        tally.close();
    });
}

#[test]
fn the_ledger_on_a_full_disk() {
    on_a_small_disk("full_disk::the_ledger_on_a_full_disk", |mounted| {
        let fleet = Fleet::new().sqlite(60).head("[fleet]\nconcurrency = 2\nledger = \"small/ledger.db\"");
        let mut disk = Disk::new(&fleet, mounted, 4);
        after::open(&fleet);
        let mut tally = Tally::new("disk of the ledger full", "SQLite");

        disk.fill(0, 1_024);
        let ran = disk.run(&fleet, &["migrate", "--yes"]).exits(75).tells(&["ledger", "nothing was started"]);
        tally.fault();
        assert_eq!(ran.out, "");
        for tenant in &fleet.tenants {
            assert_eq!(fleet.history(&tenant.id).unwrap(), CATALOG[..1], "{}", tenant.id);
        }

        let report = if disk.mounted {
            disk.make_space();
            let mut run = Running::start(&fleet, &["migrate", "--yes", "--report", "json=run.json"]);
            run.until_finished(5);
            disk.fill(0, 0);
            let (code, said) = run.end();
            assert_eq!(code, Some(75), "{said}");
            assert!(said.contains("run the same command again"), "{said}");
            json_file(&fleet.path("run.json"))
        } else {
            // Space for the beginning of the run, and little more.
            disk.fill(0, 65_536);
            disk.run(&fleet, &["migrate", "--yes", "--report", "json=run.json"])
                .exits(75)
                .tells(&["run the same command again"]);
            json_file(&fleet.path("run.json"))
        };
        tally.fault();
        tally.report(&report);
        is_true(&fleet, &report);
        let left = count(&report, "not_started");
        assert!(left > 0 && left + count(&report, "migrated") == 60, "{report:#}");
        disk.make_space();
        let runs = fleet.run(&["runs", "list", "--format", "json"]).exits(0).json();
        assert_eq!(runs["runs"][0]["status"], "died", "{runs:#}");
        fleet.run(&["runs", "resume", "last", "--yes"]).exits(0);
        let (lost, twice) = audit(&fleet);
        tally.books(lost, twice);
        tally.close();
    });
}

fn manifests(folder: &Path) -> Vec<String> {
    let runs = std::fs::read_dir(folder).unwrap().filter_map(|entry| std::fs::read_dir(entry.unwrap().path()).ok());
    let names = runs.flatten().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<String> = names.filter_map(|name| name.strip_suffix(".json").map(str::to_owned)).collect();
    found.sort();
    found
}

/// `left`: the space on the disk for all backups, which is not enough.
fn backups(test: &str, engine: &'static str, fleet: fn() -> Fleet, left: &[u64]) {
    on_a_small_disk(test, |mounted| {
        let fleet = fleet().head("[fleet]\nconcurrency = 4\nbackups = \"small\"");
        let mut disk = Disk::new(&fleet, mounted, 64);
        after::open(&fleet);
        for tenant in &fleet.tenants {
            fleet.ask(&tenant.id, "CREATE TABLE padding (bytes text)");
            // At least some 300 KB, however well a dump is compressed.
            let word = match tenant.id.split('-').next().unwrap() {
                "lite" => "hex(randomblob(80))",
                "my" | "mysql" => "sha2(rand(), 512)",
                _ => "md5(random()::text) || md5(random()::text)",
            };
            let word = [word; 8].join(" || ");
            fleet.ask(
                &tenant.id,
                &format!("INSERT INTO padding WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT {word} FROM n"),
            );
        }
        let mut tally = Tally::new("disk of the backups full", engine);
        for &left in left {
            disk.fill(left, 204_800);
            let ran = disk.run(&fleet, &["migrate", "--backup", "--yes", "--report", "json=run.json"]).exits(100);
            let report = json_file(&fleet.path("run.json"));
            tally.report(&report);
            let failed = is_honest(&fleet, &ran, &report, "backup");
            assert!(!failed.is_empty(), "{report:#}");
            for tenant in &failed {
                tally.fault();
                let text = &crate::process::record(&report, tenant)["error"]["message"];
                assert!(text.as_str().unwrap().contains("small/"), "which disk? {text}");
                assert_eq!(fleet.history(tenant).unwrap(), CATALOG[..1], "{tenant}: it is not touched");
            }
            assert_eq!(manifests(&disk.folder), with(&report, "migrated"), "what is there is whole, and nothing else");
            disk.make_space();
            let again = ["migrate", "--failed-of", "last", "--backup", "--yes"];
            fleet.run(&again).exits(0);
            let all: Vec<String> = fleet.tenants.iter().map(|tenant| tenant.id.clone()).collect();
            assert_eq!(manifests(&disk.folder), all);
            let (lost, twice) = audit(&fleet);
            tally.books(lost, twice);
            after::rewind(&fleet);
            for entry in std::fs::read_dir(&disk.folder).unwrap() {
                std::fs::remove_dir_all(entry.unwrap().path()).unwrap();
            }
        }
        tally.close();
    });
}

#[test]
fn backups_of_sqlite_on_a_full_disk() {
    let test = "full_disk::backups_of_sqlite_on_a_full_disk";
    backups(test, "SQLite", || Fleet::new().sqlite(4), &[0, 3_000_000]);
}

#[test]
fn backups_of_postgres_on_a_full_disk() {
    let test = "full_disk::backups_of_postgres_on_a_full_disk";
    backups(test, "PostgreSQL", || Fleet::new().postgres(1).schemas(3), &[0, 600_000]);
}

#[test]
fn backups_of_mariadb_on_a_full_disk() {
    let test = "full_disk::backups_of_mariadb_on_a_full_disk";
    backups(test, "MariaDB", || Fleet::new().mariadb(4), &[0, 1_500_000]);
}

mod mysql {
    use super::*;

    #[test]
    fn backups_on_a_full_disk() {
        let test = "full_disk::mysql::backups_on_a_full_disk";
        backups(test, "MySQL", || Fleet::new().mysql(4).with_mysql_tools(), &[0, 1_500_000]);
    }
}

#[test]
fn reports_on_a_full_disk() {
    on_a_small_disk("full_disk::reports_on_a_full_disk", |mounted| {
        // The ledger is elsewhere, so the reports are the only files.
        let mut fleet = Fleet::new().schemas(10);
        let ledger = fleet.database("postgres", "ledger");
        fleet.head = format!("[fleet]\nledger = '{ledger}'");
        let mut disk = Disk::new(&fleet, mounted, 1);
        after::open(&fleet);
        let mut tally = Tally::new("disk of the reports full", "PostgreSQL");
        std::fs::write(fleet.path("small/old.json"), "{}").unwrap();
        disk.fill(0, 512);
        for arguments in [
            ["migrate", "--yes", "--report", "json=small/new.json"],
            ["migrate", "--yes", "--report", "json=small/old.json"],
            ["migrate", "--yes", "--report", "junit=small/new.xml"],
            ["migrate", "--yes", "--format=json", "-osmall/out.json"],
        ] {
            let ran = disk.run(&fleet, &arguments).exits(1);
            tally.fault();
            let ran = ran.tells(&["can't write small/", "the run itself is over and recorded", "runs show"]);
            assert!(ran.err.contains("os error"), "{}", ran.err);
            let shown = fleet.run(&["runs", "show", "last", "--format", "json"]).exits(0).json();
            tally.report(&shown);
            assert_eq!(count(&shown, "migrated") + count(&shown, "up_to_date"), 10, "{shown:#}");
            for name in ["new.json", "new.xml", "out.json"] {
                assert!(!fleet.path("small").join(name).exists(), "half a {name} is there");
            }
            assert_eq!(std::fs::read_to_string(fleet.path("small/old.json")).unwrap(), "{}", "it is left as it was");
        }
        disk.make_space();
        fleet.run(&["migrate", "--yes", "--report", "json=small/new.json"]).exits(0);
        let (lost, twice) = audit(&fleet);
        tally.books(lost, twice);
        tally.close();
    });
}
