//! Bytes in hex, invisible characters, excerpts of long texts, and the nearest known word for a misspelt one.

/// Bytes in lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first unprintable or invisible character, as text: `U+0007`.
pub(crate) fn unprintable(text: &str) -> Option<String> {
    text.chars().find(|&c| is_unseen(c)).map(|c| format!("U+{:04X}", u32::from(c)))
}

/// Whether this character is invisible, changes how the text around it reads, or looks different from font to font.
pub(crate) fn is_unseen(c: char) -> bool {
    is_hidden(c) || matches!(u32::from(c), 0xE000..=0xF8FF)
}

/// Whether this character is invisible or changes how the text around it reads: the control characters, and those of
/// Unicode's security report (<https://www.unicode.org/reports/tr36/>).
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0x00AD | 0x061C | 0x180E | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0xFEFF | 0xFFF9..=0xFFFB
            | 0xE0000..=0xE007F)
}

/// A text of at most `most` characters, with a mark where the rest was cut off.
pub(crate) fn excerpt(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

/// The known word that a misspelt one was probably meant to be.
pub(crate) fn suggestion<'k>(wrong: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let wrong = wrong.to_lowercase();
    let most = wrong.chars().count().div_ceil(3).clamp(1, 3);
    known
        .filter(|k| k.len().abs_diff(wrong.len()) <= 4 * most)
        .map(|k| (strsim::damerau_levenshtein(&wrong, &k.to_lowercase()), k))
        .filter(|&(distance, _)| distance <= most)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, k)| k)
}

/// The number of edits between a wrong name and a known one. Of a longer name the part counts that fits best, so that a
/// name without its number or its date is near.
pub(crate) fn distance(wrong: &str, known: &str) -> usize {
    let (wrong, known): (Vec<char>, Vec<char>) =
        (wrong.to_lowercase().chars().collect(), known.to_lowercase().chars().collect());
    let width = wrong.len().clamp(1, known.len().max(1));
    let parts = known.windows(width).map(|part| strsim::generic_damerau_levenshtein(&wrong, part));
    parts.min().unwrap_or(wrong.len())
}

/// Whether a word is close enough to a known one to be a misspelling of it: one slip in four characters.
pub(crate) fn is_slip(wrong: &str, known: &str) -> bool {
    4 * strsim::damerau_levenshtein(&wrong.to_lowercase(), &known.to_lowercase()) <= known.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slip_in_four_characters_is_a_misspelling() {
        assert!(is_slip("atempts", "attempts") && is_slip("Nane", "name") && is_slip("lok_timout", "lock_timeout"));
        assert!(!is_slip("home", "name") && !is_slip("stage", "outage"));
    }

    #[test]
    fn suggests_what_is_near_and_nothing_else() {
        let known = ["concurrency", "per_server", "name"];
        assert_eq!(suggestion("conncurrency", known.into_iter()), Some("concurrency"));
        assert_eq!(suggestion("Name", known.into_iter()), Some("name"));
        assert_eq!(suggestion("zebra", known.into_iter()), None);
    }
}
