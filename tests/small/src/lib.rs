//! A catalog of six small migrations, with one of each kind that a runner treats differently.
//!
//! With nine tables and twenty statements a runner does the same as with the sample's thirty-odd tables, in a tenth of
//! the servers' time. The catalog holds no fault and knows nothing of the tests that run it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

/// The migrations of a tenant, oldest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let all: [&'static Step; 6] = [
            &DEPENDENCIES,
            &INITIAL_SCHEMA,
            &ADD_TENANT_FEATURES,
            &ADD_INVENTORY_TRACKING,
            &ORDER_SALE_FIELDS,
            &MIGRATE_TRANSACTIONS,
        ];
        all.into_iter().map(|step| Box::new(step) as Box<dyn MigrationTrait>).collect()
    }
}

/// A migration of plain statements, one call per statement.
struct Step {
    name: &'static str,
    up: &'static [Sql],
    down: &'static [Sql],
    /// False for one whose statements each have a transaction of their own.
    together: bool,
}

/// A statement, and the engines that get it.
enum Sql {
    Everywhere(&'static str),
    /// SQLite, PostgreSQL, MySQL; empty where there is nothing to do.
    Each(&'static str, &'static str, &'static str),
}

use Sql::{Each, Everywhere};

/// On PostgreSQL an extension that the catalog can do without; nothing at all on the others.
const DEPENDENCIES: Step =
    Step { name: "m20250109_000001_dependencies", up: &[Each("", CREATE_PGCRYPTO, "")], down: &[], together: true };

const CREATE_PGCRYPTO: &str = "DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS \"pgcrypto\" WITH SCHEMA public;
EXCEPTION
    WHEN insufficient_privilege OR undefined_file OR feature_not_supported OR invalid_schema_name
        OR unique_violation OR duplicate_object OR duplicate_function OR lock_not_available THEN
        RAISE NOTICE 'extension pgcrypto was not created: %', SQLERRM;
END $$";

/// Tables with keys, defaults and references. A tenant that has a table `users` of its own stops in the middle.
const INITIAL_SCHEMA: Step = Step {
    name: "m20250110_000001_initial_schema",
    up: &[
        Everywhere(
            "CREATE TABLE inventory_items (id integer NOT NULL PRIMARY KEY, name varchar(200) NOT NULL, \
             quantity integer DEFAULT 0 NOT NULL, unit_price decimal(12, 2) DEFAULT 0 NOT NULL, \
             created_at timestamp DEFAULT CURRENT_TIMESTAMP NOT NULL, \
             CONSTRAINT ck_inventory_items_quantity CHECK (quantity >= 0))",
        ),
        Everywhere(
            "CREATE TABLE users (id integer NOT NULL PRIMARY KEY, email varchar(200) NOT NULL, \
             CONSTRAINT uq_users_email UNIQUE (email))",
        ),
        Everywhere(
            "CREATE TABLE order_items (id integer NOT NULL PRIMARY KEY, inventory_item_id integer NOT NULL, \
             quantity integer NOT NULL, CONSTRAINT fk_order_items_inventory_item_id FOREIGN KEY (inventory_item_id) \
             REFERENCES inventory_items (id) ON DELETE CASCADE)",
        ),
        Everywhere("CREATE INDEX ix_order_items_inventory_item_id ON order_items (inventory_item_id)"),
    ],
    down: &[
        Everywhere("DROP TABLE order_items"),
        Everywhere("DROP TABLE users"),
        Everywhere("DROP TABLE inventory_items"),
    ],
    together: true,
};

const ADD_TENANT_FEATURES: Step = Step {
    name: "m20250110_000002_add_tenant_features",
    up: &[
        Everywhere(
            "CREATE TABLE tenant_features (id integer NOT NULL PRIMARY KEY, feature varchar(64) NOT NULL, \
             enabled boolean DEFAULT false NOT NULL)",
        ),
        Everywhere(
            "CREATE TABLE api_keys (id integer NOT NULL PRIMARY KEY, created_by integer, \
             CONSTRAINT fk_api_keys_created_by FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE SET NULL)",
        ),
    ],
    down: &[Everywhere("DROP TABLE api_keys"), Everywhere("DROP TABLE tenant_features")],
    together: true,
};

/// New tables, and then a change to one that is there already and may be locked.
const ADD_INVENTORY_TRACKING: Step = Step {
    name: "m20250110_000003_add_inventory_tracking",
    up: &[
        Everywhere("CREATE TABLE locations (id integer NOT NULL PRIMARY KEY, code varchar(32) NOT NULL)"),
        Everywhere(
            "CREATE TABLE inventory_transactions (id integer NOT NULL PRIMARY KEY, location_id integer, \
             quantity_change integer NOT NULL, CONSTRAINT fk_inventory_transactions_location_id \
             FOREIGN KEY (location_id) REFERENCES locations (id) ON DELETE SET NULL)",
        ),
        Everywhere("ALTER TABLE inventory_items ADD COLUMN sku varchar(64)"),
        Everywhere("ALTER TABLE inventory_items ADD COLUMN reorder_point integer DEFAULT 0 NOT NULL"),
        Everywhere("CREATE UNIQUE INDEX uq_inventory_items_sku ON inventory_items (sku)"),
    ],
    down: &[
        Each(
            "DROP INDEX uq_inventory_items_sku",
            "DROP INDEX uq_inventory_items_sku",
            "DROP INDEX uq_inventory_items_sku ON inventory_items",
        ),
        Everywhere("ALTER TABLE inventory_items DROP COLUMN reorder_point"),
        Everywhere("ALTER TABLE inventory_items DROP COLUMN sku"),
        Everywhere("DROP TABLE inventory_transactions"),
        Everywhere("DROP TABLE locations"),
    ],
    together: true,
};

/// A trigger, which takes a right of its own on MySQL, and a function where the engine has triggers call one.
const ORDER_SALE_FIELDS: Step = Step {
    name: "m20250930_000001_order_sale_fields",
    up: &[
        Everywhere("ALTER TABLE order_items ADD COLUMN line_total decimal(12, 2)"),
        Each(
            "",
            "CREATE FUNCTION keep_line_total() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                NEW.line_total := COALESCE(NEW.line_total, NEW.quantity); RETURN NEW;
             END $$",
            "",
        ),
        Each(
            "CREATE TRIGGER keep_line_total AFTER INSERT ON order_items WHEN NEW.line_total IS NULL \
             BEGIN UPDATE order_items SET line_total = NEW.quantity WHERE id = NEW.id; END",
            "CREATE TRIGGER keep_line_total BEFORE INSERT ON order_items FOR EACH ROW \
             EXECUTE FUNCTION keep_line_total()",
            "CREATE TRIGGER keep_line_total BEFORE INSERT ON order_items FOR EACH ROW \
             SET NEW.line_total = COALESCE(NEW.line_total, NEW.quantity)",
        ),
    ],
    down: &[
        Each(
            "DROP TRIGGER keep_line_total",
            "DROP TRIGGER keep_line_total ON order_items",
            "DROP TRIGGER keep_line_total",
        ),
        Each("", "DROP FUNCTION keep_line_total()", ""),
        Everywhere("ALTER TABLE order_items DROP COLUMN line_total"),
    ],
    together: true,
};

/// A change to rows in batches, none of which an engine can roll back with the others.
const MIGRATE_TRANSACTIONS: Step = Step {
    name: "m20251001_000002_migrate_transactions",
    up: &[
        Everywhere("CREATE TABLE legacy_rejects (item_id integer NOT NULL PRIMARY KEY, reason varchar(200) NOT NULL)"),
        Everywhere(
            "/* fleet: batch */ INSERT INTO legacy_rejects (item_id, reason) SELECT i.id, 'no stock' \
             FROM inventory_items i WHERE i.quantity = 0 AND NOT EXISTS (SELECT 1 FROM legacy_rejects r \
             WHERE r.item_id = i.id) ORDER BY i.id LIMIT 1000",
        ),
        Everywhere("/* fleet: report */ SELECT reason FROM legacy_rejects ORDER BY item_id"),
    ],
    down: &[Everywhere("DROP TABLE legacy_rejects")],
    together: false,
};

impl MigrationName for &'static Step {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for &'static Step {
    fn use_transaction(&self) -> Option<bool> {
        (!self.together).then_some(false)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        block(manager, self.name);
        run(manager, self.up).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, self.down).await
    }
}

/// Blocks its thread for longer than any test waits, where `SMALL_BLOCKS` names a file to say so by; not where the code runs
/// to be recorded.
fn block(manager: &SchemaManager<'_>, name: &str) {
    let is_recorded =
        matches!(manager.get_connection(), SchemaManagerConnection::Connection(db) if db.is_mock_connection());
    if let Some(file) = std::env::var_os("SMALL_BLOCKS")
        && name == ADD_TENANT_FEATURES.name
        && !is_recorded
    {
        // A second call finds the file, and goes on.
        if std::fs::OpenOptions::new().write(true).create_new(true).open(file).is_ok() {
            std::thread::sleep(std::time::Duration::from_secs(600));
        }
    }
}

/// A batch goes on until it affects no row, as its mark says.
#[expect(clippy::print_stdout, reason = "a migration of somebody else may print")]
async fn run(manager: &SchemaManager<'_>, statements: &[Sql]) -> Result<(), DbErr> {
    if std::env::var_os("SMALL_PRINTS").is_some() {
        println!("a migration says where it is");
    }
    let db = manager.get_connection();
    for statement in statements {
        let text = match (statement, manager.get_database_backend()) {
            (Everywhere(text), _)
            | (Each(text, ..), DbBackend::Sqlite)
            | (Each(_, text, _), DbBackend::Postgres)
            | (Each(.., text), _) => *text,
        };
        let is_batch = text.starts_with("/* fleet: batch */");
        while !text.is_empty() && db.execute_unprepared(text).await?.rows_affected() > 0 && is_batch {}
    }
    Ok(())
}
