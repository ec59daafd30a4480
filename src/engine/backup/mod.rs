//! Dumps of a tenant's whole content and the way back, by each engine's own means.
//!
//! No password gets into the arguments or the environment of a tool, and no half dump is told as a whole one.

pub(crate) mod secret;
pub(crate) mod tool;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

pub(crate) use self::secret::remove_left_secrets;
pub(crate) use self::tool::Limits;
use crate::model::fault::{Fault, FaultClass};
use crate::model::tenant::{Address, Tenant};

/// Writing all of a tenant to a file, and bringing it back.
#[async_trait]
pub(crate) trait Dump: Send {
    /// About how many bytes a backup takes at the most; `None` where there is nothing yet that could be backed up.
    ///
    /// # Errors
    /// A [`Fault`] when that can't be read.
    async fn footprint(&mut self) -> Result<Option<u64>, Fault> {
        Err(Fault::new(FaultClass::Backup, "this kind of database can't be backed up"))
    }

    /// Writes all of the tenant to a file, as it is at one moment, and checks it. Returns what made it, with its version.
    /// Dying in it: the file is partial, and the tenant as it was.
    ///
    /// # Errors
    /// A [`Fault`]; of class `cancelled` when it was ended by us.
    async fn dump(&mut self, _to: &Transfer<'_>) -> Result<String, Fault> {
        Err(Fault::new(FaultClass::Backup, "this kind of database can't be backed up"))
    }

    /// Brings the tenant back to what a dump has: what is not in it goes. What dying in it leaves is told in
    /// `docs/book/src/design/architecture.md`.
    ///
    /// # Errors
    /// A [`Fault`]. The tenant is as it was, unless [`unfinished`](super::Session::unfinished) says that a restore was begun.
    async fn load(&mut self, _from: &Transfer<'_>) -> Result<(), Fault> {
        Err(Fault::new(FaultClass::Backup, "this kind of database can't be brought back"))
    }
}

/// A file that a tenant's content goes to or comes from, and how long that may take.
#[derive(Debug, Clone)]
pub(crate) struct Transfer<'a> {
    /// The file. A dump makes it.
    pub(crate) file: &'a Path,
    /// The run whose backup it is.
    pub(crate) run: &'a str,
    /// For all of it; zero means no limit.
    pub(crate) limit: Duration,
    /// Ends it: a tool is killed.
    pub(crate) cancel: CancellationToken,
}

impl Transfer<'_> {
    pub(crate) fn limits(&self) -> Limits {
        Limits { limit: self.limit, cancel: self.cancel.clone() }
    }
}

/// What a backup calls the database of a tenant: its name on the server, or the file.
pub(crate) fn database_name(tenant: &Tenant) -> String {
    match tenant.address_for_migrations() {
        Address::File(path) => path.display().to_string(),
        Address::Url(_) => super::address::database(tenant).unwrap_or_default(),
        Address::Unusable(_) => String::new(),
    }
}

/// Runs a command of the operator's that backs one tenant up. It is told which, and no password.
///
/// # Errors
/// A [`Fault`] when it can't be started, ends with anything but 0, or is ended by us.
pub(crate) async fn hook(command: &[String], tenant: &Tenant, run: &str, limits: &Limits) -> Result<(), Fault> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Fault::new(FaultClass::Backup, "the command in [backup] is empty"));
    };
    let mut child = Command::new(program);
    child.args(arguments).env("FLEET_TENANT", tenant.id.as_str()).env("FLEET_ENGINE", tenant.engine.name());
    child.env("FLEET_SERVER", &*tenant.server).env("FLEET_RUN", run);
    tool::run(child, program, limits).await
}

/// A fault of a backup that no engine's code says more of.
pub(crate) fn broken(text: impl Into<String>) -> Fault {
    Fault::new(FaultClass::Backup, text)
}

/// Makes the file of a dump, which only its owner may read.
pub(crate) fn make_private(file: &Path) -> Result<(), Fault> {
    crate::backup::open_private(file).map(drop).map_err(|error| broken(format!("{}: {error}", file.display())))
}

/// A fault of a load that the engine took back as a whole.
pub(crate) fn fault_undone(fault: Fault) -> Fault {
    let text = format!("{}; the restore was rolled back and has changed nothing", fault.message);
    Fault { message: crate::model::fault::bounded(text), ..fault }
}
