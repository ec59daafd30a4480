//! Where statements begin and end in a piece of SQL: just enough lexing to see quotes, comments and semicolons.
//!
//! It never rewrites SQL, and nothing is decided by it that would be wrong when it sees too many pieces.

/// The top-level pieces of a text, without their semicolons; pieces without any SQL are left out.
///
/// Quotes (`'`, `"`, `` ` ``), PostgreSQL dollar quotes and comments are passed over. The bodies of SQLite and MySQL
/// triggers are *not* understood: their semicolons split too. PostgreSQL keeps bodies in quotes, but for
/// `BEGIN ATOMIC`, which is left whole.
pub(crate) fn split(sql: &str) -> Vec<&str> {
    if sql.to_ascii_lowercase().contains("begin atomic") {
        return vec![sql];
    }
    let bytes = sql.as_bytes();
    let mut pieces = Vec::new();
    let (mut start, mut at, mut has_code) = (0, 0, false);
    while at < bytes.len() {
        match skip(bytes, at) {
            Some((end, is_code)) => {
                has_code |= is_code;
                at = end;
            }
            None if bytes[at] == b';' => {
                if has_code {
                    pieces.push(sql[start..at].trim());
                }
                (start, has_code) = (at + 1, false);
                at += 1;
            }
            None => {
                has_code |= !bytes[at].is_ascii_whitespace();
                at += 1;
            }
        }
    }
    if has_code {
        pieces.push(sql[start..].trim());
    }
    pieces
}

/// Whether a text may hold more than one statement, or none.
pub(crate) fn is_multiple(sql: &str) -> bool {
    split(sql).len() != 1
}

/// Whether a statement in the text begins, commits or rolls back a transaction, or makes that the session's own business.
pub(super) fn controls_transactions(sql: &str) -> bool {
    let pieces = split(sql);
    // The end of a trigger's body is a piece too, but not one that ends a transaction.
    let has_body = pieces.iter().any(|piece| first_words(piece).next().as_deref() == Some("create"));
    // What a backslash or a # means depends on the engine: either reading counts.
    let is_unclear = sql.contains("\\'") || sql.contains('#');
    let other_pieces = sql.split([';', '\n']).filter(|_| is_unclear);
    pieces.iter().copied().chain(other_pieces).any(|piece| {
        let words: Vec<String> = first_words(piece).take(3).collect();
        let word = |i: usize| words.get(i).map(String::as_str);
        match word(0) {
            Some("commit" | "rollback" | "savepoint" | "release" | "abort" | "xa") => true,
            Some("end") => !has_body && matches!(word(1), None | Some("transaction" | "work" | "and")),
            Some("start" | "prepare") => word(1) == Some("transaction"),
            // MySQL's locks let nobody write the journal; PostgreSQL's LOCK TABLE belongs into a transaction.
            Some("lock") => word(1) == Some("tables"),
            Some("set") => {
                let names_it = |w: Option<&str>| matches!(w, Some("autocommit"));
                names_it(word(1)) || names_it(word(2)) || piece.to_ascii_lowercase().contains("@@autocommit")
            }
            Some("begin") => matches!(
                word(1),
                None | Some("transaction" | "work" | "immediate" | "exclusive" | "deferred" | "isolation" | "read")
            ),
            _ => false,
        }
    })
}

/// Whether a text changes something that lives as long as the connection: going on without it on another one would be
/// going on with something else (a user variable would be NULL, a name would mean another database's table).
pub(crate) fn changes_session(sql: &str) -> bool {
    sql.contains('@')
        || split(sql).into_iter().any(|piece| {
            let words: Vec<String> = first_words(piece).take(2).collect();
            matches!(words.first().map(String::as_str), Some("set" | "use" | "prepare"))
                || words.get(1).is_some_and(|w| w == "temporary" || w == "temp")
        })
}

/// The words of a piece in lower case, comments passed over.
pub(crate) fn first_words(piece: &str) -> impl Iterator<Item = String> + '_ {
    let bytes = piece.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            match skip(bytes, at) {
                Some((end, false)) => at = end,
                _ if bytes[at].is_ascii_whitespace() => at += 1,
                _ => break,
            }
        }
        let start = at;
        while at < bytes.len() && (bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_') {
            at += 1;
        }
        (at > start).then(|| piece[start..at].to_ascii_lowercase())
    })
}

/// What is passed over as one thing at `at`: its end, and whether it is code (a quote) and not a comment.
fn skip(bytes: &[u8], at: usize) -> Option<(usize, bool)> {
    let rest = &bytes[at..];
    let find = |needle: &[u8], from: usize| {
        rest[from..]
            .windows(needle.len())
            .position(|w| w == needle)
            .map_or(bytes.len(), |p| at + from + p + needle.len())
    };
    match rest[0] {
        quote @ (b'\'' | b'"' | b'`') => {
            let mut i = 1;
            while i < rest.len() && rest[i] != quote {
                i += if rest[i] == b'\\' && quote == b'\'' && backslash_escapes(bytes, at) { 2 } else { 1 };
            }
            Some(((at + i + 1).min(bytes.len()), true))
        }
        b'-' if rest.get(1) == Some(&b'-') => Some((find(b"\n", 2), false)),
        b'/' if rest.get(1) == Some(&b'*') => Some((find(b"*/", 2), false)),
        b'$' => {
            let is_tag = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
            let tag = 1 + rest[1..].iter().take_while(|b| is_tag(b)).count();
            (rest.get(tag) == Some(&b'$')).then(|| (find(&rest[..=tag], tag + 1), true))
        }
        _ => None,
    }
}

/// Whether a backslash escapes inside the quote at `at`: after PostgreSQL's `E`, and always where the text is MySQL's.
/// The engine is not known here; a text with `\'` is MySQL's or an `E''` in practice, because elsewhere it would be an
/// odd way to end a string.
fn backslash_escapes(bytes: &[u8], at: usize) -> bool {
    let after_e = at > 0 && matches!(bytes[at - 1], b'e' | b'E');
    after_e || bytes[at..].windows(2).any(|w| w == b"\\'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_comments_and_dollars_hide_semicolons() {
        assert_eq!(split("a; b ;\n"), ["a", "b"]);
        assert_eq!(split("insert into t values (';', \";\", `;`); x").len(), 2);
        assert_eq!(split("select 1 -- ; no\n; /* ; */ select 2").len(), 2);
        assert_eq!(
            split("create function f() returns int as $b$ begin; end $b$ language plpgsql; select $1"),
            ["create function f() returns int as $b$ begin; end $b$ language plpgsql", "select $1"]
        );
        assert_eq!(split("insert into t values ('it''s; ok'), (E'a\\';b'); x").len(), 2);
        assert_eq!(split(" -- nothing\n ;; ").len(), 0);
        assert_eq!(split("unterminated 'x; y").len(), 1);
    }

    #[test]
    fn transaction_control_is_seen_and_bodies_are_not_mistaken_for_it() {
        for sql in [
            "BEGIN; create table t(i int); COMMIT",
            "/* x */ start transaction",
            "begin immediate",
            "rollback",
            "select 1; END",
            "end transaction",
            "abort",
            "lock tables t write",
            "set session autocommit = 0",
            "insert into t values ('C:\\'); commit; select 'b'",
            "x; # don't\ncommit",
        ] {
            assert!(controls_transactions(sql), "{sql}");
        }
        for sql in [
            "create trigger t after insert on a begin update b set c = 1; end",
            "do $$ begin commit; end $$",
            "insert into t values ('; commit;')",
            "create table begin_again (i int)",
            "lock table t in exclusive mode",
        ] {
            assert!(!controls_transactions(sql), "{sql}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,80}") {
            let _ = split(&text);
            let _ = controls_transactions(&text);
        }
    }
}
