//! Dumps of a tenant's whole content and their restore, by each engine's own tools.
//!
//! No password gets into the arguments or the environment of a tool, and no partial dump is reported as complete.

pub(crate) mod secret;
pub(crate) mod tool;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

pub(crate) use self::secret::remove_left_secrets;
pub(crate) use self::tool::Limits;
use super::Notifier;
use crate::model::fault::{Fault, FaultClass};
use crate::model::tenant::{Address, Tenant};

/// Dumping a tenant to a file, and restoring it.
#[async_trait]
pub(crate) trait Dump: Send {
    /// The approximate maximum size of a backup, in bytes; `None` where there is nothing to back up yet.
    ///
    /// # Errors
    /// A [`Fault`] when the size can't be read.
    async fn footprint(&mut self) -> Result<Option<u64>, Fault> {
        Err(Fault::new(FaultClass::Backup, "this kind of database can't be backed up"))
    }

    /// Writes a consistent snapshot of the tenant to a file, and verifies it. Returns the name and version of the tool
    /// that made it. Dying in it: the file is partial, and the tenant unchanged.
    ///
    /// # Errors
    /// A [`Fault`]; of class `cancelled` when we ended it.
    async fn dump(&mut self, _to: &Transfer<'_>) -> Result<String, Fault> {
        Err(Fault::new(FaultClass::Backup, "this kind of database can't be backed up"))
    }

    /// Restores the tenant to the content of a dump; anything that is not in the dump is dropped. The state after dying
    /// in it is described in `docs/book/src/design/architecture.md`.
    ///
    /// # Errors
    /// A [`Fault`]. The tenant is unchanged, unless [`unfinished`](super::Session::unfinished) says that a
    /// restore was begun.
    async fn load(&mut self, _from: &Transfer<'_>) -> Result<(), Fault> {
        Err(Fault::new(FaultClass::Backup, "this kind of database can't be brought back"))
    }

    /// Writes the tenant as a script that makes its whole content in an empty tenant of any name and owner. Read-only.
    /// Dying in it: the file is partial.
    ///
    /// # Errors
    /// A [`Fault`]: there can be no such script of this tenant.
    async fn dump_script(&mut self, _to: &Transfer<'_>) -> Result<(), Fault> {
        Err(Fault::new(FaultClass::Backup, "this kind of database has no script of its whole content"))
    }

    /// Runs such a script in an empty tenant.
    ///
    /// # Errors
    /// As [`Dump::load`].
    async fn load_script(&mut self, from: &Transfer<'_>) -> Result<(), Fault> {
        self.load(from).await
    }

    /// The engine's own client on this tenant, for a person. Nothing is started.
    ///
    /// # Errors
    /// A [`Fault`] that names the package, where the client is not installed.
    async fn shell(&mut self) -> Result<Shell, Fault> {
        Err(Fault::new(FaultClass::Backup, "this kind of database has no client"))
    }

    /// Checks that a later restore of this tenant can try its dump out: nothing to check where the restore itself is one
    /// transaction.
    ///
    /// # Errors
    /// A [`Fault`]; the tenant is unchanged.
    async fn check_trial(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

/// The engine's own client, ready to be started by a person, and the file of its password, which lives as long as this.
#[derive(Debug)]
pub(crate) struct Shell {
    pub(crate) command: Command,
    pub(crate) secret: Option<secret::SecretFile>,
}

/// The file of a dump or restore, and its time limit.
#[derive(Debug, Clone)]
pub(crate) struct Transfer<'a> {
    /// The file, created by a dump.
    pub(crate) file: &'a Path,
    /// The run that the backup belongs to.
    pub(crate) run: &'a str,
    /// The limit for the whole transfer; zero means no limit.
    pub(crate) limit: Duration,
    /// Ends the transfer: a running tool is killed.
    pub(crate) cancel: CancellationToken,
    /// Where the engine can't roll a load back, the dump is loaded into a scratch database first; `None`: it is not.
    pub(crate) trial: Option<Trial<'a>>,
}

/// The trial of a dump.
#[derive(Debug, Clone)]
pub(crate) struct Trial<'a> {
    /// The history that the dump must have, sorted.
    pub(crate) history: &'a [String],
    /// The receiver of notes on scratch databases.
    pub(crate) teller: Notifier,
}

impl Transfer<'_> {
    pub(crate) fn limits(&self) -> Limits {
        Limits { limit: self.limit, cancel: self.cancel.clone() }
    }
}

/// The database of a tenant as a backup names it: its name on the server, or the file.
pub(crate) fn database_name(tenant: &Tenant) -> String {
    match tenant.address_for_migrations() {
        Address::File(path) => path.display().to_string(),
        Address::Url(_) => super::address::database(tenant).unwrap_or_default(),
        Address::Unusable(_) => String::new(),
    }
}

/// Runs the operator's own backup command for one tenant. The command gets the tenant, but no password.
///
/// # Errors
/// A [`Fault`] when it can't be started, exits with a code other than 0, or is ended by us.
pub(crate) async fn hook(command: &[String], tenant: &Tenant, run: &str, limits: &Limits) -> Result<(), Fault> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Fault::new(FaultClass::Backup, "the command in [backup] is empty"));
    };
    let mut child = Command::new(program);
    child.args(arguments).env("FLEET_TENANT", tenant.id.as_str()).env("FLEET_ENGINE", tenant.engine.name());
    child.env("FLEET_SERVER", &*tenant.server).env("FLEET_RUN", run);
    tool::run(child, program, limits).await
}

/// A backup fault without an engine error code.
pub(crate) fn broken(text: impl Into<String>) -> Fault {
    Fault::new(FaultClass::Backup, text)
}

/// Creates the file of a dump, readable by its owner only.
pub(crate) fn make_private(file: &Path) -> Result<(), Fault> {
    crate::backup::open_private(file).map(drop).map_err(|error| broken(format!("{}: {error}", file.display())))
}

/// The fault of a load that the engine rolled back as a whole.
pub(crate) fn fault_undone(fault: Fault) -> Fault {
    let text = format!("{}; the restore was rolled back and has changed nothing", fault.message);
    Fault { message: crate::model::fault::bounded(text), ..fault }
}
