//! Comparison of a tenant with similar ones, without naming them.
//!
//! A snapshot never names a tenant, and there is none of fewer than five.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{BaseColumns, drop_tables, index, table, unique};
use crate::touch;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// The compared metrics; each at four percentiles.
const METRICS: [&str; 5] =
    ["product_count", "order_frequency", "stockout_rate", "forecast_accuracy", "inventory_turnover"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(participation(manager)).await?;
        manager.create_table(snapshots()).await?;
        for index in [
            index(
                "benchmark_participation_cohort_is_participating_idx",
                "benchmark_participation",
                ["cohort", "is_participating"],
            ),
            index("benchmark_snapshots_period_idx", "benchmark_snapshots", ["period"]),
        ] {
            manager.create_index(index).await?;
        }
        touch::keep(manager, "benchmark_participation").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, ["benchmark_snapshots", "benchmark_participation"]).await?;
        touch::forget(manager, "benchmark_participation").await
    }
}

fn participation(manager: &SchemaManager<'_>) -> TableCreateStatement {
    let name = "benchmark_participation";
    table(name)
        .of_tenant(name)
        .col(uuid("anonymous_id"))
        .col(string_len_null("cohort", 100))
        .col(string_len_null("industry", 60))
        .col(string_len_null("size", 20))
        // A tenant takes part only if it has opted in.
        .col(boolean("is_participating").default(false))
        .col(timestamp_with_time_zone_null("joined_at"))
        .col(timestamp_with_time_zone_null("left_at"))
        .col(timestamp_with_time_zone_default_now("created_at"))
        .col(touch::updated_at(manager))
        .index(&mut unique("benchmark_participation_client_id_key", ["tenant_id"]))
        .index(&mut unique("benchmark_participation_anonymous_id_key", ["anonymous_id"]))
        .to_owned()
}

fn snapshots() -> TableCreateStatement {
    let mut snapshots = table("benchmark_snapshots");
    snapshots.col(string_len("cohort", 100)).col(date("period")).col(integer("participant_count"));
    for metric in METRICS {
        for percentile in ["p25", "p50", "p75", "p90"] {
            snapshots.col(decimal_len_null(format!("{metric}_{percentile}"), 14, 4));
        }
    }
    snapshots
        .col(timestamp_with_time_zone_default_now("created_at"))
        .index(&mut unique("benchmark_snapshots_cohort_period_key", ["cohort", "period"]))
        .check(("benchmark_snapshots_participant_count_check", Expr::col("participant_count").gte(5)))
        .to_owned()
}
