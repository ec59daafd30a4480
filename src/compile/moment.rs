//! Whether a text may hold the moment at which it was written, with a resolution of seconds.
//!
//! It reads text only; the caller passes the time. A finer resolution needs no look: two recordings differ in it. A
//! coarser one (a date, an hour) can't be found by waiting for a second, so it is no reason to wait.

/// A span of time in whole seconds since 1970-01-01 UTC, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: u64,
    pub(super) to: u64,
}

/// Tolerance in seconds, for a leap second or a clock that is adjusted.
const TOLERANCE: u64 = 3;

const DAY: u64 = 86_400;

/// The epochs of the years 2001 to 2100: ten digits, and with an offset of years still in range.
const EPOCHS: std::ops::Range<u64> = 1_000_000_000..4_102_444_800;

/// Constants that are no time although they are in the range of epochs: the largest 32-bit integer.
const LIMITS: [u64; 1] = [2_147_483_647];

/// Whether a text contains a possible time of that span, or one at an offset from it.
///
/// | form | what counts |
/// |---|---|
/// | an epoch in s, ms, µs or ns | any of the years 2001 to 2100 |
/// | `HH:MM:SS`, `YYYYMMDDHHMMSS`, `YYYYMMDD?HHMMSS` | its seconds are those of the span: an offset of minutes keeps them |
/// | a date and a time of day, in any spelling of digits | the date is that of the span, one day more or less |
/// | an epoch in hex, at the beginning of a run of hex digits | it is at most a year away from the span |
pub(super) fn may_hold(text: &str, span: Span) -> bool {
    let bytes = text.as_bytes();
    digit_runs(bytes).any(|(at, run)| {
        is_epoch(run)
            || is_time_of_day(bytes, at, run, span)
            || is_compact(bytes, at, run, span)
            || is_dated(bytes, at, span)
    }) || hex_runs(bytes).any(|run| is_hex_epoch(run, span))
}

/// The runs of digits, each with its offset.
fn digit_runs(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    runs(bytes, u8::is_ascii_digit)
}

fn hex_runs(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    runs(bytes, u8::is_ascii_hexdigit).map(|(_, run)| run)
}

fn runs(bytes: &[u8], belongs: fn(&u8) -> bool) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += bytes[at..].iter().position(belongs)?;
        let begin = at;
        at += bytes[at..].iter().position(|byte| !belongs(byte)).unwrap_or(bytes.len() - at);
        Some((begin, &bytes[begin..at]))
    })
}

/// The number that these digits are; at most 19 of them.
fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'))
}

fn is_epoch(run: &[u8]) -> bool {
    let is_length = matches!(run.len(), 10 | 13 | 16 | 19);
    is_length && EPOCHS.contains(&number(&run[..10])) && !(run.len() == 10 && LIMITS.contains(&number(run)))
}

fn is_hex_epoch(run: &[u8], span: Span) -> bool {
    let Some(first) = run.get(..8).and_then(|first| std::str::from_utf8(first).ok()) else { return false };
    let year = 366 * DAY;
    u64::from_str_radix(first, 16).is_ok_and(|n| (span.from.saturating_sub(year)..=span.to + year).contains(&n))
}

/// `HH:MM:SS` at this run of digits, with the seconds of the span.
fn is_time_of_day(bytes: &[u8], at: usize, run: &[u8], span: Span) -> bool {
    let pair = |from: usize| bytes.get(from..from + 2).filter(|pair| pair.iter().all(u8::is_ascii_digit)).map(number);
    let colon = |at: usize| bytes.get(at) == Some(&b':');
    // The hour may have one digit; the separators decide.
    let end = at + run.len();
    run.len() <= 2
        && colon(end)
        && colon(end + 3)
        && matches!((pair(end + 1), pair(end + 4)), (Some(0..60), Some(second)) if agrees(second, span))
}

/// `YYYYMMDDHHMMSS`, or the same with one character between date and time, with the seconds of the span.
fn is_compact(bytes: &[u8], at: usize, run: &[u8], span: Span) -> bool {
    let (date, time) = match run.len() {
        12 => (&run[..6], &run[6..]),
        14 => (&run[..8], &run[8..]),
        8 => match digit_runs(bytes.get(at + 9..).unwrap_or_default()).next() {
            Some((0, time)) if time.len() == 6 => (run, time),
            _ => return false,
        },
        _ => return false,
    };
    let (month, day) = (number(&date[date.len() - 4..date.len() - 2]), number(&date[date.len() - 2..]));
    (1..=12).contains(&month) && (1..=31).contains(&day) && is_clock(time) && agrees(number(&time[4..]), span)
}

/// Whether six digits are an hour, a minute and a second.
fn is_clock(time: &[u8]) -> bool {
    number(&time[..2]) < 24 && number(&time[2..4]) < 60 && number(&time[4..]) < 60
}

/// Whether a second of a minute may be one of the span.
fn agrees(second: u64, span: Span) -> bool {
    let from = span.from.saturating_sub(TOLERANCE);
    second < 60 && (second + 60 - from % 60) % 60 <= span.to + TOLERANCE - from
}

/// A date of the span, one day more or less for the time zone, and a time of day behind it: `2026_11_28-08.34.57`.
fn is_dated(bytes: &[u8], at: usize, span: Span) -> bool {
    let Some(digits) = spread(&bytes[at..]) else { return false };
    let (from, to) = ((span.from / DAY).saturating_sub(1), span.to / DAY + 1);
    is_clock(&digits[8..]) && (from..=to).any(|days| date(days) == number(&digits[..8]))
}

/// The first 14 digits of a text, with at most two other characters between any of them.
fn spread(bytes: &[u8]) -> Option<[u8; 14]> {
    let mut digits = [0; 14];
    let (mut count, mut gap) = (0, 0);
    for byte in bytes {
        if byte.is_ascii_digit() {
            (digits[count], gap) = (*byte, 0);
            count += 1;
        } else {
            gap += 1;
        }
        match (count, gap) {
            (14, _) => return Some(digits),
            (_, 3..) => return None,
            _ => {}
        }
    }
    None
}

/// The date of a day since 1970-01-01, as the number YYYYMMDD (the algorithm is Howard Hinnant's `civil_from_days`).
fn date(days: u64) -> u64 {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + u64::from(month <= 2)) * 10_000 + month * 100 + day
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-28 08:34:27 UTC.
    const NOW: u64 = 1_795_854_867;
    const SPAN: Span = Span { from: NOW, to: NOW + 1 };

    #[test]
    fn a_date_is_counted_from_1970() {
        for (days, wanted) in [(0, 19_700_101), (NOW / DAY, 20_261_128), (11_016, 20_000_229), (47_540, 21_000_228)] {
            assert_eq!(date(days), wanted);
        }
    }

    #[test]
    fn each_form_of_the_present_moment_is_a_candidate() {
        for text in [
            "values (1795854867)",
            "values (1795854867000)",
            "values ('1795854867.5')",
            "values (1798446867)",
            "values (1795854867000000, 1)",
            "values (1795854867000000000)",
            "'2026-11-28 08:34:27'",
            "'2026-11-28T08:34:27Z'",
            "'2026-12-28 08:34:28'",
            "'Sat, 28 Nov 2026 08:34:27 +0000'",
            "'11/28/26 8:34:27 AM'",
            "'14:04:27'",
            "20261128083427",
            "261128083427",
            "'20261128T083427Z'",
            "backup_20261228_083427",
            "'2026-11-28 08:36:30'",
            "t_2026_11_28_08_36_30",
            "2026.11.28-08h36m30",
            "'20261129T233112'",
            "x'6b0a97b1'",
            "'6b0a97b1f00ba4'",
        ] {
            assert!(may_hold(text, SPAN), "{text}");
        }
    }

    #[test]
    fn dates_years_sizes_and_versions_are_none() {
        for text in [
            "CREATE TABLE m20220101_000001 (a varchar(1024) DEFAULT '4096')",
            "'2026-11-28'",
            "20261128",
            "'2026-11-28', 17, 4, 3, 2000, 3, 1",
            "2147483647",
            "4294967295",
            "-9223372036854775808",
            "9223372036854775807",
            "'00:00:00'",
            "'23:59:59'",
            "'2019-03-15 14:23:45'",
            "20190315142345",
            "'127.0.0.1:5432'",
            "v10.11.57",
            "65536, 1048576, 123456789",
            "x'DEADBEEF'",
            "'550e8400-e29b-41d4-a716-446655440000'",
            "0000000000",
            "",
        ] {
            assert!(!may_hold(text, SPAN), "{text}");
        }
    }

    #[test]
    fn seconds_agree_over_the_end_of_a_minute() {
        let span = Span { from: 1_795_854_899, to: 1_795_854_900 };
        assert!(["'09:00:01'", "'09:00:59'", "'10:00:56'"].iter().all(|text| may_hold(text, span)));
        assert!(!may_hold("'09:00:30'", span));
        assert!(may_hold("'09:00:30'", Span { from: NOW, to: NOW + 90 }), "a recording of more than a minute");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in "([0-9]{1,20}|[0-9a-f]{8}|:|-|T| |é){0,12}") {
            let _ = may_hold(&text, SPAN);
        }

        #[test]
        fn every_moment_is_found_at_any_offset_of_minutes(at in 1_000_010_000_u64..4_000_000_000, minutes in 0_u64..10_000) {
            let told = at + minutes * 60;
            let (day, second) = (date(told / DAY), told % DAY);
            let clock = second / 3600 * 10_000 + second / 60 % 60 * 100 + second % 60;
            for text in [format!("({told})"), format!("{day}{clock:06}"), format!("{day}T{clock:06}")] {
                proptest::prop_assert!(may_hold(&text, Span { from: at, to: at }), "{text}");
            }
        }
    }
}
