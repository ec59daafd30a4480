//! The same rows for every engine: sales of four months, with values that engines tend to report differently.
//!
//! No row depends on chance or on the clock.

use crate::engines::support::{Home, Site};

/// A UUID literal; `kind` separates the ids of different tables.
fn id(site: Site, kind: u32, n: u32) -> String {
    let hex = format!("{kind:08x}0000400080000000{n:08x}");
    let (a, b, c, d, e) = (&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    site.pick(format!("x'{hex}'"), format!("'{a}-{b}-{c}-{d}-{e}'"), format!("x'{hex}'"))
}

/// A UTC timestamp as SeaORM stores it on the engine.
fn moment(site: Site, day: &str, time: &str) -> String {
    site.pick(format!("'{day}T{time}+00:00'"), format!("'{day} {time}+00'"), format!("'{day} {time}'"))
}

const TENANT: u32 = 1;
const PLATFORM: u32 = 2;
const BRAND: u32 = 3;
const CATEGORY: u32 = 4;
const PRODUCT: u32 = 5;
const SUPPLIER: u32 = 6;
const ITEM: u32 = 7;
const CUSTOMER: u32 = 8;
const ORDER: u32 = 9;
const LINE: u32 = 10;
const MARKET: u32 = 11;
const SHIPMENT: u32 = 12;

/// Days around the ends of months and years, and hours around midnight.
const DAYS: [&str; 9] = [
    "2024-12-31",
    "2025-01-01",
    "2025-01-31",
    "2025-02-01",
    "2025-02-28",
    "2025-03-01",
    "2025-03-30",
    "2025-03-31",
    "2025-02-14",
];
const TIMES: [&str; 4] = ["23:59:59", "00:00:00", "00:30:00", "12:15:30"];

pub(super) async fn insert(home: &Home) {
    let site = home.site;
    let t = id(site, TENANT, 1);
    let mut all = vec![format!("INSERT INTO tenants (id, slug, name) VALUES ({t}, 'one', 'One')")];
    for (n, code) in [(0, "alpha"), (1, "beta")] {
        let id = id(site, PLATFORM, n);
        all.push(format!("INSERT INTO platforms (id, code, name) VALUES ({id}, '{code}', '{code}')"));
    }
    for n in 0..3 {
        let (brand, category) = (id(site, BRAND, n), id(site, CATEGORY, n));
        let segment = if n == 0 { "NULL" } else { "'sport'" };
        all.push(format!(
            "INSERT INTO brands (id, tenant_id, name, segment) VALUES ({brand}, {t}, 'Brand {n}', {segment})"
        ));
        all.push(format!("INSERT INTO categories (id, tenant_id, name) VALUES ({category}, {t}, 'Category {n}')"));
        let supplier = id(site, SUPPLIER, n);
        all.push(format!("INSERT INTO suppliers (id, tenant_id, name) VALUES ({supplier}, {t}, 'Supplier {n}')"));
    }
    for n in 0..5 {
        let product = id(site, PRODUCT, n);
        let brand = if n == 4 { "NULL".to_owned() } else { id(site, BRAND, n % 3) };
        all.push(format!(
            "INSERT INTO products (id, tenant_id, brand_id, category_id, sku, name, retail_price) VALUES ({product}, {t}, {brand}, \
             {}, 'P-{n}', 'Product {n}', {}.99)",
            id(site, CATEGORY, n % 2),
            n * 37 % 50
        ));
        all.push(format!(
            "INSERT INTO marketplace_data (id, product_id, platform_id, lowest_ask, highest_bid) VALUES ({}, {product}, {}, \
             {}.35, NULL)",
            id(site, MARKET, n),
            id(site, PLATFORM, n % 2),
            40 + n
        ));
    }
    for n in 0..7 {
        let product = if n == 6 { "NULL".to_owned() } else { id(site, PRODUCT, n % 5) };
        let supplier = if n == 5 { "NULL".to_owned() } else { id(site, SUPPLIER, n % 2) };
        // The price paid is not known for every item.
        let price = if n % 3 == 2 { "NULL".to_owned() } else { format!("{}.05", 7 + n) };
        all.push(format!(
            "INSERT INTO inventory_items (id, tenant_id, name, sku, quantity, reorder_point, unit_price, product_id, supplier_id, \
             purchase_price) VALUES ({}, {t}, 'Item {n}', 'S-{n}', {n}, 3, {}.10, {product}, {supplier}, {price})",
            id(site, ITEM, n),
            20 + n
        ));
    }
    for n in 0..4 {
        let (city, country) = if n == 3 { ("NULL", "NULL") } else { ("'Lyon'", "'FR'") };
        all.push(format!(
            "INSERT INTO customers (id, tenant_id, email, full_name, city, country) VALUES ({}, {t}, 'c{n}@example.org', \
             'Customer {n}', {city}, {country})",
            id(site, CUSTOMER, n)
        ));
    }
    for n in 0..60 {
        all.extend(order(site, &t, n));
    }
    for n in 0..4 {
        let delivered = if n == 2 { "NULL".to_owned() } else { moment(site, DAYS[2], TIMES[3]) };
        let exception = if n == 2 { "TRUE" } else { "FALSE" };
        all.push(format!(
            "INSERT INTO shipments (id, order_id, tenant_id, carrier, delivered_at, has_exception) VALUES ({}, {}, {t}, \
             'carrier {}', {delivered}, {exception})",
            id(site, SHIPMENT, n),
            id(site, ORDER, n),
            n % 2
        ));
    }
    run(home, &all).await;
}

/// One order with up to two lines.
fn order(site: Site, t: &str, n: u32) -> Vec<String> {
    let order = id(site, ORDER, n);
    let status = ["completed", "completed", "shipped", "draft", "completed", "cancelled", "refunded"][n as usize % 7];
    let at = moment(site, DAYS[n as usize % 9], TIMES[n as usize % 4]);
    // Without a recorded time of sale, an order counts at the time it was placed.
    let (sold, placed) = if n % 11 == 3 { ("NULL".to_owned(), at.clone()) } else { (at.clone(), "NULL".to_owned()) };
    let or_null = |known: bool, text: String| if known { text } else { "NULL".to_owned() };
    let values = [
        order.clone(),
        t.to_owned(),
        format!("'N-{n:03}'"),
        format!("'{status}'"),
        if n % 5 == 1 { "'USD'" } else { "'EUR'" }.to_owned(),
        // Amounts in cents with a mean at half a cent: 10.01 and 10.02 are 10.015 each.
        format!("{}.{:02}", 10 + n % 3, n % 100),
        at,
        sold,
        placed,
        or_null(!n.is_multiple_of(4), id(site, CUSTOMER, n % 4)),
        or_null(n % 6 != 5, id(site, PLATFORM, n % 2)),
        or_null(n.is_multiple_of(2), format!("{}.{:02}", 10 + n % 3, (n + 1) % 100)),
        or_null(n.is_multiple_of(3), format!("1.{:02}", n % 100)),
        or_null(n.is_multiple_of(8), "3.95".to_owned()),
        // Includes a loss.
        or_null(n.is_multiple_of(10), format!("{}.{:02}", if n.is_multiple_of(20) { "-4" } else { "6" }, n % 100)),
        or_null(n % 3 == 1, "5.55".to_owned()),
        // Compared bytewise these are two countries; surrounding blanks are not part of the name.
        ["'DE'", "'de'", "' DE '", "NULL", "'São Tomé'", "'Sao Tome'", "''"][n as usize % 7].to_owned(),
        ["'Köln'", "'Koln'", "NULL"][n as usize % 3].to_owned(),
        if n.is_multiple_of(2) { "TRUE" } else { "FALSE" }.to_owned(),
    ];
    let mut all = vec![format!(
        "INSERT INTO orders (id, tenant_id, number, status, currency, total, created_at, sold_at, placed_at, customer_id, \
         platform_id, gross_sale, platform_fee, shipping_cost, net_profit, gross_buy, buyer_country, buyer_city, \
         payout_received) VALUES ({})",
        values.join(", ")
    )];
    for line in 0..n % 3 {
        let item = (n + line * 2) % 7;
        all.push(format!(
            "INSERT INTO order_items (id, order_id, inventory_item_id, quantity, unit_price, line_total) VALUES ({}, {order}, {}, \
             {}, 9.99, {}.{:02})",
            id(site, LINE, n * 4 + line),
            id(site, ITEM, item),
            1 + n % 3,
            9 + n % 5,
            (n * 7) % 100
        ));
    }
    all
}

/// Adds a sale that no refresh has seen.
pub(super) async fn one_more_order(home: &Home) {
    let t = id(home.site, TENANT, 1);
    run(home, &order(home.site, &t, 700)).await;
}

/// Completed orders, numbered from `M-00000`.
pub(super) async fn many_closed_orders(home: &Home, count: u32) {
    let site = home.site;
    let t = id(site, TENANT, 1);
    let row = |n: u32| {
        let (id, sold) = (id(site, ORDER, 10_000 + n), moment(site, DAYS[n as usize % 9], TIMES[n as usize % 4]));
        format!("({id}, {t}, 'M-{n:05}', 'completed', {n}, {sold})")
    };
    let rows: Vec<String> = (0..count).map(row).collect();
    let into = "INSERT INTO orders (id, tenant_id, number, status, total, sold_at) VALUES ";
    run(home, &rows.chunks(500).map(|rows| format!("{into}{}", rows.join(", "))).collect::<Vec<_>>()).await;
}

async fn run(home: &Home, statements: &[String]) {
    let mut all = vec!["BEGIN".to_owned()];
    all.extend_from_slice(statements);
    all.push("COMMIT".to_owned());
    home.run(&all.join(";\n")).await;
}
