//! One line of an order, at the price of that day.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "order_items")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(unique_key = "order_item")]
    pub order_id: Uuid,
    #[sea_orm(unique_key = "order_item")]
    pub inventory_item_id: Uuid,
    pub quantity: i32,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))")]
    pub unit_price: Decimal,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))")]
    pub line_total: Decimal,
    pub created_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "order_id", to = "id")]
    pub order: BelongsTo<super::orders::Entity>,
    #[sea_orm(belongs_to, from = "inventory_item_id", to = "id")]
    pub inventory_item: BelongsTo<super::inventory_items::Entity>,
    #[sea_orm(has_many)]
    pub shipment_items: HasMany<super::shipment_items::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
