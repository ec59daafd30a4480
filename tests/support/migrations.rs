//! Migrations made from SQL, so that a test shows the SQL of its tenants in one place.

use std::sync::Arc;

use sea_orm::sea_query::IntoIden;
use sea_orm::{ConnectionTrait, DbErr, DynIden};
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTraitSelf, SchemaManager, async_trait};

/// A migrator of the migrations that a closure makes.
#[derive(Clone)]
pub(crate) struct Migrations {
    make: Arc<dyn Fn() -> Vec<Box<dyn MigrationTrait>> + Send + Sync>,
    table: &'static str,
}

impl Migrations {
    pub(crate) fn new(make: impl Fn() -> Vec<Box<dyn MigrationTrait>> + Send + Sync + 'static) -> Self {
        Migrations { make: Arc::new(make), table: "seaql_migrations" }
    }

    /// Migrations of SQL, named m1, m2, … unless they say otherwise.
    pub(crate) fn of(list: impl IntoIterator<Item = Sql>) -> Self {
        let list: Vec<Sql> = list.into_iter().collect();
        Migrations::new(move || list.iter().cloned().map(|m| Box::new(m) as Box<dyn MigrationTrait>).collect())
    }

    pub(crate) fn in_table(mut self, table: &'static str) -> Self {
        self.table = table;
        self
    }
}

impl MigratorTraitSelf for Migrations {
    fn migrations(&self) -> Vec<Box<dyn MigrationTrait>> {
        (self.make)()
    }

    fn migration_table_name(&self) -> DynIden {
        self.table.into_iden()
    }
}

/// A migration of raw statements, one call each.
#[derive(Clone)]
pub(crate) struct Sql {
    name: &'static str,
    up: Vec<String>,
    down: Vec<String>,
    transaction: Option<bool>,
}

/// A migration whose calls are these statements.
pub(crate) fn sql<S: Into<String>>(name: &'static str, up: impl IntoIterator<Item = S>) -> Sql {
    Sql { name, up: up.into_iter().map(Into::into).collect(), down: Vec::new(), transaction: None }
}

impl Sql {
    pub(crate) fn down<S: Into<String>>(mut self, down: impl IntoIterator<Item = S>) -> Self {
        self.down = down.into_iter().map(Into::into).collect();
        self
    }

    pub(crate) fn without_transaction(mut self) -> Self {
        self.transaction = Some(false);
        self
    }

    pub(crate) fn with_transaction(mut self) -> Self {
        self.transaction = Some(true);
        self
    }
}

impl MigrationName for Sql {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Sql {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &self.up).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &self.down).await
    }

    fn use_transaction(&self) -> Option<bool> {
        self.transaction
    }
}

async fn run(manager: &SchemaManager<'_>, statements: &[String]) -> Result<(), DbErr> {
    for statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}
