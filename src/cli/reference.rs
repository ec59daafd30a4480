//! Reference pages of the book, generated from the program itself: its arguments, its settings, its exit codes.
//!
//! Markdown on stdout. The test `book` compares the pages with it, and writes them with `REWRITE_BOOK=1`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use clap::{Arg, Command, ValueEnum};

use super::exit;
use crate::engine::{Code, error_codes as error_codes_of};
use crate::model::engine::{Engine, EngineMap};

/// A page that the program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Page {
    Commands,
    Settings,
    ExitCodes,
    ErrorCodes,
    LintRules,
}

const MADE: &str = "<!-- Made by `fleet help-reference`. `REWRITE_BOOK=1 cargo test --test book` writes it anew. -->";

pub(super) fn page(page: Page, mut root: Command) -> String {
    root.build();
    match page {
        Page::Commands => commands(&root),
        Page::Settings => crate::report::settings::reference(MADE),
        Page::ExitCodes => exit_codes(),
        Page::ErrorCodes => error_codes(),
        Page::LintRules => crate::report::lint::reference(MADE),
    }
}

fn exit_codes() -> String {
    let rows: String =
        exit::MEANINGS.iter().map(|(code, meaning)| format!("| {code} | {} |\n", cell(meaning))).collect();
    format!(
        "# Exit codes\n\n{MADE}\n\nThe same on every command, and in `fleet help-exit-codes`.\n\n| code | meaning |\n|---|---|\n{rows}"
    )
}

fn error_codes() -> String {
    let mut out = format!(
        "# Error codes\n\n{MADE}\n\nThe class that a code of an engine has in reports, in the ledger and in JSON, and whether a \
         tenant is tried again: only if the failed attempt left nothing behind, and within `--attempts`, `--lock-wait` and the \
         lock retries. A class is never decided from the text of an error, but for `syntax` on SQLite. A code that is not listed has the class of \
         its group (PostgreSQL: its first two characters, SQLite: its low byte), or `other`.\n\n\
         On PostgreSQL a code of a lost connection counts as one only if the error ended the session (severity FATAL or PANIC). \
         Over a living connection it tells of another server, to which the statement had connected (`dblink`, a foreign table): \
         `foreign`, not tried again. 23505 on an index of the catalog itself, XX000 from an update of a row of the catalog, and \
         `already_exists` of a statement with `IF NOT EXISTS` or `OR REPLACE` are a race of two tenants of one database: \
         `serialization`, tried again.\n\n\
         A server that takes no writes (`server_read_only`) has mostly become the follower in a failover, and another one leads in a \
         moment: tried again, each time over a new connection. 1290 names other options of a server too, and costs its tries there. \
         3100 and 3101 come when a replication group rolls a transaction back as its members change, and are tried again. 1180, an \
         error in the commit itself, is not: behind it are full disks and sizes that the server or its cluster refuses, which the same \
         text meets again; nor is 1792, which says that the session's own transaction is read-only.\n\n\
         SQLite has one code, 1, for all mistakes in SQL. Of a statement that makes a table, a column or the like, the schema \
         is asked behind the rollback: if it is there, the class is `already_exists`.\n"
    );
    let titles = EngineMap { sqlite: "SQLite", postgres: "PostgreSQL", mysql: "MySQL and MariaDB" };
    for engine in Engine::ALL {
        let _ = write!(out, "\n## {}\n\n| code | name | class | tried again |\n|---|---|---|---|\n", titles[engine]);
        for Code { code, name, class } in error_codes_of(engine) {
            let again = if class.is_transient() { "yes" } else { "no" };
            let _ = writeln!(out, "| {code} | {} | `{class}` | {again} |", cell(&name));
        }
    }
    out
}

fn commands(root: &Command) -> String {
    let leaves = leaves(root);
    let shared = shared(&leaves);
    let mut out = format!("# Commands\n\n{MADE}\n\n| command | does |\n|---|---|\n");
    for (name, command) in &leaves {
        let _ = writeln!(out, "| [`{name}`](#{}) | {} |", name.replace(' ', "-"), about(command));
    }
    out.push_str("\n## Options of several commands\n");
    for (heading, names) in &shared {
        let _ = write!(out, "\n### {heading}\n\n");
        let owner = leaves.iter().find(|(_, command)| names.iter().all(|name| has(command, name)));
        let arguments = owner.iter().flat_map(|(_, command)| command.get_arguments());
        table(&mut out, arguments.filter(|arg| names.contains(arg.get_id().as_str())));
    }
    out.extend(leaves.iter().map(|(name, command)| section(name, command, &shared)));
    out
}

/// A command with its own options, and the option groups it shares with others.
fn section(name: &str, command: &Command, shared: &BTreeMap<String, BTreeSet<String>>) -> String {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").replace('\n', " ");
    let mut out = format!("\n## {name}\n\n{}.\n\n`{usage}`\n", about(command));
    let aliases: Vec<String> = command.get_visible_aliases().map(|alias| format!("`{alias}`")).collect();
    if !aliases.is_empty() {
        let _ = writeln!(out, "\nAlso called {}.", aliases.join(", "));
    }
    let whole = |names: &&BTreeSet<String>| names.iter().all(|name| has(command, name));
    let is_shared = |arg: &&Arg| {
        let group = arg.get_help_heading().and_then(|heading| shared.get(heading)).filter(whole);
        group.is_some_and(|names| names.contains(arg.get_id().as_str()))
    };
    let own: Vec<&Arg> = command.get_arguments().filter(|arg| !is_shared(arg)).collect();
    if own.iter().any(|arg| is_shown(arg)) {
        out.push('\n');
        table(&mut out, own.into_iter());
    }
    let groups = shared.iter().filter(|(_, names)| whole(names));
    let groups: Vec<String> = groups.map(|(heading, _)| format!("[{heading}](#{})", heading.to_lowercase())).collect();
    let _ = writeln!(out, "\nOptions shared with other commands: {}.", groups.join(", "));
    out
}

/// All commands by their full name.
fn leaves(root: &Command) -> Vec<(String, &Command)> {
    fn walk<'a>(prefix: &str, command: &'a Command, found: &mut Vec<(String, &'a Command)>) {
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
            let name = format!("{prefix} {}", sub.get_name());
            if !sub.is_subcommand_required_set() {
                found.push((name.clone(), sub));
            }
            walk(&name, sub, found);
        }
    }
    let mut found = Vec::new();
    walk("fleet", root, &mut found);
    found
}

/// The options that most commands with a heading have under it, by heading.
fn shared(leaves: &[(String, &Command)]) -> BTreeMap<String, BTreeSet<String>> {
    let mut commands: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, command) in leaves {
        let headings: BTreeSet<&str> = command.get_arguments().filter_map(Arg::get_help_heading).collect();
        headings.iter().for_each(|heading| *uses.entry(heading).or_default() += 1);
        for arg in command.get_arguments().filter(|arg| is_shown(arg)) {
            if let Some(heading) = arg.get_help_heading() {
                *commands.entry(heading).or_default().entry(arg.get_id().as_str()).or_default() += 1;
            }
        }
    }
    // The output options of a run differ in meaning from those of a report.
    commands.remove("Output");
    let most = |heading: &str, count: usize| count * 2 > uses.get(heading).copied().unwrap_or_default();
    let group = |(heading, counts): (&str, BTreeMap<&str, usize>)| {
        let common =
            counts.into_iter().filter(|(_, count)| most(heading, *count)).map(|(id, _)| id.to_owned()).collect();
        (heading.to_owned(), common)
    };
    commands.into_iter().map(group).collect()
}

fn has(command: &Command, id: &str) -> bool {
    command.get_arguments().any(|arg| arg.get_id() == id)
}

fn is_shown(arg: &Arg) -> bool {
    !arg.is_hide_set() && arg.get_id() != "help" && arg.get_id() != "version"
}

fn table<'a>(out: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    out.push_str("| option | meaning |\n|---|---|\n");
    for arg in arguments.filter(|arg| is_shown(arg)) {
        let values: String = match arg.get_action().takes_values() {
            true => arg.get_value_names().unwrap_or_default().iter().map(|name| format!(" {name}")).collect(),
            false => String::new(),
        };
        let name = match (arg.get_short(), arg.get_long()) {
            (Some(short), Some(long)) => format!("-{short}, --{long}{values}"),
            (None, Some(long)) => format!("--{long}{values}"),
            _ => values.trim().to_owned(),
        };
        let mut meaning = cell(&arg.get_help().map(ToString::to_string).unwrap_or_default());
        let defaults: Vec<String> = arg.get_default_values().iter().map(|v| v.to_string_lossy().into_owned()).collect();
        if arg.get_action().takes_values() && !defaults.is_empty() {
            let _ = write!(meaning, "; default `{}`", defaults.join(" "));
        }
        if let Some(variable) = arg.get_env() {
            let _ = write!(meaning, "; also `{}`", variable.to_string_lossy());
        }
        let _ = writeln!(out, "| `{}` | {meaning} |", name.replace('|', "\\|"));
    }
}

fn about(command: &Command) -> String {
    cell(&command.get_about().map(ToString::to_string).unwrap_or_default())
}

/// A text escaped for a table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "\\<").replace('\n', " ")
}
