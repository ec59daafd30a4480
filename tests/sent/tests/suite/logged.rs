//! The log against the record: each text that was sent is in it.
//!
//! Literals and comments are left out of the comparison: the log hides those of statements that handle a secret.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::golden::Sent;

/// Statements that a driver sends by itself, around Rust code.
const OF_DRIVERS: [&str; 5] = ["BEGIN", "BEGIN EXCLUSIVE", "BEGIN DEFERRED", "COMMIT", "ROLLBACK"];

/// Fails with the texts of the record that are not in the log.
#[track_caller]
pub(crate) fn check(log: &str, sent: &Sent) {
    let lines = log.lines().filter(|line| line.starts_with('{'));
    let of_line = |line| serde_json::from_str::<Value>(line).unwrap()["sql"].as_str().map(bare);
    let logged: String = lines.filter_map(of_line).map(|sql| sql + "\n").collect();
    let is_sql = |kind: &str| ["", "query", "prepare"].contains(&kind) || kind.starts_with("parse");
    let texts = sent.iter().flatten().filter(|message| is_sql(&message.kind)).map(|message| bare(&message.text));
    let missing: Vec<String> =
        texts.filter(|text| !OF_DRIVERS.contains(&text.as_str()) && !logged.contains(text.as_str())).collect();
    assert!(missing.is_empty(), "not in the log:\n{}\n--- of\n{logged}", missing.join("\n---\n"));
}

/// A text without what the log may hide.
fn bare(sql: &str) -> String {
    static HIDDEN: LazyLock<Regex> = LazyLock::new(|| {
        let parts = [r"--[^\n]*", r"/\*.*?\*/", r"\$\w*\$.*?\$\w*\$", r"'(?:[^'\\]|''|\\.)*'", r#""[^"]*""#];
        Regex::new(&format!("(?s){}", parts.join("|"))).unwrap()
    });
    HIDDEN.replace_all(sql, "?").trim_matches([';', '\n', ' ']).to_owned()
}
