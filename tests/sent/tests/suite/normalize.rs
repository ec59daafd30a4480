//! Recorded text made comparable: values that differ per run are replaced, and long texts abbreviated for the
//! repository.
//!
//! Nothing else is changed, white space included.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use regex::{Captures, Regex};
use sha2::{Digest as _, Sha256};

/// Replaces the values that differ per run by fixed words.
pub(crate) struct Normalizer {
    /// Generated names and the words in their place.
    names: Vec<(String, &'static str)>,
    rules: Vec<(Regex, Rule)>,
    /// The start of the test, in seconds since 1970.
    begun: u64,
}

/// The replacement of a match; `None` keeps a match that only looks like a value of this run.
type Rule = fn(&Normalizer, &Captures<'_>) -> Option<String>;

impl Normalizer {
    /// A normalizer for these generated names, and for times from now on.
    pub(crate) fn new(names: Vec<(String, &'static str)>) -> Self {
        let rules: [(&str, Rule); 3] = [
            // A run id is a UUID of version 7, which holds the time.
            (r"\b([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b", |this, found| {
                let ms = u64::from_str_radix(&format!("{}{}", &found[1], &found[2]), 16).unwrap();
                this.is_now(ms / 1000).then(|| "RUN".to_owned())
            }),
            // A session name ends with a random number; the tenant in it is kept.
            (r"fleet:([a-z]+):[0-9a-f]{8}\b", |_, found| Some(format!("fleet:{}:NAME", &found[1]))),
            // Seconds since 1970.
            (r"\b[0-9]{10}\b", |this, found| this.is_now(found[0].parse().unwrap()).then(|| "TIME".to_owned())),
        ];
        let rules = rules.map(|(pattern, rule)| (Regex::new(pattern).unwrap(), rule)).into();
        Normalizer { names, rules, begun: now() }
    }

    fn is_now(&self, seconds: u64) -> bool {
        (self.begun - 1..=now() + 1).contains(&seconds)
    }

    /// The text with all values of this run replaced.
    pub(crate) fn text(&self, text: &str) -> String {
        let named = self.names.iter().fold(text.to_owned(), |text, (name, word)| text.replace(name, word));
        self.rules.iter().fold(named, |text, (pattern, rule)| {
            let replacement = |found: &Captures<'_>| rule(self, found).unwrap_or_else(|| found[0].to_owned());
            pattern.replace_all(&text, replacement).into_owned()
        })
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The level of detail of a case's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Every statement.
    Full,
    /// Consecutive statements of a migration are folded into one line; statements of fleet's own are kept.
    Folded,
}

/// An abbreviated text for the repository. Omitted parts are represented by their length and a hash.
pub(crate) fn abridged(text: &str, detail: Detail) -> String {
    let own = Regex::new(
        r"(?x) ^=== | ^---\ connection | ^(BEGIN | COMMIT | ROLLBACK | START\ TRANSACTION | SET | USE | PRAGMA)\b
        | fleet_[^p] | seaql_migrations | pg_advisory | _LOCK\( | pragma_foreign_key_check",
    );
    let (own, mut seen) = (own.unwrap(), HashSet::new());
    let (mut out, mut run) = (String::new(), Vec::new());
    for line in text.split_inclusive('\n') {
        if detail == Detail::Full || own.is_match(line) {
            fold(&mut out, &mut run);
            out.push_str(&shortened(line, &mut seen));
        } else {
            run.push(line);
        }
    }
    fold(&mut out, &mut run);
    out
}

/// Adds a run of lines of migrations, folded into one line unless it is short.
fn fold(out: &mut String, run: &mut Vec<&str>) {
    const SHORT: usize = 100;
    // Headings and markers at the edges of a run belong to the statements around it.
    let is_frame = |line: &str| line.starts_with('>') || line == "\n" || line.ends_with(" AS fleet_part;\n");
    let first = run.iter().position(|line| !is_frame(line)).unwrap_or(run.len());
    let last = run.iter().rposition(|line| !is_frame(line)).map_or(first, |last| last + 1);
    let body = run[first..last].concat();
    out.extend(run[..first].iter().copied());
    if body.len() <= SHORT {
        out.push_str(&body);
    } else {
        let head = &body[..body.floor_char_boundary(50)].replace('\n', " ");
        let _ = writeln!(out, "{head}{}", omitted(&body));
    }
    out.extend(run[last..].iter().copied());
    run.clear();
}

/// A line, abbreviated if it is long: to its start and end, or to its start alone where the same line was there before.
fn shortened<'a>(line: &'a str, seen: &mut HashSet<&'a str>) -> String {
    const LONGEST: usize = 900;
    const LONGEST_AGAIN: usize = 120;
    let is_new = seen.insert(line);
    if line.len() <= LONGEST_AGAIN || (is_new && line.len() <= LONGEST) {
        return line.to_owned();
    }
    let (head, tail) = if is_new { (160, 60) } else { (60, 1) };
    let (head, tail) = (line.floor_char_boundary(head), line.floor_char_boundary(line.len() - tail));
    format!("{}{}{}", &line[..head], omitted(line), &line[tail..])
}

fn omitted(text: &str) -> String {
    let hash: String = Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("[… {} bytes, sha256 {hash} …]", text.len())
}

#[test]
fn only_values_of_this_run_are_replaced() {
    let normalizer = Normalizer::new(vec![("e2e_7".to_owned(), "DATABASE")]);
    let now = now();
    let run = format!("{:08x}-{:04x}-7abc-8abc-0123456789ab", (now * 1000) >> 16, (now * 1000) & 0xffff);
    let sent =
        format!("USE e2e_7; ({now}, {run}, 1234567890, 0190a0a0-0000-7abc-8abc-0123456789ab) fleet:one:0a0b0c0d");
    let expected = "USE DATABASE; (TIME, RUN, 1234567890, 0190a0a0-0000-7abc-8abc-0123456789ab) fleet:one:NAME";
    assert_eq!(normalizer.text(&sent), expected);
}

#[test]
fn omitted_parts_still_differ_by_their_hash() {
    let long = format!("SET {}\n", "é".repeat(2000));
    let other = format!("{}e{}", &long[..2000], &long[2002..]);
    let body = format!("> query\nSELECT 0 AS fleet_part;\n{}SELECT 1 AS fleet_part;\nCOMMIT;\n", "A;\n".repeat(100));
    for (one, two) in [(&long, &other), (&body, &body.replacen("A;\nA", "A; \nA", 1))] {
        let (one, two) = (abridged(one, Detail::Folded), abridged(two, Detail::Folded));
        assert!(one != two && one.len() < 400, "{one}{two}");
    }
    assert!(abridged(&body, Detail::Folded).ends_with("…]\nSELECT 1 AS fleet_part;\nCOMMIT;\n"));
    assert_eq!(abridged(&body, Detail::Full), body);
    let again = format!("SET {}\n", "x".repeat(200));
    assert!(abridged(&again.repeat(2), Detail::Full).starts_with(&format!("{again}SET xxx")));
}
