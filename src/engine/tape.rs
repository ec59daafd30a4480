//! The recording of what a session would send: the same code builds the texts, and the session keeps them to itself.
//!
//! Questions are asked all the same, over a connection that the engine keeps from writing: their answers shape the texts.

use std::ops::Range;

use super::message::Message;
use super::native::Around;
use crate::compile::left;
use crate::model::clock::Stamp;
use crate::model::engine::Engine;
use crate::model::wire::{Sent, Wire, mark};
use crate::policy::Timeouts;
use crate::sql::{Directive, directive};

/// Off, or everything recorded so far.
#[derive(Debug, Default)]
pub(crate) struct Tape(Option<Vec<Sent>>);

/// The values of a recording that are not those of the session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rehearsal {
    /// The time limits of the tenant in its first attempt.
    pub(crate) timeouts: Timeouts,
    /// Whether people send the texts: with an expression of the engine for the present time, and without marks.
    pub(crate) by_hand: bool,
}

impl Rehearsal {
    /// The present time in the texts.
    pub(crate) fn now(&self, engine: Engine) -> Stamp {
        Stamp::Text(if self.by_hand { engine.capabilities().unix_now } else { mark::NOW })
    }

    /// The name of the session, where the engine has one.
    pub(crate) fn session(&self) -> &'static str {
        if self.by_hand { "fleet by hand" } else { mark::SESSION }
    }
}

impl Tape {
    pub(crate) fn on() -> Self {
        Tape(Some(Vec::new()))
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Records a text in place of sending it. `false`: it has to be sent.
    pub(crate) fn takes(&mut self, sql: &str) -> bool {
        self.push(|| Sent::Text(sql.to_owned()))
    }

    /// As [`Tape::takes`], for a statement with a directive, which may have it repeated.
    pub(crate) fn takes_directive(&mut self, engine: Engine, sql: &str) -> bool {
        let Some(all) = &mut self.0 else { return false };
        if directive(sql) != Some(Directive::Batch) {
            return self.takes(sql);
        }
        all.push(Sent::Batch(sql.to_owned()));
        all.extend(left(engine, sql).map(|left| Sent::Count(left.count)));
        true
    }

    /// As [`Tape::takes`], for parts of a message: one record for each text of it.
    pub(crate) fn takes_message(&mut self, message: &Message<'_>, parts: Range<usize>) -> bool {
        if let Some(all) = &mut self.0 {
            all.extend(message.texts(parts).map(Sent::Text));
        }
        self.is_on()
    }

    /// As [`Tape::takes`], for Rust code without a transaction.
    pub(crate) fn takes_code(&mut self, migration: &str) -> bool {
        self.push(|| Sent::Code(migration.to_owned()))
    }

    /// As [`Tape::takes`], for Rust code in a transaction: `begin` is how that begins, `record` the history row.
    pub(crate) fn takes_native(&mut self, migration: &str, around: &Around<'_>, [begin, record]: [&str; 2]) -> bool {
        if self.takes(begin) {
            let all = [around.preamble.join(";\n"), around.mark.set().unwrap_or_default().to_owned()];
            for sql in all.iter().filter(|sql| !sql.is_empty()) {
                self.takes(sql);
            }
            self.takes_code(migration);
            if let Some(sql) = around.before_record {
                self.takes(sql);
            }
            self.takes(record);
            self.takes("COMMIT");
        }
        self.is_on()
    }

    /// Records a connection, unless it is the first. `false`: it has to be opened.
    pub(crate) fn reconnects(&mut self) -> bool {
        let is_first = self.0.as_ref().is_some_and(Vec::is_empty);
        if is_first { true } else { self.push(|| Sent::Connection) }
    }

    /// Notes a question, which is asked in any case.
    pub(crate) fn asks(&mut self, sql: &str) {
        self.push(|| Sent::Question(sql.to_owned()));
    }

    /// Notes the statement that fails where fleet would not go on; an empty one is left out.
    pub(crate) fn by_hand(&mut self, sql: impl FnOnce() -> String) {
        let Some(all) = &mut self.0 else { return };
        all.extend(Some(sql()).filter(|sql| !sql.is_empty()).map(Sent::ByHand));
    }

    /// Notes that fleet's own statements go over a second connection.
    pub(crate) fn goes_aside(&mut self) {
        self.push(|| Sent::Aside);
    }

    /// Ends the recording, with marks in the place of the tenant's own names.
    pub(crate) fn take(&mut self, rehearsal: &Rehearsal, names: &[(String, String)]) -> Wire {
        let wire = Wire(self.0.take().unwrap_or_default());
        if rehearsal.by_hand { wire } else { wire.marked(names) }
    }

    fn push(&mut self, sent: impl FnOnce() -> Sent) -> bool {
        if let Some(all) = &mut self.0 {
            all.push(sent());
        }
        self.is_on()
    }
}
