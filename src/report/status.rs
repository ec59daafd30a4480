//! The counts of a fleet, and the few tenants that need attention.
//!
//! There is no row per tenant: that is the matrix.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::model::observation::Observation;
use crate::model::schema::{Catalog, State};

use super::causes::group_by;
use super::sheet::{Cell, Column, Sheet};
use super::style::{Tone, paragraph};
use super::{Format, Style, label, markdown, summary};

/// The data of the status.
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

    fn servers(&self) -> Vec<(&str, Vec<&Observation>)> {
        group_by(self.observations, |o| o.server.as_str())
    }

    fn text(&self, style: &Style) -> String {
        if self.observations.is_empty() {
            return "0 tenants\n".to_owned();
        }
        let versions = summary::version_sheet(self.catalog, self.observations, style);
        let sheets = [self.state_sheet(), versions].into_iter().chain(self.server_sheet());
        let mut parts: Vec<String> = sheets.map(|sheet| sheet.table(style)).collect();
        parts.extend(self.behind_at_head().map(|line| paragraph(&line, "", 4, style)));
        summary::text(parts, self.observations, 10, style)
    }

    /// The repeatable scripts, which are no version, for which tenants at the newest version are behind.
    fn behind_at_head(&self) -> Option<String> {
        const NAMED: usize = 6;
        let head = self.catalog.head().map(|head| &**head);
        let is_there = |o: &&Observation| matches!(o.state, State::Behind { .. }) && o.version.as_deref() == head;
        let mut lacking: BTreeMap<usize, usize> = BTreeMap::new();
        for o in self.observations.iter().filter(is_there) {
            self.catalog
                .missing(&o.history, o.variant())
                .into_iter()
                .for_each(|at| *lacking.entry(at).or_default() += 1);
        }
        let name =
            |(at, n): (&usize, &usize)| format!("{} ({})", self.catalog.migrations[*at], label::count(*n, "tenant"));
        let names: Vec<String> = lacking.iter().map(name).collect();
        (!names.is_empty()).then(|| {
            format!(
                "Behind at the newest version, for repeatable scripts that are new or have changed: {}",
                label::first(&names, NAMED)
            )
        })
    }

    fn state_sheet(&self) -> Sheet {
        let state = |(name, _): &(&'static str, usize)| {
            let tone = self.observations.iter().find(|o| o.state.name() == *name).map(|o| summary::tone(&o.state));
            Cell::from(summary::words(name)).tone(tone.unwrap_or_default())
        };
        Sheet::of(summary::by_state(self.observations))
            .column("State", state)
            .column(Column::new("Tenants").right(), |(_, n)| *n)
            .column(Column::new("Share").right(), |(_, n)| label::share(*n, self.observations.len()))
            .sheet()
    }

    /// The states by server, where there are several.
    fn server_sheet(&self) -> Option<Sheet> {
        let servers = self.servers();
        (servers.len() > 1).then(|| {
            Sheet::of(&servers)
                .column(Column::new("Server").at_least(12), |(server, _)| server)
                .column(Column::new("Tenants").right(), |(_, tenants)| tenants.len())
                .column(Column::new("States").at_least(20), |(_, o)| summary::states_text(o.iter().copied()))
                .sheet()
        })
    }

    pub(super) fn fields(&self) -> Value {
        let server = |(server, tenants): (&str, Vec<&Observation>)| {
            let states = summary::by_state(tenants.iter().copied());
            let states: Map<String, Value> = states.into_iter().map(|(s, n)| (s.to_owned(), n.into())).collect();
            json!({ "server": server, "tenants": tenants.len(), "by_state": states })
        };
        let mut summary = summary::fields(self.catalog, self.observations);
        summary["by_server"] = self.servers().into_iter().map(server).collect();
        let attention: Vec<Value> = self
            .observations
            .iter()
            .filter(|o| summary::tone(&o.state) == Tone::Bad || o.error.is_some() || o.is_held())
            .map(|o| {
                json!({
                    "id": o.tenant, "state": o.state.name(), "version": o.version, "error": o.error,
                    "quarantine": o.hold.quarantine, "frozen_at": o.hold.freeze_at, "source": o.source,
                })
            })
            .collect();
        json!({ "head": self.catalog.head().map(|m| &**m), "summary": summary, "attention": attention })
    }

    fn counts(&self) -> Sheet {
        let states = summary::by_state(self.observations).into_iter().map(|(s, n)| ("state", s.to_owned(), n));
        let versions = summary::by_version(self.catalog, self.observations);
        let versions = versions.into_iter().map(|v| ("version", v.text(), v.tenants));
        let servers = self.servers().into_iter().map(|(s, tenants)| ("server", s.to_owned(), tenants.len()));
        Sheet::of(states.chain(versions).chain(servers))
            .column("By", |(by, ..)| *by)
            .column("Value", |(_, value, _)| value.clone())
            .column("Tenants", |(.., n)| *n)
            .sheet()
    }

    fn markdown(&self) -> String {
        let mut parts = vec![format!("**{}**\n", markdown::text(&summary::total_line(self.observations)))];
        parts.push(self.state_sheet().markdown());
        parts.extend(self.server_sheet().map(|sheet| sheet.markdown()));
        parts.push(summary::markdown(self.catalog, self.observations, &Style::FILE));
        parts.join("\n")
    }
}
