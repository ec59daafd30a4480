//! A buyer.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "customers")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(unique_key = "tenant_email")]
    pub tenant_id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(254))", unique_key = "tenant_email")]
    pub email: String,
    #[sea_orm(column_type = "String(StringLen::N(200))")]
    pub full_name: String,
    #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
    pub city: Option<String>,
    #[sea_orm(column_type = "Char(Some(2))", nullable)]
    pub country: Option<String>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    pub deleted_at: Option<DateTimeUtc>,
    pub is_deleted: bool,
    pub version: i32,
    #[sea_orm(belongs_to, from = "tenant_id", to = "id")]
    pub tenant: BelongsTo<super::tenants::Entity>,
    #[sea_orm(has_many)]
    pub orders: HasMany<super::orders::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
