//! A migration makes tables of its session that hide fleet's own: what was applied is kept in the real ones.

use sea_orm::ConnectionTrait as _;

use crate::model::engine::Engine;
use crate::model::outcome::Outcome;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, Sql, sql};
use crate::engines::support::{Home, Site, with};

on_every_site!(
    the_history_is_written_in_the_real_tables,
    the_history_is_taken_from_the_real_tables,
    a_refused_script_is_noted_in_the_real_journal,
);

const OWN: [&str; 3] = ["seaql_migrations", "fleet_scripts", "fleet_journal"];

/// Statements that put a table, or on some engines a view, of the session before each of fleet's own.
fn shadows(home: &Home, with_view: bool) -> Vec<String> {
    let one = |table: &str| match home.site.engine() {
        Engine::Mysql => {
            vec![
                format!("CREATE TEMPORARY TABLE s_{table} LIKE {table}"),
                format!("ALTER TABLE s_{table} RENAME TO {table}"),
            ]
        }
        _ if with_view => vec![format!("CREATE TEMP VIEW {table} AS SELECT 'x' AS version, 1 AS applied_at")],
        _ => vec![format!("CREATE TEMP TABLE {table} AS SELECT * FROM {table}"), format!("DELETE FROM {table}")],
    };
    OWN.iter().flat_map(|table| one(table)).collect()
}

/// A tenant that has all of fleet's own tables: one migration and one script in which nothing is hidden.
fn first() -> [Sql; 1] {
    [sql("m1", ["CREATE TABLE one (i int)"]).down(["DROP TABLE one"]).without_transaction()]
}

const FIRST: [(&str, &str); 2] = [
    ("0001_a.up.sql", "-- fleet: transaction=false\nCREATE TABLE first (i int);"),
    ("0001_a.down.sql", "-- fleet: transaction=false\nDROP TABLE first;"),
];

/// The rows of all that a tenant has, seen from outside.
async fn rows(home: &Home) -> Vec<String> {
    let history = "SELECT version FROM seaql_migrations ORDER BY 1";
    let mut rows = home.texts(history).await;
    rows.extend(home.texts("SELECT version FROM fleet_scripts ORDER BY 1").await);
    rows.extend(home.texts("SELECT migration FROM fleet_journal").await.iter().map(|open| format!("open {open}")));
    rows
}

async fn the_history_is_written_in_the_real_tables(home: &Home) {
    for with_view in [false, true] {
        for (is_script, native, transaction) in forms() {
            let what = format!("view {with_view}, script {is_script}, native {native}, transaction {transaction}");
            let before = Fleet::with_scripts(&Migrations::of(first()), &FIRST).await;
            assert_eq!(before.up(&home.tenant).await.outcome.name(), "migrated", "{what}");
            let mut up = shadows(home, with_view);
            up.push("CREATE TABLE made (i int)".to_owned());
            let fleet = with_step(up, Vec::new(), (is_script, native, transaction)).await;
            let record = fleet.up(&home.tenant).await;
            assert_eq!(record.outcome.name(), "migrated", "{what}: {:?} {:?}", record.error, record.stopped_at);
            let expected = if is_script { ["m1", "0001_a", "0002_b"] } else { ["m1", "m2", "0001_a"] };
            assert_eq!(rows(home).await, expected, "{what}");
            assert_eq!(fleet.up(&home.tenant).await.outcome, Outcome::UpToDate, "{what}");
            clear(home).await;
        }
    }
}

async fn the_history_is_taken_from_the_real_tables(home: &Home) {
    for (is_script, native, transaction) in forms() {
        let what = format!("script {is_script}, native {native}, transaction {transaction}");
        let mut down = shadows(home, false);
        down.push("DROP TABLE made".to_owned());
        let up = vec!["CREATE TABLE made (i int)".to_owned()];
        let fleet = with_step(up, down, (is_script, native, transaction)).await;
        assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "migrated", "{what}");
        let record = fleet.down(&home.tenant).await;
        assert_eq!(record.outcome.name(), "rolled_back", "{what}: {:?} {:?}", record.error, record.stopped_at);
        assert_eq!(rows(home).await, [""; 0], "{what}");
        assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "migrated", "{what}");
        clear(home).await;
    }
}

/// Where it stopped is known, and it goes on there.
async fn a_refused_script_is_noted_in_the_real_journal(home: &Home) {
    let before = Fleet::with_scripts(&Migrations::of(first()), &FIRST).await;
    assert_eq!(before.up(&home.tenant).await.outcome.name(), "migrated");
    let mut up = shadows(home, false);
    up.insert(0, "CREATE TABLE made (i int)".to_owned());
    up.push("CREATE TABLE made (i int)".to_owned());
    let fleet = with_step(up, Vec::new(), (true, false, false)).await;
    let record = fleet.up(&home.tenant).await;
    // Another session would lack the tables, so nobody but a person can say how to go on.
    assert!(!matches!(record.outcome, Outcome::Migrated { .. } | Outcome::UpToDate), "{record:?}");
    assert_eq!(rows(home).await, ["m1", "0001_a", "open 0002_b"]);
    let at = home.texts("SELECT CAST(statement AS char(9)) FROM fleet_journal").await;
    let at: usize = at[0].trim().parse().unwrap();
    assert_eq!(at, record.stopped_at.unwrap().statement.unwrap());
    assert!(!matches!(fleet.up(&home.tenant).await.outcome, Outcome::Migrated { .. } | Outcome::UpToDate));
}

/// A script or a Rust migration, native or compiled, with and without a transaction.
fn forms() -> Vec<(bool, bool, bool)> {
    let all = [(true, false), (false, false), (false, true)];
    all.into_iter().flat_map(|(is_script, native)| [true, false].map(|with| (is_script, native, with))).collect()
}

/// The first steps, and one of these statements.
async fn with_step(up: Vec<String>, down: Vec<String>, (is_script, native, transaction): (bool, bool, bool)) -> Fleet {
    if !is_script {
        let second = sql("m2", up).down(down);
        let second = if transaction { second } else { second.without_transaction() };
        let all = first().into_iter().chain([second]);
        return Fleet::with_scripts(&Migrations::of(all), &FIRST).await.native(native);
    }
    let head = if transaction { "" } else { "-- fleet: transaction=false\n" };
    let (up, down) = (format!("{head}{};", up.join(";\n")), format!("{head}{};", down.join(";\n")));
    let mut files = FIRST.to_vec();
    files.push(("0002_b.up.sql", &up));
    if down.len() > head.len() + 1 {
        files.push(("0002_b.down.sql", &down));
    }
    Fleet::with_scripts(&Migrations::of(first()), &files).await
}

async fn clear(home: &Home) {
    for table in OWN.iter().chain(&["one", "first", "made"]) {
        home.run(&format!("DROP TABLE IF EXISTS {table}")).await;
    }
}

/// The schema of the user's own name stands first in the search path of every session to come: it is none of fleet's tables
/// that were elsewhere before.
#[tokio::test]
async fn a_schema_that_comes_first_in_the_search_path_hides_nothing_of_fleet() {
    for takes_history in [false, true] {
        with(Site::Postgres, async |home: &Home| {
            let before = Fleet::with_scripts(&Migrations::of(first()), &FIRST).await;
            assert_eq!(before.up(&home.tenant).await.outcome.name(), "migrated");
            let makes = "CREATE SCHEMA AUTHORIZATION CURRENT_USER;";
            let takes = "CREATE TABLE postgres.seaql_migrations (version text, applied_at bigint);";
            let makes = if takes_history { format!("{makes}\n{takes}") } else { makes.to_owned() };
            let mut files = FIRST.to_vec();
            files.push(("0002_b.sql", &makes));
            let third = "-- fleet: transaction=false\nCREATE TABLE third (i int);";
            files.push(("0003_c.sql", third));
            files.push(("0004_d.sql", "CREATE TABLE fourth (i int);"));
            for size in [3, 4, 5] {
                let fleet = Fleet::with_scripts(&Migrations::of(first()), &files[..size]).await;
                let record = fleet.up(&home.tenant).await;
                if takes_history {
                    assert_ne!(record.outcome.name(), "migrated", "{record:?}");
                    continue;
                }
                assert_eq!(record.outcome.name(), "migrated", "{size}: {:?} {:?}", record.error, record.stopped_at);
            }
            let db = home.connect().await;
            db.execute_unprepared("SET search_path = public").await.unwrap();
            db.close().await.unwrap();
            let own = "SELECT schemaname::text FROM pg_tables WHERE tablename IN ('fleet_journal', 'fleet_scripts')";
            assert_eq!(home.texts(own).await, ["public"; 2]);
        })
        .await;
    }
}
