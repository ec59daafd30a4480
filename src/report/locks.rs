//! The holders and waiters of locks on the tenants' databases.
//!
//! It shows results and queries no database.

use serde_json::json;

use crate::model::locks::LockHolder;
use crate::model::outcome::Blocker;

use super::sheet::{Cell, Column, Sheet};
use super::style::{Tone, clean};
use super::{Format, Style, label};

fn does(row: &LockHolder) -> String {
    let (holds, waits) = if row.certain { ("holds", "waits for") } else { ("may hold", "waits, maybe for") };
    if row.waits_for.is_empty() {
        return if row.is_holder { holds } else { "open" }.to_owned();
    }
    let ids: Vec<String> = row.waits_for.iter().map(ToString::to_string).collect();
    let holds = if row.is_holder { format!("{holds}, ") } else { String::new() };
    format!("{holds}{waits} {}", ids.join(" "))
}

fn who(session: &Blocker) -> String {
    let parts = [&session.user, &session.application, &session.address];
    parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The sessions in the order given, in the form asked for. `unasked`: servers that could not be queried, with the
/// reason.
pub(crate) fn list(rows: &[LockHolder], unasked: &[(String, String)], format: Format, style: &Style) -> String {
    let fields = || {
        let unasked: Vec<_> = unasked.iter().map(|(server, why)| json!({ "server": server, "error": why })).collect();
        json!({ "locks": rows, "unasked": unasked })
    };
    format.write(|| text(rows, unasked, style), fields, || sheet(rows))
}

fn sheet(rows: &[LockHolder]) -> Sheet {
    let row = |row: &LockHolder| -> [Cell; 11] {
        let (s, text) = (&row.session, |text: &Option<String>| Cell::from(text.as_deref().unwrap_or_default()));
        [
            row.tenants.join(" ").into(),
            row.engine.into(),
            (&row.server).into(),
            Cell::from(does(row)).tone(if row.is_holder { Tone::Warning } else { Tone::Plain }),
            s.id.into(),
            text(&s.user),
            text(&s.application),
            text(&s.address),
            who(s).into(),
            Cell::from(s.transaction_seconds.map_or("-".to_owned(), |n| format!("{n} s")))
                .data(s.transaction_seconds.map(|n| n.to_string()).unwrap_or_default()),
            text(&s.query),
        ]
    };
    Sheet::new([
        Column::new("Tenants").at_least(12),
        Column::data("Engine"),
        Column::new("Server").at_least(10).expendable(1),
        Column::new("Does").at_least(10),
        Column::new("Id").right(),
        Column::data("User"),
        Column::data("Application"),
        Column::data("Address"),
        Column::screen("Who").at_least(12),
        Column::new("Open").key("transaction_seconds").right(),
        Column::new("Query").at_least(16),
    ])
    .rows(rows.iter().map(row))
}

fn text(rows: &[LockHolder], unasked: &[(String, String)], style: &Style) -> String {
    let mut out = if rows.is_empty() { String::new() } else { sheet(rows).table(style) + "\n" };
    for (server, why) in unasked {
        out.push_str(&format!("{} could not be asked: {}\n", clean(server), clean(why)));
    }
    let waiting = rows.iter().filter(|row| !row.waits_for.is_empty()).count();
    let open = rows.iter().filter(|row| !row.is_contended()).count();
    let in_open = if open > 0 { format!(", {open} in open transactions that nobody waits for") } else { String::new() };
    out.push_str(&format!("{}: {waiting} waiting{in_open}\n", label::count(rows.len(), "session")));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tenant::Engine;

    #[test]
    fn who_holds_and_who_waits_is_told_in_every_form() {
        let session = |id, query: &str| Blocker {
            id,
            user: Some("app".into()),
            application: None,
            address: Some("10.0.0.9".into()),
            database: Some("acme".into()),
            transaction_seconds: Some(31),
            query: Some(query.into()),
            lock: None,
        };
        let row = |session, waits_for: Vec<i64>, is_holder| LockHolder {
            tenants: vec!["acme".into()],
            engine: Engine::Postgres,
            server: "db7".into(),
            waits_for,
            is_holder,
            certain: true,
            session,
        };
        let rows = [
            row(session(1, "SELECT 1"), vec![], true),
            row(session(2, "ALTER TABLE t"), vec![1], false),
            row(session(3, "SELECT 3"), vec![], false),
            LockHolder { certain: false, ..row(session(4, "SELECT 4"), vec![], true) },
            LockHolder { certain: false, ..row(session(5, "ALTER TABLE u"), vec![4], false) },
        ];
        let style = Style { colour: false, unicode: false, width: Some(120) };
        let unasked = [("db8".to_owned(), "connection refused".to_owned())];
        let text = list(&rows, &unasked, Format::Table, &style);
        let last = "5 sessions: 2 waiting, 1 in open transactions that nobody waits for";
        for said in [
            "holds",
            "waits for 1",
            "may hold",
            "waits, maybe for 4",
            "open",
            "app, 10.0.0.9",
            "31 s",
            "db8 could not be asked",
            last,
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert!(list(&rows, &[], Format::Json, &style).contains("\"waits_for\""));
        assert!(list(&rows, &[], Format::Csv, &style).starts_with("tenants,engine"));
        assert!(list(&rows, &[], Format::Md, &style).contains("waits for 1"));
    }
}
