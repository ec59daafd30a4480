//! Categories, brands, products and customers.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{BaseColumns, Reference, drop_tables, index, money_or_null, table, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const CUSTOMER: Reference = Reference::new("orders", "customer_id", "customers");

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [categories(), brands(), products(), customers()] {
            manager.create_table(table).await?;
        }
        for index in [
            index("ix_categories_parent_id", "categories", ["parent_id"]),
            index("ix_products_tenant_id", "products", ["tenant_id"]),
            index("ix_products_brand_id", "products", ["brand_id"]),
            index("ix_products_category_id", "products", ["category_id"]),
        ] {
            manager.create_index(index).await?;
        }
        CUSTOMER.add(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        CUSTOMER.drop(manager).await?;
        drop_tables(manager, ["customers", "products", "brands", "categories"]).await
    }
}

fn categories() -> TableCreateStatement {
    table("categories")
        .of_tenant("categories")
        .col(uuid_null("parent_id"))
        .col(string_len("name", 100))
        .timestamps()
        .index(&mut unique("uq_categories_tenant_id_name", ["tenant_id", "name"]))
        .references("categories", "parent_id", "categories", ForeignKeyAction::SetNull)
        .to_owned()
}

fn brands() -> TableCreateStatement {
    table("brands")
        .of_tenant("brands")
        .col(string_len("name", 100))
        .timestamps()
        .soft_delete()
        .index(&mut unique("uq_brands_tenant_id_name", ["tenant_id", "name"]))
        .to_owned()
}

fn products() -> TableCreateStatement {
    table("products")
        .of_tenant("products")
        .col(uuid_null("brand_id"))
        .col(uuid_null("category_id"))
        .col(string_len("sku", 100))
        .col(string_len("name", 255))
        .col(text_null("description"))
        .col(json_null("attributes"))
        .col(money_or_null("retail_price"))
        .timestamps()
        .soft_delete()
        .version()
        .index(&mut unique("uq_products_sku", ["sku"]))
        .references("products", "brand_id", "brands", ForeignKeyAction::SetNull)
        .references("products", "category_id", "categories", ForeignKeyAction::SetNull)
        .to_owned()
}

fn customers() -> TableCreateStatement {
    table("customers")
        .of_tenant("customers")
        .col(string_len("email", 254))
        .col(string_len("full_name", 200))
        .col(string_len_null("city", 100))
        .col(char_len_null("country", 2))
        .timestamps()
        .soft_delete()
        .version()
        .index(&mut unique("uq_customers_tenant_id_email", ["tenant_id", "email"]))
        .to_owned()
}
