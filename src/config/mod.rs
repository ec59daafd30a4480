//! What the operator wrote: the settings of a fleet, and everything that is needed to read them and to say what is wrong.
//!
//! Settings are layered: defaults, then `[fleet]` of the file, then `FLEET__FLEET__KEY` of the environment, then flags.
//! `[scratch]` has the file and `FLEET__SCRATCH__KEY` only; `[backup]` has the file only.
//! Nothing here prints, connects, or lets a secret into a text: [`Mistakes`] keeps masked excerpts, never the file.

mod backup;
mod database_url;
mod document;
mod keys;
mod layer;
mod limits;
mod mask;
mod mistakes;
mod scratch;
mod settings;
mod url_parameters;
mod variables;

pub use mistakes::{Mistake, Mistakes, Place};
pub use scratch::ScratchServers;
pub use settings::{LedgerLocation, Origin, Overrides, Settings, settings};
pub use variables::Variables;

pub(crate) use database_url::{ServerUrl, expand, is_sqlite, sqlite_path};
pub(crate) use document::{Document, Item, Reader, is_unseen, suggestion, unknown_key, unprintable, with_document};
pub(crate) use keys::KEYS;
pub(crate) use mistakes::Drafts;
pub(crate) use settings::{Sources, folder_of, read_settings};
