//! `runs prune`: forgets old runs that no later command needs.

use super::args::PruneRuns;
use super::exit::CliError;
use super::session;
use super::setup::Program;
use super::terminal::print;
use crate::ledger::Ledger;
use crate::model::clock::now_ms;
use crate::model::retention::{Candidate, Pin, Retention, decide};
use crate::model::run_summary::RunSummary;
use crate::report::{clean, count, moment};

pub(super) async fn prune(program: &Program, args: &PruneRuns) -> Result<u8, CliError> {
    session::refuse_tenant(program)?;
    let since_ms =
        args.older_than.map(|age| now_ms().saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)));
    let keep = args.keep.map_or(0, |keep| usize::try_from(keep).unwrap_or(usize::MAX));
    let none = || CliError::Usage("no run has been recorded yet: there is no ledger".to_owned());
    // One that is not there is not made.
    let existing = Ledger::open_existing(&program.settings().ledger).await.map_err(CliError::Ledger)?;
    existing.ok_or_else(none)?.close().await;
    let ledger = Ledger::open(&program.settings().ledger).await.map_err(CliError::Ledger)?;
    let done = forget(program, &ledger, (args, Retention { keep, since_ms })).await;
    ledger.close().await;
    done
}

async fn forget(program: &Program, ledger: &Ledger, (args, rule): (&PruneRuns, Retention)) -> Result<u8, CliError> {
    let reading = ledger.candidates();
    let all: Vec<Candidate> = program.looking("reading the ledger", 0, reading).await.map_err(CliError::Ledger)?;
    let decided = decide(&all, rule);
    let runs = all.iter().map(|of| &of.run).zip(decided.iter().map(|(_, pin)| pin));
    for (run, pin) in runs.clone() {
        if let Some(pin) = pin.as_ref().filter(|pin| **pin != Pin::Recent) {
            print(&format!("kept {}: {}", run.run, clean(&pin.to_string())))?;
        }
    }
    let gone: Vec<&RunSummary> = runs.filter(|(_, pin)| pin.is_none()).map(|(run, _)| run).collect();
    let (Some(newest), Some(oldest), Some(latest)) = (all.first(), gone.last(), gone.first()) else {
        print("nothing to remove")?;
        return Ok(0);
    };
    let what = format!(
        "{} of {}, begun from {} to {}",
        count(gone.len(), "run"),
        all.len(),
        moment(oldest.started_at_ms),
        moment(latest.started_at_ms)
    );
    if args.dry_run {
        print(&format!("would remove {what}"))?;
        return Ok(0);
    }
    if !args.yes {
        program.terminal.require_person("removes runs from the ledger", ", or --dry-run to see which")?;
        if !program.terminal.confirm(&format!("Remove {what}. Go ahead?")) {
            return Ok(1);
        }
    }
    if !ledger.forget(&gone, newest.run.run).await.map_err(CliError::Ledger)? {
        let text = "another run has begun meanwhile, so nothing was removed; give the same command again";
        return Err(CliError::CanNotStart(text.to_owned()));
    }
    print(&format!("removed {what}"))?;
    Ok(0)
}
