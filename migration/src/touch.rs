//! `updated_at`, maintained by the database itself.
//!
//! An explicit value from a writer takes precedence: nothing here overrides it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::timestamp_with_time_zone_default_now;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

/// The column for a table that [`keep`] is called on. MySQL needs no trigger: the column itself does it.
pub(crate) fn updated_at(manager: &SchemaManager<'_>) -> ColumnDef {
    let mut column = timestamp_with_time_zone_default_now("updated_at");
    if manager.get_database_backend() == DbBackend::MySql {
        column.extra("ON UPDATE CURRENT_TIMESTAMP");
    }
    column
}

/// The trigger (and on PostgreSQL its function) `update_<table>_updated_at`.
pub(crate) async fn keep(manager: &SchemaManager<'_>, table: &str) -> Result<(), DbErr> {
    let name = format!("update_{table}_updated_at");
    let db = manager.get_connection();
    match manager.get_database_backend() {
        DbBackend::Postgres => {
            db.execute_unprepared(&format!(
                "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$\n\
                 BEGIN\n\
                 \x20   IF NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at THEN\n\
                 \x20       NEW.updated_at := CURRENT_TIMESTAMP;\n\
                 \x20   END IF;\n\
                 \x20   RETURN NEW;\n\
                 END $$"
            ))
            .await?;
            db.execute_unprepared(&format!(
                "CREATE TRIGGER {name} BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"
            ))
            .await?;
        }
        DbBackend::Sqlite => {
            db.execute_unprepared(&format!(
                "CREATE TRIGGER {name} AFTER UPDATE ON {table} FOR EACH ROW WHEN NEW.updated_at IS OLD.updated_at \
                 BEGIN UPDATE {table} SET updated_at = CURRENT_TIMESTAMP WHERE id = NEW.id; END"
            ))
            .await?;
        }
        _ => {}
    }
    Ok(())
}

/// Drops the part of [`keep`] that DROP TABLE leaves: PostgreSQL's function. Call it after the table is dropped.
pub(crate) async fn forget(manager: &SchemaManager<'_>, table: &str) -> Result<(), DbErr> {
    if manager.get_database_backend() == DbBackend::Postgres {
        let sql = format!("DROP FUNCTION update_{table}_updated_at()");
        manager.get_connection().execute_unprepared(&sql).await?;
    }
    Ok(())
}
