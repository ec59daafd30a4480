//! A stock movement: in is positive, out negative.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "inventory_transactions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub inventory_item_id: Uuid,
    pub location_id: Option<Uuid>,
    pub performed_by: Option<Uuid>,
    #[sea_orm(column_type = "String(StringLen::N(20))")]
    pub kind: String,
    pub quantity_change: i32,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))", nullable)]
    pub unit_cost: Option<Decimal>,
    #[sea_orm(column_type = "String(StringLen::N(64))", nullable)]
    pub reference: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub notes: Option<String>,
    pub occurred_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "inventory_item_id", to = "id")]
    pub inventory_item: BelongsTo<super::inventory_items::Entity>,
    #[sea_orm(belongs_to, from = "location_id", to = "id")]
    pub location: BelongsTo<Option<super::locations::Entity>>,
    #[sea_orm(belongs_to, from = "performed_by", to = "id")]
    pub user: BelongsTo<Option<super::users::Entity>>,
}

impl ActiveModelBehavior for ActiveModel {}
