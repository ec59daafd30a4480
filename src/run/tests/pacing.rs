//! The pace of a run, with paused time.

use std::sync::atomic::AtomicI64;

use tokio::time::Instant;

use super::*;
use crate::policy::{Deadline, Rate, Window};
use crate::run::Pacing;

/// Runs a plan; returns each start of a tenant that was not started before, as the time since the run began, and its records.
async fn starts(plan: RunPlan, database: &Arc<Scripted>) -> (Vec<Duration>, Vec<TenantRecord>, RunStats) {
    let (sender, mut receiver) = mpsc::channel(1);
    let (begun, database): (_, Arc<dyn Database>) = (Instant::now(), database.clone());
    let running = tokio::spawn(execute(Arc::new(plan), database, Cancel::default(), sender));
    let (mut starts, mut records) = (Vec::new(), Vec::new());
    while let Some(event) = receiver.recv().await {
        match event {
            Event::AttemptStarted { attempt: 1, .. } => starts.push(begun.elapsed()),
            Event::TenantFinished(record) => records.push(record),
            _ => {}
        }
    }
    (starts, records, running.await.unwrap())
}

async fn fleet(tenants: usize, cap: usize) -> RunPlan {
    let ids: Vec<String> = (0..tenants).map(|i| format!("t{i:02}")).collect();
    let members: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), "s")).collect();
    let (first, rest) = members.split_at(tenants / 3);
    plan_of(Direction::Up, &[(first, FREE), (rest, FREE)], cap, cap).await
}

fn paused<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn a_rate_is_never_exceeded_and_nothing_new_is_started_after_the_deadline(
        tenants in 0_usize..40,
        cap in 1_usize..20,
        rate in prop::option::of(prop::sample::select(vec!["1/s", "3/s", "7/min", "60/min", "500/h"])),
        deadline in prop::option::of(0_u64..60_000),
        takes in 0_u64..5_000,
        retried in prop::collection::vec(0_usize..40, 0..6),
    ) {
        let (starts, records, stats) = paused(async {
            let db = Arc::new(Scripted { takes: Duration::from_millis(takes), ..Scripted::default() });
            for i in retried {
                db.act(&format!("t{i:02}"), vec![Act::Refuses(FaultClass::ConnectionRefused); 2]);
            }
            let mut plan = fleet(tenants, cap).await;
            plan.pacing.rate = rate.map(|rate| rate.parse().unwrap());
            plan.pacing.deadline = deadline.map(|ms| Instant::now() + Duration::from_millis(ms));
            starts(plan, &db).await
        });
        prop_assert_eq!(records.len(), tenants);
        let mut once: Vec<usize> = records.iter().map(|r| r.index).collect();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), tenants, "each tenant has one outcome");
        if let Some(rate) = rate {
            let (count, unit) = rate.split_once('/').unwrap();
            let (count, unit) = (count.parse::<usize>().unwrap(), match unit { "s" => 1, "min" => 60, _ => 3_600 });
            for (i, start) in starts.iter().enumerate() {
                let within = starts[i..].iter().filter(|other| **other < *start + Duration::from_secs(unit)).count();
                prop_assert!(within <= count, "{} starts within {}: {:?}", within, rate, starts);
            }
        }
        match deadline {
            Some(ms) => prop_assert!(starts.iter().all(|start| *start < Duration::from_millis(ms)), "{:?}", starts),
            None => prop_assert_eq!(starts.len(), tenants),
        }
        let left = records.iter().filter(|r| matches!(r.outcome, Outcome::NotStarted { .. })).count();
        prop_assert_eq!(left + starts.len(), tenants);
        prop_assert_eq!(stats.stopped, (left > 0).then_some(NotStarted::Deadline));
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_lets_those_in_flight_come_to_their_end_and_leaves_the_others_outstanding() {
    let db = Arc::new(Scripted { takes: Duration::from_secs(10), ..Scripted::default() });
    let mut plan = fleet(9, 2).await;
    plan.pacing.deadline = Some(Instant::now() + Duration::from_secs(15));
    let (starts, records, stats) = starts(plan, &db).await;
    assert_eq!(starts.iter().map(Duration::as_secs).collect::<Vec<_>>(), [0, 0, 10]);
    assert_eq!((stats.outcomes[OutcomeKind::Migrated], stats.verdict()), (3, Verdict::Outstanding));
    assert!(records[3..].iter().all(|r| r.outcome == NotStarted::Deadline.outcome()), "{records:?}");
    assert_eq!("15s".parse::<Deadline>().unwrap().moment(0), 15_000);
}

/// 21:59:00 UTC, and what the paused clock adds to it.
fn late_evening() -> i64 {
    static BEGAN: AtomicI64 = AtomicI64::new(i64::MIN);
    let zero = Instant::now();
    let now: i64 = std::convert::TryFrom::try_from(zero.into_std().duration_since(*ZERO).as_millis()).unwrap();
    let began =
        BEGAN.compare_exchange(i64::MIN, now, Ordering::SeqCst, Ordering::SeqCst).map_or_else(|began| began, |_| now);
    1_795_903_140_000 + now - began
}

static ZERO: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);

#[tokio::test(start_paused = true)]
async fn a_wave_waits_for_its_window_and_tells_it_once() {
    let _ = *ZERO;
    let window: Window = "22:00-22:01 UTC".parse().unwrap();
    let opens_at_ms = window.opens_at(late_evening()).unwrap();
    for stops_outside in [false, true] {
        let db = Arc::new(Scripted { takes: Duration::from_secs(25), ..Scripted::default() });
        let mut plan = fleet(6, 1).await;
        plan.waves[1].window = Some(window.clone());
        plan.pacing = Pacing { stops_outside, now_ms: late_evening, ..Pacing::default() };
        plan.pacing.rate = Some("1/s".parse::<Rate>().unwrap());
        let begun_ms = late_evening();
        let (stats, records, events) = run(plan, &db, Cancel::default()).await;
        let told = events.iter().filter(|e| matches!(e, Event::OutsideWindow { .. })).count();
        match stops_outside {
            // Three start in the first minute, and the fourth waits for the next day.
            false => {
                assert_eq!((stats.verdict(), told), (Verdict::AllAtTarget, 2), "{:?}", names(&records));
                assert!(late_evening() - opens_at_ms > 86_400_000, "{}", late_evening() - begun_ms);
            }
            true => {
                assert_eq!((stats.stopped, told), (Some(NotStarted::Window), 0));
                assert_eq!(names(&records)[2..], ["not_started"; 4]);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_outside_of_its_window_holds_up_no_other() {
    let _ = *ZERO;
    let night: Window = "22:00-22:20 UTC".parse().unwrap();
    let first = [("n1", "night"), ("d1", "day"), ("n2", "night"), ("d2", "day")];
    for (stops_outside, waits) in [(true, true), (true, false), (false, true)] {
        let db = Arc::new(Scripted { takes: Duration::from_secs(5), ..Scripted::default() });
        let mut plan = plan_of(Direction::Up, &[(&first, FREE), (&[("later", "day")], FREE)], 4, 1).await;
        if !waits {
            plan.waves[1].waits_for.clear();
        }
        let servers = [("night".into(), night.clone())].into();
        plan.pacing = Pacing { stops_outside, now_ms: late_evening, servers, ..Pacing::default() };
        let opens_at_ms = night.opens_at(late_evening()).unwrap();
        let (stats, records, events) = run(plan, &db, Cancel::default()).await;
        let told: Vec<_> = events.iter().filter(|e| matches!(e, Event::OutsideWindow { .. })).collect();
        let ended =
            |id: &str| events.iter().position(|e| matches!(e, Event::TenantFinished(r) if r.tenant.as_str() == id));
        match (stops_outside, waits) {
            (true, waits) => {
                let later = if waits { "not_started" } else { "migrated" };
                assert_eq!(names(&records), ["not_started", "migrated", "not_started", "migrated", later]);
                assert_eq!(records[0].outcome, NotStarted::Window.outcome());
                assert_eq!((stats.verdict(), stats.stopped), (Verdict::Outstanding, Some(NotStarted::Window)));
                assert!(told.is_empty() && late_evening() < opens_at_ms);
            }
            (false, _) => {
                assert_eq!((stats.verdict(), names(&records).len()), (Verdict::AllAtTarget, 5));
                assert!(ended("d2") < ended("n1") && ended("n2") < ended("later"), "{events:#?}");
                let [Event::OutsideWindow { wave, server: Some(server), opens_at_ms: at, .. }] = told[..] else {
                    panic!("{told:?}")
                };
                assert_eq!((&**wave, &**server, *at), ("w0", "night", opens_at_ms));
            }
        }
    }
}
