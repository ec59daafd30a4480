//! Native code that fails on MySQL and MariaDB: what it left is told, and a transaction that it asks for is one.

use crate::model::fault::FaultClass;
use crate::model::outcome::Outcome;
use crate::model::schema::State;
use sea_orm::{ConnectionTrait, DbErr, Statement};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, with_mysqls};

/// A migration that reads, runs some statements, and then fails or not.
#[derive(Clone)]
struct Code {
    statements: &'static [&'static str],
    transaction: Option<bool>,
    fails: bool,
}

impl MigrationName for Code {
    fn name(&self) -> &str {
        "m1"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Code {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        db.query_all_raw(Statement::from_string(db.get_database_backend(), "SELECT i FROM rows_of")).await?;
        for statement in self.statements {
            db.execute_unprepared(statement).await?;
        }
        if self.fails { Err(DbErr::Custom("it does not want to".to_owned())) } else { Ok(()) }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        self.up(manager).await
    }

    fn use_transaction(&self) -> Option<bool> {
        self.transaction
    }
}

const TABLES: &str = "CREATE TABLE rows_of (i int PRIMARY KEY); CREATE TABLE old_rows (i int) ENGINE = MyISAM";

async fn failed(home: &Home, statements: &'static [&'static str], transaction: Option<bool>) -> Outcome {
    home.run(TABLES).await;
    let code = Code { statements, transaction, fails: true };
    let fleet = Fleet::of(&Migrations::new(move || vec![Box::new(code.clone())])).await;
    let record = fleet.up(&home.tenant).await;
    let state = fleet.observe(&home.tenant).await.state;
    match &record.outcome {
        Outcome::Failed { .. } => assert!(matches!(state, State::Empty | State::Behind { .. }), "{state:?}"),
        _ => assert!(matches!(state, State::InDoubt(_) | State::Stopped(_)), "{state:?} {record:?}"),
    }
    record.outcome
}

const INSERT: &str = "INSERT INTO rows_of VALUES (1)";

/// What the code runs, the transaction that it asks for, and whether that leaves anything.
const CASES: [(&[&str], Option<bool>, bool); 12] = [
    (&[], None, false),
    (&[], Some(true), false),
    (&["SELECT 1", "SHOW TABLES"], None, false),
    (&["SELECT i FROM nowhere"], None, false),
    (&[INSERT], None, true),
    (&[INSERT], Some(true), false),
    (&[INSERT, "UPDATE rows_of SET i = 2", "DELETE FROM rows_of WHERE i = 3"], Some(true), false),
    (&[INSERT, "CREATE TABLE made (i int)"], Some(true), true),
    (&[INSERT, "START TRANSACTION"], Some(true), true),
    (&[INSERT, "SET autocommit = 1"], Some(true), true),
    (&["INSERT INTO old_rows VALUES (1)"], Some(true), true),
    (&["CREATE TABLE made (i int)"], None, true),
];

#[tokio::test]
async fn native_code_that_left_nothing_has_failed_and_other_code_is_in_doubt() {
    for (statements, transaction, leaves) in CASES {
        with_mysqls(async |home: &Home| {
            let outcome = failed(home, statements, transaction).await;
            let wanted = Outcome::Failed { class: FaultClass::Migration };
            match leaves {
                true => assert!(matches!(outcome, Outcome::InDoubt(_)), "{statements:?} {transaction:?} {outcome:?}"),
                false if statements.iter().any(|sql| sql.contains("nowhere")) => {
                    assert_eq!(outcome, Outcome::Failed { class: FaultClass::Missing }, "{statements:?}");
                }
                false => assert_eq!(outcome, wanted, "{statements:?} {transaction:?}"),
            }
            if !leaves {
                assert_eq!(home.texts("SELECT i FROM rows_of").await, [""; 0], "{statements:?}");
            }
        })
        .await;
    }
}

/// The rows that SeaORM's own runner leaves are the rows that fleet leaves, compiled or not.
#[tokio::test]
async fn a_transaction_that_a_migration_asks_for_is_as_seaorm_has_it() {
    for (statements, native) in [
        (["INSERT INTO rows_of VALUES (1)", "INSERT INTO rows_of VALUES (1)"], false),
        (["INSERT INTO rows_of VALUES (1)", "INSERT INTO rows_of VALUES (1)"], true),
        (["INSERT INTO rows_of VALUES (1); CREATE TABLE made (i int)", "INSERT INTO rows_of VALUES (1)"], false),
    ] {
        let mut left = Vec::new();
        for seaorm in [true, false] {
            with_mysqls(async |home: &Home| {
                home.run(TABLES).await;
                let migrations = Migrations::of([sql("m1", statements).with_transaction()]);
                if seaorm {
                    let db = home.connect().await;
                    sea_orm_migration::MigratorTraitSelf::up(&migrations, &db, None).await.unwrap_err();
                    db.close().await.unwrap();
                } else {
                    let record = Fleet::of(&migrations).await.native(native).up(&home.tenant).await;
                    let wanted = if statements[0].contains("made") { "in_doubt" } else { "failed" };
                    assert_eq!(record.outcome.name(), wanted, "{record:?}");
                }
                left.push(home.texts("SELECT i FROM rows_of").await);
            })
            .await;
        }
        let (seaorm, own) = left.split_at(left.len() / 2);
        assert_eq!(seaorm, own, "{statements:?} {native}");
    }
}

#[tokio::test]
async fn a_way_down_that_left_nothing_keeps_its_row_and_is_tried_again() {
    with_mysqls(async |home: &Home| {
        home.run(TABLES).await;
        let code =
            |fails| Migrations::new(move || vec![Box::new(Code { statements: &[], transaction: None, fails }) as _]);
        assert_eq!(Fleet::of(&code(false)).await.up(&home.tenant).await.outcome.name(), "migrated");
        let record = Fleet::of(&code(true)).await.down(&home.tenant).await;
        assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::Migration });
        assert_eq!(home.versions().await, ["m1"]);
        let record = Fleet::of(&code(false)).await.down(&home.tenant).await;
        assert_eq!((record.outcome.name(), home.versions().await), ("rolled_back", Vec::new()));
    })
    .await;
}
