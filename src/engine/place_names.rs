//! The names of databases on a server, and of schemas in a database, which sources of tenants list.
//!
//! Builds text only; sends nothing.

use super::{mysql, postgres, provision, scratch};
use crate::model::engine::{Engine, EngineMap};

static DATABASES: EngineMap<Option<&str>> =
    EngineMap { sqlite: None, postgres: Some(postgres::dialect::DATABASES), mysql: Some(mysql::dialect::DATABASES) };

static SCHEMAS: EngineMap<Option<&str>> =
    EngineMap { sqlite: None, postgres: Some(postgres::dialect::SCHEMAS), mysql: None };

/// The query for the databases of a server that are not the engine's own; `None` on an engine of files.
pub(crate) fn databases_of(engine: Engine) -> Option<&'static str> {
    DATABASES[engine]
}

/// The query for the schemas of a database that are not the engine's own, on an engine that has any.
pub(crate) fn schemas_of(engine: Engine) -> Option<&'static str> {
    SCHEMAS[engine]
}

/// Whether a database is one that fleet makes for itself: a scratch database or a template.
pub(crate) fn is_own_database(name: &str) -> bool {
    [scratch::PREFIX, provision::PREFIX].iter().any(|prefix| name.starts_with(prefix))
}
