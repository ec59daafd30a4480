//! The names of environment variables: those that set something, and those probably meant to.
//!
//! Names only: no value is looked at here. `FLEET_` is a common prefix, so a name that is not close to any setting may be
//! another program's: it stops nothing, but there is a warning.

use super::table::{Setting, keys, variable};
use crate::inputs::{Variables, scratch};
use crate::model::text::{is_slip, suggestion};

/// The prefix of all variables, in lower case.
const PREFIX: &str = "fleet_";

/// Read by the command line.
const OF_COMMAND_LINE: [&str; 4] = ["config", "color", "log", "serve_token"];

/// Told to the command of a backup, all together; it may call this program.
const OF_BACKUPS: [&str; 4] = ["FLEET_TENANT", "FLEET_ENGINE", "FLEET_SERVER", "FLEET_RUN"];

/// Told to the command of a gate, all together; it may call this program, too.
const OF_GATES: [&str; 2] = ["FLEET_RUN", "FLEET_WAVE"];
/// Told to the program of a hook, the first always; it may call this program.
const OF_HOOKS: [&str; 5] = ["FLEET_HOOK", "FLEET_RUN", "FLEET_WAVE", "FLEET_TENANT", "FLEET_OUTCOME"];

/// Of the project's own scripts and tests.
const OF_SCRIPTS: &str = "servers_state";
const OF_TESTS: &str = "test_";

/// A variable's name as this program understands it.
pub(super) enum Meaning {
    /// It sets this.
    Sets(&'static Setting),
    /// It was meant to set something: the problem, which follows its name in the message, and the remedy.
    Refused(&'static str, String),
    /// It may be another program's, but is close to this variable.
    Near(String),
    /// It begins as ours do, and is none of them.
    Unknown,
    /// It is none of ours, or read elsewhere.
    Foreign,
}

/// Warnings of the variables that begin as ours do and are not read, as sentences. Those that the tenant file names, for a
/// password perhaps, are.
pub(crate) fn unread(variables: &Variables, file: &str) -> Vec<String> {
    let is_named = |name: &str| file.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == name);
    let told_to_commands = [&OF_BACKUPS[..], &OF_GATES];
    let is_told = |names: &&[&str]| names.iter().all(|name| variables.get(name).is_some());
    let of_hooks = variables.get(OF_HOOKS[0]).map(|_| &OF_HOOKS[..]);
    let own = told_to_commands.into_iter().filter(is_told).chain(of_hooks);
    let own: Vec<&str> = own.flatten().copied().collect();
    let (mut told, mut unknown) = (Vec::new(), Vec::new());
    for (name, _) in variables.sorted() {
        if own.contains(&name) {
            continue;
        }
        match meaning(name) {
            Meaning::Near(near) if !is_named(name) => {
                told.push(format!("the environment variable {name} is not read; did you mean {near}?"));
            }
            Meaning::Unknown if !is_named(name) => unknown.push(name),
            _ => {}
        }
    }
    match unknown.len() {
        0 => {}
        1 => told.push(format!("the environment variable {} is not read: it is no setting of fleet", unknown[0])),
        _ => told.push(format!(
            "the environment variables {} are not read: they are no settings of fleet",
            unknown.join(", ")
        )),
    }
    told
}

/// The meaning of a variable by its name.
pub(super) fn meaning(name: &str) -> Meaning {
    let lower = name.to_ascii_lowercase();
    let Some(key) = lower.strip_prefix(PREFIX).filter(|_| !name.starts_with(scratch::PREFIX)) else {
        return Meaning::Foreign;
    };
    // On Unix `fleet_lock_timeout` is another variable than `FLEET_LOCK_TIMEOUT`, and both may be set.
    if name != lower.to_ascii_uppercase() {
        return near(key).map_or(Meaning::Foreign, |near| Meaning::Near(variable(&near)));
    }
    if OF_COMMAND_LINE.contains(&key) || key == OF_SCRIPTS || key.starts_with(OF_TESTS) {
        return Meaning::Foreign;
    }
    if Setting::of(key).is_some_and(Setting::is_of_file) {
        return Meaning::Refused(
            "would decide whether plans need an approval, which the environment never does",
            "write require_approval under [fleet] in the tenant file, and remove the variable".to_owned(),
        );
    }
    if let Some(setting) = Setting::of(key) {
        return Meaning::Sets(setting);
    }
    if let Some(old) = key.strip_prefix('_') {
        return old_form(old);
    }
    if let Some(setting) = key.strip_prefix(PREFIX).and_then(Setting::of) {
        return renamed(&setting.variable());
    }
    match near(key) {
        Some(near) if is_slip(key, &near) && !OF_COMMAND_LINE.contains(&near.as_str()) => {
            Meaning::Refused("names no key of [fleet]", format!("did you mean {}?", variable(&near)))
        }
        Some(near) => Meaning::Near(variable(&near)),
        None => Meaning::Unknown,
    }
}

/// A name of the former forms `FLEET__FLEET__KEY` and `FLEET__SCRATCH__KEY`; `old` is the part after the first two
/// underscores.
fn old_form(old: &str) -> Meaning {
    let (section, key) = old.split_once("__").unwrap_or((old, ""));
    let key = match section {
        "tenant" | "tenants" | "wave" | "waves" | "defaults" => {
            let help = "write it in the tenant file; only [fleet] and [scratch] can be set by environment: \
                        FLEET_LOCK_TIMEOUT=5s";
            return Meaning::Refused(
                "would change tenants or waves, which the environment never does",
                help.to_owned(),
            );
        }
        "fleet" => key.to_owned(),
        "scratch" => format!("scratch_{key}"),
        other => other.to_owned(),
    };
    match near(&key) {
        Some(near) => renamed(&variable(&near)),
        None => renamed("FLEET_<KEY>, such as FLEET_LOCK_TIMEOUT"),
    }
}

fn renamed(now: &str) -> Meaning {
    Meaning::Refused("has the form of an older version and is not read", format!("write {now}"))
}

/// The key equal or nearest to this one, or with which it begins (`ledger_url`, `configuration`): a key of `[fleet]`,
/// `scratch_` and a key of `[scratch]`, or a name that the command line reads.
fn near(key: &str) -> Option<String> {
    let plain = keys().into_iter().chain(OF_COMMAND_LINE).map(str::to_owned);
    let known: Vec<String> = plain.chain(scratch::keys()).collect();
    let begun = || known.iter().map(String::as_str).find(|known| known.len() > 3 && key.starts_with(known));
    suggestion(key, known.iter().map(String::as_str)).or_else(begun).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::SETTINGS;

    fn told(name: &str) -> String {
        match meaning(name) {
            Meaning::Sets(setting) => format!("sets {}", setting.key),
            Meaning::Refused(problem, help) => format!("{problem}: {help}"),
            Meaning::Near(variable) => format!("near {variable}"),
            Meaning::Unknown => "unknown".to_owned(),
            Meaning::Foreign => "foreign".to_owned(),
        }
    }

    #[test]
    fn each_setting_has_one_variable_in_capitals() {
        for setting in &SETTINGS {
            let is_set = told(&setting.variable()) == format!("sets {}", setting.key);
            assert_eq!(is_set, !setting.is_of_file(), "{}", setting.key);
        }
        assert!(told("FLEET_REQUIRE_APPROVAL").contains("which the environment never does"));
        for other in ["fleet_lock_timeout", "Fleet_Lock_Timeout", "fleet_lock_timout"] {
            assert_eq!(told(other), "near FLEET_LOCK_TIMEOUT", "{other}");
        }
        assert_eq!(told("fleet_scratch_mysql_url"), "near FLEET_SCRATCH_MYSQL_URL");
        assert_eq!(told("fleet_id"), "foreign");
    }

    #[test]
    fn variables_of_others_are_passed_over() {
        for name in [
            "FLEET_CONFIG",
            "FLEET_COLOR",
            "FLEET_LOG",
            "FLEET_SERVERS_STATE",
            "FLEET_TEST_POSTGRES_URL",
            "FLEET_TEST_MARIADB_URL",
            "FLEET",
            "FLEETING",
            "PATH",
        ] {
            assert_eq!(told(name), "foreign", "{name}");
        }
        for name in [
            "FLEET_URL",
            "FLEET_TENANT",
            "FLEET_TENANT_ID",
            "FLEET_MYSQL_ADDRESS",
            "FLEET_WAVE__CANARY",
            "FLEET_TIMEOUT",
            "FLEET_",
        ] {
            assert_eq!(told(name), "unknown", "{name}");
        }
    }

    #[test]
    fn what_is_not_read_is_told_once_but_for_what_the_tenant_file_names() {
        let variables = Variables::from([
            ("FLEET_TIMEOUT", ""),
            ("FLEET_URL", ""),
            ("FLEET_PW", ""),
            ("FLEET_CONFG", ""),
            ("FLEET_LEDGER", ""),
        ]);
        let told = unread(&variables, "url = \"postgres://me:${FLEET_PW}@h/x\" # FLEET_URL_2");
        assert_eq!(
            told,
            [
                "the environment variable FLEET_CONFG is not read; did you mean FLEET_CONFIG?",
                "the environment variables FLEET_TIMEOUT, FLEET_URL are not read: they are no settings of fleet",
            ]
        );
        let backup = [("FLEET_TENANT", "a"), ("FLEET_ENGINE", "x"), ("FLEET_SERVER", "h"), ("FLEET_RUN", "r")];
        assert!(unread(&Variables::from(backup), "").is_empty(), "the command of a backup may call fleet");
        let alone = unread(&Variables::from([("FLEET_TENANT", "a")]), "");
        assert_eq!(alone, ["the environment variable FLEET_TENANT is not read: it is no setting of fleet"]);
    }

    #[test]
    fn a_slip_is_refused_and_a_name_that_is_only_near_is_told() {
        let refused = |key: &str| format!("names no key of [fleet]: did you mean {key}?");
        for (wrong, meant) in [
            ("FLEET_LOCK_TIMOUT", "FLEET_LOCK_TIMEOUT"),
            ("FLEET_CONCURENCY", "FLEET_CONCURRENCY"),
            ("FLEET_BACKUP", "FLEET_BACKUPS"),
            ("FLEET_PERSERVER", "FLEET_PER_SERVER"),
            ("FLEET_SCRACH_MYSQL_URL", "FLEET_SCRATCH_MYSQL_URL"),
        ] {
            assert_eq!(told(wrong), refused(meant));
        }
        assert_eq!(told("FLEET_STAGE"), "near FLEET_OUTAGE");
        assert_eq!(told("FLEET_HOME"), "near FLEET_NAME");
        assert_eq!(told("FLEET_LEDGER_URL"), "near FLEET_LEDGER");
        for name in ["FLEET_CONFG", "FLEET_CONFIGURATION", "FLEET_CONFIG_FILE"] {
            assert_eq!(told(name), "near FLEET_CONFIG", "{name}");
        }
    }

    #[test]
    fn the_old_form_is_refused_with_the_new_name() {
        let old = "has the form of an older version and is not read: write";
        for (name, now) in [
            ("FLEET__FLEET__LOCK_TIMEOUT", "FLEET_LOCK_TIMEOUT"),
            ("FLEET__FLEET__LOCK_TIMOUT", "FLEET_LOCK_TIMEOUT"),
            ("FLEET__LOCK_TIMEOUT", "FLEET_LOCK_TIMEOUT"),
            ("FLEET_FLEET_LOCK_TIMEOUT", "FLEET_LOCK_TIMEOUT"),
            ("FLEET__SCRATCH__MYSQL_URL", "FLEET_SCRATCH_MYSQL_URL"),
            ("FLEET__ZEBRA__X", "FLEET_<KEY>, such as FLEET_LOCK_TIMEOUT"),
        ] {
            assert_eq!(told(name), format!("{old} {now}"));
        }
        assert!(told("FLEET__WAVE__CANARY").contains("the environment never does"));
    }
}
