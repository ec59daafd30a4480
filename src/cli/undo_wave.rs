//! `on_failure = "rollback_wave"`: takes back what a run moved in a wave that failed, by a run of its own right behind it.
//!
//! It is `rollback --run` for one wave, and only its beginning differs: nobody is asked, and no window, deadline or rate keeps
//! it waiting. Dying before its run is in the ledger: the failed run has the request, and `runs resume` or `rollback --run`
//! takes the wave back. Dying behind it: it is resumed like any rollback.

use std::sync::Arc;

use uuid::Uuid;

use super::args::RunOutput;
use super::exit::{self, CliError};
use super::rollback_run::{self, Undo};
use super::session::{self, Ended, Stage, conduct};
use super::setup::Program;
use super::signals::Signals;
use super::{hold, start};
use crate::compile::MigrationSet;
use crate::inputs::select::Filter;
use crate::model::outcome::NotStarted;
use crate::model::run_summary::RunStatus;
use crate::model::stats::Verdict;
use crate::model::undo::{TakenBack, Undoing};
use crate::policy::FailureBudget;
use crate::report::{Format, clean, count};
use crate::run::{Cancel, Level, Pacing, RunPlan};

/// The end of the rollback of a wave.
pub(super) struct Undone {
    waves: Vec<String>,
    /// `None`: it did not begin.
    run: Option<Box<Ended>>,
    /// The exit code of a rollback that did not begin, or left out tenants that it must not touch.
    code: u8,
}

impl Undone {
    pub(super) fn undoing(&self) -> Undoing {
        let of =
            |ended: &Ended| TakenBack { run: ended.plan.header.run, stats: ended.stats, status: RunStatus::Finished };
        Undoing { due: self.waves.clone(), runs: self.run.iter().map(|ended| of(ended)).collect() }
    }

    /// The exit code of both: that of the failed run where the wave is as it was before, and else that of the rollback.
    pub(super) fn code(&self, failed: u8) -> u8 {
        if self.code == 0 { failed } else { self.code }
    }
}

/// Takes back the waves at which a run failed, if their gates say so.
pub(super) async fn behind(
    program: &Program,
    set: &Arc<MigrationSet>,
    failed: &Ended,
    stage: &mut Stage<'_>,
) -> Option<Undone> {
    // Nothing begins in a ledger that was lost.
    let waves = failed.due();
    if failed.lost.is_some() || waves.is_empty() {
        return None;
    }
    // A person who has interrupted the run wants nothing begun: the ledger has the request.
    if failed.stats.stopped == Some(NotStarted::Interrupted) {
        return Some(Undone { waves, run: None, code: failed.code() });
    }
    let run = failed.plan.header.run;
    tell(program, run, &waves);
    // From here on a Ctrl-C is for the rollback.
    let cancel = Cancel::default();
    let signals = Signals::listen(cancel.clone());
    let mut level = cancel.subscribe();
    let planned = tokio::select! {
        planned = plan(program, set, (run, &waves), stage.output) => planned,
        _ = level.wait_for(|level| *level != Level::Running) => {
            program.terminal.error(&format!("interrupted: nothing of {} was taken back", named(&waves)));
            let code = exit::code(Verdict::Interrupted, signals.terminated());
            return Some(Undone { waves, run: None, code });
        }
    };
    let conducted = match planned {
        Ok(None) => return Some(Undone { waves, run: None, code: 0 }),
        Ok(Some(plan)) => {
            stage.stop = Some((cancel, signals));
            conduct(program, set, plan, stage).await
        }
        Err(error) => Err(error),
    };
    match conducted {
        Ok(mut ended) => {
            let told = session::told(program, &mut ended, None).await;
            let own = ended.code();
            if own != 0 {
                program.terminal.tell(ended.view(&told).render(Format::Table, &program.terminal.err).trim_end());
            }
            Some(Undone { waves, code: open_is_failed(own), run: Some(Box::new(ended)) })
        }
        Err(error) => {
            program.terminal.error(&format!("{} was not taken back: {error}", named(&waves)));
            Some(Undone { waves, run: None, code: error.code() })
        }
    }
}

/// Takes back what is not back of the waves of a run that died, or was interrupted, before it could. Returns the exit code;
/// `None`: everything is back.
pub(super) async fn later(
    program: &Program,
    set: &Arc<MigrationSet>,
    (run, waves): (Uuid, &[String]),
    output: &RunOutput,
) -> Result<Option<u8>, CliError> {
    let Some(plan) = plan(program, set, (run, waves), output).await? else { return Ok(None) };
    tell(program, run, waves);
    if !output.yes {
        program.terminal.require_person("changes databases", "")?;
        if !program.terminal.confirm("Go ahead?") {
            return Ok(Some(1));
        }
    }
    let code = open_is_failed(session::drive(program, set, (plan, None), output).await?);
    Ok(Some(if code == 0 { all_back() } else { code }))
}

/// The exit code of a failed rollout all of whose wave is back.
pub(super) fn all_back() -> u8 {
    exit::code(Verdict::GateFailed, false)
}

/// Whether a rollback that ended so has done what it could: all of it, or all but those that it left out.
pub(super) fn is_over(code: u8) -> bool {
    [Verdict::AllAtTarget, Verdict::Outstanding].iter().any(|verdict| code == exit::code(*verdict, false))
}

/// The exit code of a rollback that did not bring all back: its budget may have been used up, or tenants that must not be touched
/// were left out. It is not that of a failed rollout whose wave is back.
fn open_is_failed(code: u8) -> u8 {
    let is_open = code == exit::code(Verdict::Outstanding, false) || code == all_back();
    if is_open { exit::code(Verdict::Failures, false) } else { code }
}

fn tell(program: &Program, run: Uuid, waves: &[String]) {
    program.terminal.tell(&format!("{} failed: what run {run} moved in it is taken back", named(waves)));
}

/// `wave canary`.
pub(super) fn named(waves: &[String]) -> String {
    let noun = if waves.len() == 1 { "wave" } else { "waves" };
    format!("{noun} {}", clean(&waves.join(", ")))
}

/// The rollback of what is not back of the waves. `None`: everything is back.
async fn plan(
    program: &Program,
    set: &Arc<MigrationSet>,
    (run, waves): (Uuid, &[String]),
    output: &RunOutput,
) -> Result<Option<RunPlan>, CliError> {
    let undo = Undo { run: &run.to_string(), waves: Some(waves), filter: &Filter::default() };
    let mut intent = rollback_run::intent(program, set, undo).await?;
    let wanted = intent.selection.tenants().count() + intent.selection.held_back;
    hold::set_aside(program, &mut intent)?;
    // A quarantine takes nobody back.
    intent.selection.held_back = wanted - intent.selection.tenants().count();
    match (intent.selection.is_empty(), intent.selection.held_back) {
        (true, 0) => return Ok(None),
        (true, left_out) => {
            return Err(CliError::CanNotStart(format!(
                "{} that run {run} moved in {} can't be taken back now; nothing was touched",
                count(left_out, "tenant"),
                named(waves)
            )));
        }
        (false, _) => {}
    }
    intent.max_failures = output.run_budget(program.settings());
    for wave in &mut intent.selection.waves {
        wave.gate = None;
        if output.keep_going {
            wave.max_failures = FailureBudget::UNLIMITED;
        }
    }
    let mut plan = start::plan(program, set, intent);
    // A wave that is wrong does not wait.
    plan.waves.iter_mut().for_each(|wave| wave.window = None);
    Ok(Some(RunPlan { pacing: Pacing::default(), ..plan }))
}
