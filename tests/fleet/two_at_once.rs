//! Two people start the same migration at the same moment.

use crate::support::{ALL, Fleet, count, json_file, wait};

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
    let [one, two] = &reports;
    assert_eq!(count(one, "migrated") + count(two, "migrated"), 40, "{one:#}\n{two:#}");
    assert_eq!(count(one, "up_to_date") + count(two, "up_to_date"), 40);
    for tenant in &fleet.tenants {
        let outcomes = reports.each_ref().map(|r| crate::support::record(r, &tenant.id)["outcome"].clone());
        assert!(outcomes.contains(&"migrated".into()), "{}: {outcomes:?}", tenant.id);
        assert_eq!(fleet.history(&tenant.id).unwrap(), ALL, "{}", tenant.id);
    }
    let runs = fleet.run(&["runs", "list", "--format", "json"]).exits(0).json();
    let status: Vec<&str> = runs["runs"].as_array().unwrap().iter().map(|r| r["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["finished", "finished"]);
}
