//! The part of a program that is written in Rust: its migrations and entities.

use std::rc::Rc;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::exit::CliError;
use crate::compile::{CompileError, Entities, MigrationSet, Migrator};

/// The migrator and the entities passed to `main`.
#[derive(Clone)]
pub(super) struct Code {
    migrations: Rc<dyn Fn() -> LocalBoxFuture<'static, Result<MigrationSet, CompileError>>>,
    pub(super) entities: Option<Entities>,
}

impl Code {
    pub(super) fn new<M: Migrator + 'static>(migrator: M, entities: Option<Entities>) -> Self {
        let migrator = Rc::new(migrator);
        let migrations = move || {
            let migrator = migrator.clone();
            async move { MigrationSet::new(&*migrator).await }.boxed_local()
        };
        Code { migrations: Rc::new(migrations), entities }
    }

    /// Reads the migrations.
    pub(super) async fn migrations(&self) -> Result<MigrationSet, CliError> {
        Ok((self.migrations)().await?)
    }
}
