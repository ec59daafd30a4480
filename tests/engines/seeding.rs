//! Generated rows: the whole sample schema and a third-party schema, on every engine, with every key valid.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::Session;
use crate::model::shape::{Column, Key};
use crate::seed::{Rules, SeedRequest, SeedStop, SeedSummary, seed};
use entity::{audit_logs, inventory_items, order_items, orders, tenants, users};
use migration::Migrator;
use sea_orm::{EntityTrait, FromQueryResult, Statement};

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, Site, with};

on_every_site!(
    the_sample_schema_is_filled_whole,
    more_is_added_behind_what_is_there,
    odd_schemas_are_filled,
    a_refused_row_names_its_constraint,
    many_rows_take_seconds,
    the_embedded_schema_is_filled,
);

/// The migrations of a program of its own.
#[path = "../../examples/embed/src/migrations/mod.rs"]
mod embedded;

/// A request with the rules of the sample.
fn of_the_sample() -> SeedRequest {
    let rules = Rules::parse(include_str!("../../migration/seed.toml")).unwrap();
    SeedRequest { rules: Arc::new(rules), ..SeedRequest::default() }
}

async fn run(fleet: &Fleet, home: &Home, request: SeedRequest) -> Result<SeedSummary, Box<SeedStop>> {
    let mut session = fleet.database().connect(&home.tenant).await.unwrap();
    let result = seed(session.as_mut(), &request, &|_| {}).await;
    session.close().await;
    result
}

async fn filled(fleet: &Fleet, home: &Home, request: SeedRequest) -> SeedSummary {
    run(fleet, home, request).await.unwrap_or_else(|stop| panic!("{stop}\n{:?}", stop.done))
}

/// Every row of every table, sorted, without values that the engine fills in.
async fn everything(session: &mut dyn Session) -> BTreeMap<String, Vec<Vec<Option<Key>>>> {
    let mut all = BTreeMap::new();
    for table in session.shape().await.unwrap().tables {
        let columns: Vec<&Column> = table.columns.iter().collect();
        let mut rows = session.keys(&table, &columns).await.unwrap();
        rows.sort_by_key(|row| format!("{row:?}"));
        all.insert(table.name.clone(), rows);
    }
    all
}

async fn contents(fleet: &Fleet, home: &Home) -> BTreeMap<String, Vec<Vec<Option<Key>>>> {
    let mut session = fleet.database().connect(&home.tenant).await.unwrap();
    let all = everything(session.as_mut()).await;
    session.close().await;
    all
}

/// SQLite checks keys only when rows are inserted; the other engines can't hold a row with a dangling reference.
async fn no_orphans(home: &Home) {
    if home.site == Site::Sqlite {
        assert_eq!(home.texts("SELECT \"table\" FROM pragma_foreign_key_check").await, [""; 0]);
    }
}

async fn migrated(home: &Home) -> Fleet {
    let fleet = Fleet::of(&Migrator).await;
    let record = fleet.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "migrated", "{:?}", record.error);
    fleet
}

async fn the_sample_schema_is_filled_whole(home: &Home) {
    let fleet = migrated(home).await;
    let request = of_the_sample();
    let summary = filled(&fleet, home, request.clone()).await;
    let first = contents(&fleet, home).await;
    for (table, rows) in &first {
        assert!(!rows.is_empty(), "{table} is empty: {summary:?}");
    }
    no_orphans(home).await;
    entities_read_them(home).await;

    let mut others = Vec::new();
    for other in [request.clone(), SeedRequest { seed: 2, scale: 5, ..request.clone() }] {
        with(home.site, async |second| {
            let fleet = migrated(second).await;
            let summary = filled(&fleet, second, other).await;
            no_orphans(second).await;
            others.push((summary, contents(&fleet, second).await));
        })
        .await;
    }
    let stays = |rows: &BTreeMap<String, Vec<Vec<Option<Key>>>>| {
        // Rows from migrations hold the time at which they were inserted.
        let made: Vec<&str> = summary.tables.iter().filter(|t| t.before == 0).map(|t| t.table.as_str()).collect();
        rows.iter().filter(|(name, _)| made.contains(&name.as_str())).map(|(n, r)| (n.clone(), r.clone())).collect()
    };
    let (rows, again): (BTreeMap<_, _>, BTreeMap<_, _>) = (stays(&first), stays(&others[0].1));
    assert!(rows == again, "the same seed gives the same rows");
    let (more, of_another_seed) = &others[1];
    for (table, rows) in &rows {
        assert!(rows.iter().any(|row| !of_another_seed[table].contains(row)), "{table} has the rows of another seed");
    }
    assert!(more.added() > 4 * summary.added(), "{} {}", more.added(), summary.added());
}

async fn entities_read_them(home: &Home) {
    let db = home.connect().await;
    let tenants = tenants::Entity::find().all(&db).await.unwrap();
    let users = users::Entity::find().all(&db).await.unwrap();
    let items = inventory_items::Entity::find().all(&db).await.unwrap();
    let orders = orders::Entity::find().all(&db).await.unwrap();
    let lines = order_items::Entity::find().all(&db).await.unwrap();
    let logs = audit_logs::Entity::find().all(&db).await.unwrap();
    db.close().await.unwrap();
    assert!(!tenants.is_empty() && tenants.iter().all(|t| t.created_at <= t.updated_at && t.id.get_version_num() == 4));
    assert!(users.iter().all(|u| u.email.contains('@') && tenants.iter().any(|t| t.id == u.tenant_id)));
    assert!(items.iter().all(|i| i.unit_price > 0.into()));
    assert!(lines.len() > orders.len());
    assert!(lines.iter().all(|l| l.line_total == l.unit_price * sea_orm::prelude::Decimal::from(l.quantity)));
    assert!(logs.iter().any(|l| l.changes.as_ref().is_some_and(|c| c["source"].is_string())));
}

async fn more_is_added_behind_what_is_there(home: &Home) {
    let fleet = migrated(home).await;
    filled(&fleet, home, of_the_sample()).await;
    let before = contents(&fleet, home).await;
    let again = filled(&fleet, home, of_the_sample()).await;
    assert_eq!(again.added(), 0);
    let left = filled(&fleet, home, SeedRequest { scale: 2, ..of_the_sample() }).await;
    let orders = left.tables.iter().find(|t| t.table == "orders").unwrap();
    assert_eq!(orders.note().unwrap(), "orders has 100 of 200 rows; `--append` goes on from there");
    let more = filled(&fleet, home, SeedRequest { scale: 2, append: true, ..of_the_sample() }).await;
    assert_eq!(more.tables.iter().find(|t| t.table == "orders").unwrap().added, 100);
    no_orphans(home).await;
    let after = contents(&fleet, home).await;
    assert!(before["orders"].iter().all(|row| after["orders"].contains(row)), "what was there is there");
}

/// Names, types and keys that a third-party schema may have.
fn odd(site: Site) -> Vec<&'static str> {
    let auto = site.pick(
        "CREATE TABLE nodes (id integer PRIMARY KEY AUTOINCREMENT, parent_id integer REFERENCES nodes (id), name varchar(40) NOT NULL, UNIQUE (parent_id, name))",
        "CREATE TABLE nodes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent_id bigint REFERENCES nodes (id), name varchar(40) NOT NULL, UNIQUE (parent_id, name))",
        "CREATE TABLE nodes (id bigint AUTO_INCREMENT PRIMARY KEY, parent_id bigint, name varchar(40) NOT NULL, UNIQUE (parent_id, name), FOREIGN KEY (parent_id) REFERENCES nodes (id))",
    );
    let order = site.pick("\"order\"", "\"order\"", "`order`");
    let odd = match site.engine() {
        crate::model::tenant::Engine::Mysql => {
            "CREATE TABLE `order` (`group` int NOT NULL, `key` varchar(12) NOT NULL, `a b` decimal(5,1) NOT NULL, PRIMARY KEY (`group`, `key`), CONSTRAINT small CHECK (`a b` BETWEEN 2 AND 3))"
        }
        _ => {
            "CREATE TABLE \"order\" (\"group\" int NOT NULL, \"key\" varchar(12) NOT NULL, \"a b\" decimal(5,1) NOT NULL, PRIMARY KEY (\"group\", \"key\"), CONSTRAINT small CHECK (\"a b\" BETWEEN 2 AND 3))"
        }
    };
    let lines = match order {
        "`order`" => {
            "CREATE TABLE `lines` (`group` int NOT NULL, `key` varchar(12) NOT NULL, line_no smallint NOT NULL, kind varchar(10) NOT NULL CHECK (kind IN ('in', 'it''s')), PRIMARY KEY (`group`, `key`, line_no), FOREIGN KEY (`group`, `key`) REFERENCES `order` (`group`, `key`))"
        }
        _ => {
            "CREATE TABLE lines (\"group\" int NOT NULL, \"key\" varchar(12) NOT NULL, line_no smallint NOT NULL, kind varchar(10) NOT NULL CHECK (kind IN ('in', 'it''s')), PRIMARY KEY (\"group\", \"key\", line_no), FOREIGN KEY (\"group\", \"key\") REFERENCES \"order\" (\"group\", \"key\"))"
        }
    };
    let mut all = vec![
        auto,
        odd,
        lines,
        "CREATE TABLE likes (node_id bigint NOT NULL, day date NOT NULL, stars int NOT NULL CHECK (stars >= 1 AND stars <= 5), PRIMARY KEY (node_id, day), FOREIGN KEY (node_id) REFERENCES nodes (id))",
        "CREATE VIEW names AS SELECT name FROM nodes",
        site.pick(
            "CREATE TABLE marks (id integer PRIMARY KEY)",
            "CREATE TABLE marks (id serial PRIMARY KEY)",
            "CREATE TABLE marks (id int AUTO_INCREMENT PRIMARY KEY)",
        ),
    ];
    all.extend(match site.engine() {
        crate::model::tenant::Engine::Postgres => vec![
            "CREATE TYPE mood AS ENUM ('sad', 'it''s fine')",
            "CREATE DOMAIN plus AS int CHECK (VALUE > 7)",
            "CREATE TABLE parted (id uuid NOT NULL, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL, PRIMARY KEY (id, created_at), CHECK (created_at <= updated_at)) PARTITION BY RANGE (created_at)",
            "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2025-03-01') TO ('2025-04-01')",
            "CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM ('2025-10-01') TO ('2025-11-01')",
            "CREATE TABLE kinds (id uuid PRIMARY KEY, m mood NOT NULL, p plus NOT NULL, tags text[] NOT NULL, body bytea NOT NULL, ip inet NOT NULL, j jsonb NOT NULL, at timestamp NOT NULL, d double precision NOT NULL, i interval NOT NULL)",
        ],
        crate::model::tenant::Engine::Mysql if site == Site::Mysql => vec![
            "CREATE TABLE kinds (id binary(16) PRIMARY KEY, m enum('sad','it''s fine') NOT NULL, u tinyint unsigned NOT NULL, body blob NOT NULL, j json NOT NULL, y year NOT NULL, t time NOT NULL, at timestamp NOT NULL DEFAULT current_timestamp ON UPDATE current_timestamp, b bit(1) NOT NULL)",
        ],
        crate::model::tenant::Engine::Mysql => vec![
            "CREATE TABLE kinds (id uuid PRIMARY KEY, m enum('sad','it''s fine') NOT NULL, u tinyint unsigned NOT NULL, body blob NOT NULL, j json NOT NULL, y year NOT NULL, t time NOT NULL, at timestamp NOT NULL DEFAULT current_timestamp ON UPDATE current_timestamp, b bit(1) NOT NULL)",
        ],
        crate::model::tenant::Engine::Sqlite => vec![
            "CREATE TABLE kinds (id text PRIMARY KEY, body blob NOT NULL, plain NOT NULL, at datetime_text NOT NULL, twice integer AS (1 + 1) STORED, tags varchar(20) NOT NULL CHECK (length(tags) >= 3)) STRICT".trim_end_matches(" STRICT"),
        ],
    });
    all
}

async fn odd_schemas_are_filled(home: &Home) {
    let fleet = Fleet::of(&Migrations::of([sql("m1", odd(home.site))])).await;
    let record = fleet.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "migrated", "{:?}", record.error);
    let summary = filled(&fleet, home, SeedRequest { scale: 3, ..SeedRequest::default() }).await;
    assert!(summary.tables.iter().all(|t| t.added >= 300), "{summary:?}");
    no_orphans(home).await;
    let roots = home.texts("SELECT CAST(count(*) AS char(9)) FROM nodes WHERE parent_id IS NULL").await;
    let roots: usize = roots[0].trim().parse().unwrap();
    assert!((1..150).contains(&roots), "most have a parent: {roots}");
    filled(&fleet, home, SeedRequest { scale: 4, append: true, ..SeedRequest::default() }).await;
    no_orphans(home).await;
}

async fn a_refused_row_names_its_constraint(home: &Home) {
    let check = home.site.pick("x % 2 = 3", "x % 2 = 3", "x % 2 = 3");
    let table =
        format!("CREATE TABLE refused (id int PRIMARY KEY, x int NOT NULL, CONSTRAINT never_so CHECK ({check}))");
    let fleet = Fleet::of(&Migrations::of([sql("m1", ["CREATE TABLE a (id int PRIMARY KEY)", &table])])).await;
    fleet.up(&home.tenant).await;
    let stop = run(&fleet, home, SeedRequest::default()).await.unwrap_err();
    assert_eq!((stop.table.as_deref(), stop.constraint.as_deref()), (Some("refused"), Some("never_so")), "{stop}");
    assert!(stop.to_string().starts_with("table refused: constraint never_so refuses a row: "), "{stop}");
    assert_eq!(stop.done.added(), 100, "the table before it stays");
}

async fn the_embedded_schema_is_filled(home: &Home) {
    let migrations = Migrations::new(|| {
        vec![
            Box::new(embedded::m20250201_000001_plans_and_subscriptions::Migration),
            Box::new(embedded::m20250208_000002_seed_plans::Migration),
            Box::new(embedded::m20250215_000003_lower_case_emails::Migration),
            Box::new(embedded::m20250222_000004_index_renewals::Migration),
        ]
    });
    let fleet = Fleet::of(&migrations.in_table("service_migrations")).await;
    let record = fleet.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "migrated", "{:?}", record.error);
    let summary = filled(&fleet, home, SeedRequest::default()).await;
    let told: Vec<(&str, u64, u64)> = summary.tables.iter().map(|t| (t.table.as_str(), t.before, t.added)).collect();
    assert_eq!(told, [("plans", 3, 0), ("subscriptions", 0, 100)]);
    no_orphans(home).await;
    let lost = "SELECT plan_code FROM subscriptions WHERE plan_code NOT IN ('starter', 'team', 'enterprise')";
    assert_eq!(home.texts(lost).await, [""; 0]);
}

async fn many_rows_take_seconds(home: &Home) {
    let text = |name: &str| format!("{name} varchar(64)");
    let columns =
        ["item_sku", "platform", "external_id", "amount", "fee", "shipping", "sold_on", "status", "buyer_city"];
    let columns = columns.map(text).join(", ");
    let table = format!("CREATE TABLE transactions (id bigint PRIMARY KEY, {columns}, notes text)");
    let fleet = Fleet::of(&Migrations::of([sql("m1", [table])])).await;
    fleet.up(&home.tenant).await;
    let begun = Instant::now();
    let summary = filled(&fleet, home, SeedRequest { scale: 67, ..of_the_sample() }).await;
    let took = begun.elapsed();
    assert_eq!(summary.added(), 20_100);
    assert!(took < Duration::from_secs(30), "{took:?}");
    #[derive(FromQueryResult)]
    struct Count {
        n: i64,
    }
    let db = home.connect().await;
    let is_wrong = |column: &str| format!("{column} IN ('abc', '', '-5', '12,5x', '2024-13-45')");
    let any = ["amount", "fee", "shipping", "sold_on"].map(is_wrong).join(" OR ");
    let wrong = format!("SELECT count(*) AS n FROM transactions WHERE {any}");
    let count = Count::find_by_statement(Statement::from_string(db.get_database_backend(), wrong)).one(&db).await;
    db.close().await.unwrap();
    let n = count.unwrap().unwrap().n;
    assert!((100..400).contains(&n), "about one in a hundred: {n}");
}

#[tokio::test]
async fn every_engine_gets_the_same_rows() {
    let mut seen = Vec::new();
    for site in [Site::Sqlite, Site::Postgres, Site::Mariadb] {
        with(site, async |home| {
            let fleet = migrated(home).await;
            filled(&fleet, home, of_the_sample()).await;
            let mut session = fleet.database().connect(&home.tenant).await.unwrap();
            let shape = session.shape().await.unwrap();
            let table = shape.tables.iter().find(|t| t.name == "users").unwrap();
            let wanted = ["id", "tenant_id", "email", "full_name", "role", "is_active"];
            let columns = wanted.map(|name| table.columns.iter().find(|c| c.name == name).unwrap());
            let rows = session.keys(table, &columns).await.unwrap();
            let plain = |text: String| text.replace("\\'", "'").replace("true", "1").replace("false", "0");
            let text = |key: Option<Key>| plain(key.map_or("NULL".to_owned(), |key| key.text));
            let mut rows: Vec<Vec<String>> = rows.into_iter().map(|row| row.into_iter().map(text).collect()).collect();
            rows.sort();
            session.close().await;
            seen.push(rows);
        })
        .await;
    }
    assert_eq!(seen[0].len(), 100);
    assert_eq!(seen[0], seen[1], "SQLite and PostgreSQL");
    assert_eq!(seen[0], seen[2], "SQLite and MariaDB");
}
