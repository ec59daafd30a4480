//! An article in stock, with its label and its reorder level.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "inventory_items")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(unique_key = "tenant_sku")]
    pub tenant_id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(200))")]
    pub name: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub description: Option<String>,
    pub quantity: i32,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))")]
    pub unit_price: Decimal,
    #[sea_orm(column_type = "String(StringLen::N(20))")]
    pub status: String,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    #[sea_orm(column_type = "String(StringLen::N(64))", nullable, unique_key = "tenant_sku")]
    pub sku: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(64))", nullable)]
    pub barcode: Option<String>,
    pub reorder_point: i32,
    pub reorder_quantity: i32,
    pub product_id: Option<Uuid>,
    pub supplier_id: Option<Uuid>,
    #[sea_orm(column_type = "Decimal(Some((12, 2)))", nullable)]
    pub purchase_price: Option<Decimal>,
    pub purchased_on: Option<Date>,
    #[sea_orm(column_type = "String(StringLen::N(20))", nullable)]
    pub item_condition: Option<String>,
    #[sea_orm(belongs_to, from = "tenant_id", to = "id")]
    pub tenant: BelongsTo<super::tenants::Entity>,
    #[sea_orm(has_many)]
    pub order_items: HasMany<super::order_items::Entity>,
    #[sea_orm(has_many)]
    pub inventory_transactions: HasMany<super::inventory_transactions::Entity>,
    #[sea_orm(belongs_to, from = "product_id", to = "id")]
    pub product: BelongsTo<Option<super::products::Entity>>,
    #[sea_orm(belongs_to, from = "supplier_id", to = "id")]
    pub supplier: BelongsTo<Option<super::suppliers::Entity>>,
}

impl ActiveModelBehavior for ActiveModel {}
