//! A program's entities as one additional migration: it is compiled and sent like all others.
//!
//! It knows nothing about the migrations that the entities are compared with.

use std::fmt;
use std::sync::Arc;

use sea_orm::{ConnectionTrait, DbErr, Schema, SchemaBuilder};
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTraitSelf, SchemaManager};

use super::{CompileError, MigrationSet};

/// The entities of a program: a function that registers them with SeaORM's schema builder.
///
/// `|schema: Schema| schema.builder().register(user::Entity).register(order::Entity)` names them one by one. A program
/// with SeaORM's feature `entity-registry` can name a module instead:
/// `|schema| EntityRegistry::build_schema(schema, "entity")`.
#[derive(Clone)]
pub struct Entities(Arc<dyn Fn(Schema) -> SchemaBuilder + Send + Sync>);

impl fmt::Debug for Entities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entities")
    }
}

impl<F: Fn(Schema) -> SchemaBuilder + Send + Sync + 'static> From<F> for Entities {
    fn from(register: F) -> Self {
        Entities(Arc::new(register))
    }
}

impl Entities {
    /// A set of one migration, which creates the schema of the entities in an empty database.
    ///
    /// # Errors
    /// As [`MigrationSet::new`].
    pub(crate) async fn as_migrations(&self) -> Result<MigrationSet, CompileError> {
        MigrationSet::new(self).await
    }
}

impl MigratorTraitSelf for Entities {
    fn migrations(&self) -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(FromEntities(self.clone()))]
    }
}

struct FromEntities(Entities);

impl MigrationName for FromEntities {
    fn name(&self) -> &str {
        "the entities"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for FromEntities {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        let schema = Schema::new(connection.get_database_backend());
        (self.0.0)(schema).apply(connection).await
    }
}
