//! A run while it goes on.

use std::time::Duration;

use super::outcome::{failed, header, migrated, mixed, record, stats};
use super::*;
use crate::model::event::Event;
use crate::model::load::{Excess, Overload, ServerLoad};
use crate::model::outcome::{NotStarted, Outcome};
use crate::report::live::{Live, jsonl};

fn events() -> Vec<Event> {
    let mut retried = migrated(1, "beta", None, 3);
    retried.attempts = 2;
    let records =
        [migrated(0, "acme", None, 3), retried, failed(2, "a\x1b[2Jb\n", FaultClass::Syntax, "42601", "bad\nsql")];
    let busy = Fault::with_code(FaultClass::LockTimeout, "55P03", "canceling statement due to lock timeout");
    vec![
        Event::RunStarted(header(&mixed()[..12])),
        Event::WaveStarted {
            wave: "canary".to_owned(),
            tenants: 3,
            max_failures: Some("1".to_owned()),
            run_max_failures: None,
        },
        Event::AttemptStarted { index: 0, tenant: "acme".into(), attempt: 1 },
        Event::AttemptStarted { index: 1, tenant: "beta".into(), attempt: 1 },
        Event::AttemptFailed { index: 1, tenant: "beta".into(), attempt: 1, error: busy, retry_in_ms: 1_200 },
        Event::TenantFinished(records[0].clone()),
        Event::AttemptStarted { index: 1, tenant: "beta".into(), attempt: 2 },
        Event::TenantFinished(records[1].clone()),
        Event::TenantFinished(records[2].clone()),
        Event::WaveFinished { wave: "canary".to_owned(), stats: stats(&records) },
        Event::Draining { reason: NotStarted::FailureBudget, in_flight: 4 },
        Event::Cancelling { in_flight: 4 },
        Event::TenantFinished(record(3, "gamma", Outcome::UpToDate)),
        Event::TenantFinished(record(4, "delta", Outcome::Interrupted)),
        Event::TenantFinished(record(5, "late", NotStarted::FailureBudget.outcome())),
        Event::TenantFinished(record(6, "left", Outcome::Skipped { reason: "quarantined".to_owned() })),
        Event::TenantFinished(record(7, "next", Outcome::Ahead { unknown: vec!["m9_x".to_owned()] })),
        Event::RunFinished { stats: stats(&records) },
    ]
}

#[test]
fn one_line_an_event() {
    let mut live = Live::new(ASCII);
    let lines: Vec<String> = events().iter().filter_map(|e| live.line(e, Duration::ZERO)).collect();
    assert!(lines.iter().all(|l| l.chars().all(is_harmless)));
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn the_first_ctrl_c_says_what_a_second_one_does() {
    let draining = Event::Draining { reason: NotStarted::Interrupted, in_flight: 2 };
    let line = Live::new(ASCII).line(&draining, Duration::ZERO).unwrap();
    assert!(line.ends_with("2 in flight will finish; Ctrl-C again cancels them"), "{line}");
}

#[test]
fn one_object_a_line() {
    let lines: Vec<String> = events().iter().map(jsonl).collect();
    assert!(lines.iter().all(|l| l.chars().all(is_harmless)));
    for (line, event) in lines.iter().zip(events()).skip(1) {
        assert_eq!(serde_json::from_str::<Event>(line).unwrap(), event, "an event comes back as it was");
    }
    insta::assert_snapshot!(lines[..6].join("\n"));
}

#[test]
fn a_huge_message_is_one_short_line() {
    let huge = failed(0, "acme", FaultClass::Other, "X", &"no\n".repeat(4_000));
    let line = Live::new(NARROW).line(&Event::TenantFinished(huge), Duration::ZERO).unwrap();
    assert!(width(&line) < 400, "{line}");
    assert!(line.contains('…'));
}

#[test]
fn progress_counts_what_is_in_flight() {
    let mut live = Live::new(NARROW);
    let mut said = Vec::new();
    for event in events() {
        live.note(&event, Duration::ZERO);
        said.push(live.progress(Duration::from_secs(2)));
    }
    assert_eq!(said[0], "0/12  2.0s");
    assert_eq!(said[3], "canary  0/12  2 in flight  2.0s");
    assert_eq!(said[5], "canary  1/12  1 in flight  0.5/s  2.0s");
    assert_eq!(said[6], said[5], "a second attempt is the same tenant in flight");
    assert_eq!(said[8], "canary  3/12  1 failed  1.5/s  2.0s");
    assert_eq!(live.progress(Duration::ZERO), "canary  8/12  2 failed  <1ms");
}

#[test]
fn a_cause_of_a_thousand_tenants_is_a_few_lines_with_their_number() {
    let mut live = Live::new(ASCII);
    let mut lines = Vec::new();
    for i in 0..1_500 {
        let (class, text) = if i % 2 == 0 { (FaultClass::Missing, "no table x") } else { (FaultClass::Syntax, "bad") };
        let message = format!("tenant-{i}: {text}");
        let event = Event::TenantFinished(failed(i, &format!("tenant-{i}"), class, "X", &message));
        lines.extend(live.line(&event, Duration::ZERO));
    }
    assert_eq!(lines.len(), 10, "{lines:#?}");
    assert!(lines[9].ends_with("(100 times the same so far)"), "{lines:#?}");
}

#[test]
fn two_migrations_with_one_short_name_are_told_apart() {
    use crate::model::outcome::Moved;
    let moved = |from: &str, to: &str| Moved { from: Some(from.to_owned()), to: Some(to.to_owned()), n: 1 };
    let text = |moved| crate::report::outcome::moved_text(&moved, &ASCII);
    assert_eq!(text(moved("m20240101_000001_x", "m20240102_000001_y")), "x -> y (1)");
    assert_eq!(text(moved("m20240101_000001_x", "m20240102_000001_x")), "m20240101_000001_x -> m20240102_000001_x (1)");
}

#[test]
fn the_longest_in_flight_and_the_rest_are_named_once_they_tell_something() {
    let mut live = Live::new(NARROW);
    for event in &events()[..9] {
        live.note(event, Duration::ZERO);
    }
    let start = |index, tenant: &str| Event::AttemptStarted { index, tenant: tenant.into(), attempt: 1 };
    live.note(&start(5, "slow"), Duration::from_secs(4));
    live.note(&start(6, "quick"), Duration::from_secs(39));
    assert_eq!(live.progress(Duration::from_secs(4)), "canary  3/12  1 failed  2 in flight  0.8/s  4.0s");
    let said = live.progress(Duration::from_secs(40));
    assert_eq!(said, "canary  3/12  1 failed  2 in flight  0.1/s  40.0s  about 2m left  longest: slow 36s");
}

#[test]
fn a_line_above_a_bar_is_broken_between_words_and_keeps_its_cause() {
    let live = Live::new(NARROW);
    let line = "acme  FAILED at m2, statement 3: [lock_timeout 55P03] canceling statement due to lock timeout";
    let folded = live.folded(line);
    assert!(folded.lines().count() > 1 && folded.lines().all(|l| width(l) < NARROW.columns()), "{folded}");
    assert_eq!(folded.split_whitespace().collect::<Vec<_>>(), line.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn before_a_run_has_a_pace_of_its_own_that_of_the_last_one_counts() {
    let mut live = Live::new(ASCII).expecting(Some(Duration::from_secs(2)));
    let records = mixed();
    live.note(&Event::RunStarted(header(&records)), Duration::ZERO);
    assert_eq!(live.progress(Duration::from_secs(1)), "0/80  1.0s  about 2m 40s left, as the last run took");
    for r in records.iter().take(3) {
        live.note(&Event::TenantFinished(r.clone()), Duration::from_secs(6));
    }
    assert!(
        live.progress(Duration::from_secs(6)).ends_with("about 2m 34s left"),
        "{}",
        live.progress(Duration::from_secs(6))
    );
}

#[test]
fn a_run_with_a_rate_takes_at_least_the_time_that_its_starts_need() {
    let records = mixed();
    let live = |usual: Option<u64>| {
        let mut live = Live::new(ASCII).expecting(usual.map(Duration::from_secs)).paced(Some(Duration::from_secs(6)));
        live.note(&Event::RunStarted(header(&records)), Duration::ZERO);
        live
    };
    let one = Duration::from_secs(1);
    assert_eq!(live(None).progress(one), "0/80  1.0s  about 8m left at its rate");
    assert_eq!(live(Some(2)).progress(one), "0/80  1.0s  about 8m left at its rate");
    assert_eq!(live(Some(60)).progress(one), "0/80  1.0s  about 1h 20m left, as the last run took");
    // Those in flight have begun.
    let mut begun = live(None);
    begun.note(&Event::AttemptStarted { index: 7, tenant: "first".into(), attempt: 1 }, Duration::ZERO);
    assert!(begun.progress(one).contains("about 7m 54s left at its rate"), "{}", begun.progress(one));
    // The first ones were quick: 6 seconds for 3 would be 2m 34s for the others.
    let mut quick = live(Some(2));
    for r in records.iter().take(3) {
        quick.note(&Event::TenantFinished(r.clone()), Duration::from_secs(6));
    }
    let said = quick.progress(Duration::from_secs(6));
    assert!(said.ends_with("about 7m 42s left"), "{said}");
}

#[test]
fn a_straggler_is_named_once_and_on_the_bar() {
    let mut live = Live::new(ASCII);
    live.note(&Event::RunStarted(header(&mixed())), Duration::ZERO);
    for i in 0..6 {
        let mut done = migrated(i, &format!("t{i}"), None, 1);
        done.duration = Duration::from_secs(3);
        live.note(&Event::TenantFinished(done), Duration::from_secs(3));
    }
    live.note(&Event::AttemptStarted { index: 7, tenant: "slow".into(), attempt: 1 }, Duration::from_secs(3));
    assert!(live.stragglers(Duration::from_secs(14)).is_empty(), "not four times yet");
    let line = live.stragglers(Duration::from_secs(15));
    assert_eq!(line, ["[ 6/80] slow  straggles: at work for 12s, 4 times the median of 3.0s"]);
    assert!(live.stragglers(Duration::from_secs(30)).is_empty(), "it was told");
    assert!(live.progress(Duration::from_secs(30)).contains("longest: slow 27s, 9 times the median of 3.0s"));
}

#[test]
fn a_server_beyond_a_limit_is_told_when_that_turns_and_on_the_bar() {
    let mut live = Live::new(ASCII);
    let reading = |over: bool, turns: bool| Event::ServerLoad {
        server: "db7".to_owned(),
        load: ServerLoad::default(),
        over: over
            .then(|| Excess {
                limit: "max_lock_waits".to_owned(),
                text: "9 sessions wait for locks (at most 5)".to_owned(),
            })
            .into_iter()
            .collect(),
        unkept: Vec::new(),
        turns,
    };
    let mut line = |over, turns| live.line(&reading(over, turns), Duration::ZERO);
    assert_eq!(line(false, false), None);
    let told = "nothing new is started on server db7: 9 sessions wait for locks (at most 5)";
    assert_eq!(line(true, true).as_deref(), Some(told));
    assert_eq!(line(true, false), None, "once");
    let waits = "waits for db7: 9 sessions wait for locks (at most 5)";
    assert!(live.progress(Duration::ZERO).contains(waits), "{}", live.progress(Duration::ZERO));
    let line = live.line(&reading(false, true), Duration::ZERO);
    assert_eq!(line.as_deref(), Some("server db7 is within its limits again"));
    assert!(!live.progress(Duration::ZERO).contains("waits for"));
    let overload = Overload { server: "db7".to_owned(), over: Vec::new(), for_ms: 600_000 };
    let line = live.line(&Event::Overloaded(overload), Duration::ZERO).unwrap();
    assert!(
        line.starts_with("server db7 stayed beyond its limits for 10m: ") && line.ends_with("`runs resume`"),
        "{line}"
    );
}
