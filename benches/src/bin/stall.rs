//! The application beside a migration: one reader and one writer on a table, and how long their operations take.
//!
//! `stall ENGINE URL TABLE COLUMN ROWS reader|both|hold:SECONDS`, ENGINE one of sqlite, postgres, mysql. The table's keys
//! are the numbers 1 to ROWS as UUIDs; the writer adds 1 to COLUMN of one row, in a transaction of its own. Prints `ready`
//! when all are at work, takes a line on stdin as the beginning of the window and the end of stdin as its end, and prints
//! one line of JSON, in milliseconds. `hold` reads the table in a transaction and leaves it open, idle, until so many
//! seconds after the beginning; it is for a process of its own, because on SQLite a process that already reads lets its
//! other connections past a lock that is asked for. Nothing here has a time limit: a wait is measured to its end.

use std::fmt::Display;
use std::io::BufRead as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use tokio::sync::oneshot;

const USAGE: &str = "usage: stall sqlite|postgres|mysql URL TABLE COLUMN ROWS reader|both|hold:SECONDS";
/// Between two operations of one connection.
const PAUSE: Duration = Duration::from_millis(1);
/// Operations of each connection before `ready`: its statement is prepared then, and the first pages are read.
const WARM_UP: usize = 50;
/// From one key to the next. A prime, so that the walk over the table comes to all of its parts.
const STRIDE: usize = 7919;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match observe().await {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("stall: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn observe() -> Result<String, String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [engine, url, table, column, rows, who] = arguments.as_slice() else { return Err(USAGE.to_owned()) };
    let rows: usize = rows.parse().ok().filter(|rows| *rows > 0).ok_or(USAGE)?;
    let key = match engine.as_str() {
        "postgres" => "CAST($1 AS uuid)",
        "mysql" => "UNHEX(?)",
        _ => "?",
    };
    let read = format!("SELECT {column} FROM {table} WHERE id = {key}");
    let write = format!("UPDATE {table} SET {column} = {column} + 1 WHERE id = {key}");

    if let Some(seconds) = who.strip_prefix("hold:") {
        return hold(Session::open(engine, url).await?, &read, seconds.parse().map_err(|_| USAGE)?).await;
    }
    let jobs = match who.as_str() {
        "reader" => vec![("reader", read)],
        "both" => vec![("reader", read), ("writer", write)],
        _ => return Err(USAGE.to_owned()),
    };
    let (stop, at_work) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut workers = Vec::new();
    for (name, sql) in jobs {
        let session = Session::open(engine, url).await?;
        workers.push((name, tokio::spawn(work(session, sql, rows, stop.clone(), at_work.clone()))));
    }
    while at_work.load(Ordering::Relaxed) < workers.len() {
        tokio::time::sleep(PAUSE).await;
    }

    let (begun, ended) = orders();
    println!("ready");
    let begun = begun.await.map_err(|_| "stdin was closed before the window began")?;
    let _ = ended.await;
    stop.store(true, Ordering::Relaxed);
    let mut figures = Vec::new();
    for (name, worker) in workers {
        let operations = worker.await.map_err(|error| error.to_string())?;
        figures.push(format!("\"{name}\": {}", figures_of(name, operations, begun)));
    }
    Ok(format!("{{{}}}", figures.join(", ")))
}

/// Keeps a transaction open for some time of the window, or to its end where nobody waits for that.
async fn hold(mut session: Session, read: &str, seconds: u64) -> Result<String, String> {
    session.say("BEGIN").await?;
    session.operate(read, 1).await?;
    let (begun, ended) = orders();
    println!("ready");
    begun.await.map_err(|_| "stdin was closed before the window began")?;
    let _ = tokio::time::timeout(Duration::from_secs(seconds), ended).await;
    session.say("ROLLBACK").await?;
    Ok("{}".to_owned())
}

/// When the line came, and when stdin was closed.
fn orders() -> (oneshot::Receiver<Instant>, oneshot::Receiver<()>) {
    let ((begin, begun), (end, ended)) = (oneshot::channel(), oneshot::channel());
    // A thread of its own, because waiting for stdin can't be given up.
    std::thread::spawn(move || {
        let mut lines = std::io::stdin().lock().lines();
        if let Some(Ok(_)) = lines.next() {
            let _ = begin.send(Instant::now());
        }
        for _ in lines {}
        let _ = end.send(());
    });
    (begun, ended)
}

/// What one connection did once, from sending it to having the whole answer.
struct Operation {
    begun: Instant,
    ended: Instant,
    error: Option<String>,
}

async fn work(
    mut session: Session,
    sql: String,
    rows: usize,
    stop: Arc<AtomicBool>,
    at_work: Arc<AtomicUsize>,
) -> Vec<Operation> {
    let mut operations = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let number = (operations.len() + 1) * STRIDE % rows + 1;
        let begun = Instant::now();
        let error = session.operate(&sql, number).await.err();
        operations.push(Operation { begun, ended: Instant::now(), error });
        if operations.len() == WARM_UP {
            at_work.fetch_add(1, Ordering::Relaxed);
        }
        tokio::time::sleep(PAUSE).await;
    }
    operations
}

/// The operations that were under way in the window, as JSON; the first error goes to stderr.
fn figures_of(name: &str, operations: Vec<Operation>, window: Instant) -> String {
    let within: Vec<Operation> = operations.into_iter().filter(|operation| operation.ended >= window).collect();
    let mut times: Vec<Duration> = within.iter().map(|operation| operation.ended - operation.begun).collect();
    times.sort_unstable();
    let milliseconds = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1000.0);
    let p99 = times.get((times.len() * 99 / 100).min(times.len().saturating_sub(1)));
    let errors: Vec<&String> = within.iter().filter_map(|operation| operation.error.as_ref()).collect();
    if let Some(first) = errors.first() {
        eprintln!("stall: the {name}: {first}");
    }
    format!(
        "{{\"worst\": {:.3}, \"p99\": {:.3}, \"count\": {}, \"errors\": {}}}",
        milliseconds(times.last()),
        milliseconds(p99),
        times.len(),
        errors.len()
    )
}

/// A plain connection, with the prepared statements that an application has.
enum Session {
    Postgres(PgConnection),
    Mysql(MySqlConnection),
    Sqlite(SqliteConnection),
}

impl Session {
    async fn open(engine: &str, url: &str) -> Result<Self, String> {
        let session = match engine {
            "postgres" => options::<PgConnectOptions>(url)?.connect().await.map(Session::Postgres),
            "mysql" => options::<MySqlConnectOptions>(url)?.connect().await.map(Session::Mysql),
            "sqlite" => {
                // As long as no wait is: one that the driver cut off would look like a short one.
                let options = options::<SqliteConnectOptions>(url)?.busy_timeout(Duration::from_secs(600));
                options.connect().await.map(Session::Sqlite)
            }
            _ => return Err(USAGE.to_owned()),
        };
        session.map_err(text)
    }

    async fn say(&mut self, sql: &'static str) -> Result<(), String> {
        match self {
            Session::Postgres(connection) => sqlx::raw_sql(sql).execute(connection).await.map(drop),
            Session::Mysql(connection) => sqlx::raw_sql(sql).execute(connection).await.map(drop),
            Session::Sqlite(connection) => sqlx::raw_sql(sql).execute(connection).await.map(drop),
        }
        .map_err(text)
    }

    /// One row by its key, read or written: anything but exactly one row is an error.
    async fn operate(&mut self, sql: &str, number: usize) -> Result<(), String> {
        let (sql, key, reads) = (AssertSqlSafe(sql.to_owned()), format!("{number:032x}"), sql.starts_with("SELECT"));
        let rows = match self {
            Session::Postgres(connection) if reads => {
                sqlx::query(sql).bind(key).fetch_all(connection).await.map(|rows| rows.len() as u64)
            }
            Session::Mysql(connection) if reads => {
                sqlx::query(sql).bind(key).fetch_all(connection).await.map(|rows| rows.len() as u64)
            }
            Session::Sqlite(connection) if reads => {
                sqlx::query(sql).bind(key).fetch_all(connection).await.map(|rows| rows.len() as u64)
            }
            Session::Postgres(connection) => {
                sqlx::query(sql).bind(key).execute(connection).await.map(|done| done.rows_affected())
            }
            Session::Mysql(connection) => {
                sqlx::query(sql).bind(key).execute(connection).await.map(|done| done.rows_affected())
            }
            Session::Sqlite(connection) => {
                sqlx::query(sql).bind(key).execute(connection).await.map(|done| done.rows_affected())
            }
        };
        match rows.map_err(text)? {
            1 => Ok(()),
            rows => Err(format!("{rows} rows instead of one")),
        }
    }
}

fn options<O: sqlx::ConnectOptions>(url: &str) -> Result<O, String> {
    Ok(O::from_str(url).map_err(text)?.disable_statement_logging())
}

fn text(error: impl Display) -> String {
    error.to_string()
}
