//! A tenant's consent to comparison, and its pseudonym.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "benchmark_participation")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(unique)]
    pub tenant_id: Uuid,
    #[sea_orm(unique)]
    pub anonymous_id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
    pub cohort: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(60))", nullable)]
    pub industry: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(20))", nullable)]
    pub size: Option<String>,
    pub is_participating: bool,
    pub joined_at: Option<DateTimeUtc>,
    pub left_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "tenant_id", to = "id")]
    pub tenant: BelongsTo<super::tenants::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
