//! The budget of a period, and the amount spent.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "budgets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub product_id: Option<Uuid>,
    #[sea_orm(column_type = "String(StringLen::N(200))")]
    pub name: String,
    pub period_start: Date,
    pub period_end: Date,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))")]
    pub budgeted_amount: Decimal,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))")]
    pub actual_amount: Decimal,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))", nullable)]
    pub variance: Option<Decimal>,
    #[sea_orm(column_type = "Char(Some(3))")]
    pub currency: String,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "tenant_id", to = "id")]
    pub tenant: BelongsTo<super::tenants::Entity>,
    #[sea_orm(belongs_to, from = "product_id", to = "id")]
    pub product: BelongsTo<Option<super::products::Entity>>,
}

impl ActiveModelBehavior for ActiveModel {}
