//! Requests to pause a run that goes on.
//!
//! A run writes its row when it begins, so that one of a program that looks for no request has none. The request is the run's
//! own: a run that resumes it has another id, and a row of its own.
//!
//! | killed | what is found |
//! |---|---|
//! | before [`Ledger::ask_to_pause`] returned | a request, or none |
//! | the run, before it has read the request | a run that died, as without one; `runs resume` begins another, which is not asked |
//! | the run, after it has read it | the same: it is paused when its end is recorded, and not before |
//! | the leader of a shared run | another runner leads, and finds the request before it starts anything |

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::entity::pause;
use super::error::LedgerError;
use super::migrations::version_of_pauses;
use super::open::{Ledger, Store};
use super::reader::READ;
use super::writer::json;
use crate::crash;
use crate::model::pause::Pause;

/// The state of a run with regard to requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It looks for none: a program without them began it.
    Never,
    NotYet,
    Already(Pause),
}

impl Ledger {
    /// Whether a run has been asked to pause.
    pub(crate) async fn asked_to_pause(&self, run: Uuid) -> Result<Asked, LedgerError> {
        let store = &self.store;
        if store.version < version_of_pauses() {
            return Ok(Asked::Never);
        }
        let row = pause::Entity::find_by_id(run.to_string()).one(&store.db).await.map_err(store.explain(READ))?;
        Ok(match row.map(|row| row.request) {
            None => Asked::Never,
            Some(None) => Asked::NotYet,
            Some(Some(text)) => Asked::Already(store.parse(&text, || format!("the request to pause run {run}"))?),
        })
    }

    /// Asks a run to pause; the first request stays. False: it was asked before, or looks for none.
    pub(crate) async fn ask_to_pause(&self, run: Uuid, request: &Pause) -> Result<bool, LedgerError> {
        crash::at("unwritten", "pause");
        let asked = pause::Entity::update_many()
            .col_expr(pause::Column::Request, Expr::value(json(request)))
            .filter(pause::Column::Run.eq(run.to_string()))
            .filter(pause::Column::Request.is_null())
            .exec(&self.store.db)
            .await;
        crash::at("written", "pause");
        Ok(asked.map_err(self.store.explain("write a request into"))?.rows_affected == 1)
    }
}

impl Store {
    /// The request to pause a run, if there is one. One that can't be read is none: it is looked for again.
    pub(super) async fn pause_of(&self, run: &str) -> Result<Option<Pause>, DbErr> {
        let row = pause::Entity::find_by_id(run).one(&self.db).await?;
        Ok(row.and_then(|row| serde_json::from_str(&row.request?).ok()))
    }
}
