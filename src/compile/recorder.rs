//! A connection that answers everything and keeps what it was asked.
//!
//! It never pretends to know data: every query is answered with an error, and the fact that it was asked is what counts.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use sea_orm::{
    DatabaseConnection, DatabaseConnectionType, DbBackend, DbErr, ExecResult, MockDatabase, MockDatabaseConnection,
    MockDatabaseTrait, MockExecResult, QueryResult, Statement, Transaction,
};
use sea_orm_migration::{MigrationTrait, SchemaManager};

use super::values;
use crate::schema::Direction;

/// One call that a migration made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Op {
    /// A statement whose result is a count.
    Execute(String),
    /// A statement whose rows are read.
    Query(String),
    /// `begin`, `commit` or `rollback`.
    Transaction,
    /// The statement before binds a value of this kind, which its text does not carry.
    Inexact(&'static str),
}

/// How a recorded migration ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    Done,
    Failed(String),
    Panicked(String),
}

/// Everything seen of one migration in one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recording {
    pub(super) ops: Vec<Op>,
    pub(super) ending: Ending,
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

/// The recorder; its clones share what they keep.
#[derive(Debug, Clone)]
pub(super) struct Recorder {
    backend: DbBackend,
    /// What statements are said to have affected and inserted. It differs between two recordings, so that a migration that
    /// goes by it shows itself.
    answer: u64,
    ops: Arc<Mutex<Vec<Op>>>,
}

impl Recorder {
    pub(super) fn new(backend: DbBackend, answer: u64) -> Self {
        Recorder { backend, answer, ops: Arc::default() }
    }

    pub(super) fn connection(&self) -> DatabaseConnection {
        let mock = MockDatabaseConnection::new(self.clone());
        DatabaseConnectionType::MockDatabaseConnection(Arc::new(mock)).into()
    }

    pub(super) fn take(&self) -> Vec<Op> {
        std::mem::take(&mut *self.ops.lock().expect("no code panics while it holds this lock"))
    }

    fn keep(&self, op: Op) {
        self.ops.lock().expect("no code panics while it holds this lock").push(op);
    }
}

impl MockDatabaseTrait for Recorder {
    fn execute(&mut self, _counter: usize, statement: Statement) -> Result<ExecResult, DbErr> {
        match values::literal(statement.clone()) {
            Ok(literal) => self.keep(Op::Execute(literal.to_string())),
            Err(kind) => {
                self.keep(Op::Execute(statement.to_string()));
                self.keep(Op::Inexact(kind));
            }
        }
        let result = MockExecResult { last_insert_id: self.answer, rows_affected: self.answer };
        let mut mock = MockDatabase::new(self.backend).append_exec_results([result]);
        MockDatabaseTrait::execute(&mut mock, 0, statement)
    }

    fn query(&mut self, _counter: usize, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.keep(Op::Query(statement.to_string()));
        Err(DbErr::Custom("there is no database to ask while a migration is compiled".to_owned()))
    }

    fn begin(&mut self) {
        self.keep(Op::Transaction);
    }

    fn commit(&mut self) {
        self.keep(Op::Transaction);
    }

    fn rollback(&mut self) {
        self.keep(Op::Transaction);
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

/// Runs a migration against a recorder. A migration that hangs without a database is given up after five seconds.
pub(super) async fn record(
    migration: &Arc<dyn MigrationTrait>,
    direction: Direction,
    backend: DbBackend,
    answer: u64,
) -> Recording {
    let recorder = Recorder::new(backend, answer);
    let connection = recorder.connection();
    let run = async {
        let manager = SchemaManager::new(&connection);
        match direction {
            Direction::Up => migration.up(&manager).await,
            Direction::Down => migration.down(&manager).await,
        }
    };
    let guarded = AssertUnwindSafe(run).catch_unwind();
    let ending = match tokio::time::timeout(std::time::Duration::from_secs(5), guarded).await {
        Ok(Ok(Ok(()))) => Ending::Done,
        Ok(Ok(Err(error))) => Ending::Failed(error.to_string()),
        Ok(Err(panic)) => Ending::Panicked(panic_text(panic.as_ref())),
        Err(_) => Ending::Failed("it did not end within 5 s".to_owned()),
    };
    Recording { ops: recorder.take(), ending }
}

/// The text of a panic, where it has one.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no text".to_owned())
}
