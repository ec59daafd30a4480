//! The entities against the tables that the migrations make: the same columns, and values that survive a round trip
//! on each engine.
//!
//! The servers come from `scripts/servers`; without them the test fails, it is never skipped.
#![expect(clippy::unwrap_used, reason = "the steps of a test panic where they fail")]

use std::time::{SystemTime, UNIX_EPOCH};

use entity::{
    api_keys, audit_logs, billing_cycles, inventory_items, inventory_transactions, locations, order_items, orders,
    tenant_features, tenant_settings, tenants, users,
};
use migration::Migrator;
use sea_orm::prelude::{DateTimeUtc, Decimal, Json, Uuid};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, Database, DatabaseConnection, DbBackend, EntityTrait, IdenStatic, Iterable,
    ModelTrait, Set, Statement,
};
use sea_orm_migration::MigratorTrait;

#[tokio::test]
async fn columns_are_the_tables_own() {
    let db = Database::connect("sqlite::memory:").await.unwrap();
    Migrator::up(&db, None).await.unwrap();
    same_columns(&db, tenants::Entity).await;
    same_columns(&db, users::Entity).await;
    same_columns(&db, inventory_items::Entity).await;
    same_columns(&db, orders::Entity).await;
    same_columns(&db, order_items::Entity).await;
    same_columns(&db, audit_logs::Entity).await;
    same_columns(&db, tenant_features::Entity).await;
    same_columns(&db, tenant_settings::Entity).await;
    same_columns(&db, api_keys::Entity).await;
    same_columns(&db, billing_cycles::Entity).await;
    same_columns(&db, locations::Entity).await;
    same_columns(&db, inventory_transactions::Entity).await;
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
    on_server("FLEET_TEST_MYSQL_URL").await;
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

/// What a caller leaves out the table fills in, and the entity can read it.
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
