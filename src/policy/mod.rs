//! Limits and rules that an operator sets: one value type a file, each with its parser and its text.
//!
//! Values only: nothing here waits, counts tenants or knows a database.

mod concurrency;
mod duration;
mod failure_budget;
mod limits;
mod lock_retry;
mod retry;
mod timeouts;

pub use concurrency::Concurrency;
pub use duration::{BadDuration, format_duration, parse_duration};
pub use failure_budget::{BadFailureBudget, FailureBudget};
pub use limits::Limits;
pub use lock_retry::{LockRetry, LockTry};
pub use retry::RetryPolicy;
pub use timeouts::Timeouts;
