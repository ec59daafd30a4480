//! The present price of a product on a platform.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "marketplace_data")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(unique_key = "product_platform")]
    pub product_id: Uuid,
    #[sea_orm(unique_key = "product_platform")]
    pub platform_id: Uuid,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))", nullable)]
    pub market_price: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))", nullable)]
    pub lowest_ask: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))", nullable)]
    pub highest_bid: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))", nullable)]
    pub last_sale_price: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((6, 4)))", nullable)]
    pub fee_rate: Option<Decimal>,
    pub is_available: bool,
    pub is_repriced: bool,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))", nullable)]
    pub lowest_own_price: Option<Decimal>,
    pub fetched_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "product_id", to = "id")]
    pub product: BelongsTo<super::products::Entity>,
    #[sea_orm(belongs_to, from = "platform_id", to = "id")]
    pub platform: BelongsTo<super::platforms::Entity>,
    #[sea_orm(has_many)]
    pub marketplace_price_history: HasMany<super::marketplace_price_history::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
