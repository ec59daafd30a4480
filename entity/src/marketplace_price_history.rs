//! The price of a product on a platform on a former day.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "marketplace_price_history")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub marketplace_data_id: Uuid,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))")]
    pub market_price: Decimal,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))", nullable)]
    pub lowest_ask: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))", nullable)]
    pub highest_bid: Option<Decimal>,
    pub observed_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "marketplace_data_id", to = "id")]
    pub marketplace_data: BelongsTo<super::marketplace_data::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
