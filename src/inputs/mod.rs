//! The operator's input: the settings of a fleet, its tenants and waves, and the diagnostics of mistakes in them.
//!
//! Settings are layered: defaults, then `[fleet]` of the file, then `FLEET_<KEY>` of the environment, then flags.
//! `[scratch]` comes from the file and `FLEET_SCRATCH_<KEY>` only; `[backup]`, `[check]`, `[seed]`, `[[assertion]]`, `[[measure]]` and `[[source]]` from the file only. Nothing
//! here prints, connects, or lets a secret into a text: [`Mistakes`] keeps masked excerpts, never the file.

mod assertions;
mod backup;
mod check;
mod database_url;
pub(crate) mod diagnostics;
mod document;
mod form;
mod hooks;
mod limits;
mod mask;
pub(crate) mod registry;
pub(crate) mod scratch;
mod seed;
pub(crate) mod select;
mod settings;
mod url_parameters;
mod variables;

pub(crate) use diagnostics::Mistakes;
pub(crate) use form::Form;
pub(crate) use hooks::{HookAction, HookTable};
pub(crate) use mask::MASK;
pub(crate) use scratch::ScratchServers;
pub(crate) use settings::{
    Commands, LedgerLocation, LogFormat, Origin, Overrides, SETTINGS, Setting, Settings, unread,
};
pub(crate) use variables::Variables;

pub(crate) use database_url::{ServerUrl, expand, is_sqlite, sqlite_path};
pub(crate) use diagnostics::Diagnostics;
pub(crate) use document::{Document, Item, Reader, unknown_key, with_document};
pub(crate) use settings::{Sources, folder_of, read_settings};
