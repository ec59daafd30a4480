//! The MySQL and MariaDB privileges that statements need beyond those that every migration needs.
//!
//! It reads words and no more grammar than it needs; SQL assembled by a procedure is not found.

use super::split;
use super::words::{Words, first_words};
use crate::model::engine::Engine;

/// The kind of object created, and the privilege that takes; `None`: a privilege that every migration needs, or that is
/// not a database privilege.
const MADE: [(&str, Option<&str>); 13] = [
    ("trigger", Some("TRIGGER")),
    ("view", Some("CREATE VIEW")),
    ("procedure", Some("CREATE ROUTINE")),
    ("function", Some("CREATE ROUTINE")),
    ("event", Some("EVENT")),
    ("table", None),
    ("index", None),
    ("sequence", None),
    ("database", None),
    ("schema", None),
    ("user", None),
    ("role", None),
    ("server", None),
];

/// The privileges that the statements of a text need.
pub(crate) fn needed(engine: Engine, sql: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    for piece in split(engine, sql) {
        let first = first_words(engine, piece.text).next();
        if !matches!(first.as_deref(), Some("create" | "alter")) {
            continue;
        }
        let words = Words::of(engine, piece.text).all();
        let made = words.iter().find_map(|word| MADE.iter().find(|(made, _)| made == word));
        let Some((kind, right)) = made else { continue };
        found.extend(*right);
        if *kind == "table" && words.iter().any(|word| word == "references") {
            found.push("REFERENCES");
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn rights_are_found_in_what_is_created() {
        for (sql, expected) in [
            ("CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.b = 1", &["TRIGGER"][..]),
            ("create or replace definer=`x`@`%` view v as select 1", &["CREATE VIEW"]),
            (
                "CREATE TABLE a (b int, FOREIGN KEY (b) REFERENCES c (d)); CREATE FUNCTION f() RETURNS int RETURN 1",
                &["REFERENCES", "CREATE ROUTINE"],
            ),
            ("CREATE TABLE a (view int, `trigger` int)", &[]),
            ("INSERT INTO a VALUES ('CREATE TRIGGER t')", &[]),
            ("CREATE UNIQUE INDEX event ON a (b)", &[]),
        ] {
            assert_eq!(super::needed(crate::model::engine::Engine::Mysql, sql), expected, "{sql}");
        }
    }
}
