//! A sales platform. Every tenant has the same five initially.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "platforms")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(40))", unique)]
    pub code: String,
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub name: String,
    #[sea_orm(column_type = "Decimal(Some((6, 4)))", nullable)]
    pub fee_rate: Option<Decimal>,
    pub settings: Option<Json>,
    pub is_active: bool,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    #[sea_orm(has_many)]
    pub orders: HasMany<super::orders::Entity>,
    #[sea_orm(has_many)]
    pub marketplace_data: HasMany<super::marketplace_data::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
