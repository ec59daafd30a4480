//! Data: what it writes depends on what it reads, so there is no SQL to compile and it runs through SeaORM itself.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{self, ActiveModelTrait, EntityTrait, Set};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// (code, title, monthly price in cents, seats)
const PLANS: [(&str, &str, i64, i32); 3] =
    [("starter", "Starter", 900, 3), ("team", "Team", 4900, 25), ("enterprise", "Enterprise", 49000, 500)];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        for (code, title, cents, seats) in PLANS {
            let plan = plan::ActiveModel {
                code: Set(code.to_owned()),
                title: Set(title.to_owned()),
                monthly_price: Set(sea_orm::prelude::Decimal::new(cents, 2)),
                seats: Set(seats),
            };
            plan.insert(db).await?;
        }
        // A plan for many people says so in its title.
        for found in plan::Entity::find().all(db).await?.into_iter().filter(|plan| plan.seats >= 100) {
            let title = format!("{} (up to {} seats)", found.title, found.seats);
            let mut plan: plan::ActiveModel = found.into();
            plan.title = Set(title);
            plan.update(db).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Only its own: the service may have added plans since.
        let own = PLANS.map(|(code, ..)| code);
        let delete = Query::delete().from_table("plans").and_where(Expr::col("code").is_in(own)).to_owned();
        manager.execute(delete).await
    }
}

/// The table as it was on the day of this migration: the service's own entity will move on.
mod plan {
    use super::sea_orm::{self, entity::prelude::*};

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "plans")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) code: String,
        pub(crate) title: String,
        pub(crate) monthly_price: Decimal,
        pub(crate) seats: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
