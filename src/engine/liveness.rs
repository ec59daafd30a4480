//! Whether a server still works for a session of ours that hears nothing from it: asked over a connection of its own.
//!
//! It ends a session only when it is told to; how long is too long is not decided here.

use std::time::Duration;

use super::queries::TextRow;
use crate::model::fault::{Fault, FaultClass};

/// What a server says of a session that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// It works; or it answered, and can't say anything of that session.
    Works,
    /// It waits for us as we wait for it: a question or an answer was lost on the way.
    Waits,
    /// It has no such session any more, and that never reached us.
    Gone,
    /// Nobody answers on a new connection either.
    Silent,
    /// It can't be asked: the session has not even heard its own name.
    Unheard,
}

/// What is asked of a session, from outside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    /// A session that waits for less than this has only just been answered.
    pub(crate) idle: Duration,
    /// Whether the session is to be ended, unless it works.
    pub(crate) end: bool,
    /// For the whole question.
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

/// A server that refuses a connection, or the question, is there: that says nothing of the session.
pub(super) fn judge(answer: Option<Result<Liveness, Fault>>) -> Liveness {
    match answer {
        Some(Ok(sign)) => sign,
        Some(Err(fault)) if is_answer(&fault) => Liveness::Works,
        Some(Err(_)) | None => Liveness::Silent,
    }
}
