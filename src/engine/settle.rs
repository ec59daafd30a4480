//! Settles a tenant that is in doubt: an operator has inspected it and reports its state.
//!
//! Only the journal and the history row change here, in one transaction: dying before its commit leaves the tenant in
//! doubt as it was. Nothing of the migration itself is run.

use super::TenantEndpoint;
use super::queries::TenantQueries;
use crate::model::fault::Fault;
use crate::model::schema::{Direction, Unfinished};

/// An operator's finding about an unfinished migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// All of it is in place (up) or gone (down): it counts as done.
    Applied,
    /// Nothing of it is in place (any more): it counts as not begun.
    NotApplied,
    /// Everything before this statement, counted from 1, is in place: the next run resumes there.
    ResumeAt {
        statement: usize,
        /// The SHA-256 of the intended script.
        sha256: String,
    },
}

/// Settles it in one transaction, which `begin` begins. Returns the unfinished migration.
pub(crate) async fn settle(
    session: &mut dyn TenantQueries,
    begin: Vec<String>,
    unfinished: Unfinished,
    settlement: &Settlement,
) -> Result<Unfinished, Fault> {
    let mut all = begin;
    all.extend(statements(session.door(), &unfinished, settlement));
    all.push("COMMIT".to_owned());
    session.transaction(all.join(";\n")).await?;
    Ok(unfinished)
}

/// The statements that settle it, without the transaction around them.
fn statements(door: &TenantEndpoint, unfinished: &Unfinished, settlement: &Settlement) -> Vec<String> {
    let journal = door.journal();
    let record = door.migrations.record(&unfinished.migration, door.tenant.variant());
    let row = |direction| door.books().record_of(&unfinished.migration, &record, direction);
    // The way up deletes the row first: it may or may not exist.
    let absent = row(Direction::Down);
    let present = row(Direction::Up);
    match (settlement, unfinished.direction) {
        (Settlement::Applied, Direction::Up) | (Settlement::NotApplied, Direction::Down) => {
            vec![absent, present, journal.close()]
        }
        (Settlement::Applied, Direction::Down) | (Settlement::NotApplied, Direction::Up) => {
            vec![absent, journal.close()]
        }
        (Settlement::ResumeAt { statement, sha256 }, _) => vec![journal.vouch(*statement, sha256)],
    }
}
