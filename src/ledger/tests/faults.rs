//! Every problem of a ledger file has an error of its own.

use sea_orm::ConnectionTrait;

use super::*;
use crate::ledger::error::LedgerLost;
use crate::ledger::open::VERSION;

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
    ledger.store.db.execute_unprepared("INSERT INTO fleet_ledger VALUES (9)").await.unwrap();
    ledger.close().await;
    for error in [Ledger::open(&at(&file)).await.err(), reading_error(&file).await] {
        let Some(LedgerError::Newer { found: 9, known: VERSION, .. }) = &error else { panic!("{error:?}") };
        assert!(error.unwrap().to_string().contains("made by a newer fleet"));
    }
}

#[tokio::test]
async fn tables_that_a_killed_process_left_incomplete_are_completed() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    for sql in ["DELETE FROM fleet_ledger", "DELETE FROM fleet_ledger_migrations", "DROP TABLE fleet_attempt"] {
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
    assert!(matches!(error, LedgerError::LockWait { .. }), "{error}");
    held.rollback().await.unwrap();
    ledger.recorder().begin(&header(1)).await.unwrap();
}

/// Limits the file's growth to `pages` more pages.
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
    assert_eq!(ledger.run("last").await.unwrap().status(), RunStatus::Running);
}
