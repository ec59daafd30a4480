//! One tenant: where it is, its state, its history with times, the runs that took it, and its backups.

use maud::html;
use serde::Serialize;
use serde_json::{Value, json};

use super::fleet::{class, version};
use super::frame::{Frame, Part, address, pair};
use super::{Form, Look, strip};
use crate::model::observation::Observation;
use crate::model::outcome::{Standing, TenantRecord};
use crate::model::run_summary::RunSummary;
use crate::report::history::AppliedRow;
use crate::report::matrix;
use crate::report::outcome::took;
use crate::report::style::clean;
use crate::report::tenants::TenantRow;
use crate::report::{json, label, summary};

/// A tenant as a reading found it.
pub(crate) struct TenantView<'a> {
    pub(crate) look: &'a Look,
    /// Its place in the reading.
    pub(crate) place: usize,
    /// Its own history.
    pub(crate) history: &'a [AppliedRow],
    /// The runs that took it, newest first, with its outcome in each.
    pub(crate) runs: &'a [(RunSummary, Option<TenantRecord>)],
    /// Its whole backups, newest first.
    pub(crate) backups: &'a [TenantBackup],
}

/// A backup of a tenant.
#[derive(Debug, Serialize)]
pub(crate) struct TenantBackup {
    /// The run that made it.
    pub(crate) run: String,
    /// Its end, in milliseconds since 1970-01-01 UTC.
    pub(crate) at_ms: i64,
    /// The size of its file; 0 where a command of the operator's made it.
    pub(crate) bytes: u64,
    /// The tool that made it.
    pub(crate) tool: String,
}

impl TenantView<'_> {
    fn row(&self) -> &TenantRow {
        &self.look.rows[self.place]
    }

    fn observation(&self) -> &Observation {
        &self.look.observations[self.place]
    }

    pub(crate) fn render(&self, form: Form) -> String {
        match form {
            Form::Json => json::document(self.fields()),
            Form::Page => self.page(),
        }
    }

    fn fields(&self) -> Value {
        let mut fields = matrix::tenant_json(&self.look.catalog, self.observation());
        for (key, value) in json::value(self.row()).as_object().into_iter().flatten() {
            fields[key.as_str()] = value.clone();
        }
        let run = |(run, record): &(RunSummary, Option<TenantRecord>)| json!({ "run": run.run, "started_at": label::moment(run.started_at_ms), "started_at_ms": run.started_at_ms, "direction": run.direction, "goal": run.goal, "outcome": record });
        fields["history"] = json!(self.history);
        fields["runs"] = self.runs.iter().map(run).collect();
        fields["backups"] = json!(self.backups);
        fields["read_at"] = label::moment(self.look.read_at_ms).into();
        fields["read_at_ms"] = self.look.read_at_ms.into();
        fields
    }

    fn page(&self) -> String {
        let (row, o) = (self.row(), self.observation());
        let marks = matrix::marks(&self.look.catalog, o);
        let name = |at: usize| format!("{} {}", label::number(at), clean(&self.look.catalog.migrations[at]));
        let tags: Vec<String> = row.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let content = html! {
            header class=(class(&o.state)) {
                p.aim { "Tenant" }
                h1 { (clean(row.id.as_str())) ": " (summary::state_text(&o.state)) }
                (strip::marks(&marks, &name))
                dl {
                    (pair("Version", html! { (version(o)) }))
                    (pair("Database", html! { (clean(&row.location)) }))
                    (pair("Server", html! { (row.engine) " on " a href=(format!("/?group=tenant&server={}", percent_encoding::utf8_percent_encode(&row.server, percent_encoding::NON_ALPHANUMERIC))) { (clean(&row.server)) } }))
                    (pair("Wave", html! { (clean(&row.wave)) }))
                    @if !tags.is_empty() { (pair("Tags", html! { (clean(&tags.join(" "))) })) }
                    @if !row.depends_on.is_empty() {
                        (pair("Behind", html! { @for (at, id) in row.depends_on.iter().enumerate() { @if at > 0 { ", " } a href=(address("/tenants", id.as_str())) { (clean(id.as_str())) } } }))
                    }
                    @if let Some(quarantine) = &o.hold.quarantine { (pair("In quarantine", html! { (clean(&quarantine.to_string())) })) }
                    @if let Some(frozen) = &o.hold.freeze_at { (pair("Frozen at", html! { (clean(frozen)) })) }
                    (pair("Read", html! { (label::moment(self.look.read_at_ms)) }))
                }
                @if let Some(why) = summary::why_of(o) { p.error { (clean(&why)) } }
            }
            section {
                h2 { "Its history" }
                @if self.history.is_empty() { p.dim { "Nothing is applied, or it could not be read." } }
                @else {
                    div.wide { table {
                        thead { tr { th { "Migration" } th { "Applied at" } th.more { "By" } th.more { "Run" } } }
                        tbody { @for entry in self.history.iter().rev() {
                            tr {
                                td.name { @if entry.known { a href=(address("/catalog", &entry.name)) { (clean(&entry.name)) } } @else { (clean(&entry.name)) span.dim { " not known to this program" } } }
                                td { @if let Some(at) = entry.applied_at { (label::moment(at * 1_000)) } }
                                td.more { (entry.by.as_deref().map(clean).unwrap_or_default()) }
                                td.more { @if let Some(run) = entry.run { a href=(address("/runs", &run.to_string())) { (tail(&run.to_string())) } } }
                            }
                        } }
                    } }
                }
            }
            section {
                h2 { "Runs that took it" }
                @if self.runs.is_empty() { p.dim { "None is recorded." } }
                @else {
                    div.wide { table {
                        thead { tr { th { "Started" } th { "Outcome" } th.more { "After" } th.n { "Took" } th.n { "Tries" } th { "Error" } } }
                        tbody { @for (run, record) in self.runs {
                            tr class=(record.as_ref().map_or("left", outcome_class)) {
                                td { a href=(address("/runs", &run.run.to_string())) { (label::moment(run.started_at_ms)) } }
                                td { (record.as_ref().map_or_else(|| "no outcome".to_owned(), |r| summary::words(r.outcome.name()))) }
                                td.more { @if let Some(r) = record.as_ref().filter(|r| r.version_known) { (label::version(r.version.as_deref())) } }
                                td.n { @if let Some(r) = record.as_ref().filter(|r| r.attempts > 0) { (took(r.duration)) } }
                                td.n { @if let Some(r) = record { (r.attempts) } }
                                td.reason { @if let Some(error) = record.as_ref().and_then(|r| r.error.as_ref()) { (clean(&error.to_string())) } }
                            }
                        } }
                    } }
                }
            }
            @if !self.backups.is_empty() {
                section {
                    h2 { "Its backups" }
                    div.wide { table {
                        thead { tr { th { "Made" } th.n { "Size" } th.more { "By" } th { "Run" } } }
                        tbody { @for backup in self.backups {
                            tr {
                                td { (label::moment(backup.at_ms)) }
                                td.n { @if backup.bytes > 0 { (label::bytes(backup.bytes)) } }
                                td.more { (clean(&backup.tool)) }
                                td { a href=(address("/runs", &backup.run)) { (tail(&backup.run)) } }
                            }
                        } }
                    } }
                }
            }
        };
        Frame { title: row.id.as_str(), part: Part::Fleet, follows: None }.around(content)
    }
}

fn outcome_class(record: &TenantRecord) -> &'static str {
    match record.outcome.standing() {
        Standing::AtTarget => "good",
        Standing::Failed => "bad",
        Standing::Outstanding => "left",
    }
}

/// The end of an id, which tells it from others.
fn tail(id: &str) -> &str {
    id.rsplit('-').next().unwrap_or(id)
}
