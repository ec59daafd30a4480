//! A user's preferences; one row per user.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_preferences")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(unique)]
    pub user_id: Uuid,
    pub compact_mode: bool,
    #[sea_orm(column_type = "String(StringLen::N(20))")]
    pub color_scheme: String,
    #[sea_orm(column_type = "String(StringLen::N(40))")]
    pub default_view: String,
    pub realtime_updates: bool,
    pub notifications: Option<Json>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::users::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
