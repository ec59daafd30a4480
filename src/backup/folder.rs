//! The folder of a run's backups: file names, and the order in which files are written.
//!
//! Wherever the process dies, the result is a whole backup with its manifest, or files that do not count as one.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::manifest::{Manifest, sha256_of};
use crate::model::tenant::{Engine, TenantId};
use crate::model::text::hex;

/// The extension of a file that is being written.
const PARTIAL: &str = "partial";

/// Maximum length of a name: file systems allow 255 bytes, and the extensions need a few.
const LONGEST_NAME: usize = 180;

/// The folder of the backups of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BackupFolder {
    path: PathBuf,
}

/// The backups of one run, read from its folder.
#[derive(Debug, Clone)]
pub(crate) struct RunBackups {
    /// The run's id: the folder's name.
    pub(crate) run: String,
    /// The folder.
    pub(crate) path: PathBuf,
    /// The readable manifests, by tenant.
    pub(crate) manifests: Vec<Manifest>,
    /// Incomplete backups and those without their file: file names, sorted.
    pub(crate) broken: Vec<String>,
}

/// A backup that is being written. Dropping it removes the partial file.
#[derive(Debug)]
pub(crate) struct Draft {
    /// The file that receives its content.
    pub(crate) partial: PathBuf,
    file: PathBuf,
    manifest: PathBuf,
}

/// A tenant's id as a file name. No two ids share one, even on file systems that ignore case.
pub(crate) fn safe_name(tenant: &TenantId) -> String {
    let mut name = String::new();
    for byte in tenant.as_str().bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    if name.len() <= LONGEST_NAME {
        return name;
    }
    let digest = Sha256::digest(tenant.as_str());
    let hash = hex(&digest[..16]);
    // Short names never contain this character, so it can't be another tenant's whole name.
    format!("{}~{hash}", &name[..LONGEST_NAME - 40])
}

/// The free space available to us on the disk of a folder, in bytes.
///
/// # Errors
/// When the file system does not report it.
pub(crate) fn free_space(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Whether this user may create files in a folder.
pub(crate) fn may_write(folder: &Path) -> bool {
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok()
}

/// Creates a file that only its owner may read; an existing one is truncated.
///
/// # Errors
/// When it can't be created.
pub(crate) fn open_private(file: &Path) -> io::Result<File> {
    let _ = std::fs::remove_file(file);
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)
}

fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// `None` if nothing has that name.
fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

impl BackupFolder {
    /// The folder of a run below the folder of all backups. Creates nothing.
    pub(crate) fn of_run(all: &Path, run: &str) -> Self {
        BackupFolder { path: all.join(run) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a tenant's backup. An earlier backup of the same tenant in this run is removed and replaced.
    ///
    /// # Errors
    /// When the folder can't be created.
    pub(crate) fn begin(&self, tenant: &TenantId, engine: Engine) -> io::Result<Draft> {
        private_folder(&self.path)?;
        let name = safe_name(tenant);
        let manifest = self.path.join(format!("{name}.json"));
        if_there(std::fs::remove_file(&manifest))?;
        let file = self.path.join(format!("{name}.{}", engine.capabilities().dump_ending));
        let partial = self.path.join(format!("{name}.{}.{PARTIAL}", engine.capabilities().dump_ending));
        let _ = std::fs::remove_file(&partial);
        Ok(Draft { partial, file, manifest })
    }

    /// A tenant's manifest; `None` if it has no complete backup here.
    ///
    /// # Errors
    /// When it exists and can't be read.
    pub(crate) fn manifest(&self, tenant: &TenantId) -> io::Result<Option<Manifest>> {
        let text = if_there(std::fs::read(self.path.join(format!("{}.json", safe_name(tenant)))))?;
        Ok(text.map(|text| serde_json::from_slice(&text)).transpose()?)
    }

    /// The file of a manifest, after verifying its size and checksum.
    ///
    /// # Errors
    /// A message that says what is wrong with it.
    pub(crate) fn verified(&self, manifest: &Manifest) -> Result<PathBuf, String> {
        let Some(name) = &manifest.file else {
            return Err("a command of yours made this backup (`hook`), so only you can bring it back".to_owned());
        };
        if name.contains(['/', '\\']) || name.starts_with('.') {
            return Err("its manifest names a file that is not beside it".to_owned());
        }
        let file = self.path.join(name);
        let (found, bytes) = sha256_of(&file).map_err(|e| format!("{} can't be read: {e}", file.display()))?;
        if Some(&found) != manifest.sha256.as_ref() || bytes != manifest.bytes {
            return Err(format!(
                "{} is not what was written: its SHA-256 or size is another than in its manifest",
                file.display()
            ));
        }
        Ok(file)
    }

    /// All runs that have a folder below this one, by name.
    ///
    /// # Errors
    /// When the folder exists and can't be read.
    pub(crate) fn runs(all: &Path) -> io::Result<Vec<RunBackups>> {
        let Some(entries) = if_there(std::fs::read_dir(all))? else { return Ok(Vec::new()) };
        let mut runs = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // Other entries are not ours.
            if entry.file_type()?.is_dir() && uuid::Uuid::parse_str(&name).is_ok() {
                runs.push(RunBackups::read(name, entry.path())?);
            }
        }
        runs.sort_by(|a, b| a.run.cmp(&b.run));
        Ok(runs)
    }
}

impl RunBackups {
    /// Whether something of a tenant's backup was left half written, can't be read, or lacks its other half.
    pub(crate) fn is_broken(&self, tenant: &TenantId) -> bool {
        let name = safe_name(tenant);
        self.broken.iter().any(|file| file.strip_prefix(&name).is_some_and(|rest| rest.starts_with('.')))
    }

    fn read(run: String, path: PathBuf) -> io::Result<Self> {
        let mut names: Vec<String> = Vec::new();
        for entry in std::fs::read_dir(&path)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        let (mut manifests, mut broken) = (Vec::new(), Vec::new());
        for name in names.iter().filter(|name| name.ends_with(".json")) {
            let read = std::fs::read(path.join(name)).ok();
            let manifest: Option<Manifest> = read.and_then(|text| serde_json::from_slice(&text).ok());
            match manifest {
                Some(manifest) if manifest.file.as_ref().is_none_or(|file| names.contains(file)) => {
                    manifests.push(manifest);
                }
                _ => broken.push(name.clone()),
            }
        }
        let known: Vec<&String> = manifests.iter().filter_map(|m| m.file.as_ref()).collect();
        let stray = names.iter().filter(|name| !name.ends_with(".json") && !known.contains(name));
        broken.extend(stray.cloned());
        broken.sort();
        manifests.sort_by(|a, b| a.tenant.cmp(&b.tenant));
        Ok(RunBackups { run, path, manifests, broken })
    }
}

impl Draft {
    /// Completes the backup. Dying before the manifest is in place: there is none.
    ///
    /// # Errors
    /// When a file can't be written; then there is no backup.
    pub(crate) fn finish(self, mut manifest: Manifest) -> io::Result<u64> {
        if manifest.tool != "hook" {
            std::fs::set_permissions(&self.partial, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
            File::open(&self.partial)?.sync_all()?;
            let (sha256, bytes) = sha256_of(&self.partial)?;
            std::fs::rename(&self.partial, &self.file)?;
            manifest.file = self.file.file_name().map(|name| name.to_string_lossy().into_owned());
            (manifest.sha256, manifest.bytes) = (Some(sha256), bytes);
        }
        let partial = self.manifest.with_extension(format!("json.{PARTIAL}"));
        let mut file = open_private(&partial)?;
        let written = serde_json::to_vec_pretty(&manifest)
            .map_err(io::Error::from)
            .and_then(|text| file.write_all(&text))
            .and_then(|()| file.sync_all())
            .and_then(|()| std::fs::rename(&partial, &self.manifest));
        if let Err(error) = written {
            let _ = std::fs::remove_file(&partial);
            return Err(error);
        }
        sync_folder(self.manifest.parent().unwrap_or(Path::new(".")))?;
        Ok(manifest.bytes)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After a finished backup, no file has that name.
        let _ = std::fs::remove_file(&self.partial);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(tenant: &str) -> Manifest {
        Manifest {
            tenant: TenantId::from(tenant),
            engine: Engine::Sqlite,
            server: "local".into(),
            database: "/a.db".into(),
            schema: None,
            file: None,
            bytes: 0,
            sha256: None,
            history: vec!["m1".into()],
            unfinished: None,
            tool: "test 1".into(),
            at_ms: 1,
            run: "r".into(),
        }
    }

    #[test]
    fn names_are_unambiguous_and_stay_in_the_folder() {
        let ids = ["a", "A", "a/b", "a%2fb", "..", "ä", "a b", &"x".repeat(300), &"x".repeat(301), "é/é"];
        let names: std::collections::BTreeSet<String> =
            ids.iter().map(|id| safe_name(&TenantId::from(*id)).to_lowercase()).collect();
        assert_eq!(names.len(), ids.len(), "{names:?}");
        assert!(names.iter().all(|name| !name.contains(['/', '.']) && name.len() < 200), "{names:?}");
    }

    #[test]
    fn a_backup_is_there_with_its_manifest_and_not_before() {
        use std::os::unix::fs::PermissionsExt as _;
        let all = tempfile::tempdir().unwrap();
        let run = uuid::Uuid::now_v7().to_string();
        let folder = BackupFolder::of_run(&all.path().join("b"), &run);
        let tenant = TenantId::from("a");
        let draft = folder.begin(&tenant, Engine::Sqlite).unwrap();
        std::fs::write(&draft.partial, "content").unwrap();
        assert_eq!(folder.manifest(&tenant).unwrap(), None);
        assert_eq!(draft.finish(manifest("a")).unwrap(), 7);
        let found = folder.manifest(&tenant).unwrap().unwrap();
        let file = folder.verified(&found).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o700);

        std::fs::write(&file, "c0ntent").unwrap();
        assert!(folder.verified(&found).unwrap_err().contains("not what was written"));
        // A backup that was begun again and not finished: neither a backup nor a partial file remains.
        drop(folder.begin(&tenant, Engine::Sqlite).unwrap());
        assert_eq!(folder.manifest(&tenant).unwrap(), None);
        let runs = BackupFolder::runs(&all.path().join("b")).unwrap();
        assert_eq!((runs.len(), runs[0].manifests.len(), runs[0].broken.clone()), (1, 0, vec!["a.db".to_owned()]));
    }

    #[test]
    fn a_manifest_names_no_file_elsewhere() {
        let folder = BackupFolder::of_run(Path::new("/nowhere"), "r");
        let outside = Manifest { file: Some("../../etc/passwd".into()), ..manifest("a") };
        assert!(folder.verified(&outside).unwrap_err().contains("not beside it"));
    }
}
