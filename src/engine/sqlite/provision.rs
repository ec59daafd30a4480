//! A new tenant's file: a copy of a template under a second name, which is its mark.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use async_trait::async_trait;

use crate::engine::ScratchPlace;
use crate::engine::final_script::{failed, remove_older, template_folder};
use crate::engine::provision::{Fill, Ground, Provisioner, Site, Template, TemplateName, no_copies, taken};
use crate::engine::sqlite::file::{beside, make_folder};
use crate::model::fault::{Fault, FaultClass};
use crate::model::tenant::{Address, Tenant};

pub(in crate::engine) struct Provision;

/// The suffix of the second name.
pub(super) const MARK: &str = ".fleet-provision";

#[async_trait]
impl Provisioner for Provision {
    async fn ground(&self, site: &Site) -> Result<Ground, Fault> {
        let path = path(&site.tenant)?;
        for ending in ["-wal", "-journal"] {
            let left = beside(path, ending);
            if left.exists() && !path.exists() {
                return Ok(Ground::Taken(format!("{} of a former database is there", left.display())));
            }
        }
        let Ok(found) = std::fs::metadata(path) else {
            // A link that leads nowhere is no place for a copy.
            return Ok(match path.is_symlink() {
                true => Ground::Taken(format!("{} is a link to a file that is missing", path.display())),
                false => Ground::Missing,
            });
        };
        let is_marked = std::fs::metadata(beside(path, MARK)).is_ok_and(|mark| same(&mark, &found));
        Ok(match found.len() {
            _ if is_marked => Ground::Ours,
            0 => Ground::Empty,
            bytes => Ground::Taken(format!("the file {} has {bytes} bytes", path.display())),
        })
    }

    /// Dying before the link: a file of our own name, which is replaced. Behind it: the whole file, with its mark.
    async fn make(&self, site: &Site, template: Option<&Template>) -> Result<(), Fault> {
        let path = path(&site.tenant)?;
        let mark = beside(path, MARK);
        if path.exists() {
            return Ok(());
        }
        make_folder(path)?;
        let copied = || -> io::Result<()> {
            if mark.exists() {
                std::fs::remove_file(&mark)?;
            }
            let mut copy = OpenOptions::new().write(true).create_new(true).open(&mark)?;
            if let Some(Template::File(template)) = template {
                io::copy(&mut File::open(template)?, &mut copy)?;
            }
            copy.sync_all()
        };
        copied().map_err(|error| failed(&mark, &error))?;
        std::fs::hard_link(&mark, path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => taken(path),
            _ => failed(path, &error),
        })
    }

    async fn finish(&self, site: &Site) -> Result<(), Fault> {
        let mark = beside(path(&site.tenant)?, MARK);
        std::fs::remove_file(&mark).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(failed(&mark, &error)),
        })
    }

    async fn template(&self, site: &Site, name: &TemplateName, fill: &Fill<'_>) -> Result<Template, Fault> {
        let folder = template_folder(site)?;
        let file = folder.join(format!("{}.db", name.whole()));
        if file.exists() {
            return Ok(Template::File(file));
        }
        let settle = async |scratch: std::sync::Arc<Tenant>| {
            let made = path(&scratch)?.to_owned();
            fill(scratch).await?;
            if std::fs::metadata(beside(&made, "-wal")).is_ok_and(|wal| wal.len() > 0) {
                return Err(no_copies("the template's write-ahead log was not ended"));
            }
            let partial = beside(&file, &format!(".{:08x}.partial", fastrand::u32(..)));
            let copied = || -> io::Result<()> {
                // The rows of migrations may be private.
                let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
                io::copy(&mut File::open(&made)?, &mut copy)?;
                copy.sync_all()?;
                std::fs::rename(&partial, &file)
            };
            copied().map_err(|error| {
                let _ = std::fs::remove_file(&partial);
                failed(&partial, &error)
            })
        };
        ScratchPlace::Folder(folder.clone()).settle(settle).await?;
        remove_older(folder, name);
        Ok(Template::File(file))
    }
}

fn path(tenant: &Tenant) -> Result<&PathBuf, Fault> {
    match tenant.address_for_migrations() {
        Address::File(path) => Ok(path),
        _ => Err(Fault::new(FaultClass::BadAddress, "an SQLite tenant needs a file")),
    }
}

fn same(one: &std::fs::Metadata, other: &std::fs::Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}
