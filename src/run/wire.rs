//! The texts that a run would send to each tenant: its own decisions and its own code, recorded in place of being sent.
//!
//! It changes nothing.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use super::attempts::AttemptHistory;
use super::observe::{Pace, ask_each};
use super::unit::Assignment;
use super::{PlannedWave, RunPlan};
use crate::engine::{Database, Notifier, Rehearsal, Session, Step, Stopwatch, Work};
use crate::model::fault::Fault;
use crate::model::schema::Execution;
use crate::model::tenant::{Tenant, TenantId};
use crate::model::transaction::TransactionScope;
use crate::model::wire::{Sent, Wire, WireGroup, mark};
use crate::sql::{Directive, directive};

/// The texts of a plan, by the tenants that are sent the same, in plan order; and the tenants that could not be asked.
pub(crate) struct Wires {
    pub(crate) groups: Vec<WireGroup>,
    pub(crate) failed: Vec<(TenantId, Fault)>,
}

/// Asks every tenant of a plan, which has no backups. A tenant that would be sent nothing is in no group. `by_hand`: the texts are for
/// people to send, so nothing in them has a mark, and the first try has the whole lock timeout.
pub(crate) async fn wires(plan: RunPlan, database: &Arc<dyn Database>, pace: Pace<'_>, by_hand: bool) -> Wires {
    let plan = Arc::new(plan);
    let waves = plan.waves.iter().flat_map(|wave| wave.tenants.iter().map(move |&index| (index, wave)));
    let places = waves.map(|(index, wave)| (plan.tenants[index].id.clone(), place(&plan, index, (wave, by_hand))));
    let places: Arc<HashMap<TenantId, Place>> = Arc::new(places.collect());
    // Thousands of tenants have the same text: one of each is kept.
    let known: Arc<Mutex<HashSet<Arc<Wire>>>> = Arc::default();
    let (of_all, door) = (plan.clone(), database.clone());
    let answers = ask_each(&plan.tenants, database, pace, move |tenant, session| {
        let place = places.get(&tenant.id).cloned();
        let (plan, door, known, tenant) = (of_all.clone(), door.clone(), known.clone(), Arc::new(tenant.clone()));
        Box::pin(async move {
            let Some(place) = place else { return Ok(None) };
            let Some(wire) = place.wire(&plan, (door, tenant), session).await? else { return Ok(None) };
            let mut known = known.lock().expect("nobody panics while holding it");
            let wire = known.get(&wire).cloned().unwrap_or_else(|| Arc::new(wire));
            known.insert(wire.clone());
            Ok(Some(wire))
        })
    });
    let mut wires = Wires { groups: Vec::new(), failed: Vec::new() };
    let mut places: HashMap<*const Wire, usize> = HashMap::new();
    for (tenant, answer) in plan.tenants.iter().zip(answers.await) {
        match answer {
            Ok(None) => {}
            Ok(Some(wire)) => {
                let at = *places.entry(Arc::as_ptr(&wire)).or_insert(wires.groups.len());
                if at == wires.groups.len() {
                    wires.groups.push(WireGroup { tenants: Vec::new(), engine: tenant.engine, wire });
                }
                wires.groups[at].tenants.push(tenant.id.clone());
            }
            Err(fault) => wires.failed.push((tenant.id.clone(), fault)),
        }
    }
    wires
}

/// The settings of one tenant in its first attempt.
#[derive(Clone)]
struct Place {
    index: usize,
    divisor: u32,
    transaction: TransactionScope,
    rehearsal: Rehearsal,
}

fn place(plan: &RunPlan, index: usize, (wave, by_hand): (&PlannedWave, bool)) -> Place {
    let divisor = if by_hand { 1 } else { AttemptHistory::default().divisor(&plan.retry) };
    let timeouts = plan.timeouts_of(index, wave).shortened(divisor);
    Place { index, divisor, transaction: plan.transaction_of(index, wave), rehearsal: Rehearsal { timeouts, by_hand } }
}

impl Place {
    /// The texts for the tenant of this session; `None`: there is nothing to do, or the run would refuse it.
    async fn wire(
        self,
        plan: &Arc<RunPlan>,
        (database, tenant): (Arc<dyn Database>, Arc<Tenant>),
        session: &mut dyn Session,
    ) -> Result<Option<Wire>, Fault> {
        let Some(goal) = plan.goal_of(self.index) else { return Ok(None) };
        let assignment = Assignment {
            plan: plan.clone(),
            goal: Some(goal),
            database,
            timeouts: self.rehearsal.timeouts,
            divisor: self.divisor,
            transaction: self.transaction,
            known: None,
            cancel: Default::default(),
            interrupted: Default::default(),
            teller: Notifier::default(),
            touched: false,
            stopwatch: Stopwatch::default(),
            last_try: false,
            is_unseen: false,
            tenant,
        };
        let Some(mut work) = assignment.planned_work(session).await? else { return Ok(None) };
        let rest = if self.rehearsal.by_hand { rest(&work) } else { None };
        if let Some((at, rest)) = rest {
            work.steps.truncate(at);
            let mut wire = match work.steps.is_empty() {
                true => Wire::default(),
                false => self.sent(plan, (&work, session)).await?,
            };
            wire.0.push(rest);
            return Ok(Some(wire));
        }
        self.sent(plan, (&work, session)).await.map(Some)
    }

    async fn sent(&self, plan: &RunPlan, (work, session): (&Work, &mut dyn Session)) -> Result<Wire, Fault> {
        let wire = session.wire(work, &self.rehearsal).await.map_err(|stop| stop.fault)?;
        let run = (plan.header.run.to_string(), if self.rehearsal.by_hand { "by hand" } else { mark::RUN }.to_owned());
        Ok(wire.marked(&[run]))
    }
}

/// The first step that only fleet can do, and why.
fn rest(work: &Work) -> Option<(usize, Sent)> {
    work.steps.iter().enumerate().find_map(|(at, Step { script, .. })| {
        let is_batch = |sql: &String| directive(sql) == Some(Directive::Batch);
        let why = match &script.execution {
            Execution::Native { .. } => "it runs as Rust code",
            _ if script.statements.iter().any(is_batch) => "a statement of it is repeated until it changes no row",
            _ => return None,
        };
        Some((at, Sent::Rest { migration: script.migration.to_string(), why: why.to_owned() }))
    })
}
