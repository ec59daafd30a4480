//! Files of SQL that a person runs with the engine's own client in the place of a run.
//!
//! It makes texts; the caller writes them.

use crate::model::engine::EngineMap;
use crate::model::program;
use crate::model::wire::{Sent, WireGroup};
use crate::report::style::clean;
use crate::sql::split;

/// The client of an engine.
struct Client {
    /// The command, with `FILE` and `TENANT` in it.
    run: &'static str,
    /// The first lines of a file: the client ends at the first error.
    head: &'static str,
    /// The lines that begin a new session.
    connection: &'static str,
    /// The error with which a tenant is refused that is at another version.
    refusal: &'static str,
    /// The state after a failure.
    failed: &'static str,
    /// Whether the client ends a statement at a semicolon in its body.
    needs_delimiter: bool,
}

static CLIENTS: EngineMap<Client> = EngineMap {
    sqlite: Client {
        run: "sqlite3 -bail TENANT < FILE",
        head: ".bail on\nPRAGMA foreign_keys = ON;\n",
        connection: "PRAGMA foreign_keys = ON;\n",
        refusal: "integer overflow",
        failed: "sqlite3 ends, and the open transaction is rolled back",
        needs_delimiter: false,
    },
    postgres: Client {
        run: "psql -X -v ON_ERROR_STOP=1 -f FILE TENANT",
        head: "\\set ON_ERROR_STOP on\n\\set QUIET on\n",
        connection: "DISCARD ALL;\n",
        refusal: "the history is not what was planned",
        failed: "psql ends, and the open transaction is rolled back",
        needs_delimiter: false,
    },
    mysql: Client {
        run: "mariadb -h HOST -P PORT -u USER -p DATABASE < FILE (or mysql; never with --force)",
        head: "",
        connection: "\\r\n",
        refusal: "Subquery returns more than 1 row",
        failed: "the client ends; each statement before was committed, and fleet_journal names the one that failed",
        needs_delimiter: true,
    },
};

/// The reason why nobody but fleet can send what a group is sent.
pub(crate) fn refusal(group: &WireGroup) -> Option<String> {
    group.wire.0.iter().enumerate().find_map(|(at, sent)| match sent {
        Sent::Rest { migration, why } if at == 0 => Some(format!("{migration}: {why}")),
        Sent::Aside => Some("a script may reach the session in which the history is written".to_owned()),
        _ => None,
    })
}

/// The migration before which the file of a group stops, with the reason.
pub(crate) fn rest(group: &WireGroup) -> Option<(&str, &str)> {
    group.wire.0.iter().find_map(|sent| match sent {
        Sent::Rest { migration, why } => Some((migration.as_str(), why.as_str())),
        _ => None,
    })
}

/// A name for the file of group number `number`, from 1.
pub(crate) fn name(number: usize, group: &WireGroup) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let first: String = group.tenants[0].as_str().chars().filter(is_plain).take(40).collect();
    let more = if group.tenants.len() > 1 { format!("-and-{}-more", group.tenants.len() - 1) } else { String::new() };
    format!("{number:03}-{}-{first}{more}.sql", group.engine)
}

/// The file for a group. `places` has the address of each of its tenants, without a user or a password; `steps` its migrations.
pub(crate) fn file(name: &str, group: &WireGroup, places: &[String], steps: &[String]) -> String {
    let client = &CLIENTS[group.engine];
    let mut out = String::new();
    let mut note = |line: &str| {
        out.push_str(format!("-- {}", clean(line)).trim_end());
        out.push('\n');
    };
    let rest = rest(group);
    let of_it = steps.iter().take_while(|step| rest.is_none_or(|(first, _)| first != step.as_str()));
    let of_it: Vec<&str> = of_it.map(String::as_str).collect();
    note(&format!("made by {} {}; runs {}", program::name(), program::version(), of_it.join(", ")));
    if let Some((migration, why)) = rest {
        note(&format!("It stops before {migration}: {why}; `{} migrate` goes on there.", program::name()));
    }
    note("");
    note("run it once on each of these tenants, while no run of fleet is under way:");
    for (tenant, place) in group.tenants.iter().zip(places) {
        note(&format!("  {tenant}: {place}"));
    }
    note(&format!("with: {}", client.run.replace("FILE", name)));
    note("");
    note(
        "It checks first that the tenant is at the version for which it was made, and writes the history that fleet reads: a later run",
    );
    note("finds the tenant at its target. Run it as the user that is to own what it makes.");
    note(&format!(
        "`{}` in its first lines means: this tenant is at another version, the file has run here already,",
        client.refusal
    ));
    note("or a run of fleet works on it. Nothing was changed then, and the file is not broken.");
    note(&format!(
        "If it fails in the middle: {}. Do not run the rest by hand: `{} status`",
        client.failed,
        program::name()
    ));
    note(&format!("says how far the tenant is, and `{} migrate`, or a new file, goes on from there.", program::name()));
    out.push_str(client.head);
    for sent in &group.wire.0 {
        match sent {
            Sent::Text(sql) | Sent::ByHand(sql) => statements(&mut out, group, sql),
            Sent::Connection => out.push_str(client.connection),
            Sent::Question(_) | Sent::Batch(_) | Sent::Count(_) | Sent::Rest { .. } | Sent::Code(_) | Sent::Aside => {}
        }
    }
    out
}

/// The statements of a text as the client takes them.
fn statements(out: &mut String, group: &WireGroup, sql: &str) {
    if !CLIENTS[group.engine].needs_delimiter {
        out.push_str(&super::scripts::ended(sql));
        return;
    }
    for piece in split(group.engine, sql) {
        // A semicolon in a text in quotes is taken as it should be; one delimiter too many does no harm.
        match piece.text.contains(';') {
            true => out.push_str(&format!("DELIMITER $fleet$\n{}\n$fleet$\nDELIMITER ;\n", piece.text)),
            false => out.push_str(&super::scripts::ended(piece.text)),
        }
    }
}
