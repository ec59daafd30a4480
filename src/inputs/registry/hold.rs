//! `quarantine` of a tenant: the reason, and the end.
//!
//! One that is over is as if it were not there.

use crate::inputs::{Diagnostics, Reader};
use crate::model::clock::now_ms;
use crate::model::hold::Quarantine;

/// Reads the key.
pub(super) fn quarantine(tenant: &Reader<'_, '_>, drafts: &mut Diagnostics) -> Option<Quarantine> {
    const FORM: &str = "write { reason = \"TEXT\" }, or { reason = \"TEXT\", until = \"2026-12-01\" }";
    let item = tenant.item("quarantine")?;
    if !item.get_ref().is_table() {
        drafts.at(item.span(), "`quarantine` must be a table with its reason").help(FORM);
        return None;
    }
    let reader = Reader::of(item, "`quarantine`", &["reason", "until"], drafts)?;
    let reason = reader.text("reason", drafts).map(str::trim).unwrap_or_default();
    if reason.is_empty() {
        drafts.at(item.span(), "this quarantine has no reason").help(FORM);
        return None;
    }
    let until = reader.text("until", drafts);
    if until.is_some_and(|until| Quarantine::end_ms(until).is_none()) {
        let help = "write a day, which counts to its end in UTC: \"2026-12-01\", or a moment: \"2026-12-01T06:00:00Z\"";
        drafts.at(reader.at("until"), "`until` is neither a day nor a moment").help(help);
        return None;
    }
    let quarantine = Quarantine { reason: reason.to_owned(), until: until.map(str::to_owned) };
    (!quarantine.is_over(now_ms())).then_some(quarantine)
}
