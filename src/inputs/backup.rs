//! `[backup]`: the operator's own command that backs one tenant up.
//!
//! It comes from the file only: the environment never sets a command to run.

use super::Diagnostics;
use super::document::{Document, Reader};

/// Reads `[backup]`.
pub(super) fn read(document: &Document<'_>, drafts: &mut Diagnostics) -> Option<Vec<String>> {
    let item = document.root.get("backup")?;
    let reader = Reader::of(item, "[backup]", &["command"], drafts)?;
    let words = reader.texts("command", drafts)?;
    if words.first().is_none_or(|(program, _)| program.trim().is_empty()) {
        drafts
            .at(reader.at("command"), "`command` names no program")
            .help("write command = [\"program\", \"argument\"]");
        return None;
    }
    Some(words.into_iter().map(|(word, _)| word.to_owned()).collect())
}
