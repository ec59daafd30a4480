//! Proofs of migrations and entities on scratch databases: compiled scripts match native execution, and every up has a
//! working down.
//!
//! It drives sessions one step at a time and compares what it finds. It never touches a tenant: every database here is
//! created by `ScratchPlace`, used and dropped.

mod drive;
mod entities;
mod in_place;
mod template;
mod trial;
mod verdict;
mod version;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;

use crate::compile::MigrationSet;
use crate::engine::{ScratchPlace, Session};
use crate::model::engine::Variant;
use crate::model::fault::Fault;
use crate::policy::Timeouts;
use crate::seed::{SeedRequest, seed};

pub(crate) use drive::prove;
pub(crate) use entities::{Finding, against_live, described, entities};
pub(crate) use template::newest;
pub(crate) use verdict::{EngineProof, OtherPart, Proof, Verdict};
pub(crate) use version::version_schema;

/// The state that all proofs on one engine share.
#[derive(Clone)]
pub(crate) struct Bench {
    /// The place where scratch databases are created.
    pub(crate) place: ScratchPlace,
    /// The part of a script that is proven there.
    pub(crate) variant: Variant,
    /// The migrations under proof.
    pub(crate) set: Arc<MigrationSet>,
    /// Whether the fleet has its migrations in their online form.
    pub(crate) online: bool,
    /// The time limits.
    pub(crate) timeouts: Timeouts,
    /// Returns a future that completes when everything has to stop; called once for each database.
    pub(crate) stop: Arc<dyn Fn() -> Stopping + Send + Sync>,
    /// Called with remarks for the operator beside the result.
    pub(crate) tell: Arc<dyn Fn(String) + Send + Sync>,
    /// Counts the migrations that were proven, on all engines.
    pub(crate) done: Arc<AtomicUsize>,
}

/// A future that completes when everything has to stop.
pub(crate) type Stopping = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Inserts rows into the existing tables, so that a migration has data to lose.
#[async_trait]
pub(crate) trait Fill: Send + Sync {
    /// Returns the number of inserted rows.
    ///
    /// # Errors
    /// A [`Fault`] when a table can't be filled; the proof goes on with the rows that are there.
    async fn fill(&self, session: &mut dyn Session) -> Result<u64, Fault>;
}

/// Generated rows, the same each time, for every table that is still empty.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seeds(pub(crate) SeedRequest);

#[async_trait]
impl Fill for Seeds {
    async fn fill(&self, session: &mut dyn Session) -> Result<u64, Fault> {
        // Tables are named once for all migrations; a table does not exist before its own migration has run.
        let shape = session.shape().await?;
        let mut request = self.0.clone();
        request.rows.retain(|(table, _)| shape.tables.iter().any(|there| there.name == *table));
        match seed(session, &request, &|_| {}).await {
            Ok(summary) => Ok(summary.added()),
            // Rows inserted before it stopped stay, and are examined like all other rows.
            Err(stop) => Err(Fault { message: stop.to_string(), ..stop.fault }),
        }
    }
}

/// Inserts nothing: only the rows of the migrations themselves exist.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nothing;

#[async_trait]
impl Fill for Nothing {
    async fn fill(&self, _: &mut dyn Session) -> Result<u64, Fault> {
        Ok(0)
    }
}
