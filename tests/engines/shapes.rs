//! Reading a schema: complete, limited to the tenant's own objects, and sensitive to every change.

use crate::model::shape::{ForeignKey, Shape, Unique};
use crate::model::tenant::{Address, Engine};
use secrecy::SecretString;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, Sql, sql};
use crate::engines::support::{Home, Site, tenant, url_of, with};

on_every_site!(
    a_rich_schema_is_read_whole,
    up_and_down_and_up_again_look_the_same,
    every_change_changes_the_fingerprint,
    reading_creates_and_changes_nothing,
    rows_are_counted,
);

async fn fleet_of(list: impl IntoIterator<Item = Sql>) -> Fleet {
    Fleet::of(&Migrations::of(list).in_table("history")).await
}

async fn shape(fleet: &Fleet, home: &Home) -> Shape {
    let mut session = fleet.database().connect(&home.tenant).await.unwrap();
    let shape = session.shape().await.unwrap_or_else(|e| panic!("{e:?}"));
    session.close().await;
    shape
}

async fn shape_text(fleet: &Fleet, home: &Home) -> Option<String> {
    let mut session = fleet.database().connect(&home.tenant).await.unwrap();
    let text = session.shape_text().await.unwrap();
    session.close().await;
    text
}

/// One object of every kind that an engine has.
fn rich(site: Site) -> Vec<&'static str> {
    let people = site.pick(
        "CREATE TABLE people (id integer PRIMARY KEY AUTOINCREMENT, email varchar(64) NOT NULL COLLATE nocase, age int DEFAULT \
         18, twice int AS (age * 2) STORED, CONSTRAINT uq_email UNIQUE (email), CONSTRAINT adult CHECK (age >= 18))",
        "CREATE TABLE people (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email varchar(64) COLLATE \"C\" NOT NULL, \
         age int DEFAULT 18, twice int GENERATED ALWAYS AS (age * 2) STORED, CONSTRAINT uq_email UNIQUE (email), CONSTRAINT \
         adult CHECK (age >= 18))",
        "CREATE TABLE people (id bigint AUTO_INCREMENT PRIMARY KEY, email varchar(64) COLLATE utf8mb4_bin NOT NULL, age int \
         DEFAULT 18, twice int AS (age * 2) STORED, CONSTRAINT uq_email UNIQUE (email), CONSTRAINT adult CHECK (age >= 18)) \
         COMMENT 'all of them'",
    );
    let orders = "CREATE TABLE orders (a int NOT NULL, b int NOT NULL, person bigint, total decimal(12,2) DEFAULT 0 NOT NULL, \
                  CONSTRAINT pk_orders PRIMARY KEY (b, a), CONSTRAINT fk_person FOREIGN KEY (person) REFERENCES people (id) ON \
                  DELETE CASCADE)";
    let mut all = vec![
        people,
        site.pick(
            "CREATE TABLE orders (a int NOT NULL, b int NOT NULL, person integer, total decimal(12,2) DEFAULT 0 NOT NULL, \
             PRIMARY KEY (b, a), FOREIGN KEY (person) REFERENCES people (id) ON DELETE CASCADE)",
            orders,
            orders,
        ),
        "CREATE TABLE items (a int, b int, n int, CONSTRAINT fk_order FOREIGN KEY (b, a) REFERENCES orders (b, a))",
        "CREATE INDEX ix_total ON orders (total)",
        "CREATE UNIQUE INDEX ux_items ON items (n, a)",
        "CREATE VIEW big AS SELECT orders.a FROM orders WHERE total > 100",
    ];
    all.extend(match site.engine() {
        Engine::Sqlite => vec![
            "CREATE INDEX ix_some ON orders (lower(total)) WHERE total > 5",
            "CREATE TRIGGER seen AFTER INSERT ON orders BEGIN UPDATE people SET age = 19; END",
        ],
        Engine::Postgres => vec![
            "CREATE INDEX ix_some ON orders (abs(total)) WHERE total > 5",
            "CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN /* don't */ RETURN new; END $$",
            "CREATE TRIGGER seen AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION seen()",
            "CREATE TYPE mood AS ENUM ('sad', 'glad')",
            "CREATE DOMAIN plus AS int CHECK (VALUE > 0)",
            "CREATE TYPE pair AS (x int, y mood)",
            "ALTER TABLE people ADD COLUMN feels mood DEFAULT 'glad'",
            "CREATE SEQUENCE counter START 7",
            "CREATE MATERIALIZED VIEW total AS SELECT sum(total) AS s FROM orders",
            "CREATE INDEX ix_total_s ON total (s)",
            "CREATE TABLE parts (at date NOT NULL) PARTITION BY RANGE (at)",
            "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
            "CREATE TABLE serials (id serial)",
            "COMMENT ON TABLE people IS 'all of them'",
            "COMMENT ON COLUMN people.age IS 'in years'",
            "ALTER TABLE items ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY own ON items USING (n > 1)",
            "CREATE AGGREGATE many(int) (SFUNC = int4pl, STYPE = int)",
            "CREATE PROCEDURE act() LANGUAGE sql AS 'SELECT 1'",
        ],
        Engine::Mysql => vec![
            "CREATE INDEX ix_some ON people (email(5) DESC)",
            "CREATE TRIGGER seen AFTER INSERT ON orders FOR EACH ROW UPDATE people SET age = 19",
            "CREATE FUNCTION f(x int) RETURNS int DETERMINISTIC RETURN x + 1",
            "CREATE PROCEDURE act(IN x int) SELECT x",
            "CREATE EVENT daily ON SCHEDULE EVERY 1 DAY DO SELECT 1",
            "CREATE TABLE parts (n int) PARTITION BY RANGE (n) (PARTITION p1 VALUES LESS THAN (5))",
        ],
    });
    all.extend((site == Site::Mariadb).then_some("CREATE SEQUENCE counter START WITH 7"));
    all
}

async fn a_rich_schema_is_read_whole(home: &Home) {
    let fleet = fleet_of([sql("m1", rich(home.site))]).await;
    let record = fleet.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "migrated", "{:?}", record.error);
    home.run("CREATE TABLE fleet_vehicles (i int)").await;
    let shape = shape(&fleet, home).await;

    let mut tables = vec!["fleet_vehicles", "items", "orders", "people"];
    tables.extend(home.site.pick(vec![], vec!["parts", "parts_1", "serials"], vec!["parts"]));
    tables.sort_unstable();
    assert_eq!(shape.tables.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), tables);
    let table = |name: &str| shape.tables.iter().find(|t| t.name == name).unwrap();

    let orders = table("orders");
    assert_eq!(orders.primary_key, ["b", "a"]);
    assert_eq!(orders.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["a", "b", "person", "total"]);
    let total = &orders.columns[3];
    assert_eq!(total.kind, home.site.pick("decimal(12,2)", "numeric(12,2)", "decimal(12,2)"));
    assert_eq!((total.nullable, orders.columns[2].nullable), (false, true));
    assert_eq!(total.default.as_deref(), Some(home.site.pick("0", "0", "0.00")));
    let key = &orders.foreign_keys[0];
    let named = |name: &str| home.site.pick(String::new(), name.to_owned(), name.to_owned());
    assert_eq!((&key.name, key.to_table.as_str(), key.on_delete.as_str()), (&named("fk_person"), "people", "cascade"));
    let restrict = if home.site == Site::Mariadb { "restrict" } else { "no action" }.to_owned();
    let expected = ForeignKey {
        name: named("fk_order"),
        columns: vec!["b".into(), "a".into()],
        to_table: "orders".into(),
        to_columns: vec!["b".into(), "a".into()],
        on_delete: restrict.clone(),
        on_update: restrict,
    };
    assert_eq!(table("items").foreign_keys, [expected]);
    let unique = Unique { name: "ux_items".into(), columns: vec!["n".into(), "a".into()] };
    assert_eq!(table("items").uniques, [unique]);
    assert!(orders.indexes.iter().any(|i| i.starts_with("ix_total: ")), "{:?}", orders.indexes);

    let people = table("people");
    assert_eq!(people.uniques, [Unique { name: named("uq_email"), columns: vec!["email".into()] }]);
    assert_eq!(people.checks.len(), 1, "{:?}", people.checks);
    assert!(people.checks[0].0 == "adult" && people.checks[0].1.contains("18"), "{:?}", people.checks);
    assert!(people.columns[0].generated.is_some() && people.columns[3].generated.is_some(), "{people:?}");
    assert!(people.columns[1].kind.contains("collate"), "{people:?}");
    assert_eq!((people.columns[2].default.as_deref(), people.columns[1].default.as_deref()), (Some("18"), None));

    let others: Vec<String> = shape.others.iter().map(|o| format!("{} {}", o.kind, o.name)).collect();
    let expected = home.site.pick(
        vec!["trigger orders.seen", "view big"],
        vec![
            "aggregate many(integer)",
            "function seen()",
            "index total.ix_total_s",
            "materialized view total",
            "procedure act()",
            "sequence counter",
            "trigger orders.seen",
            "type mood",
            "type pair",
            "type plus",
            "view big",
        ],
        vec!["event daily", "function f", "procedure act", "sequence counter", "trigger orders.seen", "view big"],
    );
    let is_there = |other: &&str| home.site != Site::Mysql || !other.starts_with("sequence");
    assert_eq!(others, expected.into_iter().filter(is_there).collect::<Vec<_>>());
    let text = serde_json::to_string(&shape).unwrap();
    assert!(!text.contains(&home.name) && !text.contains("Tenant ") && !text.contains("public."), "{text}");
}

async fn up_and_down_and_up_again_look_the_same(home: &Home) {
    let add = "ALTER TABLE orders ADD COLUMN note varchar(9) DEFAULT 'x'";
    let rename = ["ALTER TABLE items RENAME TO rows_of", "ALTER TABLE rows_of RENAME TO items"];
    let list = [
        sql("m1", rich(home.site)),
        sql("m2", [add, "CREATE INDEX ix_note ON orders (note)", "DROP VIEW big"]).down([
            home.site.pick("DROP INDEX ix_note", "DROP INDEX ix_note", "DROP INDEX ix_note ON orders"),
            "ALTER TABLE orders DROP COLUMN note",
            "CREATE VIEW big AS SELECT orders.a FROM orders WHERE total > 100",
        ]),
    ];
    let [first, second] = list;
    let one = fleet_of([first.clone()]).await;
    let two = fleet_of([first, second]).await;
    one.up(&home.tenant).await;
    let before = shape(&one, home).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let record = two.up(&home.tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "{:?}", record.error);
        seen.push(shape(&two, home).await);
        // Only the second is rolled back: the first has no way down.
        let mut session = two.database().connect(&home.tenant).await.unwrap();
        let history = session.history().await.unwrap();
        let scripts =
            two.set.compile(home.site.engine(), crate::model::schema::Direction::Down, 1..2, Default::default()).await;
        let step = crate::engine::Step::new(1, scripts.get(1).unwrap().clone(), Default::default());
        let work = crate::engine::Work {
            run: "r".into(),
            history,
            steps: vec![step],
            teller: Default::default(),
            cancelled: Default::default(),
            has_rows: Default::default(),
            expectations: Default::default(),
            transaction: Default::default(),
            stopwatch: Default::default(),
        };
        session.apply(&work).await.unwrap();
        session.close().await;
        let after = shape(&two, home).await;
        assert_eq!(before.differences(&after), [""; 0]);
        assert_eq!(before.fingerprint(), after.fingerprint());
    }
    assert_eq!(seen[0].differences(&seen[1]), [""; 0]);
    assert_eq!(seen[0].fingerprint(), seen[1].fingerprint());
    assert_ne!(before.fingerprint(), seen[0].fingerprint());
    for there_and_back in rename {
        home.run(there_and_back).await;
    }
    assert_eq!(before.differences(&shape(&two, home).await), [""; 0], "a table renamed there and back");
}

/// A change, its reverse, and the text that identifies it.
type Change = (&'static str, &'static str, &'static str);

fn changes(site: Site) -> Vec<Change> {
    let mut all: Vec<Change> = vec![
        ("CREATE TABLE extra (i int)", "DROP TABLE extra", "table extra is only there"),
        ("ALTER TABLE orders ADD COLUMN x int", "ALTER TABLE orders DROP COLUMN x", "column x is only there"),
        ("DROP VIEW big", "CREATE VIEW big AS SELECT orders.a FROM orders WHERE total > 100", "view big is only here"),
        ("ALTER TABLE items RENAME COLUMN n TO m", "ALTER TABLE items RENAME COLUMN m TO n", "column m is only there"),
    ];
    match site.engine() {
        Engine::Sqlite => all.extend([
            ("DROP INDEX ix_total", "CREATE INDEX ix_total ON orders (total)", "index ix_total is only here"),
            ("CREATE UNIQUE INDEX ux ON orders (a)", "DROP INDEX ux", "unique ux is only there"),
            ("DROP TRIGGER seen", "CREATE TRIGGER seen AFTER INSERT ON orders BEGIN UPDATE people SET age = 19; END", "trigger orders.seen"),
            ("DROP TABLE items; CREATE TABLE items (a int, b int, n int CHECK (n > 1)); CREATE UNIQUE INDEX ux_items ON items (n, a)", "", "check n > 1 is only there"),
        ]),
        Engine::Postgres => all.extend([
            ("DROP INDEX ix_total", "CREATE INDEX ix_total ON orders (total)", "index ix_total is only here"),
            ("ALTER TABLE orders ALTER person TYPE int", "ALTER TABLE orders ALTER person TYPE bigint", "column person is bigint here, integer there"),
            ("ALTER TABLE orders ALTER total DROP NOT NULL", "ALTER TABLE orders ALTER total SET NOT NULL", "column total is"),
            ("ALTER TABLE orders ALTER total SET DEFAULT 1", "ALTER TABLE orders ALTER total SET DEFAULT 0", "column total is"),
            ("ALTER TABLE people ALTER id SET GENERATED BY DEFAULT", "ALTER TABLE people ALTER id SET GENERATED ALWAYS", "column id is"),
            ("ALTER TABLE people ALTER email SET STORAGE PLAIN", "ALTER TABLE people ALTER email SET STORAGE EXTENDED", "column email is"),
            ("ALTER TABLE people DROP CONSTRAINT uq_email", "ALTER TABLE people ADD CONSTRAINT uq_email UNIQUE (email)", "unique uq_email is only here"),
            ("ALTER TABLE people DROP CONSTRAINT adult", "ALTER TABLE people ADD CONSTRAINT adult CHECK (age >= 18)", "check adult is only here"),
            ("ALTER TABLE orders ALTER CONSTRAINT fk_person DEFERRABLE", "ALTER TABLE orders ALTER CONSTRAINT fk_person NOT DEFERRABLE", "fk_person: deferrable"),
            ("ALTER TABLE items DROP CONSTRAINT fk_order", "ALTER TABLE items ADD CONSTRAINT fk_order FOREIGN KEY (b, a) REFERENCES orders (b, a)", "foreign key fk_order is only here"),
            ("COMMENT ON TABLE people IS 'some'", "COMMENT ON TABLE people IS 'all of them'", "comment some is only there"),
            ("COMMENT ON COLUMN people.age IS NULL", "COMMENT ON COLUMN people.age IS 'in years'", "column age is"),
            ("COMMENT ON INDEX ix_total IS 'x'", "COMMENT ON INDEX ix_total IS NULL", "index ix_total is"),
            ("ALTER TABLE orders SET (fillfactor = 50)", "ALTER TABLE orders RESET (fillfactor)", "with fillfactor=50 is only there"),
            ("ALTER TABLE serials SET UNLOGGED", "", "unlogged yes is only there"),
            ("ALTER TABLE items DISABLE ROW LEVEL SECURITY", "ALTER TABLE items ENABLE ROW LEVEL SECURITY", "row security enabled is only here"),
            ("ALTER POLICY own ON items USING (n > 2)", "ALTER POLICY own ON items USING (n > 1)", "policy own"),
            ("ALTER TABLE orders DISABLE TRIGGER seen", "ALTER TABLE orders ENABLE TRIGGER seen", "trigger orders.seen is"),
            ("CREATE OR REPLACE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$", "", "function seen() is"),
            ("ALTER TYPE mood ADD VALUE 'mad'", "", "type mood is"),
            ("ALTER DOMAIN plus SET NOT NULL", "ALTER DOMAIN plus DROP NOT NULL", "type plus is"),
            ("ALTER TYPE pair ADD ATTRIBUTE z int", "ALTER TYPE pair DROP ATTRIBUTE z", "type pair is"),
            ("ALTER SEQUENCE counter INCREMENT 2", "ALTER SEQUENCE counter INCREMENT 1", "sequence counter is"),
            ("DROP INDEX ix_total_s", "CREATE INDEX ix_total_s ON total (s)", "index total.ix_total_s is only here"),
            ("REFRESH MATERIALIZED VIEW total WITH NO DATA", "REFRESH MATERIALIZED VIEW total", "materialized view total is"),
            ("ALTER TABLE parts DETACH PARTITION parts_1", "ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')", "table parts_1: "),
            ("CREATE STATISTICS st ON a, b FROM orders", "DROP STATISTICS st", "statistics CREATE STATISTICS st"),
            ("CREATE RULE r AS ON INSERT TO items DO INSTEAD NOTHING", "DROP RULE r ON items", "rule items.r is only there"),
            ("DROP AGGREGATE many(int)", "CREATE AGGREGATE many(int) (SFUNC = int4pl, STYPE = int)", "aggregate many(integer)"),
            ("DROP PROCEDURE act", "", "procedure act() is only here"),
        ]),
        Engine::Mysql => all.extend([
            ("DROP INDEX ix_total ON orders", "CREATE INDEX ix_total ON orders (total)", "index ix_total is only here"),
            ("DROP INDEX ix_some ON people", "CREATE INDEX ix_some ON people (email(5) DESC)", "index ix_some is only here"),
            ("ALTER TABLE orders MODIFY total decimal(13,2) DEFAULT 0 NOT NULL", "ALTER TABLE orders MODIFY total decimal(12,2) DEFAULT 0 NOT NULL", "column total is decimal(12,2)"),
            ("ALTER TABLE orders MODIFY total decimal(12,2) DEFAULT 0", "ALTER TABLE orders MODIFY total decimal(12,2) DEFAULT 0 NOT NULL", "column total is"),
            ("ALTER TABLE orders ALTER total SET DEFAULT 1", "ALTER TABLE orders ALTER total SET DEFAULT 0", "column total is"),
            ("ALTER TABLE people MODIFY age int DEFAULT 18 COMMENT 'x'", "ALTER TABLE people MODIFY age int DEFAULT 18", "column age is"),
            ("ALTER TABLE people DROP CONSTRAINT uq_email", "ALTER TABLE people ADD CONSTRAINT uq_email UNIQUE (email)", "unique uq_email is only here"),
            ("ALTER TABLE people DROP CONSTRAINT adult", "ALTER TABLE people ADD CONSTRAINT adult CHECK (age >= 18)", "check adult is only here"),
            ("ALTER TABLE items DROP FOREIGN KEY fk_order", "ALTER TABLE items ADD CONSTRAINT fk_order FOREIGN KEY (b, a) REFERENCES orders (b, a)", "foreign key fk_order is only here"),
            ("ALTER TABLE people COMMENT 'some'", "ALTER TABLE people COMMENT 'all of them'", "comment some is only there"),
            ("ALTER TABLE parts ADD PARTITION (PARTITION p2 VALUES LESS THAN (9))", "ALTER TABLE parts DROP PARTITION p2", "partition p2"),
            ("DROP TRIGGER seen; CREATE TRIGGER seen AFTER INSERT ON orders FOR EACH ROW UPDATE people SET age = 20", "", "trigger orders.seen is"),
            ("DROP FUNCTION f; CREATE FUNCTION f(x bigint) RETURNS int DETERMINISTIC RETURN x + 1", "", "function f is"),
            ("DROP PROCEDURE act; CREATE PROCEDURE act(IN x int) SELECT x + 1", "", "procedure act is"),
            ("ALTER EVENT daily ON SCHEDULE EVERY 2 DAY", "", "event daily is"),
        ]),
    }
    if site == Site::Mariadb {
        all.extend([
            (
                "ALTER TABLE people MODIFY id bigint",
                "ALTER TABLE people MODIFY id bigint AUTO_INCREMENT",
                "column id is",
            ),
            ("ALTER TABLE parts ENGINE aria", "ALTER TABLE parts ENGINE innodb", "engine aria is only there"),
            (
                "CREATE OR REPLACE TRIGGER seen AFTER INSERT ON orders FOR EACH ROW UPDATE people SET age = 21",
                "",
                "trigger orders.seen is",
            ),
            ("ALTER SEQUENCE counter INCREMENT 2", "", "sequence counter is"),
        ]);
    }
    all
}

async fn every_change_changes_the_fingerprint(home: &Home) {
    let fleet = fleet_of([sql("m1", rich(home.site))]).await;
    fleet.up(&home.tenant).await;
    let (mut before, mut text_before) = (shape(&fleet, home).await, shape_text(&fleet, home).await);
    assert_eq!(text_before.is_some(), !home.site.engine().capabilities().server);
    for (change, back, words) in changes(home.site) {
        home.run(change).await;
        let after = shape(&fleet, home).await;
        let text = shape_text(&fleet, home).await;
        assert!(text.is_none() || text != text_before, "{change} is not in the text that stands for the shape");
        text_before = text;
        let told = before.differences(&after);
        assert!(told.iter().any(|line| line.contains(words)), "{change}: {told:?}");
        assert_ne!(before.fingerprint(), after.fingerprint(), "{change}");
        if back.is_empty() {
            before = after;
            continue;
        }
        home.run(back).await;
        let told = before.differences(&shape(&fleet, home).await);
        assert_eq!(told, [""; 0], "{change}, and back");
    }
}

async fn reading_creates_and_changes_nothing(home: &Home) {
    let fleet = fleet_of([sql("m1", rich(home.site))]).await;
    let before = home.dump().await;
    let empty = shape(&fleet, home).await;
    assert_eq!(Shape { grants: Vec::new(), defaults: Vec::new(), ..empty }, Shape::default());
    assert_eq!(home.dump().await, before, "an empty tenant");
    fleet.up(&home.tenant).await;
    home.run("INSERT INTO people (email) VALUES ('x')").await;
    let before = home.dump().await;
    let mut session = fleet.database().connect(&home.tenant).await.unwrap();
    session.shape().await.unwrap();
    session.row_counts(&["people".into()]).await.unwrap();
    assert_eq!(session.history().await.unwrap(), ["m1"], "the session is as it was");
    session.close().await;
    assert_eq!(home.dump().await, before);
}

async fn rows_are_counted(home: &Home) {
    let odd = home.site.engine().quote("Odd \"name\"; --");
    let create = format!("CREATE TABLE {odd} (i int)");
    let fleet = fleet_of([sql("m1", [create.as_str(), "CREATE TABLE b (i int)"])]).await;
    fleet.up(&home.tenant).await;
    home.run(&format!("INSERT INTO {odd} VALUES (1), (2)")).await;
    let mut session = fleet.database().connect(&home.tenant).await.unwrap();
    let names: Vec<String> = session.shape().await.unwrap().tables.into_iter().map(|t| t.name).collect();
    assert_eq!(session.row_counts(&names).await.unwrap(), [2, 0], "{names:?}");
    assert_eq!(session.row_counts(&[]).await.unwrap(), [0_u64; 0]);
    let gone = session.row_counts(&["b".into(), "gone".into()]).await.unwrap_err();
    assert!(!gone.message.is_empty());
    assert_eq!(session.row_counts(&["b".into()]).await.unwrap(), [0], "the session works after an error");
    session.close().await;
}

#[tokio::test]
async fn two_tenants_made_alike_have_one_fingerprint_wherever_they_are() {
    for (one, two) in [
        (Site::Postgres, Site::PostgresSchema),
        (Site::PostgresSchema, Site::PostgresSchema),
        (Site::Mariadb, Site::Mariadb),
        (Site::Sqlite, Site::Sqlite),
    ] {
        with(one, async |first| {
            with(two, async |second| {
                let fleet = fleet_of([sql("m1", rich(one))]).await;
                let mut shapes = Vec::new();
                for home in [first, second] {
                    fleet.up(&home.tenant).await;
                    shapes.push(shape(&fleet, home).await);
                }
                assert!(!shapes[0].tables.is_empty());
                assert_eq!(shapes[0].differences(&shapes[1]), [""; 0], "{one:?} {two:?}");
                assert_eq!(shapes[0].fingerprint(), shapes[1].fingerprint(), "{one:?} {two:?}");
            })
            .await;
        })
        .await;
    }
}

#[tokio::test]
async fn only_the_tenants_own_postgres_schema_is_read() {
    with(Site::Postgres, async |home| {
        home.run("CREATE SCHEMA b; CREATE TABLE b.hidden (i int); CREATE FUNCTION b.f() RETURNS int LANGUAGE sql AS 'SELECT 1'").await;
        home.run("CREATE EXTENSION citext; CREATE TABLE own (c citext)").await;
        let fleet = fleet_of([sql("m1", ["SELECT 1"])]).await;
        let found = shape(&fleet, home).await;
        assert_eq!(found.tables.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["own"]);
        let others: Vec<_> = found.others.iter().map(|o| (o.kind.as_str(), o.name.as_str())).collect();
        assert_eq!(others, [("extension", "citext"), ("schema", "b")], "what an extension brings is not the tenant's");

        let address = Address::Url(SecretString::from(url_of(Engine::Postgres, &home.name)));
        let nobody = std::sync::Arc::new(tenant("t", Engine::Postgres, address, Some("nosuch")));
        let mut session = fleet.database().connect(&nobody).await.unwrap();
        let fault = session.shape().await.unwrap_err();
        assert_eq!(fault.class, crate::model::fault::FaultClass::UnknownDatabase);
        session.close().await;
    })
    .await;
}
