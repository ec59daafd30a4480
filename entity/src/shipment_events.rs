//! An event of a shipment.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "shipment_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub shipment_id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(40))")]
    pub status: String,
    #[sea_orm(column_type = "String(StringLen::N(200))", nullable)]
    pub location: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub description: Option<String>,
    pub event_time: DateTimeUtc,
    pub raw_data: Option<Json>,
    pub created_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "shipment_id", to = "id")]
    pub shipment: BelongsTo<super::shipments::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
