//! The data that an engine's session needs for one tenant: address, migrations, time limits and table names.
//!
//! Opens nothing.

use std::sync::Arc;

use sqlx::ConnectOptions;

use super::driver::driver;
use super::history::HistoryTables;
use super::journal::Journal;
use super::tape::{Rehearsal, Tape};
use super::{Step, address, errors, mysql, postgres};
use crate::compile::MigrationSet;
use crate::model::clock::Stamp;
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::{Direction, Script};
use crate::model::tenant::Tenant;
use crate::model::wire::mark;
use crate::policy::Timeouts;

/// The tenant-specific input of every engine's session.
pub(crate) struct TenantEndpoint {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) migrations: Arc<MigrationSet>,
    /// Whether its flavour is asked for also where no script differs by it.
    pub(crate) asks_flavours: bool,
    pub(crate) timeouts: Timeouts,
    pub(crate) poolers: postgres::connect::Poolers,
    pub(crate) clusters: mysql::Clusters,
    pub(crate) kept: postgres::KeptSessions,
    pub(crate) settings: postgres::ServerSettings,
    /// The recording of everything that would be sent, if it is on.
    pub(crate) tape: Tape,
    /// The present time in what is sent.
    pub(crate) now: Stamp,
}

impl TenantEndpoint {
    /// Records from here on everything that a session would send.
    pub(crate) fn rehearse(&mut self, rehearsal: &Rehearsal) {
        (self.tape, self.now, self.timeouts) = (Tape::on(), rehearsal.now(self.tenant.engine), rehearsal.timeouts);
    }

    /// The quoted name of the tenant's schema or MySQL database, and the mark for it; none where its texts have no such name.
    pub(crate) fn own_names(&self) -> Vec<(String, String)> {
        let engine = self.tenant.engine;
        self.namespace().map(|name| (engine.quote(&name), engine.quote(mark::NAME))).into_iter().collect()
    }

    /// The fault of a tenant whose schema does not exist and may not be created.
    pub(crate) fn no_schema(&self) -> Fault {
        let text = "the tenant's schema does not exist; create it, or set create_missing = true for this tenant";
        Fault::with_code(FaultClass::UnknownDatabase, "3F000", text)
    }

    pub(crate) fn nothing_to_settle(&self) -> Fault {
        Fault::new(FaultClass::Other, "no migration was begun and left unfinished here; there is nothing to settle")
    }

    /// The qualifier of the tenant's tables: its schema, or its MySQL database.
    pub(crate) fn namespace(&self) -> Option<String> {
        driver(self.tenant.engine).namespace(&self.tenant)
    }

    /// The quoted, qualified name of the history table.
    pub(crate) fn history_table(&self) -> String {
        let engine = self.tenant.engine;
        let table = engine.quote(&self.migrations.catalog().history_table);
        match self.namespace() {
            Some(name) => format!("{}.{table}", engine.quote(&name)),
            None => table,
        }
    }

    /// The time limits of a step.
    pub(crate) fn limits(&self, step: &Step) -> Timeouts {
        step.limits.over(self.timeouts)
    }

    /// The tenant's journal.
    pub(crate) fn journal(&self) -> Journal {
        Journal::new(self.tenant.engine, self.namespace().as_deref()).at(self.now)
    }

    /// The tenant's history tables.
    pub(crate) fn books(&self) -> HistoryTables {
        let has_scripts = !self.migrations.catalog().scripts.is_empty();
        HistoryTables::new(self.tenant.engine, self.namespace().as_deref(), self.history_table(), has_scripts)
            .at(self.now)
    }

    /// The statements that create the history tables where they are missing.
    pub(crate) fn install(&self) -> Vec<String> {
        let mut sql = vec![self.migrations.install(self.tenant.engine).to_owned()];
        sql.extend(self.books().create_scripts());
        sql
    }

    /// The statement that inserts or deletes a step's history row.
    pub(crate) fn record(&self, step: &Step) -> String {
        self.books().record(&step.script)
    }

    /// The statements that undo a step of which nothing happened, without the transaction around them: the journal is
    /// closed, and on the way down the history row, which was deleted first, is restored.
    pub(crate) fn undo(&self, script: &Script) -> Vec<String> {
        let close = self.journal().close();
        if script.direction == Direction::Up {
            return vec![close];
        }
        let row = |direction| self.books().record_of(&script.migration, &script.record, direction);
        vec![row(Direction::Down), row(Direction::Up), close]
    }

    /// A new connection to the tenant, within the connect timeout.
    pub(crate) async fn connect<O>(&self, options: &O) -> Result<O::Connection, Fault>
    where
        O: ConnectOptions,
        O::Connection: Sized,
    {
        let limit = self.timeouts.connect;
        let Ok(connected) = tokio::time::timeout(limit, options.connect()).await else {
            return Err(self.no_answer());
        };
        match connected.map_err(|error| errors::connecting(&error)) {
            Err(fault)
                if fault.class == FaultClass::ConnectionLost && !address::resolves(&self.tenant, limit).await =>
            {
                Err(Fault { class: FaultClass::Dns, ..fault })
            }
            connected => connected,
        }
    }

    /// The fault of a connection that was not made in time.
    pub(crate) fn no_answer(&self) -> Fault {
        let limit = crate::policy::format_duration(self.timeouts.connect);
        Fault::new(FaultClass::ConnectTimeout, format!("the server did not answer within {limit}"))
    }
}
