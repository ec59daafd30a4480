//! `plan --sql --wire` and `plan --sql --out`: a plan that touches nothing, and files that people run with the engines' own clients.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::{Fleet, TenantDb, mysql};

/// Tenants of each kind, with scripts whose bodies have semicolons in them.
fn fleet() -> Fleet {
    let fleet = Fleet::new()
        .head("[fleet]\nscripts = \"sql\"\n")
        .sqlite(2)
        .postgres(2)
        .schemas(1)
        .mariadb(1)
        .mysql_where_there(1);
    let write = |name: &str, text: &str| {
        std::fs::create_dir_all(fleet.path("sql")).unwrap();
        std::fs::write(fleet.path("sql").join(name), text).unwrap();
    };
    write(
        "0001_names.sql",
        "CREATE TABLE names (id integer PRIMARY KEY, name varchar(20));\nINSERT INTO names VALUES (1, 'a;b');",
    );
    write(
        "0002_trim.mysql.sql",
        "CREATE TRIGGER trims BEFORE INSERT ON names FOR EACH ROW BEGIN SET NEW.name = TRIM(NEW.name); SET @x = 1; END;",
    );
    write(
        "0002_trim.sqlite.sql",
        "CREATE TRIGGER trims AFTER INSERT ON names BEGIN UPDATE names SET name = trim(name); SELECT 1; END;",
    );
    write(
        "0002_trim.postgres.sql",
        "CREATE FUNCTION trims() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; RETURN 2; END $$;",
    );
    fleet
}

/// The file for a tenant.
fn file_of(fleet: &Fleet, folder: &str, tenant: &str) -> std::path::PathBuf {
    let files = fleet.path(folder).read_dir().unwrap().map(|file| file.unwrap().path());
    let names =
        |file: &std::path::PathBuf| std::fs::read_to_string(file).unwrap().contains(&format!("--   {tenant}: "));
    files.into_iter().find(names).unwrap_or_else(|| panic!("no file for {tenant}"))
}

/// Runs a file as its head says.
fn by_hand(fleet: &Fleet, tenant: &TenantDb, file: &Path) -> Output {
    let mut command = match tenant.url.split(':').next().unwrap() {
        "sqlite" => {
            let mut command = Command::new("sqlite3");
            command
                .arg("-bail")
                .arg(fleet.path(tenant.url.trim_start_matches("sqlite:")))
                .stdin(File::open(file).unwrap());
            command
        }
        "mysql" => {
            let url = url::Url::parse(&tenant.url).unwrap();
            let mut command = Command::new("mariadb");
            command.args(["--protocol=tcp", "-h", url.host_str().unwrap(), "-P", &url.port().unwrap().to_string()]);
            command.args(["-u", url.username(), url.path().trim_start_matches('/')]);
            command.env("MYSQL_PWD", url.password().unwrap()).stdin(File::open(file).unwrap());
            command
        }
        _ => {
            let mut command = Command::new("psql");
            command.args(["-X", "-v", "ON_ERROR_STOP=1", "-f"]).arg(file).arg(&tenant.url);
            command
        }
    };
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
}

/// Plans files up to a migration, runs each on its tenants, and finds that none runs twice.
fn all_by_hand(fleet: &Fleet, folder: &str, to: &str) {
    fleet
        .run(&["plan", "--sql", "--out", folder, "--to", to])
        .exits(0)
        .shows(&["sqlite-lite-000-and-1-more.sql: 2 tenants"]);
    let files = fleet.path(folder).read_dir().unwrap().count();
    assert_eq!(
        files,
        4 + usize::from(mysql::is_there()),
        "one for each kind, and one for each MySQL database and schema"
    );
    for tenant in &fleet.tenants {
        let file = file_of(fleet, folder, &tenant.id);
        let ran = by_hand(fleet, tenant, &file);
        assert!(ran.status.success(), "{}: {}", tenant.id, String::from_utf8_lossy(&ran.stderr));
        let before = fleet.history(&tenant.id);
        let again = by_hand(fleet, tenant, &file);
        assert!(!again.status.success(), "{}: a file refuses to run twice", tenant.id);
        // Its head has the words in which the client says so.
        let (text, told) =
            (std::fs::read_to_string(&file).unwrap(), String::from_utf8_lossy(&again.stderr).into_owned());
        let (head, _) = text.split_once("` in its first lines means: ").unwrap();
        assert!(told.contains(head.rsplit_once('`').unwrap().1), "{}: {told}", tenant.id);
        assert_eq!(fleet.history(&tenant.id), before, "{}", tenant.id);
    }
    fleet.run(&["plan", "--to", to, "--exit-code"]).exits(0);
}

const BATCH: &str = "m20251001_000002_migrate_transactions";

#[test]
fn a_later_run_notices_that_files_were_run_by_hand() {
    let fleet = fleet();
    let stops = format!("2 tenants; stops before {BATCH}: a statement of it is repeated until it changes no row");
    fleet.run(&["plan", "--sql", "--out", "first"]).exits(0).shows(&[&stops]);
    fleet.run(&["plan", "--sql", "--out", "first"]).exits(64).tells(&["holds files already"]);
    all_by_hand(&fleet, "second", "m20250930_000001_order_sale_fields");
    for tenant in &fleet.tenants {
        assert_eq!(fleet.history(&tenant.id).unwrap().len(), 5, "{}", tenant.id);
        let at = fleet.ask(&tenant.id, "SELECT concat('', max(applied_at)) FROM seaql_migrations");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!(at[0].parse::<u64>().unwrap().abs_diff(now) < 600, "{}: {at:?}", tenant.id);
    }
    fleet.run(&["migrate", "--to", BATCH, "--yes"]).exits(0);
    all_by_hand(&fleet, "third", "0002_trim");
    fleet.run(&["status", "--exit-code"]).exits(0);
    fleet.run(&["migrate", "--yes"]).exits(0).shows(&["up to date"]);
}

#[test]
fn a_file_that_fails_in_the_middle_leaves_what_status_says() {
    let fleet = fleet();
    fleet.run(&["plan", "--sql", "--out", "files"]).exits(0);
    for tenant in &fleet.tenants {
        // The second migration finds a table of its own.
        fleet.ask(&tenant.id, "CREATE TABLE users (id integer)");
        let ran = by_hand(&fleet, tenant, &file_of(&fleet, "files", &tenant.id));
        assert!(!ran.status.success(), "{}", tenant.id);
        assert_eq!(fleet.history(&tenant.id).unwrap(), ["m20250109_000001_dependencies"], "{}", tenant.id);
    }
    let status = fleet.run(&["status", "--format", "json"]).exits(0).json();
    let states = &status["summary"]["by_state"];
    assert_eq!(
        (&states["in_doubt"], &states["behind"]),
        (&(1 + usize::from(mysql::is_there())).into(), &5.into()),
        "MySQL and MariaDB, and the rest: {status}"
    );
    for tenant in &fleet.tenants {
        fleet.ask(&tenant.id, "DROP TABLE users");
    }
    let settled = fleet.tenants.iter().filter(|tenant| !tenant.id.starts_with("my"));
    for tenant in settled {
        fleet.run(&["migrate", "--tenant", &tenant.id, "--yes"]).exits(0);
    }
}

#[test]
fn a_plan_of_everything_that_is_sent_touches_nothing() {
    let mut fleet = fleet();
    fleet.add("new", "sqlite:new.db");
    fleet.tenant_mut("new").more = "create_missing = true".to_owned();
    let shown = fleet.run(&["plan", "--sql", "--wire"]).exits(0);
    shown.shows(&[
        "-- sqlite x 3 tenants: lite-000, lite-001, new",
        "-- known only to the run: <fleet:now> seconds since 1970",
        "BEGIN EXCLUSIVE;",
    ]);
    assert!(!fleet.path("new.db").exists(), "no file is made");
    for tenant in fleet.tenants.iter().filter(|tenant| tenant.id != "new") {
        assert_eq!(fleet.history(&tenant.id), None, "{}", tenant.id);
    }
    fleet.run(&["plan", "--wire"]).exits(64).tells(&["--sql"]);
}

#[test]
fn a_plan_names_the_locks_of_each_script_and_how_long_they_are_waited_for() {
    let fleet = Fleet::new().head("[fleet]\nlock_timeout = \"8s\"\n").sqlite(1).postgres(1).mariadb(1);
    let shown = fleet.run(&["plan", "--sql"]).exits(0);
    shown.shows(&[
        "-- lock: the whole file: no other writer",
        "-- lock: ACCESS EXCLUSIVE on inventory_items (readers and writers wait)",
        "-- lock: metadata lock on inventory_items",
        "-- each lock is waited for: up to 2.0s in each of the first 3 tries, up to 8.0s in later ones, 2m in all",
    ]);
    let json = fleet.run(&["plan", "--sql", "--format", "json"]).exits(0).json();
    let all = json["scripts"].as_array().unwrap();
    assert!(
        all.iter().any(|script| script["locks"]["takes"][0].as_str().is_some_and(|lock| lock.contains("SHARE"))),
        "{json}"
    );
}
