//! A user's dashboard layout and preferences.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{BaseColumns, drop_tables, index, table, unique};
use crate::touch;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(dashboard_layouts(manager)).await?;
        manager.create_table(user_preferences(manager)).await?;
        for index in [
            index("dashboard_layouts_user_id_idx", "dashboard_layouts", ["user_id"]),
            index("dashboard_layouts_user_id_is_default_idx", "dashboard_layouts", ["user_id", "is_default"]),
        ] {
            manager.create_index(index).await?;
        }
        touch::keep(manager, "dashboard_layouts").await?;
        touch::keep(manager, "user_preferences").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, ["user_preferences", "dashboard_layouts"]).await?;
        touch::forget(manager, "user_preferences").await?;
        touch::forget(manager, "dashboard_layouts").await
    }
}

fn dashboard_layouts(manager: &SchemaManager<'_>) -> TableCreateStatement {
    let name = "dashboard_layouts";
    table(name)
        .col(uuid("user_id"))
        .col(string_len("name", 100))
        .col(boolean("is_default").default(false))
        .col(json("widgets"))
        .col(timestamp_with_time_zone_default_now("created_at"))
        .col(touch::updated_at(manager))
        .references(name, "user_id", "users", ForeignKeyAction::Cascade)
        .to_owned()
}

fn user_preferences(manager: &SchemaManager<'_>) -> TableCreateStatement {
    let name = "user_preferences";
    table(name)
        .col(uuid("user_id"))
        .col(boolean("compact_mode").default(false))
        .col(string_len("color_scheme", 20).default("system"))
        .col(string_len("default_view", 40).default("overview"))
        .col(boolean("realtime_updates").default(true))
        .col(json_null("notifications"))
        .col(timestamp_with_time_zone_default_now("created_at"))
        .col(touch::updated_at(manager))
        .index(&mut unique("user_preferences_user_id_key", ["user_id"]))
        .references(name, "user_id", "users", ForeignKeyAction::Cascade)
        .to_owned()
}
