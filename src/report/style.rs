//! How a text may look, and how text from elsewhere is made harmless before anyone reads it.
//!
//! The command line decides a [`Style`] once. Nothing here asks the terminal or the environment.

use std::fmt;
use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What the place where a text will be read can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// Whether colours may be used.
    pub(crate) colour: bool,
    /// Whether characters beyond ASCII may be used for the drawing. Names keep their own characters either way.
    pub(crate) unicode: bool,
    /// How many columns there are; less than [`Style::NARROWEST`] is not believed. `None` in a pipe or a file: there
    /// nothing is hidden, folded or cut for want of room.
    pub(crate) width: Option<usize>,
}

impl Style {
    /// No text is laid out for fewer columns than this: some terminals say 0.
    pub(crate) const NARROWEST: usize = 60;

    /// Lines of prose where no terminal says its width.
    const PROSE: usize = 120;

    /// The style of a file for machines and web pages.
    pub(crate) const FILE: Style = Style { colour: false, unicode: true, width: None };

    /// Without colours and drawing characters.
    #[cfg(test)]
    pub(super) fn plain(width: usize) -> Self {
        Style { colour: false, unicode: false, width: Some(width) }
    }

    /// The columns that a table may take; `None`: as many as it needs.
    pub(super) fn room(&self) -> Option<usize> {
        self.width.map(|width| width.max(Self::NARROWEST))
    }

    /// The columns to set prose for.
    pub(super) fn columns(&self) -> usize {
        self.room().unwrap_or(Self::PROSE)
    }

    /// What stands where text was left out.
    pub(super) fn ellipsis(&self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }

    /// The arrow between two versions.
    pub(super) fn arrow(&self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }

    /// Gives `text` a colour, where colours may be used.
    pub(super) fn paint(&self, tone: Tone, text: &str) -> String {
        use anstyle::{AnsiColor, Style as Ansi};
        let ansi = match tone {
            _ if !self.colour || text.is_empty() => return text.to_owned(),
            Tone::Plain => return text.to_owned(),
            Tone::Good => Ansi::new().fg_color(Some(AnsiColor::Green.into())),
            Tone::Warning => Ansi::new().fg_color(Some(AnsiColor::Yellow.into())),
            Tone::Bad => Ansi::new().fg_color(Some(AnsiColor::Red.into())),
            Tone::Dim => Ansi::new().dimmed(),
            Tone::Bold => Ansi::new().bold(),
        };
        format!("{ansi}{text}{ansi:#}")
    }
}

/// What a colour is to say. No meaning is told by colour alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Tone {
    /// No colour.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Worth a look.
    Warning,
    /// Someone must look.
    Bad,
    /// Of little weight.
    Dim,
    /// A heading.
    Bold,
}

/// Shows what a terminal or a reader could be fooled by: control characters, line breaks, escape sequences, characters
/// that turn the writing direction or that nobody sees. `\n` stands for a line break, `\x1b` for ESC.
///
/// The hidden characters are those of Unicode's security report (<https://www.unicode.org/reports/tr36/>) that change
/// how the text around them reads.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if is_harmless(c) => out.push(c),
            _ if c.is_ascii() => push(&mut out, format_args!("\\x{:02x}", u32::from(c))),
            _ => push(&mut out, format_args!("\\u{{{:x}}}", u32::from(c))),
        }
    }
    out
}

fn push(out: &mut String, text: fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String does not fail");
}

/// Whether a character may stand in a text as it is. Line breaks may not.
pub(super) fn is_harmless(c: char) -> bool {
    let deceives = matches!(u32::from(c),
        0x00AD | 0x061C | 0x180E | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0xFEFF | 0xFFF9..=0xFFFB
        | 0xE0000..=0xE007F);
    !c.is_control() && !deceives
}

/// The columns that a text takes on a terminal.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// Cuts `text` to at most `columns` columns and ends what was cut with `mark`. Never cuts inside a character.
pub(crate) fn shorten(text: &str, columns: usize, mark: &str) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    match columns.checked_sub(mark.width()) {
        Some(room) => format!("{}{mark}", head(text, room).trim_end()),
        None => mark.chars().take(columns).collect(),
    }
}

/// The beginning of `text` that fits into `columns`.
fn head(text: &str, columns: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += c.width().unwrap_or(0);
        used > columns
    });
    &text[..end.map_or(text.len(), |(at, _)| at)]
}

/// Sets one paragraph: lines of at most the style's width, each after `indent`, the last one marked when more than
/// `most` lines would be needed. The text is cleaned.
pub(super) fn paragraph(text: &str, indent: &str, most: usize, style: &Style) -> String {
    use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};
    let room = style.columns().saturating_sub(width(indent)).max(20);
    let cleaned = clean(text);
    let options = Options::new(room)
        .wrap_algorithm(WrapAlgorithm::FirstFit)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation);
    let mut lines = textwrap::wrap(cleaned.trim_end(), options);
    if lines.len() > most {
        lines.truncate(most);
        let last = lines.pop().unwrap_or_default();
        let room = room.saturating_sub(width(style.ellipsis()));
        lines.push(format!("{}{}", head(&last, room).trim_end(), style.ellipsis()).into());
    }
    lines.iter().map(|line| format!("{indent}{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_breaks_between_words_and_ends() {
        let style = Style { colour: false, unicode: true, width: Some(60) };
        let text = "relation \"orders\" already exists ".repeat(9);
        let set = paragraph(&text, "    ", 3, &style);
        assert_eq!(set.lines().count(), 3);
        assert!(set.lines().all(|l| width(l) <= 60 && l.starts_with("    ")), "{set}");
        assert!(set.ends_with("…\n"), "{set}");
        assert_eq!(paragraph("a\nb", "  ", 3, &style), "  a\\nb\n");
        assert_eq!(paragraph(&"x".repeat(61), "", 3, &style), format!("{}\nx\n", "x".repeat(60)));
        assert_eq!(paragraph("", "  ", 3, &style), "  \n");
    }

    #[test]
    fn nothing_that_steers_a_terminal_survives() {
        assert_eq!(clean("a\nb\r\tc"), "a\\nb\\r\\tc");
        assert_eq!(clean("\x1b[2J\x07\x7f\u{9b}31m"), "\\x1b[2J\\x07\\x7f\\u{9b}31m");
        assert_eq!(clean("acme\u{202e}gpj.exe\u{200b}"), "acme\\u{202e}gpj.exe\\u{200b}");
        assert_eq!(clean("Zürich 東京 C:\\x"), "Zürich 東京 C:\\x");
    }

    #[test]
    fn cuts_by_columns_and_between_characters() {
        assert_eq!(shorten("acme", 4, "…"), "acme");
        assert_eq!(shorten("acme-eu", 4, "…"), "acm…");
        assert_eq!(shorten("acme-eu", 6, "..."), "acm...");
        assert_eq!(shorten("東京都", 5, "…"), "東京…", "two columns each");
        assert_eq!(shorten("東京都", 4, "…"), "東…");
        assert_eq!(shorten("acme", 2, "..."), "..");
        assert_eq!(shorten("acme", 0, "…"), "");
    }

    #[test]
    fn colour_only_where_it_may_be() {
        let mut style = Style::plain(80);
        assert_eq!(style.paint(Tone::Bad, "x"), "x");
        style.colour = true;
        assert_eq!(style.paint(Tone::Bad, "x"), "\u{1b}[31mx\u{1b}[0m");
        assert_eq!(style.paint(Tone::Plain, "x"), "x");
    }
}
