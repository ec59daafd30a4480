//! Ledgers of older versions are upgraded by writers, and left as they are by readers.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use sea_orm_migration::MigratorTrait;

use super::processes::child;
use super::*;
use crate::ledger::migrations::LedgerMigrator;
use crate::ledger::open::VERSION;

/// A ledger as the last program of version 1 left it: a run that succeeded, one with a failure, a backup, a rollback,
/// and a run that was killed.
fn of_version_1() -> (tempfile::TempDir, PathBuf) {
    let (folder, file) = place();
    std::fs::write(&file, include_bytes!("../../../tests/fixtures/ledger-v1.db")).unwrap();
    (folder, file)
}

fn statuses(runs: &[RunSummary]) -> Vec<(&str, RunStatus)> {
    runs.iter().map(|run| (run.goal.as_str(), run.status())).collect()
}

const RUNS: [(&str, RunStatus); 5] = [
    ("1 step", RunStatus::Unfinished),
    ("1 step", RunStatus::Finished),
    ("backup", RunStatus::Finished),
    ("1 step", RunStatus::Finished),
    ("2 steps", RunStatus::Finished),
];

#[tokio::test]
async fn a_reader_reads_an_older_ledger_and_changes_nothing() {
    let (_folder, file) = of_version_1();
    let before = std::fs::read(&file).unwrap();
    let ledger = Ledger::open_existing(&at(&file)).await.unwrap().unwrap();
    let runs = ledger.runs(9).await.unwrap();
    assert_eq!(statuses(&runs), RUNS);
    // Version 1 knew a task by its command alone.
    assert!(matches!(&runs[2].kind, RunKind::Backup { backups: Some(_) }), "{:?}", runs[2].kind);
    assert!(runs.iter().all(|run| run.kind.goal().is_some() != run.kind.is_task()));
    assert_eq!(ledger.records(runs[3].run).await.unwrap().len(), 3);
    assert_eq!(ledger.events(runs[3].run).await.unwrap(), []);
    assert!(runs[0].started_by.host.is_empty() && ledger.header(runs[0].run).await.unwrap().selection.is_empty());
    ledger.close().await;
    assert!(std::fs::read(&file).unwrap() == before, "the file was changed");
}

#[tokio::test]
async fn an_older_ledger_is_carried_forward_and_goes_on() {
    let (_folder, file) = of_version_1();
    for round in 0..2 {
        let ledger = Ledger::open(&at(&file)).await.unwrap();
        let header = recorded(&ledger, 3).await;
        let runs = ledger.runs(9).await.unwrap();
        // The clock of this test's runs is years in the past, and they were recorded after those of version 1.
        assert_eq!((runs[0].run, statuses(&runs[round + 1..])), (header.run, RUNS.to_vec()));
        assert_eq!((runs.len(), ledger.run(&header.run.to_string()).await.unwrap().selected), (6 + round, 3));
        assert_eq!(ledger.header(runs[round + 1].run).await.unwrap().tenants.len(), 1);
        ledger.close().await;
    }
    let readable = Ledger::open_existing(&at(&file)).await.unwrap().unwrap();
    assert_eq!(readable.store.version, VERSION, "programs of version 1 refuse it by this row");
}

#[tokio::test]
async fn several_processes_carry_one_ledger_forward() {
    let (_folder, file) = of_version_1();
    let mut children: Vec<_> = (0..4).map(|_| child("open", &file).spawn().unwrap()).collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let ledger = Ledger::open_existing(&at(&file)).await.unwrap().unwrap();
    assert_eq!((ledger.store.version, ledger.runs(9).await.unwrap().len()), (VERSION, 5));
}

/// A new database on a server of the tests, with its URL.
pub(super) async fn database(variable: &str) -> (DatabaseConnection, String, String) {
    let admin = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: see CONTRIBUTING.md"));
    let connection = sea_orm::Database::connect(&admin).await.unwrap();
    let name = format!("ledger_{}", Uuid::now_v7().simple());
    connection.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    let mut url = url::Url::parse(&admin).unwrap();
    url.set_path(&name);
    (connection, name, url.into())
}

#[tokio::test]
async fn on_servers_an_upgrade_that_was_broken_off_is_ended_and_two_at_once_do_it_once() {
    for variable in ["FLEET_TEST_POSTGRES_URL", "FLEET_TEST_MARIADB_URL"] {
        let (admin, name, url) = database(variable).await;
        let old = sea_orm::Database::connect(&url).await.unwrap();
        // Both as a program of version 1 left it, and as one that died between two statements on MySQL did.
        LedgerMigrator::up(&old, Some(1)).await.unwrap();
        for sql in [
            "DROP TABLE fleet_ledger_migrations",
            "INSERT INTO fleet_ledger VALUES (1)",
            "ALTER TABLE fleet_run ADD COLUMN heartbeat_at_ms bigint",
        ] {
            old.execute_unprepared(sql).await.unwrap();
        }
        let location = Location::Url(url.into());
        let (first, second) = tokio::join!(Ledger::open(&location), Ledger::open(&location));
        let (first, second) = (first.unwrap(), second.unwrap());
        let header = recorded(&first, 2).await;
        let run = second.run("last").await.unwrap();
        assert_eq!((run.run, run.status()), (header.run, RunStatus::Finished), "{variable}");
        if old.get_database_backend() == DbBackend::MySql {
            let sql = "SELECT column_type AS t, collation_name AS c FROM information_schema.columns \
                       WHERE table_schema = database() AND table_name = 'fleet_run' AND column_name = 'catalog'";
            let row = old.query_one_raw(Statement::from_string(DbBackend::MySql, sql)).await.unwrap().unwrap();
            let of = |name| row.try_get::<String>("", name).unwrap();
            assert_eq!((of("t"), of("c")), ("longtext".to_owned(), "utf8mb4_bin".to_owned()));
        }
        for ledger in [first, second] {
            ledger.close().await;
        }
        old.close().await.unwrap();
        admin.execute_unprepared(&format!("DROP DATABASE {name}")).await.unwrap();
    }
}

#[tokio::test]
async fn a_run_that_goes_on_is_told_from_one_whose_machine_is_silent() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    let mut recorder = ledger.recorder();
    let mut header = header(2);
    // Its process is of another machine: only the heartbeat shows whether it lives.
    header.started_by.process.space = "elsewhere".to_owned();
    header.started_by.user = "ann".to_owned();
    recorder.begin(&header).await.unwrap();
    let wave = Event::WaveStarted { wave: "canary".to_owned(), tenants: 1, max_failures: None, run_max_failures: None };
    recorder.record(wave.clone(), 7).await.unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(10);
    while ledger.run("last").await.unwrap().status() != RunStatus::Running && std::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let run = ledger.run("last").await.unwrap();
    assert_eq!((run.status(), run.started_by.user.as_str()), (RunStatus::Running, "ann"));
    while ledger.events(run.run).await.unwrap() != [(7, wave.clone())] && std::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(ledger.events(run.run).await.unwrap(), [(7, wave)]);

    let silent = "UPDATE fleet_run SET heartbeat_at_ms = heartbeat_at_ms - 60000";
    ledger.store.db.execute_unprepared(silent).await.unwrap();
    assert_eq!(ledger.run("last").await.unwrap().status(), RunStatus::Dead);
}
