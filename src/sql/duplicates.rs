//! The query that finds the rows that a unique index or constraint does not take.
//!
//! Text only: nothing is asked.

use super::words::Words;
use crate::model::engine::Engine;

/// The query for the groups of rows with the same key, from the statement that was refused; `None` where the statement is no
/// such, or its key is not said in words that are valid elsewhere, too.
pub(crate) fn query(engine: Engine, sql: &str) -> Option<String> {
    let words = Words::of(engine, sql);
    let at = (0..words.len()).find(|&at| words.is(at, "unique"))?;
    let open = (at..words.len()).find(|&at| words.is_symbol(at, b'('))?;
    let table = if words.is(0, "create") {
        let on = (at..open).rev().find(|&at| words.is(at, "on"))?;
        let using = (on..open).find(|&at| words.is(at, "using")).unwrap_or(open);
        text(&words, sql, on + 1 + usize::from(words.is(on + 1, "only")), using)
    } else if words.are(0, &["alter", "table"]) {
        let begin = 2 + 2 * usize::from(words.are(2, &["if", "exists"]));
        let begin = begin + usize::from(words.is(begin, "only"));
        text(&words, sql, begin, (begin..at).find(|&at| words.is(at, "add"))?)
    } else {
        return None;
    };
    let mut columns = Vec::new();
    let (mut from, mut depth) = (open + 1, 0_usize);
    let mut end = None;
    for at in open..words.len() {
        depth += usize::from(words.is_symbol(at, b'('));
        let closes = words.is_symbol(at, b')');
        if (closes || words.is_symbol(at, b',')) && depth == 1 {
            columns.push(column(&words, sql, from, at)?);
            from = at + 1;
        }
        depth -= usize::from(closes);
        if closes && depth == 0 {
            end = Some(at);
            break;
        }
    }
    let rest: Vec<String> = (end? + 1..words.len()).map(|at| words.word(at)).collect();
    let own = rest.iter().position(|word| word == "where").map(|at| words.start(end.unwrap_or(0) + 1 + at));
    let condition = own.map(|at| sql[at..].trim_end().trim_end_matches(';').to_owned());
    let key = columns.join(", ");
    // Rows with a NULL are distinct, unless the index says otherwise.
    let are_distinct = !rest.windows(2).any(|pair| pair == ["nulls", "not"]);
    let filled =
        columns.iter().filter(|_| are_distinct && condition.is_none()).map(|column| format!("{column} IS NOT NULL"));
    let filled: Vec<String> = filled.collect();
    let filled = if filled.is_empty() { String::new() } else { format!(" WHERE {}", filled.join(" AND ")) };
    let condition = condition.map_or(filled, |own| format!(" {own}"));
    Some(format!("SELECT {key}, count(*) FROM {table}{condition} GROUP BY {key} HAVING count(*) > 1"))
}

/// The text of the tokens in a range, as it is written.
fn text(words: &Words<'_>, sql: &str, from: usize, to: usize) -> String {
    let end = if to < words.len() { words.start(to) } else { sql.len() };
    sql[words.start(from)..end].trim().to_owned()
}

/// A column or an expression of a key, without its order; `None` where more is said of it.
fn column(words: &Words<'_>, sql: &str, from: usize, mut to: usize) -> Option<String> {
    const ORDER: [&str; 4] = ["asc", "desc", "first", "last"];
    while to > from + 1 && (ORDER.iter().any(|word| words.is(to - 1, word)) || words.is(to - 1, "nulls")) {
        to -= 1;
    }
    let is_whole = to == from + 1 || words.is_symbol(to - 1, b')') && !words.is(from + 2, "");
    // A prefix of a text, `name(10)`, is no function.
    let is_prefix = words.is_symbol(from + 1, b'(') && to == from + 4 && words.name(from + 2).is_none();
    (to > from && is_whole && !is_prefix).then(|| text(words, sql, from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_that_a_unique_key_refuses_are_found() {
        let of = |sql: &str| query(Engine::Postgres, sql).unwrap_or_default();
        assert_eq!(
            of("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON ONLY app.\"t\" USING btree (a, b DESC NULLS LAST)"),
            "SELECT a, b, count(*) FROM app.\"t\" WHERE a IS NOT NULL AND b IS NOT NULL GROUP BY a, b HAVING count(*) > 1"
        );
        assert_eq!(
            of("create unique index i on t (lower(mail)) where not gone;"),
            "SELECT lower(mail), count(*) FROM t where not gone GROUP BY lower(mail) HAVING count(*) > 1"
        );
        assert_eq!(
            of("ALTER TABLE ONLY t ADD CONSTRAINT c UNIQUE NULLS NOT DISTINCT (a)"),
            "SELECT a, count(*) FROM t WHERE a IS NOT NULL GROUP BY a HAVING count(*) > 1"
        );
        assert_eq!(
            query(Engine::Mysql, "ALTER TABLE `t` ADD UNIQUE KEY `k` (`a`)").unwrap(),
            "SELECT `a`, count(*) FROM `t` WHERE `a` IS NOT NULL GROUP BY `a` HAVING count(*) > 1"
        );
        for other in ["CREATE INDEX i ON t (a)", "INSERT INTO t VALUES (1)", "CREATE TABLE t (a int UNIQUE)"] {
            assert_eq!(of(other), "", "{other}");
        }
        assert_eq!(query(Engine::Mysql, "CREATE UNIQUE INDEX i ON t (a(10))"), None);
        assert_eq!(query(Engine::Postgres, "CREATE UNIQUE INDEX i ON t (a text_ops)"), None);
    }
}
