//! Each purity rule, with a migration that breaks it.

use sea_orm_migration::prelude::*;

use sea_orm::TransactionTrait as _;

use super::*;

/// The behaviour of a test migration.
#[derive(Clone, Copy)]
enum Does {
    CreateTable,
    AsksForTable,
    Begins,
    RawCommit,
    Uuid,
    Clock,
    Panics,
    Fails,
    GoesByRows,
    Batches,
    Waits,
    WaitsAndPassesErrorsOver,
    BeginsForEver,
    PassesErrorsOverInItsTransaction,
    Spins,
    NoTransaction,
    Inserts,
    Binds(fn() -> SimpleExpr),
    /// Executes this statement.
    Says(fn() -> String),
}

struct M(&'static str, Does);

impl MigrationName for M {
    fn name(&self) -> &str {
        self.0
    }
}

#[async_trait::async_trait]
impl MigrationTrait for M {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let stamp = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        match self.1 {
            Does::CreateTable | Does::NoTransaction => {
                let table = Table::create().table("t").col(ColumnDef::new("id").integer().primary_key()).to_owned();
                manager.create_table(table).await
            }
            Does::AsksForTable => {
                // The error is swallowed, as migrations often do.
                if !manager.has_table("t").await.unwrap_or(false) {
                    db.execute_unprepared("create table t (id int)").await?;
                }
                Ok(())
            }
            Does::Begins => {
                let inner = manager.begin().await?;
                inner.commit().await
            }
            Does::RawCommit => db.execute_unprepared("create table t (id int); commit").await.map(drop),
            Does::Uuid => db.execute_unprepared(&format!("insert into t values ('{:?}')", stamp())).await.map(drop),
            Does::Clock => {
                db.execute_unprepared(&format!("insert into t values ({})", stamp().as_secs())).await.map(drop)
            }
            Does::Panics => panic!("no database"),
            Does::Fails => Err(DbErr::Custom("never".into())),
            Does::GoesByRows => {
                if db.execute_unprepared("update t set a = 1").await?.rows_affected() == 0 {
                    db.execute_unprepared("insert into t values (1)").await?;
                }
                Ok(())
            }
            Does::Batches => {
                let sql = "/* fleet: batch */ delete from t where a in (select a from t where old limit 10)";
                while db.execute_unprepared(sql).await?.rows_affected() > 0 {}
                Ok(())
            }
            Does::Waits => {
                while db.execute_unprepared("delete from t").await?.rows_affected() > 0 {}
                Ok(())
            }
            Does::WaitsAndPassesErrorsOver => loop {
                let _ = db.execute_unprepared("delete from t").await;
            },
            Does::PassesErrorsOverInItsTransaction => {
                let inner = db.begin().await?;
                loop {
                    let _ = inner.execute_unprepared("delete from t").await;
                }
            }
            Does::Spins => {
                let begun = std::time::Instant::now();
                while begun.elapsed().as_secs() < 20 {
                    std::hint::spin_loop();
                }
                Ok(())
            }
            Does::BeginsForEver => loop {
                let _ = manager.begin().await;
            },
            Does::Inserts => {
                let insert =
                    Query::insert().into_table("t").columns(["a"]).values_panic(["O'Brien\\ ; --".into()]).to_owned();
                manager.execute(insert).await.map(drop)
            }
            Does::Binds(value) => {
                let insert = Query::insert().into_table("t").columns(["a"]).values_panic([value()]).to_owned();
                manager.execute(insert).await.map(drop)
            }
            Does::Says(sql) => db.execute_unprepared(&sql()).await.map(drop),
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match self.1 {
            Does::Panics => unimplemented!(),
            Does::Fails => Err(DbErr::Migration("We Don't Do That Here".into())),
            _ => manager.drop_table(Table::drop().table("t").to_owned()).await,
        }
    }

    fn use_transaction(&self) -> Option<bool> {
        matches!(self.1, Does::NoTransaction).then_some(false)
    }
}

struct All(Vec<(&'static str, Does)>);

impl MigratorTraitSelf for All {
    fn migrations(&self) -> Vec<Box<dyn MigrationTrait>> {
        self.0.iter().map(|(name, does)| Box::new(M(name, *does)) as Box<dyn MigrationTrait>).collect()
    }
}

async fn one(does: Does, direction: Direction, engine: Engine) -> Script {
    let set = MigrationSet::new(&All(vec![("m", does)])).await.unwrap();
    let scripts = set.compile(engine, direction, 0..1, Form::default()).await;
    Script::clone(scripts.get(0).unwrap())
}

fn reason(script: &Script) -> &NativeReason {
    match &script.execution {
        Execution::Native { reason, .. } => reason,
        other => panic!("not native: {other:?}"),
    }
}

#[tokio::test]
async fn a_pure_migration_is_compiled_for_each_engine() {
    for engine in Engine::ALL {
        let script = one(Does::CreateTable, Direction::Up, engine).await;
        assert_eq!(script.execution, Execution::Compiled { transaction: engine != Engine::Mysql });
        assert_eq!(script.statements.len(), 1);
        assert!(script.statements[0].starts_with("CREATE TABLE"), "{script:?}");
        assert_eq!(script.is_atomic(), engine != Engine::Mysql);
    }
}

#[tokio::test]
async fn use_transaction_false_is_honoured() {
    let script = one(Does::NoTransaction, Direction::Up, Engine::Postgres).await;
    assert_eq!(script.execution, Execution::Compiled { transaction: false });
    assert!(!script.is_atomic());
}

#[tokio::test]
async fn each_impurity_is_named() {
    let pg = |does| one(does, Direction::Up, Engine::Postgres);
    assert!(matches!(reason(&pg(Does::AsksForTable).await), NativeReason::Queries(_)));
    assert!(matches!(reason(&pg(Does::Begins).await), NativeReason::OwnTransaction));
    assert!(matches!(reason(&pg(Does::Uuid).await), NativeReason::Differs(_)));
    assert!(matches!(reason(&pg(Does::Panics).await), NativeReason::Panicked(_)));
    assert!(matches!(reason(&pg(Does::Fails).await), NativeReason::Failed(_)));
    assert!(matches!(reason(&pg(Does::GoesByRows).await), NativeReason::Differs(_)));
}

#[tokio::test]
async fn a_loop_over_batches_is_one_statement() {
    for engine in Engine::ALL {
        let script = one(Does::Batches, Direction::Up, engine).await;
        assert!(matches!(script.execution, Execution::Compiled { .. }), "{script:?}");
        assert_eq!(script.statements.len(), 1);
    }
}

#[tokio::test]
async fn a_loop_that_waits_for_another_answer_is_stopped_and_runs_natively() {
    let endless =
        [Does::Waits, Does::WaitsAndPassesErrorsOver, Does::BeginsForEver, Does::PassesErrorsOverInItsTransaction];
    for does in endless {
        let script = one(does, Direction::Up, Engine::Postgres).await;
        assert_eq!(reason(&script), &NativeReason::Endless);
        assert!(script.statements.len() <= recorder::MOST_CALLS);
    }
}

#[tokio::test]
async fn a_migration_that_never_waits_and_calls_nothing_is_given_up() {
    let migrations = [Does::CreateTable, Does::Spins, Does::Inserts, Does::Panics].map(|does| M("m", does));
    let migrations = migrations.map(|m| Arc::new(m) as Arc<dyn MigrationTrait>).to_vec();
    let recordings = recorder::record(migrations, Direction::Up, backend(Engine::Sqlite), 0).await;
    assert_eq!(recordings[1].0.ending, recorder::Ending::Failed("it did not end within 10 s".to_owned()));
    // Those around it have a thread that goes on.
    let ends = [0, 2].map(|at| (&recordings[at].0.ending, recordings[at].0.statements().len()));
    assert_eq!(ends, [(&recorder::Ending::Done, 1); 2]);
    assert!(matches!(recordings[3].0.ending, recorder::Ending::Panicked(_)));
}

#[tokio::test]
async fn a_clock_read_in_any_form_makes_a_migration_native() {
    use chrono::{Duration, Utc};
    let forms: Vec<(&str, Does)> = vec![
        ("seconds", Does::Clock),
        ("milliseconds", Does::Says(|| format!("insert into t values ({})", Utc::now().timestamp_millis()))),
        ("a millisecond", Does::Says(|| format!("insert into t values ({})", Utc::now().timestamp_subsec_millis()))),
        ("whole milliseconds", Does::Says(|| format!("insert into t values ({})", Utc::now().timestamp() * 1000))),
        ("a bound number", Does::Binds(|| Expr::val(Utc::now().timestamp()))),
        ("a bound text", Does::Binds(|| Expr::val(Utc::now().format("%F %T").to_string()))),
        ("a month ahead", Does::Binds(|| Expr::val((Utc::now() + Duration::days(30)).format("%FT%TZ").to_string()))),
        (
            "a minute and a half ahead",
            Does::Binds(|| Expr::val((Utc::now() + Duration::seconds(90)).format("%F %T").to_string())),
        ),
        ("a month in seconds", Does::Says(|| format!("insert into t values ({})", Utc::now().timestamp() + 2_592_000))),
        ("another zone", Does::Binds(|| Expr::val((Utc::now() + Duration::minutes(345)).to_rfc2822()))),
        ("a name", Does::Says(|| format!("alter table t rename to t_{}", Utc::now().format("%Y%m%d_%H%M%S")))),
        ("digits", Does::Says(|| format!("insert into t values ({})", Utc::now().format("%Y%m%d%H%M%S")))),
        ("hex", Does::Says(|| format!("insert into t values ('{:x}')", Utc::now().timestamp()))),
    ];
    let set = MigrationSet::new(&All(forms)).await.unwrap();
    for engine in Engine::ALL {
        let scripts = set.compile(engine, Direction::Up, 0..13, Form::default()).await;
        assert_eq!(scripts.iter().count(), 13);
        for script in scripts.iter() {
            assert!(matches!(reason(script), NativeReason::Differs(_)), "{engine}: {script:?}");
        }
    }
}

/// The time that the clock of the runtime waited while this was compiled.
async fn waited(set: &MigrationSet, engine: Engine) -> (Duration, Scripts) {
    let begun = tokio::time::Instant::now();
    let scripts = set.compile(engine, Direction::Up, 0..set.catalog.migrations.len(), Form::default()).await;
    (begun.elapsed(), scripts)
}

#[tokio::test(start_paused = true)]
async fn dates_years_and_sizes_cost_no_wait() {
    const TEXTS: [(&str, Does); 4] = [
        ("sizes", Does::Says(|| "create table t (a varchar(1024), b char(4096) default '2147483647')".into())),
        ("years", Does::Says(|| "insert into t values (2026, '2019-03-15', '20190315', date('2031-01-01'))".into())),
        ("versions", Does::Says(|| "insert into t values ('10.11.1024', '127.0.0.1:5432', 'm20220101_create')".into())),
        ("today", Does::Says(|| chrono::Utc::now().format("insert into t values ('%F')").to_string())),
    ];
    let set = MigrationSet::new(&All(TEXTS.to_vec())).await.unwrap();
    for engine in Engine::ALL {
        let (time, scripts) = waited(&set, engine).await;
        assert!(scripts.iter().all(|script| matches!(script.execution, Execution::Compiled { .. })), "{scripts:?}");
        assert!(time < Duration::from_millis(100), "{time:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_migration_that_needs_the_wait_waits_once_a_process() {
    let epoch: fn() -> String = || "insert into t values (1700000000)".into();
    let set = MigrationSet::new(&All(vec![("a", Does::Says(epoch)), ("b", Does::CreateTable)])).await.unwrap();
    let (first, scripts) = waited(&set, Engine::Sqlite).await;
    assert!(first >= NEXT_SECOND, "{first:?}");
    assert!(matches!(scripts.get(0).unwrap().execution, Execution::Compiled { .. }), "a fixed time stays the same");
    let unfinished = Unfinished {
        migration: "a".into(),
        direction: Direction::Up,
        statement: Some(1),
        run: "r".into(),
        stopped: true,
        sha256: String::new(),
        is_gone: false,
        lost: String::new(),
        vouched: false,
    };
    let begun = tokio::time::Instant::now();
    set.script_of(Engine::Sqlite.into(), &unfinished).await.unwrap();
    let lazy = LazyScripts::new(Arc::new(set), Direction::Up, 0..2, true);
    assert!(matches!(reason(lazy.get(Engine::Sqlite).await.get(0).unwrap()), NativeReason::Forced));
    assert_eq!(begun.elapsed(), Duration::ZERO, "it was compiled again");
}

#[tokio::test]
async fn sql_that_commits_by_itself_gets_no_transaction_of_ours() {
    let script = one(Does::RawCommit, Direction::Up, Engine::Postgres).await;
    assert_eq!(script.execution, Execution::Native { transaction: false, reason: NativeReason::OwnTransaction });
}

#[tokio::test]
async fn a_down_that_is_not_written_is_irreversible() {
    for does in [Does::Fails, Does::Panics] {
        let script = one(does, Direction::Down, Engine::Mysql).await;
        assert!(matches!(script.execution, Execution::Irreversible { .. }), "{script:?}");
    }
    let script = one(Does::CreateTable, Direction::Down, Engine::Mysql).await;
    assert!(matches!(script.execution, Execution::Compiled { .. }));
}

#[tokio::test]
async fn binds_are_written_into_the_sql() {
    let script = one(Does::Inserts, Direction::Up, Engine::Postgres).await;
    assert_eq!(script.statements, [r#"INSERT INTO "t" ("a") VALUES (E'O\'Brien\\ ; --')"#]);
}

#[tokio::test]
async fn a_value_that_text_does_not_carry_makes_a_migration_native() {
    let day = || Expr::val(sea_orm::prelude::Date::default());
    type Kind = (fn() -> SimpleExpr, &'static str);
    let kinds: [Kind; 5] = [
        (|| Expr::val(2.0_f64), "a floating-point number"),
        (|| Expr::val("a\0b"), "a text with NUL or U+001A"),
        (|| Expr::val("\u{1a}"), "a text with NUL or U+001A"),
        (|| Expr::val(u64::MAX), "an integer beyond 64 bits with sign"),
        (day, "a date or time"),
    ];
    for (value, kind) in kinds {
        let script = one(Does::Binds(value), Direction::Up, Engine::Mysql).await;
        assert_eq!(reason(&script), &NativeReason::Values(kind.to_owned()));
    }
    let null = one(Does::Binds(|| Expr::val(None::<f64>)), Direction::Up, Engine::Sqlite).await;
    assert_eq!(null.statements, [r#"INSERT INTO "t" ("a") VALUES (NULL)"#]);
    assert!(matches!(null.execution, Execution::Compiled { .. }));
}

#[tokio::test]
async fn a_uuid_is_bytes_where_the_engine_keeps_bytes() {
    let id: fn() -> SimpleExpr = || Expr::val(sea_orm::prelude::Uuid::from_u128(0xff));
    let sql = async |engine| one(Does::Binds(id), Direction::Up, engine).await.statements.remove(0);
    assert!(sql(Engine::Postgres).await.ends_with("('00000000-0000-0000-0000-0000000000ff')"));
    for engine in [Engine::Sqlite, Engine::Mysql] {
        assert!(sql(engine).await.ends_with("(x'000000000000000000000000000000FF')"));
    }
}

#[tokio::test]
async fn native_can_be_forced_and_the_hash_tells_scripts_apart() {
    let set = MigrationSet::new(&All(vec![("a", Does::CreateTable)])).await.unwrap();
    let compiled = set.compile(Engine::Postgres, Direction::Up, 0..1, Form::default()).await;
    let forced = set.compile(Engine::Postgres, Direction::Up, 0..1, Form { native: true, ..Form::default() }).await;
    assert_eq!(reason(forced.get(0).unwrap()), &NativeReason::Forced);
    assert_ne!(compiled.get(0).unwrap().sha256, forced.get(0).unwrap().sha256);
    let again = set.compile(Engine::Postgres, Direction::Up, 0..1, Form::default()).await;
    assert_eq!(compiled.get(0).unwrap().sha256, again.get(0).unwrap().sha256);
}

#[tokio::test]
async fn names_that_the_history_could_not_tell_apart_are_refused() {
    let twice = MigrationSet::new(&All(vec![("a", Does::CreateTable), ("a", Does::Fails)])).await;
    assert_eq!(twice.err(), Some(CompileError::DuplicateName("a".into())));
    assert!(MigrationSet::new(&All(vec![("", Does::Fails)])).await.is_err());
}

#[tokio::test]
async fn the_history_table_is_the_migrators_own() {
    let set = MigrationSet::new(&All(vec![])).await.unwrap();
    assert_eq!(set.catalog().history_table, "seaql_migrations");
    assert!(set.install(Engine::Mysql).contains("IF NOT EXISTS `seaql_migrations`"), "{}", set.install(Engine::Mysql));
}
