//! Patterns for tenant ids: plain ids and globs.
//!
//! It knows only texts, so that a pattern means the same in waves and flags.

use std::collections::HashMap;

use globset::{Glob, GlobSet, GlobSetBuilder};

/// A list of patterns; each is an id or a glob (`*`, `?`, `[a-c]`, `{a,b}`). An id that looks like a glob matches
/// itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patterns {
    texts: Vec<String>,
    plain: HashMap<String, Vec<usize>>,
    globs: GlobSet,
    /// The place of each glob of the set among the patterns.
    glob_places: Vec<usize>,
}

/// An invalid glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{pattern}' is not a valid pattern: {reason}")]
pub(crate) struct BadPattern {
    pub(crate) pattern: String,
    pub(crate) reason: String,
}

impl Patterns {
    /// Compiles patterns.
    ///
    /// # Errors
    /// The first that is not a valid glob.
    pub(crate) fn new<I: IntoIterator<Item = T>, T: Into<String>>(patterns: I) -> Result<Self, BadPattern> {
        let mut made = Patterns { texts: patterns.into_iter().map(Into::into).collect(), ..Patterns::default() };
        let mut globs = GlobSetBuilder::new();
        for (i, text) in made.texts.iter().enumerate() {
            made.plain.entry(text.clone()).or_default().push(i);
            if is_glob(text) {
                let bad = |e: globset::Error| BadPattern { pattern: text.clone(), reason: e.kind().to_string() };
                globs.add(Glob::new(text).map_err(bad)?);
                made.glob_places.push(i);
            }
        }
        let too_large = |e: globset::Error| BadPattern { pattern: made.texts.join(", "), reason: e.kind().to_string() };
        made.globs = globs.build().map_err(too_large)?;
        Ok(made)
    }

    /// Whether any pattern matches.
    pub(crate) fn matches(&self, id: &str) -> bool {
        self.plain.contains_key(id) || self.globs.is_match(id)
    }

    /// The places of the matching patterns.
    pub(crate) fn matching(&self, id: &str) -> Vec<usize> {
        let mut places = self.plain.get(id).cloned().unwrap_or_default();
        places.extend(self.globs.matches(id).into_iter().map(|glob| self.glob_places[glob]));
        places
    }

    /// The patterns as they were written.
    pub(crate) fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Whether there are no patterns.
    pub(crate) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

/// Whether a pattern is more than an id.
pub(crate) fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?', '[', '{', '\\'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_globs() {
        let patterns = Patterns::new(["acme", "b-*", "x[1]"]).unwrap();
        for (id, expected) in
            [("acme", true), ("acme2", false), ("b-1/2", true), ("x1", true), ("x[1]", true), ("B-1", false)]
        {
            assert_eq!(patterns.matches(id), expected, "{id}");
        }
        assert_eq!(patterns.matching("b-7"), [1]);
    }

    #[test]
    fn a_bad_glob_is_named() {
        let bad = Patterns::new(["ok", "a[b"]).unwrap_err();
        assert_eq!(bad.pattern, "a[b");
        assert!(bad.to_string().contains("'a[b'"), "{bad}");
    }
}
