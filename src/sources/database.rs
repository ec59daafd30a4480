//! Sources that are databases: the rows of a query, the schemas of a database, the databases of a server.
//!
//! Each is asked over a session that can't write.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::{MOST_ROWS, Values, too_many, value};
use crate::compile::MigrationSet;
use crate::engine::{self, Database as _, Servers};
use crate::inputs::registry::{Patterns, SourceDatabase};
use crate::model::assertion::FirstRows;
use crate::model::fault::{Fault, FaultClass};
use crate::model::tenant::Tenant;
use crate::policy::Timeouts;

/// A database that is asked.
pub(super) struct Asked<'a> {
    pub(super) database: &'a SourceDatabase,
    /// Where a command for the password starts.
    pub(super) folder: &'a Path,
    pub(super) migrations: &'a Arc<MigrationSet>,
    pub(super) limit: Duration,
}

impl Asked<'_> {
    /// The rows of a query, by the names of its columns.
    pub(super) async fn query(&self, sql: &str) -> Result<Vec<Values>, String> {
        let FirstRows { columns, rows, more } = self.rows(sql).await?;
        if more {
            return Err(too_many());
        }
        let columns: Vec<String> = columns.iter().map(|column| column.to_ascii_lowercase()).collect();
        if let Some(twice) = columns.iter().enumerate().find(|(at, name)| columns[..*at].contains(name)) {
            return Err(format!("has two columns with the name {}; give each its own with AS", twice.1));
        }
        let row = |row: Vec<Option<String>>| -> Values {
            columns.iter().zip(row).filter_map(|(name, text)| Some((name.clone(), value(text?)))).collect()
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// The schemas that patterns match.
    pub(super) async fn schemas(&self, names: &Patterns) -> Result<Vec<Values>, String> {
        let sql = engine::schemas_of(self.database.engine()).ok_or("has no schemas")?;
        let url = self.database.url_of(None).ok_or("is no server")?;
        let row = |name: String| {
            let url = value(url.expose_secret());
            Values::from_iter([("id".into(), value(&*name)), ("url".into(), url), ("schema".into(), value(name))])
        };
        Ok(self.names(sql, names).await?.into_iter().map(row).collect())
    }

    /// The databases that patterns match.
    pub(super) async fn databases(&self, names: &Patterns) -> Result<Vec<Values>, String> {
        let sql = engine::databases_of(self.database.engine()).ok_or("has no databases")?;
        let row = |name: String| {
            let url = self.database.url_of(Some(&name)).ok_or("is no server")?;
            Ok(Values::from_iter([("id".into(), value(name)), ("url".into(), value(url.expose_secret()))]))
        };
        self.names(sql, names).await?.into_iter().map(row).collect()
    }

    /// Names that patterns match; databases that fleet makes for itself are none.
    async fn names(&self, sql: &str, names: &Patterns) -> Result<Vec<String>, String> {
        let FirstRows { rows, more, .. } = self.rows(sql).await?;
        if more {
            return Err(too_many());
        }
        let all = rows.into_iter().filter_map(|row| row.into_iter().next().flatten());
        Ok(all.filter(|name| names.matches(name) && !engine::is_own_database(name)).collect())
    }

    async fn rows(&self, sql: &str) -> Result<FirstRows, String> {
        let password = match self.database.password() {
            Some(source) => Some(source.fetch(self.folder).await?),
            None => None,
        };
        let address = self.database.address(password.as_ref().map(|password| password.expose_secret()));
        let tenant = Arc::new(Tenant::apart("source", self.database.engine(), address));
        let defaults = Timeouts::default();
        let limits = Timeouts { connect: defaults.connect.min(self.limit), statement: self.limit, ..defaults };
        let servers = Servers::new(self.migrations.clone(), limits);
        let asked = async {
            let mut session = servers.connect(&tenant).await?;
            let rows = session.first_rows(sql, MOST_ROWS).await;
            session.close().await;
            rows
        };
        asked.await.map_err(|fault| told(&fault))
    }
}

fn told(fault: &Fault) -> String {
    match fault.class {
        FaultClass::Pooler => {
            "is asked through a connection pooler, which keeps no session from writing; name the server itself"
                .to_owned()
        }
        _ => format!("can't be asked: {fault}"),
    }
}
