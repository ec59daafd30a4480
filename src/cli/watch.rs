//! `--watch`: a run of another terminal, or of another machine, as it goes on, and lists that are read again and again.
//!
//! A run is read from the ledger now and then, and what is new in it is shown in the way of the run itself.

use std::time::{Duration, Instant};

use console::Term;

use super::exit::{CliError, run_error};
use super::pace::{Pace, usual_pace};
use super::setup::Program;
use super::sinks::LiveView;
use super::terminal;
use crate::ledger::{Followed, Ledger};
use crate::model::clock::now_ms;
use crate::model::event::Event;
use crate::model::run_summary::RunStatus;
use crate::policy::format_duration;
use crate::report::moment;

/// Shows the same on the terminal again and again. It ends with the process.
///
/// # Errors
/// The error of `text`; and [`CliError::Usage`] without a terminal: a reader that goes away would not be noticed.
pub(super) async fn repeat(every: Duration, text: impl AsyncFn() -> Result<String, CliError>) -> Result<u8, CliError> {
    let terminal = Term::stdout();
    if !terminal.is_term() {
        let text = "--watch needs a terminal; where there is none, give the command again and again without it";
        return Err(CliError::Usage(text.to_owned()));
    }
    let written = |error| CliError::Write { what: "to stdout".to_owned(), error };
    loop {
        let text = text().await?;
        terminal.clear_screen().map_err(written)?;
        terminal::print(&format!("{}, every {}; Ctrl-C ends it\n\n{text}", moment(now_ms()), format_duration(every)))?;
        tokio::time::sleep(every).await;
    }
}

/// The interval at which the ledger is read.
const POLL: Duration = Duration::from_millis(500);

/// Follows a run to its end. What was recorded before is not told line by line.
pub(super) async fn follow(program: &Program, ledger: &Ledger, wanted: &str) -> Result<(), CliError> {
    let run = ledger.run(wanted).await.map_err(run_error)?.run;
    let header = ledger.header(run).await.map_err(run_error)?;
    let since = |at_ms: i64| Duration::from_millis(u64::try_from(at_ms - header.started_at_ms).unwrap_or(0));
    let begun = Instant::now().checked_sub(since(now_ms())).unwrap_or_else(Instant::now);
    let mut view =
        LiveView::new(program.terminal, begun, Pace { usual: usual_pace(ledger, &header).await, interval: None });
    view.show(&Event::RunStarted(header.clone()), Duration::ZERO);
    let (mut seen, mut is_first) = (Followed::default(), true);
    loop {
        // Asked before the news are read: those of a run that has ended are all there.
        let is_over = ledger.run(&run.to_string()).await.map_err(run_error)?.status() != RunStatus::Running;
        if is_over {
            seen.look_again();
        }
        for (at_ms, event) in ledger.news(&header, &mut seen).await.map_err(run_error)? {
            match is_first {
                true => view.note(&event, since(at_ms)),
                false => view.show(&event, since(at_ms)),
            }
        }
        if is_over {
            return Ok(());
        }
        view.tick_now(is_first);
        is_first = false;
        tokio::time::sleep(POLL).await;
    }
}
