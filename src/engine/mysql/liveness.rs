//! Whether a MySQL or MariaDB server still works for a session of ours.

use sqlx::mysql::MySqlConnectOptions;

use crate::engine::Liveness;
use crate::engine::liveness::{Question, judge, sign};
use crate::engine::queries::connect_aside;

/// Asks about the MySQL or MariaDB session with this connection id; 0 while it is unknown.
///
/// A proxy may assign its own ids, so only a server that lists the asking session under its id is trusted.
pub(in crate::engine) async fn ask(options: MySqlConnectOptions, id: u64, question: Question) -> Liveness {
    if id == 0 {
        return Liveness::Unheard;
    }
    let sessions = "information_schema.processlist";
    let idle = question.idle.as_secs_f64();
    let sql = format!(
        "SELECT COALESCE((SELECT CASE WHEN command = 'Sleep' AND time >= {idle} OR state LIKE 'Writing to net%' OR state \
         LIKE 'Sending to client%' THEN 'waits' ELSE 'works' END FROM {sessions} WHERE id = {id}), CASE WHEN EXISTS (SELECT \
         1 FROM {sessions} WHERE id = CONNECTION_ID()) THEN 'gone' ELSE 'works' END)"
    );
    let ask = async {
        let mut connection = connect_aside(options).await?;
        let sign = sign(connection.rows(sql).await?.first());
        if question.end && sign == Liveness::Waits {
            connection.run(format!("KILL CONNECTION {id}")).await?;
        }
        connection.close().await;
        Ok(sign)
    };
    judge(tokio::time::timeout(question.limit, ask).await.ok())
}
