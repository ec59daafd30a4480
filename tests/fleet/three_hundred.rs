//! A fleet of 300 tenants on three engines, five of them in trouble of different kinds.

use serde_json::Value;

use crate::support::{Fleet, Ran, all, count, json_file, record, sql, with};

/// Tenant, outcome, class, code.
const TROUBLES: [(&str, &str, Option<&str>, Option<&str>); 5] = [
    ("pg-007", "unreachable", Some("authentication"), Some("28P01")),
    ("my-013", "unreachable", Some("connection_refused"), None),
    ("pg-021", "failed", Some("server_read_only"), Some("25006")),
    ("my-042", "failed", Some("already_exists"), Some("1050")),
    ("lite-099", "ahead", None, None),
];

/// The goal of the run: the schema's first tables are enough to tell outcomes by.
const GOAL: &str = "m20250110_000003_add_inventory_tracking";

fn expected() -> &'static [String] {
    let last = all().iter().position(|name| name == GOAL).unwrap();
    &all()[..=last]
}

fn fleet() -> Fleet {
    let mut fleet = Fleet::new()
        .head("[fleet]\nconcurrency = 24\nper_server = 12\nattempts = 2\nretry_pause = \"20ms\"")
        .sqlite(100)
        .postgres(50)
        .schemas(50)
        .mariadb(100);
    let before = fleet.tenant("pg-007").url.clone();
    let (scheme, rest) = before.split_once("://postgres:").unwrap();
    fleet.tenant_mut("pg-007").url = format!("{scheme}://postgres:wrong@{}", rest.split_once('@').unwrap().1);
    fleet.tenant_mut("my-013").url = "mysql://root:x@127.0.0.1:1/nowhere".to_owned();
    let read_only = fleet.tenant("pg-021").url.clone();
    let name = read_only.rsplit('/').next().unwrap();
    sql(&read_only, &format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    fleet.ask("my-042", "CREATE TABLE users (id int)");
    let ahead = "CREATE TABLE seaql_migrations (version varchar PRIMARY KEY, applied_at bigint NOT NULL); \
                 INSERT INTO seaql_migrations VALUES ('m20990101_000001_from_the_future', 1)";
    fleet.ask("lite-099", ahead);
    fleet
}

#[test]
fn every_tenant_has_its_own_outcome_and_a_second_run_says_the_same_of_the_troubled_ones() {
    let fleet = fleet();
    let first = run(&fleet, "first.json");
    assert_eq!(count(&first, "migrated"), 295);
    assert_troubles(&first);
    assert_databases(&fleet);

    let second = run(&fleet, "second.json");
    assert_eq!(count(&second, "up_to_date"), 295);
    assert_troubles(&second);
    for (tenant, ..) in &TROUBLES {
        for field in ["outcome", "class", "error", "stopped_at", "unknown"] {
            let (one, two) = (&record(&first, tenant)[field], &record(&second, tenant)[field]);
            assert_eq!(one, two, "{tenant}: another {field} the second time");
        }
    }
    assert_databases(&fleet);
}

fn run(fleet: &Fleet, report: &str) -> Value {
    let Ran { out, .. } =
        fleet.run(&["migrate", "--to", GOAL, "--yes", "--report", &format!("json={report}")]).exits(100);
    for (tenant, ..) in &TROUBLES {
        assert!(out.contains(tenant), "{tenant} is not named in:\n{out}");
    }
    let report = json_file(&fleet.path(report));
    let records = report["tenants"].as_array().unwrap();
    assert_eq!(records.len(), 300);
    let mut ids: Vec<&str> = records.iter().map(|r| r["tenant"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 300, "a tenant has two records");
    report
}

fn assert_troubles(report: &Value) {
    assert_eq!(count(report, "migrated") + count(report, "up_to_date"), 295);
    for (tenant, outcome, class, code) in &TROUBLES {
        let found = record(report, tenant);
        assert_eq!(found["outcome"], *outcome, "{found:#}");
        assert_eq!(found["class"].as_str(), *class, "{found:#}");
        assert_eq!(found["error"]["code"].as_str(), *code, "{found:#}");
        // MariaDB commits the statements before the table that is in the way.
        let is_first = *tenant == "my-042" && count(report, "migrated") > 0;
        let committed = if is_first { &all()[..1] } else { &[] };
        assert_eq!(found["committed"], serde_json::json!(committed), "{found:#}");
    }
    let unknown = &record(report, "lite-099")["unknown"];
    assert_eq!(*unknown, serde_json::json!(["m20990101_000001_from_the_future"]));
    assert_eq!(with(report, "ahead"), ["lite-099"]);
}

fn assert_databases(fleet: &Fleet) {
    for tenant in &fleet.tenants {
        match &*tenant.id {
            "pg-007" | "my-013" => {}
            "lite-099" => {
                assert_eq!(fleet.history("lite-099").unwrap(), ["m20990101_000001_from_the_future"]);
                assert!(!fleet.has_table("lite-099", "users"));
            }
            "pg-021" => assert!(!fleet.has_table("pg-021", "users") && fleet.history("pg-021").is_none()),
            // The conflicting table belongs to the second migration.
            "my-042" => assert_eq!(fleet.history("my-042").unwrap(), all()[..1]),
            id => {
                // One query per tenant, which fails when a table is missing; the tables are empty.
                let tables = ["users", "order_items", "api_keys", "inventory_transactions"];
                let tables = tables.map(|table| format!("UNION ALL SELECT 'a row' FROM {table}")).join(" ");
                let query = format!("SELECT version FROM seaql_migrations {tables} ORDER BY 1");
                assert_eq!(fleet.ask(id, &query), expected(), "{id}");
            }
        }
    }
}
