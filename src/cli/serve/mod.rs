//! `serve`: the fleet, its runs and its migrations in a browser and over REST, until Ctrl-C.
//!
//! The server asks, and this answers: with the code of the commands that show the same. It reads; a changing call is another
//! process of this program, so that a run goes on when the server ends, and is recorded with the command that it is.

mod answers;
mod changes;
mod kept;
mod listening;
mod schedule;

use std::path::Path;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::answers::{Answers, Schedule};
use self::listening::Listening;
use super::args::Serve;
use super::exit::CliError;
use super::setup::Program;
use super::signals::Signals;
use super::terminal;
use crate::inputs::Variables;
use crate::run::{Cancel, Level};
use crate::server::{self, Guard, Token};

/// Questions that wait.
const WAITING: usize = 64;

impl Serve {
    /// Serves until a signal comes. The exit code is 0: nothing was interrupted.
    pub(super) async fn run(self, mut program: Program) -> Result<u8, CliError> {
        let token = token(self.token_file.as_deref())?;
        if token.is_none() && !self.listen.ip().is_loopback() {
            return Err(CliError::Usage(format!(
                "{} is reached by others, who could read the whole fleet; give the server a token: --token-file FILE, or {TOKEN}; \
                 without one it listens on 127.0.0.1 and [::1] only",
                self.listen
            )));
        }
        // Mistakes and warnings are told here, once.
        program.set_to_look().await?;
        program.terminal.live = false;
        let listening = Listening::new(self.changes_every, program.terminal);
        program.terminal.mute = true;
        let server = server::listen(self.listen).await.map_err(|error| {
            CliError::CanNotStart(format!("can't listen on {}: {error}; choose another with --listen", self.listen))
        })?;
        let (questions, asked) = mpsc::channel(WAITING);
        let (end, cancel) = (CancellationToken::new(), Cancel::default());
        let _signals = Signals::listen(cancel.clone());
        let reads = if token.is_some() {
            "the token is needed to read and to change"
        } else {
            "nothing can be changed: there is no token"
        };
        terminal::print(&format!("listening on http://{}/ ({reads}); Ctrl-C ends it", server.address))?;
        let guard = Guard { token, hosts: self.host };
        let serving = tokio::spawn(server.run(guard, questions, end.clone()));
        let mut level = cancel.subscribe();
        let stopped = async move { drop(level.wait_for(|level| *level != Level::Running).await) };
        let schedule = self.schedule.then_some(Schedule { listening, most: self.max_listeners });
        Answers::new(program, schedule).until(asked, stopped).await;
        end.cancel();
        let _ = serving.await;
        Ok(0)
    }
}

/// The environment variable with the token.
const TOKEN: &str = "FLEET_SERVE_TOKEN";

/// The token of a file, or of the environment.
fn token(file: Option<&Path>) -> Result<Option<Token>, CliError> {
    let unusable = |place: &str, why: String| CliError::Usage(format!("the token in {place} can't be used: {why}"));
    match file {
        Some(file) => {
            let place = file.display().to_string();
            let text = crate::external::file::read_text(file).map_err(|error| unusable(&place, error.to_string()))?;
            Token::new(&text).map(Some).map_err(|why| unusable(&place, why))
        }
        None => {
            let given = Variables::of_process().get(TOKEN).map(str::to_owned);
            given.map(|text| Token::new(&text).map_err(|why| unusable(TOKEN, why))).transpose()
        }
    }
}
