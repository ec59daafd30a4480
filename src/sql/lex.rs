//! The tokens of a piece of SQL, as each engine sees them: quotes, comments, words and semicolons.
//!
//! It knows no grammar and rewrites nothing; each byte of the text is in exactly one token.

use memchr::{memchr, memchr2, memmem};

use super::dialect::{Lexis, syntax};
use crate::model::engine::Engine;

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// White space or a byte order mark.
    Space,
    /// A comment with its delimiters; a line comment ends before its line end.
    Comment,
    /// A string or a name in quotes of any kind.
    Quote,
    /// A keyword or an unquoted name.
    Word,
    /// A number, or text that looks like one.
    Number,
    /// `/*!` with its version number, if any, or the `*/` that closes it: MySQL runs the text in between.
    Executable,
    /// Any other character.
    Symbol(u8),
}

/// One token: `text[start..end]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The text ended before this quote or comment did. Always false for other kinds.
    pub(crate) is_unclosed: bool,
}

/// Reads a text from its beginning.
///
/// MySQL is read as with its default `sql_mode`: a backslash escapes, and `"` quotes a text. PostgreSQL is read with
/// `standard_conforming_strings` on, its default since 9.1.
pub(crate) struct Lexer<'a> {
    lexis: &'static Lexis,
    bytes: &'a [u8],
    at: usize,
    /// Between `/*!` and its `*/`.
    pub(crate) in_executable: bool,
}

/// The tokens of a text.
pub(crate) fn tokens(engine: Engine, sql: &str) -> Lexer<'_> {
    Lexer { lexis: syntax(engine).lexis(), bytes: sql.as_bytes(), at: 0, in_executable: false }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let start = self.at;
        let first = *self.bytes.get(start)?;
        let (kind, end) = self.token(first);
        self.at = end.unwrap_or(self.bytes.len());
        Some(Token { kind, start, end: self.at, is_unclosed: end.is_none() })
    }
}

impl Lexer<'_> {
    /// The kind of the token that begins here, and its end; no end if it is not closed.
    fn token(&mut self, first: u8) -> (Kind, Option<usize>) {
        let rest = &self.bytes[self.at..];
        let second = rest.get(1).copied();
        match first {
            _ if rest.starts_with(b"\xEF\xBB\xBF") => (Kind::Space, Some(self.at + 3)),
            b if is_space(b) => (Kind::Space, Some(self.after_all(self.at, is_space))),
            b'\'' => (Kind::Quote, self.quoted(b'\'', self.lexis.has_backslash_escapes || self.is_after_e())),
            b'"' => (Kind::Quote, self.quoted(b'"', self.lexis.has_backslash_escapes)),
            b'`' if self.lexis.has_backticks => (Kind::Quote, self.quoted(b'`', false)),
            b'[' if self.lexis.has_brackets => (Kind::Quote, self.after_next(b"]", self.at + 1)),
            b'-' if second == Some(b'-') && self.is_line_comment() => (Kind::Comment, Some(self.line_end())),
            b'#' if self.lexis.has_hash_comments => (Kind::Comment, Some(self.line_end())),
            b'/' if second == Some(b'*') => self.block_comment(),
            b'*' if self.in_executable && second == Some(b'/') => {
                self.in_executable = false;
                (Kind::Executable, Some(self.at + 2))
            }
            b'$' if self.lexis.has_dollar_quotes => self.dollar(),
            b if b.is_ascii_digit() => (Kind::Number, Some(self.after_all(self.at, is_word))),
            b if is_word(b) => (Kind::Word, Some(self.after_all(self.at, |b| is_word(b) || b == b'$'))),
            b => (Kind::Symbol(b), Some(self.at + 1)),
        }
    }

    fn after_all(&self, from: usize, belongs: impl Fn(u8) -> bool) -> usize {
        self.bytes[from..].iter().position(|&b| !belongs(b)).map_or(self.bytes.len(), |n| from + n)
    }

    /// The position after the next `needle`.
    fn after_next(&self, needle: &[u8], from: usize) -> Option<usize> {
        memmem::find(self.bytes.get(from..)?, needle).map(|n| from + n + needle.len())
    }

    /// The end of a quote in which a doubled quote stands for one.
    fn quoted(&self, quote: u8, has_escapes: bool) -> Option<usize> {
        let mut at = self.at + 1;
        loop {
            let rest = self.bytes.get(at..)?;
            at += if has_escapes { memchr2(quote, b'\\', rest)? } else { memchr(quote, rest)? };
            match (self.bytes[at], self.bytes.get(at + 1)) {
                (b, next) if b == quote && next != Some(&quote) => return Some(at + 1),
                // An escape, or a quote that is doubled.
                _ => at += 2,
            }
        }
    }

    /// Whether the quote here follows PostgreSQL's `E`, which has to be a separate word.
    fn is_after_e(&self) -> bool {
        let before = |n: usize| self.at.checked_sub(n).map(|at| self.bytes[at]);
        self.lexis.has_escape_strings
            && matches!(before(1), Some(b'e' | b'E'))
            && !before(2).is_some_and(|b| is_word(b) || b == b'$')
    }

    /// Whether two dashes begin a comment: on MySQL only if white space follows
    /// (<https://dev.mysql.com/doc/refman/8.4/en/ansi-diff-comments.html>).
    fn is_line_comment(&self) -> bool {
        let third = self.bytes.get(self.at + 2);
        !self.lexis.needs_space_after_dashes || third.is_none_or(|&b| is_space(b) || b.is_ascii_control())
    }

    /// The end of the line: PostgreSQL also accepts a lone CR.
    fn line_end(&self) -> usize {
        let rest = &self.bytes[self.at..];
        let end = if self.lexis.ends_lines_at_cr { memchr2(b'\n', b'\r', rest) } else { memchr(b'\n', rest) };
        end.map_or(self.bytes.len(), |n| self.at + n)
    }

    fn block_comment(&mut self) -> (Kind, Option<usize>) {
        let rest = &self.bytes[self.at..];
        let mark = if rest.starts_with(b"/*!") {
            Some(3)
        } else if rest.starts_with(b"/*M!") {
            Some(4)
        } else {
            None
        };
        if let Some(mark) = mark.filter(|_| self.lexis.has_executable_comments && !self.in_executable) {
            self.in_executable = true;
            return (Kind::Executable, Some(self.after_all(self.at + mark, |b| b.is_ascii_digit())));
        }
        let end = if self.lexis.nests_comments { self.nested_comment() } else { self.after_next(b"*/", self.at + 2) };
        (Kind::Comment, end)
    }

    fn nested_comment(&self) -> Option<usize> {
        let (mut at, mut depth) = (self.at, 0_usize);
        loop {
            match self.bytes.get(at..at + 2)? {
                b"/*" => (at, depth) = (at + 2, depth + 1),
                b"*/" if depth == 1 => return Some(at + 2),
                b"*/" => (at, depth) = (at + 2, depth - 1),
                _ => at += 1,
            }
        }
    }

    /// A dollar quote, or the `$` of a parameter. A `$` inside a name never gets here: it is part of the word.
    fn dollar(&self) -> (Kind, Option<usize>) {
        let tag = self.after_all(self.at + 1, is_word);
        let is_tag = self.bytes.get(tag) == Some(&b'$') && !self.bytes[self.at + 1].is_ascii_digit();
        match is_tag {
            true => (Kind::Quote, self.after_next(&self.bytes[self.at..=tag], tag + 1)),
            false => (Kind::Symbol(b'$'), Some(self.at + 1)),
        }
    }
}

/// Whether every engine treats the byte as white space; the vertical tab and the form feed are included.
fn is_space(b: u8) -> bool {
    b.is_ascii_whitespace() || b == 0x0b
}

/// Whether this is a character of a name: any non-ASCII character is, on all engines.
fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || !b.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens without white space, with `!` after an unclosed one.
    fn read(engine: Engine, sql: &str) -> Vec<String> {
        let all: Vec<Token> = tokens(engine, sql).collect();
        assert_eq!(all.iter().map(|t| &sql[t.start..t.end]).collect::<String>(), sql);
        let code = all.into_iter().filter(|t| t.kind != Kind::Space);
        code.map(|t| format!("{}{}", &sql[t.start..t.end], if t.is_unclosed { "!" } else { "" })).collect()
    }

    #[test]
    fn quotes_end_where_the_engine_ends_them() {
        use Engine::{Mysql, Postgres, Sqlite};
        for (engine, sql, wanted) in [
            (Postgres, r"'a\' b", &[r"'a\'", "b"][..]),
            (Postgres, r"E'a\' b'", &["E", r"'a\' b'"]),
            (Postgres, r"name'a\'", &["name", r"'a\'"]),
            (Postgres, r"U&'a\' U&'b'", &["U", "&", r"'a\'", "U", "&", "'b'"]),
            (Postgres, "'it''s' \"a\"\"b\"", &["'it''s'", "\"a\"\"b\""]),
            (Postgres, "$$a;$b$ ';$$ x", &["$$a;$b$ ';$$", "x"]),
            (Postgres, "$b$ $$ $c$ $b$", &["$b$ $$ $c$ $b$"]),
            (Postgres, "a$b$ + c$b$", &["a$b$", "+", "c$b$"]),
            (Postgres, "$1$a", &["$", "1", "$", "a"]),
            (Postgres, "$ä$;$ä$", &["$ä$;$ä$"]),
            (Postgres, "$x$ …", &["$x$ …!"]),
            (Postgres, "a[1]`", &["a", "[", "1", "]", "`"]),
            (Mysql, r#"'a\'b' "c\"d" `e\`"#, &[r"'a\'b'", r#""c\"d""#, r"`e\`"]),
            (Mysql, r"'a\", &[r"'a\!"]),
            (Mysql, "$$", &["$", "$"]),
            (Sqlite, r"'a\' [b'] `c``d`", &[r"'a\'", "[b']", "`c``d`"]),
            (Sqlite, "[b", &["[b!"]),
        ] {
            assert_eq!(read(engine, sql), wanted, "{engine} {sql}");
        }
    }

    #[test]
    fn comments_end_where_the_engine_ends_them() {
        use Engine::{Mysql, Postgres, Sqlite};
        for (engine, sql, wanted) in [
            (Postgres, "a--b\nc", &["a", "--b", "c"][..]),
            (Postgres, "--b\rc", &["--b", "c"]),
            (Postgres, "/* /* */ ; */ a", &["/* /* */ ; */", "a"]),
            (Postgres, "/* /* */ a", &["/* /* */ a!"]),
            (Postgres, "/*! a */", &["/*! a */"]),
            (Sqlite, "/* /* */ a", &["/* /* */", "a"]),
            (Sqlite, "# a", &["#", "a"]),
            (Mysql, "5--1", &["5", "-", "-", "1"]),
            (Mysql, "5-- 1\n-", &["5", "-- 1", "-"]),
            (Mysql, "--", &["--"]),
            (Mysql, "a # ' \r\nb", &["a", "# ' \r", "b"]),
            (Mysql, "/*!50003 a /* b */ 'c' */ d", &["/*!50003", "a", "/* b */", "'c'", "*/", "d"]),
            (Mysql, "/*M!100100 a*/", &["/*M!100100", "a", "*/"]),
        ] {
            assert_eq!(read(engine, sql), wanted, "{engine} {sql}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in "[-#;/*!'\"`$\\[\\]\\\\a0_é\\n\\r ]{0,40}|\\PC{0,60}") {
            for engine in Engine::ALL {
                read(engine, &text);
            }
        }
    }
}
