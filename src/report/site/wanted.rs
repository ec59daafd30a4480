//! The choice of tenants or runs that an address asks for, in its query.

use serde::Deserialize;
use strum::VariantNames as _;

use super::Look;
use super::fleet::GROUPS;
use crate::model::observation::Observation;
use crate::model::schema::State;
use crate::model::tenant::{Engine, TenantId};
use crate::report::clean;
use crate::report::tenants::TenantRow;

/// The parameters of [`Wanted`]: name, type, meaning.
pub(crate) const WANTED: &[(&str, &str, &str)] = &[
    ("q", "string", "Only tenants with this text in their id, place or tags, in any case"),
    ("state", "string", "Only tenants in this state"),
    ("version", "string", "Only tenants at this version"),
    ("engine", "string", "Only tenants of this engine"),
    ("server", "string", "Only tenants of this server"),
    ("wave", "string", "Only tenants of this wave"),
    ("tag", "string", "Only tenants with this tag: KEY or KEY=VALUE"),
    ("group", "string", "The rows of the page: alike (default), tenant, server, engine, wave, version, state"),
    ("offset", "integer", "Tenants to leave out, of those that are wanted"),
    ("limit", "integer", "The most tenants: 1000 by default, 10000 at most"),
];

/// The values that a parameter of [`WANTED`] has; `None`: any.
pub(crate) fn values(parameter: &str) -> Option<Vec<&'static str>> {
    match parameter {
        "state" => Some(State::VARIANTS.to_vec()),
        "engine" => Some(Engine::ALL.map(Engine::name).to_vec()),
        "group" => Some(GROUPS[1..].iter().map(|(name, _)| *name).collect()),
        _ => None,
    }
}

/// The parameters of [`WantedRuns`].
pub(crate) const WANTED_RUNS: &[(&str, &str, &str)] = &[
    ("limit", "integer", "The most runs: 100 by default, 1000 at most"),
    ("tenant", "string", "Only runs that took this tenant"),
];

/// The tenants that are wanted. An empty text means any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Wanted {
    pub(crate) q: String,
    pub(crate) state: String,
    pub(crate) version: String,
    pub(crate) engine: String,
    pub(crate) server: String,
    pub(crate) wave: String,
    pub(crate) tag: String,
    pub(crate) group: String,
    pub(crate) offset: usize,
    pub(crate) limit: Option<usize>,
}

/// The runs that are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WantedRuns {
    pub(crate) limit: Option<usize>,
    pub(crate) tenant: String,
}

impl WantedRuns {
    pub(crate) fn most(&self) -> usize {
        self.limit.unwrap_or(100).min(1_000)
    }

    pub(crate) fn tenant(&self) -> Option<TenantId> {
        Some(TenantId::from(&*self.tenant)).filter(|_| !self.tenant.is_empty())
    }
}

impl Wanted {
    /// Why nothing can match: a value that does not exist.
    pub(crate) fn mistake(&self) -> Option<String> {
        let all = [("state", &self.state), ("engine", &self.engine), ("group", &self.group)];
        let mut given = all.into_iter().filter(|(_, value)| !value.is_empty());
        given.find_map(|(name, value)| {
            let known = values(name).filter(|known| !known.contains(&value.as_str()))?;
            Some(format!("there is no {name} {}; it is one of {}", clean(value), known.join(", ")))
        })
    }

    /// The places of the tenants that are wanted, in plan order.
    pub(super) fn choose(&self, look: &Look) -> Vec<usize> {
        let needle = self.q.trim().to_lowercase();
        let of_all = look.rows.iter().zip(&look.observations).enumerate();
        of_all.filter(|(_, (row, o))| self.takes(row, o, &needle)).map(|(place, _)| place).collect()
    }

    /// Whether a tenant of the file is wanted; its state and version are not known.
    pub(crate) fn takes_row(&self, row: &TenantRow) -> bool {
        self.takes_place(row, &self.q.trim().to_lowercase())
    }

    fn takes(&self, row: &TenantRow, o: &Observation, needle: &str) -> bool {
        let is = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        is(&self.state, o.state.name())
            && is(&self.version, o.version.as_deref().unwrap_or(""))
            && self.takes_place(row, needle)
    }

    fn takes_place(&self, row: &TenantRow, needle: &str) -> bool {
        let is = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        let tag = || match self.tag.split_once('=') {
            _ if self.tag.is_empty() => true,
            Some((key, value)) => row.tags.get(key).is_some_and(|found| found == value),
            None => row.tags.contains_key(&self.tag),
        };
        let has = |text: &str| text.to_lowercase().contains(needle);
        let holds = || {
            needle.is_empty()
                || has(row.id.as_str())
                || has(&row.location)
                || row.tags.iter().any(|(k, v)| has(&format!("{k}={v}")))
        };
        is(&self.engine, row.engine.name())
            && is(&self.server, &row.server)
            && is(&self.wave, &row.wave)
            && tag()
            && holds()
    }

    /// Of these the ones on the page that is asked for.
    pub(crate) fn page<'a, T>(&self, all: &'a [T], by_default: usize) -> &'a [T] {
        let from = self.offset.min(all.len());
        let most = self.limit.unwrap_or(by_default).clamp(1, 10_000);
        &all[from..all.len().min(from.saturating_add(most))]
    }

    /// The query for the same with these parameters changed; an empty value leaves one out. The page begins anew.
    pub(super) fn query(&self, changed: &[(&str, &str)]) -> String {
        let all = [
            ("q", &*self.q),
            ("state", &self.state),
            ("version", &self.version),
            ("engine", &self.engine),
            ("server", &self.server),
            ("wave", &self.wave),
            ("tag", &self.tag),
            ("group", &self.group),
            ("offset", ""),
        ];
        let value = |(name, value): (&'static str, _)| {
            (name, changed.iter().find(|(n, _)| *n == name).map_or(value, |(_, v)| *v))
        };
        let pairs = all.into_iter().map(value).filter(|(_, value)| !value.is_empty());
        let query: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        if query.is_empty() { "/".to_owned() } else { format!("/?{query}") }
    }

    /// Whether any tenant may be left out.
    pub(super) fn is_filtered(&self) -> bool {
        [&self.q, &self.state, &self.version, &self.engine, &self.server, &self.wave, &self.tag]
            .iter()
            .any(|text| !text.is_empty())
    }
}
