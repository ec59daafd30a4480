//! The remedies of `fleet doctor`: typed as shown, they remove the finding.

use std::os::unix::fs::PermissionsExt as _;

use crate::doctoring::{as_user, found, one, tenants};
use crate::support::{Fleet, mariadb_url, postgres_url, sql};

fn fix(finding: &serde_json::Value) -> &str {
    finding["fix"].as_str().unwrap()
}

/// The command that an administrator has to type.
#[track_caller]
fn typed(finding: &serde_json::Value) -> &str {
    fix(finding).strip_prefix("as an administrator: ").unwrap_or_else(|| panic!("{finding}"))
}

/// The privileges that were once proposed and are not enough: fleet writes into its own tables, and the sample has
/// triggers.
#[test]
fn who_types_the_grant_that_is_asked_for_on_mariadb_can_migrate() {
    let mut fleet = Fleet::new().mariadb(1);
    let plain = fleet.tenant("my-000").url.clone();
    let name = plain.rsplit_once('/').unwrap().1.to_owned();
    let user = format!("g{:x}", std::process::id());
    sql(&mariadb_url(), &format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'x'"));
    sql(&mariadb_url(), &format!("GRANT CREATE, ALTER, DROP, INDEX ON `{name}`.* TO '{user}'@'%'"));
    fleet.at_end(&mariadb_url(), &format!("DROP USER '{user}'@'%'"));
    fleet.tenant_mut("my-000").url = as_user(&plain, &user, "x");
    let report = fleet.run(&["doctor", "--format", "json"]).exits(2).json();
    let lacks = one(&report, "error", "the user lacks the right SELECT, INSERT, UPDATE, DELETE");
    assert!(lacks["what"].as_str().unwrap().contains("TRIGGER"), "the sample makes triggers: {lacks}");
    assert!(fix(lacks).ends_with(&format!(" TO '{user}'@'%';")), "{lacks}");
    sql(&mariadb_url(), typed(lacks));
    let report = fleet.run(&["doctor", "--format", "json"]).exits(0).json();
    assert!(found(&report, "warning", "lacks").is_empty(), "{report:#}");
    fleet.run(&["migrate", "--yes"]).exits(0);

    // A user without any right on the database: a name with a pattern's signs means this database only.
    sql(&mariadb_url(), &format!("REVOKE ALL ON `{name}`.* FROM '{user}'@'%'"));
    sql(&mariadb_url(), &format!("GRANT CREATE TEMPORARY TABLES ON *.* TO '{user}'@'%'"));
    sql(&mariadb_url(), &format!("GRANT SELECT ON `{name}`.* TO '{user}'@'%'"));
    // Nothing is pending, so that a run would not fail.
    let report = fleet.run(&["doctor", "--format", "json"]).exits(0).json();
    sql(&mariadb_url(), typed(one(&report, "warning", "the user lacks the right INSERT, UPDATE, DELETE, CREATE")));
    let report = fleet.run(&["doctor", "--format", "json"]).exits(0).json();
    assert!(found(&report, "warning", "lacks").is_empty(), "{report:#}");
}

#[test]
fn who_types_what_is_asked_for_on_postgres_gets_rid_of_it() {
    let mut fleet = Fleet::new().postgres(1);
    let plain = fleet.tenant("pg-000").url.clone();
    let role = fleet.unique("Some role");
    sql(&postgres_url(), &format!("CREATE ROLE \"{role}\" LOGIN PASSWORD 'x'"));
    fleet.at_end(&postgres_url(), &format!("DROP ROLE \"{role}\""));
    let url = as_user(&plain, &role.replace(' ', "%20"), "x");
    fleet.tenant_mut("pg-000").url = url.clone();
    for i in 0..7 {
        sql(&plain, &format!("CREATE TABLE \"Order{i}\" (id int)"));
    }
    sql(&plain, "REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    fleet.add("gone", &url);
    fleet.tenant_mut("gone").schema = Some("not there".into());

    let report = fleet.run(&["doctor", "--format", "json"]).exits(2).json();
    let lacks = one(&report, "error", "the user lacks the right CREATE on schema public");
    assert_eq!(typed(lacks), format!("GRANT USAGE, CREATE ON SCHEMA public TO \"{role}\";"));
    let foreign = one(&report, "warning", "only their owners may alter these tables: public.\"Order0\", ");
    assert!(foreign["what"].as_str().unwrap().ends_with(" and 2 more"), "{foreign}");
    let alter = typed(foreign).strip_suffix(" and so for 2 more").unwrap();
    let gone = one(&report, "error", "the schema \"not there\" does not exist");
    assert_eq!(tenants(gone), ["gone"]);
    for statement in [typed(lacks), alter] {
        sql(&plain, statement);
    }
    sql(&plain, fix(gone).split_once("type: ").unwrap().1);
    let report = fleet.run(&["doctor", "--format", "json"]).exits(2).json();
    assert_eq!(tenants(one(&report, "error", "the user lacks the right CREATE on schema \"not there\"")), ["gone"]);
    let foreign =
        one(&report, "warning", "only their owners may alter these tables: public.\"Order5\", public.\"Order6\"");
    assert!(!foreign["what"].as_str().unwrap().contains("more"), "{foreign}");
    fleet.tenant_mut("gone").schema = Some("new".into());
    fleet.tenant_mut("gone").more = "create_missing = true".into();
    let report = fleet.run(&["doctor", "--format", "json"]).exits(2).json();
    let name = plain.rsplit_once('/').unwrap().1;
    let grant = format!("GRANT CREATE ON DATABASE {name} TO \"{role}\";");
    assert_eq!(typed(one(&report, "error", "the user lacks the right CREATE on the database")), grant);
    sql(&plain, &grant);
    fleet.run(&["doctor"]).exits(0);
    sql(&plain, &format!("DROP OWNED BY \"{role}\" CASCADE"));
}

/// It blocks a run, so it is an error, with the next command.
#[test]
fn a_tenant_that_stopped_is_found_with_what_goes_on() {
    let fleet = Fleet::new().mariadb(2);
    fleet.ask("my-000", "CREATE TABLE users (id int)");
    fleet.run(&["migrate", "--yes"]).exits(100);
    let report = fleet.run(&["doctor", "--config", "tenants.toml", "--format", "json"]).exits(2).json();
    let stopped = one(&report, "error", "stopped at statement ");
    assert_eq!(tenants(stopped), ["my-000"]);
    assert!(fix(stopped).contains("--config ") && fix(stopped).ends_with(" migrate --tenant my-000"), "{stopped}");
    fleet.ask("my-000", "DROP TABLE users");
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.run(&["doctor"]).exits(0);
}

/// Root may write anywhere, so the program runs without the capability DAC_OVERRIDE.
#[test]
fn a_folder_of_backups_that_can_not_be_written_is_a_warning() {
    let fleet = Fleet::new().sqlite(1);
    fleet.write();
    let folder = fleet.path("backups");
    let look = || {
        let inner = fleet.program(&["doctor", "--format", "json"]);
        let mut outer = std::process::Command::new("setpriv");
        outer.args(["--bounding-set", "-dac_override", "--"]).arg(inner.get_program()).args(inner.get_args());
        outer.current_dir(fleet.folder.path());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => outer.env(name, value),
                None => outer.env_remove(name),
            };
        }
        serde_json::from_slice(&outer.output().unwrap().stdout).unwrap()
    };
    let word = "no backup can be written in backups";
    std::fs::create_dir(&folder).unwrap();
    let report: serde_json::Value = look();
    assert!(found(&report, "warning", word).is_empty(), "{report:#}");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o555)).unwrap();
    one(&look(), "warning", word);
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The proposed commands select the same tenants.
#[test]
fn commands_that_are_proposed_keep_the_tenant_file() {
    let mut fleet = Fleet::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for i in 0..6 {
        fleet.add(&format!("gone-{i}"), &format!("postgres://u@127.0.0.1:{free}/d{i}"));
    }
    let ran = fleet.run(&["migrate", "--yes", "--config", "tenants.toml"]).exits(75);
    let proposed = ran.err.lines().find_map(|line| line.split_once("see: ")).unwrap().1;
    assert!(proposed.contains("--config ") && proposed.contains("tenants.toml doctor; --no-preflight"), "{}", ran.err);
}
