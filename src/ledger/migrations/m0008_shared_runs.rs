//! Runs that several runners share, the claims on their tenants, and the runners.

use sea_orm_migration::prelude::*;

use super::{long_text, run_id, table};

pub(super) struct Migration;

pub(super) const NAME: &str = "m0008_shared_runs";

/// The longest name of a runner, and of a queue, in characters.
const LONGEST: u32 = 200;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        NAME
    }
}

fn number(name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.big_integer().not_null();
    column
}

fn text(name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.string_len(LONGEST);
    column
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut shared = table(manager, "fleet_shared_run");
        shared.col(run_id().primary_key()).col(number("lease_ms")).col(number("held_back"));
        shared.col(long_text(manager, "terms").not_null());
        shared.col(text("leader")).col(number("token")).col(number("until_ms"));
        manager.create_table(shared).await?;
        let mut claim = table(manager, "fleet_claim");
        claim.col(run_id()).col(number("place")).col(text("queue").not_null());
        claim.col(text("runner")).col(number("token")).col(number("until_ms"));
        claim.primary_key(Index::create().col("run").col("place"));
        manager.create_table(claim).await?;
        let mut runner = table(manager, "fleet_runner");
        runner.col(run_id()).col(text("runner").not_null()).col(number("since_ms")).col(number("seen_ms"));
        runner.primary_key(Index::create().col("run").col("runner"));
        manager.create_table(runner).await
    }
}
