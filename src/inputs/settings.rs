//! The settings of a fleet from their four layers.
//!
//! Tenants and waves are not settings: the environment never changes which databases are touched.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Map, Value};
use secrecy::SecretString;

use super::database_url::{ServerUrl, UrlProblem, expand, scheme, shown, sqlite_path};
use super::document::{Document, Item};
use super::keys::KEYS;
use super::layer::{Layer, merge};
use super::{Diagnostics, ScratchServers, Variables, backup, limits, scratch};
use crate::policy::{Concurrency, FailureBudget, Limits, LockRetry, RetryPolicy, Timeouts, parse_duration};

/// The settings of one fleet, complete and checked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// What people call this fleet.
    #[cfg(test)]
    pub(crate) name: Option<String>,
    /// How many tenants are in flight at once.
    pub(crate) concurrency: Concurrency,
    /// How long anything may take on a tenant.
    pub(crate) timeouts: Timeouts,
    /// How often a transient fault is tried again.
    pub(crate) retry: RetryPolicy,
    /// How many tenants of the last wave may fail.
    pub(crate) max_failures: FailureBudget,
    /// The share of unreachable tenants, in percent, from which on it is an outage and no run starts.
    pub(crate) outage: u8,
    /// A transaction that is open for longer is a finding.
    pub(crate) long_transaction: Duration,
    /// A server that is further behind the one that it follows is a finding.
    pub(crate) replication_lag: Duration,
    /// Where runs are recorded.
    pub(crate) ledger: LedgerLocation,
    /// The folder of SQL scripts behind the migrations, as the file or the flag spells it but absolute; `None`: there
    /// are none.
    pub(crate) scripts: Option<PathBuf>,
    /// The time limits that single migrations have, by their names as the file spells them.
    pub(crate) migrations: BTreeMap<String, Limits>,
    /// The folder below which each run's backups are, absolute.
    pub(crate) backups: PathBuf,
    /// A command that backs one tenant up, instead of the engines' own means.
    pub(crate) backup_command: Option<Vec<String>>,
    /// Whether a tenant is brought back from its backup when a migration failed and the engine could not roll it back.
    pub(crate) restore_on_failure: bool,
    /// Where scratch databases are made.
    pub(crate) scratch: ScratchServers,
    /// Every key with its value as it may be shown (never a secret) and where it comes from, in a fixed order.
    pub(crate) origins: Vec<(String, String, Origin)>,
}

/// Where the ledger is.
#[derive(Debug, Clone)]
pub(crate) enum LedgerLocation {
    /// An SQLite file, as an absolute path.
    File(PathBuf),
    /// A PostgreSQL or MySQL database: `postgres://` or `mysql://`, with its password.
    Url(SecretString),
}

/// Which layer a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody set it.
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

/// What flags say; each wins over all other layers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides {
    /// Tenants in flight over the whole fleet.
    pub(crate) concurrency: Option<usize>,
    /// Tenants in flight on one server.
    pub(crate) per_server: Option<usize>,
    /// To reach a server and log in.
    pub(crate) connect_timeout: Option<Duration>,
    /// To be granted a lock.
    pub(crate) lock_timeout: Option<Duration>,
    /// For one statement; zero means no limit.
    pub(crate) statement_timeout: Option<Duration>,
    /// For a cancelled statement to end.
    pub(crate) cancel_timeout: Option<Duration>,
    /// Attempts for each tenant, the first included.
    pub(crate) attempts: Option<u32>,
    /// The pause after the first failed attempt.
    pub(crate) retry_pause: Option<Duration>,
    /// No pause is longer than this.
    pub(crate) longest_pause: Option<Duration>,
    /// For how long another run's hold on a tenant is waited out.
    pub(crate) lock_wait_limit: Option<Duration>,
    /// For how long a tenant's locks are tried for.
    pub(crate) lock_wait: Option<Duration>,
    /// How many tenants may fail.
    pub(crate) max_failures: Option<FailureBudget>,
    /// A path (relative to the current folder) or a URL.
    pub(crate) ledger: Option<String>,
    /// The folder of SQL scripts, relative to the current folder.
    pub(crate) scripts: Option<String>,
    /// The folder of backups, relative to the current folder.
    pub(crate) backups: Option<String>,
    /// `leave` or `restore`.
    pub(crate) on_failure: Option<String>,
}

impl Overrides {
    /// What is set, as texts by key.
    pub(super) fn texts(&self) -> Vec<(&'static str, String)> {
        let duration = |d: Option<Duration>| d.map(|d| humantime::format_duration(d).to_string());
        [
            ("concurrency", self.concurrency.map(|n| n.to_string())),
            ("per_server", self.per_server.map(|n| n.to_string())),
            ("connect_timeout", duration(self.connect_timeout)),
            ("lock_timeout", duration(self.lock_timeout)),
            ("statement_timeout", duration(self.statement_timeout)),
            ("cancel_timeout", duration(self.cancel_timeout)),
            ("attempts", self.attempts.map(|n| n.to_string())),
            ("retry_pause", duration(self.retry_pause)),
            ("longest_pause", duration(self.longest_pause)),
            ("hold_wait", duration(self.lock_wait_limit)),
            ("lock_wait", duration(self.lock_wait)),
            ("max_failures", self.max_failures.map(|b| b.to_string())),
            ("ledger", self.ledger.clone()),
            ("scripts", self.scripts.clone()),
            ("backups", self.backups.clone()),
            ("on_failure", self.on_failure.clone()),
        ]
        .into_iter()
        .filter_map(|(key, text)| Some((key, text?)))
        .collect()
    }
}

/// What surrounds the text of a tenant file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sources<'a> {
    /// The folder of the file, absolute: relative paths in it start there.
    pub(crate) folder: &'a Path,
    /// What flags say.
    pub(crate) overrides: &'a Overrides,
    /// The environment.
    pub(crate) variables: &'a Variables,
}

/// The settings that a tenant file, this process's environment and flags give, whatever the file says of tenants.
/// `text` is the content of the file at `path`.
///
/// # Errors
/// All mistakes of `[fleet]`, the `FLEET__...` environment and the flags, at once.
#[cfg(test)]
pub(crate) fn settings(text: &str, path: &Path, overrides: &Overrides) -> Result<Settings, super::Mistakes> {
    use super::document::with_document;

    let (folder, variables) = (folder_of(path), Variables::of_process());
    let mut drafts = Diagnostics::default();
    let sources = Sources { folder: &folder, overrides, variables: &variables };
    let settings = with_document(text, &mut drafts, |document, drafts| read_settings(document, sources, drafts));
    drafts.finish(path, text)?;
    Ok(settings)
}

/// As [`settings`], for a file that is being read; mistakes go to `drafts`, and what is wrong keeps its default.
pub(crate) fn read_settings(document: &Document<'_>, sources: Sources<'_>, drafts: &mut Diagnostics) -> Settings {
    let folder = sources.folder;
    let fleet = document.root.get("fleet");
    let file = fleet.map(|item| Layer::file(item, drafts)).unwrap_or_default();
    let (environment, names) = Layer::environment(sources.variables, drafts);
    let flags = Layer::flags(sources.overrides, drafts);

    let mut ledger = LedgerLocation::File(folder.join("fleet-ledger.db"));
    if let (Some(item), Some(text)) = (fleet.and_then(|fleet| fleet.get_ref().get("ledger")), file.values.get("ledger"))
    {
        ledger = file_ledger((document, item), text, sources, drafts).unwrap_or(ledger);
    }
    let current = std::env::current_dir().unwrap_or_default();
    for (layer, base, name) in [(&environment, folder, "FLEET__FLEET__LEDGER"), (&flags, &*current, "--ledger")] {
        match layer.values.get("ledger").map(|text| locate_ledger(text, base)) {
            Some(Ok(found)) => ledger = found,
            Some(Err(problem)) => {
                drafts.elsewhere(format!("{name} {}", problem.message)).help(problem.help);
            }
            None => {}
        }
    }
    let base = |key: &str| if flags.values.contains_key(key) { current.clone() } else { folder.to_owned() };
    let (scripts_base, backups_base) = (base("scripts"), base("backups"));
    let scratch = scratch::read(document, sources, drafts);
    let mut settings = Settings::from_table(&merge([Layer::defaults(), file, environment, flags]), &names, ledger);
    settings.origins.extend(scratch.origins());
    let migrations = limits::read(document, drafts);
    let backup_command = backup::read(document, drafts);
    let scripts = settings.scripts.map(|scripts| scripts_base.join(scripts));
    let backups = backups_base.join(settings.backups);
    Settings { scratch, migrations, scripts, backups, backup_command, ..settings }
}

fn file_ledger(
    (document, item): (&Document<'_>, &Item<'_>),
    text: &str,
    sources: Sources<'_>,
    drafts: &mut Diagnostics,
) -> Option<LedgerLocation> {
    let expanded = match expand(text, sources.variables) {
        Ok(expanded) => expanded,
        Err(problems) => {
            for (problem, part) in problems {
                drafts.at(document.within(item, part), problem.message).help(problem.help);
            }
            return None;
        }
    };
    match locate_ledger(&expanded.text, sources.folder) {
        Ok(found) => Some(found),
        Err(problem) => {
            drafts.at(item.span(), format!("`ledger` {}", problem.message)).help(problem.help).hide();
            None
        }
    }
}

fn locate_ledger(text: &str, folder: &Path) -> Result<LedgerLocation, UrlProblem> {
    match scheme(text) {
        None | Some("sqlite") => sqlite_path(text, folder).map(LedgerLocation::File),
        Some(_) => ServerUrl::parse_in(text, folder).map(|url| LedgerLocation::Url(url.secret())),
    }
}

/// The absolute folder of a file.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.parent().map(Path::to_owned).unwrap_or_default()
}

impl Settings {
    fn from_table(table: &Map<String, Value>, names: &BTreeMap<String, String>, ledger: LedgerLocation) -> Self {
        let checked = "it was checked before it became a layer";
        let text = |key: &str| table.get(key).and_then(|value| value.clone().into_string().ok()).expect(checked);
        let duration = |key: &str| parse_duration(&text(key)).expect(checked);
        let count = |key: &str| text(key).parse::<NonZeroUsize>().expect(checked);
        Settings {
            #[cfg(test)]
            name: table.get("name").map(|_| text("name")),
            concurrency: Concurrency { global: count("concurrency"), per_server: count("per_server") },
            timeouts: Timeouts {
                connect: duration("connect_timeout"),
                lock: duration("lock_timeout"),
                statement: duration("statement_timeout"),
                cancel: duration("cancel_timeout"),
                silence: duration("silence_timeout"),
                backup: duration("backup_timeout"),
            },
            retry: RetryPolicy {
                attempts: text("attempts").parse().expect(checked),
                first_pause: duration("retry_pause"),
                longest_pause: duration("longest_pause"),
                lock_wait_limit: duration("hold_wait"),
                locks: LockRetry {
                    pause: duration("retry_pause"),
                    longest_rest: duration("longest_pause"),
                    wait: duration("lock_wait"),
                    ..LockRetry::default()
                },
            },
            max_failures: text("max_failures").parse().expect(checked),
            outage: super::keys::share(&text("outage")).expect(checked),
            long_transaction: duration("long_transaction"),
            replication_lag: duration("replication_lag"),
            scripts: table.get("scripts").map(|_| PathBuf::from(text("scripts"))),
            backups: PathBuf::from(text("backups")),
            backup_command: None,
            restore_on_failure: text("on_failure") == "restore",
            origins: origins(table, names, &ledger),
            ledger,
            scratch: ScratchServers::default(),
            migrations: BTreeMap::new(),
        }
    }
}

fn origins(
    table: &Map<String, Value>,
    names: &BTreeMap<String, String>,
    ledger: &LedgerLocation,
) -> Vec<(String, String, Origin)> {
    let row = |key: &str| {
        let value = table.get(key)?;
        let origin = match value.origin() {
            Some("file") => Origin::File,
            Some("environment") => Origin::Environment(names.get(key).cloned().unwrap_or_default()),
            Some("flag") => Origin::Flag,
            _ => Origin::Default,
        };
        let shown = match (key, ledger) {
            ("ledger", LedgerLocation::File(path)) => path.display().to_string(),
            ("ledger", LedgerLocation::Url(url)) => shown(url),
            _ => value.clone().into_string().unwrap_or_default(),
        };
        Some((key.to_owned(), shown, origin))
    };
    KEYS.iter().filter_map(|(key, ..)| row(key)).collect()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::inputs::Mistakes;
    use crate::inputs::document::with_document;

    fn read<const N: usize>(text: &str, pairs: [(&str, &str); N], overrides: &Overrides) -> Result<Settings, Mistakes> {
        let mut drafts = Diagnostics::default();
        let variables = Variables::from(pairs);
        let sources = Sources { folder: Path::new("/fleet"), overrides, variables: &variables };
        let settings = with_document(text, &mut drafts, |document, drafts| read_settings(document, sources, drafts));
        drafts.finish(Path::new("tenants.toml"), text).map(|()| settings)
    }

    fn messages<const N: usize>(text: &str, pairs: [(&str, &str); N]) -> String {
        read(text, pairs, &Overrides::default()).unwrap_err().render(false)
    }

    #[test]
    fn without_anything_the_policies_defaults_hold() {
        let s = read("", [], &Overrides::default()).unwrap();
        assert_eq!(s.concurrency, Concurrency::default());
        assert_eq!(s.timeouts, Timeouts::default());
        assert_eq!(s.retry, RetryPolicy::default());
        assert_eq!(s.max_failures, FailureBudget::Unlimited);
        assert!(matches!(&s.ledger, LedgerLocation::File(p) if p == Path::new("/fleet/fleet-ledger.db")));
        assert!(s.origins.iter().all(|(_, _, origin)| *origin == Origin::Default));
    }

    #[test]
    fn flags_beat_environment_beats_file_beats_defaults() {
        let text = "[fleet]\nlock_timeout = \"1s\"\nconcurrency = 4\nper_server = 2\nmax_failures = 3";
        let env = [("FLEET__FLEET__LOCK_TIMEOUT", "2s"), ("FLEET__FLEET__CONCURRENCY", "5"), ("FLEET_CONFIG", "x")];
        let flags = Overrides { lock_timeout: Some(Duration::from_millis(2500)), ..Overrides::default() };
        let s = read(text, env, &flags).unwrap();
        assert_eq!(s.timeouts.lock, Duration::from_millis(2500));
        assert_eq!((s.concurrency.global.get(), s.concurrency.per_server.get()), (5, 2));
        assert_eq!(s.max_failures, FailureBudget::Count(3));
        let origin = |key: &str| s.origins.iter().find(|(k, ..)| k == key).map(|(_, v, o)| (v.as_str(), o.clone()));
        assert_eq!(origin("lock_timeout"), Some(("2s 500ms", Origin::Flag)));
        assert_eq!(origin("concurrency"), Some(("5", Origin::Environment("FLEET__FLEET__CONCURRENCY".into()))));
        assert_eq!(origin("per_server"), Some(("2", Origin::File)));
        assert_eq!(origin("attempts"), Some(("5", Origin::Default)));
    }

    #[test]
    fn a_migration_may_have_limits_of_its_own() {
        let text = "[migrations.\"m2 b\"]\nlock_timeout = \"500ms\"\nstatement_timeout = \"0s\"\n[migrations.m3]";
        let s = read(text, [], &Overrides::default()).unwrap();
        let limits = Limits { lock: Some(Duration::from_millis(500)), statement: Some(Duration::ZERO) };
        assert_eq!(s.migrations, [("m2 b".to_owned(), limits), ("m3".to_owned(), Limits::default())].into());
        let bad = messages("[migrations.m2]\nlock_timeout = \"0s\"\nlock_timout = \"1s\"", []);
        assert!(bad.contains("more than 0s") && bad.contains("did you mean `lock_timeout`"), "{bad}");
    }

    #[test]
    fn a_text_that_looks_like_a_number_stays_a_text() {
        let s = read("", [("FLEET__FLEET__NAME", "0123")], &Overrides::default()).unwrap();
        assert_eq!(s.name.as_deref(), Some("0123"));
    }

    #[test]
    fn the_ledger_is_a_file_beside_the_tenants_or_a_url_that_is_never_shown() {
        let text = "[fleet]\nledger = \"postgres://u:${PW}@h/fleet\"";
        let s = read(text, [("PW", "s3c/ret")], &Overrides::default()).unwrap();
        assert!(matches!(&s.ledger, LedgerLocation::Url(u) if u.expose_secret() == "postgres://u:s3c%2Fret@h/fleet"));
        assert!(!format!("{s:?}").contains("s3c"), "{s:?}");
        let s = read("[fleet]\nledger = \"../l.db\"", [], &Overrides::default()).unwrap();
        assert!(matches!(&s.ledger, LedgerLocation::File(p) if p == Path::new("/l.db")));
        let bad = messages(
            "[fleet]\nledger = \"postgres://u:s3c/ret@h/fleet\"",
            [("FLEET__FLEET__LEDGER", "mysql://u:s3c#r@h/f")],
        );
        assert!(!bad.contains("s3c") && bad.contains("FLEET__FLEET__LEDGER"), "{bad}");
    }

    #[test]
    fn tenants_and_waves_are_never_set_by_environment() {
        for name in
            ["FLEET__TENANTS__ACME__URL", "FLEET__WAVE__CANARY", "FLEET__DEFAULTS__SERVER", "FLEET__LOCK_TIMEOUT"]
        {
            let text = messages("", [(name, "s3cret")]);
            assert!(
                text.contains(name) && text.contains("FLEET__FLEET__LOCK_TIMEOUT") && !text.contains("s3cret"),
                "{text}"
            );
        }
    }

    #[test]
    fn all_mistakes_of_all_layers_come_at_once() {
        let text = "[fleet]\nconcurrency = 0\nlock_timeout = 3\nlock_timout = \"3s\"\nmax_failures = \"half\"\n";
        insta::assert_snapshot!(messages(text, [("FLEET__FLEET__LOCK_TIMEOUT", "3"), ("FLEET__FLEET__ATEMPTS", "3")]), @r#"
        error: `concurrency` must be a whole number, 1 to 1000000
         --> tenants.toml:2:15
          |
        2 | concurrency = 0
          |               ^

        error: `lock_timeout` must be a duration in quotes with its unit, such as "5s", not this number
         --> tenants.toml:3:16
          |
        3 | lock_timeout = 3
          |                ^

        error: unknown key `lock_timout` in [fleet]
         --> tenants.toml:4:1
          |
        4 | lock_timout = ***
          | ^^^^^^^^^^^
          |
          = help: did you mean `lock_timeout`?

        error: `max_failures` must be a count (3), a share ("5%") or "unlimited"
         --> tenants.toml:5:16
          |
        5 | max_failures = "half"
          |                ^^^^^^

        error: the environment variable FLEET__FLEET__ATEMPTS names no key of [fleet]
         |
         = help: did you mean FLEET__FLEET__ATTEMPTS?

        error: the environment variable FLEET__FLEET__LOCK_TIMEOUT must be a duration of at most a day with its unit, such as "500ms", "5s" or "2m"
         |
         = help: correct it, or remove it with: unset FLEET__FLEET__LOCK_TIMEOUT

        tenants.toml: 6 mistakes; nothing was started
        "#);
    }

    #[test]
    fn settings_do_not_depend_on_the_tenants_of_the_file() {
        let text = "[fleet]\nname = \"sample\"\n[[tenant]]\nid = 3";
        let read = settings(text, Path::new("/fleet/tenants.toml"), &Overrides::default()).unwrap();
        assert_eq!(read.name.as_deref(), Some("sample"));
    }

    #[test]
    fn a_wrong_flag_is_told_by_its_name() {
        let overrides = Overrides { concurrency: Some(0), lock_timeout: Some(Duration::ZERO), ..Overrides::default() };
        let mistakes = read("", [], &overrides).unwrap_err();
        let messages: Vec<_> = mistakes.list().iter().map(|m| m.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "--concurrency must be a whole number, 1 to 1000000",
                "--lock-timeout must be a duration of more than 0s, such as \"3s\"",
            ]
        );
    }
}
