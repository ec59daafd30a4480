//! The ledger: the durable record of runs, outcomes and attempts, kept in an SQLite file or on a shared server.
//!
//! It is fed by events and never decides anything: it must not know the run that produces them or the report that shows
//! them. The tenants' own history tables are the truth about schemas; the ledger only records what was done and why.
//!
//! A process may be killed at any line. Committed data is the truth, and a reader then finds:
//!
//! | killed | what is found |
//! |---|---|
//! | before [`Recorder::begin`] returned | nothing of the run, or all that `begin` writes: it is one transaction |
//! | after `begin` returned | the run and every selected tenant, also after a power cut; no outcome yet |
//! | while tenants are worked on | the outcomes up to about 50 ms before the end; a later one reads as no outcome |
//! | after the last outcome, before [`Recorder::finish`] returned | all that was written, and the run reads as unfinished |
//! | after `finish` returned | everything |
//!
//! A tenant without an outcome may have been finished all the same, because success is recorded after the tenant's own
//! commit. Resuming a run reads the tenant again, so a lost outcome costs one read and repeats no migration; a task is
//! repeated on that tenant. After a power cut an SQLite ledger may also lack the outcomes since its last checkpoint, in the
//! same way. A lost ledger file means that no run is known, and nothing else.
//!
//! | table | a row for each |
//! |---|---|
//! | `fleet_ledger` | version that the tables went through; the highest is what they are now |
//! | `fleet_run` | run |
//! | `fleet_tenant` | selected tenant of a run, written before any tenant is touched |
//! | `fleet_outcome` | tenant of a run that has its outcome; a table of its own, so that a batch is one insert |
//! | `fleet_event` | start and end of a wave, and moment at which the run was asked to stop |
//! | `fleet_progress` | tenant in flight for longer than a heartbeat, or that told how far a long statement had come: the latest only |
//! | `fleet_approval` | approval of a saved plan |
//! | `fleet_source` | source of the tenant file whose tenants were noted |
//! | `fleet_source_tenant` | tenant that a source had then |
//! | `fleet_shared_run` | run that several runners share: who leads it |
//! | `fleet_claim` | tenant of such a run that was handed out and has no outcome yet |
//! | `fleet_runner` | runner that took part in such a run |
//! | `fleet_run_texts` | run with SQL scripts, and the beginnings of their checksums |
//! | `fleet_pause` | run that can be asked to pause, and the request |
//! | `fleet_attempt` | attempt that failed, and the last attempt where there were several |

mod approvals;
mod claims;
mod database;
mod ends;
mod entity;
mod error;
mod fence;
mod follow;
mod holders;
mod look;
mod migrations;
mod open;
mod pauses;
mod process;
#[cfg(feature = "queue")]
mod queue;
mod reader;
mod recorder;
mod retention;
mod rollout;
mod run_selector;
mod sources;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use crate::inputs::LedgerLocation as Location;
pub(crate) use ends::Ends;
pub(crate) use error::LedgerError;
pub(crate) use fence::Fence;
pub(crate) use follow::Followed;
pub(crate) use open::Ledger;
pub(crate) use pauses::Asked;
pub(crate) use process::current as current_process;
#[cfg(feature = "queue")]
pub(crate) use queue::{Queue, Take};
pub(crate) use recorder::Recorder;
