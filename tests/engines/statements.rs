//! Statements of every form, one of which fails, and the state that this leaves.

use crate::model::fault::FaultClass;
use crate::model::outcome::{Outcome, TenantRecord};
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, Sql, sql};
use crate::engines::support::{Home, Site};

on_every_site!(
    several_statements_in_one_call_are_all_applied,
    bodies_with_semicolons_stay_whole,
    the_failing_statement_is_named,
    a_failed_migration_leaves_nothing_or_says_what,
    a_panic_is_its_tenants_own_fault,
    a_migration_that_forbids_writes_itself_is_not_tried_again,
);

async fn several_statements_in_one_call_are_all_applied(home: &Home) {
    let script = "CREATE TABLE a (i int); -- one; two\nINSERT INTO a VALUES (1);\n\nINSERT INTO a VALUES (2) ; ";
    for (native, history) in [(false, "h1"), (true, "h2")] {
        let migrations = Migrations::of([sql("m1", [script, "INSERT INTO a VALUES (3)"])]).in_table(history);
        let record = Fleet::of(&migrations).await.native(native).up(&home.tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "{:?}", record.error);
        assert_eq!(home.texts("SELECT count(*) FROM a").await, ["3"], "native: {native}");
        home.run("DROP TABLE a").await;
    }
}

/// A table with a trigger that writes to a second one, and an insert that fires it.
fn trigger(home: &Home) -> Vec<&'static str> {
    let body = home.site.pick(
        "CREATE TRIGGER tr AFTER INSERT ON a BEGIN INSERT INTO b VALUES (new.i); INSERT INTO b VALUES (-new.i); END",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN INSERT INTO b VALUES (new.i); INSERT INTO b \
         VALUES (-new.i); RETURN new; END; $body$; CREATE TRIGGER tr AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE TRIGGER tr AFTER INSERT ON a FOR EACH ROW BEGIN INSERT INTO b VALUES (new.i); INSERT INTO b VALUES \
         (-new.i); END",
    );
    vec!["CREATE TABLE a (i int)", "CREATE TABLE b (i int)", body, "INSERT INTO a VALUES (7)"]
}

async fn bodies_with_semicolons_stay_whole(home: &Home) {
    for native in [false, true] {
        let down = home.site.pick("SELECT 1", "DROP FUNCTION f CASCADE", "SELECT 1");
        let steps = sql("m1", trigger(home)).down([down, "DROP TABLE a", "DROP TABLE b"]);
        let fleet = Fleet::of(&Migrations::of([steps])).await.native(native);
        let record = fleet.up(&home.tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "{:?}", record.error);
        assert_eq!(home.texts("SELECT i FROM b ORDER BY i").await, ["-7", "7"]);
        let record = fleet.down(&home.tenant).await;
        assert_eq!(record.outcome.name(), "rolled_back", "{:?}", record.error);
        assert_eq!(home.tables().await, [""; 0]);
    }
}

async fn the_failing_statement_is_named(home: &Home) {
    // Many results precede the failing statement: those of a call with several statements, and a trigger's.
    let mut statements = trigger(home);
    statements.extend([
        "INSERT INTO a VALUES (1); INSERT INTO a VALUES (2)",
        "SELECT 1",
        "INSERT INTO gone VALUES (1)",
    ]);
    let number = statements.len();
    let list = [sql("m1", ["CREATE TABLE c (i int)"]), sql("m2", statements), sql("m3", ["CREATE TABLE d (i int)"])];
    let record = Fleet::of(&Migrations::of(list)).await.up(&home.tenant).await;
    let stopped = stopped(&record);
    assert_eq!(stopped, ("m2".to_owned(), Some(number), Some("INSERT INTO gone VALUES (1)".to_owned())));
    assert_eq!(record.version.as_deref(), Some("m1"));
}

fn stopped(record: &TenantRecord) -> (String, Option<usize>, Option<String>) {
    let at = record.stopped_at.clone().unwrap_or_else(|| panic!("{record:?}"));
    (at.migration, at.statement, at.sql)
}

/// The second of three fails at its second statement until a table `needed` exists.
fn three() -> [Sql; 3] {
    [
        sql("m1", ["CREATE TABLE one (i int)"]),
        sql("m2", ["CREATE TABLE two (i int)", "INSERT INTO needed VALUES (1)", "CREATE TABLE two_b (i int)"]),
        sql("m3", ["CREATE TABLE three (i int)"]),
    ]
}

async fn a_failed_migration_leaves_nothing_or_says_what(home: &Home) {
    let fleet = Fleet::of(&Migrations::of(three())).await;
    let first = Fleet::of(&Migrations::of(three().into_iter().take(1))).await;
    first.up(&home.tenant).await;
    let at_one = home.dump().await;
    for attempt in ["the first run", "a second run without a fix"] {
        let record = fleet.up(&home.tenant).await;
        let class = home.site.pick(FaultClass::Other, FaultClass::Missing, FaultClass::Missing);
        assert_eq!(record.outcome, Outcome::Failed { class }, "{attempt}: {record:?}");
        assert_eq!((stopped(&record).0.as_str(), stopped(&record).1), ("m2", Some(2)), "{attempt}");
        assert_eq!(home.versions().await, ["m1"], "{attempt}");
        match home.site {
            Site::Mariadb | Site::Mysql => {
                assert_eq!(home.tables().await, ["one", "two"], "{attempt}");
                let journal = "SELECT CONCAT(migration, ' ', statement, ' ', state) FROM fleet_journal";
                assert_eq!(home.texts(journal).await, ["m2 2 stopped"], "{attempt}");
            }
            _ => assert_eq!(home.dump().await, at_one, "{attempt}"),
        }
    }
    home.run("CREATE TABLE needed (i int)").await;
    let record = fleet.up(&home.tenant).await;
    assert_eq!((record.outcome.name(), record.version.as_deref()), ("migrated", Some("m3")), "{record:?}");
    assert_eq!(home.tables().await, ["needed", "one", "three", "two", "two_b"]);
    assert_eq!(home.texts("SELECT count(*) FROM needed").await, ["1"]);
    assert_eq!(fleet.observe(&home.tenant).await.state.name(), "at_target");
}

/// A server that takes no writes for a moment is waited for; a migration that forbids them would be refused each time.
async fn a_migration_that_forbids_writes_itself_is_not_tried_again(home: &Home) {
    let create = "CREATE TABLE z (i int)";
    let all = home.site.pick(
        vec![vec!["PRAGMA query_only = ON", create], vec!["PRAGMA query_only = ON"]],
        vec![
            vec!["SET TRANSACTION READ ONLY", create],
            vec!["SET transaction_read_only = on"],
            vec!["SELECT set_config('transaction_read_only', 'on', true)", create],
            vec!["DO $$ BEGIN SET LOCAL transaction_read_only = on; END $$"],
        ],
        vec![
            vec!["SET SESSION TRANSACTION READ ONLY", create],
            vec!["SET @@session.transaction_read_only = 1", create],
        ],
    );
    for statements in all {
        // MariaDB has another name for it before 11.1.
        if home.site == Site::Mariadb && statements[0].contains("@@") {
            continue;
        }
        let text = statements.join(";\n") + ";";
        let mut fleets = vec![Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &text)]).await];
        if home.site == Site::Postgres {
            let apart = format!("-- fleet: transaction=false\nSET default_transaction_read_only = on;\n{create};");
            fleets.push(Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &apart)]).await);
            fleets.push(Fleet::of(&Migrations::of([sql("m1", statements.clone())])).await);
        }
        for mut fleet in fleets {
            fleet.retry.attempts = 5;
            let record = fleet.up(&home.tenant).await;
            let class = record.error.as_ref().map(|fault| fault.class);
            assert_eq!((class, record.attempts), (Some(FaultClass::ReadOnly), 1), "{text}: {record:?}");
            if home.site == Site::Postgres {
                let told = record.error.unwrap().message;
                assert!(told.contains("the migration itself forbids writes"), "{told}");
            }
            assert!(!home.tables().await.contains(&"z".to_owned()), "{text}");
            if home.all_tables().await.contains(&"fleet_journal".to_owned()) {
                home.run("DELETE FROM fleet_journal").await;
            }
        }
    }
}

/// Panics only on a real database, after it has created a table there.
struct Panics;

impl MigrationName for Panics {
    fn name(&self) -> &str {
        "m1"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Panics {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let seen = manager.has_table("nothing").await?;
        manager.get_connection().execute_unprepared("CREATE TABLE half (i int)").await?;
        panic!("saw {seen}");
    }
}

async fn a_panic_is_its_tenants_own_fault(home: &Home) {
    let fleet = Fleet::of(&Migrations::new(|| vec![Box::new(Panics)])).await;
    let record = fleet.up(&home.tenant).await;
    let error = record.error.unwrap();
    assert_eq!(error.class, FaultClass::Panic);
    assert!(error.message.contains("saw false"), "{error}");
    if home.site.is_mysql() {
        assert_eq!(record.outcome.name(), "in_doubt", "nobody can tell how far the code came");
        assert_eq!(fleet.observe(&home.tenant).await.state.name(), "in_doubt");
    } else {
        assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::Panic });
        assert_eq!(home.all_tables().await, [""; 0]);
    }
}

/// The hook is the program's: without it a panic has a text and no place.
#[tokio::test]
async fn the_place_of_a_panic_in_a_migration_is_told() {
    struct Panics;
    impl MigrationName for Panics {
        fn name(&self) -> &str {
            "m1"
        }
    }
    #[async_trait::async_trait]
    impl MigrationTrait for Panics {
        async fn up(&self, _: &SchemaManager) -> Result<(), DbErr> {
            panic!("no such luck")
        }
    }
    std::panic::set_hook(Box::new(crate::compile::note_panic));
    let home = Home::new(Site::Sqlite).await;
    let record = Fleet::of(&Migrations::new(|| vec![Box::new(Panics)])).await.up(&home.tenant).await;
    let message = record.error.unwrap().message;
    assert!(message.contains("statements.rs:") && message.ends_with("no such luck"), "{message}");
}
