//! The operator's name for a run: `last`, an id, or the beginning or end of one.
//!
//! Pure: it does not look anything up.

use uuid::Uuid;

/// Minimum length of a part of an id, in characters.
const SHORTEST: usize = 4;

/// A selector for a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RunSelector {
    /// The newest run.
    Last,
    /// The run with this id.
    Exactly(Uuid),
    /// The run whose id begins or ends with this; lower-case, hyphens as in an id. Ids begin with the time, so those of
    /// one day share their beginning, and their ends differ.
    Part(String),
}

impl RunSelector {
    /// Parses a selector; `None` for a text that can't be part of an id, or is too short.
    pub(super) fn read(text: &str) -> Option<RunSelector> {
        let text = text.trim().to_ascii_lowercase();
        if text == "last" {
            return Some(RunSelector::Last);
        }
        if let Ok(run) = Uuid::parse_str(&text) {
            return Some(RunSelector::Exactly(run));
        }
        let is_part = text.len() >= SHORTEST && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        is_part.then_some(RunSelector::Part(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ids_and_parts_of_them() {
        let run = Uuid::from_u128(7);
        assert_eq!(RunSelector::read("last"), Some(RunSelector::Last));
        assert_eq!(RunSelector::read(&run.to_string().to_uppercase()), Some(RunSelector::Exactly(run)));
        assert_eq!(RunSelector::read("0193-AB"), Some(RunSelector::Part("0193-ab".into())));
        for bad in ["", "abc", "lastly", "12%4", "_____", "latest"] {
            assert_eq!(RunSelector::read(bad), None, "{bad:?}");
        }
    }
}
