//! The pages and documents of `fleet serve`.
//!
//! Pure, as all of the report: a reading of the fleet or of the ledger in, HTML or JSON out. Every page is whole without its
//! script, which only has it follow what happens.

mod catalog;
mod fleet;
mod frame;
mod run;
mod runs;
mod strip;
mod tenant;
mod views;
mod wanted;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::json;
use super::tenants::TenantRow;
use crate::model::observation::Observation;
use crate::model::schema::Catalog;

pub(crate) use catalog::{CatalogView, MigrationView};
pub(crate) use fleet::FleetView;
pub(crate) use frame::problem;
pub(crate) use run::RunPage;
pub(crate) use runs::RunsView;
pub(crate) use tenant::{TenantBackup, TenantView};
pub(crate) use views::{Heard, ViewsView};
pub(crate) use wanted::{WANTED, WANTED_RUNS, Wanted, WantedRuns, values};

/// The style of all pages: that of a run's page in a file, and more.
pub(crate) const STYLE: &str = concat!(include_str!("../outcome/html/style.css"), include_str!("style.css"));
/// The script of all pages.
pub(crate) const SCRIPT: &str = include_str!("fleet.js");
/// The icon of all pages.
pub(crate) const ICON: &str = include_str!("favicon.svg");

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The document that the command of the same name prints with `--format json`, with its time.
    Json,
    /// A page for a browser.
    Page,
}

/// A document of these fields.
pub(crate) fn document(fields: Value) -> String {
    json::document(fields)
}

/// The tenants of the file that are wanted.
pub(crate) fn tenants_document(mut rows: Vec<TenantRow>, wanted: &Wanted) -> String {
    rows.retain(|row| wanted.takes_row(row));
    let page = wanted.page(&rows, 1_000);
    document(json!({ "tenants": page, "matched": rows.len(), "offset": wanted.offset }))
}

/// A reading of the whole fleet.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) catalog: Arc<Catalog>,
    /// The tenants in plan order.
    pub(crate) rows: Vec<TenantRow>,
    /// Their states, in the same order.
    pub(crate) observations: Vec<Observation>,
    /// The end of the reading, in milliseconds since 1970-01-01 UTC.
    pub(crate) read_at_ms: i64,
    pub(crate) took: Duration,
}
