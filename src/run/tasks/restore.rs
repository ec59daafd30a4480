//! Restores tenants from a backup: as the task itself, or after a migration that failed and could not be rolled back.

use std::path::PathBuf;

use super::backup::broken;
use crate::backup::{BackupFolder, Manifest};
use crate::engine::{Notice, PartialState, Session, Transfer, Trial, database_name};
use crate::model::fault::{Fault, FaultClass};
use crate::model::outcome::Outcome;
use crate::model::tenant::Tenant;
use crate::run::unit::{Assignment, Attempt, AttemptEnd};

/// The source of a restore.
#[derive(Debug, Clone)]
pub(crate) struct RestorePlan {
    /// The run that made the backups.
    pub(crate) run: String,
    /// The backup folder of that run.
    pub(crate) folder: BackupFolder,
    /// Whether a backup is first tried out on a scratch database, on an engine that can't roll a load back.
    pub(crate) trial: bool,
}

impl RestorePlan {
    /// A tenant's backup and its file, which is as it was written.
    ///
    /// # Errors
    /// The reason why it can't be restored; nothing was touched.
    pub(crate) async fn verified(&self, tenant: &Tenant) -> Result<(Manifest, PathBuf), Fault> {
        let folder = self.folder.clone();
        let none = || format!("run {} has no whole backup of this tenant", self.run);
        let found = folder.manifest(&tenant.id);
        let found = found.map_err(|e| broken(format!("{}: its manifest can't be read: {e}", none())))?;
        let manifest = found.ok_or_else(|| broken(none()))?;
        check_place(tenant, &manifest)?;
        let (manifest, file) = tokio::task::spawn_blocking(move || {
            let file = folder.verified(&manifest);
            (manifest, file)
        })
        .await
        .map_err(|e| broken(format!("the backup could not be verified: {e}")))?;
        Ok((manifest, file.map_err(|text| broken(format!("{text}; nothing was touched")))?))
    }
}

/// A backup of one database is never loaded into another.
fn check_place(tenant: &Tenant, manifest: &Manifest) -> Result<(), Fault> {
    let place = |engine: &dyn std::fmt::Display, database: &str, schema: Option<&str>| {
        let schema = schema.map(|schema| format!(" schema {schema}")).unwrap_or_default();
        format!("{engine} {database}{schema}")
    };
    let was = place(&manifest.engine, &manifest.database, manifest.schema.as_deref());
    let is = place(&tenant.engine, &database_name(tenant), tenant.schema.as_deref());
    if was == is && manifest.tenant == tenant.id {
        return Ok(());
    }
    Err(broken(format!("the backup is one of {was}, and this tenant is {is} now; nothing was touched")))
}

impl Assignment {
    /// The task of `fleet restore`.
    pub(super) async fn restore(&self, session: &mut dyn Session, before: Vec<String>) -> Attempt {
        let Some(plan) = &self.plan.restore else { return Attempt::without_work(Some(before), AttemptEnd::Nothing) };
        match self.bring_back(session, plan).await {
            Ok(manifest) => {
                let end = AttemptEnd::Task(Outcome::Restored { bytes: manifest.bytes });
                Attempt::without_work(Some(manifest.history), end)
            }
            Err(fault) => {
                let residue = match fault.class {
                    // Any remaining mark belongs to the other run, which may still finish: wait for it.
                    FaultClass::TenantLocked => PartialState::Nothing,
                    _ => left_by_restore(session).await,
                };
                Attempt::without_work(Some(before), AttemptEnd::stopped_or_cancelled(fault, residue))
            }
        }
    }

    /// Verifies a backup, loads it, and checks that the history matches the backup's.
    async fn bring_back(&self, session: &mut dyn Session, plan: &RestorePlan) -> Result<Manifest, Fault> {
        let (verified, file) = plan.verified(&self.tenant).await?;
        let trial = Trial { history: &verified.history, teller: self.teller.clone() };
        let from = Transfer {
            file: &file,
            run: &plan.run,
            limit: self.plan.timeouts.backup,
            cancel: self.cancel.clone(),
            trial: plan.trial.then_some(trial),
        };
        session.load(&from).await?;
        if !plan.trial && !self.tenant.engine.capabilities().transactional_ddl {
            self.teller
                .tell(Notice::Note("restored without a trial of the backup (restore_trial = \"never\")".to_owned()));
        }
        if self.history_now(session).await? != verified.history {
            return Err(broken("the backup was loaded, and the history is still not what its manifest says"));
        }
        Ok(verified)
    }

    /// Restores a tenant whose migration failed and left changes that the engine could not roll back.
    ///
    /// Dying in it: the same as in any restore.
    pub(in crate::run) async fn restore_after_failure(&self, session: &mut dyn Session, attempt: Attempt) -> Attempt {
        let Some(backup) = self.plan.backup.as_ref().filter(|b| b.restore_on_failure && b.command.is_none()) else {
            return attempt;
        };
        let AttemptEnd::Stopped { fault, at, residue } = &attempt.end else { return attempt };
        let run = self.plan.header.run.to_string();
        let is_wanted = match residue {
            // Another attempt may still resume after the refused statement.
            PartialState::Resumable { .. } => !fault.class.is_transient() || self.last_try,
            PartialState::InDoubt(unfinished) => unfinished.run == run,
            PartialState::Nothing | PartialState::Unknown => false,
        };
        if !is_wanted {
            return attempt;
        }
        let plan = RestorePlan { folder: BackupFolder::of_run(&backup.folder, &run), run, trial: backup.trial };
        match self.bring_back(session, &plan).await {
            Ok(manifest) => {
                let text = format!("{}; brought back from the backup of this run", fault.message);
                let fault = Fault { message: text, ..fault.clone() };
                let end = AttemptEnd::Restored { fault, at: at.clone() };
                Attempt { committed: Vec::new(), ..Attempt::without_work(Some(manifest.history), end) }
            }
            Err(restore) => {
                let text = format!("{}; it could not be brought back from its backup: {restore}", fault.message);
                let fault = Fault { message: text, ..fault.clone() };
                let residue = match left_by_restore(session).await {
                    PartialState::Nothing => residue.clone(),
                    other => other,
                };
                let end = AttemptEnd::Stopped { fault, at: at.clone(), residue };
                Attempt { end, ..attempt }
            }
        }
    }
}

/// The state left by a failed restore: its mark, if the engine could not roll it back.
async fn left_by_restore(session: &mut dyn Session) -> PartialState {
    match session.unfinished().await {
        Ok(Some(unfinished)) if unfinished.is_restore() => PartialState::InDoubt(unfinished),
        Ok(_) => PartialState::Nothing,
        Err(_) => PartialState::Unknown,
    }
}
