//! A parcel on its way to the customer.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "shipments")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub order_id: Uuid,
    pub tenant_id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(40))")]
    pub carrier: String,
    #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
    pub tracking_number: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(500))", nullable)]
    pub tracking_url: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(20))")]
    pub status: String,
    pub shipped_at: Option<DateTimeUtc>,
    pub estimated_delivery_at: Option<DateTimeUtc>,
    pub delivered_at: Option<DateTimeUtc>,
    pub has_exception: bool,
    #[sea_orm(column_type = "Text", nullable)]
    pub exception_reason: Option<String>,
    pub raw_tracking: Option<Json>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "order_id", to = "id")]
    pub order: BelongsTo<super::orders::Entity>,
    #[sea_orm(belongs_to, from = "tenant_id", to = "id")]
    pub tenant: BelongsTo<super::tenants::Entity>,
    #[sea_orm(has_many)]
    pub shipment_events: HasMany<super::shipment_events::Entity>,
    #[sea_orm(has_many)]
    pub shipment_items: HasMany<super::shipment_items::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
