//! The answers to what the server asks.

mod refreshing;

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Mutex, mpsc, oneshot};

use self::refreshing::Door;
pub(super) use self::refreshing::Schedule;
use super::super::args::{Engines, Selection as SelectionArgs};
use super::super::exit::{CliError, run_error};
use super::super::pace::usual_pace;
use super::super::setup::Program;
use super::super::{backup, history, lint, metrics, origin, refresh, runs, scratch, tenants};
use super::changes;
use super::kept::Kept;
use crate::backup::{Manifest, RunBackups};
use crate::check::lint::{Linted, lint as linted};
use crate::compile::MigrationSet;
use crate::ledger::{Followed, Ledger, LedgerError};
use crate::model::clock::now_ms;
use crate::model::event::Event;
use crate::model::hold::Quarantine;
use crate::model::run_summary::{RunFilter, RunStatus, RunSummary};
use crate::model::schema::{Script, State};
use crate::model::tenant::{Tenant, TenantId};
use crate::policy::RefreshGroup;
use crate::report::live;
use crate::report::metrics::FleetReading;
use crate::report::refreshes::TenantRefreshes;
use crate::report::site::{
    CatalogView, FleetView, Form, Look, MigrationView, RunPage, RunsView, TenantBackup, TenantView, ViewsView, Wanted,
    WantedRuns, tenants_document,
};
use crate::server::{Answer, Asked, Change, Content, Question, Refused, Sent};

/// The age up to which a reading of the fleet is shown.
const FRESH: Duration = Duration::from_secs(5);
/// The same for metrics, which nobody waits for.
const METRICS: Duration = Duration::from_secs(60);
/// The same for the catalog: the program's own migrations do not change, and scripts do so by hand.
const CATALOG: Duration = Duration::from_secs(30);
/// The runs of a tenant that its page has.
const RUNS: u64 = 50;
/// The interval at which the ledger is read for a run that is followed.
const POLL: Duration = Duration::from_millis(700);
/// Events that wait for a slow reader.
const BEHIND: usize = 64;

/// The refreshes that are shown.
const REFRESHES: usize = 20;

/// A reading of the fleet with the program that read it.
struct Reading {
    program: Rc<Program>,
    set: Arc<MigrationSet>,
    tenants: Vec<Arc<Tenant>>,
    look: Look,
}

/// A reading of when views were refreshed.
struct Refreshed {
    program: Rc<Program>,
    set: Arc<MigrationSet>,
    tenants: Vec<TenantRefreshes>,
    /// The newest runs that refreshed views, each with its reason.
    runs: Vec<(RunSummary, Option<String>)>,
}

/// The catalog, linted.
struct Catalog {
    linted: Linted,
    scripts: Vec<Arc<Script>>,
}

/// The answers, and what they share.
pub(super) struct Answers {
    /// The program as the tenant file and its sources were when they were read last.
    program: RefCell<Rc<Program>>,
    asked: Kept<Program>,
    reading: Kept<Reading>,
    catalog: Kept<Catalog>,
    views: Kept<Refreshed>,
    /// `None`: no views are refreshed at their times and for changes.
    schedule: Option<Schedule>,
    /// The means to listen, of the program that looked last for the databases to listen to.
    door: RefCell<Option<Door>>,
    /// Held by a refresh that the server begins: a second one beside it might be refused.
    refreshing: Mutex<()>,
    backups: Kept<Vec<RunBackups>>,
}

impl Answers {
    pub(super) fn new(program: Program, schedule: Option<Schedule>) -> Self {
        let program = RefCell::new(Rc::new(program));
        Answers {
            program,
            asked: Kept::default(),
            reading: Kept::default(),
            catalog: Kept::default(),
            views: Kept::default(),
            schedule,
            door: RefCell::default(),
            refreshing: Mutex::default(),
            backups: Kept::default(),
        }
    }

    /// Answers until `stopped` completes, many at once.
    pub(super) async fn until(&self, mut asked: mpsc::Receiver<Asked>, stopped: impl Future<Output = ()>) {
        let (mut working, mut stopped) = (FuturesUnordered::new(), std::pin::pin!(stopped));
        let mut scheduled = std::pin::pin!(self.by_itself());
        loop {
            tokio::select! {
                () = &mut stopped => return,
                () = &mut scheduled => return,
                Some(one) = asked.recv() => working.push(self.answer(one)),
                Some(()) = working.next() => {}
                else => return,
            }
        }
    }

    async fn answer(&self, Asked { question, form, reply }: Asked) {
        if let Question::Events { run, since_ms } = &question {
            return self.follow(run, *since_ms, reply).await;
        }
        let answered = match question {
            Question::Change(change) => {
                let done = match self.knows(&change).await {
                    Ok(()) => changes::make(&self.program(), change).await,
                    Err(error) => Err(refused(error)),
                };
                self.reading.forget().await;
                self.views.forget().await;
                done.map(|made| Answer::Accepted(made.answer))
            }
            Question::Metrics => self.metrics().await.map(|text| Answer::Text(Content::Metrics, text)).map_err(refused),
            question => {
                let content = if form == Form::Json { Content::Json } else { Content::Html };
                self.text(question, form).await.map(|text| Answer::Text(content, text)).map_err(refused)
            }
        };
        // Whoever asked may be gone.
        let _ = reply.send(answered);
    }

    /// Refuses a change of a run, of a tenant or of views that do not exist.
    async fn knows(&self, change: &Change) -> Result<(), CliError> {
        match change {
            Change::Approve { run, .. } | Change::Resume { run } | Change::Pause { run, .. } => {
                let read = async |ledger: &Ledger| ledger.run(run).await.map(drop).map_err(run_error);
                let found = self.program().read_ledger_if_any(read).await?;
                found.ok_or_else(|| CliError::NothingMatched("no run has been recorded yet".to_owned()))
            }
            Change::Quarantine { until: Some(until), .. } if Quarantine::end_ms(until).is_none() => {
                Err(CliError::Usage(format!(
                    "until {until} is neither a day nor a moment; write 2026-12-24, or 2026-12-24T18:00:00Z"
                )))
            }
            Change::Quarantine { reason, .. } if reason.trim().is_empty() => {
                Err(CliError::Usage("the reason is empty; say what whoever looks next has to know".to_owned()))
            }
            Change::Quarantine { tenant, .. } | Change::Release { tenant } => {
                let program = self.again().await?;
                let is_there = program.registry.tenants.iter().any(|known| known.id.as_str() == tenant);
                let none = || CliError::NothingMatched(format!("there is no tenant {tenant} in the tenant file"));
                is_there.then_some(()).ok_or_else(none)
            }
            Change::Refresh { views, groups, .. } => {
                let groups: Result<Vec<RefreshGroup>, _> = groups.iter().map(|group| group.parse()).collect();
                let groups = groups.map_err(|unknown| CliError::Usage(unknown.to_string()))?;
                let set = self.again().await?.set().await?;
                let found = refresh::wanted(&set, views, &groups);
                found.map(drop).map_err(|why| CliError::NothingMatched(why.to_string()))
            }
        }
    }

    async fn text(&self, question: Question, form: Form) -> Result<String, CliError> {
        match question {
            Question::Tenants(wanted) => self.tenants(&wanted).await,
            Question::Tenant(id) => self.tenant(&TenantId::from(&*id), form).await,
            Question::Matrix(wanted) => {
                let reading = self.reading(FRESH).await?;
                Ok(FleetView { look: &reading.look, wanted: &wanted, now_ms: now_ms() }.matrix(form))
            }
            Question::Status(wanted) => {
                let reading = self.reading(FRESH).await?;
                Ok(FleetView { look: &reading.look, wanted: &wanted, now_ms: now_ms() }.status())
            }
            Question::Runs(wanted) => self.runs(&wanted, form).await,
            Question::Run(run) => self.run(&run, |page| page.render(form)).await,
            Question::Progress(run) => self.run(&run, |page| page.progress()).await,
            Question::Catalog => self.whole_catalog(form).await,
            Question::Migration(name) => self.migration(&name, form).await,
            Question::Views => self.views(|view| view.render(form)).await,
            Question::Dashboards => self.views(|view| view.dashboards()).await,
            Question::Metrics | Question::Events { .. } | Question::Change(_) => unreachable!("answered before"),
        }
    }

    fn program(&self) -> Rc<Program> {
        self.program.borrow().clone()
    }

    /// The program with the tenant file as it is now, and with what its sources said a moment ago.
    async fn again(&self) -> Result<Rc<Program>, CliError> {
        let before = self.program();
        let program = if before.registry.sources.is_empty() {
            Rc::new(before.again().await?)
        } else {
            self.asked.get(FRESH, async || before.again().await).await?
        };
        *self.program.borrow_mut() = program.clone();
        Ok(program)
    }

    /// A reading of the fleet that is not older than `most`, or not by much where reading takes long.
    async fn reading(&self, most: Duration) -> Result<Rc<Reading>, CliError> {
        let read = async || -> Result<Reading, CliError> {
            let (program, begun) = (self.again().await?, Instant::now());
            let set = program.set().await?;
            let selection = program.select(&SelectionArgs::default()).await?;
            let tenants: Vec<Arc<Tenant>> = selection.tenants().cloned().collect();
            let observations = program.read_states(&set, &tenants).await;
            let look = Look {
                catalog: set.catalog().clone(),
                rows: tenants::rows(&program, &selection),
                observations,
                read_at_ms: now_ms(),
                took: begun.elapsed(),
            };
            Ok(Reading { program, set, tenants, look })
        };
        self.reading.get(most, read).await
    }

    async fn tenants(&self, wanted: &Wanted) -> Result<String, CliError> {
        let program = self.again().await?;
        let selection = program.select_to_show(&SelectionArgs::default()).await?;
        Ok(tenants_document(tenants::rows(&program, &selection), wanted))
    }

    async fn tenant(&self, id: &TenantId, form: Form) -> Result<String, CliError> {
        let reading = self.reading(FRESH).await?;
        let place = reading.tenants.iter().position(|tenant| tenant.id == *id);
        let place =
            place.ok_or_else(|| CliError::NothingMatched(format!("there is no tenant {id} in the tenant file")))?;
        let Reading { program, set, tenants, look } = &*reading;
        let history = match look.observations[place].state {
            State::Unreachable => Vec::new(),
            _ => history::applied(program, set, &tenants[place], &look.observations[place]).await?,
        };
        let read = async |ledger: &Ledger| ledger.outcomes_of(id, RUNS).await.map_err(CliError::Ledger);
        let runs = program.read_ledger_if_any(read).await?.unwrap_or_default();
        let backups = self.backups_of(id).await?;
        Ok(TenantView { look, place, history: &history, runs: &runs, backups: &backups }.render(form))
    }

    /// The whole backups of a tenant, newest first. Each tenant of each run has a file, which takes a while for a large fleet.
    async fn backups_of(&self, id: &TenantId) -> Result<Vec<TenantBackup>, CliError> {
        let make = async || -> Result<Vec<RunBackups>, CliError> {
            let folder = self.program().settings().backups.clone();
            let read = tokio::task::spawn_blocking(move || backup::newest_first(&folder)).await;
            read.map_err(|e| CliError::CanNotStart(format!("reading the backups ended unexpectedly: {e}")))?
        };
        let runs = self.backups.get(Duration::ZERO, make).await?;
        let made = runs.iter().flat_map(|run| &run.manifests).filter(|made| made.tenant == *id);
        let backup = |made: &Manifest| TenantBackup {
            run: made.run.clone(),
            at_ms: made.at_ms,
            bytes: made.bytes,
            tool: made.tool.clone(),
        };
        Ok(made.map(backup).collect())
    }

    async fn runs(&self, wanted: &WantedRuns, form: Form) -> Result<String, CliError> {
        let filter = RunFilter { tenant: wanted.tenant(), ..RunFilter::default() };
        let read = async |ledger: &Ledger| ledger.runs_of(&filter, wanted.most()).await.map_err(CliError::Ledger);
        let runs = self.program().read_ledger_if_any(read).await?.unwrap_or_default();
        Ok(RunsView { runs: &runs }.render(form))
    }

    async fn run(&self, wanted: &str, render: impl FnOnce(&RunPage<'_>) -> String) -> Result<String, CliError> {
        let program = self.program();
        let read = async |ledger: &Ledger| {
            let shown = runs::read(&program, ledger, wanted).await?;
            let usual = usual_pace(ledger, shown.header()).await;
            Ok((shown, usual))
        };
        let found = program.read_ledger_if_any(read).await?;
        let (shown, usual) =
            found.ok_or_else(|| CliError::NothingMatched("no run has been recorded yet".to_owned()))?;
        let told = shown.told(&program);
        Ok(render(&RunPage { view: shown.view(&told, false), usual }))
    }

    async fn catalog(&self) -> Result<Rc<Catalog>, CliError> {
        let make = async || -> Result<Catalog, CliError> {
            let program = self.program();
            let set = program.set().await?;
            let engines = scratch::wanted(&program, &Engines::default());
            let subject = lint::subject(&program, &set, &engines).await;
            let mut scripts: Vec<Arc<Script>> = Vec::new();
            for pair in subject.scripts.iter().flat_map(|(_, pairs)| pairs) {
                scripts.extend([pair.up.clone(), pair.down.clone()]);
            }
            // All cores are busy for a moment; the tasks of this runtime must not wait for that.
            let work = tokio::task::spawn_blocking(move || linted(&subject)).await;
            let linted = work.map_err(|e| CliError::CanNotStart(format!("linting ended unexpectedly: {e}")))?;
            Ok(Catalog { linted, scripts })
        };
        self.catalog.get(CATALOG, make).await
    }

    async fn whole_catalog(&self, form: Form) -> Result<String, CliError> {
        let (reading, catalog) = (self.reading(METRICS).await?, self.catalog().await?);
        let Reading { set, look, .. } = &*reading;
        let rows = history::with_spread(set, history::described(set), &look.observations);
        let read = look.observations.iter().filter(|o| o.state != State::Unreachable).count();
        Ok(CatalogView { rows: &rows, linted: &catalog.linted, look, read }.render(form))
    }

    async fn migration(&self, name: &str, form: Form) -> Result<String, CliError> {
        let catalog = self.catalog().await?;
        let of_it = catalog.scripts.iter().filter(|script| *script.migration == *name).cloned();
        let scripts: Vec<Arc<Script>> = of_it.collect();
        if scripts.is_empty() {
            return Err(CliError::NothingMatched(format!("there is no migration {name} in this program")));
        }
        Ok(MigrationView { name, linted: &catalog.linted, scripts: &scripts }.render(form))
    }

    async fn views(&self, render: impl FnOnce(&ViewsView<'_>) -> String) -> Result<String, CliError> {
        let make = async || -> Result<Refreshed, CliError> {
            let program = self.again().await?;
            let set = program.set().await?;
            let tenants = match set.views() {
                [] => Vec::new(),
                _ => refresh::last(&program, &set, &SelectionArgs::default()).await?,
            };
            let filter = RunFilter { refreshes: Some(true), ..RunFilter::default() };
            let read = async |ledger: &Ledger| ledger.runs_of(&filter, REFRESHES).await.map_err(CliError::Ledger);
            let runs = program.read_ledger_if_any(read).await?.unwrap_or_default().into_iter().map(|run| {
                let reason = origin::reason(&run.started_by.command);
                (run, reason)
            });
            Ok(Refreshed { program, set, tenants, runs: runs.collect() })
        };
        let Refreshed { program, set, tenants, runs } = &*self.views.get(FRESH, make).await?;
        let heard = self.schedule.as_ref().map(|schedule| schedule.listening.heard());
        let (dashboards, now_ms) = (&program.registry.dashboards, now_ms());
        Ok(render(&ViewsView { views: set.views(), tenants, runs, dashboards, heard: heard.as_ref(), now_ms }))
    }

    async fn metrics(&self) -> Result<String, CliError> {
        // The runs are told also where the tenants can't be read.
        let reading = self.reading(METRICS).await.ok();
        let reading = reading.as_ref().map(|reading| &reading.look).map(|look| FleetReading {
            observations: &look.observations,
            at_ms: look.read_at_ms,
            took: look.took,
        });
        metrics::text(&self.program(), reading).await
    }

    /// Sends the events of a run as the ledger gets them, from whichever process, until it ends or nobody listens.
    async fn follow(&self, wanted: &str, since_ms: i64, reply: Reply) {
        let mut reply = Some(reply);
        let read = async |ledger: &Ledger| stream(ledger, wanted, since_ms, &mut reply).await.map_err(run_error);
        let streamed = self.program().read_ledger(read).await;
        if let (Err(error), Some(reply)) = (streamed, reply) {
            let _ = reply.send(Err(refused(error)));
        }
    }
}

type Reply = oneshot::Sender<Result<Answer, Refused>>;

/// Takes the reply to answer with a stream, and fills that.
async fn stream(ledger: &Ledger, wanted: &str, since_ms: i64, reply: &mut Option<Reply>) -> Result<(), LedgerError> {
    let first = ledger.run(wanted).await?;
    let header = ledger.header(first.run).await?;
    let has_ended = first.finished_at_ms.is_some_and(|ms| ms < since_ms);
    let (events, receiver) = mpsc::channel(BEHIND);
    let answer = if has_ended { Answer::Ended } else { Answer::Events(receiver) };
    let is_heard = reply.take().is_some_and(|reply| reply.send(Ok(answer)).is_ok());
    if has_ended || !is_heard {
        return Ok(());
    }
    let (run, mut seen) = (first.run.to_string(), Followed::default());
    loop {
        // Asked before the news are read: those of a run that has ended are all there.
        let summary = ledger.run(&run).await?;
        let is_over = summary.status() != RunStatus::Running;
        if is_over {
            seen.look_again();
        }
        let news = ledger.news(&header, &mut seen).await?.into_iter().filter(|(at_ms, _)| *at_ms >= since_ms);
        let last = summary.stats.filter(|_| is_over);
        let last = last.map(|stats| (summary.finished_at_ms.unwrap_or(since_ms), Event::RunFinished { stats }));
        for (at_ms, event) in news.chain(last) {
            let (name, data) = live::named(&event);
            if events.send(Sent { at_ms, name, data }).await.is_err() {
                return Ok(());
            }
        }
        if is_over {
            let data = live::ended(summary.status().into());
            let _ = events.send(Sent { at_ms: now_ms(), name: "ended".to_owned(), data }).await;
            return Ok(());
        }
        tokio::select! {
            () = events.closed() => return Ok(()),
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// The reason of an error for the caller, who has no terminal.
fn refused(error: CliError) -> Refused {
    let text = error.to_string();
    match error {
        CliError::NothingMatched(what) => Refused::NotFound(what),
        CliError::NoSuchRun(_) | CliError::Migration(_) => Refused::NotFound(text),
        CliError::Usage(_) | CliError::Select(_) => Refused::Wrong(text),
        _ => Refused::Unavailable(text),
    }
}
