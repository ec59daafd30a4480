//! Whether a server still works for a session of ours that hears nothing from it: asked over a connection of its own.
//!
//! It ends a session only when it is told to; how long is too long is not decided here.

use std::time::Duration;

use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};

use super::mysql::decode;
use super::postgres::connect;
use super::{errors, literal};
use crate::model::fault::FaultClass;
use crate::model::tenant::Engine;

/// What a server says of a session that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// It works; or it answered, and can't say anything of that session.
    Works,
    /// It waits for us as we wait for it: a question or an answer was lost on the way.
    Waits,
    /// It has no such session any more, and that never reached us.
    Gone,
    /// Nobody answers on a new connection either.
    Silent,
    /// It can't be asked: the session has not even heard its own name.
    Unheard,
}

/// What is asked of a session, from outside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    /// A session that waits for less than this has only just been answered.
    pub(crate) idle: Duration,
    /// Whether the session is to be ended, unless it works.
    pub(crate) end: bool,
    /// For the whole question.
    pub(crate) limit: Duration,
}

/// Of the PostgreSQL session with this application name.
///
/// Behind a pooler that name may be nobody's: only a server that is spoken to itself is believed that a session is gone.
pub(crate) async fn postgres(options: PgConnectOptions, name: String, question: Question) -> Liveness {
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
        let mut connection = match options.clone().options([connect::MARK]).connect().await {
            // A pooler that refuses the mark is one all the same.
            Err(error) if is_answer(&error) => options.connect().await?,
            connected => connected?,
        };
        let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(&mut connection).await?;
        let sign = sign(&row.try_get::<String, _>(0)?);
        if question.end && sign == Liveness::Waits {
            sqlx::raw_sql(AssertSqlSafe(end)).execute(&mut connection).await?;
        }
        let _ = connection.close().await;
        Ok(sign)
    };
    judge(tokio::time::timeout(question.limit, ask).await.ok())
}

/// Of the MySQL or MariaDB session with this connection id; 0 while it is not known.
///
/// A proxy may give out ids of its own: only a server that lists the asking session under its id is believed.
pub(crate) async fn mysql(options: MySqlConnectOptions, id: u64, question: Question) -> Liveness {
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
        let mut connection = options.connect().await?;
        let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(&mut connection).await?;
        let sign = sign(&decode::text(&row, 0).unwrap_or_default());
        if question.end && sign == Liveness::Waits {
            sqlx::raw_sql(AssertSqlSafe(format!("KILL CONNECTION {id}"))).execute(&mut connection).await?;
        }
        let _ = connection.close().await;
        Ok(sign)
    };
    judge(tokio::time::timeout(question.limit, ask).await.ok())
}

fn sign(text: &str) -> Liveness {
    match text {
        "waits" => Liveness::Waits,
        "gone" => Liveness::Gone,
        _ => Liveness::Works,
    }
}

fn is_answer(error: &sqlx::Error) -> bool {
    use FaultClass::{ConnectTimeout, ConnectionLost, ConnectionRefused, Dns};
    !matches!(errors::connecting(error).class, ConnectTimeout | ConnectionLost | ConnectionRefused | Dns)
}

/// A server that refuses a connection, or the question, is there: that says nothing of the session.
fn judge(answer: Option<Result<Liveness, sqlx::Error>>) -> Liveness {
    match answer {
        Some(Ok(sign)) => sign,
        Some(Err(error)) if is_answer(&error) => Liveness::Works,
        Some(Err(_)) | None => Liveness::Silent,
    }
}
