//! Following a run that goes on: the events that were recorded since it was looked at last.
//!
//! It only reads.

use std::collections::{HashMap, HashSet};

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use super::entity::{attempt, event, outcome, progress};
use super::error::LedgerError;
use super::open::Ledger;
use super::reader::READ;
use crate::model::event::{Event, RunHeader};
use crate::model::outcome::TenantRecord;

/// The part of a run that a reader has seen. By default nothing.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    /// The places of tenants whose outcome was seen.
    outcomes: HashSet<i64>,
    /// The time of the latest of them.
    latest_ms: i64,
    /// The numbers of the next attempt and of the next event.
    next: (i64, i64),
    /// The time of the latest sign of each tenant in flight, by place.
    signs: HashMap<i64, i64>,
}

impl Followed {
    /// Looks at all outcomes once more: the clock of the run may have been set back.
    pub(crate) fn look_again(&mut self) {
        self.latest_ms = i64::MIN;
    }
}

impl Ledger {
    /// The events of a run since the last call, by their times, in milliseconds since 1970-01-01 UTC. Attempts that are under
    /// way are known once they are older than a heartbeat.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be read.
    pub(crate) async fn news(&self, header: &RunHeader, seen: &mut Followed) -> Result<Vec<(i64, Event)>, LedgerError> {
        let (store, run) = (&self.store, header.run.to_string());
        let tenant = |place: i64| Some(&header.tenants.get(usize::try_from(place).ok()?)?.tenant);
        let mut news: Vec<(i64, Event)> = Vec::new();

        let rows = attempt::Entity::find().filter(attempt::Column::Run.eq(&run));
        let rows = rows.filter(attempt::Column::Seq.gte(seen.next.0)).order_by_asc(attempt::Column::Seq);
        for row in rows.all(&store.db).await.map_err(store.explain(READ))? {
            seen.next.0 = row.seq + 1;
            let what = || format!("attempt {} at place {} of run {run}", row.attempt, row.place);
            let (Some(fault), Some(ms), Some(tenant)) = (&row.fault, row.retry_in_ms, tenant(row.place)) else {
                continue;
            };
            let event = Event::AttemptFailed {
                index: store.number(row.place, what)?,
                tenant: tenant.clone(),
                attempt: store.number(row.attempt, what)?,
                error: store.parse(fault, what)?,
                retry_in_ms: store.number(ms, what)?,
            };
            news.push((row.ended_at_ms, event));
        }

        let rows = outcome::Entity::find().filter(outcome::Column::Run.eq(&run));
        let rows = rows.filter(outcome::Column::AtMs.gte(seen.latest_ms)).order_by_asc(outcome::Column::Place);
        for row in rows.all(&store.db).await.map_err(store.explain(READ))? {
            seen.latest_ms = seen.latest_ms.max(row.at_ms);
            if seen.outcomes.insert(row.place) {
                let record: TenantRecord =
                    store.parse(&row.record, || format!("the outcome at place {} of run {run}", row.place))?;
                news.push((row.at_ms, Event::TenantFinished(record)));
            }
        }

        if store.version >= 2 {
            let rows = event::Entity::find().filter(event::Column::Run.eq(&run));
            let rows = rows.filter(event::Column::Seq.gte(seen.next.1)).order_by_asc(event::Column::Seq);
            for row in rows.all(&store.db).await.map_err(store.explain(READ))? {
                seen.next.1 = row.seq + 1;
                news.push((row.at_ms, store.parse(&row.event, || format!("an event of run {run}"))?));
            }
            let rows = progress::Entity::find().filter(progress::Column::Run.eq(&run));
            for row in rows.all(&store.db).await.map_err(store.explain(READ))? {
                let is_old = seen.signs.insert(row.place, row.at_ms).is_some_and(|at_ms| at_ms >= row.at_ms);
                if !is_old && !seen.outcomes.contains(&row.place) {
                    news.push((row.at_ms, store.parse(&row.event, || format!("the progress of run {run}"))?));
                }
            }
        }
        news.sort_by_key(|(at_ms, _)| *at_ms);
        Ok(news)
    }
}
