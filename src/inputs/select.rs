//! The selection of a command: the tenants it takes, their waves, and the reason why every other tenant is left out.
//!
//! A pure function of the registry and the filter: it asks no database, and no tenant is dropped without a reason.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::inputs::Origin;
use crate::inputs::registry::{
    BadPattern, Patterns, REST, Registry, WaveOrder, bucket, places, smallest_percent, waits_for,
};
use crate::model::tenant::{Tenant, TenantId};
use crate::model::text::suggestion;
use crate::model::transaction::TransactionScope;
use crate::policy::{FailureBudget, Gate, Window};

/// The name of the wave that `--canary` takes and `--canary-percent` makes.
pub(crate) const CANARY: &str = "canary";

/// The flags that select tenants; without any: every tenant.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct Filter {
    /// Tenants by id or glob (repeatable)
    #[arg(short = 't', long = "tenant", value_name = "GLOB")]
    pub(crate) tenants: Vec<String>,
    /// Tenants by tag (repeatable: one key several times means any of the values, several keys mean all of them)
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = parse_tag)]
    pub(crate) tags: Vec<(String, String)>,
    /// Tenants on a server (repeatable)
    #[arg(long = "server", value_name = "SERVER")]
    pub(crate) servers: Vec<String>,
    /// Not these tenants (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Tenants of a wave (repeatable)
    #[arg(long, value_name = "WAVE")]
    pub(crate) wave: Vec<String>,
    /// Only the wave named "canary": no failure is allowed there, unless its max_failures says so, or --max-failures
    #[arg(long)]
    pub(crate) canary: bool,
    /// Only this share of the selected tenants, picked by a hash of their ids: the same ones each time. No failure is allowed
    /// among them, unless --max-failures says so
    #[arg(long, value_name = "PERCENT", conflicts_with = "canary")]
    pub(crate) canary_percent: Option<u8>,
    /// At most this many tenants, in plan order
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// One part of a fleet that several machines divide: hash:1/4
    #[arg(long, value_name = "hash:I/N")]
    pub(crate) partition: Option<Partition>,
    /// Only these, for a run that continues or repeats another; no flag.
    #[arg(skip)]
    pub(crate) only: Option<BTreeSet<TenantId>>,
    /// The waves of tenants in the run that is gone on with, which they keep where the file has a wave of that name; no flag.
    #[arg(skip)]
    pub(crate) recorded: BTreeMap<TenantId, String>,
    /// Whether it goes on with a run of a canary alone; no flag.
    #[arg(skip)]
    pub(crate) of_canary: bool,
}

impl Filter {
    /// Whether the canary is all that is taken.
    fn is_canary(&self) -> bool {
        let is_named = !self.wave.is_empty() && self.wave.iter().all(|name| name == CANARY);
        self.canary || self.canary_percent.is_some() || is_named || self.of_canary
    }
}

pub(crate) fn parse_tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, such as plan=pro".to_owned()),
    }
}

/// Part `index` of `of`; the parts of a fleet are disjoint and together all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Partition {
    index: u64,
    of: u64,
}

/// An invalid partition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a partition; write hash:1/4 for the first of four")]
pub(crate) struct BadPartition(pub(crate) String);

impl FromStr for Partition {
    type Err = BadPartition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.strip_prefix("hash:").and_then(|rest| rest.split_once('/'));
        let numbers = parts.and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((index, of)) if 1 <= index && index <= of => Ok(Partition { index, of }),
            _ => Err(BadPartition(text.to_owned())),
        }
    }
}

impl Partition {
    /// Whether this part has the tenant: `SHA-256(id)`, first 8 bytes big endian, modulo the number of parts.
    pub(crate) fn contains(self, id: &str) -> bool {
        bucket(id) % self.of == self.index - 1
    }
}

/// The reason why a tenant is left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Mismatch {
    #[error("no --tenant matches it")]
    TenantGlob,
    /// Several values that would do are joined by `|`.
    #[error("it lacks the tag {0}={1}")]
    Tag(Arc<str>, Arc<str>),
    #[error("it is on another server")]
    Server,
    #[error("--exclude matches it")]
    Excluded,
    #[error("it is in another wave")]
    Wave,
    #[error("the run does not have it")]
    NotInRun,
    /// Held back for a later run.
    #[error("it is not a canary")]
    NotCanary,
    #[error("it is in another partition")]
    Partition,
    /// Held back for a later run.
    #[error("the limit was reached before it")]
    Limit,
}

impl Mismatch {
    /// Whether the tenant is wanted, but not in this run: work is left over.
    pub(crate) fn is_held_back(&self) -> bool {
        matches!(self, Mismatch::NotCanary | Mismatch::Partition | Mismatch::Limit)
    }
}

/// The wave of a tenant that is taken, as its place in plan order, or why it is left out.
type Match = Result<usize, Mismatch>;

/// Every tenant of the registry exactly once: in a wave, or in `mismatches`.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    /// The tenants that are taken, in plan order; no wave is empty.
    pub(crate) waves: Vec<Wave>,
    /// The tenants that are left out, in file order.
    pub(crate) mismatches: Vec<(TenantId, Mismatch)>,
    /// Number of `mismatches` that are wanted but held back by a canary, a partition or a limit.
    pub(crate) held_back: usize,
    /// Words of the filter that match no tenant at all: perhaps typing mistakes.
    pub(crate) unmatched_patterns: Vec<Unmatched>,
}

impl Selection {
    /// Number of tenants taken.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.waves.iter().map(|wave| wave.tenants.len()).sum()
    }

    /// Whether no tenant is taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.waves.is_empty()
    }

    /// All tenants that are taken, in plan order.
    pub(crate) fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.waves.iter().flat_map(|wave| &wave.tenants)
    }

    /// Fetches the passwords of the tenants that are taken; see `Passwords::resolve`.
    pub(crate) async fn resolve_credentials(&mut self, registry: &Registry) {
        for wave in &mut self.waves {
            registry.passwords.resolve(&mut wave.tenants).await;
        }
    }

    /// Fills in the addresses for showing the tenants that are taken; see `Passwords::leave_out`.
    pub(crate) fn leave_out_credentials(&mut self, registry: &Registry) {
        for wave in &mut self.waves {
            registry.passwords.leave_out(&mut wave.tenants);
        }
    }
}

/// One wave of a selection.
#[derive(Debug, Clone)]
pub(crate) struct Wave {
    /// Its name in the file, `rest`, or `canary`.
    pub(crate) name: String,
    /// Its tenants, in its own order, or that of the file.
    pub(crate) tenants: Vec<Arc<Tenant>>,
    /// Whether the largest databases come first; they are asked for their sizes.
    pub(crate) largest_first: bool,
    /// The sizes of its databases in bytes, in the same order, once they were asked for; `None`: not known.
    pub(crate) sizes: Vec<Option<u64>>,
    /// Its own cap.
    pub(crate) concurrency: Option<NonZeroUsize>,
    /// Its own cap on the tenants of one server.
    pub(crate) per_server: Option<NonZeroUsize>,
    /// Its failure budget.
    pub(crate) max_failures: FailureBudget,
    /// Its lock timeout, where it differs from the fleet's.
    pub(crate) lock_timeout: Option<Duration>,
    /// The extent of transactions on its tenants, if different from the fleet.
    pub(crate) transaction: Option<TransactionScope>,
    /// Its maintenance window, if different from the fleet.
    pub(crate) window: Option<Window>,
    /// The waves that it waits for, with those that they wait for themselves.
    pub(crate) waits_for: BTreeSet<String>,
    /// The gate between it and the next one.
    pub(crate) gate: Option<Gate>,
}

/// A word of the filter that matches no tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unmatched {
    /// The flag: `--tenant`.
    pub(crate) flag: &'static str,
    pub(crate) pattern: String,
    pub(crate) did_you_mean: Option<String>,
}

impl fmt::Display for Unmatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.flag, self.pattern)?;
        self.did_you_mean.as_ref().map_or(Ok(()), |near| write!(f, " (did you mean {near}?)"))
    }
}

/// The reason why a filter can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SelectError {
    /// A pattern is not a valid glob.
    #[error("{flag}: {bad}; a pattern is an id or a glob such as acme, b-* or {{a,b}}-?")]
    Pattern { flag: &'static str, bad: BadPattern },
    /// No wave has this name.
    #[error("--wave: there is no wave '{name}'; the waves are: {known}")]
    UnknownWave {
        name: String,
        /// All names.
        known: String,
    },
    /// There is no wave to be the canary.
    #[error(
        "--canary takes the wave named canary, and the file has none (waves: {known}); add [[wave]] with \
         name = \"canary\" to the tenant file, or use --canary-percent 5"
    )]
    NoCanary {
        /// All names.
        known: String,
    },
    /// Two definitions of the canary.
    #[error("--canary and --canary-percent can't be used together; choose one")]
    TwoCanaries,
    /// A share above 100.
    #[error("--canary-percent must be from 0 to 100, not {0}")]
    Percent(u8),
}

/// Decides which tenants a command takes.
///
/// # Errors
/// For a filter that can't mean anything: a bad glob, an unknown wave, `--canary` without such a wave.
pub(crate) fn select(registry: &Registry, filter: &Filter) -> Result<Selection, SelectError> {
    let rules = Rules::of(registry, filter)?;
    // The places do not depend on the filter.
    let mut places = places(&registry.waves, &registry.tenants);
    let tenants = &registry.tenants;
    for (place, tenant) in places.iter_mut().zip(tenants) {
        let recorded = filter.recorded.get(&tenant.id);
        *place = recorded.and_then(|name| rules.names.iter().position(|of| of == name)).unwrap_or(*place);
    }
    let mut matches: Vec<Match> = tenants.iter().zip(&places).map(|(t, &wave)| rules.judge(t, wave)).collect();
    if filter.canary {
        hold_back(&mut matches, Mismatch::NotCanary, |_, wave| rules.names[wave] != CANARY);
    }
    if let Some(percent) = filter.canary_percent {
        let wanted: Vec<usize> = (0..tenants.len()).filter(|&i| matches[i].is_ok()).collect();
        let ids: Vec<&str> = wanted.iter().map(|&i| tenants[i].id.as_str()).collect();
        let picked = smallest_percent(&ids, percent);
        let canaries: HashSet<usize> = wanted.into_iter().zip(picked).filter(|(_, p)| *p).map(|(i, _)| i).collect();
        hold_back(&mut matches, Mismatch::NotCanary, |i, _| !canaries.contains(&i));
    }
    if let Some(partition) = filter.partition {
        hold_back(&mut matches, Mismatch::Partition, |i, _| !partition.contains(tenants[i].id.as_str()));
    }
    if let Some(limit) = filter.limit {
        let first = in_plan_order(registry, &matches).into_iter().take(limit).collect::<HashSet<usize>>();
        hold_back(&mut matches, Mismatch::Limit, |i, _| !first.contains(&i));
    }
    Ok(gather(registry, filter, &rules, matches))
}

/// The filter, compiled.
struct Rules<'f> {
    filter: &'f Filter,
    tenants: Patterns,
    exclude: Patterns,
    servers: HashSet<&'f str>,
    /// The wanted values by key, each with the mismatch of a tenant that lacks them, which is made once and shared.
    tags: BTreeMap<&'f str, (Vec<&'f str>, Mismatch)>,
    /// The waves of the file in order, the rest last.
    names: Vec<&'f str>,
}

impl<'f> Rules<'f> {
    fn of(registry: &'f Registry, filter: &'f Filter) -> Result<Self, SelectError> {
        let patterns = |flag, texts: &[String]| {
            Patterns::new(texts.iter().cloned()).map_err(|bad| SelectError::Pattern { flag, bad })
        };
        let mut tags: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (key, value) in &filter.tags {
            tags.entry(key).or_default().push(value);
        }
        let with_mismatch = |(key, values): (&'f str, Vec<&'f str>)| {
            let lacking = Mismatch::Tag(key.into(), values.join("|").into());
            (key, (values, lacking))
        };
        let names: Vec<&str> = registry.waves.iter().map(|w| w.name.as_str()).chain([REST]).collect();
        let known = || names.join(", ");
        if let Some(name) = filter.wave.iter().find(|name| !names.contains(&name.as_str())) {
            return Err(SelectError::UnknownWave { name: name.clone(), known: known() });
        }
        match (filter.canary, filter.canary_percent) {
            (true, Some(_)) => return Err(SelectError::TwoCanaries),
            (true, None) if !names.contains(&CANARY) => return Err(SelectError::NoCanary { known: known() }),
            (_, Some(percent)) if percent > 100 => return Err(SelectError::Percent(percent)),
            _ => {}
        }
        Ok(Rules {
            tenants: patterns("--tenant", &filter.tenants)?,
            exclude: patterns("--exclude", &filter.exclude)?,
            servers: filter.servers.iter().map(String::as_str).collect(),
            filter,
            tags: tags.into_iter().map(with_mismatch).collect(),
            names,
        })
    }

    fn judge(&self, tenant: &Tenant, wave: usize) -> Match {
        let id = tenant.id.as_str();
        let lacks = |key: &str, values: &[&str]| tenant.tags.get(key).is_none_or(|v| !values.contains(&v.as_str()));
        let mismatch = if self.exclude.matches(id) {
            Mismatch::Excluded
        } else if !self.tenants.is_empty() && !self.tenants.matches(id) {
            Mismatch::TenantGlob
        } else if let Some((_, (_, lacking))) = self.tags.iter().find(|(key, (values, _))| lacks(key, values)) {
            lacking.clone()
        } else if !self.servers.is_empty() && !self.servers.contains(&*tenant.server) {
            Mismatch::Server
        } else if self.filter.only.as_ref().is_some_and(|only| !only.contains(&tenant.id)) {
            Mismatch::NotInRun
        } else if !self.filter.wave.is_empty() && !self.filter.wave.iter().any(|name| name == self.names[wave]) {
            Mismatch::Wave
        } else {
            return Ok(wave);
        };
        Err(mismatch)
    }

    /// The words of the filter that match no tenant of the file.
    fn unmatched(&self, registry: &Registry) -> Vec<Unmatched> {
        let tenants = &registry.tenants;
        let mut found = Vec::new();
        for (flag, patterns) in [("--tenant", &self.tenants), ("--exclude", &self.exclude)] {
            let hit: HashSet<usize> = tenants.iter().flat_map(|t| patterns.matching(t.id.as_str())).collect();
            for (_, text) in patterns.texts().iter().enumerate().filter(|(i, _)| !hit.contains(i)) {
                found.push(near(flag, text, tenants.iter().map(|t| t.id.as_str())));
            }
        }
        let servers: BTreeSet<&str> = tenants.iter().map(|t| &*t.server).collect();
        for server in self.filter.servers.iter().filter(|s| !servers.contains(s.as_str())) {
            found.push(near("--server", server, servers.iter().copied()));
        }
        if !self.filter.tags.is_empty() {
            let tags: BTreeSet<String> =
                tenants.iter().flat_map(|t| t.tags.iter().map(|(key, value)| format!("{key}={value}"))).collect();
            let wanted = self.filter.tags.iter().map(|(key, value)| format!("{key}={value}"));
            found.extend(wanted.filter(|w| !tags.contains(w)).map(|w| near("--tag", &w, tags.iter().map(|t| &**t))));
        }
        found
    }
}

fn near<'a>(flag: &'static str, text: &str, known: impl Iterator<Item = &'a str>) -> Unmatched {
    Unmatched { flag, pattern: text.to_owned(), did_you_mean: suggestion(text, known).map(str::to_owned) }
}

/// Leaves out the tenants that are still taken and for which `later` holds (place in the file, place of the wave).
fn hold_back(matches: &mut [Match], why: Mismatch, later: impl Fn(usize, usize) -> bool) {
    for (i, found) in matches.iter_mut().enumerate() {
        if found.as_ref().is_ok_and(|&wave| later(i, wave)) {
            *found = Err(why.clone());
        }
    }
}

/// The places of the tenants that are taken: by wave, then in the wave's order, then as in the file.
fn in_plan_order(registry: &Registry, matches: &[Match]) -> Vec<usize> {
    let mut taken: Vec<(usize, usize)> =
        matches.iter().enumerate().filter_map(|(i, found)| Some((*found.as_ref().ok()?, i))).collect();
    taken.sort_by(|&(wave, a), &(other, b)| {
        let order = registry.waves.get(wave).and_then(|rule| rule.order.as_ref()).filter(|_| wave == other);
        let within = order.map(|order| order.compare(&registry.tenants[a], &registry.tenants[b]));
        wave.cmp(&other).then(within.unwrap_or(Ordering::Equal))
    });
    taken.into_iter().map(|(_, i)| i).collect()
}

fn gather(registry: &Registry, filter: &Filter, rules: &Rules<'_>, matches: Vec<Match>) -> Selection {
    let mut members: Vec<Vec<Arc<Tenant>>> = vec![Vec::new(); rules.names.len()];
    let mut mismatches = Vec::new();
    for i in in_plan_order(registry, &matches) {
        members[*matches[i].as_ref().expect("it is taken")].push(registry.tenants[i].clone());
    }
    for (tenant, found) in registry.tenants.iter().zip(matches) {
        mismatches.extend(found.err().map(|why| (tenant.id.clone(), why)));
    }
    let mut waves: Vec<(Wave, Option<FailureBudget>)> = Vec::new();
    let waits_for = waits_for(&registry.waves);
    let make = |name: &str, mut tenants: Vec<Arc<Tenant>>| {
        let place = registry.waves.iter().position(|rule| rule.name == name);
        let rule = place.map(|place| &registry.waves[place]);
        let online = rule.and_then(|rule| rule.online).unwrap_or(registry.settings.online);
        // Each tenant is told of its wave's setting: a task on it knows no wave.
        for tenant in tenants.iter_mut().filter(|tenant| online && tenant.online.is_none()) {
            Arc::make_mut(tenant).online = Some(online);
        }
        let wave = Wave {
            name: name.to_owned(),
            tenants,
            largest_first: rule.is_some_and(|rule| rule.order == Some(WaveOrder::Largest)),
            sizes: Vec::new(),
            concurrency: rule.and_then(|rule| rule.concurrency),
            per_server: rule.and_then(|rule| rule.per_server),
            max_failures: registry.settings.max_failures,
            lock_timeout: rule.and_then(|rule| rule.lock_timeout),
            transaction: rule.and_then(|rule| rule.transaction),
            window: rule.and_then(|rule| rule.window.clone()),
            waits_for: waits_for[place.unwrap_or(registry.waves.len())].clone(),
            gate: rule.and_then(|rule| rule.gate.clone()),
        };
        (wave, rule.and_then(|rule| rule.max_failures))
    };
    if filter.canary_percent.is_some() {
        waves.push(make(CANARY, members.concat()));
    } else {
        waves.extend(rules.names.iter().zip(members).map(|(name, tenants)| make(name, tenants)));
    }
    waves.retain(|(wave, _)| !wave.tenants.is_empty());
    let last = waves.len().saturating_sub(1);
    // A canary is an early wave also where the others are left for another run.
    let is_flag = |(key, _, origin): &(String, String, Origin)| key == "max_failures" && *origin == Origin::Flag;
    let is_strict = filter.is_canary() && !registry.settings.origins.iter().any(is_flag);
    let budgeted = waves.into_iter().enumerate().map(|(i, (mut wave, own))| {
        // A failure in an early wave stops the rollout unless the file says otherwise: that is the purpose of waves.
        let is_strict = i < last || is_strict;
        wave.max_failures = own.unwrap_or(if is_strict { FailureBudget::NONE } else { wave.max_failures });
        wave
    });
    Selection {
        waves: budgeted.collect(),
        held_back: mismatches.iter().filter(|(_, why)| why.is_held_back()).count(),
        mismatches,
        unmatched_patterns: rules.unmatched(registry),
    }
}

#[cfg(test)]
mod tests;
