//! Findings from the reports of databases.

use super::*;
use crate::model::health::{Extension, Follower, NeededExtension, Obstacle, Room, Upstream};
use crate::model::tenant::Address;

fn tenant(id: &str, server: &str, engine: Engine) -> Arc<Tenant> {
    Arc::new(Tenant { server: server.into(), ..Tenant::apart(id, engine, Address::Unusable(String::new())) })
}

const LIMITS: Limits<'_> = Limits {
    long_transaction: Duration::from_secs(300),
    lock: Duration::from_secs(3),
    replication_lag: Duration::from_secs(30),
    per_server: 8,
    check: "fleet tenants check",
};

fn sound() -> Health {
    Health { version: "PostgreSQL 15.4".into(), number: (15, 4), ..Health::default() }
}

fn open(seconds: u64) -> Blocker {
    let (user, application) = (Some("app".into()), Some("shop".into()));
    Blocker { id: 7, user, application, transaction_seconds: Some(seconds), ..Blocker::default() }
}

fn warned(health: Health) -> Vec<String> {
    let found = judged([Ok(health)]).into_iter().filter(|f| f.severity <= Severity::Warning);
    found.map(|f| format!("{}: {} ({})", f.severity.name(), f.what, f.fix)).collect()
}

fn judged(healths: impl IntoIterator<Item = Result<Health, Fault>>) -> Vec<Finding> {
    let all = healths.into_iter().enumerate();
    judge(
        &all.map(|(i, h)| (tenant(&format!("t{i}"), "s", Engine::Postgres), h)).collect::<Vec<_>>(),
        &LIMITS,
        &Needs::default(),
        |_| true,
    )
}

#[test]
fn a_sound_server_is_only_named_and_only_once() {
    let found = judged([Ok(sound()), Ok(sound())]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].severity, found[0].what.as_str()), (Severity::Info, "PostgreSQL 15.4"));
    assert!(found[0].tenants.is_empty());
}

#[test]
fn the_same_of_several_tenants_is_one_finding_and_errors_come_first() {
    let standby = Health { read_only: true, ..sound() };
    let found = judged([Ok(sound()), Ok(standby.clone()), Ok(standby)]);
    assert_eq!(found[0].severity, Severity::Error);
    assert_eq!(found[0].tenants, [TenantId::from("t1"), TenantId::from("t2")]);
}

#[test]
fn only_long_transactions_and_locks_that_would_be_waited_for_are_told() {
    let lock = |mode: &str, seconds| HeldLock { table: "orders".into(), mode: mode.into(), by: open(seconds) };
    let health = Health {
        transactions: vec![open(299), open(300)],
        locks: vec![
            lock("AccessShareLock", 2),
            lock("RowExclusiveLock", 2),
            lock("ShareLock", 2),
            lock("AccessShareLock", 3),
            lock("AccessExclusiveLock", 0),
        ],
        ..sound()
    };
    let found = judged([Ok(health)]);
    let warnings: Vec<&str> =
        found.iter().filter(|f| f.severity == Severity::Warning).map(|f| f.what.as_str()).collect();
    assert_eq!(
        warnings,
        [
            "a transaction has been open for 5m: session 7, user app, shop",
            "orders has been locked (AccessShareLock) for 3s: session 7, user app, shop",
            "orders has been locked (AccessExclusiveLock) for 0s: session 7, user app, shop",
        ]
    );
    assert_eq!(found[0].fix, "SELECT pg_terminate_backend(7);");
}

#[test]
fn room_is_measured_by_the_cap_of_a_server_and_old_versions_are_named() {
    let with = |used, most| Health { connections: Some(Room { used, most }), ..sound() };
    assert!(judged([Ok(with(93, 100))]).iter().all(|f| f.severity == Severity::Info));
    let found = judged([Ok(with(98, 100))]);
    assert!(found[0].what.starts_with("room for 3 connections") && found[0].fix.starts_with("--per-server 3"));
    let old = Health { version: "PostgreSQL 9.6".into(), number: (9, 6), ..Health::default() };
    let found = judged([Ok(old)]);
    assert!(found[0].severity == Severity::Warning && found[0].fix.contains("12.0"), "{found:?}");
}

#[test]
fn a_dump_tool_that_is_older_than_the_server_is_a_warning() {
    let seen = [(tenant("a", "s", Engine::Postgres), Ok(sound()))];
    let severity =
        |version: Option<&str>| tools(&[("pg_dump", Engine::Postgres, version.map(str::to_owned))], &seen)[0].severity;
    assert_eq!(severity(Some("pg_dump (PostgreSQL) 14.9")), Severity::Warning);
    assert_eq!(severity(Some("pg_dump (PostgreSQL) 15.1")), Severity::Info);
    assert_eq!(severity(None), Severity::Info);
    assert!(tools(&[("mariadb-dump", Engine::Mysql, None)], &seen).is_empty(), "no tenant of that engine");
}

#[test]
fn an_outage_is_a_share_of_at_least_five_tenants() {
    let probe = |server: &str, tenants, asked, gone| Probe {
        server: server.to_owned(),
        tenants,
        asked,
        unreachable: (0..gone)
            .map(|i| (TenantId::from(format!("t{i}").as_str()), Fault::new(FaultClass::ConnectionRefused, "no")))
            .collect(),
    };
    assert_eq!(outage(&[probe("a", 4, 1, 1)], 50), None, "too few to speak of an outage");
    assert_eq!(outage(&[probe("a", 5, 1, 1), probe("b", 5, 1, 0)], 50), None, "half is not more than half");
    let text = outage(&[probe("a", 6, 1, 1), probe("b", 5, 1, 0)], 50).unwrap();
    assert!(text.contains("6 of 11") && text.contains("a: 6 of 6 tenants, such as t0: no"), "{text}");
    assert_eq!(outage(&[probe("files", 100, 20, 10)], 50), None);
    assert!(outage(&[probe("files", 100, 20, 11)], 50).is_some());
    assert_eq!(outage(&[probe("a", 9, 1, 1)], 100), None, "100% never stops a run");
}

#[test]
fn only_a_follower_that_is_late_is_told_and_a_standby_can_not_be_migrated() {
    let follower = |name: &str, lag_seconds| Follower { name: name.into(), lag_seconds };
    let found = warned(Health { followers: vec![follower("a", 29), follower("b", 30)], ..sound() });
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("warning: its follower b is 30s behind") && found[0].contains("pg_stat_replication"));

    let upstream = |is_running, lag_seconds| Upstream { host: "db1".into(), is_running, lag_seconds };
    let standby = Health { is_standby: true, read_only: true, follows: Some(upstream(true, Some(31))), ..sound() };
    let found = warned(standby);
    assert!(found[0].starts_with("error: nothing can be written: the server is a standby"), "{found:?}");
    assert!(found[1].starts_with("warning: the server is a standby of db1, 31s behind it"), "{found:?}");
}

#[test]
fn a_replica_of_mariadb_is_a_warning_while_it_can_be_written() {
    let mariadb = |health: Health| {
        judge(&[(tenant("a", "s", Engine::Mysql), Ok(health))], &LIMITS, &Needs::default(), |_| true)
            .into_iter()
            .map(|f| (f.severity, f.what))
    };
    let follows = |is_running, lag_seconds| Some(Upstream { host: "db1".into(), is_running, lag_seconds });
    let health = Health { follows: follows(true, Some(0)), ..Health::default() };
    let found: Vec<_> = mariadb(health.clone()).collect();
    let text = "the server is a replica of db1, 0s behind it; what is changed here is missing there";
    assert_eq!(found, [(Severity::Warning, text.to_owned())]);
    let found: Vec<_> = mariadb(Health { read_only: true, ..health }).map(|(severity, _)| severity).collect();
    assert_eq!(found, [Severity::Error, Severity::Info], "nothing can be written there");
    let stopped = Health { read_only: true, follows: follows(false, None), ..Health::default() };
    let found: Vec<_> = mariadb(stopped).collect();
    assert_eq!(found[1].0, Severity::Warning);
    assert!(found[1].1.ends_with("and replication is stopped"), "{found:?}");
}

#[test]
fn a_setting_that_refuses_triggers_is_told_if_a_migration_makes_one() {
    let obstacle = |stops, concerns| Obstacle { stops, concerns, what: "refused".into(), fix: "lift it".into() };
    let found = |obstacle: Obstacle, rights: Vec<&'static str>| -> Vec<(Severity, usize)> {
        let (health, needs) =
            (Health { obstacles: vec![obstacle], ..Health::default() }, Needs { rights, ..Needs::default() });
        let found = judge(&[(tenant("a", "s", Engine::Mysql), Ok(health))], &LIMITS, &needs, |_| true);
        found.into_iter().filter(|f| f.what == "refused").map(|f| (f.severity, f.tenants.len())).collect()
    };
    assert_eq!(found(obstacle(false, &["TRIGGER"]), vec!["EVENT"]), []);
    assert_eq!(found(obstacle(false, &["TRIGGER"]), vec!["TRIGGER"]), [(Severity::Warning, 0)]);
    assert_eq!(found(obstacle(true, &[]), vec![]), [(Severity::Error, 1)]);
}

#[test]
fn an_extension_that_can_not_be_created_is_found_before_its_migration_is() {
    let needed = |is_optional| NeededExtension { name: "postgis".into(), migration: "m1".into(), is_optional };
    let with = |is_installed, is_available, may_create, is_optional| {
        let (name, database) = ("postgis".to_owned(), "acme".to_owned());
        let extension = Extension { name, database, is_installed, is_available, may_create, is_placed: false };
        let health = Health { extensions: vec![extension], ..Health::default() };
        judge(
            &[(tenant("a", "s", Engine::Postgres), Ok(health))],
            &LIMITS,
            &Needs { extensions: vec![needed(is_optional)], ..Needs::default() },
            |_| true,
        )
        .first()
        .map(|found| (found.severity, found.fix.clone()))
    };
    assert_eq!(with(true, false, false, false), None, "it is there");
    assert_eq!(with(false, true, true, false), None, "it can be made");
    let (severity, fix) = with(false, true, false, false).unwrap();
    assert_eq!(severity, Severity::Warning);
    assert!(fix.ends_with("CREATE EXTENSION \"postgis\";"), "{fix}");
    assert_eq!(with(false, false, true, false).unwrap().0, Severity::Error);
    assert_eq!(with(false, false, true, true).unwrap().0, Severity::Info, "its migration goes on without");
}

#[test]
fn who_has_a_file_is_told_and_so_is_a_lock_of_mariadb_that_keeps_readers_out() {
    let file_holders = vec![Blocker { id: 7, application: Some("python3".into()), ..Blocker::default() }];
    let found = warned(Health { file_holders, ..sound() });
    assert_eq!(found, ["warning: the file is locked by process 7 (python3) (let it end what it is doing, or: kill 7)"]);
    let lock = |mode: &str| HeldLock { table: "orders".into(), mode: mode.into(), by: open(0) };
    let found = warned(Health { locks: vec![lock("MDL_SHARED_READ"), lock("MDL_EXCLUSIVE")], ..sound() });
    assert!(found.len() == 1 && found[0].contains("MDL_EXCLUSIVE"), "{found:?}");
}

#[test]
fn a_grant_is_typed_as_it_is_told_and_asks_for_what_the_migrations_take() {
    let lacking = |rights: &[&str], needed: &[&'static str]| {
        let health = Health {
            missing_rights: rights.iter().map(|right| (*right).to_owned()).collect(),
            grantee: "'app'@'%'".into(),
            grant_on: "`acme`.*".into(),
            ..Health::default()
        };
        let needs = Needs { rights: needed.to_vec(), ..Needs::default() };
        let found = judge(&[(tenant("a", "s", Engine::Mysql), Ok(health))], &LIMITS, &needs, |_| true);
        found.into_iter().map(|f| (f.severity, f.what, f.fix)).collect::<Vec<_>>()
    };
    assert_eq!(lacking(&["TRIGGER", "REFERENCES"], &[]), [], "no migration makes any");
    let found = lacking(&["INSERT", "REFERENCES", "TRIGGER"], &["TRIGGER", "REFERENCES"]);
    let grant = "as an administrator: GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, TRIGGER, REFERENCES ON \
                 `acme`.* TO 'app'@'%';";
    let one = |severity, rights: &str| (severity, format!("the user lacks the right {rights}"), grant.to_owned());
    assert_eq!(found, [one(Severity::Error, "INSERT, TRIGGER"), one(Severity::Warning, "REFERENCES")]);
}

#[test]
fn a_list_of_tables_says_how_many_it_left_out() {
    let foreign_tables = vec!["public.a".to_owned(), "public.\"B\"".to_owned()];
    let found = warned(Health { foreign_tables, foreign_count: 9, grantee: "app".into(), ..sound() });
    let text = "warning: only their owners may alter these tables: public.a, public.\"B\" and 7 more (as an administrator: \
                ALTER TABLE public.a OWNER TO app; ALTER TABLE public.\"B\" OWNER TO app; and so for 7 more)";
    assert_eq!(found, [text]);
}

#[test]
fn an_index_that_a_build_left_invalid_is_a_warning() {
    let found = warned(Health { invalid_indexes: vec!["public.ux".to_owned()], ..sound() });
    assert!(found.len() == 1 && found[0].contains("public.ux (migrate, where the script that builds it"), "{found:?}");
    assert!(found[0].ends_with("else: DROP INDEX CONCURRENTLY public.ux;)"), "{found:?}");
}

#[test]
fn a_dump_tool_of_another_product_is_a_warning_where_its_dumps_do_not_load() {
    let of = |version: &str| [(tenant("a", "s", Engine::Mysql), Ok(Health { version: version.into(), ..sound() }))];
    let theirs = "mysqldump  Ver 10.19 Distrib 10.11.14-MariaDB, for debian-linux-gnu (x86_64)";
    let mysql = of("MySQL 9.7.4");
    assert_eq!(dump_programs(&mysql).into_iter().collect::<Vec<_>>(), [(Engine::Mysql, "mysqldump")]);
    let found = tools(&[("mysqldump", Engine::Mysql, Some(theirs.to_owned()))], &mysql);
    assert!(found[0].severity == Severity::Warning && found[0].fix.contains("own mysqldump"), "{found:?}");
    let own = "mysqldump  Ver 9.7.4-2 for Linux on x86_64 ((Debian))";
    assert_eq!(tools(&[("mysqldump", Engine::Mysql, Some(own.to_owned()))], &mysql)[0].severity, Severity::Info);
    assert_eq!(dump_programs(&of("MariaDB 10.11.6")).into_iter().next().unwrap().1, "mariadb-dump");
}
