//! Whether a PostgreSQL server still works for a session of ours.

use sqlx::postgres::PgConnectOptions;

use crate::engine::Liveness;
use crate::engine::liveness::{Question, is_answer, judge, sign};
use crate::engine::postgres::connect;
use crate::engine::postgres::own_backend::OwnBackend;
use crate::engine::queries::connect_aside;

/// Asks about a PostgreSQL session.
///
/// Behind a pooler its name may belong to no session: only a server reached directly is trusted when it reports a
/// session as gone.
pub(in crate::engine) async fn ask(options: PgConnectOptions, own: OwnBackend, question: Question) -> Liveness {
    let me = format!("{} AND pid <> pg_backend_pid()", own.is_it("pg_stat_activity"));
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
