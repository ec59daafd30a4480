//! The last refresh of views: one row per view, with the tenant that is furthest behind.
//!
//! Text only; JSON and CSV have every tenant.

use serde_json::{Value, json};

use super::sheet::{Cell, Column, Sheet};
use super::style::{Tone, clean};
use super::{Format, Style, label};
use crate::compile::View;
use crate::model::engine::Variant;
use crate::model::fault::Fault;
use crate::model::tenant::TenantId;

/// The answer of one tenant.
#[derive(Debug, Clone)]
pub(crate) struct TenantRefreshes {
    pub(crate) tenant: TenantId,
    pub(crate) variant: Variant,
    /// View and time, in seconds since 1970-01-01 UTC; or the fault that kept it from being read.
    pub(crate) refreshes: Result<Vec<(String, i64)>, Fault>,
}

impl TenantRefreshes {
    fn at(&self, view: &View) -> Option<i64> {
        self.refreshes.as_ref().ok()?.iter().find(|(name, _)| *name == view.name).map(|(_, at)| *at)
    }
}

/// The status of these views on these tenants.
pub(crate) fn render(views: &[View], tenants: &[TenantRefreshes], format: Format, style: &Style) -> String {
    format.write(|| text(views, tenants, style), || fields(views, tenants), || every_tenant(views, tenants))
}

/// The same as a document.
pub(super) fn fields(views: &[View], tenants: &[TenantRefreshes]) -> Value {
    let fields = |t: &TenantRefreshes| {
        let at =
            |view: &View| json!({ "view": view.name, "group": view.group, "refreshed_at": t.at(view).map(moment) });
        let of_engine = views.iter().filter(|view| view.refresh(t.variant).is_some());
        json!({ "tenant": t.tenant, "engine": t.variant.engine(), "views": of_engine.map(at).collect::<Vec<_>>(), "error": t.refreshes.as_ref().err() })
    };
    json!({ "tenants": tenants.iter().map(fields).collect::<Vec<_>>() })
}

pub(super) fn moment(seconds: i64) -> String {
    label::moment(seconds.saturating_mul(1000))
}

fn every_tenant(views: &[View], tenants: &[TenantRefreshes]) -> Sheet {
    let on_engine = |(t, view): &(&TenantRefreshes, &View)| t.refreshes.is_err() || view.refresh(t.variant).is_some();
    let pairs = tenants.iter().flat_map(|t| views.iter().map(move |view| (t, view)));
    Sheet::of(pairs.filter(on_engine))
        .column("Tenant", |(t, _)| &t.tenant)
        .column("Engine", |(t, _)| t.variant.engine())
        .column("View", |(_, view)| &view.name)
        .column("Group", |(_, view)| &view.group)
        .column("Refreshed at", |(t, view)| Cell::maybe(t.at(view).map(moment)))
        .column("Error", |(t, _)| Cell::maybe(t.refreshes.as_ref().err()))
        .sheet()
}

/// The refreshes of one view.
pub(super) struct Spread<'a> {
    /// The tenants that have the view and were read.
    pub(super) asked: usize,
    /// The times of their refreshes in seconds since 1970-01-01 UTC, the oldest first.
    pub(super) times: Vec<(i64, &'a TenantId)>,
}

pub(super) fn spread<'a>(view: &View, tenants: &'a [TenantRefreshes]) -> Spread<'a> {
    let asked = tenants.iter().filter(|t| t.refreshes.is_ok() && view.refresh(t.variant).is_some());
    let mut times: Vec<(i64, &TenantId)> = asked.clone().filter_map(|t| Some((t.at(view)?, &t.tenant))).collect();
    times.sort_unstable();
    Spread { asked: asked.count(), times }
}

fn text(views: &[View], tenants: &[TenantRefreshes], style: &Style) -> String {
    let row = |view| {
        let Spread { asked, times } = spread(view, tenants);
        (view, asked, times)
    };
    let at = |time: Option<&(i64, &TenantId)>| Cell::maybe(time.map(|(seconds, _)| moment(*seconds)));
    let sheet = Sheet::of(views.iter().map(row))
        .column(Column::new("View").at_least(16), |(view, ..)| &view.name)
        .column("Group", |(view, ..)| &view.group)
        .column(Column::new("Tenants").right(), |(_, asked, _)| *asked)
        .column(Column::new("Never").right(), |(_, asked, times)| {
            let never = asked - times.len();
            Cell::from(never).tone(if never > 0 { Tone::Warning } else { Tone::Plain })
        })
        .column("Oldest", |(.., times)| at(times.first()))
        .column(Column::new("On").expendable(1), |(.., times)| Cell::maybe(times.first().map(|(_, tenant)| *tenant)))
        .column(Column::new("Newest").expendable(2), |(.., times)| at(times.last()))
        .sheet();
    let mut out = sheet.table(style);
    for t in tenants {
        if let Err(fault) = &t.refreshes {
            let line = format!("{}: {}", clean(t.tenant.as_str()), clean(&fault.to_string()));
            out.push_str(&format!("{}\n", style.paint(Tone::Bad, line)));
        }
    }
    out
}
