//! One file as each engine parses it: its statements, directives and errors.
//!
//! It reads text only, and does not know which files make up a script.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::batches;
use super::comments::{self, Notes};
use super::placeholders::{self, Meaning};
use super::rules::{self, Statement};
use super::variables::{self, Expanded};
use super::{ScriptMistake, SqlPart, SqlStatement, Variants};
use crate::model::engine::{Engine, Variant};
use crate::model::schema::Direction;
use crate::model::text::hex;
use crate::sql::dialect::syntax;
use crate::sql::split::scan;
use crate::sql::statement::Directive;

/// An error whose file is known from the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) line: Option<usize>,
    pub(super) what: String,
    pub(super) instead: String,
    /// It is reported at once, even if only one engine would reject it.
    pub(super) always: bool,
    /// The file can be used nevertheless.
    pub(super) is_warning: bool,
}

impl Found {
    pub(super) fn new(line: Option<usize>, what: impl Into<String>, instead: impl Into<String>) -> Self {
        Found { line, what: what.into(), instead: instead.into(), always: false, is_warning: false }
    }

    pub(super) fn in_file(self, file: &Path) -> ScriptMistake {
        let Found { line, what, instead, is_warning, .. } = self;
        ScriptMistake { file: file.to_owned(), line, what, instead, is_warning, is_of_text: false }
    }

    /// In a file that is a part of the catalog nevertheless.
    fn in_text(self, file: &Path) -> ScriptMistake {
        ScriptMistake { is_of_text: true, ..self.in_file(file) }
    }
}

/// A file's content and settings.
pub(super) struct Source<'a> {
    pub(super) file: &'a Path,
    pub(super) direction: Direction,
    /// The text without a byte order mark, with LF as line end.
    pub(super) text: String,
    /// Of that text.
    pub(super) checksum: String,
    /// The transaction setting in Flyway's settings file beside it.
    pub(super) transaction: Option<bool>,
}

impl Source<'_> {
    /// Parses it for the servers in its name.
    pub(super) fn own(&self, variant: Variant, variants: &mut Variants, mistakes: &mut Vec<ScriptMistake>) {
        let (mut part, found) = self.read(variant.engine());
        let found: Vec<ScriptMistake> = found.into_iter().map(|found| found.in_text(self.file)).collect();
        part.mistakes.extend(found.iter().filter(|found| !found.is_warning).cloned());
        mistakes.extend(found);
        let part = Some(Arc::new(part));
        match variant {
            Variant::Of(engine) => variants.0.engines[engine] = part,
            Variant::MariaDb => variants.0.mariadb = Some(part),
        }
    }

    /// Parses a general file for the engines that have no file of their own yet.
    ///
    /// Errors for every engine are reported at once. Errors for some engines are kept until a tenant of such an engine
    /// reaches the file: no author has to quote for an engine without tenants.
    pub(super) fn general(&self, variants: &mut Variants, mistakes: &mut Vec<ScriptMistake>) {
        let mut readings: Vec<(Arc<SqlPart>, Vec<Found>)> = Vec::with_capacity(Engine::ALL.len());
        // One large file would keep one core busy.
        let read: Vec<(SqlPart, Vec<Found>)> = Engine::ALL.into_par_iter().map(|engine| self.read(engine)).collect();
        for (part, found) in read {
            // Most files read the same on all engines: then their text is kept once.
            let same = readings.iter().find(|(other, _)| **other == part).map(|(other, _)| other.clone());
            readings.push((same.unwrap_or_else(|| Arc::new(part)), found));
        }
        let is_common = |found: &Found| {
            let is_same = |other: &Found| (other.line, &other.what) == (found.line, &found.what);
            readings.iter().all(|(_, all)| all.iter().any(is_same))
        };
        let mut told: Vec<Found> = readings[0].1.iter().filter(|found| is_common(found)).cloned().collect();
        for (engine, (part, all)) in Engine::ALL.into_iter().zip(&readings) {
            if variants.0.engines[engine].is_some() {
                continue;
            }
            let mut part = part.clone();
            for found in all.iter().filter(|found| !found.is_warning) {
                Arc::make_mut(&mut part).mistakes.push(found.clone().in_text(self.file));
            }
            told.extend(
                all.iter()
                    .filter(|found| found.always && !is_common(found) && !told.contains(found))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
            variants.0.engines[engine] = Some(part);
        }
        told.sort_by_key(|found| found.line);
        mistakes.extend(told.into_iter().map(|found| found.in_text(self.file)));
    }

    fn read(&self, engine: Engine) -> (SqlPart, Vec<Found>) {
        let mut expanded = Expanded::default();
        let parted = self.text.contains(BREAKPOINT).then(|| with_ends(&self.text));
        let mut text = parted.as_deref().unwrap_or(&self.text);
        if text.contains("{{") && comments::read(engine, self.direction, text, &scan(engine, text).0).0.has_variables {
            expanded = variables::expand(engine, text);
            if self.direction == Direction::Down {
                expanded.found.extend(variables::tags_on_the_way_down(&expanded.used));
            }
            text = &expanded.text;
        }
        let (pieces, open) = scan(engine, text);
        let (notes, mut found) = comments::read(engine, self.direction, text, &pieces);
        found.extend(expanded.found);
        found.extend(rules::psql_commands(engine, text));
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        found.extend(placeholders::read(engine, text, Meaning::of(&name, notes.is_literal)));
        if let Some(open) = open {
            let what = format!("{} begins here and never ends", open.what);
            found.push(Found::new(Some(open.line), what, "close it"));
        }
        let code: Vec<Statement<'_>> = pieces.iter().map(|piece| Statement::new(engine, piece)).collect();
        let transaction = self.transaction.unwrap_or(true) && notes.transaction.unwrap_or(true);
        if self.transaction.is_some() && notes.transaction.is_some() && self.transaction != notes.transaction {
            let instead = "let both say the same, or leave one of them out";
            found.push(Found::new(
                None,
                "the file and the settings file beside it disagree about the transaction",
                instead,
            ));
        }
        let wrapped = judge(&code, &notes, transaction, &mut found);
        let mut parted: HashMap<usize, String> = HashMap::new();
        for &(at, rows, line) in &notes.batches {
            match batches::in_batches(engine, pieces[at].text, rows) {
                Ok(sql) => _ = parted.insert(at, sql),
                Err(why) => found.push(Found::new(
                    Some(line),
                    format!("this can't be done in batches by itself: {why}"),
                    "write the batch yourself, with a limit, and `/* fleet: batch */` before it",
                )),
            }
        }
        let statement = |at: usize| {
            let sql = parted.get(&at).map_or(pieces[at].text, String::as_str);
            SqlStatement { sql: sql.to_owned(), line: pieces[at].line }
        };
        let end = notes.refresh.map_or(pieces.len(), |(first, _)| first);
        let is_own = |at: &usize| !wrapped.is_some_and(|(begin, commit)| *at == begin || *at == commit);
        let own: Vec<usize> = (0..end).filter(is_own).collect();
        if own.is_empty() != notes.nothing.is_some() {
            found.push(emptiness(notes.nothing));
        }
        let mut refresh: Vec<SqlStatement> = (end..pieces.len()).map(statement).collect();
        found.extend(fill_refresh(engine, &notes, &mut refresh));
        let mut part = SqlPart {
            file: self.file.to_owned(),
            checksum: self.checksum.clone(),
            transaction,
            online: notes.online,
            limits: notes.limits,
            statements: own.into_iter().map(statement).collect(),
            view: None,
            replaces: notes.replaces,
            refresh,
            variables: expanded.used,
            mistakes: Vec::new(),
        };
        part.view = notes.view.map(|(view, _)| view);
        // The text after a client command is not SQL, and would only be misread.
        let client = code.iter().find_map(Statement::client_mistake);
        if let Some(client) = &client {
            found.retain(|other| other.line <= client.line);
        }
        found.extend(client);
        found.sort_by_key(|found| found.line);
        (part, found)
    }
}

/// Drizzle's mark between two statements, with or without a `;` before it. For MySQL it is no comment.
const BREAKPOINT: &str = "--> statement-breakpoint";

/// The text with the end of a statement for each such mark at the end of a line; nothing else moves.
fn with_ends(text: &str) -> String {
    let line = |line: &str| {
        let whole = line.trim_end();
        match whole.strip_suffix(BREAKPOINT) {
            Some(before) => format!("{before};-- statement-breakpoint{}", &line[whole.len()..]),
            None => line.to_owned(),
        }
    };
    text.split_inclusive('\n').map(line).collect()
}

/// Checks the statements; returns the BEGIN and the COMMIT to strip around those that are not part of the refresh. Pragmas may
/// stand outside of them, as in SQLite's own frame for building a table anew.
fn judge(code: &[Statement<'_>], notes: &Notes, transaction: bool, found: &mut Vec<Found>) -> Option<(usize, usize)> {
    let end = notes.refresh.map_or(code.len(), |(first, _)| first);
    let control: Vec<usize> = (0..code.len()).filter(|&at| code[at].controls_transaction()).collect();
    let is_pair = |first: usize, last: usize| code[first].is_plain_begin() && code[last].is_plain_commit();
    let are_pragmas = |range: std::ops::Range<usize>| code[range].iter().all(Statement::is_pragma);
    let wrapped = match control.as_slice() {
        &[first, last] if transaction && last < end && is_pair(first, last) => {
            (are_pragmas(0..first) && are_pragmas(last + 1..end)).then_some((first, last))
        }
        _ => None,
    };
    if wrapped.is_none() {
        found.extend(control.iter().map(|&at| code[at].transaction_mistake(transaction)));
    }
    found.extend(code.iter().filter_map(|statement| statement.reading_mistake(code)));
    found.extend(code.iter().filter_map(|statement| statement.lock_timeout_mistake(code)));
    found.extend(code.iter().filter_map(Statement::own_wait_mistake));
    found.extend(code.iter().filter_map(|statement| statement.transaction_needed_mistake(transaction)));
    found.extend(code.iter().filter_map(|statement| statement.own_transaction_mistake(transaction)));
    if transaction {
        for (_, directive, line) in &notes.statements {
            if *directive == Directive::Batch {
                let what = "a batch is repeated, and each time is to be committed, but this script has a transaction";
                let instead = "write `-- fleet: transaction=false` at the head of the file";
                found.push(Found::new(Some(*line), what, instead));
            }
        }
    }
    wrapped
}

/// The error of a file that has no SQL and does not say so, or the reverse.
fn emptiness(nothing: Option<usize>) -> Found {
    match nothing {
        None => {
            let instead = "write `-- fleet: nothing` into it if that is on purpose";
            Found::new(None, "it holds no SQL that would be run", instead)
        }
        Some(line) => Found::new(Some(line), "`nothing` in a file that holds SQL", "leave one of them out"),
    }
}

/// PostgreSQL has a statement that refreshes a view; on other engines the script must supply it.
fn fill_refresh(engine: Engine, notes: &Notes, refresh: &mut Vec<SqlStatement>) -> Option<Found> {
    match (&notes.view, notes.refresh) {
        (None, None) | (Some(_), Some(_)) => None,
        (None, Some((_, line))) => {
            let instead = "write `-- fleet: view=NAME group=daily` at the head of the file";
            Some(Found::new(Some(line), "`refresh` in a script that names no view", instead))
        }
        (Some((view, line)), None) => {
            let name: Vec<String> = view.name.split('.').map(|part| engine.quote(part)).collect();
            let Some(sql) = syntax(engine).refresh_view(&name.join(".")) else {
                let what = format!("on {engine} nothing says how this view is brought up to date");
                let instead = "write those statements behind a line `-- fleet: refresh`";
                return Some(Found::new(Some(*line), what, instead));
            };
            refresh.push(SqlStatement { sql, line: *line });
            None
        }
    }
}

/// SHA-256 in lower-case hex.
pub(super) fn checksum(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}
