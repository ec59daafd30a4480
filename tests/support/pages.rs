//! Pages of the book for tests: their blocks, and transcripts that are run again.
//!
//! A `console` block is a session: `$ ` begins a command, and the lines after it are its output, both streams in one.
//! `...` alone on a line stands for any number of lines, `[..]` for any text in a line. Ids, times, durations, sizes
//! and the folder are compared by their form only, so that a page can show real ones. Comments of the page are its
//! stage directions:
//!
//! | comment | means |
//! |---|---|
//! | `<!-- fixture: NAME -->` | the page is a session in the fleet of this name |
//! | `<!-- $ COMMAND -->` | run, and not shown |
//! | `<!-- sql FILE: SQL -->` | run on a connection that stays open to the end of the page |
//! | `<!-- file: PATH -->` | the next block is this file of the repository, word for word |
//!
//! With `REWRITE_BOOK=1` differences are written into the page instead of failing the test.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use regex::Regex;

/// A page, by its path from the root of the repository.
pub(crate) struct Page {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) parts: Vec<Part>,
}

/// A part of a page, as far as tests need it.
pub(crate) enum Part {
    /// A fenced block: its language, and the range of its content.
    Block { language: String, content: Range<usize> },
    /// A comment, without its marks.
    Comment(String),
    /// A link's target, and its position.
    Link { target: String, at: usize },
    /// A heading's text.
    Heading(String),
    /// A span of code.
    Code { text: String, at: usize },
}

pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().find(|folder| folder.join("docs/book").is_dir()).expect("the repository has a book").to_owned()
}

pub(crate) fn rewrites() -> bool {
    std::env::var_os("REWRITE_BOOK").is_some()
}

/// An error in a page, and, where known, the correct text.
pub(crate) struct Finding {
    pub(crate) text: String,
    pub(crate) remedy: Option<(Range<usize>, String)>,
}

impl Page {
    pub(crate) fn read(path: &str) -> Page {
        let text = std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        Page::of(path, text)
    }

    pub(crate) fn of(path: &str, text: String) -> Page {
        Page { path: path.to_owned(), parts: parts(&text), text }
    }

    /// All pages of the book, and the README.
    pub(crate) fn all() -> Vec<Page> {
        fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => walk(&path, found),
                    false if path.extension().is_some_and(|e| e == "md") => found.push(path),
                    false => {}
                }
            }
        }
        let mut found = vec![root().join("README.md")];
        walk(&root().join("docs/book/src"), &mut found);
        found.sort();
        let name = |path: &PathBuf| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        found.iter().map(|path| Page::read(&name(path))).collect()
    }

    pub(crate) fn line(&self, at: usize) -> String {
        format!("{}:{}", self.path, self.text[..at].matches('\n').count() + 1)
    }

    pub(crate) fn fixture(&self) -> Option<&str> {
        self.parts.iter().find_map(|part| match part {
            Part::Comment(text) => text.strip_prefix("fixture: "),
            _ => None,
        })
    }

    /// The errors of the page; with `REWRITE_BOOK` only those that could not be corrected.
    pub(crate) fn conclude(&self, findings: Vec<Finding>) -> Vec<String> {
        let (remedies, rest): (Vec<Finding>, Vec<Finding>) =
            findings.into_iter().partition(|finding| rewrites() && finding.remedy.is_some());
        let mut remedies: Vec<(Range<usize>, String)> = remedies.into_iter().filter_map(|f| f.remedy).collect();
        if !remedies.is_empty() {
            let mut text = self.text.clone();
            remedies.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
            for (range, new) in remedies {
                text.replace_range(range, &new);
            }
            std::fs::write(root().join(&self.path), text).unwrap();
        }
        rest.into_iter().map(|finding| finding.text).collect()
    }

    /// Blocks that differ from the file named in the comment before them.
    pub(crate) fn stale_files(&self) -> Vec<Finding> {
        let mut file = None;
        let mut stale = Vec::new();
        for part in &self.parts {
            match part {
                Part::Comment(text) => file = text.strip_prefix("file: "),
                Part::Block { content, .. } => {
                    let Some(file) = file.take() else { continue };
                    let now = std::fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
                    if self.text[content.clone()] != now {
                        let text = format!("{}: the block is not {file}", self.line(content.start));
                        stale.push(Finding { text, remedy: Some((content.clone(), now)) });
                    }
                }
                _ => {}
            }
        }
        stale
    }
}

fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let (mut heading, mut block) = (None::<String>, None::<(String, Range<usize>)>);
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => parts.extend(heading.take().map(Part::Heading)),
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                let first = text[range.start..].find('\n').map_or(range.end, |end| range.start + end + 1);
                block = Some((language.to_string(), first..first));
            }
            Event::End(TagEnd::CodeBlock) => {
                if let Some((language, content)) = block.take() {
                    parts.push(Part::Block { language, content });
                }
            }
            Event::Text(words) => match (&mut block, &mut heading) {
                (Some((_, content)), _) => content.end = range.end,
                (None, Some(heading)) => heading.push_str(&words),
                (None, None) => {}
            },
            Event::Code(words) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&words);
                }
                parts.push(Part::Code { text: words.to_string(), at: range.start });
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                parts.push(Part::Link { target: dest_url.to_string(), at: range.start });
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                let comment = html.trim().strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->"));
                parts.extend(comment.map(|text| Part::Comment(text.trim().to_owned())));
            }
            _ => {}
        }
    }
    parts
}

/// A command of a `console` block with the output that the page shows, and its position.
pub(crate) struct Shown {
    pub(crate) command: String,
    pub(crate) at: usize,
    pub(crate) output: Range<usize>,
}

/// The commands of a `console` block. A backslash at the end of a line continues a command.
pub(crate) fn shown(page: &Page, content: &Range<usize>) -> Vec<Shown> {
    let mut found: Vec<Shown> = Vec::new();
    let mut at = content.start;
    let mut goes_on = false;
    for line in page.text[content.clone()].split_inclusive('\n') {
        let end = at + line.len();
        match (goes_on, line.strip_prefix("$ ")) {
            (false, Some(command)) => {
                found.push(Shown { command: command.trim_end().to_owned(), at, output: end..end });
            }
            (true, _) => {
                let last = found.last_mut().expect("a line goes on behind another");
                last.command = format!("{}{}", last.command.trim_end_matches('\\'), line.trim());
                last.output = end..end;
            }
            (false, None) => {
                let last = found.last_mut().unwrap_or_else(|| panic!("{}: no command before it", page.line(at)));
                last.output.end = end;
            }
        }
        goes_on = (goes_on || line.starts_with("$ ")) && line.trim_end().ends_with('\\');
        at = end;
    }
    found
}

/// A folder with a fleet, and the program run in it.
pub(crate) struct Stage<'a> {
    folder: &'a Path,
    /// Programs found on PATH before the machine's own.
    programs: tempfile::TempDir,
    /// The last exit code.
    code: i32,
    /// Connections that the page keeps open.
    sessions: BTreeMap<String, rusqlite::Connection>,
}

impl<'a> Stage<'a> {
    /// `fleet COMMAND` and `cargo run -- COMMAND` run this program. The book's tables are laid out for 100 columns.
    pub(crate) fn new(folder: &'a Path, program: &str) -> Self {
        let programs = tempfile::tempdir().unwrap();
        let script = |name: &str, text: &str| {
            let path = programs.path().join(name);
            std::fs::write(&path, format!("#!/bin/bash\n{text}\n")).unwrap();
            std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        };
        script("fleet", &format!("exec {program} --width 100 \"$@\""));
        script("cargo", "while [ \"$1\" != -- ]; do shift; done; shift; exec fleet \"$@\"");
        Stage { folder, programs, code: 0, sessions: BTreeMap::new() }
    }

    /// Runs a command; both streams as one text.
    pub(crate) fn run(&mut self, command: &str) -> String {
        if let Some((file, sql)) = command.strip_prefix("sqlite3 ").and_then(|rest| rest.split_once(' ')) {
            // Not every machine has the program.
            let connection = rusqlite::Connection::open(self.folder.join(file)).unwrap();
            connection.execute_batch(sql.trim_matches('"')).unwrap_or_else(|e| panic!("{command}: {e}"));
            self.code = 0;
            return String::new();
        }
        let path = format!("{}:{}", self.programs.path().display(), std::env::var("PATH").unwrap_or_default());
        let mut bash = Command::new("bash");
        bash.env("XDG_CACHE_HOME", self.folder.join(".cache"));
        bash.args(["-c", &format!("exec 2>&1; (exit {})\n{command}", self.code)]).current_dir(self.folder);
        bash.env("PATH", path).env("USER", "ops").env("HOSTNAME", "runner-1");
        bash.env("XDG_CACHE_HOME", self.folder.join(".cache"));
        bash.env_remove("FLEET_CONFIG").env_remove("FLEET_COLOR").env_remove("FLEET_LOG");
        let output = bash.output().unwrap();
        self.code = output.status.code().unwrap_or(-1);
        let output = String::from_utf8_lossy(&output.stdout).replace(&*self.folder.to_string_lossy(), "/srv/fleet");
        // The ledger keeps the whole command line; the width is ours.
        let output = output.replace("fleet --width 100 ", "fleet ");
        // A page that holds a lock plays the application.
        let own = std::fs::read_to_string("/proc/self/comm").unwrap_or_default();
        if own.trim().is_empty() { output } else { output.replace(own.trim(), "checkout-worker") }
    }

    fn session(&mut self, file: &str, sql: &str) {
        let path = self.folder.join(file);
        let open = || rusqlite::Connection::open(path).unwrap();
        let connection = self.sessions.entry(file.to_owned()).or_insert_with(open);
        connection.execute_batch(sql).unwrap_or_else(|e| panic!("{file}: {sql}: {e}"));
    }
}

/// Runs a page's transcript.
pub(crate) fn play(page: &Page, stage: &mut Stage<'_>) -> Vec<Finding> {
    let mut wrong = Vec::new();
    for part in &page.parts {
        match part {
            Part::Comment(text) => {
                if let Some(command) = text.strip_prefix("$ ") {
                    let output = stage.run(command);
                    if stage.code != 0 {
                        let text = format!("{}: `{command}` ended with {}:\n{output}", page.path, stage.code);
                        wrong.push(Finding { text, remedy: None });
                    }
                } else if let Some((file, sql)) = text.strip_prefix("sql ").and_then(|text| text.split_once(": ")) {
                    stage.session(file, sql);
                }
            }
            Part::Block { language, content } if language == "console" => {
                for shown in self::shown(page, content) {
                    let expected = &page.text[shown.output.clone()];
                    let actual = stage.run(&shown.command);
                    if !agree(expected, &actual) {
                        let place = page.line(shown.at);
                        let text = format!("{place}: $ {}\n--- page\n{expected}--- program\n{actual}", shown.command);
                        let remedy = Some((shown.output.clone(), elided(expected, &actual)));
                        wrong.push(Finding { text, remedy });
                    }
                }
            }
            _ => {}
        }
    }
    wrong
}

/// The new output with the old one's only ellipsis, and with each of its lines that still agree, where they are as many: a
/// line may leave out a part.
fn elided(expected: &str, actual: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.trim_end().lines().collect());
    let gaps: Vec<usize> = (0..old.len()).filter(|&i| old[i] == "...").collect();
    let text = match gaps[..] {
        [gap] if old.len() <= new.len() => {
            let tail = new.len() - (old.len() - gap - 1);
            [&new[..gap], &["..."], &new[tail..]].concat().join("\n")
        }
        _ if old.len() == new.len() => {
            let line =
                |(old, new): (&&str, &&str)| if line_agrees(&form(old), &form(new)) { *old } else { *new }.to_owned();
            old.iter().zip(&new).map(line).collect::<Vec<String>>().join("\n")
        }
        _ => new.join("\n"),
    };
    if text.is_empty() { text } else { text + "\n" }
}

/// Whether an output matches the one that a page shows.
pub(crate) fn agree(expected: &str, actual: &str) -> bool {
    fn lines_agree(expected: &[String], actual: &[String]) -> bool {
        match expected {
            [] => actual.is_empty(),
            [gap, rest @ ..] if gap == "..." => (0..=actual.len()).any(|n| lines_agree(rest, &actual[n..])),
            [first, rest @ ..] => {
                actual.first().is_some_and(|line| line_agrees(first, line)) && lines_agree(rest, &actual[1..])
            }
        }
    }
    let lines = |text: &str| -> Vec<String> { text.trim_end().lines().map(form).collect() };
    lines_agree(&lines(expected), &lines(actual))
}

fn line_agrees(expected: &str, actual: &str) -> bool {
    let mut pieces = expected.split("[..]");
    let Some(mut rest) = actual.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    for (i, piece) in pieces.iter().enumerate() {
        if i + 1 == pieces.len() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

/// A line with placeholders for everything that differs each time.
fn form(line: &str) -> String {
    static FORMS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        let forms = [
            (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>"),
            (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?", "<time>"),
            (r"\b\d+(\.\d+)? ?(ms|s|m|min|h)( \d+ ?s)?\b", "<duration>"),
            (r#""(duration_ms|started_at_ms|finished_at_ms|bytes)": ?\d+"#, "<number>"),
            (r#"time="[\d.]+""#, "<duration>"),
            (r"\b\d+(\.\d+)? (B|kB|MB|MiB|GB)\b", "<size>"),
            (r"\b(process|connection|pid|kill|holds) +\d+", "<process>"),
            (r#""process":\{[^}]*\}"#, "<process>"),
            (r"\.\.\.\S*/data/", ".../data/"),
            (r"(proven +\d+ +)\d+$", "$1<ms>"),
            (r"[\u{2580}-\u{259f}]+", "<bar>"),
            (r" {2,}", "  "),
        ];
        forms.map(|(form, mark)| (Regex::new(form).unwrap(), mark)).into()
    });
    let line = line.trim_end().to_owned();
    FORMS.iter().fold(line, |line, (form, mark)| form.replace_all(&line, *mark).into_owned())
}

#[test]
fn outputs_are_compared_by_their_form() {
    assert!(agree("12 tenants: 12 migrated in 1.3s\n", "12 tenants: 12 migrated in 62ms\n\n"));
    assert!(agree("a\n...\nz\n", "a\nb\nc\nz\n") && agree("a\n...\nz\n", "a\nz"));
    assert!(agree(
        "run 01a1feb5-75a7-72ae-8cc5-8441ddd9a4ed  [..] ok",
        "run 01a1feb6-75a7-7fff-8cc5-8441ddd9a4ed  is ok"
    ));
    assert!(
        !agree("12 tenants", "11 tenants") && !agree("a\n", "a\nb\n") && !agree("", "a") && !agree("a[..]b", "abc")
    );
}
