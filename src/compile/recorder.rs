//! A connection that answers every call and records it.
//!
//! It never invents data: every query is answered with an error, and the fact that it was asked is recorded.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use futures_util::FutureExt;
use sea_orm::{
    DatabaseConnection, DatabaseConnectionType, DbBackend, DbErr, ExecResult, MockDatabase, MockDatabaseConnection,
    MockDatabaseTrait, MockExecResult, QueryResult, Statement, Transaction,
};
use sea_orm_migration::{MigrationTrait, SchemaManager};

use super::moment::Span;
use super::values;
use crate::model::clock::unix_now;
use crate::model::schema::Direction;
use crate::sql::statement::{Directive, directive};

/// More calls than any terminating migration would make.
pub(super) const MOST_CALLS: usize = 100_000;

/// Maximum number of further calls that are refused; a migration that still goes on is given up.
const REFUSED_CALLS: usize = 1_000;

/// One call that a migration made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Op {
    /// A statement whose result is a row count.
    Execute(String),
    /// A statement whose rows are read.
    Query(String),
    /// `begin`, `commit` or `rollback`.
    Transaction,
    /// The previous statement binds a value of this kind, which its text does not carry.
    Inexact(&'static str),
}

/// The end of a recorded migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    Done,
    Failed(String),
    Panicked(String),
}

/// The recording of one migration in one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recording {
    pub(super) ops: Vec<Op>,
    pub(super) ending: Ending,
    /// Whether it was stopped after [`MOST_CALLS`] calls.
    pub(super) is_endless: bool,
}

impl Recording {
    /// The SQL of the statements, in order.
    pub(super) fn statements(&self) -> Vec<String> {
        let sql = |op: &Op| match op {
            Op::Execute(sql) | Op::Query(sql) => Some(sql.clone()),
            Op::Transaction | Op::Inexact(_) => None,
        };
        self.ops.iter().filter_map(sql).collect()
    }
}

/// Maximum time that a migration may wait for anything, or go without a call. Text and number belong together.
const TIME_LIMIT: Duration = Duration::from_secs(10);
const OUT_OF_TIME: &str = "it did not end within 10 s";

const ENDLESS: &str = "too many calls while a migration is compiled";

/// The recorder; clones share the recording.
#[derive(Debug, Clone)]
pub(super) struct Recorder {
    backend: DbBackend,
    /// The counts of affected rows and inserted ids in answers. It differs between two recordings, to expose a
    /// migration that depends on it.
    answer: u64,
    ops: Arc<Mutex<Vec<Op>>>,
    calls: Arc<AtomicUsize>,
    /// Its place among those of one thread, and the channel for its end where it does not end by itself; `None` if it can't be
    /// given up.
    gives_up: Option<(usize, mpsc::Sender<(usize, Ended)>)>,
}

/// The end of a recording, as its thread tells it.
struct Ended {
    ending: Ending,
    span: Span,
    /// Whether the thread goes on with the next one.
    goes_on: bool,
}

impl Ended {
    fn since(begun: u64, ending: Ending) -> Self {
        Ended { ending, span: Span { from: begun, to: unix_now() }, goes_on: false }
    }
}

impl Recorder {
    pub(super) fn new(backend: DbBackend, answer: u64) -> Self {
        Recorder { backend, answer, ops: Arc::default(), calls: Arc::default(), gives_up: None }
    }

    pub(super) fn connection(&self) -> DatabaseConnection {
        let mock = MockDatabaseConnection::new(self.clone());
        DatabaseConnectionType::MockDatabaseConnection(Arc::new(mock)).into()
    }

    pub(super) fn take(&self) -> Vec<Op> {
        std::mem::take(&mut *self.ops.lock().expect("no code panics while it holds this lock"))
    }

    /// Counts a call, and refuses it if there were too many.
    ///
    /// The answers of a recorder never change, so a loop that waits for another answer would never end. Errors end most
    /// loops. A loop that ignores errors too gets no further answer: its thread stays blocked here. (Unwinding it is no
    /// option: SeaORM's transactions would panic again when dropped, which aborts the whole program.)
    fn admit(&self) -> Result<(), DbErr> {
        let before = self.calls.fetch_add(1, Ordering::Relaxed);
        if let Some((place, gives_up)) = self.gives_up.as_ref().filter(|_| before >= MOST_CALLS + REFUSED_CALLS) {
            let _ = gives_up.send((*place, Ended::since(unix_now(), Ending::Failed(ENDLESS.to_owned()))));
            loop {
                std::thread::park();
            }
        }
        if before >= MOST_CALLS { Err(DbErr::Custom(ENDLESS.to_owned())) } else { Ok(()) }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Waits for the end of a recording as long as it makes calls.
    fn wait(&self, ended: &mpsc::Receiver<(usize, Ended)>, place: usize) -> Ended {
        let (begun, mut calls) = (unix_now(), self.calls());
        loop {
            match ended.recv_timeout(TIME_LIMIT + Duration::from_secs(1)) {
                Ok((of, ended)) if of == place => return ended,
                // One that has ended left a thread of its own behind, which was given up now.
                Ok(_) => {}
                Err(_) if self.calls() != calls => calls = self.calls(),
                Err(_) => return Ended::since(begun, Ending::Failed(OUT_OF_TIME.to_owned())),
            }
        }
    }

    fn transaction(&self) {
        if self.admit().is_ok() {
            self.keep(Op::Transaction);
        }
    }

    fn keep(&self, op: Op) {
        self.ops.lock().expect("no code panics while it holds this lock").push(op);
    }
}

impl MockDatabaseTrait for Recorder {
    fn execute(&mut self, _counter: usize, statement: Statement) -> Result<ExecResult, DbErr> {
        self.admit()?;
        match values::literal(statement.clone()) {
            Ok(literal) => self.keep(Op::Execute(literal.to_string())),
            Err(kind) => {
                self.keep(Op::Execute(statement.to_string()));
                self.keep(Op::Inexact(kind));
            }
        }
        // A batched statement is repeated until it affects no row.
        let is_batch = directive(&statement.sql) == Some(Directive::Batch);
        let rows_affected = if is_batch { 0 } else { self.answer };
        let result = MockExecResult { last_insert_id: self.answer, rows_affected };
        let mut mock = MockDatabase::new(self.backend).append_exec_results([result]);
        MockDatabaseTrait::execute(&mut mock, 0, statement)
    }

    fn query(&mut self, _counter: usize, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.admit()?;
        self.keep(Op::Query(statement.to_string()));
        Err(DbErr::Custom("there is no database to ask while a migration is compiled".to_owned()))
    }

    fn begin(&mut self) {
        self.transaction();
    }

    fn commit(&mut self) {
        self.transaction();
    }

    fn rollback(&mut self) {
        self.transaction();
    }

    fn drain_transaction_log(&mut self) -> Vec<Transaction> {
        Vec::new()
    }

    fn get_database_backend(&self) -> DbBackend {
        self.backend
    }

    fn ping(&self) -> Result<(), DbErr> {
        Ok(())
    }
}

/// Runs migrations against recorders, one after the other; each recording comes with the time that it was made at.
///
/// They get a thread of their own, because code that never waits could not be given up otherwise: one for all of them, since a
/// thread takes longer to start than most migrations take to record. A migration that waits for something that does not come
/// is given up after ten seconds, and so is one that makes no call for that long. The thread of a migration that does not end
/// by itself is left behind, asleep if it makes calls, and those behind it get another one.
pub(super) async fn record(
    migrations: Vec<Arc<dyn MigrationTrait>>,
    direction: Direction,
    backend: DbBackend,
    answer: u64,
) -> Vec<(Recording, Span)> {
    let mut recorded = Vec::with_capacity(migrations.len());
    while recorded.len() < migrations.len() {
        let (done, ended) = mpsc::channel();
        let recorder = |place| Recorder { gives_up: Some((place, done.clone())), ..Recorder::new(backend, answer) };
        let rest = migrations[recorded.len()..].to_vec();
        let recorders: Vec<Recorder> = (0..rest.len()).map(recorder).collect();
        let (runtime, own) = (tokio::runtime::Handle::current(), recorders.clone());
        let work = move || {
            for (place, (migration, recorder)) in rest.iter().zip(own).enumerate() {
                let ended = Ended { goes_on: true, ..run(&runtime, migration.as_ref(), (&recorder, direction)) };
                // If it was given up, the receiver is gone, and so is the need for the others.
                if done.send((place, ended)).is_err() {
                    return;
                }
            }
        };
        let started = std::thread::Builder::new().name("fleet-compile".to_owned()).spawn(work);
        let failed = started.err().map(|error| format!("no thread could be started: {error}"));
        let begun = unix_now();
        let watch = move || {
            let mut all = Vec::with_capacity(recorders.len());
            for (place, recorder) in recorders.iter().enumerate() {
                let end = match &failed {
                    Some(why) => Ended { goes_on: true, ..Ended::since(begun, Ending::Failed(why.clone())) },
                    None => recorder.wait(&ended, place),
                };
                let is_endless = recorder.calls() > MOST_CALLS;
                all.push((Recording { ops: recorder.take(), ending: end.ending, is_endless }, end.span));
                if !end.goes_on {
                    break;
                }
            }
            all
        };
        // A panic of the watch would be one of this file.
        recorded.extend(tokio::task::spawn_blocking(watch).await.expect("it only waits and counts"));
    }
    recorded
}

/// Runs one migration on the present thread.
fn run(
    runtime: &tokio::runtime::Handle,
    migration: &dyn MigrationTrait,
    (recorder, direction): (&Recorder, Direction),
) -> Ended {
    let (begun, connection) = (unix_now(), recorder.connection());
    let run = async {
        let manager = SchemaManager::new(&connection);
        match direction {
            Direction::Up => migration.up(&manager).await,
            Direction::Down => migration.down(&manager).await,
        }
    };
    let guarded = AssertUnwindSafe(run).catch_unwind();
    let ending = match runtime.block_on(async { tokio::time::timeout(TIME_LIMIT, guarded).await }) {
        Ok(Ok(Ok(()))) => Ending::Done,
        Ok(Ok(Err(error))) => Ending::Failed(error.to_string()),
        Ok(Err(panic)) => Ending::Panicked(panic_text(panic.as_ref())),
        Err(_) => Ending::Failed(OUT_OF_TIME.to_owned()),
    };
    Ended::since(begun, ending)
}

thread_local! {
    /// The place of this thread's last panic.
    static PLACE: std::cell::RefCell<Option<String>> = const { std::cell::RefCell::new(None) };
}

/// Keeps the place of a panic for [`panic_place`]; a part of the program's panic hook.
pub(crate) fn note_panic(info: &std::panic::PanicHookInfo<'_>) {
    PLACE.set(info.location().map(|place| format!("{}:{}", place.file(), place.line())));
}

/// File and line of the panic that this thread has just caught, where the hook has kept them.
pub(crate) fn panic_place() -> Option<String> {
    PLACE.take()
}

/// The message of a panic, if it has one.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no text".to_owned())
}
