//! MySQL and MariaDB: a tenant is a database.

mod apply;
mod backup;
mod cluster;
pub(in crate::engine) mod codes;
mod definers;
pub(in crate::engine) mod dialect;
pub(in crate::engine) mod driver;
mod final_script;
mod flavour;
mod fresh;
mod health;
mod inspect;
mod inspect_others;
mod liveness;
mod locks;
mod native;
mod observe;
pub(in crate::engine) mod provision;
mod read_only;
mod refused;
mod scratch;
mod session;
mod settings;
mod tenant_lock;
mod trial;
mod write;

pub(crate) use cluster::Clusters;
pub(in crate::engine) use flavour::learn;
pub(crate) use session::MysqlSession;
