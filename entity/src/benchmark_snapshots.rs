//! The results of a cohort of at least five tenants in a period.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "benchmark_snapshots")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(100))", unique_key = "cohort_period")]
    pub cohort: String,
    #[sea_orm(unique_key = "cohort_period")]
    pub period: Date,
    pub participant_count: i32,
    #[sea_orm(column_type = "Decimal(Some((14, 4)))", nullable)]
    pub product_count_p25: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 4)))", nullable)]
    pub product_count_p50: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 4)))", nullable)]
    pub product_count_p75: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 4)))", nullable)]
    pub product_count_p90: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 4)))", nullable)]
    pub order_frequency_p25: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 4)))", nullable)]
    pub order_frequency_p50: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 4)))", nullable)]
    pub order_frequency_p75: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 4)))", nullable)]
    pub order_frequency_p90: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 4)))", nullable)]
    pub stockout_rate_p25: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 4)))", nullable)]
    pub stockout_rate_p50: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 4)))", nullable)]
    pub stockout_rate_p75: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 4)))", nullable)]
    pub stockout_rate_p90: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 4)))", nullable)]
    pub forecast_accuracy_p25: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 4)))", nullable)]
    pub forecast_accuracy_p50: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 4)))", nullable)]
    pub forecast_accuracy_p75: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 4)))", nullable)]
    pub forecast_accuracy_p90: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 4)))", nullable)]
    pub inventory_turnover_p25: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 4)))", nullable)]
    pub inventory_turnover_p50: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 4)))", nullable)]
    pub inventory_turnover_p75: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 4)))", nullable)]
    pub inventory_turnover_p90: Option<Decimal>,
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
