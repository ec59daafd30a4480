//! The views of the fleet: when they were refreshed, when they are next, and the dashboards that show them.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::Form;
use super::frame::{Frame, Part, address};
use crate::compile::View;
use crate::inputs::registry::Dashboard;
use crate::model::run_summary::RunSummary;
use crate::policy::RefreshGroup;
use crate::report::refreshes::{self, Spread, TenantRefreshes, spread};
use crate::report::runs::rows;
use crate::report::style::clean;
use crate::report::{json, label};

/// The databases that are listened to for changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Those whose changes are heard now.
    pub(crate) databases: usize,
    /// Sentences on those whose changes are not.
    pub(crate) unheard: Vec<String>,
}

/// The views, read on all tenants.
#[derive(Clone, Copy)]
pub(crate) struct ViewsView<'a> {
    pub(crate) views: &'a [View],
    pub(crate) tenants: &'a [TenantRefreshes],
    /// The newest runs that refreshed some, each with its reason.
    pub(crate) runs: &'a [(RunSummary, Option<String>)],
    pub(crate) dashboards: &'a [Dashboard],
    /// The changes that this server hears of; `None`: it refreshes nothing by itself.
    pub(crate) heard: Option<&'a Heard>,
    /// The present time, in milliseconds since 1970-01-01 UTC.
    pub(crate) now_ms: i64,
}

impl ViewsView<'_> {
    pub(crate) fn render(&self, form: Form) -> String {
        match form {
            Form::Json => {
                let mut document = refreshes::fields(self.views, self.tenants);
                let heard = self.heard.map(|heard| json!({ "databases": heard.databases, "unheard": heard.unheard }));
                document["listening"] = json!(heard);
                let refresh = |(run, reason): &(RunSummary, Option<String>)| {
                    json!({
                        "run": run.run.to_string(), "started_at": label::moment(run.started_at_ms), "goal": run.goal,
                        "reason": reason, "tenants": run.selected, "failed": run.counts.failures(),
                    })
                };
                document["refreshes"] = self.runs.iter().map(refresh).collect();
                json::document(document)
            }
            Form::Page => self.page(),
        }
    }

    /// The dashboards as a document: each with its views, of which those that no script makes are named.
    pub(crate) fn dashboards(&self) -> String {
        json::document(
            json!({ "dashboards": self.dashboards.iter().map(|one| self.dashboard(one)).collect::<Vec<_>>() }),
        )
    }

    fn dashboard(&self, dashboard: &Dashboard) -> Value {
        let (known, missing): (Vec<&String>, Vec<&String>) =
            dashboard.views.iter().partition(|name| self.view(name).is_some());
        let view = |name: &&String| {
            let view = self.view(name)?;
            let Spread { asked, times } = spread(view, self.tenants);
            let oldest = times.first().map(|(seconds, _)| refreshes::moment(*seconds));
            Some(json!({
                "view": view.name, "group": view.group, "tenants": asked, "refreshed": times.len(), "oldest": oldest,
                "next_at": self.next(view),
            }))
        };
        let views: Vec<Value> = known.iter().filter_map(view).collect();
        json!({ "name": dashboard.name, "about": dashboard.about, "views": views, "missing": missing })
    }

    fn view(&self, name: &str) -> Option<&View> {
        self.views.iter().find(|view| view.name == name)
    }

    /// The next time at which this server refreshes a view.
    fn next(&self, view: &View) -> Option<String> {
        self.heard.and_then(|_| view.group.next_ms(self.now_ms)).map(label::moment)
    }

    fn page(&self) -> String {
        let unread = self.tenants.iter().filter(|tenant| tenant.refreshes.is_err()).count();
        let content = html! {
            header class=(if unread > 0 { "bad" } else { "good" }) {
                h1 { (label::count(self.views.len(), "view")) }
                p { "Made by scripts, and refreshed each hour, day, week or month, or when data changes." }
                p.dim {
                    @if self.heard.is_some() { "This server refreshes them at their times." }
                    @else { "This server refreshes none by itself; with --schedule it does." }
                    @if unread > 0 { " " (label::count(unread, "tenant")) " could not be read." }
                }
            }
            @if !self.views.is_empty() {
                section { h2 { "Refreshes" } (self.table(self.views.iter())) }
            }
            @if let Some(heard) = self.heard.filter(|_| self.views.iter().any(|view| view.group == RefreshGroup::Changes)) {
                section {
                    h2 { "Changes of data" }
                    p { "Changes are heard of in " (label::count(heard.databases, "database")) "." }
                    @for why in &heard.unheard { p.bad { (clean(why)) } }
                }
            }
            @if !self.runs.is_empty() {
                section { h2 { "The last ones" } (self.last()) }
            }
            @for dashboard in self.dashboards {
                section {
                    h2 { (clean(&dashboard.name)) }
                    @if !dashboard.about.is_empty() { p { (clean(&dashboard.about)) } }
                    (self.table(dashboard.views.iter().filter_map(|name| self.view(name))))
                    @for name in dashboard.views.iter().filter(|name| self.view(name).is_none()) {
                        p.dim { "No script makes the view " (clean(name)) "." }
                    }
                }
            }
        };
        Frame { title: "Views", part: Part::Views, follows: None }.around(content)
    }

    fn last(&self) -> Markup {
        let runs: Vec<RunSummary> = self.runs.iter().map(|(run, _)| run.clone()).collect();
        html! {
            div.wide { table {
                thead { tr { th { "Started" } th { "Why" } th { "Result" } th.n { "Tenants" } th.more { "Goal" } } }
                tbody { @for (row, (run, reason)) in rows(&runs).iter().zip(self.runs) {
                    tr {
                        td { a href=(address("/runs", &run.run.to_string())) { (label::moment(run.started_at_ms)) } }
                        td { (reason.as_deref().map_or_else(|| "asked for".to_owned(), clean)) }
                        td { (row.verdict_text().unwrap_or_else(|| row.status.to_owned())) }
                        td.n { (run.selected) }
                        td.more { (row.goal()) }
                    }
                } }
            } }
        }
    }

    fn table<'v>(&self, views: impl Iterator<Item = &'v View>) -> Markup {
        html! {
            div.wide { table {
                thead { tr { th { "View" } th { "Group" } th.n { "Tenants" } th.n { "Never" } th { "Oldest" } th.more { "On" } th.more { "Next" } } }
                tbody { @for view in views {
                    @let Spread { asked, times } = spread(view, self.tenants);
                    tr {
                        td.name { (clean(&view.name)) }
                        td { (view.group) }
                        td.n { (asked) }
                        td.n { (asked - times.len()) }
                        td { @if let Some((seconds, _)) = times.first() { (refreshes::moment(*seconds)) } @else { "-" } }
                        td.more { @if let Some((_, tenant)) = times.first() { (clean(tenant.as_str())) } }
                        td.more { (self.next(view).unwrap_or_else(|| "-".to_owned())) }
                    }
                } }
            } }
        }
    }
}
