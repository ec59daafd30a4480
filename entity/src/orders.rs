//! A customer's order.

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
    pub customer_id: Option<Uuid>,
    #[sea_orm(column_type = "String(StringLen::N(64))", nullable)]
    pub stockx_order_number: Option<String>,
    pub sold_at: Option<DateTimeUtc>,
    #[sea_orm(column_type = "Decimal(Some((14, 2)))", nullable)]
    pub vat_amount: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((6, 4)))", nullable)]
    pub vat_rate: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 2)))", nullable)]
    pub gross_buy: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 2)))", nullable)]
    pub net_buy: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 2)))", nullable)]
    pub gross_sale: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 2)))", nullable)]
    pub net_proceeds: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 2)))", nullable)]
    pub gross_profit: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((14, 2)))", nullable)]
    pub net_profit: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((18, 4)))", nullable)]
    pub roi: Option<Decimal>,
    pub payout_received: bool,
    pub payout_date: Option<Date>,
    pub shelf_life_days: Option<i32>,
    #[sea_orm(unique_key = "platform_external")]
    pub platform_id: Option<Uuid>,
    #[sea_orm(column_type = "String(StringLen::N(64))", nullable, unique_key = "platform_external")]
    pub external_id: Option<String>,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))", nullable)]
    pub platform_fee: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))", nullable)]
    pub shipping_cost: Option<Decimal>,
    #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
    pub buyer_city: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
    pub buyer_region: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(20))", nullable)]
    pub buyer_postcode: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
    pub buyer_country: Option<String>,
    #[sea_orm(unique)]
    pub legacy_transaction_id: Option<i64>,
    #[sea_orm(belongs_to, from = "tenant_id", to = "id")]
    pub tenant: BelongsTo<super::tenants::Entity>,
    #[sea_orm(belongs_to, from = "placed_by", to = "id")]
    pub user: BelongsTo<Option<super::users::Entity>>,
    #[sea_orm(has_many)]
    pub order_items: HasMany<super::order_items::Entity>,
    #[sea_orm(belongs_to, from = "customer_id", to = "id")]
    pub customer: BelongsTo<Option<super::customers::Entity>>,
    #[sea_orm(belongs_to, from = "platform_id", to = "id")]
    pub platform: BelongsTo<Option<super::platforms::Entity>>,
    #[sea_orm(has_many)]
    pub expenses: HasMany<super::expenses::Entity>,
    #[sea_orm(has_many)]
    pub shipments: HasMany<super::shipments::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
