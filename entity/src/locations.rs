//! A place where stock lies.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "locations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(unique_key = "tenant_code")]
    pub tenant_id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(32))", unique_key = "tenant_code")]
    pub code: String,
    #[sea_orm(column_type = "String(StringLen::N(200))")]
    pub name: String,
    #[sea_orm(column_type = "String(StringLen::N(20))")]
    pub kind: String,
    pub address: Option<Json>,
    pub is_active: bool,
    pub created_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "tenant_id", to = "id")]
    pub tenant: BelongsTo<super::tenants::Entity>,
    #[sea_orm(has_many)]
    pub inventory_transactions: HasMany<super::inventory_transactions::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
