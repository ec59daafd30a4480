//! The entities against the tables that the migrations make: the same columns, and values that survive a round trip
//! on each engine.
//!
//! The servers come from `scripts/servers`; without them the test fails, it is never skipped.
#![expect(clippy::unwrap_used, reason = "the steps of a test panic where they fail")]

use std::time::{SystemTime, UNIX_EPOCH};

use entity::{
    api_keys, archive_transactions, audit_logs, benchmark_participation, benchmark_snapshots, billing_cycles, brands,
    budgets, categories, cost_tracking, customers, dashboard_layouts, expenses, inventory_items,
    inventory_transactions, legacy_rejects, locations, marketplace_data, marketplace_price_history, order_items,
    orders, platforms, products, shipment_events, shipment_items, shipments, supplier_accounts, suppliers,
    tenant_features, tenant_settings, tenants, user_preferences, users,
};
use migration::Migrator;
use sea_orm::prelude::{DateTimeUtc, Decimal, Json, Uuid};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, Database, DatabaseConnection, DbBackend, EntityName, EntityTrait, IdenStatic,
    Iterable, ModelTrait, Set, Statement,
};
use sea_orm_migration::MigratorTrait;

#[tokio::test]
async fn columns_are_the_tables_own() {
    let db = Database::connect("sqlite::memory:").await.unwrap();
    Migrator::up(&db, None).await.unwrap();
    let mut tables = Vec::new();
    macro_rules! check {
        ($($table:ident),+ $(,)?) => {
            $(same_columns(&db, entity::$table::Entity).await;
            tables.push(entity::$table::Entity.table_name());)+
        };
    }
    entity::with_every_entity!(check);
    let listing = "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'seaql_migrations' ORDER BY name";
    let rows = db.query_all_raw(Statement::from_string(DbBackend::Sqlite, listing)).await.unwrap();
    let made: Vec<String> = rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    assert_eq!(tables, made, "a table without an entity, or an entity without a table");
}

async fn same_columns<E: EntityTrait>(db: &DatabaseConnection, entity: E) {
    let table = entity.table_name();
    let listing = format!("SELECT name FROM pragma_table_info('{table}') ORDER BY name");
    let rows = db.query_all_raw(Statement::from_string(DbBackend::Sqlite, listing)).await.unwrap();
    let of_table: Vec<String> = rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    let mut of_entity: Vec<String> = E::Column::iter().map(|column| column.as_str().to_owned()).collect();
    of_entity.sort();
    assert_eq!(of_entity, of_table, "{table}");
}

#[tokio::test]
async fn sqlite() {
    let db = Database::connect("sqlite::memory:").await.unwrap();
    Migrator::up(&db, None).await.unwrap();
    round_trip(&db).await;
}

#[tokio::test]
async fn postgres() {
    on_server("FLEET_TEST_POSTGRES_URL").await;
}

#[tokio::test]
async fn mariadb() {
    on_server("FLEET_TEST_MARIADB_URL").await;
}

async fn on_server(variable: &str) {
    let server_url = std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set; run `eval \"$(scripts/servers start)\"` first"));
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let name = format!("entity_test_{nanos}");
    let (prefix, _) = server_url.rsplit_once('/').unwrap();

    let server = Database::connect(&server_url).await.unwrap();
    server.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    let db = Database::connect(format!("{prefix}/{name}")).await.unwrap();
    Migrator::up(&db, None).await.unwrap();
    round_trip(&db).await;
    db.close().await.unwrap();
    server.execute_unprepared(&format!("DROP DATABASE {name}")).await.unwrap();
    server.close().await.unwrap();
}

const NOW: &str = "2025-01-10T08:30:00Z";

fn now() -> DateTimeUtc {
    NOW.parse().unwrap()
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn money(text: &str) -> Decimal {
    text.parse().unwrap()
}

async fn round_trip(db: &DatabaseConnection) {
    let tenant = a_tenant(db).await;
    let user = a_user(db, &tenant).await;
    let item = an_item(db, &tenant).await;
    an_order(db, &tenant, &user, &item).await;
    a_movement(db, &tenant, &user, &item).await;
    the_books(db, &tenant, &user).await;
    defaults_are_filled_in(db, &tenant).await;
    let product = the_catalog(db, &tenant).await;
    let order = a_sale(db, &tenant).await;
    a_parcel(db, &tenant, &product, &order).await;
    the_figures(db, &tenant, &product).await;
    what_users_like(db, &user).await;
    what_is_left_of_the_old_system(db, &tenant).await;
    every_table_was_read_and_written(db).await;
}

/// Checks the list of all entities: a table that the steps above forgot has no row.
async fn every_table_was_read_and_written(db: &DatabaseConnection) {
    macro_rules! read {
        ($($table:ident),+ $(,)?) => {
            $(let rows = entity::$table::Entity::find().all(db).await;
            assert!(!rows.unwrap().is_empty(), "nothing wrote to {}", stringify!($table));)+
        };
    }
    entity::with_every_entity!(read);
}

async fn a_tenant(db: &DatabaseConnection) -> tenants::Model {
    let tenant = tenants::ActiveModel {
        id: Set(id(1)),
        slug: Set("acme".into()),
        name: Set("Acme GmbH".into()),
        plan: Set("enterprise".into()),
        status: Set("active".into()),
        created_at: Set(now()),
        updated_at: Set(now()),
    };
    let inserted = tenant.insert(db).await.unwrap();
    let found = tenants::Entity::find_by_id(id(1)).one(db).await.unwrap().expect("the tenant");
    assert_eq!((found.created_at, &found), (now(), &inserted));
    found
}

async fn a_user(db: &DatabaseConnection, tenant: &tenants::Model) -> users::Model {
    let user = users::ActiveModel {
        id: Set(id(2)),
        tenant_id: Set(tenant.id),
        email: Set("grace@acme.example".into()),
        full_name: Set("Grace Hopper".into()),
        password_hash: Set("$argon2id$v=19$...".into()),
        role: Set("owner".into()),
        is_active: Set(true),
        last_login_at: Set(None),
        created_at: Set(now()),
        updated_at: Set(now()),
    };
    let user = user.insert(db).await.unwrap();
    let of_tenant = tenant.find_related(users::Entity).all(db).await.unwrap();
    assert_eq!(of_tenant, std::slice::from_ref(&user));
    user
}

async fn an_item(db: &DatabaseConnection, tenant: &tenants::Model) -> inventory_items::Model {
    let item = inventory_items::ActiveModel {
        id: Set(id(3)),
        tenant_id: Set(tenant.id),
        name: Set("Bolt M8".into()),
        quantity: Set(40),
        unit_price: Set(money("0.35")),
        status: Set("active".into()),
        created_at: Set(now()),
        updated_at: Set(now()),
        sku: Set(Some("BOLT-M8".into())),
        reorder_point: Set(10),
        reorder_quantity: Set(200),
        ..Default::default()
    };
    let item = item.insert(db).await.unwrap();
    assert_eq!((item.unit_price, item.barcode.clone()), (money("0.35"), None));
    item
}

async fn an_order(
    db: &DatabaseConnection,
    tenant: &tenants::Model,
    user: &users::Model,
    item: &inventory_items::Model,
) {
    let order = orders::ActiveModel {
        id: Set(id(4)),
        tenant_id: Set(tenant.id),
        placed_by: Set(Some(user.id)),
        number: Set("2025-0001".into()),
        status: Set("placed".into()),
        currency: Set("EUR".into()),
        total: Set(money("1234567890.12")),
        placed_at: Set(Some(now())),
        created_at: Set(now()),
        updated_at: Set(now()),
        ..Default::default()
    };
    let order = order.insert(db).await.unwrap();
    assert_eq!((order.total, order.placed_at), (money("1234567890.12"), Some(now())));
    let line = order_items::ActiveModel {
        id: Set(id(5)),
        order_id: Set(order.id),
        inventory_item_id: Set(item.id),
        quantity: Set(2),
        unit_price: Set(money("0.35")),
        line_total: Set(money("0.70")),
        created_at: Set(now()),
    };
    let line = line.insert(db).await.unwrap();
    assert_eq!(line.find_related(inventory_items::Entity).one(db).await.unwrap().as_ref(), Some(item));
    assert_eq!(order.find_related(order_items::Entity).all(db).await.unwrap(), [line]);
}

async fn a_movement(
    db: &DatabaseConnection,
    tenant: &tenants::Model,
    user: &users::Model,
    item: &inventory_items::Model,
) {
    let address: Json = serde_json_object();
    let location = locations::ActiveModel {
        id: Set(id(6)),
        tenant_id: Set(tenant.id),
        code: Set("HAM-1".into()),
        name: Set("Hamburg".into()),
        kind: Set("warehouse".into()),
        address: Set(Some(address.clone())),
        is_active: Set(true),
        created_at: Set(now()),
    };
    let location = location.insert(db).await.unwrap();
    assert_eq!(location.address, Some(address));
    let movement = inventory_transactions::ActiveModel {
        id: Set(id(7)),
        inventory_item_id: Set(item.id),
        location_id: Set(Some(location.id)),
        performed_by: Set(Some(user.id)),
        kind: Set("sale".into()),
        quantity_change: Set(-2),
        unit_cost: Set(Some(money("0.10"))),
        occurred_at: Set(now()),
        ..Default::default()
    };
    let movement = movement.insert(db).await.unwrap();
    assert_eq!(location.find_related(inventory_transactions::Entity).all(db).await.unwrap(), [movement]);
}

fn serde_json_object() -> Json {
    r#"{"city":"Hamburg","postcode":"20095"}"#.parse().unwrap()
}

async fn the_books(db: &DatabaseConnection, tenant: &tenants::Model, user: &users::Model) {
    let key = api_keys::ActiveModel {
        id: Set(id(8)),
        tenant_id: Set(tenant.id),
        created_by: Set(Some(user.id)),
        name: Set("shop".into()),
        prefix: Set("ak_live_7f3c".into()),
        key_hash: Set("0123456789abcdef".repeat(4)),
        created_at: Set(now()),
        ..Default::default()
    };
    let key = key.insert(db).await.unwrap();
    assert_eq!(key.find_related(users::Entity).one(db).await.unwrap().as_ref(), Some(user));
    let cycle = billing_cycles::ActiveModel {
        id: Set(id(9)),
        tenant_id: Set(tenant.id),
        starts_on: Set("2025-01-01".parse().unwrap()),
        ends_on: Set("2025-01-31".parse().unwrap()),
        status: Set("open".into()),
        currency: Set("EUR".into()),
        amount_due: Set(money("49.00")),
        amount_paid: Set(money("0")),
        created_at: Set(now()),
        ..Default::default()
    };
    assert_eq!(cycle.insert(db).await.unwrap().starts_on.to_string(), "2025-01-01");
    let setting = tenant_settings::ActiveModel {
        id: Set(id(10)),
        tenant_id: Set(tenant.id),
        name: Set("headquarters".into()),
        value: Set(serde_json_object()),
        created_at: Set(now()),
        updated_at: Set(now()),
    };
    assert_eq!(setting.insert(db).await.unwrap().value, serde_json_object());
    let entry = audit_logs::ActiveModel {
        id: Set(id(11)),
        tenant_id: Set(tenant.id),
        user_id: Set(Some(user.id)),
        action: Set("setting.changed".into()),
        entity_type: Set("tenant_settings".into()),
        entity_id: Set(Some(id(10))),
        ip_address: Set(Some("2001:db8::1".into())),
        created_at: Set(now()),
        ..Default::default()
    };
    assert_eq!(entry.insert(db).await.unwrap().entity_id, Some(id(10)));
}

/// The table fills in values that a caller leaves out, and the entity can read them.
async fn defaults_are_filled_in(db: &DatabaseConnection, tenant: &tenants::Model) {
    let feature = tenant_features::ActiveModel {
        id: Set(id(12)),
        tenant_id: Set(tenant.id),
        feature: Set("barcodes".into()),
        ..Default::default()
    };
    let feature = feature.insert(db).await.unwrap();
    assert!(!feature.enabled);
    assert!(feature.created_at > now(), "created_at is the time of the insert, not {}", feature.created_at);
}

async fn the_catalog(db: &DatabaseConnection, tenant: &tenants::Model) -> products::Model {
    let shoes = categories::ActiveModel {
        id: Set(id(20)),
        tenant_id: Set(tenant.id),
        name: Set("Shoes".into()),
        ..Default::default()
    };
    let shoes = shoes.insert(db).await.unwrap();
    let boots = categories::ActiveModel {
        id: Set(id(21)),
        tenant_id: Set(tenant.id),
        parent_id: Set(Some(shoes.id)),
        name: Set("Boots".into()),
        ..Default::default()
    };
    assert_eq!(boots.insert(db).await.unwrap().parent_id, Some(shoes.id));
    let brand = brands::ActiveModel {
        id: Set(id(22)),
        tenant_id: Set(tenant.id),
        name: Set("Brand".into()),
        segment: Set(Some("premium".into())),
        ..Default::default()
    };
    let brand = brand.insert(db).await.unwrap();
    assert_eq!((brand.is_deleted, brand.deleted_at), (false, None));
    let product = products::ActiveModel {
        id: Set(id(23)),
        tenant_id: Set(tenant.id),
        brand_id: Set(Some(brand.id)),
        category_id: Set(Some(shoes.id)),
        sku: Set("SHOE-1".into()),
        name: Set("Shoe".into()),
        attributes: Set(Some(serde_json_object())),
        retail_price: Set(Some(money("119.99"))),
        holding_cost_rate: Set(Some(money("0.2500"))),
        supplier_lead_days: Set(Some(5)),
        shipping_lead_days: Set(Some(2)),
        released_on: Set(Some("2025-01-01".parse().unwrap())),
        ..Default::default()
    };
    product.insert(db).await.unwrap();
    // Read again: SQLite's trigger runs after the insert.
    let product = products::Entity::find_by_id(id(23)).one(db).await.unwrap().expect("the product");
    assert_eq!((product.version, product.total_lead_days), (1, Some(7)));
    assert_eq!((product.retail_price, product.holding_cost_rate), (Some(money("119.99")), Some(money("0.25"))));
    assert_eq!(brand.find_related(products::Entity).all(db).await.unwrap(), std::slice::from_ref(&product));

    let stockx = platforms::Entity::find_by_id(id(1)).one(db).await.unwrap().expect("the first platform");
    assert_eq!(stockx.code, "stockx");
    let listing = marketplace_data::ActiveModel {
        id: Set(id(24)),
        product_id: Set(product.id),
        platform_id: Set(stockx.id),
        market_price: Set(Some(money("150.00"))),
        fetched_at: Set(Some(now())),
        ..Default::default()
    };
    let listing = listing.insert(db).await.unwrap();
    assert!(listing.is_available && !listing.is_repriced);
    let before = marketplace_price_history::ActiveModel {
        id: Set(id(25)),
        marketplace_data_id: Set(listing.id),
        market_price: Set(money("149.50")),
        observed_at: Set(now()),
        ..Default::default()
    };
    let before = before.insert(db).await.unwrap();
    assert_eq!(listing.find_related(marketplace_price_history::Entity).all(db).await.unwrap(), [before]);
    product
}

async fn a_sale(db: &DatabaseConnection, tenant: &tenants::Model) -> orders::Model {
    let customer = customers::ActiveModel {
        id: Set(id(30)),
        tenant_id: Set(tenant.id),
        email: Set("ada@example.com".into()),
        full_name: Set("Ada Lovelace".into()),
        country: Set(Some("GB".into())),
        ..Default::default()
    };
    let customer = customer.insert(db).await.unwrap();
    let order = orders::ActiveModel {
        id: Set(id(31)),
        tenant_id: Set(tenant.id),
        number: Set("2025-0002".into()),
        status: Set("completed".into()),
        customer_id: Set(Some(customer.id)),
        platform_id: Set(Some(id(1))),
        external_id: Set(Some("SX-1".into())),
        vat_rate: Set(Some(money("0.19"))),
        net_profit: Set(Some(money("-12.34"))),
        roi: Set(Some(money("-10.5000"))),
        payout_received: Set(true),
        payout_date: Set(Some("2025-02-01".parse().unwrap())),
        shelf_life_days: Set(Some(12)),
        ..Default::default()
    };
    let order = order.insert(db).await.unwrap();
    assert_eq!((order.net_profit, order.roi), (Some(money("-12.34")), Some(money("-10.5"))));
    assert_eq!(customer.find_related(orders::Entity).all(db).await.unwrap(), std::slice::from_ref(&order));
    let expense = expenses::ActiveModel {
        id: Set(id(32)),
        tenant_id: Set(tenant.id),
        category: Set("postage".into()),
        amount: Set(money("4.99")),
        incurred_on: Set("2025-02-02".parse().unwrap()),
        order_id: Set(Some(order.id)),
        ..Default::default()
    };
    let expense = expense.insert(db).await.unwrap();
    assert_eq!(order.find_related(expenses::Entity).all(db).await.unwrap(), [expense]);
    let supplier = suppliers::ActiveModel {
        id: Set(id(33)),
        tenant_id: Set(tenant.id),
        name: Set("Wholesale".into()),
        rating: Set(Some(money("4.50"))),
        ..Default::default()
    };
    let supplier = supplier.insert(db).await.unwrap();
    let account = supplier_accounts::ActiveModel {
        id: Set(id(34)),
        tenant_id: Set(tenant.id),
        supplier_id: Set(supplier.id),
        account_name: Set("acme".into()),
        credit_limit: Set(Some(money("1000.00"))),
        ..Default::default()
    };
    let account = account.insert(db).await.unwrap();
    assert_eq!(supplier.find_related(supplier_accounts::Entity).all(db).await.unwrap(), [account]);
    order
}

async fn a_parcel(db: &DatabaseConnection, tenant: &tenants::Model, product: &products::Model, order: &orders::Model) {
    let shipment = shipments::ActiveModel {
        id: Set(id(40)),
        order_id: Set(order.id),
        tenant_id: Set(tenant.id),
        carrier: Set("DHL".into()),
        raw_tracking: Set(Some(serde_json_object())),
        ..Default::default()
    };
    let shipment = shipment.insert(db).await.unwrap();
    assert_eq!((shipment.status.as_str(), shipment.has_exception), ("pending", false));
    let event = shipment_events::ActiveModel {
        id: Set(id(41)),
        shipment_id: Set(shipment.id),
        status: Set("picked up".into()),
        event_time: Set(now()),
        ..Default::default()
    };
    let event = event.insert(db).await.unwrap();
    assert_eq!(shipment.find_related(shipment_events::Entity).all(db).await.unwrap(), [event]);
    let line = shipment_items::ActiveModel {
        id: Set(id(42)),
        shipment_id: Set(shipment.id),
        product_id: Set(product.id),
        order_item_id: Set(Some(id(5))),
        quantity: Set(1),
        ..Default::default()
    };
    let line = line.insert(db).await.unwrap();
    assert_eq!(product.find_related(shipment_items::Entity).all(db).await.unwrap(), std::slice::from_ref(&line));
    assert_eq!(line.find_related(order_items::Entity).one(db).await.unwrap().expect("the line").id, id(5));
}

async fn the_figures(db: &DatabaseConnection, tenant: &tenants::Model, product: &products::Model) {
    let budget = budgets::ActiveModel {
        id: Set(id(50)),
        tenant_id: Set(tenant.id),
        product_id: Set(Some(product.id)),
        name: Set("Spring".into()),
        period_start: Set("2025-03-01".parse().unwrap()),
        period_end: Set("2025-05-31".parse().unwrap()),
        budgeted_amount: Set(money("5000.00")),
        variance: Set(Some(money("-250.25"))),
        ..Default::default()
    };
    assert_eq!(budget.insert(db).await.unwrap().variance, Some(money("-250.25")));
    let cost = cost_tracking::ActiveModel {
        id: Set(id(51)),
        tenant_id: Set(tenant.id),
        product_id: Set(product.id),
        period: Set("2025-03-01".parse().unwrap()),
        total_cost: Set(money("123.45")),
        ..Default::default()
    };
    assert_eq!(cost.insert(db).await.unwrap().total_cost, money("123.45"));
    let participation = benchmark_participation::ActiveModel {
        id: Set(id(52)),
        tenant_id: Set(tenant.id),
        anonymous_id: Set(id(999)),
        ..Default::default()
    };
    assert!(!participation.insert(db).await.unwrap().is_participating, "nobody takes part unasked");
    let snapshot = benchmark_snapshots::ActiveModel {
        id: Set(id(53)),
        cohort: Set("shoes/small".into()),
        period: Set("2025-03-01".parse().unwrap()),
        participant_count: Set(5),
        inventory_turnover_p90: Set(Some(money("7.2500"))),
        ..Default::default()
    };
    assert_eq!(snapshot.insert(db).await.unwrap().inventory_turnover_p90, Some(money("7.25")));
}

async fn what_users_like(db: &DatabaseConnection, user: &users::Model) {
    let layout = dashboard_layouts::ActiveModel {
        id: Set(id(60)),
        user_id: Set(user.id),
        name: Set("Morning".into()),
        widgets: Set(serde_json_object()),
        ..Default::default()
    };
    let layout = layout.insert(db).await.unwrap();
    assert_eq!(user.find_related(dashboard_layouts::Entity).all(db).await.unwrap(), [layout]);
    let preferences = user_preferences::ActiveModel { id: Set(id(61)), user_id: Set(user.id), ..Default::default() };
    let preferences = preferences.insert(db).await.unwrap();
    assert_eq!((preferences.compact_mode, preferences.color_scheme.as_str()), (false, "system"));
}

async fn what_is_left_of_the_old_system(db: &DatabaseConnection, tenant: &tenants::Model) {
    let sale = archive_transactions::ActiveModel {
        id: Set(17),
        tenant_id: Set(tenant.id),
        amount: Set(Some("abc".into())),
        ..Default::default()
    };
    let sale = sale.insert(db).await.unwrap();
    assert_eq!(tenant.find_related(archive_transactions::Entity).all(db).await.unwrap(), [sale]);
    let reject = legacy_rejects::ActiveModel {
        transaction_id: Set(17),
        reason: Set("amount 'abc' is not a number".into()),
        row_text: Set("{}".into()),
        ..Default::default()
    };
    assert_eq!(reject.insert(db).await.unwrap().transaction_id, 17);
}
