//! v2.0.0: suppliers, and the accounts held with them.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{BaseColumns, Reference, drop_tables, index, money_or_null, table, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const SUPPLIER: Reference = Reference::new("inventory_items", "supplier_id", "suppliers");

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(suppliers()).await?;
        manager.create_table(supplier_accounts()).await?;
        manager.create_index(index("ix_supplier_accounts_tenant_id", "supplier_accounts", ["tenant_id"])).await?;
        SUPPLIER.add(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        SUPPLIER.drop(manager).await?;
        drop_tables(manager, ["supplier_accounts", "suppliers"]).await
    }
}

fn suppliers() -> TableCreateStatement {
    table("suppliers")
        .of_tenant("suppliers")
        .col(string_len("name", 200))
        .col(string_len_null("email", 254))
        .col(string_len_null("website", 255))
        .col(char_len_null("country", 2))
        .col(string_len("status", 20).default("active"))
        .timestamps()
        .soft_delete()
        .index(&mut unique("uq_suppliers_tenant_id_name", ["tenant_id", "name"]))
        .to_owned()
}

fn supplier_accounts() -> TableCreateStatement {
    let name = "supplier_accounts";
    table(name)
        .of_tenant(name)
        .col(uuid("supplier_id"))
        .col(string_len("account_name", 254))
        .col(string_len_null("customer_number", 64))
        .col(money_or_null("credit_limit"))
        .col(boolean("is_active").default(true))
        .col(timestamp_with_time_zone_null("last_used_at"))
        .timestamps()
        .index(&mut unique("uq_supplier_accounts_supplier_id_account_name", ["supplier_id", "account_name"]))
        .references(name, "supplier_id", "suppliers", ForeignKeyAction::Cascade)
        .to_owned()
}
