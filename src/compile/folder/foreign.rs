//! Annotations of other tools: read as their tool reads them, or refused where that would change what runs.
//!
//! It judges the text of one comment, and knows neither its place nor its file.

/// The meaning of another tool's comment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Annotation {
    /// The way down begins here.
    pub(super) is_down: bool,
    /// The file has no transaction.
    pub(super) has_no_transaction: bool,
    /// It is a heading that a person may have written above the way down.
    pub(super) may_be_down: bool,
    /// It begins a file of Liquibase.
    pub(super) is_liquibase: bool,
    /// The reason to refuse it, and the fix.
    pub(super) wrong: Option<(&'static str, &'static str)>,
}

const UNKNOWN: (&str, &str) = ("it has no meaning here", "leave the line out, or write what it stands for");
const DOWN: Annotation = Annotation { is_down: true, ..NONE };
const NO_TRANSACTION: Annotation = Annotation { has_no_transaction: true, ..NONE };
const NONE: Annotation =
    Annotation { is_down: false, has_no_transaction: false, may_be_down: false, is_liquibase: false, wrong: None };
const MAY_BE_DOWN: Annotation = Annotation { may_be_down: true, ..NONE };

/// Words that head the way down where a person parts a file by hand.
const BACK: [&str; 6] = ["rollback", "revert", "undo", "backward", "backwards", "downgrade"];

const fn wrong(what: &'static str, instead: &'static str) -> Annotation {
    Annotation { wrong: Some((what, instead)), ..NONE }
}

/// Reads a comment without its delimiters, in lower case. `in_liquibase`: a comment before it began a file of Liquibase.
pub(super) fn annotation(text: &str, in_liquibase: bool) -> Annotation {
    let words: Vec<&str> = text.split_whitespace().collect();
    let heading = text.trim_matches(['-', '=', '#', '*', ':', ' ']);
    let marker = text.trim_start_matches(['-', ' ', '#']);
    match words.as_slice() {
        ["+goose" | "+migrate" | "+micrate", rest @ ..] => goose(rest),
        ["migrate:down", options @ ..] => {
            Annotation { has_no_transaction: options.contains(&"transaction:false"), ..DOWN }
        }
        ["migrate:up", options @ ..] if options.contains(&"transaction:false") => NO_TRANSACTION,
        ["transactional:", "false"] | ["!", "no-transaction"] | ["!no-transaction"] => NO_TRANSACTION,
        ["!include" | "!include:", ..] | ["!", "include" | "include:", ..] => {
            wrong("it would bring in another file", "put that file's SQL here")
        }
        ["rambler", "down"] | ["down"] | ["@undo" | "//@undo" | "@down" | "//@down", ..] => DOWN,
        // tern, and shmig.
        _ if heading == "create above / drop below" || (text.starts_with('=') && heading == "down") => DOWN,
        ["down", "migration", rest @ ..] if rest.iter().all(|word| word.trim_matches(['-', ':']).is_empty()) => DOWN,
        ["liquibase", "formatted", "sql", ..] => Annotation { is_liquibase: true, ..NONE },
        ["liquibase", "rollback", ..] => ROLLBACK,
        ["changeset", id, attributes @ ..] if id.contains(':') || in_liquibase => changeset(attributes),
        [first, ..] if in_liquibase => liquibase(first, &words),
        [first, rest @ ..] if first.starts_with("flyway:") => flyway(&first["flyway:".len()..], rest),
        ["atlas:txmode", "none"] => NO_TRANSACTION,
        ["atlas:txmode", "file" | "all"] | ["atlas:nolint" | "atlas:sensitive", ..] => NONE,
        [first, ..] if first.starts_with("atlas:") => wrong(
            "this directive of Atlas would change what runs",
            "leave it out, and write the file as plain statements",
        ),
        _ if marker.starts_with("!ups") || marker.starts_with("!downs") => wrong(
            "a file of Play's evolutions has both ways in it, and writes `;;` for `;`",
            "move the part below `!Ups` to `….up.sql` and the one below `!Downs` to `….down.sql`, with plain `;`, and leave these lines out",
        ),
        _ if BACK.contains(&heading) => MAY_BE_DOWN,
        _ => NONE,
    }
}

fn goose(words: &[&str]) -> Annotation {
    match words {
        ["up", options @ ..] => Annotation { has_no_transaction: options.contains(&"notransaction"), ..NONE },
        ["down", options @ ..] => Annotation { has_no_transaction: options.contains(&"notransaction"), ..DOWN },
        ["no", "transaction"] => NO_TRANSACTION,
        ["statementbegin" | "statementend"] | ["envsub", "off"] => NONE,
        ["envsub", ..] => wrong(
            "it would put variables of the environment into the text",
            "write their values, and leave the line out",
        ),
        _ => Annotation { wrong: Some(UNKNOWN), ..NONE },
    }
}

fn flyway(first: &str, rest: &[&str]) -> Annotation {
    let setting: String = [first].iter().chain(rest).flat_map(|word| word.chars()).collect();
    match setting.as_str() {
        "executeintransaction=false" => NO_TRANSACTION,
        "executeintransaction=true" | "shouldexecute=true" | "placeholderreplacement=false" => NONE,
        _ => Annotation { wrong: Some(UNKNOWN), ..NONE },
    }
}

const ROLLBACK: Annotation =
    wrong("Liquibase's way back has a file of its own here", "move its SQL to `….down.sql`, and leave the line out");

/// A line of a Liquibase file other than `--changeset`.
fn liquibase(first: &str, words: &[&str]) -> Annotation {
    match (first, &words[1..]) {
        ("rollback", [] | ["empty"] | ["not", "required"]) => NONE,
        ("rollback", _) => ROLLBACK,
        ("property", _) => {
            wrong("Liquibase would put this value into the text", "write the value, and leave the line out")
        }
        _ if first.starts_with("precondition") => wrong(
            "a precondition decides whether this runs at all",
            "leave it out, or keep the changeset out of this folder",
        ),
        _ if first.starts_with("ignorelines") => {
            wrong("Liquibase would pass over lines here", "take those lines out of the file")
        }
        _ => NONE,
    }
}

/// The attributes of a changeset of Liquibase.
fn changeset(attributes: &[&str]) -> Annotation {
    let mut found = NONE;
    for (key, value) in attributes.iter().filter_map(|attribute| attribute.split_once(':')) {
        let value = value.trim_matches(['"', '\'']);
        found = match (key, value) {
            ("runintransaction", "false") => Annotation { has_no_transaction: true, ..found },
            ("context" | "contexts" | "contextfilter" | "labels" | "labelfilter", _) => wrong(
                "this changeset is only for some environments, and fleet would run it on all",
                "keep it out of this folder, or leave the word out where all tenants are to have it",
            ),
            ("dbms", value) if value != "all" => wrong(
                "this changeset is only for some engines",
                "name the file for its engine, as `0001_x.postgres.sql`, and leave the word out",
            ),
            ("runonchange" | "runalways", "true") => wrong(
                "this changeset is to run more than once",
                "name the file `R__….sql` (applied whenever it changes), and leave the word out",
            ),
            ("failonerror", "false") | ("ignore", "true") => wrong(
                "Liquibase would go on after an error here, or pass it over",
                "leave the word out; a statement that may fail needs an `IF EXISTS` or the like",
            ),
            ("enddelimiter", value) if value != ";" => wrong(
                "its statements end in another way",
                "end them with `;` (bodies are understood), and leave the word out",
            ),
            _ => found,
        };
        if found.wrong.is_some() {
            return found;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_words_change_nothing() {
        for text in [
            "+goose up",
            "+goose statementbegin",
            "+goose envsub off",
            "+migrate up",
            "migrate:up",
            "up migration",
            "rambler up",
            "atlas:nolint destructive",
            "atlas:txmode file",
            "changeset dev:1",
            "changeset dev:1 stripcomments:false runintransaction:true dbms:all splitstatements:false",
            "flyway: placeholderreplacement=false",
            "a down migration is not possible",
            "rollback: see the wiki",
            "==== up ====",
            "undo the change of 0001",
            "changeset 12 of the old tool",
            "",
        ] {
            assert_eq!(annotation(text, false), NONE, "{text}");
        }
        assert!(annotation("liquibase formatted sql", false).is_liquibase);
        assert_eq!(annotation("rollback not required", true), NONE);
    }

    #[test]
    fn a_transaction_is_left_out_where_the_tool_leaves_it_out() {
        for text in [
            "+goose no transaction",
            "+migrate up notransaction",
            "migrate:up transaction:false",
            "atlas:txmode none",
            "changeset dev:1 runintransaction:false",
            "flyway:executeintransaction=false",
            "flyway: executeintransaction = false",
            "! no-transaction",
            "transactional: false",
        ] {
            assert_eq!(annotation(text, false), NO_TRANSACTION, "{text}");
        }
        for text in ["ROLLBACK", "-- Revert --", "=== undo ===", "backward:"] {
            assert!(annotation(&text.to_lowercase(), false).may_be_down, "{text}");
        }
        for text in [
            "+goose down",
            "migrate:down",
            "down migration",
            "rambler down",
            "down",
            "//@undo",
            "-- create above / drop below ----",
            "==== down ====",
        ] {
            assert_eq!(annotation(text, false), DOWN, "{text}");
        }
    }

    #[test]
    fn words_that_would_change_what_runs_are_refused() {
        for text in [
            "+goose envsub on",
            "+goose sideways",
            "atlas:delimiter \\n\\n",
            "atlas:checkpoint",
            "changeset dev:1 context:test runintransaction:false",
            "changeset dev:1 labels:\"a or b\"",
            "changeset dev:1 dbms:oracle",
            "changeset dev:1 runonchange:true",
            "changeset dev:1 failonerror:false",
            "changeset dev:1 enddelimiter:/",
            "flyway: shouldexecute=false",
            "--- !ups",
            "- !downs",
            "!include a.sql",
            "liquibase rollback drop table x;",
        ] {
            assert!(annotation(text, false).wrong.is_some(), "{text}");
        }
        for text in
            ["rollback drop table x", "preconditions onfail:mark_ran", "property name:a value:b", "ignorelines:1"]
        {
            assert!(annotation(text, true).wrong.is_some(), "{text}");
            assert!(annotation(text, false).wrong.is_none(), "{text}");
        }
    }
}
