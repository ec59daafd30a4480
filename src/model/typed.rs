//! Words of a command as a person types it in a shell.

use super::tenant::TenantId;

/// A word quoted for a shell.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// `--tenant` for exactly this tenant, with its id quoted for the shell, the command line and patterns.
pub(crate) fn tenant_flag(id: &TenantId) -> String {
    let word = quoted(&literal(id));
    if id.as_str().starts_with('-') { format!("--tenant={word}") } else { format!("--tenant {word}") }
}

/// The pattern that matches exactly this id.
pub(crate) fn literal(id: &TenantId) -> String {
    let literal = |c: char| if "*?[{}\\".contains(c) { format!("[{c}]") } else { c.to_string() };
    id.as_str().chars().map(literal).collect()
}
