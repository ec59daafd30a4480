//! A person who signs in.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(unique_key = "tenant_email")]
    pub tenant_id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(254))", unique_key = "tenant_email")]
    pub email: String,
    #[sea_orm(column_type = "String(StringLen::N(200))")]
    pub full_name: String,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub password_hash: String,
    #[sea_orm(column_type = "String(StringLen::N(20))")]
    pub role: String,
    pub is_active: bool,
    pub last_login_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "tenant_id", to = "id")]
    pub tenant: BelongsTo<super::tenants::Entity>,
    #[sea_orm(has_many)]
    pub orders: HasMany<super::orders::Entity>,
    #[sea_orm(has_many)]
    pub audit_logs: HasMany<super::audit_logs::Entity>,
    #[sea_orm(has_many)]
    pub api_keys: HasMany<super::api_keys::Entity>,
    #[sea_orm(has_many)]
    pub inventory_transactions: HasMany<super::inventory_transactions::Entity>,
    #[sea_orm(has_many)]
    pub dashboard_layouts: HasMany<super::dashboard_layouts::Entity>,
    #[sea_orm(has_one)]
    pub user_preferences: HasOne<super::user_preferences::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
