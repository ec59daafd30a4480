//! The division of a tenant's time in a run, as far as a client can tell.
//!
//! Plain data and sums: the engines measure it, the report shows it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::outcome::millis;

/// A part of a tenant's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Phase {
    /// Opening a connection, with its login.
    Connect,
    /// Taking the tenant's lock, a wait that ended in a lock timeout, and the pauses between such tries. A statement that
    /// waited for a lock and got it is in [`Phase::Statements`]: no client can tell the two apart.
    Lock,
    /// The statements of migrations, and Rust code.
    Statements,
    /// Fleet's own rows in history and journal, and the commit.
    Commit,
    /// A message whose answers come all at once, so that its statements can't be told from its commit.
    Message,
}

/// Durations by [`Phase`]; in JSON in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Phases {
    #[serde(rename = "connect_ms", with = "millis")]
    pub(crate) connect: Duration,
    #[serde(rename = "lock_ms", with = "millis")]
    pub(crate) lock: Duration,
    #[serde(rename = "statements_ms", with = "millis")]
    pub(crate) statements: Duration,
    #[serde(rename = "commit_ms", with = "millis")]
    pub(crate) commit: Duration,
    #[serde(rename = "one_message_ms", with = "millis")]
    pub(crate) message: Duration,
}

/// The time of one step, or of several that went in one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepTimings {
    /// The migration, or the first and the last one of a message.
    pub(crate) step: String,
    #[serde(flatten)]
    pub(crate) phases: Phases,
}

/// The time of one tenant in a run, all attempts together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timings {
    /// The sums, those of the steps included.
    #[serde(flatten)]
    pub(crate) phases: Phases,
    /// In the order in which they began.
    pub(crate) steps: Vec<StepTimings>,
}

impl Phases {
    fn add(&mut self, phase: Phase, took: Duration) {
        let sum = match phase {
            Phase::Connect => &mut self.connect,
            Phase::Lock => &mut self.lock,
            Phase::Statements => &mut self.statements,
            Phase::Commit => &mut self.commit,
            Phase::Message => &mut self.message,
        };
        *sum += took;
    }

    /// The sum of all phases.
    pub(crate) fn total(&self) -> Duration {
        self.connect + self.lock + self.statements + self.commit + self.message
    }
}

impl Timings {
    /// Adds the time of a phase, within a step if one is named.
    pub(crate) fn add(&mut self, phase: Phase, step: Option<&str>, took: Duration) {
        self.phases.add(phase, took);
        let Some(name) = step else { return };
        // The steps of a tenant follow each other, so that its own is the last one, or there in an earlier attempt.
        match self.steps.iter_mut().rfind(|step| step.step == name) {
            Some(step) => step.phases.add(phase, took),
            None => {
                let mut phases = Phases::default();
                phases.add(phase, took);
                self.steps.push(StepTimings { step: name.to_owned(), phases });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_add_up_by_phase_and_step() {
        let ms = Duration::from_millis;
        let mut timings = Timings::default();
        timings.add(Phase::Connect, None, ms(3));
        timings.add(Phase::Lock, Some("m1"), ms(5));
        timings.add(Phase::Statements, Some("m2"), ms(7));
        timings.add(Phase::Statements, Some("m1"), ms(11));
        assert_eq!(timings.phases.total(), ms(26));
        assert_eq!(timings.phases.statements, ms(18));
        let steps: Vec<_> = timings.steps.iter().map(|s| (s.step.as_str(), s.phases.total())).collect();
        assert_eq!(steps, [("m1", ms(16)), ("m2", ms(7))]);
        let json = serde_json::to_string(&timings).unwrap();
        assert!(json.starts_with(r#"{"connect_ms":3,"lock_ms":5,"statements_ms":18,"#), "{json}");
        assert_eq!(serde_json::from_str::<Timings>(&json).unwrap(), timings);
    }
}
