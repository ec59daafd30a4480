//! Runs that several runners share: who leads, which tenants are handed out, and to whom.
//!
//! Leases are by the clock of the ledger. A lease that has ended gives nobody anything by itself: whoever takes over gets a
//! greater token, and what is written under an older one is refused (`fence`).
//!
//! | killed | what is found |
//! |---|---|
//! | after [`Ledger::share`], before the run is recorded | terms without a run, which nobody reads |
//! | as the leader | its lease ends, and another runner leads: it waits for the outcomes of what is handed out, and goes on |
//! | after [`Ledger::hand_out`], before the queue has it | a claim that nobody holds: the leader puts it into the queue again |
//! | after [`Ledger::take_back`] | tenants without a claim and without an outcome: another leader begins with them |
//! | with a tenant | its lease ends, and another runner takes the tenant, by reading it first |

use std::collections::HashMap;
use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Statement,
};
use uuid::Uuid;

use super::entity::{claim, outcome, run, runner, shared_run, version};
use super::error::LedgerError;
use super::migrations::version_of_shared_runs;
use super::open::{Ledger, Store};
use super::reader::READ;
use super::writer::json;
use crate::model::shared::{Claim, Recorded, RunnerRow, SharedRun, Taken};

const SHARE: &str = "share a run in";

impl Ledger {
    /// Writes the terms of a run that is about to be recorded.
    pub(crate) async fn share(&self, run: Uuid, shared: &SharedRun) -> Result<(), LedgerError> {
        let row = shared_run::ActiveModel {
            run: Set(run.to_string()),
            lease_ms: Set(millis(shared.lease)),
            held_back: Set(i64::try_from(shared.held_back).unwrap_or(i64::MAX)),
            terms: Set(json(&shared.terms)),
            leader: Set(None),
            token: Set(0),
            until_ms: Set(0),
        };
        let insert = shared_run::Entity::insert(row).exec_without_returning(&self.store.db).await;
        insert.map(drop).map_err(self.store.explain(SHARE))
    }

    /// The terms of a run; `None`: it is not shared.
    pub(crate) async fn shared(&self, run: Uuid) -> Result<Option<SharedRun>, LedgerError> {
        let store = &self.store;
        if store.version < version_of_shared_runs() {
            return Ok(None);
        }
        let row = shared_run::Entity::find_by_id(run.to_string()).one(&store.db).await.map_err(store.explain(READ))?;
        let what = || format!("the terms of run {run}");
        let read = |row: shared_run::Model| {
            Ok(SharedRun {
                lease: Duration::from_millis(store.number(row.lease_ms, what)?),
                held_back: store.number(row.held_back, what)?,
                terms: store.parse(&row.terms, what)?,
            })
        };
        row.map(read).transpose()
    }

    /// The shared runs that have not come to their end, oldest first, without those that another run has resumed.
    pub(crate) async fn shared_runs(&self) -> Result<Vec<Uuid>, LedgerError> {
        let store = &self.store;
        let shared = shared_run::Entity::find().select_only().column(shared_run::Column::Run);
        let shared: Vec<String> = shared.into_tuple().all(&store.db).await.map_err(store.explain(READ))?;
        let open = run::Entity::find().select_only().column(run::Column::Run).filter(run::Column::Run.is_in(shared));
        let open = open.filter(run::Column::FinishedAtMs.is_null()).order_by_asc(run::Column::StartedAtMs);
        let open: Vec<String> = open.into_tuple().all(&store.db).await.map_err(store.explain(READ))?;
        let mut runs = Vec::new();
        for run in open {
            let run = store.id(&run, || format!("run {run}"))?;
            if self.heirs(run).await?.is_empty() {
                runs.push(run);
            }
        }
        Ok(runs)
    }

    /// Has a runner lead a run that nobody leads. Returns its token; `None`: another one leads it.
    ///
    /// # Errors
    /// [`LedgerError::Held`]: another run is at work on some of its tenants.
    pub(crate) async fn lead(&self, run: Uuid, runner: &str) -> Result<Option<i64>, LedgerError> {
        use shared_run::Column;
        let store = &self.store;
        let explain = || store.explain(SHARE);
        let free = Condition::any().add(Column::Leader.is_null()).add(Expr::cust(until(store)));
        let row = shared_run::Entity::find_by_id(run.to_string()).filter(free.clone());
        if row.one(&store.db).await.map_err(explain())?.is_none() {
            return Ok(None);
        }
        let tx = store.begin().await.map_err(explain())?;
        // No run begins meanwhile with its tenants.
        version::Entity::find().lock_exclusive().all(&tx).await.map_err(explain())?;
        let tenants = self.header(run).await?.tenants;
        let tenants = tenants.iter().map(|planned| &planned.tenant).collect();
        store.refuse_held(&tx, &tenants, Some(run)).await?;
        let led = async {
            let update = shared_run::Entity::update_many()
                .col_expr(Column::Leader, Expr::value(runner))
                .col_expr(Column::Token, Expr::col(Column::Token).add(1))
                .col_expr(Column::UntilMs, Expr::cust(lease_end(store, run)))
                .filter(Column::Run.eq(run.to_string()))
                .filter(free)
                .exec(&tx)
                .await?;
            let row = shared_run::Entity::find_by_id(run.to_string()).one(&tx).await?;
            store.sign_of_life(&run.to_string(), &tx).await?;
            tx.commit().await?;
            Ok(row.filter(|_| update.rows_affected == 1).map(|row| row.token))
        };
        led.await.map_err(explain())
    }

    /// Renews the lease of a leader; false: another one leads.
    pub(crate) async fn keep_leading(&self, run: Uuid, token: i64) -> Result<bool, LedgerError> {
        use shared_run::Column;
        let store = &self.store;
        let kept = shared_run::Entity::update_many()
            .col_expr(Column::UntilMs, Expr::cust(lease_end(store, run)))
            .filter(Column::Run.eq(run.to_string()))
            .filter(Column::Token.eq(token))
            .exec(&store.db)
            .await;
        Ok(kept.map_err(store.explain(SHARE))?.rows_affected == 1)
    }

    /// Ends the lease of a leader.
    pub(crate) async fn stop_leading(&self, run: Uuid, token: i64) -> Result<(), LedgerError> {
        use shared_run::Column;
        let ended = shared_run::Entity::update_many()
            .col_expr(Column::Leader, Expr::cust("NULL"))
            .col_expr(Column::UntilMs, Expr::value(0))
            .filter(Column::Run.eq(run.to_string()))
            .filter(Column::Token.eq(token))
            .exec(&self.store.db)
            .await;
        ended.map(drop).map_err(self.store.explain(SHARE))
    }

    /// Hands a tenant out, in one transaction with the lock on the run: the leader that holds this token has counted it as one
    /// that may fail, and another leader waits for it. False: another one leads, and nothing was handed out.
    pub(crate) async fn hand_out(
        &self,
        run: Uuid,
        token: i64,
        (place, queue): (i64, &str),
    ) -> Result<bool, LedgerError> {
        let store = &self.store;
        let handing = async {
            let tx = store.begin().await?;
            let leads = shared_run::Entity::find_by_id(run.to_string()).filter(shared_run::Column::Token.eq(token));
            if leads.lock_exclusive().one(&tx).await?.is_none() {
                return Ok(false);
            }
            let row = claim::ActiveModel {
                run: Set(run.to_string()),
                place: Set(place),
                queue: Set(queue.to_owned()),
                runner: Set(None),
                token: Set(0),
                until_ms: Set(0),
            };
            let key = OnConflict::columns([claim::Column::Run, claim::Column::Place]).do_nothing().to_owned();
            claim::Entity::insert(row).on_conflict(key).exec_without_returning(&tx).await?;
            tx.commit().await?;
            Ok(true)
        };
        handing.await.map_err(store.explain(SHARE))
    }

    /// Takes back what was handed out and nobody has taken; the leader that holds this token gives them their outcomes. Returns
    /// their places. Dying behind it: they have neither a claim nor an outcome, and another leader begins with them.
    pub(crate) async fn take_back(&self, run: Uuid, token: i64) -> Result<Vec<i64>, LedgerError> {
        let store = &self.store;
        let taking = async {
            let tx = store.begin().await?;
            let leads = shared_run::Entity::find_by_id(run.to_string()).filter(shared_run::Column::Token.eq(token));
            if leads.lock_exclusive().one(&tx).await?.is_none() {
                return Ok(Vec::new());
            }
            let free = claim::Entity::find().filter(claim::Column::Run.eq(run.to_string()));
            let free = free.filter(claim::Column::Runner.is_null()).lock_exclusive().all(&tx).await?;
            let places: Vec<i64> = free.into_iter().map(|row| row.place).collect();
            let gone = claim::Entity::delete_many().filter(claim::Column::Run.eq(run.to_string()));
            gone.filter(claim::Column::Place.is_in(places.iter().copied())).exec(&tx).await?;
            tx.commit().await?;
            Ok(places)
        };
        taking.await.map_err(store.explain(SHARE))
    }

    /// Takes a tenant that was handed out, for the time of a lease.
    pub(crate) async fn take(&self, run: Uuid, place: i64, runner: &str) -> Result<Taken, LedgerError> {
        use claim::Column;
        let store = &self.store;
        let taking = async {
            let tx = store.begin().await?;
            let found = claim::Entity::find_by_id((run.to_string(), place)).lock_exclusive().one(&tx).await?;
            let Some(found) = found else { return Ok(Taken::Done) };
            let now_ms = store.now_ms(&tx).await?;
            if found.runner.is_some() && found.until_ms > now_ms {
                let rest = u64::try_from(found.until_ms - now_ms).unwrap_or(0);
                return Ok(Taken::Held(Duration::from_millis(rest)));
            }
            let token = found.token + 1;
            claim::Entity::update_many()
                .col_expr(Column::Runner, Expr::value(runner))
                .col_expr(Column::Token, Expr::value(token))
                .col_expr(Column::UntilMs, Expr::cust(lease_end(store, run)))
                .filter(Column::Run.eq(run.to_string()))
                .filter(Column::Place.eq(place))
                .exec(&tx)
                .await?;
            tx.commit().await?;
            Ok(Taken::Mine(token))
        };
        taking.await.map_err(store.explain(SHARE))
    }

    /// Gives a tenant back that was not started: another runner may take it at once.
    pub(crate) async fn give_back(&self, run: Uuid, place: i64, token: i64) -> Result<(), LedgerError> {
        use claim::Column;
        let given = claim::Entity::update_many()
            .col_expr(Column::Runner, Expr::cust("NULL"))
            .col_expr(Column::UntilMs, Expr::value(0))
            .filter(Column::Run.eq(run.to_string()))
            .filter(Column::Place.eq(place))
            .filter(Column::Token.eq(token))
            .exec(&self.store.db)
            .await;
        given.map(drop).map_err(self.store.explain(SHARE))
    }

    /// A sign of life of a runner and of its run; it renews the leases on the runner's tenants.
    pub(crate) async fn runner_lives(&self, run: Uuid, name: &str) -> Result<(), LedgerError> {
        let store = &self.store;
        let living = async {
            claim::Entity::update_many()
                .col_expr(claim::Column::UntilMs, Expr::cust(lease_end(store, run)))
                .filter(claim::Column::Run.eq(run.to_string()))
                .filter(claim::Column::Runner.eq(name))
                .exec(&store.db)
                .await?;
            let now_ms = store.now_ms(&store.db).await?;
            let row = runner::ActiveModel {
                run: Set(run.to_string()),
                runner: Set(name.to_owned()),
                since_ms: Set(now_ms),
                seen_ms: Set(now_ms),
            };
            let key = OnConflict::columns([runner::Column::Run, runner::Column::Runner]);
            let seen = key.clone().update_column(runner::Column::SeenMs).to_owned();
            runner::Entity::insert(row).on_conflict(seen).exec_without_returning(&store.db).await?;
            store.sign_of_life(&run.to_string(), &store.db).await
        };
        living.await.map_err(store.explain(SHARE))
    }

    /// The tenants of a run that are handed out and have no outcome.
    pub(crate) async fn claims(&self, run: Uuid) -> Result<Vec<Claim>, LedgerError> {
        let store = &self.store;
        let read = async {
            let rows = claim::Entity::find().filter(claim::Column::Run.eq(run.to_string()));
            let rows = rows.order_by_asc(claim::Column::Place).all(&store.db).await?;
            let now_ms = store.now_ms(&store.db).await?;
            let is_held = |row: &claim::Model| row.runner.is_some() && row.until_ms > now_ms;
            let claim = |row: claim::Model| Claim { is_held: is_held(&row), place: row.place, queue: row.queue };
            Ok(rows.into_iter().map(claim).collect())
        };
        read.await.map_err(store.explain(READ))
    }

    /// The outcomes that are recorded of tenants at these places.
    pub(crate) async fn outcomes_at(&self, run: Uuid, places: &[i64]) -> Result<Vec<Recorded>, LedgerError> {
        let store = &self.store;
        let rows = outcome::Entity::find().filter(outcome::Column::Run.eq(run.to_string()));
        let rows = rows.filter(outcome::Column::Place.is_in(places.iter().copied())).all(&store.db).await;
        let read = |row: outcome::Model| {
            Ok((row.at_ms, store.parse(&row.record, || format!("the outcome at place {} of run {run}", row.place))?))
        };
        rows.map_err(store.explain(READ))?.into_iter().map(read).collect()
    }

    /// The runners that took part in a run, in the order in which they came.
    pub(crate) async fn runners(&self, run: Uuid) -> Result<Vec<RunnerRow>, LedgerError> {
        let store = &self.store;
        if store.version < version_of_shared_runs() {
            return Ok(Vec::new());
        }
        let read = async {
            let rows = runner::Entity::find().filter(runner::Column::Run.eq(run.to_string()));
            let rows = rows.order_by_asc(runner::Column::SinceMs).all(&store.db).await?;
            if rows.is_empty() {
                return Ok((rows, Vec::new(), None, 0));
            }
            let claims = claim::Entity::find().filter(claim::Column::Run.eq(run.to_string())).all(&store.db).await?;
            let leader = shared_run::Entity::find_by_id(run.to_string()).one(&store.db).await?;
            let leader = leader.and_then(|row| row.leader);
            Ok((rows, claims, leader, store.now_ms(&store.db).await?))
        };
        let (rows, claims, leader, now_ms) = read.await.map_err(store.explain(READ))?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut ended: HashMap<String, usize> = HashMap::new();
        for (_, record) in self.records(run).await? {
            if let Some(name) = record.and_then(|record| record.runner) {
                *ended.entry(name).or_default() += 1;
            }
        }
        let row = |row: runner::Model| RunnerRow {
            tenants: ended.get(&row.runner).copied().unwrap_or_default(),
            in_flight: claims.iter().filter(|claim| claim.runner.as_ref() == Some(&row.runner)).count(),
            silent_ms: now_ms - row.seen_ms,
            leads: leader.as_ref() == Some(&row.runner),
            runner: row.runner,
        };
        Ok(rows.into_iter().map(row).collect())
    }
}

impl Store {
    /// The present time by the ledger's clock.
    async fn now_ms(&self, db: &impl ConnectionTrait) -> Result<i64, DbErr> {
        let sql = format!("SELECT {} AS now_ms", self.clock());
        let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
        row.map_or(Ok(0), |row| row.try_get("", "now_ms"))
    }
}

/// The end of a lease that begins now, as an expression: its length is that of the run.
fn lease_end(store: &Store, run: Uuid) -> String {
    format!("{} + (SELECT s.lease_ms FROM fleet_shared_run s WHERE s.run = '{run}')", store.clock())
}

/// Whether the lease of a leader has ended.
fn until(store: &Store) -> String {
    format!("until_ms <= {}", store.clock())
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
