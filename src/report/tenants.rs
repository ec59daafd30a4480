//! The list of tenants, as the tenant file resolves to it.
//!
//! It gets the locations of databases as plain text without secrets; it never sees an address.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use crate::model::tenant::{Engine, TenantId};

use super::sheet::{Cell, Column, Sheet};
use super::{Format, Style, label};

/// One tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TenantRow {
    pub(crate) id: TenantId,
    pub(crate) engine: Engine,
    /// Its server key.
    pub(crate) server: String,
    /// The wave it falls into.
    pub(crate) wave: String,
    /// Its labels.
    pub(crate) tags: BTreeMap<String, String>,
    /// The tenants that it depends on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) depends_on: Vec<TenantId>,
    /// The location of its database, without secrets: the caller has removed them.
    pub(crate) location: String,
}

impl TenantRow {
    fn tags_text(&self) -> String {
        let tags: Vec<String> = self.tags.iter().map(|(k, v)| format!("{k}={v}")).collect();
        tags.join(" ")
    }

    /// The location of the database, without the server where SERVER shows it; the engine's column shows the scheme.
    fn place(&self) -> &str {
        let Some((host, rest)) = self.location.split_once("://").and_then(|(_, rest)| rest.split_once('/')) else {
            return &self.location;
        };
        let port = self.server.strip_prefix(host);
        let is_its_server = port.is_some_and(|port| port.is_empty() || port.starts_with(':'));
        if is_its_server && !rest.is_empty() { rest } else { &self.location }
    }
}

/// The tenants in the order given, in the form asked for.
pub(crate) fn list(tenants: &[TenantRow], format: Format, style: &Style) -> String {
    let total = label::count(tenants.len(), "tenant");
    let table = || match tenants {
        [] => format!("{total}\n"),
        _ => format!("{}\n{total}\n", sheet(tenants).table(style)),
    };
    format.write(table, || json!({ "tenants": tenants }), || sheet(tenants))
}

fn sheet(tenants: &[TenantRow]) -> Sheet {
    Sheet::of(tenants)
        .column(Column::new("Tenant").at_least(16), |t| &t.id)
        .column("Engine", |t| t.engine)
        .column(Column::new("Server").at_least(10), |t| &t.server)
        .column(Column::new("Wave").at_least(8), |t| &t.wave)
        .column(Column::new("Tags").at_least(10).expendable(2), |t| t.tags_text())
        .column(Column::new("Location").at_least(16).expendable(1), |t| Cell::from(t.place()).data(&t.location))
        .sheet()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_does_not_repeat_the_server() {
        let place = |server: &str, location: &str| {
            let row = TenantRow {
                id: TenantId::from("acme"),
                engine: Engine::Postgres,
                server: server.to_owned(),
                wave: "rest".to_owned(),
                tags: BTreeMap::new(),
                depends_on: Vec::new(),
                location: location.to_owned(),
            };
            row.place().to_owned()
        };
        assert_eq!(place("db7:5432", "postgres://db7:5432/app schema acme"), "app schema acme");
        assert_eq!(place("db7:5432", "postgres://db7/app"), "app");
        assert_eq!(place("main", "postgres://db7:5432/app"), "postgres://db7:5432/app");
        assert_eq!(place("db77:5432", "postgres://db7/app"), "postgres://db7/app");
        assert_eq!(place("db7:5432", "postgres://db7:5432/"), "postgres://db7:5432/");
        assert_eq!(place("local", "/srv/data/acme.db"), "/srv/data/acme.db");
    }
}
