//! The sample's own SQL scripts after its migrations: up, down and up again, and the same reports on every engine.
//!
//! `scripts.rs` tests how fleet handles scripts; this file tests that these scripts fulfil their purpose.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::compile::MigrationSet;
use crate::compile::folder::{self, SqlFolder};
use crate::model::outcome::Outcome;
use crate::model::run_kind::RunKind;
use crate::model::schema::State;
use crate::model::shape::Shape;
use crate::model::tenant::Engine;
use crate::policy::RefreshGroup;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::{Home, Site, with};

mod rows;

on_every_site!(
    it_goes_up_and_back_and_up_again_with_rows,
    a_refresh_brings_new_rows_in_and_says_when,
    the_history_is_filled_once_however_often_it_is_tried,
    a_dropped_column_stops_the_script_that_needs_it,
    each_repeatable_script_can_run_again,
);

fn folder_of_the_sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("migration/sql")
}

fn scripts() -> SqlFolder {
    folder::read(&folder_of_the_sample()).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

async fn fleet_with(scripts: SqlFolder) -> Fleet {
    let set = MigrationSet::new(&migration::Migrator).await.unwrap().with_scripts(scripts).unwrap();
    Fleet { set: Arc::new(set), ..Fleet::of(&migration::Migrator).await }
}

async fn sample() -> Fleet {
    fleet_with(scripts()).await
}

async fn migrated(fleet: &Fleet, home: &Home) {
    let record = fleet.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "migrated", "{:?} {:?}", record.error, record.stopped_at);
}

async fn refresh(fleet: &Fleet, home: &Home) {
    let views = fleet.set.derived();
    let n = u64::try_from(views.len()).unwrap();
    let record = fleet.task(RunKind::Refresh { views }, &home.tenant).await;
    assert_eq!(record.outcome, Outcome::Refreshed { n }, "{:?} {:?}", record.error, record.stopped_at);
}

async fn shape(fleet: &Fleet, home: &Home) -> Shape {
    let mut session = fleet.database().connect(&home.tenant).await.unwrap();
    let shape = session.shape().await.unwrap_or_else(|e| panic!("{e:?}"));
    session.close().await;
    shape
}

async fn count(home: &Home, table: &str) -> u64 {
    home.texts(&format!("SELECT count(*) FROM {table}")).await[0].parse().unwrap()
}

#[test]
fn every_script_is_right_for_every_engine_and_has_a_way_back() {
    let scripts = scripts();
    for script in &scripts.scripts {
        for engine in Engine::ALL {
            let (up, down) = (script.up.get(engine), script.down.get(engine));
            let up = up.unwrap_or_else(|| panic!("{} does nothing on {engine}", script.name));
            let down = down.unwrap_or_else(|| panic!("{} has no way back on {engine}", script.name));
            assert_eq!((&up.mistakes, &down.mistakes), (&vec![], &vec![]), "{} {engine}", script.name);
        }
    }
    let groups = |wanted: RefreshGroup| -> Vec<String> {
        let note = |engine| scripts.scripts.iter().filter_map(move |s| s.up.get(engine)?.view.clone());
        let of = |engine| -> Vec<String> { note(engine).filter(|v| v.group == wanted).map(|v| v.name).collect() };
        assert!(Engine::ALL.iter().all(|engine| of(*engine) == of(Engine::Sqlite)), "{wanted}");
        of(Engine::Sqlite)
    };
    assert!(groups(RefreshGroup::Hourly).contains(&"reporting_executive_metrics".into()));
    assert!(groups(RefreshGroup::Daily).contains(&"reporting_brand_analytics".into()));
    assert!(groups(RefreshGroup::Weekly).contains(&"reporting_customer_geography".into()));
    assert_eq!(groups(RefreshGroup::Monthly), ["sales_monthly"]);
}

async fn it_goes_up_and_back_and_up_again_with_rows(home: &Home) {
    let fleet = sample().await;
    migrated(&fleet, home).await;
    let first = shape(&fleet, home).await;
    rows::insert(home).await;
    refresh(&fleet, home).await;
    for view in fleet.set.views() {
        assert!(count(home, &view.name).await > 0, "{} is empty", view.name);
    }
    // The migrations refuse to go down over orders that would lose data; an operator has dealt with it.
    home.run("UPDATE orders SET platform_id = NULL").await;
    let back = fleet.down(&home.tenant).await;
    assert_eq!(back.outcome.name(), "rolled_back", "{:?} {:?}", back.error, back.stopped_at);
    assert_eq!(fleet.observe(&home.tenant).await.state, State::Empty);
    let left = shape(&fleet, home).await;
    let others: Vec<_> = left.others.into_iter().filter(|other| other.kind != "extension").collect();
    assert_eq!((left.tables, others), (vec![], vec![]), "extensions stay");
    migrated(&fleet, home).await;
    let again = shape(&fleet, home).await;
    assert_eq!(first.differences(&again), [""; 0]);
    assert_eq!(first.fingerprint(), again.fingerprint());
    rows::insert(home).await;
    refresh(&fleet, home).await;
}

async fn a_refresh_brings_new_rows_in_and_says_when(home: &Home) {
    let fleet = sample().await;
    migrated(&fleet, home).await;
    rows::insert(home).await;
    assert_eq!(count(home, "reporting_executive_metrics").await, 0, "nobody has refreshed it yet");
    assert!(count(home, "daily_revenue").await > 0, "a plain view needs no refresh");
    refresh(&fleet, home).await;
    let orders = "SELECT CAST(SUM(orders) AS char(9)) FROM reporting_executive_metrics";
    let before: u32 = home.texts(orders).await[0].trim().parse().unwrap();
    rows::one_more_order(home).await;
    assert_eq!(home.texts(orders).await[0].trim(), before.to_string());
    let start = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    refresh(&fleet, home).await;
    assert_eq!(home.texts(orders).await[0].trim(), (before + 1).to_string());

    let mut session = fleet.database().connect(&home.tenant).await.unwrap();
    let told = session.refreshes().await.unwrap();
    session.close().await;
    assert_eq!(told.len(), fleet.set.views().len());
    assert!(told.iter().all(|(_, at)| at.unsigned_abs() >= start), "{told:?}");
}

async fn the_history_is_filled_once_however_often_it_is_tried(home: &Home) {
    let all = scripts();
    let mut before = all.clone();
    before.scripts.retain(|script| script.name.starts_with("0001") || script.name.starts_with("0002"));
    migrated(&fleet_with(before).await, home).await;
    rows::insert(home).await;
    // More than one batch, and an order that the application added itself while the script was running.
    rows::many_closed_orders(home, 2_500).await;
    let closed = count(home, "orders WHERE status IN ('completed', 'cancelled', 'refunded')").await;
    assert!(closed > 2_500);
    home.run(
        "INSERT INTO order_history (order_id, booked_on, number, status, currency, total) SELECT id, '2026-05-05', number, \
         status, currency, total FROM orders WHERE number = 'M-01234'",
    )
    .await;
    let fleet = sample().await;
    migrated(&fleet, home).await;
    assert_eq!(count(home, "order_history").await, closed);
    assert_eq!(count(home, "order_history WHERE booked_on = '2026-05-05'").await, 1, "the application's row is kept");
    let fill = all.scripts.iter().find(|script| script.name.starts_with("0003")).unwrap();
    home.run(&fill.up.get(home.tenant.engine).unwrap().statements[0].sql).await;
    assert_eq!(count(home, "order_history").await, closed);
    let months =
        home.texts("SELECT substr(CAST(booked_on AS char(10)), 1, 7) FROM order_history GROUP BY 1 ORDER BY 1").await;
    assert!(months.len() > 3 && months[0] == "2024-12", "{months:?}");
}

async fn a_dropped_column_stops_the_script_that_needs_it(home: &Home) {
    migrated(&sample().await, home).await;
    rows::insert(home).await;
    let changed = copy_of_the_sample();
    let drop = "-- Nobody asks for it.\n\nALTER TABLE orders DROP COLUMN buyer_city;\n";
    std::fs::write(changed.path().join("0007_drop_buyer_city.up.sql"), drop).unwrap();
    // The report is edited in the same change, so it runs again.
    let report = home.site.pick("sqlite", "postgres", "mysql");
    let report = changed.path().join(format!("R__reporting_customer_geography.{report}.sql"));
    let text = std::fs::read_to_string(&report).unwrap();
    std::fs::write(&report, format!("{text}-- Looked through.\n")).unwrap();

    let record = fleet_with(folder::read(changed.path()).unwrap()).await.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "failed", "{record:?}");
    let file = record.stopped_at.unwrap().file.unwrap();
    // MySQL checks a view only when it is queried.
    let (last, wanted) = match home.site {
        // All scripts that read the table are made again, and the first of them in order reads a view of that column.
        Site::Mariadb | Site::Mysql => ("0007_drop_buyer_city", "R__brand_monthly_performance.sql:3"),
        _ => ("0006_aggregation_tables", "0007_drop_buyer_city.up.sql:3"),
    };
    assert!(file.ends_with(wanted), "{file}");
    assert_eq!(record.version.as_deref(), Some(last));
    assert_eq!(record.error.map(|e| e.message.is_empty()), Some(false));
}

async fn each_repeatable_script_can_run_again(home: &Home) {
    let first = sample().await;
    migrated(&first, home).await;
    let before = shape(&first, home).await;
    rows::insert(home).await;
    let changed = copy_of_the_sample();
    for entry in std::fs::read_dir(changed.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("R__") && !name.ends_with(".down.sql") {
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, format!("{text}-- Looked through.\n")).unwrap();
        }
    }
    let fleet = fleet_with(folder::read(changed.path()).unwrap()).await;
    let repeatable = fleet.set.scripts().iter().filter(|script| script.name.starts_with("R__")).count();
    assert_eq!(fleet.observe(&home.tenant).await.state, State::Behind { pending: repeatable });
    migrated(&fleet, home).await;
    assert_eq!(before.differences(&shape(&fleet, home).await), [""; 0]);
    assert!(count(home, "reporting_executive_metrics").await > 0, "it is filled when it is made");
}

fn copy_of_the_sample() -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder_of_the_sample()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    copy
}

/// The columns of a table or view, in their order.
async fn columns(home: &Home, name: &str) -> Vec<String> {
    let list = home.site.pick(
        format!("SELECT name FROM pragma_table_info('{name}') ORDER BY cid"),
        format!(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = '{name}'::regclass AND attnum > 0 ORDER BY attnum"
        ),
        format!(
            "SELECT CAST(column_name AS char) FROM information_schema.columns WHERE table_schema = DATABASE() AND \
             table_name = '{name}' ORDER BY ordinal_position"
        ),
    );
    home.texts(&list).await
}

/// All rows of a table or view as text, sorted: ids in hex, numbers without trailing zeros.
async fn rows_of(home: &Home, name: &str, columns: &[String]) -> Vec<String> {
    let cell = |column: &String| {
        let text = match column.ends_with("_id") {
            true => home.site.pick(
                format!("CASE WHEN {column} IS NOT NULL THEN lower(hex({column})) END"),
                format!("replace({column}::text, '-', '')"),
                format!("lower(hex({column}))"),
            ),
            false => home.site.pick(
                format!("CAST({column} AS text)"),
                format!("CAST({column} AS text)"),
                format!("CAST({column} AS char)"),
            ),
        };
        format!("COALESCE({text}, '-')")
    };
    let cells: Vec<String> = columns.iter().map(cell).collect();
    let row = match home.site {
        Site::Mariadb | Site::Mysql => format!("CONCAT_WS('|', {})", cells.join(", ")),
        _ => cells.join(" || '|' || "),
    };
    let rows = home.texts(&format!("SELECT {row} FROM {name}")).await;
    let mut rows: Vec<String> =
        rows.iter().map(|row| row.split('|').map(plain_number).collect::<Vec<_>>().join(" | ")).collect();
    rows.sort();
    rows
}

/// A number without trailing zeros: `12.50` and `12.5` are the same number.
fn plain_number(text: &str) -> String {
    match text.split_once('.') {
        Some((_, part)) if part.bytes().all(|b| b.is_ascii_digit()) => {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => text.to_owned(),
    }
}

#[tokio::test]
async fn every_report_has_the_same_columns_and_rows_on_every_engine() {
    let fleet = sample().await;
    let mut names: Vec<String> = fleet.set.views().iter().map(|view| view.name.clone()).collect();
    let plain = fleet.set.scripts().iter().filter_map(|script| script.name.strip_prefix("R__"));
    names.extend(plain.filter(|name| !name.starts_with("fill_")).map(str::to_owned));
    names.extend(["sales".to_owned(), "sale_lines".to_owned(), "order_history".to_owned()]);
    names.sort();
    names.dedup();
    assert_eq!(names.iter().filter(|name| name.starts_with("reporting_")).count(), 7);

    let mut found = Vec::new();
    for site in [Site::Sqlite, Site::Postgres, Site::Mariadb] {
        let mut here = Vec::new();
        with(site, async |home| {
            // The rows exist before the last scripts, so that the history is filled as well.
            let mut early = scripts();
            early.scripts.retain(|script| script.name.starts_with("0001") || script.name.starts_with("0002"));
            migrated(&fleet_with(early).await, home).await;
            rows::insert(home).await;
            migrated(&fleet, home).await;
            refresh(&fleet, home).await;
            for name in &names {
                let columns = columns(home, name).await;
                let rows = rows_of(home, name, &columns).await;
                here.push((columns, rows));
            }
        })
        .await;
        found.push(here);
    }
    for (at, name) in names.iter().enumerate() {
        let (columns, rows) = &found[0][at];
        assert!(!rows.is_empty() && columns.len() > 1, "{name} has nothing to compare");
        for (engine, other) in [("PostgreSQL", &found[1][at]), ("MariaDB", &found[2][at])] {
            assert_eq!(columns, &other.0, "{name}: SQLite (left) and {engine} (right)");
            assert_eq!(rows, &other.1, "{name}: SQLite (left) and {engine} (right)");
        }
    }
}

#[tokio::test]
async fn partitions_are_made_once_and_take_their_rows_along() {
    for site in [Site::Postgres, Site::PostgresSchema] {
        with(site, async |home| {
            migrated(&sample().await, home).await;
            let parts = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'order_history'::regclass";
            assert_eq!(home.texts(parts).await, ["25"], "24 months and the default one");
            let row = "INSERT INTO order_history VALUES (gen_random_uuid(), '2027-02-28', 'N', 'completed', 'EUR', NULL, NULL, 5)";
            home.run(row).await;
            assert_eq!(count(home, "order_history_default").await, 1);
            let ensure = "SELECT ensure_order_history_partitions('2026-11-30', '2027-04-01')";
            assert_eq!(home.texts(ensure).await, ["3"], "January to March of 2027");
            assert_eq!(home.texts(ensure).await, ["0"]);
            assert_eq!(home.texts(parts).await, ["28"]);
            assert_eq!((count(home, "order_history_default").await, count(home, "order_history_2027_02").await), (0, 1));
            home.run(row).await;
            assert_eq!(count(home, "order_history_2027_02").await, 2);
        })
        .await;
    }
}
