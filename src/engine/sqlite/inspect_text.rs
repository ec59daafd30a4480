//! Just enough of SQLite's grammar for the parts that its pragmas do not report: CHECKs, generated columns, collations.
//!
//! It never runs anything. A text that it does not understand yields fewer parts, and the canonical text stands for the
//! rest.

use crate::model::engine::Engine;
use crate::sql::lex::{self, Kind};
use crate::sql::unquoted;

/// A token of SQL text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    /// The original text.
    pub(crate) text: String,
    /// The unquoted word, if it is a name or a keyword.
    pub(crate) word: Option<String>,
}

impl Token {
    pub(crate) fn is(&self, keyword: &str) -> bool {
        self.text.eq_ignore_ascii_case(keyword)
    }
}

/// The tokens of a text, without comments and white space.
pub(crate) fn tokens(sql: &str) -> Vec<Token> {
    let mut out: Vec<Token> = Vec::new();
    // The ends of the previous operator, which may continue, and of an `x` that may begin a blob.
    let (mut operator, mut blob) = (None, None);
    for token in lex::tokens(Engine::Sqlite, sql) {
        let text = &sql[token.start..token.end];
        let is_operator = matches!(token.kind, Kind::Symbol(symbol) if b"<>=!|&~+%".contains(&symbol));
        match (token.kind, out.last_mut()) {
            (Kind::Space | Kind::Comment, _) => continue,
            (_, Some(last)) if is_operator && operator == Some(token.start) => last.text.push_str(text),
            (Kind::Quote, Some(last)) if blob == Some(token.start) && text.starts_with('\'') => {
                *last = Token { text: format!("x{}", text.to_ascii_lowercase()), word: None };
            }
            (Kind::Number, _) => {
                let text = text.to_ascii_lowercase();
                out.push(Token { word: Some(text.clone()), text });
            }
            (Kind::Word, _) => out.push(Token { text: text.to_owned(), word: Some(text.to_owned()) }),
            _ => out.push(Token { text: text.to_owned(), word: unquoted(text) }),
        }
        operator = is_operator.then_some(token.end);
        blob = text.eq_ignore_ascii_case("x").then_some(token.end);
    }
    out
}

/// Whether this is a character of a name; any non-ASCII character is.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

/// The words that people write in capitals or not, and that no one gives to a table. Other words may be names, which can
/// get quotes in which case counts.
const KEYWORDS: &str = "\
    abort add after all and as asc autoincrement before begin between by cascade case cast check collate \
    conflict constraint create cross current_date current_time current_timestamp default deferrable deferred \
    delete desc distinct do each else end escape except exists fail filter for foreign from full glob group \
    having if ignore immediate in index initially inner insert instead intersect into is isnull join key left \
    like limit match natural not nothing notnull null of offset on or order outer over partition primary raise \
    recursive references replace returning right select set then trigger union unique update using values when \
    where";

/// A canonical form, equal for equal SQL: renaming a table there and back puts quotes around its name, and the case of
/// keywords does not count.
pub(crate) fn canonical(tokens: &[Token]) -> String {
    let mut out = String::new();
    for token in tokens {
        let is_plain = |word: &&String| !word.is_empty() && word.chars().all(is_word);
        let folded = token.text.to_ascii_lowercase();
        let is_keyword = KEYWORDS.split(' ').any(|keyword| keyword == folded);
        let text = if is_keyword { &folded } else { token.word.as_ref().filter(is_plain).unwrap_or(&token.text) };
        let is_glued = [",", ")", ".", ";"].contains(&text.as_str()) || out.ends_with(['(', '.']) || out.is_empty();
        if !is_glued {
            out.push(' ');
        }
        out.push_str(text);
    }
    out
}

/// The parts of a `CREATE TABLE` that pragmas do not report.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// The name, if any, and expression of each CHECK.
    pub(crate) checks: Vec<(String, String)>,
    /// A column's name and its other attributes: its generation, AUTOINCREMENT.
    pub(crate) generated: Vec<(String, String)>,
    /// A column's name and its collation.
    pub(crate) collations: Vec<(String, String)>,
    /// Clauses that change the effect of a constraint: ON CONFLICT, DEFERRABLE, descending keys; and constraint names.
    pub(crate) clauses: Vec<String>,
}

/// Reads a `CREATE TABLE`.
pub(crate) fn written(sql: &str) -> Written {
    let tokens = tokens(sql);
    let mut out = Written::default();
    let Some(open) = tokens.iter().position(|t| t.text == "(") else { return out };
    let body = &tokens[open + 1..closing(&tokens, open)];
    for part in parts(body) {
        let is_constraint = ["constraint", "check", "primary", "unique", "foreign"].iter().any(|k| part[0].is(k));
        let column = part[0].word.clone().filter(|_| !is_constraint);
        read_part(part, column.as_deref(), &mut out);
    }
    out
}

/// The position of the bracket that closes the one at `open`, or the end.
fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" => depth += 1,
            ")" if depth <= 1 => return at,
            ")" => depth -= 1,
            _ => {}
        }
    }
    tokens.len()
}

/// The parts between top-level commas; none is empty.
fn parts(tokens: &[Token]) -> Vec<&[Token]> {
    let mut out = Vec::new();
    let (mut begin, mut at) = (0, 0);
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "(" => at = closing(tokens, at),
            "," => {
                out.push(&tokens[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    out.push(&tokens[begin.min(tokens.len())..]);
    out.retain(|part| !part.is_empty());
    out
}

/// Reads one column or table constraint, from left to right.
fn read_part(part: &[Token], column: Option<&str>, out: &mut Written) {
    let name_of = column.unwrap_or("table");
    let mut name = String::new();
    let mut at = usize::from(column.is_some());
    while at < part.len() {
        let word = |i: usize| part.get(i).and_then(|t| t.word.clone()).unwrap_or_default();
        let token = &part[at];
        let opens = part.get(at + 1).is_some_and(|t| t.text == "(");
        let end = if opens { closing(part, at + 1) } else { at };
        let inner = if opens { canonical(&part[at + 2..end]) } else { String::new() };
        if token.is("constraint") {
            name = word(at + 1);
            at += 1;
        } else if token.is("check") && opens {
            out.checks.push((std::mem::take(&mut name), inner));
            at = end;
        } else if token.is("as") && opens {
            let stored = if part.get(end + 1).is_some_and(|t| t.is("stored")) { "stored" } else { "virtual" };
            out.generated.push((name_of.to_owned(), format!("{stored} {inner}")));
            at = end;
        } else if token.is("autoincrement") {
            out.generated.push((name_of.to_owned(), "autoincrement".to_owned()));
        } else if token.is("collate") && column.is_some() {
            out.collations.push((name_of.to_owned(), word(at + 1).to_lowercase()));
            at += 1;
        } else if token.is("conflict") {
            let begins = |t: &Token| ["primary", "unique", "not", "check"].iter().any(|k| t.is(k));
            let of = part[..at].iter().rposition(begins).map(|from| canonical(&part[from..at]));
            out.clauses.push(format!("{name_of} {} conflict {}", of.unwrap_or_default(), word(at + 1).to_lowercase()));
            at += 1;
        } else if token.is("desc") && column.is_some() {
            out.clauses.push(format!("{name_of} key desc"));
        } else if token.is("deferrable") {
            let not = if at > 0 && part[at - 1].is("not") { "not " } else { "" };
            let when: Vec<String> = part[at..].iter().skip(1).take(2).map(|t| t.text.to_lowercase()).collect();
            let from = part[..at].iter().position(|t| t.is("foreign") || t.is("references"));
            let key = canonical(&part[from.unwrap_or_default()..at]);
            out.clauses.push(format!("{name_of} {not}deferrable {} ({key})", when.join(" ")));
        } else if ["primary", "unique", "references", "foreign"].iter().any(|k| token.is(k)) && !name.is_empty() {
            out.clauses.push(format!("{name_of} {} is named {name}", token.text.to_lowercase()));
            name.clear();
        } else if (token.is("unique") || token.is("key")) && opens {
            // A collation or an order within a key.
            if part[at + 2..end].iter().any(|t| t.is("desc") || t.is("collate")) {
                out.clauses.push(format!("{name_of} key ({inner})"));
            }
            at = end;
        } else if opens {
            at = end;
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pragmas_do_not_tell_is_read_from_the_text() {
        let sql = "CREATE TABLE \"t\" (\n id integer PRIMARY KEY AUTOINCREMENT, -- a, comment\n \
                   n text COLLATE NOCASE CONSTRAINT short CHECK (length(n) < 9 /* ) */ AND n <> ')'),\n \
                   d decimal(12, 2) AS (id * 2) STORED, CHECK(id > 0), \
                   CONSTRAINT fk FOREIGN KEY (id) REFERENCES u (id) DEFERRABLE INITIALLY DEFERRED, \
                   UNIQUE (n) ON CONFLICT REPLACE)";
        let found = written(sql);
        assert_eq!(
            found.checks,
            [("short".into(), "length (n) < 9 and n <> ')'".to_owned()), ("".into(), "id > 0".into())]
        );
        assert_eq!(found.generated, [("id".into(), "autoincrement".to_owned()), ("d".into(), "stored id * 2".into())]);
        assert_eq!(found.collations, [("n".to_owned(), "nocase".to_owned())]);
        assert_eq!(found.clauses.len(), 3, "{:?}", found.clauses);
    }

    #[test]
    fn quotes_and_white_space_make_no_other_text() {
        let of = |sql: &str| canonical(&tokens(sql));
        assert_eq!(of("CREATE INDEX i ON \"t\"(a,[b])"), of("CREATE  INDEX i\nON t (a, `b`) -- so"));
        assert_ne!(of("SELECT 'a  b'"), of("SELECT 'a b'"));
        assert_ne!(of("SELECT \"a b\""), of("SELECT a b"));
        assert_eq!(of("SELECT 'it''s', \"a\"\"b\" "), "select 'it''s', \"a\"\"b\"");
        for broken in ["'", "\"", "[", "/*", "CREATE TABLE t (", "`x"] {
            let _ = written(broken);
        }
    }
}
