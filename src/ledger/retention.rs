//! Runs that are forgotten: what has to be known of each before, and their end.
//!
//! The decision is made in `model::retention`.

use std::collections::BTreeSet;
use std::path::Path;

use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use super::entity::{
    approval, attempt, claim, event, outcome, pause, progress, run, run_texts, runner, shared_run, tenant, version,
};
use super::error::LedgerError;
use super::open::Ledger;
use super::reader::newest_first;
use crate::model::retention::Candidate;
use crate::model::run_summary::RunSummary;
use crate::model::tenant::TenantId;

const FORGET: &str = "remove runs from";

impl Ledger {
    /// All runs, the newest first, with everything that later commands may need them for.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be read.
    pub(crate) async fn candidates(&self) -> Result<Vec<Candidate>, LedgerError> {
        let mut known: BTreeSet<TenantId> = BTreeSet::new();
        let mut all = Vec::new();
        for run in self.store.summaries(newest_first()).await? {
            let records = self.records(run.run).await?;
            let told = records.into_iter().filter_map(|(_, record)| record.filter(|record| record.tells_version()));
            let last_of = told.filter(|record| known.insert(record.tenant.clone())).count();
            let ends = self.ends(run.run).await?;
            let unsettled = ends.open.into_iter().filter(|id| !ends.replaced.contains_key(id)).collect();
            let has_backups = run.kind.backups().is_some_and(|folder| Path::new(folder).exists());
            all.push(Candidate { run, unsettled, last_of, has_backups });
        }
        Ok(all)
    }

    /// Removes these runs, with everything that is recorded of them, and the approvals that they have used. `newest`: the
    /// newest run when that was decided; if another one has begun since, nothing is removed, and false is returned.
    ///
    /// Dying in it: nothing is removed.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be written; nothing is removed.
    pub(crate) async fn forget(&self, runs: &[&RunSummary], newest: Uuid) -> Result<bool, LedgerError> {
        const AT_ONCE: usize = 200;
        let store = &self.store;
        let explain = || store.explain(FORGET);
        let tx = store.begin().await.map_err(explain())?;
        // No run begins meanwhile.
        version::Entity::find().lock_exclusive().all(&tx).await.map_err(explain())?;
        let first = newest_first().select_only().column(run::Column::Run).into_tuple::<String>().one(&tx).await;
        if first.map_err(explain())? != Some(newest.to_string()) {
            tx.rollback().await.map_err(explain())?;
            return Ok(false);
        }
        for of in runs {
            let Some(digest) = of.kind.plan() else { continue };
            let of_it = approval::Entity::delete_many().filter(approval::Column::Digest.eq(digest));
            let used = of_it.filter(approval::Column::AtMs.lte(of.started_at_ms));
            used.exec(&tx).await.map_err(explain())?;
        }
        for some in runs.chunks(AT_ONCE) {
            let ids: Vec<String> = some.iter().map(|of| of.run.to_string()).collect();
            let gone = async {
                delete::<outcome::Entity>(&tx, outcome::Column::Run, &ids).await?;
                delete::<attempt::Entity>(&tx, attempt::Column::Run, &ids).await?;
                delete::<event::Entity>(&tx, event::Column::Run, &ids).await?;
                delete::<progress::Entity>(&tx, progress::Column::Run, &ids).await?;
                delete::<claim::Entity>(&tx, claim::Column::Run, &ids).await?;
                delete::<runner::Entity>(&tx, runner::Column::Run, &ids).await?;
                delete::<pause::Entity>(&tx, pause::Column::Run, &ids).await?;
                delete::<shared_run::Entity>(&tx, shared_run::Column::Run, &ids).await?;
                delete::<run_texts::Entity>(&tx, run_texts::Column::Run, &ids).await?;
                delete::<tenant::Entity>(&tx, tenant::Column::Run, &ids).await?;
                delete::<run::Entity>(&tx, run::Column::Run, &ids).await
            };
            gone.await.map_err(explain())?;
        }
        tx.commit().await.map_err(explain())?;
        Ok(true)
    }
}

async fn delete<E: EntityTrait>(tx: &DatabaseTransaction, run: E::Column, runs: &[String]) -> Result<(), DbErr> {
    E::delete_many().filter(run.is_in(runs.iter().map(String::as_str))).exec(tx).await.map(drop)
}
