//! The report of a finished run: tenants that need attention and why, counts of the rest, the next command.
//!
//! It says no more than the records: where a record does not have a tenant's state, the text does not either.

mod group;
mod html;
mod junit;
mod now;
mod text;
mod timings;
mod view;

pub(crate) use html::Page;
#[cfg(feature = "serve")]
pub(super) use html::{percent, shares};
pub(super) use now::{moved_text, version_before, version_text};
pub(super) use text::{total_line, why_not_started};
pub(crate) use view::OutcomeView;
pub(super) use view::took;
