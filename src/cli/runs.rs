//! `runs list`, `runs show`, `runs resume` and `runs approve`; `runs resolve` has a file of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::UNIX_EPOCH;

use uuid::Uuid;

use super::args::{Approve, Output, Reports, Runs};
use super::command::Run;
use super::exit::{self, CliError, run_error};
use super::previous_run::PreviousRun;
use super::resume::Former;
use super::setup::Program;
use super::{files, next, pause, prune_runs, rebuild, resolve, resume, rollback_run, watch};
use crate::ledger::{Ends, Ledger};
use crate::model::approval::Approval;
use crate::model::clock::now_ms;
use crate::model::event::{Event, RunHeader};
use crate::model::gate::{GateAction, GateEnd};
use crate::model::outcome::{NotStarted, OutcomeKind, Standing, TenantRecord};
use crate::model::run_summary::{AttemptRow, RunFilter, RunStatus, RunSummary};
use crate::model::shared::RunnerRow;
use crate::model::stats::RunStats;
use crate::model::tenant::TenantId;
use crate::model::undo::{Rollout, Undoing};
use crate::policy::{FailureBudget, StopCause, Tally, UsedUp};
use crate::report::Style;
use crate::report::outcome::OutcomeView;
use crate::report::runs::RunView;

impl Run for Runs {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        match self {
            Runs::List { limit, tenant, since, status, show } => {
                let since_ms = since.map(|since| since.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis());
                let filter = RunFilter {
                    tenant: tenant.as_deref().map(TenantId::from),
                    since_ms: since_ms.and_then(|ms| i64::try_from(ms).ok()),
                    results: status,
                    ..RunFilter::default()
                };
                list(program, &filter, limit, &show.output).await
            }
            Runs::Show { run, all, watch, report, show } => {
                let how = Showing { all, watch, reports: &report, output: &show.output };
                self::show(program, &run, &how).await
            }
            Runs::Resume(resume) => resume::resume(program, &resume, None).await,
            Runs::Approve(Approve { by, .. }) if by.trim().is_empty() => {
                Err(CliError::Usage("--by is empty; name the person who approves".to_owned()))
            }
            Runs::Approve(Approve { by, resume }) => resume::resume(program, &resume, Some(&by)).await,
            Runs::Pause(pause) => pause::pause(program, &pause).await,
            Runs::Rebuild { selection, .. } => rebuild::rebuild(program, &selection).await,
            Runs::Prune(prune) => prune_runs::prune(program, &prune).await,
            Runs::Resolve(resolve) => resolve::resolve(program, &resolve).await,
        }
    }
}

async fn list(program: &Program, filter: &RunFilter, limit: usize, output: &Output) -> Result<u8, CliError> {
    let read = async |ledger: &Ledger| ledger.runs_of(filter, limit).await.map_err(CliError::Ledger);
    let runs = program.read_ledger(read).await?;
    output.deliver(&crate::report::runs::list(&runs, output.format, &output.style(program)))?;
    Ok(0)
}

/// The form in which a run is shown.
struct Showing<'a> {
    /// Whether each tenant has a row.
    all: bool,
    /// Whether its end is waited for.
    watch: bool,
    reports: &'a Reports,
    output: &'a Output,
}

async fn show(program: &Program, wanted: &str, how: &Showing<'_>) -> Result<u8, CliError> {
    let read = async |ledger: &Ledger| {
        // "last" may be another one by the end.
        let run = ledger.run(wanted).await.map_err(run_error)?.run.to_string();
        if how.watch {
            watch::follow(program, ledger, &run).await?;
        }
        self::read(program, ledger, &run).await
    };
    let shown = program.read_ledger(read).await?;
    let told = shown.told(program);
    let view = shown.view(&told, how.all);
    for (format, file) in &how.reports.report {
        files::write(file, &view.render(*format, &Style::FILE))?;
    }
    how.output.deliver(&view.render(how.output.format, &how.output.style(program)))?;
    Ok(if how.watch { exit::code(told.stats.verdict(), false) } else { 0 })
}

/// Shows a run that is over. Returns the exit code that it ended with.
#[cfg(feature = "queue")]
pub(super) async fn over(program: &Program, run: Uuid, output: &Output) -> Result<u8, CliError> {
    let shown =
        program.read_ledger(async |ledger: &Ledger| self::read(program, ledger, &run.to_string()).await).await?;
    let told = shown.told(program);
    output.deliver(&shown.view(&told, false).render(output.format, &output.style(program)))?;
    Ok(exit::code(told.stats.verdict(), false))
}

/// The budgets of the waves that began, and that of the run, as its events have them.
fn budgets(events: &[(i64, Event)], selected: usize) -> Vec<next::Budget> {
    let (mut budgets, mut of_run) = (Vec::new(), None);
    for (_, event) in events {
        if let Event::WaveStarted { wave, tenants, max_failures, run_max_failures, .. } = event {
            let parsed = |text: &Option<String>| text.as_ref()?.parse().ok();
            budgets.extend(parsed(max_failures).map(|most| (Some(wave.clone()), most, Tally::default(), *tenants)));
            of_run = of_run.or(parsed(run_max_failures));
        }
    }
    budgets.extend(of_run.map(|most| (None, most, Tally::default(), selected)));
    budgets
}

/// A run as the ledger has it.
pub(super) struct Shown {
    pub(super) summary: RunSummary,
    former: PreviousRun,
    /// The runs that resumed it.
    heirs: Vec<RunSummary>,
    /// By these runs, who approved that they went on.
    approvers: BTreeMap<Uuid, String>,
    undoing: Undoing,
    ends: Ends,
    /// The runs that it resumed and whose failures have used up its budgets, and the budget of a wave that they used up.
    earlier: (Vec<RunHeader>, Option<UsedUp>),
    /// The tenants of these.
    taken: BTreeSet<TenantId>,
    /// All that is known of it and of the runs since, where somebody may go on with it.
    past: Option<(Former, Rollout)>,
    /// The lines that say why today's scripts are not those to go on with.
    changed: Option<String>,
    /// The lines on the tenants that a rollback left out.
    left_behind: String,
    approvals: Vec<Approval>,
    attempts: Vec<AttemptRow>,
    events: Vec<(i64, Event)>,
    ended_at_ms: HashMap<usize, i64>,
    runners: Vec<RunnerRow>,
}

/// The judgement on a run, and what to type next.
pub(super) struct Told {
    records: Vec<TenantRecord>,
    stats: RunStats,
    cause: Option<StopCause>,
    next: next::Next,
}

impl Shown {
    pub(super) fn header(&self) -> &RunHeader {
        &self.former.header
    }

    pub(super) fn told(&self, program: &Program) -> Told {
        let Shown { summary, former, heirs, undoing, ends, events, .. } = self;
        let records: Vec<TenantRecord> = former.records.iter().filter_map(|(_, record)| record.clone()).collect();
        let mut stats = RunStats { selected: former.records.len(), ..RunStats::default() };
        for record in &records {
            stats.add(&record.outcome, record.attempts);
        }
        let stats = summary.stats.unwrap_or(stats);
        let shut = || {
            events.iter().rev().filter_map(|(_, event)| match event {
                Event::GateFinished(gate) => gate.reason().map(|_| gate),
                _ => None,
            })
        };
        let closed = shut().find(|gate| gate.end == GateEnd::Failed).or(shut().next()).cloned();
        let (earlier, before) = &self.earlier;
        let used_up = next::used_up(budgets(events, summary.selected).into_iter(), &records);
        let used_up = used_up.or_else(|| before.clone());
        // A resumed run began with failures that its events do not have; that it stopped is recorded.
        let is_stopped = matches!(stats.stopped, Some(NotStarted::FailureBudget | NotStarted::RunFailureBudget));
        let is_used_up = used_up.is_some() || is_stopped;
        let pause = events.iter().find_map(|(_, event)| match event {
            Event::PauseRequested(pause) => Some(pause.clone()),
            _ => None,
        });
        let cause = StopCause::of(closed.clone(), pause, used_up, (stats.stopped, events));
        let paused = closed.as_ref().filter(|gate| gate.then == GateAction::Pause);
        // A run that lives, or is being resumed, needs nothing from anybody: what is not done yet is about to be done.
        let is_alive = [summary].into_iter().chain(heirs).any(|run| run.status() == RunStatus::Running);
        let next = match is_alive {
            true => next::Next::default(),
            // Nobody has come yet, or all have gone.
            false if summary.started_by.is_shared() && summary.finished_at_ms.is_none() && heirs.is_empty() => {
                let first = Some(program.command(&format!("work {}", summary.run)));
                next::Next { first, ..next::Next::default() }
            }
            // The tenants that it left are the other one's now.
            false if !ends.open.is_empty() && !heirs.is_empty() && self.left_out(program).is_empty() => {
                next::Next { first: None, rest: self.resumed_by(program, "what is left") }
            }
            false => {
                let left_out = self.left_out(program);
                let still = |id: &TenantId| match heirs.is_empty() {
                    true => ends.open.contains(id),
                    false => left_out.contains(id),
                };
                let tenants = former.records.iter().map(|(planned, _)| planned);
                let tenants = tenants.filter(|planned| still(&planned.tenant)).cloned().collect();
                let open: Vec<TenantRecord> = records.iter().filter(|r| still(&r.tenant)).cloned().collect();
                let left_out = events.iter().find_map(|(_, event)| match event {
                    Event::LeftOut { tenants } => Some(tenants.clone()),
                    _ => None,
                });
                let over = next::Over {
                    header: &RunHeader { tenants, ..former.header.clone() },
                    open: &open,
                    records: &records,
                    stop: next::Stop { cause: cause.as_ref(), paused, earlier, held: self.held(program) },
                    is_used_up,
                    undoing: undoing.clone(),
                    left_out: left_out.unwrap_or_default(),
                    left_behind: &self.left_behind,
                };
                let mut next = next::of(program, &over);
                next.rest.push_str(&self.resumed_by(program, "the others"));
                next
            }
        };
        Told { records, stats, cause, next }
    }

    /// The line that names the last run that resumed it, if one did.
    fn resumed_by(&self, program: &Program, has: &str) -> String {
        let Some(last) = self.heirs.last().map(|heir| heir.run).filter(|_| !self.ends.open.is_empty()) else {
            return String::new();
        };
        format!("resumed by run {last}, which has {has}: {}\n", program.command(&format!("runs show {last}")))
    }

    /// The tenants that it did not get to, and that no run which resumed it took although the tenant file has them.
    fn left_out(&self, program: &Program) -> BTreeSet<TenantId> {
        let free = program.registry.tenants.iter().filter(|tenant| tenant.hold.quarantine.is_none());
        let free: BTreeSet<&TenantId> = free.map(|tenant| &tenant.id).collect();
        let mut ids = self.former.unreached();
        ids.retain(|id| self.ends.open.contains(id) && !self.taken.contains(id) && free.contains(id));
        ids
    }

    /// The number of tenants that nobody may go on with as they are, and what to type.
    fn held(&self, program: &Program) -> Option<(usize, String)> {
        let (former, rollout) = self.past.as_ref()?;
        let changed = self.changed.clone().map(|lines| (former.left().len(), lines));
        changed.or_else(|| resume::held(program, former, rollout))
    }

    pub(super) fn view<'a>(&'a self, told: &'a Told, all: bool) -> RunView<'a> {
        RunView {
            run: &self.summary,
            outcome: OutcomeView {
                header: &self.former.header,
                records: &told.records,
                stats: &told.stats,
                elapsed: self.summary.elapsed(),
                scripts: &[],
                rerun: told.next.first.as_deref(),
                ways: &told.next.rest,
                cause: told.cause.as_ref(),
                undo: Some(&self.undoing),
            },
            approvals: &self.approvals,
            attempts: &self.attempts,
            events: &self.events,
            ended_at_ms: &self.ended_at_ms,
            heirs: &self.heirs,
            approvers: &self.approvers,
            settled: &self.ends.settled,
            runners: &self.runners,
            now_ms: now_ms(),
            all,
        }
    }
}

/// The command that goes on with a run, or a look at it where it is not gone on with as it is.
pub(super) async fn way_on(program: &Program, run: Uuid) -> String {
    let shown = program.read_ledger(async |ledger: &Ledger| self::read(program, ledger, &run.to_string()).await).await;
    let is_open = |shown: &Shown| {
        let left = shown.former.unreached().iter().filter(|id| shown.ends.open.contains(*id)).count();
        let held = shown.held(program).map_or(0, |(held, _)| held);
        shown.undoing == Undoing::default() && held < left
    };
    let verb = if shown.is_ok_and(|shown| is_open(&shown)) { "resume" } else { "show" };
    program.command(&format!("runs {verb} {run}"))
}

pub(super) async fn read(program: &Program, ledger: &Ledger, wanted: &str) -> Result<Shown, CliError> {
    let summary = ledger.run(wanted).await.map_err(run_error)?;
    let former = PreviousRun::read(ledger, &summary.run.to_string()).await?;
    let heirs = ledger.heirs(summary.run).await.map_err(run_error)?;
    let (mut approvers, mut taken) = (BTreeMap::new(), BTreeSet::new());
    for heir in &heirs {
        let its = ledger.records(heir.run).await.map_err(run_error)?;
        taken.extend(its.into_iter().map(|(planned, _)| planned.tenant));
        let events = ledger.events(heir.run).await.map_err(run_error)?;
        let by = events
            .into_iter()
            .find_map(|(_, event)| if let Event::GateFinished(gate) = event { gate.by } else { None });
        approvers.extend(by.map(|by| (heir.run, by)));
    }
    let ends = ledger.ends(summary.run).await.map_err(run_error)?;
    let approvals = match summary.kind.plan() {
        Some(digest) => ledger.approvals(digest).await.map_err(run_error)?,
        None => Vec::new(),
    };
    let attempts = ledger.attempts(summary.run).await.map_err(run_error)?;
    let events = ledger.events(summary.run).await.map_err(run_error)?;
    let ended_at_ms = ledger.ended_at(summary.run).await.map_err(run_error)?;
    let undoing = Undoing::of(&events, ledger.taken_back(summary.run).await.map_err(run_error)?);
    let runners = ledger.runners(summary.run).await.map_err(run_error)?;
    let is_used_up = summary.counts.stopped.is_some_and(NotStarted::is_budget);
    let earlier = match summary.resumes.is_some() && is_used_up {
        true => used_up_before(ledger, summary.run).await?,
        false => (Vec::new(), None),
    };
    let is_over = [&summary].into_iter().chain(&heirs).all(|run| run.status() != RunStatus::Running);
    let may_go_on = is_over && !ends.open.is_empty() && undoing == Undoing::default();
    let past = match may_go_on && summary.kind.goal().is_some() {
        // One whose past can't be read is shown without it.
        true => past(ledger, &summary).await.ok(),
        false => None,
    };
    let changed = match &past {
        Some((former, _)) => resume::changed(program, former).await,
        None => None,
    };
    let may_lack = summary.counts.held_back > 0 || summary.finished_at_ms.is_none();
    let left_behind = match is_over && may_lack {
        true => rollback_run::left_behind(program, ledger, &former.header).await?,
        false => String::new(),
    };
    Ok(Shown {
        taken,
        past,
        changed,
        left_behind,
        summary,
        former,
        heirs,
        approvers,
        undoing,
        ends,
        earlier,
        approvals,
        attempts,
        events,
        ended_at_ms,
        runners,
    })
}

async fn past(ledger: &Ledger, summary: &RunSummary) -> Result<(Former, Rollout), CliError> {
    let rollout = ledger.rollout(&summary.run.to_string()).await.map_err(run_error)?;
    Ok((resume::read_past(ledger, summary).await?, rollout))
}

/// The runs that this one resumed in which tenants failed that still do, and the first of their waves that may not have so many.
async fn used_up_before(ledger: &Ledger, run: Uuid) -> Result<(Vec<RunHeader>, Option<UsedUp>), CliError> {
    let (headers, former) = resume::failed_before(ledger, run).await?;
    let rollout = ledger.rollout(&run.to_string()).await.map_err(run_error)?;
    let budgets: BTreeMap<&String, FailureBudget> =
        rollout.budgets.iter().filter_map(|(wave, text)| Some((wave, text.parse().ok()?))).collect();
    let used_up = budgets.into_iter().find_map(|(wave, budget)| {
        let trails = rollout.trails.iter().filter(|(_, trail)| trail.wave == *wave);
        let is_done = |of: &TenantRecord| of.outcome.standing() != Standing::Outstanding;
        let done = trails.clone().filter(|(_, trail)| trail.records().any(is_done));
        let tally: Tally = done.map(|(id, _)| former.failure(id).unwrap_or(OutcomeKind::UpToDate)).collect();
        let wave = Some(wave.clone());
        budget.is_exceeded(&tally, trails.count()).then_some(UsedUp { wave, budget, tally })
    });
    Ok((headers, used_up))
}
