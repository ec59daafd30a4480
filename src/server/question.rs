//! The questions that requests become, and their answers.
//!
//! Plain data on channels: whoever answers need not be a task of the server.

use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use crate::report::site::{Form, Wanted, WantedRuns};

/// A question to the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// The tenants of the file; none is reached.
    Tenants(Wanted),
    /// One tenant: its place, its history and the runs that took it.
    Tenant(String),
    /// The tenants by migrations, as a reading of the fleet found them.
    Matrix(Wanted),
    /// The tenants by state, version and server.
    Status(Wanted),
    Runs(WantedRuns),
    /// A run by its id, its beginning or end, or `last`.
    Run(String),
    /// The part of a run's page that changes while the run goes on.
    Progress(String),
    /// The events of a run from a time on, in milliseconds since 1970-01-01 UTC.
    Events {
        run: String,
        since_ms: i64,
    },
    /// The migrations, their spread over the fleet and the findings of lint.
    Catalog,
    /// One migration: its SQL on each engine and both ways, and its findings.
    Migration(String),
    /// The views that scripts make, and when each tenant refreshed them last.
    Views,
    /// The dashboards of the tenant file, with the views that they show.
    Dashboards,
    Metrics,
    Change(Change),
}

/// A changing call.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Change {
    /// Refreshes views on all tenants that `tenants` names, or on all.
    Refresh {
        #[serde(default)]
        views: Vec<String>,
        #[serde(default)]
        groups: Vec<String>,
        #[serde(default)]
        tenants: Vec<String>,
        #[serde(default)]
        reason: Option<String>,
    },
    /// Has a run go on that paused at a gate.
    Approve { run: String, by: String },
    /// Goes on with a run that was interrupted.
    Resume { run: String },
    /// Has a run pause that goes on.
    Pause {
        run: String,
        #[serde(default)]
        by: Option<String>,
        #[serde(default)]
        reason: Option<String>,
    },
    /// Puts a tenant in quarantine.
    Quarantine {
        tenant: String,
        reason: String,
        #[serde(default)]
        until: Option<String>,
    },
    /// Takes a tenant out of quarantine.
    Release { tenant: String },
}

/// A question with the form of its answer, and the way back.
pub(crate) struct Asked {
    pub(crate) question: Question,
    pub(crate) form: Form,
    pub(crate) reply: oneshot::Sender<Result<Answer, Refused>>,
}

/// The answer to a question.
#[derive(Debug)]
pub(crate) enum Answer {
    Text(Content, String),
    /// A change was begun, or is done; the text is a JSON document.
    Accepted(String),
    /// The events of a run until it ends or nobody listens.
    Events(mpsc::Receiver<Sent>),
    /// There is nothing to follow any more.
    Ended,
}

/// The media type of an answer's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Json,
    Html,
    /// <https://prometheus.io/docs/instrumenting/exposition_formats/>
    Metrics,
}

/// An event as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    /// In milliseconds since 1970-01-01 UTC.
    pub(crate) at_ms: i64,
    pub(crate) name: String,
    /// One line of JSON.
    pub(crate) data: String,
}

/// The reason why a question has no answer. The text is for the caller, and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The thing that was asked for is not there.
    NotFound(String),
    /// The question itself is wrong.
    Wrong(String),
    /// The present state does not allow it.
    Conflict(String),
    /// The fleet can't be read at this moment.
    Unavailable(String),
}

impl Refused {
    pub(crate) fn text(&self) -> &str {
        match self {
            Refused::NotFound(text) | Refused::Wrong(text) | Refused::Conflict(text) | Refused::Unavailable(text) => {
                text
            }
        }
    }
}
