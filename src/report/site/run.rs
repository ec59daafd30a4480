//! A run as it goes on, and behind its end: the sections of a run's page in a file, and the part that changes.

use std::collections::BTreeMap;
use std::time::Duration;

use maud::{Markup, html};

use super::Form;
use super::frame::{Frame, Part, address};
use crate::model::event::Event;
use crate::model::program;
use crate::model::run_summary::RunStatus;
use crate::policy::format_duration;
use crate::report::live::Live;
use crate::report::runs::RunView;
use crate::report::style::{Style, clean};
use crate::report::{Format, label};

/// The most tenants of a run whose squares follow it; those of a larger one are as they were when the page was loaded.
const FOLLOWED: usize = 1_000;
/// The longest in flight that are named, by server.
const NAMED: usize = 3;

/// A run in full.
#[derive(Clone, Copy)]
pub(crate) struct RunPage<'a> {
    pub(crate) view: RunView<'a>,
    /// The time for a tenant in the last run of this kind.
    pub(crate) usual: Option<Duration>,
}

impl RunPage<'_> {
    pub(crate) fn render(&self, form: Form) -> String {
        match form {
            Form::Json => self.view.render(Format::Json, &Style::FILE),
            Form::Page => {
                let run = self.view.run.run.to_string();
                let page = self.view.page_of();
                let content = html! {
                    div #progress { (self.progress_part()) }
                    @if !self.is_small() { (page.details()) }
                };
                let follows = self.is_running().then_some(run);
                Frame { title: &page.title(), part: Part::Runs, follows }.around(content)
            }
        }
    }

    /// The part that changes while the run goes on.
    pub(crate) fn progress(&self) -> String {
        self.progress_part().into_string()
    }

    /// Whether all tenants are shown anew each time.
    fn is_small(&self) -> bool {
        self.view.outcome.header.tenants.len() <= FOLLOWED
    }

    fn is_running(&self) -> bool {
        self.view.run.status() == RunStatus::Running
    }

    fn progress_part(&self) -> Markup {
        let page = self.view.page_of();
        html! { (page.overview(self.now())) (self.ways()) @if self.is_small() { (page.details()) } }
    }

    /// The state of a run that goes on: how far it is, when it may end, and who is in flight where.
    fn now(&self) -> Markup {
        if !self.is_running() {
            return html! {};
        }
        let header = self.view.outcome.header;
        let since = |at_ms: i64| Duration::from_millis(u64::try_from(at_ms - header.started_at_ms).unwrap_or(0));
        let mut live = Live::new(Style::FILE).expecting(self.usual);
        live.note(&Event::RunStarted(header.clone()), Duration::ZERO);
        for record in self.view.outcome.records {
            live.note(&Event::TenantFinished(record.clone()), Duration::ZERO);
        }
        let done: std::collections::HashSet<usize> =
            self.view.outcome.records.iter().map(|record| record.index).collect();
        let mut servers: BTreeMap<&str, Vec<(i64, &str)>> = BTreeMap::new();
        let mut loads: BTreeMap<&str, String> = BTreeMap::new();
        // The ledger has the last readings of servers behind all others.
        let mut events: Vec<&(i64, Event)> = self.view.events.iter().collect();
        events.sort_by_key(|(at_ms, _)| *at_ms);
        for (at_ms, event) in events {
            match event {
                Event::ServerLoad { server, load, .. } => {
                    servers.entry(server).or_default();
                    loads.insert(server, label::load(load));
                }
                Event::AttemptStarted { index, .. } if done.contains(index) => continue,
                Event::AttemptStarted { index, tenant, .. } => {
                    let server = header.tenants.get(*index).map_or("", |planned| &*planned.server);
                    servers.entry(server).or_default().push((*at_ms, tenant.as_str()));
                }
                _ => {}
            }
            live.note(event, since(*at_ms));
        }
        servers.values_mut().for_each(|of| of.sort_unstable());
        let age = |at_ms: i64| {
            format_duration(Duration::from_secs(u64::try_from((self.view.now_ms - at_ms) / 1_000).unwrap_or(0)))
        };
        html! {
            section.now {
                h2 { "Now" }
                p.progress { (live.progress(since(self.view.now_ms))) }
                p.dim { "To have it pause: " code { (program::name()) " runs pause " (self.view.run.run) } }
                @if servers.is_empty() { p.dim { "No tenant is in flight for longer than a heartbeat." } }
                @else {
                    table {
                        thead { tr { th { "Server" } th.n { "In flight" } th { "Longest" } th { "Load" } } }
                        tbody { @for (server, of) in &servers {
                            tr { td { (clean(server)) } td.n { (of.len()) } td {
                                @for (at, (at_ms, tenant)) in of.iter().take(NAMED).enumerate() { @if at > 0 { ", " } (clean(tenant)) " " (age(*at_ms)) }
                            } td { (loads.get(server).map_or("", String::as_str)) } }
                        } }
                    }
                }
            }
        }
    }

    /// The runs around it.
    fn ways(&self) -> Markup {
        let link = |run: &str| html! { a href=(address("/runs", run)) { (run) } };
        html! {
            @if !self.view.heirs.is_empty() || self.view.run.resumes.is_some() {
                section {
                    h2 { "Before and after" }
                    dl {
                        @if let Some(run) = self.view.run.resumes { dt { "Resumes" } dd { (link(&run.to_string())) } }
                        @for heir in self.view.heirs { dt { "Resumed by" } dd { (link(&heir.run.to_string())) ", " (label::moment(heir.started_at_ms)) } }
                    }
                }
            }
        }
    }
}
