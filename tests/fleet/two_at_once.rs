//! Two people start the same migration at the same moment.

use serde_json::Value;

use crate::support::{Fleet, all, count, json_file, record, wait};

/// Every migration of every tenant was committed by exactly one run. Where a lock lasts for one migration a run may
/// find that another one has continued after its first migration; then both have migrated the tenant, by different
/// migrations.
#[track_caller]
fn assert_each_once(fleet: &Fleet, reports: &[Value]) {
    let total = reports.iter().map(|r| count(r, "migrated") + count(r, "up_to_date")).sum::<usize>();
    assert_eq!(total, reports.len() * fleet.tenants.len(), "all ended well");
    for tenant in &fleet.tenants {
        let records = reports.iter().map(|report| record(report, &tenant.id));
        let mut committed = Vec::new();
        for record in records {
            let here = record["committed"].as_array().unwrap();
            assert_eq!(record["outcome"] == "migrated", !here.is_empty(), "{record:#}");
            committed.extend(here.iter().map(|m| m.as_str().unwrap()));
        }
        committed.sort_unstable();
        assert_eq!(committed, all(), "{}: a migration was not committed exactly once", tenant.id);
        assert_eq!(fleet.history(&tenant.id).unwrap(), all(), "{}", tenant.id);
    }
}

#[test]
fn two_runs_started_together_migrate_every_tenant_once() {
    let fleet = Fleet::new()
        .head("[fleet]\nconcurrency = 8\nper_server = 4\nretry_pause = \"20ms\"")
        .sqlite(14)
        .postgres(7)
        .schemas(7)
        .mariadb(12);
    fleet.write();
    let start = |report: &str| {
        let report = format!("json={report}");
        fleet.program(&["migrate", "--yes", "--report", &report]).spawn().unwrap()
    };
    let (one, two) = (start("one.json"), start("two.json"));
    let (one, two) = (std::thread::spawn(|| wait(one)), wait(two));
    one.join().unwrap().exits(0);
    two.exits(0);

    let reports = ["one.json", "two.json"].map(|file| json_file(&fleet.path(file)));
    assert_each_once(&fleet, &reports);
    let runs = fleet.run(&["runs", "list", "--format", "json"]).exits(0).json();
    let status: Vec<&str> = runs["runs"].as_array().unwrap().iter().map(|r| r["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["finished", "finished"]);
}

/// Between two queries of one run another run creates the history table: that is no failure.
#[test]
fn runs_that_meet_in_every_file_do_not_fail() {
    let fleet = Fleet::new().head("[fleet]\nconcurrency = 16\nper_server = 16\nretry_pause = \"5ms\"").sqlite(150);
    fleet.write();
    let runs: Vec<_> =
        (0..4).map(|_| fleet.program(&["migrate", "--yes", "--format", "json"]).spawn().unwrap()).collect();
    let waiting: Vec<_> = runs.into_iter().map(|run| std::thread::spawn(|| wait(run))).collect();
    let reports: Vec<_> = waiting.into_iter().map(|run| run.join().unwrap().exits(0).json()).collect();
    assert_each_once(&fleet, &reports);
}
