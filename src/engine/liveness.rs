//! Whether a server still works for a silent session of ours: asked over a separate connection.
//!
//! It ends a session only on request; the caller decides how long is too long.

use std::time::Duration;

use super::queries::TextRow;
use crate::model::fault::{Fault, FaultClass};

/// The state of a waiting session as its server reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// It works; or the server answered, but can't say anything about that session.
    Works,
    /// It waits for us while we wait for it: a request or an answer was lost in transit.
    Waits,
    /// The server has no such session any more, and the end of it never reached us.
    Gone,
    /// The server does not answer on a new connection either.
    Silent,
    /// It can't be asked: the session has not yet received its own id.
    Unheard,
}

/// A question about a session, asked from outside it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    /// A session that has waited for less than this was only just answered.
    pub(crate) idle: Duration,
    /// Whether to end the session, unless it works.
    pub(crate) end: bool,
    /// The limit for the whole question.
    pub(crate) limit: Duration,
}

pub(super) fn sign(answer: Option<&TextRow>) -> Liveness {
    match answer.map(|row| row.must(0)).as_deref() {
        Some("waits") => Liveness::Waits,
        Some("gone") => Liveness::Gone,
        _ => Liveness::Works,
    }
}

pub(super) fn is_answer(fault: &Fault) -> bool {
    use FaultClass::{ConnectTimeout, ConnectionLost, ConnectionRefused, Dns};
    !matches!(fault.class, ConnectTimeout | ConnectionLost | ConnectionRefused | Dns)
}

/// A server that refuses a connection or the question is alive: that says nothing about the session.
pub(super) fn judge(answer: Option<Result<Liveness, Fault>>) -> Liveness {
    match answer {
        Some(Ok(sign)) => sign,
        Some(Err(fault)) if is_answer(&fault) => Liveness::Works,
        Some(Err(_)) | None => Liveness::Silent,
    }
}
