//! Lead times of a product, so that it is ordered in time.
//!
//! The database computes the sum of the lead times: a value that a writer sets is overridden.

use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{add_columns, drop_columns};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// The columns that are summed, each with its comment.
const PARTS: [(&str, &str); 4] = [
    ("supplier_lead_days", "Days from the order to the handover by the supplier"),
    ("shipping_lead_days", "Days in transit"),
    ("processing_lead_days", "Days of work in the house"),
    ("safety_buffer_days", "Days added for safety"),
];

/// The other columns with a comment.
const OTHERS: [(&str, &str); 5] = [
    ("total_lead_days", "Sum of the four lead times, kept by a trigger; unknown while all four are"),
    ("lead_time_source", "Where the lead times come from"),
    ("projected_stockout_date", "Cache: the day the stock runs out"),
    ("last_order_by_date", "Cache: the last day to order in time"),
    ("timing_last_calculated", "When the two cached days were worked out"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        let db = manager.get_connection();
        add_columns(manager, "products", PARTS.map(|(name, comment)| commented(manager, integer_null(name), comment)))
            .await?;
        if backend == DbBackend::Sqlite {
            let check = format!(
                "ALTER TABLE products ADD COLUMN total_lead_days integer \
                 CONSTRAINT products_total_lead_days_check CHECK ({})",
                not_negative()
            );
            db.execute_unprepared(&check).await?;
        } else {
            let [(name, comment), ..] = OTHERS;
            add_columns(manager, "products", [commented(manager, integer_null(name), comment)]).await?;
            let check = format!(
                "ALTER TABLE products ADD CONSTRAINT products_total_lead_days_check CHECK ({})",
                not_negative()
            );
            db.execute_unprepared(&check).await?;
        }
        let [_, source, stockout, order_by, calculated] = OTHERS;
        add_columns(
            manager,
            "products",
            [
                commented(manager, string_len_null(source.0, 40), source.1),
                commented(manager, date_null(stockout.0), stockout.1),
                commented(manager, date_null(order_by.0), order_by.1),
                commented(manager, timestamp_with_time_zone_null(calculated.0), calculated.1),
            ],
        )
        .await?;
        if backend == DbBackend::Postgres {
            for (name, comment) in PARTS.into_iter().chain(OTHERS) {
                db.execute_unprepared(&format!("COMMENT ON COLUMN products.{name} IS '{comment}'")).await?;
            }
        }
        for sql in triggers(backend) {
            db.execute_unprepared(&sql).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        let db = manager.get_connection();
        let statements: &[&str] = match backend {
            DbBackend::Postgres => &[
                "DROP TRIGGER calculate_product_total_lead_days ON products",
                "DROP FUNCTION calculate_total_lead_days()",
                "ALTER TABLE products DROP CONSTRAINT products_total_lead_days_check",
            ],
            DbBackend::Sqlite => &[
                "DROP TRIGGER calculate_product_total_lead_days_update",
                "DROP TRIGGER calculate_product_total_lead_days_insert",
            ],
            _ => &[
                "DROP TRIGGER calculate_product_total_lead_days_update",
                "DROP TRIGGER calculate_product_total_lead_days_insert",
                "ALTER TABLE products DROP CONSTRAINT products_total_lead_days_check",
            ],
        };
        for sql in statements {
            db.execute_unprepared(sql).await?;
        }
        // The sum before its parts: on SQLite the check is dropped with it, and no part can be dropped while it exists.
        let mut columns: Vec<&str> = Vec::new();
        for (name, _) in OTHERS.into_iter().rev().chain(PARTS.into_iter().rev()) {
            columns.push(name);
        }
        drop_columns(manager, "products", columns).await
    }
}

/// MySQL's comments are part of the column, PostgreSQL's are statements of their own, SQLite has none.
fn commented(manager: &SchemaManager<'_>, mut column: ColumnDef, comment: &str) -> ColumnDef {
    if manager.get_database_backend() == DbBackend::MySql {
        column.comment(comment);
    }
    column
}

fn not_negative() -> String {
    let columns = PARTS.iter().map(|(name, _)| *name).chain(["total_lead_days"]);
    columns.map(|name| format!("{name} >= 0")).collect::<Vec<_>>().join(" AND ")
}

/// The sum over the columns of `row`; NULL while nothing is known.
fn total(row: &str) -> String {
    let column = |(name, _): &(&str, &str)| format!("{row}{name}");
    let known: Vec<String> = PARTS.iter().map(column).collect();
    let summands: Vec<String> = known.iter().map(|name| format!("COALESCE({name}, 0)")).collect();
    format!("CASE WHEN COALESCE({}) IS NOT NULL THEN {} END", known.join(", "), summands.join(" + "))
}

fn triggers(backend: DbBackend) -> Vec<String> {
    match backend {
        DbBackend::Postgres => vec![
            format!(
                "CREATE FUNCTION calculate_total_lead_days() RETURNS trigger LANGUAGE plpgsql AS $$\n\
                 BEGIN\n\
                 \x20   NEW.total_lead_days := {};\n\
                 \x20   RETURN NEW;\n\
                 END $$",
                total("NEW.")
            ),
            "CREATE TRIGGER calculate_product_total_lead_days BEFORE INSERT OR UPDATE ON products \
             FOR EACH ROW EXECUTE FUNCTION calculate_total_lead_days()"
                .to_owned(),
        ],
        // A trigger can't change the new row there, so it changes the stored one; that sets off no trigger again,
        // because the sum is right then.
        DbBackend::Sqlite => ["INSERT", "UPDATE"]
            .map(|event| {
                format!(
                    "CREATE TRIGGER calculate_product_total_lead_days_{} AFTER {event} ON products FOR EACH ROW \
                     WHEN NEW.total_lead_days IS NOT ({sum}) \
                     BEGIN UPDATE products SET total_lead_days = {sum} WHERE id = NEW.id; END",
                    event.to_lowercase(),
                    sum = total("NEW.")
                )
            })
            .to_vec(),
        _ => ["INSERT", "UPDATE"]
            .map(|event| {
                format!(
                    "CREATE TRIGGER calculate_product_total_lead_days_{} BEFORE {event} ON products FOR EACH ROW \
                     SET NEW.total_lead_days = {}",
                    event.to_lowercase(),
                    total("NEW.")
                )
            })
            .to_vec(),
    }
}
