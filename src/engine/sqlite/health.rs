//! The health of an SQLite file, the processes that lock it, and its disk.
//!
//! The file is not opened: another process would notice the lock.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use rustix::fs::{Access, access};

use crate::engine::HealthCheck;
use crate::engine::health::number;
use crate::engine::queries::Queries as _;
use crate::engine::sqlite::{SqliteSession, file};
use crate::model::fault::Fault;
use crate::model::health::{Health, Questions};
use crate::model::load::ServerLoad;
use crate::model::outcome::Blocker;

/// A lock that is still held after this time is not transient.
const SECOND_LOOK: Duration = Duration::from_millis(200);

#[async_trait]
impl HealthCheck for SqliteSession {
    /// The version is the library's, known only from an open file.
    async fn health(&mut self, ask: &Questions) -> Result<Health, Fault> {
        let mut health = Health::default();
        if !self.is_missing() {
            let rows = self.rows("SELECT sqlite_version()".to_owned()).await?;
            let version = rows.first().map(|row| row.must(0)).unwrap_or_default();
            (health.number, health.version) = (number(&version), format!("SQLite {version}"));
        }
        let path = self.path.as_path();
        let folder = path.parent().unwrap_or(Path::new("."));
        match crate::backup::free_space(folder) {
            Ok(free) => health.free_bytes = Some(free),
            Err(error) => health.unknown.push(format!("free space: {error}")),
        }
        // The journal is a file beside the database.
        for place in [path, folder] {
            if place.exists() && access(place, Access::WRITE_OK).is_err() {
                health.missing_rights.push(format!("to write {}", place.display()));
            }
        }
        // The kernel stops all lockers for its list, and takes 10 to 20 ms for that: a run names the holder that it meets.
        if ask.closely {
            health.file_holders = holders(path).await;
        }
        Ok(health)
    }

    /// A file has a disk, and nothing else that another session would load.
    async fn server_load(&mut self) -> Result<ServerLoad, Fault> {
        let mut load = ServerLoad::default();
        match crate::backup::free_space(self.path.parent().unwrap_or(Path::new("."))) {
            Ok(free) => load.free_bytes = Some(free),
            Err(error) => _ = load.unknown.insert("free_bytes".to_owned(), error.to_string()),
        }
        Ok(load)
    }
}

/// The processes that hold, and keep, a lock that blocks a migration.
async fn holders(path: &Path) -> Vec<Blocker> {
    let first = file::in_the_way(path);
    if first.is_empty() {
        return Vec::new();
    }
    tokio::time::sleep(SECOND_LOOK).await;
    file::in_the_way(path).into_iter().filter(|now| first.iter().any(|then| then.id == now.id)).collect()
}
