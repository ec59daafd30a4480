//! Snapshots of every report, narrow and wide, with and without drawing characters, with hostile names.

mod html;
mod live;
mod matrix;
mod outcome;
mod plan;
mod tables;
mod widths;

use std::sync::Arc;

use crate::model::fault::{Fault, FaultClass};
use crate::model::observation::Observation;
use crate::model::schema::{Catalog, State};
use crate::model::tenant::{Engine, TenantId};

use super::style::{Style, is_harmless, width};

pub(super) const WIDE: Style = Style { colour: false, unicode: true, width: Some(140) };
pub(super) const NARROW: Style = Style { colour: false, unicode: true, width: Some(80) };
pub(super) const ASCII: Style = Style { colour: false, unicode: false, width: Some(80) };

/// Names and messages that someone made to deceive.
pub(super) const HOSTILE: [&str; 6] = [
    "\x1b[2J\x1b[31mred",
    "two\nlines\r\n| a | b |",
    "=cmd()|' /C calc'!A0",
    "<script>alert(1)</script>",
    "acme\u{202e}gpj\u{200b}.exe\u{9b}1m",
    "`code` **bold** [link](http://evil.example) @everyone",
];

/// Asserts the rules for any text for a terminal. The last line is the summary: it stays one line, however long.
pub(super) fn assert_readable(text: &str, style: &Style) {
    let lines = text.lines().count();
    for (n, line) in text.lines().enumerate() {
        assert!(line.chars().all(is_harmless), "{line:?}");
        assert!(
            n + 1 == lines || style.room().is_none_or(|room| width(line) <= room),
            "{} columns: {line}",
            width(line)
        );
        assert_eq!(line.trim_end(), line, "blanks at the end");
    }
    assert!(style.unicode || text.is_ascii(), "{text}");
    assert!(text.ends_with('\n') && !text.ends_with("\n\n"));
}

pub(super) fn catalog() -> Catalog {
    names(&[
        "m20240101_000001_initial_schema",
        "m20240215_000001_tenant_features",
        "m20240330_000001_inventory_tracking",
    ])
}

pub(super) fn names(migrations: &[&str]) -> Catalog {
    Catalog::new(migrations.iter().copied(), "seaql_migrations")
}

pub(super) fn observed(catalog: &Catalog, tenant: &str, history: &[&str]) -> Observation {
    let history: Vec<String> = history.iter().map(|h| (*h).to_owned()).collect();
    Observation {
        flavour: None,
        tenant: TenantId::from(tenant),
        engine: Engine::Postgres,
        server: "db7:5432".to_owned(),
        state: catalog.state(&history, Engine::Postgres),
        version: catalog.version_of(&history),
        history: history.into(),
        tables: 0,
        error: None,
        hold: Default::default(),
        source: None,
    }
}

pub(super) fn unreachable(tenant: &str, fault: Fault) -> Observation {
    Observation {
        flavour: None,
        tenant: TenantId::from(tenant),
        engine: Engine::Mysql,
        server: "db9:3306".to_owned(),
        state: State::Unreachable,
        version: None,
        history: Arc::default(),
        tables: 0,
        error: Some(fault),
        hold: Default::default(),
        source: None,
    }
}

/// The first `n` migrations of the catalog.
pub(super) fn first(catalog: &Catalog, n: usize) -> Vec<&str> {
    catalog.migrations.iter().take(n).map(|m| &**m).collect()
}

/// 500 tenants: most at head, some behind, one of every trouble.
pub(super) fn large(catalog: &Catalog) -> Vec<Observation> {
    let all = catalog.migrations.len();
    let mut fleet: Vec<Observation> = (0..494)
        .map(|i| {
            let applied = if i % 7 == 3 { all - 1 } else { all };
            observed(catalog, &format!("tenant-{i:03}"), &first(catalog, applied))
        })
        .collect();
    fleet.push(observed(catalog, "fresh", &[]));
    let mut newer = first(catalog, all);
    newer.push("m20991231_000001_from_the_future");
    fleet.push(observed(catalog, "staging", &newer));
    let mut gap = first(catalog, all);
    gap.remove(all - 2);
    fleet.push(observed(catalog, "patched-by-hand", &gap));
    let denied = |t: &str| {
        Fault::with_code(FaultClass::Authentication, "1045", format!("Access denied for user '{t}'@'10.0.0.1'"))
    };
    fleet.push(unreachable("omega", denied("omega")));
    fleet.push(unreachable("sigma", denied("sigma")));
    fleet.push(unreachable("tau", Fault::new(FaultClass::ConnectionRefused, "nothing listens at db9:3306")));
    fleet
}

/// Tenants whose names and errors are hostile.
pub(super) fn hostile(catalog: &Catalog) -> Vec<Observation> {
    let message = |bad: &str| Fault::with_code(FaultClass::Other, bad, bad.repeat(10_000 / bad.len()));
    HOSTILE
        .iter()
        .flat_map(|bad| [observed(catalog, bad, &[bad]), unreachable(&format!("{bad}2"), message(bad))])
        .collect()
}
