//! SQLite: a tenant is a file.

mod apply;
mod backup;
pub(in crate::engine) mod codes;
pub(in crate::engine) mod dialect;
pub(in crate::engine) mod driver;
mod exists;
pub(crate) mod file;
mod health;
mod inspect;
mod inspect_text;
mod key_check;
mod native;
mod observe;
pub(in crate::engine) mod provision;
mod read_only;
mod session;
mod shared;
mod view_check;
mod write;

pub(crate) use session::{SqliteSession, busy_timeout, stop_when};
