//! One suite for all engines: the state of a tenant's database, seen from outside.
//!
//! Each behaviour is written once and runs wherever a tenant can live. The servers come from `scripts/servers`; without
//! them a test fails, it is never skipped.
#![expect(clippy::unwrap_used, reason = "the steps of a test panic where they fail")]

#[expect(dead_code, reason = "these tests need no standby and no cluster")]
#[path = "../support/own_servers.rs"]
mod servers;
#[path = "../support/mod.rs"]
mod support;

/// Runs behaviours on every site, each in its own database.
macro_rules! on_every_site {
    ($($behaviour:ident),+ $(,)?) => {$(
        mod $behaviour {
            use crate::engines::support::{Site, with};

            #[tokio::test]
            async fn sqlite() {
                with(Site::Sqlite, super::$behaviour).await;
            }

            #[tokio::test]
            async fn postgres() {
                with(Site::Postgres, super::$behaviour).await;
            }

            #[tokio::test]
            async fn postgres_schema() {
                with(Site::PostgresSchema, super::$behaviour).await;
            }

            #[tokio::test]
            async fn mariadb() {
                with(Site::Mariadb, super::$behaviour).await;
            }

            #[tokio::test]
            async fn mysql() {
                with(Site::Mysql, super::$behaviour).await;
            }
        }
    )+};
}

mod blocking;
mod connections;
mod copying;
mod differences;
mod guards;
mod half_way;
mod hidden;
mod kept_sessions;
mod locks;
mod logins;
mod losses;
mod many_scripts;
mod native_failures;
mod outside;
mod own_servers;
mod phase_two;
mod plain_refusals;
mod poolers;
mod postgres;
mod postgres_clients;
mod postgres_faults;
mod postgres_sessions;
mod proofs;
mod reading;
mod rebuilds;
mod schemas;
mod scratch;
mod script_losses;
mod script_sessions;
mod scripts;
mod seeding;
mod shadows;
mod shapes;
mod shared_by_all;
mod shared_schemas;
mod sqlite;
mod sqlite_sessions;
mod statements;
mod stored_bodies;
mod tls;
mod values;
mod views;
