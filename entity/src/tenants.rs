//! A company: everything else in its database hangs below this row.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tenants")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(63))", unique)]
    pub slug: String,
    #[sea_orm(column_type = "String(StringLen::N(200))")]
    pub name: String,
    #[sea_orm(column_type = "String(StringLen::N(20))")]
    pub plan: String,
    #[sea_orm(column_type = "String(StringLen::N(20))")]
    pub status: String,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    #[sea_orm(has_many)]
    pub users: HasMany<super::users::Entity>,
    #[sea_orm(has_many)]
    pub inventory_items: HasMany<super::inventory_items::Entity>,
    #[sea_orm(has_many)]
    pub orders: HasMany<super::orders::Entity>,
    #[sea_orm(has_many)]
    pub audit_logs: HasMany<super::audit_logs::Entity>,
    #[sea_orm(has_many)]
    pub tenant_features: HasMany<super::tenant_features::Entity>,
    #[sea_orm(has_many)]
    pub tenant_settings: HasMany<super::tenant_settings::Entity>,
    #[sea_orm(has_many)]
    pub api_keys: HasMany<super::api_keys::Entity>,
    #[sea_orm(has_many)]
    pub billing_cycles: HasMany<super::billing_cycles::Entity>,
    #[sea_orm(has_many)]
    pub locations: HasMany<super::locations::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
