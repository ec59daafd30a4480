//! The tables of version 1, as programs before these migrations created them. Ledgers of that version have them
//! already.

use sea_orm_migration::prelude::*;

use super::{long_text, run_id, table};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0001_tables"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let text = |name| long_text(manager, name).not_null().to_owned();
        let number = |name: &'static str| ColumnDef::new(name).big_integer().not_null().to_owned();
        let short = |name: &'static str, length| ColumnDef::new(name).string_len(length).not_null().to_owned();
        let by = |second: &'static str| Index::create().col("run").col(second).to_owned();

        let mut version = table(manager, "fleet_ledger");
        version.col(ColumnDef::new("version").integer().not_null().primary_key());

        let mut run = table(manager, "fleet_run");
        run.col(run_id().primary_key())
            .col(short("direction", 16))
            .col(text("goal"))
            .col(text("goal_data"))
            .col(ColumnDef::new("resumes").string_len(36))
            .col(text("catalog"))
            .col(text("program"))
            .col(number("selected"))
            .col(number("started_at_ms"))
            .col(ColumnDef::new("finished_at_ms").big_integer())
            .col(long_text(manager, "stats"));

        let mut tenant = table(manager, "fleet_tenant");
        tenant.col(run_id()).col(number("place")).col(text("tenant")).col(short("engine", 16)).col(text("server"));
        tenant.col(text("wave")).col(long_text(manager, "target")).primary_key(&mut by("place"));

        let mut outcome = table(manager, "fleet_outcome");
        outcome.col(run_id()).col(number("place")).col(short("outcome", 32)).col(number("at_ms")).col(text("record"));
        outcome.primary_key(&mut by("place"));

        let mut attempt = table(manager, "fleet_attempt");
        attempt.col(run_id()).col(number("seq")).col(number("place")).col(number("attempt"));
        attempt.col(number("started_at_ms")).col(number("ended_at_ms")).col(long_text(manager, "fault"));
        attempt.col(ColumnDef::new("retry_in_ms").big_integer()).primary_key(&mut by("seq"));

        for table in [version, run, tenant, outcome, attempt] {
            manager.create_table(table).await?;
        }
        Ok(())
    }
}
