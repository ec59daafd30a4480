//! Backups in a run: before a tenant's first change, or as the task itself. A failed backup is known before anything is
//! touched.

use std::path::PathBuf;

use crate::backup::{BackupFolder, Manifest, free_space};
use crate::engine::{Notice, PartialState, Session, Transfer, TransferLimits, database_name, hook};
use crate::model::clock::now_ms;
use crate::model::fault::{Fault, FaultClass};
use crate::model::outcome::Outcome;
use crate::run::unit::{Assignment, Attempt, AttemptEnd};

#[derive(Debug, Clone)]
pub(crate) struct BackupPlan {
    /// The parent folder of each run's backup folder.
    pub(crate) folder: PathBuf,
    /// A command to run for each tenant instead of the engine's own tool.
    pub(crate) command: Option<Vec<String>>,
    /// Whether to restore a tenant whose migration failed, on an engine that could not roll it back.
    pub(crate) restore_on_failure: bool,
    /// Whether such a restore first tries the backup out, on an engine that could not roll the load back.
    pub(crate) trial: bool,
}

impl Assignment {
    /// Backs the tenant up. Returns the size; `None` if there is nothing to back up yet.
    ///
    /// Dying in it: the tenant was not touched, and the partial backup has no manifest.
    async fn back_up(&self, session: &mut dyn Session, history: &[String]) -> Result<Option<u64>, Fault> {
        let Some(plan) = &self.plan.backup else { return Ok(None) };
        let run = self.plan.header.run.to_string();
        let mut planned = history.to_vec();
        planned.sort_unstable();
        let Some(estimate) = session.footprint().await? else { return Ok(None) };
        let folder = BackupFolder::of_run(&plan.folder, &run);
        let lost =
            |error: std::io::Error| broken(format!("nothing can be written to {}: {error}", folder.path().display()));
        let draft = folder.begin(&self.tenant.id, self.tenant.engine).map_err(lost)?;
        let limit = self.plan.timeouts.backup;
        let tool = match &plan.command {
            Some(command) => {
                hook(command, &self.tenant, &run, &TransferLimits { limit, cancel: self.cancel.clone() }).await?;
                "hook".to_owned()
            }
            None => {
                enough_space(&folder, estimate)?;
                let to = Transfer { file: &draft.partial, run: &run, limit, cancel: self.cancel.clone(), trial: None };
                session.dump(&to).await.map_err(|fault| of_the_copy(fault, &folder))?
            }
        };
        let manifest = Manifest {
            tenant: self.tenant.id.clone(),
            engine: self.tenant.engine,
            server: self.tenant.server.to_string(),
            database: database_name(&self.tenant),
            schema: self.tenant.schema.clone(),
            file: None,
            bytes: 0,
            sha256: None,
            history: self.history_now(session).await?,
            unfinished: session.unfinished().await?,
            tool,
            at_ms: now_ms(),
            run,
        };
        if manifest.history != planned {
            return Err(Fault::new(FaultClass::HistoryMoved, "the history changed while it was backed up"));
        }
        let finished = tokio::task::spawn_blocking(move || draft.finish(manifest)).await;
        finished.map_err(|e| broken(format!("the backup was lost: {e}")))?.map(Some).map_err(lost)
    }

    /// As [`Assignment::back_up`]; before anything is touched, checks that a restore on failure will be able to try the
    /// backup out.
    async fn back_up_and_check(&self, session: &mut dyn Session, history: &[String]) -> Result<Option<u64>, Fault> {
        if self.plan.backup.as_ref().is_some_and(|plan| plan.restore_on_failure && plan.trial) {
            session.check_trial().await?;
        }
        self.back_up(session, history).await
    }

    pub(super) async fn history_now(&self, session: &mut dyn Session) -> Result<Vec<String>, Fault> {
        let mut history = session.history().await?;
        history.sort_unstable();
        Ok(history)
    }

    /// Before the tenant's first change: backs it up if the plan says so. `Some`: the backup failed, and nothing may be
    /// touched.
    pub(in crate::run) async fn back_up_first(
        &self,
        session: &mut dyn Session,
        history: &[String],
    ) -> Option<AttemptEnd> {
        // A state that an earlier attempt of this run has changed is not worth restoring.
        if self.plan.backup.is_none() || self.touched {
            return None;
        }
        match self.back_up_and_check(session, history).await {
            Ok(Some(_)) => None,
            Ok(None) => {
                self.teller.tell(Notice::Note("there was nothing yet to be backed up".to_owned()));
                None
            }
            Err(fault) => Some(AttemptEnd::stopped_or_cancelled(fault, PartialState::Nothing)),
        }
    }

    /// The task of `fleet backup`.
    pub(super) async fn backup(&self, session: &mut dyn Session, history: Vec<String>) -> Attempt {
        let end = match self.back_up(session, &history).await {
            Ok(Some(bytes)) => AttemptEnd::Task(Outcome::BackedUp { bytes }),
            Ok(None) => {
                AttemptEnd::Task(Outcome::Skipped { reason: "there is nothing yet to be backed up".to_owned() })
            }
            Err(fault) => AttemptEnd::stopped_or_cancelled(fault, PartialState::Nothing),
        };
        Attempt::without_work(Some(history), end)
    }
}

/// Engines and tools report a full disk, or an error number, but seldom say whose disk it is: the tenant is only read,
/// so it is that of the copy.
fn of_the_copy(fault: Fault, folder: &BackupFolder) -> Fault {
    if !matches!(fault.class, FaultClass::Backup | FaultClass::Resources) {
        return fault;
    }
    let text = format!("{}; the backup was to be made in {}", fault.message, folder.path().display());
    Fault { class: FaultClass::Backup, message: text, ..fault }
}

pub(super) fn broken(text: impl Into<String>) -> Fault {
    Fault::new(FaultClass::Backup, text)
}

/// Whether the disk has room for the estimated size of the tenant. Others may write to it meanwhile; if the disk fills
/// up after all, the dump ends.
fn enough_space(folder: &BackupFolder, estimate: u64) -> Result<(), Fault> {
    let free = free_space(folder.path()).map_err(|e| broken(format!("{}: {e}", folder.path().display())))?;
    if free > estimate {
        return Ok(());
    }
    Err(Fault::new(
        FaultClass::Backup,
        format!(
            "the disk of {} has {free} bytes free, and the backup may need {estimate}; nothing was written",
            folder.path().display()
        ),
    ))
}
