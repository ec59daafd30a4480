//! The names of environment variables: those that set something, and those probably meant to.
//!
//! Names only: no value is looked at here. `FLEET_` is a common prefix, so a name that is not close to any setting is
//! another program's, and ignored.

use super::table::{Setting, keys, variable};
use crate::inputs::scratch;
use crate::model::text::{is_slip, suggestion};

/// The prefix of all variables, in lower case. Names are compared without regard to case.
const PREFIX: &str = "fleet_";

/// A variable's name as this program understands it.
pub(super) enum Meaning {
    /// It sets this.
    Sets(&'static Setting),
    /// It was meant to set something: the problem, which follows its name in the message, and the remedy.
    Refused(&'static str, String),
    /// It may be another program's, but is close to this variable.
    Near(String),
    /// It is none of ours, or read elsewhere.
    Foreign,
}

/// The meaning of a variable by its name.
pub(super) fn meaning(name: &str) -> Meaning {
    let lower = name.to_ascii_lowercase();
    let Some(key) = lower.strip_prefix(PREFIX).filter(|_| !lower.starts_with(scratch::PREFIX)) else {
        return Meaning::Foreign;
    };
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
        Some(near) if is_slip(key, &near) => {
            Meaning::Refused("names no key of [fleet]", format!("did you mean {}?", variable(&near)))
        }
        Some(near) => Meaning::Near(variable(&near)),
        None => Meaning::Foreign,
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

/// The key equal or nearest to this one: a key of `[fleet]`, or `scratch_` and a key of `[scratch]`.
fn near(key: &str) -> Option<String> {
    let known: Vec<String> = keys().into_iter().map(str::to_owned).chain(scratch::keys()).collect();
    suggestion(key, known.iter().map(String::as_str)).map(str::to_owned)
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
            Meaning::Foreign => "foreign".to_owned(),
        }
    }

    #[test]
    fn each_setting_has_one_variable_in_any_case() {
        for setting in &SETTINGS {
            assert_eq!(told(&setting.variable()), format!("sets {}", setting.key));
        }
        assert_eq!(told("fleet_Lock_Timeout"), "sets lock_timeout");
    }

    #[test]
    fn variables_of_others_are_passed_over() {
        for name in [
            "FLEET_CONFIG",
            "FLEET_COLOR",
            "FLEET_LOG",
            "FLEET_TENANT",
            "FLEET_ENGINE",
            "FLEET_SERVER",
            "FLEET_RUN",
            "FLEET_SERVERS_STATE",
            "FLEET_TEST_POSTGRES_URL",
            "FLEET_TEST_MYSQL_URL",
            "FLEET_URL",
            "FLEET_TENANT_ID",
            "FLEET_MYSQL_ADDRESS",
            "FLEET_SERVER_ENABLE",
            "FLEET_LOGGING_JSON",
            "FLEET_",
            "FLEET",
            "FLEETING",
            "PATH",
        ] {
            assert_eq!(told(name), "foreign", "{name}");
        }
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
