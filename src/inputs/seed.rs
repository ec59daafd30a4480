//! `[seed]`: the rules by which rows are generated.
//!
//! It comes from the file only, and the rules themselves are not read here.

use std::path::{Path, PathBuf};

use super::Diagnostics;
use super::document::{Document, Reader};

/// Reads `[seed]`: a path that starts at the folder of the tenant file.
pub(super) fn read(document: &Document<'_>, folder: &Path, drafts: &mut Diagnostics) -> Option<PathBuf> {
    let reader = Reader::of(document.root.get("seed")?, "[seed]", &["rules"], drafts)?;
    Some(folder.join(reader.text("rules", drafts)?))
}
