//! Reading runs back: lists, one run, its tenants and attempts.
//!
//! It only reads.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, UNIX_EPOCH};

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, IdenStatic, Iterable, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Select,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::entity::{attempt, event, outcome, progress, run, run_texts, tenant};
use super::error::LedgerError;
use super::migrations::{version_of_databases, version_of_texts};
use super::open::{Ledger, Store};
use super::process;
use super::run_selector::RunSelector;
use crate::model::event::{Event, PlannedTenant, RunHeader};
use crate::model::outcome::{OutcomeKind, TenantRecord};
use crate::model::run_kind::RunKind;
use crate::model::run_summary::{AttemptRow, Commits, LeftAt, RunFilter, RunSummary};
use crate::model::schema::Direction;
use crate::model::started_by::{StartedBy, liveness};
use crate::model::stats::RunStats;
use crate::model::tenant::TenantId;

/// Number of runs that an error lists.
const CANDIDATES: u64 = 10;

/// Tenants that one query may name.
const FEW: usize = 500;

pub(super) const READ: &str = "read";

/// A row of `fleet_run`, and the values that the ledger's database computes for it.
#[derive(FromQueryResult)]
struct RunRow {
    #[sea_orm(nested)]
    run: run::Model,
    /// The age of the last heartbeat by the ledger's clock.
    age_ms: Option<i64>,
}

impl Ledger {
    /// The newest runs, newest first, at most `limit`.
    #[cfg(test)]
    pub(crate) async fn runs(&self, limit: usize) -> Result<Vec<RunSummary>, LedgerError> {
        self.runs_of(&RunFilter::default(), limit).await
    }

    /// The newest of the runs that are asked for, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be read.
    pub(crate) async fn runs_of(&self, wanted: &RunFilter, limit: usize) -> Result<Vec<RunSummary>, LedgerError> {
        let mut query = newest_first();
        if let Some(id) = &wanted.tenant {
            let with_it = tenant::Entity::find().select_only().column(tenant::Column::Run);
            let with_it = with_it.filter(tenant::Column::Tenant.eq(id.as_str())).into_query();
            query = query.filter(run::Column::Run.in_subquery(with_it));
        }
        if let Some(since) = wanted.since_ms {
            query = query.filter(run::Column::StartedAtMs.gte(since));
        }
        if let Some(refreshes) = wanted.refreshes {
            let is_refresh = Condition::all().add(run::Column::GoalData.starts_with(r#"{"kind":"refresh""#));
            query = query.filter(if refreshes { is_refresh } else { is_refresh.not() });
        }
        // A result follows from more than the row: liveness, and the counts.
        if wanted.results.is_empty() {
            return self.store.summaries(query.limit(u64::try_from(limit).unwrap_or(u64::MAX))).await;
        }
        let mut runs = self.store.summaries(query).await?;
        runs.retain(|run| wanted.results.contains(&run.result()));
        runs.truncate(limit);
        Ok(runs)
    }

    /// The run that `wanted` names: `last`, a whole id, or a unique prefix or suffix of an id of at least 4 characters.
    ///
    /// # Errors
    /// [`LedgerError::NoSuchRun`] and [`LedgerError::Ambiguous`] list candidates; [`LedgerError::NotAnId`].
    pub(crate) async fn run(&self, wanted: &str) -> Result<RunSummary, LedgerError> {
        let query = match RunSelector::read(wanted) {
            None => return Err(LedgerError::NotAnId { wanted: wanted.to_owned() }),
            Some(RunSelector::Last) => newest_first().limit(1),
            Some(RunSelector::Exactly(run)) => newest_first().filter(run::Column::Run.eq(run.to_string())),
            Some(RunSelector::Part(part)) => {
                let either = Condition::any()
                    .add(run::Column::Run.starts_with(part.clone()))
                    .add(run::Column::Run.ends_with(part));
                newest_first().filter(either).limit(CANDIDATES)
            }
        };
        let mut found = self.store.summaries(query).await?;
        match (found.len(), found.pop()) {
            (1, Some(one)) => Ok(one),
            (_, Some(oldest)) => {
                found.push(oldest);
                let candidates = found.iter().map(describe).collect();
                Err(LedgerError::Ambiguous { wanted: wanted.to_owned(), candidates })
            }
            (_, None) => {
                let newest = self.store.summaries(newest_first().limit(5)).await?.iter().map(describe).collect();
                Err(LedgerError::NoSuchRun { wanted: wanted.to_owned(), site: self.store.site.name(), newest })
            }
        }
    }

    /// The description of a run as of its start, its tenants in plan order.
    ///
    /// # Errors
    /// [`LedgerError::NoSuchRun`], or that the ledger can't be read.
    pub(crate) async fn header(&self, run: Uuid) -> Result<RunHeader, LedgerError> {
        let summary = self.run(&run.to_string()).await?;
        let catalog = self.catalog(run).await?;
        let tenants = self.store.tenants(run).await?.into_iter().map(|(_, planned)| planned).collect();
        Ok(RunHeader {
            run,
            direction: summary.direction,
            goal: summary.goal,
            kind: summary.kind,
            resumes: summary.resumes,
            catalog,
            texts: self.texts(run).await?,
            tenants,
            started_at_ms: summary.started_at_ms,
            program: summary.program,
            started_by: summary.started_by,
            selection: summary.selection,
        })
    }

    /// The migrations that a run knew, in order.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be read, or does not have the run.
    pub(crate) async fn catalog(&self, run: Uuid) -> Result<Vec<String>, LedgerError> {
        let store = &self.store;
        let row = run::Entity::find_by_id(run.to_string()).select_only().column(run::Column::Catalog);
        let catalog: Option<String> = row.into_tuple().one(&store.db).await.map_err(store.explain(READ))?;
        store.parse(&catalog.unwrap_or_default(), || format!("the catalog of run {run}"))
    }

    /// See [`RunHeader::texts`]; empty also where an older program wrote the run.
    async fn texts(&self, run: Uuid) -> Result<Vec<String>, LedgerError> {
        let store = &self.store;
        if store.version < version_of_texts() {
            return Ok(Vec::new());
        }
        let row = run_texts::Entity::find_by_id(run.to_string()).one(&store.db).await.map_err(store.explain(READ))?;
        let parse = |row: run_texts::Model| store.parse(&row.texts, || format!("the texts of run {run}"));
        row.map_or(Ok(Vec::new()), parse)
    }

    /// Every selected tenant of a run in plan order, with its record. `None`: no outcome was recorded, because the run
    /// goes on, its process died or its ledger was lost; only the tenant's own history shows whether it was migrated.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be read. An unknown run has no tenants.
    pub(crate) async fn records(&self, run: Uuid) -> Result<Vec<(PlannedTenant, Option<TenantRecord>)>, LedgerError> {
        let store = &self.store;
        let tenants = store.tenants(run).await?;
        let rows = outcome::Entity::find().filter(outcome::Column::Run.eq(run.to_string()));
        let rows = rows.all(&store.db).await.map_err(store.explain(READ))?;
        let mut records: HashMap<i64, String> = rows.into_iter().map(|row| (row.place, row.record)).collect();
        let with_record = |(place, planned): (i64, PlannedTenant)| {
            let what = || format!("the outcome of tenant '{}' in run {run}", planned.tenant);
            let record = store.parse_some(&records.remove(&place), what)?;
            Ok((planned, record))
        };
        tenants.into_iter().map(with_record).collect()
    }

    /// The migrations that runs up applied to a tenant, or recorded on it, newest run first.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be read. An unknown tenant has none.
    pub(crate) async fn commits_of(&self, id: &TenantId) -> Result<Vec<Commits>, LedgerError> {
        let outcomes = self.outcomes_of(id, None).await?.into_iter();
        let commits = outcomes.filter(|(run, _)| run.direction == Direction::Up).filter_map(|(run, record)| {
            Some(Commits { run: run.run, by: run.started_by, migrations: record?.committed })
        });
        Ok(commits.collect())
    }

    /// The newest runs that took a tenant, newest first, each with the outcome that it has there; at most `most`.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be read. An unknown tenant has none.
    pub(crate) async fn outcomes_of(
        &self,
        id: &TenantId,
        most: impl Into<Option<u64>>,
    ) -> Result<Vec<(RunSummary, Option<TenantRecord>)>, LedgerError> {
        let store = &self.store;
        let places = store.tenant_rows().filter(tenant::Column::Tenant.eq(id.as_str())).all(&store.db);
        let places: HashMap<String, i64> =
            places.await.map_err(store.explain(READ))?.into_iter().map(|row| (row.run, row.place)).collect();
        let of_it = newest_first().filter(run::Column::Run.is_in(places.keys().cloned()));
        let of_it = of_it.limit(most);
        let mut outcomes = Vec::new();
        for summary in store.summaries(of_it).await? {
            let key = (summary.run.to_string(), places[&summary.run.to_string()]);
            let row = outcome::Entity::find_by_id(key).one(&store.db).await.map_err(store.explain(READ))?;
            let what = || format!("the outcome of tenant '{id}' in run {}", summary.run);
            let record = store.parse_some(&row.map(|row| row.record), what)?;
            outcomes.push((summary, record));
        }
        Ok(outcomes)
    }

    /// The versions at which the last runs that knew it left these tenants. A tenant that a run emptied has none: rolled
    /// back, stamped or restored so. One on which nothing was found, and nothing done, is as the run before left it. Of one
    /// that has no outcome in a rollback, because that was killed, it is not known whether it was emptied.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be read.
    pub(crate) async fn left_at(&self, ids: BTreeSet<TenantId>) -> Result<HashMap<TenantId, LeftAt>, LedgerError> {
        self.left_before(None, ids).await
    }

    /// As [`Ledger::left_at`], by the runs that were recorded before this one.
    pub(super) async fn left_before(
        &self,
        before: Option<Uuid>,
        mut ids: BTreeSet<TenantId>,
    ) -> Result<HashMap<TenantId, LeftAt>, LedgerError> {
        let store = &self.store;
        let columns = newest_first().select_only().columns([run::Column::Run, run::Column::Direction]);
        let runs: Vec<(String, String)> = columns.into_tuple().all(&store.db).await.map_err(store.explain(READ))?;
        let before = before.map(|run| run.to_string());
        let first =
            before.map_or(0, |before| runs.iter().position(|(run, _)| *run == before).map_or(runs.len(), |at| at + 1));
        let (mut found, mut with_them) = (HashMap::new(), None);
        for (run, direction) in runs.into_iter().skip(first) {
            if ids.is_empty() {
                break;
            }
            // A new tenant is in no run: they need not be read for it.
            if with_them.is_none() && ids.len() <= FEW {
                with_them = Some(self.runs_with(&ids).await?);
            }
            if with_them.as_ref().is_some_and(|runs| !runs.contains(&run)) {
                continue;
            }
            let may_empty = direction == Direction::Down.to_string();
            let run = store.id(&run, || format!("run {run}"))?;
            let records = self.records(run).await?;
            let begun = match may_empty && records.iter().any(|(_, record)| record.is_none()) {
                true => self.begun_waves(run).await?,
                false => None,
            };
            for (planned, record) in records {
                if may_empty && record.is_none() && begun.as_ref().is_none_or(|begun| begun.contains(&planned.wave)) {
                    ids.remove(&planned.tenant);
                }
                let Some(record) = record.filter(|record| ids.contains(&planned.tenant) && record.tells_version())
                else {
                    continue;
                };
                ids.remove(&planned.tenant);
                let database = planned.database;
                found.extend(record.version.map(|version| (planned.tenant, LeftAt { run, version, database })));
            }
        }
        Ok(found)
    }

    /// The runs that took any of these tenants.
    async fn runs_with(&self, ids: &BTreeSet<TenantId>) -> Result<HashSet<String>, LedgerError> {
        let names = ids.iter().map(|id| id.as_str().to_owned());
        let rows = tenant::Entity::find().select_only().column(tenant::Column::Run);
        let rows = rows.filter(tenant::Column::Tenant.is_in(names)).distinct().into_tuple().all(&self.store.db);
        let runs: Vec<String> = rows.await.map_err(self.store.explain(READ))?;
        Ok(runs.into_iter().collect())
    }

    /// The waves of a run and the requests to stop it, in order, then the latest progress of each tenant that reported
    /// any; each with its time in milliseconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be read. A run of a program before version 2 has none.
    pub(crate) async fn events(&self, run: Uuid) -> Result<Vec<(i64, Event)>, LedgerError> {
        let store = &self.store;
        if store.version < 2 {
            return Ok(Vec::new());
        }
        let id = run.to_string();
        let events = event::Entity::find().filter(event::Column::Run.eq(&id)).order_by_asc(event::Column::Seq);
        let progress =
            progress::Entity::find().filter(progress::Column::Run.eq(&id)).order_by_asc(progress::Column::Place);
        let events = events.all(&store.db).await.map_err(store.explain(READ))?;
        let progress = progress.all(&store.db).await.map_err(store.explain(READ))?;
        let rows = events.into_iter().map(|row| (row.at_ms, row.event));
        rows.chain(progress.into_iter().map(|row| (row.at_ms, row.event)))
            .map(|(at_ms, text)| Ok((at_ms, store.parse(&text, || format!("an event of run {run}"))?)))
            .collect()
    }

    /// The times at which the outcomes of a run were recorded, by the tenant's place in the plan, in milliseconds since
    /// 1970-01-01 UTC.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be read. An unknown run has none.
    pub(crate) async fn ended_at(&self, run: Uuid) -> Result<HashMap<usize, i64>, LedgerError> {
        let store = &self.store;
        let rows = outcome::Entity::find().select_only().column(outcome::Column::Place).column(outcome::Column::AtMs);
        let rows = rows.filter(outcome::Column::Run.eq(run.to_string())).into_tuple().all(&store.db);
        let rows: Vec<(i64, i64)> = rows.await.map_err(store.explain(READ))?;
        let what = || format!("an outcome of run {run}");
        rows.into_iter().map(|(place, at_ms)| Ok((store.number(place, what)?, at_ms))).collect()
    }

    /// The recorded attempts of a run, by tenant in plan order, then in the order in which they were made.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be read. An unknown run has no attempts.
    pub(crate) async fn attempts(&self, run: Uuid) -> Result<Vec<AttemptRow>, LedgerError> {
        let store = &self.store;
        let rows = attempt::Entity::find()
            .filter(attempt::Column::Run.eq(run.to_string()))
            .order_by_asc(attempt::Column::Place)
            .order_by_asc(attempt::Column::Seq);
        let rows = rows.all(&store.db).await.map_err(store.explain(READ))?;
        let read = |row: attempt::Model| {
            let what = || format!("attempt {} at place {} of run {run}", row.attempt, row.place);
            Ok(AttemptRow {
                index: store.number(row.place, what)?,
                attempt: store.number(row.attempt, what)?,
                started_at_ms: row.started_at_ms,
                ended_at_ms: row.ended_at_ms,
                error: store.parse_some(&row.fault, what)?,
                retry_in_ms: row.retry_in_ms.map(|ms| store.number(ms, what)).transpose()?,
            })
        };
        rows.into_iter().map(read).collect()
    }
}

impl Store {
    pub(super) async fn summaries(&self, query: Select<run::Entity>) -> Result<Vec<RunSummary>, LedgerError> {
        self.summaries_over(&self.db, query).await
    }

    pub(super) async fn summaries_over(
        &self,
        db: &impl ConnectionTrait,
        query: Select<run::Entity>,
    ) -> Result<Vec<RunSummary>, LedgerError> {
        let (query, age) = match self.version {
            // A reader leaves an older ledger as it is; its runs lack the data that was not recorded then.
            1 => (before_live_runs(query), Expr::cust("NULL")),
            _ => (query, Expr::cust(self.clock()).sub(Expr::col(run::Column::HeartbeatAtMs))),
        };
        let query = query.column_as(age, "age_ms");
        let rows = query.into_model::<RunRow>().all(db).await.map_err(self.explain(READ))?;
        let without_counts = rows.iter().filter(|row| row.run.stats.is_none()).map(|row| row.run.run.clone());
        let mut counted = self.counted(db, without_counts.collect()).await?;
        let mut summaries = Vec::new();
        for row in rows {
            let counted = counted.remove(&row.run.run).unwrap_or_default();
            summaries.push(self.summary(row, counted)?);
        }
        if summaries.iter().any(RunSummary::waits) {
            let columns = run::Entity::find().select_only().columns([run::Column::Run, run::Column::Resumes]);
            let heirs = columns.filter(run::Column::Resumes.is_not_null()).into_tuple().all(db);
            let parents: HashMap<String, String> = heirs.await.map_err(self.explain(READ))?.into_iter().collect();
            let gone_on: HashSet<&String> = parents.values().collect();
            let undone = self.undone(db).await?;
            for run in &mut summaries {
                let id = run.run.to_string();
                run.gone_on = gone_on.contains(&id);
                let root = std::iter::successors(Some(&id), |run| parents.get(*run)).last();
                run.taken_back = root.is_some_and(|root| undone.contains(root));
            }
        }
        Ok(summaries)
    }

    /// The first runs of all rollouts that a later run took back, as a whole or in part.
    async fn undone(&self, db: &impl ConnectionTrait) -> Result<HashSet<String>, LedgerError> {
        // The text only narrows the search.
        let kinds = run::Entity::find().select_only().column(run::Column::GoalData);
        let kinds = kinds.filter(run::Column::GoalData.contains("undoes")).into_tuple().all(db);
        let kinds: Vec<String> = kinds.await.map_err(self.explain(READ))?;
        let run = |text: &String| serde_json::from_str::<RunKind>(text).ok()?.undoes();
        Ok(kinds.iter().filter_map(run).map(|run| run.to_string()).collect())
    }

    /// The recorded outcomes of these runs by their names. One that only another version knows is not counted.
    async fn counted(
        &self,
        db: &impl ConnectionTrait,
        runs: Vec<String>,
    ) -> Result<HashMap<String, RunStats>, LedgerError> {
        use outcome::Column::{Outcome, Place, Run};
        let mut counted: HashMap<String, RunStats> = HashMap::new();
        if runs.is_empty() {
            return Ok(counted);
        }
        let rows = outcome::Entity::find().select_only().column(Run).column(Outcome).column_as(Place.count(), "n");
        let rows = rows.filter(Run.is_in(runs)).group_by(Run).group_by(Outcome).into_tuple().all(db);
        let rows: Vec<(String, String, i64)> = rows.await.map_err(self.explain(READ))?;
        for (run, name, n) in rows {
            let counts = counted.entry(run).or_default();
            if let Some(kind) = OutcomeKind::iter().find(|kind| <&str>::from(kind) == name) {
                counts.outcomes[kind] = usize::try_from(n).unwrap_or_default();
            }
        }
        Ok(counted)
    }

    fn summary(&self, RunRow { run: row, age_ms }: RunRow, counted: RunStats) -> Result<RunSummary, LedgerError> {
        let what = || format!("run {}", row.run);
        let started_by: StartedBy = self.parse_some(&row.started_by, what)?.unwrap_or_default();
        let silent_ms = age_ms.filter(|_| row.finished_at_ms.is_none());
        let (selected, stats) = (self.number(row.selected, what)?, self.parse_some(&row.stats, what)?);
        Ok(RunSummary {
            run: self.id(&row.run, what)?,
            direction: self.word(&row.direction, what)?,
            kind: RunKind::from_ledger(self.parse(&row.goal_data, what)?),
            resumes: row.resumes.as_deref().map(|id| self.id(id, what)).transpose()?,
            counts: stats.unwrap_or(RunStats { selected, ..counted }),
            stats,
            gone_on: false,
            taken_back: false,
            selected,
            started_at_ms: row.started_at_ms,
            finished_at_ms: row.finished_at_ms,
            liveness: liveness(silent_ms, process::is_there(&started_by.process)),
            silent_ms,
            selection: self.parse_some(&row.selection, what)?.unwrap_or_default(),
            started_by,
            goal: row.goal,
            program: row.program,
        })
    }

    /// The selected tenants with their places, in plan order.
    async fn tenants(&self, run: Uuid) -> Result<Vec<(i64, PlannedTenant)>, LedgerError> {
        let of_it = self.tenant_rows().filter(tenant::Column::Run.eq(run.to_string()));
        let rows = of_it.order_by_asc(tenant::Column::Place);
        let rows = rows.all(&self.db).await.map_err(self.explain(READ))?;
        let read = |row: tenant::Model| {
            let what = || format!("tenant '{}' of run {run}", row.tenant);
            let (engine, target) = (self.word(&row.engine, what)?, self.parse_some(&row.target, what)?);
            let (tenant, database) = (TenantId::from(row.tenant.as_str()), row.database_at);
            Ok((row.place, PlannedTenant { tenant, engine, server: row.server, wave: row.wave, target, database }))
        };
        rows.into_iter().map(read).collect()
    }

    /// A query of selected tenants; those of an older ledger lack their databases.
    fn tenant_rows(&self) -> Select<tenant::Entity> {
        match self.version < version_of_databases() {
            true => without(tenant::Entity::find(), &[tenant::Column::DatabaseAt]),
            false => tenant::Entity::find(),
        }
    }

    pub(super) fn parse<T: DeserializeOwned>(&self, text: &str, what: impl Fn() -> String) -> Result<T, LedgerError> {
        serde_json::from_str(text).map_err(|e| self.unreadable(what(), &e))
    }

    fn parse_some<T>(&self, text: &Option<String>, what: impl Fn() -> String) -> Result<Option<T>, LedgerError>
    where
        T: DeserializeOwned,
    {
        text.as_ref().map(|text| self.parse(text, what)).transpose()
    }

    fn word<T: DeserializeOwned>(&self, text: &str, what: impl Fn() -> String) -> Result<T, LedgerError> {
        serde_json::from_value(Value::from(text)).map_err(|e| self.unreadable(what(), &e))
    }

    pub(super) fn id(&self, text: &str, what: impl Fn() -> String) -> Result<Uuid, LedgerError> {
        Uuid::parse_str(text).map_err(|e| self.unreadable(what(), &e))
    }

    pub(super) fn number<T>(&self, number: i64, what: impl Fn() -> String) -> Result<T, LedgerError>
    where
        T: TryFrom<i64>,
        T::Error: std::fmt::Display,
    {
        T::try_from(number).map_err(|e| self.unreadable(what(), &e))
    }

    fn unreadable(&self, what: String, reason: &dyn std::fmt::Display) -> LedgerError {
        LedgerError::Unreadable { site: self.site.name(), what, reason: reason.to_string() }
    }
}

/// A query of runs in a ledger of version 1, whose table lacks the columns of later ones.
fn before_live_runs(query: Select<run::Entity>) -> Select<run::Entity> {
    use run::Column::{HeartbeatAtMs, Selection, StartedBy};
    without(query, &[HeartbeatAtMs, StartedBy, Selection])
}

/// A query of rows in a table that has not got these columns yet: they are NULL.
fn without<E: EntityTrait>(query: Select<E>, later: &[E::Column]) -> Select<E> {
    let mut query = query.select_only();
    for column in E::Column::iter() {
        query = match later.iter().any(|other| other.as_str() == column.as_str()) {
            true => query.column_as(Expr::cust("NULL"), column.as_str()),
            false => query.column(column),
        };
    }
    query
}

/// In the order in which they were recorded, which the times of their start have: the clocks of the machines need not
/// agree, and ids are made by those. Ids decide between runs of one millisecond.
pub(super) fn newest_first() -> Select<run::Entity> {
    run::Entity::find().order_by_desc(run::Column::StartedAtMs).order_by_desc(run::Column::Run)
}

/// A run in an error's list.
fn describe(run: &RunSummary) -> String {
    let since = Duration::from_millis(u64::try_from(run.started_at_ms).unwrap_or(0));
    format!("{} ({} {}, {})", run.run, run.direction, run.goal, humantime::format_rfc3339_seconds(UNIX_EPOCH + since))
}
