//! Records a version without running it: a baseline for a tenant that something else has made, a stamp to repair a
//! history. The schema is compared with that of the version first.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::{Database, Notice, PartialState, Session, Step};
use crate::model::fault::{Fault, FaultClass};
use crate::model::health::Questions;
use crate::model::outcome::{Moved, Outcome};
use crate::model::plan::Refusal;
use crate::model::program;
use crate::model::run_kind::RecordedVersion;
use crate::model::schema::{Catalog, HistoryChange, State, VersionSchema};
use crate::model::shape::{Other, Shape};
use crate::model::tenant::{Engine, Tenant};
use crate::policy::Limits;
use crate::run::decide::refused;
use crate::run::observe::{Pace, ask_each};
use crate::run::unit::{Assignment, Attempt, AttemptEnd};

/// The version to record, and how.
#[derive(Debug, Clone)]
pub(crate) struct AdoptPlan {
    /// Its place in the catalog; `None`: no version at all.
    pub(crate) to: Option<usize>,
    /// Only for tenants that have no history.
    pub(crate) is_baseline: bool,
    /// The schema of the version on each engine; `None`: no tenant's schema is compared.
    pub(crate) schemas: Option<Arc<BTreeMap<Engine, VersionSchema>>>,
}

/// The most differences of a tenant that are told.
const MOST_DIFFERENCES: usize = 100;

/// The most differences in one error; all of them are notes.
const IN_ERROR: usize = 3;

/// A reason to leave a tenant alone, and the differences of its schema.
#[derive(Debug, Clone)]
struct Stop {
    end: AttemptEnd,
    differences: Vec<String>,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop { end: AttemptEnd::stopped(fault, PartialState::Nothing), differences: Vec::new() }
    }
}

impl AdoptPlan {
    fn version<'a>(&self, catalog: &'a Catalog) -> &'a str {
        self.to.map_or(RecordedVersion::EMPTY, |to| &*catalog.migrations[to])
    }

    /// The change of a tenant with this history. Reads only: dying in it leaves the tenant untouched.
    async fn change(
        &self,
        catalog: &Catalog,
        tenant: &Tenant,
        session: &mut dyn Session,
        history: &[String],
    ) -> Result<HistoryChange, Stop> {
        let version = self.version(catalog);
        if let State::Ahead { unknown } = catalog.state(history, tenant.variant()) {
            let end = AttemptEnd::Refused(Refusal::Ahead(unknown));
            return Err(Stop { end, differences: Vec::new() });
        }
        let change = catalog.change_to(self.to, history, tenant.variant());
        if change.is_empty() {
            return Ok(change);
        }
        if self.is_baseline && !history.is_empty() {
            let at = catalog.version_of(history).unwrap_or_else(|| "no version".to_owned());
            let text = format!(
                "it has a history already, at {at}, and a baseline begins one; nothing was changed; to set the history \
                 right: {} stamp --to {version} --reason TEXT",
                program::name()
            );
            return Err(Fault::new(FaultClass::HasHistory, text).into());
        }
        let nothing = |what: &str| {
            let text = format!(
                "{what}: there is nothing to adopt; nothing was recorded; {} migrate makes the schema",
                program::name()
            );
            Stop::from(Fault::new(FaultClass::SchemaDiffers, text))
        };
        // A file or a schema that is missing would be made for the history alone.
        if session.footprint().await?.is_none() {
            return Err(nothing("the database does not exist yet"));
        }
        let schema = self.schemas.as_ref().and_then(|schemas| schemas.get(&tenant.engine));
        if !self.is_baseline && schema.is_none() {
            return Ok(change);
        }
        let found = session.shape().await?;
        if self.is_baseline && found.tables.is_empty() && found.others.iter().all(Other::is_beside) {
            return Err(nothing("the database has no tables"));
        }
        let Some(schema) = schema else { return Ok(change) };
        let product = session.health(&Questions::default()).await.map(|health| health.version).unwrap_or_default();
        compare(schema, version, &found, &product).map_or(Ok(change), Err)
    }
}

/// The reason that a tenant's schema, on a server of this product, does not pass for that of the version.
fn compare(schema: &VersionSchema, version: &str, found: &Shape, product: &str) -> Option<Stop> {
    let name = |product: &str| product.split(' ').next().unwrap_or_default().to_owned();
    let ways = "nothing was recorded; record it unchecked with --no-check if you know better";
    if ![product, &*schema.product].contains(&"") && name(product) != name(&schema.product) {
        let text = format!(
            "its server is {product} and the scratch server {}: what they say of a schema can't be compared; name a \
             scratch server of the same product; {ways}",
            schema.product
        );
        return Some(Fault::new(FaultClass::SchemaDiffers, text).into());
    }
    let mut differences = schema.differences(version, found);
    if differences.is_empty() {
        return None;
    }
    let (all, servers) = (
        differences.len(),
        match product == schema.product || [product, &*schema.product].contains(&"") {
            true => String::new(),
            false => format!(" (compared on {}, the tenant's server is {product})", schema.product),
        },
    );
    let mut told = differences[..all.min(IN_ERROR)].join("; ");
    if all > IN_ERROR {
        told = format!("{told}; and {} more, in the notes", all - IN_ERROR);
    }
    let text = format!(
        "the schema is not that of {version}{servers}: {told}; {ways}, else correct the schema or name the version that it \
         has"
    );
    if all > MOST_DIFFERENCES {
        differences.truncate(MOST_DIFFERENCES);
        differences.push(format!("and {} more differences", all - MOST_DIFFERENCES));
    }
    if all <= IN_ERROR {
        differences.clear();
    }
    Some(Stop { differences, ..Fault::new(FaultClass::SchemaDiffers, text).into() })
}

impl Assignment {
    /// Records the version on this tenant. All rows are written in one transaction under the tenant's lock, in which the
    /// history is read again. Dying before its commit leaves the tenant as it was, but for empty tables of fleet on MySQL;
    /// dying behind it leaves it recorded, and the same command finds nothing to do.
    pub(super) async fn adopt(&self, session: &mut dyn Session, history: Vec<String>) -> Attempt {
        let Some(plan) = &self.plan.adopt else { return Attempt::without_work(Some(history), AttemptEnd::Nothing) };
        match self.unfinished(session).await {
            Err(end) => return Attempt::without_work(Some(history), end),
            Ok(Some(unfinished)) if !unfinished.may_begin_again() => {
                let end = self.half_way(session, unfinished).await;
                return Attempt::without_work(Some(history), end);
            }
            Ok(_) => {}
        }
        let catalog = &self.plan.catalog;
        let change = match plan.change(catalog, &self.tenant, session, &history).await {
            Ok(change) if change.is_empty() => {
                return Attempt::without_work(Some(history), AttemptEnd::Task(Outcome::UpToDate));
            }
            Ok(change) => change,
            Err(Stop { end, differences }) => {
                differences.into_iter().for_each(|line| self.teller.tell(Notice::Note(line)));
                return Attempt::without_work(Some(history), end);
            }
        };
        let version = plan.version(catalog);
        let moved = moved(catalog, &history, &change);
        let script = self.plan.scripts.migrations().recording(version, change, self.tenant.engine);
        let mut work = self.empty_work(&history);
        work.steps = vec![Step::new(plan.to.unwrap_or_default(), Arc::new(script), Limits::default())];
        let mut attempt = self.carry_out(session, history, work).await;
        if matches!(attempt.end, AttemptEnd::Done) {
            if plan.schemas.is_none() {
                let text = format!("the schema was not compared with that of {version} (--no-check)");
                self.teller.tell(Notice::Note(text));
            }
            attempt.end = AttemptEnd::Task(Outcome::Stamped(moved));
        }
        attempt
    }
}

/// The versions between which a change moves a tenant.
fn moved(catalog: &Catalog, history: &[String], change: &HistoryChange) -> Moved {
    let mut after: Vec<String> = history.iter().filter(|entry| !change.removed.contains(entry)).cloned().collect();
    after.extend(change.added.iter().cloned());
    let n = change.removed.len().max(change.added.len());
    Moved { from: catalog.version_of(history), to: catalog.version_of(&after), n }
}

/// The outcome that a run would have on a tenant.
#[derive(Debug, Clone)]
pub(crate) struct Foreseen {
    pub(crate) outcome: Outcome,
    pub(crate) fault: Option<Fault>,
    /// All differences of its schema, where there are several.
    pub(crate) differences: Vec<String>,
}

/// Looks what a run would do to each tenant, in the order given, and changes nothing.
pub(crate) async fn foresee(
    tenants: &[Arc<Tenant>],
    database: &Arc<dyn Database>,
    pace: Pace<'_>,
    plan: (&AdoptPlan, &Arc<Catalog>),
) -> Vec<Foreseen> {
    let (plan, catalog) = (Arc::new(plan.0.clone()), plan.1.clone());
    let answers = ask_each(tenants, database, pace, move |tenant, session| {
        let (plan, catalog, tenant) = (plan.clone(), catalog.clone(), tenant.clone());
        Box::pin(async move {
            let history = session.history().await?;
            if let Some(unfinished) = session.unfinished().await?.filter(|unfinished| !unfinished.may_begin_again()) {
                let text = format!("{} was begun and not finished; see `runs resolve`", unfinished.migration);
                return Err(Fault::new(FaultClass::PartiallyApplied, text));
            }
            let outcome = match plan.change(&catalog, &tenant, session, &history).await {
                Ok(change) if change.is_empty() => Outcome::UpToDate,
                Ok(change) => Outcome::Stamped(moved(&catalog, &history, &change)),
                Err(stop) => return Ok(stop.foreseen()),
            };
            Ok(Foreseen { outcome, fault: None, differences: Vec::new() })
        })
    });
    let failed = |fault: Fault| Stop::from(fault).foreseen();
    answers.await.into_iter().map(|answer| answer.unwrap_or_else(failed)).collect()
}

impl Stop {
    fn foreseen(self) -> Foreseen {
        let (outcome, fault) = match self.end {
            AttemptEnd::Refused(refusal) => {
                let conclusion = refused(refusal);
                (conclusion.outcome, conclusion.fault)
            }
            AttemptEnd::Stopped { fault, .. } if fault.class.is_unreachable() => {
                (Outcome::Unreachable { class: fault.class }, Some(fault))
            }
            AttemptEnd::Stopped { fault, .. } => (Outcome::Failed { class: fault.class }, Some(fault)),
            _ => (Outcome::Interrupted, None),
        };
        Foreseen { outcome, fault, differences: self.differences }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::shape::Table;

    fn told(product: &str, found: &Shape) -> Option<String> {
        let schema = VersionSchema { product: "MariaDB 10.11".into(), ..VersionSchema::default() };
        let stop = compare(&schema, "m1", found, product)?;
        let AttemptEnd::Stopped { fault, residue: PartialState::Nothing, .. } = stop.end else { panic!("it stops") };
        assert_eq!(fault.class, FaultClass::SchemaDiffers);
        Some(fault.message)
    }

    #[test]
    fn only_what_one_product_says_is_compared() {
        let table = Table { name: "t".into(), ..Table::default() };
        let more = Shape { tables: vec![table], ..Shape::default() };
        assert_eq!(told("MariaDB 10.11", &Shape::default()), None);
        assert_eq!(told("MariaDB 11.4", &Shape::default()), None, "another release may print a schema alike");
        assert!(told("MySQL 8.4", &Shape::default()).unwrap().contains("can't be compared"));
        let differs = told("MariaDB 11.4", &more).unwrap();
        assert!(differs.contains("compared on MariaDB 10.11, the tenant's server is MariaDB 11.4"), "{differs}");
        assert!(differs.contains("table t is only here"), "{differs}");
    }
}
