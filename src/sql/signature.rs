//! The types by which PostgreSQL tells routines of one name apart (<https://www.postgresql.org/docs/15/typeconv-func.html>).
//!
//! It looks up no type: two names of one type that the server has of itself are one, any other name stands for itself.

/// The types of the arguments between the parentheses behind a routine's name, of these tokens as they are written. Results are
/// none.
pub(crate) fn signature(tokens: &[String]) -> Vec<String> {
    arguments(tokens).iter().filter_map(|argument| kind(argument)).map(|kind| known(&kind)).collect()
}

/// The same types as a `DROP` takes them.
pub(crate) fn dropped_signature(tokens: &[String]) -> String {
    let kinds = arguments(tokens).into_iter().filter_map(|argument| kind(&argument)).map(|kind| {
        let mut depth = 0_usize;
        let of_name = kind.into_iter().filter(|token| {
            depth += usize::from(token == "(");
            let is_out = depth == 0;
            depth = depth.saturating_sub(usize::from(token == ")"));
            is_out
        });
        of_name.collect::<Vec<_>>().join(" ")
    });
    kinds.collect::<Vec<_>>().join(", ")
}

/// The tokens of each argument, in lower case but for quoted names.
fn arguments(tokens: &[String]) -> Vec<Vec<String>> {
    let mut arguments: Vec<Vec<String>> = vec![Vec::new()];
    let (mut depth, mut is_text) = (0_usize, false);
    for (at, token) in tokens.iter().enumerate() {
        let token = if token.starts_with('"') { token.clone() } else { token.to_lowercase() };
        depth += usize::from(token == "(" || token == "[");
        depth = depth.saturating_sub(usize::from(token == ")" || token == "]"));
        // A text in a body comes as the tokens in it.
        is_text ^= token == "'";
        let ends = depth == 0 && !is_text && (token == "," || token == "order");
        match ends {
            true => arguments.push(Vec::new()),
            // Of an aggregate of an ordered set.
            false if token == "by" && at > 0 && tokens[at - 1].eq_ignore_ascii_case("order") => {}
            false => arguments.last_mut().expect("there is a first one").push(token),
        }
    }
    arguments
}

/// The tokens of an argument's type, without its mode, name and default.
fn kind(argument: &[String]) -> Option<Vec<String>> {
    const MODES: [&str; 3] = ["in", "inout", "variadic"];
    // A second word that belongs to the type: any other one comes behind the argument's name.
    const BELONG: [&str; 15] = [
        "(",
        "[",
        ".",
        "%",
        "array",
        "precision",
        "varying",
        "with",
        "without",
        "year",
        "month",
        "day",
        "hour",
        "minute",
        "second",
    ];
    let argument = argument.split(|token| ["default", "=", ":"].contains(&token.as_str())).next()?;
    let has_mode = |token: &&String| MODES.contains(&token.as_str());
    let modes = |rest: &[String]| rest[..rest.len().saturating_sub(1)].iter().take_while(has_mode).count();
    let mut rest = &argument[modes(argument)..];
    if rest.len() > 1 && rest[0] == "out" {
        return None;
    }
    let belongs = |second: &str| BELONG.contains(&second) || (rest[0] == "national" && second.starts_with("char"));
    if rest.len() > 1 && !belongs(&rest[1]) {
        rest = &rest[1..];
        rest = &rest[modes(rest)..];
    }
    (!rest.is_empty() && rest[0] != "*").then(|| rest.to_vec())
}

/// One name for each type.
fn known(kind: &[String]) -> String {
    let is_array = kind.iter().any(|token| token == "[" || token == "array");
    let from = kind.iter().rposition(|token| token == ".").map_or(0, |dot| dot + 1);
    let (mut depth, mut words) = (0_usize, Vec::new());
    for token in &kind[from..] {
        match token.as_str() {
            "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "array" => {}
            word if depth == 0 => words.push(word),
            _ => {}
        }
    }
    let name = words.join(" ");
    let known = match name.as_str() {
        "int" | "int4" => "integer",
        "int2" => "smallint",
        "int8" => "bigint",
        "float4" => "real",
        "float" | "float8" => "double precision",
        "bool" => "boolean",
        "varchar" | "char varying" | "national character varying" => "character varying",
        "char" | "bpchar" | "national character" | "nchar" => "character",
        "decimal" => "numeric",
        "varbit" => "bit varying",
        "timestamptz" => "timestamp with time zone",
        "timestamp without time zone" => "timestamp",
        "timetz" => "time with time zone",
        "time without time zone" => "time",
        name => name.trim_matches('"'),
    };
    if is_array { format!("{known}[]") } else { known.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::engine::Engine;
    use crate::sql::words::Words;

    fn of(arguments: &str) -> String {
        let words = Words::of(Engine::Postgres, arguments);
        signature(&(0..words.len()).map(|at| words.as_written(at).to_owned()).collect::<Vec<_>>()).join(", ")
    }

    #[test]
    fn types_are_told_by_whatever_name_they_are_written() {
        for (arguments, expected) in [
            ("", ""),
            ("*", ""),
            ("int", "integer"),
            ("a INT4, b pg_catalog.int8 DEFAULT 7", "integer, bigint"),
            ("IN a text = 'x, y', OUT b int, INOUT c bool, VARIADIC d numeric(10, 2)[]", "text, boolean, numeric[]"),
            ("double precision, a double precision, float8", "double precision, double precision, double precision"),
            (
                "a varchar(20), character varying, b char varying(3)",
                "character varying, character varying, character varying",
            ),
            (
                "timestamp(3) with time zone, at timestamptz, timestamp",
                "timestamp with time zone, timestamp with time zone, timestamp",
            ),
            ("a int ARRAY, b int[3][], \"Kind\", k app.\"Kind\"", "integer[], integer[], Kind, Kind"),
            ("a app.mood, interval day to second, x interval", "mood, interval day to second, interval"),
            ("float8 ORDER BY integer", "double precision, integer"),
            ("a int DEFAULT f(1, 2), b text := 'x'", "integer, text"),
        ] {
            assert_eq!(of(arguments), expected, "{arguments}");
        }
    }

    #[test]
    fn a_drop_takes_types_without_names_and_lengths() {
        let tokens = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let arguments = tokens("a app . \"Kind\" [ ] DEFAULT NULL , OUT b int , c numeric ( 10 , 2 )");
        assert_eq!(dropped_signature(&arguments), "app . \"Kind\" [ ], numeric");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in "[a-zA-Z0-9 ,.()=\\[\\]\"]{0,60}") {
            let _ = of(&text);
        }
    }
}
