//! Recorded events are read back in order and once.

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::*;
use crate::model::load::ServerLoad;
use crate::model::run_summary::AttemptRow;

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
        record.stopped_at = Some(Box::new(StoppedAt {
            migration: "m2_b".into(),
            statement: Some(7),
            sql: Some("ALTER \"x\"".into()),
            file: None,
            stayed: Some(6),
            ..StoppedAt::default()
        }));
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
    assert_eq!((summary.selected, summary.counts.finished()), (expected.len(), expected.len() - 1));
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
    while other.run("last").await.unwrap().counts.finished() == 0 {
        assert!(tokio::time::Instant::now() < patience, "the outcome was never written");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(recorder);
    assert_eq!(other.run("last").await.unwrap().status(), RunStatus::Running);
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
async fn the_file_is_synced_for_the_plan_and_not_for_each_batch() {
    const NORMAL: i64 = 1;
    const FULL: i64 = 2;
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    let synchronous = async || -> i64 {
        let statement = Statement::from_string(DbBackend::Sqlite, "PRAGMA synchronous");
        ledger.store.db.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    };
    ledger.store.durably(true).await.unwrap();
    assert_eq!(synchronous().await, FULL);
    recorded(&ledger, 1).await;
    assert_eq!(synchronous().await, NORMAL);
}

#[tokio::test]
async fn a_file_name_is_never_read_as_a_url() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a b?mode=memory#%41.db", "file:x.db", ":memory:", "o'neill.db", "\u{1f980}.db"] {
        let file = folder.path().join(name);
        let ledger = Ledger::open(&at(&file)).await.unwrap();
        recorded(&ledger, 1).await;
        ledger.close().await;
        assert!(file.is_file(), "{name}");
        assert_eq!(Ledger::open_existing(&at(&file)).await.unwrap().unwrap().runs(9).await.unwrap().len(), 1);
        assert_eq!(Ledger::open_frozen(&file).await.unwrap().runs(9).await.unwrap().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn of_the_readings_of_a_server_those_that_turn_are_kept_and_the_last() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    let header = header(2);
    let mut recorder = ledger.recorder();
    recorder.begin(&header).await.unwrap();
    let reading = |server: &str, lock_waits: u64, turns: bool| Event::ServerLoad {
        server: server.to_owned(),
        load: ServerLoad { lock_waits: Some(lock_waits), ..ServerLoad::default() },
        over: Vec::new(),
        unkept: Vec::new(),
        turns,
    };
    let rows = Event::Progress {
        index: 0,
        tenant: header.tenants[0].tenant.clone(),
        migration: "m2_b".to_owned(),
        statement: None,
        rows: 7,
    };
    let told = [("db1", 0, false), ("db2", 1, false), ("db1", 9, true), ("db1", 3, false), ("db2", 4, false)];
    recorder.record(rows.clone(), 1).await.unwrap();
    for (at_ms, (server, waits, turns)) in (2..).zip(told) {
        recorder.record(reading(server, waits, turns), at_ms).await.unwrap();
    }
    recorder.finish().await.unwrap();
    let kept = ledger.events(header.run).await.unwrap();
    let last = [(5, reading("db1", 3, false)), (6, reading("db2", 4, false)), (1, rows)];
    let (turned, rest) = kept.split_first().unwrap();
    assert_eq!(*turned, (4, reading("db1", 9, true)));
    assert!(rest.len() == 3 && last.iter().all(|row| rest.contains(row)), "{rest:?}");
    let news = ledger.news(&header, &mut Followed::default()).await.unwrap();
    assert_eq!(news.iter().map(|(at_ms, _)| *at_ms).collect::<Vec<_>>(), [1, 4, 5, 6]);
}
