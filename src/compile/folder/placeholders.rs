//! Placeholders that another program would replace, parameters that nobody sets, and lines for a client program.
//!
//! It reads text only, and replaces nothing.

use super::part::Found;
use crate::model::engine::Engine;
use crate::model::variable::Variable;
use crate::sql::dialect::syntax;
use crate::sql::lex::{self, Kind, Token};

/// The way in which a file's `${…}` is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The file says that it is plain text.
    Literal,
    /// The file is named as Flyway names them, and Flyway would replace it.
    Replaced,
    /// It is not known.
    Unknown,
}

impl Meaning {
    /// The meaning in a file of this name.
    pub(super) fn of(file_name: &str, is_literal: bool) -> Self {
        let is_flyways = file_name.starts_with("R__")
            || file_name.strip_prefix(['V', 'U']).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        match is_flyways {
            _ if is_literal => Meaning::Literal,
            true => Meaning::Replaced,
            false => Meaning::Unknown,
        }
    }
}

const LITERAL: &str =
    "write the value; or, if it is meant as it stands, write `-- fleet: literal` at the head of the file";

/// The mistakes and warnings of a text.
pub(super) fn read(engine: Engine, text: &str, meaning: Meaning) -> Vec<Found> {
    let mut reader = Reader { engine, text, meaning, found: Vec::new(), at: 0, line: 1 };
    let mut before = None;
    for token in lex::tokens(engine, text) {
        match token.kind {
            Kind::Quote => reader.quote(token),
            Kind::Word => reader.go(token),
            Kind::Symbol(symbol) => reader.symbol(symbol, token, before),
            _ => {}
        }
        if !matches!(token.kind, Kind::Space | Kind::Comment) {
            before = Some(token.kind);
        }
    }
    reader.found
}

struct Reader<'a> {
    engine: Engine,
    text: &'a str,
    meaning: Meaning,
    found: Vec<Found>,
    /// The offset up to which lines were counted, and the line there.
    at: usize,
    line: usize,
}

impl Reader<'_> {
    fn tell(&mut self, at: usize, what: String, instead: &str) -> &mut Found {
        self.line += self.text.as_bytes()[self.at..at].iter().filter(|&&byte| byte == b'\n').count();
        self.at = at;
        self.found.push(Found::new(Some(self.line), what, instead));
        self.found.last_mut().expect("it was pushed")
    }

    /// Whether all engines read the text around quotes as this one does: else another engine may have it in a quote.
    fn is_sure(&self) -> bool {
        let lexis = syntax(self.engine).lexis();
        let has = |symbol: char| self.text.contains(symbol);
        (lexis.has_dollar_quotes || !has('$')) && (!lexis.is_backslash_unsure || !has('\\'))
    }

    fn is_at_line_start(&self, token: Token) -> bool {
        token.start == 0 || self.text.as_bytes()[token.start - 1] == b'\n'
    }

    /// `${…}` in a text or a body.
    fn quote(&mut self, token: Token) {
        if self.meaning == Meaning::Literal {
            return;
        }
        let quote = &self.text[token.start..token.end];
        let found = quote.match_indices("${").find_map(|(at, _)| Some((at, name(&quote[at + 2..])?)));
        let Some((at, name)) = found else { return };
        let what = if name.starts_with("flyway:") || self.meaning == Meaning::Replaced {
            format!("Flyway would put a value here, and `${{{name}}}` would be sent as it stands")
        } else {
            format!("`${{{name}}}` is sent as it stands")
        };
        let is_warning = !name.starts_with("flyway:") && self.meaning == Meaning::Unknown;
        let told = self.tell(token.start + at, what, LITERAL);
        (told.always, told.is_warning) = (true, is_warning);
    }

    /// `GO` on a line of its own.
    fn go(&mut self, token: Token) {
        let rest = self.text[token.end..].lines().next().unwrap_or_default().trim();
        let is_go = self.text[token.start..token.end].eq_ignore_ascii_case("go");
        if is_go && self.is_at_line_start(token) && rest.chars().all(|c| c.is_ascii_digit()) {
            let what = "`GO` is a command of sqlcmd".to_owned();
            self.tell(token.start, what, "leave it out, and end the statement before it with `;`").always =
                self.is_sure();
        }
    }

    fn symbol(&mut self, symbol: u8, token: Token, before: Option<Kind>) {
        let (head, rest) = (&self.text[..token.start], &self.text[token.end..]);
        let word =
            || rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '$')).take(40).collect::<String>();
        let is_word = rest.starts_with(|c: char| c.is_alphabetic() || c == '_');
        let starts_line = self.is_at_line_start(token);
        let lexis = syntax(self.engine).lexis();
        match symbol {
            b'{' if head.ends_with('$') || (head.ends_with('{') && !head.ends_with("{{")) => {
                let (open, close) = if head.ends_with('$') { ("${", "}") } else { ("{{", "}}") };
                let name: String = rest.chars().take_while(|c| !matches!(c, '}' | '\n')).take(40).collect();
                let what = format!("`{open}{name}{close}` is a placeholder of another program, and no SQL");
                let instead = match open == "{{" && is_own(&name) {
                    true => {
                        "write the value; or, if it is a variable of fleet, `-- fleet: variables` at the head of the file"
                    }
                    false => "write the value",
                };
                self.tell(token.start, what, instead).always = self.is_sure();
            }
            b'(' if head.ends_with('$') && name(rest.trim_start()).is_some() => {
                let what = format!("`$({}` is a variable of sqlcmd, and no SQL", word());
                self.tell(token.start, what, "write the value").always = self.is_sure();
            }
            b':' if starts_line && is_word => {
                let what = format!("`:{}` is a command of sqlcmd", word());
                self.tell(token.start, what, "leave it out, and put what it would bring into the file as SQL").always =
                    self.is_sure();
            }
            b'.' if starts_line && is_word && matches!(before, None | Some(Kind::Symbol(b';'))) => {
                let what = format!("`.{}` is a command of the sqlite3 shell", word());
                self.tell(token.start, what, "leave it out, and put what it would bring into the file as SQL").always =
                    self.is_sure();
            }
            b'$' if is_word && !lexis.has_parameters && !lexis.has_dollar_quotes && word().ends_with('$') => {
                // In a file for all engines it may be a quote of PostgreSQL (`$tag$`).
                let what = format!("`${}` is a variable of DbUp", word());
                self.tell(token.start, what, "write the value");
            }
            b'?' | b':' | b'@' | b'$' if lexis.has_parameters && (symbol == b'?' || is_word) => {
                let what =
                    format!("`{}{}` is a parameter that nobody sets, and would be NULL", char::from(symbol), word());
                self.tell(token.start, what, "write the value");
            }
            b'-' if starts_line && lexis.needs_space_after_dashes && is_glued(rest) => {
                let what = format!("on {} `--` begins a comment only before a space", self.engine);
                self.tell(token.start, what, "write a space behind the dashes");
            }
            _ => {}
        }
    }
}

/// Whether a placeholder has the name of a variable of fleet.
fn is_own(name: &str) -> bool {
    Variable::named(name.strip_prefix("name:").or_else(|| name.strip_prefix("text:")).unwrap_or(name)).is_some()
}

/// The name of a placeholder at the beginning of a text, up to its closing bracket.
fn name(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "_.:-".contains(c)))?;
    (end > 0 && text[end..].starts_with(['}', ')'])).then(|| &text[..end])
}

/// Whether a second dash follows, and right behind it a word as in `--changeset` or `--+goose`.
fn is_glued(rest: &str) -> bool {
    let word = rest.strip_prefix('-').map(|word| word.trim_start_matches('+'));
    word.is_some_and(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::engine::Engine::{Mysql, Postgres, Sqlite};

    fn told(engine: Engine, text: &str, meaning: Meaning) -> Vec<(usize, bool, String)> {
        let found = read(engine, text, meaning).into_iter();
        found.map(|found| (found.line.unwrap_or_default(), found.is_warning, found.what)).collect()
    }

    #[test]
    fn a_placeholder_in_a_text_is_refused_where_flyway_would_replace_it() {
        let text = "select 1;\ninsert into t values ('https://${tenant_host}/', 'it costs ${');";
        for engine in Engine::ALL {
            let [(2, true, what)] = &told(engine, text, Meaning::Unknown)[..] else { panic!("{engine}") };
            assert_eq!(what, "`${tenant_host}` is sent as it stands");
            assert!(matches!(&told(engine, text, Meaning::Replaced)[..], [(2, false, _)]));
            assert_eq!(told(engine, text, Meaning::Literal), []);
            let flyway = told(engine, "select '${flyway:defaultSchema}'", Meaning::Unknown);
            assert!(matches!(&flyway[..], [(1, false, _)]), "{flyway:?}");
            assert_eq!(told(engine, "select 'a' -- ${x}\n/* ${flyway:user} {{x}} */", Meaning::Replaced), []);
        }
        for (name, wanted) in [
            ("V1__a.sql", Meaning::Replaced),
            ("R__a.sql", Meaning::Replaced),
            ("U2__a.sql", Meaning::Replaced),
            ("0001_a.sql", Meaning::Unknown),
            ("Vienna.sql", Meaning::Unknown),
        ] {
            assert_eq!(Meaning::of(name, false), wanted, "{name}");
            assert_eq!(Meaning::of(name, true), Meaning::Literal, "{name}");
        }
    }

    #[test]
    fn a_placeholder_outside_of_quotes_is_no_sql() {
        for text in [
            "GRANT USAGE ON SCHEMA ${schema} TO x",
            "create table {{ table }} (i int)",
            "create table t_${suffix} (i int)",
            "use $(Database)",
        ] {
            for engine in Engine::ALL {
                for meaning in [Meaning::Literal, Meaning::Unknown] {
                    let found = told(engine, text, meaning);
                    assert!(matches!(&found[..], [(1, false, _), ..]), "{engine} {text}: {found:?}");
                }
            }
        }
        assert!(!told(Mysql, "create table $schema$.t (i int)", Meaning::Unknown).is_empty());
        assert_eq!(
            told(Postgres, "select '{{1,2},{3,4}}'::int[][], a[1:2], $1 from t where j ? 'a'", Meaning::Unknown),
            []
        );
        assert_eq!(told(Mysql, "set @a := 1; select a$b, @a from t", Meaning::Unknown), []);
    }

    #[test]
    fn a_parameter_that_nobody_sets_is_refused_where_it_would_be_null() {
        for text in ["select ?", "insert into t values (:tenant)", "select @x", "select $x$"] {
            assert!(!told(Sqlite, text, Meaning::Unknown).is_empty(), "{text}");
        }
        assert_eq!(told(Sqlite, "select ':x', \"a?\", [@b] -- :c", Meaning::Unknown), []);
    }

    #[test]
    fn lines_for_a_client_are_told() {
        for text in ["select 1\nGO\nselect 2\ngo\n", ":r other.sql\nselect 1", ".read other.sql\nselect 1;\n.mode csv"]
        {
            for engine in Engine::ALL {
                let all = read(engine, text, Meaning::Unknown);
                assert!(
                    !all.is_empty() && all.iter().all(|found| found.what.contains("a command of")),
                    "{text}: {all:?}"
                );
            }
        }
        assert_eq!(told(Postgres, "select a\n  go\nfrom t\n::text", Meaning::Unknown), []);
        assert!(!told(Mysql, "--changeset dev:1\nselect 1", Meaning::Unknown).is_empty());
        assert_eq!(told(Mysql, "select 5\n--1", Meaning::Unknown), []);
    }
}
