//! Groups of tenants with the same fault, so that it is shown once.
//!
//! Two messages are the same when only the tenant's own name or its database differs. Numbers and addresses are not
//! ignored: two ports are two causes.

use indexmap::IndexMap;

use crate::model::fault::{Fault, FaultClass};
use crate::model::tenant::TenantId;

/// A fault without the particulars of its tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Cause {
    pub(crate) class: FaultClass,
    /// The engine's code.
    pub(crate) code: Option<String>,
    /// The message with `<tenant>` and `<database>` in the place of those names.
    pub(crate) message: String,
}

impl Cause {
    /// The cause behind `fault` of `tenant`.
    pub(super) fn of(fault: &Fault, tenant: &TenantId) -> Self {
        Cause { class: fault.class, code: fault.code.clone(), message: anonymous(&fault.message, tenant) }
    }

    /// The text of a fault of one tenant, or of several when it is shared: only then without the tenant's names.
    pub(super) fn told(fault: &Fault, tenant: &TenantId, is_shared: bool) -> String {
        let cause = Cause::of(fault, tenant);
        cause.text(if is_shared { &cause.message } else { &fault.message })
    }

    /// `[42P07] relation "users" already exists`, and the class where there is no code.
    pub(super) fn text(&self, message: &str) -> String {
        match &self.code {
            Some(code) => format!("[{code}] {message}"),
            None => format!("[{}] {message}", self.class),
        }
    }
}

/// `message` with the tenant's id and the name of its database replaced.
pub(super) fn anonymous(message: &str, tenant: &TenantId) -> String {
    // A very short id is more often the name of something else, such as a table.
    let id = Some(tenant.as_str()).filter(|id| id.chars().count() > 2).unwrap_or_default();
    without_database(&without_word(message, id, "<tenant>"))
}

/// Replaces `word` as a whole word; an underscore counts as a word boundary, because of names like `app_acme`.
fn without_word(text: &str, word: &str, by: &str) -> String {
    if word.is_empty() {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for (at, _) in text.match_indices(word) {
        let beside = [text[..at].chars().next_back(), text[at + word.len()..].chars().next()];
        let is_alone = !beside.into_iter().flatten().any(char::is_alphanumeric);
        out.extend([&text[end..at], if is_alone { by } else { word }]);
        end = at + word.len();
    }
    out + &text[end..]
}

/// Replaces the quoted name that follows the word `database` or `schema`.
fn without_database(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find(['"', '\'', '`']) {
        let (before, quoted) = rest.split_at(open);
        let (quote, inside) = quoted.split_at(1);
        let Some((name, after)) = inside.split_once(quote) else { break };
        let word = before.trim_end().to_ascii_lowercase();
        let is_named = word.ends_with("database") || word.ends_with("schema");
        out.extend([before, quote, if is_named { "<database>" } else { name }, quote]);
        rest = after;
    }
    out + rest
}

/// Groups `items` by a key, in the order in which each key came first.
pub(super) fn group_by<T, K: Eq + std::hash::Hash>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> K,
) -> Vec<(K, Vec<T>)> {
    let mut groups: IndexMap<K, Vec<T>> = IndexMap::new();
    for item in items {
        groups.entry(key(&item)).or_default().push(item);
    }
    groups.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_names_are_ignored() {
        let anonymous = |m: &str, t: &str| super::anonymous(m, &TenantId::from(t));
        assert_eq!(anonymous("file /data/acme.db is gone", "acme"), "file /data/<tenant>.db is gone");
        assert_eq!(anonymous("role app_acme", "acme"), "role app_<tenant>");
        assert_eq!(anonymous("relation orders, a", "a"), "relation orders, a", "it may be the name of something else");
        assert_eq!(anonymous("database \"db_7\" does not exist", "x"), "database \"<database>\" does not exist");
        assert_eq!(anonymous("Unknown database 't7'", "x"), "Unknown database '<database>'");
        assert_eq!(anonymous("it's port 5432", "x"), "it's port 5432");
        assert_eq!(anonymous("aa a", ""), "aa a");
        assert_eq!(anonymous("aaaa aaa", "aaa"), "aaaa <tenant>");
        assert_eq!(anonymous("Zürich: éèê'", "éèê"), "Zürich: <tenant>'");
    }

    #[test]
    fn a_single_tenant_keeps_its_names() {
        let fault = Fault::with_code(FaultClass::UnknownDatabase, "1049", "Unknown database 'acme_prod'");
        let told = |is_shared| Cause::told(&fault, &TenantId::from("acme"), is_shared);
        assert_eq!(told(false), "[1049] Unknown database 'acme_prod'");
        assert_eq!(told(true), "[1049] Unknown database '<database>'");
    }

    #[test]
    fn groups_keep_the_order() {
        assert_eq!(group_by([3, 1, 4, 5], |n| n % 2), vec![(1, vec![3, 1, 5]), (0, vec![4])]);
    }
}
