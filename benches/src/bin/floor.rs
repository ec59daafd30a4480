//! The floor: what the work costs when nothing is done but the work. One process, raw driver connections, one message a
//! tenant with the migrations' SQL and their history rows. It keeps no books, takes no locks and retries nothing.
//!
//! `floor ENGINE TENANTS CONCURRENCY cold|noop|query`, ENGINE one of sqlite, postgres, mysql. `noop` connects, reads the
//! history and disconnects; it fails when the history is not complete, so that it also proves what the others did. `query` sends the
//! text in `FLOOR_QUERY` to each tenant, and reads its rows.
//! Prints how many seconds it took to record the SQL: that is preparation and no part of the floor.

use std::process::ExitCode;
use std::str::FromStr as _;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use fleet_bench::{for_each, read_tenants};
use migration::Migrator;
use sea_orm::{DbBackend, MockDatabase, MockExecResult, Statement, Value};
use sea_orm_migration::{MigratorTrait as _, SchemaManager};
use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};

const USAGE: &str = "usage: floor sqlite|postgres|mysql TENANTS CONCURRENCY cold|noop|query";
const READ_HISTORY: &str = "SELECT version FROM seaql_migrations";

#[tokio::main]
async fn main() -> ExitCode {
    match start().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn start() -> Result<ExitCode, String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [engine, tenants, concurrency, mode] = arguments.as_slice() else { return Err(USAGE.to_owned()) };
    let backend = match engine.as_str() {
        "sqlite" => DbBackend::Sqlite,
        "postgres" => DbBackend::Postgres,
        "mysql" => DbBackend::MySql,
        _ => return Err(USAGE.to_owned()),
    };
    let concurrency: usize = concurrency.parse().map_err(|_| USAGE.to_owned())?;
    let tenants = read_tenants(tenants)?;

    let recording = Instant::now();
    let script = match mode.as_str() {
        "cold" => Some(script(backend).await?),
        "noop" => None,
        "query" => Some(std::env::var("FLOOR_QUERY").map_err(|_| "FLOOR_QUERY has no text".to_owned())?),
        _ => return Err(USAGE.to_owned()),
    };
    println!("recording_seconds={:.6}", recording.elapsed().as_secs_f64());

    let complete = Migrator::migrations().len();
    Ok(for_each(tenants, concurrency, move |url| {
        let script = script.clone();
        async move { tenant(backend, &url, script, complete).await }
    })
    .await)
}

/// Everything that a new tenant is sent, as one message.
async fn script(backend: DbBackend) -> Result<String, String> {
    // MySQL commits each DDL statement by itself: a transaction around it would be an empty gesture.
    let (begin, commit) = match backend {
        DbBackend::Postgres => ("BEGIN;\n", "COMMIT;\n"),
        DbBackend::Sqlite => ("BEGIN IMMEDIATE;\n", "COMMIT;\n"),
        _ => ("", ""),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?.as_secs();
    let mut script = String::new();
    for (index, migration) in Migrator::migrations().into_iter().enumerate() {
        let db = MockDatabase::new(backend).append_exec_results(vec![MockExecResult::default(); 200]).into_connection();
        if index == 0 {
            Migrator::install(&db).await.map_err(|error| error.to_string())?;
        }
        migration.up(&SchemaManager::new(&db)).await.map_err(|error| format!("{}: {error}", migration.name()))?;
        script.push_str(begin);
        for transaction in db.into_transaction_log() {
            for statement in transaction.statements() {
                script.push_str(&format!("{};\n", with_bytes(statement, backend)));
            }
        }
        let row =
            format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ('{}', {now});\n", migration.name());
        script.push_str(&row);
        script.push_str(commit);
    }
    Ok(script)
}

/// The drivers of MySQL and SQLite send a UUID as its bytes; SeaORM writes it into a text as a text.
fn with_bytes(statement: &Statement, backend: DbBackend) -> Statement {
    let mut statement = statement.clone();
    if backend != DbBackend::Postgres {
        for value in statement.values.iter_mut().flat_map(|values| values.0.iter_mut()) {
            if let Value::Uuid(Some(id)) = value {
                *value = id.as_bytes().to_vec().into();
            }
        }
    }
    statement
}

async fn tenant(backend: DbBackend, url: &str, script: Option<String>, complete: usize) -> Result<(), String> {
    let done = match backend {
        DbBackend::Postgres => postgres(url, script).await,
        DbBackend::MySql => mysql(url, script).await,
        _ => sqlite(url, script).await,
    };
    match done.map_err(|error| error.to_string())? {
        Some(rows) if rows != complete => Err(format!("{rows} rows in the history, not {complete}")),
        _ => Ok(()),
    }
}

/// Sends the script, or counts the rows of the history when there is none.
async fn postgres(url: &str, script: Option<String>) -> Result<Option<usize>, sqlx::Error> {
    let mut connection = PgConnectOptions::from_str(url)?.disable_statement_logging().connect().await?;
    let rows = match script {
        Some(script) => connection.execute(sqlx::raw_sql(AssertSqlSafe(script))).await.map(|_| None)?,
        None => Some(connection.fetch_all(sqlx::raw_sql(READ_HISTORY)).await?.len()),
    };
    connection.close().await?;
    Ok(rows)
}

async fn mysql(url: &str, script: Option<String>) -> Result<Option<usize>, sqlx::Error> {
    let mut connection = MySqlConnectOptions::from_str(url)?.disable_statement_logging().connect().await?;
    let rows = match script {
        Some(script) => connection.execute(sqlx::raw_sql(AssertSqlSafe(script))).await.map(|_| None)?,
        None => Some(connection.fetch_all(sqlx::raw_sql(READ_HISTORY)).await?.len()),
    };
    connection.close().await?;
    Ok(rows)
}

async fn sqlite(url: &str, script: Option<String>) -> Result<Option<usize>, sqlx::Error> {
    let mut connection = SqliteConnectOptions::from_str(url)?.disable_statement_logging().connect().await?;
    let rows = match script {
        Some(script) => connection.execute(sqlx::raw_sql(AssertSqlSafe(script))).await.map(|_| None)?,
        None => Some(connection.fetch_all(sqlx::raw_sql(READ_HISTORY)).await?.len()),
    };
    connection.close().await?;
    Ok(rows)
}
