//! The findings of a lint beside what live tenants have: the rows of the tables, and the versions that still run.
//!
//! Pure: the tenants are asked elsewhere. A tenant that could not be asked lowers nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Finding, Linted};
use crate::check::doctor::Severity;
use crate::model::engine::Engine;
use crate::model::schema::Direction;
use crate::model::tenant::TenantId;

/// From this many rows on, a table is large.
const LARGE: u64 = 1_000_000;

/// The rules about time and locks, which grow with the rows: nobody waits for an empty table.
const ABOUT_ROWS: [&str; 19] = [
    "adding-field-with-default",
    "adding-foreign-key-constraint",
    "adding-not-nullable-field",
    "adding-serial-primary-key-field",
    "changing-column-type",
    "constraint-missing-not-valid",
    "copying-alter",
    "data-change-beside-lock",
    "disallowed-unique-constraint",
    "foreign-key-copies-table",
    "foreign-key-without-index",
    "large-text-index",
    "not-null-on-existing-column",
    "require-concurrent-index-creation",
    "require-concurrent-index-deletion",
    "require-concurrent-reindex",
    "table-rebuild",
    "unbatched-change",
    "unbatched-copy",
];

/// Whether a rule is about programs that still run, on empty tables as well.
fn is_about_readers(rule: &str) -> bool {
    ["ban-drop-", "renaming-"].iter().any(|begin| rule.starts_with(begin))
        || ["adding-required-field", "ban-set-schema", "changing-column-type", "narrowing-column-type"].contains(&rule)
}

/// One tenant's answer.
#[derive(Debug, Clone)]
pub(crate) struct LiveTenant {
    pub(crate) tenant: TenantId,
    pub(crate) engine: Engine,
    pub(crate) wave: String,
    /// The places in the catalog of what it has, and the estimated rows of its tables, by names in lower case; a table without
    /// statistics is missing. An error: why it could not be asked.
    pub(crate) answer: Result<(BTreeSet<usize>, BTreeMap<String, u64>), String>,
}

/// The tenants that were asked.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Asked {
    pub(crate) tenants: usize,
    /// Those that could not be asked, each with the reason.
    pub(crate) failed: Vec<(TenantId, String)>,
}

/// The tables that findings are about, by engine.
pub(crate) fn tables(linted: &Linted) -> BTreeMap<Engine, BTreeSet<String>> {
    let mut all: BTreeMap<Engine, BTreeSet<String>> = BTreeMap::new();
    for finding in linted.findings.iter().filter(|finding| finding.suppressed.is_none()) {
        for engine in &finding.engines {
            all.entry(*engine).or_default().extend(finding.table.clone());
        }
    }
    all
}

/// Adds what the tenants say to each finding that is not suppressed, and lowers those about tables that are empty everywhere.
pub(crate) fn judge(linted: &mut Linted, live: &[LiveTenant]) -> Asked {
    for finding in linted.findings.iter_mut().filter(|finding| finding.suppressed.is_none()) {
        let of_engines: Vec<&LiveTenant> = live.iter().filter(|t| finding.engines.contains(&t.engine)).collect();
        let notes: Vec<String> =
            [rows(finding, &of_engines), behind(finding, &of_engines)].into_iter().flatten().collect();
        if !notes.is_empty() {
            finding.what = format!("{}; live: {}", finding.what, notes.join("; "));
        }
    }
    let failed = live.iter().filter_map(|t| Some((t.tenant.clone(), t.answer.as_ref().err()?.clone())));
    Asked { tenants: live.len(), failed: failed.collect() }
}

/// The rows of the table in words. Lowers a finding about a table that is known to be empty everywhere.
fn rows(finding: &mut Finding, live: &[&LiveTenant]) -> Option<String> {
    let table = finding.table.as_deref()?;
    let read = live.iter().filter_map(|t| Some((&t.tenant, t.answer.as_ref().ok()?.1.get(table).copied())));
    let (mut known, mut unknown) = (Vec::new(), live.iter().filter(|t| t.answer.is_err()).count());
    for (tenant, rows) in read {
        match rows {
            Some(rows) => known.push((rows, tenant)),
            None => unknown += 1,
        }
    }
    let without = |said: String| match unknown {
        0 => said,
        n => format!("{said}, and {} without statistics or an answer", count(n)),
    };
    let Some((most, largest)) = known.iter().max_by_key(|(rows, _)| *rows) else {
        return (unknown > 0).then(|| format!("{} without statistics of {table} or an answer", count(unknown)));
    };
    if *most == 0 {
        let is_certain = unknown == 0 && ABOUT_ROWS.contains(&finding.rule) && !is_about_readers(finding.rule);
        let said = without(format!("{table} is empty on {}, as the engine estimates", count(known.len())));
        if !is_certain || finding.severity == Severity::Info {
            return Some(said);
        }
        let was = finding.severity.name();
        finding.severity = if finding.severity == Severity::Error { Severity::Warning } else { Severity::Info };
        return Some(format!("{said}, so it was lowered from {was}"));
    }
    let large = known.iter().filter(|(rows, _)| *rows >= LARGE).count();
    let most = format!("the largest about {} ({largest})", short(*most));
    Some(without(match large {
        0 => format!("{} under 1M rows of {table}, {most}", count(known.len())),
        large => format!("{} over 1M rows of {table}, {most}", count(large)),
    }))
}

/// The tenants on which the version before the migration still runs, for a finding that breaks it.
fn behind(finding: &Finding, live: &[&LiveTenant]) -> Option<String> {
    if !is_about_readers(finding.rule) || finding.place.direction == Direction::Down {
        return None;
    }
    let read: Vec<(&LiveTenant, bool)> =
        live.iter().filter_map(|t| Some((*t, t.answer.as_ref().ok()?.0.contains(&finding.place.index)))).collect();
    let behind: Vec<&LiveTenant> = read.iter().filter(|(_, has)| !has).map(|(t, _)| *t).collect();
    if behind.is_empty() {
        return (!read.is_empty()).then(|| format!("applied on all {} already", count(read.len())));
    }
    let mut waves: Vec<&str> = Vec::new();
    for tenant in &behind {
        if !waves.contains(&tenant.wave.as_str()) {
            waves.push(&tenant.wave);
        }
    }
    Some(format!(
        "{} of {} still run the version before it (waves {}): a program that needs the old form runs there until their wave",
        behind.len(),
        count(read.len()),
        waves.join(", ")
    ))
}

fn short(rows: u64) -> String {
    match rows {
        1_000_000.. => format!("{}M", rows / 1_000_000),
        1_000.. => format!("{}k", rows / 1_000),
        rows => rows.to_string(),
    }
}

fn count(tenants: usize) -> String {
    format!("{tenants} tenant{}", if tenants == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::lint::rules::tests::linted;

    fn tenant(id: &str, wave: &str, has: &[usize], rows: Option<u64>) -> LiveTenant {
        let rows = rows.map(|rows| ("users".to_owned(), rows)).into_iter().collect();
        let answer = Ok((has.iter().copied().collect(), rows));
        LiveTenant { tenant: TenantId::from(id), engine: Engine::Postgres, wave: wave.to_owned(), answer }
    }

    /// The finding of this rule about `users`, as the tenants make it.
    fn of(rule: &str, sql: &str, live: &[LiveTenant]) -> (Severity, String) {
        let mut all = linted(Engine::Postgres, &["CREATE TABLE users (id int, plan text)", sql]);
        assert!(tables(&all)[&Engine::Postgres].contains("users"));
        judge(&mut all, live);
        let found = all.findings.iter().find(|f| f.rule == rule).unwrap_or_else(|| panic!("{:?}", all.findings));
        (found.severity, found.what.clone())
    }

    const INDEX: &str = "CREATE INDEX i ON users (plan)";

    #[test]
    fn rows_turn_may_be_slow_into_numbers() {
        let rule = "require-concurrent-index-creation";
        let large = [tenant("a", "canary", &[0], Some(5)), tenant("acme", "rest", &[0], Some(48_000_000))];
        let (severity, what) = of(rule, INDEX, &large);
        assert!(
            severity == Severity::Warning
                && what.ends_with("live: 1 tenant over 1M rows of users, the largest about 48M (acme)"),
            "{what}"
        );
        let (severity, what) = of(rule, INDEX, &[tenant("a", "rest", &[0], Some(0))]);
        assert!(
            severity == Severity::Info
                && what.contains("is empty on 1 tenant, as the engine estimates, so it was lowered from warning"),
            "{what}"
        );
        // Nothing is lowered where one tenant is not known.
        let unread = LiveTenant { answer: Err("no route".to_owned()), ..tenant("b", "rest", &[], None) };
        for unknown in [tenant("b", "rest", &[0], None), unread] {
            let (severity, what) = of(rule, INDEX, &[tenant("a", "rest", &[0], Some(0)), unknown]);
            assert!(
                severity == Severity::Warning && what.contains("1 tenant without statistics or an answer"),
                "{what}"
            );
        }
    }

    #[test]
    fn a_dropped_column_names_the_tenants_that_still_run_the_version_before() {
        let sql = "ALTER TABLE users DROP COLUMN plan";
        let live = [
            tenant("a", "canary", &[0, 1], Some(0)),
            tenant("b", "early", &[0], Some(0)),
            tenant("c", "rest", &[0], Some(0)),
        ];
        let (severity, what) = of("ban-drop-column", sql, &live);
        assert!(what.contains("2 of 3 tenants still run the version before it (waves early, rest)"), "{what}");
        assert_eq!(severity, Severity::Warning, "readers break on empty tables, too");
        let (_, what) = of("ban-drop-column", sql, &live[..1]);
        assert!(what.contains("applied on all 1 tenant already"), "{what}");
    }
}
