//! Proofs of migrations and entities on scratch databases: what was compiled is right, what goes up comes down.
//!
//! It drives sessions one step at a time and compares what it finds. It never touches a tenant: every database here is made
//! by `ScratchPlace`, used and dropped.

mod drive;
mod entities;
mod trial;
mod verdict;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;

use crate::compile::MigrationSet;
use crate::engine::{ScratchPlace, Session};
use crate::model::fault::Fault;
use crate::policy::Timeouts;
use crate::seed::{SeedRequest, seed};

pub(crate) use drive::prove;
pub(crate) use entities::{Finding, entities};
pub(crate) use verdict::{EngineProof, Proof, Verdict};

/// What all proofs on one engine share.
#[derive(Clone)]
pub(crate) struct Bench {
    /// Where the scratch databases are made.
    pub(crate) place: ScratchPlace,
    /// The migrations under proof.
    pub(crate) set: Arc<MigrationSet>,
    /// How long anything may take.
    pub(crate) timeouts: Timeouts,
    /// Ends when everything is to stop; asked anew for each database.
    pub(crate) stop: Arc<dyn Fn() -> Stopping + Send + Sync>,
    /// Is told what a person should know beside the result.
    pub(crate) tell: Arc<dyn Fn(String) + Send + Sync>,
}

/// The wish to stop.
pub(crate) type Stopping = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Puts rows into the tables that are there, so that a migration has something to lose.
#[async_trait]
pub(crate) trait Fill: Send + Sync {
    /// Returns how many rows were put in.
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
        // Tables are named once for all migrations; before its own has run a table is not there.
        let shape = session.shape().await?;
        let mut request = self.0.clone();
        request.rows.retain(|(table, _)| shape.tables.iter().any(|there| there.name == *table));
        match seed(session, &request, &|_| {}).await {
            Ok(summary) => Ok(summary.added()),
            // What was put in before it stopped stays, and is looked at like all other rows.
            Err(stop) => Err(Fault { message: stop.to_string(), ..stop.fault }),
        }
    }
}

/// Puts nothing in: only the rows of the migrations themselves are there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nothing;

#[async_trait]
impl Fill for Nothing {
    async fn fill(&self, _: &mut dyn Session) -> Result<u64, Fault> {
        Ok(0)
    }
}
