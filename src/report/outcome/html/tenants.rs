//! All tenants, wave by wave: a square for each, and a table to open.
//!
//! Closed tables cost a browser nothing, so that ten thousand rows stay usable.

use maud::{Markup, html};

use super::{Page, class_of};
use crate::model::event::PlannedTenant;
use crate::model::outcome::{Standing, TenantRecord};
use crate::report::causes::group_by;
use crate::report::label;
use crate::report::outcome::{now, took};
use crate::report::style::clean;
use crate::report::summary::words;

/// A tenant, and its outcome if there is one.
type Row<'a> = (&'a PlannedTenant, Option<&'a TenantRecord>);

pub(super) fn section(page: &Page<'_>) -> Markup {
    let records = page.outcome.records;
    let mut known = vec![None; page.outcome.header.tenants.len()];
    for record in records {
        if let Some(place) = known.get_mut(record.index) {
            *place = Some(record);
        }
    }
    let rows = page.outcome.header.tenants.iter().zip(known);
    let waves = group_by(rows, |(planned, _)| planned.wave.as_str());
    html! {
        section {
            h2 { "Tenants" }
            p.dim {
                "A square is a tenant: " span.key.good {} " at the target, " span.key.bad {} " failed, "
                span.key.left {} " left. Its name appears under the pointer; the tables have all."
            }
            @for (wave, rows) in waves { (self::wave(wave, rows)) }
        }
    }
}

fn standing((_, record): &Row<'_>) -> Standing {
    record.map_or(Standing::Outstanding, |record| record.outcome.standing())
}

fn outcome((_, record): &Row<'_>) -> String {
    record.map_or_else(|| "no outcome".to_owned(), |record| words(record.outcome.name()))
}

fn wave(name: &str, mut rows: Vec<Row<'_>>) -> Markup {
    // Failures come first, then the tenants that were not reached.
    let rank = |row: &Row<'_>| {
        [Standing::Failed, Standing::Outstanding, Standing::AtTarget].iter().position(|s| *s == standing(row))
    };
    let squares = html! {
        @for row in &rows { i class=(class_of(standing(row))) title=(format!("{}: {}", clean(row.0.tenant.as_str()), outcome(row))) {} }
    };
    rows.sort_by_key(rank);
    html! {
        h3 { (clean(name)) span.dim { ", " (label::count(rows.len(), "tenant")) } }
        div.cells { (squares) }
        details {
            summary { "Table" }
            div.wide { table {
                thead { tr {
                    th { "Tenant" } th { "Outcome" } th { "Before" } th { "After" } th.n { "Took" } th.n { "Tries" } th { "Server" } th { "Reason" }
                } }
                tbody { @for row in &rows { (self::row(row)) } }
            } }
        }
    }
}

fn row(row: &Row<'_>) -> Markup {
    let (planned, record) = row;
    let before = record.and_then(now::version_before).map(label::version);
    let reason = record.and_then(|r| r.error.as_ref().map(ToString::to_string).or_else(|| now::reason(&r.outcome)));
    html! {
        tr class=(class_of(standing(row))) {
            td { (clean(planned.tenant.as_str())) }
            td { (outcome(row)) }
            td { (before.unwrap_or_default()) }
            td { @if let Some(r) = record.filter(|r| r.version_known) { (label::version(r.version.as_deref())) } }
            td.n { @if let Some(r) = record.filter(|r| r.attempts > 0) { (took(r.duration)) } }
            td.n { @if let Some(r) = record { (r.attempts) } }
            td { (planned.engine) " on " (clean(&planned.server)) }
            td.reason { @if let Some(reason) = reason { (clean(&reason)) } }
        }
    }
}
