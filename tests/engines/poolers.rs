//! PostgreSQL behind a transaction pooler: supported operations, and those refused before anything is touched.

use std::sync::Arc;

use crate::model::fault::FaultClass;
use crate::model::outcome::Outcome;
use crate::model::tenant::{Address, Engine, Tenant};
use secrecy::SecretString;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::pgbouncer::Pgbouncer;
use crate::engines::support::{Home, Site, server_url, with};

/// A pooler either refuses a session's settings or drops them silently; most poolers are configured for the latter.
const KINDS: [&str; 2] = ["", "ignore_startup_parameters = extra_float_digits,options"];

fn behind(pooler: &Pgbouncer, home: &Home) -> Tenant {
    let address = Address::Url(SecretString::from(pooler.url(&home.name)));
    Tenant { address, ..Tenant::clone(&home.tenant) }
}

fn two() -> Migrations {
    Migrations::of([
        sql("m1", ["CREATE TYPE mood AS ENUM ('sad', 'ok')", "CREATE TABLE people (email text, mood mood)"])
            .down(["DROP TABLE people", "DROP TYPE mood"]),
        sql("m2", ["CREATE INDEX by_email ON people (email)"]).down(["DROP INDEX by_email"]),
    ])
}

fn concurrently() -> Migrations {
    let index = "CREATE INDEX CONCURRENTLY by_email ON people (email)";
    Migrations::of([sql("m1", ["CREATE TABLE people (email text)"]), sql("m2", [index]).without_transaction()])
}

async fn advisory_locks(home: &Home) -> Vec<String> {
    let query = "SELECT l.pid::text FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE l.locktype = 'advisory' \
                 AND d.datname = current_database()";
    home.texts(query).await
}

#[tokio::test]
async fn compiled_migrations_and_reading_work_through_a_pooler_and_leave_no_lock_in_it() {
    for kind in KINDS {
        let pooler = Pgbouncer::start(&server_url(Engine::Postgres), kind);
        for site in [Site::Postgres, Site::PostgresSchema] {
            with(site, async |home: &Home| {
                let tenant = Arc::new(behind(&pooler, home));
                let fleet = Fleet::of(&two()).await;
                assert_eq!(fleet.observe(&tenant).await.state.name(), "empty", "{kind}");
                for expected in ["migrated", "up_to_date"] {
                    let record = fleet.up(&tenant).await;
                    assert_eq!(record.outcome.name(), expected, "{kind}: {record:?}");
                    assert_eq!(advisory_locks(home).await, [""; 0], "{kind}");
                }
                assert_eq!(fleet.observe(&tenant).await.state.name(), "at_target");
                let mut session = fleet.database().connect(&tenant).await.unwrap();
                let tables = session.shape().await.unwrap().tables;
                assert_eq!(tables.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["people"]);
                assert_eq!(session.row_counts(&["people".to_owned()]).await.unwrap(), [0]);
                session.close().await;
                assert_eq!(fleet.down(&tenant).await.outcome.name(), "rolled_back");
                assert_eq!(fleet.up(&tenant).await.outcome.name(), "migrated", "again, over the same pooled sessions");
                assert_eq!(advisory_locks(home).await, [""; 0], "{kind}");
            })
            .await;
        }
    }
}

#[tokio::test]
async fn what_needs_a_session_is_refused_behind_a_pooler_before_anything_is_touched() {
    for kind in KINDS {
        let pooler = Pgbouncer::start(&server_url(Engine::Postgres), kind);
        with(Site::Postgres, async |home: &Home| {
            let tenant = Arc::new(behind(&pooler, home));
            for (migrations, native, name) in [(concurrently(), false, "m2"), (two(), true, "m1")] {
                let record = Fleet::of(&migrations).await.native(native).up(&tenant).await;
                assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::Pooler }, "{kind}: {record:?}");
                let text = record.error.unwrap().message;
                assert!(text.starts_with(name) && text.contains("set migration_url"), "{text}");
                assert_eq!(record.attempts, 1, "it would be the same each time");
                assert_eq!(home.all_tables().await, [""; 0], "{kind}: the step before it was not begun either");
                assert_eq!(advisory_locks(home).await, [""; 0], "{kind}");
            }
        })
        .await;
    }
}

#[tokio::test]
async fn the_migration_url_leads_past_the_pooler() {
    let pooler = Pgbouncer::start(&server_url(Engine::Postgres), "");
    with(Site::Postgres, async |home: &Home| {
        let direct = home.tenant.address.clone();
        let tenant = Arc::new(Tenant { migration_address: Some(direct), ..behind(&pooler, home) });
        let record = Fleet::of(&concurrently()).await.up(&tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
        assert_eq!(advisory_locks(home).await, [""; 0]);
        assert_eq!(home.tables().await, ["people"]);
    })
    .await;
}
