//! A new tenant's database: made under a mark that says so, from a template: a copy of a database, or the script of one.
//!
//! It drops and overwrites nothing that it has not made itself. The mark goes when the tenant is in the tenant file, so that
//! provisioning can go on wherever it died.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use secrecy::SecretString;

use super::{Database, mysql, postgres, sqlite};
use crate::model::engine::{Engine, EngineMap};
use crate::model::fault::{Fault, FaultClass};
use crate::model::tenant::Tenant;

/// The place of a new tenant's database.
pub(crate) struct Site {
    pub(crate) tenant: Arc<Tenant>,
    /// The URL of a user who may make databases and roles, where the tenant's own may not.
    pub(crate) admin: Option<SecretString>,
    /// Whether the user of the tenant's URL is made as well, if it is missing.
    pub(crate) role: bool,
    /// The folder of templates that are files.
    pub(crate) cache: Option<PathBuf>,
    /// Opens tenants and scratch databases, for the catalog of the fleet.
    pub(crate) door: Arc<dyn Database>,
}

/// The present content of that place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ground {
    /// There is no such database, schema or file.
    Missing,
    /// It is there and has nothing in it.
    Empty,
    /// It was made for this tenant by an earlier provisioning that did not end.
    Ours,
    /// As `Ours`, and the script that was to fill it did not come to its end: it is made anew.
    Half,
    /// It has a content that nobody says is ours, in words.
    Taken(String),
}

/// A database at the newest version, for copies.
#[derive(Debug, Clone)]
pub(crate) enum Template {
    /// An SQLite file.
    File(PathBuf),
    /// A database on the tenant's server.
    Database(String),
    /// The file of a script that makes it.
    Script(PathBuf),
}

impl Template {
    /// A tenant made by it, in words.
    pub(crate) fn in_words(&self) -> &'static str {
        match self {
            Template::File(_) | Template::Database(_) => "a copy of the template of this catalog",
            Template::Script(_) => "made by the script of this catalog's final schema",
        }
    }
}

/// The name of a template: of one fleet's catalog on one engine. Another catalog has another name.
#[derive(Debug, Clone)]
pub(crate) struct TemplateName {
    /// The fleet, as 8 hex digits: its templates of other catalogs are removed.
    pub(crate) fleet: String,
    /// The catalog, as 16 hex digits.
    pub(crate) catalog: String,
}

/// The beginning of all names of templates.
pub(super) const PREFIX: &str = "fleet_template_";

impl TemplateName {
    pub(crate) fn prefix(&self) -> String {
        format!("{PREFIX}{}_", self.fleet)
    }

    pub(crate) fn whole(&self) -> String {
        format!("{}{}", self.prefix(), self.catalog)
    }
}

/// Brings a scratch database to the newest version.
pub(crate) type Fill<'a> = dyn Fn(Arc<Tenant>) -> BoxFuture<'a, Result<(), Fault>> + Sync + 'a;

/// An engine's way to make databases.
#[async_trait]
pub(crate) trait Provisioner: Sync {
    /// Looks at the place. Read-only.
    ///
    /// # Errors
    /// A [`Fault`] when the server can't be asked.
    async fn ground(&self, site: &Site) -> Result<Ground, Fault>;

    /// Makes the role, if that was asked for, and the database with its mark, as a copy of the template if there is one.
    /// Where nothing of a template or of it is there yet, dying in it leaves at most a scratch database, or an empty one.
    ///
    /// # Errors
    /// A [`Fault`]; nothing that was there before has changed. What a script that failed has made is gone again.
    async fn make(&self, site: &Site, template: Option<&Template>) -> Result<(), Fault>;

    /// Takes the mark away.
    ///
    /// # Errors
    /// A [`Fault`]; a mark that stays does no harm.
    async fn finish(&self, site: &Site) -> Result<(), Fault>;

    /// The template of this name, which is made if it is missing. It has its name only once it is whole, so that a
    /// half-made one is never used. Dying in it: a scratch database stays, which is swept later.
    ///
    /// # Errors
    /// A [`Fault`]: there is no template, and nothing half-made under its name.
    async fn template(&self, site: &Site, name: &TemplateName, fill: &Fill<'_>) -> Result<Template, Fault>;
}

/// The fault of a place where no template can be used.
pub(crate) fn no_copies(why: &str) -> Fault {
    Fault::new(FaultClass::Other, why)
}

/// The table that marks a database where nothing else can.
pub(super) const MARK_TABLE: &str = "fleet_provision";

/// The beginning of [`mark`].
pub(super) const MARKED: &str = "made by fleet for the tenant ";

/// The text that marks what is being made for a tenant.
pub(super) fn mark(tenant: &Tenant) -> String {
    format!("{MARKED}{}, which is not in the tenant file yet", tenant.id)
}

/// The fault of a place that somebody else has taken meanwhile.
pub(super) fn taken(path: &Path) -> Fault {
    Fault::new(FaultClass::AlreadyExists, format!("{} is there meanwhile, and was not touched", path.display()))
}

static PROVISIONERS: EngineMap<&dyn Provisioner> = EngineMap {
    sqlite: &sqlite::provision::Provision,
    postgres: &postgres::provision::Provision,
    mysql: &mysql::provision::Provision,
};

/// The way to make databases of an engine.
pub(crate) fn provisioner(engine: Engine) -> &'static dyn Provisioner {
    PROVISIONERS[engine]
}
