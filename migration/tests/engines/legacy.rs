//! The legacy sales on their way into orders, on the three real engines with SeaORM's own runner.

use crate::support::{Scratch, number, on_each_engine, run, texts, uuid};
use migration::Migrator;
use sea_orm_migration::MigratorTrait;
use sea_orm_migration::sea_orm::{DatabaseConnection, DbBackend};

on_each_engine!(
    every_good_sale_becomes_an_order_and_every_bad_one_is_named,
    a_text_that_no_order_stands_for_is_not_dropped,
    a_late_sale_stops_the_archive,
    many_sales_take_many_batches,
    the_way_back_refuses_to_lose_what_is_new,
);

/// Sales that can't be orders: the columns that differ from a valid one, and the reason.
const BAD: [(&str, &str, &str); 25] = [
    ("amount", "'abc'", "amount 'abc' is not a number"),
    ("amount", "'12,50'", "amount '12,50' is not a number"),
    ("amount", "'1.2.3'", "amount '1.2.3' is not a number"),
    ("amount", "'5.'", "amount '5.' is not a number"),
    ("amount", "'.5'", "amount '.5' is not a number"),
    ("amount", "'-'", "amount '-' is not a number"),
    ("amount", "'1e5'", "amount '1e5' is not a number"),
    ("amount", "'-5.00'", "amount '-5.00' is negative"),
    ("amount", "'12345678901.00'", "amount '12345678901.00' is more than 999999999.99"),
    ("amount", "'1.005'", "amount '1.005' has more than two decimals"),
    ("amount", "NULL", "amount is missing"),
    ("amount", "'  '", "amount is missing"),
    ("fee", "'x'", "fee 'x' is not a number"),
    ("shipping", "'-1'", "shipping '-1' is negative"),
    ("sold_on", "NULL", "date is missing"),
    ("sold_on", "'14.02.2025'", "date '14.02.2025' is not a day (YYYY-MM-DD)"),
    ("sold_on", "'2025-02-29'", "date '2025-02-29' is not a day (YYYY-MM-DD)"),
    ("sold_on", "'2025-13-01'", "date '2025-13-01' is not a day (YYYY-MM-DD)"),
    ("sold_on", "'2025-04-31'", "date '2025-04-31' is not a day (YYYY-MM-DD)"),
    ("sold_on", "'1905-04-30'", "date '1905-04-30' is not between 1971 and 2037"),
    ("item_sku", "NULL", "item is missing"),
    ("item_sku", "'no-such'", "item 'no-such' is unknown"),
    ("platform", "''", "platform is missing"),
    ("platform", "'amazon'", "platform 'amazon' is unknown"),
    ("status", "'lost?'", "status 'lost?' is unknown"),
];

const FIRST_BAD: i64 = 1000;

/// The migrations before the legacy sales are touched.
async fn before(db: &DatabaseConnection) {
    let steps = steps_up_to("m20251001_000001_multi_platform_orders");
    Migrator::up(db, Some(steps)).await.unwrap();
    run(db, &format!("INSERT INTO tenants (id, slug, name) VALUES ({}, 'acme', 'Acme')", uuid(db, 1))).await;
    run(
        db,
        &format!(
            "INSERT INTO inventory_items (id, tenant_id, name, sku, purchase_price, purchased_on, sale_overview) \
             VALUES ({}, {}, 'Shoe', 'shoe', 40, '2025-01-01', 'sold in February')",
            uuid(db, 2),
            uuid(db, 1)
        ),
    )
    .await;
}

fn steps_up_to(name: &str) -> u32 {
    let at = Migrator::migrations().iter().position(|m| m.name() == name).unwrap();
    u32::try_from(at).unwrap() + 1
}

/// One legacy sale; `change` replaces a column's value.
fn sale(db: &DatabaseConnection, id: i64, change: &[(&str, &str)]) -> String {
    let external = format!("'x-{id}'");
    let mut columns = vec![
        ("item_sku", "'shoe'"),
        ("platform", "' StockX '"),
        ("external_id", external.as_str()),
        ("amount", "'100.10'"),
        ("fee", "' 9.05'"),
        ("shipping", "NULL"),
        ("sold_on", "'2025-02-15'"),
        ("status", "'Sold'"),
        ("buyer_city", "'Köln'"),
    ];
    for (name, value) in change {
        columns.retain(|(column, _)| column != name);
        columns.push((name, value));
    }
    let (names, values): (Vec<&str>, Vec<&str>) = columns.into_iter().unzip();
    format!(
        "INSERT INTO transactions (id, tenant_id, {}) VALUES ({id}, {}, {})",
        names.join(", "),
        uuid(db, 1),
        values.join(", ")
    )
}

async fn every_good_sale_becomes_an_order_and_every_bad_one_is_named(scratch: &Scratch) {
    let db = &scratch.db;
    before(db).await;
    for id in 1..=280 {
        run(db, &sale(db, id, &[])).await;
    }
    for (id, (column, value, _)) in (FIRST_BAD..).zip(BAD) {
        run(db, &sale(db, id, &[(column, value)])).await;
    }
    // The first of two keeps the external id; one that is rejected does not take it from the next.
    run(db, &sale(db, 2000, &[("external_id", "'x-7'")])).await;
    run(db, &sale(db, 2001, &[("external_id", "'twice'"), ("amount", "'abc'")])).await;
    run(db, &sale(db, 2002, &[("external_id", "'twice'")])).await;
    run(db, &sale(db, 2003, &[("external_id", "'x-7'"), ("platform", "'ebay'")])).await;
    run(db, &sale(db, 2004, &[("external_id", "''"), ("order_number", "'A-1'"), ("sold_on", "'2024-02-29'")])).await;
    let expense = |n: u8, of: &str| {
        format!(
            "INSERT INTO expenses (id, tenant_id, category, amount, incurred_on, transaction_id) \
             VALUES ({}, {}, 'postage', 5, '2025-02-15', {of})",
            uuid(db, n),
            uuid(db, 1)
        )
    };
    for (n, of) in [(50, "1"), (51, "1000"), (52, "NULL")] {
        run(db, &expense(n, of)).await;
    }
    let order = "INSERT INTO orders (id, tenant_id, number) VALUES";
    run(db, &format!("{order} ({}, {}, 'LEGACY-9')", uuid(db, 60), uuid(db, 1))).await;

    Migrator::up(db, None).await.unwrap();

    // Nothing is lost: each sale is an order or a reject, never both.
    assert_eq!(number(db, "SELECT count(*) FROM archive_transactions").await, 310);
    assert_eq!(number(db, "SELECT count(*) FROM orders WHERE legacy_transaction_id IS NOT NULL").await, 279 + 3);
    let mut expected: Vec<(i64, String)> = (FIRST_BAD..).zip(BAD).map(|(id, (.., why))| (id, why.to_owned())).collect();
    expected.push((9, "order number 'LEGACY-9' is taken by another order".to_owned()));
    let taken = "external id 'x-7' of platform ' StockX ' is taken by an earlier sale";
    expected.push((2000, taken.to_owned()));
    expected.push((2001, "amount 'abc' is not a number".to_owned()));
    expected.sort();
    for (id, why) in &expected {
        let told = texts(db, &format!("SELECT reason FROM legacy_rejects WHERE transaction_id = {id}")).await;
        assert_eq!(told, [why.as_str()], "transaction {id}");
    }
    assert_eq!(number(db, "SELECT count(*) FROM legacy_rejects").await, i64::try_from(expected.len()).unwrap());
    let both = "SELECT count(*) FROM orders o JOIN legacy_rejects r ON r.transaction_id = o.legacy_transaction_id";
    assert_eq!(number(db, both).await, 0);
    let kept = texts(db, "SELECT row_text FROM legacy_rejects WHERE transaction_id = 1001").await;
    assert!(kept[0].contains("12,50") && kept[0].contains("x-1001"), "{kept:?}");

    the_orders_are_right(db).await;
    the_expenses_follow(db).await;
    down_and_up_again(scratch).await;
}

async fn the_orders_are_right(db: &DatabaseConnection) {
    let right = "SELECT count(*) FROM orders o JOIN platforms p ON p.id = o.platform_id \
         WHERE o.legacy_transaction_id BETWEEN 1 AND 280 AND o.total = 100.10 AND o.gross_sale = 100.10 \
         AND o.platform_fee = 9.05 AND o.shipping_cost = 0 AND o.net_proceeds = 91.05 AND o.gross_buy = 40 \
         AND o.net_profit = 51.05 AND o.roi = 127.625 AND o.shelf_life_days = 45 AND o.status = 'completed' \
         AND p.code = 'stockx' AND o.buyer_city = 'Köln' AND o.stockx_order_number IS NULL";
    assert_eq!(number(db, right).await, 279);
    let sold_at = match db.get_database_backend() {
        DbBackend::Postgres => "to_char(sold_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')",
        DbBackend::MySql => "CAST(sold_at AS char)",
        _ => "sold_at",
    };
    let days = format!("SELECT DISTINCT {sold_at} FROM orders WHERE legacy_transaction_id BETWEEN 1 AND 280");
    assert_eq!(texts(db, &days).await, ["2025-02-15 00:00:00"]);
    let last =
        format!("SELECT {sold_at} FROM orders WHERE legacy_transaction_id = 2004 AND stockx_order_number = 'A-1'");
    assert_eq!(texts(db, &last).await, ["2024-02-29 00:00:00"]);
    assert_eq!(number(db, "SELECT count(*) FROM orders WHERE shelf_life_days < 0").await, 0);
    let lines = "SELECT count(*) FROM order_items l JOIN orders o ON o.id = l.order_id WHERE l.unit_price = 100.10";
    assert_eq!(number(db, lines).await, 282);
    let version = match db.get_database_backend() {
        DbBackend::Postgres => "substr(CAST(id AS text), 15, 1)",
        _ => "substr(hex(id), 13, 1)",
    };
    let made = format!("SELECT DISTINCT {version} FROM orders WHERE legacy_transaction_id IS NOT NULL");
    assert_eq!(texts(db, &made).await, ["7"]);
    let variants = match db.get_database_backend() {
        DbBackend::Postgres => "substr(CAST(id AS text), 20, 1)",
        _ => "lower(substr(hex(id), 17, 1))",
    };
    let odd = format!(
        "SELECT count(*) FROM orders WHERE legacy_transaction_id IS NOT NULL AND {variants} NOT IN ('8', '9', 'a', 'b')"
    );
    assert_eq!(number(db, &odd).await, 0);
}

async fn the_expenses_follow(db: &DatabaseConnection) {
    let of_order = "SELECT count(*) FROM expenses e JOIN orders o ON o.id = e.order_id \
         WHERE o.legacy_transaction_id = 1 AND e.legacy_transaction_id = 1";
    assert_eq!(number(db, of_order).await, 1);
    let of_reject = "SELECT count(*) FROM expenses WHERE order_id IS NULL AND legacy_transaction_id = 1000";
    assert_eq!(number(db, of_reject).await, 1);
    assert_eq!(number(db, "SELECT count(*) FROM expenses").await, 3);
}

/// The rollback restores the old system's data, and the way up from there gives the same orders.
async fn down_and_up_again(scratch: &Scratch) {
    let db = &scratch.db;
    let all = u32::try_from(Migrator::migrations().len()).unwrap();
    let back_to = steps_up_to("m20250930_000001_order_sale_fields");
    Migrator::down(db, Some(all - back_to)).await.unwrap();
    assert_eq!(number(db, "SELECT count(*) FROM transactions").await, 310);
    assert_eq!(number(db, "SELECT count(*) FROM orders").await, 1);
    assert_eq!(number(db, "SELECT count(*) FROM expenses WHERE transaction_id IN (1, 1000)").await, 2);
    let overview = texts(db, "SELECT sale_overview FROM inventory_items").await;
    assert_eq!(overview, ["completed after 45 days"]);
    Migrator::up(db, None).await.unwrap();
    assert_eq!(number(db, "SELECT count(*) FROM orders WHERE legacy_transaction_id IS NOT NULL").await, 282);
    assert_eq!(number(db, "SELECT count(*) FROM legacy_rejects").await, 28);
}

async fn a_text_that_no_order_stands_for_is_not_dropped(scratch: &Scratch) {
    let db = &scratch.db;
    before(db).await;
    let error = Migrator::up(db, None).await.unwrap_err().to_string();
    assert!(error.contains("sale_overview_is_not_superseded_by_an_order"), "{error}");
    assert_eq!(texts(db, "SELECT sale_overview FROM inventory_items").await, ["sold in February"]);
    // After a manual fix the same migration continues.
    run(db, "UPDATE inventory_items SET sale_overview = NULL").await;
    Migrator::up(db, None).await.unwrap();
    assert!(Migrator::get_pending_migrations_read_only(db).await.unwrap().is_empty());
    assert!(!scratch.tables().await.iter().any(|table| table.starts_with("guard_")), "a guard's table was left");
}

async fn a_late_sale_stops_the_archive(scratch: &Scratch) {
    let db = &scratch.db;
    before(db).await;
    Migrator::up(db, Some(1)).await.unwrap();
    run(db, &sale(db, 1, &[])).await;
    let error = Migrator::up(db, None).await.unwrap_err().to_string();
    assert!(error.contains("transactions_are_neither_orders_nor_rejected"), "{error}");
    assert_eq!(number(db, "SELECT count(*) FROM transactions").await, 1);
}

/// More than two batches of each kind.
async fn many_sales_take_many_batches(scratch: &Scratch) {
    let db = &scratch.db;
    before(db).await;
    run(db, &sale(db, 1, &[])).await;
    run(db, &sale(db, 2, &[("amount", "'abc'")])).await;
    let text = if db.get_database_backend() == DbBackend::MySql { "char" } else { "text" };
    for power in 1..=11 {
        let step = 1 << power;
        run(
            db,
            &format!(
                "INSERT INTO transactions (id, tenant_id, item_sku, platform, external_id, amount, sold_on) \
                 SELECT id + {step}, tenant_id, item_sku, platform, CAST(id + {step} AS {text}), amount, sold_on \
                 FROM transactions"
            ),
        )
        .await;
    }
    Migrator::up(db, None).await.unwrap();
    assert_eq!(number(db, "SELECT count(*) FROM orders").await, 2048);
    assert_eq!(number(db, "SELECT count(*) FROM legacy_rejects").await, 2048);
    assert_eq!(number(db, "SELECT count(*) FROM order_items").await, 2048);
}

async fn the_way_back_refuses_to_lose_what_is_new(scratch: &Scratch) {
    let db = &scratch.db;
    before(db).await;
    run(db, &sale(db, 1, &[])).await;
    Migrator::up(db, None).await.unwrap();
    run(db, "UPDATE orders SET status = 'refunded', updated_at = '2030-01-01 00:00:00'").await;
    let error = Migrator::down(db, None).await.unwrap_err().to_string();
    assert!(error.contains("changed_orders_would_be_deleted"), "{error}");
    assert_eq!(number(db, "SELECT count(*) FROM orders WHERE status = 'refunded'").await, 1);
}
