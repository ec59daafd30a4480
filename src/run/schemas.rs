//! Reads the schemas of many tenants at once, for `check`.
//!
//! It creates and changes nothing, and compares nothing; an unreadable tenant is an observation like any other.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::observe::{Histories, Pace, ask_each, compare_scripts, state_of};
use crate::compile::MigrationSet;
use crate::engine::{Database, Session, database_name, place};
use crate::model::engine::Variant;
use crate::model::fault::Fault;
use crate::model::health::Questions;
use crate::model::live_schema::{LiveSchema, LiveSchemas, LiveTenant};
use crate::model::schema::{Catalog, State};
use crate::model::shape::{Grant, Shape};
use crate::model::tenant::Tenant;

/// Everything distinct that was read so far.
#[derive(Default)]
struct Known {
    shapes: Mutex<HashMap<String, Arc<Shape>>>,
    /// The product of each server.
    products: Mutex<HashMap<String, String>>,
    /// The fingerprints by the texts that a schema follows from.
    texts: Mutex<HashMap<String, String>>,
    histories: Histories,
    schemas: Mutex<Schemas>,
    /// The schemas of tenants. One stands beside another in a database, and is no part of it.
    of_tenants: HashSet<String>,
}

/// The schemas of tenants that are alike, each once.
#[derive(Default)]
struct Schemas {
    all: Vec<LiveSchema>,
    /// The places of those with a fingerprint.
    places: HashMap<Option<String>, Vec<usize>>,
}

impl Schemas {
    /// The place of a schema.
    fn place(&mut self, schema: LiveSchema) -> usize {
        let alike = self.places.entry(schema.fingerprint.clone()).or_default();
        if let Some(&place) = alike.iter().find(|place| self.all[**place] == schema) {
            return place;
        }
        alike.push(self.all.len());
        self.all.push(schema);
        self.all.len() - 1
    }
}

/// Reads the history and the schema of every tenant once, in one session each; in the order given.
///
/// A tenant with an unfinished migration has no schema of a version, so only its state is read.
pub(crate) async fn observe_schemas(
    tenants: &[Arc<Tenant>],
    set: &MigrationSet,
    database: &Arc<dyn Database>,
    pace: Pace<'_>,
) -> LiveSchemas {
    let catalog = set.catalog();
    let of_tenants = tenants.iter().filter_map(|tenant| tenant.schema.clone()).collect();
    let known = Arc::new(Known { of_tenants, ..Known::default() });
    let (of_all, names) = (known.clone(), catalog.clone());
    let answers = ask_each(tenants, database, pace, move |tenant, session| {
        let (known, catalog) = (of_all.clone(), names.clone());
        let (variant, is_schema) = (tenant.variant(), tenant.schema.is_some());
        // Without a server, the product is the library in this process.
        let engine = tenant.engine;
        let server = if engine.capabilities().server { place(tenant).0 } else { engine.to_string() };
        Box::pin(async move {
            let read = LiveSchema { is_schema, ..read(session, variant, &catalog, (&known, server)).await? };
            Ok(lock(&known.schemas).place(read))
        })
    });
    let answers = answers.await;
    let mut schemas = std::mem::take(&mut *lock(&known.schemas));
    let shapes = std::mem::take(&mut *lock(&known.shapes));
    let has_own_roles = |schema: &LiveSchema| {
        let shape = schema.fingerprint.as_ref().and_then(|print| shapes.get(print));
        shape.is_some_and(|shape| shape.grants.iter().any(|grant| grant.to.contains(Grant::TENANT)))
    };
    let mut live = Vec::with_capacity(tenants.len());
    for (tenant, answer) in tenants.iter().zip(answers) {
        let schema = answer.unwrap_or_else(|fault| {
            let unread = LiveSchema { error: Some(fault), ..unread(tenant.variant(), State::Unreachable) };
            schemas.place(unread)
        });
        let namespace = has_own_roles(&schemas.all[schema]).then(|| namespace(tenant).into());
        live.push(LiveTenant { id: tenant.id.clone(), namespace, schema });
    }
    let mut schemas = schemas.all;
    compare_scripts(schemas.iter_mut().map(|schema| (schema.variant, &mut schema.state)), set).await;
    LiveSchemas { tenants: live, schemas, shapes }
}

/// The name that a role of the tenant's own may have in its name.
fn namespace(tenant: &Tenant) -> String {
    tenant.schema.clone().unwrap_or_else(|| database_name(tenant))
}

fn unread(variant: Variant, state: State) -> LiveSchema {
    LiveSchema {
        variant,
        state,
        version: None,
        history: Arc::default(),
        error: None,
        product: String::new(),
        fingerprint: None,
        is_schema: false,
    }
}

async fn read(
    session: &mut dyn Session,
    variant: Variant,
    catalog: &Catalog,
    (known, server): (&Known, String),
) -> Result<LiveSchema, Fault> {
    let (history, state) = state_of(session, variant, catalog).await?;
    let shared = known.histories.shared(history.clone());
    let version = catalog.version_of(&shared);
    let without = |state| LiveSchema { history: shared.clone(), version: version.clone(), ..unread(variant, state) };
    if matches!(state, State::Stopped(_) | State::InDoubt(_) | State::Migrating) {
        return Ok(without(state));
    }
    let text = session.shape_text().await?;
    let fingerprint = text.as_ref().and_then(|text| lock(&known.texts).get(text).cloned());
    let fingerprint = match fingerprint {
        Some(fingerprint) => fingerprint,
        None => fingerprint_of(session, known, text).await?,
    };
    // A run that commits between the two readings would look like drift.
    if session.history().await? != history {
        return Ok(without(State::Migrating));
    }
    let product = lock(&known.products).get(&server).cloned();
    let product = match product {
        Some(product) => product,
        None => {
            let product = session.health(&Questions::default()).await?.version;
            if !product.is_empty() {
                lock(&known.products).insert(server, product.clone());
            }
            product
        }
    };
    Ok(LiveSchema { product, fingerprint: Some(fingerprint), ..without(state) })
}

/// Reads the schema, and keeps its fingerprint for who has the same text.
async fn fingerprint_of(session: &mut dyn Session, known: &Known, text: Option<String>) -> Result<String, Fault> {
    let mut shape = session.shape().await?;
    shape.others.retain(|other| other.kind != "schema" || !known.of_tenants.contains(&other.name));
    // Some milliseconds of work on a large schema, which other sessions must not wait for.
    let digest = tokio::task::spawn_blocking(move || (shape.fingerprint_of_all(), shape));
    let (fingerprint, shape) = digest.await.expect("plain data has a fingerprint");
    lock(&known.shapes).entry(fingerprint.clone()).or_insert_with(|| Arc::new(shape));
    // Somebody may have changed it between the two readings.
    if let Some(text) = text
        && session.shape_text().await?.as_ref() == Some(&text)
    {
        lock(&known.texts).insert(text, fingerprint.clone());
    }
    Ok(fingerprint)
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
