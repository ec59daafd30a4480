//! The page for a browser.

use std::collections::{BTreeMap, HashMap};

use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event as Xml};
use uuid::Uuid;

use super::outcome::{bare, failed, header, migrated, mixed, record, stats};
use super::*;
use crate::model::approval::Approval;
use crate::model::event::Event;
use crate::model::gate::{CheckAnswer, GateAction, GateEnd, GateRecord};
use crate::model::hook::HookPoint;
use crate::model::load::{Excess, Overload, ServerLoad};
use crate::model::outcome::{NotStarted, Outcome, StoppedAt, TenantRecord};
use crate::model::run_summary::{RunStatus, RunSummary};
use crate::model::started_by::StartedBy;
use crate::model::tenant::TenantId;
use crate::report::Format;
use crate::report::outcome::{OutcomeView, Page};
use crate::report::style::clean;

const BEGAN_MS: i64 = 1_795_169_702_000;

fn page(records: &[TenantRecord], events: &[(i64, Event)]) -> String {
    let (header, stats) = (header(records), stats(records));
    let outcome = OutcomeView {
        elapsed: Some(std::time::Duration::from_secs(90)),
        rerun: Some("fleet migrate --failed-of 'x'"),
        ..bare(&header, records, &stats)
    };
    let ended_at_ms: HashMap<usize, i64> = (0..).zip((BEGAN_MS..).step_by(1_000)).take(records.len()).collect();
    let (ended_at_ms, status) = (&ended_at_ms, RunStatus::Finished);
    Page { outcome, events, ended_at_ms, status, approvals: &[], heirs: &[], approvers: &BTreeMap::new() }.render()
}

fn waves() -> Vec<(i64, Event)> {
    let started = |wave: &str| Event::WaveStarted {
        wave: wave.to_owned(),
        tenants: 3,
        max_failures: None,
        run_max_failures: None,
    };
    let finished = |wave: &str| Event::WaveFinished { wave: wave.to_owned(), stats: Default::default() };
    let draining = Event::Draining { reason: NotStarted::FailureBudget, in_flight: 2 };
    let mut at = vec![started("canary"), finished("canary")];
    at.extend(between());
    at.extend([started("rest"), draining, finished("rest")]);
    (BEGAN_MS..).step_by(20_000).zip(at).collect()
}

/// The events that are recorded between the waves of a run.
fn between() -> Vec<Event> {
    let answer = CheckAnswer { check: "http https shop.example".to_owned(), holds: false, value: "503".to_owned() };
    let wave = || "canary".to_owned();
    let text = "7 sessions wait for locks (at most 5)".to_owned();
    let waits = || vec![Excess { limit: "max_lock_waits".to_owned(), text: text.clone() }];
    vec![
        Event::HookFinished {
            hook: HookPoint::AfterWave,
            wave: Some(wave()),
            tenant: None,
            took_ms: 1_500,
            error: Some("it exited with 3".to_owned()),
        },
        Event::GateStarted { wave: wave(), soak_ms: 600_000, checks: vec!["http https shop.example".to_owned()] },
        Event::GateFinished(GateRecord {
            wave: wave(),
            end: GateEnd::Failed,
            then: GateAction::RollbackWave,
            answers: vec![answer],
            took_ms: 600_000,
            by: None,
        }),
        Event::RollbackDue { wave: wave(), reason: NotStarted::GateFailed },
        Event::OutsideWindow {
            wave: "rest".to_owned(),
            server: Some("db7".to_owned()),
            window: "22:00-04:00 UTC".to_owned(),
            opens_at_ms: BEGAN_MS,
        },
        Event::ServerLoad {
            server: "db7".to_owned(),
            load: ServerLoad { lock_waits: Some(7), ..ServerLoad::default() },
            over: waits(),
            unkept: Vec::new(),
            turns: true,
        },
        Event::Overloaded(Overload { server: "db7".to_owned(), over: waits(), for_ms: 600_000 }),
        Event::Uncovered { wave: wave(), kinds: vec!["server db9 (1 tenant, the first late-79)".to_owned()] },
        Event::LateJoiners { tenants: vec![TenantId::from("newcomer")], are_taken: false },
    ]
}

/// The texts of a page that is well formed and asks for nothing from elsewhere.
fn texts(page: &str) -> String {
    const NAMES: &[&str] = &[
        "html", "head", "meta", "title", "style", "body", "main", "header", "section", "article", "footer", "h1", "h2",
        "h3", "p", "div", "span", "b", "i", "code", "pre", "dl", "dt", "dd", "ul", "ol", "li", "time", "details",
        "summary", "table", "thead", "tbody", "tr", "th", "td", "svg", "g", "rect", "text",
    ];
    let check = |tag: &BytesStart<'_>| {
        let name = String::from_utf8(tag.name().as_ref().to_vec()).unwrap();
        assert!(NAMES.contains(&&*name), "an element {name}");
        for attribute in tag.attributes() {
            let attribute = attribute.unwrap_or_else(|e| panic!("{name}: {e}"));
            let (key, value) = (attribute.key.as_ref(), String::from_utf8(attribute.value.to_vec()).unwrap());
            let key = std::str::from_utf8(key).unwrap();
            assert!(
                !key.starts_with("on") && !["src", "href", "action", "data", "srcset"].contains(&key),
                "{key}={value}"
            );
            assert_ne!(key, "style", "{value}");
        }
        name
    };
    let mut reader = Reader::from_str(page);
    reader.config_mut().check_end_names = false;
    let (mut open, mut texts) = (Vec::new(), String::new());
    loop {
        match reader.read_event().unwrap() {
            Xml::Start(tag) => {
                let name = check(&tag);
                if name != "meta" {
                    open.push(name);
                }
            }
            Xml::Empty(tag) => panic!("{tag:?}"),
            Xml::End(tag) => assert_eq!(open.pop().as_deref().map(str::as_bytes), Some(tag.name().as_ref())),
            Xml::Text(text) => texts.push_str(&text.decode().unwrap()),
            Xml::GeneralRef(name) => texts.push_str(&unescape(&format!("&{};", name.decode().unwrap())).unwrap()),
            Xml::DocType(_) => {}
            Xml::Eof => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(open, Vec::<String>::new());
    texts
}

#[test]
fn a_page_needs_nothing_and_has_everything() {
    let page = page(&mixed(), &waves());
    let texts = texts(&page);
    for words in [
        "41 of 80",
        "Timeline",
        "Failures by cause",
        "63 tenants",
        "relation \"features\" already exists",
        "CREATE TABLE",
        "How long tenants took",
        "95 % within",
        "tenant-3",
        "late-79",
        "failure budget",
        "fleet migrate --failed-of 'x'",
        "m20240215_000001_tenant_features",
        "connection 4242",
    ] {
        assert!(words == "41 of 80" || texts.contains(words), "no {words:?} in:\n{texts}");
    }
    for words in [
        "wave canary: hook after_wave of canary failed: it exited with 3",
        "wave canary: gate",
        "failed: http https shop.example: 503",
        "rollback due",
        "the gate of an earlier wave failed",
        "outside window server db7 of wave rest waited for 22:00-04:00 UTC, which opens 2026-11-20T10:15:02Z",
        "it has none of server db9",
        "1 tenant came into the fleet during the run, not migrated: newcomer",
    ] {
        assert!(texts.contains(words), "no {words:?} in:\n{texts}");
    }
    assert!(!page.contains("url(") && !page.contains("@import") && !page.contains("://"), "{page}");
    assert_eq!(page.matches("<i class=").count(), 80, "a square for each tenant");
}

#[test]
fn a_page_says_who_approved_the_plan_and_who_went_on() {
    let records = mixed();
    let (mut header, stats) = (header(&records), stats(&records));
    header.kind = header.kind.planned("0123456789abcdef".to_owned()).undoing(Some(Uuid::from_u128(9)));
    let outcome = bare(&header, &records, &stats);
    let origin = StartedBy { user: "ci".to_owned(), host: "runner-7".to_owned(), ..StartedBy::default() };
    let approval = Approval {
        digest: "0123456789abcdef".to_owned(),
        by: "Ann <b>".to_owned(),
        origin: origin.clone(),
        at_ms: BEGAN_MS,
        plan: String::new(),
    };
    let heir = RunSummary { started_by: origin, ..super::tables::run(2, true) };
    let (approvals, heirs) = (&[approval][..], &[heir][..]);
    let (events, ended_at_ms, status) = (&[][..], &HashMap::new(), RunStatus::Finished);
    let approvers = &BTreeMap::from([(heirs[0].run, "Bea".to_owned())]);
    let page = Page { outcome, events, ended_at_ms, status, approvals, heirs, approvers };
    let texts = texts(&page.render());
    for words in [
        "Plan",
        "0123456789abcdef",
        "Approved",
        "by Ann <b>, recorded by ci on runner-7",
        "Takes back",
        "00000000-0000-0000-0000-000000000009",
        "Resumed by",
        ", by ci on runner-7, approved by Bea: failures",
    ] {
        assert!(texts.contains(words), "no {words:?} in:\n{texts}");
    }
}

#[test]
fn hostile_texts_are_only_texts() {
    let records: Vec<TenantRecord> = HOSTILE
        .iter()
        .chain(&["</style><script>alert(1)</script>", "\" onload=\"x", "'><img src=x>", "&lt;b&gt;"])
        .enumerate()
        .map(|(i, bad)| {
            let mut r = failed(i, bad, FaultClass::Other, bad, bad);
            let at = StoppedAt {
                migration: (*bad).to_owned(),
                statement: None,
                sql: Some((*bad).to_owned()),
                ..StoppedAt::default()
            };
            (r.stopped_at, r.wave, r.server) = (Some(Box::new(at)), (*bad).to_owned(), (*bad).to_owned());
            (r.version, r.committed) = (Some((*bad).to_owned()), vec![(*bad).to_owned()]);
            r
        })
        .collect();
    let events: Vec<(i64, Event)> = records
        .iter()
        .map(|r| {
            (
                BEGAN_MS,
                Event::WaveStarted { wave: r.wave.clone(), tenants: 1, max_failures: None, run_max_failures: None },
            )
        })
        .collect();
    let page = page(&records, &events);
    let texts = texts(&page);
    for r in &records {
        assert!(texts.matches(&clean(r.tenant.as_str())).count() >= 4, "{}:\n{texts}", r.tenant);
    }
    assert!(page.chars().all(|c| c == '\n' || is_harmless(c)));
}

#[test]
fn ten_thousand_tenants_fit() {
    let mut records: Vec<TenantRecord> = (0..10_000).map(|i| migrated(i, &format!("tenant-{i}"), None, 3)).collect();
    records[77] = failed(77, "seventy-seven", FaultClass::Syntax, "42601", "syntax error");
    let page = page(&records, &waves());
    texts(&page);
    assert!(page.len() < 4_000_000, "{}", page.len());
    assert_eq!(page.matches("<details>").count(), 3, "nothing long is open");
}

#[test]
fn a_run_without_times_or_tenants_has_a_page() {
    let records = [record(0, "acme", Outcome::UpToDate)];
    let (header, stats) = (header(&records), stats(&records));
    let outcome = bare(&header, &records, &stats);
    let text = texts(&outcome.render(Format::Html, &NARROW));
    assert!(text.contains("All done: 1 tenant at the target") && !text.contains("Timeline"), "{text}");
    texts(&page(&[], &[]));
}
