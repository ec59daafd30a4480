//! Temporary databases, created to try something out and dropped afterwards.
//!
//! None is ever a tenant's database: each gets a generated name, and only names of that form are dropped. When the
//! process dies its database stays, with nobody connected to it; the next process that creates a scratch database on that
//! server a minute later removes it.

use std::fs::{DirBuilder, File};
use std::future::Future;
use std::os::unix::fs::DirBuilderExt as _;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::address;
use super::driver::driver;
use super::queries::SideConnection;
use crate::engine::mysql;
use crate::model::clock::unix_now;
use crate::model::engine::{Engine, Variant};
use crate::model::fault::{Fault, FaultClass};
use crate::model::tenant::{Address, Tenant};

/// An engine's servers, on which databases can be created and dropped.
#[async_trait]
pub(crate) trait ScratchServer: Sync {
    /// A connection to any database on the server.
    async fn connect(&self, url: &str) -> Result<Box<dyn SideConnection>, Fault>;

    /// The query for databases with names like those of scratch databases, which no session uses.
    fn list(&self) -> &'static str;

    fn create(&self, name: &str) -> String;

    /// Marks a database as used, as long as this connection to it lives, and however long it is silent.
    fn keep(&self, name: &str) -> String;

    /// Drops a database, and ends the sessions still running in it.
    async fn drop(&self, connection: &mut dyn SideConnection, name: &str) -> Result<(), Fault>;
}

/// The prefix of scratch database names; the creation time in seconds since 1970 and a number follow.
pub(super) const PREFIX: &str = "fleet_scratch_";

/// The age from which an unused scratch database counts as left behind: it is used from its creation on.
const LEFT_BEHIND: Duration = Duration::from_secs(60);

/// Marks a scratch database as used until it is dropped, or until the process dies.
enum InUse {
    /// The folder, locked.
    Folder(#[expect(dead_code, reason = "it is held for its lock")] File),
    /// A connection to the database.
    Server(Box<dyn SideConnection>),
}

/// A place where scratch databases of one engine are created.
#[derive(Clone)]
pub(crate) enum ScratchPlace {
    /// SQLite files, each in a folder of its own within this one.
    Folder(PathBuf),
    /// On a server: the URL of any database on it that the user may connect to.
    Server(Engine, SecretString),
}

impl ScratchPlace {
    /// This machine's folder for temporary files.
    pub(crate) fn temporary() -> Self {
        ScratchPlace::Folder(std::env::temp_dir())
    }

    /// The server of a tenant, with the rights that its user has there.
    ///
    /// # Errors
    /// A [`Fault`] when the tenant has no URL.
    pub(crate) fn beside(tenant: &Tenant) -> Result<Self, Fault> {
        Ok(ScratchPlace::Server(tenant.engine, SecretString::from(address::url(tenant)?.to_owned())))
    }

    /// The engine of the databases created here.
    pub(crate) fn engine(&self) -> Engine {
        match self {
            ScratchPlace::Folder(_) => Engine::OF_FILES,
            ScratchPlace::Server(engine, _) => *engine,
        }
    }

    /// The part of a script that the databases created here are sent. Of a server that does not answer it is not known; then no
    /// database is created either.
    pub(crate) async fn variant(&self) -> Variant {
        let ScratchPlace::Server(engine, url) = self else { return self.engine().into() };
        let Ok(tenant) = self.tenant("any") else { return self.engine().into() };
        if let Ok((_, mut connection)) = connect(*engine, url).await {
            let _ = mysql::learn(&tenant, &mut *connection).await;
            connection.close().await;
        }
        tenant.variant()
    }

    /// Creates a database, passes it to `work` as a tenant, and drops it: even if `work` panics, or if `stop` ends
    /// first, which gives `None`. `tell` receives the databases that were left behind and are now removed, and those
    /// that could not be dropped.
    ///
    /// Dying in it: the database stays, unused, and is swept later.
    ///
    /// # Errors
    /// A [`Fault`] when no database can be created; `work` was not started.
    ///
    /// # Panics
    /// If `work` panics, once the database is dropped.
    pub(crate) async fn with<T>(
        &self,
        stop: impl Future<Output = ()>,
        tell: &(dyn Fn(String) + Sync),
        work: impl AsyncFnOnce(Arc<Tenant>) -> T,
    ) -> Result<Option<T>, Fault> {
        let mut stop = std::pin::pin!(stop);
        let swept = tokio::select! {
            biased;
            () = &mut stop => return Ok(None),
            swept = self.sweep() => swept?,
        };
        for name in swept {
            tell(format!("removed {name}, a scratch database of {} that was left behind", self.engine()));
        }
        let name = Self::new_name();
        let tenant = Arc::new(self.tenant(&name)?);
        self.create(&name).await?;
        let in_use = self.keep(&name).await;
        let result = tokio::select! {
            biased;
            () = &mut stop => Ok(None),
            result = AssertUnwindSafe(work(tenant)).catch_unwind() => result.map(Some),
        };
        if let Some(InUse::Server(connection)) = in_use {
            connection.close().await;
        }
        if let Err(fault) = self.drop(&name).await {
            tell(format!("the scratch database {name} of {} could not be dropped: {fault}", self.engine()));
        }
        result.map_or_else(|panic| std::panic::resume_unwind(panic), Ok)
    }

    /// Whether a file is a scratch database.
    pub(crate) fn is_one(file: &Path) -> bool {
        let folder = file.parent().and_then(|folder| folder.file_name()?.to_str());
        folder.is_some_and(|name| made_at(name).is_some())
    }

    /// A new name of a scratch database.
    pub(crate) fn new_name() -> String {
        format!("{PREFIX}{:x}_{:08x}", unix_now(), fastrand::u32(..))
    }

    /// Creates a database for `work`, which may give it another name for good, and drops it if it has this one still.
    ///
    /// Dying in it: the database stays, unused, and is swept later.
    ///
    /// # Errors
    /// A [`Fault`] when no database can be created, or that of `work`.
    pub(crate) async fn settle<T>(&self, work: impl AsyncFnOnce(Arc<Tenant>) -> Result<T, Fault>) -> Result<T, Fault> {
        self.sweep().await?;
        let name = Self::new_name();
        let tenant = Arc::new(self.tenant(&name)?);
        self.create(&name).await?;
        let result = work(tenant).await;
        let _ = self.drop(&name).await;
        result
    }

    /// Drops the databases left behind. Returns their names.
    async fn sweep(&self) -> Result<Vec<String>, Fault> {
        let mut gone = Vec::new();
        for name in self.names().await?.into_iter().filter(|name| is_left_behind(name, unix_now())) {
            // Another process may be sweeping at the same time.
            if self.drop(&name).await.is_ok() {
                gone.push(name);
            }
        }
        Ok(gone)
    }

    /// The databases here with a scratch database's name that nobody uses.
    async fn names(&self) -> Result<Vec<String>, Fault> {
        let mut names: Vec<String> = match self {
            ScratchPlace::Folder(folder) => {
                let entries = std::fs::read_dir(folder).map_err(|error| io(folder, &error))?;
                let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
                let is_free = |name: &String| File::open(folder.join(name)).is_ok_and(|it| it.try_lock().is_ok());
                names.filter(|name| made_at(name).is_some()).filter(is_free).collect()
            }
            ScratchPlace::Server(engine, url) => {
                let (server, mut connection) = connect(*engine, url).await?;
                let rows = connection.rows(server.list().to_owned()).await?;
                connection.close().await;
                rows.iter().filter_map(|row| row.text(0)).collect()
            }
        };
        names.retain(|name| made_at(name).is_some());
        names.sort_unstable();
        Ok(names)
    }

    async fn create(&self, name: &str) -> Result<(), Fault> {
        assert!(made_at(name).is_some(), "{name} is no scratch database");
        match self {
            ScratchPlace::Folder(folder) => {
                let folder = folder.join(name);
                // Readable by its owner only: the tried content may be private data.
                DirBuilder::new().mode(0o700).create(&folder).map_err(|error| io(&folder, &error))
            }
            ScratchPlace::Server(engine, url) => {
                let (server, mut connection) = connect(*engine, url).await?;
                let created = connection.run(server.create(name)).await;
                connection.close().await;
                created
            }
        }
    }

    /// `None`: nothing marks it, but for the sessions that the work itself opens.
    async fn keep(&self, name: &str) -> Option<InUse> {
        match self {
            ScratchPlace::Folder(folder) => {
                let folder = File::open(folder.join(name)).ok()?;
                folder.try_lock().ok()?;
                Some(InUse::Folder(folder))
            }
            ScratchPlace::Server(engine, _) => {
                let url = self.url(name).ok()?;
                let (server, mut connection) = connect(*engine, &url).await.ok()?;
                // A server without such a setting or lock still has the session.
                let _ = connection.run(server.keep(name)).await;
                Some(InUse::Server(connection))
            }
        }
    }

    async fn drop(&self, name: &str) -> Result<(), Fault> {
        assert!(made_at(name).is_some(), "{name} is no scratch database");
        match self {
            ScratchPlace::Folder(folder) => {
                let folder = folder.join(name);
                std::fs::remove_dir_all(&folder).map_err(|error| io(&folder, &error))
            }
            ScratchPlace::Server(engine, url) => {
                let (server, mut connection) = connect(*engine, url).await?;
                let dropped = server.drop(&mut *connection, name).await;
                connection.close().await;
                dropped
            }
        }
    }

    fn url(&self, name: &str) -> Result<SecretString, Fault> {
        let ScratchPlace::Server(_, url) = self else { return Err(bad_url()) };
        let mut url = Url::parse(url.expose_secret()).map_err(|_| bad_url())?;
        url.set_path(name);
        Ok(SecretString::from(String::from(url)))
    }

    fn tenant(&self, name: &str) -> Result<Tenant, Fault> {
        let address = match self {
            ScratchPlace::Folder(folder) => Address::File(folder.join(name).join("scratch.db")),
            ScratchPlace::Server(..) => Address::Url(self.url(name)?),
        };
        // Nobody else knows its name, so that it has a single writer.
        let apart = Tenant::apart(name, self.engine(), address);
        Ok(Tenant { server: "scratch".into(), create_missing: true, single_writer: true, ..apart })
    }
}

/// The creation time of a database, in seconds since 1970, from its name; `None` for a database that is not ours.
fn made_at(name: &str) -> Option<u64> {
    let (seconds, number) = name.strip_prefix(PREFIX)?.split_once('_')?;
    let is_hex = |text: &str| !text.is_empty() && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    (is_hex(seconds) && number.len() == 8 && is_hex(number)).then(|| u64::from_str_radix(seconds, 16).ok())?
}

fn is_left_behind(name: &str, now: u64) -> bool {
    made_at(name).is_some_and(|made| now.saturating_sub(made) > LEFT_BEHIND.as_secs())
}

fn io(folder: &Path, error: &std::io::Error) -> Fault {
    Fault::new(FaultClass::UnknownDatabase, format!("{}: {error}", folder.display()))
}

pub(super) fn bad_url() -> Fault {
    Fault::new(FaultClass::BadAddress, "the scratch server's URL can't be used by the driver")
}

/// The time limit to reach a scratch server and log in.
const CONNECT: Duration = Duration::from_secs(30);

async fn connect(
    engine: Engine,
    url: &SecretString,
) -> Result<(&'static dyn ScratchServer, Box<dyn SideConnection>), Fault> {
    let server = driver(engine).scratch().ok_or_else(bad_url)?;
    let late = |_| Fault::new(FaultClass::ConnectTimeout, "the scratch server did not answer within 30s");
    let connected = tokio::time::timeout(CONNECT, server.connect(url.expose_secret())).await;
    Ok((server, connected.map_err(late)??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_ever_left_behind() {
        let age = LEFT_BEHIND.as_secs();
        assert!(is_left_behind("fleet_scratch_10_0123abcd", 0x10 + age + 1));
        assert!(!is_left_behind("fleet_scratch_10_0123abcd", 0x10 + age));
        for other in ["fleet_scratch_", "fleet_scratch_10", "fleet_scratch_10_x", "acme", "fleet_scratch_1g_0123abcd"] {
            assert!(!is_left_behind(other, u64::MAX), "{other}");
        }
    }

    #[tokio::test]
    async fn a_folder_is_removed_whatever_happens_and_old_ones_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let place = ScratchPlace::Folder(folder.path().to_owned());
        let old = folder.path().join("fleet_scratch_10_0123abcd");
        std::fs::create_dir(&old).unwrap();
        std::fs::create_dir(folder.path().join("mine")).unwrap();
        let used = folder.path().join("fleet_scratch_11_0123abcd");
        std::fs::create_dir(&used).unwrap();
        let lock = File::open(&used).unwrap();
        lock.lock().unwrap();
        let told = std::sync::Mutex::new(Vec::new());
        let tell = |text: String| told.lock().unwrap().push(text);
        let path = place
            .with(std::future::pending(), &tell, async |tenant: Arc<Tenant>| {
                let Address::File(path) = tenant.address.clone() else { panic!("a file") };
                std::fs::write(&path, "").unwrap();
                path
            })
            .await
            .unwrap()
            .unwrap();
        assert!(!path.exists() && !old.exists() && used.exists() && folder.path().join("mine").exists());
        drop(lock);
        assert!(told.lock().unwrap()[0].contains("fleet_scratch_10_0123abcd"), "{told:?}");

        let stopped = place.with(async {}, &tell, async |_| std::future::pending::<()>().await).await.unwrap();
        assert_eq!(stopped, None);
        let panics = place.with(std::future::pending(), &tell, async |_| panic!("planted"));
        assert!(AssertUnwindSafe(panics).catch_unwind().await.is_err());
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["mine"]);
    }
}
