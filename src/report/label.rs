//! Short names for migrations, lists of tenant names that fit, shares and times.
//!
//! Text only. A short name is never the only place where a migration is named.

use std::fmt::Display;
use std::time::{Duration, UNIX_EPOCH};

use crate::model::hook::HookPoint;
use crate::model::load::ServerLoad;
use crate::model::schema::Direction;
use crate::model::tenant::TenantId;
use crate::policy::{format_duration, scaled};

use super::style::{Style, clean, width};

/// The number of a migration for people: `m1` is the first.
pub(super) fn number(position: usize) -> String {
    format!("m{}", position + 1)
}

/// The name without the date that SeaORM's generator puts in front: `m20220101_000001_users` is `users`.
pub(super) fn tail(name: &str) -> &str {
    let digits = |text: &str, n: usize| text.len() >= n && text.bytes().take(n).all(|b| b.is_ascii_digit());
    name.strip_prefix('m')
        .filter(|rest| digits(rest, 8))
        .and_then(|rest| rest[8..].strip_prefix('_'))
        .filter(|rest| digits(rest, 6))
        .and_then(|rest| rest[6..].strip_prefix('_'))
        .filter(|rest| !rest.is_empty())
        .unwrap_or(name)
}

/// The work of a run in words: `up to head`, `down by 2 steps`, `refresh --group hourly`.
pub(super) fn aim(direction: Direction, goal: &str, is_task: bool) -> String {
    if is_task { clean(goal) } else { format!("{direction} {}", clean(&towards(goal))) }
}

/// The goal of a run, after its direction: `to head`, `by 2 steps`.
pub(crate) fn towards(goal: &str) -> String {
    let is_number = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
    match goal.split_once(' ') {
        Some((n, "step" | "steps")) if is_number(n) => format!("by {goal}"),
        _ => format!("to {goal}"),
    }
}

pub(super) use crate::policy::format_bytes as bytes;

/// The numbers of a server's load that are known: `12 of 100 connections, no waits for locks, 1.2 GB written to its log`.
pub(super) fn load(load: &ServerLoad) -> String {
    let waits = |n: u64| if n == 0 { "no waits for locks".to_owned() } else { format!("{n} waiting for locks") };
    let lag = |seconds: u64| format!("replicas {} behind", format_duration(Duration::from_secs(seconds)));
    let parts = [
        load.connections.map(|room| format!("{} of {} connections", room.used, room.most)),
        load.lock_waits.map(waits),
        load.replication_lag.map(lag),
        load.log_bytes.map(|n| format!("{} written to its log", bytes(n))),
        load.free_bytes.map(|n| format!("{} free", bytes(n))),
    ];
    let known: Vec<String> = parts.into_iter().flatten().collect();
    if known.is_empty() { "its load is not known".to_owned() } else { known.join(", ") }
}

/// A large number in few digits: `812`, `12.4k`, `48.0M`.
pub(crate) fn approximately(n: u64) -> String {
    scaled(n, ["G", "M", "k", ""])
}

/// A version in a sentence; without one, nothing has been applied.
pub(super) fn version(version: Option<&str>) -> String {
    version.map_or_else(|| "empty".to_owned(), |v| clean(tail(v)))
}

/// Places in a row as ranges, in the order given: `m1-m3, m5`.
pub(super) fn ranges(positions: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &at in positions {
        match runs.last_mut() {
            Some((first, last)) if goes_on(*first, *last, at) => *last = at,
            _ => runs.push((at, at)),
        }
    }
    let text =
        |(first, last)| if first == last { number(first) } else { format!("{}-{}", number(first), number(last)) };
    runs.into_iter().map(text).collect::<Vec<_>>().join(", ")
}

fn goes_on(first: usize, last: usize, next: usize) -> bool {
    (first <= last && next == last + 1) || (first >= last && next + 1 == last)
}

/// As many names as fit into `room` columns, and the number of the others: `acme, beta, … (+417)`. The first stands there whole, however
/// long it is: the beginnings of two may be the same.
pub(crate) fn names<N: Display>(all: impl ExactSizeIterator<Item = N>, room: usize, style: &Style) -> String {
    let (mut out, n) = (String::new(), all.len());
    for (i, name) in all.enumerate() {
        let left = n - i;
        let more = |n: usize| if n == 0 { String::new() } else { format!("{} (+{n})", style.ellipsis()) };
        let comma = if i == 0 { "" } else { ", " };
        // The name must leave room for the rest to be counted, unless it is the last one.
        let rest = if left == 1 { 0 } else { 2 + width(&more(left - 1)) };
        let name = clean(&name.to_string());
        if width(&out) + comma.len() + width(&name) + rest <= room {
            out.push_str(comma);
            out.push_str(&name);
        } else if i == 0 {
            return if left == 1 { name } else { format!("{name}, {}", more(left - 1)) };
        } else {
            return format!("{out}, {}", more(left));
        }
    }
    out
}

/// The first `most` of these in a sentence, and the number of the others: `a, b and 3 more`.
pub(crate) fn first(all: &[String], most: usize) -> String {
    let more = all.len().saturating_sub(most);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", all[..all.len() - more].join(", "))
}

/// Below a list of which only the first `shown` are shown: `… 12 more causes`, where `what` is ` causes`.
pub(super) fn more(all: usize, shown: usize, what: &str, style: &Style) -> Option<String> {
    let more = all.checked_sub(shown).filter(|n| *n > 0)?;
    Some(format!("{} {more} more{what}", style.ellipsis()))
}

/// A share in percent. It is `100 %` and `0 %` only when it is exactly that.
#[expect(clippy::cast_precision_loss, reason = "counts of tenants are far below 2^52")]
pub(super) fn share(part: usize, whole: usize) -> String {
    match (part, whole) {
        (0, _) | (_, 0) => "0 %".to_owned(),
        _ if part == whole => "100 %".to_owned(),
        _ => format!("{:.1} %", (part as f64 / whole as f64 * 100.0).clamp(0.1, 99.9)),
    }
}

/// A hook with its subject: `after_tenant of acme`.
pub(super) fn of_hook(hook: HookPoint, wave: Option<&str>, tenant: Option<&TenantId>) -> String {
    let of = tenant.map(TenantId::as_str).or(wave);
    of.map_or_else(|| hook.to_string(), |of| format!("{hook} of {}", clean(of)))
}

/// `1 tenant`, `2 tenants`.
pub(crate) fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A moment as RFC 3339 in UTC, to the second; `?` for one that no calendar of four-digit years since 1970 has.
pub(crate) fn moment(ms: i64) -> String {
    const END_OF_9999_MS: u64 = 253_402_300_799_999;
    match u64::try_from(ms) {
        Ok(ms) if ms <= END_OF_9999_MS => {
            humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(ms)).to_string()
        }
        _ => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails() {
        assert_eq!(tail("m20220101_000001_users"), "users");
        for whole in ["m1_users", "m20220101_000001_", "m2022é101_000001_x", "20220101_000001_x", ""] {
            assert_eq!(tail(whole), whole);
        }
    }

    #[test]
    fn places_as_ranges() {
        assert_eq!(ranges(&[0, 1, 2, 4]), "m1-m3, m5");
        assert_eq!(ranges(&[4, 3, 1]), "m5-m4, m2");
        assert_eq!(ranges(&[1, 2, 1]), "m2-m3, m2");
        assert_eq!(ranges(&[]), "");
    }

    #[test]
    fn names_fit_and_the_rest_is_counted() {
        let style = Style { colour: false, unicode: true, width: Some(80) };
        let all = ["acme", "beta", "gamma", "delta"];
        assert_eq!(names(all.iter(), 40, &style), "acme, beta, gamma, delta");
        assert_eq!(names(all.iter(), 20, &style), "acme, beta, … (+2)");
        assert_eq!(names(all.iter(), 6, &style), "acme, … (+3)", "one name and the count are always said");
        assert_eq!(names(["a-very-long-name"].iter(), 8, &style), "a-very-long-name");
        assert_eq!(names(["a-very-long-name", "b"].iter(), 8, &style), "a-very-long-name, … (+1)");
        assert_eq!(names(["a\nb"].iter(), 8, &style), "a\\nb");
        assert_eq!(names::<&str>([].into_iter(), 8, &style), "");
        for room in 12..40 {
            assert!(width(&names(all.iter(), room, &style)) <= room);
        }
    }

    #[test]
    fn a_number_of_steps_is_no_place() {
        assert_eq!(towards("head"), "to head");
        assert_eq!(towards("1 step"), "by 1 step");
        assert_eq!(towards("m20250110_000001_initial_schema"), "to m20250110_000001_initial_schema");
    }

    #[test]
    fn a_share_never_hides_one_tenant() {
        assert_eq!(share(4999, 5000), "99.9 %");
        assert_eq!(share(1, 5000), "0.1 %");
        assert_eq!(share(0, 0), "0 %");
        assert_eq!(share(3, 3), "100 %");
    }

    #[test]
    fn moments() {
        assert_eq!(moment(1_795_169_702_999), "2026-11-20T10:15:02Z");
        assert_eq!(moment(0), "1970-01-01T00:00:00Z");
        assert_eq!(moment(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!([moment(-1), moment(i64::MAX)], ["?", "?"]);
    }
}
