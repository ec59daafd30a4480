//! The note at the head of a migration: its description, its status, its impact, and what is known to go wrong when it is
//! rolled back.
//!
//! A note is for people. Nothing that is sent to a tenant depends on it.

use serde::Serialize;

/// The note of one migration, as its author wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct MigrationNote {
    /// The first sentence of the comment.
    #[serde(skip)]
    pub(crate) description: Option<String>,
    /// The lines `status: TEXT`.
    pub(crate) status: Option<String>,
    /// The lines `impact: TEXT`.
    pub(crate) impact: Option<String>,
    /// The lines `rollback: TEXT`: known issues of the way down.
    pub(crate) rollback: Option<String>,
}

impl MigrationNote {
    /// The note in the comment lines at the head of a script, without fleet's directives.
    pub(crate) fn of_script(sql: &str) -> Self {
        let comments = sql.lines().map(str::trim).take_while(|line| line.is_empty() || line.starts_with("--"));
        let texts = comments.map(|line| line.trim_start_matches('-'));
        Self::of_lines(texts.filter(|text| !text.trim_start().starts_with("fleet:")))
    }

    /// The note in the `//!` lines of a Rust file.
    pub(crate) fn of_rust(source: &str) -> Self {
        let lines = source.lines().map(str::trim).skip_while(|line| line.is_empty());
        Self::of_lines(lines.map_while(|line| line.strip_prefix("//!")))
    }

    /// Adds what another note has and this one has not.
    pub(crate) fn or(self, other: Self) -> Self {
        MigrationNote {
            description: self.description.or(other.description),
            status: self.status.or(other.status),
            impact: self.impact.or(other.impact),
            rollback: self.rollback.or(other.rollback),
        }
    }

    /// A line that is indented by two spaces or more continues the one with the key before it.
    fn of_lines<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut note = Self::default();
        let (mut paragraph, mut is_over) = (String::new(), false);
        let mut key: Option<&str> = None;
        for line in lines {
            let text = line.trim();
            let keyed = text.split_once(':').filter(|(word, _)| note.slot(word).is_some());
            if let Some((word, rest)) = keyed {
                key = Some(word);
                note.add(word, rest.trim(), "; ");
            } else if let Some(word) = key.filter(|_| line.starts_with("  ") && !text.is_empty()) {
                note.add(word, text, " ");
            } else {
                key = None;
                is_over |= text.is_empty() && !paragraph.is_empty();
                if !is_over && !text.is_empty() {
                    paragraph.push_str(if paragraph.is_empty() { "" } else { " " });
                    paragraph.push_str(text);
                }
            }
        }
        let end = paragraph.find(". ").map_or(paragraph.len(), |at| at + 1);
        paragraph.truncate(end);
        note.description = Some(paragraph).filter(|text| !text.is_empty());
        note
    }

    fn slot(&mut self, key: &str) -> Option<&mut Option<String>> {
        match key.to_ascii_lowercase().as_str() {
            "status" => Some(&mut self.status),
            "impact" => Some(&mut self.impact),
            "rollback" => Some(&mut self.rollback),
            _ => None,
        }
    }

    fn add(&mut self, key: &str, text: &str, between: &str) {
        if let Some(slot) = self.slot(key).filter(|_| !text.is_empty()) {
            let before = slot.take().map(|before| before + between).unwrap_or_default();
            *slot = Some(before + text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_has_its_keys_and_the_first_sentence() {
        let sql = "-- fleet: no-transaction\n--\n-- Fills the table. In batches,\n-- of a thousand.\n-- Status: done\n\
                   -- rollback: the rows\n--   stay; see: the wiki\n-- rollback: views go\n-- impact:\nINSERT INTO a SELECT 1";
        let note = MigrationNote::of_script(sql);
        assert_eq!(note.description.as_deref(), Some("Fills the table."));
        assert_eq!(note.status.as_deref(), Some("done"));
        assert_eq!(note.rollback.as_deref(), Some("the rows stay; see: the wiki; views go"));
        assert_eq!(note.impact, None);
        assert_eq!(MigrationNote::of_script("SELECT 1 -- status: no\n"), MigrationNote::default());
        assert_eq!(MigrationNote::of_script("-- See the wiki:\n-- it has all\nSELECT 1").status, None);
        let rust = "//! v2: orders of\n//! all.\n//!\n//! More.\n//! impact: faster\n\n//! status: no\nuse a;";
        let note = MigrationNote::of_rust(rust);
        assert_eq!((note.description.as_deref(), note.impact.as_deref()), (Some("v2: orders of all."), Some("faster")));
        assert_eq!(note.status, None);
    }

    #[test]
    fn what_one_note_lacks_another_has() {
        let (up, down) = ("-- Up.\n-- status: done\nSELECT 1", "-- Down.\n-- rollback: slow\nSELECT 1");
        let note = MigrationNote::of_script(up).or(MigrationNote::of_script(down));
        let texts = (note.description.as_deref(), note.status.as_deref(), note.rollback.as_deref());
        assert_eq!(texts, (Some("Up."), Some("done"), Some("slow")));
    }
}
