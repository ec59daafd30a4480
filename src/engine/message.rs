//! One message of several statements, and the position of a failure in it.
//!
//! It only builds text and locates errors; it does not interpret statements.

mod laps;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use futures_util::StreamExt;
use sqlx::{AssertSqlSafe, Either, Executor};

use self::laps::Laps;
use super::{Notice, Step, Work, errors};
use crate::model::fault;
use crate::model::outcome::StoppedAt;
use crate::model::tenant::Engine;
use crate::model::text::excerpt;
use crate::sql::lex::{self, Kind, Token};
use crate::sql::{Directive, Made, MadeKind, directive, first_words, foreign_keys, made, tells_errors_in_rows};

/// The purpose of a part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Settings, locks and the history table, before the step's own SQL.
    Prepare { step: usize },
    /// The check that the history is as planned.
    HistoryGuard { step: usize },
    /// The check for rows that lost their parents when a table was rebuilt.
    ForeignKeyGuard { step: usize },
    /// A statement of the script, from 0.
    Statement { step: usize, statement: usize },
    /// The journal entry or the history row.
    Record { step: usize },
    /// The end of the step, which commits it.
    Commit { step: usize },
    /// Cleanup after the last step.
    Tidy,
}

impl Place {
    pub(crate) fn step(self) -> Option<usize> {
        match self {
            Place::Prepare { step }
            | Place::HistoryGuard { step }
            | Place::ForeignKeyGuard { step }
            | Place::Statement { step, .. }
            | Place::Record { step }
            | Place::Commit { step } => Some(step),
            Place::Tidy => None,
        }
    }
}

/// Statements that are sent in one message: as one text, or as several where that costs nothing.
#[derive(Debug)]
pub(crate) struct Message<'w> {
    engine: Engine,
    parts: Vec<Part<'w>>,
    /// The length in bytes from which on a text ends behind its part.
    most: usize,
    /// The most bytes that the server takes in a text.
    pub(crate) most_bytes: Option<usize>,
    /// Whether a text ends behind each statement that the server stores as it was sent: with a statement behind it, MySQL
    /// stores the semicolon too, and no dump of it loads again.
    pub(crate) ends_bodies: bool,
    /// The work whose time its answers are a part of.
    work: Option<&'w Work>,
}

#[derive(Debug)]
struct Part<'w> {
    place: Place,
    /// A script's statements are those of the script, which all tenants share.
    sql: Cow<'w, str>,
    /// It may be several statements, so counting results would be wrong.
    is_unsure: bool,
    /// The text ends behind it: it makes a trigger, an event or a routine, or its rows say whether it failed.
    ends_text: bool,
}

/// The progress of a message.
#[derive(Debug)]
pub(crate) struct Sent {
    /// The number of parts that completed.
    pub(crate) completed: usize,
    /// The number of completed statements within the failed part, if it consists of several.
    pub(crate) within: usize,
    /// The error that stopped it.
    pub(crate) error: Option<sqlx::Error>,
    /// The rows of reporting statements: the part, and the row's text.
    reports: Vec<(usize, String)>,
}

impl Sent {
    /// The progress of a message whose parts up to this one completed, without an answer.
    pub(crate) fn whole(completed: usize) -> Sent {
        Sent { completed, within: 0, error: None, reports: Vec::new() }
    }

    /// The progress after the following parts were sent, too.
    pub(crate) fn then(mut self, next: Sent) -> Sent {
        self.reports.extend(next.reports);
        Sent { reports: self.reports, ..next }
    }
}

impl<'w> Message<'w> {
    /// An empty message.
    pub(crate) fn new(engine: Engine) -> Self {
        Message { engine, parts: Vec::new(), most: usize::MAX, most_bytes: None, ends_bodies: false, work: None }
    }

    /// The message of steps of this work.
    pub(crate) fn of(engine: Engine, work: &'w Work) -> Self {
        Message { work: Some(work), ..Message::new(engine) }
    }

    /// The message in texts of about this many bytes, for an engine in this process: SQLite's driver hands all that is
    /// left of a text to the engine for each statement in it.
    pub(crate) fn in_texts_of(self, most: usize) -> Self {
        Message { most, ..self }
    }

    /// The number of its parts.
    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    pub(crate) fn push(&mut self, place: Place, sql: impl Into<Cow<'w, str>>) {
        // A recorded statement is sent unchanged except for a closing semicolon: an empty statement is an error on
        // MySQL.
        let mut sql = sql.into();
        let end = sql.trim_end_matches(|c: char| c == ';' || c.is_whitespace()).len();
        match &mut sql {
            Cow::Borrowed(sql) => *sql = &sql[..end],
            Cow::Owned(sql) => sql.truncate(end),
        }
        match sql {
            Cow::Borrowed(sql) if self.divides(sql) => {
                let pieces = crate::sql::split(self.engine, sql);
                self.parts.extend(pieces.iter().map(|piece| self.part(place, piece.text.into())).collect::<Vec<_>>());
            }
            sql => self.parts.push(self.part(place, sql)),
        }
    }

    fn part(&self, place: Place, sql: Cow<'w, str>) -> Part<'w> {
        let ends_text =
            self.ends_bodies && is_stored_as_sent(self.engine, &sql) || tells_errors_in_rows(self.engine, &sql);
        Part { ends_text, ..Part::new(self.engine, place, sql) }
    }

    /// Whether each statement of a text becomes a part.
    fn divides(&self, sql: &str) -> bool {
        let has_several = || crate::sql::is_multiple(self.engine, sql);
        let ends_inside = || {
            self.ends_bodies && may_store(sql)
                || foreign_keys::mentions(sql, &["analyze", "cache", "check", "optimize", "repair"])
                    && crate::sql::split(self.engine, sql).iter().any(|p| tells_errors_in_rows(self.engine, p.text))
        };
        sql.contains(';') && (sql.len() > self.most || (ends_inside() && has_several()))
    }

    /// The number of statements of the failed part's place that may have completed.
    pub(crate) fn within(&self, sent: &Sent) -> usize {
        let Some(place) = self.place(sent.completed) else { return sent.within };
        sent.within + self.parts[..sent.completed].iter().rev().take_while(|part| part.place == place).count()
    }

    pub(crate) fn push_all(&mut self, place: Place, statements: Vec<String>) {
        statements.into_iter().for_each(|sql| self.push(place, sql));
    }

    /// The text to send. Behind a part that may be several statements, a row has the number of the next one.
    #[cfg(test)]
    pub(crate) fn text(&self) -> String {
        self.text_with_starts(0..self.parts.len()).0
    }

    /// The texts in which these parts are sent.
    pub(crate) fn texts(&self, parts: Range<usize>) -> impl Iterator<Item = String> {
        let mut at = parts.start;
        std::iter::from_fn(move || {
            let text = at..self.text_end(at, parts.end);
            at = text.end;
            (!text.is_empty()).then(|| self.one_text(text))
        })
    }

    /// One text, as it is sent.
    fn one_text(&self, parts: Range<usize>) -> String {
        let (mut text, _) = self.text_with_starts(parts.clone());
        if self.is_single(&parts) || self.ends_bodies {
            text.truncate(text.trim_end_matches([';', '\n']).len());
        }
        text
    }

    /// The text of some parts, and the byte offset of each in it.
    fn text_with_starts(&self, parts: Range<usize>) -> (String, Vec<usize>) {
        let mut starts = Vec::with_capacity(parts.len());
        let mut text = String::with_capacity(self.parts[parts.clone()].iter().map(|part| part.sql.len() + 40).sum());
        for (i, Part { sql, .. }) in self.parts.iter().enumerate().take(parts.end).skip(parts.start) {
            if i > parts.start && self.parts[i - 1].is_unsure {
                let _ = writeln!(text, "SELECT {i} AS fleet_part;");
            }
            starts.push(text.len());
            if !has_code(self.engine, sql) {
                continue;
            }
            text.push_str(sql);
            // SQLite keeps a statement's text up to its semicolon, so a line break goes in only where a comment needs
            // one.
            let last_line = sql.rsplit('\n').next().unwrap_or_default();
            text.push_str(if last_line.contains("--") || last_line.contains('#') { "\n;\n" } else { ";\n" });
        }
        (text, starts)
    }

    /// The part at a character of the text, counted from 1, and the number of lines after the part's first word. An
    /// engine that parses the whole message before executing any of it reports the position of an error only this way.
    pub(crate) fn part_at(&self, character: usize) -> Option<(Place, usize)> {
        let (text, starts) = self.text_with_starts(0..self.parts.len());
        let (at, _) = text.char_indices().nth(character.checked_sub(1)?)?;
        let part = starts.partition_point(|start| *start <= at).checked_sub(1)?;
        let Part { place, sql, .. } = &self.parts[part];
        let first_line = crate::sql::split(self.engine, sql).first().map_or(1, |piece| piece.line);
        let line = 1 + text[starts[part]..at].matches('\n').count();
        Some((*place, line.saturating_sub(first_line)))
    }

    /// The place of the part that failed; `None` if all completed.
    pub(crate) fn place(&self, completed: usize) -> Option<Place> {
        self.parts.get(completed).map(|part| part.place)
    }

    /// The text of the part behind this many.
    pub(crate) fn sql(&self, completed: usize) -> Option<&str> {
        self.parts.get(completed).map(|part| &*part.sql)
    }

    /// The number of steps committed by the first `completed` parts; several steps may share a commit.
    pub(crate) fn committed(&self, completed: usize) -> usize {
        let first = self.parts.first().and_then(|part| part.place.step()).unwrap_or(0);
        let parts = &self.parts[..completed.min(self.parts.len())];
        let last = parts.iter().rfind(|part| matches!(part.place, Place::Commit { .. }));
        last.and_then(|part| part.place.step()).map_or(0, |step| step + 1 - first)
    }

    /// Passes on the reports of the statements of committed steps.
    pub(crate) fn tell_reports(&self, work: &Work, sent: &Sent) {
        let committed = self.committed(sent.completed);
        for (part, text) in &sent.reports {
            if self.committed(*part) < committed {
                work.teller.tell(Notice::Note(text.clone()));
            }
        }
    }

    /// Whether the rows of a part are reported.
    fn reports(&self, part: usize) -> bool {
        self.parts.get(part).is_some_and(|Part { place, sql, .. }| {
            matches!(place, Place::Statement { .. }) && directive(sql) == Some(Directive::Report)
        })
    }

    /// Whether a text is one part by itself, without an end for which the server may have no room.
    fn is_single(&self, parts: &Range<usize>) -> bool {
        self.most_bytes.is_some() && parts.len() == 1
    }

    /// The end of the longest text from `start` that the server takes: behind a step, or else behind a statement, or else
    /// behind any part. Dying between two texts is as dying in the middle of one.
    fn end_below(&self, most: usize, start: usize, end: usize) -> usize {
        let (mut length, mut behind_step, mut behind_statement) = (0, None, None);
        for part in start..end {
            length += self.parts[part].longest();
            if length > most {
                return behind_step.or(behind_statement).unwrap_or(part).max(start + 1);
            }
            match self.parts[part].place {
                Place::Commit { .. } => behind_step = Some(part + 1),
                Place::Statement { .. } => behind_statement = Some(part + 1),
                _ => {}
            }
        }
        end
    }

    /// The end of the text that begins with this part, when those up to `end` are sent.
    fn text_end(&self, start: usize, end: usize) -> usize {
        let end = self.text_end_by_length(start, end);
        let last = self.parts[start..end].iter().position(|part| part.ends_text);
        last.map_or(end, |at| start + at + 1)
    }

    fn text_end_by_length(&self, start: usize, end: usize) -> usize {
        if let Some(most) = self.most_bytes {
            return self.end_below(most, start, end);
        }
        let mut length = 0;
        let is_full = |part: &Part<'_>| {
            length += part.sql.len();
            length >= self.most
        };
        self.parts[start..end].iter().position(is_full).map_or(end, |last| start + last + 1)
    }
}

impl<'w> Part<'w> {
    fn new(engine: Engine, place: Place, sql: Cow<'w, str>) -> Self {
        // A miscount would report a wrong position: any doubt about the number of results means a marker behind it. Without
        // a semicolon, a text with a first word is one statement.
        let is_unsure = match place {
            Place::Statement { .. } => sql.contains(';') || !has_one_result(engine, &sql),
            // Of fleet's own texts some are several statements, as the rows of a baseline or a stamp.
            _ => sql.contains(';') && crate::sql::is_multiple(engine, &sql),
        };
        Part { place, sql, is_unsure, ends_text: false }
    }

    /// The most bytes that it takes in a text, with its marker and its end.
    fn longest(&self) -> usize {
        self.sql.len() + 48
    }
}

/// Whether a text holds anything but comments and semicolons.
fn has_code(engine: Engine, sql: &str) -> bool {
    let is_code = |token: &Token| !matches!(token.kind, Kind::Space | Kind::Comment | Kind::Symbol(b';'));
    lex::tokens(engine, sql).any(|token| is_code(&token))
}

/// Whether a text may make something whose body is stored as it is sent.
fn may_store(sql: &str) -> bool {
    foreign_keys::mentions(sql, &["trigger", "event", "procedure", "function"])
}

/// Whether a statement makes something whose body is stored as it is sent. With a block as its body the text behind would do no
/// harm, but that costs one round trip only.
fn is_stored_as_sent(engine: Engine, sql: &str) -> bool {
    let stored = |made: &Made| {
        matches!(made.kind, MadeKind::Trigger | MadeKind::Event | MadeKind::Procedure | MadeKind::Function)
    };
    let makes = || may_store(sql) && first_words(engine, sql).next().as_deref() == Some("create");
    makes() && made(engine, sql).iter().any(stored)
}

/// Whether a statement certainly has exactly one result. `CALL` and `EXECUTE` may have any number.
fn has_one_result(engine: Engine, sql: &str) -> bool {
    const ONE: [&str; 15] = [
        "create", "alter", "drop", "insert", "update", "delete", "replace", "truncate", "rename", "set", "select",
        "with", "grant", "comment", "pragma",
    ];
    let mut words = first_words(engine, sql);
    let is_one = words.next().is_some_and(|word| ONE.contains(&word.as_str()));
    // MariaDB's `SET STATEMENT .. FOR CALL ..`.
    is_one && words.next().as_deref() != Some("statement")
}

/// The position of a place in the migration, for the report: a line offset from the first word of a statement.
pub(crate) fn stopped_at(work: &Work, place: Option<Place>, lines: usize) -> Option<StoppedAt> {
    let place = place?;
    let Step { script, .. } = work.steps.get(place.step()?)?;
    let statement = match place {
        Place::Statement { statement, .. } => Some(statement),
        _ => None,
    };
    Some(StoppedAt {
        migration: script.migration.to_string(),
        statement: statement.map(|s| s + 1),
        sql: statement.and_then(|s| script.statements.get(s)).map(|sql| excerpt(sql, 500)),
        file: script.source.as_ref().map(|source| match statement.and_then(|s| source.lines.get(s)) {
            Some(line) => format!("{}:{}", source.file, line + lines),
            None => source.file.clone(),
        }),
        ..StoppedAt::default()
    })
}

/// The position of a statement (from 0) of a step.
pub(crate) fn stopped_at_statement(work: &Work, step: usize, statement: usize) -> Option<StoppedAt> {
    stopped_at(work, Some(Place::Statement { step, statement }), 0)
}

/// Sends some parts of a message; the counts are those of the whole.
pub(crate) async fn send<DB, C>(connection: &mut C, message: &Message<'_>, parts: Range<usize>) -> Sent
where
    DB: sqlx::Database,
    for<'c> &'c mut C: Executor<'c, Database = DB>,
    usize: sqlx::ColumnIndex<DB::Row>,
    for<'r> i64: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
    for<'r> i32: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
    for<'r> String: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
    for<'r> Vec<u8>: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
{
    let mut sent = Sent::whole(parts.start);
    while sent.error.is_none() && sent.completed < parts.end {
        let text = sent.completed..message.text_end(sent.completed, parts.end);
        sent = sent.then(send_text(connection, message, text).await);
    }
    sent
}

/// Sends parts of a message as one text.
async fn send_text<DB, C>(connection: &mut C, message: &Message<'_>, parts: Range<usize>) -> Sent
where
    DB: sqlx::Database,
    for<'c> &'c mut C: Executor<'c, Database = DB>,
    usize: sqlx::ColumnIndex<DB::Row>,
    for<'r> i64: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
    for<'r> i32: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
    for<'r> String: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
    for<'r> Vec<u8>: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
{
    use sqlx::{Column as _, Row as _};
    let mut at = At { part: parts.start, results: 0, is_marker: false };
    let (mut reports, mut error) = (Vec::new(), None);
    let mut laps = Laps::new(message, parts.clone());
    {
        let mut stream = sqlx::raw_sql(AssertSqlSafe(message.one_text(parts.clone()))).fetch_many(connection);
        while let Some(item) = stream.next().await {
            match item {
                // The rest of an answer whose rows told an error.
                Ok(_) if error.is_some() => {}
                Ok(Either::Left(_)) => {
                    if let Some(part) = at.has_result(message) {
                        laps.answered(part);
                    }
                }
                Ok(Either::Right(row)) => {
                    let number = || row.try_get::<i64, _>(0).or_else(|_| row.try_get::<i32, _>(0).map(i64::from)).ok();
                    let is_marker = row.columns().first().is_some_and(|c| c.name() == "fleet_part");
                    if is_marker && at.reaches(number().and_then(|number| usize::try_from(number).ok()), message) {
                        continue;
                    }
                    if message.parts.get(at.part).is_some_and(|part| part.ends_text) {
                        error = error_in(&row);
                    }
                    if message.reports(at.part) {
                        reports.extend(text_of(&row).map(|text| (at.part, text)));
                    }
                }
                Err(refused) => {
                    error = Some(refused);
                    break;
                }
            }
        }
    }
    laps.end(error.as_ref().map(|error| (at.part, error)));
    if error.is_none() && at.is_behind(parts.end) {
        return Sent { completed: parts.end, within: 0, error, reports };
    }
    let error = error.unwrap_or_else(|| {
        // SQLite reads an unclosed comment up to the end of the text: it would hide the history row and the commit.
        let text = "the engine did not see the end of what was sent; close the comments in this migration";
        sqlx::Error::InvalidArgument(text.to_owned())
    });
    Sent { completed: at.part, within: at.results, error: Some(error), reports }
}

/// The place of the answers to a text.
struct At {
    /// The part that is being answered.
    part: usize,
    /// Its results so far, where it may have several.
    results: usize,
    /// Whether the next result is that of a marker.
    is_marker: bool,
}

impl At {
    /// Takes a result; returns the part that it belongs to.
    fn has_result(&mut self, message: &Message<'_>) -> Option<usize> {
        if std::mem::take(&mut self.is_marker) {
            return None;
        }
        let part = self.part;
        match message.parts.get(part) {
            Some(Part { is_unsure: true, .. }) => self.results += 1,
            _ => self.part += 1,
        }
        Some(part)
    }

    /// Takes the row of a marker; `false`: it is a row of a script.
    fn reaches(&mut self, number: Option<usize>, message: &Message<'_>) -> bool {
        let is_next = number == Some(self.part + 1) && message.parts[self.part].is_unsure;
        if is_next {
            *self = At { part: self.part + 1, results: 0, is_marker: true };
        }
        is_next
    }

    /// Whether all parts up to this one were answered. The last one may have several results, and has one at least.
    fn is_behind(&self, end: usize) -> bool {
        self.part >= end || self.part + 1 == end && self.results > 0
    }
}

/// The error in a row of a statement that tells its errors in rows.
pub(crate) fn error_in<R>(row: &R) -> Option<sqlx::Error>
where
    R: sqlx::Row,
    usize: sqlx::ColumnIndex<R>,
    for<'r> String: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    for<'r> Vec<u8>: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    use sqlx::Column as _;
    let is_error = row.columns().get(2).is_some_and(|column| column.name() == "Msg_type")
        && text_at(row, 2).is_some_and(|kind| kind.eq_ignore_ascii_case("error"));
    is_error.then(|| errors::in_row(&text_at(row, 3).unwrap_or_default()))
}

/// The first column of a row as text, truncated to the limit.
pub(crate) fn text_of<R>(row: &R) -> Option<String>
where
    R: sqlx::Row,
    usize: sqlx::ColumnIndex<R>,
    for<'r> String: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    for<'r> Vec<u8>: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    text_at(row, 0)
}

/// A column of a row as text; some engines label text as bytes.
fn text_at<R>(row: &R, column: usize) -> Option<String>
where
    R: sqlx::Row,
    usize: sqlx::ColumnIndex<R>,
    for<'r> String: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    for<'r> Vec<u8>: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    let text = row.try_get::<String, _>(column).ok();
    text.or_else(|| String::from_utf8(row.try_get::<Vec<u8>, _>(column).ok()?).ok()).map(fault::bounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closing_semicolon_or_comment_does_not_swallow_the_next_statement() {
        let mut message = Message::new(Engine::Sqlite);
        message.push(Place::Statement { step: 0, statement: 0 }, "create table t (i int); ");
        message.push(Place::Statement { step: 0, statement: 1 }, "drop table u -- gone");
        message.push(Place::Commit { step: 0 }, "COMMIT");
        assert_eq!(message.text(), "create table t (i int);\ndrop table u -- gone\n;\nCOMMIT;\n");
        assert_eq!(message.committed(2), 0);
        assert_eq!(message.committed(3), 1);
    }

    #[test]
    fn a_character_of_the_message_is_in_a_part_and_on_a_line_of_it() {
        let mut message = Message::new(Engine::Postgres);
        message.push(Place::Prepare { step: 0 }, "BEGIN");
        message.push(Place::Statement { step: 0, statement: 0 }, "-- é\n\nCREATE\n  TABEL x");
        let text = message.text();
        let at = text.chars().position(|c| c == 'B').unwrap() + 1;
        assert_eq!(message.part_at(at), Some((Place::Prepare { step: 0 }, 0)));
        let tabel = text[..text.find("TABEL").unwrap()].chars().count() + 1;
        assert_eq!(message.part_at(tabel), Some((Place::Statement { step: 0, statement: 0 }, 1)));
        assert_eq!(message.part_at(9_999), None);
        assert_eq!(message.part_at(0), None);
    }

    #[test]
    fn a_long_message_is_cut_behind_its_parts_and_long_parts_behind_their_statements() {
        let mut message = Message::new(Engine::Sqlite).in_texts_of(30);
        let place = |statement| Place::Statement { step: 0, statement };
        message.push(place(0), "SELECT 'twelve';");
        message.push(place(1), "SELECT 'twelve'");
        message.push(place(2), "SELECT 'a longer one; really';\nSELECT 2;\nSELECT 3");
        message.push(Place::Commit { step: 0 }, "COMMIT");
        assert_eq!(message.len(), 6, "the third part is three");
        assert_eq!(message.place(4), Some(place(2)));
        let ends: Vec<usize> = [0, 2, 4].map(|start| message.text_end(start, 6)).into();
        assert_eq!(ends, [2, 4, 6]);
    }

    #[test]
    fn behind_several_statements_in_one_part_comes_a_marker() {
        let mut message = Message::new(Engine::Sqlite);
        message.push(Place::Prepare { step: 0 }, "BEGIN");
        message.push(Place::Statement { step: 0, statement: 0 }, "a; b");
        message.push(Place::Statement { step: 0, statement: 1 }, "SET c");
        message.push(Place::Statement { step: 0, statement: 2 }, "SET STATEMENT d FOR CALL e()");
        assert_eq!(message.text(), "BEGIN;\na; b;\nSELECT 2 AS fleet_part;\nSET c;\nSET STATEMENT d FOR CALL e();\n");
        let mut at = At { part: 0, results: 0, is_marker: false };
        assert!(!at.reaches(Some(1), &message), "a row of a script");
        let answered = |at: &mut At| at.has_result(&message);
        assert_eq!([answered(&mut at), answered(&mut at), answered(&mut at)], [Some(0), Some(1), Some(1)]);
        assert!(!at.reaches(Some(1), &message) && !at.reaches(None, &message) && at.reaches(Some(2), &message));
        assert_eq!([answered(&mut at), answered(&mut at)], [None, Some(2)]);
        assert!(!at.is_behind(4), "it has no result yet");
        assert_eq!([answered(&mut at), answered(&mut at)], [Some(3), Some(3)]);
        assert!(at.is_behind(4));
    }

    #[test]
    fn a_long_message_is_divided_between_steps_or_else_behind_statements() {
        let mut message = Message::new(Engine::Mysql);
        for (step, lengths) in [&[10, 10][..], &[500, 500, 2_000], &[10]].into_iter().enumerate() {
            message.push(Place::Prepare { step }, "BEGIN");
            for (statement, length) in lengths.iter().enumerate() {
                message.push(Place::Record { step }, "UPDATE j");
                message.push(Place::Statement { step, statement }, "x".repeat(*length));
            }
            message.push(Place::Commit { step }, "COMMIT");
        }
        message.push(Place::Tidy, "DO 1");
        let divided = |message: &Message| {
            let (mut starts, all) = (vec![0], message.len());
            while starts.last().is_some_and(|start| message.text_end(*start, all) < all) {
                starts.push(message.text_end(starts[starts.len() - 1], all));
            }
            starts
        };
        assert_eq!(divided(&message), [0]);
        message.most_bytes = Some(10_000);
        assert_eq!(divided(&message), [0]);
        message.most_bytes = Some(1_000);
        // The second step is too long: behind each of its statements, and its third goes by itself.
        assert_eq!(divided(&message), [0, 6, 9, 11, 12, 13]);
    }
}
