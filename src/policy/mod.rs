//! Limits and rules that an operator sets: one value type per file, each with its parser and its text.
//!
//! Values only: nothing here waits, counts tenants or accesses a database.

mod backoff;
mod concurrency;
mod duration;
mod failure_budget;
mod gate;
mod limits;
mod load_limits;
mod lock_retry;
mod rate;
mod refresh_group;
mod retry;
mod size;
mod stop_cause;
mod timeouts;
mod window;

pub(crate) use backoff::Backoff;
pub(crate) use concurrency::Concurrency;
pub(crate) use duration::{format_duration, parse_duration};
pub(crate) use failure_budget::{BadFailureBudget, FailureBudget, Tally, UsedUp};
pub(crate) use gate::{Check, Gate, Moment, Query, program_of};
pub(crate) use limits::Limits;
pub(crate) use load_limits::LoadLimits;
pub(crate) use lock_retry::LockRetry;
pub(crate) use rate::Rate;
pub(crate) use refresh_group::RefreshGroup;
pub(crate) use retry::RetryPolicy;
pub(crate) use size::{Size, format_bytes, scaled};
pub(crate) use stop_cause::StopCause;
pub(crate) use timeouts::Timeouts;
pub(crate) use window::{Deadline, Window, until};
