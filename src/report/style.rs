//! The style of a text, and the escaping of text from elsewhere.
//!
//! The command line decides a [`Style`] once. Nothing here asks the terminal or the environment.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::model::program;
use crate::model::text::is_hidden;

/// The abilities of the place where a text will be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// Whether colours may be used.
    pub(crate) colour: bool,
    /// Whether characters beyond ASCII may be used for the drawing. Names keep their own characters either way.
    pub(crate) unicode: bool,
    /// The width in columns; less than [`Style::NARROWEST`] is ignored. `None` in a pipe or a file: there nothing is
    /// hidden, folded or cut for lack of room.
    pub(crate) width: Option<usize>,
}

impl Style {
    /// No text is laid out for fewer columns than this: some terminals say 0.
    pub(crate) const NARROWEST: usize = 60;

    /// The width of prose where no terminal width is known.
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

    /// The mark for omitted text.
    pub(super) fn ellipsis(&self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }

    /// The arrow between two versions.
    pub(super) fn arrow(&self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }

    /// Gives `text` a colour, where colours may be used.
    pub(super) fn paint(&self, tone: Tone, text: impl Into<String>) -> String {
        use anstyle::{AnsiColor, Style as Ansi};
        let text = text.into();
        let ansi = match tone {
            _ if !self.colour || text.is_empty() => return text,
            Tone::Plain => return text,
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Warning => AnsiColor::Yellow.on_default(),
            Tone::Bad => AnsiColor::Red.on_default(),
            Tone::Dim => Ansi::new().dimmed(),
            Tone::Bold => Ansi::new().bold(),
        };
        format!("{ansi}{text}{ansi:#}")
    }
}

/// The meaning of a colour. No meaning is conveyed by colour alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Tone {
    /// No colour.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Worth a look.
    Warning,
    /// Needs attention.
    Bad,
    /// Less important.
    Dim,
    /// A heading.
    Bold,
}

/// Escapes characters that could deceive a terminal or a reader: control characters, line breaks, escape sequences,
/// characters that change the writing direction or are invisible. `\n` stands for a line break, `\x1b` for ESC.
pub(crate) fn clean(text: &str) -> String {
    cleaned(text).into_owned()
}

/// As [`clean`], without a copy of a harmless text.
pub(super) fn cleaned(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_harmless) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match u8::try_from(c) {
            _ if is_harmless(c) => out.push(c),
            Ok(byte) if byte.is_ascii() => out.extend(std::ascii::escape_default(byte).map(char::from)),
            _ => out.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(out)
}

/// Whether a character may stand in a text as it is. Line breaks may not.
pub(super) fn is_harmless(c: char) -> bool {
    // Spaces of another kind look like a plain one, and no engine takes them for one.
    !is_hidden(c) && !matches!(c, '\u{a0}' | '\u{2007}' | '\u{202f}')
}

/// The columns that a text takes on a terminal.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// Cuts `text` to at most `columns` columns and ends what was cut with `mark`. Never cuts inside a character.
pub(super) fn shorten<'t>(text: impl Into<Cow<'t, str>>, columns: usize, mark: &str) -> Cow<'t, str> {
    let text = text.into();
    match columns.checked_sub(mark.width()) {
        _ if text.width() <= columns => text,
        Some(room) => format!("{}{mark}", head(&text, room).trim_end()).into(),
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

/// Breaks `text` into lines of at most `columns`: after a blank or a separator of names and paths, where the second
/// half of a line has one.
pub(super) fn fold(text: &str, columns: usize) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while rest.width() > columns.max(2) {
        let line = head(rest, columns.max(2));
        let end =
            line.rfind([' ', '_', '-', '/', '.', '?', '=', '&']).map(|at| at + 1).filter(|end| 2 * end > line.len());
        let (line, after) = rest.split_at(end.unwrap_or(line.len()));
        out.push_str(line.trim_end());
        out.push('\n');
        rest = after.trim_start();
    }
    out + rest
}

/// Sets one paragraph: lines of at most the style's width, each after `indent`, the last one marked when more than
/// `most` lines would be needed. The text is cleaned.
pub(crate) fn paragraph(text: &str, indent: &str, most: usize, style: &Style) -> String {
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

/// Sets a message for people, line by line: at most the width of the terminal, and where none is known, as it is. A command in it, which
/// begins with the name of this program or stands between backticks, stays on one line: it is copied. A line with an indent is not prose.
pub(crate) fn message(text: &str, style: &Style) -> String {
    use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};
    // A character of private use, which no message has; it is as wide as a blank.
    const BLANK: char = '\u{e000}';
    let Some(room) = style.room() else { return text.to_owned() };
    let options = Options::new(room)
        .wrap_algorithm(WrapAlgorithm::FirstFit)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .break_words(false);
    let begin = format!(": {} ", program::name());
    let whole = |line: &str| {
        let (mut out, mut rest) = (String::with_capacity(line.len()), line);
        while let Some(at) = [rest.find(&begin).map(|at| at + 2), rest.find('`')].into_iter().flatten().min() {
            let (before, command) = rest.split_at(at);
            let end = match command.strip_prefix('`') {
                Some(quoted) => Some(quoted.find('`').map_or(1, |end| end + 2)),
                None => [command.find("; "), command.find(" # ")].into_iter().flatten().min(),
            };
            let (command, after) = command.split_at(end.unwrap_or(command.len()));
            out.push_str(before);
            out.push_str(&command.replace(' ', BLANK.encode_utf8(&mut [0; 4])));
            rest = after;
        }
        out + rest
    };
    let set = |line: &str| match line.starts_with(' ') {
        true => line.to_owned(),
        false => textwrap::fill(&whole(line), &options).replace(BLANK, " "),
    };
    text.split('\n').map(set).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_set_to_the_width_and_its_commands_stay_whole() {
        let text = "warning: without a backup, left out: acme and beta, which are on a server that has no room for any; to make \
                    them: fleet backup --tenant acme --tenant beta --folder /srv/backups; or look with `fleet doctor --server \
                    db7.example:5432`\n    an excerpt of a file, however long it is, stays as it is on its own line\nit is it: fleet x";
        let at = |width| Style { colour: false, unicode: true, width };
        assert_eq!(message(text, &at(None)), text);
        let set = message(text, &at(Some(60)));
        let command = "fleet backup --tenant acme --tenant beta --folder /srv/backups;";
        assert!(set.lines().any(|line| line == command), "{set}");
        assert!(set.contains("`fleet doctor --server db7.example:5432`"), "{set}");
        let prose = set.lines().filter(|line| *line != command && !line.starts_with(' '));
        assert!(prose.clone().all(|line| width(line) <= 60) && prose.count() == 4, "{set}");
        assert_eq!(set.split_whitespace().collect::<Vec<_>>(), text.split_whitespace().collect::<Vec<_>>());
        let open = "warning: a mark ` that nobody closes, and then more words than any line of a terminal would take";
        assert!(message(open, &at(Some(60))).lines().all(|line| width(line) <= 60));
    }

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
    fn a_name_is_folded_behind_what_parts_it() {
        assert_eq!(fold("reporting_executive_metrics", 26), "reporting_executive_\nmetrics");
        assert_eq!(fold("/srv/fleet/data/brightwater-logistics.db", 34), "/srv/fleet/data/brightwater-\nlogistics.db");
        assert_eq!(fold("up to m2_tracking_by_warehouse", 16), "up to m2_\ntracking_by_\nwarehouse");
        assert_eq!(fold("a_nothingtobreakatinhere", 10), "a_nothingt\nobreakatin\nhere");
        assert_eq!(fold("東京都", 1), "東\n京\n都");
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
