//! Mistakes in a tenant file: all of them at once, each with its line and a correction.
//!
//! Only masked excerpts are kept, so that no secret of the file can leave through an error.

use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use indexmap::IndexMap;

use super::mask::{Hide, Masked, mask};
use crate::model::text::is_unseen;

/// Maximum number of mistakes shown; the others are counted.
const SHOWN: usize = 50;

/// Maximum number of mistakes of the same words that are shown whole; of the others the lines are named.
const SAME_SHOWN: usize = 3;

/// Maximum number of those lines that are named.
const LINES_NAMED: usize = 20;

/// Maximum length of the excerpt after the marked place, in characters.
const LONGEST_EXCERPT: usize = 400;

/// A mistake further to the right than this, or in a longer line, in bytes, is reported by its place alone.
const FARTHEST_COLUMN: usize = 10_000;
const LONGEST_LINE: usize = 100_000;

/// A place in the file; both numbers count from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// One mistake.
#[derive(Debug, Clone)]
pub(crate) struct Diagnostic {
    /// Its place; `None` when it is not in the file (an environment variable, a flag, the file itself).
    pub(crate) place: Option<Place>,
    /// The problem, in words.
    pub(crate) message: String,
    /// Sets the correction.
    pub(crate) help: Option<String>,
    excerpt: Option<Excerpt>,
    related: Option<(Excerpt, String)>,
}

#[derive(Debug, Clone)]
struct Excerpt {
    line: usize,
    masked: Masked,
}

/// All mistakes of one tenant file, in file order; those outside the file come last.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.render(false))]
pub(crate) struct Mistakes {
    path: PathBuf,
    list: Vec<Diagnostic>,
}

impl Mistakes {
    /// The mistakes, never none.
    #[cfg(test)]
    pub(crate) fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// A file that can't be read at all.
    pub(crate) fn unreadable(path: &Path, message: String, help: &str) -> Self {
        let mistake = Diagnostic { place: None, message, help: Some(help.to_owned()), excerpt: None, related: None };
        Mistakes { path: path.to_owned(), list: vec![mistake] }
    }

    /// The text for people: file, line, column, the line itself, the correction. `styled` adds terminal colours.
    pub(crate) fn render(&self, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        let path = self.path.display().to_string();
        let mut out = String::new();
        let mut same: IndexMap<(&str, Option<&str>), Vec<&Diagnostic>> = IndexMap::new();
        for mistake in &self.list {
            same.entry((&mistake.message, mistake.help.as_deref())).or_default().push(mistake);
        }
        let mut shown = 0;
        for group in same.values() {
            if shown >= SHOWN {
                break;
            }
            let (whole, rest) = group.split_at(group.len().min(SAME_SHOWN));
            for mistake in whole {
                out.push_str(&renderer.render(&[mistake.group(&path)]));
                out.push_str("\n\n");
            }
            if !rest.is_empty() {
                let lines = rest.iter().filter_map(|m| m.place).map(|at| at.line.to_string());
                let lines: Vec<String> = lines.take(LINES_NAMED).collect();
                let at = if lines.is_empty() { String::new() } else { format!(", in lines {}", lines.join(", ")) };
                let cut = if rest.len() > LINES_NAMED { ", ..." } else { "" };
                out.push_str(&format!("... and {} more of these{at}{cut}\n\n", rest.len()));
            }
            shown += group.len();
        }
        let count = self.list.len();
        if count > shown {
            out.push_str(&format!("... and {} more\n\n", count - shown));
        }
        out.push_str(&format!("{path}: {count} mistake{}; nothing was started", if count == 1 { "" } else { "s" }));
        out
    }
}

impl Diagnostic {
    fn group<'a>(&'a self, path: &'a str) -> Group<'a> {
        let mut group = Group::with_title(Level::ERROR.primary_title(self.message.as_str()));
        match (&self.excerpt, self.place) {
            (Some(excerpt), _) => group = group.element(excerpt.snippet(path, AnnotationKind::Primary, None)),
            (None, Some(at)) => group = group.element(Origin::path(path).line(at.line).char_column(at.column)),
            (None, None) => {}
        }
        if let Some((excerpt, label)) = &self.related {
            group = group.element(excerpt.snippet(path, AnnotationKind::Context, Some(label)));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        group
    }
}

impl Excerpt {
    fn snippet<'a>(
        &'a self,
        path: &'a str,
        kind: AnnotationKind,
        label: Option<&'a str>,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        Snippet::source(self.masked.text.as_str())
            .line_start(self.line)
            .path(path)
            .annotation(kind.span(self.masked.span.clone()).label(label))
    }
}

/// The kind of a mistake; it decides which other mistakes are shown beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    /// The text is not TOML.
    Syntax,
    /// Something is missing; perhaps only because of a syntax mistake nearby.
    Absence,
    /// A value is wrong.
    Wrong,
}

/// A mistake before it is rendered, while the file is available.
#[derive(Debug)]
pub(crate) struct Draft {
    span: Option<Range<usize>>,
    nature: Nature,
    message: String,
    help: Option<String>,
    related: Option<(Range<usize>, String)>,
    hide: Hide,
}

impl Draft {
    /// Sets the correction.
    pub(crate) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a second place that belongs to it.
    pub(crate) fn related(&mut self, span: Range<usize>, label: impl Into<String>) -> &mut Self {
        self.related = Some((span, label.into()));
        self
    }

    /// Hides the value after the marked place.
    pub(crate) fn hide_behind(&mut self) -> &mut Self {
        self.hide = Hide::Behind;
        self
    }

    /// Hides the marked place itself.
    pub(crate) fn hide(&mut self) -> &mut Self {
        self.hide = Hide::From;
        self
    }

    /// Marks it as an absence, which is left out beside syntax mistakes, as these may be the reason.
    pub(crate) fn absence(&mut self) -> &mut Self {
        self.nature = Nature::Absence;
        self
    }
}

/// Collects mistakes while a file is read.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics(Vec<Draft>);

impl Diagnostics {
    /// A mistake at a place of the file (bytes).
    pub(crate) fn at(&mut self, span: Range<usize>, message: impl Into<String>) -> &mut Draft {
        self.push(Some(span), Nature::Wrong, Hide::Secrets, message.into())
    }

    /// A text above its maximum length.
    pub(crate) fn too_long(&mut self, span: Range<usize>, what: &str, longest: usize) {
        self.at(span, format!("{what} has more than {longest} characters")).help("choose a shorter one");
    }

    /// A mistake that is not in the file.
    pub(crate) fn elsewhere(&mut self, message: impl Into<String>) -> &mut Draft {
        self.push(None, Nature::Wrong, Hide::Secrets, message.into())
    }

    /// Text that is not TOML.
    pub(crate) fn syntax(&mut self, span: Range<usize>, message: impl Into<String>) -> &mut Draft {
        self.push(Some(span), Nature::Syntax, Hide::Value, message.into())
    }

    fn push(&mut self, span: Option<Range<usize>>, nature: Nature, hide: Hide, message: String) -> &mut Draft {
        self.0.push(Draft { span, nature, message, help: None, related: None, hide });
        self.0.last_mut().expect("it was just pushed")
    }

    /// Number of mistakes collected so far.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Puts a name in front of the mistakes collected since there were `before`.
    pub(crate) fn name_since(&mut self, before: usize, name: impl Fn() -> String) {
        for draft in self.0.iter_mut().skip(before) {
            draft.message = format!("{}: {}", name(), draft.message);
        }
    }

    /// Whether nothing has been collected.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `Err` with everything that was collected, `Ok` where there is nothing.
    pub(crate) fn finish(self, path: &Path, text: &str) -> Result<(), Mistakes> {
        if self.0.is_empty() {
            return Ok(());
        }
        let lines = Lines::of(text);
        let line_of = |d: &Draft| d.span.as_ref().map(|s| lines.line(s.start));
        let broken: std::collections::HashSet<usize> =
            self.0.iter().filter(|d| d.nature == Nature::Syntax).filter_map(line_of).collect();
        let mut drafts = self.0;
        // Beside a syntax mistake, mistakes of its line and absences are guesses.
        drafts.retain(|d| match d.nature {
            Nature::Syntax => true,
            Nature::Absence => broken.is_empty(),
            Nature::Wrong => line_of(d).is_none_or(|line| !broken.contains(&line)),
        });
        drafts.sort_by_key(|d| d.span.as_ref().map_or(usize::MAX, |s| s.start));
        let mut last_broken = None;
        drafts.retain(|d| d.nature != Nature::Syntax || std::mem::replace(&mut last_broken, line_of(d)) != line_of(d));
        let mut columns = Columns::default();
        let list = drafts.into_iter().enumerate().map(|(i, d)| lines.mistake(d, &mut columns, i < SHOWN)).collect();
        Err(Mistakes { path: path.to_owned(), list })
    }
}

/// The text cut into lines, so that a place is found without counting from the start each time.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect();
        Lines { text, starts }
    }

    /// The line of a byte, from 0.
    fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|&start| start <= at) - 1
    }

    fn mistake(&self, draft: Draft, columns: &mut Columns, is_shown: bool) -> Diagnostic {
        let place = draft.span.as_ref().map(|span| columns.place(self, floor(self.text, span.start)));
        let excerpt = draft.span.filter(|_| is_shown).and_then(|span| self.excerpt(span, draft.hide));
        let related = draft.related.filter(|_| is_shown);
        let related = related.and_then(|(span, label)| Some((self.excerpt(span, Hide::Secrets)?, label)));
        Diagnostic { place, message: draft.message, help: draft.help, excerpt, related }
    }

    /// The first line of `span`, masked; `None` where it can't be laid out.
    fn excerpt(&self, span: Range<usize>, hide: Hide) -> Option<Excerpt> {
        let line = self.line(span.start);
        let start = self.starts[line];
        let end = self.starts.get(line + 1).map_or(self.text.len(), |next| next - 1);
        let text = self.text[start..end].trim_end_matches('\r');
        if text.len() > LONGEST_LINE {
            return None;
        }
        let clip = |at: usize| floor(text, at.saturating_sub(start).min(text.len()));
        let (from, to) = (clip(span.start), clip(span.end));
        let masked = mask(text, from..to.max(from), hide);
        (masked.span.start <= FARTHEST_COLUMN).then(|| Excerpt { line: line + 1, masked: printable(&masked) })
    }
}

/// Counts the characters before places that come in file order, each only once: a file may be one long line.
#[derive(Debug, Default)]
struct Columns {
    line: usize,
    at: usize,
    before: usize,
}

impl Columns {
    fn place(&mut self, lines: &Lines<'_>, at: usize) -> Place {
        let line = lines.line(at);
        if line != self.line || at < self.at || self.at < lines.starts[line] {
            *self = Columns { line, at: lines.starts[line], before: 0 };
        }
        self.before += lines.text[self.at..at].chars().count();
        self.at = at;
        Place { line: line + 1, column: self.before + 1 }
    }
}

/// A line without its far end, with a visible sign for each character that is invisible or controls a terminal.
fn printable(masked: &Masked) -> Masked {
    let mut text = String::new();
    let mut span = None::<Range<usize>>;
    let mut behind = 0;
    for (at, c) in masked.text.char_indices() {
        if at >= masked.span.start {
            span.get_or_insert(text.len()..text.len());
            behind += 1;
        }
        if behind > LONGEST_EXCERPT {
            text.push_str("...");
            break;
        }
        text.push(if c != '\t' && is_unseen(c) { char::REPLACEMENT_CHARACTER } else { c });
        if let Some(span) = span.as_mut().filter(|_| at < masked.span.end) {
            span.end = text.len();
        }
    }
    Masked { span: span.unwrap_or(text.len()..text.len()), text }
}

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_come_in_file_order_with_line_column_and_advice() {
        let text = "a = 1\nbé = 2\n";
        let mut drafts = Diagnostics::default();
        drafts.elsewhere("the environment is wrong");
        drafts.at(12..13, "two is wrong").help("write 3").related(0..1, "see here");
        drafts.at(4..5, "one is wrong");
        let mistakes = drafts.finish(Path::new("tenants.toml"), text).unwrap_err();
        let places: Vec<_> = mistakes.list().iter().map(|m| m.place).collect();
        assert_eq!(places, [Some(Place { line: 1, column: 5 }), Some(Place { line: 2, column: 6 }), None]);
        insta::assert_snapshot!(mistakes.render(false), @r"
        error: one is wrong
         --> tenants.toml:1:5
          |
        1 | a = 1
          |     ^

        error: two is wrong
         --> tenants.toml:2:6
          |
        2 | bé = 2
          |      ^
          |
         ::: tenants.toml:1:1
          |
        1 | a = 1
          | - see here
          |
          = help: write 3

        error: the environment is wrong

        tenants.toml: 3 mistakes; nothing was started
        ");
    }

    #[test]
    fn of_mistakes_in_the_same_words_three_are_shown_and_the_lines_of_the_others_named() {
        let text = "x = 1\n".repeat(40);
        let mut drafts = Diagnostics::default();
        for line in 0..39 {
            drafts.at(line * 6..line * 6 + 1, "x is wrong").help("leave it out");
        }
        drafts.at(39 * 6..39 * 6 + 1, "the last x is wrong");
        let shown = drafts.finish(Path::new("tenants.toml"), &text).unwrap_err().render(false);
        assert_eq!(shown.matches("error: x is wrong").count(), 3, "{shown}");
        assert_eq!(shown.matches("error: the last x is wrong").count(), 1, "{shown}");
        let rest = "... and 36 more of these, in lines 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, ...\n";
        assert!(shown.contains(rest) && shown.ends_with("tenants.toml: 40 mistakes; nothing was started"), "{shown}");
    }

    /// The renderer panics on widths beyond 65,535, and lets some invisible characters through.
    #[test]
    fn a_line_that_is_long_or_steers_a_terminal_can_be_shown() {
        let text = format!(
            "a = {}\nb\u{85}\u{200b}é = 2 # {}\n{}c = 3\n",
            "x".repeat(1_000_000),
            "y".repeat(70_000),
            " ".repeat(70_000)
        );
        let (b, c) = (text.find('b').unwrap(), text.find('c').unwrap());
        let mut drafts = Diagnostics::default();
        drafts.syntax(4..1_000_004, "this is no value");
        drafts.at(b..b + 8, "b is wrong").help("mend it").related(0..1, "see here");
        drafts.at(c..c + 1, "c is wrong");
        let mistakes = drafts.finish(Path::new("tenants.toml"), &text).unwrap_err();
        let shown = mistakes.render(false);
        for place in ["tenants.toml:1:5", "tenants.toml:2:1", "tenants.toml:3:70001"] {
            assert!(shown.contains(place), "no {place} in {shown}");
        }
        assert!(shown.len() < 4_000 && shown.contains("b\u{fffd}\u{fffd}é = 2 # yyy"), "{shown}");
        assert!(shown.lines().any(|line| line.trim() == "| ^^^^"), "{shown}");
    }

    #[test]
    fn a_guess_beside_a_syntax_mistake_is_left_out() {
        let text = "a = \nb = 2\n";
        let mut drafts = Diagnostics::default();
        drafts.at(0..1, "guess about the broken line");
        drafts.at(5..6, "b is wrong");
        drafts.elsewhere("c is missing").absence();
        drafts.syntax(4..5, "no value");
        let mistakes = drafts.finish(Path::new("t"), text).unwrap_err();
        let messages: Vec<_> = mistakes.list().iter().map(|m| m.message.as_str()).collect();
        assert_eq!(messages, ["no value", "b is wrong"]);
    }
}
