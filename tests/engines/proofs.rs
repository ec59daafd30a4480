//! The findings of `prove`: planted faults, each on every engine, next to correct migrations.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::check::prove::{Bench, EngineProof, Fill, Nothing, Verdict, prove};
use crate::engine::{ScratchPlace, Session};
use crate::model::fault::{Fault, FaultClass};
use crate::model::tenant::Engine;
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, SchemaManagerConnection, async_trait};

use crate::engines::scratch::{bench, on, places};
use crate::engines::support::Site;
use crate::engines::support::migrations::{Migrations, Sql, sql};

/// A table with three rows.
fn items() -> Sql {
    sql("m1", ["CREATE TABLE items (a int, b int)", "INSERT INTO items VALUES (1, 1), (2, 2), (3, 3)"])
        .down(["DROP TABLE items"])
}

fn last() -> Sql {
    sql("m3", ["CREATE TABLE last (i int)"]).down(["DROP TABLE last"])
}

async fn proven(place: &ScratchPlace, migrations: &Migrations) -> EngineProof {
    let proof = prove(&bench(place.clone(), migrations).await, &Nothing).await;
    assert_eq!((proof.engine, &proof.could_not), (place.engine(), &None), "{proof:?}");
    proof
}

/// The finding on the second of three migrations whose first and third are correct.
async fn said_of_the_second(place: &ScratchPlace, migrations: &Migrations) -> Vec<String> {
    let proof = proven(place, migrations).await;
    assert_eq!(proof.proofs.len(), 3, "{proof:?}");
    for right in [0, 2] {
        assert_eq!(proof.proofs[right].verdict, Verdict::Proven, "{proof:?}");
    }
    assert!(proof.has_failures(false));
    match &proof.proofs[1].verdict {
        Verdict::Failed { why } => why.clone(),
        other => panic!("{}: {other:?}", place.engine()),
    }
}

#[track_caller]
fn assert_told(engine: Engine, why: &[String], words: &str) {
    assert!(why.iter().any(|line| line.contains(words)), "{engine}: {words} in {why:?}");
}

#[tokio::test]
async fn what_is_right_is_proven_also_with_rows() {
    for place in places() {
        let column = sql("m2", ["ALTER TABLE items ADD COLUMN c int DEFAULT 7", "CREATE INDEX ix ON items (c)"]);
        let index = if place.engine() == Engine::Mysql { "DROP INDEX ix ON items" } else { "DROP INDEX ix" };
        let column = column.down([index, "ALTER TABLE items DROP COLUMN c"]);
        let proof = proven(&place, &Migrations::of([items(), column, last()])).await;
        let verdicts: Vec<(&str, &Verdict, u64)> =
            proof.proofs.iter().map(|p| (p.migration.as_str(), &p.verdict, p.rows)).collect();
        let right = &Verdict::Proven;
        assert_eq!(verdicts, [("m1", right, 0), ("m2", right, 3), ("m3", right, 3)], "{proof:?}");
        assert!(!proof.has_failures(true));
    }
}

#[tokio::test]
async fn a_down_that_forgets_an_index_is_found() {
    for place in places() {
        let forgets = sql("m2", ["CREATE INDEX ix ON items (b)"]).down(["UPDATE items SET a = a"]);
        let why = said_of_the_second(&place, &Migrations::of([items(), forgets, last()])).await;
        assert_told(place.engine(), &why, "down does not restore the schema: table items: index ix is only after");
        assert_told(place.engine(), &why, "the second up failed: ");
    }
}

#[tokio::test]
async fn a_down_that_loses_rows_is_found() {
    for place in places() {
        let loses = sql("m2", ["CREATE TABLE more (i int)"]).down(["DROP TABLE more", "DELETE FROM items WHERE a > 1"]);
        let why = said_of_the_second(&place, &Migrations::of([items(), loses, last()])).await;
        assert_eq!(why, ["down does not restore the rows: table items had 3 before and has 1 after"]);
    }
}

/// Creates a different column each time.
struct Differs(Arc<AtomicUsize>);

impl MigrationName for Differs {
    fn name(&self) -> &str {
        "m2"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Differs {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        let create = format!("CREATE TABLE other (c{number} int)");
        manager.get_connection().execute_unprepared(&create).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP TABLE other").await.map(drop)
    }
}

#[tokio::test]
async fn an_up_that_differs_the_second_time_is_found() {
    for place in places() {
        let count = Arc::new(AtomicUsize::new(0));
        let migrations =
            Migrations::new(move || vec![Box::new(items()), Box::new(Differs(count.clone())), Box::new(last())]);
        // The difference persists: the third is not the same natively either.
        let proof = proven(&place, &migrations).await;
        let Verdict::Failed { why } = &proof.proofs[1].verdict else { panic!("{proof:?}") };
        assert_told(place.engine(), why, "the second up gives another schema: table other: column c");
    }
}

/// Omits a column on a real database.
struct Pretends;

impl MigrationName for Pretends {
    fn name(&self) -> &str {
        "m2"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Pretends {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        let is_recorded = matches!(connection, SchemaManagerConnection::Connection(db) if db.is_mock_connection());
        let columns = if is_recorded { "i int, j int" } else { "i int" };
        connection.execute_unprepared(&format!("CREATE TABLE other ({columns})")).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP TABLE other").await.map(drop)
    }
}

#[tokio::test]
async fn native_execution_that_differs_from_the_script_is_found() {
    for place in places() {
        let migrations = Migrations::new(|| vec![Box::new(items()), Box::new(Pretends), Box::new(last())]);
        let proof = proven(&place, &migrations).await;
        assert_eq!(proof.proofs[0].verdict, Verdict::Proven);
        let Verdict::Failed { why } = &proof.proofs[1].verdict else { panic!("{proof:?}") };
        let words = "native execution gives another schema than the script: table other: column j is only compiled";
        assert_eq!(why, &[words], "{}", place.engine());
    }
}

#[tokio::test]
async fn what_fails_and_what_has_no_way_down_is_told() {
    for place in places() {
        let broken = sql("m2", ["CREATE TABLE half (i int)", "CREATE TABEL x"]).down(["DROP TABLE half"]);
        let proof = proven(&place, &Migrations::of([items(), broken, last()])).await;
        let Verdict::Failed { why } = &proof.proofs[1].verdict else { panic!("{proof:?}") };
        assert_told(place.engine(), why, "up failed: ");
        assert_eq!((&proof.proofs[0].verdict, &proof.proofs[2].verdict), (&Verdict::Proven, &Verdict::NotReached));

        let stuck = sql("m2", ["CREATE TABLE half (i int)"]).down(["DROP TABEL half"]);
        let why = said_of_the_second(&place, &Migrations::of([items(), stuck, last()])).await;
        assert_told(place.engine(), &why, "down failed: ");

        let migrations = Migrations::new(|| vec![Box::new(items()), Box::new(NoWayDown), Box::new(last())]);
        let proof = proven(&place, &migrations).await;
        assert!(matches!(proof.proofs[1].verdict, Verdict::Irreversible { .. }), "{proof:?}");
        assert_eq!(proof.proofs[2].verdict, Verdict::Proven);
        assert!(!proof.has_failures(false) && proof.has_failures(true));
    }
}

struct NoWayDown;

impl MigrationName for NoWayDown {
    fn name(&self) -> &str {
        "m2"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for NoWayDown {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("CREATE TABLE one_way (i int)").await.map(drop)
    }
}

/// Reports an error, or asks to stop at its fifth call and never returns.
struct Calls {
    count: AtomicUsize,
    stop: Option<tokio::sync::watch::Sender<bool>>,
}

#[async_trait::async_trait]
impl Fill for Calls {
    async fn fill(&self, session: &mut dyn Session) -> Result<u64, Fault> {
        session.shape().await?;
        let calls = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(stop) = self.stop.as_ref().filter(|_| calls >= 5) {
            stop.send_replace(true);
            std::future::pending::<()>().await;
        }
        Err(Fault::new(FaultClass::Other, "planted"))
    }
}

#[tokio::test]
async fn rows_are_asked_for_before_each_step_and_a_stop_keeps_what_was_proven() {
    for place in places() {
        let migrations =
            Migrations::of([items(), sql("m2", ["CREATE TABLE b (i int)"]).down(["DROP TABLE b"]), last()]);
        let fill = Calls { count: AtomicUsize::new(0), stop: None };
        let proof = prove(&bench(place.clone(), &migrations).await, &fill).await;
        assert_eq!(fill.count.load(Ordering::Relaxed), 6, "three migrations in two databases");
        assert!(proof.proofs.iter().all(|p| p.verdict == Verdict::Proven), "{proof:?}");

        let (sender, receiver) = tokio::sync::watch::channel(false);
        let stop = move || -> crate::check::prove::Stopping {
            let mut receiver = receiver.clone();
            Box::pin(async move { drop(receiver.wait_for(|stop| *stop).await) })
        };
        let bench = Bench { stop: Arc::new(stop), ..bench(place.clone(), &migrations).await };
        let fill = Calls { count: AtomicUsize::new(0), stop: Some(sender) };
        let proof = prove(&bench, &fill).await;
        assert_eq!(proof.could_not.as_deref(), Some("interrupted"), "{proof:?}");
        assert!(proof.proofs.len() < 3 && proof.proofs.iter().all(|p| p.verdict == Verdict::Proven), "{proof:?}");
    }
}

async fn proven_with_scripts(place: &ScratchPlace, files: &[(&str, &str)]) -> EngineProof {
    let set = crate::engines::support::fleet::Fleet::with_scripts(&Migrations::of([items()]), files).await.set;
    let bench = Bench { set, ..bench(place.clone(), &Migrations::of([items()])).await };
    prove(&bench, &Nothing).await
}

const VIEW: (&str, &str) = ("R__v.sql", "DROP VIEW IF EXISTS v;\nCREATE VIEW v AS SELECT a, b FROM items;");
const VIEW_DOWN: (&str, &str) = ("R__v.down.sql", "DROP VIEW v;");

#[tokio::test]
async fn a_version_is_proven_with_the_repeatable_scripts_in_place() {
    let rebuild = "CREATE TABLE items2 (a int, b int);\nINSERT INTO items2 SELECT * FROM items;\nDROP TABLE items;\n\
                   ALTER TABLE items2 RENAME TO items;";
    for place in places() {
        let files = [("0002_rebuild.sql", rebuild), ("0002_rebuild.down.sql", rebuild), VIEW, VIEW_DOWN];
        let proof = proven_with_scripts(&place, &files).await;
        assert!(!proof.has_failures(true), "{proof:#?}");
    }
}

/// The text does not name the table that it changes: new tenants pass, and every old one would fail.
#[tokio::test]
async fn a_version_that_only_old_tenants_refuse_is_found() {
    let hidden = "DO $$ BEGIN EXECUTE format('ALTER TABLE %I ALTER COLUMN a TYPE text', 'it' || 'ems'); END $$;";
    let back =
        "DO $$ BEGIN EXECUTE format('ALTER TABLE %I ALTER COLUMN a TYPE int USING a::int', 'it' || 'ems'); END $$;";
    let postgres = on(Site::Postgres);
    let files = [("0002_hidden.sql", hidden), ("0002_hidden.down.sql", back), VIEW, VIEW_DOWN];
    let proof = proven_with_scripts(&postgres, &files).await;
    let Verdict::Failed { why } = &proof.proofs[1].verdict else { panic!("{proof:#?}") };
    assert_told(Engine::Postgres, why, "up failed on a tenant that has the repeatable scripts: ");
}

/// A foreign key, a key and an index on rows that are there: the same schema in their online forms.
#[tokio::test]
async fn online_forms_are_proven_and_one_that_a_server_refuses_is_found() {
    for place in places().into_iter().filter(|place| place.engine() != Engine::Sqlite) {
        let drop = if place.engine() == Engine::Mysql { "DROP INDEX ix ON items" } else { "DROP INDEX ix" };
        let right = sql("m2", ["ALTER TABLE items ADD CONSTRAINT u UNIQUE (a)", "CREATE INDEX ix ON items (b)"]);
        let constraint = if place.engine() == Engine::Mysql { "INDEX" } else { "CONSTRAINT" };
        let right = right.down([drop.to_owned(), format!("ALTER TABLE items DROP {constraint} u")]);
        // The plain form works, and the server can't do it without a long lock.
        let parted = match place.engine() {
            Engine::Mysql => "CREATE TABLE parted (a int, b text, FULLTEXT f (b))",
            _ => "CREATE TABLE parted (a int) PARTITION BY RANGE (a)",
        };
        let parted = sql("m3", [parted]).down(["DROP TABLE parted"]);
        let wrong = match place.engine() {
            Engine::Mysql => "ALTER TABLE parted ADD COLUMN c int",
            _ => "CREATE INDEX ix_parted ON parted (a)",
        };
        let back = match place.engine() {
            Engine::Mysql => "ALTER TABLE parted DROP COLUMN c",
            _ => "DROP INDEX ix_parted",
        };
        let wrong = sql("m4", [wrong]).down([back]);
        let migrations = Migrations::of([
            items(),
            right,
            parted,
            wrong,
            sql("m5", ["CREATE TABLE t (i int)"]).down(["DROP TABLE t"]),
        ]);
        let plain = proven(&place, &migrations).await;
        assert!(plain.proofs.iter().all(|proof| proof.verdict == Verdict::Proven), "{plain:?}");
        let online = Bench { online: true, ..bench(place.clone(), &migrations).await };
        let proof = prove(&online, &Nothing).await;
        for right in 0..3 {
            assert_eq!(proof.proofs[right].verdict, Verdict::Proven, "{proof:?}");
        }
        let Verdict::Failed { why } = &proof.proofs[3].verdict else { panic!("{proof:?}") };
        assert_told(place.engine(), why, "the online form failed: ");
        assert_eq!(proof.proofs[4].verdict, Verdict::NotReached, "{proof:?}");
    }
}
