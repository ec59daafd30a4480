//! Runs that several processes share, on PostgreSQL: who was taken over writes nothing any more.

use super::upgrades::database;
use super::*;
use crate::ledger::{Asked, Fence};
use crate::model::outcome::Outcome::UpToDate;
use crate::model::pause::Pause;
use crate::model::shared::{SharedRun, Taken, Terms};

/// Leases of a shared run, short enough for a test to wait for their ends.
const LEASE: Duration = Duration::from_millis(300);

/// A shared run on a database of its own; `test` gets two openings of its ledger.
async fn shared(test: impl AsyncFnOnce(&Ledger, &Ledger, &RunHeader)) {
    let (admin, name, url) = database("FLEET_TEST_POSTGRES_URL").await;
    let location = Location::Url(url.into());
    let (one, other) = (Ledger::open(&location).await.unwrap(), Ledger::open(&location).await.unwrap());
    let mut header = header(3);
    header.started_by = header.started_by.shared();
    let terms = Terms([("version".to_owned(), "1".to_owned())].into());
    let shared = SharedRun { lease: LEASE, held_back: 2, terms };
    one.share(header.run, &shared).await.unwrap();
    assert!(other.shared_runs().await.unwrap().is_empty(), "it is not recorded yet");
    let mut recorder = one.recorder();
    recorder.begin(&header).await.unwrap();
    recorder.finish().await.unwrap();
    assert_eq!(other.shared(header.run).await.unwrap(), Some(shared));
    assert_eq!(other.shared_runs().await.unwrap(), [header.run]);
    test(&one, &other, &header).await;
    one.close().await;
    other.close().await;
    sea_orm::ConnectionTrait::execute_unprepared(&admin, &format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
}

/// Writes an outcome under a right to write.
async fn write(ledger: &Ledger, header: &RunHeader, fence: Fence, outcome: Outcome) -> Result<(), LedgerError> {
    let mut recorder = ledger.recorder();
    recorder.join(header.run, fence).await?;
    let place = if let Fence::Has { place, .. } = fence { place } else { 0 };
    let record = record(header, usize::try_from(place).unwrap(), outcome);
    let _ = recorder.record(Event::TenantFinished(record), 5).await;
    recorder.finish().await
}

fn taken_over(written: Result<(), LedgerError>) -> bool {
    matches!(written, Err(LedgerError::TakenOver { .. }))
}

#[tokio::test]
async fn a_runner_that_was_taken_over_does_not_overwrite_an_outcome() {
    shared(async |one, other, header| {
        let run = header.run;
        assert_eq!(one.take(run, 0, "a").await.unwrap(), Taken::Done, "it is not handed out");
        let token = one.lead(run, "a").await.unwrap().unwrap();
        assert!(one.hand_out(run, token, (0, "db#0")).await.unwrap());
        let Taken::Mine(first) = one.take(run, 0, "a").await.unwrap() else { panic!("nobody has it") };
        assert!(matches!(other.take(run, 0, "b").await.unwrap(), Taken::Held(rest) if rest <= LEASE));
        // A sign of life renews it.
        tokio::time::sleep(LEASE * 2 / 3).await;
        one.runner_lives(run, "a").await.unwrap();
        tokio::time::sleep(LEASE * 2 / 3).await;
        assert!(matches!(other.take(run, 0, "b").await.unwrap(), Taken::Held(_)));
        tokio::time::sleep(LEASE).await;
        assert!(!one.claims(run).await.unwrap()[0].is_held);
        let Taken::Mine(second) = other.take(run, 0, "b").await.unwrap() else { panic!("its lease has ended") };
        assert!(second > first);
        one.runner_lives(run, "a").await.unwrap();
        one.give_back(run, 0, first).await.unwrap();

        let fence = |token| Fence::Has { place: 0, token };
        assert!(taken_over(write(one, header, fence(first), Outcome::Interrupted).await));
        assert!(one.outcomes_at(run, &[0, 1]).await.unwrap().is_empty());
        write(other, header, fence(second), UpToDate).await.unwrap();
        // As after a commit whose answer was lost.
        write(other, header, fence(second), UpToDate).await.unwrap();
        assert!(taken_over(write(one, header, fence(first), Outcome::Interrupted).await));
        assert!(taken_over(write(other, header, fence(second), Outcome::Interrupted).await));
        let outcomes = one.outcomes_at(run, &[0, 1]).await.unwrap();
        assert_eq!((outcomes.len(), &outcomes[0].1.outcome), (1, &UpToDate));
        assert_eq!((one.claims(run).await.unwrap(), one.take(run, 0, "a").await.unwrap()), (vec![], Taken::Done));
        let runners = other.runners(run).await.unwrap();
        assert_eq!((runners.len(), runners[0].runner.as_str(), runners[0].in_flight), (1, "a", 0));
    })
    .await;
}

#[tokio::test]
async fn a_leader_that_was_taken_over_hands_out_and_writes_nothing() {
    shared(async |one, other, header| {
        let run = header.run;
        let first = one.lead(run, "a").await.unwrap().unwrap();
        assert_eq!(other.lead(run, "b").await.unwrap(), None);
        tokio::time::sleep(LEASE * 2 / 3).await;
        assert!(one.keep_leading(run, first).await.unwrap());
        tokio::time::sleep(LEASE * 2 / 3).await;
        assert_eq!(other.lead(run, "b").await.unwrap(), None, "its lease was renewed");
        tokio::time::sleep(LEASE).await;
        let second = other.lead(run, "b").await.unwrap().unwrap();
        assert!(!one.keep_leading(run, first).await.unwrap());
        assert!(!one.hand_out(run, first, (1, "db#0")).await.unwrap() && one.claims(run).await.unwrap().is_empty());
        one.stop_leading(run, first).await.unwrap();
        assert!(taken_over(write(one, header, Fence::Leads { token: first }, UpToDate).await));
        write(other, header, Fence::Leads { token: second }, UpToDate).await.unwrap();
        other.stop_leading(run, second).await.unwrap();
        assert!(one.lead(run, "a").await.unwrap().is_some(), "nobody waits for a lease that was given up");

        // Its tenants are taken as long as it lives.
        let mut another = header.clone();
        another.run = Uuid::now_v7();
        let begun = one.recorder().begin(&another).await;
        assert!(matches!(begun, Err(LedgerError::Held { .. })), "{begun:?}");
    })
    .await;
}

#[tokio::test]
async fn what_nobody_has_taken_is_taken_back_by_the_leader_alone() {
    shared(async |one, other, header| {
        let run = header.run;
        let token = one.lead(run, "a").await.unwrap().unwrap();
        for place in 0..3 {
            assert!(one.hand_out(run, token, (place, "db#0")).await.unwrap());
        }
        assert!(matches!(other.take(run, 1, "b").await.unwrap(), Taken::Mine(_)));
        let Taken::Mine(given) = other.take(run, 2, "b").await.unwrap() else { panic!("nobody has it") };
        other.give_back(run, 2, given).await.unwrap();
        assert!(other.take_back(run, token - 1).await.unwrap().is_empty(), "it does not lead");
        // One whose lease has ended may have been begun.
        tokio::time::sleep(LEASE * 2).await;
        assert_eq!(one.take_back(run, token).await.unwrap(), [0, 2]);
        let claims = one.claims(run).await.unwrap();
        assert_eq!(claims.iter().map(|claim| claim.place).collect::<Vec<_>>(), [1]);
        assert_eq!(other.take(run, 0, "b").await.unwrap(), Taken::Done);
    })
    .await;
}

#[tokio::test]
async fn the_first_request_to_pause_stays_and_concerns_one_run() {
    shared(async |one, other, header| {
        let run = header.run;
        let asked = |by: &str| Pause { by: by.to_owned(), reason: None, asked_at_ms: 7, origin: StartedBy::default() };
        assert_eq!(one.asked_to_pause(run).await.unwrap(), Asked::NotYet);
        assert!(one.ask_to_pause(run, &asked("ann")).await.unwrap());
        assert!(!other.ask_to_pause(run, &asked("bo")).await.unwrap());
        assert_eq!(other.asked_to_pause(run).await.unwrap(), Asked::Already(asked("ann")));
        // No program that looks for requests has begun this one.
        let unknown = Uuid::now_v7();
        assert!(!one.ask_to_pause(unknown, &asked("ann")).await.unwrap());
        assert_eq!(one.asked_to_pause(unknown).await.unwrap(), Asked::Never);
        // Whoever leads it is told at once; whoever has one tenant of it is not.
        let token = one.lead(run, "a").await.unwrap().unwrap();
        for (fence, is_told) in [(Fence::Leads { token }, true), (Fence::Has { place: 0, token: 1 }, false)] {
            let mut recorder = one.recorder();
            recorder.join(run, fence).await.unwrap();
            let told = tokio::time::timeout(Duration::from_secs(2), recorder.asked()).await;
            assert_eq!(told.is_ok(), is_told, "{fence:?}");
            recorder.finish().await.unwrap();
        }
    })
    .await;
}
