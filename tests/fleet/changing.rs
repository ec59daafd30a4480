//! `serve --schedule` hears of changes on PostgreSQL, and refreshes the views of the group `changes`.

use serde_json::Value;

use crate::serving::Served;
use crate::support::{Fleet, finish, sql, until, wait};

/// Waits for something that the server tells, which slows down those who ask too often.
#[track_caller]
fn told(what: &str, mut holds: impl FnMut() -> bool) {
    until(what, || {
        std::thread::sleep(std::time::Duration::from_millis(150));
        holds()
    });
}

/// A migrated fleet whose view `v` has the number of rows of the table `t`.
fn counting(fleet: Fleet) -> Fleet {
    let fleet = fleet.head("[fleet]\nscripts = \"sql\"\n");
    std::fs::create_dir(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql/0001_t.sql"), "CREATE TABLE t (i int);\n").unwrap();
    let view = "-- fleet: view=v group=changes\nCREATE TABLE v AS SELECT 0 AS i;\n-- fleet: refresh\nDELETE FROM v;\n\
                INSERT INTO v SELECT count(*) FROM t;\n";
    std::fs::write(fleet.path("sql/0002_v.sql"), view).unwrap();
    fleet.run(&["migrate", "--yes", "-q"]).exits(0);
    fleet
}

/// A server that listens to the databases of a fleet, when it has refreshed what it found.
fn listening(fleet: &Fleet, every: &str, databases: usize) -> Served {
    let served = Served::start(fleet, &["--schedule", "--changes-every", every]);
    told("the databases are listened to", || served.json("/api/v1/views")["listening"]["databases"] == databases);
    let of_postgres = fleet.tenants.iter().filter(|tenant| !tenant.url.starts_with("sqlite:")).count();
    let tenants = |run: &Value| run["selected"].as_u64().unwrap();
    told("their views are refreshed once", || {
        runs(&served).iter().map(tenants).sum::<u64>() >= u64::try_from(of_postgres).unwrap()
    });
    settled(&served);
    served
}

/// The runs that refreshed views, the newest first.
fn runs(served: &Served) -> Vec<Value> {
    let all = served.json("/api/v1/runs")["runs"].as_array().unwrap().clone();
    all.into_iter().filter(|run| run["goal"] == "refresh --group changes").collect()
}

/// Waits for the end of these runs.
fn settled(served: &Served) {
    told("no run goes on", || runs(served).iter().all(|run| run["status"] == "finished"));
}

/// The reasons of these runs and the numbers of their tenants, the newest first.
fn reasons(served: &Served) -> Vec<String> {
    let shown = served.json("/api/v1/views");
    let runs = shown["refreshes"].as_array().unwrap().iter();
    runs.map(|run| format!("{} {}", run["reason"].as_str().unwrap(), run["tenants"])).collect()
}

fn count(fleet: &Fleet, tenant: &str) -> String {
    fleet.ask(tenant, "SELECT CAST(i AS char(9)) FROM v")[0].trim().to_owned()
}

#[test]
fn a_change_refreshes_the_views_of_its_tenant_alone() {
    let fleet = counting(Fleet::new().postgres(2).schemas(2).sqlite(1));
    let served = listening(&fleet, "1s", 3);
    let ids: Vec<&str> = fleet.tenants.iter().map(|tenant| tenant.id.as_str()).collect();
    ids.iter().for_each(|id| drop(fleet.ask(id, "INSERT INTO t VALUES (1)")));
    let counts = || ids.iter().map(|id| count(&fleet, id)).collect::<Vec<_>>().join(" ");
    assert_eq!(counts(), "0 0 0 0 0");
    // One that has a database to itself has all its schemas.
    fleet.ask("pg-001", "SELECT pg_notify('fleet_changes', current_schema())::text");
    until("its view is refreshed", || count(&fleet, "pg-001") == "1");
    assert_eq!(counts(), "0 1 0 0 0");
    let shared = &fleet.tenant("schema-000").url;
    sql(shared, "SELECT pg_notify('fleet_changes', 't001')::text; SELECT pg_notify('fleet_changes', 'nobody')::text");
    until("that of the schema is", || count(&fleet, "schema-001") == "1");
    assert_eq!(counts(), "0 1 0 1 0");
    // Other channels are those of others.
    sql(shared, "SELECT pg_notify('changes', 't000')::text");
    sql(shared, "NOTIFY fleet_changes");
    until("those of the whole database are", || count(&fleet, "schema-000") == "1");
    settled(&served);
    assert_eq!(counts(), "0 1 1 1 0");

    let data = ["data changed 2", "data changed 1", "data changed 1"];
    told("the page has them", || reasons(&served).starts_with(&data.map(str::to_owned)));
    assert!(reasons(&served)[3].starts_with("listening began"), "{:?}", reasons(&served));
    assert_eq!(runs(&served)[0]["verdict"], "all_at_target");
    let page = served.get("/views");
    for words in
        ["data changed", "listening began", "1 tenant on sqlite, which tells nobody of changes", "group=hourly"]
    {
        assert!(page.contains(words), "no {words:?} in {page}");
    }
    // Many refreshes hide nothing of other runs, and have their own number.
    let metrics = served.get("/metrics");
    assert!(metrics.contains("fleet_run_tenants{standing=\"at_target\"} 5\n"), "{metrics}");
    sql(&fleet.tenant("pg-000").url, "DROP TABLE t; NOTIFY fleet_changes");
    told("the failure is told", || served.get("/metrics").contains("fleet_refresh_failures 1\n"));
}

#[test]
fn a_storm_of_changes_makes_few_runs() {
    let fleet = counting(Fleet::new().postgres(1));
    let served = listening(&fleet, "4s", 1);
    let before = runs(&served).len();
    let storm = "DO $$ BEGIN FOR n IN 1..500 LOOP INSERT INTO t VALUES (n); PERFORM pg_notify('fleet_changes', n::text); \
                 COMMIT; PERFORM pg_sleep(0.006); END LOOP; END $$";
    sql(&fleet.tenant("pg-000").url, storm);
    until("the last change is seen", || count(&fleet, "pg-000") == "500");
    settled(&served);
    let made = runs(&served).len() - before;
    assert!((1..=2).contains(&made), "{made} runs");
}

#[test]
fn a_session_that_is_lost_is_opened_anew_and_what_was_missed_is_refreshed() {
    let mut fleet = counting(Fleet::new().postgres(2));
    let served = listening(&fleet, "500ms", 2);
    let url = fleet.tenant("pg-000").url.clone();
    fleet.ask("pg-000", "INSERT INTO t VALUES (1)");
    let end = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE application_name = 'fleet:changes' AND \
               datname = current_database()";
    assert_eq!(sql(&url, end), ["true"], "one session, whatever is listened to in it");
    until("what nobody was told is refreshed", || count(&fleet, "pg-000") == "1");
    told("it is told why", || reasons(&served)[0] == "listening began 1");
    sql(&url, "INSERT INTO t VALUES (2); NOTIFY fleet_changes");
    until("it hears again", || count(&fleet, "pg-000") == "2");
    assert_eq!(count(&fleet, "pg-001"), "0", "the other one heard nothing");
    drop(served);

    // Beyond the cap, and through a pooler, which tells nobody.
    let pooler = crate::pgbouncer::Pgbouncer::start(&crate::support::postgres_url(), "");
    let name = url.rsplit_once('/').unwrap().1;
    fleet.tenants.pop();
    fleet.tenant_mut("pg-000").url = pooler.url(name);
    fleet.write();
    let served = Served::start(&fleet, &["--schedule"]);
    let unheard = || served.json("/api/v1/views")["listening"]["unheard"].to_string();
    told("the pooler is told", || unheard().contains("set migration_url to the server itself"));
    drop(served);
    let served = Served::start(&fleet, &["--schedule", "--max-listeners", "0"]);
    let unheard = || served.json("/api/v1/views")["listening"]["unheard"].to_string();
    told("the cap is told", || unheard().contains("1 of 1 database are not listened to"));
}

#[test]
fn a_change_during_a_run_that_holds_the_tenant_is_not_lost() {
    let fleet = counting(Fleet::new().postgres(2));
    let served = listening(&fleet, "500ms", 2);
    std::fs::write(fleet.path("sql/0003_slow.sql"), "CREATE TABLE slow AS SELECT pg_sleep(5) IS NULL AS i;\n").unwrap();
    let migrate = fleet.program(&["migrate", "--yes", "-q", "-t", "pg-000"]).spawn().unwrap();
    told("it goes on", || served.json("/api/v1/runs")["runs"][0]["status"] == "running");
    for id in ["pg-000", "pg-001"] {
        sql(&fleet.tenant(id).url, "INSERT INTO t VALUES (1); NOTIFY fleet_changes");
    }
    until("the other tenant does not wait for it", || count(&fleet, "pg-001") == "1");
    assert_eq!(count(&fleet, "pg-000"), "0");
    wait(migrate).exits(0);
    until("it is refreshed behind the run", || count(&fleet, "pg-000") == "1");
    finish(&mut fleet.program(&["tenants", "quarantine", "pg-001", "--reason", "it is looked at"])).exits(0);
    for id in ["pg-001", "pg-000"] {
        sql(&fleet.tenant(id).url, "INSERT INTO t VALUES (1); NOTIFY fleet_changes");
    }
    until("the other tenant does not wait for it", || count(&fleet, "pg-000") == "2");
    assert_eq!(count(&fleet, "pg-001"), "1", "it is in quarantine");
    finish(&mut fleet.program(&["tenants", "release", "pg-001"])).exits(0);
    until("it is refreshed when it is back", || count(&fleet, "pg-001") == "2");
    settled(&served);
    finish(&mut fleet.program(&["refresh", "--group", "changes", "--status"])).exits(0).shows(&["v", "changes"]);
}

#[test]
fn a_thousand_tenants_in_quarantine_keep_no_other_waiting() {
    let mut fleet = counting(Fleet::new().schemas(1));
    let url = fleet.tenant("schema-000").url.clone();
    // Their schemas do not exist: they need not be refreshed, but due.
    for n in 0..1_001 {
        fleet.add(&format!("a-{n:04}"), &url);
        fleet.tenants.last_mut().unwrap().schema = Some(format!("a{n:04}"));
    }
    fleet.write();
    let served = Served::start(&fleet, &["--schedule", "--changes-every", "500ms"]);
    let tenants = |run: &Value| run["selected"].as_u64().unwrap();
    told("each was taken once", || runs(&served).iter().map(tenants).sum::<u64>() >= 1_002);
    settled(&served);
    for tenant in fleet.tenants.iter_mut().filter(|tenant| tenant.id.starts_with("a-")) {
        tenant.more = "quarantine = { reason = \"looked at\" }".to_owned();
    }
    fleet.write();
    sql(&url, "INSERT INTO t000.t VALUES (1); NOTIFY fleet_changes");
    until("the only one that can be taken is refreshed", || count(&fleet, "schema-000") == "1");
}
