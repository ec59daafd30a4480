//! Read-only commands: plan, status, matrix, tenants check. They read once and create nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use uuid::Uuid;

use super::args::{Matrix, Plan, Plans, Selection as SelectionArgs, Status};
use super::cautions;
use super::command::Run;
use super::exit::CliError;
use super::goals;
use super::hold;
use super::notes;
use super::online_limits;
use super::origin;
use super::plan_files;
use super::rollback_run::{self, Undo};
use super::saved_plan;
use super::setup::{Program, quoted};
use super::sources;
use super::start::Intent;
use super::{gates, metrics, migrate, servers, sizes, strata, watch, wave_notes};
use crate::compile::{LazyScripts, MigrationSet};
use crate::engine::commits_between;
use crate::inputs::select::Selection;
use crate::model::clock::now_ms;
use crate::model::engine::{Flavour, Variant};
use crate::model::observation::Observation;
use crate::model::plan::{Goal, Target, predecessors};
use crate::model::run_kind::RunKind;
use crate::model::schema::{Catalog, Direction, Execution, Script, State};
use crate::model::tenant::{Engine, Tenant, TenantId};
use crate::model::transaction::TransactionScope;
use crate::report::first;
use crate::report::matrix::MatrixView;
use crate::report::metrics::FleetReading;
use crate::report::plan::{Detail, LimitNote, PlanRow, PlanView, ServerNote, WaveNote};
use crate::report::status::StatusView;

impl Run for Status {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        self.show(program, |observations| self.code(program, observations)).await
    }
}

impl Status {
    pub(super) async fn observe(
        &self,
        program: &Program,
        set: &Arc<MigrationSet>,
    ) -> Result<Vec<Observation>, CliError> {
        let selection = program.select(&self.read.selection).await?;
        let tenants: Vec<Arc<Tenant>> = selection.tenants().cloned().collect();
        let begun = Instant::now();
        let observations = program.observe(set, &tenants).await;
        let reading = FleetReading { observations: &observations, at_ms: now_ms(), took: begun.elapsed() };
        metrics::write(program, self.metrics_file.as_deref(), Some(reading)).await?;
        Ok(observations)
    }

    /// Shows the status once, with the exit code of what it found, or again and again.
    async fn show(&self, program: &Program, code: impl Fn(&[Observation]) -> u8) -> Result<u8, CliError> {
        let set = program.set_to_look().await?;
        if let Some(every) = self.watch.every {
            return watch::repeat(every, async || Ok(self.text(program, &set).await?.1)).await;
        }
        let (observations, text) = self.text(program, &set).await?;
        self.read.output.deliver(&text)?;
        cautions::tell_last_run(program).await;
        Ok(code(&observations))
    }

    async fn text(&self, program: &Program, set: &Arc<MigrationSet>) -> Result<(Vec<Observation>, String), CliError> {
        let observations = self.observe(program, set).await?;
        let view = StatusView { catalog: set.catalog(), observations: &observations };
        let output = &self.read.output;
        let text = view.render(output.format, &output.style(program));
        Ok((observations, text))
    }

    /// More tenants gone from a source than it allows are pending like those that are behind: no run takes them.
    pub(super) fn code(&self, program: &Program, observations: &[Observation]) -> u8 {
        let pending = observations.iter().any(|o| o.state != State::AtTarget && !o.is_held());
        if self.exit_code && (pending || sources::refuse_gone(program).is_err()) { 2 } else { 0 }
    }

    /// Reads every tenant; fails when one can't be read, or lost its database.
    pub(super) async fn check(&self, program: &Program) -> Result<u8, CliError> {
        let is_unreachable = |o: &Observation| o.state == State::Unreachable || o.is_lost();
        let code = |observations: &[Observation]| match observations.iter().any(is_unreachable) {
            true => 100,
            false => self.code(program, observations),
        };
        self.show(program, code).await
    }
}

impl Run for Matrix {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        let set = program.set_to_look().await?;
        if let Some(every) = self.status.watch.every {
            return watch::repeat(every, async || Ok(self.text(program, &set).await?.1)).await;
        }
        let (code, text) = self.text(program, &set).await?;
        self.status.read.output.deliver(&text)?;
        Ok(code)
    }
}

impl Matrix {
    /// The exit code, and the matrix.
    async fn text(&self, program: &Program, set: &Arc<MigrationSet>) -> Result<(u8, String), CliError> {
        let observations = self.status.observe(program, set).await?;
        let code = self.status.code(program, &observations);
        let output = &self.status.read.output;
        let (all, format, style, set) = (self.all, output.format, output.style(program), set.clone());
        // CPU-bound parallel work: marks and groups of many thousand tenants take all cores for a moment.
        let render =
            move || MatrixView { catalog: set.catalog(), observations: &observations, all }.render(format, &style);
        Ok((code, tokio::task::spawn_blocking(render).await.expect("a renderer does not panic")))
    }
}

impl Run for Plan {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        match &self.what {
            Some(Plans::Approve(approve)) => return saved_plan::approve(program, approve).await,
            Some(Plans::Show(show)) => return saved_plan::show(program, show),
            None => {}
        }
        let set = program.set().await?;
        let wanted = program.of_migrations(&self.read.selection).await?;
        let mut intent = self.intent(program, &set, &wanted).await?;
        sources::tell(program);
        strata::complete(program, &set, &mut intent).await;
        sizes::largest_first(program, &set, &mut intent.selection).await;
        let Some(goal) = intent.kind.goal() else { return Ok(0) };
        goals::order(program, &mut intent.selection, goal.direction)?;
        let selection = &intent.selection;
        goals::refuse_unset(&set, selection, &goal)?;
        gates::assertions(program, gates::of(selection))?;
        if goal.direction == Direction::Up
            && let Some(why) = gates::unguarded(program, selection)
        {
            program.terminal.warn(&format!("migrate would refuse this: {why}"));
        }
        if let Err(why) = servers::refuse_shut(program, selection) {
            program.terminal.warn(&format!("a run would be refused: {why}"));
        }
        let planning = Planning { native: self.native, ..intent.planning(program, &set, &goal) };
        let mut planned = self::planned(&planning).await;
        let detail = match (self.sql, self.list_scripts) {
            (true, _) => Detail::Sql,
            (false, true) => Detail::Scripts,
            (false, false) => Detail::Summary,
        };
        let output = &self.read.output;
        if let Some(file) = &self.save {
            sources::refuse_gone(program)?;
            let told = saved_plan::save(&planning, &planned, wanted.failed_of.as_deref(), file)?;
            output.deliver(&told)?;
            return Ok(self.code(program, &planned));
        }
        if let Some(folder) = &self.out {
            output.deliver(&plan_files::write(&planning, &planned, folder).await?)?;
            return Ok(self.code(program, &planned));
        }
        let locks = if self.sql { plan_files::script_locks(program, planned.scripts()) } else { Vec::new() };
        let wires = if self.wire { plan_files::wires(&planning, false).await?.groups } else { Vec::new() };
        online_limits::note(&planning, &mut planned).await;
        let view = PlanView { locks: &locks, wires: &wires, ..planned.view(&set, &goal, detail) };
        output.deliver(&view.render(output.format, &output.style(program)))?;
        Ok(self.code(program, &planned))
    }
}

impl Plan {
    fn code(&self, program: &Program, planned: &Planned) -> u8 {
        if self.exit_code && (planned.is_pending() || sources::refuse_gone(program).is_err()) { 2 } else { 0 }
    }

    /// The migration that it plans. The direction of the run that `--failed-of` names is that of its plan.
    async fn intent(
        &self,
        program: &Program,
        set: &Arc<MigrationSet>,
        wanted: &SelectionArgs,
    ) -> Result<Intent, CliError> {
        if let Some(run) = &self.run {
            let undo = Undo { run, waves: None, filter: &wanted.filter };
            return rollback_run::intent(program, set, undo).await;
        }
        let named = (self.to.is_some() || self.steps.is_some())
            .then(|| goals::target(set.catalog(), self.to.as_deref(), self.steps))
            .transpose()?;
        let direction = match &wanted.failed_of {
            _ if self.down => Direction::Down,
            Some(run) => program.previous_run(run).await?.header.direction,
            None => Direction::Up,
        };
        let default = Goal { direction, target: Target::End, out_of_order: self.out_of_order };
        migrate::selected(program, set, wanted, (default, named)).await
    }
}

/// The plan of a run, from reading every tenant.
pub(super) struct Planned {
    pub(super) waves: Vec<(String, Vec<PlanRow>)>,
    pub(super) observations: Vec<Observation>,
    /// The tenants that lost their databases and get new ones, without their rows.
    pub(super) recreated: BTreeSet<TenantId>,
    /// The tenants without a history that have tables, with their number.
    pub(super) with_tables: Vec<(TenantId, usize)>,
    notes: Vec<WaveNote>,
    servers: Vec<ServerNote>,
    scripts: Vec<Script>,
    aside: Vec<Script>,
    limits: Vec<LimitNote>,
    hooks: Vec<String>,
    /// The known issues of taking its steps back, each with the migration.
    issues: Vec<(String, String)>,
    goal_text: String,
    /// The command that plans the same.
    command: String,
}

impl Planned {
    pub(super) fn rows(&self) -> Vec<&PlanRow> {
        self.waves.iter().flat_map(|(_, rows)| rows).collect()
    }

    /// The scripts of a tenant's steps.
    pub(super) fn scripts_of<'a>(&'a self, row: &'a PlanRow) -> impl Iterator<Item = &'a Script> {
        self.scripts.iter().filter(|script| row.is_sent(script, &self.scripts))
    }

    /// The scripts and the rows, for notes.
    pub(super) fn parts(&mut self) -> (&[Script], &mut [(String, Vec<PlanRow>)]) {
        (&self.scripts, &mut self.waves)
    }

    /// The scripts that would run, for each engine.
    pub(super) fn scripts(&self) -> &[Script] {
        &self.scripts
    }

    /// The scripts that make way for them and are made again behind them: each down, then up.
    pub(super) fn aside(&self) -> &[Script] {
        &self.aside
    }

    /// The known issues of taking its steps back, each with the migration.
    pub(super) fn issues(&self) -> &[(String, String)] {
        &self.issues
    }

    pub(super) fn view<'a>(&'a self, set: &'a MigrationSet, goal: &Goal, detail: Detail) -> PlanView<'a> {
        PlanView {
            catalog: set.catalog(),
            direction: goal.direction,
            goal: &self.goal_text,
            waves: &self.waves,
            notes: &self.notes,
            servers: &self.servers,
            scripts: &self.scripts,
            aside: &self.aside,
            limits: &self.limits,
            hooks: &self.hooks,
            issues: &self.issues,
            locks: &[],
            wires: &[],
            command: &self.command,
            detail,
        }
    }

    pub(super) fn is_pending(&self) -> bool {
        self.rows().iter().any(|row| !row.steps.is_empty() || row.refusal.is_some() || row.error.is_some())
    }
}

/// A request for a plan.
pub(super) struct Planning<'a> {
    pub(super) program: &'a Program,
    pub(super) set: &'a Arc<MigrationSet>,
    pub(super) selection: &'a Selection,
    pub(super) goal: &'a Goal,
    /// Whether to plan as if every migration ran natively.
    pub(super) native: bool,
    /// Whether to plan for tenants that lost their databases as for new ones.
    pub(super) recreate: bool,
    /// The targets of tenants that have their own.
    pub(super) targets: &'a HashMap<TenantId, Target>,
    /// The run that is undone.
    pub(super) undoes: Option<Uuid>,
    /// The tenants that were read already, by the same command.
    pub(super) seen: &'a HashMap<TenantId, Observation>,
    /// The flavours of their servers, as far as they were asked for.
    pub(super) flavours: &'a HashMap<TenantId, Flavour>,
}

impl Planning<'_> {
    /// The goal in words.
    pub(super) fn goal_text(&self) -> String {
        goals::in_words(&RunKind::migrate(*self.goal).undoing(self.undoes), self.goal, self.set.catalog())
    }

    /// The goal of a tenant.
    fn goal_of(&self, id: &TenantId) -> Goal {
        Goal { target: self.targets.get(id).copied().unwrap_or(self.goal.target), ..*self.goal }
    }
}

/// Reads the selected tenants and decides the action on each.
pub(super) async fn planned(planning: &Planning<'_>) -> Planned {
    let &Planning { program, set, selection, goal, native, recreate, seen, .. } = planning;
    let tenants: Vec<Arc<Tenant>> = selection.tenants().cloned().collect();
    let known: Option<Vec<Observation>> = tenants.iter().map(|tenant| seen.get(&tenant.id).cloned()).collect();
    let mut observations = match known {
        Some(known) => known,
        None => program.observe_to_plan(set, &tenants).await,
    };
    let mut recreated = BTreeSet::new();
    for o in observations.iter_mut().filter(|o| recreate && o.is_lost()) {
        o.error = None;
        recreated.insert(o.tenant.clone());
    }
    let catalog = set.catalog();
    for o in &mut observations {
        if let State::Stopped(unfinished) = &o.state {
            o.history = match goal.direction {
                Direction::Up => Catalog::before_way_up(&o.history, Some(unfinished)).into(),
                Direction::Down => catalog.before_way_down(o.history.to_vec(), unfinished, o.variant()).into(),
            };
        }
    }
    let mut left = observations.iter();
    let mut waves: Vec<(String, Vec<PlanRow>)> = selection
        .waves
        .iter()
        .map(|wave| {
            let rows = left.by_ref().take(wave.tenants.len()).zip(&wave.tenants);
            let row = |(o, tenant): (&Observation, &Arc<Tenant>)| PlanRow {
                online: tenant.online.unwrap_or_default(),
                ..goals::row(catalog, o, &planning.goal_of(&tenant.id))
            };
            (wave.name.clone(), rows.map(row).collect())
        })
        .collect();
    hold_back(planning, &tenants, &mut waves);
    let with_tables = cautions::with_tables(program, goal, &mut waves, &observations);
    let rows: Vec<&PlanRow> = waves.iter().flat_map(|(_, rows)| rows).collect();
    let wanted: BTreeSet<&String> = rows.iter().flat_map(|row| &row.steps).collect();
    let lazy = LazyScripts::new(set.clone(), goal.direction, goals::range(catalog, &rows), native);
    let pending: BTreeMap<(Variant, bool), &Tenant> = rows
        .iter()
        .zip(&tenants)
        .filter(|(row, _)| !row.steps.is_empty())
        .map(|(row, tenant)| ((tenant.variant(), row.online), &**tenant))
        .collect();
    let compiling = join_all(pending.values().map(|tenant| lazy.of(tenant)));
    let compiled = program.looking("compiling migrations", 0, compiling).await;
    let mut scripts: Vec<Script> = Vec::new();
    for script in compiled.iter().flat_map(|scripts| scripts.iter()) {
        // Most scripts are the same for tenants with the online form and those without.
        if wanted.contains(&script.migration.to_string()) && !scripts.contains(script) {
            scripts.push(Script::clone(script));
        }
    }
    let place = |script: &Script| {
        (Engine::ALL.iter().position(|e| *e == script.engine), catalog.position(&script.migration), script.variant())
    };
    scripts.sort_by_key(place);
    let all = waves.iter_mut().flat_map(|(_, rows)| rows);
    let before = predecessors(&tenants, goal.direction);
    for ((row, o), before) in all.zip(&observations).zip(before) {
        goals::refuse_native(row, &o.state, &scripts);
        row.after = before.into_iter().map(|place| tenants[place].id.clone()).collect();
    }
    for (row, tenant) in waves.iter_mut().flat_map(|(_, rows)| rows).zip(&tenants) {
        refuse_unfit(row, tenant, &lazy, (catalog, goal.direction)).await;
    }
    tell_transactions(planning, &scripts, &mut waves);
    let mut aside: Vec<Script> = Vec::new();
    let all = waves.iter_mut().flat_map(|(_, rows)| rows).zip(&observations).zip(&tenants);
    for ((row, o), tenant) in all.filter(|((row, _), _)| !row.steps.is_empty()) {
        let steps: Vec<usize> = row.steps.iter().filter_map(|name| catalog.position(name)).collect();
        let around = lazy.around(tenant, &o.history, &steps).await;
        around.in_words(|_| true).into_iter().for_each(|line| row.add_note(line));
        let of_it = around.taken.iter().flat_map(|taken| [&taken.down, &taken.up]);
        let new = of_it.filter(|script| !scripts.contains(script) && !aside.contains(script)).map(|s| Script::clone(s));
        aside.extend(new.collect::<Vec<_>>());
    }
    if goal.direction == Direction::Down {
        // The newest goes first, and a reader expects the scripts as they run; the engines keep their order.
        scripts.reverse();
        scripts.sort_by_key(|script| Engine::ALL.iter().position(|engine| *engine == script.engine));
    }
    let limits = goals::limits(planning, &scripts);
    let down: BTreeSet<&str> = match goal.direction {
        Direction::Up => BTreeSet::new(),
        Direction::Down => waves.iter().flat_map(|(_, rows)| rows).flat_map(|row| &row.steps).map(|s| &**s).collect(),
    };
    let down: Vec<&str> = catalog.migrations.iter().rev().map(|name| &**name).filter(|n| down.contains(n)).collect();
    let issues = if down.is_empty() { Vec::new() } else { notes::rollback_issues(set, &down) };
    Planned {
        command: command(planning),
        goal_text: planning.goal_text(),
        issues,
        notes: wave_notes::of(planning, &observations),
        servers: servers::notes(program, &tenants),
        waves,
        observations,
        recreated,
        with_tables,
        scripts,
        aside,
        limits,
        hooks: program.settings().hooks.iter().map(|(point, hook)| format!("{point}: {}", hook.shown())).collect(),
    }
}

/// Leaves out of the plan what frozen tenants do not get, and everything of those in quarantine.
fn hold_back(planning: &Planning<'_>, tenants: &[Arc<Tenant>], waves: &mut [(String, Vec<PlanRow>)]) {
    let catalog = planning.set.catalog();
    let mut freezes = hold::freezes(planning.program, catalog, tenants);
    if planning.goal.direction == Direction::Down {
        freezes.clear();
    }
    let waiting = hold::waiting(tenants, planning.goal.direction);
    for (row, tenant) in waves.iter_mut().flat_map(|(_, rows)| rows).zip(tenants) {
        let all = row.steps.len();
        if let Some(last) = freezes.get(&row.tenant) {
            row.steps.retain(|name| catalog.position(name).is_some_and(|place| place <= *last));
            if row.steps.len() < all {
                row.add_note(format!("frozen at {}", catalog.migrations[*last]));
            }
        }
        if let Some(quarantine) = &tenant.hold.quarantine {
            row.steps.clear();
            row.add_note(format!("in quarantine: {quarantine}"));
        } else if let Some(other) = waiting.get(&row.tenant) {
            row.steps.clear();
            row.add_note(format!("waits for {other}, which is in quarantine"));
        }
    }
}

/// The command that plans for the same goal and the same tenants.
pub(super) fn command(planning: &Planning<'_>) -> String {
    let Planning { program, set, goal, native, .. } = planning;
    let mut words = vec!["plan".to_owned()];
    words.extend((goal.direction == Direction::Down && planning.undoes.is_none()).then(|| "--down".to_owned()));
    // The way back of a run is one of the flags of the selection.
    let goal = Goal { target: if planning.undoes.is_some() { Target::End } else { goal.target }, ..**goal };
    words.extend(goal_words(set, &goal, *native));
    words.extend(origin::selection().iter().map(|flag| quoted(flag)));
    program.command(&words.join(" "))
}

/// The flags that say how far a plan or a run goes, and how.
pub(super) fn goal_words(set: &MigrationSet, goal: &Goal, native: bool) -> Vec<String> {
    let target = match goal.target {
        Target::End => None,
        Target::Steps(n) => Some(format!("--steps {n}")),
        Target::Migration(to) => Some(format!("--to {}", quoted(&set.catalog().migrations[to]))),
    };
    let out_of_order = goal.out_of_order.then(|| "--out-of-order".to_owned());
    target.into_iter().chain(out_of_order).chain(native.then(|| "--native".to_owned())).collect()
}

/// Says of tenants whose steps share transactions how many there are: with more than one, a failure keeps what those
/// before have committed.
fn tell_transactions(planning: &Planning<'_>, scripts: &[Script], waves: &mut [(String, Vec<PlanRow>)]) {
    let fleet = planning.program.settings().transaction;
    let mut known: HashMap<(Variant, bool, Vec<String>), Option<String>> = HashMap::new();
    for (wave, (_, rows)) in planning.selection.waves.iter().zip(waves) {
        let of_wave = wave.transaction.unwrap_or(fleet);
        let is_shared = |tenant: &Tenant| tenant.transaction.unwrap_or(of_wave) == TransactionScope::Tenant;
        for (row, tenant) in rows.iter_mut().zip(&wave.tenants) {
            if row.steps.is_empty() || !is_shared(tenant) {
                continue;
            }
            let line = known.entry((tenant.variant(), row.online, row.steps.clone())).or_insert_with(|| {
                let scripts: Vec<&Script> = scripts.iter().filter(|script| row.is_sent(script, scripts)).collect();
                transactions_in_words(&scripts)
            });
            line.clone().into_iter().for_each(|line| row.add_note(line));
        }
    }
}

fn transactions_in_words(scripts: &[&Script]) -> Option<String> {
    const NAMED: usize = 5;
    let Some(commits) = commits_between(scripts) else {
        return Some("each statement that changes the schema is committed by itself".to_owned());
    };
    if commits.is_empty() {
        return Some("all in one transaction".to_owned());
    }
    let ends: Vec<String> = commits.into_iter().map(|at| scripts[at].migration.to_string()).collect();
    Some(format!("not all in one transaction: also committed behind {}", first(&ends, NAMED)))
}

/// Refuses a tenant that a run would refuse because of one of its scripts: one that can't run on its engine, or that
/// works outside the tenant's schema.
async fn refuse_unfit(
    row: &mut PlanRow,
    tenant: &Tenant,
    lazy: &LazyScripts,
    (catalog, direction): (&Catalog, Direction),
) {
    if row.steps.is_empty() {
        return;
    }
    let scripts = lazy.of(tenant).await;
    let own: Vec<&str> = tenant.schema.iter().chain(&tenant.shared_schemas).map(String::as_str).collect();
    let unfit = row.steps.iter().find_map(|name| {
        let index = catalog.position(name)?;
        // A rollback without a way down is refused as a whole.
        if let Execution::Irreversible { reason } = &scripts.get(index)?.execution
            && direction == Direction::Up
        {
            return Some(format!("{name} can't run on it: {reason}"));
        }
        let place = tenant.schema.as_ref().and_then(|_| scripts.foreign_schema(index, &own))?;
        Some(format!("{name} can't run on a tenant that is a schema ({place})"))
    });
    if unfit.is_some() {
        row.steps.clear();
        (row.refusal, row.note) = (unfit, None);
    }
}
