//! Rust code that blocks its thread: it holds up neither other tenants nor the run.

use std::sync::{Arc, Barrier};

use sea_orm_migration::prelude::*;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::Migrations;
use crate::engines::support::{Site, with};
use crate::model::schema::Direction;
use crate::run::Cancel;

/// Blocks its thread until the same migration of another tenant has come as far. Its query is refused while it is
/// compiled, so that only tenants meet here.
struct Meets(Arc<Barrier>);

impl MigrationName for Meets {
    fn name(&self) -> &str {
        "m1"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Meets {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        assert!(!manager.has_table("t").await?);
        self.0.wait();
        manager.get_connection().execute_unprepared("CREATE TABLE t (i int)").await.map(drop)
    }
}

/// The runtime of the test has one thread: where the code ran on it, the second tenant would never start.
#[tokio::test]
async fn code_that_blocks_its_thread_does_not_hold_up_another_tenant() {
    for site in [Site::Sqlite, Site::Postgres].into_iter().chain(Site::mysqls()) {
        with(site, async |first| {
            with(site, async |second| {
                let barrier = Arc::new(Barrier::new(2));
                let list = Migrations::new(move || vec![Box::new(Meets(barrier.clone()))]);
                let tenants = [first.tenant.clone(), second.tenant.clone()];
                let records = Fleet::of(&list).await.run(Direction::Up, &tenants, Cancel::default()).await;
                let outcomes: Vec<&str> = records.iter().map(|record| record.outcome.name()).collect();
                assert_eq!(outcomes, ["migrated", "migrated"], "{records:?}");
            })
            .await;
        })
        .await;
    }
}

/// Asks for the limit on silent transactions that the server has for it; `None` leaves the transaction to fleet.
struct Silent(Option<bool>);

impl MigrationName for Silent {
    fn name(&self) -> &str {
        "m1"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Silent {
    fn use_transaction(&self) -> Option<bool> {
        self.0
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        assert!(!manager.has_table("t").await?);
        let ask = "CREATE TABLE t AS SELECT current_setting('idle_in_transaction_session_timeout') AS s";
        manager.get_connection().execute_unprepared(ask).await.map(drop)
    }
}

#[tokio::test]
async fn the_server_does_not_end_a_transaction_of_rust_code_that_is_silent() {
    for transaction in [None, Some(false)] {
        with(Site::Postgres, async |home| {
            let list = Migrations::new(move || vec![Box::new(Silent(transaction))]);
            let record = Fleet::of(&list).await.up(&home.tenant).await;
            assert_eq!(record.outcome.name(), "migrated", "{record:?}");
            assert_eq!(home.texts("SELECT s FROM t").await, ["0"]);
        })
        .await;
    }
}
