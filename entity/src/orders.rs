//! What a customer bought.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "orders")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(unique_key = "tenant_number")]
    pub tenant_id: Uuid,
    pub placed_by: Option<Uuid>,
    #[sea_orm(column_type = "String(StringLen::N(32))", unique_key = "tenant_number")]
    pub number: String,
    #[sea_orm(column_type = "String(StringLen::N(20))")]
    pub status: String,
    #[sea_orm(column_type = "Char(Some(3))")]
    pub currency: String,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))")]
    pub total: Decimal,
    #[sea_orm(column_type = "Text", nullable)]
    pub notes: Option<String>,
    pub placed_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "tenant_id", to = "id")]
    pub tenant: BelongsTo<super::tenants::Entity>,
    #[sea_orm(belongs_to, from = "placed_by", to = "id")]
    pub user: BelongsTo<Option<super::users::Entity>>,
    #[sea_orm(has_many)]
    pub order_items: HasMany<super::order_items::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
