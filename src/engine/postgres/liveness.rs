//! Whether a PostgreSQL server still works for a session of ours.

use sqlx::postgres::PgConnectOptions;

use crate::engine::Liveness;
use crate::engine::dialect::literal;
use crate::engine::liveness::{Question, is_answer, judge, sign};
use crate::engine::postgres::connect;
use crate::engine::queries::connect_aside;
use crate::model::engine::Engine;

/// Asks about the PostgreSQL session with this application name.
///
/// Behind a pooler that name may belong to no session: only a server reached directly is trusted when it reports a
/// session as gone.
pub(in crate::engine) async fn ask(options: PgConnectOptions, name: String, question: Question) -> Liveness {
    let me = format!("application_name = {} AND pid <> pg_backend_pid()", literal(Engine::Postgres, &name));
    let idle = question.idle.as_secs_f64();
    let waits = format!(
        "state LIKE 'idle%' AND state_change < clock_timestamp() - make_interval(secs => {idle}) OR wait_event = \
         'ClientWrite'"
    );
    let sql = format!(
        "SELECT coalesce((SELECT CASE WHEN bool_and({waits}) THEN 'waits' ELSE 'works' END FROM pg_stat_activity WHERE {me} \
         HAVING count(*) > 0), CASE current_setting('{}', true) WHEN '{}' THEN 'gone' ELSE 'works' END)",
        connect::MARK.0,
        connect::MARK.1
    );
    let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {me} AND ({waits})");
    let ask = async {
        let options = options.application_name("fleet:pulse");
        let mut connection = match connect_aside(options.clone().options([connect::MARK])).await {
            // A pooler that refuses the mark still counts as an answer.
            Err(fault) if is_answer(&fault) => connect_aside(options).await?,
            connected => connected?,
        };
        let sign = sign(connection.rows(sql).await?.first());
        if question.end && sign == Liveness::Waits {
            connection.run(end).await?;
        }
        connection.close().await;
        Ok(sign)
    };
    judge(tokio::time::timeout(question.limit, ask).await.ok())
}
