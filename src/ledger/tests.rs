//! The ledger on real SQLite files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::ConnectionTrait;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::event::{Event, PlannedTenant, RunHeader};
use crate::fault::{Fault, FaultClass};
use crate::outcome::{Blocker, InDoubt, Moved, NotStarted, Outcome, StoppedAt, TenantRecord};
use crate::schema::{Direction, Unfinished};
use crate::stats::RunStats;
use crate::tenant::{Engine, TenantId};

/// A folder with a place for a ledger.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fleet.db");
    (folder, file)
}

fn at(file: &Path) -> Location {
    Location::File(file.to_owned())
}

fn header(tenants: usize) -> RunHeader {
    RunHeader {
        run: Uuid::now_v7(),
        direction: Direction::Up,
        goal: "head".into(),
        goal_data: serde_json::json!({"direction": "up", "target": "end", "out_of_order": false}),
        resumes: None,
        catalog: vec!["m1_a".into(), "m2_b".into()],
        tenants: (0..tenants)
            .map(|i| PlannedTenant {
                tenant: TenantId::from(format!("tenant-{i}").as_str()),
                engine: Engine::ALL[i % 3],
                server: "db1:5432".into(),
                wave: if i == 0 { "canary".into() } else { "rest".into() },
            })
            .collect(),
        started_at_ms: 1_700_000_000_000,
        program: "0.1.0".into(),
    }
}

fn record(header: &RunHeader, index: usize, outcome: Outcome) -> TenantRecord {
    let planned = header.tenants[index].clone();
    TenantRecord {
        index,
        tenant: planned.tenant,
        engine: planned.engine,
        server: planned.server,
        wave: planned.wave,
        outcome,
        version: Some("m2_b".into()),
        committed: vec!["m2_b".into()],
        attempts: 1,
        duration: Duration::from_millis(12),
        stopped_at: None,
        error: None,
    }
}

fn every_outcome() -> Vec<Outcome> {
    let moved = || Moved { from: Some("m1_a".into()), to: Some("m2_b".into()), n: 1 };
    vec![
        Outcome::UpToDate,
        Outcome::Migrated(moved()),
        Outcome::RolledBack(Moved { from: None, to: None, n: 2 }),
        Outcome::Failed { class: FaultClass::AlreadyExists },
        Outcome::LockTimeout { blocker: None },
        Outcome::LockTimeout {
            blocker: Some(Blocker {
                id: 4711,
                user: Some("o'neill".into()),
                application: None,
                transaction_seconds: Some(9),
                query: Some("SELECT '🦀\u{0}'".into()),
            }),
        },
        Outcome::InDoubt(InDoubt::Unanswered),
        Outcome::InDoubt(InDoubt::Journal(Unfinished {
            migration: "m2_b".into(),
            direction: Direction::Down,
            statement: Some(3),
            run: "other".into(),
        })),
        Outcome::Ahead { unknown: vec!["m9_z".into()] },
        Outcome::Unreachable { class: FaultClass::Dns },
        Outcome::Interrupted,
        Outcome::Skipped { reason: "quarantined".into() },
        Outcome::NotStarted { reason: NotStarted::FailureBudget },
    ]
}

/// Records a whole run in which every tenant was up to date.
async fn recorded(ledger: &Ledger, tenants: usize) -> RunHeader {
    let header = header(tenants);
    let mut recorder = ledger.recorder();
    recorder.begin(&header).await.unwrap();
    let mut stats = RunStats { selected: tenants, ..RunStats::default() };
    for index in 0..tenants {
        stats.add(&Outcome::UpToDate, 1);
        let record = record(&header, index, Outcome::UpToDate);
        recorder.record(Event::TenantFinished(record), 1).await.unwrap();
    }
    recorder.record(Event::RunFinished { stats }, 2).await.unwrap();
    recorder.finish().await.unwrap();
    header
}

#[tokio::test]
async fn every_outcome_comes_back_as_it_was() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    let outcomes = every_outcome();
    // One tenant more than outcomes: its process "died".
    let mut header = header(outcomes.len() + 1);
    header.resumes = Some(Uuid::now_v7());
    let mut recorder = ledger.recorder();
    recorder.begin(&header).await.unwrap();
    let mut expected = Vec::new();
    let mut stats = RunStats { selected: header.tenants.len(), held_back: 3, ..RunStats::default() };
    for (index, outcome) in outcomes.into_iter().enumerate() {
        let mut record = record(&header, index, outcome);
        record.stopped_at =
            Some(StoppedAt { migration: "m2_b".into(), statement: Some(7), sql: Some("ALTER \"x\"".into()) });
        record.error = Some(Fault::with_code(FaultClass::AlreadyExists, "42P07", "relation \"x\" already exists"));
        stats.add(&record.outcome, 1);
        recorder.record(Event::TenantFinished(record.clone()), 5).await.unwrap();
        expected.push((header.tenants[index].clone(), Some(record)));
    }
    expected.push((header.tenants[expected.len()].clone(), None));
    stats.stopped = Some(NotStarted::FailureBudget);
    recorder.record(Event::RunFinished { stats }, 1_700_000_009_000).await.unwrap();
    recorder.finish().await.unwrap();
    ledger.close().await;

    let ledger = Ledger::open_existing(&at(&file)).await.unwrap().unwrap();
    assert_eq!(ledger.records(header.run).await.unwrap(), expected);
    assert_eq!(ledger.header(header.run).await.unwrap(), header);
    let summary = ledger.run("last").await.unwrap();
    assert_eq!(summary.status(), RunStatus::Finished);
    assert_eq!((summary.selected, summary.with_outcome), (expected.len(), expected.len() - 1));
    assert_eq!(summary.finished_at_ms, Some(1_700_000_009_000));
    assert_eq!((summary.stats, summary.resumes), (Some(stats), header.resumes));
}

#[tokio::test]
async fn attempts_are_kept_where_they_say_something() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    let header = header(3);
    let mut recorder = ledger.recorder();
    recorder.begin(&header).await.unwrap();
    let tenant = |index: usize| header.tenants[index].tenant.clone();
    let started = |index, attempt| Event::AttemptStarted { index, tenant: tenant(index), attempt };
    let fault = Fault::with_code(FaultClass::LockTimeout, "55P03", "canceling statement due to lock timeout");
    let failed = |index, attempt| Event::AttemptFailed {
        index,
        tenant: tenant(index),
        attempt,
        error: fault.clone(),
        retry_in_ms: 200,
    };
    // 0: goes well at once. 1: waits for another run's hold, which repeats its number, and then goes well.
    // 2: fails at once.
    let mut well = record(&header, 1, Outcome::UpToDate);
    well.attempts = 2;
    let mut ill = record(&header, 2, Outcome::Failed { class: FaultClass::LockTimeout });
    ill.error = Some(fault.clone());
    let events = [
        (started(0, 1), 10),
        (started(1, 1), 11),
        (started(2, 1), 12),
        (failed(1, 1), 20),
        (Event::TenantFinished(record(&header, 0, Outcome::UpToDate)), 21),
        (Event::TenantFinished(ill), 22),
        (started(1, 1), 30),
        (failed(1, 1), 40),
        (started(1, 2), 50),
        (Event::TenantFinished(well), 60),
    ];
    for (event, now_ms) in events {
        recorder.record(event, now_ms).await.unwrap();
    }
    recorder.finish().await.unwrap();

    let row = |index, attempt, started_at_ms, ended_at_ms, error: Option<&Fault>, retry_in_ms| AttemptRow {
        index,
        attempt,
        started_at_ms,
        ended_at_ms,
        error: error.cloned(),
        retry_in_ms,
    };
    let expected = [
        row(1, 1, 11, 20, Some(&fault), Some(200)),
        row(1, 1, 30, 40, Some(&fault), Some(200)),
        row(1, 2, 50, 60, None, None),
        row(2, 1, 12, 22, Some(&fault), None),
    ];
    assert_eq!(ledger.attempts(header.run).await.unwrap(), expected);
}

#[tokio::test]
async fn an_outcome_told_twice_is_one_row_and_the_last_word_counts() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    let header = header(1);
    let mut recorder = ledger.recorder();
    recorder.begin(&header).await.unwrap();
    for outcome in [Outcome::UpToDate, Outcome::Interrupted] {
        recorder.record(Event::TenantFinished(record(&header, 0, outcome)), 1).await.unwrap();
    }
    // And in a later batch.
    tokio::time::sleep(Duration::from_millis(120)).await;
    let last = record(&header, 0, Outcome::Skipped { reason: "x".into() });
    recorder.record(Event::TenantFinished(last.clone()), 2).await.unwrap();
    recorder.finish().await.unwrap();
    assert_eq!(ledger.records(header.run).await.unwrap()[0].1, Some(last));
}

#[tokio::test]
async fn an_outcome_is_on_its_way_without_a_finish() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    let header = header(2);
    let mut recorder = ledger.recorder();
    recorder.begin(&header).await.unwrap();
    let other = Ledger::open_existing(&at(&file)).await.unwrap().unwrap();
    assert_eq!(other.records(header.run).await.unwrap().len(), 2, "the plan is there when begin returns");
    recorder.record(Event::TenantFinished(record(&header, 1, Outcome::UpToDate)), 1).await.unwrap();
    let patience = tokio::time::Instant::now() + Duration::from_secs(10);
    while other.run("last").await.unwrap().with_outcome == 0 {
        assert!(tokio::time::Instant::now() < patience, "the outcome was never written");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(recorder);
    assert_eq!(other.run("last").await.unwrap().status(), RunStatus::Unfinished);
}

#[tokio::test]
async fn ten_thousand_tenants_are_begun_and_read_back_in_order() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    let header = recorded(&ledger, 10_000).await;
    let records = ledger.records(header.run).await.unwrap();
    assert!(records.iter().map(|(planned, _)| planned).eq(&header.tenants));
    assert!(records.iter().enumerate().all(|(i, (_, record))| record.as_ref().is_some_and(|r| r.index == i)));
}

#[tokio::test]
async fn a_record_beyond_the_size_of_a_statement_is_kept() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    let header = header(3);
    let mut recorder = ledger.recorder();
    recorder.begin(&header).await.unwrap();
    let mut records = Vec::new();
    for index in 0..3 {
        let mut record = record(&header, index, Outcome::UpToDate);
        record.committed = (0..20_000).map(|n| format!("m{n:06}_{}", "x".repeat(30))).collect();
        recorder.record(Event::TenantFinished(record.clone()), 1).await.unwrap();
        records.push(record);
    }
    recorder.finish().await.unwrap();
    let read: Vec<_> = ledger.records(header.run).await.unwrap().into_iter().map(|(_, r)| r.unwrap()).collect();
    assert_eq!(read, records);
}

#[tokio::test]
async fn an_empty_plan_is_a_run_too() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    let header = recorded(&ledger, 0).await;
    assert_eq!(ledger.records(header.run).await.unwrap(), []);
    assert_eq!(ledger.run("last").await.unwrap().run, header.run);
}

#[tokio::test]
async fn a_run_is_found_by_last_by_its_id_and_by_either_end_of_it() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    let Err(error) = ledger.run("last").await else { panic!("there is no run") };
    assert!(error.to_string().contains("no run has been recorded there yet"), "{error}");
    let ids = [
        "0193aaaa-0000-7000-8000-00000000abcd",
        "0193aaaa-1111-7000-8000-00000000ffff",
        "0193bbbb-0000-7000-8000-0000abcd0193",
    ];
    for (n, id) in ids.iter().enumerate() {
        let mut header = header(1);
        header.run = id.parse().unwrap();
        header.started_at_ms += i64::try_from(n).unwrap();
        ledger.recorder().begin(&header).await.unwrap();
    }
    let listed: Vec<String> = ledger.runs(2).await.unwrap().iter().map(|r| r.run.to_string()).collect();
    assert_eq!(listed, [ids[2], ids[1]], "newest first, no more than asked for");
    for (wanted, found) in [
        ("last", ids[2]),
        (ids[0], ids[0]),
        (&ids[1].to_uppercase(), ids[1]),
        ("0193b", ids[2]),
        ("0193aaaa-1", ids[1]),
        ("abcd", ids[0]),
        ("FFFF", ids[1]),
    ] {
        assert_eq!(ledger.run(wanted).await.unwrap().run.to_string(), found, "{wanted}");
    }
    let Err(LedgerError::Ambiguous { candidates, .. }) = ledger.run("0193").await else { panic!("0193 is ambiguous") };
    assert_eq!(candidates.len(), 3, "two begin with it, one also ends with it");
    assert!(candidates[0].starts_with(ids[2]) && candidates[0].contains("up head, 2023-11-14T"), "{candidates:?}");
    let Err(LedgerError::NoSuchRun { newest, .. }) = ledger.run("dddd").await else { panic!("there is no dddd") };
    assert_eq!(newest.len(), 3);
    for bad in ["019", "%", "____", "tenant-1"] {
        assert!(matches!(ledger.run(bad).await, Err(LedgerError::NotAnId { .. })), "{bad}");
    }
    assert!(matches!(ledger.header(Uuid::now_v7()).await, Err(LedgerError::NoSuchRun { .. })));
}

#[tokio::test]
async fn reading_creates_nothing() {
    let (folder, file) = place();
    assert!(Ledger::open_existing(&at(&file)).await.unwrap().is_none());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    // A file that was created by a process that died before it made the tables is no ledger yet.
    std::fs::write(&file, "").unwrap();
    assert!(Ledger::open_existing(&at(&file)).await.unwrap().is_none());
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 0);
    std::fs::remove_file(&file).unwrap();

    let ledger = Ledger::open(&at(&file)).await.unwrap();
    recorded(&ledger, 1).await;
    ledger.close().await;
    let reader = Ledger::open_existing(&at(&file)).await.unwrap().unwrap();
    assert_eq!(reader.runs(10).await.unwrap().len(), 1);
    reader.close().await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no log is left beside the file");
}

#[tokio::test]
async fn a_lost_file_means_that_no_run_is_known() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    recorded(&ledger, 1).await;
    ledger.close().await;
    std::fs::remove_file(&file).unwrap();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    assert_eq!(ledger.runs(10).await.unwrap(), []);
}

#[tokio::test]
async fn a_place_that_can_not_hold_a_file_is_named() {
    let (folder, file) = place();
    std::fs::write(&file, "a file").unwrap();
    for open in [Ledger::open(&at(&file.join("below"))).await.err(), reading_error(&file.join("below")).await] {
        let Some(LedgerError::NoFolder { folder, .. }) = open else { panic!("{open:?}") };
        assert_eq!(folder, file);
    }
    let missing = Ledger::open(&at(&folder.path().join("no/fleet.db"))).await.unwrap_err();
    assert!(matches!(missing, LedgerError::NoFolder { .. }), "{missing}");
    let folder_itself = Ledger::open(&at(folder.path())).await.unwrap_err();
    assert!(matches!(folder_itself, LedgerError::NotAFile { .. }), "{folder_itself}");
}

async fn reading_error(file: &Path) -> Option<LedgerError> {
    Ledger::open_existing(&at(file)).await.err()
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let (_folder, file) = place();
    for content in ["[fleet]\n", &"not a database, only text\n".repeat(1_000)] {
        std::fs::write(&file, content).unwrap();
        for error in [Ledger::open(&at(&file)).await.err(), reading_error(&file).await] {
            assert!(matches!(error, Some(LedgerError::NotADatabase { .. })), "{error:?}");
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), content);
    }
}

#[tokio::test]
async fn a_truncated_file_is_damaged() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    recorded(&ledger, 200).await;
    ledger.close().await;
    let whole = std::fs::read(&file).unwrap();
    for keep in [whole.len() - 4096, 4096, 5000] {
        std::fs::write(&file, &whole[..keep]).unwrap();
        for error in [Ledger::open(&at(&file)).await.err(), reading_error(&file).await] {
            assert!(matches!(error, Some(LedgerError::Damaged { .. })), "{keep} bytes: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_newer_ledger_is_refused() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    ledger.store.db.execute_unprepared("INSERT INTO fleet_ledger VALUES (7)").await.unwrap();
    ledger.close().await;
    for error in [Ledger::open(&at(&file)).await.err(), reading_error(&file).await] {
        let Some(LedgerError::Newer { found: 7, known: 1, .. }) = &error else { panic!("{error:?}") };
        assert!(error.unwrap().to_string().contains("made by a newer fleet"));
    }
}

#[tokio::test]
async fn tables_that_a_killed_process_left_incomplete_are_completed() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    for sql in ["DELETE FROM fleet_ledger", "DROP TABLE fleet_attempt"] {
        ledger.store.db.execute_unprepared(sql).await.unwrap();
    }
    ledger.close().await;
    assert!(Ledger::open_existing(&at(&file)).await.unwrap().is_none());
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    let header = recorded(&ledger, 1).await;
    assert_eq!(ledger.attempts(header.run).await.unwrap(), []);
}

#[tokio::test]
async fn a_lock_that_outlasts_our_patience_is_told() {
    let (_folder, file) = place();
    let holder = Ledger::open(&at(&file)).await.unwrap();
    let ledger = Ledger::open_patiently(&at(&file), Duration::from_millis(50)).await.unwrap();
    let held = holder.store.begin().await.unwrap();
    let error = ledger.recorder().begin(&header(1)).await.unwrap_err();
    assert!(matches!(error, LedgerError::Locked { .. }), "{error}");
    held.rollback().await.unwrap();
    ledger.recorder().begin(&header(1)).await.unwrap();
}

/// Lets the file grow by so many pages and no more.
async fn leave_room(ledger: &Ledger, pages: i64) {
    let count = "PRAGMA page_count";
    let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, count);
    let now: i64 = ledger.store.db.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    ledger.store.db.execute_unprepared(&format!("PRAGMA max_page_count = {}", now + pages)).await.unwrap();
}

#[tokio::test]
async fn a_plan_that_finds_no_room_is_not_begun() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    leave_room(&ledger, 3).await;
    let mut recorder = ledger.recorder();
    let error = recorder.begin(&header(2_000)).await.unwrap_err();
    assert!(matches!(error, LedgerError::Full { .. }), "{error}");
    assert_eq!(ledger.runs(10).await.unwrap(), [], "it is one transaction");
    let refused = recorder.record(Event::Cancelling { in_flight: 0 }, 1).await.unwrap_err();
    assert_eq!(*refused.0, LedgerError::NotBegun);
}

#[tokio::test]
async fn a_full_disk_is_told_at_once_and_kept() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    let header = header(2_000);
    let mut recorder = ledger.recorder();
    recorder.begin(&header).await.unwrap();
    let lost = recorder.lost();
    assert!(recorder.failure().is_none() && !lost.is_cancelled());
    leave_room(&ledger, 3).await;
    for index in 0..400 {
        let event = Event::TenantFinished(record(&header, index, Outcome::UpToDate));
        if recorder.record(event, 1).await.is_err() {
            break;
        }
    }
    tokio::time::timeout(Duration::from_secs(10), lost.cancelled()).await.expect("it is told without a finish");
    let failure = recorder.failure().unwrap();
    assert!(matches!(*failure, LedgerError::Full { .. }), "{failure}");
    let event = Event::TenantFinished(record(&header, 401, Outcome::UpToDate));
    assert_eq!(recorder.record(event, 1).await, Err(LedgerLost(failure.clone())));
    assert_eq!(recorder.finish().await, Err((*failure).clone()));
    assert_eq!(ledger.run("last").await.unwrap().status(), RunStatus::Unfinished);
}

#[tokio::test]
async fn a_ledger_in_a_folder_without_rights_can_be_read() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    let header = recorded(&ledger, 3).await;
    ledger.close().await;
    let frozen = Ledger::open_frozen(&file).await.unwrap();
    assert_eq!(frozen.records(header.run).await.unwrap().len(), 3);
}

const CHILD_FILE: &str = "FLEET_TEST_LEDGER_CHILD";

/// The second process of the tests below; on its own it does nothing.
#[tokio::test]
async fn child_process() {
    let Ok(told) = std::env::var(CHILD_FILE) else { return };
    let (task, file) = told.split_once('=').unwrap();
    let ledger = Ledger::open(&at(Path::new(file))).await.unwrap();
    if task == "record" {
        for _ in 0..5 {
            recorded(&ledger, 300).await;
        }
        return;
    }
    let header = header(50);
    let mut recorder = ledger.recorder();
    recorder.begin(&header).await.unwrap();
    recorder.record(Event::TenantFinished(record(&header, 0, Outcome::UpToDate)), 1).await.unwrap();
    if task == "kill-late" {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    std::process::abort();
}

fn child(task: &str, file: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "ledger::tests::child_process"]).env(CHILD_FILE, format!("{task}={}", file.display()));
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    command
}

#[tokio::test]
async fn two_processes_share_one_new_ledger() {
    let (_folder, file) = place();
    let mut children: Vec<_> = (0..3).map(|_| child("record", &file).spawn().unwrap()).collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let ledger = Ledger::open_existing(&at(&file)).await.unwrap().unwrap();
    let runs = ledger.runs(100).await.unwrap();
    assert_eq!(runs.len(), 15);
    assert!(runs.iter().all(|run| run.status() == RunStatus::Finished && run.with_outcome == 300), "{runs:?}");
}

#[tokio::test]
async fn what_a_killed_process_had_committed_is_found() {
    for (task, with_outcome) in [("kill-early", 0), ("kill-late", 1)] {
        let (_folder, file) = place();
        assert!(!child(task, &file).status().unwrap().success());
        let ledger = Ledger::open_existing(&at(&file)).await.unwrap().unwrap();
        let run = ledger.run("last").await.unwrap();
        assert_eq!((run.status(), run.selected, run.with_outcome), (RunStatus::Unfinished, 50, with_outcome), "{task}");
        let records = ledger.records(run.run).await.unwrap();
        assert_eq!(records.iter().filter(|(_, record)| record.is_none()).count(), 50 - with_outcome);
    }
}
