//! The list of tenants, as the tenant file resolves to it.
//!
//! It gets the locations of databases as plain text without secrets; it never sees an address.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use serde::Serialize;
use serde_json::json;

use crate::model::tenant::{Engine, TenantId};

use super::sheet::{Cell, Column, Sheet};
use super::style::Tone;
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
    /// The maintenance window of its server, if that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_window: Option<String>,
    /// The cap of its server, if that has one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) per_server: Option<NonZeroUsize>,
    /// Its labels.
    pub(crate) tags: BTreeMap<String, String>,
    /// The tenants that it depends on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) depends_on: Vec<TenantId>,
    /// The reason why it is in quarantine, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quarantine: Option<String>,
    /// The location of its database, without secrets: the caller has removed them.
    pub(crate) location: String,
    /// The source that it comes from, unless the file lists it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
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
    let (has_windows, has_caps) =
        (tenants.iter().any(|t| t.server_window.is_some()), tenants.iter().any(|t| t.per_server.is_some()));
    let has_sources = tenants.iter().any(|t| t.source.is_some());
    Sheet::of(tenants)
        .column(Column::new("Tenant").at_least(16), |t| &t.id)
        .column("Engine", |t| t.engine)
        .column(Column::new("Server").at_least(10), |t| &t.server)
        .column(Column::new("Wave").at_least(8), |t| &t.wave)
        .column(Column::new("Tags").at_least(10).expendable(2), |t| t.tags_text())
        .column(Column::new("Location").at_least(16).expendable(1), |t| Cell::from(t.place()).data(&t.location))
        .column_if(has_windows, Column::new("Server window").at_least(12).expendable(1), |t| {
            Cell::maybe(t.server_window.as_ref())
        })
        .column_if(has_caps, Column::new("Per server").right().expendable(1), |t| Cell::maybe(t.per_server.as_ref()))
        .column(Column::new("Quarantine").at_least(16), |t| Cell::maybe(t.quarantine.as_ref()).tone(Tone::Warning))
        .column_if(has_sources, Column::new("Source").at_least(8).expendable(1), |t| Cell::maybe(t.source.as_ref()))
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
                server_window: None,
                per_server: None,
                tags: BTreeMap::new(),
                depends_on: Vec::new(),
                quarantine: None,
                location: location.to_owned(),
                source: None,
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
