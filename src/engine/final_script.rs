//! The final schema of a catalog as one script, with the rows of its migrations: a template where an engine can't copy a database.
//!
//! It is written by the engine's own dump program from a scratch database on which the migrations ran, and is used only if a second
//! one, made by the script, has the same schema and gives the same script again.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::provision::{Fill, Site, Template, TemplateName, no_copies};
use super::{Database, ScratchPlace, Transfer};
use crate::model::fault::{Fault, FaultClass};
use crate::model::shape::{EVENT_START, Other, Shape};
use crate::model::tenant::Tenant;
use crate::model::text::hex;

/// The first line of a script, before its [`Made`] as JSON.
const HEAD: &str = "-- fleet template ";

/// The result of a script, and what stood beside it where it was written.
#[derive(Serialize, Deserialize)]
struct Made {
    /// Of the schema that the script makes.
    fingerprint: String,
    /// Beside the schema: no dump of a schema has it, so it has to be there already where the script is loaded.
    beside: Vec<Other>,
}

/// The place where a script is made and proven.
pub(super) struct Workshop<'a> {
    pub(super) site: &'a Site,
    pub(super) place: ScratchPlace,
    /// Everything about the server that the text of a script depends on: another one has a script of its own.
    pub(super) server: String,
    /// Turns a scratch database into a tenant of the kind that is wanted; the second one is a copy.
    pub(super) as_tenant: fn(Tenant, bool) -> Tenant,
}

impl Workshop<'_> {
    /// The script of this name, which is made if it is missing. Dying in it: scratch databases and a partial file stay; the
    /// former are swept later, the latter is never read.
    ///
    /// # Errors
    /// A [`Fault`]: the script can't be made, or does not make the same database.
    pub(super) async fn script(&self, name: &TemplateName, fill: &Fill<'_>) -> Result<Template, Fault> {
        let folder = template_folder(self.site)?;
        let server = hex(&Sha256::digest(&self.server)[..4]);
        let file = folder.join(format!("{}_{server}.sql", name.whole()));
        if file.exists() {
            return Ok(Template::Script(file));
        }
        let parts = ["first", "second"].map(|part| {
            let mut path = file.clone().into_os_string();
            path.push(format!(".{:08x}.{part}.partial", fastrand::u32(..)));
            PathBuf::from(path)
        });
        let made = self
            .proven(&parts, fill)
            .await
            .and_then(|()| std::fs::rename(&parts[0], &file).map_err(|error| failed(&file, &error)));
        for part in &parts {
            let _ = std::fs::remove_file(part);
        }
        made?;
        remove_older(folder, name);
        Ok(Template::Script(file))
    }

    async fn proven(&self, [first, second]: &[PathBuf; 2], fill: &Fill<'_>) -> Result<(), Fault> {
        let made = async |scratch: Arc<Tenant>| {
            let scratch = Arc::new((self.as_tenant)(Tenant::clone(&scratch), false));
            fill(scratch.clone()).await?;
            self.write(&scratch, first, None).await
        };
        self.place.settle(made).await?;
        let copied = async |scratch: Arc<Tenant>| {
            let scratch = Arc::new((self.as_tenant)(Tenant::clone(&scratch), true));
            let made = head(first).map_err(|error| failed(first, &error))?;
            made.compare(&loaded(&*self.site.door, &scratch, first).await?)?;
            self.write(&scratch, second, Some(made.beside)).await
        };
        self.place.settle(copied).await?;
        let same = || -> io::Result<bool> { Ok(std::fs::read(first)? == std::fs::read(second)?) };
        match same().map_err(|error| failed(first, &error))? {
            true => Ok(()),
            false => {
                Err(no_copies("a database made by the script of its final schema is not dumped in the same words"))
            }
        }
    }

    /// Writes the script of a database below its head. `beside` is what the first one had beside it, for a copy.
    async fn write(&self, scratch: &Arc<Tenant>, file: &Path, beside: Option<Vec<Other>>) -> Result<(), Fault> {
        let mut session = self.site.door.connect(scratch).await?;
        let written = async {
            let shape = session.shape().await?;
            if shape.others.iter().any(begins_when_made) {
                return Err(no_copies(
                    "an event begins when it is made, and a dump would give it the moment of the template",
                ));
            }
            session.dump_script(&transfer(file)).await?;
            let own = || shape.others.iter().filter(|other| other.is_beside()).cloned().collect();
            let made = Made { beside: beside.unwrap_or_else(own), fingerprint: fingerprint(shape) };
            with_head(file, &made).map_err(|error| failed(file, &error))
        }
        .await;
        session.close().await;
        written
    }
}

/// Makes an empty tenant by a script, and compares its schema with the one that the script is known to make.
///
/// Dying in it: PostgreSQL has nothing of it, or all. MySQL has a part, and the journal says that a dump is being loaded.
///
/// # Errors
/// A [`Fault`]: the tenant may have any part of it, or its database lacks something that the migrations make beside the schema.
pub(super) async fn load(door: &dyn Database, tenant: &Arc<Tenant>, script: &Path) -> Result<(), Fault> {
    let made = head(script).map_err(|error| failed(script, &error))?;
    let shape = loaded(door, tenant, script).await?;
    match made.beside.iter().find(|other| !other.is_in(&shape)) {
        None => made.compare(&shape),
        Some(Other { kind, name, .. }) => Err(no_copies(&format!(
            "the migrations make the {kind} {name}, which stands beside the schema and is not so in this database"
        ))),
    }
}

async fn loaded(door: &dyn Database, tenant: &Arc<Tenant>, script: &Path) -> Result<Shape, Fault> {
    let mut session = door.connect(tenant).await?;
    let shape = async {
        session.load_script(&transfer(script)).await?;
        session.shape().await
    }
    .await;
    session.close().await;
    shape
}

impl Made {
    fn compare(&self, shape: &Shape) -> Result<(), Fault> {
        match fingerprint(shape.clone()) == self.fingerprint {
            true => Ok(()),
            false => Err(no_copies("the schema that the script of the final schema makes here is another one")),
        }
    }
}

/// Whether it is an event that is repeated and has no start of its own. A second database that is made within the same second has the
/// same one, so that no comparison would find it.
fn begins_when_made(other: &Other) -> bool {
    other.kind == "event" && !other.definition.starts_with(EVENT_START) && other.definition.contains("RECURRING")
}

/// Of the schema, without what stands beside it in its database.
fn fingerprint(mut shape: Shape) -> String {
    shape.others.retain(|other| !other.is_beside());
    shape.fingerprint()
}

fn transfer(file: &Path) -> Transfer<'_> {
    let cancel = CancellationToken::new();
    Transfer { file, run: "provision", limit: Duration::ZERO, cancel, trial: None }
}

fn head(script: &Path) -> io::Result<Made> {
    let mut line = String::new();
    BufReader::new(File::open(script)?).read_line(&mut line)?;
    Ok(serde_json::from_str(line.strip_prefix(HEAD).unwrap_or_default())?)
}

fn with_head(file: &Path, made: &Made) -> io::Result<()> {
    let body = std::fs::read(file)?;
    // The rows of migrations may be private.
    let mut out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    out.write_all(format!("{HEAD}{}\n", serde_json::to_string(made)?).as_bytes())?;
    out.write_all(&body)?;
    out.sync_all()
}

/// The folder of templates that are files.
pub(super) fn template_folder(site: &Site) -> Result<&PathBuf, Fault> {
    let none = || no_copies("there is no folder for templates: neither XDG_CACHE_HOME nor HOME is set");
    let folder = site.cache.as_ref().ok_or_else(none)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| failed(folder, &error))?;
    Ok(folder)
}

/// Removes templates of the same program for other catalogs.
pub(super) fn remove_older(folder: &Path, name: &TemplateName) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let own = entry.file_name().to_string_lossy().into_owned();
        let is_template = own.ends_with(".db") || own.ends_with(".sql");
        if own.starts_with(&name.prefix()) && !own.starts_with(&name.whole()) && is_template {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

pub(super) fn failed(path: &Path, error: &io::Error) -> Fault {
    Fault::new(FaultClass::UnknownDatabase, format!("{}: {error}", path.display()))
}
