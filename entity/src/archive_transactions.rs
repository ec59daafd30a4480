//! The sales of the previous system, as they were typed; no rows are added any more.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "archive_transactions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub tenant_id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(64))", nullable)]
    pub item_sku: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(64))", nullable)]
    pub platform: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(64))", nullable)]
    pub external_id: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(64))", nullable)]
    pub order_number: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(64))", nullable)]
    pub amount: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(64))", nullable)]
    pub fee: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(64))", nullable)]
    pub shipping: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(64))", nullable)]
    pub sold_on: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(64))", nullable)]
    pub status: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
    pub buyer_city: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
    pub buyer_country: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub notes: Option<String>,
    #[sea_orm(belongs_to, from = "tenant_id", to = "id")]
    pub tenant: BelongsTo<super::tenants::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
