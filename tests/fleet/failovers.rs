//! A server that takes no writes for a moment, as in a failover: its tenants are tried again, and nothing is left behind.

use crate::killed::read_until;
use crate::support::{Fleet, all, json_file, postgres_url, record, sql, wait_for_end};

/// Migrates while no tenant can be written to, until the first attempt of each was refused.
pub(crate) fn writable_after_the_first_attempt(fleet: &Fleet, code: &str, lift: impl FnOnce()) {
    fleet.write();
    let run = ["migrate", "--yes", "--no-preflight", "-v", "--report", "json=run.json"];
    let mut child = fleet.program(&run).spawn().unwrap();
    let mut waiting: Vec<&str> = fleet.tenants.iter().map(|tenant| &*tenant.id).collect();
    let rest = read_until(&mut child, |line| {
        waiting.retain(|id| !(line.contains(id) && line.contains("attempt 1 failed, again in") && line.contains(code)));
        waiting.is_empty()
    });
    lift();
    assert_eq!(wait_for_end(&mut child), Some(0), "{}", rest.join().unwrap());
    let report = json_file(&fleet.path("run.json"));
    for tenant in &fleet.tenants {
        let record = record(&report, &tenant.id);
        assert_eq!(record["outcome"], "migrated", "{record:#}");
        assert!(record["attempts"].as_u64().unwrap() > 1, "{record:#}");
        assert_eq!(fleet.history(&tenant.id).unwrap(), all());
    }
}

#[test]
fn tenants_of_a_postgres_that_takes_no_writes_for_a_moment_are_tried_again() {
    let fleet = Fleet::new().head("[fleet]\nretry_pause = \"2s\"\n").postgres(1).schemas(2);
    let mut names: Vec<&str> = fleet.tenants.iter().map(|tenant| tenant.url.rsplit('/').next().unwrap()).collect();
    names.dedup();
    let all = |what: &str| {
        names.iter().for_each(|name| drop(sql(&postgres_url(), &format!("ALTER DATABASE {name} {what}"))));
    };
    all("SET default_transaction_read_only = on");
    writable_after_the_first_attempt(&fleet, "25006", || all("RESET default_transaction_read_only"));
}

/// One that stays so is given up after the tries of a passing fault, and told with its class.
#[test]
fn a_database_that_stays_read_only_fails_with_its_own_class() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 3\nretry_pause = \"5ms\"\n").postgres(1);
    let name = fleet.tenants[0].url.rsplit('/').next().unwrap();
    sql(&postgres_url(), &format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    let report = fleet.run(&["migrate", "--yes", "--no-preflight", "--format", "json"]).exits(100).json();
    let record = record(&report, "pg-000");
    assert_eq!((&record["outcome"], &record["class"]), (&"failed".into(), &"server_read_only".into()), "{record:#}");
    assert_eq!(record["attempts"], 3, "{record:#}");
}
