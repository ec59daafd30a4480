//! The metrics of the fleet and of its runs: for `/metrics`, and for the file of `--metrics-file`.

use std::collections::BTreeMap;
use std::path::Path;

use super::exit::CliError;
use super::files;
use super::setup::Program;
use crate::ledger::Ledger;
use crate::model::clock::now_ms;
use crate::model::event::Event;
use crate::model::outcome::TenantRecord;
use crate::model::run_summary::{RunFilter, RunStatus, RunSummary};
use crate::model::stats::Verdict;
use crate::report::metrics::{FleetReading, MetricsView};

/// The runs among which those are looked for that go on, and one that came to its target.
const NEWEST: usize = 50;
/// The time whose refreshes are told, in milliseconds, and the most of them. They are many, and must not hide other runs.
const REFRESHES: (i64, usize) = (3_600_000, 1_000);

/// The metrics as Prometheus reads them: of the newest runs, and of this reading of the tenants.
pub(super) async fn text(program: &Program, reading: Option<FleetReading<'_>>) -> Result<String, CliError> {
    let read = async |ledger: &Ledger| {
        let others = RunFilter { refreshes: Some(false), ..RunFilter::default() };
        let newest = ledger.runs_of(&others, NEWEST).await.map_err(CliError::Ledger)?;
        let since_ms = Some(now_ms() - REFRESHES.0);
        let lately = RunFilter { refreshes: Some(true), since_ms, ..RunFilter::default() };
        let refreshes = ledger.runs_of(&lately, REFRESHES.1).await.map_err(CliError::Ledger)?;
        let records = match newest.first() {
            Some(run) => ledger.records(run.run).await.map_err(CliError::Ledger)?,
            None => Vec::new(),
        };
        let mut loads = BTreeMap::new();
        let mut last = newest.first().into_iter().chain(refreshes.first());
        if let Some(run) = last.find(|run| run.status() == RunStatus::Running) {
            let mut events = ledger.events(run.run).await.map_err(CliError::Ledger)?;
            events.sort_by_key(|(at_ms, _)| *at_ms);
            loads.extend(events.into_iter().filter_map(|(_, event)| match event {
                Event::ServerLoad { server, load, .. } => Some((server, load)),
                _ => None,
            }));
        }
        let records = records.into_iter().filter_map(|(_, record)| record).collect::<Vec<TenantRecord>>();
        Ok((newest, refreshes, records, loads))
    };
    let (newest, refreshes, records, loads) = program.read_ledger_if_any(read).await?.unwrap_or_default();
    let is_good =
        |run: &&RunSummary| run.status() == RunStatus::Finished && run.counts.verdict() == Verdict::AllAtTarget;
    let view = MetricsView {
        reading,
        last: newest.first().map(|run| (run, &*records)),
        last_good_ms: newest.iter().find(is_good).and_then(|run| run.finished_at_ms),
        running: newest.iter().chain(&refreshes).filter(|run| run.status() == RunStatus::Running).count(),
        refresh_failures: refreshes.iter().map(|run| run.counts.failures()).sum(),
        loads: &loads,
    };
    Ok(view.render())
}

/// Writes the metrics into the file of `--metrics-file`, if there is one. Dying in it: the old file is there, or the new one.
pub(super) async fn write(
    program: &Program,
    file: Option<&Path>,
    reading: Option<FleetReading<'_>>,
) -> Result<(), CliError> {
    let Some(file) = file else { return Ok(()) };
    files::write(file, &text(program, reading).await?)
}
