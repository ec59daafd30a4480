//! A catalog of many small Rust migrations: every tenth makes a table, the others put a row into it.

use sea_orm_migration::prelude::*;

/// The catalog; the environment variable `MANY` is the number of its migrations, 100 without it.
#[derive(Debug)]
pub struct ManyMigrator;

struct Small {
    number: i32,
    name: String,
}

impl MigrationName for Small {
    fn name(&self) -> &str {
        &self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Small {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = format!("t{}", self.number / 10 * 10);
        if self.number % 10 == 0 {
            let id = ColumnDef::new("id").integer().to_owned();
            return manager.create_table(Table::create().table(table).col(id).to_owned()).await;
        }
        let row = Query::insert().into_table(table).columns(["id"]).values_panic([self.number.into()]).to_owned();
        manager.execute(row).await
    }
}

#[async_trait::async_trait]
impl MigratorTrait for ManyMigrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let count = std::env::var("MANY").ok().and_then(|count| count.parse().ok()).unwrap_or(100);
        let small = |number| Small { number, name: format!("m20260101_{number:06}_small") };
        (0..count).map(|number| Box::new(small(number)) as Box<dyn MigrationTrait>).collect()
    }
}
