//! A script takes back the limit of how long a statement waits for a lock.

use super::super::settings::Given;
use super::{By, Rule, Step};
use crate::check::doctor::Severity;
use crate::model::engine::EngineMap;

pub(super) const RULE: Rule = Rule {
    id: "unlimited-lock-wait",
    engines: EngineMap { sqlite: false, postgres: true, mysql: true },
    severity: Severity::Warning,
    why: "A statement that waits for a lock makes all wait that come behind it, readers too; fleet gives it up behind `lock_timeout` and tries \
          again later. With 0 (a year on MySQL) one forgotten transaction stops the tenant.",
    instead: "leave it out, and set `lock_timeout` of the tenant file for a migration that may wait for longer",
    bad: "SET lock_timeout = 0;\nSET lock_wait_timeout = DEFAULT",
    good: "SET lock_timeout = '5s';\nSET lock_wait_timeout = 5",
    by: By::Words(look),
};

/// A wait of an hour and more is no limit, in milliseconds.
const LONGEST: f64 = 3_600_000.0;

/// Whether a setting with this value limits nothing: 0 means so on PostgreSQL, where a default may be 0; MySQL's own are a year
/// and 50 seconds.
fn is_unlimited(given: &Given) -> bool {
    let is_default = given.value == "default";
    match given.name.as_str() {
        "all" => is_default,
        "lock_timeout" => is_default || milliseconds(&given.value).is_some_and(|ms| ms.round() == 0.0 || ms >= LONGEST),
        "lock_wait_timeout" | "innodb_lock_wait_timeout" => {
            let seconds = given.value.parse().map(|seconds: f64| seconds * 1000.0 >= LONGEST);
            seconds.unwrap_or(is_default && given.name == "lock_wait_timeout")
        }
        _ => false,
    }
}

/// A time as PostgreSQL reads it (<https://www.postgresql.org/docs/15/config-setting.html>).
fn milliseconds(value: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 7] = [
        ("us", 0.001),
        ("ms", 1.0),
        ("s", 1_000.0),
        ("min", 60_000.0),
        ("h", 3_600_000.0),
        ("d", 86_400_000.0),
        ("", 1.0),
    ];
    let end = value.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(value.len());
    let (number, unit) = (value[..end].parse::<f64>().ok()?, value[end..].trim());
    UNITS.iter().find(|(name, _)| *name == unit).map(|(_, ms)| number * ms)
}

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let given = s.settings().into_iter().find(is_unlimited)?;
        Some(format!("{} = {} lets each statement {} wait for a lock for ever", given.name, given.value, given.reach))
    })
}
