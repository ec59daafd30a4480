//! Texts for people and machines: tables, JSON, CSV, Markdown, JUnit and the lines of a run while it goes on.
//!
//! Pure renderers, data in and text out: nothing here prints, reads a clock, the environment or a terminal. Text from a
//! tenant file or a database is made harmless before it is shown. JSON keeps it as it is, escaped.

pub(crate) mod adoption;
pub(crate) mod backups;
pub(crate) mod doctor;
pub(crate) mod drift;
pub(crate) mod entities;
pub(crate) mod exec;
pub(crate) mod history;
pub(crate) mod lint;
pub(crate) mod live;
pub(crate) mod locks;
pub(crate) mod matrix;
pub(crate) mod metrics;
pub(crate) mod outcome;
pub(crate) mod plan;
pub(crate) mod prove;
pub(crate) mod refreshes;
pub(crate) mod runs;
pub(crate) mod scripts;
pub(crate) mod settings;
#[cfg(feature = "serve")]
pub(crate) mod site;
pub(crate) mod sources;
pub(crate) mod status;
pub(crate) mod style;
pub(crate) mod tenants;
pub(crate) mod verify;

mod causes;
mod format;
mod json;
mod label;
mod markdown;
mod sheet;
mod stragglers;
mod summary;
mod waves;

pub(crate) use format::Format;
pub(crate) use label::{approximately, count, first, moment, names, towards};
pub(crate) use style::{Style, clean, message, paragraph};
pub(crate) use summary::edited_text;

#[cfg(test)]
mod tests;
