//! Finds and reads `tenants.toml`.
//!
//! It reads this one file and the environment; passwords in other files are fetched later, for selected tenants only.

use std::collections::HashMap;
use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::ExposeSecret;

use super::credentials::Passwords;
use super::discovered::Discovered;
use super::identity::{Folders, Identity};
use super::patterns::is_glob;
use super::sources::{self, Source};
use super::{Dashboard, REST, ServerRule, WaveRule, dashboards, dependencies, servers, tenants, waves};
use crate::inputs::{
    Diagnostics, LedgerLocation, Mistakes, Overrides, ServerUrl, Settings, Sources, Variables, folder_of,
    read_settings, unknown_key, with_document,
};
use crate::model::tenant::{Address, Tenant, TenantId};
use crate::model::text::suggestion;

/// The name of the tenant file.
pub(crate) const FILE_NAME: &str = "tenants.toml";

const SECTIONS: [&str; 15] = [
    "fleet",
    "defaults",
    "scratch",
    "backup",
    "hooks",
    "check",
    "assertion",
    "measure",
    "seed",
    "migrations",
    "wave",
    "server",
    "source",
    "dashboard",
    "tenant",
];

/// The tenant file in `start` or in the nearest folder above it.
pub(crate) fn find(start: &Path) -> Option<PathBuf> {
    let start = std::path::absolute(start).ok()?;
    start.ancestors().map(|folder| folder.join(FILE_NAME)).find(|path| path.is_file())
}

/// A whole fleet as its file describes it.
pub(crate) struct Registry {
    /// The file, as it was named.
    pub(crate) path: PathBuf,
    /// The settings, with environment and flags laid over those of the file.
    pub(crate) settings: Settings,
    /// All tenants, in file order; those of sources behind them, unless the sources were not read.
    pub(crate) tenants: Vec<Arc<Tenant>>,
    /// The sources of other tenants.
    pub(crate) sources: Vec<Source>,
    /// Whether the tenants of the sources are among the tenants.
    pub(crate) is_whole: bool,
    /// The waves, in file order; tenants without a match form the last wave.
    pub(crate) waves: Vec<WaveRule>,
    /// The limits of servers, in file order; the first that matches a server is its own.
    pub(crate) servers: Vec<ServerRule>,
    /// The dashboards, in file order.
    pub(crate) dashboards: Vec<Dashboard>,
    /// Warnings about allowed but inadvisable settings, as sentences for people.
    pub(crate) warnings: Vec<String>,
    /// The passwords that are kept elsewhere.
    pub(crate) passwords: Arc<Passwords>,
    /// The first tenant whose password is in the file, and the number of such tenants.
    literal_passwords: Option<(TenantId, usize)>,
    /// Whether the URL of a source holds its password.
    literal_in_source: bool,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Registry");
        shown.field("path", &self.path).field("tenants", &self.tenants.len()).field("waves", &self.waves.len());
        shown.finish_non_exhaustive()
    }
}

/// Reads the tenant file at `path`, with the environment of this process and `overrides` laid over its settings, and with
/// the answers of its sources, if they have been asked.
///
/// # Errors
/// All mistakes of the file at once, or that it can't be read.
pub(crate) fn load(path: &Path, overrides: &Overrides, discovered: Option<&Discovered>) -> Result<Registry, Mistakes> {
    let unreadable = |why: String, help: &str| Mistakes::unreadable(path, why, help);
    let bytes = crate::external::file::read(path).map_err(|e| {
        unreadable(format!("can't read {}: {e}", path.display()), "name the file with --config FILE or FLEET_CONFIG")
    })?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let line = e.as_bytes()[..e.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        unreadable(format!("line {line} of {} is not UTF-8 text", path.display()), "save the file as UTF-8")
    })?;
    let mut registry = Registry::parse_with(&text, path, (overrides, &Variables::of_process()), discovered)?;
    registry.warn_of_readers();
    Ok(registry)
}

impl Registry {
    /// Reads the text of a tenant file, without its sources. Relative paths in it start at the folder of `path`, which need
    /// not exist.
    ///
    /// # Errors
    /// All mistakes of the text at once.
    pub(crate) fn parse(
        text: &str,
        path: &Path,
        overrides: &Overrides,
        variables: &Variables,
    ) -> Result<Self, Mistakes> {
        Registry::parse_with(text, path, (overrides, variables), None)
    }

    /// As [`Registry::parse`], with the answers of the sources.
    ///
    /// # Errors
    /// As [`Registry::parse`]; a mistake in an answer names the source and the row.
    pub(crate) fn parse_with(
        text: &str,
        path: &Path,
        (overrides, variables): (&Overrides, &Variables),
        discovered: Option<&Discovered>,
    ) -> Result<Self, Mistakes> {
        let folder = folder_of(path);
        let sources = Sources { folder: &folder, overrides, variables };
        let mut drafts = Diagnostics::default();
        let ((settings, dashboards), (waves, servers), (mut read, sources, literal_in_source)) =
            with_document(text, &mut drafts, |document, drafts| {
                for key in document.root.keys().filter(|key| !SECTIONS.contains(&&**key.get_ref())) {
                    unknown_key(key, "the file", &SECTIONS, drafts);
                }
                let settings = read_settings(document, sources, drafts);
                let dashboards = dashboards::read(document, drafts);
                let waves = waves::read(document, sources.variables, drafts);
                let servers = servers::read(document, drafts);
                let declared = sources::read(document, sources, drafts);
                let read = tenants::read(document, sources, (&declared, discovered), drafts);
                let is_whole = discovered.is_some() || declared.list.is_empty();
                // A tenant that can't be read changes the percentages of all others, so waves are compared only without
                // mistakes.
                if drafts.is_empty() && is_whole && !read.dependencies.is_empty() {
                    compare_waves(&waves, &read, drafts);
                }
                let (sources, literal) =
                    (declared.list.into_iter().map(|(source, _)| source), declared.literal_password);
                ((settings, dashboards), (waves, servers), (read, sources.collect::<Vec<_>>(), literal))
            });
        drafts.finish(path, text)?;
        let is_whole = discovered.is_some() || sources.is_empty();

        let mut warnings = settings.warnings.clone();
        if is_whole {
            warnings.extend(strangers(&waves, &read.tenants));
            warnings.extend(waves.iter().filter_map(|wave| wave.why_empty(&read.tenants)));
            warnings.extend(waves::taken_before(&waves, &read.tenants));
            warnings.extend(servers::strangers(&servers, &read.tenants));
        }
        servers::tell(&servers, &mut read.tenants);
        let passwords = Arc::new(Passwords::new(folder, read.pending, settings.password_max_age));
        Ok(Registry {
            path: path.to_owned(),
            settings,
            tenants: read.tenants,
            sources,
            is_whole,
            waves,
            servers,
            dashboards,
            warnings,
            passwords,
            literal_passwords: read.literal_passwords,
            literal_in_source,
        })
    }

    fn warn_of_readers(&mut self) {
        let Ok(found) = std::fs::metadata(&self.path) else { return };
        let mode = found.permissions().mode() & 0o777;
        if mode & 0o077 == 0 {
            return;
        }
        let path = self.path.display();
        if let Some((first, count)) = &self.literal_passwords {
            self.warnings.push(format!(
                "{path} holds passwords ({count}, the first at tenant {first}) and can be read by others (mode {mode:03o}); \
                 run: chmod 600 {path}, or write password = {{ env = \"VAR\" }}"
            ));
        }
        let places = [(self.settings.scratch.literal_password, "[scratch]"), (self.literal_in_source, "a [[source]]")];
        for (_, place) in places.into_iter().filter(|(holds, _)| *holds) {
            self.warnings.push(format!(
                "{path} holds a password in {place} and can be read by others (mode {mode:03o}); run: chmod 600 {path}, or \
                 write ${{VAR}} in its place"
            ));
        }
    }

    /// The tenant whose own database the ledger would be in, by any of its addresses and whatever its schema is.
    pub(crate) fn tenant_at_ledger(&self) -> Option<&Arc<Tenant>> {
        let mut folders = Folders::default();
        let ledger = match &self.settings.ledger {
            LedgerLocation::File(file) => folders.identity(file),
            LedgerLocation::Url(url) => Identity::whole_database(&ServerUrl::parse(url.expose_secret()).ok()?),
        };
        let mut is_it = |tenant: &Tenant| {
            let addresses = [Some(&tenant.address), tenant.migration_address.as_ref()];
            let at = addresses.into_iter().flatten().any(|address| match address {
                Address::File(file) => folders.identity(file) == ledger,
                Address::Url(url) => {
                    ServerUrl::parse(url.expose_secret()).is_ok_and(|url| Identity::whole_database(&url) == ledger)
                }
                Address::Unusable(_) => false,
            });
            // A tenant whose password is not fetched has no address yet.
            at || self.passwords.urls(&tenant.id).any(|url| Identity::whole_database(url) == ledger)
        };
        self.tenants.iter().find(|tenant| is_it(tenant))
    }
}

/// Records tenants that depend on one of a later wave.
fn compare_waves(waves: &[WaveRule], read: &tenants::Read, drafts: &mut Diagnostics) {
    let places = waves::places(waves, &read.tenants);
    let ids = read.tenants.iter().map(|tenant| tenant.id.as_str());
    let places: HashMap<&str, usize> = ids.zip(places).collect();
    let name = |place: usize| waves.get(place).map_or(REST, |wave| &wave.name);
    let wave = |id: &str| places.get(id).map(|&place| (place, name(place)));
    dependencies::check_waves(&read.dependencies, wave, drafts);
}

/// Ids in waves that no tenant has: a misspelt id would silently drop out of the canary.
fn strangers(waves: &[WaveRule], tenants: &[Arc<Tenant>]) -> Vec<String> {
    let known: std::collections::HashSet<&str> = tenants.iter().map(|t| t.id.as_str()).collect();
    let mut found = Vec::new();
    for wave in waves {
        let ids = wave.members.tenants.texts().iter().filter(|text| !is_glob(text));
        for id in ids.filter(|id| !known.contains(id.as_str())).take(10) {
            let near = suggestion(id, known.iter().copied()).map(|near| format!("; did you mean {near}?"));
            let near = near.unwrap_or_default();
            found.push(format!("wave {} names the tenant {id}, which is not in the file{near}", wave.name));
        }
    }
    found
}
