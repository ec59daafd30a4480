//! The migrations on the three real engines with SeaORM's own runner: up, down, up, and the resulting schema.
//!
//! The servers come from `scripts/servers`; without them the test fails, it is never skipped.
#![expect(clippy::unwrap_used, reason = "the steps of a test panic where they fail")]

mod legacy;
mod support;

use migration::Migrator;
use sea_orm_migration::MigratorTrait;
use sea_orm_migration::sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend};
use support::{Scratch, TABLES, number, on_each_engine, refused, run, texts, uuid};

on_each_engine!(up_down_up, rows_follow_their_rules, lead_times_add_up, checks_hold, the_database_keeps_updated_at);

/// Each `down` has to restore the schema from before its `up`.
async fn up_down_up(scratch: &Scratch) {
    let db = &scratch.db;
    let mut shapes = Vec::new();
    for _ in Migrator::migrations() {
        shapes.push(scratch.shape().await);
        Migrator::up(db, Some(1)).await.unwrap();
    }
    assert_eq!(scratch.tables().await, TABLES);
    let complete = scratch.shape().await;
    for migration in Migrator::migrations().iter().rev() {
        Migrator::down(db, Some(1)).await.unwrap();
        assert_eq!(scratch.shape().await, shapes.pop().unwrap(), "after {} down", migration.name());
    }
    assert_eq!(scratch.tables().await, [""; 0]);
    Migrator::up(db, None).await.unwrap();
    assert_eq!(scratch.shape().await, complete);
    assert!(Migrator::get_pending_migrations_read_only(db).await.unwrap().is_empty());
    references_are_enforced(db).await;
}

async fn references_are_enforced(db: &DatabaseConnection) {
    let insert_user = format!(
        "INSERT INTO users (id, tenant_id, email, full_name, password_hash) VALUES ({}, {}, 'a@b.example', 'A B', '-')",
        uuid(db, 2),
        uuid(db, 1),
    );
    assert!(db.execute_unprepared(&insert_user).await.is_err(), "a user of a tenant that does not exist was accepted");
    a_tenant(db).await;
    run(db, &insert_user).await;
    let twin = insert_user.replace(&uuid(db, 2), &uuid(db, 3));
    assert!(db.execute_unprepared(&twin).await.is_err(), "the same email twice in one tenant was accepted");
}

async fn a_tenant(db: &DatabaseConnection) {
    run(db, &format!("INSERT INTO tenants (id, slug, name) VALUES ({}, 'acme', 'Acme GmbH')", uuid(db, 1))).await;
}

/// A tenant with an order of one line, shipped: 1 tenant, 2 item, 3 product, 4 order, 5 line, 6 shipment.
async fn a_shipment(db: &DatabaseConnection) {
    a_tenant(db).await;
    let id = |n| uuid(db, n);
    for sql in [
        format!("INSERT INTO inventory_items (id, tenant_id, name) VALUES ({}, {}, 'Bolt')", id(2), id(1)),
        format!("INSERT INTO products (id, tenant_id, sku, name) VALUES ({}, {}, 'B', 'Bolt')", id(3), id(1)),
        format!("INSERT INTO orders (id, tenant_id, number) VALUES ({}, {}, '1')", id(4), id(1)),
        format!(
            "INSERT INTO order_items (id, order_id, inventory_item_id, quantity, unit_price, line_total) \
             VALUES ({}, {}, {}, 1, 1, 1)",
            id(5),
            id(4),
            id(2)
        ),
        format!(
            "INSERT INTO shipments (id, order_id, tenant_id, carrier) VALUES ({}, {}, {}, 'DHL')",
            id(6),
            id(4),
            id(1)
        ),
        format!(
            "INSERT INTO shipment_events (id, shipment_id, status, event_time) VALUES ({}, {}, 'out', '2025-12-15 10:00:00')",
            id(7),
            id(6)
        ),
        format!(
            "INSERT INTO shipment_items (id, shipment_id, product_id, order_item_id, quantity) VALUES ({}, {}, {}, {}, 1)",
            id(8),
            id(6),
            id(3),
            id(5)
        ),
    ] {
        run(db, &sql).await;
    }
}

async fn rows_follow_their_rules(scratch: &Scratch) {
    let db = &scratch.db;
    Migrator::up(db, None).await.unwrap();
    a_shipment(db).await;
    let id = |n| uuid(db, n);

    // RESTRICT: tenant and product stay while a shipment names them.
    refused(db, &format!("DELETE FROM tenants WHERE id = {}", id(1)), "").await;
    refused(db, &format!("DELETE FROM products WHERE id = {}", id(3)), "").await;
    assert_eq!(number(db, "SELECT count(*) FROM shipments").await, 1);

    // SET NULL: the parcel's line outlives the order's.
    run(db, &format!("DELETE FROM order_items WHERE id = {}", id(5))).await;
    assert_eq!(number(db, "SELECT count(*) FROM shipment_items WHERE order_item_id IS NULL").await, 1);

    // CASCADE: order, shipment, events and lines.
    run(db, &format!("DELETE FROM orders WHERE id = {}", id(4))).await;
    for table in ["shipments", "shipment_events", "shipment_items"] {
        assert_eq!(number(db, &format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    run(db, &format!("DELETE FROM tenants WHERE id = {}", id(1))).await;
    assert_eq!(number(db, "SELECT count(*) FROM products").await, 0);
}

async fn lead_times_add_up(scratch: &Scratch) {
    let db = &scratch.db;
    Migrator::up(db, None).await.unwrap();
    a_tenant(db).await;
    let insert = |n: u8, columns: &str, values: &str| {
        format!(
            "INSERT INTO products (id, tenant_id, sku, name{columns}) VALUES ({}, {}, 'sku-{n}', 'p'{values})",
            uuid(db, n),
            uuid(db, 1)
        )
    };
    let total = |n: u8| format!("SELECT COALESCE(total_lead_days, -1) FROM products WHERE sku = 'sku-{n}'");
    run(db, &insert(10, "", "")).await;
    assert_eq!(number(db, &total(10)).await, -1, "a sum of nothing known");
    run(db, &insert(11, ", supplier_lead_days, shipping_lead_days", ", 5, 3")).await;
    assert_eq!(number(db, &total(11)).await, 8);
    run(db, "UPDATE products SET processing_lead_days = 2, safety_buffer_days = 1 WHERE sku = 'sku-11'").await;
    assert_eq!(number(db, &total(11)).await, 11);
    // A written sum is overridden.
    run(db, "UPDATE products SET total_lead_days = 99 WHERE sku = 'sku-11'").await;
    assert_eq!(number(db, &total(11)).await, 11);
    refused(db, &insert(12, ", supplier_lead_days", ", -1"), "products_total_lead_days_check").await;
    let negative = "UPDATE products SET shipping_lead_days = -1 WHERE sku = 'sku-11'";
    refused(db, negative, "products_total_lead_days_check").await;

    let comments = match db.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT count(*) FROM pg_description WHERE objoid = 'products'::regclass AND objsubid > 0"
        }
        DbBackend::MySql => {
            "SELECT count(*) FROM information_schema.columns WHERE table_schema = DATABASE() \
             AND table_name = 'products' AND column_comment <> ''"
        }
        _ => return,
    };
    assert_eq!(number(db, comments).await, 9);
}

async fn checks_hold(scratch: &Scratch) {
    let db = &scratch.db;
    Migrator::up(db, None).await.unwrap();
    let insert = |n: u8, count: u8| {
        format!(
            "INSERT INTO benchmark_snapshots (id, cohort, period, participant_count) VALUES ({}, 'c{n}', '2025-12-01', {count})",
            uuid(db, n)
        )
    };
    refused(db, &insert(1, 4), "benchmark_snapshots_participant_count_check").await;
    run(db, &insert(2, 5)).await;
    refused(db, &insert(3, 6).replace("'c3'", "'c2'"), "").await;
    if db.get_database_backend() == DbBackend::Postgres {
        let versions =
            "SELECT substr(uuid_generate_v7()::text, 15, 1) || substr('89ab', 1, 0) FROM generate_series(1, 50)";
        assert!(texts(db, versions).await.iter().all(|version| version == "7"));
        let in_order = "SELECT count(*) FROM (SELECT u::text < lead(u::text) OVER (ORDER BY n) AS ok FROM \
             (SELECT n, uuid_generate_v7() AS u, pg_sleep(0.003) FROM generate_series(1, 20) n) x) y WHERE NOT ok";
        assert_eq!(number(db, in_order).await, 0, "ids of later milliseconds come later");
    }
}

async fn the_database_keeps_updated_at(scratch: &Scratch) {
    let db = &scratch.db;
    Migrator::up(db, None).await.unwrap();
    a_shipment(db).await;
    // A value that a writer sets stays; otherwise the column is updated.
    run(db, "UPDATE shipments SET updated_at = '2001-01-01 00:00:00'").await;
    let old = "SELECT count(*) FROM shipments WHERE updated_at < '2002-01-01 00:00:00'";
    assert_eq!(number(db, old).await, 1);
    run(db, "UPDATE shipments SET status = 'shipped'").await;
    assert_eq!(number(db, old).await, 0);
}
