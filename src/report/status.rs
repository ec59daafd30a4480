//! The counts of a fleet, and the few tenants that need attention.
//!
//! No row a tenant: that is the matrix.

use serde_json::{Value, json};

use crate::model::observation::Observation;
use crate::model::schema::Catalog;

use super::causes::group_by;
use super::style::{Format, Style};
use super::table::{Cell, Column, Table};
use super::{csv_text, json, label, markdown, matrix, summary};

/// What the status shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StatusView<'a> {
    /// The migrations.
    pub(crate) catalog: &'a Catalog,
    /// The tenants, in plan order.
    pub(crate) observations: &'a [Observation],
}

impl StatusView<'_> {
    /// The status in the form asked for.
    pub(crate) fn render(&self, format: Format, style: &Style) -> String {
        match format {
            Format::Table => self.text(style),
            Format::Json => self.json(),
            Format::Csv => self.csv(),
            Format::Md => self.markdown(),
        }
    }

    fn servers(&self) -> Vec<(String, Vec<&Observation>)> {
        group_by(self.observations, |o| o.server.clone())
    }

    fn text(&self, style: &Style) -> String {
        if self.observations.is_empty() {
            return "0 tenants\n".to_owned();
        }
        let mut out = String::new();
        let mut states =
            Table::new([Column::new("STATE"), Column::new("TENANTS").right(), Column::new("SHARE").right()]);
        for (name, n) in summary::by_state(self.observations) {
            let tone = self.observations.iter().find(|o| o.state.name() == name).map(|o| summary::tone(&o.state));
            let share = label::share(n, self.observations.len());
            let name = Cell::new(summary::words(name)).tone(tone.unwrap_or_default());
            states.row([name, n.to_string().into(), share.into()]);
        }
        out.push_str(&states.render(style));
        out.push('\n');
        out.push_str(&summary::version_table(&summary::by_version(self.catalog, self.observations), style));
        let servers = self.servers();
        if servers.len() > 1 {
            out.push('\n');
            out.push_str(&servers_text(&servers, style));
        }
        let concerns = summary::concerns(self.observations);
        if !concerns.is_empty() {
            out.push('\n');
            out.push_str(&summary::concerns_text(&concerns, 10, style));
        }
        out.push_str(&format!("\n{}\n", summary::total_line(self.observations)));
        out
    }

    fn json(&self) -> String {
        let servers: Vec<Value> =
            self.servers().into_iter().map(|(server, tenants)| server_json(&server, &tenants)).collect();
        let mut summary = summary::summary_json(self.catalog, self.observations);
        summary["by_server"] = servers.into();
        let attention: Vec<Value> = self
            .observations
            .iter()
            .filter(|o| summary::tone(&o.state) == super::style::Tone::Bad || o.error.is_some())
            .map(|o| json!({ "id": o.tenant, "state": o.state.name(), "version": o.version, "error": o.error }))
            .collect();
        json::document(json!({ "head": self.catalog.head().map(|m| &**m),
            "summary": summary, "attention": attention }))
    }

    fn csv(&self) -> String {
        let row = |by: &str, value: String, n: usize| [by.to_owned(), value, n.to_string()];
        let states = summary::by_state(self.observations).into_iter().map(|(s, n)| row("state", s.to_owned(), n));
        let versions = summary::by_version(self.catalog, self.observations);
        let versions = versions.iter().map(|v| row("version", v.text(), v.tenants));
        let servers = self.servers().into_iter().map(|(s, o)| row("server", s, o.len()));
        let rows: Vec<[String; 3]> = states.chain(versions).chain(servers).collect();
        csv_text::write(&["by", "value", "tenants"], rows.iter().map(|r| r.iter().map(String::as_str)))
    }

    fn markdown(&self) -> String {
        let mut out = format!("**{}**\n\n", markdown::text(&summary::total_line(self.observations)));
        let states = summary::by_state(self.observations);
        let body =
            states.iter().map(|(s, n)| [summary::words(s), n.to_string(), label::share(*n, self.observations.len())]);
        out.push_str(&markdown::table(&["State", "Tenants", "Share"], body));
        out.push('\n');
        let servers = self.servers();
        if servers.len() > 1 {
            let body = servers.iter().map(|(s, o)| [s.clone(), o.len().to_string(), states_of(o)]);
            out.push_str(&markdown::table(&["Server", "Tenants", "States"], body));
            out.push('\n');
        }
        out.push_str(&matrix::survey_markdown(self.catalog, self.observations));
        out
    }
}

fn states_of(observations: &[&Observation]) -> String {
    let states: Vec<String> = summary::by_state(observations.iter().copied())
        .into_iter()
        .map(|(s, n)| format!("{n} {}", summary::words(s)))
        .collect();
    states.join(", ")
}

fn servers_text(servers: &[(String, Vec<&Observation>)], style: &Style) -> String {
    let mut table = Table::new([
        Column::new("SERVER").at_least(12),
        Column::new("TENANTS").right(),
        Column::new("STATES").at_least(20),
    ]);
    for (server, observations) in servers {
        table.row([Cell::new(server), observations.len().to_string().into(), states_of(observations).into()]);
    }
    table.render(style)
}

fn server_json(server: &str, observations: &[&Observation]) -> Value {
    let states = summary::by_state(observations.iter().copied());
    let states: serde_json::Map<String, Value> = states.into_iter().map(|(s, n)| (s.to_owned(), n.into())).collect();
    json!({ "server": server, "tenants": observations.len(), "by_state": states })
}
