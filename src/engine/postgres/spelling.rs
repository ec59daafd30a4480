//! One spelling for expressions that PostgreSQL prints in two, before a dump was loaded and behind it.
//!
//! The server keeps `a IN ('x', 'y')` of a `varchar` as a cast of the whole array, prints it so, and reads what it printed as casts
//! of the elements. Both cast each element to the same type: <https://www.postgresql.org/docs/current/sql-expressions.html#SQL-SYNTAX-ARRAY-CONSTRUCTORS>
//! says that an array cast is one of each element. Nothing else is rewritten.

use std::ops::Range;

use crate::model::tenant::Engine;
use crate::sql::lex::{Kind, Token, tokens};

/// A text in which each cast of a whole array is one of its elements.
pub(crate) fn one_spelling(text: String) -> String {
    let mut text = text;
    // From the last to the first: what stands before stays where it is.
    let mut end = text.len();
    while let Some(at) = text[..end].rfind("ARRAY[") {
        if let Some((place, cast)) = cast_of_elements(&text, at) {
            text.replace_range(place, &cast);
        }
        end = at;
    }
    text
}

/// The place of an array that is cast as a whole, and the same with a cast of each element.
fn cast_of_elements(text: &str, at: usize) -> Option<(Range<usize>, String)> {
    let all: Vec<Token> = tokens(Engine::Postgres, text).filter(|token| token.kind != Kind::Space).collect();
    let first = all.iter().position(|token| token.start == at)?;
    let is = |at: usize, symbol: u8| all.get(at).is_some_and(|token| token.kind == Kind::Symbol(symbol));
    let (mut depth, mut begin, mut elements) = (0_usize, all.get(first + 1)?.end, Vec::new());
    let mut close = first + 1;
    loop {
        let token = all.get(close)?;
        match token.kind {
            Kind::Symbol(b'[' | b'(') => depth += 1,
            Kind::Symbol(b',') if depth == 1 => {
                elements.push(text[begin..token.start].trim());
                begin = token.end;
            }
            Kind::Symbol(b']' | b')') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            elements.push(text[begin..token.start].trim());
            break;
        }
        close += 1;
    }
    // Each opinion of the printer has its own parentheses: `(ARRAY[..])::text[]`, or `ARRAY[..]::text[]` where it is asked to be short.
    let is_long = first > 0 && is(first - 1, b'(') && is(close + 1, b')');
    let cast = close + if is_long { 2 } else { 1 };
    if !is(cast, b':') || !is(cast + 1, b':') {
        return None;
    }
    let mut last = cast + 2;
    while all.get(last).is_some_and(|token| !matches!(token.kind, Kind::Symbol(b'[' | b')' | b',' | b']'))) {
        // A type of several words, perhaps with its schema and a length: `character varying(3)`.
        let is_length = is(last + 1, b'(');
        last += if is_length { 4 } else { 1 };
    }
    if !is(last, b'[') || !is(last + 1, b']') || is(last + 2, b'[') {
        return None;
    }
    let kind = &text[all.get(cast + 2)?.start..all[last].start];
    // An array of arrays is cast to the type of the innermost elements.
    let is_plain = |element: &&str| !element.is_empty() && !element.contains("ARRAY[") && !element.starts_with("'{");
    if kind.is_empty() || kind.contains([';', '=']) || !elements.iter().all(is_plain) {
        return None;
    }
    // Short, it keeps those of what it casts a second time.
    let cast = |element: &&str| {
        if is_long || element.starts_with('(') { format!("({element})::{kind}") } else { format!("{element}::{kind}") }
    };
    let start = if is_long { all[first - 1].start } else { at };
    let casts: Vec<String> = elements.iter().map(cast).collect();
    Some((start..all[last + 1].end, format!("ARRAY[{}]", casts.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cast_of_an_array_and_the_casts_of_its_elements_are_one() {
        for (before, after) in [
            (
                "((s)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))",
                "((s)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text]))",
            ),
            (
                "WHERE s::text = ANY (ARRAY['a, ]'::character varying, 'b'::character varying]::text[])",
                "WHERE s::text = ANY (ARRAY['a, ]'::character varying::text, 'b'::character varying::text])",
            ),
            (
                "(ARRAY[a, f(b, c)])::character varying(3)[]",
                "ARRAY[(a)::character varying(3), (f(b, c))::character varying(3)]",
            ),
            (
                "ARRAY[s, lower(s)::character varying, (s || 'y'::text)::character varying]::text[]",
                "ARRAY[s::text, lower(s)::character varying::text, ((s || 'y'::text)::character varying)::text]",
            ),
            ("x (ARRAY[a])::n.t[] (ARRAY[b])::text[]", "x ARRAY[(a)::n.t] ARRAY[(b)::text]"),
        ] {
            assert_eq!(one_spelling(before.to_owned()), after);
            assert_eq!(one_spelling(after.to_owned()), after);
        }
    }

    #[test]
    fn nothing_else_is_changed() {
        for text in [
            "'(ARRAY[a])::text[]'",
            "$$ (ARRAY[a])::text[] $$",
            "ARRAY[1, 2]",
            "(ARRAY[a])",
            "(ARRAY[a])::text",
            "ARRAY[]::text[]",
            "(ARRAY[ARRAY['a'::character varying], ARRAY['b'::character varying]])::text[]",
            "(ARRAY['a'::character varying] || b)::text[]",
            "my_ARRAY[1]::text[",
        ] {
            assert_eq!(one_spelling(text.to_owned()), text);
        }
    }
}
