//! Drift: the schemas of live tenants against the schema of their own version, and against what most tenants of it have.
//!
//! Pure: the schemas are read, and those of versions made, elsewhere. A tenant that could not be compared is a row of its
//! own, and never counts as equal.

mod customs;
mod fix;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use serde::Serialize;

use self::customs::{Custom, Usual, has_own};
use crate::model::live_schema::{LiveSchema, LiveSchemas, LiveTenant};
use crate::model::schema::{AppliedSet, Catalog, State, VersionSchema};
use crate::model::shape::Difference;
use crate::model::tenant::{Engine, TenantId};

/// The migrations of a tenant on a product: tenants with the same have the same schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Version {
    pub(crate) engine: Engine,
    /// Its first word: MariaDB and MySQL say the same schema in different words.
    pub(crate) product: String,
    pub(crate) applied: AppliedSet,
}

impl Version {
    /// The version of a tenant; `None` where its schema was not read.
    pub(crate) fn of(tenant: &LiveSchema, catalog: &Catalog) -> Option<Self> {
        tenant.fingerprint.as_ref()?;
        let applied = catalog.applied_set(&tenant.history, tenant.variant);
        Some(Version { engine: tenant.variant.engine(), product: first_word(&tenant.product), applied })
    }

    /// Whether its schema can be made from the migrations.
    pub(crate) fn is_known(&self) -> bool {
        self.applied.unknown.is_empty()
    }
}

fn first_word(product: &str) -> String {
    product.split(' ').next().unwrap_or_default().to_owned()
}

/// The schema that a tenant was compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reference {
    /// That of its own version, made on a scratch database.
    Version,
    /// The most frequent one among the tenants of its version.
    Majority,
}

/// Tenants that differ in the same way.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Group {
    pub(crate) engine: Engine,
    /// Their versions.
    pub(crate) versions: Vec<String>,
    pub(crate) compared_with: Reference,
    pub(crate) tenants: Vec<TenantId>,
    /// The number of tenants at these versions, themselves included.
    pub(crate) of: usize,
    /// The first side is the reference, the second theirs.
    pub(crate) differences: Vec<Difference>,
    /// SQL that takes some of them away, and comments on the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) fix_sql: Vec<String>,
}

/// A tenant that was not compared.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Uncompared {
    pub(crate) tenant: TenantId,
    pub(crate) engine: Engine,
    pub(crate) state: &'static str,
    pub(crate) version: Option<String>,
    pub(crate) why: String,
}

/// A version whose tenants were compared with each other only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Unmade {
    pub(crate) engine: Engine,
    pub(crate) version: String,
    pub(crate) tenants: usize,
    pub(crate) why: String,
}

/// The findings.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Drift {
    /// Tenants without a difference, or with ignored ones only.
    pub(crate) equal: usize,
    /// Those among them with ignored differences.
    pub(crate) ignored: usize,
    /// Largest first.
    pub(crate) groups: Vec<Group>,
    pub(crate) not_compared: Vec<Uncompared>,
    pub(crate) not_made: Vec<Unmade>,
    /// Tenants some of whose grants could not be compared. Their schemas were.
    pub(crate) grants_not_compared: Vec<Unmade>,
    /// Other schemas that versions make in their tenants' databases: nobody looked into them.
    pub(crate) other_schemas: BTreeSet<String>,
}

impl Drift {
    pub(crate) fn is_clean(&self) -> bool {
        self.groups.is_empty() && self.not_compared.is_empty()
    }
}

/// The schema of each version, or why it can't be made.
pub(crate) type Made = HashMap<Version, Result<VersionSchema, String>>;

/// Everything that a comparison needs.
pub(crate) struct Comparison {
    pub(crate) live: LiveSchemas,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) made: Made,
    /// Whether a difference, by its object and by its title, is of no interest.
    pub(crate) is_ignored: Box<dyn Fn(&str) -> bool + Send + Sync>,
    /// Whether to suggest SQL.
    pub(crate) fixes: bool,
}

/// Tenants of one version with one schema.
struct Alike<'a> {
    version: &'a Version,
    fingerprint: &'a str,
    tenants: Vec<usize>,
    compared_with: Reference,
    schema: Arc<VersionSchema>,
    customs: Vec<Custom>,
    usual: Arc<Usual>,
}

/// The same, compared.
struct Compared<'a> {
    alike: Alike<'a>,
    differences: Vec<Difference>,
    has_ignored: bool,
}

impl Comparison {
    /// Compares each distinct schema of a version once, on all cores.
    pub(crate) fn drift(&self) -> Drift {
        let mut drift = Drift::default();
        let versions: Vec<Option<Version>> =
            self.live.schemas.iter().map(|schema| Version::of(schema, &self.catalog)).collect();
        let mut by_version: BTreeMap<&Version, BTreeMap<&str, Vec<usize>>> = BTreeMap::new();
        for (at, tenant) in self.live.tenants.iter().enumerate() {
            match (&versions[tenant.schema], &self.live.schemas[tenant.schema].fingerprint) {
                (Some(version), Some(print)) => {
                    by_version.entry(version).or_default().entry(print.as_str()).or_default().push(at);
                }
                _ => drift.not_compared.push(uncompared(tenant, self.live.of(at))),
            }
        }
        let mut alike: Vec<Alike<'_>> = Vec::new();
        for (version, schemas) in &by_version {
            alike.extend(self.with_reference(version, schemas, &mut drift));
        }
        let compared: Vec<Compared<'_>> = alike.into_par_iter().map(|alike| self.compared(alike)).collect();
        self.group(compared, &mut drift);
        drift.not_made.sort();
        drift
    }

    /// The schemas of a version with the one that they are to be compared with; none if there is no such.
    fn with_reference<'a>(
        &'a self,
        version: &'a Version,
        schemas: &BTreeMap<&'a str, Vec<usize>>,
        drift: &mut Drift,
    ) -> Vec<Alike<'a>> {
        let tenants: Vec<usize> = schemas.values().flatten().copied().collect();
        let (compared_with, schema) = match self.schema_of(version) {
            Ok(schema) => (Reference::Version, schema),
            Err(why) => {
                let most = schemas.iter().find(|(_, of)| of.len() * 2 > tenants.len() && tenants.len() > 1);
                let Some(most) = most.and_then(|(print, _)| self.live.shapes.get(*print)) else {
                    let with_others = match tenants.len() {
                        1 => "no other tenant has this version, to compare it with",
                        _ => "the tenants of this version differ, and most of them have no form in common",
                    };
                    let alone = |&at: &usize| Uncompared {
                        why: format!("{why}; and {with_others}"),
                        ..uncompared(&self.live.tenants[at], self.live.of(at))
                    };
                    drift.not_compared.extend(tenants.iter().map(alone));
                    return Vec::new();
                };
                let (engine, tenants, version) = (version.engine, tenants.len(), self.name(tenants[0]));
                drift.not_made.push(Unmade { engine, version, tenants, why });
                let mut most = (**most).clone();
                // Tenants may share extensions and other schemas of their database, and need not have the same.
                most.others.retain(|other| !other.is_beside());
                (Reference::Majority, VersionSchema { bare: most.clone(), full: most, ..VersionSchema::default() })
            }
        };
        let schema = Arc::new(schema);
        drift.other_schemas.extend(schema.bare.others.iter().filter(|o| o.kind == "schema").map(|o| o.name.clone()));
        let all = customs::alike(&self.live, schemas);
        let usual = [false, true].map(|is_schema| Arc::new(self.usual(&all, is_schema)));
        for usual in &usual {
            let of_one = || all.iter().any(|alike| has_own(&alike.customs));
            let why = match (usual.tenants, usual.undecided) {
                (1, _) if of_one() => "no other tenant of their version is there to compare them with".to_owned(),
                (2.., 1..) => format!("of {} of them no form is on more than half of the tenants", usual.undecided),
                _ => continue,
            };
            let (engine, version, tenants) = (version.engine, self.name(tenants[0]), usual.tenants);
            drift.grants_not_compared.push(Unmade { engine, version, tenants, why });
        }
        let alike = |of: customs::Alike<'a>| Alike {
            version,
            fingerprint: of.fingerprint,
            compared_with,
            schema: schema.clone(),
            usual: usual[usize::from(self.live.of(of.tenants[0]).is_schema)].clone(),
            tenants: of.tenants,
            customs: of.customs,
        };
        all.into_iter().map(alike).collect()
    }

    /// The customs that most of these tenants have, of those that are schemas or of those that are databases.
    fn usual(&self, all: &[customs::Alike<'_>], is_schema: bool) -> Usual {
        let having = |alike: &customs::Alike<'_>| {
            alike.tenants.iter().filter(|at| self.live.of(**at).is_schema == is_schema).count()
        };
        Usual::of(all.iter().map(|alike| (&*alike.customs, having(alike))).filter(|(_, having)| *having > 0))
    }

    fn schema_of(&self, version: &Version) -> Result<VersionSchema, String> {
        if !version.is_known() {
            return Err("it has what this program does not know, or scripts that were edited since".to_owned());
        }
        if version.applied == AppliedSet::default() {
            return Ok(VersionSchema::default());
        }
        let made = self.made.get(version).ok_or_else(|| "its schema was not made".to_owned())?;
        let schema = made.as_ref().map_err(Clone::clone)?;
        if [&*schema.product, &*version.product].iter().all(|product| !product.is_empty())
            && first_word(&schema.product) != version.product
        {
            return Err(format!(
                "the scratch server is {}, the tenants' {}: what they say of a schema can't be compared",
                schema.product, version.product
            ));
        }
        Ok(schema.clone())
    }

    fn compared<'a>(&self, alike: Alike<'a>) -> Compared<'a> {
        let own = self.live.shapes.get(alike.fingerprint);
        let of_schema = own.map(|shape| alike.schema.compared(shape)).unwrap_or_default();
        let of_customs = alike.usual.differences(&alike.customs);
        let (ignored, differences): (Vec<_>, Vec<_>) = of_schema
            .into_iter()
            .chain(of_customs)
            .partition(|difference| (self.is_ignored)(&difference.object) || (self.is_ignored)(&difference.title()));
        Compared { alike, differences, has_ignored: !ignored.is_empty() }
    }

    fn group(&self, compared: Vec<Compared<'_>>, drift: &mut Drift) {
        let mut at: HashMap<&Version, usize> = HashMap::new();
        let mut groups: BTreeMap<(Engine, Reference, Vec<Difference>), Vec<Alike<'_>>> = BTreeMap::new();
        for Compared { alike, differences, has_ignored } in compared {
            *at.entry(alike.version).or_default() += alike.tenants.len();
            if differences.is_empty() {
                drift.equal += alike.tenants.len();
                drift.ignored += if has_ignored { alike.tenants.len() } else { 0 };
                continue;
            }
            groups.entry((alike.version.engine, alike.compared_with, differences)).or_default().push(alike);
        }
        for ((engine, compared_with, differences), alike) in groups {
            let versions: BTreeSet<&Version> = alike.iter().map(|alike| alike.version).collect();
            let mut tenants: Vec<usize> = alike.iter().flat_map(|alike| &alike.tenants).copied().collect();
            tenants.sort_unstable();
            let mut names: Vec<String> = tenants.iter().map(|&at| self.name(at)).collect();
            names.sort();
            names.dedup();
            let fixes = self.fixes.then(|| fix::suggested(engine, &differences, &alike[0].schema.bare));
            drift.groups.push(Group {
                engine,
                versions: names,
                compared_with,
                of: versions.into_iter().map(|version| at[version]).sum(),
                tenants: tenants.into_iter().map(|at| self.live.tenants[at].id.clone()).collect(),
                differences,
                fix_sql: fixes.unwrap_or_default(),
            });
        }
        drift.groups.sort_by_key(|group| std::cmp::Reverse(group.tenants.len()));
    }

    /// The version of a tenant.
    fn name(&self, at: usize) -> String {
        self.live.of(at).version.clone().unwrap_or_else(|| "empty".to_owned())
    }
}

fn uncompared(tenant: &LiveTenant, seen: &LiveSchema) -> Uncompared {
    let why = match (&seen.error, &seen.state) {
        (Some(fault), _) => fault.to_string(),
        (_, State::Stopped(unfinished) | State::InDoubt(unfinished)) => {
            format!("{}: its schema is that of no version", unfinished.in_words())
        }
        _ => "a run is working on it; check it again behind the run".to_owned(),
    };
    let (engine, state, version) = (seen.variant.engine(), seen.state.name(), seen.version.clone());
    Uncompared { tenant: tenant.id.clone(), engine, state, version, why }
}

#[cfg(test)]
mod tests;
