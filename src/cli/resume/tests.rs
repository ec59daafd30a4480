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
use crate::policy::{Check, FailureBudget, Gate};
use crate::run::tests::{plan_of, tenant};
use crate::run::{Cancel, Gatekeeper, Question, RunPlan, execute};

const WAVES: [&str; 3] = ["canary", "early", "rest"];

/// A fleet, and what becomes of it.
#[derive(Debug, Clone)]
struct Case {
    /// Whether each tenant fails, and its wave.
    tenants: Vec<(bool, usize)>,
    /// The most failures of each wave; `None`: any number.
    budgets: [Option<usize>; 3],
    /// Whether the checks of the gates behind the first two waves hold; `None`: there is no gate.
    gates: [Option<bool>; 2],
    cap: usize,
}

/// Each gate holds, or it does not.
struct Keeper([Option<bool>; 2]);

#[async_trait::async_trait]
impl Gatekeeper for Keeper {
    async fn ask(&self, question: Question<'_>) -> CheckAnswer {
        let place = WAVES.iter().position(|name| *name == question.wave).unwrap();
        let (check, holds) = (question.check.to_string(), self.0[place].unwrap());
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
        for (place, _) in self.tenants.iter().enumerate().filter(|(_, (fails, _))| *fails) {
            db.act(&id(place), vec![Act::Stops(FaultClass::Syntax, PartialState::Nothing); 99]);
        }
        db
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
            max_failures: self.budgets[place]
                .map_or(FailureBudget::UNLIMITED, |most| most.to_string().parse().unwrap()),
            largest_first: false,
            sizes: Vec::new(),
            waits_for: WAVES[..place].iter().map(|name| (*name).to_owned()).collect(),
            lock_timeout: None,
            transaction: None,
            window: None,
            gate: self.gates.get(place).copied().flatten().map(|_| Gate {
                soak: Duration::from_millis(20),
                every: Duration::from_millis(7),
                timeout: Duration::from_secs(1),
                checks: vec![Check::Http("http://h/".parse().unwrap())],
                then: GateAction::Continue,
                on_failure: GateAction::Stop,
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
        RunPlan { gatekeeper: Some(Arc::new(Keeper(self.gates))), ..plan }
    }

    /// The plan of the run that goes on, by the functions that `runs resume` has; `None`: nothing is left, or a budget is used
    /// up.
    async fn resumed(&self, recorded: &Recorded) -> Option<RunPlan> {
        let waves = self.selection();
        let left = recorded.last.as_ref().unwrap().unreached();
        let is_failed = |id: &TenantId| recorded.failed.contains(id);
        let failure = |id: &TenantId| is_failed(id).then_some(OutcomeKind::Failed);
        let budgets = Budgets { keep_going: false, of_run: FailureBudget::UNLIMITED, is_up: true };
        let (former, _) = within_budgets((&waves, &left), &failure, budgets).ok()?;
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
            approved_by: None,
        };
        let (open_gates, mut done) = (resumed.open(), resumed.done());
        let mut plan = self.plan(&selection).await;
        for wave in &mut plan.waves {
            wave.former = former[&wave.name];
            wave.done = done.remove(&wave.name).unwrap_or_default();
        }
        Some(RunPlan { open_gates, ..plan })
    }

    fn histories(&self, db: &Scripted) -> Vec<Vec<String>> {
        (0..self.tenants.len()).map(|place| db.history(&id(place))).collect()
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
    let budget = || prop::option::of(0_usize..4);
    let gate = || prop_oneof![1 => Just(None), 4 => Just(Some(true)), 1 => Just(Some(false))];
    let tenant = (prop::bool::weighted(0.15), 0_usize..3);
    let tenants = prop::collection::vec(tenant, 1..25);
    (tenants, [budget(), budget(), budget()], [gate(), gate()], 1_usize..5)
        .prop_map(|(tenants, budgets, gates, cap)| Case { tenants, budgets, gates, cap })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn a_run_that_is_killed_and_resumed_ends_as_one_that_was_not(
        case in any_case(), kills in prop::collection::vec((0_u64..90, 0_usize..6), 1..5)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let whole = case.database();
            run(case.plan(&case.selection()).await, &whole, None).await;

            let (db, mut recorded) = (case.database(), Recorded::default());
            let mut failed = BTreeSet::new();
            for kill in kills.into_iter().map(Some).chain([None]) {
                let plan = match &recorded.last {
                    None => Some(case.plan(&case.selection()).await),
                    Some(_) => case.resumed(&recorded).await,
                };
                let Some(plan) = plan else { break };
                let mut passed: BTreeSet<String> =
                    recorded.gates.iter().filter(|(_, gate)| gate.is_passed()).map(|(wave, _)| wave.clone()).collect();
                let (events, planned, header) = run(plan, &db, kill).await;
                for event in &events {
                    match event {
                        Event::GateFinished(gate) if gate.is_passed() => _ = passed.insert(gate.wave.clone()),
                        // The strict order of waves: nobody is begun behind a gate that was not passed.
                        Event::AttemptStarted { index, .. } => {
                            let wave = WAVES.iter().position(|name| *name == planned[*index].wave).unwrap();
                            let is_passed = |place: usize| {
                                let has_gate = case.gates[place].is_some() && case.tenants.iter().any(|(_, of)| *of == place);
                                !has_gate || passed.contains(WAVES[place])
                            };
                            assert!((0..wave).all(is_passed), "{wave} of {case:?}");
                        }
                        Event::TenantFinished(record) if record.outcome.standing() == crate::model::outcome::Standing::Failed => {
                            failed.insert(record.tenant.clone());
                        }
                        _ => {}
                    }
                }
                recorded.take(&planned, header, &events);
            }

            for (place, budget) in case.budgets.iter().enumerate() {
                let of_wave = |(i, of): &(usize, &(bool, usize))| of.1 == place && failed.contains(&TenantId::from(id(*i).as_str()));
                let failures = case.tenants.iter().enumerate().filter(of_wave).count();
                if let Some(most) = budget {
                    assert!(failures <= *most + 1, "{failures} in {place}");
                }
            }
            let failing = |place: usize| case.tenants.iter().filter(|(fails, of)| *fails && *of == place).count();
            let is_within = |place: usize| case.budgets[place].is_none_or(|most| failing(place) <= most);
            let (found, wanted) = (case.histories(&db), case.histories(&whole));
            // Which tenants of a wave are begun before its budget is used up depends on time; the waves before it do not.
            let stopped = (0..3).find(|place| !is_within(*place)).unwrap_or(3);
            for (i, (_, wave)) in case.tenants.iter().enumerate().filter(|(_, (_, wave))| *wave != stopped) {
                assert_eq!(found[i], wanted[i], "{} in {}", id(i), WAVES[*wave]);
            }
        });
    }
}
