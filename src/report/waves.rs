//! The waves of a run: when each began and ended, and how its tenants ended.
//!
//! A wave without a start was not started, or its run was recorded before starts were.

use std::time::Duration;

use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::model::event::{Event, RunHeader};
use crate::model::outcome::{Standing, TenantRecord};

use super::label;
use super::outcome::took;
use super::sheet::{Cell, Column, Sheet};
use super::style::Tone;

/// One wave.
#[derive(Debug, Clone, Default)]
pub(super) struct WaveRow<'a> {
    pub(super) name: &'a str,
    /// Number of tenants in the plan.
    pub(super) tenants: usize,
    pub(super) at_target: usize,
    pub(super) failures: usize,
    /// In milliseconds since 1970-01-01 UTC.
    pub(super) started_at_ms: Option<i64>,
    /// In milliseconds since 1970-01-01 UTC; of a wave that was not started `None`.
    pub(super) finished_at_ms: Option<i64>,
    /// Its failure budget.
    pub(super) max_failures: Option<&'a str>,
}

impl WaveRow<'_> {
    pub(super) fn outstanding(&self) -> usize {
        self.tenants.saturating_sub(self.at_target + self.failures)
    }

    /// Its start; of a run of a program before version 2 it is not recorded.
    fn started(&self) -> String {
        let unknown = if self.at_target + self.failures > 0 { "not recorded" } else { "not started" };
        self.started_at_ms.map_or_else(|| unknown.to_owned(), label::moment)
    }

    fn elapsed(&self) -> Option<Duration> {
        let ms = self.finished_at_ms?.checked_sub(self.started_at_ms?)?;
        u64::try_from(ms).ok().map(Duration::from_millis)
    }

    pub(super) fn fields(&self) -> Value {
        json!({
            "wave": self.name, "tenants": self.tenants, "at_target": self.at_target, "failures": self.failures,
            "outstanding": self.outstanding(), "max_failures": self.max_failures,
            "started_at_ms": self.started_at_ms, "finished_at_ms": self.finished_at_ms,
        })
    }
}

/// The waves of a run, in plan order.
pub(super) fn rows<'a>(
    header: &'a RunHeader,
    records: &[TenantRecord],
    events: &'a [(i64, Event)],
) -> Vec<WaveRow<'a>> {
    let mut rows: IndexMap<&str, WaveRow<'a>> = IndexMap::new();
    for planned in &header.tenants {
        let new = WaveRow { name: &planned.wave, ..WaveRow::default() };
        rows.entry(&planned.wave).or_insert(new).tenants += 1;
    }
    for record in records {
        let Some(row) = rows.get_mut(&*record.wave) else { continue };
        match record.outcome.standing() {
            Standing::AtTarget => row.at_target += 1,
            Standing::Failed => row.failures += 1,
            Standing::Outstanding => {}
        }
    }
    for (at_ms, event) in events {
        match event {
            Event::WaveStarted { wave, max_failures, .. } => {
                if let Some(row) = rows.get_mut(&**wave) {
                    (row.started_at_ms, row.max_failures) = (Some(*at_ms), max_failures.as_deref());
                }
            }
            // Each tenant of a wave that was skipped has its outcome, and so the wave has its end.
            Event::WaveFinished { wave, .. } => {
                if let Some(row) = rows.get_mut(&**wave).filter(|row| row.started_at_ms.is_some()) {
                    row.finished_at_ms = Some(*at_ms);
                }
            }
            _ => {}
        }
    }
    rows.into_values().collect()
}

/// The waves as a table.
pub(super) fn sheet(rows: &[WaveRow<'_>]) -> Sheet {
    let failures =
        |row: &&WaveRow<'_>| Cell::from(row.failures).tone(if row.failures > 0 { Tone::Bad } else { Tone::Plain });
    Sheet::of(rows)
        .column(Column::new("Wave").at_least(12), |row| row.name)
        .column("Started", |row| row.started())
        .column(Column::new("Took").right(), |row| Cell::maybe(row.elapsed().map(took)))
        .column(Column::new("Tenants").right(), |row| row.tenants)
        .column(Column::new("OK").right(), |row| row.at_target)
        .column(Column::new("Failed").right(), failures)
        .column(Column::new("Left").right(), |row| row.outstanding())
        .column(Column::new("May fail").expendable(1), |row| Cell::maybe(row.max_failures))
        .sheet()
}
