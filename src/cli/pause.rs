//! `runs pause`: has a run pause that goes on, wherever it does.
//!
//! Dying in it: the request is in the ledger, or it is not (`ledger::pauses`).

use super::args::PauseRun;
use super::exit::{CliError, run_error};
use super::resume::at_work;
use super::setup::Program;
use super::{origin, runs};
use crate::ledger::{Asked, Ledger};
use crate::model::clock::now_ms;
use crate::model::pause::Pause;
use crate::model::run_summary::{RunStatus, RunSummary};
use crate::report::{clean, moment};

pub(super) async fn pause(program: &Program, args: &PauseRun) -> Result<u8, CliError> {
    // Read first, so that nobody carries a ledger forward for a run that can't be asked.
    let read = async |ledger: &Ledger| {
        let summary = ledger.run(&args.run).await.map_err(run_error)?;
        if summary.status() != RunStatus::Running {
            let heir = ledger.living_heir(summary.run).await.map_err(run_error)?;
            return Err(ended(program, &summary, heir.as_ref()).await);
        }
        let asked = ledger.asked_to_pause(summary.run).await.map_err(run_error)?;
        Ok((summary, asked))
    };
    let (summary, asked) = program.read_ledger(read).await?;
    let run = summary.run;
    let watch = program.command(&format!("runs show {run} --watch"));
    let already = |by: &str| {
        let by = clean(by);
        program.terminal.tell(&format!("run {run} was asked to pause already, by {by}; to see it end: {watch}"));
        Ok(0)
    };
    match asked {
        Asked::NotYet => {}
        Asked::Already(request) => return already(&request.by),
        Asked::Never => {
            let what = format!("run {run} was begun by a version of this program that looks for no request to pause");
            return Err(at_work(program, &what, &summary));
        }
    }
    let origin = origin::started_by();
    let by = args.by.as_deref().map(str::trim).filter(|by| !by.is_empty());
    let by = by.unwrap_or(&origin.user).to_owned();
    let request = Pause { by, reason: args.reason.clone(), asked_at_ms: now_ms(), origin };
    let ledger = Ledger::open(&program.settings().ledger).await.map_err(CliError::Ledger)?;
    let written = ledger.ask_to_pause(run, &request).await.map_err(CliError::Ledger);
    ledger.close().await;
    if !written? {
        return already("another command");
    }
    program.terminal.tell(&format!(
        "run {run} is asked to pause: within some seconds it starts no new tenant, and those in flight come to their end\nto see \
         it end: {watch}\nto have it go on then: {}",
        program.command(&format!("runs resume {run}"))
    ));
    Ok(0)
}

/// The refusal to pause a run that does not go on.
async fn ended(program: &Program, summary: &RunSummary, heir: Option<&RunSummary>) -> CliError {
    let run = summary.run;
    if let Some(heir) = heir {
        let pause = program.command(&format!("runs pause {}", heir.run));
        return CliError::Usage(format!(
            "run {run} is over, and run {} goes on with it; to pause that: {pause}",
            heir.run
        ));
    }
    let (what, next) = match (summary.status(), summary.finished_at_ms) {
        (_, Some(ms)) if summary.waits() => (
            format!("has been paused since {}", moment(ms)),
            format!("to have it go on: {}", runs::way_on(program, run).await),
        ),
        (_, Some(ms)) => {
            (format!("ended {}", moment(ms)), format!("see: {}", program.command(&format!("runs show {run}"))))
        }
        _ if summary.started_by.is_shared() => {
            let text = "has no runner that lives, so nothing of it is started".to_owned();
            (text, format!("to go on with it: {}", program.command(&format!("work {run}"))))
        }
        _ => {
            let text = "does not go on: its process is gone, and its end is not recorded".to_owned();
            (text, format!("to finish what it left: {}", runs::way_on(program, run).await))
        }
    };
    CliError::Usage(format!("run {run} {what}, so there is nothing to pause\n{next}"))
}
