//! The failure budgets of a run that goes on: what still fails counts for them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::Former;
use crate::cli::exit::CliError;
use crate::cli::next;
use crate::cli::setup::Program;
use crate::inputs::select::{Selection, Wave};
use crate::model::event::RunHeader;
use crate::model::outcome::{Outcome, OutcomeKind, TenantRecord};
use crate::model::tenant::TenantId;
use crate::policy::{self, FailureBudget, Tally};
use crate::report::{clean, count};

/// The budgets of a run that goes on.
pub(super) struct Budgets {
    /// Whether those of the waves are passed over.
    pub(super) keep_going: bool,
    /// That of the whole run.
    pub(super) of_run: FailureBudget,
    pub(super) is_up: bool,
}

/// The counts that the waves begin with, and the budgets of waves that are used up.
type Within = (HashMap<String, Tally>, Vec<policy::UsedUp>);

/// The failures that are still open count for the budgets of their waves and of the run: where they use one up, nothing of
/// that wave or one that waits for it is started, and nothing at all if no other waits. Returns the counts that the waves begin
/// with, and the waves whose budgets are used up.
pub(super) fn within_budgets(
    (waves, left): (&Selection, &BTreeSet<TenantId>),
    failure: &dyn Fn(&TenantId) -> Option<OutcomeKind>,
    Budgets { keep_going, of_run, is_up }: Budgets,
) -> Result<Within, Box<UsedUp>> {
    let counted = |budget: FailureBudget, ids: &[&TenantId]| -> BTreeSet<TenantId> {
        let counts = |id: &&&TenantId| failure(id).is_some_and(|kind| budget.counts(kind));
        ids.iter().filter(counts).map(|id| (*id).clone()).collect()
    };
    let (mut tallies, mut all_failed, mut closed) = (HashMap::new(), BTreeSet::new(), Vec::new());
    for (place, wave) in waves.waves.iter().enumerate() {
        let is_left = |id: &TenantId| left.contains(id);
        let finished: Vec<&TenantId> = wave.tenants.iter().map(|tenant| &tenant.id).filter(|id| !is_left(id)).collect();
        let tally: Tally = finished.iter().map(|id| failure(id).unwrap_or(OutcomeKind::UpToDate)).collect();
        // One in front of it may have been left, too: behind a gate at which the run paused, while this one went on.
        let is_behind = |(at, other): &(usize, &Wave)| {
            *at == place || (*at > place && (!is_up || other.waits_for.contains(&wave.name)))
        };
        let (behind, others): (Vec<_>, Vec<_>) = waves.waves.iter().enumerate().partition(is_behind);
        let waiting = |of: &[(usize, &Wave)]| {
            of.iter().flat_map(|(_, wave)| &wave.tenants).filter(|tenant| is_left(&tenant.id)).count()
        };
        let most = if keep_going { FailureBudget::UNLIMITED } else { wave.max_failures };
        if waiting(&behind) > 0 && most.is_exceeded(&tally, wave.tenants.len()) {
            let used_up = policy::UsedUp { wave: Some(wave.name.clone()), budget: most, tally };
            if waiting(&others) > 0 {
                closed.push(used_up);
            } else {
                let failed = counted(most, &finished);
                return Err(Box::new(UsedUp { failed, waiting: waiting(&behind), used_up }));
            }
        }
        tallies.insert(wave.name.clone(), tally);
        all_failed.extend(counted(of_run, &finished));
    }
    let all: Tally = tallies.values().copied().sum();
    match of_run.is_exceeded(&all, all.finished + left.len()) {
        true => {
            let used_up = policy::UsedUp { wave: None, budget: of_run, tally: all };
            Err(Box::new(UsedUp { failed: all_failed, waiting: left.len(), used_up }))
        }
        false => Ok((tallies, closed)),
    }
}

/// A wave, or a run, whose budget is used up by tenants that still fail, while others wait.
pub(super) struct UsedUp {
    used_up: policy::UsedUp,
    failed: BTreeSet<TenantId>,
    waiting: usize,
}

impl UsedUp {
    pub(super) fn error(&self, program: &Program, former: &Former) -> CliError {
        let records: Vec<&TenantRecord> = former.run.records.iter().filter_map(|(_, record)| record.as_ref()).collect();
        let mut by_run: BTreeMap<Uuid, (&RunHeader, Vec<TenantRecord>)> = BTreeMap::new();
        for id in &self.failed {
            let header = &former.failed[id].header;
            let of_run = records.iter().filter(|record| record.tenant == *id && header.run == former.run.header.run);
            by_run.entry(header.run).or_insert((header, Vec::new())).1.extend(of_run.map(|record| (*record).clone()));
        }
        let steps = by_run.into_values().flat_map(|(header, records)| match records.is_empty() {
            false => {
                let next = next::after(program, header, &records, &next::Stop::default());
                // A tenant that was resolved is where somebody says it is, which need not be the target.
                let is_doubtful = records.iter().any(|record| matches!(record.outcome, Outcome::InDoubt(_)));
                let again =
                    is_doubtful.then(|| format!("once it is resolved: {}", program.command(&next::again(header))));
                let steps = next.first.into_iter().chain(next.rest.lines().map(str::to_owned));
                steps.chain(again).collect::<Vec<_>>()
            }
            // They failed in a run that this one resumed.
            true => vec![program.command(&next::again(header))],
        });
        let run = former.run.header.run;
        let file = program.shown(&program.registry.path).display().to_string();
        let raise = match self.used_up.wave {
            Some(_) => format!("the wave's max_failures in {file} (of the last wave: --max-failures)"),
            None => format!("run_max_failures in {file}, or --run-max-failures"),
        };
        CliError::BudgetUsedUp(format!(
            "run {run} is not resumed: {}; still failed: {}; {} would be started nevertheless, so nothing was\nfirst: {}\nthen: {}\n\
             or raise {raise}",
            clean(&self.used_up.to_string()),
            program.terminal.names(&self.failed),
            count(self.waiting, "other tenant"),
            steps.collect::<Vec<_>>().join("\n       "),
            program.command(&format!("runs resume {run}")),
        ))
    }
}
