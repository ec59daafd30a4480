//! MySQL and MariaDB: a tenant is a database.

mod apply;
mod backup;
pub(crate) mod decode;
mod definers;
mod health;
mod inspect;
mod inspect_others;
mod session;
mod tenant_lock;

pub(crate) use session::MysqlSession;
