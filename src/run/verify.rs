//! Asks tenants whether assertions hold, and for the values of measures, for `verify`.
//!
//! It reads only, in read-only transactions, and judges no answer.

use std::sync::Arc;

use super::observe::{Pace, ask_each};
use crate::engine::{Database, Session};
use crate::model::assertion::{Answer, Assertion, FirstRows};
use crate::model::fault::Fault;
use crate::model::tenant::{Engine, Tenant};

/// The most rows of a failed assertion that are shown.
const MOST_ROWS: usize = 10;

/// The answers of one tenant over its open session, in the order of the assertions.
pub(super) async fn hold(session: &mut dyn Session, engine: Engine, assertions: &[Assertion]) -> Vec<Answer> {
    let mut answers = Vec::with_capacity(assertions.len());
    for assertion in assertions {
        answers.push(match &assertion.sql[engine] {
            None => Answer::NotAsked,
            Some(sql) => match session.first_rows(sql, MOST_ROWS).await {
                Ok(rows) if rows.rows.is_empty() => Answer::Holds,
                Ok(rows) => Answer::Fails(rows),
                Err(error) => Answer::Error { error },
            },
        });
    }
    answers
}

/// The answers of each tenant, in the order given.
pub(crate) async fn observe_assertions(
    tenants: &[Arc<Tenant>],
    database: &Arc<dyn Database>,
    pace: Pace<'_>,
    assertions: Arc<[Assertion]>,
) -> Vec<Result<Vec<Answer>, Fault>> {
    ask_each(tenants, database, pace, move |tenant, session| {
        let (assertions, engine) = (assertions.clone(), tenant.engine);
        Box::pin(async move { Ok(hold(session, engine, &assertions).await) })
    })
    .await
}

/// The answer of each tenant to each measure that has a text for its engine, in the order given. The first that a tenant does not
/// answer is its fault.
pub(crate) async fn observe_measures(
    tenants: &[Arc<Tenant>],
    database: &Arc<dyn Database>,
    pace: Pace<'_>,
    measures: Arc<[Assertion]>,
) -> Vec<Result<Vec<(String, FirstRows)>, Fault>> {
    ask_each(tenants, database, pace, move |tenant, session| {
        let (measures, engine) = (measures.clone(), tenant.engine);
        Box::pin(async move {
            let mut all = Vec::with_capacity(measures.len());
            for measure in measures.iter() {
                let Some(sql) = &measure.sql[engine] else { continue };
                let answer = session.first_rows(sql, 1).await;
                let told =
                    |fault: Fault| Fault { message: format!("measure {}: {}", measure.name, fault.message), ..fault };
                all.push((measure.name.clone(), answer.map_err(told)?));
            }
            Ok(all)
        })
    })
    .await
}

/// The rows of each table of each tenant, counted: one list a tenant, in the order given.
pub(crate) async fn count_rows(
    tenants: &[Arc<Tenant>],
    database: &Arc<dyn Database>,
    pace: Pace<'_>,
) -> Vec<Result<Vec<(String, u64)>, Fault>> {
    ask_each(tenants, database, pace, |_, session| {
        Box::pin(async move {
            let tables: Vec<String> = session.shape().await?.tables.into_iter().map(|table| table.name).collect();
            let counts = session.row_counts(&tables).await?;
            Ok(tables.into_iter().zip(counts).collect())
        })
    })
    .await
}
