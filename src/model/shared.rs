//! A run that several runners share: its terms, and who takes part.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::outcome::TenantRecord;

/// The conditions of a shared run, by name: all its runners have to have the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Terms(pub(crate) BTreeMap<String, String>);

impl Terms {
    /// The conditions in which others differ: name, value here, value there.
    pub(crate) fn differences<'a>(&'a self, others: &'a Terms) -> Vec<(&'a str, Option<&'a str>, Option<&'a str>)> {
        let names = self.0.keys().chain(others.0.keys().filter(|name| !self.0.contains_key(*name)));
        let of = |terms: &'a Terms, name: &String| terms.0.get(name).map(String::as_str);
        let both = names.map(|name| (name.as_str(), of(self, name), of(others, name)));
        both.filter(|(_, here, there)| here != there).collect()
    }
}

/// A shared run as it is enqueued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SharedRun {
    /// The time for which a claim holds without a sign of its holder.
    pub(crate) lease: Duration,
    /// The matching tenants that were left out.
    pub(crate) held_back: usize,
    pub(crate) terms: Terms,
}

/// The answer to a runner that takes a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It has the tenant, under this token.
    Mine(i64),
    /// Another runner has it, whose lease ends then unless it is renewed.
    Held(Duration),
    /// It has its outcome, or is not handed out any more.
    Done,
}

/// A tenant that was handed out and has no outcome yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) place: i64,
    pub(crate) queue: String,
    /// Whether a runner has it whose lease goes on.
    pub(crate) is_held: bool,
}

/// A runner that took part in a shared run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RunnerRow {
    pub(crate) runner: String,
    /// The tenants that have their outcome by it.
    pub(crate) tenants: usize,
    /// Those that it has now.
    pub(crate) in_flight: usize,
    /// The time since its last sign of life, in milliseconds.
    pub(crate) silent_ms: i64,
    /// Whether it leads the run.
    pub(crate) leads: bool,
}

/// An outcome of a shared run, with the time at which it was recorded.
pub(crate) type Recorded = (i64, TenantRecord);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_differ_by_name() {
        let terms = |of: &[(&str, &str)]| Terms(of.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        let (one, two) = (terms(&[("a", "1"), ("b", "2")]), terms(&[("b", "3"), ("c", "4")]));
        assert_eq!(
            one.differences(&two),
            [("a", Some("1"), None), ("b", Some("2"), Some("3")), ("c", None, Some("4"))]
        );
        assert_eq!(one.differences(&one), []);
    }
}
