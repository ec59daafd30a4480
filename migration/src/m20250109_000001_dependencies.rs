//! Objects outside of tables: PostgreSQL's extensions where available, and a function that generates UUIDv7.
//!
//! Nothing later depends on the extensions: a role that may not create them gets the same schema without them.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite has no stored functions. On MySQL creating one requires SUPER as soon as the server writes a binary
        // log, so ids generated in SQL there are written out where they are needed.
        if manager.get_database_backend() == DbBackend::Postgres {
            for extension in ["uuid-ossp", "pgcrypto", "btree_gin"] {
                manager.get_connection().execute_unprepared(&create_extension(extension)).await?;
            }
            manager.get_connection().execute_unprepared(UUID_GENERATE_V7).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The extensions stay: they belong to the database, and the other tenants in it may use them.
        if manager.get_database_backend() == DbBackend::Postgres {
            manager.get_connection().execute_unprepared("DROP FUNCTION uuid_generate_v7()").await?;
        }
        Ok(())
    }
}

/// An extension is created in `public`, never in the tenant's own schema: it would be dropped with the first tenant.
///
/// Ignored errors: the role may not create it; the server does not have it; there is no `public`; another tenant of
/// this database is creating it just now.
fn create_extension(name: &str) -> String {
    format!(
        "DO $$\n\
         BEGIN\n\
         \x20   CREATE EXTENSION IF NOT EXISTS \"{name}\" WITH SCHEMA public;\n\
         EXCEPTION\n\
         \x20   WHEN insufficient_privilege OR undefined_file OR feature_not_supported OR invalid_schema_name\n\
         \x20       OR unique_violation OR duplicate_object OR duplicate_function OR lock_not_available THEN\n\
         \x20       RAISE NOTICE 'extension {name} was not created: %', SQLERRM;\n\
         END $$"
    )
}

/// RFC 9562: 48 bits of milliseconds, the version in place of the random UUID's 4, and the random rest of it. Written
/// with functions of PostgreSQL 13 itself, in the schema that comes first in the search path: the tenant's own.
const UUID_GENERATE_V7: &str = "CREATE FUNCTION uuid_generate_v7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$\n\
     \x20   SELECT encode(\n\
     \x20       set_byte(\n\
     \x20           overlay(uuid_send(gen_random_uuid())\n\
     \x20               PLACING substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)\n\
     \x20               FROM 1 FOR 6),\n\
     \x20           6, (get_byte(uuid_send(gen_random_uuid()), 6) & 15) | 112),\n\
     \x20       'hex')::uuid\n\
     $$";
