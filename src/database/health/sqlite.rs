//! What an SQLite file says of itself, and the disk that it is on.
//!
//! The file is not opened for this: another process would notice a lock.

use std::path::Path;

use rustix::fs::{Access, access, statvfs};

use crate::health::Health;

/// Looks at the file and its folder. `version` is the library's; nobody asks it of a file that is still to be made.
pub(in crate::database) fn read(path: &Path, version: Option<&str>) -> Health {
    let mut health = Health::default();
    if let Some(version) = version {
        (health.version, health.number) = (format!("SQLite {version}"), super::number(version));
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    match statvfs(folder) {
        Ok(disk) => health.free_bytes = Some(disk.f_bavail.saturating_mul(disk.f_frsize)),
        Err(error) => health.unknown.push(format!("free space: {error}")),
    }
    // The journal is a file beside the database.
    for place in [path, folder] {
        if place.exists() && access(place, Access::WRITE_OK).is_err() {
            health.missing_rights.push(format!("to write {}", place.display()));
        }
    }
    health
}
