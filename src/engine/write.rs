//! SQL of an operator that may change a tenant: one transaction, and the tenant's lock for as long as it lasts.
//!
//! It records nothing, and commits nothing where fleet's own tables would not be as they were.

use async_trait::async_trait;

use super::dialect::literal;
use super::queries::TenantQueries;
use super::{PartialState, TenantEndpoint, errors, history, journal};
use crate::model::engine::Engine;
use crate::model::fault::{Fault, FaultClass};
use crate::sql::outside::written;
use crate::sql::split::Piece;
use crate::sql::{is_of_rows, may_leave_a_part, operator_statements};

/// The reason why a text was not committed, or why nobody knows whether it was.
#[derive(Debug)]
pub(crate) struct WriteError {
    /// The statement that failed, from 0, and its text; `None`: what is around the statements failed.
    pub(crate) at: Option<(usize, String)>,
    /// The reason, with the state that the tenant is in now.
    pub(crate) fault: Fault,
    /// `Resumable`: statements that the engine had committed by itself, and that stay.
    pub(crate) residue: PartialState,
}

impl WriteError {
    fn nothing(fault: Fault) -> Self {
        WriteError { at: None, fault, residue: PartialState::Nothing }
    }

    fn says(mut self, state: &str) -> Self {
        self.fault.message = format!("{}; {state}", self.fault.message);
        self
    }
}

/// Changes a tenant with SQL of a person.
#[async_trait]
pub(crate) trait Writes: Send {
    /// Sends the statements of a text in one transaction and commits it. Returns the number of rows that they changed,
    /// as the engine counts them.
    ///
    /// Dying in it before the commit: the engine rolls back; on an engine whose statements commit by themselves, those
    /// that did stay. Dying in the commit: all of it happened, or nothing did.
    ///
    /// # Errors
    /// [`WriteError`]; `PartialState::Unknown` where the connection was lost in a commit.
    async fn write(&mut self, sql: &str) -> Result<u64, WriteError>;
}

/// A session that can begin such a transaction.
#[async_trait]
pub(crate) trait Transact: TenantQueries {
    /// Held until the end of the transaction.
    type Held: Send;

    /// Takes the tenant's lock and begins a transaction for this text that changes nothing yet. Dying behind it: the engine rolls back.
    ///
    /// # Errors
    /// A [`Fault`]: there is no transaction.
    async fn begin_write(&mut self, sql: &str) -> Result<Self::Held, Fault>;

    /// The query for a table's name if it exists, by its name and by its qualified name.
    fn is_there(&self, table: &str, qualified: &str) -> String;

    /// The statements that let fleet see its own tables again, and the query for whether the transaction is still the one
    /// that was begun, where the engine can tell.
    fn look_again(&self, _sql: &str) -> Option<String> {
        None
    }
}

#[async_trait]
impl<S: Transact> Writes for S {
    async fn write(&mut self, sql: &str) -> Result<u64, WriteError> {
        let engine = self.door().tenant.engine;
        let own = own_tables(self);
        let own: Vec<&str> = own.iter().map(|(name, _)| name.as_str()).collect();
        let pieces = operator_statements(engine, sql, &own)
            .map_err(|why| WriteError::nothing(Fault::new(FaultClass::Transaction, why)))?;
        if let Some(refusal) = pieces.iter().find_map(|piece| neighbour(self.door(), piece)) {
            return Err(WriteError::nothing(refusal));
        }
        let _held = self.begin_write(sql).await.map_err(WriteError::nothing)?;
        let before = match read_own(self).await {
            Ok(before) => before,
            Err(fault) => return Err(undone(self, WriteError::nothing(fault), 0).await),
        };
        let (mut rows, mut stays) = (0, 0);
        for (at, piece) in pieces.iter().enumerate() {
            let commits = commits_by_itself(engine, piece.text);
            match self.changed(piece.text.to_owned()).await {
                // An engine may repeat the count of an earlier statement.
                Ok(count) => rows += if is_of_rows(engine, piece.text) { count } else { 0 },
                Err(fault) => return Err(refused(self, (at, piece.text), fault, stays).await),
            }
            stays = if commits { at + 1 } else { stays };
        }
        match is_as_it_was(self, sql, &before).await {
            Err(error) if error.residue == PartialState::Unknown => return Err(error),
            Err(error) => return Err(undone(self, error, stays).await),
            Ok(()) => {}
        }
        match self.run("COMMIT".to_owned()).await {
            Ok(()) => Ok(rows),
            // Only the server's own refusal proves that it did not commit.
            Err(fault) if !is_refusal(&fault) || fault.class == FaultClass::Cancelled => {
                let error = WriteError { at: None, fault, residue: PartialState::Unknown };
                Err(error.says("the connection was lost in the commit: all of it happened, or nothing did"))
            }
            Err(fault) => Err(undone(self, WriteError::nothing(errors::at_commit(fault)), stays).await),
        }
    }
}

/// The refusal of a statement that names the schema of a neighbour: what it drops there, no look at the end would find.
fn neighbour(door: &TenantEndpoint, piece: &Piece<'_>) -> Option<Fault> {
    let own = door.tenant.schema.as_ref()?;
    let own: Vec<&str> = std::iter::once(own).chain(&door.tenant.shared_schemas).map(String::as_str).collect();
    let named = written(door.tenant.engine, piece.text).into_iter().find(|named| !named.is_of(&own, true))?;
    let text = format!(
        "line {}: `{}` {}, or name it in shared_schemas of the tenant file if all tenants share it; nothing was sent",
        piece.line,
        named.by,
        named.why()
    );
    Some(Fault::new(FaultClass::WrongSchema, text))
}

fn commits_by_itself(engine: Engine, sql: &str) -> bool {
    !engine.capabilities().transactional_ddl && !is_of_rows(engine, sql)
}

/// The error of a statement, with the state that it leaves.
async fn refused<S: Transact>(session: &mut S, (at, sql): (usize, &str), fault: Fault, stays: usize) -> WriteError {
    let engine = session.door().tenant.engine;
    let commits = commits_by_itself(engine, sql);
    // Such a statement commits those before it, also when it fails itself.
    let stays = if commits { at } else { stays };
    // A session that takes nothing any more was ended in the middle of it, whatever the code says.
    let is_unknown = commits && (!is_refusal(&fault) || session.run("ROLLBACK".to_owned()).await.is_err());
    let error = WriteError { at: Some((at, sql.to_owned())), fault, residue: PartialState::Nothing };
    if is_unknown {
        let error = WriteError { residue: PartialState::Unknown, ..error };
        return error.says("the connection was lost in a statement that commits by itself: it happened, or it did not");
    }
    let error = undone(session, error, stays).await;
    match commits && may_leave_a_part(engine, sql) {
        true => {
            let error = WriteError { residue: PartialState::Resumable { statements: at }, ..error };
            error.says("the statement may have left a part of its work")
        }
        false => error,
    }
}

/// Rolls back. A connection that is gone has no transaction any more: its commit was never sent.
async fn undone<S: Transact>(session: &mut S, error: WriteError, stays: usize) -> WriteError {
    if error.fault.class != FaultClass::ConnectionLost {
        let _ = session.run("ROLLBACK".to_owned()).await;
    }
    match stays {
        0 => error.says("it was rolled back, and nothing was changed"),
        n => {
            let error = WriteError { residue: PartialState::Resumable { statements: n }, ..error };
            let which = if n == 1 { "statement 1 stays".to_owned() } else { format!("statements 1 to {n} stay") };
            error.says(&format!("{which}: the engine commits such statements by itself; the rest was rolled back"))
        }
    }
}

/// Whether the server itself refused.
fn is_refusal(fault: &Fault) -> bool {
    fault.class != FaultClass::ConnectionLost && fault.code.is_some()
}

/// Fleet's own tables, by name and qualified.
fn own_tables<S: Transact>(session: &S) -> Vec<(String, String)> {
    let door = session.door();
    let engine = door.tenant.engine;
    let history = &door.migrations.catalog().history_table;
    let names = [history.as_str(), history::SCRIPTS, history::REFRESHES, journal::TABLE];
    let qualified = |name: &str| match door.namespace() {
        Some(namespace) => format!("{}.{}", engine.quote(&namespace), engine.quote(name)),
        None => engine.quote(name),
    };
    names.map(|name| (name.to_owned(), qualified(name))).into()
}

/// The columns and values of one row.
type OwnRow = (Vec<String>, Vec<Option<String>>);

/// All rows of fleet's own tables, each table that is there behind its name.
async fn read_own<S: Transact>(session: &mut S) -> Result<Vec<OwnRow>, Fault> {
    let engine = session.door().tenant.engine;
    let own = own_tables(session);
    let ask: Vec<String> = own.iter().map(|(name, qualified)| session.is_there(name, qualified)).collect();
    let there: Vec<String> = session.rows(ask.join(";\n")).await?.iter().map(|row| row.must(0)).collect();
    let read = own.iter().filter(|(name, _)| there.contains(name)).map(|(name, qualified)| {
        let name = literal(engine, name);
        format!("SELECT {name};\nSELECT * FROM {qualified} ORDER BY 1")
    });
    let read: Vec<String> = read.collect();
    if read.is_empty() {
        return Ok(Vec::new());
    }
    let rows = session.rows(read.join(";\n")).await?;
    Ok(rows.into_iter().map(super::queries::TextRow::into_parts).collect())
}

/// Fails if the transaction is another one, or fleet's own tables are not as before.
async fn is_as_it_was<S: Transact>(session: &mut S, sql: &str, before: &[OwnRow]) -> Result<(), WriteError> {
    if let Some(ask) = session.look_again(sql) {
        let rows = session.rows(ask).await.map_err(WriteError::nothing)?;
        if !rows.last().is_some_and(|row| row.is_true(0)) {
            let text = "the text ended the transaction around it: what it did before that stays, whatever came after";
            let fault = Fault::new(FaultClass::Transaction, text);
            return Err(WriteError { at: None, fault, residue: PartialState::Unknown });
        }
    }
    if read_own(session).await.map_err(WriteError::nothing)? == before {
        return Ok(());
    }
    let text = "it would change fleet's own tables; a history is set right by `stamp`, an unfinished migration by `runs resolve`";
    Err(WriteError::nothing(Fault::new(FaultClass::Other, text)))
}
