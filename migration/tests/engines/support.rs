//! A scratch database on each engine, and questions to it.
//!
//! It knows which tables the migrations create and nothing of their purpose.

use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm_migration::sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement, TryGetable};

/// Every table that the migrations leave.
pub(crate) const TABLES: [&str; 33] = [
    "api_keys",
    "archive_transactions",
    "audit_logs",
    "benchmark_participation",
    "benchmark_snapshots",
    "billing_cycles",
    "brands",
    "budgets",
    "categories",
    "cost_tracking",
    "customers",
    "dashboard_layouts",
    "expenses",
    "inventory_items",
    "inventory_transactions",
    "legacy_rejects",
    "locations",
    "marketplace_data",
    "marketplace_price_history",
    "order_items",
    "orders",
    "platforms",
    "products",
    "shipment_events",
    "shipment_items",
    "shipments",
    "supplier_accounts",
    "suppliers",
    "tenant_features",
    "tenant_settings",
    "tenants",
    "user_preferences",
    "users",
];

/// A database of its own, dropped by [`Scratch::drop`].
pub(crate) struct Scratch {
    pub(crate) db: DatabaseConnection,
    server: Option<(DatabaseConnection, String)>,
    _folder: Option<tempfile::TempDir>,
}

impl Scratch {
    /// An SQLite file.
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}?mode=rwc", folder.path().join("tenant.db").display());
        Scratch { db: Database::connect(url).await.unwrap(), server: None, _folder: Some(folder) }
    }

    /// A database on the server that a variable names.
    pub(crate) async fn on_server(variable: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server_url = std::env::var(variable)
            .unwrap_or_else(|_| panic!("{variable} is not set; run `eval \"$(scripts/servers start)\"` first"));
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        let name = format!("migration_test_{nanos}_{}_{count}", std::process::id());
        let (prefix, _) = server_url.rsplit_once('/').unwrap();
        let server = Database::connect(&server_url).await.unwrap();
        server.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        let db = Database::connect(format!("{prefix}/{name}")).await.unwrap();
        Scratch { db, server: Some((server, name)), _folder: None }
    }

    /// Drops the database; one of a failed test stays to be looked at.
    pub(crate) async fn drop(self) {
        self.db.close().await.unwrap();
        if let Some((server, name)) = self.server {
            server.execute_unprepared(&format!("DROP DATABASE {name}")).await.unwrap();
            server.close().await.unwrap();
        }
    }

    /// The tables but SeaORM's own, sorted.
    pub(crate) async fn tables(&self) -> Vec<String> {
        let list = match self.db.get_database_backend() {
            DbBackend::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table'",
            DbBackend::Postgres => {
                "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'"
            }
            _ => "SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE()",
        };
        let mut names = texts(&self.db, list).await;
        names.retain(|name| name != "seaql_migrations");
        names.sort();
        names
    }

    /// Functions and triggers that no extension brought.
    pub(crate) async fn functions(&self) -> Vec<String> {
        let list = match self.db.get_database_backend() {
            DbBackend::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'trigger'",
            DbBackend::Postgres => {
                "SELECT proname::text FROM pg_proc p WHERE pronamespace = 'public'::regnamespace \
                 AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"
            }
            _ => {
                "SELECT CAST(trigger_name AS CHAR) FROM information_schema.triggers WHERE trigger_schema = DATABASE() \
                 UNION SELECT CAST(routine_name AS CHAR) FROM information_schema.routines WHERE routine_schema = DATABASE()"
            }
        };
        texts(&self.db, list).await
    }

    /// Columns, indexes, constraints and functions, a line each, sorted. The order of columns is left out: a column
    /// that was dropped and added again comes last.
    pub(crate) async fn shape(&self) -> Vec<String> {
        let lists: &[&str] = match self.db.get_database_backend() {
            DbBackend::Sqlite => &[
                "SELECT m.name || '.' || c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || COALESCE(c.dflt_value, '-') \
                 FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name <> 'seaql_migrations'",
                "SELECT m.name || ' -> ' || f.\"table\" || ' ' || f.\"from\" || ' ' || f.on_delete \
                 FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table'",
                "SELECT type || ' ' || name || ' ' || tbl_name FROM sqlite_master WHERE type <> 'table'",
            ],
            DbBackend::Postgres => &[
                "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || \
                 COALESCE(column_default, '-') || ' ' || COALESCE(character_maximum_length, 0) || ' ' || \
                 COALESCE(numeric_precision, 0) FROM information_schema.columns \
                 WHERE table_schema = 'public' AND table_name <> 'seaql_migrations'",
                "SELECT indexdef::text FROM pg_indexes WHERE schemaname = 'public'",
                "SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint \
                 WHERE connamespace = 'public'::regnamespace AND conrelid <> 0",
                "SELECT tgrelid::regclass || ' ' || tgname FROM pg_trigger WHERE NOT tgisinternal",
            ],
            _ => &[
                "SELECT CONCAT_WS(' ', table_name, column_name, column_type, is_nullable, COALESCE(column_default, '-'), \
                 extra, column_comment) FROM information_schema.columns WHERE table_schema = DATABASE() \
                 AND table_name <> 'seaql_migrations'",
                "SELECT CONCAT_WS(' ', table_name, index_name, seq_in_index, column_name, non_unique) \
                 FROM information_schema.statistics WHERE table_schema = DATABASE()",
                "SELECT CONCAT_WS(' ', table_name, constraint_name, referenced_table_name, delete_rule) \
                 FROM information_schema.referential_constraints WHERE constraint_schema = DATABASE()",
                "SELECT CONCAT_WS(' ', table_name, constraint_name, check_clause) \
                 FROM information_schema.check_constraints WHERE constraint_schema = DATABASE()",
            ],
        };
        let mut shape = self.functions().await;
        for list in lists {
            shape.extend(texts(&self.db, list).await);
        }
        shape.retain(|line| !line.contains("seaql_migrations"));
        shape.sort();
        shape
    }
}

/// One test program's tests, each on every engine.
macro_rules! on_each_engine {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                let scratch = crate::support::Scratch::sqlite().await;
                super::$test(&scratch).await;
                scratch.drop().await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                let scratch = crate::support::Scratch::on_server("FLEET_TEST_POSTGRES_URL").await;
                super::$test(&scratch).await;
                scratch.drop().await;
            })+
        }
        mod mariadb {
            $(#[tokio::test]
            async fn $test() {
                let scratch = crate::support::Scratch::on_server("FLEET_TEST_MARIADB_URL").await;
                super::$test(&scratch).await;
                scratch.drop().await;
            })+
        }
    };
}
pub(crate) use on_each_engine;

/// A literal for a UUID whose 16 bytes are all `byte`; MySQL keeps a UUID as 16 bytes, SQLite as a blob of them.
pub(crate) fn uuid(db: &DatabaseConnection, byte: u8) -> String {
    let hex = format!("{byte:02x}").repeat(16);
    match db.get_database_backend() {
        DbBackend::Postgres => format!("'{hex}'"),
        _ => format!("x'{hex}'"),
    }
}

pub(crate) async fn run(db: &DatabaseConnection, sql: &str) {
    db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{error} in {sql}"));
}

/// The engine refuses, and says `why`.
pub(crate) async fn refused(db: &DatabaseConnection, sql: &str, why: &str) {
    let error = db.execute_unprepared(sql).await.expect_err(sql).to_string();
    assert!(error.contains(why), "{error} in {sql}");
}

async fn column<T: TryGetable>(db: &DatabaseConnection, sql: &str) -> Vec<T> {
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await;
    rows.unwrap_or_else(|error| panic!("{error} in {sql}"))
        .iter()
        .map(|row| row.try_get_by_index(0).unwrap_or_else(|error| panic!("{error:?} in {sql}")))
        .collect()
}

pub(crate) async fn texts(db: &DatabaseConnection, sql: &str) -> Vec<String> {
    column(db, sql).await
}

/// The one number that a query gives, whatever the engine's type for it.
pub(crate) async fn number(db: &DatabaseConnection, sql: &str) -> i64 {
    let kind = if db.get_database_backend() == DbBackend::MySql { "char" } else { "text" };
    let wrapped = format!("SELECT CAST(({sql}) AS {kind})");
    texts(db, &wrapped).await[0].parse().unwrap()
}
