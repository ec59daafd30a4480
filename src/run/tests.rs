//! Scheduling on a scripted database with paused time: one outcome for each tenant, whatever happens.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use sea_orm_migration::prelude::*;
use secrecy::SecretString;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::*;
use crate::compile::MigrationSet;
use crate::engine::scripted::{Act, Scripted};
use crate::engine::{Database, Liveness, PartialState};
use crate::model::event::Event;
use crate::model::fault::FaultClass;
use crate::model::outcome::{NotStarted, Outcome, OutcomeKind, TenantRecord};
use crate::model::plan::Target;
use crate::model::run_kind::RunKind;
use crate::model::schema::Direction;
use crate::model::stats::{RunStats, Verdict};
use crate::model::tenant::{Address, Engine, TenantId};

mod caps;
mod gates;
mod hooking;
mod load;
mod order;
mod pacing;

struct M(&'static str);

impl MigrationName for M {
    fn name(&self) -> &str {
        self.0
    }
}

#[async_trait::async_trait]
impl MigrationTrait for M {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("create table t (i int)").await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("drop table t").await.map(drop)
    }
}

struct Two;

impl MigratorTrait for Two {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(M("m1")), Box::new(M("m2"))]
    }
}

pub(crate) fn tenant(id: &str, server: &str) -> Arc<Tenant> {
    let address = Address::Url(SecretString::from("postgres://h/d".to_owned()));
    Arc::new(Tenant { server: server.into(), ..Tenant::apart(id, Engine::Postgres, address) })
}

/// A plan over waves of (tenant, server).
pub(crate) async fn plan_of(
    direction: Direction,
    waves: &[(&[(&str, &str)], FailureBudget)],
    cap: usize,
    per_server: usize,
) -> RunPlan {
    let set = Arc::new(MigrationSet::new(&Two).await.unwrap());
    let mut tenants = Vec::new();
    let mut planned = Vec::new();
    for (i, (members, max_failures)) in waves.iter().enumerate() {
        let first = tenants.len();
        tenants.extend(members.iter().map(|(id, server)| tenant(id, server)));
        let places = (first..tenants.len()).collect();
        planned.push(PlannedWave {
            name: format!("w{i}"),
            tenants: places,
            concurrency: None,
            per_server: None,
            max_failures: *max_failures,
            former: Default::default(),
            waits_for: (0..i).map(|before| format!("w{before}")).collect(),
            gate: None,
            done: Vec::new(),
            lock_timeout: None,
            transaction: None,
            window: None,
        });
    }
    let header = RunHeader {
        run: Uuid::now_v7(),
        direction,
        goal: "head".into(),
        kind: RunKind::migrate(Goal { direction, target: Target::End, out_of_order: false }),
        resumes: None,
        catalog: vec!["m1".into(), "m2".into()],
        texts: Vec::new(),
        tenants: Vec::new(),
        started_at_ms: 0,
        program: "test".into(),
        started_by: Default::default(),
        selection: Vec::new(),
    };
    RunPlan {
        backup: None,
        header,
        catalog: set.catalog().clone(),
        tenants,
        waves: planned,
        max_failures: FREE,
        former: Default::default(),
        closed: Vec::new(),
        open_gates: Vec::new(),
        gatekeeper: None,
        runners: None,
        recorded: None,
        scripts: Arc::new(LazyScripts::new(set, direction, 0..2, false)),
        held_back: 0,
        concurrency: Concurrency {
            global: NonZeroUsize::new(cap).unwrap(),
            per_server: NonZeroUsize::new(per_server).unwrap(),
        },
        retry: RetryPolicy::default(),
        pacing: Pacing::default(),
        hooks: None,
        restore: None,
        seed: None,
        adopt: None,
        exec: None,
        left_at: HashMap::new(),
        starts: HashMap::new(),
        freezes: Default::default(),
        quarantined: Vec::new(),
        uncovered: Vec::new(),
        timeouts: Timeouts::default(),
        limits: Default::default(),
        kill_blockers: None,
        timings: false,
        transaction: Default::default(),
    }
}

async fn run(plan: RunPlan, database: &Arc<Scripted>, cancel: Cancel) -> (RunStats, Vec<TenantRecord>, Vec<Event>) {
    let (sender, mut receiver) = mpsc::channel(16);
    let database: Arc<dyn Database> = database.clone();
    let running = tokio::spawn(execute(Arc::new(plan), database, cancel, sender));
    let (mut records, mut events) = (Vec::new(), Vec::new());
    while let Some(event) = receiver.recv().await {
        if let Event::TenantFinished(record) = &event {
            records.push(record.clone());
        }
        events.push(event);
    }
    records.sort_by_key(|r| r.index);
    (running.await.unwrap(), records, events)
}

const FREE: FailureBudget = FailureBudget::UNLIMITED;

fn names(records: &[TenantRecord]) -> Vec<&'static str> {
    records.iter().map(|r| r.outcome.name()).collect()
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_end_is_its_tenants_own() {
    let db = Arc::new(Scripted::default());
    db.act("refused", vec![Act::Refuses(FaultClass::ConnectionRefused); 9]);
    db.act("password", [Act::Refuses(FaultClass::Authentication)]);
    db.act("panics", [Act::Panics]);
    db.act("exists", [Act::Stops(FaultClass::AlreadyExists, PartialState::Nothing)]);
    db.act("locked", vec![Act::Stops(FaultClass::LockTimeout, PartialState::Nothing); 99]);
    db.set_history("done", &["m1", "m2"]);
    db.set_history("ahead", &["m1", "m9"]);
    db.set_history("gap", &["m2"]);
    let members =
        ["ok", "refused", "password", "panics", "exists", "locked", "done", "ahead", "gap"].map(|id| (id, "s"));
    let plan = plan_of(Direction::Up, &[(&members, FREE)], 4, 4).await;
    let (stats, records, _) = run(plan, &db, Cancel::default()).await;
    assert_eq!(
        names(&records),
        [
            "migrated",
            "unreachable",
            "unreachable",
            "in_doubt",
            "failed",
            "lock_timeout",
            "up_to_date",
            "ahead",
            "failed"
        ]
    );
    let attempts: Vec<u32> = records.iter().map(|r| r.attempts).collect();
    assert_eq!(attempts[..5], [1, 5, 1, 1, 1]);
    assert_eq!(attempts[6..], [1, 1, 1]);
    assert_eq!(stats.verdict(), Verdict::Failures);
    assert_eq!(records[0].version.as_deref(), Some("m2"));
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_moved_after_the_plan_is_not_touched_and_one_that_this_run_moved_goes_on() {
    let db = Arc::new(Scripted::default());
    db.set_history("moved", &["m1"]);
    db.act("lost", [Act::Stops(FaultClass::Deadlock, PartialState::Nothing), Act::CommitsUnseen]);
    let members = ["moved", "same", "lost"].map(|id| (id, "s"));
    let mut plan = plan_of(Direction::Up, &[(&members, FREE)], 4, 4).await;
    plan.starts = members.iter().map(|(id, _)| (TenantId::from(*id), None)).collect();
    let (_, records, _) = run(plan, &db, Cancel::default()).await;
    assert_eq!(names(&records), ["failed", "migrated", "migrated"]);
    let fault = records[0].error.as_ref().unwrap();
    assert_eq!((fault.class, records[0].attempts), (FaultClass::HistoryMoved, 1));
    assert!(fault.message.contains("it is at m1, and the run was planned for it at no version"), "{}", fault.message);
    assert_eq!(db.history("moved"), ["m1"]);
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_tried_for_in_bursts_that_wait_longer_and_come_to_an_end() {
    let db = Arc::new(Scripted::default());
    db.act("locked", vec![Act::Stops(FaultClass::LockTimeout, PartialState::Nothing); 99]);
    db.act("own", vec![Act::Stops(FaultClass::LockTimeout, PartialState::Nothing); 4]);
    db.act("busy", vec![Act::Stops(FaultClass::Busy, PartialState::InDoubt(unfinished())); 4]);
    let members = ["locked", "own", "busy", "other"].map(|id| (id, "s"));
    let mut plan = plan_of(Direction::Up, &[(&members, FREE)], 4, 4).await;
    plan.waves[0].lock_timeout = Some(Duration::from_secs(2));
    let own = Tenant { lock_timeout: Some(Duration::from_millis(500)), ..Tenant::clone(&plan.tenants[1]) };
    plan.tenants[1] = Arc::new(own);
    let (wait, begun) = (plan.retry.locks.wait, tokio::time::Instant::now());
    let (_, records, _) = run(plan, &db, Cancel::default()).await;
    assert!(begun.elapsed() <= wait);
    assert_eq!(names(&records), ["lock_timeout", "migrated", "in_doubt", "migrated"]);
    let locks = db.locks.lock().unwrap();
    let of = |id: &str| locks[&TenantId::from(id)].iter().map(|l| l.as_millis()).collect::<Vec<_>>();
    assert_eq!(of("locked")[..7], [500, 500, 500, 1000, 1000, 1000, 2000], "more and more of the wave's");
    assert!(of("locked").iter().all(|ms| *ms <= 2000));
    assert_eq!(of("own"), [125, 125, 125, 250, 250], "the tenant's own");
    assert_eq!(of("busy").len(), 1, "what left something behind is not tried again");
}

fn unfinished() -> crate::model::schema::Unfinished {
    crate::model::schema::Unfinished {
        migration: "m1".into(),
        direction: Direction::Up,
        statement: Some(1),
        run: "r".into(),
        stopped: false,
        sha256: String::new(),
        is_gone: false,
        lost: String::new(),
        vouched: false,
    }
}

fn pace_of<'a>(plan: &RunPlan, done: &'a AtomicUsize) -> Pace<'a> {
    let (concurrency, timeouts, lock_wait_limit) = (plan.concurrency, plan.timeouts, plan.retry.lock_wait_limit);
    Pace { concurrency, timeouts, lock_wait_limit, answer: None, done }
}

#[tokio::test(start_paused = true)]
async fn a_server_without_connections_to_spare_fails_nobody_and_is_asked_for_fewer() {
    let db = Arc::new(Scripted { room: 2, takes: Duration::from_secs(5), ..Scripted::default() });
    let ids: Vec<String> = (0..30).map(|i| format!("t{i}")).collect();
    let members: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), "s")).collect();
    let mut plan = plan_of(Direction::Up, &[(&members, FREE)], 16, 8).await;
    plan.retry.attempts = 1;
    let tenants = plan.tenants.clone();
    let done = AtomicUsize::new(0);
    let pace = pace_of(&plan, &done);
    let set = plan.scripts.migrations().clone();
    let (stats, records, events) = run(plan, &db, Cancel::default()).await;
    assert_eq!(stats.verdict(), Verdict::AllAtTarget, "{:?}", names(&records));
    let refused = events.iter().filter(|e| matches!(e, Event::AttemptFailed { .. })).count();
    assert!((6..30).contains(&refused), "the first eight at once, then few: {refused}");
    assert_eq!(db.most.load(Ordering::SeqCst), 2);

    let database: Arc<dyn Database> = db.clone();
    let observed = observe(&tenants, (&set, false), &database, pace).await;
    assert!(observed.iter().all(|o| o.state.name() == "at_target"));
    assert_eq!(done.load(Ordering::SeqCst), 30, "each tenant is counted once");
}

#[tokio::test(start_paused = true)]
async fn only_a_plan_asks_for_tables_and_only_where_nothing_is_applied() {
    let db = Arc::new(Scripted::default());
    let plan = plan_of(Direction::Up, &[(&[("a", "s")], FREE)], 1, 1).await;
    let done = AtomicUsize::new(0);
    let pace = pace_of(&plan, &done);
    let (tenants, set) = (plan.tenants.clone(), plan.scripts.migrations().clone());
    let database: Arc<dyn Database> = db.clone();
    let tables = async |asks| observe(&tenants, (&set, asks), &database, pace).await[0].tables;
    assert_eq!((tables(true).await, tables(false).await), (3, 0));
    run(plan, &db, Cancel::default()).await;
    assert_eq!(tables(true).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stays_full_is_waited_for_as_long_as_another_run() {
    let db = Arc::new(Scripted::default());
    db.act("a", vec![Act::Refuses(FaultClass::TooManyConnections); 1000]);
    let plan = plan_of(Direction::Up, &[(&[("a", "s"), ("b", "s")], FREE)], 2, 2).await;
    let done = AtomicUsize::new(0);
    let pace = pace_of(&plan, &done);
    let (tenants, set) = (plan.tenants.clone(), plan.scripts.migrations().clone());
    let begun = tokio::time::Instant::now();
    let (_, records, _) = run(plan, &db, Cancel::default()).await;
    assert_eq!(names(&records), ["unreachable", "migrated"]);
    assert!((60..70).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    let begun = tokio::time::Instant::now();
    let database: Arc<dyn Database> = db.clone();
    let observed = observe(&tenants, (&set, false), &database, pace).await;
    assert_eq!(observed.iter().map(|o| o.state.name()).collect::<Vec<_>>(), ["unreachable", "at_target"]);
    assert!((60..70).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_was_lost_is_found_again_and_counted_once() {
    let db = Arc::new(Scripted::default());
    db.act("a", [Act::CommitsUnseen]);
    let plan = plan_of(Direction::Up, &[(&[("a", "s")], FREE)], 1, 1).await;
    let (stats, records, _) = run(plan, &db, Cancel::default()).await;
    assert_eq!(stats.verdict(), Verdict::AllAtTarget);
    assert!(
        matches!(&records[0].outcome, Outcome::Migrated(moved) if moved.n == 2 && moved.from.is_none()),
        "{records:?}"
    );
    assert_eq!(records[0].committed, ["m1", "m2"]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_tenant_that_stays_silent_is_in_doubt_not_unreachable() {
    let db = Arc::new(Scripted::default());
    let mut acts = vec![Act::CommitsUnseen];
    acts.extend(vec![Act::Refuses(FaultClass::ConnectionRefused); 9]);
    db.act("a", acts);
    let plan = plan_of(Direction::Up, &[(&[("a", "s")], FREE)], 1, 1).await;
    let (_, records, _) = run(plan, &db, Cancel::default()).await;
    assert_eq!(names(&records), ["in_doubt"]);
    assert_eq!(records[0].version, None, "nobody knows");
}

/// TCP never notices a packet lost on a dead line on the side that only waits.
#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_is_given_up_and_the_tenant_read_again() {
    for (sign, longest) in
        [(Liveness::Waits, 100), (Liveness::Gone, 100), (Liveness::Silent, 100), (Liveness::Unheard, 100)]
    {
        let db = Arc::new(Scripted::default());
        db.act("a", [Act::AnswersNever(sign)]);
        let plan = plan_of(Direction::Up, &[(&[("a", "s"), ("b", "s")], FREE)], 2, 2).await;
        let begun = tokio::time::Instant::now();
        let (_, records, _) = run(plan, &db, Cancel::default()).await;
        assert_eq!(names(&records), ["migrated", "migrated"]);
        assert_eq!((records[0].attempts, &records[0].committed[..]), (2, &["m1".to_owned(), "m2".to_owned()][..]));
        assert!(records[1].duration < Duration::from_secs(1), "nobody else waits for it: {records:?}");
        assert!((60..longest).contains(&begun.elapsed().as_secs()), "{sign:?} took {:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_works_for_hours_is_waited_for() {
    let db = Arc::new(Scripted { takes: Duration::from_secs(20_000), ..Scripted::default() });
    let plan = plan_of(Direction::Up, &[(&[("a", "s")], FREE)], 1, 1).await;
    let (_, records, _) = run(plan, &db, Cancel::default()).await;
    assert_eq!((names(&records), records[0].attempts), (vec!["migrated"], 1));
}

/// The lost session may be the one that holds the tenant, and may yet commit, so "nothing changed" can't be claimed.
#[tokio::test(start_paused = true)]
async fn a_lost_tenant_that_is_held_ever_after_is_in_doubt() {
    let db = Arc::new(Scripted::default());
    let mut acts = vec![Act::Stops(FaultClass::ConnectionLost, PartialState::Unknown)];
    acts.extend(vec![Act::Stops(FaultClass::TenantLocked, PartialState::Nothing); 99]);
    db.act("a", acts);
    let plan = plan_of(Direction::Up, &[(&[("a", "s")], FREE)], 1, 1).await;
    let (_, records, _) = run(plan, &db, Cancel::default()).await;
    assert_eq!(names(&records), ["in_doubt"]);
    assert!(!records[0].version_known);
}

/// It continues after the first read: its later commits are this run's work, too.
#[tokio::test(start_paused = true)]
async fn what_a_lost_session_commits_after_the_tenant_was_read_again_is_counted() {
    let db = Arc::new(Scripted::default());
    let lost = Act::Stops(FaultClass::ConnectionLost, PartialState::Unknown);
    db.act("a", [lost, Act::Stops(FaultClass::HistoryMoved, PartialState::Nothing)]);
    let plan = plan_of(Direction::Up, &[(&[("a", "s")], FREE)], 1, 1).await;
    let server = db.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.set_history("a", &["m1"]);
    });
    let (_, records, _) = run(plan, &db, Cancel::default()).await;
    assert_eq!((names(&records), records[0].attempts), (vec!["migrated"], 3));
    assert_eq!(records[0].committed, ["m1", "m2"]);
}

#[tokio::test(start_paused = true)]
async fn another_run_is_waited_for_and_what_it_did_is_not_claimed() {
    let db = Arc::new(Scripted::default());
    db.act("a", vec![Act::Stops(FaultClass::TenantLocked, PartialState::Nothing); 20]);
    let plan = plan_of(Direction::Up, &[(&[("a", "s")], FREE)], 1, 1).await;
    let other = db.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        other.set_history("a", &["m1", "m2"]);
    });
    let (_, records, _) = run(plan, &db, Cancel::default()).await;
    assert_eq!(names(&records), ["up_to_date"]);
    assert!(records[0].committed.is_empty());
    assert!(records[0].attempts > 5, "waiting is no attempt: {}", records[0].attempts);
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_fails_stops_the_later_waves() {
    let db = Arc::new(Scripted::default());
    db.act("c", [Act::Stops(FaultClass::Syntax, PartialState::Nothing)]);
    let waves: &[(&[(&str, &str)], FailureBudget)] =
        &[(&[("c", "s")], FailureBudget::NONE), (&[("a", "s"), ("b", "s")], FREE)];
    let (stats, records, _) = run(plan_of(Direction::Up, waves, 4, 4).await, &db, Cancel::default()).await;
    assert_eq!(names(&records), ["failed", "not_started", "not_started"]);
    assert_eq!(stats.verdict(), Verdict::BudgetExhausted);
    assert_eq!(db.connects.load(Ordering::SeqCst), 1, "nobody else was touched");
}

#[tokio::test(start_paused = true)]
async fn draining_finishes_what_is_in_flight_and_starts_nothing() {
    let db = Arc::new(Scripted { takes: Duration::from_secs(10), ..Scripted::default() });
    let members: Vec<(String, &str)> = (0..6).map(|i| (format!("t{i}"), "s")).collect();
    let members: Vec<(&str, &str)> = members.iter().map(|(t, s)| (t.as_str(), *s)).collect();
    let cancel = Cancel::default();
    let stop = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        stop.drain(NotStarted::Interrupted);
    });
    let plan = plan_of(Direction::Up, &[(&members, FREE)], 2, 2).await;
    let (stats, records, _) = run(plan, &db, cancel).await;
    assert_eq!(names(&records), ["migrated", "migrated", "not_started", "not_started", "not_started", "not_started"]);
    assert_eq!(stats.verdict(), Verdict::Interrupted);
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_what_hangs() {
    let db = Arc::new(Scripted::default());
    db.act("a", [Act::Hangs]);
    let cancel = Cancel::default();
    let stop = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        stop.cancel(NotStarted::Interrupted);
    });
    let plan = plan_of(Direction::Up, &[(&[("a", "s"), ("b", "s")], FREE)], 1, 1).await;
    let (stats, records, _) = run(plan, &db, cancel).await;
    assert_eq!(names(&records), ["interrupted", "not_started"]);
    assert_eq!(stats.verdict(), Verdict::Interrupted);
}

#[tokio::test(start_paused = true)]
async fn a_retry_holds_no_place_while_it_waits() {
    let db = Arc::new(Scripted { takes: Duration::from_millis(10), ..Scripted::default() });
    db.act("slow", vec![Act::Stops(FaultClass::LockTimeout, PartialState::Nothing); 4]);
    let plan = plan_of(Direction::Up, &[(&[("slow", "s"), ("b", "s"), ("c", "s")], FREE)], 1, 1).await;
    let (_, _, events) = run(plan, &db, Cancel::default()).await;
    let finished: Vec<&str> = events
        .iter()
        .filter_map(|e| if let Event::TenantFinished(r) = e { Some(r.tenant.as_str()) } else { None })
        .collect();
    assert_eq!(finished, ["b", "c", "slow"]);
}

#[tokio::test(start_paused = true)]
async fn tenants_read_together_and_at_target_cost_no_connection() {
    let db = Arc::new(Scripted { read_together: true, ..Scripted::default() });
    db.set_history("a", &["m1", "m2"]);
    let plan = plan_of(Direction::Up, &[(&[("a", "s"), ("b", "s")], FREE)], 2, 2).await;
    let (_, records, _) = run(plan, &db, Cancel::default()).await;
    assert_eq!(names(&records), ["up_to_date", "migrated"]);
    assert_eq!(db.connects.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn rolling_back_takes_the_newest_first() {
    let db = Arc::new(Scripted::default());
    db.set_history("a", &["m1", "m2"]);
    let plan = plan_of(Direction::Down, &[(&[("a", "s")], FREE)], 1, 1).await;
    let (_, records, _) = run(plan, &db, Cancel::default()).await;
    assert_eq!(records[0].committed, ["m2", "m1"]);
    assert!(matches!(&records[0].outcome, Outcome::RolledBack(m) if m.from.as_deref() == Some("m2") && m.to.is_none()));
    assert!(db.history("a").is_empty());
}

fn any_budget() -> impl Strategy<Value = FailureBudget> {
    let most = prop_oneof![
        4 => (0_usize..6).prop_map(|most| most.to_string()),
        4 => (0_u8..50, 1_usize..20).prop_map(|(share, sample)| format!("{share}% from {sample}")),
        1 => Just("unlimited".to_owned()),
    ];
    let without = prop_oneof![3 => Just(""), 1 => Just(" without unreachable"), 1 => Just(" without failed,in_doubt")];
    (most, without).prop_map(|(most, without)| format!("{most}{without}").parse().unwrap())
}

/// As many tenants as the wave has would fail at once.
#[tokio::test(start_paused = true)]
async fn a_budget_of_none_is_overshot_by_one_tenant_only() {
    let ids: Vec<String> = (0..28).map(|i| format!("t{i}")).collect();
    let wave: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), "s")).collect();
    for (budget, failed) in [("0", 1), ("3", 4), ("25%", 8), ("unlimited", 28)] {
        let db = Arc::new(Scripted { takes: Duration::from_millis(5), ..Scripted::default() });
        for id in &ids {
            db.act(id, [Act::Stops(FaultClass::Syntax, PartialState::Nothing)]);
        }
        let plan = plan_of(Direction::Up, &[(&wave, budget.parse().unwrap())], 16, 16).await;
        let (stats, ..) = run(plan, &db, Cancel::default()).await;
        assert_eq!(stats.outcomes[OutcomeKind::Failed], failed, "{budget}");
    }
}

/// Each wave could keep its own budget.
#[tokio::test(start_paused = true)]
async fn the_budget_of_the_run_counts_over_all_waves() {
    let ids: Vec<String> = (0..12).map(|i| format!("t{i}")).collect();
    let members: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), "s")).collect();
    let waves: Vec<_> = members.chunks(4).map(|wave| (wave, FREE)).collect();
    for (budget, failed) in [("0", 1), ("2", 3), ("5", 6), ("50%", 7)] {
        let db = Arc::new(Scripted { takes: Duration::from_millis(5), ..Scripted::default() });
        for id in &ids {
            db.act(id, [Act::Stops(FaultClass::Syntax, PartialState::Nothing)]);
        }
        let plan = RunPlan { max_failures: budget.parse().unwrap(), ..plan_of(Direction::Up, &waves, 16, 16).await };
        let (stats, records, _) = run(plan, &db, Cancel::default()).await;
        assert_eq!(stats.outcomes[OutcomeKind::Failed], failed, "{budget}");
        assert_eq!((stats.verdict(), stats.stopped), (Verdict::BudgetExhausted, Some(NotStarted::RunFailureBudget)));
        assert_eq!(records.last().unwrap().outcome, NotStarted::RunFailureBudget.outcome());
    }
}

/// At most one tenant more than the budget of a wave, or of the run, has failed: the one that stopped it.
fn is_within(budget: FailureBudget, records: &[TenantRecord], wave: Option<&str>) {
    let of_it: Vec<&TenantRecord> = records.iter().filter(|r| wave.is_none_or(|wave| r.wave == wave)).collect();
    let failed = of_it.iter().filter(|r| budget.counts(r.outcome.kind())).count();
    assert!(failed <= budget.most(of_it.len()).saturating_add(1), "{failed} of {} failed, {budget}", of_it.len());
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => Just(Act::Succeeds),
        1 => Just(Act::Refuses(FaultClass::ConnectionRefused)),
        1 => Just(Act::Refuses(FaultClass::Authentication)),
        1 => Just(Act::Stops(FaultClass::LockTimeout, PartialState::Nothing)),
        1 => Just(Act::Stops(FaultClass::Syntax, PartialState::Nothing)),
        1 => Just(Act::Panics),
        1 => Just(Act::CommitsUnseen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn every_tenant_has_exactly_one_outcome_and_caps_hold(
        acts in prop::collection::vec((any_act(), 0_u8..3, 0_u8..3), 1..40), cap in 1_usize..6, stop_at in 0_u64..40,
        budgets in prop::array::uniform4(any_budget())
    ) {
        let [of_run, of_waves @ ..] = budgets;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let db = Arc::new(Scripted { takes: Duration::from_millis(5), ..Scripted::default() });
            let ids: Vec<(String, String)> = (0..acts.len()).map(|i| (format!("t{i}"), format!("s{}", acts[i].1))).collect();
            for (i, (act, ..)) in acts.iter().enumerate() {
                db.act(&ids[i].0, [act.clone()]);
            }
            let mut waves: Vec<Vec<(&str, &str)>> = vec![Vec::new(); 3];
            for (i, (_, _, wave)) in acts.iter().enumerate() {
                waves[*wave as usize].push((&ids[i].0, &ids[i].1));
            }
            let waves: Vec<(&[(&str, &str)], FailureBudget)> =
                waves.iter().zip(of_waves).map(|(w, budget)| (w.as_slice(), budget)).collect();
            let plan = RunPlan { max_failures: of_run, ..plan_of(Direction::Up, &waves, cap, 2).await };
            let total = plan.tenants.len();
            let cancel = Cancel::default();
            let stop = cancel.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(stop_at * 3)).await;
                if stop_at % 2 == 0 { stop.drain(NotStarted::Interrupted) } else { stop.cancel(NotStarted::Interrupted) }
            });
            let (stats, records, _) = run(plan, &db, cancel).await;
            let indexes: Vec<usize> = records.iter().map(|r| r.index).collect();
            assert_eq!(indexes, (0..total).collect::<Vec<_>>());
            assert_eq!(stats.finished(), total);
            assert!(db.most.load(Ordering::SeqCst) <= cap);
            is_within(of_run, &records, None);
            for (wave, (_, budget)) in waves.iter().enumerate() {
                is_within(*budget, &records, Some(&format!("w{wave}")));
            }
            for record in &records {
                let history = db.history(record.tenant.as_str());
                match record.outcome {
                    Outcome::Migrated(_) => assert_eq!(history, ["m1", "m2"]),
                    Outcome::NotStarted { .. } => assert!(history.is_empty()),
                    Outcome::Failed { .. } | Outcome::LockTimeout { .. } => assert!(history.is_empty()),
                    _ => {}
                }
            }
        });
    }
}
