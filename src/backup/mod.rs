//! Backups on disk: their files, their manifests, and the runs that made them.
//!
//! It opens no database and knows no dump tool. A backup without its manifest does not exist.

mod folder;
mod manifest;

pub(crate) use folder::{BackupFolder, RunBackups, free_space, may_write, open_private, safe_name};
pub(crate) use manifest::Manifest;
