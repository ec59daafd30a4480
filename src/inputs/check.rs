//! `[check]`: the differences of schemas that are of no interest.
//!
//! It comes from the file only, beside the tenants that it is about.

use super::Diagnostics;
use super::document::{Document, Reader};
use super::registry::Patterns;

/// Reads `[check]`: patterns on a difference's object (`view tmp_*`) or its title (`table orders: index tmp_*`).
pub(super) fn read(document: &Document<'_>, drafts: &mut Diagnostics) -> Vec<String> {
    let item = document.root.get("check");
    let Some(reader) = item.and_then(|item| Reader::of(item, "[check]", &["ignore"], drafts)) else {
        return Vec::new();
    };
    let mut ignore = Vec::new();
    for (text, at) in reader.names("ignore", drafts).unwrap_or_default() {
        match Patterns::new([text]) {
            Ok(_) => ignore.push(text.to_owned()),
            Err(bad) => drop(drafts.at(at, bad.to_string()).help("write a kind and a name: \"view tmp_*\"")),
        }
    }
    ignore
}
