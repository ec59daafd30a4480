//! A server of a test's own, and what it logs by itself of the texts that clients send.
//!
//! No text is changed. What a server adds is taken away: the beginning and the end of an entry, and PostgreSQL's tab behind each line
//! break.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::golden::Sent;
use crate::process::sql;
use crate::servers::{OwnMysql, OwnServers};
use crate::wire::Message;

/// A server that logs every statement, until it is dropped.
pub(crate) enum ServerLog {
    Postgres { own: OwnServers, seen: Cell<usize> },
    Mariadb { own: OwnServers, file: PathBuf, seen: Cell<usize> },
    Mysql(OwnMysql),
}

impl ServerLog {
    pub(crate) fn postgres() -> Self {
        let own = OwnServers::start();
        sql(&own.postgres, "ALTER ROLE postgres SET log_statement = 'all'");
        ServerLog::Postgres { own, seen: Cell::new(0) }
    }

    /// Its table of the log can't hold every character, and cuts texts that have such ones; its file has the bytes.
    pub(crate) fn mariadb() -> Self {
        let own = OwnServers::start();
        sql(&own.mysql, "SET GLOBAL general_log = 1");
        let file = sql(&own.mysql, "SELECT concat(@@datadir, @@general_log_file)").remove(0).into();
        ServerLog::Mariadb { own, file, seen: Cell::new(0) }
    }

    pub(crate) fn mysql() -> Self {
        let own = OwnMysql::start();
        // Otherwise it logs what it makes of a text: statement by statement, and without passwords.
        sql(&own.url, "SET GLOBAL log_raw = 1; SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = 1");
        ServerLog::Mysql(own)
    }

    /// The URL of the server's own database.
    pub(crate) fn server(&self) -> &str {
        match self {
            ServerLog::Postgres { own, .. } => &own.postgres,
            ServerLog::Mariadb { own, .. } => &own.mysql,
            ServerLog::Mysql(own) => &own.url,
        }
    }

    /// The part of a query that the server logs: MariaDB takes semicolons and white space off its end before it does anything.
    pub(crate) fn kept<'a>(&self, text: &'a str) -> &'a str {
        match self {
            ServerLog::Mariadb { .. } => text.trim_end_matches(|c: char| c == ';' || c.is_ascii_whitespace()),
            _ => text,
        }
    }

    /// The queries since the last call by connection, in the order in which each sent its first.
    pub(crate) fn take(&self) -> Sent {
        let entries = match self {
            ServerLog::Postgres { own, seen } => POSTGRES.entries(&own.base().join("postgres/log"), seen),
            ServerLog::Mariadb { file, seen, .. } => MARIADB.entries(file, seen),
            ServerLog::Mysql(own) => general_log(&own.url),
        };
        let mut order = Vec::new();
        let mut sent = Sent::new();
        for (connection, text) in entries {
            let at = order.iter().position(|known| *known == connection).unwrap_or_else(|| {
                order.push(connection);
                sent.push(Vec::new());
                sent.len() - 1
            });
            sent[at].push(Message::new("query", text));
        }
        sent
    }
}

/// The general log of a MySQL, which is emptied.
fn general_log(url: &str) -> Vec<(u64, String)> {
    let rows = sql(
        url,
        "SELECT concat(thread_id, ' ', hex(argument)) FROM mysql.general_log WHERE command_type = 'Query' AND \
         thread_id <> connection_id(); TRUNCATE mysql.general_log",
    );
    let entry = |row: &String| {
        let (connection, text) = row.split_once(' ').unwrap();
        let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..text.len()).step_by(2).map(byte).collect();
        (connection.parse().unwrap(), String::from_utf8(bytes).unwrap())
    };
    rows.iter().map(entry).collect()
}

/// The form of a log in a file.
struct Form {
    /// The beginning of an entry: the number of the connection, and the kind of entry.
    head: &'static str,
    /// The kind of entry of a query.
    query: &'static str,
    /// Whether each line of an entry but its first begins with a tab.
    is_indented: bool,
}

const POSTGRES: Form = Form {
    head: r"^[0-9-]{10} [0-9:.]{12} \w+ \[([0-9]+)\] ([A-Z]+:  (?:statement: )?)",
    query: "LOG:  statement: ",
    is_indented: true,
};

const MARIADB: Form = Form {
    head: r"^(?:[0-9]{6} [0-9 ][0-9]:[0-9]{2}:[0-9]{2}|\t)\t *([0-9]+) ([A-Z][A-Za-z ]*)\t",
    query: "Query",
    is_indented: false,
};

impl Form {
    /// The queries of a file behind what was seen of it, with the number of the connection of each.
    fn entries(&self, file: &Path, seen: &Cell<usize>) -> Vec<(u64, String)> {
        let log = fs::read(file).unwrap();
        self.queries(std::str::from_utf8(&log[seen.replace(log.len())..]).unwrap())
    }

    fn queries(&self, log: &str) -> Vec<(u64, String)> {
        let head = Regex::new(self.head).unwrap();
        let mut found: Vec<(u64, String)> = Vec::new();
        // Whether the lines belong to a query.
        let mut is_query = false;
        for line in log.split_inclusive('\n') {
            match head.captures(line) {
                Some(parts) => {
                    is_query = &parts[2] == self.query;
                    let text = is_query.then(|| (parts[1].parse().unwrap(), line[parts[0].len()..].to_owned()));
                    found.extend(text);
                }
                None if is_query => {
                    let line = if self.is_indented { line.strip_prefix('\t').unwrap() } else { line };
                    found.last_mut().unwrap().1.push_str(line);
                }
                None => (),
            }
        }
        // The line break that ends an entry.
        found.iter_mut().for_each(|(_, text)| assert_eq!(text.pop(), Some('\n')));
        found
    }
}

#[test]
fn statements_are_taken_out_of_a_log_unchanged() {
    let head = "2026-01-02 03:04:05.678 UTC";
    let log = format!(
        "{head} [7] LOG:  statement: SELECT 'a\r\n\t\tb  \n\t';\n\t\n{head} [8] ERROR:  no\n\tstatement\n{head} [8] LOG:  statement: X\n"
    );
    let expected = [(7, "SELECT 'a\r\n\tb  \n';\n".to_owned()), (8, "X".to_owned())];
    assert_eq!(POSTGRES.queries(&log), expected);
    let log = "Time\t\t    Id Command\tArgument\n261130  3:04:05\t     7 Quit\t\n\t\t    10 Query\tSELECT 'a\n\t\tb ';\n\n\
               261130 14:25:57\t     8 Prepare\tSELECT 1\n\t\t     8 Query\tX\n";
    let expected = [(10, "SELECT 'a\n\t\tb ';\n".to_owned()), (8, "X".to_owned())];
    assert_eq!(MARIADB.queries(log), expected);
}
