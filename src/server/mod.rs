//! HTTP around the fleet: pages, a REST interface, events and metrics, for `fleet serve`.
//!
//! It knows no tenant, no ledger and no renderer: a request that passes the guards becomes a [`Question`], and the command
//! line answers it with a text or with events. It changes nothing itself.

mod events;
mod guard;
mod listen;
mod openapi;
mod question;
mod rate;
mod routes;
#[cfg(test)]
mod tests;

pub(crate) use guard::{Guard, Token};
pub(crate) use listen::listen;
pub(crate) use question::{Answer, Asked, Change, Content, Question, Refused, Sent};
