//! One message of several statements, and the position of a failure in it.
//!
//! It only builds text and locates errors; it does not interpret statements.

use std::fmt::Write as _;

use futures_util::StreamExt;
use sqlx::{AssertSqlSafe, Either, Executor};

use super::{Notice, Step, Work};
use crate::model::fault;
use crate::model::outcome::StoppedAt;
use crate::model::tenant::Engine;
use crate::model::text::excerpt;
use crate::sql::{Directive, directive, first_words, is_multiple};

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

/// Statements that are sent in one message.
#[derive(Debug)]
pub(crate) struct Message {
    engine: Engine,
    parts: Vec<(Place, String)>,
    /// A part may be several statements, so counting results would be wrong.
    marked: bool,
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

impl Message {
    /// An empty message.
    pub(crate) fn new(engine: Engine) -> Self {
        Message { engine, parts: Vec::new(), marked: false }
    }

    pub(crate) fn push(&mut self, place: Place, sql: impl Into<String>) {
        let sql = sql.into();
        // A recorded statement is sent unchanged except for a closing semicolon: an empty statement is an error on
        // MySQL.
        let sql = sql.trim_end_matches(|c: char| c == ';' || c.is_whitespace()).to_owned();
        if let Place::Statement { .. } = place {
            // A miscount would report a wrong position: any doubt about the number of results means markers.
            self.marked |= is_multiple(self.engine, &sql) || sql.contains(';') || !has_one_result(self.engine, &sql);
        }
        self.parts.push((place, sql));
    }

    pub(crate) fn push_all(&mut self, place: Place, statements: Vec<String>) {
        statements.into_iter().for_each(|sql| self.push(place, sql));
    }

    /// The text to send. Where a part may be several statements, each part is preceded by a row with its number.
    pub(crate) fn text(&self) -> String {
        self.text_with_starts().0
    }

    /// The text, and the byte offset of each part in it.
    fn text_with_starts(&self) -> (String, Vec<usize>) {
        let mut starts = Vec::with_capacity(self.parts.len());
        let mut text = String::with_capacity(self.parts.iter().map(|(_, sql)| sql.len() + 40).sum());
        for (i, (_, sql)) in self.parts.iter().enumerate() {
            if self.marked {
                let _ = writeln!(text, "SELECT {i} AS fleet_part;");
            }
            starts.push(text.len());
            if crate::sql::split(self.engine, sql).is_empty() {
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
        let (text, starts) = self.text_with_starts();
        let (at, _) = text.char_indices().nth(character.checked_sub(1)?)?;
        let part = starts.partition_point(|start| *start <= at).checked_sub(1)?;
        let (place, sql) = &self.parts[part];
        let first_line = crate::sql::split(self.engine, sql).first().map_or(1, |piece| piece.line);
        let line = 1 + text[starts[part]..at].matches('\n').count();
        Some((*place, line.saturating_sub(first_line)))
    }

    /// The place of the part that failed; `None` if all completed.
    pub(crate) fn place(&self, completed: usize) -> Option<Place> {
        self.parts.get(completed).map(|(place, _)| *place)
    }

    /// The number of steps committed by the first `completed` parts; several steps may share a commit.
    pub(crate) fn committed(&self, completed: usize) -> usize {
        let first = self.parts.first().and_then(|(place, _)| place.step()).unwrap_or(0);
        let is_commit = |(place, _): &&(Place, String)| matches!(place, Place::Commit { .. });
        let last = self.parts[..completed.min(self.parts.len())].iter().rfind(is_commit);
        last.and_then(|(place, _)| place.step()).map_or(0, |step| step + 1 - first)
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
        self.parts.get(part).is_some_and(|(place, sql)| {
            matches!(place, Place::Statement { .. }) && directive(sql) == Some(Directive::Report)
        })
    }

    /// Whether the results received (in a marked message: since the marker of `part`) are those of the whole message.
    fn is_whole(&self, part: usize, results: usize) -> bool {
        if self.marked { part + 1 == self.parts.len() && results >= 2 } else { results >= self.parts.len() }
    }
}

/// Whether a statement certainly has exactly one result. `CALL` and `EXECUTE` may have any number.
fn has_one_result(engine: Engine, sql: &str) -> bool {
    const ONE: [&str; 15] = [
        "create", "alter", "drop", "insert", "update", "delete", "replace", "truncate", "rename", "set", "select",
        "with", "grant", "comment", "pragma",
    ];
    first_words(engine, sql).next().is_some_and(|word| ONE.contains(&word.as_str()))
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
    })
}

/// Sends a message and counts the parts that completed.
pub(crate) async fn send<'c, DB, C>(connection: &'c mut C, message: &Message) -> Sent
where
    DB: sqlx::Database,
    &'c mut C: Executor<'c, Database = DB>,
    usize: sqlx::ColumnIndex<DB::Row>,
    for<'r> i64: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
    for<'r> i32: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
    for<'r> String: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
    for<'r> Vec<u8>: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
{
    use sqlx::{Column as _, Row as _};
    if message.parts.iter().any(|(_, sql)| sql.contains('\0')) {
        let text = "a statement holds a NUL character, which hides what follows from the engine; nothing was sent";
        let error = Some(sqlx::Error::InvalidArgument(text.to_owned()));
        return Sent { completed: 0, within: 0, error, reports: Vec::new() };
    }
    // In a marked message, results are counted from the marker: its own result, then those of the part.
    let (mut results, mut part) = (0_usize, 0_usize);
    let (mut reports, mut error) = (Vec::new(), None);
    {
        let mut stream = sqlx::raw_sql(AssertSqlSafe(message.text())).fetch_many(connection);
        while let Some(item) = stream.next().await {
            match item {
                Ok(Either::Left(_)) => results += 1,
                Ok(Either::Right(row)) => {
                    if message.marked && row.columns().first().is_some_and(|c| c.name() == "fleet_part") {
                        let number = row.try_get::<i64, _>(0).or_else(|_| row.try_get::<i32, _>(0).map(i64::from));
                        part = number.ok().and_then(|n| usize::try_from(n).ok()).unwrap_or(part);
                        results = 0;
                    } else {
                        let current = if message.marked { part } else { results };
                        if message.reports(current) {
                            reports.extend(text_of(&row).map(|text| (current, text)));
                        }
                    }
                }
                Err(refused) => {
                    error = Some(refused);
                    break;
                }
            }
        }
    }
    if error.is_none() && message.is_whole(part, results) {
        return Sent { completed: message.parts.len(), within: 0, error, reports };
    }
    let (completed, within) = if message.marked { (part, results.saturating_sub(1)) } else { (results, 0) };
    let error = error.unwrap_or_else(|| {
        // SQLite reads an unclosed comment up to the end of the text: it would hide the history row and the commit.
        let text = "the engine did not see the end of what was sent; close the comments in this migration";
        sqlx::Error::InvalidArgument(text.to_owned())
    });
    Sent { completed, within, error: Some(error), reports }
}

/// The first column of a row as text, truncated to the limit; some engines label text as bytes.
pub(crate) fn text_of<R>(row: &R) -> Option<String>
where
    R: sqlx::Row,
    usize: sqlx::ColumnIndex<R>,
    for<'r> String: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    for<'r> Vec<u8>: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    let text = row.try_get::<String, _>(0).ok();
    text.or_else(|| String::from_utf8(row.try_get::<Vec<u8>, _>(0).ok()?).ok()).map(fault::bounded)
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
    fn several_statements_in_one_part_are_counted_by_markers() {
        let mut message = Message::new(Engine::Sqlite);
        message.push(Place::Statement { step: 0, statement: 0 }, "a; b");
        message.push(Place::Statement { step: 0, statement: 1 }, "c");
        assert_eq!(message.text(), "SELECT 0 AS fleet_part;\na; b;\nSELECT 1 AS fleet_part;\nc;\n");
    }
}
