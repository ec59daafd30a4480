//! The commands' one form, and the code that they share: migrations and entities in Rust.

use std::rc::Rc;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::args::Global;
use super::exit::CliError;
use super::setup::Program;
use super::terminal::Terminal;
use crate::compile::{CompileError, Entities, MigrationSet, Migrator};
use crate::inputs::Overrides;

/// A command with its arguments.
pub(super) trait Run {
    /// The settings that its flags give.
    fn overrides(&self) -> Overrides;

    /// Runs it. Returns the exit code.
    async fn run(self, program: &Program) -> Result<u8, CliError>;
}

/// The part of a program that is written in Rust.
pub(super) struct Code {
    migrations: Box<dyn Fn() -> LocalBoxFuture<'static, Result<MigrationSet, CompileError>>>,
    pub(super) entities: Option<Entities>,
}

impl Code {
    pub(super) fn new<M: Migrator + 'static>(migrator: M, entities: Option<Entities>) -> Self {
        let migrator = Rc::new(migrator);
        let migrations = move || {
            let migrator = migrator.clone();
            async move { MigrationSet::new(&*migrator).await }.boxed_local()
        };
        Code { migrations: Box::new(migrations), entities }
    }

    /// Reads the migrations.
    pub(super) async fn migrations(&self) -> Result<MigrationSet, CliError> {
        Ok((self.migrations)().await?)
    }
}

/// One start of the program.
pub(super) struct Invocation {
    pub(super) global: Global,
    pub(super) terminal: Terminal,
    pub(super) code: Rc<Code>,
}

impl Invocation {
    /// The fleet that the tenant file and these settings describe.
    pub(super) fn program(&self, overrides: Overrides) -> Result<Program, CliError> {
        Program::load(&self.global, overrides, self.terminal, self.code.clone())
    }

    pub(super) async fn run(&self, command: impl Run) -> Result<u8, CliError> {
        let program = self.program(command.overrides())?;
        command.run(&program).await
    }
}
