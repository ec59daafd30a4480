//! Triggers, events and routines whose body is one statement are stored as they were written, whatever is sent with them.

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, Site, with};

const STORED: &str = "SELECT CAST(action_statement AS CHAR) FROM information_schema.triggers WHERE trigger_schema = DATABASE() UNION ALL \
                      SELECT CAST(event_definition AS CHAR) FROM information_schema.events WHERE event_schema = DATABASE() UNION ALL \
                      SELECT CAST(routine_definition AS CHAR) FROM information_schema.routines WHERE routine_schema = DATABASE()";

async fn bodies_end_where_they_were_written_to_end(home: &Home) {
    let several = "INSERT INTO t VALUES (0); CREATE TRIGGER c BEFORE DELETE ON t FOR EACH ROW SET @gone = OLD.i; INSERT INTO t VALUES (7);";
    let fleet = Fleet::of(&Migrations::of([
        sql(
            "m1",
            [
                "CREATE TABLE t (i int)",
                "CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW SET NEW.i = NEW.i + 1;",
                "CREATE TRIGGER b BEFORE UPDATE ON t FOR EACH ROW BEGIN SET NEW.i = 2; END",
                "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM t WHERE i > 9",
                "CREATE PROCEDURE p() UPDATE t SET i = 3",
                "CREATE TRIGGER d AFTER UPDATE ON t FOR EACH ROW SET @way = CASE WHEN NEW.i > 1 THEN 'up' ELSE 'down' END",
                several,
            ],
        ),
        sql("m2", ["CREATE FUNCTION f() RETURNS int DETERMINISTIC RETURN 1", "INSERT INTO t VALUES (f())"]),
    ]))
    .await;
    let record = fleet.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "migrated", "{:?}", record.error);
    let mut stored = home.texts(STORED).await;
    stored.sort();
    let expected = [
        "BEGIN SET NEW.i = 2; END",
        "DELETE FROM t WHERE i > 9",
        "RETURN 1",
        "SET @gone = OLD.i",
        "SET @way = CASE WHEN NEW.i > 1 THEN 'up' ELSE 'down' END",
        "SET NEW.i = NEW.i + 1",
        "UPDATE t SET i = 3",
    ];
    assert_eq!(stored, expected);
    assert_eq!(home.texts("SELECT CAST(i AS CHAR) FROM t ORDER BY i").await, ["1", "2", "8"]);
}

/// A statement behind the trigger of one call fails: what came before it happened, and that is known.
async fn a_call_of_several_statements_that_stops_behind_a_trigger_is_not_taken_for_nothing(home: &Home) {
    let several = "CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW SET NEW.i = 1; INSERT INTO missing VALUES (1)";
    let list = Migrations::of([sql("m1", ["CREATE TABLE t (i int)"]), sql("m2", [several])]);
    let record = Fleet::of(&list).await.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "in_doubt", "{:?}", record.error);
    assert_eq!(
        home.texts(
            "SELECT CAST(trigger_name AS CHAR) FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
        )
        .await,
        ["a"]
    );
}

/// One script with one checksum, of which each product reads its own part: inside a statement, and as a whole one.
async fn comments_that_one_product_reads_make_one_script_for_both(home: &Home) {
    let script = "CREATE TABLE t (i int /*M! , of_mariadb int */ /*!80000 , of_mysql int */);\n\
                  /*M! CREATE TABLE mariadb_has (i int) */ /*!80000 DO 0 */;\n\
                  /*M! DO 0 */ /*!80000 CREATE TABLE mysql_has (i int) */;\n\
                  INSERT INTO t (i) VALUES (1);\n";
    let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.mysql.sql", script)]).await;
    let record = fleet.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "migrated", "{:?} {:?}", record.error, record.stopped_at);
    let columns = "SELECT CAST(CONCAT(table_name, '.', column_name) AS CHAR) FROM information_schema.columns WHERE \
                   table_schema = DATABASE() AND (column_name LIKE 'of%' OR table_name LIKE '%has') ORDER BY 1";
    let own = if home.site == Site::Mysql { ["mysql_has.i", "t.of_mysql"] } else { ["mariadb_has.i", "t.of_mariadb"] };
    assert_eq!(home.texts(columns).await, own);
    assert_eq!(home.texts("SELECT CAST(i AS CHAR) FROM t").await, ["1"]);
    assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "up_to_date");
}

#[tokio::test]
async fn mariadb() {
    with(Site::Mariadb, comments_that_one_product_reads_make_one_script_for_both).await;
    with(Site::Mariadb, bodies_end_where_they_were_written_to_end).await;
    with(Site::Mariadb, a_call_of_several_statements_that_stops_behind_a_trigger_is_not_taken_for_nothing).await;
}

#[tokio::test]
async fn mysql() {
    with(Site::Mysql, comments_that_one_product_reads_make_one_script_for_both).await;
    with(Site::Mysql, bodies_end_where_they_were_written_to_end).await;
    with(Site::Mysql, a_call_of_several_statements_that_stops_behind_a_trigger_is_not_taken_for_nothing).await;
}
