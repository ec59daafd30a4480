//! When views were refreshed last: one row a view, with the tenant that is furthest behind.
//!
//! Text only; JSON and CSV have every tenant.

use serde_json::json;

use super::sheet::{Cell, Column, Sheet};
use super::style::{Tone, clean};
use super::{Format, Style, label};
use crate::compile::View;
use crate::model::fault::Fault;
use crate::model::tenant::{Engine, TenantId};

/// What one tenant said.
#[derive(Debug, Clone)]
pub(crate) struct TenantRefreshes {
    /// The tenant.
    pub(crate) tenant: TenantId,
    /// Its engine.
    pub(crate) engine: Engine,
    /// View and time, in seconds since 1970-01-01 UTC; or why it could not be asked.
    pub(crate) refreshes: Result<Vec<(String, i64)>, Fault>,
}

impl TenantRefreshes {
    fn at(&self, view: &View) -> Option<i64> {
        self.refreshes.as_ref().ok()?.iter().find(|(name, _)| *name == view.name).map(|(_, at)| *at)
    }
}

/// The status of these views on these tenants.
pub(crate) fn render(views: &[View], tenants: &[TenantRefreshes], format: Format, style: &Style) -> String {
    let fields = |t: &TenantRefreshes| {
        let at =
            |view: &View| json!({ "view": view.name, "group": view.group, "refreshed_at": t.at(view).map(moment) });
        let of_engine = views.iter().filter(|view| view.refresh(t.engine).is_some());
        json!({ "tenant": t.tenant, "engine": t.engine, "views": of_engine.map(at).collect::<Vec<_>>(), "error": t.refreshes.as_ref().err() })
    };
    let fields = || json!({ "tenants": tenants.iter().map(fields).collect::<Vec<_>>() });
    format.write(|| text(views, tenants, style), fields, || every_tenant(views, tenants))
}

fn moment(seconds: i64) -> String {
    label::moment(seconds.saturating_mul(1000))
}

fn every_tenant(views: &[View], tenants: &[TenantRefreshes]) -> Sheet {
    let row = |(t, view): (&TenantRefreshes, &View)| -> [Cell; 6] {
        [
            (&t.tenant).into(),
            t.engine.into(),
            (&view.name).into(),
            (&view.group).into(),
            t.at(view).map(moment).unwrap_or_default().into(),
            t.refreshes.as_ref().err().map(ToString::to_string).unwrap_or_default().into(),
        ]
    };
    let on_engine = |(t, view): &(&TenantRefreshes, &View)| t.refreshes.is_err() || view.refresh(t.engine).is_some();
    let pairs = tenants.iter().flat_map(|t| views.iter().map(move |view| (t, view)));
    Sheet::new(["Tenant", "Engine", "View", "Group", "Refreshed at", "Error"].map(Column::new))
        .rows(pairs.filter(on_engine).map(row))
}

fn text(views: &[View], tenants: &[TenantRefreshes], style: &Style) -> String {
    let row = |view: &View| -> [Cell; 7] {
        let asked: Vec<&TenantRefreshes> =
            tenants.iter().filter(|t| t.refreshes.is_ok() && view.refresh(t.engine).is_some()).collect();
        let mut times: Vec<(i64, &TenantId)> = asked.iter().filter_map(|t| Some((t.at(view)?, &t.tenant))).collect();
        times.sort_unstable();
        let never = asked.len() - times.len();
        let at = |time: Option<&(i64, &TenantId)>| Cell::from(time.map(|(s, _)| moment(*s)).unwrap_or_default());
        [
            (&view.name).into(),
            (&view.group).into(),
            asked.len().into(),
            Cell::from(never).tone(if never > 0 { Tone::Warning } else { Tone::Plain }),
            at(times.first()),
            times.first().map(|(_, tenant)| tenant.as_str()).unwrap_or_default().into(),
            at(times.last()),
        ]
    };
    let sheet = Sheet::new([
        Column::new("View").at_least(16),
        Column::new("Group"),
        Column::new("Tenants").right(),
        Column::new("Never").right(),
        Column::new("Oldest"),
        Column::new("On").expendable(1),
        Column::new("Newest").expendable(2),
    ]);
    let mut out = sheet.rows(views.iter().map(row)).table(style);
    for t in tenants {
        if let Err(fault) = &t.refreshes {
            let line = format!("{}: {}", clean(t.tenant.as_str()), clean(&fault.to_string()));
            out.push_str(&format!("{}\n", style.paint(Tone::Bad, &line)));
        }
    }
    out
}
