//! The right to write of a run that several processes share, checked in the transaction that writes.

use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect};

use super::entity::{claim, outcome, shared_run};

/// The right of a process. One that was taken over writes nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fence {
    /// It leads the run.
    Leads { token: i64 },
    /// It has one tenant; the claim ends with the outcome.
    Has { place: i64, token: i64 },
}

/// The text of a refused write.
pub(super) const TAKEN_OVER: &str = "another runner has taken over";

impl Fence {
    /// Whether this process may write these outcomes, or anything else. False: they are written already, by a commit whose
    /// answer was lost.
    ///
    /// # Errors
    /// [`TAKEN_OVER`], or that of the database.
    pub(super) async fn pass<'m>(
        self,
        tx: &DatabaseTransaction,
        run: &str,
        mut outcomes: impl Iterator<Item = &'m outcome::Model>,
    ) -> Result<bool, DbErr> {
        let refused = || DbErr::Custom(TAKEN_OVER.to_owned());
        let (place, token) = match self {
            Fence::Leads { token } => {
                let row = shared_run::Entity::find_by_id(run).filter(shared_run::Column::Token.eq(token));
                return row.lock_exclusive().one(tx).await?.map(|_| true).ok_or_else(refused);
            }
            Fence::Has { place, token } => (place, token),
        };
        let Some(written) = outcomes.find(|row| row.place == place) else {
            let row = claim::Entity::find_by_id((run.to_owned(), place)).filter(claim::Column::Token.eq(token));
            return row.lock_exclusive().one(tx).await?.map(|_| true).ok_or_else(refused);
        };
        let own = claim::Entity::delete_many().filter(claim::Column::Run.eq(run));
        let own = own.filter(claim::Column::Place.eq(place)).filter(claim::Column::Token.eq(token));
        if own.exec(tx).await?.rows_affected == 1 {
            return Ok(true);
        }
        match outcome::Entity::find_by_id((run.to_owned(), place)).one(tx).await? {
            Some(found) if found == *written => Ok(false),
            _ => Err(refused()),
        }
    }
}
