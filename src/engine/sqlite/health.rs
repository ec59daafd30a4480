//! What an SQLite file says of itself, who has it, and the disk that it is on.
//!
//! The file is not opened for this: another process would notice a lock.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use rustix::fs::{Access, access};
use sqlx::Row as _;

use crate::engine::HealthCheck;
use crate::engine::sqlite::{SqliteSession, file};
use crate::model::fault::Fault;
use crate::model::health::{FileHolder, Health, Questions};

/// A lock that is still there after this time is no passing one.
const SECOND_LOOK: Duration = Duration::from_millis(200);

#[async_trait]
impl HealthCheck for SqliteSession {
    async fn health(&mut self, _: &Questions) -> Result<Health, Fault> {
        if self.connection.is_none() && !self.path.exists() {
            return Ok(read(&self.path, None).await);
        }
        let rows = self.rows("SELECT sqlite_version()".to_owned()).await?;
        let version: String = rows.first().and_then(|row| row.try_get(0).ok()).unwrap_or_default();
        Ok(read(&self.path, Some(&version)).await)
    }
}

/// Looks at the file and its folder. `version` is the library's, which only an open file has told.
async fn read(path: &Path, version: Option<&str>) -> Health {
    let mut health = Health {
        version: version.map(|version| format!("SQLite {version}")).unwrap_or_default(),
        number: version.map(crate::engine::health::number).unwrap_or_default(),
        ..Health::default()
    };
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
    health.file_holders = holders(path).await;
    health
}

/// The processes that have a lock which keeps a migration out, and keep it.
async fn holders(path: &Path) -> Vec<FileHolder> {
    let first = file::in_the_way(path);
    if first.is_empty() {
        return Vec::new();
    }
    tokio::time::sleep(SECOND_LOOK).await;
    let still = file::in_the_way(path).into_iter().filter(|now| first.iter().any(|then| then.id == now.id));
    still.map(|now| FileHolder { pid: now.id, program: now.application.unwrap_or_default() }).collect()
}
