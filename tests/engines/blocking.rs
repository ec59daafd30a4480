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
    for site in [Site::Sqlite, Site::Postgres, Site::Mariadb] {
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
