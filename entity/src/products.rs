//! An article for sale, whether in stock or not.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "products")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub brand_id: Option<Uuid>,
    pub category_id: Option<Uuid>,
    #[sea_orm(column_type = "String(StringLen::N(100))", unique)]
    pub sku: String,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub name: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub description: Option<String>,
    pub attributes: Option<Json>,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))", nullable)]
    pub retail_price: Option<Decimal>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    pub deleted_at: Option<DateTimeUtc>,
    pub is_deleted: bool,
    pub version: i32,
    pub released_on: Option<Date>,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))", nullable)]
    pub unit_cost: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))", nullable)]
    pub unit_price: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))", nullable)]
    pub reorder_cost: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((6, 4)))", nullable)]
    pub holding_cost_rate: Option<Decimal>,
    pub last_cost_update: Option<DateTimeUtc>,
    #[sea_orm(column_type = "String(StringLen::N(40))", nullable)]
    pub cost_source: Option<String>,
    pub supplier_lead_days: Option<i32>,
    pub shipping_lead_days: Option<i32>,
    pub processing_lead_days: Option<i32>,
    pub safety_buffer_days: Option<i32>,
    pub total_lead_days: Option<i32>,
    #[sea_orm(column_type = "String(StringLen::N(40))", nullable)]
    pub lead_time_source: Option<String>,
    pub projected_stockout_date: Option<Date>,
    pub last_order_by_date: Option<Date>,
    pub timing_last_calculated: Option<DateTimeUtc>,
    #[sea_orm(belongs_to, from = "tenant_id", to = "id")]
    pub tenant: BelongsTo<super::tenants::Entity>,
    #[sea_orm(belongs_to, from = "brand_id", to = "id")]
    pub brand: BelongsTo<Option<super::brands::Entity>>,
    #[sea_orm(belongs_to, from = "category_id", to = "id")]
    pub category: BelongsTo<Option<super::categories::Entity>>,
    #[sea_orm(has_many)]
    pub inventory_items: HasMany<super::inventory_items::Entity>,
    #[sea_orm(has_many)]
    pub marketplace_data: HasMany<super::marketplace_data::Entity>,
    #[sea_orm(has_many)]
    pub budgets: HasMany<super::budgets::Entity>,
    #[sea_orm(has_many)]
    pub cost_tracking: HasMany<super::cost_tracking::Entity>,
    #[sea_orm(has_many)]
    pub shipment_items: HasMany<super::shipment_items::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
