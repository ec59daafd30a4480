//! The load of servers and the starts on them, with paused time.

use std::sync::Mutex;

use tokio::time::Instant;

use super::*;
use crate::model::fault::Fault;
use crate::model::health::Room;
use crate::model::load::ServerLoad;
use crate::policy::LoadLimits;

const LIMITS: LoadLimits = LoadLimits {
    connections: None,
    lock_waits: Some(5),
    replication_lag: None,
    log_growth: None,
    free_space: None,
    interval: Duration::from_secs(10),
    patience: Duration::from_secs(600),
};

fn waits(n: u64) -> Result<ServerLoad, Fault> {
    Ok(ServerLoad { lock_waits: Some(n), ..ServerLoad::default() })
}

/// The servers that were read, each with the time in seconds.
type Reads = Arc<Mutex<Vec<(String, u64)>>>;

/// A database whose servers have this load, by the seconds after now; and the readings of it.
fn loaded(
    takes: u64,
    load: impl Fn(&str, u64) -> Result<ServerLoad, Fault> + Send + Sync + 'static,
) -> (Arc<Scripted>, Reads) {
    let (begun, reads) = (Instant::now(), Reads::default());
    let noted = reads.clone();
    let load = move |server: &str| {
        let now = begun.elapsed().as_secs();
        noted.lock().unwrap().push((server.to_owned(), now));
        load(server, now)
    };
    let takes = Duration::from_secs(takes);
    (Arc::new(Scripted { takes, load: Some(Arc::new(load)), ..Scripted::default() }), reads)
}

/// Runs a plan; returns the time of each start by tenant, in seconds, and what else it came to.
async fn starts(
    limits: LoadLimits,
    members: &[(&str, &str)],
    database: &Arc<Scripted>,
) -> (Vec<(String, u64)>, Vec<TenantRecord>, RunStats, Vec<Event>) {
    let mut plan = plan_of(Direction::Up, &[(members, FREE)], 4, 1).await;
    plan.pacing.load = Some(limits);
    let (sender, mut receiver) = mpsc::channel(1);
    let (begun, database): (_, Arc<dyn Database>) = (Instant::now(), database.clone());
    let running = tokio::spawn(execute(Arc::new(plan), database, Cancel::default(), sender));
    let (mut starts, mut records, mut events) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(event) = receiver.recv().await {
        match &event {
            Event::AttemptStarted { tenant, .. } => starts.push((tenant.to_string(), begun.elapsed().as_secs())),
            Event::TenantFinished(record) => records.push(record.clone()),
            _ => {}
        }
        events.push(event);
    }
    records.sort_by_key(|record| record.index);
    (starts, records, running.await.unwrap(), events)
}

fn at(starts: &[(String, u64)]) -> Vec<(&str, u64)> {
    starts.iter().map(|(tenant, at)| (tenant.as_str(), *at)).collect()
}

const MEMBERS: [(&str, &str); 4] = [("b1", "busy"), ("c1", "calm"), ("b2", "busy"), ("c2", "calm")];

#[tokio::test(start_paused = true)]
async fn a_server_beyond_a_limit_is_waited_for_and_holds_up_no_other() {
    let (db, reads) = loaded(4, |server, now| waits(if server == "busy" && now < 35 { 9 } else { 5 }));
    let (starts, _, stats, events) = starts(LIMITS, &MEMBERS, &db).await;
    assert_eq!(at(&starts), [("c1", 0), ("c2", 4), ("b1", 40), ("b2", 44)]);
    assert_eq!(stats.verdict(), Verdict::AllAtTarget);
    let of_busy = |event: &&Event| matches!(event, Event::ServerLoad { server, turns: true, .. } if server == "busy");
    assert_eq!(events.iter().filter(of_busy).count(), 2, "beyond it, and back");
    let of_busy: Vec<u64> = reads.lock().unwrap().iter().filter(|(of, _)| of == "busy").map(|(_, at)| *at).collect();
    assert_eq!(of_busy, [0, 10, 20, 30, 40]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_rises_above_a_limit_during_the_run_ends_what_is_in_flight_and_starts_nothing_new() {
    let (db, _) = loaded(25, |_, now| waits(if (5..55).contains(&now) { 9 } else { 0 }));
    let (starts, _, stats, _) = starts(LIMITS, &[("b1", "busy"), ("b2", "busy")], &db).await;
    assert_eq!(at(&starts), [("b1", 0), ("b2", 60)]);
    assert_eq!(stats.verdict(), Verdict::AllAtTarget);
}

#[tokio::test(start_paused = true)]
async fn the_run_pauses_where_it_has_waited_for_too_long_and_only_for_tenants_that_wait() {
    let limits = LoadLimits { patience: Duration::from_secs(30), ..LIMITS };
    let members = [("b1", "busy"), ("c1", "calm"), ("c2", "calm"), ("c3", "calm"), ("c4", "calm")];
    let (db, _) = loaded(12, |server, _| waits(if server == "busy" { 9 } else { 0 }));
    let (starts, records, stats, events) = starts(limits, &members, &db).await;
    assert_eq!(at(&starts), [("c1", 0), ("c2", 12), ("c3", 24)]);
    assert_eq!(names(&records), ["not_started", "migrated", "migrated", "migrated", "not_started"]);
    assert!([0, 4].iter().all(|&i| records[i].outcome == NotStarted::Overloaded.outcome()), "{records:?}");
    assert_eq!((stats.stopped, stats.verdict()), (Some(NotStarted::Overloaded), Verdict::Outstanding));
    let overload = events.iter().find_map(|event| match event {
        Event::Overloaded(overload) => Some((&*overload.server, overload.for_ms, &*overload.over[0].text)),
        _ => None,
    });
    assert_eq!(overload, Some(("busy", 30_000, "9 sessions wait for locks (at most 5)")));

    // The last tenant of the busy server is in flight when it rises: others go on, whatever it does.
    let (db, _) = loaded(60, |server, now| waits(if server == "busy" && now > 5 { 9 } else { 0 }));
    let (_, _, stats, events) = self::starts(limits, &members, &db).await;
    assert_eq!(stats.verdict(), Verdict::AllAtTarget);
    assert!(!events.iter().any(|event| matches!(event, Event::Overloaded(_))));
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_connection_to_spare_is_waited_for_and_one_that_can_not_be_read_is_not() {
    let limits = LoadLimits { connections: Some(80), ..LIMITS };
    let full = || Fault::new(FaultClass::TooManyConnections, "no more");
    let (db, _) = loaded(1, move |server, now| match (server, now) {
        ("busy", 0..15) => Err(full()),
        ("busy", 15..25) => Ok(ServerLoad { connections: Some(Room { used: 81, most: 100 }), ..ServerLoad::default() }),
        ("busy", _) => Ok(ServerLoad { connections: Some(Room { used: 80, most: 100 }), ..ServerLoad::default() }),
        _ => Err(Fault::new(FaultClass::Authentication, "not for you")),
    });
    let (starts, _, stats, events) = starts(limits, &MEMBERS, &db).await;
    assert_eq!(at(&starts), [("c1", 0), ("c2", 1), ("b1", 30), ("b2", 31)]);
    assert_eq!(stats.verdict(), Verdict::AllAtTarget);
    let told = events.iter().filter(|event| {
        let Event::ServerLoad { server, unkept, turns, .. } = event else { return false };
        server == "calm" && *turns && unkept[0].limit == "max_connections_share, max_lock_waits"
    });
    assert_eq!(told.count(), 1, "once, for as long as it is so");
}

#[tokio::test(start_paused = true)]
async fn without_limits_servers_are_read_beside_the_work_and_only_while_it_lasts() {
    let none = LoadLimits { lock_waits: None, ..LIMITS };
    let log = |now: u64| ServerLoad { log_bytes: Some(1_000 + now), ..ServerLoad::default() };
    let (db, reads) = loaded(24, move |_, now| Ok(log(now)));
    let (starts, _, _, events) = starts(none, &[("b1", "busy"), ("b2", "busy")], &db).await;
    assert_eq!(at(&starts), [("b1", 0), ("b2", 24)], "no start waits for a reading");
    let at: Vec<u64> = reads.lock().unwrap().iter().map(|(_, at)| *at).collect();
    assert_eq!(at, [10, 20, 30, 40], "a run that is over sooner asks nothing");
    let grown: Vec<Option<u64>> = events
        .iter()
        .filter_map(|event| match event {
            Event::ServerLoad { load, .. } => Some(load.log_bytes),
            _ => None,
        })
        .collect();
    assert_eq!(grown, [Some(0), Some(10), Some(20), Some(30)], "since the first reading");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn each_tenant_has_one_outcome_and_none_is_started_on_a_server_that_was_just_seen_beyond_its_limit(
        tenants in 1_usize..20,
        servers in 1_usize..4,
        takes in 0_u64..40,
        busy in prop::collection::vec((0_usize..4, 0_u64..200, 1_u64..120), 0..6),
        patience in 0_u64..200,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (records, stats, events) = runtime.block_on(async {
            let (db, _) = loaded(takes, move |server, now| {
                let is_busy = busy.iter().any(|(of, from, long)| server == format!("s{of}") && (*from..from + long).contains(&now));
                waits(if is_busy { 9 } else { 0 })
            });
            let ids: Vec<(String, String)> = (0..tenants).map(|i| (format!("t{i:02}"), format!("s{}", i % servers))).collect();
            let members: Vec<(&str, &str)> = ids.iter().map(|(id, server)| (id.as_str(), server.as_str())).collect();
            let limits = LoadLimits { patience: Duration::from_secs(patience), ..LIMITS };
            let (_, records, stats, events) = starts(limits, &members, &db).await;
            (records, stats, events)
        });
        prop_assert_eq!(records.len(), tenants);
        prop_assert!(records.iter().enumerate().all(|(i, record)| record.index == i));
        let left = records.iter().filter(|r| r.outcome == NotStarted::Overloaded.outcome()).count();
        prop_assert_eq!(left > 0, stats.stopped == Some(NotStarted::Overloaded));
        prop_assert_eq!(stats.outcomes[OutcomeKind::Migrated] + left, tenants);
        let mut over = std::collections::HashSet::new();
        for event in &events {
            match event {
                Event::ServerLoad { server, over: excesses, .. } if excesses.is_empty() => _ = over.remove(server),
                Event::ServerLoad { server, .. } => _ = over.insert(server.clone()),
                Event::AttemptStarted { index, .. } => {
                    let is_over = over.contains(&format!("s{}", index % servers));
                    prop_assert!(!is_over);
                }
                _ => {}
            }
        }
    }
}
