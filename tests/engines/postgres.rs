//! PostgreSQL only: concurrent index builds, and tenants that are schemas.

use std::sync::Arc;

use crate::model::fault::FaultClass;
use crate::model::outcome::Outcome;
use crate::model::tenant::{Engine, Tenant};
use sea_orm::DbErr;
use sea_orm::sea_query::Index;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, Sql, sql};
use crate::engines::support::{Home, Site, with};

fn table() -> Sql {
    sql("m1", ["CREATE TABLE people (email text)"])
}

/// Builds a unique index through sea-query.
struct UniqueConcurrently;

impl MigrationName for UniqueConcurrently {
    fn name(&self) -> &str {
        "m2"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for UniqueConcurrently {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut index = Index::create();
        manager
            .create_index(index.concurrently().unique().name("uq_email").table("people").col("email").to_owned())
            .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }
}

fn built() -> Migrations {
    Migrations::new(|| vec![Box::new(table()), Box::new(UniqueConcurrently)])
}

fn raw() -> Migrations {
    let raw = "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS uq_email ON people (email)";
    Migrations::of([table(), sql("m2", [raw]).without_transaction()])
}

const VALID: &str = "SELECT c.relname::text || ' ' || i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = \
                     i.indexrelid WHERE c.relname = 'uq_email'";

/// A failed build leaves an invalid index, which `IF NOT EXISTS` would take for the real one.
async fn an_invalid_index_is_built_again(home: &Home, migrations: Migrations) {
    Fleet::of(&Migrations::of([table()])).await.up(&home.tenant).await;
    home.run("INSERT INTO people VALUES ('a'), ('a')").await;
    let fleet = Fleet::of(&migrations).await;
    for _ in 0..2 {
        let record = fleet.up(&home.tenant).await;
        assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::ConstraintViolation }, "{record:?}");
        assert_eq!(record.stopped_at.unwrap().statement, Some(1));
        let told = record.error.unwrap().message;
        let wanted = "uq_email has stayed: the next run of this script drops it, or type DROP INDEX CONCURRENTLY ";
        assert!(told.contains("; the invalid index ") && told.contains(wanted), "{told}");
        assert_eq!(home.texts(VALID).await, ["uq_email false"]);
    }
    home.run("DELETE FROM people").await;
    let record = fleet.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "migrated", "{record:?}");
    assert_eq!(home.texts(VALID).await, ["uq_email true"]);
    assert_eq!(fleet.observe(&home.tenant).await.state.name(), "at_target");
}

#[tokio::test]
async fn an_invalid_index_is_built_again_in_a_postgres_database() {
    with(Site::Postgres, async |home| an_invalid_index_is_built_again(home, built()).await).await;
    with(Site::Postgres, async |home| an_invalid_index_is_built_again(home, raw()).await).await;
}

#[tokio::test]
async fn an_invalid_index_is_built_again_in_a_postgres_schema() {
    with(Site::PostgresSchema, async |home| an_invalid_index_is_built_again(home, built()).await).await;
    with(Site::PostgresSchema, async |home| an_invalid_index_is_built_again(home, raw()).await).await;
}

/// The tenant of a home with another schema.
fn in_schema(home: &Home, schema: &str, create_missing: bool) -> Arc<Tenant> {
    Arc::new(Tenant { schema: Some(schema.to_owned()), create_missing, ..Tenant::clone(&home.tenant) })
}

#[tokio::test]
async fn a_postgres_schema_that_is_missing_is_refused_and_public_stays_as_it_is() {
    for native in [false, true] {
        with(Site::Postgres, async |home| {
            let fleet = Fleet::of(&Migrations::of([table()])).await.native(native);
            let before = home.dump().await;
            let nobody = in_schema(home, "nosuch", false);
            let record = fleet.up(&nobody).await;
            assert_eq!(record.outcome, Outcome::Unreachable { class: FaultClass::UnknownDatabase }, "{record:?}");
            assert_eq!(fleet.observe(&nobody).await.state.name(), "unreachable");
            // Past the first check, the transaction itself must not fall back to public either.
            let mut session = fleet.database().connect(&nobody).await.unwrap();
            let stop = session.apply(&fleet.work(&nobody, &[]).await).await.unwrap_err();
            assert!(matches!(stop.fault.class, FaultClass::WrongSchema | FaultClass::HistoryMoved), "{stop:?}");
            session.close().await;
            assert_eq!(home.dump().await, before);
        })
        .await;
    }
}

#[tokio::test]
async fn postgres_schemas_are_tenants_of_their_own_beside_a_migrated_public() {
    for native in [false, true] {
        with(Site::Postgres, async |home| {
            let fleet = Fleet::of(&Migrations::of([table(), sql("m2", ["INSERT INTO people VALUES ('x')"])])).await;
            let fleet = fleet.native(native);
            fleet.up(&home.tenant).await;
            for schema in [r#"Ünï "quoted" One"#, "UPPER;--", "it's"] {
                let tenant = in_schema(home, schema, true);
                assert_eq!(fleet.observe(&tenant).await.state.name(), "empty", "{schema}");
                let record = fleet.up(&tenant).await;
                assert_eq!((record.outcome.name(), record.committed.len()), ("migrated", 2), "{record:?}");
                assert_eq!(fleet.observe(&tenant).await.state.name(), "at_target", "{schema}");
                let people = format!("SELECT count(*) FROM {}.people", Engine::Postgres.quote(schema));
                assert_eq!(home.texts(&people).await, ["1"], "{schema}");
                assert_eq!(home.texts("SELECT count(*) FROM public.people").await, ["1"], "{schema}");
            }
        })
        .await;
    }
}
