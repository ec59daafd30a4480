//! The vocabulary: tenants, versions, outcomes, events and the other words of a run, as plain data and pure decisions.
//!
//! Nothing here does I/O; only `clock` reads the time, and `program` the name that the process was started by.

pub(crate) mod answer;

pub(crate) mod text;

pub(crate) mod clock;

pub(crate) mod program;

pub(crate) mod engine;

pub(crate) mod transaction;

pub(crate) mod hold;

pub(crate) mod tenant;

pub(crate) mod typed;

pub(crate) mod fault;

pub(crate) mod schema;

pub(crate) mod variable;

pub(crate) use fleet_shape as shape;

pub(crate) mod outcome;
pub(crate) mod pause;

pub(crate) mod shared;

pub(crate) mod gate;

pub(crate) mod timings;

pub(crate) mod locks;

pub(crate) mod observation;

pub(crate) mod live_schema;

pub(crate) mod assertion;

pub(crate) mod health;

pub(crate) mod load;

pub(crate) mod hook;

pub(crate) mod stats;

pub(crate) mod plan;

pub(crate) mod wire;

pub(crate) mod run_kind;

pub(crate) mod settled;

pub(crate) mod event;

pub(crate) mod started_by;

pub(crate) mod run_summary;

pub(crate) mod retention;
pub(crate) mod undo;

pub(crate) mod saved_plan;

pub(crate) mod approval;

pub(crate) mod sink;
pub(crate) mod source;
