//! A ledger that is truncated, another program's, newer, read-only, removed, or on a full disk: before a run nothing
//! starts; in the middle of one nothing new starts, the work in flight ends, and all of it is reported.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use sqlx::{Connection, Executor};

use crate::interrupted::Held;
use crate::killed::read_until;
use crate::support::{
    Fleet, Ran, all, block_on, json_file, mariadb_url, postgres_url, program, record, sql, until, wait, with,
};

const LEDGER: &str = "fleet-ledger.db";

/// Two tenants after one step, and the bytes of their ledger.
fn begun() -> (Fleet, Vec<u8>) {
    let fleet = Fleet::new().sqlite(2);
    fleet.run(&["migrate", "--yes", "--steps", "1"]).exits(0);
    let bytes = std::fs::read(fleet.path(LEDGER)).unwrap();
    (fleet, bytes)
}

#[track_caller]
fn assert_not_begun(fleet: &Fleet, ran: Ran, words: &[&str]) {
    let ran = ran.exits(75).tells(&["error: failed to ", "ledger", "nothing was started"]).tells(words);
    assert_eq!(ran.out, "");
    for tenant in &fleet.tenants {
        assert_eq!(fleet.history(&tenant.id).unwrap(), all()[..1], "{} was touched", tenant.id);
    }
}

#[test]
fn a_ledger_that_is_cut_short_or_garbled_starts_nothing_and_is_left_as_it_is() {
    let (fleet, good) = begun();
    let file = fleet.path(LEDGER);
    let mut cases: Vec<(String, Vec<u8>)> =
        [50, 100, 512, 2_048, 4_096, 5_000, good.len() / 2].map(|n| (format!("{n} bytes"), good[..n].to_vec())).into();
    cases.push(("text".to_owned(), b"these are not the bytes of a database. ".repeat(200)));
    cases.push(("zeros".to_owned(), vec![0; 20_000]));
    let mut garbled = good.clone();
    garbled[4_096..].fill(0xa5);
    cases.push(("pages of noise".to_owned(), garbled));
    for (what, bytes) in cases {
        std::fs::write(&file, &bytes).unwrap();
        assert_not_begun(&fleet, fleet.run(&["migrate", "--yes"]), &["new ledger is made"]);
        fleet.run(&["runs", "list"]).exits(75).tells(&["ledger"]);
        assert_eq!(std::fs::read(&file).unwrap(), bytes, "{what}: it was written to");
    }
    std::fs::write(&file, &good).unwrap();
    fleet.run(&["migrate", "--yes"]).exits(0);
}

#[test]
fn a_newer_ledger_and_a_database_of_somebody_else_are_left_alone() {
    let (fleet, good) = begun();
    let url = format!("sqlite:{}", fleet.path(LEDGER).display());
    sql(&url, "UPDATE fleet_ledger SET version = 99");
    assert_not_begun(&fleet, fleet.run(&["migrate", "--yes"]), &["a newer fleet", "ledger version 99"]);
    fleet.run(&["runs", "list"]).exits(75).tells(&["a newer fleet"]);
    std::fs::write(fleet.path(LEDGER), &good).unwrap();

    std::fs::write(fleet.path("other.db"), "").unwrap();
    let other = format!("sqlite:{}", fleet.path("other.db").display());
    sql(&other, "CREATE TABLE customers (i int)");
    std::os::unix::fs::symlink("lite-000.db", fleet.path("link.db")).unwrap();
    let ran = fleet.run(&["migrate", "--yes", "--ledger", "other.db"]);
    assert_not_begun(&fleet, ran, &["another program", "customers", "set another place"]);
    // A link to a tenant's file is recognized as the tenant.
    let ran = fleet.run(&["migrate", "--yes", "--ledger", "link.db"]).exits(78);
    drop(ran.tells(&["is the database of tenant lite-000"]));
    for place in ["other.db", "link.db"] {
        let tables = sql(&format!("sqlite:{}", fleet.path(place).display()), "SELECT name FROM sqlite_master");
        assert!(!tables.contains(&"fleet_run".to_owned()), "{place}: {tables:?}");
    }
    let empty = Fleet::new().sqlite(2);
    let ran = empty.run(&["migrate", "--yes", "--ledger", "lite-000.db"]).exits(78);
    drop(ran.tells(&["is the database of tenant lite-000"]));
    assert_eq!(std::fs::metadata(empty.path("lite-000.db")).unwrap().len(), 0);
    assert!(empty.history("lite-001").is_none());
    for engine in ["postgres", "mariadb"] {
        let mut fleet = Fleet::new().sqlite(2);
        let ledger = fleet.database(engine, "ledger");
        fleet.run(&["migrate", "--yes", "--steps", "1", "--ledger", &ledger]).exits(0);
        sql(&ledger, "UPDATE fleet_ledger SET version = 99");
        assert_not_begun(&fleet, fleet.run(&["migrate", "--yes", "--ledger", &ledger]), &["a newer fleet"]);
    }
}

/// The files of a folder whose names begin so, with their bytes.
fn files(fleet: &Fleet, beginning: &str) -> Vec<(String, Vec<u8>)> {
    let names = std::fs::read_dir(fleet.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name.starts_with(beginning));
    names.sort();
    names.into_iter().map(|name| (name.clone(), std::fs::read(fleet.path(&name)).unwrap())).collect()
}

/// Not its journal mode, not a log that its own program has left, and no file beside it.
#[test]
fn a_file_that_is_refused_is_not_changed() {
    let (fleet, good) = begun();
    let at = |name: &str| format!("sqlite:{}", fleet.path(name).display());
    for name in ["other.db", "other-log.db", "other-left.db"] {
        std::fs::write(fleet.path(name), "").unwrap();
        if name != "other.db" {
            sql(&at(name), "PRAGMA journal_mode = wal");
        }
        sql(&at(name), "CREATE TABLE customers (i int)");
    }
    // As a program that was killed leaves it.
    block_on(async {
        let mut killed = sqlx::SqliteConnection::connect(&at("other-left.db")).await.unwrap();
        killed.execute("CREATE TABLE orders (i int)").await.unwrap();
        std::fs::copy(fleet.path("other-left.db-wal"), fleet.path("kept")).unwrap();
        killed.close().await.unwrap();
    });
    std::fs::rename(fleet.path("kept"), fleet.path("other-left.db-wal")).unwrap();
    let refused = |ledger: &str, words: &[&str]| {
        assert_not_begun(&fleet, fleet.run(&["migrate", "--yes", "--ledger", ledger]), words);
        drop(fleet.run(&["runs", "list", "--ledger", ledger]).exits(75).tells(words));
    };
    for name in ["other.db", "other-log.db", "other-left.db"] {
        let before = files(&fleet, name);
        refused(name, &["customers", "another program"]);
        let mut after = files(&fleet, name);
        // The index of a log; whoever reads the log creates it.
        after.retain(|(file, _)| file != "other-left.db-shm");
        assert!(after == before, "{name}: {:?}", after.iter().map(|(file, _)| file).collect::<Vec<_>>());
    }

    std::fs::write(fleet.path("newer.db"), &good).unwrap();
    sql(&at("newer.db"), "UPDATE fleet_ledger SET version = 99");
    std::fs::write(fleet.path("empty.db"), "").unwrap();
    let before = (files(&fleet, "newer"), files(&fleet, "empty"));
    refused("newer.db", &["a newer fleet"]);
    fleet.run(&["runs", "list", "--ledger", "empty.db"]).exits(64).tells(&["no run has been recorded"]);
    assert!((files(&fleet, "newer"), files(&fleet, "empty")) == before);
}

/// Under another name, a tenant's file has another log, and what is in the one is not in the other.
#[test]
fn a_second_name_of_a_tenants_file_is_that_tenant() {
    let fleet = Fleet::new().sqlite(2);
    for (tenant, is_empty) in [("lite-000", true), ("lite-001", false)] {
        fleet.write();
        let file = fleet.path(&format!("{tenant}.db"));
        if is_empty {
            std::fs::write(&file, "").unwrap();
        } else {
            fleet.run(&["migrate", "--yes", "--steps", "1", "--tenant", tenant]).exits(0);
        }
        std::fs::hard_link(&file, fleet.path("second")).unwrap();
        let before = std::fs::read(&file).unwrap();
        let ran = fleet.run(&["migrate", "--yes", "--ledger", "second"]).exits(78);
        drop(ran.tells(&[&format!("is the database of tenant {tenant}")]));
        assert!(std::fs::read(&file).unwrap() == before && files(&fleet, "second").len() == 1);
        std::fs::remove_file(fleet.path("second")).unwrap();
    }
}

/// A shell in its own mount namespace: no other process sees its mounts, and they disappear with it.
fn shell(fleet: &Fleet, script: &str) -> Command {
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let mut command = Command::new("unshare");
    command.arg(if is_root { "-m" } else { "-rm" }).args(["sh", "-euc", script]);
    let own = program::<&str>(fleet.folder.path(), &[]);
    command.current_dir(fleet.folder.path()).env("FLEET", own.get_program());
    for (name, value) in own.get_envs() {
        if value.is_none() {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn a_ledger_that_can_not_be_written_starts_nothing() {
    let (fleet, good) = begun();
    std::fs::create_dir(fleet.path("led")).unwrap();
    fleet.write();
    for (what, mount) in [("led/ledger.db", "led/ledger.db"), ("led/ledger.db", "led"), ("led/new.db", "led")] {
        std::fs::write(fleet.path("led/ledger.db"), &good).unwrap();
        let script = format!(
            "mount --bind {mount} {mount}; mount -o remount,bind,ro {mount}; exec \"$FLEET\" migrate --yes --ledger {what}"
        );
        let ran = wait(shell(&fleet, &script).spawn().unwrap());
        assert_not_begun(&fleet, ran, &["it can't be written", "read-only"]);
        assert_eq!(std::fs::read(fleet.path("led/ledger.db")).unwrap(), good);
        assert!(!fleet.path("led/new.db").exists());
    }
    let script = "mount --bind led led; mount -o remount,bind,ro led; exec \"$FLEET\" runs list --ledger led/ledger.db";
    wait(shell(&fleet, script).spawn().unwrap()).exits(0).shows(&["all at target"]);
}

#[test]
fn a_full_disk_at_the_start_starts_nothing() {
    let (fleet, _) = begun();
    std::fs::create_dir(fleet.path("led")).unwrap();
    fleet.write();
    let script = "mount -t tmpfs -o size=64k none led; dd if=/dev/zero of=led/fill bs=1k 2>/dev/null || true; \
                  exec \"$FLEET\" migrate --yes --ledger led/ledger.db";
    let ran = wait(shell(&fleet, script).spawn().unwrap());
    assert_not_begun(&fleet, ran, &["space"]);
}

/// A run whose ledger can be lost now: the first tenant is done and recorded, the second waits for a lock.
struct Waiting {
    child: Child,
    held: Held,
    rest: JoinHandle<String>,
}

impl Waiting {
    fn of(fleet: &Fleet, start: impl FnOnce() -> Command) -> Self {
        let held = Held::on(fleet, "lite-001");
        fleet.write();
        let mut child = start().spawn().unwrap();
        let rest = read_until(&mut child, |line| line.contains("lite-000  migrated"));
        // An outcome is written within some 50 ms, and nothing signals that the next tenant has reached the lock.
        std::thread::sleep(Duration::from_millis(700));
        Waiting { child, held, rest }
    }

    fn plain(fleet: &Fleet, more: &[&str]) -> Self {
        let arguments =
            ["migrate", "--yes", "--concurrency", "1", "--lock-timeout", "100s", "--report", "json=first.json"];
        Waiting::of(fleet, || fleet.program(&[&arguments, more].concat()))
    }

    fn goes_on(self) -> Ran {
        self.held.release();
        let mut ran = wait(self.child);
        ran.err = self.rest.join().unwrap();
        ran
    }
}

/// Asserts the report of a run whose ledger was lost while `lite-001` was in flight.
#[track_caller]
fn assert_lost(fleet: &Fleet, ran: Ran, words: &[&str]) {
    let ran = ran.exits(75);
    let ran =
        ran.tells(&["error: failed to ", "the ledger lacks some of it", "small status", "run the same command again"]);
    drop(ran.tells(words));
    let report = json_file(&fleet.path("first.json"));
    assert_eq!(with(&report, "migrated")[..2], ["lite-000", "lite-001"], "what was in flight has ended");
    let left = with(&report, "not_started");
    assert!(left.len() > 1, "it was stopped: {}", left.len());
    for tenant in left {
        assert!(fleet.history(&tenant).is_none(), "{tenant} was touched");
        assert_eq!(record(&report, &tenant)["reason"], "ledger");
    }
    for tenant in with(&report, "migrated") {
        assert_eq!(fleet.history(&tenant).unwrap(), all(), "{tenant}");
    }
}

#[test]
fn a_disk_that_is_full_in_the_middle_of_a_run_stops_it_and_all_is_told() {
    let fleet = Fleet::new().sqlite(300);
    std::fs::create_dir(fleet.path("led")).unwrap();
    let script = "mount -t tmpfs -o size=2m none led; \
                  (until [ -e go ]; do sleep 0.02; done; dd if=/dev/zero of=led/fill bs=512 2>/dev/null || true; touch full) & \
                  \"$FLEET\" migrate --yes --concurrency 1 --lock-timeout 100s --report json=first.json --ledger led/ledger.db";
    let waiting = Waiting::of(&fleet, || shell(&fleet, script));
    std::fs::write(fleet.path("go"), "").unwrap();
    until("a full disk", || fleet.path("full").exists());
    assert_lost(&fleet, waiting.goes_on(), &["space"]);
    // The next run finds out the tenants' state by itself.
    let ran = fleet.run(&["migrate", "--yes", "--quiet"]).exits(0);
    drop(ran.shows(&["up to date", "migrated"]));
    assert_eq!(fleet.history("lite-299").unwrap(), all());
}

fn taken_away(fleet: &Fleet, what: impl Fn(&Path)) {
    let waiting = Waiting::plain(fleet, &[]);
    what(&fleet.path(LEDGER));
    assert_lost(fleet, waiting.goes_on(), &["removed or replaced"]);
    fleet.run(&["migrate", "--yes", "--quiet"]).exits(0);
    assert_eq!(fleet.history("lite-299").unwrap(), all());
}

#[test]
fn a_ledger_that_is_removed_in_the_middle_of_a_run_is_noticed() {
    let fleet = Fleet::new().sqlite(300);
    taken_away(&fleet, |file| {
        for ending in ["", "-wal", "-shm"] {
            std::fs::remove_file(format!("{}{ending}", file.display())).unwrap();
        }
    });
}

#[test]
fn a_ledger_that_is_replaced_in_the_middle_of_a_run_is_noticed() {
    let fleet = Fleet::new().sqlite(300);
    taken_away(&fleet, |file| {
        for ending in ["-wal", "-shm"] {
            std::fs::remove_file(format!("{}{ending}", file.display())).unwrap();
        }
        let other = file.with_extension("other");
        std::fs::write(&other, "").unwrap();
        std::fs::rename(other, file).unwrap();
    });
}

#[test]
fn a_ledger_that_another_process_locks_in_the_middle_of_a_run_stops_it() {
    let fleet = Fleet::new().sqlite(300);
    let waiting = Waiting::plain(&fleet, &[]);
    let url = format!("sqlite:{}", fleet.path(LEDGER).display());
    let holder = block_on(async {
        let mut holder = sqlx::SqliteConnection::connect(&url).await.unwrap();
        holder.execute("BEGIN EXCLUSIVE").await.unwrap();
        holder
    });
    let ran = waiting.goes_on().exits(75);
    block_on(holder.close()).unwrap();
    drop(ran.tells(&["another process holds it locked", "small status"]));
    let report = json_file(&fleet.path("first.json"));
    for tenant in with(&report, "migrated") {
        assert_eq!(fleet.history(&tenant).unwrap(), all(), "{tenant}");
    }
    fleet.run(&["migrate", "--yes", "--quiet"]).exits(0);
}

/// Terminates all sessions in a ledger's database.
fn end_sessions(engine: &str, ledger: &str) {
    let name = ledger.rsplit('/').next().unwrap();
    if engine == "postgres" {
        let query = format!("SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE datname = '{name}'");
        assert!(!sql(&postgres_url(), &query).is_empty());
        return;
    }
    let query = format!("SELECT CAST(id AS char) FROM information_schema.processlist WHERE db = '{name}'");
    for connection in sql(&mariadb_url(), &query) {
        sql(&mariadb_url(), &format!("KILL {connection}"));
    }
}

#[test]
fn a_ledger_on_a_server_that_ends_the_session_is_tried_again_and_nothing_is_lost() {
    for engine in ["postgres", "mariadb"] {
        let mut fleet = Fleet::new().sqlite(10);
        let ledger = fleet.database(engine, "ledger");
        let waiting = Waiting::plain(&fleet, &["--ledger", &ledger]);
        end_sessions(engine, &ledger);
        waiting.goes_on().exits(0);
        let shown = fleet.run(&["runs", "show", "last", "--ledger", &ledger, "--format", "json"]).exits(0).json();
        assert_eq!(with(&shown, "migrated").len(), 10, "{engine}: all of it is recorded");
    }
}

/// For PostgreSQL there is such a test beside those of interrupted runs.
#[test]
fn a_ledger_on_mariadb_that_is_dropped_stops_the_run() {
    let mut fleet = Fleet::new().sqlite(300);
    let ledger = fleet.database("mariadb", "ledger");
    let waiting = Waiting::plain(&fleet, &["--ledger", &ledger]);
    let name = ledger.rsplit('/').next().unwrap();
    sql(&mariadb_url(), &format!("DROP DATABASE {name}"));
    assert_lost(&fleet, waiting.goes_on(), &[]);
}
