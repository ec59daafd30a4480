//! `[migrations."NAME"]`: the time limits of single migrations, what they replace, the findings of `lint` that are allowed,
//! and whether they have their online form.
//!
//! The names are not checked here: that needs the program's migrations.

use std::collections::BTreeMap;

use super::Diagnostics;
use super::document::{Document, Reader, article};
use crate::model::text::unprintable;
use crate::policy::Limits;

const KEYS: [&str; 5] = ["lock_timeout", "statement_timeout", "replaces", "allow", "online"];

/// The time limit of a migration, the names of those that it replaces, and its suppressions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct OfMigration {
    pub(crate) limits: Limits,
    pub(crate) replaces: Vec<String>,
    /// The reason why a rule of `lint` does not count, by the rule.
    pub(crate) allow: BTreeMap<String, String>,
    /// Whether it is sent in its online form, whatever the tenant's setting.
    pub(crate) online: Option<bool>,
}

/// Reads all of them.
pub(super) fn read(document: &Document<'_>, drafts: &mut Diagnostics) -> BTreeMap<String, OfMigration> {
    let mut all = BTreeMap::new();
    let Some(item) = document.root.get("migrations") else { return all };
    let Some(table) = item.get_ref().as_table() else {
        drafts.at(item.span(), format!("`migrations` must be a table, not {}", article(item)));
        return all;
    };
    for (name, item) in table.iter() {
        if let Some(found) = unprintable(name.get_ref()) {
            drafts.at(name.span(), format!("this name holds the unprintable character {found}")).help("remove it");
            continue;
        }
        let what = format!("[migrations.\"{}\"]", name.get_ref());
        let Some(reader) = Reader::of(item, &what, &KEYS, drafts) else { continue };
        let lock = reader.duration("lock_timeout", false, drafts);
        let statement = reader.duration("statement_timeout", true, drafts);
        let replaces = reader.texts("replaces", drafts).unwrap_or_default();
        let replaces = replaces.into_iter().map(|(name, _)| name.to_owned()).collect();
        let allow: BTreeMap<String, String> = reader.labels("allow", drafts).unwrap_or_default().into_iter().collect();
        if let Some((rule, _)) = allow.iter().find(|(_, reason)| reason.trim().is_empty()) {
            let draft = drafts.at(reader.at("allow"), format!("`allow` of {rule} has no reason"));
            draft.help("write why it does no harm here: allow = { rule = \"the table is small\" }");
        }
        let (limits, online) = (Limits { lock, statement }, reader.boolean("online", drafts));
        all.insert(name.get_ref().to_string(), OfMigration { limits, replaces, allow, online });
    }
    all
}
