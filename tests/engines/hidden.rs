//! SQL with hidden effects: the end of the message, a commit, more results than statements, another database.

use crate::model::outcome::Outcome;
use sea_orm_migration::prelude::*;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, Site, with, with_mysqls};

#[tokio::test]
async fn a_comment_that_is_never_closed_is_no_success() {
    for statement in ["CREATE TABLE t (i int) /* oops", "CREATE TABLE t (i int); SELECT 1 /* oops"] {
        with(Site::Sqlite, async |home| {
            let fleet = Fleet::of(&Migrations::of([sql("m1", [statement])])).await;
            let record = fleet.up(&home.tenant).await;
            assert!(matches!(record.outcome, Outcome::Failed { .. }), "{record:?}");
            assert!(record.committed.is_empty(), "{record:?}");
            assert_eq!(fleet.observe(&home.tenant).await.state.name(), "empty");
        })
        .await;
    }
}

#[tokio::test]
async fn a_nul_character_is_refused_and_does_not_hang() {
    let calls = ["CREATE TABLE a (i int)", "CREATE TABLE t (i int)\0 x"];
    for site in [Site::Sqlite, Site::Postgres].into_iter().chain(Site::mysqls()) {
        for hidden in [sql("m1", calls), sql("m1", calls).without_transaction()] {
            with(site, async |home| {
                let fleet = Fleet::of(&Migrations::of([hidden])).await;
                let run = fleet.up(&home.tenant);
                let record = tokio::time::timeout(std::time::Duration::from_secs(20), run).await.unwrap();
                assert!(matches!(record.outcome, Outcome::Failed { .. }), "{record:?}");
                assert_eq!(record.stopped_at.as_ref().and_then(|at| at.statement), Some(2), "{record:?}");
                assert_eq!(fleet.observe(&home.tenant).await.state.name(), "empty");
            })
            .await;
        }
    }
}

#[tokio::test]
async fn results_of_a_procedure_do_not_count_as_statements() {
    with_mysqls(async |home: &Home| {
        home.run(
            "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; SELECT 3; SELECT 4; SELECT 5; SELECT 6; SELECT 7; END",
        )
        .await;
        let first = sql("m1", ["CREATE TABLE t (i int)", "CALL p()", "CREATE TABLE t (i int)"]);
        let list = [first, sql("m2", ["CREATE TABLE u (i int)", "CREATE TABLE v (i int)"])];
        let record = Fleet::of(&Migrations::of(list)).await.up(&home.tenant).await;
        assert!(record.committed.is_empty(), "{record:?}");
        let stopped = record.stopped_at.unwrap();
        assert_eq!((stopped.migration.as_str(), stopped.statement), ("m1", Some(3)));
    })
    .await;
}

#[tokio::test]
async fn a_hash_comment_with_a_quote_hides_no_statement() {
    with_mysqls(async |home: &Home| {
        let call = "CREATE TABLE a (i int); # don't\nCREATE TABLE b (i int); CREATE TABLE c (i int); CREATE TABLE d (i int); \
                    CREATE TABLE e (i int); CREATE TABLE f (i int)";
        let list = [sql("m1", [call, "CREATE TABLE b (i int)"]), sql("m2", ["CREATE TABLE g (i int)"])];
        let record = Fleet::of(&Migrations::of(list)).await.up(&home.tenant).await;
        assert!(record.committed.is_empty(), "{record:?}");
        assert_eq!(record.stopped_at.unwrap().statement, Some(2));
    })
    .await;
}

#[tokio::test]
async fn an_end_or_abort_of_the_transaction_is_seen() {
    for (site, word) in [(Site::Sqlite, "END"), (Site::Postgres, "END"), (Site::Postgres, "ABORT")] {
        with(site, async |home| {
            let calls = ["CREATE TABLE t (i int)", word, "CREATE TABLE u (i int)", "CREATE TABLE u (i int)"];
            let record = Fleet::of(&Migrations::of([sql("m1", calls)])).await.up(&home.tenant).await;
            assert_eq!(record.outcome.name(), "in_doubt", "half of it stayed: {record:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_migration_that_switches_the_database_or_schema_does_not_take_the_next_one_along() {
    with_mysqls(async |home: &Home| {
        let list = [sql("m1", ["USE mysql"]), sql("m2", ["CREATE TABLE second (i int)"])];
        let record = Fleet::of(&Migrations::of(list)).await.up(&home.tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
        assert!(home.tables().await.contains(&"second".to_owned()));
    })
    .await;
    for native in [false, true] {
        with(Site::Postgres, async |home| {
            home.run(
                "CREATE SCHEMA o; CREATE TABLE o.seaql_migrations (version varchar PRIMARY KEY, applied_at bigint)",
            )
            .await;
            let list = [sql("m1", ["SET search_path = o"]), sql("m2", ["CREATE TABLE second (i int)"])];
            let fleet = Fleet::of(&Migrations::of(list)).await.native(native);
            let record = fleet.up(&home.tenant).await;
            assert_eq!(record.outcome.name(), "migrated", "{record:?}");
            assert_eq!(fleet.observe(&home.tenant).await.state.name(), "at_target");
            assert_eq!(home.texts("SELECT count(*) FROM o.seaql_migrations").await, ["0"]);
            assert_eq!(home.texts("SELECT to_regclass('public.second')::text").await, ["second"]);
        })
        .await;
    }
}

#[tokio::test]
async fn what_lived_in_a_lost_session_is_not_gone_on_without() {
    // What a constant set can be set again; what a table gave can't.
    for (set, then, rows) in [("SET @x = 42", "migrated", vec!["42"]), ("SELECT k INTO @x FROM u", "failed", vec![])] {
        with_mysqls(async |home: &Home| {
            home.run("CREATE TABLE u (k int); INSERT INTO u VALUES (42)").await;
            let calls = ["CREATE TABLE t (i int)", set, "CREATE TABLE u (i int)", "INSERT INTO t VALUES (@x)"];
            let fleet = Fleet::of(&Migrations::of([sql("m1", calls)])).await;
            assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "failed");
            home.run("DROP TABLE u").await;
            assert_eq!(fleet.up(&home.tenant).await.outcome.name(), then);
            assert_eq!(home.texts("SELECT i FROM t").await, rows, "@x would have been NULL");
        })
        .await;
    }
}

/// Queries a table, so that it can't be compiled, and then commits by itself; `fails` says whether it fails in the end.
struct CommitsLater {
    fails: bool,
}

impl MigrationName for CommitsLater {
    fn name(&self) -> &str {
        "m1"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CommitsLater {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        assert!(!manager.has_table("t").await?);
        let db = manager.get_connection();
        for statement in ["CREATE TABLE t (i int)", "COMMIT", "CREATE TABLE u (i int)"] {
            db.execute_unprepared(statement).await?;
        }
        if self.fails { Err(DbErr::Custom("no".to_owned())) } else { Ok(()) }
    }
}

#[tokio::test]
async fn native_code_that_commits_our_transaction_leaves_the_tenant_in_doubt() {
    for site in [Site::Sqlite, Site::Postgres] {
        for fails in [true, false] {
            with(site, async |home| {
                let list = Migrations::new(move || vec![Box::new(CommitsLater { fails })]);
                let record = Fleet::of(&list).await.up(&home.tenant).await;
                assert_eq!(record.outcome.name(), "in_doubt", "half of it stayed: {record:?}");
                assert!(record.error.unwrap().message.contains("ended the transaction"));
            })
            .await;
        }
    }
}
