//! Backups on disk: their files, what each says of itself, and which runs have any.
//!
//! It opens no database and knows no tool that dumps one. A backup without its manifest does not exist.

mod folder;
mod manifest;

pub(crate) use folder::{BackupFolder, RunBackups, free_space, may_write, open_private};
pub(crate) use manifest::Manifest;
