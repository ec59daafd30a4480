//! `[[server]]`: limits that belong to servers, whichever waves their tenants are in.
//!
//! Rules only: each tenant is told of its cap, and a run of the windows.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::patterns::{Patterns, is_glob};
use super::waves;
use crate::inputs::{Diagnostics, Document, Reader};
use crate::model::tenant::Tenant;
use crate::model::text::suggestion;
use crate::policy::Window;

const KEYS: [&str; 3] = ["servers", "window", "per_server"];

/// One `[[server]]` of the file.
#[derive(Debug, Clone)]
pub(crate) struct ServerRule {
    /// The keys of the servers that it is for.
    servers: Patterns,
    /// The maintenance window of each of them.
    pub(crate) window: Option<Window>,
    /// The most tenants in flight on each of them.
    pub(crate) per_server: Option<NonZeroUsize>,
}

/// The rule of a server: the first that matches.
pub(crate) fn rule_of<'r>(rules: &'r [ServerRule], server: &str) -> Option<&'r ServerRule> {
    rules.iter().find(|rule| rule.servers.matches(server))
}

/// Reads all `[[server]]` tables.
pub(super) fn read(document: &Document<'_>, drafts: &mut Diagnostics) -> Vec<ServerRule> {
    let list = document.tables("server", drafts);
    let readers: Vec<Reader<'_, '_>> =
        list.iter().filter_map(|item| Reader::of(item, "[[server]]", &KEYS, drafts)).collect();
    readers.iter().map(|reader| rule(reader, drafts)).collect()
}

fn rule(reader: &Reader<'_, '_>, drafts: &mut Diagnostics) -> ServerRule {
    let servers = waves::patterns(reader, "servers", drafts);
    if !reader.has("servers") {
        let help = "say for which servers it is, as `status` prints them: servers = [\"db-1:5432\", \"eu-*\"]";
        drafts.at(reader.span.clone(), "this table names no server").help(help).absence();
    } else if servers.is_empty() {
        drafts.at(reader.at("servers"), "`servers` is empty, so that it is for no server").help("fill it or remove it");
    }
    if !reader.has("window") && !reader.has("per_server") {
        let help = "add: window = \"22:00-04:00 Europe/Berlin\", or per_server = 2";
        drafts.at(reader.span.clone(), "this table limits nothing").help(help).absence();
    }
    let per_server = reader.number("per_server", 1..=1_000_000, drafts).and_then(NonZeroUsize::new);
    ServerRule { servers, window: reader.window(drafts), per_server }
}

/// Tells each tenant of the cap of its server.
pub(super) fn tell(rules: &[ServerRule], tenants: &mut [Arc<Tenant>]) {
    for tenant in tenants.iter_mut().filter(|_| !rules.is_empty()) {
        if let Some(per_server) = rule_of(rules, &tenant.server).and_then(|rule| rule.per_server) {
            Arc::make_mut(tenant).per_server = Some(per_server);
        }
    }
}

/// Servers that no tenant is on: a misspelt one has no window at all.
pub(super) fn strangers(rules: &[ServerRule], tenants: &[Arc<Tenant>]) -> Vec<String> {
    let known: std::collections::BTreeSet<&str> = tenants.iter().map(|tenant| &*tenant.server).collect();
    let mut found = Vec::new();
    for rule in rules {
        let hit: std::collections::HashSet<usize> =
            known.iter().flat_map(|server| rule.servers.matching(server)).collect();
        for (_, text) in rule.servers.texts().iter().enumerate().filter(|(place, _)| !hit.contains(place)) {
            let near = suggestion(text, known.iter().copied()).filter(|_| !is_glob(text));
            let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            found.push(format!("[[server]] names {text}, and no tenant is on it{near}"));
        }
    }
    found
}
