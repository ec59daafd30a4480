//! `[[wave]]`: ordered rules that divide the fleet; a tenant belongs to the first that matches, or else to the rest.
//!
//! Rules only: the selection decides which tenants a run takes.

use std::collections::{BTreeSet, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::bucket::{smallest_count, smallest_percent};
use super::patterns::{Patterns, is_glob};
use super::tenants::LONGEST_NAME;
use super::wave_order::WaveOrder;
use super::{gates, strata};
use crate::inputs::{Diagnostics, Document, Item, Reader, Variables};
use crate::model::tenant::Tenant;
use crate::model::text::suggestion;
use crate::model::transaction::TransactionScope;
use crate::policy::{FailureBudget, Gate, Window};

/// The name of the last wave: all tenants that no rule matched.
pub(crate) const REST: &str = "rest";

const KEYS: [&str; 17] = [
    "name",
    "tags",
    "tenants",
    "servers",
    "percent",
    "count",
    "stratified",
    "order",
    "concurrency",
    "per_server",
    "max_failures",
    "lock_timeout",
    "transaction",
    "online",
    "window",
    "depends_on",
    "gate",
];

/// One wave of the file.
#[derive(Debug, Clone)]
pub(crate) struct WaveRule {
    /// Unique in its fleet, never [`REST`].
    pub(crate) name: String,
    /// Its members.
    pub(crate) members: Members,
    /// The order of its tenants; `None`: that of the file.
    pub(crate) order: Option<WaveOrder>,
    /// Tenants in flight in this wave.
    pub(crate) concurrency: Option<NonZeroUsize>,
    /// Of these, tenants on one server.
    pub(crate) per_server: Option<NonZeroUsize>,
    /// Its failure budget.
    pub(crate) max_failures: Option<FailureBudget>,
    /// Its lock timeout.
    pub(crate) lock_timeout: Option<Duration>,
    /// The extent of transactions on its tenants.
    pub(crate) transaction: Option<TransactionScope>,
    /// Whether its tenants get migrations in their online form.
    pub(crate) online: Option<bool>,
    /// Its maintenance window.
    pub(crate) window: Option<Window>,
    /// The waves that it waits for; `None`: all before it.
    pub(crate) depends_on: Option<Vec<String>>,
    /// The gate between it and the next one.
    pub(crate) gate: Option<Gate>,
}

/// The members of a wave: the tenants that any of the parts picks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members {
    /// Tenants that carry all of these tags. Empty: this part picks none.
    pub(crate) tags: Vec<(String, String)>,
    /// Tenants with these ids.
    pub(crate) tenants: Patterns,
    /// Tenants on these servers.
    pub(crate) servers: Patterns,
    /// This share of all tenants of the file, 0 to 100, by a stable number of their ids; at least one above 0.
    pub(crate) percent: Option<u8>,
    /// This many of all tenants of the file, by the same number.
    pub(crate) count: Option<usize>,
    /// Whether a tenant is added for each engine and server that would have none, of those that no earlier wave has.
    pub(crate) stratified: bool,
    /// Whether a tenant is added for each start version, too: they are read for it.
    pub(crate) versions: bool,
}

impl Members {
    /// Marks the tenants of the file that belong to it, in the same order.
    pub(crate) fn pick(&self, tenants: &[Arc<Tenant>]) -> Vec<bool> {
        let carries = |t: &Tenant| {
            !self.tags.is_empty() && self.tags.iter().all(|(key, value)| t.tags.get(key).is_some_and(|v| v == value))
        };
        let is_named = |t: &Tenant| self.tenants.matches(t.id.as_str()) || self.servers.matches(&t.server);
        let mut picked: Vec<bool> = tenants.iter().map(|t| carries(t) || is_named(t)).collect();
        if self.percent.is_some() || self.count.is_some() {
            let ids: Vec<&str> = tenants.iter().map(|t| t.id.as_str()).collect();
            let percent = self.percent.map(|percent| smallest_percent(&ids, percent));
            let count = self.count.map(|count| smallest_count(&ids, count));
            for more in [percent, count].into_iter().flatten() {
                picked.iter_mut().zip(more).for_each(|(picked, more)| *picked |= more);
            }
        }
        picked
    }
}

impl WaveRule {
    /// A warning for a wave that can never have a tenant: a spelling mistake can silently empty a canary.
    pub(crate) fn why_empty(&self, tenants: &[Arc<Tenant>]) -> Option<String> {
        let members = &self.members;
        if members.pick(tenants).contains(&true) || members.stratified {
            return None;
        }
        let mut reasons: Vec<String> = lacking(&members.tags, tenants).into_iter().collect();
        let (globs, ids): (Vec<&str>, Vec<&str>) =
            members.tenants.texts().iter().map(|t| &**t).partition(|t| is_glob(t));
        if !globs.is_empty() {
            reasons.push(format!("no tenant matches {}", globs.join(" or ")));
        }
        if !ids.is_empty() {
            reasons.push("the tenants it names are not in the file".to_owned());
        }
        if !members.servers.is_empty() {
            reasons.push(format!("no tenant is on {}", members.servers.texts().join(" or ")));
        }
        if reasons.is_empty() && members.percent == Some(0) {
            reasons.push("its percent is 0".to_owned());
        }
        Some(format!("wave {} takes no tenant: {}", self.name, reasons.join(", and ")))
    }
}

/// The wave of each tenant, by its place: the first rule that matches, or else the rest, which comes after all rules.
pub(crate) fn places(rules: &[WaveRule], tenants: &[Arc<Tenant>]) -> Vec<usize> {
    let mut places = vec![rules.len(); tenants.len()];
    for (place, rule) in rules.iter().enumerate() {
        let free: Vec<bool> = places.iter().map(|at| *at == rules.len()).collect();
        let mut picked = rule.members.pick(tenants);
        if rule.members.stratified {
            strata::complete(&mut picked, &free, tenants);
        }
        let taken = places.iter_mut().zip(picked.into_iter().zip(free)).filter(|(_, (picked, free))| *picked && *free);
        taken.for_each(|(at, _)| *at = place);
    }
    places
}

/// Warnings of waves all of whose tenants belong to earlier ones: a rollout would go on without them.
pub(super) fn taken_before(rules: &[WaveRule], tenants: &[Arc<Tenant>]) -> Vec<String> {
    let places = places(rules, tenants);
    let warning = |(place, rule): (usize, &WaveRule)| {
        let picked = rule.members.pick(tenants).into_iter().filter(|picked| *picked).count();
        let is_empty = picked > 0 && !places.contains(&place);
        is_empty.then(|| format!("wave {} takes no tenant: earlier waves have all that it picks ({picked})", rule.name))
    };
    rules.iter().enumerate().filter_map(warning).collect()
}

/// The reason why no tenant has all of these tags.
fn lacking(tags: &[(String, String)], tenants: &[Arc<Tenant>]) -> Option<String> {
    let known: HashSet<(&String, &String)> = tenants.iter().flat_map(|t| &t.tags).collect();
    let texts = |tags: &[(String, String)]| tags.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>();
    let Some((key, value)) = tags.iter().find(|(key, value)| !known.contains(&(key, value))) else {
        return (!tags.is_empty()).then(|| format!("no tenant has all of the tags {}", texts(tags).join(", ")));
    };
    let (wrong, mut known) = (format!("{key}={value}"), known.into_iter().collect::<Vec<_>>());
    // Sorted, so that of equally near tags the same one is always named.
    known.sort_unstable();
    let known: Vec<String> = known.into_iter().map(|(k, v)| format!("{k}={v}")).collect();
    let near = suggestion(&wrong, known.iter().map(String::as_str));
    let near = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
    Some(format!("no tenant has the tag {wrong}{near}"))
}

/// Reads all `[[wave]]` tables.
pub(crate) fn read(document: &Document<'_>, variables: &Variables, drafts: &mut Diagnostics) -> Vec<WaveRule> {
    let mut waves = Vec::new();
    let mut names = std::collections::HashMap::new();
    for item in document.tables("wave", drafts) {
        let Some(reader) = Reader::of(item, "[[wave]]", &KEYS, drafts) else { continue };
        let name = name(&reader, drafts);
        if let (Some(name), Some(at)) = (&name, reader.item("name").map(Item::span))
            && let Some(first) = names.insert(name.clone(), at.clone())
        {
            drafts.at(at, format!("a second wave has the name `{name}`")).related(first, "the first is here");
        }
        let gate = gates::read(&reader, (document, variables), drafts);
        let depends_on = depends_on(&reader, &waves, drafts);
        waves.push(WaveRule { gate, depends_on, ..rule(&reader, name.unwrap_or_default(), drafts) });
    }
    waves
}

/// The waves that a wave waits for, which come before it.
fn depends_on(reader: &Reader<'_, '_>, before: &[WaveRule], drafts: &mut Diagnostics) -> Option<Vec<String>> {
    let names = reader.names("depends_on", drafts)?;
    for (name, at) in names.iter().filter(|(name, _)| before.iter().all(|wave| wave.name != *name)) {
        let draft = drafts.at(at.clone(), format!("`depends_on` names `{name}`, which is no wave before this one"));
        match suggestion(name, before.iter().map(|wave| wave.name.as_str())) {
            Some(near) => draft.help(format!("did you mean `{near}`?")),
            None => draft.help("name waves that stand above it; waves run in the order of the file"),
        };
    }
    Some(names.into_iter().map(|(name, _)| name.to_owned()).collect())
}

/// The waves that each wave waits for, by its place, with those that they wait for themselves; the rest waits for all.
pub(crate) fn waits_for(rules: &[WaveRule]) -> Vec<BTreeSet<String>> {
    let mut all: Vec<BTreeSet<String>> = Vec::new();
    for (place, rule) in rules.iter().enumerate() {
        let of_name = |name: &String| rules[..place].iter().position(|other| other.name == *name);
        let direct: Vec<usize> = match &rule.depends_on {
            Some(names) => names.iter().filter_map(of_name).collect(),
            None => (0..place).collect(),
        };
        let names = direct.iter().flat_map(|&other| all[other].iter().chain([&rules[other].name]));
        let names = names.cloned().collect();
        all.push(names);
    }
    all.push(rules.iter().map(|rule| rule.name.clone()).collect());
    all
}

fn name(reader: &Reader<'_, '_>, drafts: &mut Diagnostics) -> Option<String> {
    if !reader.has("name") {
        drafts.at(reader.span.clone(), "this wave has no name").help("add: name = \"canary\"").absence();
    }
    let name = reader.text("name", drafts)?;
    let at = reader.at("name");
    if name.trim().is_empty() {
        drafts.at(at, "the name of this wave is empty").help("write: name = \"canary\"");
        return None;
    }
    if name.chars().nth(LONGEST_NAME).is_some() {
        drafts.too_long(at, "the name of this wave", LONGEST_NAME);
        return None;
    }
    if name == REST {
        let help = "choose another name; all tenants that no wave matches are the wave \"rest\"";
        drafts.at(at, "the name `rest` is taken by the last wave").help(help);
        return None;
    }
    Some(name.to_owned())
}

fn rule(reader: &Reader<'_, '_>, name: String, drafts: &mut Diagnostics) -> WaveRule {
    let members = ["tags", "tenants", "servers", "percent", "count", "stratified"];
    if !members.iter().any(|key| reader.has(key)) {
        let help = "say which tenants it takes: tags = { ring = \"canary\" }, tenants = [\"acme\"], servers = [\"eu-1\"], \
                    percent = 5, count = 2 or stratified = true";
        drafts.at(reader.span.clone(), "this wave has no members").help(help).absence();
    }
    for key in ["tags", "tenants", "servers"] {
        if let Some(item) = reader.item(key).filter(|item| is_empty(item)) {
            let message = format!("`{key}` is empty, so that it picks no tenant");
            drafts.at(item.span(), message).help("fill it or remove it");
        }
    }
    let strata = stratified(reader, drafts);
    let members = Members {
        tags: reader.labels("tags", drafts).unwrap_or_default(),
        tenants: patterns(reader, "tenants", drafts),
        servers: patterns(reader, "servers", drafts),
        percent: reader.number("percent", 0..=100, drafts),
        count: reader.number("count", 1..=i64::from(u32::MAX), drafts),
        stratified: strata.is_some(),
        versions: strata == Some(VERSIONS),
    };
    let cap = |key, drafts: &mut _| reader.number(key, 1..=1_000_000, drafts).and_then(NonZeroUsize::new);
    WaveRule {
        name,
        members,
        order: order(reader, drafts),
        concurrency: cap("concurrency", drafts),
        per_server: cap("per_server", drafts),
        max_failures: reader.budget("max_failures", drafts),
        lock_timeout: reader.duration("lock_timeout", false, drafts),
        transaction: reader.transaction(drafts),
        online: reader.boolean("online", drafts),
        window: reader.window(drafts),
        depends_on: None,
        gate: None,
    }
}

/// The word for waves that have start versions among their strata.
const VERSIONS: &str = "versions";

/// `stratified`: true, false, or [`VERSIONS`]; `None`: it is not.
fn stratified(reader: &Reader<'_, '_>, drafts: &mut Diagnostics) -> Option<&'static str> {
    let item = reader.item("stratified")?;
    match (item.get_ref().as_bool(), item.get_ref().as_str()) {
        (Some(is), _) => is.then_some("places"),
        (None, Some(VERSIONS)) => Some(VERSIONS),
        _ => {
            let draft = drafts.at(item.span(), format!("`stratified` must be true, false or \"{VERSIONS}\""));
            draft.help("true: a tenant of each engine and server; \"versions\": and of each start version, which are read for it");
            None
        }
    }
}

/// A list of names and globs.
pub(super) fn patterns(reader: &Reader<'_, '_>, key: &str, drafts: &mut Diagnostics) -> Patterns {
    let texts = reader.names(key, drafts).unwrap_or_default();
    for (text, at) in &texts {
        if let Err(bad) = Patterns::new([*text]) {
            drafts.at(at.clone(), bad.to_string()).help("a pattern is a name or a glob: acme, b-*, {a,b}-?");
        }
    }
    Patterns::new(texts.into_iter().map(|(text, _)| text)).unwrap_or_default()
}

fn order(reader: &Reader<'_, '_>, drafts: &mut Diagnostics) -> Option<WaveOrder> {
    let text = reader.text("order", drafts)?;
    let order = text.parse().ok();
    if order.is_none() {
        let help = "write order = \"id\", order = \"largest\", or order = \"tag:KEY\" for the value of a tag";
        drafts.at(reader.at("order"), format!("`{text}` is no order of tenants")).help(help);
    }
    order
}

fn is_empty(item: &Item<'_>) -> bool {
    let value = item.get_ref();
    value.as_array().is_some_and(|list| list.is_empty()) || value.as_table().is_some_and(|table| table.is_empty())
}
