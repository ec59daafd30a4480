//! The TOML text with the place of every value, and readers that record a mistake instead of giving up.
//!
//! It knows TOML and types, not what the keys of a tenant file mean.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::database_url::{Expanded, UrlProblem, expand};
use super::form::Form;
use super::{Diagnostics, Variables};
use crate::model::text::{suggestion, unprintable};
use crate::model::transaction::TransactionScope;
use crate::policy::{FailureBudget, Window, parse_duration};

/// A value and where it is.
pub(crate) type Item<'d> = Spanned<DeValue<'d>>;

/// A parsed text.
pub(crate) struct Document<'d> {
    /// The text itself, its mistakes included.
    pub(crate) text: &'d str,
    /// The part of it that could be parsed.
    pub(crate) root: DeTable<'d>,
}

/// Maximum number of times a text is repaired and parsed again, to find mistakes after a syntax error.
const ROUNDS: usize = 20;

/// The longest key and value of a tag, in characters.
const LONGEST_LABEL: usize = 256;

/// Maximum length of an unknown key in messages, in characters.
const LONGEST_KEY: usize = 60;

/// Parses `text` and passes on every part that could be parsed. Each syntax mistake becomes a draft; lines with one are
/// left out.
pub(crate) fn with_document<T>(
    text: &str,
    drafts: &mut Diagnostics,
    then: impl FnOnce(&Document<'_>, &mut Diagnostics) -> T,
) -> T {
    let (root, mut errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return then(&Document { text, root: root.into_inner() }, drafts);
    }
    let mut mended = text.to_owned();
    let mut round = 0;
    loop {
        round += 1;
        let mut progress = false;
        for error in &errors {
            let at = error.span().map_or(0, |span| span.start);
            note_syntax(error, drafts);
            progress |= mend(&mut mended, at);
        }
        let (root, more) = DeTable::parse_recoverable(&mended);
        if more.is_empty() || !progress || round == ROUNDS {
            return then(&Document { text, root: root.into_inner() }, drafts);
        }
        errors = more;
    }
}

fn note_syntax(error: &toml::de::Error, drafts: &mut Diagnostics) {
    let message = error.message();
    let help = match message {
        m if m.contains("quoted") => Some("put the value in quotes: key = \"value\""),
        m if m.contains("duplicate key") => Some("keep one of the two"),
        m if m.contains("no value") => Some("write: key = value"),
        m if m.contains("invalid basic string") => Some("a text ends with the quote it began with"),
        _ => None,
    };
    let draft = drafts.syntax(error.span().unwrap_or(0..0), message);
    if let Some(help) = help {
        draft.help(help);
    }
}

/// Blanks the line at `at` without moving any other; a table header becomes that of an unread table, so that the keys
/// below it do not fall to the table above. Returns whether there was anything to blank.
fn mend(text: &mut String, at: usize) -> bool {
    const NOBODY: &str = "[[_]]";
    let at = at.min(text.len().saturating_sub(1));
    let start = text.as_bytes()[..at].iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let end = text.as_bytes()[start..].iter().position(|b| *b == b'\n').map_or(text.len(), |i| start + i);
    let line = text[start..end].trim();
    if line.is_empty() || line == NOBODY {
        return false;
    }
    let keep = if line.starts_with('[') && end - start >= NOBODY.len() { NOBODY } else { "" };
    // Not by a width in `format!`: its maximum is 65,535.
    text.replace_range(start..end, &format!("{keep}{}", " ".repeat(end - start - keep.len())));
    true
}

impl<'d> Document<'d> {
    /// Expands the variables in `text`, which is the value of `item`, and records those that can't be expanded.
    pub(crate) fn expand(
        &self,
        item: &Item<'_>,
        text: &str,
        variables: &Variables,
        drafts: &mut Diagnostics,
    ) -> Option<Expanded> {
        let note = |(problem, part): (UrlProblem, _)| {
            drafts.at(self.within(item, part), problem.message).help(problem.help);
        };
        expand(text, variables).map_err(|problems| problems.into_iter().for_each(note)).ok()
    }

    /// The tables of a list, `[[kind]]`; anything else in its place is noted.
    pub(crate) fn tables(&self, kind: &str, drafts: &mut Diagnostics) -> &[Item<'d>] {
        let Some(item) = self.root.get(kind) else { return &[] };
        let Some(list) = item.get_ref().as_array() else {
            let help = format!("write [[{kind}]], with two brackets");
            drafts.at(item.span(), format!("`{kind}` must be a list of tables")).help(help);
            return &[];
        };
        list
    }

    /// The place of `part` inside the text of a string value; the whole value where its spelling hides that place.
    pub(crate) fn within(&self, item: &Item<'_>, part: Range<usize>) -> Range<usize> {
        let span = item.span();
        let spelled = self.text.get(span.start + 1..span.end.saturating_sub(1));
        match item.get_ref().as_str() {
            Some(value) if spelled == Some(value) => span.start + 1 + part.start..span.start + 1 + part.end,
            _ => span,
        }
    }
}

/// Reads one table. Every getter notes its mistakes and returns `None` for them.
pub(crate) struct Reader<'a, 'd> {
    table: &'a DeTable<'d>,
    /// The header or inline table, as the place of missing keys.
    pub(crate) span: Range<usize>,
    /// Whether values must never be shown.
    secret: bool,
}

impl<'a, 'd> Reader<'a, 'd> {
    /// Reads `item` as a table and notes its unknown keys. `what` names it in texts: `[fleet]`.
    pub(crate) fn of(item: &'a Item<'d>, what: &str, known: &[&str], drafts: &mut Diagnostics) -> Option<Self> {
        let Some(table) = item.get_ref().as_table() else {
            drafts.at(item.span(), format!("{what} must be a table, not {}", article(item)));
            return None;
        };
        for key in table.keys().filter(|key| !known.contains(&&**key.get_ref())) {
            unknown_key(key, what, known, drafts);
        }
        Some(Reader { table, span: item.span(), secret: false })
    }

    /// As [`Reader::of`], for a table whose values must never be shown.
    pub(crate) fn of_secret(item: &'a Item<'d>, what: &str, known: &[&str], drafts: &mut Diagnostics) -> Option<Self> {
        Self::of(item, what, known, drafts).map(|reader| Reader { secret: true, ..reader })
    }

    /// Whether the table has this key, right or wrong.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Number of keys.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// The value of a key, whatever its type.
    pub(crate) fn item(&self, key: &str) -> Option<&'a Item<'d>> {
        self.table.get(key)
    }

    /// The place of a key's value, or of the table where it has none.
    pub(crate) fn at(&self, key: &str) -> Range<usize> {
        self.item(key).map_or(self.span.clone(), Item::span)
    }

    /// The value of a key, if `get` accepts it.
    fn typed<T>(
        &self,
        key: &str,
        wanted: &str,
        drafts: &mut Diagnostics,
        get: impl FnOnce(&'a DeValue<'d>) -> Option<T>,
    ) -> Option<T> {
        let item = self.item(key)?;
        let value = get(item.get_ref());
        if value.is_none() {
            self.wrong_type(item, key, wanted, drafts);
        }
        value
    }

    /// A text without control characters.
    pub(crate) fn text(&self, key: &str, drafts: &mut Diagnostics) -> Option<&'a str> {
        let text = self.typed(key, "a text in quotes", drafts, DeValue::as_str)?;
        let Some(found) = unprintable(text) else { return Some(text) };
        let draft = drafts.at(self.at(key), format!("`{key}` holds the unprintable character {found}"));
        draft.help("remove it");
        if self.secret {
            draft.hide();
        }
        None
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, key: &str, drafts: &mut Diagnostics) -> Option<bool> {
        self.typed(key, "true or false, without quotes", drafts, DeValue::as_bool)
    }

    /// A whole number in a range.
    pub(crate) fn number<T: TryFrom<i64>>(
        &self,
        key: &str,
        range: RangeInclusive<i64>,
        drafts: &mut Diagnostics,
    ) -> Option<T> {
        let (least, most) = (range.start(), range.end());
        let words =
            if *most >= i64::from(u32::MAX) { format!("{least} or more") } else { format!("{least} to {most}") };
        self.typed(key, &format!("a whole number, {words}, without quotes"), drafts, |value| {
            integer(value).filter(|n| range.contains(n)).and_then(|n| T::try_from(n).ok())
        })
    }

    /// A failure budget: a number or a text.
    pub(crate) fn budget(&self, key: &str, drafts: &mut Diagnostics) -> Option<FailureBudget> {
        self.formed(key, Form::Budget, drafts)?.parse().ok()
    }

    /// A duration; `zero`: whether zero is allowed.
    pub(crate) fn duration(&self, key: &str, zero: bool, drafts: &mut Diagnostics) -> Option<Duration> {
        parse_duration(&self.formed(key, Form::Duration { zero }, drafts)?).ok()
    }

    /// `transaction`: what is committed together.
    pub(crate) fn transaction(&self, drafts: &mut Diagnostics) -> Option<TransactionScope> {
        TransactionScope::of(&self.formed("transaction", Form::Choice(TransactionScope::WORDS), drafts)?)
    }

    /// `window`: a maintenance window.
    pub(crate) fn window(&self, drafts: &mut Diagnostics) -> Option<Window> {
        self.formed("window", Form::Window, drafts)?.parse().ok()
    }

    /// One of these words.
    pub(crate) fn choice(&self, key: &str, words: &'static [&'static str], drafts: &mut Diagnostics) -> Option<String> {
        self.formed(key, Form::Choice(words), drafts)
    }

    fn formed(&self, key: &str, form: Form, drafts: &mut Diagnostics) -> Option<String> {
        let item = self.item(key)?;
        let note = |wanted| _ = drafts.at(item.span(), format!("`{key}` {wanted}"));
        form.read(item).map_err(note).ok()
    }

    /// A list of texts, each with its place.
    pub(crate) fn texts(&self, key: &str, drafts: &mut Diagnostics) -> Option<Vec<(&'a str, Range<usize>)>> {
        const WANTED: &str = "a list of texts: [\"a\", \"b\"]";
        let array = self.typed(key, WANTED, drafts, DeValue::as_array)?;
        let mut texts = Vec::with_capacity(array.len());
        for entry in array.iter() {
            match entry.get_ref().as_str() {
                Some(text) => texts.push((text, entry.span())),
                None => self.wrong_type(entry, key, WANTED, drafts),
            }
        }
        Some(texts)
    }

    /// As [`Reader::texts`], without those that hold control characters.
    pub(crate) fn names(&self, key: &str, drafts: &mut Diagnostics) -> Option<Vec<(&'a str, Range<usize>)>> {
        let mut texts = self.texts(key, drafts)?;
        texts.retain(|(text, at)| {
            let found = unprintable(text);
            if let Some(found) = &found {
                let message = format!("a text in `{key}` holds the unprintable character {found}");
                drafts.at(at.clone(), message).help("remove it");
            }
            found.is_none()
        });
        Some(texts)
    }

    /// A table of texts: `{ plan = "pro" }`; no key and no text is longer than [`LONGEST_LABEL`].
    pub(crate) fn labels(&self, key: &str, drafts: &mut Diagnostics) -> Option<Vec<(String, String)>> {
        let table = self.typed(key, "a table of texts: { plan = \"pro\" }", drafts, DeValue::as_table)?;
        let inner = Reader { table, span: self.at(key), secret: self.secret };
        let is_long = |text: &str| text.chars().nth(LONGEST_LABEL).is_some();
        let mut labels = Vec::with_capacity(table.len());
        for label in table.keys() {
            if let Some(found) = unprintable(label.get_ref()) {
                drafts.at(label.span(), format!("a key in `{key}` holds the unprintable character {found}"));
            } else if is_long(label.get_ref()) {
                drafts.too_long(label.span(), &format!("a key in `{key}`"), LONGEST_LABEL);
            } else if let Some(text) = inner.text(label.get_ref(), drafts) {
                if is_long(text) {
                    drafts.too_long(
                        inner.at(label.get_ref()),
                        &format!("`{}` in `{key}`", label.get_ref()),
                        LONGEST_LABEL,
                    );
                }
                labels.push((label.get_ref().to_string(), text.to_owned()));
            }
        }
        Some(labels)
    }

    fn wrong_type(&self, item: &Item<'_>, key: &str, wanted: &str, drafts: &mut Diagnostics) {
        let draft = drafts.at(item.span(), format!("`{key}` must be {wanted}, not {}", article(item)));
        if self.secret {
            draft.hide();
        }
    }
}

/// Records an unknown key. Its value may be a misspelt password, so it is not shown.
pub(crate) fn unknown_key(key: &Spanned<toml::de::DeString<'_>>, what: &str, known: &[&str], drafts: &mut Diagnostics) {
    let mut shown: String = key.get_ref().chars().take(LONGEST_KEY).collect();
    if shown.len() < key.get_ref().len() {
        shown.push_str("...");
    }
    let draft = drafts.at(key.span(), format!("unknown key `{}` in {what}", shown.escape_debug()));
    draft.hide_behind();
    match suggestion(key.get_ref(), known.iter().copied()) {
        Some(near) => draft.help(format!("did you mean `{near}`?")),
        None => draft.help(format!("{what} has: {}", known.join(", "))),
    };
}

/// An integer that fits.
pub(crate) fn integer(value: &DeValue<'_>) -> Option<i64> {
    let digits = value.as_integer()?;
    i64::from_str_radix(&digits.as_str().replace('_', ""), digits.radix()).ok()
}

/// The type of a value for a text: `a number`.
pub(crate) fn article(item: &Item<'_>) -> &'static str {
    match item.get_ref() {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "this number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_named() {
        assert_eq!(unprintable("acmé ✓"), None);
        assert_eq!(unprintable("a\0"), Some("U+0000".to_owned()));
        assert_eq!(unprintable("a\u{202E}b"), Some("U+202E".to_owned()));
    }
}
