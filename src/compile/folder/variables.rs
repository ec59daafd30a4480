//! Variables in a script that asks for them with `-- fleet: variables`: the tenant's id, and its tags.
//!
//! `{{tenant}}` and `{{text:tag.region}}` are texts, `{{name:tag.region}}` is a name. Here each becomes a text or a name
//! in quotes with the variable in it, which is SQL; the engine's door puts a tenant's value in its place. The text is the
//! same for all tenants, and so is its checksum.

use super::part::Found;
use crate::model::engine::Engine;
use crate::model::variable::Variable;
use crate::sql::lex::{self, Kind, Token};

/// A script's text with its variables in quotes.
#[derive(Debug, Default)]
pub(super) struct Expanded {
    pub(super) text: String,
    /// The variables, each with its line.
    pub(super) used: Vec<(Variable, usize)>,
    pub(super) found: Vec<Found>,
}

/// The way in which a variable is quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quoted {
    Text,
    Name,
}

const FORMS: &str = "write {{tenant}} or {{tag.KEY}} for a text, {{name:tenant}} or {{name:tag.KEY}} for a name";

/// Puts the variables of a text in quotes.
pub(super) fn expand(engine: Engine, text: &str) -> Expanded {
    let mut out = Expanded::default();
    let tokens: Vec<Token> = lex::tokens(engine, text).collect();
    let (mut copied, mut line, mut counted) = (0, 1, 0);
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| !matches!(token.kind, Kind::Space)) {
        if token.start < copied {
            continue;
        }
        line += text.as_bytes()[counted..token.start].iter().filter(|&&byte| byte == b'\n').count();
        counted = token.start;
        let mut wrong = |what: String, instead: &str| out.found.push(Found::new(Some(line), what, instead));
        if matches!(token.kind, Kind::Quote | Kind::Comment) {
            let inside = &text[token.start..token.end];
            let hidden = inside.match_indices("{{").find_map(|(open, _)| variable(&inside[open..]).ok());
            if let Some((_, _, length)) = hidden {
                let open = inside.find("{{").unwrap_or_default();
                let shown = inside.get(open..open + length).unwrap_or("{{tenant}}");
                wrong(
                    format!(
                        "the variable {shown} stands in quotes, in a body or in a comment, where nothing is replaced"
                    ),
                    "write it by itself, outside of them",
                );
            }
            continue;
        }
        if token.kind != Kind::Symbol(b'{') || !text[token.start..].starts_with("{{") {
            continue;
        }
        let (quoted, variable, length) = match variable(&text[token.start..]) {
            Ok(found) => found,
            Err(what) => {
                wrong(what, FORMS);
                continue;
            }
        };
        let end = token.start + length;
        if is_glued(&text[..token.start], &text[end..]) {
            let what = format!("the variable {} is a part of a longer word", &text[token.start..end]);
            wrong(what, "leave space around it; a value is a whole name or a whole text");
            continue;
        }
        // Texts side by side are one text, with the escapes of the first.
        let before = tokens[..at].iter().rev().find(|t| !matches!(t.kind, Kind::Space | Kind::Comment));
        if quoted == Quoted::Text && before.is_some_and(|t| t.kind == Kind::Quote && t.end > copied) {
            wrong("a text stands right before a variable".to_owned(), "join them by the engine's own operator");
            continue;
        }
        let mark = variable.mark();
        out.text.push_str(&text[copied..token.start]);
        out.text.push_str(&match quoted {
            Quoted::Text => format!("'{mark}'"),
            Quoted::Name => engine.quote(&mark),
        });
        copied = end;
        out.used.push((variable, line));
    }
    out.text.push_str(&text[copied..]);
    out
}

/// The mistakes of a way down: a tag may have been changed since the way up, and another object would go.
pub(super) fn tags_on_the_way_down(used: &[(Variable, usize)]) -> Vec<Found> {
    let tags = used.iter().filter(|(variable, _)| matches!(variable, Variable::Tag(_)));
    let found = |(variable, line): &(Variable, usize)| {
        let what =
            format!("the way down uses the tag {}, which may have been changed since the way up", variable.mark());
        Found::new(Some(*line), what, "use {{tenant}}, or a name without a variable; a tag is for the way up only")
    };
    tags.map(found).collect()
}

/// The variable at the beginning of a text, and its length.
fn variable(text: &str) -> Result<(Quoted, Variable, usize), String> {
    let line = text.lines().next().unwrap_or_default();
    let Some(end) = line.find("}}") else { return Err("a variable begins here and does not end".to_owned()) };
    let inside = &line[2..end];
    let (quoted, name) = match inside.split_once(':') {
        Some(("name", name)) => (Quoted::Name, name),
        Some(("text", name)) => (Quoted::Text, name),
        _ => (Quoted::Text, inside),
    };
    let unknown = || format!("there is no variable {{{{{inside}}}}}");
    Variable::named(name).map(|variable| (quoted, variable, end + 2)).ok_or_else(unknown)
}

/// Whether something stands right beside a variable that would make it a part of a longer word.
fn is_glued(before: &str, after: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || "_$@&#?:{}'\"`[]\\".contains(c);
    before.ends_with(is_part) || after.starts_with(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(engine: Engine, text: &str) -> Vec<(usize, String)> {
        let found = expand(engine, text).found;
        found.into_iter().map(|found| (found.line.unwrap_or_default(), found.what)).collect()
    }

    #[test]
    fn variables_become_texts_and_names() {
        let text =
            "insert into t values ({{tenant}}, {{text:tag.region}});\ncreate table {{name:tag.a-b}} (i int); -- it's";
        for engine in Engine::ALL {
            let expanded = expand(engine, text);
            let name = engine.quote("{{tag.a-b}}");
            let wanted = format!(
                "insert into t values ('{{{{tenant}}}}', '{{{{tag.region}}}}');\ncreate table {name} (i int); -- it's"
            );
            assert_eq!(expanded.text, wanted);
            assert_eq!(expanded.used.iter().map(|(_, line)| *line).collect::<Vec<_>>(), [1, 1, 2]);
            assert_eq!(expanded.found, []);
        }
    }

    #[test]
    fn what_could_become_other_sql_is_a_mistake() {
        for engine in Engine::ALL {
            for (text, wanted) in [
                ("select\n'a {{tenant}} b'", "stands in quotes"),
                ("select 1;\nselect \"{{name:tenant}}\"", "stands in quotes"),
                ("select 1\n-- {{tenant}}", "stands in quotes"),
                ("select\nE{{tenant}}", "is a part of a longer word"),
                ("select\n{{tenant}}x", "is a part of a longer word"),
                ("select\n{{tenant}}{{tenant}}", "is a part of a longer word"),
                ("select E'a'\n{{tenant}}", "stands right before a variable"),
                ("select\n{{user}}", "there is no variable {{user}}"),
                ("select\n{{tag.}}", "there is no variable"),
                ("select\n{{tag.o'neil}}", "there is no variable"),
                ("select\n{{tenant", "does not end"),
            ] {
                let found = mistakes(engine, text);
                assert!(
                    found.iter().any(|(line, what)| *line == 2 && what.contains(wanted)),
                    "{engine}: {text}: {found:?}"
                );
            }
            assert_eq!(mistakes(engine, "select '{{user}}', '{\"a\":{}}' /* {{x}} */"), []);
        }
        assert!(mistakes(Engine::Postgres, "do $$ begin\n perform {{tenant}}; end $$")[0].1.contains("in a body"));
    }
}
