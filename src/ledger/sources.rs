//! The tenants that the sources of the tenant file gave when they were noted last.
//!
//! It compares nothing: that is the command line's.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use super::entity::{source, source_tenant};
use super::error::LedgerError;
use super::migrations::version_of_sources;
use super::open::Ledger;
use super::reader::READ;
use super::writer::insert_all;
use crate::model::source::SourceNote;
use crate::model::tenant::TenantId;

/// Names in one statement that deletes them.
const AT_ONCE: usize = 1_000;

impl Ledger {
    /// Replaces the notes of these sources; a run's note is of all sources, so that those of others go. Dying in it: the
    /// notes are as they were.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be written.
    pub(crate) async fn note_sources(&self, notes: &[SourceNote]) -> Result<(), LedgerError> {
        let store = &self.store;
        let write = async {
            let tx = store.begin().await?;
            if notes.iter().any(|note| note.run.is_some()) {
                let own = || notes.iter().map(|note| note.source.to_string());
                let others = source::Column::Source.is_not_in(own());
                source::Entity::delete_many().filter(others).exec(&tx).await?;
                let others = source_tenant::Column::Source.is_not_in(own());
                source_tenant::Entity::delete_many().filter(others).exec(&tx).await?;
            }
            for note in notes {
                replace(&tx, note).await?;
            }
            tx.commit().await
        };
        write.await.map_err(store.explain("note the sources in"))
    }

    /// The last notes, by the names of the sources.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be read. One of a program before sources has none.
    pub(crate) async fn sources(&self) -> Result<Vec<SourceNote>, LedgerError> {
        let store = &self.store;
        if store.version < version_of_sources() {
            return Ok(Vec::new());
        }
        let sources = source::Entity::find().order_by_asc(source::Column::Source).all(&store.db);
        let sources = sources.await.map_err(store.explain(READ))?;
        let rows = source_tenant::Entity::find().all(&store.db).await.map_err(store.explain(READ))?;
        let mut tenants: HashMap<String, BTreeSet<TenantId>> = HashMap::new();
        for row in rows {
            tenants.entry(row.source).or_default().insert(TenantId::from(row.tenant.as_str()));
        }
        let note = |row: source::Model| SourceNote {
            tenants: tenants.remove(&row.source).unwrap_or_default(),
            run: row.run.and_then(|run| Uuid::parse_str(&run).ok()),
            source: row.source.into(),
            at_ms: row.at_ms,
        };
        Ok(sources.into_iter().map(note).collect())
    }
}

/// Writes what differs only: most tenants of a large fleet are the same each time.
async fn replace(tx: &DatabaseTransaction, note: &SourceNote) -> Result<(), DbErr> {
    let of = || source_tenant::Column::Source.eq(&*note.source);
    let before = source_tenant::Entity::find().filter(of()).all(tx).await?;
    let before: BTreeSet<TenantId> = before.iter().map(|row| TenantId::from(row.tenant.as_str())).collect();
    let gone: Vec<&str> = before.difference(&note.tenants).map(TenantId::as_str).collect();
    for some in gone.chunks(AT_ONCE) {
        let some = source_tenant::Column::Tenant.is_in(some.iter().copied());
        source_tenant::Entity::delete_many().filter(of()).filter(some).exec(tx).await?;
    }
    let row = |tenant: &TenantId| source_tenant::Model { source: note.source.to_string(), tenant: tenant.to_string() };
    let new: Vec<source_tenant::Model> = note.tenants.difference(&before).map(row).collect();
    insert_all(tx, &new, |row| row.source.len() + row.tenant.len()).await?;
    let run = note.run.map(|run| run.to_string());
    insert_all(tx, [&source::Model { source: note.source.to_string(), run, at_ms: note.at_ms }], |_| 0).await
}
