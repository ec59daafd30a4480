//! Gates between waves.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Mutex;

use tokio::sync::watch;
use tokio::time::Instant;

use super::*;
use crate::model::gate::{CheckAnswer, GateAction, GateEnd, GateRecord};
use crate::policy::{Check, Gate, UsedUp};
use crate::run::{Gatekeeper, Question};

/// Answers by wave, in order; with none left every check holds.
#[derive(Default)]
struct Answers {
    left: Mutex<HashMap<String, VecDeque<bool>>>,
    /// How many tenants each question was about.
    tenants: Mutex<Vec<usize>>,
    takes: Duration,
}

#[async_trait::async_trait]
impl Gatekeeper for Answers {
    async fn ask(&self, question: Question<'_>) -> CheckAnswer {
        self.tenants.lock().unwrap().push(question.tenants.len());
        tokio::time::sleep(self.takes).await;
        let holds = self.left.lock().unwrap().get_mut(question.wave).and_then(VecDeque::pop_front).unwrap_or(true);
        CheckAnswer { check: question.check.to_string(), holds, value: String::new() }
    }
}

fn answering(wave: &str, answers: &[bool]) -> Answers {
    let left = HashMap::from([(wave.to_owned(), answers.iter().copied().collect())]);
    Answers { left: Mutex::new(left), ..Answers::default() }
}

/// Ten minutes, with a question each minute.
fn gate() -> Gate {
    Gate {
        soak: Duration::from_secs(600),
        every: Duration::from_secs(60),
        timeout: Duration::from_secs(10),
        checks: vec![Check::Http("http://h/".parse().unwrap())],
        then: GateAction::Continue,
        on_failure: GateAction::Stop,
    }
}

/// A canary of one tenant with this gate, and a wave of two behind it.
async fn gated(gate: Gate, answers: Answers) -> RunPlan {
    let waves: &[(&[(&str, &str)], FailureBudget)] = &[(&[("c", "s")], FREE), (&[("a", "s"), ("b", "s")], FREE)];
    let mut plan = plan_of(Direction::Up, waves, 4, 4).await;
    plan.waves[0].gate = Some(gate);
    RunPlan { gatekeeper: Some(Arc::new(answers)), ..plan }
}

fn records_of(events: &[Event]) -> Vec<GateRecord> {
    let record = |event: &Event| if let Event::GateFinished(record) = event { Some(record.clone()) } else { None };
    events.iter().filter_map(record).collect()
}

/// The waves that are to be taken back, each with the reason.
fn rollbacks(events: &[Event]) -> Vec<(&String, NotStarted)> {
    let due = events.iter().filter_map(|event| match event {
        Event::RollbackDue { wave, reason } => Some((wave, *reason)),
        _ => None,
    });
    due.collect()
}

#[tokio::test(start_paused = true)]
async fn a_wave_is_taken_back_for_failures_and_for_nothing_else() {
    let undo = || Gate { on_failure: GateAction::RollbackWave, ..gate() };
    let db = Arc::new(Scripted::default());
    let (stats, records, events) = run(gated(undo(), answering("w0", &[false])).await, &db, Cancel::default()).await;
    assert_eq!(rollbacks(&events), [(&"w0".to_owned(), NotStarted::GateFailed)]);
    assert_eq!(
        (stats.verdict(), names(&records)),
        (Verdict::GateFailed, vec!["migrated", "not_started", "not_started"])
    );
    // Its own budget, or that of the run, was used up in it: its gate can't be passed any more.
    for (of_wave, of_run, reason) in [
        (FailureBudget::NONE, FREE, NotStarted::FailureBudget),
        (FREE, FailureBudget::NONE, NotStarted::RunFailureBudget),
    ] {
        let db = Arc::new(Scripted::default());
        db.act("c", [Act::Stops(FaultClass::Syntax, PartialState::Nothing)]);
        let mut plan = gated(undo(), Answers::default()).await;
        (plan.waves[0].max_failures, plan.max_failures) = (of_wave, of_run);
        let (_, _, events) = run(plan, &db, Cancel::default()).await;
        assert_eq!(rollbacks(&events), [(&"w0".to_owned(), reason)]);
    }
    // A person who stops it goes on with it later.
    let cancel = Cancel::default();
    let stop = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(30)).await;
        stop.drain(NotStarted::Interrupted);
    });
    let (_, _, events) = run(gated(undo(), Answers::default()).await, &Arc::new(Scripted::default()), cancel).await;
    assert_eq!(rollbacks(&events), []);
}

#[tokio::test(start_paused = true)]
async fn a_wave_waits_for_the_soak_of_the_one_before() {
    let db = Arc::new(Scripted::default());
    let begun = Instant::now();
    let (stats, _, events) = run(gated(gate(), Answers::default()).await, &db, Cancel::default()).await;
    assert_eq!(stats.verdict(), Verdict::AllAtTarget);
    assert_eq!(begun.elapsed().as_secs(), 600);
    let names: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            Event::WaveStarted { wave, .. } => Some(wave.as_str()),
            Event::GateStarted { .. } => Some("gate"),
            Event::GateFinished(record) if record.end == GateEnd::Passed => Some("passed"),
            _ => None,
        })
        .collect();
    assert_eq!(names, ["w0", "gate", "passed", "w1"]);
}

/// Whoever finds a dead run without the beginning of a wave in its ledger knows that no tenant of it was touched.
#[tokio::test(start_paused = true)]
async fn no_tenant_is_touched_before_the_ledger_has_that_its_wave_begins() {
    let waves: &[(&[(&str, &str)], FailureBudget)] = &[(&[("c", "s")], FREE), (&[("a", "s")], FREE)];
    for (is_lost, end) in [(false, "migrated"), (true, "not_started")] {
        let (sender, recorded) = watch::channel(BTreeSet::new());
        let plan = RunPlan { recorded: Some(recorded), ..plan_of(Direction::Up, waves, 4, 4).await };
        let db = Arc::new(Scripted::default());
        let seen = db.clone();
        let writing = tokio::spawn(async move {
            for (place, wave) in ["w0", "w1"].into_iter().enumerate() {
                tokio::time::sleep(Duration::from_secs(60)).await;
                assert_eq!(seen.connects.load(Ordering::SeqCst), place);
                if place == 0 || !is_lost {
                    sender.send_modify(|waves| _ = waves.insert(wave.to_owned()));
                }
            }
        });
        let (_, records, _) = run(plan, &db, Cancel::default()).await;
        writing.await.unwrap();
        assert_eq!(names(&records), ["migrated", end]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_has_to_hold_for_the_whole_soak() {
    let db = Arc::new(Scripted::default());
    let begun = Instant::now();
    let plan = gated(gate(), answering("w0", &[true, true, true, false])).await;
    let (stats, records, events) = run(plan, &db, Cancel::default()).await;
    assert_eq!(names(&records), ["migrated", "not_started", "not_started"]);
    assert_eq!(records[2].outcome, NotStarted::GateFailed.outcome());
    assert_eq!((stats.verdict(), begun.elapsed().as_secs()), (Verdict::GateFailed, 180));
    assert_eq!(db.connects.load(Ordering::SeqCst), 1, "nobody else was touched");
    assert_eq!(records_of(&events)[0].end, GateEnd::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_the_run_with_work_outstanding() {
    for (then, on_failure, holds) in
        [(GateAction::Pause, GateAction::Stop, true), (GateAction::Continue, GateAction::Pause, false)]
    {
        let db = Arc::new(Scripted::default());
        let plan = gated(Gate { then, on_failure, ..gate() }, answering("w0", &[holds])).await;
        let (stats, records, _) = run(plan, &db, Cancel::default()).await;
        assert_eq!(records[1].outcome, NotStarted::Paused.outcome());
        assert_eq!((stats.verdict(), stats.stopped), (Verdict::Outstanding, Some(NotStarted::Paused)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_soak_is_interrupted_at_once_also_while_a_check_does_not_answer() {
    for takes in [0, 3_600] {
        let db = Arc::new(Scripted::default());
        let plan = gated(gate(), Answers { takes: Duration::from_secs(takes), ..Answers::default() }).await;
        let (cancel, begun) = (Cancel::default(), Instant::now());
        let stop = cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(30)).await;
            stop.drain(NotStarted::Interrupted);
        });
        let (stats, records, events) = run(plan, &db, cancel).await;
        assert_eq!((stats.verdict(), begun.elapsed().as_secs()), (Verdict::Interrupted, 30));
        assert_eq!(records[1].outcome, NotStarted::Interrupted.outcome());
        assert_eq!(records_of(&events)[0].end, GateEnd::Interrupted);
    }
}

#[tokio::test(start_paused = true)]
async fn a_gate_is_asked_only_where_a_later_wave_has_something_to_do() {
    let pause = || Gate { then: GateAction::Pause, ..gate() };
    let db = Arc::new(Scripted::default());
    for id in ["a", "b", "c"] {
        db.set_history(id, &["m1", "m2"]);
    }
    let (stats, _, events) = run(gated(pause(), Answers::default()).await, &db, Cancel::default()).await;
    assert_eq!((stats.verdict(), records_of(&events)), (Verdict::AllAtTarget, vec![]));
    // A canary that an earlier run migrated has its gate still.
    db.set_history("b", &["m1"]);
    let (stats, records, _) = run(gated(pause(), Answers::default()).await, &db, Cancel::default()).await;
    assert_eq!(stats.verdict(), Verdict::Outstanding);
    assert_eq!(names(&records), ["up_to_date", "not_started", "not_started"]);
    // Behind the last wave there is nothing to keep.
    let mut plan = gated(pause(), Answers::default()).await;
    plan.waves.swap(0, 1);
    let (stats, ..) = run(plan, &db, Cancel::default()).await;
    assert_eq!(stats.verdict(), Verdict::AllAtTarget);
}

#[tokio::test(start_paused = true)]
async fn only_tenants_at_their_target_are_verified() {
    let db = Arc::new(Scripted::default());
    db.act("f", [Act::Stops(FaultClass::Syntax, PartialState::Nothing)]);
    let waves: &[(&[(&str, &str)], FailureBudget)] = &[(&[("c", "s"), ("f", "s")], FREE), (&[("a", "s")], FREE)];
    let mut plan = plan_of(Direction::Up, waves, 4, 4).await;
    let keeper = Arc::new(Answers::default());
    plan.waves[0].gate = Some(Gate { soak: Duration::ZERO, ..gate() });
    plan.waves[0].done = vec![tenant("earlier", "s")];
    plan.gatekeeper = Some(keeper.clone());
    run(plan, &db, Cancel::default()).await;
    assert_eq!(*keeper.tenants.lock().unwrap(), [2], "that of this run, and one of the run that it resumes");
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_the_resumed_run_did_not_pass_comes_before_the_first_wave() {
    for (approved_by, holds, end) in
        [(None, false, GateEnd::Failed), (Some("ann".to_owned()), false, GateEnd::Approved)]
    {
        let db = Arc::new(Scripted::default());
        let mut plan = plan_of(Direction::Up, &[(&[("a", "s")], FREE)], 4, 4).await;
        plan.waves[0].waits_for.insert("canary".to_owned());
        let tenants = vec![tenant("c", "s")];
        plan.open_gates.push(OpenGate { wave: "canary".to_owned(), gate: gate(), tenants, approved_by });
        plan.gatekeeper = Some(Arc::new(answering("canary", &[holds])));
        let (stats, _, events) = run(plan, &db, Cancel::default()).await;
        let record = &records_of(&events)[0];
        assert_eq!(record.end, end);
        match record.by.as_deref() {
            Some("ann") => assert_eq!(stats.verdict(), Verdict::AllAtTarget),
            _ => assert_eq!((stats.verdict(), db.connects.load(Ordering::SeqCst)), (Verdict::GateFailed, 0)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wave_that_waits_for_no_other_goes_on_when_another_has_failed() {
    let db = Arc::new(Scripted::default());
    db.act("f", [Act::Stops(FaultClass::Syntax, PartialState::Nothing)]);
    let one = |id: &'static str| [(id, "s")];
    let (failing, eu, of_eu, us, rest) = ([("f", "s"), ("n", "s")], one("eu"), one("of-eu"), one("us"), one("rest"));
    let waves: &[(&[(&str, &str)], FailureBudget)] =
        &[(&failing, FailureBudget::NONE), (&eu, FREE), (&of_eu, FREE), (&us, FREE), (&rest, FREE)];
    let mut plan = plan_of(Direction::Up, waves, 1, 1).await;
    plan.waves[1].waits_for.clear();
    plan.waves[2].waits_for = BTreeSet::from(["w1".to_owned()]);
    plan.waves[3].waits_for = BTreeSet::from(["w0".to_owned()]);
    let (stats, records, events) = run(plan, &db, Cancel::default()).await;
    assert_eq!(names(&records), ["failed", "not_started", "migrated", "migrated", "not_started", "not_started"]);
    assert!([1, 4, 5].iter().all(|at| records[*at].outcome == NotStarted::FailureBudget.outcome()));
    assert_eq!((stats.verdict(), stats.stopped), (Verdict::BudgetExhausted, Some(NotStarted::FailureBudget)));
    let closed = |event: &&Event| matches!(event, Event::WaveClosed { wave, .. } if wave == "w0");
    assert_eq!(events.iter().filter(closed).count(), 1);
    assert!(!events.iter().any(|event| matches!(event, Event::Draining { .. })), "the run goes on");
    // The failure uses up the run's budget, too.
    db.act("f", [Act::Stops(FaultClass::Syntax, PartialState::Nothing)]);
    let mut plan = plan_of(Direction::Up, waves, 1, 1).await;
    (plan.max_failures, plan.waves[1].waits_for) = (FailureBudget::NONE, BTreeSet::new());
    let (_, records, _) = run(plan, &db, Cancel::default()).await;
    assert!(records[1..].iter().all(|record| record.outcome == NotStarted::FailureBudget.outcome()));
    // The budget that a resumed run had used up.
    let mut plan = plan_of(Direction::Up, &waves[3..], 1, 1).await;
    (plan.waves[0].waits_for, plan.waves[1].waits_for) = (BTreeSet::from(["old".to_owned()]), BTreeSet::new());
    plan.closed = vec![UsedUp { wave: Some("old".to_owned()), budget: FailureBudget::NONE, tally: Default::default() }];
    let (stats, records, _) = run(plan, &db, Cancel::default()).await;
    assert_eq!((names(&records), stats.verdict()), (vec!["not_started", "migrated"], Verdict::BudgetExhausted));
}

fn any_gate() -> impl Strategy<Value = (Gate, Vec<bool>)> {
    let action = |bad| prop_oneof![3 => Just(GateAction::Continue), 1 => Just(bad)];
    let failure = prop_oneof![Just(GateAction::Stop), Just(GateAction::Pause), Just(GateAction::RollbackWave)];
    let answers = prop::collection::vec(prop::bool::weighted(0.9), 0..6);
    (0_u32..4, action(GateAction::Pause), failure, answers).prop_map(|(soak, then, on_failure, answers)| {
        let every = Duration::from_millis(10);
        (Gate { soak: every * soak, every, then, on_failure, ..gate() }, answers)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn no_wave_starts_before_its_gate_and_every_tenant_has_one_outcome(
        acts in prop::collection::vec((any_act(), 0_usize..4), 1..30), gates in prop::array::uniform4(any_gate()),
        (of_run, budget) in (any_budget(), any_budget()), alone in prop::array::uniform4(prop::option::weighted(0.4, 0_u8..8)),
        stop_at in prop::option::weighted(0.3, 0_u64..100)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let db = Arc::new(Scripted { takes: Duration::from_millis(5), ..Scripted::default() });
            let ids: Vec<String> = (0..acts.len()).map(|i| format!("t{i}")).collect();
            let mut waves: Vec<Vec<(&str, &str)>> = vec![Vec::new(); 4];
            for ((act, wave), id) in acts.iter().zip(&ids) {
                db.act(id, [act.clone()]);
                waves[*wave].push((id, "s"));
            }
            let members: Vec<(&[(&str, &str)], FailureBudget)> = waves.iter().map(|w| (w.as_slice(), budget)).collect();
            let mut plan = plan_of(Direction::Up, &members, 4, 4).await;
            let mut answers = HashMap::new();
            let undoes: Vec<String> = plan
                .waves
                .iter()
                .zip(&gates)
                .filter(|(_, (gate, _))| gate.on_failure == GateAction::RollbackWave)
                .map(|(wave, _)| wave.name.clone())
                .collect();
            for (place, bits) in alone.iter().enumerate() {
                let Some(bits) = bits else { continue };
                let direct = (0..place).filter(|before| bits & (1 << before) != 0);
                let all = direct.flat_map(|before| {
                    let of_it = &plan.waves[before];
                    of_it.waits_for.iter().chain([&of_it.name]).cloned().collect::<Vec<_>>()
                });
                plan.waves[place].waits_for = all.collect();
            }
            let waits_for: HashMap<String, BTreeSet<String>> =
                plan.waves.iter().map(|wave| (wave.name.clone(), wave.waits_for.clone())).collect();
            for (wave, (gate, of_wave)) in plan.waves.iter_mut().zip(gates) {
                wave.gate = Some(gate);
                answers.insert(wave.name.clone(), of_wave.into());
            }
            plan.max_failures = of_run;
            plan.waves.retain(|wave| !wave.tenants.is_empty());
            let order: Vec<String> = plan.waves.iter().map(|wave| wave.name.clone()).collect();
            plan.gatekeeper = Some(Arc::new(Answers { left: Mutex::new(answers), ..Answers::default() }));
            let cancel = Cancel::default();
            if let Some(at) = stop_at {
                let stop = cancel.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(at)).await;
                    stop.drain(NotStarted::Interrupted);
                });
            }
            let (stats, records, events) = run(plan, &db, cancel).await;
            assert_eq!(records.iter().map(|r| r.index).collect::<Vec<_>>(), (0..acts.len()).collect::<Vec<_>>());
            is_within(of_run, &records, None);
            order.iter().for_each(|wave| is_within(budget, &records, Some(wave)));
            let mut passed: Vec<String> = vec![];
            let is_there = |name: &&String| order.contains(name);
            let mut due: Vec<(&String, NotStarted)> = vec![];
            let (mut last, mut closed) = (None, vec![]);
            for event in &events {
                let failed = match event {
                    Event::WaveStarted { wave, .. } => {
                        last = Some(wave);
                        assert!(waits_for[wave].iter().filter(is_there).all(|before| passed.contains(before)), "{wave}");
                        assert!(closed.iter().all(|name| *name != wave && !waits_for[wave].contains(*name)), "{wave}");
                        None
                    }
                    Event::GateFinished(record) if record.reason().is_none() => {
                        passed.push(record.wave.clone());
                        None
                    }
                    Event::WaveClosed { wave, reason, .. } => {
                        closed.push(wave);
                        Some((wave, *reason))
                    }
                    Event::Draining { reason, .. } => last.map(|wave| (wave, *reason)),
                    _ => None,
                };
                let failed = failed.filter(|(wave, reason)| reason.is_failure() && undoes.contains(wave));
                due.extend(failed.filter(|(wave, _)| due.iter().all(|(other, _)| other != wave)));
            }
            assert_eq!(rollbacks(&events), due, "each wave that failed, and says so, once");
            for record in records.iter().filter(|record| record.attempts > 0) {
                assert!(waits_for[&record.wave].iter().filter(is_there).all(|before| passed.contains(before)));
            }
            let gate = records_of(&events).into_iter().find_map(|gate| gate.reason());
            assert!(gate.is_none() || stats.stopped.is_some());
        });
    }
}
