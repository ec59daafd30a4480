//! The schemas of versions that `check` has made on scratch databases, kept for the next time in the user's cache folder.
//!
//! It decides nothing: a file that is missing, broken or not for this key is as if there were none.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::files;
use super::setup::Program;
use crate::check::drift::Version;
use crate::compile::{Form, MigrationSet};
use crate::model::live_schema::LiveSchema;
use crate::model::program;
use crate::model::schema::{Direction, VersionSchema};
use crate::model::tenant::Engine;
use crate::model::text::hex;

/// The most bytes of all files together; the oldest go first.
const MOST_BYTES: u64 = 64 << 20;

/// The form of a file, changed with that of a schema, and with what is read of one or how it is spelled.
const FORM: u32 = 2;

/// One file.
#[derive(Serialize, Deserialize)]
struct Entry {
    form: u32,
    /// The key as a whole: the file's name is made of it.
    key: String,
    /// Of the schema's text.
    sha256: String,
    schema: String,
}

/// The folder, and the part of the keys that all versions share, for each engine that was asked for.
pub(super) struct SchemaCache {
    /// None with `--no-cache`, or without a place for it.
    folder: Option<PathBuf>,
    engines: Vec<(Engine, String)>,
    /// The products of the tenants' servers, with their versions: another version may say the same schema in other words.
    products: BTreeSet<String>,
}

impl SchemaCache {
    pub(super) fn off() -> Self {
        SchemaCache { folder: None, engines: Vec::new(), products: BTreeSet::new() }
    }

    /// The cache for these migrations, for these tenants.
    pub(super) async fn of(program: &Program, set: &MigrationSet, schemas: &[LiveSchema]) -> Self {
        let mut engines = Vec::new();
        for engine in schemas.iter().map(|schema| schema.variant.engine()).collect::<BTreeSet<_>>() {
            engines.push((engine, catalog(program, set, engine).await));
        }
        let products = schemas.iter().map(|schema| schema.product.clone()).collect();
        SchemaCache { folder: files::cache("schemas"), engines, products }
    }

    /// A schema that was made on a server of the version of a tenant's: behind an upgrade it is made again.
    pub(super) fn get(&self, version: &Version) -> Option<VersionSchema> {
        let (path, key) = self.place(version)?;
        let entry: Entry = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        let is_whole = entry.form == FORM && entry.key == key && entry.sha256 == sha256(&entry.schema);
        let schema: VersionSchema = serde_json::from_str(&entry.schema).ok().filter(|_| is_whole)?;
        Some(schema).filter(|schema| self.products.contains(&schema.product))
    }

    /// Keeps a schema. Dying in it: the file is there as a whole, or not at all. Where it can't be written, the next `check` makes the
    /// schema again.
    pub(super) fn put(&self, version: &Version, schema: &VersionSchema) {
        let (Some((path, key)), Ok(schema)) = (self.place(version), serde_json::to_string(schema)) else { return };
        let entry = Entry { form: FORM, key, sha256: sha256(&schema), schema };
        let (Some(folder), Ok(text)) = (&self.folder, serde_json::to_string(&entry)) else { return };
        if std::fs::create_dir_all(folder).is_ok() && files::write(&path, &text).is_ok() {
            trim(folder);
        }
    }

    fn place(&self, version: &Version) -> Option<(PathBuf, String)> {
        let (_, catalog) = self.engines.iter().find(|(engine, _)| *engine == version.engine)?;
        let applied = &version.applied;
        let key =
            format!("{catalog} {} {} {:?} {:?}", version.engine, version.product, applied.versions, applied.repeatable);
        Some((self.folder.as_ref()?.join(format!("{}.json", sha256(&key))), key))
    }
}

/// A hash of everything that a schema is made from: the scripts as they are sent, the program, which Rust code is a part of, and the
/// scratch server.
async fn catalog(program: &Program, set: &MigrationSet, engine: Engine) -> String {
    let mut hash = Sha256::new();
    hash.update(program::version());
    let file = std::env::current_exe().and_then(std::fs::metadata);
    hash.update(format!("{:?}", file.ok().map(|file| (file.len(), file.modified().ok()))));
    if let Some(url) = program.settings().scratch.url(engine) {
        hash.update(secrecy::ExposeSecret::expose_secret(url));
    }
    for variant in set.variants().into_iter().filter(|variant| variant.engine() == engine) {
        let scripts = set.compile(variant, Direction::Up, 0..set.catalog().migrations.len(), Form::default()).await;
        for script in scripts.iter() {
            hash.update(format!("\n{} {} {:?}", script.migration, script.sha256, script.execution));
        }
    }
    hex(&hash.finalize())
}

/// Removes the oldest files until the rest has at most [`MOST_BYTES`].
fn trim(folder: &Path) {
    let Ok(entries) = folder.read_dir() else { return };
    let file = |entry: std::fs::DirEntry| {
        let of = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
        Some((of.modified().unwrap_or(SystemTime::UNIX_EPOCH), of.len(), entry.path()))
    };
    let mut files: Vec<(SystemTime, u64, PathBuf)> = entries.flatten().filter_map(file).collect();
    let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
    files.sort();
    for (_, of, path) in files {
        if bytes <= MOST_BYTES {
            return;
        }
        bytes -= of;
        let _ = std::fs::remove_file(path);
    }
}

fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::AppliedSet;

    #[test]
    fn a_schema_of_another_version_of_the_server_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let of = |product: &str| SchemaCache {
            folder: Some(folder.path().to_owned()),
            engines: vec![(Engine::Postgres, "catalog".to_owned())],
            products: [product.to_owned()].into(),
        };
        let version =
            Version { engine: Engine::Postgres, product: "PostgreSQL".to_owned(), applied: AppliedSet::default() };
        let schema = VersionSchema { product: "PostgreSQL 15.4".to_owned(), ..VersionSchema::default() };
        of("PostgreSQL 15.4").put(&version, &schema);
        assert!(of("PostgreSQL 15.4").get(&version).is_some());
        assert!(of("PostgreSQL 16.1").get(&version).is_none());
    }
}
