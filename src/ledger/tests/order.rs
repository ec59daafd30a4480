//! The order of runs whose machines' clocks differ, and a ledger that is locked, on each engine.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, TransactionTrait};
use tokio_util::sync::CancellationToken;

use super::upgrades::database;
use super::*;
use crate::ledger::open::Store;
use crate::ledger::writer::{QUEUE, Writer};

const SERVERS: [&str; 2] = ["FLEET_TEST_POSTGRES_URL", "FLEET_TEST_MARIADB_URL"];

const NOW_MS: u64 = 1_700_000_000_000;
const HOUR_MS: u64 = 3_600_000;

/// A run by a clock that shows this, of two tenants of which the first fails where it says so.
async fn run_at(ledger: &Ledger, clock_ms: u64, fails: bool) -> RunHeader {
    let stamp = uuid::Timestamp::from_unix(uuid::NoContext, clock_ms / 1_000, u32::try_from(clock_ms % 1_000).unwrap());
    let header =
        RunHeader { run: Uuid::new_v7(stamp), started_at_ms: i64::try_from(clock_ms).unwrap(), ..super::header(2) };
    let mut recorder = ledger.recorder();
    recorder.begin(&header).await.unwrap();
    let outcomes = [
        if fails { Outcome::Failed { class: FaultClass::AlreadyExists } } else { Outcome::UpToDate },
        Outcome::UpToDate,
    ];
    for (index, outcome) in outcomes.into_iter().enumerate() {
        let finished = Event::TenantFinished(record(&header, index, outcome));
        recorder.record(finished, header.started_at_ms + 20).await.unwrap();
    }
    recorder.record(Event::RunFinished { stats: RunStats::default() }, header.started_at_ms + 70).await.unwrap();
    recorder.finish().await.unwrap();
    header
}

/// A machine whose clock is an hour fast, one whose clock is right, and one whose clock is an hour slow.
async fn the_order_is_that_of_recording(ledger: Ledger) {
    let fast = run_at(&ledger, NOW_MS + HOUR_MS, true).await;
    let right = run_at(&ledger, NOW_MS, true).await;
    assert_eq!(ledger.run("last").await.unwrap().run, right.run);
    let first = TenantId::from("tenant-0");
    for run in [&fast, &right] {
        assert_eq!(ledger.ends(run.run).await.unwrap().open, [first.clone()].into(), "nothing has settled it");
    }
    let slow = run_at(&ledger, NOW_MS - HOUR_MS, false).await;
    let runs = ledger.runs(9).await.unwrap();
    assert_eq!(runs.iter().map(|run| run.run).collect::<Vec<_>>(), [slow.run, right.run, fast.run]);
    for run in &runs {
        assert_eq!(run.finished_at_ms.unwrap() - run.started_at_ms, 70, "it took what it took");
        assert!(ledger.ends(run.run).await.unwrap().open.is_empty(), "the last run has settled it");
    }
    assert_eq!(runs[2].started_at_ms, fast.started_at_ms, "a clock that is not behind is left alone");
    ledger.close().await;
}

#[tokio::test]
async fn the_clocks_of_machines_do_not_order_runs() {
    let (_folder, file) = place();
    the_order_is_that_of_recording(Ledger::open(&at(&file)).await.unwrap()).await;
    for variable in SERVERS {
        let (admin, name, url) = database(variable).await;
        the_order_is_that_of_recording(Ledger::open(&Location::Url(url.into())).await.unwrap()).await;
        admin.execute_unprepared(&format!("DROP DATABASE {name}")).await.unwrap();
    }
}

#[tokio::test]
async fn a_run_lives_from_its_first_moment_by_the_clock_of_the_ledger() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    let mut header = header(1);
    // Its process is of another machine, whose clock is years behind.
    header.started_by.process.space = "elsewhere".to_owned();
    let mut recorder = ledger.recorder();
    recorder.begin(&header).await.unwrap();
    assert_eq!(ledger.run("last").await.unwrap().status(), RunStatus::Running);
}

/// Another session that holds a lock on the runs.
async fn lock(holder: &DatabaseConnection) -> sea_orm::DatabaseTransaction {
    let held = holder.begin().await.unwrap();
    let sql = match holder.get_database_backend() {
        DbBackend::Postgres => "LOCK TABLE fleet_run IN ACCESS EXCLUSIVE MODE",
        _ => "UPDATE fleet_run SET program = 'held'",
    };
    held.execute_unprepared(sql).await.unwrap();
    held
}

/// With a short limit; a run has 30 s for each try.
#[tokio::test]
async fn a_sign_of_life_that_waits_for_a_lock_is_given_up_and_one_that_is_late_is_not() {
    for variable in SERVERS {
        let (admin, name, url) = database(variable).await;
        let ledger = Ledger::open(&Location::Url(url.clone().into())).await.unwrap();
        let header = recorded(&ledger, 1).await;
        let holder = sea_orm::Database::connect(&url).await.unwrap();
        let writer = async |limit| {
            let site = crate::ledger::database::LedgerDatabase::of(&Location::Url(url.clone().into())).unwrap();
            let Ok(db) = sea_orm::Database::connect(&url).await else { panic!("{variable} is gone") };
            let mut store = Store::new(db, site);
            store.longest_write = limit;
            let store = std::sync::Arc::new(store);
            let (inbox, outbox) = tokio::sync::mpsc::channel(QUEUE);
            let writer = Writer::new(store.clone(), header.run.to_string(), outbox, CancellationToken::new());
            (store, inbox, tokio::spawn(writer.run()))
        };

        // Its first sign is due at once. Three more tries follow within some 5 s.
        let held = lock(&holder).await;
        let (store, _inbox, lost) = writer(Duration::from_millis(100)).await;
        let lost = tokio::time::timeout(Duration::from_secs(60), lost).await.expect("it hangs").unwrap().unwrap_err();
        assert!(matches!(lost, LedgerError::Unreachable { .. }) && lost.to_string().contains("lock"), "{lost}");
        // Also while the lock is still there.
        tokio::time::timeout(Duration::from_secs(20), Ledger { store }.close()).await.expect("closing hangs");

        let (_, inbox, late) = writer(Duration::from_secs(30)).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!late.is_finished(), "{variable}: a sign that is late ends nothing");
        held.rollback().await.unwrap();
        drop(inbox);
        late.await.unwrap().unwrap();

        holder.close().await.unwrap();
        ledger.close().await;
        let force = if variable == SERVERS[0] { " WITH (FORCE)" } else { "" };
        admin.execute_unprepared(&format!("DROP DATABASE {name}{force}")).await.unwrap();
    }
}
