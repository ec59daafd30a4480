//! Resume equals an uninterrupted run: random fleets, waves, budgets, gates and failures on the scripted database with paused
//! time, killed again and again.

use std::time::Duration;

use proptest::prelude::*;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;
use crate::engine::scripted::{Act, Scripted};
use crate::engine::{Database, PartialState};
use crate::inputs::select::Wave;
use crate::model::event::PlannedTenant;
use crate::model::fault::FaultClass;
use crate::model::gate::{CheckAnswer, GateAction};
use crate::model::outcome::Standing;
use crate::policy::{Check, FailureBudget, Gate};
use crate::run::tests::{plan_of, tenant};
use crate::run::{Cancel, Gatekeeper, OpenGate, Question, RunPlan, execute};

const WAVES: [&str; 3] = ["canary", "early", "rest"];

/// The end of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Moves,
    /// It is refused so many times, and moves then.
    Stumbles(usize),
    Fails,
}

/// A gate: whether its checks hold, and whether it waits for a person then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    holds: bool,
    pauses: bool,
}

/// A fleet, and what becomes of it.
#[derive(Debug, Clone)]
struct Case {
    /// The fate of each tenant, and its wave.
    tenants: Vec<(Fate, usize)>,
    /// The failure budget of each wave.
    budgets: [&'static str; 3],
    /// That of the run.
    of_run: &'static str,
    /// The gates behind the first two waves.
    gates: [Option<Wanted>; 2],
    /// Whether the second wave waits for the first, the third for the first, and the third for the second.
    waits: [bool; 3],
    cap: usize,
}

/// Each gate holds, or it does not.
struct Keeper([Option<Wanted>; 2]);

#[async_trait::async_trait]
impl Gatekeeper for Keeper {
    async fn ask(&self, question: Question<'_>) -> CheckAnswer {
        let place = WAVES.iter().position(|name| *name == question.wave).unwrap();
        let (check, holds) = (question.check.to_string(), self.0[place].unwrap().holds);
        CheckAnswer { check, holds, value: String::new() }
    }
}

/// The runs that were killed, as the ledger has them.
#[derive(Default)]
struct Recorded {
    last: Option<PreviousRun>,
    failed: BTreeSet<TenantId>,
    gates: HashMap<String, GateRecord>,
}

fn id(place: usize) -> String {
    format!("t{place:02}")
}

impl Case {
    fn database(&self) -> Arc<Scripted> {
        let db = Arc::new(Scripted { takes: Duration::from_millis(5), ..Scripted::default() });
        for (place, (fate, _)) in self.tenants.iter().enumerate() {
            match fate {
                Fate::Moves => {}
                Fate::Stumbles(times) => db.act(&id(place), vec![Act::Refuses(FaultClass::ConnectionRefused); *times]),
                Fate::Fails => db.act(&id(place), vec![Act::Stops(FaultClass::Syntax, PartialState::Nothing); 99]),
            }
        }
        db
    }

    /// The waves that this one waits for, with those that they wait for themselves.
    fn waits_for(&self, place: usize) -> BTreeSet<String> {
        let [second, third, third_for_second] = self.waits;
        let of: &[(bool, usize)] = match place {
            0 => &[],
            1 => &[(second, 0)],
            _ => &[(third || (third_for_second && second), 0), (third_for_second, 1)],
        };
        of.iter().filter(|(waits, _)| *waits).map(|(_, other)| WAVES[*other].to_owned()).collect()
    }

    fn of_wave(&self, place: usize) -> usize {
        self.tenants.iter().filter(|(_, of)| *of == place).count()
    }

    fn failing(&self, place: usize) -> usize {
        self.tenants.iter().filter(|(fate, of)| *fate == Fate::Fails && *of == place).count()
    }

    /// The waves of which other tenants may be begun by the time that they stop, by the time that it takes. A share is judged by
    /// the tenants that are done, so that failures within it may stop a wave, or not.
    fn depends_on_time(&self) -> BTreeSet<usize> {
        let may_stop = |budget: &str, failing: usize, total: usize| {
            failing > 0 && (budget.ends_with('%') || failing > budget.parse::<FailureBudget>().unwrap().most(total))
        };
        let all = (0..3).map(|place| self.failing(place)).sum();
        if may_stop(self.of_run, all, self.tenants.len()) {
            return (0..3).collect();
        }
        let mut found = BTreeSet::new();
        for place in 0..3 {
            let own = may_stop(self.budgets[place], self.failing(place), self.of_wave(place));
            // Whether one that waits for such a wave begins is certain where a count stops it.
            let by_share = |other: usize| self.budgets[other].ends_with('%') && found.contains(&other);
            let by_other = (0..place).any(|other| self.waits_for(place).contains(WAVES[other]) && by_share(other));
            if own || by_other {
                found.insert(place);
            }
        }
        found
    }

    fn selection(&self) -> Selection {
        let wave = |(place, name): (usize, &&str)| Wave {
            name: (*name).to_owned(),
            tenants: (0..self.tenants.len())
                .filter(|i| self.tenants[*i].1 == place)
                .map(|i| tenant(&id(i), "s"))
                .collect(),
            concurrency: None,
            per_server: None,
            max_failures: self.budgets[place].parse().unwrap(),
            largest_first: false,
            sizes: Vec::new(),
            waits_for: self.waits_for(place),
            lock_timeout: None,
            transaction: None,
            window: None,
            gate: self.gates.get(place).copied().flatten().map(|wanted| Gate {
                soak: Duration::from_millis(20),
                every: Duration::from_millis(7),
                timeout: Duration::from_secs(1),
                checks: vec![Check::Http("http://h/".parse().unwrap())],
                then: if wanted.pauses { GateAction::Pause } else { GateAction::Continue },
                on_failure: if wanted.pauses { GateAction::Pause } else { GateAction::Stop },
            }),
        };
        let mut waves: Vec<Wave> = WAVES.iter().enumerate().map(wave).collect();
        waves.retain(|wave| !wave.tenants.is_empty());
        Selection { waves, mismatches: Vec::new(), held_back: 0, unmatched_patterns: Vec::new() }
    }

    /// The plan of these waves, as `start` makes it.
    async fn plan(&self, selection: &Selection) -> RunPlan {
        let members: Vec<Vec<(&str, &str)>> =
            selection.waves.iter().map(|wave| wave.tenants.iter().map(|t| (t.id.as_str(), "s")).collect()).collect();
        let waves: Vec<(&[(&str, &str)], FailureBudget)> =
            members.iter().zip(&selection.waves).map(|(of, wave)| (of.as_slice(), wave.max_failures)).collect();
        let mut plan = plan_of(Direction::Up, &waves, self.cap, self.cap).await;
        for (planned, wave) in plan.waves.iter_mut().zip(&selection.waves) {
            (planned.name, planned.gate) = (wave.name.clone(), wave.gate.clone());
            planned.waits_for.clone_from(&wave.waits_for);
        }
        RunPlan { gatekeeper: Some(Arc::new(Keeper(self.gates))), max_failures: self.of_run.parse().unwrap(), ..plan }
    }

    /// The plan of the run that goes on, by the functions that `runs approve` has; `None`: nothing is left, or a budget is used
    /// up.
    async fn resumed(&self, recorded: &Recorded) -> Option<RunPlan> {
        let waves = self.selection();
        let left = recorded.last.as_ref().unwrap().unreached();
        let is_failed = |id: &TenantId| recorded.failed.contains(id);
        let failure = |id: &TenantId| is_failed(id).then_some(OutcomeKind::Failed);
        let budgets = Budgets { keep_going: false, of_run: self.of_run.parse().unwrap(), is_up: true };
        let (former, closed) = within_budgets((&waves, &left), &failure, budgets).ok()?;
        if left.is_empty() {
            return None;
        }
        let mut selection = waves.clone();
        selection.waves.iter_mut().for_each(|wave| wave.tenants.retain(|tenant| left.contains(&tenant.id)));
        selection.waves.retain(|wave| !wave.tenants.is_empty());
        let resumed = gates::Resumed {
            waves: &waves,
            left: &left,
            is_failed: &is_failed,
            gates: &recorded.gates,
            approved_by: Some("ann"),
        };
        let (open_gates, mut done) = (resumed.open(), resumed.done());
        let mut plan = self.plan(&selection).await;
        for wave in &mut plan.waves {
            wave.former = former[&wave.name];
            wave.done = done.remove(&wave.name).unwrap_or_default();
        }
        Some(RunPlan { open_gates, closed, former: former.values().copied().sum(), ..plan })
    }

    /// Runs until nothing is left, as a person does who approves each pause; killed at these moments at first.
    async fn to_its_end(&self, db: &Arc<Scripted>, kills: &[(u64, usize)]) -> Chain {
        const MOST: usize = 6;
        let (mut recorded, mut chain) = (Recorded::default(), Chain::default());
        for kill in kills.iter().copied().map(Some).chain([None; MOST]) {
            let plan = match &recorded.last {
                None => Some(self.plan(&self.selection()).await),
                Some(_) => self.resumed(&recorded).await,
            };
            let Some(plan) = plan else { break };
            // They are in the ledger with the beginning of the run.
            let approved = plan.open_gates.iter().filter_map(OpenGate::approval);
            recorded.gates.extend(approved.map(|gate| (gate.wave.clone(), gate)));
            chain
                .passed
                .extend(recorded.gates.values().filter(|gate| gate.reason().is_none()).map(|gate| gate.wave.clone()));
            let (events, planned, header) = run(plan, db, kill).await;
            for event in &events {
                match event {
                    Event::GateFinished(gate) if gate.reason().is_none() => _ = chain.passed.insert(gate.wave.clone()),
                    // Nobody is begun behind a gate that was not passed.
                    Event::AttemptStarted { index, .. } => {
                        let wave = WAVES.iter().position(|name| *name == planned[*index].wave).unwrap();
                        let before = (0..wave).filter(|place| self.waits_for(wave).contains(WAVES[*place]));
                        let mut gated = before.filter(|place| self.gates[*place].is_some() && self.of_wave(*place) > 0);
                        assert!(gated.all(|place| chain.passed.contains(WAVES[place])), "{wave} of {self:?}");
                    }
                    Event::TenantFinished(record) => chain.take(record),
                    _ => {}
                }
            }
            recorded.take(&planned, header, &events);
        }
        chain
    }

    fn histories(&self, db: &Scripted) -> Vec<Vec<String>> {
        (0..self.tenants.len()).map(|place| db.history(&id(place))).collect()
    }
}

/// The outcomes that the ledger has of a run and those that went on with it.
#[derive(Default)]
struct Chain {
    /// The waves whose gates let the run on.
    passed: BTreeSet<String>,
    /// By tenant, how often it came to its target, or failed.
    settled: HashMap<TenantId, usize>,
    failed: BTreeSet<TenantId>,
    committed: BTreeSet<(TenantId, String)>,
}

impl Chain {
    fn take(&mut self, record: &TenantRecord) {
        if record.outcome.standing() != Standing::Outstanding {
            *self.settled.entry(record.tenant.clone()).or_default() += 1;
        }
        if record.outcome.standing() == Standing::Failed {
            self.failed.insert(record.tenant.clone());
        }
        for migration in &record.committed {
            let is_new = self.committed.insert((record.tenant.clone(), migration.clone()));
            assert!(is_new, "{migration} was committed on {} twice", record.tenant);
        }
    }
}

impl Recorded {
    /// Takes the events that the ledger has of a run.
    fn take(&mut self, plan: &[PlannedTenant], header: RunHeader, events: &[Event]) {
        let mut records: Vec<(PlannedTenant, Option<TenantRecord>)> =
            plan.iter().map(|of| (of.clone(), None)).collect();
        for event in events {
            match event {
                Event::TenantFinished(record) => records[record.index].1 = Some(record.clone()),
                Event::GateFinished(gate) => _ = self.gates.insert(gate.wave.clone(), gate.clone()),
                _ => {}
            }
        }
        let run = PreviousRun { header, records };
        self.failed.extend(run.failed());
        self.last = Some(run);
    }
}

/// Runs to the end, or until the process is killed: then the last events are in no ledger.
async fn run(
    plan: RunPlan,
    db: &Arc<Scripted>,
    kill: Option<(u64, usize)>,
) -> (Vec<Event>, Vec<PlannedTenant>, RunHeader) {
    let planned = |(index, tenant): (usize, &Arc<crate::model::tenant::Tenant>)| PlannedTenant {
        tenant: tenant.id.clone(),
        engine: tenant.engine,
        server: tenant.server.to_string(),
        wave: plan.waves.iter().find(|wave| wave.tenants.contains(&index)).unwrap().name.clone(),
        target: None,
        database: None,
    };
    let (planned, header) = (plan.tenants.iter().enumerate().map(planned).collect(), plan.header.clone());
    let (sender, mut receiver) = mpsc::channel(16);
    let database: Arc<dyn Database> = db.clone();
    let running = tokio::spawn(execute(Arc::new(plan), database, Cancel::default(), sender));
    let until = kill.map(|(ms, _)| Instant::now() + Duration::from_millis(ms));
    let mut events = Vec::new();
    loop {
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                running.abort();
                let _ = running.await;
                let lost = kill.map_or(0, |(_, lost)| lost);
                events.truncate(usize::max(events.len(), lost) - lost);
                break;
            }
            event = receiver.recv() => match event {
                Some(event) => events.push(event),
                None => break,
            }
        }
    }
    (events, planned, header)
}

fn any_case() -> impl Strategy<Value = Case> {
    let budget = || prop::sample::select(vec!["unlimited", "unlimited", "0", "1", "3", "10%", "50%"]);
    let gate = || {
        let wanted = (prop::bool::weighted(0.8), prop::bool::weighted(0.3));
        prop::option::weighted(0.8, wanted.prop_map(|(holds, pauses)| Wanted { holds, pauses }))
    };
    let fate = prop_oneof![6 => Just(Fate::Moves), 1 => (1_usize..4).prop_map(Fate::Stumbles), 1 => Just(Fate::Fails)];
    let waits = prop_oneof![2 => Just([true; 3]), 1 => any::<[bool; 3]>()];
    let tenants = prop::collection::vec((fate, 0_usize..3), 1..25);
    (tenants, [budget(), budget(), budget()], budget(), [gate(), gate()], waits, 1_usize..5)
        .prop_map(|(tenants, budgets, of_run, gates, waits, cap)| Case { tenants, budgets, of_run, gates, waits, cap })
}

/// A wave that waits for nobody used its budget up while another one was left behind a gate that paused.
#[tokio::test(start_paused = true)]
async fn a_wave_that_stopped_keeps_no_earlier_one_from_going_on() {
    let gate = Wanted { holds: true, pauses: true };
    let case = Case {
        tenants: vec![(Fate::Moves, 0), (Fate::Moves, 1), (Fate::Fails, 2), (Fate::Moves, 2)],
        budgets: ["unlimited", "unlimited", "0"],
        of_run: "unlimited",
        gates: [Some(gate), None],
        waits: [true, false, false],
        cap: 1,
    };
    let db = case.database();
    case.to_its_end(&db, &[]).await;
    let moved: Vec<usize> = case.histories(&db).iter().map(Vec::len).collect();
    assert_eq!(moved, [2, 2, 0, 0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn a_run_that_is_killed_and_resumed_ends_as_one_that_was_not(
        case in any_case(), kills in prop::collection::vec((0_u64..90, 0_usize..6), 1..5)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (whole, db) = (case.database(), case.database());
            let uninterrupted = case.to_its_end(&whole, &[]).await;
            let chain = case.to_its_end(&db, &kills).await;

            for of in [&uninterrupted, &chain] {
                // Each tenant is settled once, whatever was killed.
                assert!(of.settled.values().all(|times| *times == 1), "{:?} of {case:?}", of.settled);
                let failed = |is_its: &dyn Fn(usize) -> bool| {
                    let of_it = (0..case.tenants.len()).filter(|i| is_its(case.tenants[*i].1));
                    of_it.filter(|i| of.failed.contains(&TenantId::from(id(*i).as_str()))).count()
                };
                for (place, budget) in case.budgets.iter().enumerate() {
                    let most = budget.parse::<FailureBudget>().unwrap().most(case.of_wave(place));
                    assert!(failed(&|wave| wave == place) <= most.saturating_add(1), "{place} of {case:?}");
                }
                let most = case.of_run.parse::<FailureBudget>().unwrap().most(case.tenants.len());
                assert!(failed(&|_| true) <= most.saturating_add(1), "the run of {case:?}");
            }
            let (found, wanted) = (case.histories(&db), case.histories(&whole));
            let by_time = case.depends_on_time();
            for (i, (_, wave)) in case.tenants.iter().enumerate().filter(|(_, (_, wave))| !by_time.contains(wave)) {
                assert_eq!(found[i], wanted[i], "{} in {} of {case:?}", id(i), WAVES[*wave]);
            }
            // Where nothing stops it, nobody is left.
            if by_time.is_empty() && case.gates.iter().flatten().all(|gate| gate.holds || gate.pauses) {
                assert_eq!([uninterrupted.settled.len(), chain.settled.len()], [case.tenants.len(); 2], "{case:?}");
            }
        });
    }
}
