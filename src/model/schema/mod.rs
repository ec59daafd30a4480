//! The catalog of migrations, the state of a tenant's history compared with it, and compiled scripts.
//!
//! Plain data and pure functions: no database, no clock, no SeaORM.

mod adoption;
mod catalog;
mod note;
mod reading;
mod script;
mod texts;

pub(crate) use adoption::{AppliedSet, HistoryChange, VersionSchema};
pub(crate) use catalog::session_is_gone;
pub(crate) use catalog::{
    Catalog, NOTHING, ScriptEntry, ScriptKind, State, Unfinished, UnknownMigration, history_entry, name_of,
};
pub(crate) use note::MigrationNote;
pub(crate) use reading::names_of;
pub(crate) use script::{Direction, Execution, Kept, NativeReason, OnlineForm, Record, Script, Source};
