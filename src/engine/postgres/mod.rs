//! PostgreSQL: a tenant is a database, or a schema in one.

mod apply;
mod backup;
pub(crate) mod connect;
pub(crate) mod guards;
mod health;
mod inspect;
mod inspect_queries;
mod outside;
mod session;

pub(crate) use session::PostgresSession;
