//! The counts of a fleet, and the few tenants that need attention.
//!
//! No row a tenant: that is the matrix.

use serde_json::{Value, json};

use crate::model::observation::Observation;
use crate::model::schema::Catalog;

use super::causes::group_by;
use super::sheet::{Cell, Column, Sheet};
use super::style::Tone;
use super::{Format, Style, label, markdown, summary};

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
            Format::Md => self.markdown(),
            _ => format.write(|| self.text(style), || self.fields(), || self.counts()),
        }
    }

    fn servers(&self) -> Vec<(String, Vec<&Observation>)> {
        group_by(self.observations, |o| o.server.clone())
    }

    fn text(&self, style: &Style) -> String {
        if self.observations.is_empty() {
            return "0 tenants\n".to_owned();
        }
        let versions = summary::by_version(self.catalog, self.observations);
        let mut parts = vec![self.state_sheet().table(style), summary::version_sheet(&versions, style).table(style)];
        parts.extend(self.server_sheet().map(|sheet| sheet.table(style)));
        let concerns = summary::concerns_text(&summary::concerns(self.observations), 10, style);
        parts.extend((!concerns.is_empty()).then_some(concerns));
        parts.push(format!("{}\n", summary::total_line(self.observations)));
        parts.join("\n")
    }

    fn state_sheet(&self) -> Sheet {
        let row = |(name, n): (&'static str, usize)| -> [Cell; 3] {
            let tone = self.observations.iter().find(|o| o.state.name() == name).map(|o| summary::tone(&o.state));
            let name = Cell::from(summary::words(name)).tone(tone.unwrap_or_default());
            [name, n.into(), label::share(n, self.observations.len()).into()]
        };
        Sheet::new([Column::new("State"), Column::new("Tenants").right(), Column::new("Share").right()])
            .rows(summary::by_state(self.observations).into_iter().map(row))
    }

    /// The states by server, where there are several.
    fn server_sheet(&self) -> Option<Sheet> {
        let columns =
            [Column::new("Server").at_least(12), Column::new("Tenants").right(), Column::new("States").at_least(20)];
        let servers = self.servers();
        let row = |(server, o): &(String, Vec<&Observation>)| -> [Cell; 3] {
            [server.into(), o.len().into(), states_of(o).into()]
        };
        (servers.len() > 1).then(|| Sheet::new(columns).rows(servers.iter().map(row)))
    }

    fn fields(&self) -> Value {
        let servers: Vec<Value> =
            self.servers().into_iter().map(|(server, tenants)| server_json(&server, &tenants)).collect();
        let mut summary = summary::summary_json(self.catalog, self.observations);
        summary["by_server"] = servers.into();
        let attention: Vec<Value> = self
            .observations
            .iter()
            .filter(|o| summary::tone(&o.state) == Tone::Bad || o.error.is_some())
            .map(|o| json!({ "id": o.tenant, "state": o.state.name(), "version": o.version, "error": o.error }))
            .collect();
        json!({ "head": self.catalog.head().map(|m| &**m), "summary": summary, "attention": attention })
    }

    fn counts(&self) -> Sheet {
        let row = |by: &str, value: String, n: usize| -> [Cell; 3] { [by.into(), value.into(), n.into()] };
        let states = summary::by_state(self.observations).into_iter().map(|(s, n)| row("state", s.to_owned(), n));
        let versions = summary::by_version(self.catalog, self.observations);
        let versions = versions.iter().map(|v| row("version", v.text(), v.tenants));
        let servers = self.servers().into_iter().map(|(s, o)| row("server", s, o.len()));
        Sheet::new(["By", "Value", "Tenants"].map(Column::new)).rows(states.chain(versions).chain(servers))
    }

    fn markdown(&self) -> String {
        let mut parts = vec![format!("**{}**\n", markdown::text(&summary::total_line(self.observations)))];
        parts.push(self.state_sheet().markdown());
        parts.extend(self.server_sheet().map(|sheet| sheet.markdown()));
        parts.push(summary::markdown(self.catalog, self.observations, &Style::FILE));
        parts.join("\n")
    }
}

fn states_of(observations: &[&Observation]) -> String {
    let states: Vec<String> = summary::by_state(observations.iter().copied())
        .into_iter()
        .map(|(s, n)| format!("{n} {}", summary::words(s)))
        .collect();
    states.join(", ")
}

fn server_json(server: &str, observations: &[&Observation]) -> Value {
    let states = summary::by_state(observations.iter().copied());
    let states: serde_json::Map<String, Value> = states.into_iter().map(|(s, n)| (s.to_owned(), n.into())).collect();
    json!({ "server": server, "tenants": observations.len(), "by_state": states })
}
