//! The table of the settings: key, form, default, flag and text of each.
//!
//! Flags, environment, file, defaults, `fleet config` and the reference page all come from here. A new setting is a row
//! here and a field of [`Settings`](super::Settings).

use crate::inputs::form::Form;
use crate::model::transaction::TransactionScope;

/// A key of `[fleet]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// The key in `[fleet]`.
    pub(crate) key: &'static str,
    /// The form of its value.
    pub(crate) form: Form,
    /// The default value, as a text; `None` where there is none.
    pub(crate) default: Option<&'static str>,
    /// One sentence without its full stop, for help and reference pages.
    pub(crate) about: &'static str,
    /// More sentences for the reference page, or nothing.
    pub(crate) note: &'static str,
    /// The long flag without its dashes, and the commands that have it.
    pub(crate) flag: Option<(&'static str, Commands)>,
}

/// The commands that have a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commands {
    /// All that read the tenant file.
    All,
    /// Those that migrate.
    Changes,
    /// Those that plan a migration or go on with one, too.
    Plans,
}

const POSITIVE: Form = Form::Duration { zero: false };
const DURATION: Form = Form::Duration { zero: true };

/// All settings, in the order in which they are shown.
pub(crate) static SETTINGS: [Setting; 45] = [
    setting("name", Form::Text, None, "The name of the fleet"),
    setting(
        "development",
        Form::Text,
        None,
        "A name by which `reset` is confirmed; only a fleet of development has one",
    )
    .note("Only the file counts, and no variable: all rows of the tenants may go."),
    setting("concurrency", Form::Count, Some("16"), "Tenants in flight at once, over the whole fleet")
        .note("Twice the cores of the database host is a good value.")
        .flag("concurrency", Commands::All),
    setting("per_server", Form::Count, Some("8"), "Tenants in flight at once on one server")
        .note("Servers are told apart by their key.")
        .flag("per-server", Commands::All),
    setting("connect_timeout", POSITIVE, Some("10s"), "How long a connection and its login may take (e.g. 500ms, 10s)")
        .flag("connect-timeout", Commands::All),
    setting("lock_timeout", POSITIVE, Some("3s"), "How long a statement may wait for a lock (e.g. 500ms, 3s)")
        .note("The first tries wait for a part of it. MySQL and MariaDB count whole seconds, rounded up.")
        .flag("lock-timeout", Commands::All),
    setting("statement_timeout", DURATION, Some("0s"), "How long one statement may run; 0s means no limit")
        .note("MySQL has no such limit for DDL, SQLite none at all.")
        .flag("statement-timeout", Commands::All),
    setting("cancel_timeout", POSITIVE, Some("10s"), "How long a cancelled statement may take to end")
        .note("After that its connection is given up."),
    setting("silence_timeout", POSITIVE, Some("1m"), "How long a server at work on a tenant may send nothing")
        .note("The session is ended if a second connection does not find it at work either."),
    setting("password_max_age", POSITIVE, Some("10m"), "How old a password from a file or a command may become")
        .note("Then it is asked for again; so it is when a server refuses the login."),
    setting(
        "transaction",
        Form::Choice(TransactionScope::WORDS),
        Some("migration"),
        "What is committed together: each migration, or all steps of a tenant",
    )
    .note("On PostgreSQL and SQLite; steps that can't share a transaction part those before them from those behind.")
    .flag("transaction", Commands::Plans),
    setting("online", Form::Switch { off: "no-online" }, Some("false"), "Rewrites statements that lock a table for long to forms with short locks")
        .note("A migration that is rewritten is committed statement by statement; `--no-online` switches it off. SQLite has no such forms.")
        .flag("online", Commands::Plans),
    setting(
        "require_approval",
        Form::Switch { off: "" },
        Some("false"),
        "Whether `migrate` and `rollback` run only saved plans that a person has approved",
    )
    .note("Only the file counts, and no variable. A dry run needs no approval."),
    setting("freeze_at", Form::Text, None, "The migration that `migrate` goes up to at most, on every tenant without its own"),
    setting("attempts", Form::Count, Some("5"), "Attempts for each tenant, the first included")
        .note("Faults that may pass, such as a deadlock, are tried again; with 1 nothing is, not even a lock.")
        .flag("attempts", Commands::All),
    setting("retry_pause", DURATION, Some("200ms"), "The pause after the first failed attempt")
        .note("It doubles with each attempt, and up to half of it is taken off at random."),
    setting("longest_pause", DURATION, Some("10s"), "The longest pause between two attempts"),
    setting("hold_wait", DURATION, Some("60s"), "How long to wait for another run that is working on the tenant")
        .note("A server that has no connection to spare is waited for as long.")
        .flag("hold-wait", Commands::All),
    setting(
        "lock_wait",
        DURATION,
        Some("2m"),
        "How long a tenant's locks are tried for, all tries and pauses together",
    )
    .note("With 0s there is one try.")
    .flag("lock-wait", Commands::All),
    setting(
        "max_failures",
        Form::Budget,
        Some("unlimited"),
        "How many tenants of the last wave may fail before nothing new is started: 3, 5% or unlimited",
    )
    .note("A share counts from 10 finished tenants on, or `5% from 20`; `without unreachable` leaves out kinds of failures. The less of it is left, the fewer tenants are at work at once.")
    .flag("max-failures", Commands::All),
    setting(
        "run_max_failures",
        Form::Budget,
        Some("unlimited"),
        "How many tenants of the whole run may fail before nothing new is started: 3, 5% or unlimited",
    )
    .note("It holds beside those of the waves. `--fail-fast` is 0, `--keep-going` lifts all of them.")
    .flag("run-max-failures", Commands::All),
    setting("rate", Form::Rate, None, "At most so many tenants started in a time: 10/min, 2/s or 100/h")
        .note("They are spread evenly. A tenant that is tried again is not started anew, and one that is at its target needs no start.")
        .flag("rate", Commands::Plans),
    setting("deadline", Form::Deadline, None, "Nothing new is started after this time: 90m, or a time with its zone (04:00 Europe/Berlin)")
        .note("A duration counts from the start of the run. Tenants in flight come to their end; the others are left for `runs resume`.")
        .flag("deadline", Commands::Plans),
    setting("window", Form::Window, Some("always"), "The maintenance window in which tenants are started, with its time zone")
        .note("Such as `\"22:00-04:00 Europe/Berlin\"`; a wave may have another one. Tenants in flight at its end come to their end.")
        .flag("window", Commands::Plans),
    setting("outside_window", Form::Choice(&["wait", "stop"]), Some("wait"), "Outside of the window, whether a run waits for it or stops: wait or stop")
        .note("It stops as at its deadline.")
        .flag("outside-window", Commands::Plans),
    setting("max_connections_share", Form::Percent, None, "The share of a server's connections in use above which a run starts nothing new on it")
        .note("As the limits below: the run goes on there once the server is within them."),
    setting("max_lock_waits", Form::Count, None, "The number of sessions that wait for locks on a server above which a run starts nothing new on it")
        .note("Those of the run count, too."),
    setting("max_replication_lag", POSITIVE, None, "How far a replica of a server may be behind before a run starts nothing new on that server"),
    setting("max_log_growth", Form::Size, None, "How much may be written to a server's WAL or binary log during a run before it starts nothing new there")
        .note("It is counted from the run's first reading of the server, and only another run counts anew."),
    setting("min_free_space", Form::Size, None, "The free space of a server's disk below which a run starts nothing new on it")
        .note("Where it is known: of files, and of servers on this machine."),
    setting("load_interval", POSITIVE, Some("10s"), "How often a run reads the load of the servers on which it works"),
    setting("load_wait", DURATION, Some("10m"), "How long a run waits for a server that is beyond a limit before it pauses"),
    setting("lease", POSITIVE, Some("60s"), "In a run that several runners share, how long one may give no sign before others take its tenants over")
        .note("It is that of `migrate --enqueue` for the whole run; a runner gives a sign four times in it.")
        .flag("lease", Commands::Changes),
    setting("outage", Form::Percent, Some("50%"), "The share of unreachable tenants above which no run starts")
        .note("It is judged from 5 selected tenants on."),
    setting("long_transaction", POSITIVE, Some("5m"), "How long a transaction may be open before doctor reports it"),
    setting("replication_lag", POSITIVE, Some("30s"), "How far a replica may lag behind before doctor reports it"),
    setting(
        "ledger",
        Form::Ledger,
        Some("fleet-ledger.db"),
        "Where runs are recorded: a file, or a postgres:// or mysql:// URL",
    )
    .flag("ledger", Commands::All),
    setting("scripts", Form::Folder, None, "The folder of SQL scripts that come after the migrations")
        .flag("scripts", Commands::All),
    setting("backups", Form::Folder, Some("backups"), "The folder of backups; each run has its own below it")
        .flag("backups", Commands::All),
    setting(
        "backup_timeout",
        DURATION,
        Some("1h"),
        "How long a tenant's backup or restore may take; 0s means no limit",
    ),
    setting(
        "on_failure",
        Form::Choice(&["leave", "restore"]),
        Some("leave"),
        "With --backup, what to do with a tenant that failed and could not be rolled back: leave or restore",
    )
    .flag("on-failure", Commands::Changes),
    setting(
        "restore_trial",
        Form::Choice(&["always", "never"]),
        Some("always"),
        "Whether a restore loads the backup into a scratch database first (MySQL, MariaDB): always or never",
    )
    .note("SQLite and PostgreSQL restore in one transaction and need none.")
    .flag("restore-trial", Commands::All),
    setting(
        "verify",
        Form::Folder,
        Some("verify"),
        "The folder of assertions, one query in a file, for `fleet verify`",
    ),
    setting("log_format", Form::Choice(&["text", "json"]), Some("text"), "The form of the log: text or json")
        .flag("log-format", Commands::All),
    setting("log_dir", Form::Folder, None, "The folder of logs of runs: DIR/RUN/TENANT.log, with all SQL")
        .note("Only its owner may read it.")
        .flag("log-dir", Commands::All),
];

const fn setting(key: &'static str, form: Form, default: Option<&'static str>, about: &'static str) -> Setting {
    Setting { key, form, default, about, note: "", flag: None }
}

impl Setting {
    const fn note(self, note: &'static str) -> Self {
        Setting { note, ..self }
    }

    const fn flag(self, long: &'static str, commands: Commands) -> Self {
        Setting { flag: Some((long, commands)), ..self }
    }

    /// The setting with this key.
    pub(crate) fn of(key: &str) -> Option<&'static Setting> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// The settings with a flag on these commands, and that flag.
    pub(crate) fn with_flag(commands: Commands) -> impl Iterator<Item = (&'static Setting, &'static str)> {
        SETTINGS.iter().filter_map(move |setting| {
            let (long, of) = setting.flag?;
            (of == commands).then_some((setting, long))
        })
    }

    /// Whether its value is a location: the ledger or a folder.
    pub(crate) fn is_place(&self) -> bool {
        matches!(self.form, Form::Ledger | Form::Folder)
    }

    /// Whether only the tenant file sets it: the environment never switches a safeguard off.
    pub(crate) fn is_of_file(&self) -> bool {
        self.key == "require_approval"
    }

    /// The environment variable that sets it.
    pub(crate) fn variable(&self) -> String {
        variable(self.key)
    }
}

/// The environment variable of a key: `FLEET_LOCK_TIMEOUT`.
pub(crate) fn variable(key: &str) -> String {
    format!("FLEET_{}", key.to_ascii_uppercase())
}

/// All keys of `[fleet]`.
pub(crate) fn keys() -> Vec<&'static str> {
    SETTINGS.iter().map(|setting| setting.key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_whole() {
        for setting in &SETTINGS {
            let Setting { key, form, default, about, note, flag } = setting;
            assert!(default.is_none_or(|default| form.check(default).is_ok()), "the default of {key} has another form");
            assert!(!about.is_empty() && !about.ends_with('.'), "{key} needs one sentence, without its full stop");
            assert!(note.is_empty() || note.ends_with('.'), "the note of {key} is whole sentences");
            assert!(flag.is_none_or(|(long, _)| long == key.replace('_', "-")), "the flag of {key} has another name");
        }
    }

    #[test]
    fn a_limit_can_not_be_switched_off_by_accident() {
        let form = |key: &str| Setting::of(key).unwrap().form;
        assert!(form("lock_timeout").check("0s").is_err());
        assert!(form("statement_timeout").check("0s").is_ok());
        assert!(form("concurrency").check("0").is_err());
    }
}
