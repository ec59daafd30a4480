//! An item in a shipment.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "shipment_items")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub shipment_id: Uuid,
    pub product_id: Uuid,
    pub order_item_id: Option<Uuid>,
    pub quantity: i32,
    pub created_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "shipment_id", to = "id")]
    pub shipment: BelongsTo<super::shipments::Entity>,
    #[sea_orm(belongs_to, from = "product_id", to = "id")]
    pub product: BelongsTo<super::products::Entity>,
    #[sea_orm(belongs_to, from = "order_item_id", to = "id")]
    pub order_item: BelongsTo<Option<super::order_items::Entity>>,
}

impl ActiveModelBehavior for ActiveModel {}
