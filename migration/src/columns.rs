//! The columns that many tables share, and references between tables, written once.
//!
//! They only define columns and never decide which table gets which.

use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::{prelude::*, schema::*};

/// Groups of columns that a new table gets with one call.
pub(crate) trait BaseColumns {
    /// `created_at` and `updated_at`, both with the time of the insert.
    fn timestamps(&mut self) -> &mut Self;
    /// `deleted_at` and `is_deleted`: a row that is hidden from users and still there for its references.
    fn soft_delete(&mut self) -> &mut Self;
    /// `version`, for optimistic locking: a writer increments and compares it, so that a stale one shows an outdated
    /// read.
    fn version(&mut self) -> &mut Self;
    /// A foreign key `fk_<table>_<column>` to `parent(id)`. It is part of CREATE TABLE: SQLite can't add one later.
    fn references(
        &mut self,
        table: &'static str,
        column: &'static str,
        parent: &'static str,
        on_delete: ForeignKeyAction,
    ) -> &mut Self;
    /// Column `tenant_id`; the rows are deleted with the tenant.
    fn of_tenant(&mut self, table: &'static str) -> &mut Self;
}

impl BaseColumns for TableCreateStatement {
    fn timestamps(&mut self) -> &mut Self {
        self.col(timestamp_with_time_zone_default_now("created_at"))
            .col(timestamp_with_time_zone_default_now("updated_at"))
    }

    fn soft_delete(&mut self) -> &mut Self {
        self.col(timestamp_with_time_zone_null("deleted_at")).col(boolean("is_deleted").default(false))
    }

    fn version(&mut self) -> &mut Self {
        self.col(integer("version").default(1))
    }

    fn references(
        &mut self,
        table: &'static str,
        column: &'static str,
        parent: &'static str,
        on_delete: ForeignKeyAction,
    ) -> &mut Self {
        let name = format!("fk_{table}_{column}");
        self.foreign_key(ForeignKey::create().name(name).from(table, column).to(parent, "id").on_delete(on_delete))
    }

    fn of_tenant(&mut self, table: &'static str) -> &mut Self {
        self.col(uuid("tenant_id")).references(table, "tenant_id", "tenants", ForeignKeyAction::Cascade)
    }
}

/// An amount of money: up to 9,999,999,999.99.
pub(crate) fn money(name: &'static str) -> ColumnDef {
    decimal_len(name, 12, 2)
}

/// A nullable amount of money.
pub(crate) fn money_or_null(name: &'static str) -> ColumnDef {
    decimal_len_null(name, 12, 2)
}

/// A new table with `id` as its key.
pub(crate) fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(name).col(pk_uuid("id")).to_owned()
}

/// A plain index with an explicit name.
pub(crate) fn index(
    name: &'static str,
    table: &'static str,
    columns: impl IntoIterator<Item = &'static str>,
) -> IndexCreateStatement {
    let mut index = Index::create().name(name).table(table).to_owned();
    for column in columns {
        index.col(column);
    }
    index
}

/// A unique key with an explicit name, for CREATE TABLE.
pub(crate) fn unique(name: &'static str, columns: impl IntoIterator<Item = &'static str>) -> IndexCreateStatement {
    let mut key = Index::create().name(name).unique().to_owned();
    for column in columns {
        key.col(column);
    }
    key
}

/// Adds columns to a table that may have rows: each is nullable or has a default. One per statement: SQLite takes no
/// more.
pub(crate) async fn add_columns(
    manager: &SchemaManager<'_>,
    table: &'static str,
    columns: impl IntoIterator<Item = ColumnDef>,
) -> Result<(), DbErr> {
    for column in columns {
        manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
    }
    Ok(())
}

/// Drops columns, in the order given.
pub(crate) async fn drop_columns(
    manager: &SchemaManager<'_>,
    table: &'static str,
    columns: impl IntoIterator<Item = &'static str>,
) -> Result<(), DbErr> {
    for column in columns {
        manager.alter_table(Table::alter().table(table).drop_column(column).to_owned()).await?;
    }
    Ok(())
}

/// Drops tables, children first.
pub(crate) async fn drop_tables(
    manager: &SchemaManager<'_>,
    tables: impl IntoIterator<Item = &'static str>,
) -> Result<(), DbErr> {
    for table in tables {
        manager.drop_table(Table::drop().table(table).to_owned()).await?;
    }
    Ok(())
}

/// Drops an index.
pub(crate) async fn drop_index(
    manager: &SchemaManager<'_>,
    table: &'static str,
    name: &'static str,
) -> Result<(), DbErr> {
    manager.drop_index(Index::drop().name(name).table(table).to_owned()).await
}

/// A nullable column with a foreign key and an index, for an existing table.
pub(crate) struct Reference {
    /// The table that gets it.
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    /// The referenced table: `parent(id)`.
    pub(crate) parent: &'static str,
    /// The action on the row when its parent is deleted.
    pub(crate) on_delete: ForeignKeyAction,
    /// Whether the parent's key is an integer and not a UUID.
    pub(crate) is_number: bool,
}

impl Reference {
    /// A reference to a table with a UUID for its key; the row stays when its parent is deleted.
    pub(crate) const fn new(table: &'static str, column: &'static str, parent: &'static str) -> Self {
        Reference { table, column, parent, on_delete: ForeignKeyAction::SetNull, is_number: false }
    }

    fn key(&self) -> String {
        format!("fk_{}_{}", self.table, self.column)
    }

    fn index(&self) -> String {
        format!("ix_{}_{}", self.table, self.column)
    }

    /// Adds the reference. On SQLite the key is part of the column, the only way there without rebuilding the table;
    /// such a column can be dropped again. On MySQL the index comes before the key, which would otherwise create one of
    /// its own.
    pub(crate) async fn add(&self, manager: &SchemaManager<'_>) -> Result<(), DbErr> {
        let column = if self.is_number { big_integer_null(self.column) } else { uuid_null(self.column) };
        let index = Index::create().name(self.index()).table(self.table).col(self.column).to_owned();
        if manager.get_database_backend() == DbBackend::Sqlite {
            let kind = if self.is_number { "integer" } else { "uuid_text" };
            let on_delete = if matches!(self.on_delete, ForeignKeyAction::Restrict) { "RESTRICT" } else { "SET NULL" };
            let sql = format!(
                r#"ALTER TABLE "{}" ADD COLUMN "{}" {kind} CONSTRAINT "{}" REFERENCES "{}" ("id") ON DELETE {on_delete}"#,
                self.table,
                self.column,
                self.key(),
                self.parent
            );
            manager.get_connection().execute_unprepared(&sql).await?;
            return manager.create_index(index).await;
        }
        add_columns(manager, self.table, [column]).await?;
        manager.create_index(index).await?;
        let key = ForeignKey::create()
            .name(self.key())
            .from(self.table, self.column)
            .to(self.parent, "id")
            .on_delete(self.on_delete)
            .to_owned();
        manager.create_foreign_key(key).await
    }

    /// Drops the reference with its column.
    pub(crate) async fn drop(&self, manager: &SchemaManager<'_>) -> Result<(), DbErr> {
        if manager.get_database_backend() == DbBackend::MySql {
            manager.drop_foreign_key(ForeignKey::drop().name(self.key()).table(self.table).to_owned()).await?;
        }
        manager.drop_index(Index::drop().name(self.index()).table(self.table).to_owned()).await?;
        drop_columns(manager, self.table, [self.column]).await
    }
}
