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

/// One tenant's answer to [`observe_values`].
#[derive(Debug)]
pub(crate) struct ValuesOf {
    /// The rows of each table, counted, where that was asked.
    pub(crate) counts: Option<Result<Vec<(String, u64)>, Fault>>,
    /// The answers to the measures that have a text for its engine; the first that it does not answer is its fault.
    pub(crate) measures: Result<Vec<(String, FirstRows)>, Fault>,
}

/// The values of each tenant over one session, in the order given: the answers to measures, and with `with_counts` the rows of
/// all tables.
pub(crate) async fn observe_values(
    tenants: &[Arc<Tenant>],
    database: &Arc<dyn Database>,
    pace: Pace<'_>,
    (with_counts, measures): (bool, Arc<[Assertion]>),
) -> Vec<Result<ValuesOf, Fault>> {
    ask_each(tenants, database, pace, move |tenant, session| {
        let (measures, engine) = (measures.clone(), tenant.engine);
        Box::pin(async move {
            let counts = if with_counts { Some(count_rows(session).await) } else { None };
            Ok(ValuesOf { counts, measures: measured(session, engine, &measures).await })
        })
    })
    .await
}

async fn measured(
    session: &mut dyn Session,
    engine: Engine,
    measures: &[Assertion],
) -> Result<Vec<(String, FirstRows)>, Fault> {
    let mut all = Vec::with_capacity(measures.len());
    for measure in measures {
        let Some(sql) = &measure.sql[engine] else { continue };
        let answer = session.first_rows(sql, 1).await;
        let told = |fault: Fault| Fault { message: format!("measure {}: {}", measure.name, fault.message), ..fault };
        all.push((measure.name.clone(), answer.map_err(told)?));
    }
    Ok(all)
}

async fn count_rows(session: &mut dyn Session) -> Result<Vec<(String, u64)>, Fault> {
    let tables: Vec<String> = session.shape().await?.tables.into_iter().map(|table| table.name).collect();
    let counts = session.row_counts(&tables).await?;
    Ok(tables.into_iter().zip(counts).collect())
}
