//! When views were refreshed last: one row a view, with the tenant that is furthest behind.
//!
//! Text only; JSON and CSV have every tenant.

use serde_json::json;

use super::style::{Format, Style, Tone, clean};
use super::table::{Cell, Column, Table};
use super::{csv_text, json as documents, label, markdown};
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
    const HEADER: [&str; 6] = ["tenant", "engine", "view", "group", "refreshed_at", "error"];
    let moment = |at: Option<i64>| at.map(|s| label::moment(s.saturating_mul(1000))).unwrap_or_default();
    let flat = || -> Vec<Vec<String>> {
        let row = |t: &TenantRefreshes, view: &View| {
            vec![
                t.tenant.to_string(),
                t.engine.to_string(),
                view.name.clone(),
                view.group.to_string(),
                moment(t.at(view)),
                t.refreshes.as_ref().err().map(ToString::to_string).unwrap_or_default(),
            ]
        };
        let on_engine = |t: &TenantRefreshes, view: &View| t.refreshes.is_err() || view.refresh(t.engine).is_some();
        let pairs = tenants.iter().flat_map(|t| views.iter().map(move |view| (t, view)));
        pairs.filter(|(t, view)| on_engine(t, view)).map(|(t, view)| row(t, view)).collect()
    };
    match format {
        Format::Table => text(views, tenants, style),
        Format::Json => {
            let one = |t: &TenantRefreshes| {
                let at = |view: &View| json!({ "view": view.name, "group": view.group, "refreshed_at": t.at(view).map(|s| label::moment(s.saturating_mul(1000))) });
                let of_engine = views.iter().filter(|view| view.refresh(t.engine).is_some());
                json!({ "tenant": t.tenant, "engine": t.engine, "views": of_engine.map(at).collect::<Vec<_>>(), "error": t.refreshes.as_ref().err() })
            };
            documents::document(json!({ "tenants": tenants.iter().map(one).collect::<Vec<_>>() }))
        }
        Format::Csv => csv_text::write(&HEADER, flat().iter().map(|r| r.iter().map(String::as_str))),
        Format::Md => markdown::table(&HEADER, flat()),
    }
}

fn text(views: &[View], tenants: &[TenantRefreshes], style: &Style) -> String {
    let mut table = Table::new([
        Column::new("VIEW"),
        Column::new("GROUP"),
        Column::new("TENANTS").right(),
        Column::new("NEVER").right(),
        Column::new("OLDEST"),
        Column::new("ON").expendable(1),
        Column::new("NEWEST").expendable(2),
    ]);
    for view in views {
        let asked: Vec<&TenantRefreshes> =
            tenants.iter().filter(|t| t.refreshes.is_ok() && view.refresh(t.engine).is_some()).collect();
        let mut times: Vec<(i64, &TenantId)> = asked.iter().filter_map(|t| Some((t.at(view)?, &t.tenant))).collect();
        times.sort_unstable();
        let never = asked.len() - times.len();
        let moment =
            |at: Option<&(i64, &TenantId)>| at.map(|(s, _)| label::moment(s.saturating_mul(1000))).unwrap_or_default();
        table.row([
            view.name.as_str().into(),
            view.group.to_string().into(),
            asked.len().to_string().into(),
            Cell::new(never.to_string()).tone(if never > 0 { Tone::Warning } else { Tone::Plain }),
            moment(times.first()).into(),
            times.first().map(|(_, tenant)| clean(tenant.as_str())).unwrap_or_default().into(),
            moment(times.last()).into(),
        ]);
    }
    let mut out = table.render(style);
    for t in tenants {
        if let Err(fault) = &t.refreshes {
            out.push_str(
                &style.paint(Tone::Bad, &format!("{}: {}", clean(t.tenant.as_str()), clean(&fault.to_string()))),
            );
            out.push('\n');
        }
    }
    out
}
