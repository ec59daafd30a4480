//! The settings of a fleet: one struct, read by `config` from four layers.
//!
//! Tenants and waves are not settings: the environment never changes which databases are touched.

mod environment;
mod layer;
mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Config, Source, Value};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de};

use super::database_url::{ServerUrl, UrlProblem, scheme, shown, sqlite_path};
use super::document::Document;
use super::limits::OfMigration;
use super::{
    Diagnostics, HookTable, ScratchServers, Variables, assertions, backup, check, form, hooks, limits, scratch, seed,
};
use crate::model::transaction::TransactionScope;
use crate::policy::{
    Backoff, Concurrency, Deadline, FailureBudget, LoadLimits, LockRetry, Rate, RetryPolicy, Size, Timeouts, Window,
    parse_duration,
};
use layer::Layer;

pub(crate) use environment::unread;
pub(crate) use table::{Commands, SETTINGS, Setting, variable};

/// The settings of one fleet, complete and checked. Fields have the names of the keys and the texts of [`SETTINGS`];
/// those that belong together are read through a method.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) name: Option<String>,
    pub(crate) development: Option<String>,
    concurrency: NonZeroUsize,
    per_server: NonZeroUsize,
    #[serde(deserialize_with = "duration")]
    connect_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    lock_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    statement_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    cancel_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    silence_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub(crate) password_max_age: Duration,
    pub(crate) transaction: TransactionScope,
    pub(crate) online: bool,
    pub(crate) require_approval: bool,
    pub(crate) freeze_at: Option<String>,
    attempts: u32,
    #[serde(deserialize_with = "duration")]
    retry_pause: Duration,
    #[serde(deserialize_with = "duration")]
    longest_pause: Duration,
    #[serde(deserialize_with = "duration")]
    hold_wait: Duration,
    #[serde(deserialize_with = "duration")]
    lock_wait: Duration,
    pub(crate) max_failures: FailureBudget,
    pub(crate) run_max_failures: FailureBudget,
    pub(crate) rate: Option<Rate>,
    pub(crate) deadline: Option<Deadline>,
    pub(crate) window: Window,
    outside_window: OutsideWindow,
    #[serde(default, deserialize_with = "some_percent")]
    max_connections_share: Option<u8>,
    max_lock_waits: Option<u32>,
    #[serde(default, deserialize_with = "some_duration")]
    max_replication_lag: Option<Duration>,
    max_log_growth: Option<Size>,
    min_free_space: Option<Size>,
    #[serde(deserialize_with = "duration")]
    load_interval: Duration,
    #[serde(deserialize_with = "duration")]
    load_wait: Duration,
    #[serde(deserialize_with = "duration")]
    pub(crate) lease: Duration,
    /// In percent, from 1 to 100.
    #[serde(deserialize_with = "percent")]
    pub(crate) outage: u8,
    #[serde(deserialize_with = "duration")]
    pub(crate) long_transaction: Duration,
    #[serde(deserialize_with = "duration")]
    pub(crate) replication_lag: Duration,
    pub(crate) ledger: LedgerLocation,
    /// As written in the file or the flag, but absolute.
    pub(crate) scripts: Option<PathBuf>,
    /// Absolute.
    pub(crate) backups: PathBuf,
    #[serde(deserialize_with = "duration")]
    backup_timeout: Duration,
    on_failure: OnFailure,
    restore_trial: Wanted,
    pub(crate) log_format: LogFormat,
    /// Absolute.
    pub(crate) verify: PathBuf,
    /// Absolute.
    pub(crate) log_dir: Option<PathBuf>,
    /// The settings of single migrations, by their names as written in the file.
    #[serde(skip)]
    pub(crate) migrations: BTreeMap<String, OfMigration>,
    /// A command that backs one tenant up, instead of the engines' own means.
    #[serde(skip)]
    pub(crate) backup_command: Option<Vec<String>>,
    /// The calls around runs, waves and tenants.
    #[serde(skip)]
    pub(crate) hooks: HookTable,
    /// The file of rules by which rows are generated, absolute; `None`: the general rules alone.
    #[serde(skip)]
    pub(crate) seed_rules: Option<PathBuf>,
    /// The assertions of the file itself.
    #[serde(skip)]
    pub(crate) assertions: Vec<assertions::InFile>,
    /// The measures of the file itself.
    #[serde(skip)]
    pub(crate) measures: Vec<assertions::InFile>,
    /// Patterns on differences of schemas that are of no interest.
    #[serde(skip)]
    pub(crate) check_ignore: Vec<String>,
    #[serde(skip)]
    pub(crate) scratch: ScratchServers,
    /// Every key with its value as it may be shown (never a secret) and its origin, in a fixed order.
    #[serde(skip)]
    pub(crate) origins: Vec<(String, String, Origin)>,
    /// Environment variables that may be meant as settings, as sentences for people.
    #[serde(skip)]
    pub(super) warnings: Vec<String>,
}

/// The handling of a tenant whose migration failed and which the engine could not roll back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnFailure {
    Leave,
    Restore,
}

/// The handling of a wave outside of its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutsideWindow {
    Wait,
    Stop,
}

/// Whether something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    Always,
    Never,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl Settings {
    /// The limits on tenants in flight at once.
    pub(crate) fn concurrency(&self) -> Concurrency {
        Concurrency { global: self.concurrency, per_server: self.per_server }
    }

    /// The time limits on a tenant.
    pub(crate) fn timeouts(&self) -> Timeouts {
        Timeouts {
            connect: self.connect_timeout,
            lock: self.lock_timeout,
            statement: self.statement_timeout,
            cancel: self.cancel_timeout,
            silence: self.silence_timeout,
            backup: self.backup_timeout,
        }
    }

    /// The retry policy for transient faults.
    pub(crate) fn retry(&self) -> RetryPolicy {
        let usual = LockRetry::default();
        let rests = Backoff { longest: self.longest_pause, ..usual.rests };
        let locks = LockRetry { pause: self.retry_pause, rests, wait: self.lock_wait, ..usual };
        RetryPolicy {
            attempts: self.attempts,
            pauses: Backoff::doubling(self.retry_pause, self.longest_pause),
            lock_wait_limit: self.hold_wait,
            locks,
        }
    }

    /// The limits on the load of a server.
    pub(crate) fn load_limits(&self) -> LoadLimits {
        LoadLimits {
            connections: self.max_connections_share,
            lock_waits: self.max_lock_waits,
            replication_lag: self.max_replication_lag,
            log_growth: self.max_log_growth,
            free_space: self.min_free_space,
            interval: self.load_interval,
            patience: self.load_wait,
        }
    }

    /// Whether a run stops outside of a wave's window, and does not wait for it.
    pub(crate) fn stops_outside_window(&self) -> bool {
        self.outside_window == OutsideWindow::Stop
    }

    /// Whether a tenant is restored from its backup when a migration failed and the engine could not roll it back.
    pub(crate) fn restore_on_failure(&self) -> bool {
        self.on_failure == OnFailure::Restore
    }

    /// Whether a restore that can't be rolled back tries the backup out first.
    pub(crate) fn restore_trial(&self) -> bool {
        self.restore_trial == Wanted::Always
    }
}

fn duration<'de, D: Deserializer<'de>>(text: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(text)?).map_err(de::Error::custom)
}

fn some_duration<'de, D: Deserializer<'de>>(text: D) -> Result<Option<Duration>, D::Error> {
    duration(text).map(Some)
}

fn some_percent<'de, D: Deserializer<'de>>(text: D) -> Result<Option<u8>, D::Error> {
    percent(text).map(Some)
}

fn percent<'de, D: Deserializer<'de>>(text: D) -> Result<u8, D::Error> {
    form::percent(&String::deserialize(text)?).ok_or_else(|| de::Error::custom("not a share in percent"))
}

/// The location of the ledger.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "String")]
pub(crate) enum LedgerLocation {
    /// An SQLite file; absolute in [`Settings`].
    File(PathBuf),
    /// A PostgreSQL or MySQL database: `postgres://` or `mysql://`, with its password.
    Url(SecretString),
}

impl From<String> for LedgerLocation {
    fn from(text: String) -> Self {
        match scheme(&text) {
            None | Some("sqlite") => LedgerLocation::File(text.into()),
            Some(_) => LedgerLocation::Url(text.into()),
        }
    }
}

impl LedgerLocation {
    /// The URL of a database on PostgreSQL.
    #[cfg(feature = "queue")]
    pub(crate) fn postgres_url(&self) -> Option<&str> {
        let LedgerLocation::Url(url) = self else { return None };
        Some(url.expose_secret()).filter(|url| url.starts_with("postgres"))
    }

    /// The same place, checked, with all its relative paths starting at `folder`.
    fn beside(self, folder: &Path) -> Result<Self, UrlProblem> {
        match self {
            LedgerLocation::File(file) => sqlite_path(&file.to_string_lossy(), folder).map(LedgerLocation::File),
            LedgerLocation::Url(url) => {
                ServerUrl::parse_in(url.expose_secret(), folder).map(|url| LedgerLocation::Url(url.secret()))
            }
        }
    }

    fn shown(&self) -> String {
        match self {
            LedgerLocation::File(path) => path.display().to_string(),
            LedgerLocation::Url(url) => shown(url),
        }
    }
}

/// The layer that a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// No layer sets it.
    Default,
    /// `[fleet]` of the tenant file.
    File,
    /// The environment variable of this name.
    Environment(String),
    /// A flag of this command.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.pad("default"),
            Origin::File => f.pad("file"),
            Origin::Environment(name) => f.pad(name),
            Origin::Flag => f.pad("flag"),
        }
    }
}

impl Origin {
    /// The origin of a value that came through `config`, which keeps it as a text.
    fn of(value: &Value) -> Self {
        match value.origin() {
            None | Some("default") => Origin::Default,
            Some("file") => Origin::File,
            Some("flag") => Origin::Flag,
            Some(variable) => Origin::Environment(variable.to_owned()),
        }
    }
}

/// The texts of flags by the key of their setting; each wins over all other layers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides(BTreeMap<&'static str, String>);

impl Overrides {
    /// The text of a key's flag.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// These, and others of `more` for the keys that they do not have.
    pub(crate) fn over(&self, more: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        Overrides(more.into_iter().chain(self.0.clone()).collect())
    }
}

impl FromIterator<(&'static str, String)> for Overrides {
    fn from_iter<I: IntoIterator<Item = (&'static str, String)>>(texts: I) -> Self {
        Overrides(texts.into_iter().collect())
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&'static str, &str); N]> for Overrides {
    fn from(texts: [(&'static str, &str); N]) -> Self {
        texts.into_iter().map(|(key, text)| (key, text.to_owned())).collect()
    }
}

/// The surroundings of the text of a tenant file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sources<'a> {
    /// The folder of the file, absolute: relative paths in it start there.
    pub(crate) folder: &'a Path,
    /// The flags of this command.
    pub(crate) overrides: &'a Overrides,
    /// The environment.
    pub(crate) variables: &'a Variables,
}

/// The settings that a tenant file, the environment and flags give, regardless of the file's tenants. Mistakes go to
/// `drafts`, and a wrong value leaves the setting to the layer below.
pub(crate) fn read_settings(document: &Document<'_>, sources: Sources<'_>, drafts: &mut Diagnostics) -> Settings {
    let current = std::env::current_dir().unwrap_or_default();
    let config = Config::builder()
        .add_source(Layer::defaults())
        .add_source(Layer::file(document, sources, drafts))
        .add_source(Layer::environment(sources, drafts))
        .add_source(Layer::flags(sources.overrides, &current, drafts))
        .build();
    let checked = "every layer holds checked texts, and the first has all defaults";
    let config = config.expect(checked);
    let values = config.collect().expect(checked);
    let settings: Settings = config.try_deserialize().expect(checked);

    let origin = |key: &str| values.get(key).map_or(Origin::Default, Origin::of);
    let base = |key: &str| if origin(key) == Origin::Flag { &*current } else { sources.folder };
    let ledger = match (settings.ledger, origin("ledger")) {
        // Not normalized, so that `..` after a symbolic link resolves as the system does it.
        (LedgerLocation::File(file), Origin::Default) => LedgerLocation::File(sources.folder.join(file)),
        (place, _) => place.beside(base("ledger")).expect(checked),
    };
    let scratch = scratch::read(document, sources, drafts);
    let row = |setting: &Setting| {
        let value = values.get(setting.key)?;
        let text = || value.clone().into_string().unwrap_or_default();
        let shown = if setting.form == form::Form::Ledger { ledger.shown() } else { text() };
        Some((setting.key.to_owned(), shown, Origin::of(value)))
    };
    let origins = SETTINGS.iter().filter_map(row).chain(scratch.origins()).collect();
    Settings {
        origins,
        ledger,
        scripts: settings.scripts.map(|scripts| base("scripts").join(scripts)),
        backups: base("backups").join(settings.backups),
        log_dir: settings.log_dir.map(|folder| base("log_dir").join(folder)),
        migrations: limits::read(document, drafts),
        backup_command: backup::read(document, drafts),
        hooks: hooks::read(document, sources.variables, drafts),
        verify: base("verify").join(settings.verify),
        assertions: assertions::read(document, "assertion", drafts),
        measures: assertions::read(document, "measure", drafts),
        check_ignore: check::read(document, drafts),
        seed_rules: seed::read(document, sources.folder, drafts),
        scratch,
        warnings: unread(sources.variables, document.text),
        ..settings
    }
}

/// The absolute folder of a file.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.parent().map(Path::to_owned).unwrap_or_default()
}

#[cfg(test)]
mod tests;
