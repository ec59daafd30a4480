//! The only access to a tenant's database: read a history, apply steps, close.
//!
//! It decides nothing: the steps to apply, retries and outcomes are up to the caller. The state of a tenant after the
//! process dies is documented at each step in the engines' files.

mod address;
mod ask;
mod backup;
mod bulk_history;
#[cfg(feature = "serve")]
mod changes;
mod dialect;
mod directives;
mod driver;
mod endpoint;
mod errors;
mod expectation;
mod final_script;
mod health;
mod history;
mod inspect;
mod journal;
mod journalled;
mod liveness;
mod locks;
mod message;
mod mysql;
mod native;
mod observe;
mod own_tables;
mod place_names;
mod postgres;
mod provision;
mod queries;
mod read_only;
mod rows;
mod scratch;
#[cfg(test)]
pub(crate) mod scripted;
mod servers;
mod session;
mod settle;
mod sqlite;
mod stopwatch;
mod tape;
mod variables;
mod work;
mod write;

pub(crate) use address::{home, is_same_place, location, place, secrets};
pub(crate) use backup::{Dump, Limits as TransferLimits, Transfer, Trial, database_name, hook, remove_left_secrets};
#[cfg(feature = "serve")]
pub(crate) use changes::{CHANNEL, Changes, tells_of_changes};
use dialect::literal;
pub(crate) use dialect::{Product, dialect};
pub(crate) use directives::is_between_batches;
use endpoint::TenantEndpoint;
pub(crate) use errors::{Code, codes as error_codes, fault, is_of_form};
pub(crate) use health::HealthCheck;
pub(crate) use inspect::Inspect;
pub(crate) use journal::{Continuation, continuation, settings_before, with_session};
pub(crate) use liveness::Liveness;
pub(crate) use locks::locks;
pub(crate) use message::stopped_at_statement;
pub(crate) use observe::{Canceller, Look, Observe, Probe, Watch};
pub(crate) use place_names::{databases_of, is_own_database, schemas_of};
pub(crate) use provision::{Ground, Provisioner, Site, Template, TemplateName, provisioner};
pub(crate) use read_only::Answers;
pub(crate) use rows::{ROWS_AT_ONCE, Rows};
pub(crate) use scratch::ScratchPlace;
pub(crate) use servers::Servers;
pub(crate) use session::{Database, Session};
pub(crate) use settle::Settlement;
pub(crate) use sqlite::file::is_beside_another;
pub(crate) use stopwatch::{Stopwatch, millis};
pub(crate) use tape::Rehearsal;
pub(crate) use work::{ApplyError, Notice, Notifier, PartialState, Step, Work};
pub(crate) use work::{Segment, TELL_EVERY, commits_between};
pub(crate) use write::{WriteError, Writes};
