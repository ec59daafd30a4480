//! The cost of a product in a month.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "cost_tracking")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(unique_key = "tenant_product_period")]
    pub tenant_id: Uuid,
    #[sea_orm(unique_key = "tenant_product_period")]
    pub product_id: Uuid,
    #[sea_orm(unique_key = "tenant_product_period")]
    pub period: Date,
    pub units_purchased: i32,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))")]
    pub purchase_cost: Decimal,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))")]
    pub ordering_cost: Decimal,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))")]
    pub holding_cost: Decimal,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))")]
    pub total_cost: Decimal,
    pub annual_demand: Option<i32>,
    pub economic_order_quantity: Option<i32>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "tenant_id", to = "id")]
    pub tenant: BelongsTo<super::tenants::Entity>,
    #[sea_orm(belongs_to, from = "product_id", to = "id")]
    pub product: BelongsTo<super::products::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
