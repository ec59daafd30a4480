//! The approvals of saved plans: who approved which digest, and when.
//!
//! It decides nothing: whether a run needs one is the command line's business.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use super::entity::approval;
use super::error::LedgerError;
use super::migrations::version_of_approvals;
use super::open::Ledger;
use super::reader::READ;
use super::writer::{insert_all, json};
use crate::crash;
use crate::model::approval::Approval;

impl Ledger {
    /// Records an approval. Dying in it: it is recorded, or it is not.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be written.
    pub(crate) async fn approve(&self, approval: &Approval) -> Result<(), LedgerError> {
        let row = approval::Model {
            id: Uuid::now_v7().to_string(),
            digest: approval.digest.clone(),
            approver: approval.by.clone(),
            origin: json(&approval.origin),
            at_ms: approval.at_ms,
            plan: approval.plan.clone(),
        };
        let store = &self.store;
        crash::at("unwritten", "approval");
        insert_all(&store.db, [&row], |_| 0).await.map_err(store.explain("record an approval in"))?;
        crash::at("written", "approval");
        Ok(())
    }

    /// The approvals of the plan with this digest, oldest first.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be read. One of a program before approvals has none.
    pub(crate) async fn approvals(&self, digest: &str) -> Result<Vec<Approval>, LedgerError> {
        let store = &self.store;
        if store.version < version_of_approvals() {
            return Ok(Vec::new());
        }
        let rows = approval::Entity::find().filter(approval::Column::Digest.eq(digest));
        let rows = rows.order_by_asc(approval::Column::AtMs).order_by_asc(approval::Column::Id);
        let rows = rows.all(&store.db).await.map_err(store.explain(READ))?;
        let read = |row: approval::Model| {
            let origin = store.parse(&row.origin, || format!("an approval of plan {digest}"))?;
            Ok(Approval { digest: row.digest, by: row.approver, origin, at_ms: row.at_ms, plan: row.plan })
        };
        rows.into_iter().map(read).collect()
    }
}
