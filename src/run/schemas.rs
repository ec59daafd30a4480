//! Reads the schemas of many tenants at once, for `check`.
//!
//! It creates and changes nothing, and compares nothing; an unreadable tenant is an observation like any other.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::observe::{Histories, Pace, ask_each, compare_scripts, state_of};
use crate::compile::MigrationSet;
use crate::engine::{Database, Session, place};
use crate::model::engine::Variant;
use crate::model::fault::Fault;
use crate::model::health::Questions;
use crate::model::live_schema::{LiveSchema, LiveSchemas};
use crate::model::observation::Observation;
use crate::model::schema::{Catalog, State};
use crate::model::shape::Shape;
use crate::model::tenant::Tenant;

/// The distinct schemas by fingerprint, and the product of each server, as far as they are known.
#[derive(Default)]
struct Known {
    shapes: Mutex<HashMap<String, Arc<Shape>>>,
    products: Mutex<HashMap<String, String>>,
    /// The fingerprints by the texts that a schema follows from.
    texts: Mutex<HashMap<String, String>>,
    histories: Histories,
    /// The schemas of tenants. One stands beside another in a database, and is no part of it.
    of_tenants: HashSet<String>,
}

/// One tenant's answer.
struct Answer {
    history: Arc<[String]>,
    state: State,
    product: String,
    fingerprint: Option<String>,
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
        let (known, catalog, variant) = (of_all.clone(), names.clone(), tenant.variant());
        // Without a server, the product is the library in this process.
        let engine = tenant.engine;
        let server = if engine.capabilities().server { place(tenant).0 } else { engine.to_string() };
        Box::pin(async move { read(session, variant, &catalog, (&known, server)).await })
    });
    let (mut observations, mut read) = (Vec::with_capacity(tenants.len()), Vec::with_capacity(tenants.len()));
    for (tenant, answer) in tenants.iter().zip(answers.await) {
        let (seen, product, fingerprint) = match answer {
            Ok(Answer { history, state, product, fingerprint }) => {
                (Observation::new(tenant, catalog, history, state), product, fingerprint)
            }
            Err(fault) => (Observation::unreachable(tenant, fault), String::new(), None),
        };
        observations.push(seen);
        read.push((product, fingerprint));
    }
    compare_scripts(&mut observations, set).await;
    let live = observations.into_iter().zip(read).zip(tenants);
    let live = live.map(|((seen, (product, fingerprint)), tenant)| LiveSchema {
        seen,
        product,
        fingerprint,
        is_schema: tenant.schema.is_some(),
    });
    let tenants = live.collect();
    let shapes = std::mem::take(&mut *lock(&known.shapes));
    LiveSchemas { tenants, shapes }
}

async fn read(
    session: &mut dyn Session,
    variant: Variant,
    catalog: &Catalog,
    (known, server): (&Known, String),
) -> Result<Answer, Fault> {
    let (history, state) = state_of(session, variant, catalog).await?;
    let shared = known.histories.shared(history.clone());
    let without = |state| Answer { history: shared.clone(), state, product: String::new(), fingerprint: None };
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
    Ok(Answer { history: shared, state, product, fingerprint: Some(fingerprint) })
}

/// Reads the schema, and keeps its fingerprint for who has the same text.
async fn fingerprint_of(session: &mut dyn Session, known: &Known, text: Option<String>) -> Result<String, Fault> {
    let mut shape = session.shape().await?;
    shape.others.retain(|other| other.kind != "schema" || !known.of_tenants.contains(&other.name));
    // Some milliseconds of work on a large schema, which other sessions must not wait for.
    let digest = tokio::task::spawn_blocking(move || (shape.fingerprint_with_grants(), shape));
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
