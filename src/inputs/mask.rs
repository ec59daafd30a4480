//! Lines of a tenant file without their secrets, fit to be shown.
//!
//! It errs on the side of hiding. Nothing here decides what is wrong with a line.

use std::ops::Range;

use super::Setting;
use super::form::Form;

/// The replacement for a secret.
pub(crate) const MASK: &str = "***";

/// Keys beside the settings whose values are never secret, so that a line with a syntax mistake can be shown with its
/// value.
const HARMLESS: [&str; 12] = [
    "id",
    "schema",
    "server",
    "tags",
    "create_missing",
    "single_writer",
    "percent",
    "count",
    "tenants",
    "rules",
    "env",
    "file",
];

fn is_harmless(key: &str) -> bool {
    HARMLESS.contains(&key) || Setting::of(key).is_some_and(|setting| setting.form != Form::Ledger)
}

/// The part of a line to hide besides apparent secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hide {
    /// Nothing more.
    Secrets,
    /// Everything after the marked place: the value of a key that is not known may be a misspelt `password`.
    Behind,
    /// The marked place and everything after it.
    From,
    /// The value, unless its key is known to be harmless: the line is not TOML, so that quotes say nothing.
    Value,
}

/// A line with its secrets replaced, and the marked place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Masked {
    pub(crate) text: String,
    pub(crate) span: Range<usize>,
}

/// Masks the secrets of `line`. `span` marks a place in it (bytes); it grows where it touches something hidden.
pub(crate) fn mask(line: &str, span: Range<usize>, hide: Hide) -> Masked {
    let mut hidden = secrets(line);
    match hide {
        Hide::Secrets => {}
        Hide::Behind => {
            let value = line[span.end..].find('=').map(|i| span.end + i + 1);
            // A header of a table has no value.
            let from = value.or_else(|| (!line.trim_start().starts_with('[')).then_some(span.end));
            hidden.extend(from.map(|from| from..line.len()));
        }
        Hide::From => hidden.push(span.start..line.len()),
        Hide::Value => hidden.extend(doubtful_value(line)),
    }
    hidden.retain(|r| !line[r.clone()].trim().is_empty());
    hidden.sort_by_key(|r| r.start);
    replace(line, span, &joined(line, hidden))
}

/// Sorted ranges without those that lie in another, each without the blanks that it begins with.
fn joined(line: &str, sorted: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut joined: Vec<Range<usize>> = Vec::new();
    for range in sorted {
        match joined.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => joined.push(range.end - line[range.clone()].trim_start().len()..range.end),
        }
    }
    joined
}

/// Puts [`MASK`] in the place of each hidden range.
fn replace(line: &str, span: Range<usize>, hidden: &[Range<usize>]) -> Masked {
    let mut text = String::with_capacity(line.len());
    let mut at = 0;
    for range in hidden {
        text.push_str(&line[at..range.start]);
        text.push_str(MASK);
        at = range.end;
    }
    text.push_str(&line[at..]);
    // The place in the text of a byte of the line that is shown.
    let moved = |at: usize| hidden.iter().filter(|r| r.end <= at).fold(at, |at, r| at + MASK.len() - r.len());
    let start = hidden.iter().find(|r| r.contains(&span.start)).map_or(span.start, |r| r.start);
    let end = match hidden.iter().find(|r| r.start < span.end && span.end <= r.end) {
        Some(range) => moved(range.start) + MASK.len(),
        None => moved(span.end),
    };
    Masked { span: moved(start)..end.max(moved(start)), text }
}

/// The apparent secrets: the password of a URL, its query, and the value of a key such as `password`.
fn secrets(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (i, _) in line.match_indices("://") {
        let scheme = line[..i].trim_end_matches(|c: char| c.is_ascii_alphanumeric() || "+.-".contains(c));
        let end = match scheme.chars().last() {
            Some(quote @ ('"' | '\'')) => closing(&line[i..], quote).map_or(line.len(), |at| i + at),
            _ => line.len(),
        };
        found.extend(in_url(&line[i + 3..end]).map(|r| i + 3 + r.start..i + 3 + r.end));
    }
    let lower = line.to_ascii_lowercase();
    for word in ["password", "passwd", "pwd", "secret", "token"] {
        for (i, _) in lower.match_indices(word) {
            found.extend(in_value(line, i + word.len()));
        }
    }
    // The parts of a URL that is escaped, or has no `://`, can't be recognized.
    let doubtful = line.contains('\\') || (line.contains('@') && !line.contains("://"));
    for word in ["url", "ledger"].iter().filter(|_| doubtful) {
        found.extend(lower.match_indices(word).flat_map(|(i, _)| in_value(line, i + word.len())));
    }
    found
}

/// The first `quote` that is not escaped.
fn closing(text: &str, quote: char) -> Option<usize> {
    text.char_indices().find(|&(i, c)| c == quote && (quote == '\'' || !text[..i].ends_with('\\'))).map(|(i, _)| i)
}

/// The secret in the text after `://`. Where the password can't be located for sure, the secret is all of it.
fn in_url(rest: &str) -> Option<Range<usize>> {
    let Some(at) = rest.rfind('@') else {
        // Without an `@` a password can still be there: `u:s3cret#`.
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        let port = host.rsplit_once(':').map_or("", |(_, port)| port);
        let plain = host.starts_with('[') || port.chars().all(|c| c.is_ascii_digit()) || is_placeholder(port);
        let doubt = (!plain || rest.contains('#')).then_some(0..rest.len());
        return doubt.or_else(|| rest.find('?').map(|q| q + 1..rest.len()));
    };
    let user = &rest[..at];
    if user.contains(['/', '?', '#', '@']) || rest.contains(['?', '#']) {
        return Some(0..rest.len());
    }
    let colon = user.find(':')?;
    let password = &user[colon + 1..];
    (!is_placeholder(password)).then_some(colon + 1..at)
}

fn is_placeholder(text: &str) -> bool {
    text.strip_prefix("${")
        .and_then(|t| t.strip_suffix('}'))
        .is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

/// The secrets in the value of a key that ends near `key_end`: strings that do not name a variable or a file.
fn in_value(line: &str, key_end: usize) -> Vec<Range<usize>> {
    let rest = line[key_end..].trim_start_matches(|c: char| c.is_alphanumeric() || "_-.\"' \t".contains(c));
    let Some(value) = rest.strip_prefix('=') else { return Vec::new() };
    let from = line.len() - value.len();
    if !value.trim_start().starts_with('{') {
        return std::iter::once(from..line.len()).collect();
    }
    let mut found = Vec::new();
    let mut at = from;
    while let Some(open) = line[at..].find(['"', '\'']).map(|i| at + i) {
        let quote = if line[open..].starts_with('"') { '"' } else { '\'' };
        let end = closing(&line[open + 1..], quote).map_or(line.len(), |i| open + 1 + i);
        let before = line[from..open].trim_end().trim_end_matches('=').trim_end();
        if !(before.ends_with("env") || before.ends_with("file")) {
            found.push(open + 1..end);
        }
        at = (end + 1).min(line.len());
    }
    found
}

fn doubtful_value(line: &str) -> Option<Range<usize>> {
    match line.split_once('=') {
        Some((key, _)) if is_harmless(key.trim()) => None,
        Some((key, _)) => Some(key.len() + 1..line.len()),
        None if line.trim_start().starts_with(['[', '#']) => None,
        None => {
            let word = line.trim_start().split(char::is_whitespace).next().unwrap_or_default();
            let known = is_harmless(word) || ["url", "migration_url", "password", "ledger"].contains(&word);
            let from = if known { line.len() - line.trim_start().len() + word.len() } else { 0 };
            Some(from..line.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        mask(line, 0..1, Hide::Secrets).text
    }

    #[test]
    fn passwords_are_hidden_and_the_rest_is_shown() {
        for (line, expected) in [
            (r#"url = "postgres://app:s3cret@db7:5432/acme""#, r#"url = "postgres://app:***@db7:5432/acme""#),
            (r#"url = "postgres://app:${PGPASS}@db7/acme""#, r#"url = "postgres://app:${PGPASS}@db7/acme""#),
            (r#"url = "postgres://app:${P:s3cret}@db7/acme""#, r#"url = "postgres://app:***@db7/acme""#),
            (r#"url = "postgres://u:p@ss/w#rd@h/db" # x"#, r#"url = "postgres://***" # x"#),
            (r#"url = "postgres://h/db?x=s3cret""#, r#"url = "postgres://h/db?***""#),
            (r#"url = "postgres://db7:5432/acme""#, r#"url = "postgres://db7:5432/acme""#),
            (r#"url = "postgres://u:s3cret/acme""#, r#"url = "postgres://***""#),
            (r#"url = "postgres:\u002F/u:s3cret@h/acme""#, "url = ***"),
            (r#"password = "s3cret""#, "password = ***"),
            (r#"password = { env = "PGPASS" }"#, r#"password = { env = "PGPASS" }"#),
            (r#"password = { value = "s3cret" }"#, r#"password = { value = "***" }"#),
            (r#"password = { command = ["pass", "s3cret"] }"#, r#"password = { command = ["***", "***"] }"#),
            (r#"tags = { plan = "pro" }"#, r#"tags = { plan = "pro" }"#),
        ] {
            assert_eq!(shown(line), expected);
        }
    }

    #[test]
    fn the_marked_place_follows_the_text() {
        let line = r#"x = "a://u:secret@h" , typo = "s3cret""#;
        let at = line.find("typo").unwrap();
        let masked = mask(line, at..at + 4, Hide::Behind);
        assert_eq!(&masked.text[masked.span.clone()], "typo");
        assert_eq!(masked.text, r#"x = "a://u:***@h" , typo = ***"#);
        assert_eq!(mask("[[tenants]]", 2..9, Hide::Behind).text, "[[tenants]]", "no value");
        let at = line.find("secret").unwrap();
        let masked = mask(line, at..at + 3, Hide::Secrets);
        assert_eq!(&masked.text[masked.span.clone()], "***");
    }

    #[test]
    fn a_line_that_is_not_toml_hides_its_value_unless_the_key_is_harmless() {
        for (line, expected) in [
            (r#"passwort = "s3cret"#, "passwort = ***"),
            (r#"url = "postgres://u:s3"cret@h/db""#, "url = ***"),
            ("concurrency = many", "concurrency = many"),
            ("[tenant", "[tenant"),
            ("s3cret", "***"),
            ("password s3cret", "password ***"),
        ] {
            assert_eq!(mask(line, 0..1, Hide::Value).text, expected);
        }
    }
}
