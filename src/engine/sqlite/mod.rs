//! SQLite: a tenant is a file.

mod apply;
mod backup;
pub(crate) mod file;
mod health;
mod inspect;
mod inspect_text;
mod session;

pub(crate) use session::{SqliteSession, busy_timeout, stop_when};
