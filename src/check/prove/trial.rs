//! One scratch database under trial: one step at a time, and a snapshot after each.
//!
//! It applies the given scripts and judges nothing.

use std::sync::Arc;

use uuid::Uuid;

use super::verdict::Snapshot;
use crate::compile::MigrationSet;
use crate::engine::{ApplyError, Database, Notifier, Servers, Session, Step, Work};
use crate::model::schema::Script;
use crate::model::shape::Shape;
use crate::model::tenant::{Tenant, TenantId};
use crate::policy::Timeouts;

pub(super) struct Trial {
    pub(super) session: Box<dyn Session>,
}

impl Trial {
    /// Opens a scratch database for the migrations of a set.
    pub(super) async fn open(
        set: &Arc<MigrationSet>,
        timeouts: Timeouts,
        tenant: &Arc<Tenant>,
    ) -> Result<Self, String> {
        let door = Servers::new(set.clone(), timeouts);
        // Variables have the same values in each of them: what is made is compared.
        let tags = set.tags().into_iter().map(|key| (key.to_owned(), "sample".to_owned())).collect();
        let tenant = Arc::new(Tenant { id: TenantId::from("sample"), tags, ..Tenant::clone(tenant) });
        let session = door.connect(&tenant).await.map_err(|fault| fault.to_string())?;
        Ok(Trial { session })
    }

    /// Applies scripts in order; the error text says where it stopped.
    pub(super) async fn apply(
        &mut self,
        scripts: impl IntoIterator<Item = (usize, Arc<Script>)>,
    ) -> Result<(), String> {
        let history = self.history().await?;
        let steps: Vec<Step> =
            scripts.into_iter().map(|(index, script)| Step::new(index, script, Default::default())).collect();
        if steps.is_empty() {
            return Ok(());
        }
        let work = Work {
            run: Uuid::now_v7().to_string(),
            history,
            steps,
            teller: Notifier::default(),
            cancelled: Arc::default(),
            has_rows: Arc::default(),
            expectations: Default::default(),
            transaction: Default::default(),
            stopwatch: Default::default(),
        };
        self.session.apply(&work).await.map_err(|stop| in_words(&stop))
    }

    pub(super) async fn history(&mut self) -> Result<Vec<String>, String> {
        self.session.history().await.map_err(|fault| format!("the history can't be read: {fault}"))
    }

    pub(super) async fn shape(&mut self) -> Result<Shape, String> {
        self.session.shape().await.map_err(|fault| format!("the schema can't be read: {fault}"))
    }

    /// The schema, and the number of rows in each table.
    pub(super) async fn look(&mut self) -> Result<Snapshot, String> {
        let shape = self.shape().await?;
        let names: Vec<String> = shape.tables.iter().map(|table| table.name.clone()).collect();
        let counts = self.session.row_counts(&names).await;
        let counts = counts.map_err(|fault| format!("the rows can't be counted: {fault}"))?;
        Ok(Snapshot { shape, rows: names.into_iter().zip(counts).collect() })
    }

    pub(super) async fn close(self) {
        self.session.close().await;
    }
}

fn in_words(stop: &ApplyError) -> String {
    let statement = stop.at.as_ref().and_then(|at| Some((at.statement?, at.sql.as_deref().unwrap_or_default())));
    match statement {
        Some((number, sql)) => format!("{} (statement {number}: {sql})", stop.fault),
        None => stop.fault.to_string(),
    }
}
