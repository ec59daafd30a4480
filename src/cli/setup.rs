//! The start of every command: the tenant file, its settings, a selection, access to the databases.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::args::{Global, Selection as SelectionArgs};
use super::code::Code;
use super::exit::CliError;
use super::hold;
use super::previous_run::{PreviousRun, retained};
use super::sources::{self, Reads};
use super::terminal::Terminal;
use super::waiting::{Wait, waiting};
use crate::compile::folder::{ScriptMistake, SqlFolder};
use crate::compile::{MigrationSet, folder};
use crate::engine::{Database, Servers, location};
use crate::external::Secrets;
use crate::hooks::Callers;
use crate::inputs::registry::{self, Discovered, Registry, Renewal};
use crate::inputs::select::{self, Filter, Selection};
use crate::inputs::{Mistakes, Overrides, SETTINGS, ServerUrl, Setting, Settings, Variables, folder_of, unread};
use crate::ledger::Ledger;
use crate::model::engine::Flavour;
use crate::model::event::RunHeader;
use crate::model::hook::Hooks;
use crate::model::observation::Observation;
use crate::model::program;
use crate::model::run_summary::{LeftAt, RunFilter, RunResult};
use crate::model::schema::State;
use crate::model::tenant::{Tenant, TenantId};
use crate::model::text::suggestion;
pub(super) use crate::model::typed::{quoted, tenant_flag};
use crate::policy::Limits;
use crate::report::sources::SourceRow;
use crate::report::{clean, count};
use crate::run;
use crate::seed::Rules;

/// The most runs among which the last of a kind is looked for.
const RUNS: usize = 10_000;

/// The fleet as this command sees it.
pub(super) struct Program {
    pub(super) registry: Registry,
    pub(super) terminal: Terminal,
    /// Whether the file was named explicitly, so that proposed commands name it too.
    pub(super) named: bool,
    /// The locations given as flags, so that proposed commands use the same ones.
    places: Vec<String>,
    /// The flags of settings that were given.
    pub(super) flags: Overrides,
    pub(super) code: Code,
    /// The tenants that the present look at the fleet has read.
    read: AtomicUsize,
    /// The rows that the sources gave.
    discovered: Option<Arc<Discovered>>,
    /// The sources, with who is new and gone since the last run.
    pub(super) news: Vec<SourceRow>,
}

impl Program {
    /// Reads the tenant file, and its sources where the command needs them; these flags override its settings.
    pub(super) async fn load(
        global: &Global,
        overrides: Overrides,
        (terminal, code): (Terminal, Code),
        reads: Reads,
    ) -> Result<Self, CliError> {
        let path = match &global.config {
            Some(path) => path.clone(),
            None => {
                let found = std::env::current_dir().ok().and_then(|here| registry::find(&here));
                found.ok_or_else(|| {
                    // A misspelt FLEET_CONFIG may be why.
                    unread(&Variables::of_process(), "").iter().for_each(|warning| terminal.warn(warning));
                    CliError::NoFile
                })?
            }
        };
        let places = places(&overrides);
        let wrong = |mistakes: Mistakes| CliError::Mistakes { rendered: mistakes.render(terminal.err.colour) };
        let mut registry = registry::load(&path, &overrides, None).map_err(wrong)?;
        let mut discovered = None;
        if reads == Reads::Sources && !registry.sources.is_empty() {
            let rows = discovered.insert(Arc::new(sources::ask(&registry, terminal, &code).await?));
            registry = registry::load(&path, &overrides, Some(rows)).map_err(wrong)?;
        }
        for warning in &registry.warnings {
            terminal.warn(warning);
        }
        let (named, read, news) = (global.config.is_some(), AtomicUsize::new(0), Vec::new());
        let mut program = Program { registry, terminal, named, places, flags: overrides, discovered, code, read, news };
        match sources::news(&program).await {
            Ok(news) => program.news = news,
            Err(error) => terminal.warn(&format!("who is new and who is gone in the sources is not known: {error}")),
        }
        sources::warn_of_gone(&program);
        if reads == Reads::Sources {
            super::session::refuse_tenant(&program)?;
        }
        Ok(program)
    }

    /// The same program as if these settings had been given as flags, too; those that were win.
    pub(super) fn with_settings(
        &self,
        more: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<Self, CliError> {
        let flags = self.flags.over(more);
        let registry = registry::load(&self.registry.path, &flags, self.discovered.as_deref())
            .map_err(|mistakes| CliError::Mistakes { rendered: mistakes.render(self.terminal.err.colour) })?;
        Ok(self.with(registry, flags, self.discovered.clone()))
    }

    fn with(&self, registry: Registry, flags: Overrides, discovered: Option<Arc<Discovered>>) -> Self {
        Program {
            registry,
            terminal: self.terminal,
            named: self.named,
            places: self.places.clone(),
            flags,
            code: self.code.clone(),
            read: AtomicUsize::new(0),
            discovered,
            news: self.news.clone(),
        }
    }

    /// The fleet of a tenant file that was read already.
    pub(super) fn of(
        registry: Registry,
        named: bool,
        overrides: &Overrides,
        (terminal, code): (Terminal, Code),
    ) -> Self {
        let (places, flags) = (places(overrides), overrides.clone());
        let (discovered, read, news) = (None, AtomicUsize::new(0), Vec::new());
        Program { registry, terminal, named, places, flags, discovered, code, read, news }
    }

    /// The same program with its tenant file and its sources as they are now. Warnings were told when the program began.
    ///
    /// # Errors
    /// The tenant file has mistakes, or a source gave no whole answer.
    #[cfg(feature = "serve")]
    pub(super) async fn again(&self) -> Result<Self, CliError> {
        self.now().await.map_err(CliError::CanNotStart)
    }

    /// The same; an error is in words.
    pub(super) async fn now(&self) -> Result<Self, String> {
        let load = |discovered| {
            registry::load(&self.registry.path, &self.flags, discovered).map_err(|_| {
                let check = self.command("tenants list");
                format!("the tenant file has mistakes; they are shown by: {check}")
            })
        };
        let registry = load(None)?;
        if registry.sources.is_empty() {
            return Ok(self.with(registry, self.flags.clone(), None));
        }
        let discovered = Arc::new(sources::answers(&registry, self.terminal, &self.code).await?);
        Ok(self.with(load(Some(&discovered))?, self.flags.clone(), Some(discovered)))
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.registry.settings
    }

    /// The time limits of single migrations in the tenant file.
    pub(super) fn limits_of(&self, migration: &str) -> Limits {
        self.settings().migrations.get(migration).map(|of| of.limits).unwrap_or_default()
    }

    /// The migrations of this program, followed by the SQL scripts of its tenant file.
    pub(super) async fn set(&self) -> Result<Arc<MigrationSet>, CliError> {
        self.set_of(folder::read).await
    }

    /// The same for a command that only looks: it goes on where the text of a script can't be run, and says so.
    pub(super) async fn set_to_look(&self) -> Result<Arc<MigrationSet>, CliError> {
        let terminal = self.terminal;
        self.set_of(move |folder| {
            let folder = folder::look(folder)?;
            if !folder.mistakes.is_empty() {
                warn_of(&terminal, &folder.mistakes);
                terminal.warn("no run begins with such a script");
            }
            Ok(folder)
        })
        .await
    }

    async fn set_of(
        &self,
        read: impl FnOnce(&Path) -> Result<SqlFolder, Vec<ScriptMistake>> + Send + 'static,
    ) -> Result<Arc<MigrationSet>, CliError> {
        let mut set = self.code.migrations().await?;
        if let Some(folder) = &self.settings().scripts {
            let folder = self.shown(folder);
            // Many files keep all cores busy for a moment; the tasks of this runtime must not wait for that.
            let read = tokio::task::spawn_blocking(move || read(&folder)).await;
            let unread =
                |e| CliError::CanNotStart(format!("reading the scripts ended unexpectedly: {e}; nothing was changed"));
            let scripts = read.map_err(unread)?.map_err(CliError::Scripts)?;
            warn_of(&self.terminal, &scripts.warnings);
            set = set.with_scripts(scripts)?;
        }
        check_names(self, &set)?;
        hold::check_freezes(self, set.catalog())?;
        let replaces = self.settings().migrations.iter().map(|(name, of)| (name.as_str(), of.replaces.as_slice()));
        let online = self.settings().migrations.iter();
        let online = online.filter_map(|(name, of)| Some((Arc::from(name.as_str()), of.online?)));
        Ok(Arc::new(set.with_replaced(replaces)?.with_online(online)))
    }

    /// The same for a command that needs no script: where they can't be used as they are it goes on without them, and says so.
    pub(super) async fn set_or_code(&self) -> Result<Arc<MigrationSet>, CliError> {
        let terminal = self.terminal;
        let goes_on = move |mistakes: &[ScriptMistake]| {
            warn_of(&terminal, mistakes);
            terminal.warn("the scripts can't be used as they are; this command goes on without them");
        };
        let look = move |folder: &Path| -> Result<SqlFolder, Vec<ScriptMistake>> {
            let folder = folder::look(folder)?;
            if !folder.mistakes.is_empty() {
                goes_on(&folder.mistakes);
            }
            Ok(folder)
        };
        match self.set_of(look).await {
            Err(CliError::Scripts(mistakes)) => {
                goes_on(&mistakes);
                Ok(Arc::new(self.code.migrations().await?))
            }
            other => other,
        }
    }

    /// The rules by which rows are generated: those of the tenant file before the general ones.
    pub(super) fn seed_rules(&self) -> Result<Arc<Rules>, CliError> {
        let Some(path) = &self.settings().seed_rules else { return Ok(Arc::default()) };
        let shown = self.shown(path);
        let text = crate::external::file::read_text(path).map_err(|error| {
            CliError::Settings(format!("can't read the rules of [seed], {}: {error}", shown.display()))
        })?;
        let rules = Rules::parse(&text).map_err(|error| {
            CliError::Settings(format!("the rules of [seed], {}, can't be used: {error}", shown.display()))
        })?;
        Ok(Arc::new(rules))
    }

    pub(super) fn door(&self, set: &Arc<MigrationSet>) -> Arc<dyn Database> {
        self.renewed(Servers::new(set.clone(), self.settings().timeouts()))
    }

    fn renewed(&self, servers: Servers) -> Arc<dyn Database> {
        let (database, timeouts) = (Arc::new(servers), self.settings().timeouts());
        Arc::new(Renewal { database, passwords: self.registry.passwords.clone(), timeouts })
    }

    /// The hooks of the tenant file, if it has any.
    pub(super) fn hooks(&self, secrets: Secrets) -> Option<Arc<dyn Hooks>> {
        let hooks = self.settings().hooks.clone();
        let folder = folder_of(&self.registry.path);
        (!hooks.is_empty()).then(|| Arc::new(Callers { hooks, folder, secrets }) as Arc<dyn Hooks>)
    }

    /// The selected tenants with their passwords; warns of words that match none.
    pub(super) async fn select(&self, args: &SelectionArgs) -> Result<Selection, CliError> {
        let (filter, missing) = self.wanted(args).await?;
        let mut selection = self.filter(filter).await?;
        selection.held_back += missing;
        Ok(selection)
    }

    /// The selected tenants for a command that only shows them: no password is fetched, so no command is run.
    pub(super) async fn select_to_show(&self, args: &SelectionArgs) -> Result<Selection, CliError> {
        let (filter, _) = self.wanted(args).await?;
        let mut selection = self.matching(&filter)?;
        selection.leave_out_credentials(&self.registry);
        Ok(selection)
    }

    pub(super) async fn filter(&self, filter: Filter) -> Result<Selection, CliError> {
        let mut selection = self.matching(&filter)?;
        selection.resolve_credentials(&self.registry).await;
        Ok(selection)
    }

    /// The filter of the flags, and how many failed tenants of `--failed-of` the file has no more.
    async fn wanted(&self, args: &SelectionArgs) -> Result<(Filter, usize), CliError> {
        let mut filter = args.filter.clone();
        let mut missing = 0;
        if let Some(run) = args.failed_of.as_deref() {
            let previous = self.previous_run(run).await?;
            let failed = previous.failed();
            if failed.is_empty() {
                return Err(CliError::NothingMatched(self.no_failures(&previous.header).await?));
            }
            let (present, gone) = retained(self, previous.header.run, failed);
            (filter.only, missing) = (Some(present), gone);
        }
        Ok((filter, missing))
    }

    /// That a run has no failures, and which one before it has.
    pub(super) async fn no_failures(&self, header: &RunHeader) -> Result<String, CliError> {
        let wanted = RunFilter { results: vec![RunResult::Failed, RunResult::Stopped], ..RunFilter::default() };
        let read = async |ledger: &Ledger| ledger.runs_of(&wanted, RUNS).await.map_err(CliError::Ledger);
        let runs = self.read_ledger(read).await?;
        let earlier = runs.iter().find(|run| run.counts.failures() > 0 && run.started_at_ms <= header.started_at_ms);
        let earlier = earlier
            .map(|run| format!("; the last one before it that has: --failed-of {} ({})", run.run, clean(&run.goal)));
        Ok(format!("run {} ({}) has no failures{}", header.run, clean(&header.goal), earlier.unwrap_or_default()))
    }

    fn matching(&self, filter: &Filter) -> Result<Selection, CliError> {
        let selection = select::select(&self.registry, filter)?;
        for unmatched in &selection.unmatched_patterns {
            self.terminal.warn(&format!("{unmatched} matches no tenant"));
        }
        if selection.is_empty() {
            // A source that lost its tenants is the reason, not a filter.
            sources::refuse_gone(self)?;
            return Err(CliError::NothingMatched(why_nothing(&selection)));
        }
        Ok(selection)
    }

    /// The state of these tenants; warns of versions whose scripts are gone.
    pub(super) async fn observe(&self, set: &Arc<MigrationSet>, tenants: &[Arc<Tenant>]) -> Vec<Observation> {
        let observations = self.read_states(set, tenants).await;
        self.tell_gone(set, &observations);
        observations
    }

    /// The same for a plan, which tells of tenants with tables and no history.
    pub(super) async fn observe_to_plan(&self, set: &Arc<MigrationSet>, tenants: &[Arc<Tenant>]) -> Vec<Observation> {
        let observations = self.read_states_by((set, true), tenants, self.door(set)).await;
        self.tell_gone(set, &observations);
        observations
    }

    /// The same, with the flavour of each server that has one, also where no script differs by it.
    pub(super) async fn observe_flavours(
        &self,
        set: &Arc<MigrationSet>,
        tenants: &[Arc<Tenant>],
    ) -> Vec<(Observation, Option<Flavour>)> {
        // The tenants themselves are not told: their scripts would be taken for those of one flavour.
        let apart = |tenant: &Arc<Tenant>| match set.has_flavours() {
            true => tenant.clone(),
            false => Arc::new(Tenant { flavour: Arc::default(), ..Tenant::clone(tenant) }),
        };
        let asked: Vec<Arc<Tenant>> = tenants.iter().map(apart).collect();
        let servers = Servers::new(set.clone(), self.settings().timeouts()).asking_flavours();
        let mut observations = self.read_states_by((set, true), &asked, self.renewed(servers)).await;
        self.tell_gone(set, &observations);
        let flavours: Vec<Option<Flavour>> = observations.iter().map(|seen| seen.flavour).collect();
        observations.iter_mut().filter(|_| !set.has_flavours()).for_each(|seen| seen.flavour = None);
        observations.into_iter().zip(flavours).collect()
    }

    fn tell_gone(&self, set: &MigrationSet, observations: &[Observation]) {
        let mut gone: BTreeMap<&str, usize> = BTreeMap::new();
        for name in observations.iter().flat_map(|o| set.catalog().gone(&o.history)) {
            *gone.entry(name).or_default() += 1;
        }
        for (name, tenants) in gone {
            self.terminal.warn(&format!(
                "{name} was applied to {}, and its script is gone: what it made stays there, and no run touches it; to \
                 forget it: {}",
                count(tenants, "tenant"),
                self.command(&format!("scripts forget {}", quoted(name)))
            ));
        }
    }

    /// The state of these tenants.
    pub(super) async fn read_states(&self, set: &Arc<MigrationSet>, tenants: &[Arc<Tenant>]) -> Vec<Observation> {
        self.read_states_by((set, false), tenants, self.door(set)).await
    }

    async fn read_states_by(
        &self,
        (set, asks_tables): (&Arc<MigrationSet>, bool),
        tenants: &[Arc<Tenant>],
        door: Arc<dyn Database>,
    ) -> Vec<Observation> {
        let reading = run::observe(tenants, (set, asks_tables), &door, self.pace());
        let mut observations = self.looking("reading tenants", tenants.len(), reading).await;
        self.find_lost(&mut observations).await;
        hold::note(self, set.catalog(), tenants, &mut observations);
        observations
    }

    /// Tells of tenants on which nothing is applied although a run left them at a version. Without the ledger this is not
    /// known, and said so: reading the tenants does not depend on it.
    async fn find_lost(&self, observations: &mut [Observation]) {
        let is_empty = |o: &&mut Observation| o.state == State::Empty;
        let ids: BTreeSet<TenantId> =
            observations.iter().filter(|o| o.state == State::Empty).map(|o| o.tenant.clone()).collect();
        match self.left_at(ids).await {
            Ok(left_at) => observations.iter_mut().filter(is_empty).for_each(|o| {
                o.error = left_at.get(&o.tenant).map(|left| left.lost(&o.tenant));
            }),
            Err(error) => self.terminal.warn(&format!(
                "whether the tenants on which nothing is applied lost their databases is not known: {error}"
            )),
        }
    }

    /// The versions at which runs left these tenants, as far as the ledger knows.
    pub(super) async fn left_at(&self, ids: BTreeSet<TenantId>) -> Result<HashMap<TenantId, LeftAt>, CliError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let read = async |ledger: &Ledger| ledger.left_at(ids).await.map_err(CliError::Ledger);
        Ok(self.read_ledger_if_any(read).await?.unwrap_or_default())
    }

    /// The pace of reading tenants.
    pub(super) fn pace(&self) -> run::Pace<'_> {
        let settings = self.settings();
        let (concurrency, timeouts) = (settings.concurrency(), settings.timeouts());
        run::Pace {
            concurrency,
            timeouts,
            lock_wait_limit: settings.retry().lock_wait_limit,
            answer: None,
            done: &self.read,
        }
    }

    /// Completes a look at `tenants` tenants at this program's pace; one that takes long is shown on the terminal.
    pub(super) async fn looking<T>(&self, what: &str, tenants: usize, look: impl Future<Output = T>) -> T {
        self.read.store(0, Ordering::Relaxed);
        waiting(self.terminal, Wait { what, done: &self.read, all: tenants }, look).await
    }

    /// As [`Program::read_ledger_if_any`], for a command that requires a ledger.
    pub(super) async fn read_ledger<T>(
        &self,
        read: impl AsyncFnOnce(&Ledger) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let none = || CliError::Usage("no run has been recorded yet: there is no ledger".to_owned());
        self.read_ledger_if_any(read).await?.ok_or_else(none)
    }

    /// Opens the ledger for reading, and closes it again whatever the result of `read`. It is not created.
    pub(super) async fn read_ledger_if_any<T>(
        &self,
        read: impl AsyncFnOnce(&Ledger) -> Result<T, CliError>,
    ) -> Result<Option<T>, CliError> {
        let opened = Ledger::open_existing(&self.settings().ledger).await.map_err(CliError::Ledger)?;
        let Some(ledger) = opened else { return Ok(None) };
        let result = read(&ledger).await;
        ledger.close().await;
        result.map(Some)
    }

    /// A run that the ledger has: an id, its beginning or end, or "last".
    pub(super) async fn previous_run(&self, wanted: &str) -> Result<PreviousRun, CliError> {
        self.read_ledger(async |ledger| PreviousRun::read(ledger, wanted).await).await
    }

    /// The selection of a migration: "last" of `--failed-of` is the last run that migrated or rolled back, whatever came after
    /// it.
    pub(super) async fn of_migrations(&self, args: &SelectionArgs) -> Result<SelectionArgs, CliError> {
        if args.failed_of.as_deref().map(str::trim) != Some("last") {
            return Ok(args.clone());
        }
        let read = async |ledger: &Ledger| {
            let runs = ledger.runs_of(&RunFilter::default(), RUNS).await.map_err(CliError::Ledger)?;
            let last = runs.iter().find(|run| run.kind.goal().is_some());
            let none = || CliError::Usage("no run that migrates or rolls back has been recorded yet".to_owned());
            last.map(|run| run.run.to_string()).ok_or_else(none)
        };
        Ok(SelectionArgs { failed_of: Some(self.read_ledger(read).await?), ..args.clone() })
    }

    /// A path for display: relative to the current folder where it lies below it.
    pub(super) fn shown(&self, path: &std::path::Path) -> std::path::PathBuf {
        let here = std::env::current_dir().unwrap_or_default();
        path.strip_prefix(&here).map_or_else(|_| path.to_owned(), std::path::Path::to_owned)
    }

    /// The place of a tenant's database, without user and password. A file is known by its place in the project, which another
    /// machine has elsewhere.
    pub(super) fn place_of(&self, tenant: &Tenant) -> String {
        let at = location(tenant);
        let within = Path::new(&at).strip_prefix(folder_of(&self.registry.path)).ok();
        within.map_or_else(|| at.clone(), |path| path.display().to_string())
    }

    /// `fleet …` with the tenant file and the places that this command was given, as a command to type next.
    pub(super) fn command(&self, rest: &str) -> String {
        let words: Vec<&str> = std::iter::once(rest).chain(self.places.iter().map(String::as_str)).collect();
        self.line(&words.join(" "))
    }

    /// `fleet runs resolve …` for this tenant with these flags, as a command to type next.
    pub(super) fn resolve_command(&self, id: &TenantId, flags: &str) -> String {
        let places = self.places.iter().map(String::as_str);
        let flags: Vec<&str> = std::iter::once(flags).filter(|flags| !flags.is_empty()).chain(places).collect();
        self.line(&resolve_words(id, &flags.join(" ")))
    }

    fn line(&self, rest: &str) -> String {
        let file = if self.named {
            format!("--config {} ", quoted(&self.registry.path.to_string_lossy()))
        } else {
            String::new()
        };
        format!("{} {file}{rest}", program::name())
    }
}

/// Number of warnings about scripts that are shown.
const WARNINGS_SHOWN: usize = 3;

/// Shows warnings about scripts, and how many more there are.
fn warn_of(terminal: &Terminal, warnings: &[ScriptMistake]) {
    for warning in warnings.iter().take(WARNINGS_SHOWN) {
        terminal.warn(&warning.to_string());
    }
    if warnings.len() > WARNINGS_SHOWN {
        terminal.warn(&format!("{} more places in scripts are like these", warnings.len() - WARNINGS_SHOWN));
    }
}

/// Refuses limits for unknown migrations: such a name is a misspelling, and the intended migration would have no limit.
fn check_names(program: &Program, set: &MigrationSet) -> Result<(), CliError> {
    let catalog = set.catalog();
    let wrong: Vec<String> = program
        .settings()
        .migrations
        .keys()
        .filter(|name| !catalog.migrations.iter().any(|m| **m == ***name))
        .map(|name| {
            let near = suggestion(name, catalog.migrations.iter().map(|m| &**m));
            let near = near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
            format!(
                "{}: [migrations.\"{name}\"] names no migration of this program{near}",
                program.registry.path.display()
            )
        })
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(CliError::Settings(wrong.join("\n"))) }
}

/// The flags for locations: another ledger does not have the run, and other scripts change its goal.
fn places(overrides: &Overrides) -> Vec<String> {
    // A password that was typed is not repeated.
    let masked = |text: &str| match ServerUrl::parse(text) {
        Ok(url) if url.has_password() => url.masked(),
        _ => text.to_owned(),
    };
    let flag = |setting: &Setting| {
        let (value, (long, _)) = (quoted(&masked(overrides.get(setting.key)?)), setting.flag?);
        Some(if value.starts_with('-') { format!("--{long}={value}") } else { format!("--{long} {value}") })
    };
    SETTINGS.iter().filter(|setting| setting.is_place()).filter_map(flag).collect()
}

/// `runs resolve` for this tenant with these flags. An id that begins like a flag goes after all flags.
pub(super) fn resolve_words(id: &TenantId, flags: &str) -> String {
    let word = quoted(id.as_str());
    let words = if word.trim_start_matches('\'').starts_with('-') { [flags, "--", &word] } else { [&word, flags, ""] };
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    format!("runs resolve {}", words.join(" "))
}

/// The reasons why no tenant is left, most frequent first.
fn why_nothing(selection: &Selection) -> String {
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for (_, mismatch) in &selection.mismatches {
        *reasons.entry(mismatch.to_string()).or_default() += 1;
    }
    let mut reasons: Vec<(String, usize)> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let words: Vec<String> = reasons.iter().take(3).map(|(why, n)| format!("{n} because {why}")).collect();
    match selection.mismatches.len() {
        0 => "the file and its sources have none".to_owned(),
        n => format!("{n} in the file, {}", words.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::{places, quoted, resolve_words, tenant_flag};
    use crate::inputs::Overrides;
    use crate::inputs::registry::Patterns;
    use crate::model::tenant::TenantId;

    #[test]
    fn a_command_to_type_next_means_one_tenant_only() {
        let flag = |id: &str| tenant_flag(&TenantId::from(id));
        assert_eq!(flag("acme"), "--tenant acme");
        assert_eq!(flag("-rf"), "--tenant=-rf");
        assert_eq!(flag("$(x)*"), "--tenant '$(x)[*]'");
        for id in ["*", "a?", "x[1]", "{a,b}", "a\\b", "[!a]", "}{"] {
            let flag = flag(id);
            let pattern = flag.strip_prefix("--tenant ").unwrap().trim_matches('\'');
            let patterns = Patterns::new([pattern]).unwrap_or_else(|e| panic!("{e}"));
            assert!(patterns.matches(id), "{pattern} for {id}");
            assert!(!["a", "b", "ab", "x1", "acme"].into_iter().any(|other| patterns.matches(other)), "{pattern}");
        }
        assert_eq!(resolve_words(&TenantId::from("a b"), "--applied"), "runs resolve 'a b' --applied");
        assert_eq!(resolve_words(&TenantId::from("--yes"), "--applied"), "runs resolve --applied -- --yes");
        assert_eq!(resolve_words(&TenantId::from("-'x"), ""), r"runs resolve -- '-'\''x'");
    }

    #[test]
    fn a_command_to_type_next_repeats_the_places_without_a_password() {
        let given = |ledger: &str| Overrides::from([("ledger", ledger), ("scripts", "my scripts"), ("backups", "-b")]);
        assert_eq!(places(&given("l.db")), ["--ledger l.db", "--scripts 'my scripts'", "--backups=-b"]);
        assert_eq!(places(&given("postgres://u:s3cret@h/db"))[0], "--ledger 'postgres://u:***@h/db'");
        assert_eq!(places(&given("mysql://u@h/db"))[0], "--ledger mysql://u@h/db");
        assert!(places(&Overrides::default()).is_empty());
    }

    #[test]
    fn odd_words_are_quoted_for_the_shell() {
        assert_eq!(quoted("tenants.toml"), "tenants.toml");
        assert_eq!(quoted("it's; rm -rf"), r"'it'\''s; rm -rf'");
        assert_eq!(quoted(""), "''");
    }
}
