//! SQLite only: a table can be altered by rebuilding it, and the rows of its children must survive that.

use crate::model::fault::FaultClass;
use crate::model::outcome::Outcome;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, Sql, sql};
use crate::engines::support::{Site, with};

/// A parent table with `ON DELETE CASCADE` children.
fn family() -> Sql {
    let child = "CREATE TABLE child (id integer PRIMARY KEY, parent integer REFERENCES parent (id) ON DELETE CASCADE)";
    sql(
        "m1",
        [
            "CREATE TABLE parent (id integer PRIMARY KEY, name text)",
            child,
            "INSERT INTO parent VALUES (1, 'a'), (2, 'b')",
            "INSERT INTO child VALUES (10, 1), (20, 2), (30, 2)",
        ],
    )
}

/// Rebuilds the parent from the rows that match `which`.
fn rebuild(which: &str) -> Sql {
    sql(
        "m2",
        [
            "PRAGMA foreign_keys=OFF",
            "CREATE TABLE parent_new (id integer PRIMARY KEY, name text NOT NULL DEFAULT '')",
            &format!("INSERT INTO parent_new SELECT * FROM parent WHERE {which}"),
            "DROP TABLE parent",
            "ALTER TABLE parent_new RENAME TO parent",
            "PRAGMA foreign_keys=ON",
        ],
    )
}

#[tokio::test]
async fn rebuilding_a_table_keeps_the_rows_that_refer_to_it() {
    for native in [false, true] {
        with(Site::Sqlite, async |home| {
            let fleet = Fleet::of(&Migrations::of([family(), rebuild("true")])).await.native(native);
            let record = fleet.up(&home.tenant).await;
            assert_eq!(record.outcome.name(), "migrated", "{record:?}");
            assert_eq!(home.texts("SELECT id FROM child ORDER BY id").await, ["10", "20", "30"], "native: {native}");
            assert_eq!(home.texts("SELECT id FROM parent WHERE name <> '' ORDER BY id").await, ["1", "2"]);
        })
        .await;
    }
}

#[tokio::test]
async fn a_rebuild_that_would_leave_orphans_is_refused() {
    for native in [false, true] {
        with(Site::Sqlite, async |home| {
            Fleet::of(&Migrations::of([family()])).await.up(&home.tenant).await;
            let before = home.dump().await;
            let fleet = Fleet::of(&Migrations::of([family(), rebuild("id = 1")])).await.native(native);
            let record = fleet.up(&home.tenant).await;
            assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::ConstraintViolation }, "{record:?}");
            assert_eq!(home.dump().await, before);
            assert_eq!(home.texts("SELECT id FROM parent ORDER BY id").await, ["1", "2"]);
            assert_eq!(home.versions().await, ["m1"]);
        })
        .await;
    }
}
