//! Backups in a run: before a tenant's first change, as a chore, and the way back.
//!
//! It goes through the same attempt and session as a migration. A backup that fails is known before anything is touched.

use std::path::PathBuf;

use super::Task;
use super::unit::{Assignment, Attempt, AttemptEnd};
use crate::backup::{BackupFolder, Manifest, free_space};
use crate::engine::{Notice, PartialState, Session, Transfer, database_name, hook};
use crate::model::fault::{Fault, FaultClass};
use crate::model::outcome::Outcome;

/// The backups that a run makes.
#[derive(Debug, Clone)]
pub(crate) struct BackupPlan {
    /// The folder below which each run has its own.
    pub(crate) folder: PathBuf,
    /// A command that is run for each tenant instead of the engines' own means.
    pub(crate) command: Option<Vec<String>>,
    /// Whether a tenant whose migration failed, on an engine that could not roll it back, is brought back.
    pub(crate) restore_on_failure: bool,
}

/// What a restore takes.
#[derive(Debug, Clone)]
pub(crate) struct RestorePlan {
    /// The run that made the backups.
    pub(crate) run: String,
    /// Its folder.
    pub(crate) folder: BackupFolder,
}

impl Assignment {
    /// Backs the tenant up. Returns the size; `None` where there is nothing yet to be backed up.
    ///
    /// Dying in it: the tenant was not touched, and what there is of the backup has no manifest.
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
                hook(command, &self.tenant, &run, limit, &self.cancel).await?;
                "hook".to_owned()
            }
            None => {
                enough_space(&folder, estimate)?;
                let to = Transfer { file: &draft.partial, run: &run, limit, cancel: self.cancel.clone() };
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

    async fn history_now(&self, session: &mut dyn Session) -> Result<Vec<String>, Fault> {
        let mut history = session.history().await?;
        history.sort_unstable();
        Ok(history)
    }

    /// Before the tenant's first change: backs it up where the run is to. `Some`: it failed, and nothing may be touched.
    pub(super) async fn back_up_first(&self, session: &mut dyn Session, history: &[String]) -> Option<AttemptEnd> {
        // What an earlier attempt of this run has changed is not what anyone would want back.
        if self.plan.backup.is_none() || self.touched {
            return None;
        }
        match self.back_up(session, history).await {
            Ok(Some(_)) => None,
            Ok(None) => {
                self.teller.tell(Notice::Note("there was nothing yet to be backed up".to_owned()));
                None
            }
            Err(fault) => Some(ended(fault)),
        }
    }

    /// The chore of `fleet backup`.
    pub(super) async fn backup_chore(&self, session: &mut dyn Session, history: Vec<String>) -> Attempt {
        let end = match self.back_up(session, &history).await {
            Ok(Some(bytes)) => AttemptEnd::Task(Outcome::BackedUp { bytes }),
            Ok(None) => {
                AttemptEnd::Task(Outcome::Skipped { reason: "there is nothing yet to be backed up".to_owned() })
            }
            Err(fault) => ended(fault),
        };
        Attempt::without_work(Some(history), end)
    }

    /// The chore of `fleet restore`.
    pub(super) async fn restore_chore(&self, session: &mut dyn Session, before: Vec<String>) -> Attempt {
        let Task::Restore(plan) = &self.plan.task else {
            return Attempt::without_work(Some(before), AttemptEnd::Nothing);
        };
        match self.bring_back(session, plan).await {
            Ok(manifest) => {
                let end = AttemptEnd::Task(Outcome::Restored { bytes: manifest.bytes });
                Attempt::without_work(Some(manifest.history), end)
            }
            Err(fault) => {
                let residue = match fault.class {
                    // Whatever is left there is the other's, who may still come to its end: it is waited for.
                    FaultClass::TenantLocked => PartialState::Nothing,
                    _ => left_by_restore(session).await,
                };
                let end = match fault.class {
                    FaultClass::Cancelled => AttemptEnd::Cancelled { at: None, residue },
                    _ => AttemptEnd::Stopped { fault, at: None, residue },
                };
                Attempt::without_work(Some(before), end)
            }
        }
    }

    /// Verifies a backup, loads it, and makes sure that the history is what it was.
    async fn bring_back(&self, session: &mut dyn Session, plan: &RestorePlan) -> Result<Manifest, Fault> {
        let folder = plan.folder.clone();
        let found = folder.manifest(&self.tenant.id).map_err(|e| broken(format!("its manifest can't be read: {e}")))?;
        let manifest = found.ok_or_else(|| broken(format!("run {} has no whole backup of this tenant", plan.run)))?;
        self.check_place(&manifest)?;
        let (verified, file) = tokio::task::spawn_blocking(move || {
            let file = folder.verified(&manifest);
            (manifest, file)
        })
        .await
        .map_err(|e| broken(format!("the backup could not be verified: {e}")))?;
        let file = file.map_err(|text| broken(format!("{text}; nothing was touched")))?;
        let from =
            Transfer { file: &file, run: &plan.run, limit: self.plan.timeouts.backup, cancel: self.cancel.clone() };
        session.load(&from).await?;
        if self.history_now(session).await? != verified.history {
            return Err(broken("the backup was loaded, and the history is still not what its manifest says"));
        }
        Ok(verified)
    }

    /// A backup of one database is never loaded into another.
    fn check_place(&self, manifest: &Manifest) -> Result<(), Fault> {
        let place = |engine: &dyn std::fmt::Display, database: &str, schema: Option<&str>| {
            let schema = schema.map(|schema| format!(" schema {schema}")).unwrap_or_default();
            format!("{engine} {database}{schema}")
        };
        let was = place(&manifest.engine, &manifest.database, manifest.schema.as_deref());
        let is = place(&self.tenant.engine, &database_name(&self.tenant), self.tenant.schema.as_deref());
        if was == is && manifest.tenant == self.tenant.id {
            return Ok(());
        }
        Err(broken(format!("the backup is one of {was}, and this tenant is {is} now; nothing was touched")))
    }

    /// Brings a tenant back whose migration failed and left something that the engine could not roll back.
    ///
    /// Dying in it: as in any restore.
    pub(super) async fn mend(&self, session: &mut dyn Session, attempt: Attempt) -> Attempt {
        let Some(backup) = self.plan.backup.as_ref().filter(|b| b.restore_on_failure && b.command.is_none()) else {
            return attempt;
        };
        let AttemptEnd::Stopped { fault, at, residue } = &attempt.end else { return attempt };
        let run = self.plan.header.run.to_string();
        let is_wanted = match residue {
            // Another attempt may still go on behind the statement that was refused.
            PartialState::Resumable { .. } => !fault.class.is_transient() || self.last_try,
            PartialState::InDoubt(unfinished) => unfinished.run == run,
            PartialState::Nothing | PartialState::Unknown => false,
        };
        if !is_wanted {
            return attempt;
        }
        let plan = RestorePlan { folder: BackupFolder::of_run(&backup.folder, &run), run };
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

/// What a restore that failed left: its mark, where the engine could not take it back.
async fn left_by_restore(session: &mut dyn Session) -> PartialState {
    match session.unfinished().await {
        Ok(Some(unfinished)) if unfinished.is_restore() => PartialState::InDoubt(unfinished),
        Ok(_) => PartialState::Nothing,
        Err(_) => PartialState::Unknown,
    }
}

fn ended(fault: Fault) -> AttemptEnd {
    match fault.class {
        FaultClass::Cancelled => AttemptEnd::Cancelled { at: None, residue: PartialState::Nothing },
        _ => AttemptEnd::Stopped { fault, at: None, residue: PartialState::Nothing },
    }
}

/// Engines and tools say that a disk is full, or by which number they were refused, but seldom whose disk it is: the tenant
/// is only read, so it is that of the copy.
fn of_the_copy(fault: Fault, folder: &BackupFolder) -> Fault {
    if !matches!(fault.class, FaultClass::Backup | FaultClass::Resources) {
        return fault;
    }
    let text = format!("{}; the backup was to be made in {}", fault.message, folder.path().display());
    Fault { class: FaultClass::Backup, message: text, ..fault }
}

fn broken(text: impl Into<String>) -> Fault {
    Fault::new(FaultClass::Backup, text)
}

/// Whether the disk has room for what the tenant is estimated to be. Others may write to it meanwhile; a disk that is full
/// after all ends the dump.
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

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
