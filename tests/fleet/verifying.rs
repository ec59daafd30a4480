//! `verify`: assertions about the rows of tenants, and row counts before and after. On the engines.

use serde_json::Value;

use crate::pgbouncer::Pgbouncer;
use crate::support::{Fleet, json_file, mysql, postgres_url, sql, until};

/// One migrated tenant of each kind, with these assertions.
fn fleet(assertions: &[(&str, &str)]) -> Fleet {
    let fleet = Fleet::new().sqlite(1).postgres(1).schemas(1).mariadb(1).mysql_where_there(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    std::fs::create_dir(fleet.path("verify")).unwrap();
    for (name, sql) in assertions {
        std::fs::write(fleet.path(&format!("verify/{name}.sql")), sql).unwrap();
    }
    fleet
}

fn of<'a>(json: &'a Value, tenant: &str) -> &'a Value {
    json["tenants"].as_array().unwrap().iter().find(|row| row["tenant"] == tenant).unwrap()
}

fn ids() -> impl Iterator<Item = &'static str> {
    ["lite-000", "pg-000", "schema-000", "my-000", "mysql-000"].into_iter().filter(|id| !mysql::is_left_out(id))
}

#[test]
fn an_assertion_that_does_not_hold_shows_its_values_on_every_engine() {
    let fleet = fleet(&[
        ("emails", "SELECT id, email FROM users WHERE email LIKE '%@x' ORDER BY id; -- the end"),
        ("stock", "SELECT id FROM inventory_items WHERE quantity < 0"),
        ("only.postgres", "WITH all_of AS (SELECT count(*) AS n FROM users) SELECT n FROM all_of WHERE n > 1"),
    ]);
    let ran = fleet.run(&["verify"]).exits(0);
    let all = ids().count();
    ran.shows(&[&format!("{all} tenants, 3 assertions: all hold")]);
    for id in ["pg-000", "my-000"] {
        for n in 1..=12 {
            fleet.ask(id, &format!("INSERT INTO users (id, email) VALUES ({n}, 'A{n}@x')"));
        }
    }
    fleet.ask("lite-000", "INSERT INTO users (id, email) VALUES (7, 'B@x')");
    let ran = fleet.run(&["verify"]).exits(2);
    let ran = ran.shows(&[
        "10+ rows",
        "1 row",
        "A3@x",
        "B@x",
        "and more",
        &format!("{all} tenants, 3 assertions: all hold on {}, not on 3", all - 3),
    ]);
    assert!(!ran.out.contains("schema-000") && fleet.run(&["verify", "--all"]).exits(2).out.contains("schema-000"));
    let json = fleet.run(&["verify", "--format", "json"]).exits(2).json();
    let emails = &of(&json, "my-000")["assertions"]["emails"];
    assert_eq!(
        (&emails["result"], &emails["columns"], &emails["more"]),
        (&"fails".into(), &serde_json::json!(["id", "email"]), &true.into())
    );
    // MariaDB does not keep the order of a subquery.
    assert!(emails["rows"][0][1].as_str().unwrap().starts_with('A') && emails["rows"].as_array().unwrap().len() == 10);
    assert_eq!(of(&json, "pg-000")["assertions"]["only"]["rows"], serde_json::json!([["12"]]));
    assert_eq!(of(&json, "my-000")["assertions"]["only"]["result"], "not_asked");
    let csv = fleet.run(&["verify", "--format", "csv", "--tenant", "lite-000"]).exits(2);
    csv.shows(&["lite-000,sqlite,emails,fails,\"id=7, email=B@x\"", "lite-000,sqlite,stock,holds,"]);
}

#[test]
fn the_engine_itself_refuses_a_query_that_writes() {
    let fleet = fleet(&[
        ("wipe.postgres", "SELECT wipe()"),
        ("wipe.mysql", "SELECT wipe()"),
        ("wipe.sqlite", "DELETE FROM users RETURNING id"),
    ]);
    for id in ids() {
        fleet.ask(id, "INSERT INTO users (id, email) VALUES (1, 'a@x')");
    }
    for id in ["pg-000", "schema-000"] {
        fleet
            .ask(id, "CREATE FUNCTION wipe() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM users; RETURN 1; END'");
    }
    for id in ids().filter(|id| id.starts_with("my")) {
        fleet.ask(id, "CREATE FUNCTION wipe() RETURNS int MODIFIES SQL DATA BEGIN DELETE FROM users; RETURN 1; END");
    }
    let json = fleet.run(&["verify", "--format", "json"]).exits(2).json();
    for (id, code) in
        [("pg-000", "25006"), ("schema-000", "25006"), ("my-000", "1792"), ("mysql-000", "1792"), ("lite-000", "1")]
    {
        if mysql::is_left_out(id) {
            continue;
        }
        let answer = &of(&json, id)["assertions"]["wipe"];
        assert_eq!((&answer["result"], &answer["error"]["code"]), (&"error".into(), &code.into()), "{id}: {answer}");
    }
    for id in ids() {
        assert_eq!(fleet.ask(id, "SELECT email FROM users"), ["a@x"], "{id}");
    }
    // A second statement would run behind a transaction that the first one ended.
    std::fs::write(fleet.path("verify/two.sql"), "SELECT 1; COMMIT; DELETE FROM users").unwrap();
    fleet.run(&["verify"]).exits(78).tells(&["verify/two.sql: it has more than one statement", "nothing was asked"]);
}

/// A pooler hands a session's settings to nobody, or to the next client: SQL of people goes past it, or nowhere.
#[test]
fn sql_of_people_is_not_sent_through_a_pooler() {
    for more in ["ignore_startup_parameters = options,extra_float_digits", ""] {
        let pooler = Pgbouncer::start(&postgres_url(), more);
        let mut fleet = Fleet::new().postgres(1);
        fleet.run(&["migrate", "--yes"]).exits(0);
        std::fs::create_dir(fleet.path("verify")).unwrap();
        for name in ["a", "b"] {
            std::fs::write(fleet.path(&format!("verify/{name}.sql")), "SELECT id FROM users").unwrap();
        }
        let direct = fleet.tenant("pg-000").url.clone();
        fleet.tenant_mut("pg-000").url = pooler.url(direct.rsplit_once('/').unwrap().1);
        let json = fleet.run(&["verify", "--format", "json"]).exits(2).json();
        for name in ["a", "b"] {
            let error = &of(&json, "pg-000")["assertions"][name]["error"];
            assert!(
                error["message"].as_str().is_some_and(|text| text.contains("set migration_url to the server")),
                "{more}: {json:#}"
            );
        }
        let told = fleet.run(&["exec", "SELECT 1"]).exits(100);
        assert!(told.err.contains("migration_url"), "{more}: {}", told.err);
        fleet.tenant_mut("pg-000").more = format!("migration_url = \"{direct}\"\n");
        fleet.run(&["verify"]).exits(0);
        fleet.run(&["exec", "SELECT 7 AS seven"]).exits(0).shows(&["seven", "7"]);
    }
}

#[test]
fn an_error_is_an_answer_and_hides_no_other() {
    let mut fleet = fleet(&[
        ("a_broken", "SELECT nothing_like_it FROM users"),
        ("b_slow.postgres", "SELECT 1 AS x FROM pg_sleep(20)"),
        ("b_slow.mysql", "SELECT a.id FROM (SELECT 1 AS id FROM seaql_migrations) a WHERE sleep(9) = 0"),
        ("c_users", "SELECT id FROM users"),
    ]);
    fleet.ask("pg-000", "INSERT INTO users (id, email) VALUES (1, 'a@x')");
    fleet.head = "[fleet]\nstatement_timeout = \"400ms\"\n".to_owned();
    fleet.add("lite-gone", "sqlite:gone.db");
    let begun = std::time::Instant::now();
    let json = fleet.run(&["verify", "--format", "json"]).exits(2).json();
    assert!(begun.elapsed() < std::time::Duration::from_secs(15), "the statement timeout ends a query");
    for id in ids() {
        let answers = &of(&json, id)["assertions"];
        assert_eq!(answers["a_broken"]["result"], "error", "{id}: {answers}");
        assert_eq!(answers["c_users"]["result"], if id == "pg-000" { "fails" } else { "holds" }, "{id}: {answers}");
    }
    assert_eq!(of(&json, "pg-000")["assertions"]["b_slow"]["error"]["code"], "57014");
    assert_eq!(of(&json, "lite-gone")["error"]["class"], "unknown_database", "{json}");
    assert!(!fleet.path("gone.db").exists());
    fleet.run(&["verify"]).exits(2).shows(&["not read", "does not exist", "nothing_like_it"]);
}

#[test]
fn assertions_stand_in_the_folder_or_in_the_tenant_file() {
    let mut fleet = Fleet::new().sqlite(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.run(&["verify"]).exits(78).tells(&["there is no assertion", "verify/NAME.sql", "[[assertion]]"]);
    fleet.head = "[[assertion]]\nname = \"none\"\nsql = \"\"\"\nSELECT id\nFROM users\n\"\"\"\n".to_owned();
    fleet.run(&["verify"]).exits(0).shows(&["1 tenant, 1 assertion: all hold"]);
    std::fs::create_dir(fleet.path("checks")).unwrap();
    std::fs::write(fleet.path("checks/none.sql"), "SELECT 1 AS one").unwrap();
    fleet.head.insert_str(0, "[fleet]\nverify = \"checks\"\n");
    fleet.run(&["verify"]).exits(78).tells(&["has this name already"]);
    fleet.head = "[fleet]\nverify = \"checks\"\n[[assertion]]\nname = \"x\"\nengine = \"oracle\"\n".to_owned();
    fleet.run(&["verify"]).exits(78).tells(&["`oracle` is no engine", "has no `sql`"]);
}

#[test]
fn row_counts_are_compared_before_and_after() {
    let fleet = Fleet::new().sqlite(1).schemas(1).mariadb(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.ask("my-000", "INSERT INTO users (id, email) VALUES (1, 'a@x')");
    fleet.run(&["verify", "--row-counts", "--save", "before.json"]).exits(0).shows(&["3 tenants counted"]);
    let against = ["verify", "--row-counts", "--against", "before.json"];
    fleet.run(&against).exits(0).shows(&["no count changed"]);
    fleet.ask("my-000", "DELETE FROM users");
    fleet.ask("lite-000", "INSERT INTO locations (id, code) VALUES (1, 'x'), (2, 'y')");
    fleet.ask("schema-000", "CREATE TABLE more (i int)");
    let ran = fleet.run(&against).exits(2);
    ran.shows(&["lite-000    locations  0       2", "my-000      users      1       0", "3 counts changed"]);
    let json = fleet.run(&[&against[..], &["--format", "json"]].concat()).exits(2).json();
    let more = json["changed"].as_array().unwrap().iter().find(|row| row["table"] == "more").unwrap();
    assert_eq!((&more["before"], &more["now"], &more["tenant"]), (&Value::Null, &0.into(), &"schema-000".into()));
    fleet.run(&["verify", "--row-counts", "--save", "lite-000.db"]).exits(64).tells(&["nothing was started"]);
    fleet.run(&["verify", "--save", "x.json"]).exits(64);
    fleet.run(&["verify", "--row-counts"]).exits(64);
}

/// A sum that a migration must not change, and one that it changes.
#[test]
fn sums_are_compared_before_and_after() {
    let mut fleet = Fleet::new().sqlite(1).postgres(1).mariadb(1).mysql_where_there(1);
    let there = |id: &&str| !mysql::is_left_out(id);
    let (tenants, changes) = if mysql::is_there() { (4, 4) } else { (3, 3) };
    fleet.run(&["migrate", "--yes"]).exits(0);
    for id in ["lite-000", "pg-000", "my-000", "mysql-000"].into_iter().filter(there) {
        fleet.ask(id, "INSERT INTO inventory_items (id, name, quantity) VALUES (1, 'a', 5), (2, 'b', 7)");
    }
    let measure = |name: &str, sql: &str| std::fs::write(fleet.path("verify").join(name), sql).unwrap();
    std::fs::create_dir(fleet.path("verify")).unwrap();
    let save = ["verify", "--measures", "--save", "before.json"];
    fleet.run(&save).exits(78).tells(&["there is no measure", "verify/NAME.measure.sql", "[[measure]]"]);
    measure("stock.measure.sql", "SELECT sum(quantity) AS total, max(name) AS last FROM inventory_items; -- the end");
    measure("emails.measure.sqlite.sql", "SELECT max(email) AS last FROM users");
    fleet.head = "[[measure]]\nname = \"people\"\nsql = \"SELECT count(*) AS n FROM users\"\n".to_owned();
    fleet.run(&save).exits(0).shows(&[&format!("{tenants} tenants measured: no measure changed")]);
    let against = ["verify", "--measures", "--against", "before.json"];
    fleet.run(&against).exits(0).shows(&[&format!("{tenants} tenants measured: no measure changed")]);
    // Another order of the same rows is no change.
    fleet.ask("pg-000", "UPDATE inventory_items SET quantity = 12 - quantity");
    fleet.run(&against).exits(0);
    for id in ["pg-000", "mysql-000"].into_iter().filter(there) {
        fleet.ask(id, "UPDATE inventory_items SET quantity = 6 WHERE id = 1");
    }
    fleet.ask("lite-000", "INSERT INTO users (id, email) VALUES (1, 'a@x')");
    let ran = fleet.run(&against).exits(2);
    ran.shows(&["MEASURE", "stock.total", "NULL", "a@x", "people"])
        .shows(&[&format!("{tenants} tenants measured: {changes} measures changed")]);
    let json = fleet.run(&[&against[..], &["--format", "json"]].concat()).exits(2).json();
    let of = |tenant: &str, measure: &str| {
        let all = json["measures"].as_array().unwrap().iter();
        let one = all.clone().find(|row| row["tenant"] == tenant && row["measure"] == measure);
        one.map(|row| (row["before"].clone(), row["now"].clone()))
    };
    assert_eq!(of("mysql-000", "stock.total").is_some(), mysql::is_there(), "{json:#}");
    assert_eq!(of("pg-000", "stock.total"), Some(("12".into(), "11".into())), "{json:#}");
    assert_eq!(of("lite-000", "emails"), Some((Value::Null, "a@x".into())), "{json:#}");
    assert_eq!(of("lite-000", "people"), Some(("0".into(), "1".into())), "{json:#}");
    assert_eq!((of("my-000", "stock.total"), of("pg-000", "stock.last")), (None, None), "{json:#}");
    // Rows are counted in the same file; one without measures is no base for them.
    fleet.run(&["verify", "--measures", "--row-counts", "--save", "both.json"]).exits(0);
    let both = ["verify", "--measures", "--row-counts", "--against", "both.json"];
    fleet.run(&both).exits(0).shows(&[&format!("{tenants} tenants counted: no count changed, no measure changed")]);
    // Both are asked for over one session.
    let database = fleet.tenant("pg-000").url.rsplit('/').next().unwrap();
    let query = format!("SELECT sessions::text FROM pg_stat_database WHERE datname = '{database}'");
    let sessions = || sql(&postgres_url(), &query)[0].parse::<u64>().unwrap();
    let by = |flags: &[&str]| {
        let before = sessions();
        fleet.run(&[&["verify", "--tenant", "pg-000", "--save", "again.json"], flags].concat()).exits(0);
        until("the server has counted a session", || sessions() > before);
        // A second one would be counted as it ends.
        std::thread::sleep(std::time::Duration::from_millis(700));
        sessions() - before
    };
    assert_eq!(by(&["--row-counts", "--measures"]), by(&["--row-counts"]));
    // A measure that is not answered takes no count with it.
    std::fs::write(fleet.path("verify/bad.measure.postgres.sql"), "SELECT nothing_like_it FROM users").unwrap();
    let half = ["verify", "--row-counts", "--measures", "--save", "half.json"];
    fleet.run(&half).exits(2).shows(&["measure bad: ", "nothing_like_it"]);
    assert_eq!(json_file(&fleet.path("half.json"))["tenants"].as_object().unwrap().len(), tenants);
    std::fs::remove_file(fleet.path("verify/bad.measure.postgres.sql")).unwrap();
    fleet.ask("my-000", "INSERT INTO inventory_items (id, name, quantity) VALUES (3, 'c', 0)");
    fleet.run(&both).exits(2).shows(&[
        "TABLE OR MEASURE",
        "inventory_items",
        "stock.last",
        "1 count changed, 1 measure",
    ]);
    fleet.run(&["verify", "--row-counts", "--save", "counts.json"]).exits(0);
    let none = ["verify", "--measures", "--against", "counts.json"];
    fleet.run(&none).exits(64).tells(&["counts.json has no measures", "--measures --save FILE"]);
    fleet.run(&["verify", "--measures", "--save", "sums.json"]).exits(0);
    let none = ["verify", "--row-counts", "--against", "sums.json"];
    fleet.run(&none).exits(64).tells(&["sums.json has no row counts", "--row-counts --save FILE"]);
    // A measure is one row, and the engine keeps it from writing.
    let measure = |name: &str, sql: &str| std::fs::write(fleet.path("verify").join(name), sql).unwrap();
    measure("many.measure.sql", "SELECT id FROM inventory_items");
    fleet.run(&against).exits(2).shows(&["the measure many has more than one row"]);
    measure("many.measure.sql", "SELECT id FROM inventory_items WHERE id = 99");
    fleet.run(&against).exits(2).shows(&["the measure many has no row"]);
    measure("many.measure.sql", "SELECT nothing_like_it FROM users");
    fleet.run(&against).exits(2).shows(&["measure many: ", "nothing_like_it"]);
    std::fs::remove_file(fleet.path("verify/many.measure.sql")).unwrap();
    // A measure is no assertion, and the other way round.
    fleet.run(&["verify"]).exits(78).tells(&["there is no assertion"]);
    measure("stock.Measure.sql", "SELECT 1 AS one");
    fleet.run(&against).exits(78).tells(&["stock.Measure.sql", "would never be asked"]);
    fleet.run(&["verify", "--measures"]).exits(64);
}

/// Row security would leave out the rows that say no.
#[test]
fn rows_that_the_user_may_not_see_are_an_error_and_no_yes() {
    let mut fleet = Fleet::new().postgres(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let (role, url) = (fleet.unique("rls"), fleet.tenant("pg-000").url.clone());
    fleet.ask(
        "pg-000",
        &format!("CREATE ROLE {role} LOGIN PASSWORD 'x'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"),
    );
    fleet.at_end(&postgres_url(), &format!("DROP ROLE {role}"));
    fleet.ask("pg-000", "INSERT INTO users (id, email) VALUES (1, 'a@x'); ALTER TABLE users ENABLE ROW LEVEL SECURITY");
    std::fs::create_dir(fleet.path("verify")).unwrap();
    std::fs::write(fleet.path("verify/none.sql"), "SELECT id FROM users").unwrap();
    let at = url.split('@').nth(1).unwrap();
    fleet.tenant_mut("pg-000").url = format!("postgres://{role}:x@{at}");
    fleet.run(&["verify"]).exits(2).shows(&["row-level security"]);
}

#[test]
fn what_would_never_be_asked_is_refused() {
    let fleet = Fleet::new().sqlite(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    std::fs::create_dir(fleet.path("verify")).unwrap();
    std::fs::write(fleet.path("verify/only.mysql.sql"), "SELECT 1").unwrap();
    fleet.run(&["verify"]).exits(78).tells(&["no assertion has a text for sqlite"]);
    std::fs::write(fleet.path("verify/only.mysql.sql"), "").unwrap();
    std::fs::remove_file(fleet.path("verify/only.mysql.sql")).unwrap();
    for name in ["Z.SQL", "y.sql.txt", "x.Postgres.sql"] {
        std::fs::write(fleet.path("verify/a.sql"), "SELECT id FROM users").unwrap();
        std::fs::write(fleet.path("verify").join(name), "SELECT 1").unwrap();
        fleet.run(&["verify"]).exits(78).tells(&[name, "would never be asked"]);
        std::fs::remove_file(fleet.path("verify").join(name)).unwrap();
    }
    std::fs::create_dir(fleet.path("verify/sub")).unwrap();
    fleet.run(&["verify"]).exits(78).tells(&["sub in verify would never be asked"]);
}
