//! Everything that a run sends, as a reader sees it: once for all tenants that are sent the same.
//!
//! It shows texts that were recorded elsewhere and changes none of their bytes, but for characters that could deceive.

use super::scripts::{ended, shown};
use super::{PlanView, Script};
use crate::model::engine::Engine;
use crate::model::wire::{Sent, WireGroup, mark};
use crate::report::style::{Style, clean};
use crate::report::{count, label};

/// The locks that a script takes, and how long each is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScriptLocks {
    pub(crate) engine: Engine,
    pub(crate) migration: String,
    /// A line for each.
    pub(crate) locks: Vec<String>,
    /// In words: `750ms in the first tries, ...`.
    pub(crate) wait: String,
}

impl PlanView<'_> {
    /// A text for each group, under a line that names its tenants.
    pub(super) fn wires(&self, style: &Style) -> Vec<String> {
        let legend = |group: &WireGroup| {
            let all = [
                (mark::NOW, "seconds since 1970"),
                (mark::RUN, "the id of the run"),
                (mark::SESSION, "the name of the session"),
                (mark::NAME, "the tenant's schema or database"),
                (mark::LOCK, "the number of the lock of the tenant's schema"),
            ];
            let has = |mark: &str| group.wire.0.iter().any(|sent| text(sent).is_some_and(|sql| sql.contains(mark)));
            let marks = all.iter().filter(|(mark, _)| has(mark)).map(|(mark, what)| format!("{mark} {what}"));
            marks.collect::<Vec<_>>().join(", ")
        };
        let wire = |group: &WireGroup| {
            let names = label::names(group.tenants.iter(), 60, style);
            let mut out = format!("-- {} x {}: {names}\n", group.engine, count(group.tenants.len(), "tenant"));
            let legend = legend(group);
            if !legend.is_empty() {
                out.push_str(&format!("-- known only to the run: {legend}\n"));
            }
            group.wire.0.iter().for_each(|sent| out.push_str(&one(sent)));
            out
        };
        self.wires.iter().map(wire).collect()
    }

    /// The locks of a script.
    pub(super) fn locks_of(&self, script: &Script) -> Option<&ScriptLocks> {
        self.locks.iter().find(|of| of.engine == script.engine && *of.migration == *script.migration)
    }
}

/// The SQL of an item.
fn text(sent: &Sent) -> Option<&str> {
    match sent {
        Sent::Text(sql) | Sent::Batch(sql) | Sent::Count(sql) | Sent::Question(sql) | Sent::ByHand(sql) => Some(sql),
        Sent::Rest { .. } | Sent::Code(_) | Sent::Aside | Sent::Connection => None,
    }
}

fn one(sent: &Sent) -> String {
    let head = match sent {
        Sent::Text(_) => "-- sent:",
        Sent::Batch(_) => "-- sent again and again, until it changes no row:",
        Sent::Count(_) => {
            "-- asked at its end, and may be behind each 100 times; rows that no batch changes end it with FL012:"
        }
        Sent::Question(_) => "-- asked; this plan was answered too:",
        // Fleet does not send it.
        Sent::ByHand(_) | Sent::Rest { .. } => return String::new(),
        Sent::Code(migration) => {
            return format!("-- here the Rust code of {} sends its own statements\n", clean(migration));
        }
        Sent::Aside => return "-- from here on, what is fleet's own goes over a second connection\n".to_owned(),
        Sent::Connection => return "-- over a new connection\n".to_owned(),
    };
    let sql = text(sent).unwrap_or_default();
    format!("{head}\n{}", ended(&shown(sql)))
}
