//! The pace of a run: what it can be expected to take.

use std::time::Duration;

use crate::ledger::Ledger;
use crate::model::event::RunHeader;
use crate::model::run_summary::{RunFilter, RunSummary};

/// The times by which the end of a run is estimated before it has a pace of its own.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    /// The time for a tenant in the last run of this kind.
    pub(super) usual: Option<Duration>,
    /// The least time between two starts, where the run has a rate.
    pub(super) interval: Option<Duration>,
}

/// The time for a tenant in the last run of this kind, if the ledger has one of late.
pub(super) async fn usual_pace(ledger: &Ledger, header: &RunHeader) -> Option<Duration> {
    const LATE: usize = 20;
    let kind = std::mem::discriminant(&header.kind);
    let is_alike = |run: &RunSummary| {
        run.run != header.run && run.direction == header.direction && std::mem::discriminant(&run.kind) == kind
    };
    // No measure is no reason not to run.
    let runs = ledger.runs_of(&RunFilter::default(), LATE).await.unwrap_or_default();
    runs.iter().filter(|run| is_alike(run)).find_map(RunSummary::pace)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::ledger::Location;
    use crate::model::event::{Event, PlannedTenant};
    use crate::model::outcome::OutcomeKind;
    use crate::model::plan::{Goal, Target};
    use crate::model::run_kind::RunKind;
    use crate::model::schema::Direction;
    use crate::model::stats::RunStats;
    use crate::model::tenant::{Engine, TenantId};

    fn header(direction: Direction, kind: Option<RunKind>) -> RunHeader {
        let goal = Goal { direction, target: Target::End, out_of_order: false };
        let tenant = PlannedTenant {
            tenant: TenantId::from("a"),
            engine: Engine::Sqlite,
            server: "local".to_owned(),
            wave: "rest".to_owned(),
            target: None,
            database: None,
        };
        RunHeader {
            run: Uuid::now_v7(),
            direction,
            goal: String::new(),
            kind: kind.unwrap_or(RunKind::migrate(goal)),
            resumes: None,
            catalog: Vec::new(),
            texts: Vec::new(),
            tenants: vec![tenant],
            started_at_ms: 1_000_000,
            program: String::new(),
            started_by: Default::default(),
            selection: Vec::new(),
        }
    }

    /// Records a run of so many seconds that changed so many tenants; `None`: its process died.
    async fn ran(ledger: &Ledger, header: &RunHeader, end: Option<(i64, usize)>) {
        let mut recorder = ledger.recorder();
        recorder.begin(header).await.unwrap();
        if let Some((seconds, changed)) = end {
            let mut stats = RunStats { selected: 90, ..RunStats::default() };
            stats.outcomes[OutcomeKind::Migrated] = changed;
            stats.outcomes[OutcomeKind::UpToDate] = 90 - changed;
            recorder.record(Event::RunFinished { stats }, header.started_at_ms + seconds * 1_000).await.unwrap();
        }
        recorder.finish().await.unwrap();
    }

    #[tokio::test]
    async fn the_last_run_of_the_kind_that_changed_somebody_is_the_measure() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&Location::File(folder.path().join("ledger.db"))).await.unwrap();
        let next = header(Direction::Up, None);
        assert_eq!(usual_pace(&ledger, &next).await, None, "there is none yet");

        ran(&ledger, &header(Direction::Up, None), Some((500, 50))).await;
        ran(&ledger, &header(Direction::Up, None), Some((90, 30))).await;
        assert_eq!(usual_pace(&ledger, &next).await, Some(Duration::from_secs(3)), "90 seconds for 30 of 90 tenants");

        // Neither another direction, nor another kind, nor one that changed nobody, nor one that died, nor itself.
        ran(&ledger, &header(Direction::Down, None), Some((900, 10))).await;
        ran(&ledger, &header(Direction::Up, Some(RunKind::Refresh { views: Vec::new() })), Some((800, 10))).await;
        ran(&ledger, &header(Direction::Up, None), Some((7, 0))).await;
        // Nobody is at work on its tenants as long as it has none.
        ran(&ledger, &RunHeader { tenants: Vec::new(), ..header(Direction::Up, None) }, None).await;
        ran(&ledger, &next, Some((600, 60))).await;
        assert_eq!(usual_pace(&ledger, &next).await, Some(Duration::from_secs(3)));
        let down = header(Direction::Down, None);
        assert_eq!(usual_pace(&ledger, &down).await, Some(Duration::from_secs(90)));
        ledger.close().await;
    }
}
