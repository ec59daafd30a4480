//! The page for a browser.

use std::collections::HashMap;

use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event as Xml};

use super::outcome::{failed, header, migrated, mixed, record, stats};
use super::*;
use crate::model::event::Event;
use crate::model::outcome::{NotStarted, Outcome, StoppedAt, TenantRecord};
use crate::model::run_summary::RunStatus;
use crate::report::Format;
use crate::report::outcome::{OutcomeView, Page};
use crate::report::style::clean;

const BEGAN_MS: i64 = 1_795_169_702_000;

fn page(records: &[TenantRecord], events: &[(i64, Event)]) -> String {
    let (header, stats) = (header(records), stats(records));
    let outcome = OutcomeView {
        header: &header,
        records,
        stats: &stats,
        elapsed: Some(std::time::Duration::from_secs(90)),
        scripts: &[],
        rerun: Some("fleet migrate --failed-of 'x'"),
        ways: "",
        cause: None,
        undo: None,
    };
    let ended_at_ms: HashMap<usize, i64> = (0..).zip((BEGAN_MS..).step_by(1_000)).take(records.len()).collect();
    Page { outcome, events, ended_at_ms: &ended_at_ms, status: RunStatus::Finished }.render()
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
    let at = [started("canary"), finished("canary"), started("rest"), draining, finished("rest")];
    (BEGAN_MS..).step_by(20_000).zip(at).collect()
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
    assert!(!page.contains("url(") && !page.contains("@import") && !page.contains("://"), "{page}");
    assert_eq!(page.matches("<i class=").count(), 80, "a square for each tenant");
}

#[test]
fn hostile_texts_are_only_texts() {
    let records: Vec<TenantRecord> = HOSTILE
        .iter()
        .chain(&["</style><script>alert(1)</script>", "\" onload=\"x", "'><img src=x>", "&lt;b&gt;"])
        .enumerate()
        .map(|(i, bad)| {
            let mut r = failed(i, bad, FaultClass::Other, bad, bad);
            let at =
                StoppedAt { migration: (*bad).to_owned(), statement: None, sql: Some((*bad).to_owned()), file: None };
            (r.stopped_at, r.wave, r.server) = (Some(at), (*bad).to_owned(), (*bad).to_owned());
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
    let outcome = OutcomeView {
        header: &header,
        records: &records,
        stats: &stats,
        elapsed: None,
        scripts: &[],
        rerun: None,
        ways: "",
        cause: None,
        undo: None,
    };
    let text = texts(&outcome.render(Format::Html, &NARROW));
    assert!(text.contains("All done: 1 tenant at the target") && !text.contains("Timeline"), "{text}");
    texts(&page(&[], &[]));
}
