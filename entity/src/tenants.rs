//! A company: all other rows in its database belong to this row.

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
    #[sea_orm(has_many)]
    pub categories: HasMany<super::categories::Entity>,
    #[sea_orm(has_many)]
    pub brands: HasMany<super::brands::Entity>,
    #[sea_orm(has_many)]
    pub products: HasMany<super::products::Entity>,
    #[sea_orm(has_many)]
    pub customers: HasMany<super::customers::Entity>,
    #[sea_orm(has_many)]
    pub archive_transactions: HasMany<super::archive_transactions::Entity>,
    #[sea_orm(has_many)]
    pub expenses: HasMany<super::expenses::Entity>,
    #[sea_orm(has_many)]
    pub suppliers: HasMany<super::suppliers::Entity>,
    #[sea_orm(has_many)]
    pub supplier_accounts: HasMany<super::supplier_accounts::Entity>,
    #[sea_orm(has_many)]
    pub budgets: HasMany<super::budgets::Entity>,
    #[sea_orm(has_many)]
    pub cost_tracking: HasMany<super::cost_tracking::Entity>,
    #[sea_orm(has_many)]
    pub shipments: HasMany<super::shipments::Entity>,
    #[sea_orm(has_one)]
    pub benchmark_participation: HasOne<super::benchmark_participation::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
