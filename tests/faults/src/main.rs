//! The whole `fleet` program with a catalog that keeps books: lost or repeated work can be read from the tenant.
//!
//! Every migration that changes rows books each change under its own name, so that a missing or duplicate row shows. It
//! is a test program and knows nothing of the faults injected into its runs.

use std::process::ExitCode;

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

struct Books;

#[async_trait::async_trait]
impl MigratorTrait for Books {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(Step { name: "m1_accounts", up: ACCOUNTS, down: &["DROP TABLE bookings", "DROP TABLE accounts"] }),
            Box::new(Step { name: "m2_interest", up: INTEREST, down: INTEREST_BACK }),
            Box::new(Step { name: "m3_currency", up: CURRENCY, down: CURRENCY_BACK }),
            Box::new(Counted),
            Box::new(Step { name: "m5_fees", up: FEES, down: FEES_BACK }),
        ]
    }
}

const ACCOUNTS: &[&str] = &[
    "CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL)",
    "CREATE TABLE bookings (account int NOT NULL, why varchar(20) NOT NULL, amount bigint NOT NULL)",
];
const INTEREST: &[&str] = &[
    "UPDATE accounts SET balance = balance + 7",
    "INSERT INTO bookings (account, why, amount) SELECT id, 'm2_interest', 7 FROM accounts",
];
const INTEREST_BACK: &[&str] =
    &["UPDATE accounts SET balance = balance - 7", "DELETE FROM bookings WHERE why = 'm2_interest'"];
const CURRENCY: &[&str] = &[
    "ALTER TABLE accounts ADD COLUMN currency varchar(3) DEFAULT 'EUR' NOT NULL",
    "CREATE INDEX ix_bookings_account ON bookings (account)",
    "INSERT INTO bookings (account, why, amount) SELECT id, 'm3_currency', 0 FROM accounts",
    "CREATE TABLE currencies (code varchar(3) PRIMARY KEY)",
    "INSERT INTO currencies (code) VALUES ('EUR')",
];
const CURRENCY_BACK: &[&str] = &[
    "DROP TABLE currencies",
    "DELETE FROM bookings WHERE why = 'm3_currency'",
    "DROP INDEX ix_bookings_account ON bookings",
    "ALTER TABLE accounts DROP COLUMN currency",
];
const FEES: &[&str] = &[
    "CREATE TABLE fees (account int PRIMARY KEY, amount bigint NOT NULL)",
    "INSERT INTO fees (account, amount) SELECT id, 3 FROM accounts",
    "UPDATE accounts SET balance = balance - 3",
    "INSERT INTO bookings (account, why, amount) SELECT id, 'm5_fees', -3 FROM accounts",
];
const FEES_BACK: &[&str] =
    &["DELETE FROM bookings WHERE why = 'm5_fees'", "UPDATE accounts SET balance = balance + 3", "DROP TABLE fees"];

/// A migration of plain statements, which is compiled.
struct Step {
    name: &'static str,
    up: &'static [&'static str],
    down: &'static [&'static str],
}

impl MigrationName for Step {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, self.up).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, self.down).await
    }
}

async fn run(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        // Only MySQL needs the table of an index to be named, and only there is it allowed.
        let elsewhere = statement.strip_prefix("DROP INDEX ").and_then(|rest| rest.split_once(" ON "));
        let statement = match elsewhere {
            Some((index, _)) if manager.get_database_backend() != DbBackend::MySql => format!("DROP INDEX {index}"),
            _ => (*statement).to_owned(),
        };
        manager.get_connection().execute_unprepared(&statement).await?;
    }
    Ok(())
}

/// Queries before it writes, so it can't be compiled and runs natively.
struct Counted;

impl MigrationName for Counted {
    fn name(&self) -> &str {
        "m4_counted"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Counted {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let accounts = db
            .query_all_raw(Statement::from_string(
                manager.get_database_backend(),
                "SELECT id FROM accounts ORDER BY id",
            ))
            .await?;
        for account in accounts {
            let id: i32 = account.try_get_by_index(0)?;
            db.execute_unprepared(&format!(
                "INSERT INTO bookings (account, why, amount) VALUES ({id}, 'm4_counted', 0)"
            ))
            .await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &["DELETE FROM bookings WHERE why = 'm4_counted'"]).await
    }
}

fn main() -> ExitCode {
    fleet::cli::main(Books)
}
