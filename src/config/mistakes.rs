//! Mistakes in a tenant file: all of them at once, each with its line and what to write instead.
//!
//! Only masked excerpts are kept, so that no secret of the file can leave through an error.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::mask::{Hide, Masked, mask};

/// More mistakes than this are counted, not shown.
const SHOWN: usize = 50;

/// A place in the file; both numbers count from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One mistake.
#[derive(Debug, Clone)]
pub struct Mistake {
    /// Where it is; `None` when it is not in the file (an environment variable, a flag, the file itself).
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
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
pub struct Mistakes {
    path: PathBuf,
    list: Vec<Mistake>,
}

impl Mistakes {
    /// The mistakes, never none.
    pub fn list(&self) -> &[Mistake] {
        &self.list
    }

    /// The file they are in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file that can't be read at all.
    pub(crate) fn unreadable(path: &Path, message: String, help: &str) -> Self {
        let mistake = Mistake { place: None, message, help: Some(help.to_owned()), excerpt: None, related: None };
        Mistakes { path: path.to_owned(), list: vec![mistake] }
    }

    /// The text for people: file, line, column, the line itself, what to write instead. `styled` adds terminal colours.
    pub fn render(&self, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        let path = self.path.display().to_string();
        let mut out = String::new();
        for mistake in self.list.iter().take(SHOWN) {
            out.push_str(&renderer.render(&[mistake.group(&path)]));
            out.push_str("\n\n");
        }
        let count = self.list.len();
        if count > SHOWN {
            out.push_str(&format!("... and {} more\n\n", count - SHOWN));
        }
        out.push_str(&format!("{path}: {count} mistake{}; nothing was started", if count == 1 { "" } else { "s" }));
        out
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl Mistake {
    fn group<'a>(&'a self, path: &'a str) -> Group<'a> {
        let mut group = Group::with_title(Level::ERROR.primary_title(self.message.as_str()));
        if let Some(excerpt) = &self.excerpt {
            group = group.element(excerpt.snippet(path, AnnotationKind::Primary, None));
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

/// What a mistake says about its surroundings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    /// The text is not TOML.
    Syntax,
    /// Something is not there; perhaps only because of a syntax mistake nearby.
    Absence,
    /// Something that is there is wrong.
    Wrong,
}

/// A mistake while the file is still at hand.
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
    /// What to write instead.
    pub(crate) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// A second place that belongs to it.
    pub(crate) fn related(&mut self, span: Range<usize>, label: impl Into<String>) -> &mut Self {
        self.related = Some((span, label.into()));
        self
    }

    /// The value behind the marked place must not be shown.
    pub(crate) fn hide_behind(&mut self) -> &mut Self {
        self.hide = Hide::Behind;
        self
    }

    /// The marked place itself must not be shown.
    pub(crate) fn hide(&mut self) -> &mut Self {
        self.hide = Hide::From;
        self
    }

    /// It is about something that is not there, so it is left out beside syntax mistakes, which may be the reason.
    pub(crate) fn absence(&mut self) -> &mut Self {
        self.nature = Nature::Absence;
        self
    }
}

/// Collects mistakes while a file is read.
#[derive(Debug, Default)]
pub(crate) struct Drafts(Vec<Draft>);

impl Drafts {
    /// A mistake at a place of the file (bytes).
    pub(crate) fn at(&mut self, span: Range<usize>, message: impl Into<String>) -> &mut Draft {
        self.push(Some(span), Nature::Wrong, Hide::Secrets, message.into())
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
        // Beside a syntax mistake, what its line means and what seems to be missing are guesses.
        drafts.retain(|d| match d.nature {
            Nature::Syntax => true,
            Nature::Absence => broken.is_empty(),
            Nature::Wrong => line_of(d).is_none_or(|line| !broken.contains(&line)),
        });
        drafts.sort_by_key(|d| d.span.as_ref().map_or(usize::MAX, |s| s.start));
        let mut last_broken = None;
        drafts.retain(|d| d.nature != Nature::Syntax || std::mem::replace(&mut last_broken, line_of(d)) != line_of(d));
        let list = drafts.into_iter().map(|d| lines.mistake(d)).collect();
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

    fn mistake(&self, draft: Draft) -> Mistake {
        let place = draft.span.as_ref().map(|span| {
            let line = self.line(span.start);
            let before = &self.text[self.starts[line]..floor(self.text, span.start)];
            Place { line: line + 1, column: before.chars().count() + 1 }
        });
        let excerpt = draft.span.map(|span| self.excerpt(span, draft.hide));
        let related = draft.related.map(|(span, label)| (self.excerpt(span, Hide::Secrets), label));
        Mistake { place, message: draft.message, help: draft.help, excerpt, related }
    }

    /// The first line of `span`, masked.
    fn excerpt(&self, span: Range<usize>, hide: Hide) -> Excerpt {
        let line = self.line(span.start);
        let start = self.starts[line];
        let text = self.text[start..].lines().next().unwrap_or_default();
        let clip = |at: usize| floor(text, at.saturating_sub(start).min(text.len()));
        let (from, to) = (clip(span.start), clip(span.end));
        Excerpt { line: line + 1, masked: mask(text, from..to.max(from), hide) }
    }
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
        let mut drafts = Drafts::default();
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
    fn a_guess_beside_a_syntax_mistake_is_left_out() {
        let text = "a = \nb = 2\n";
        let mut drafts = Drafts::default();
        drafts.at(0..1, "guess about the broken line");
        drafts.at(5..6, "b is wrong");
        drafts.elsewhere("c is missing").absence();
        drafts.syntax(4..5, "no value");
        let mistakes = drafts.finish(Path::new("t"), text).unwrap_err();
        let messages: Vec<_> = mistakes.list().iter().map(|m| m.message.as_str()).collect();
        assert_eq!(messages, ["no value", "b is wrong"]);
    }
}
