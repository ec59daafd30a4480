//! PostgreSQL: a tenant is a database, or a schema in one.

mod apply;
mod backup;
#[cfg(feature = "serve")]
pub(in crate::engine) mod changes;
mod clients;
pub(in crate::engine) mod codes;
pub(crate) mod connect;
pub(in crate::engine) mod dialect;
pub(in crate::engine) mod driver;
mod final_script;
pub(crate) mod guards;
mod health;
mod inside;
mod inspect;
mod inspect_queries;
mod kept;
mod liveness;
mod locks;
mod native;
mod observe;
mod online;
mod outside;
mod own_backend;
mod past;
pub(in crate::engine) mod provision;
mod read_only;
mod scratch;
mod session;
mod settings;
mod shared;
mod spelling;
mod write;

pub(crate) use clients::ServerSettings;
pub(crate) use kept::KeptSessions;
pub(crate) use session::PostgresSession;
