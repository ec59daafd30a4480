//! What people and machines read: tables, JSON, CSV, Markdown, JUnit and the lines of a run while it goes on.
//!
//! Pure renderers, data in and text out: nothing here prints, reads a clock, the environment or a terminal. Whatever came
//! from a tenant file or a database is made harmless before it stands in a text. JSON keeps it as it is, escaped.

pub mod backups;
pub mod doctor;
pub mod entities;
pub mod live;
pub mod locks;
pub mod matrix;
pub mod outcome;
pub mod plan;
pub mod prove;
pub mod refreshes;
pub mod runs;
pub mod scripts;
pub mod status;
pub mod style;
pub mod tenants;

mod causes;
mod csv_text;
mod json;
mod label;
mod markdown;
mod survey;
mod table;

pub(crate) use label::count;
pub use label::towards;
pub use style::{Format, Style, clean, shorten};
pub(crate) use survey::stopped_text;

#[cfg(test)]
mod tests;
