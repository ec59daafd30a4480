//! The list of tenants, as the tenant file resolves to it.
//!
//! It is given where a database is as plain text without secrets; it never sees an address.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use crate::model::tenant::{Engine, TenantId};

use super::style::{Format, Style};
use super::table::{Cell, Column, Table};
use super::{csv_text, json, label, markdown};

/// One tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TenantRow {
    /// Its id.
    pub(crate) id: TenantId,
    /// Its engine.
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
    /// Where its database is, without a secret: the caller has removed it.
    pub(crate) location: String,
}

impl TenantRow {
    fn tags_text(&self) -> String {
        let tags: Vec<String> = self.tags.iter().map(|(k, v)| format!("{k}={v}")).collect();
        tags.join(" ")
    }

    /// Where the database is, without the server where SERVER says it; the engine's column says the scheme.
    fn place(&self) -> &str {
        let Some((host, rest)) = self.location.split_once("://").and_then(|(_, rest)| rest.split_once('/')) else {
            return &self.location;
        };
        let port = self
            .server
            .strip_prefix(host)
            .and_then(|rest| if rest.is_empty() { Some("") } else { rest.strip_prefix(':') });
        if port.is_some() && !rest.is_empty() { rest } else { &self.location }
    }

    fn flat(&self) -> [String; 6] {
        let id = self.id.to_string();
        [id, self.engine.to_string(), self.server.clone(), self.wave.clone(), self.tags_text(), self.location.clone()]
    }
}

/// The tenants in the order given, in the form asked for.
pub(crate) fn list(tenants: &[TenantRow], format: Format, style: &Style) -> String {
    let flat = || tenants.iter().map(TenantRow::flat).collect::<Vec<_>>();
    match format {
        Format::Table => text(tenants, style),
        Format::Json => json::document(json!({ "tenants": tenants })),
        Format::Csv => csv_text::write(
            &["tenant", "engine", "server", "wave", "tags", "location"],
            flat().iter().map(|r| r.iter().map(String::as_str)),
        ),
        Format::Md => markdown::table(&["Tenant", "Engine", "Server", "Wave", "Tags", "Location"], flat()),
    }
}

fn text(tenants: &[TenantRow], style: &Style) -> String {
    let total = label::count(tenants.len(), "tenant");
    if tenants.is_empty() {
        return format!("{total}\n");
    }
    let mut table = Table::new([
        Column::new("TENANT").at_least(16),
        Column::new("ENGINE"),
        Column::new("SERVER").at_least(10),
        Column::new("WAVE").at_least(8),
        Column::new("TAGS").at_least(10).expendable(2),
        Column::new("LOCATION").at_least(16).expendable(1).keep_end(),
    ]);
    for tenant in tenants {
        let [id, engine, server, wave, tags, _] = tenant.flat();
        table.row([id, engine, server, wave, tags, tenant.place().to_owned()].map(Cell::from));
    }
    format!("{}\n{total}\n", table.render(style))
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
