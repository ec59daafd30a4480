//! A supplier of goods.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "suppliers")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(unique_key = "tenant_name")]
    pub tenant_id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(200))", unique_key = "tenant_name")]
    pub name: String,
    #[sea_orm(column_type = "String(StringLen::N(254))", nullable)]
    pub email: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(255))", nullable)]
    pub website: Option<String>,
    #[sea_orm(column_type = "Char(Some(2))", nullable)]
    pub country: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(20))")]
    pub status: String,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    pub deleted_at: Option<DateTimeUtc>,
    pub is_deleted: bool,
    #[sea_orm(column_type = "Decimal(Some((3, 2)))", nullable)]
    pub rating: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((18, 4)))", nullable)]
    pub average_roi: Option<Decimal>,
    #[sea_orm(belongs_to, from = "tenant_id", to = "id")]
    pub tenant: BelongsTo<super::tenants::Entity>,
    #[sea_orm(has_many)]
    pub supplier_accounts: HasMany<super::supplier_accounts::Entity>,
    #[sea_orm(has_many)]
    pub inventory_items: HasMany<super::inventory_items::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
