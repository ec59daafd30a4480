//! Late joiners: tenants that came into the fleet while a migration went on, and that it would have taken.
//!
//! The tenant file and its sources are read again when the run has come to its end, and before that is recorded. What joined is
//! told, and counts as left; or it is migrated by a run of its own behind this one, which passes the same checks, gates and
//! limits as any other, and of which joiners are told and not taken.
//!
//! Dying in between: the first run is at its end, and whoever joined is as before; the next `migrate` takes them.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use tokio::time::Instant;

use super::args::RunOutput;
use super::exit;
use super::inspect;
use super::origin;
use super::session::{self, Stage, conduct};
use super::setup::{Program, quoted};
use super::signals::Signals;
use super::start::{Intent, Ready, ready};
use crate::compile::MigrationSet;
use crate::inputs::select::{self, Filter, Selection};
use crate::model::event::Event;
use crate::model::outcome::NotStarted;
use crate::model::plan::Goal;
use crate::model::schema::Direction;
use crate::model::stats::{RunStats, Verdict};
use crate::model::tenant::TenantId;
use crate::report::{Format, count};
use crate::run::{BackupPlan, Cancel, Level, Pacing, RunPlan};

/// The most tenants that a command names.
const NAMED: usize = 5;

/// The tenants that a migration would have taken, had they been there when it began.
pub(super) struct Late {
    filter: Filter,
    goal: Goal,
    native: bool,
    backup: Option<BackupPlan>,
    /// Whether they are migrated.
    are_taken: bool,
}

/// Those that came, with the fleet that has them.
pub(super) struct Joined {
    fleet: Program,
    selection: Selection,
    late: Late,
    /// Whether a run of their own is to take them.
    are_taken: bool,
}

impl Joined {
    fn ids(&self) -> BTreeSet<TenantId> {
        self.selection.tenants().map(|tenant| tenant.id.clone()).collect()
    }

    /// The number of tenants that stay as they are.
    pub(super) fn left(&self) -> usize {
        if self.are_taken { 0 } else { self.ids().len() }
    }

    pub(super) fn event(&self) -> Event {
        Event::LateJoiners { tenants: self.ids().into_iter().collect(), are_taken: self.are_taken }
    }
}

impl Late {
    /// Those of a migration that begins; `None`: it is another kind of run, or takes the tenants of an earlier one.
    pub(super) fn of(intent: &mut Intent) -> Option<Self> {
        let goal = intent.kind.goal().filter(|goal| goal.direction == Direction::Up)?;
        let filter = intent.joins.take().filter(|_| intent.resumes.is_none())?;
        let (native, backup, are_taken) = (intent.native, intent.backup.clone(), intent.takes_late);
        Some(Late { filter, goal, native, backup, are_taken })
    }

    /// Looks for those that have come by the end of a run, and tells of them. `None`: there are none, or nobody knows.
    pub(super) async fn look(
        self,
        program: &Program,
        set: &Arc<MigrationSet>,
        (stats, cancel): (&RunStats, &Cancel),
    ) -> Option<Joined> {
        // The first request to stop may come when there is nobody left to start.
        let (mut level, now) = (cancel.subscribe(), cancel.level());
        let is_cut_off = |reason| matches!(reason, NotStarted::Ledger | NotStarted::Interrupted);
        let by_request = match now {
            Level::Running => None,
            Level::Draining(reason) | Level::Cancelling(reason) => Some(reason),
        };
        if stats.stopped.or(by_request).is_some_and(is_cut_off) {
            return None;
        }
        let found = tokio::select! {
            found = self.find(program, set) => found,
            // An interruption: the person wants it to end.
            _ = level.wait_for(|level| *level != now) => return None,
        };
        let (fleet, selection) = match found {
            Ok(found) => found.filter(|(_, selection)| !selection.is_empty())?,
            Err(why) => {
                let list = program.command("tenants list");
                program.terminal.warn(&format!(
                    "the run is over, and whether tenants came into the fleet meanwhile is not known: {why}\nto see who is in \
                     it now: {list}"
                ));
                return None;
            }
        };
        let is_whole = stats.stopped.is_none() && stats.failures() == 0 && stats.outstanding() == 0;
        // A request to pause may come when there is nobody left to start.
        let are_taken = self.are_taken && is_whole && by_request.is_none();
        let joined = Joined { fleet, selection, late: self, are_taken };
        joined.tell(program, set);
        Some(joined)
    }

    /// The fleet as it is now, and the tenants in it that are new, would be taken, and have something to do.
    async fn find(&self, program: &Program, set: &Arc<MigrationSet>) -> Result<Option<(Program, Selection)>, String> {
        let fleet = program.now().await?;
        let before: HashSet<&TenantId> = program.registry.tenants.iter().map(|tenant| &tenant.id).collect();
        let mut selection = select::select(&fleet.registry, &self.filter).map_err(|error| error.to_string())?;
        let is_new = |id: &TenantId| !before.contains(id);
        for wave in &mut selection.waves {
            wave.tenants.retain(|tenant| is_new(&tenant.id) && tenant.hold.quarantine.is_none());
        }
        selection.waves.retain(|wave| !wave.tenants.is_empty());
        selection.held_back = 0;
        if selection.is_empty() {
            return Ok(None);
        }
        selection.resolve_credentials(&fleet.registry).await;
        let intent = Intent { native: self.native, ..Intent::migrate(self.goal, selection) };
        let planned = inspect::planned(&intent.planning(&fleet, set, &self.goal)).await;
        let done: HashSet<TenantId> =
            planned.rows().iter().filter(|row| row.is_done()).map(|row| row.tenant.clone()).collect();
        let mut selection = intent.selection;
        for wave in &mut selection.waves {
            wave.tenants.retain(|tenant| !done.contains(&tenant.id));
        }
        selection.waves.retain(|wave| !wave.tenants.is_empty());
        Ok(Some((fleet, selection)))
    }
}

impl Joined {
    fn tell(&self, program: &Program, set: &MigrationSet) {
        let ids = self.ids();
        let who = format!("{} came into the fleet while the run went on", count(ids.len(), "tenant"));
        let names = program.terminal.names(&ids);
        if self.are_taken {
            return program.terminal.warn(&format!("{who}, migrated now by a run of its own: {names}"));
        }
        let why = if self.late.are_taken { ", because the run did not bring all its tenants to its goal" } else { "" };
        let command = self.command(program, set, &ids);
        program.terminal.warn(&format!("{who}, not migrated{why}: {names}\nto migrate: {command}"));
    }

    /// The command that migrates them. Where there are many, it is the one for all: those that are done are left alone.
    fn command(&self, program: &Program, set: &MigrationSet, ids: &BTreeSet<TenantId>) -> String {
        let needs_plan = program.settings().require_approval;
        let mut words = vec![if needs_plan { "plan" } else { "migrate" }.to_owned()];
        words.extend(inspect::goal_words(set, &self.late.goal, self.late.native));
        words.extend(self.late.backup.is_some().then(|| "--backup".to_owned()).filter(|_| !needs_plan));
        match ids.len() {
            0..=NAMED => words.extend(ids.iter().map(|id| format!("--tenant {}", quoted(id.as_str())))),
            _ => words.extend(origin::selection().iter().map(|flag| quoted(flag))),
        }
        words.extend(needs_plan.then(|| "--save FILE".to_owned()));
        program.command(&words.join(" "))
    }
}

/// Migrates those that are to be taken, by a run of their own. Returns its exit code; `None`: there are none, or all is well.
///
/// They have no more time than the run that they came too late for.
pub(super) async fn behind(
    set: &Arc<MigrationSet>,
    joined: Option<Joined>,
    (deadline, stage): (Option<Instant>, &mut Stage<'_>),
) -> Option<u8> {
    let Joined { fleet, selection, late, .. } = joined.filter(|joined| joined.are_taken)?;
    let cancel = Cancel::default();
    let signals = Signals::listen(cancel.clone());
    let mut level = cancel.subscribe();
    let (joins, backup) = (Some(late.filter), late.backup);
    let mut intent = Intent { native: late.native, backup, joins, ..Intent::migrate(late.goal, selection) };
    let late = Late::of(&mut intent);
    // The flag is a yes to them.
    let output = RunOutput { yes: true, ..stage.output.clone() };
    let planned = tokio::select! {
        planned = ready(&fleet, set, intent, &output) => planned,
        _ = level.wait_for(|level| *level != Level::Running) => {
            fleet.terminal.error("interrupted: no tenant that joined was migrated");
            return Some(exit::code(Verdict::Interrupted, signals.terminated()));
        }
    };
    let conducted = match planned {
        Ok(Ready::Over(code)) => return Some(code).filter(|code| *code != 0),
        Ok(Ready::Run(plan)) => {
            (stage.stop, stage.late) = (Some((cancel, signals)), late);
            let pacing = Pacing { deadline, ..plan.pacing.clone() };
            conduct(&fleet, set, RunPlan { pacing, ..*plan }, stage).await
        }
        Err(error) => Err(error),
    };
    match conducted {
        Ok(mut joined) => {
            let told = session::told(&fleet, &mut joined, None).await;
            fleet.terminal.tell(joined.view(&told).render(Format::Table, &fleet.terminal.err).trim_end());
            Some(joined.code()).filter(|code| *code != 0)
        }
        Err(error) => {
            fleet.terminal.error(&format!("the tenants that joined were not migrated: {error}"));
            Some(error.code())
        }
    }
}
