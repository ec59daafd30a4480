//! Asks the checks of gates: tenants by the assertions of `verify`, programs, addresses and Prometheus servers.
//!
//! It reads tenants and changes none. What an answer means for the run is decided there.

mod http;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use async_trait::async_trait;
use indexmap::IndexMap;
use uuid::Uuid;

use crate::engine::Database;
use crate::external::Secrets;
use crate::external::program::Program;
use crate::model::assertion::{Answer, Assertion};
use crate::model::fault::bounded;
use crate::model::gate::CheckAnswer;
use crate::model::tenant::{Tenant, TenantId};
use crate::policy::{Check, Concurrency, Timeouts};
use crate::run::{self, Gatekeeper, Pace, Question};

/// Whether a check holds, with its value or the reason.
type Held = Result<String, String>;

/// The most reasons, and the most tenants of one, that an answer names.
const NAMED: usize = 3;

/// Asks the checks of a run's gates.
pub(crate) struct Checks {
    pub(crate) run: Uuid,
    /// The folder of the tenant file, in which commands are started.
    pub(crate) folder: PathBuf,
    /// All assertions of `verify`; none where no gate asks for any.
    pub(crate) assertions: Arc<[Assertion]>,
    pub(crate) database: Arc<dyn Database>,
    pub(crate) concurrency: Concurrency,
    pub(crate) timeouts: Timeouts,
    /// Maximum wait per tenant for a server without a free connection.
    pub(crate) lock_wait_limit: Duration,
    /// The time limit of one tenant's whole answer.
    pub(crate) answer: Option<Duration>,
    /// The passwords of the tenants.
    pub(crate) secrets: Secrets,
}

#[async_trait]
impl Gatekeeper for Checks {
    async fn ask(&self, question: Question<'_>) -> CheckAnswer {
        let held = match question.check {
            Check::Verify(names) => self.verify(names, question.tenants).await,
            Check::Command(words) => self.command(words, &question).await,
            Check::Http(url) => http::answers(url, question.timeout).await,
            Check::Prometheus(query) => http::query(query, question.timeout).await,
        };
        let (holds, value) = held.map_or_else(|why| (false, why), |value| (true, value));
        let value = self.secrets.hide(value);
        CheckAnswer { check: question.check.to_string(), holds, value }
    }
}

impl Checks {
    /// Whether the assertions of these names, or all of them, hold on each tenant.
    async fn verify(&self, names: &[String], tenants: &[Arc<Tenant>]) -> Held {
        // It would hold for everybody who is not there.
        if tenants.is_empty() {
            return Err("no tenant of the wave is at its target, so nothing was asked".to_owned());
        }
        let is_wanted = |of: &&Assertion| names.is_empty() || names.contains(&of.name);
        let assertions: Arc<[Assertion]> = self.assertions.iter().filter(is_wanted).cloned().collect();
        let pace = Pace {
            concurrency: self.concurrency,
            timeouts: self.timeouts,
            lock_wait_limit: self.lock_wait_limit,
            answer: self.answer,
            done: &AtomicUsize::new(0),
        };
        let answers = run::observe_assertions(tenants, &self.database, pace, assertions.clone()).await;
        // The tenants of a long error are told before it.
        let mut against: IndexMap<(String, String), Vec<&TenantId>> = IndexMap::new();
        for (tenant, answers) in tenants.iter().zip(answers) {
            let mut say = |what: String, why: &dyn ToString| {
                against.entry((what, why.to_string())).or_default().push(&tenant.id);
            };
            match answers {
                Err(fault) => say("can't be read".to_owned(), &fault),
                // It would hold without having been asked.
                Ok(answers) if answers.iter().all(|answer| matches!(answer, Answer::NotAsked)) => {
                    say(format!("no assertion has a text for {}", tenant.engine), &"");
                }
                Ok(answers) => assertions.iter().zip(answers).for_each(|(assertion, answer)| match answer {
                    Answer::Fails(_) => say(format!("{} fails", assertion.name), &""),
                    Answer::Error { error } => say(format!("{} can't be asked", assertion.name), &error),
                    Answer::Holds | Answer::NotAsked => {}
                }),
            }
        }
        if against.is_empty() {
            let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
            return Ok(format!("{} on {}", count(assertions.len(), "assertion"), count(tenants.len(), "tenant")));
        }
        let reasons = against.iter().map(|((what, why), ids)| {
            let why = if why.is_empty() { String::new() } else { format!(" ({})", bounded(why.clone())) };
            format!("{what} on {}{why}", few(ids.iter()))
        });
        Err(few(reasons))
    }

    /// Whether a command ends with 0.
    async fn command(&self, words: &[String], question: &Question<'_>) -> Held {
        let (folder, timeout) = (self.folder.as_path(), question.timeout);
        let variables = vec![("FLEET_RUN", self.run.to_string()), ("FLEET_WAVE", question.wave.to_owned())];
        let (input, secrets) = (String::new(), &self.secrets);
        let ended = Program { words, folder, variables, input, timeout, secrets }.run().await;
        ended.map(|()| "ended with 0".to_owned())
    }
}

/// The first of them, and how many more there are.
fn few<T: ToString>(all: impl ExactSizeIterator<Item = T>) -> String {
    let more = all.len().saturating_sub(NAMED);
    let named: Vec<String> = all.take(NAMED).map(|one| one.to_string()).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    named.join(", ") + &more
}
