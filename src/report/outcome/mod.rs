//! The end of a run: who needs attention and why, what the rest came to, what to type next.
//!
//! It says what the records say and no more: where a record does not know a tenant's state, the text does not either.

mod group;
mod junit;
mod now;
mod text;
mod view;

pub(super) use now::moved_text;
pub(super) use text::{total_line, why_not_started};
pub(crate) use view::OutcomeView;
pub(super) use view::took;
