//! State that statements leave in their session: its names, and whether it can be computed again.
//!
//! It reads words; nothing is run.

use super::lex::Kind;
use super::outside::calls;
use super::split::split;
use super::statement::is_set_of_session;
use super::words::{Words, first_words};
use crate::model::engine::Engine;

/// Functions with the same result in another session that begins alike.
const FIXED: [&str; 20] = [
    "cast",
    "coalesce",
    "concat",
    "concat_ws",
    "convert",
    "database",
    "if",
    "ifnull",
    "left",
    "lower",
    "ltrim",
    "nullif",
    "replace",
    "right",
    "rtrim",
    "schema",
    "substring",
    "trim",
    "upper",
    "version",
];

/// Whether a text has no parentheses but those of functions with the same result in another session that begins alike.
pub(super) fn calls_only_fixed(engine: Engine, piece: &str) -> bool {
    if !piece.contains('(') {
        return true;
    }
    let words = Words::of(engine, piece);
    let is_fixed = |at: usize| at > 0 && FIXED.contains(&words.word(at - 1).as_str());
    (0..words.len()).all(|at| !words.is(at, "select") && (!words.is_symbol(at, b'(') || is_fixed(at)))
}

/// Whether a text only sets something in its session, to values that are computed anew where it is sent again: maybe others.
pub(crate) fn computes_again(engine: Engine, sql: &str) -> bool {
    split(engine, sql).into_iter().all(|piece| {
        let words = Words::of(engine, piece.text);
        is_set_of_session(engine, piece.text) && !words.is(1, "transaction") && !calls(engine, &words, 1)
    })
}

/// Whether a text may name variables of its session, and sets none: it changes rows, and has no `:=`.
pub(crate) fn only_reads_variables(engine: Engine, sql: &str) -> bool {
    const ROWS: [&str; 4] = ["insert", "replace", "update", "delete"];
    let is_of_rows = |piece: &str| first_words(engine, piece).next().is_some_and(|word| ROWS.contains(&word.as_str()));
    !sql.contains(":=")
        && !sql.to_ascii_lowercase().contains("set_config")
        && split(engine, sql).into_iter().all(|piece| is_of_rows(piece.text))
}

/// State that a text leaves in its session, by its names; a statement whose name says too little as it stands, cut short.
pub(crate) fn left_in_session(engine: Engine, sql: &str) -> Vec<String> {
    let of = |piece: &str| match first_words(engine, piece).next().as_deref() {
        Some("set") => targets(engine, piece),
        _ => vec![shortened(piece)],
    };
    split(engine, sql).into_iter().flat_map(|piece| of(piece.text)).collect()
}

/// The variables and settings that a `SET` assigns to.
fn targets(engine: Engine, piece: &str) -> Vec<String> {
    const SCOPES: [&str; 5] = ["session", "local", "@@session", "@@local", "@@"];
    let words = Words::of(engine, piece);
    let (mut all, mut begin, mut depth) = (Vec::new(), Some(1), 0_usize);
    for at in 1..words.len() {
        match words.kind(at) {
            Some(Kind::Symbol(b'(')) => depth += 1,
            Some(Kind::Symbol(b')')) => depth = depth.saturating_sub(1),
            Some(Kind::Symbol(b',')) if depth == 0 => begin = Some(at + 1),
            _ if words.is_symbol(at, b'=') || words.is(at, "to") => {
                if let Some(first) = begin.take() {
                    let mut name =
                        piece[words.start(first)..words.start(at)].trim_end_matches([':', ' ', '\n', '\t', '\r']);
                    for scope in SCOPES {
                        let is_scope = name.get(..scope.len()).is_some_and(|head| head.eq_ignore_ascii_case(scope));
                        let rest = &name[if is_scope { scope.len() } else { 0 }..];
                        if is_scope && (scope == "@@" || rest.starts_with([' ', '.'])) {
                            name = rest.trim_start_matches([' ', '.']);
                        }
                    }
                    all.push(name.to_owned());
                }
            }
            _ => {}
        }
    }
    if all.is_empty() { vec![shortened(piece)] } else { all }
}

fn shortened(piece: &str) -> String {
    const MOST: usize = 60;
    let line = piece.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Whether a text names this variable of the session, which begins with `@`.
pub(crate) fn mentions_variable(sql: &str, name: &str) -> bool {
    let (sql, name) = (sql.to_ascii_lowercase(), name.to_ascii_lowercase());
    let ends =
        |at: usize| !sql[at + name.len()..].starts_with(|next: char| next.is_alphanumeric() || "_$.".contains(next));
    sql.match_indices(&name).any(|(at, _)| ends(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::engine::Engine::{Mysql, Postgres, Sqlite};

    #[test]
    fn state_of_a_session_is_named() {
        for (engine, sql, wanted) in [
            (Mysql, "SET @n = NOW()", vec!["@n"]),
            (
                Mysql,
                "SET @a := 1, SESSION sql_mode = CONCAT(@@sql_mode, ',x'), @@session.time_zone = '+1:00'",
                vec!["@a", "sql_mode", "time_zone"],
            ),
            (Mysql, "SELECT 7\n  INTO @a", vec!["SELECT 7 INTO @a"]),
            (Mysql, "SET NAMES utf8mb4", vec!["SET NAMES utf8mb4"]),
            (Postgres, "SET search_path TO x, y", vec!["search_path"]),
            (Sqlite, "CREATE TEMP TABLE t (i int)", vec!["CREATE TEMP TABLE t (i int)"]),
        ] {
            assert_eq!(left_in_session(engine, sql), wanted, "{sql}");
        }
        assert!(mentions_variable("INSERT INTO a VALUES (@N)", "@n") && !mentions_variable("SELECT @name", "@n"));
    }

    #[test]
    fn a_statement_that_only_reads_a_variable_leaves_nothing_in_its_session() {
        assert!(only_reads_variables(Mysql, "INSERT INTO a VALUES (1, @n)"));
        for sql in ["UPDATE a SET i = @n := @n + 1", "SELECT 7 INTO @n", "CALL p(@n)"] {
            assert!(!only_reads_variables(Mysql, sql), "{sql}");
        }
        assert!(!only_reads_variables(Postgres, "INSERT INTO a SELECT set_config('my.a', '@', false)"));
    }

    #[test]
    fn values_that_another_session_computes_alike_are_told_from_others() {
        for (sql, is_fixed, can_be_computed) in [
            ("SET SESSION sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')", true, true),
            ("SET @d = DATABASE()", true, true),
            ("SET sql_mode = DEFAULT", true, true),
            ("SET @n = NOW()", false, true),
            ("SET @n = (SELECT COUNT(*) FROM a)", false, true),
            ("SET @n = bump()", false, false),
            ("SET GLOBAL a = NOW()", false, false),
            ("SELECT 1 INTO @a", true, false),
        ] {
            assert_eq!(
                (calls_only_fixed(Mysql, sql), computes_again(Mysql, sql)),
                (is_fixed, can_be_computed),
                "{sql}"
            );
        }
    }
}
