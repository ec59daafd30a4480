//! The gate behind a wave: the checks that have to hold before the next wave starts.
//!
//! It asks nothing.

use std::fmt;
use std::time::Duration;

use url::Url;

use crate::model::gate::GateAction;

/// The gate behind a wave.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Gate {
    /// How long the checks have to hold; zero: they are asked once.
    pub(crate) soak: Duration,
    /// The pause between two rounds of questions; above zero.
    pub(crate) every: Duration,
    /// The longest time for the answer of a command or an address; above zero.
    pub(crate) timeout: Duration,
    /// All of them have to hold.
    pub(crate) checks: Vec<Check>,
    /// The way on where they hold: [`GateAction::Continue`] or [`GateAction::Pause`].
    pub(crate) then: GateAction,
    /// The way on where one does not.
    pub(crate) on_failure: GateAction,
}

/// One check of a gate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Check {
    /// These assertions of `verify` on each tenant of the wave; none named: all.
    Verify(Vec<String>),
    /// A program and its arguments: it has to end with 0.
    Command(Vec<String>),
    /// An address: it has to answer with a status of 200 to 299.
    Http(Url),
    /// A query of a Prometheus server.
    Prometheus(Query),
}

/// A query of a Prometheus server: all its values have to lie within the limits, and there has to be one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    /// The server's address, without `/api/v1/query`.
    pub(crate) url: Url,
    pub(crate) query: String,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
}

/// When within the soak a question is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Start,
    Between,
    /// When the soak is over, or at once where there is none.
    End,
}

impl Check {
    /// Whether it is asked now: an address in each round, tenants at both ends, and a command, which may take long or
    /// change something, at the end alone.
    pub(crate) fn is_due(&self, moment: Moment) -> bool {
        match self {
            Check::Http(_) | Check::Prometheus(_) => true,
            Check::Verify(_) => moment != Moment::Between,
            Check::Command(_) => moment == Moment::End,
        }
    }
}

impl fmt::Display for Check {
    /// Without what may be a secret: arguments of a command, user and query of an address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Check::Verify(names) if names.is_empty() => f.write_str("verify"),
            Check::Verify(names) => write!(f, "verify {}", names.join(", ")),
            Check::Command(words) => write!(f, "command {}", program_of(words)),
            Check::Http(url) => write!(f, "http {}", bare(url)),
            Check::Prometheus(Query { query, min, max, .. }) => {
                write!(f, "prometheus {query}")?;
                let limits = [("at least", min), ("at most", max)];
                let mut limits = limits.iter().filter_map(|(word, limit)| Some((word, (**limit)?)));
                limits.try_for_each(|(word, limit)| write!(f, ", {word} {limit}"))
            }
        }
    }
}

/// A command without its arguments, which may be secret.
pub(crate) fn program_of(words: &[String]) -> String {
    let rest = if words.len() > 1 { " …" } else { "" };
    format!("{}{rest}", words.first().map_or("", String::as_str))
}

/// An address without user, password, query and fragment.
pub(crate) fn bare(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail for an address without a host alone, which has neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

impl fmt::Display for Gate {
    /// `soak 10m; verify; http https://shop.example/health; then pause; on failure stop`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let soak = (!self.soak.is_zero()).then(|| format!("soak {}", humantime::format_duration(self.soak)));
        let checks = self.checks.iter().map(ToString::to_string);
        for part in soak.into_iter().chain(checks) {
            write!(f, "{part}; ")?;
        }
        write!(f, "then {}; on failure {}", self.then, self.on_failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_gate_hold_no_secret() {
        let http = Url::parse("https://me:s3cret@shop.example/health?token=s3cret").unwrap();
        let query = Query { url: http.clone(), query: "up".to_owned(), min: Some(1.0), max: None };
        let gate = Gate {
            soak: Duration::from_secs(600),
            every: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
            checks: vec![
                Check::Verify(Vec::new()),
                Check::Command(vec!["smoke".to_owned(), "s3cret".to_owned()]),
                Check::Http(http),
                Check::Prometheus(query),
            ],
            then: GateAction::Pause,
            on_failure: GateAction::Stop,
        };
        assert_eq!(
            gate.to_string(),
            "soak 10m; verify; command smoke …; http https://shop.example/health; prometheus up, at least 1; then pause; \
             on failure stop"
        );
    }
}
