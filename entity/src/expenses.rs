//! An expense, for an order or for none.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "expenses")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(40))")]
    pub category: String,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))")]
    pub amount: Decimal,
    #[sea_orm(column_type = "Char(Some(3))")]
    pub currency: String,
    pub incurred_on: Date,
    #[sea_orm(column_type = "Text", nullable)]
    pub notes: Option<String>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    pub order_id: Option<Uuid>,
    pub legacy_transaction_id: Option<i64>,
    #[sea_orm(belongs_to, from = "tenant_id", to = "id")]
    pub tenant: BelongsTo<super::tenants::Entity>,
    #[sea_orm(belongs_to, from = "order_id", to = "id")]
    pub order: BelongsTo<Option<super::orders::Entity>>,
}

impl ActiveModelBehavior for ActiveModel {}
