//! Settings of a MariaDB and of a MySQL that other tests would notice: its time zone, its `sql_mode`, and the most bytes of a message.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::model::fault::FaultClass;
use crate::model::outcome::{Outcome, TenantRecord};
use crate::model::schema::State;
use crate::model::tenant::{Address, Engine, Tenant};
use sea_orm::ConnectionTrait as _;
use secrecy::SecretString;
use url::Url;

use crate::engines::servers::OwnServers;
use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{connect, tenant, texts};

/// A new database on the server; returns its URL.
async fn database(server: &str, name: &str) -> Url {
    run(server, &format!("CREATE DATABASE {name}")).await;
    let mut url = Url::parse(server).unwrap();
    url.set_path(name);
    url
}

async fn run(url: &str, query: &str) {
    let db = connect(url).await;
    db.execute_unprepared(query).await.unwrap_or_else(|e| panic!("{query}: {e}"));
    db.close().await.unwrap();
}

async fn ask(url: &Url, query: &str) -> Vec<String> {
    let db = connect(url.as_str()).await;
    let found = texts(&db, query).await;
    db.close().await.unwrap();
    found
}

fn at(url: &Url) -> Arc<Tenant> {
    Arc::new(tenant("t", Engine::Mysql, Address::Url(SecretString::from(url.to_string())), None))
}

#[track_caller]
fn migrated(record: &TenantRecord) {
    assert_eq!(record.outcome.name(), "migrated", "{:?} {:?}", record.error, record.stopped_at);
}

/// Runs a script with the server's own client.
fn with_the_client(client: &str, url: &Url, script: &str) {
    let mut command = Command::new(client);
    command.env("MYSQL_PWD", url.password().unwrap()).args(["--no-defaults", "--protocol=tcp"]);
    command.args([format!("--host={}", url.host_str().unwrap()), format!("--port={}", url.port().unwrap())]);
    command.arg(format!("--user={}", url.username())).arg(url.path().trim_start_matches('/'));
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

const TABLE: &str = "CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, due datetime, flag varchar(20), zone varchar(20), mode varchar(200), \
                     path varchar(20))";

const SCRIPT: &str = "INSERT INTO t (flag) VALUES ('x');
UPDATE t SET due = NOW(), flag = 1 || 0, zone = @@time_zone, mode = @@sql_mode, path = 'C:\\dir';
CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW SET NEW.due = NOW();
CREATE PROCEDURE q() UPDATE t SET flag = 1 || 0;
CREATE VIEW v AS SELECT 1 || 0 AS flag;
CREATE EVENT e ON SCHEDULE EVERY 1 YEAR DO DELETE FROM t WHERE id < 0;
";

/// All that the session may have changed. The zone of the session that asks is UTC, as SeaORM's always is.
const SEEN: &str = "SELECT CONCAT_WS('/', ROUND(TIMESTAMPDIFF(MINUTE, UTC_TIMESTAMP(), due) / 60), flag, zone, mode, HEX(path)) FROM t \
                    UNION ALL SELECT sql_mode FROM information_schema.triggers WHERE trigger_schema = DATABASE() \
                    UNION ALL SELECT sql_mode FROM information_schema.routines WHERE routine_schema = DATABASE() \
                    UNION ALL SELECT sql_mode FROM information_schema.events WHERE event_schema = DATABASE() \
                    UNION ALL SELECT CAST(flag AS CHAR) FROM v \
                    UNION ALL SELECT view_definition FROM information_schema.views WHERE table_schema = DATABASE()";

#[tokio::test]
async fn a_script_sees_the_session_of_the_servers_own_client_and_rust_that_of_seaorm() {
    let own = OwnServers::start();
    sees_the_session_of_the_client(&own.mysql, "mariadb").await;
}

mod mysql {
    use crate::engines::servers::OwnMysql;
    use crate::engines::support::mysql::program;

    /// It is started to survive a crash, which costs a write to the disk for each row here.
    async fn own() -> OwnMysql {
        let own = OwnMysql::start();
        super::run(&own.url, "SET GLOBAL innodb_flush_log_at_trx_commit = 0, GLOBAL sync_binlog = 0").await;
        own
    }

    #[tokio::test]
    async fn a_script_sees_the_session_of_its_client_and_rust_that_of_seaorm() {
        let own = own().await;
        super::sees_the_session_of_the_client(&own.url, &program("mysql")).await;
    }

    #[tokio::test]
    async fn a_message_is_divided_below_what_it_takes() {
        let own = own().await;
        super::is_divided_below_what_the_server_takes(&own.url).await;
    }
}

async fn sees_the_session_of_the_client(server: &str, client_program: &str) {
    let modes = ["", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES", "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO"];
    for (n, mode) in modes.into_iter().enumerate() {
        run(server, &format!("SET GLOBAL time_zone = '+02:00', GLOBAL sql_mode = '{mode}'")).await;
        let client = database(server, &format!("client{n}")).await;
        with_the_client(client_program, &client, &format!("{TABLE};\n{SCRIPT}"));
        let wanted = ask(&client, &SEEN.replace("view_definition", "REPLACE(view_definition, DATABASE(), '')")).await;
        assert!(wanted[0].starts_with("2/1/+02:00/"), "{wanted:?}");
        let seaorm = database(server, &format!("seaorm{n}")).await;
        let rust = Migrations::of([sql(
            "m1",
            [TABLE, "INSERT INTO t (due, flag, zone, mode) VALUES (NOW(), 1 || 0, @@time_zone, @@sql_mode)"],
        )]);
        let db = connect(seaorm.as_str()).await;
        sea_orm_migration::MigratorTraitSelf::up(&rust, &db, None).await.unwrap();
        let row = "SELECT CONCAT_WS('/', ROUND(TIMESTAMPDIFF(MINUTE, UTC_TIMESTAMP(), due) / 60), flag, zone, mode) FROM t WHERE id = 1";
        let wanted_of_rust = texts(&db, row).await;
        db.close().await.unwrap();
        assert!(wanted_of_rust[0].starts_with("0/10/+00:00/PIPES_AS_CONCAT"), "{wanted_of_rust:?}");

        for native in [false, true] {
            let url = database(server, &format!("fleet{n}_{native}")).await;
            let script = SCRIPT
                .replace("UPDATE t SET due = NOW()", "UPDATE t SET path = id WHERE id = 1;\nUPDATE t SET due = NOW()");
            let script = script.replace("'C:\\dir';", "'C:\\dir' WHERE path IS NULL;");
            let fleet = Fleet::with_scripts(&rust, &[("0001_x.sql", &script)]).await.native(native);
            migrated(&fleet.up(&at(&url)).await);
            let of_rust = ask(&url, row).await;
            // A literal in a compiled statement is written with backslash escapes.
            let compiled = wanted_of_rust[0].replace("NO_BACKSLASH_ESCAPES,", "").replace(",NO_BACKSLASH_ESCAPES", "");
            assert_eq!(of_rust, [if native { &wanted_of_rust[0] } else { &compiled }.as_str()], "{mode:?} {native}");
            let seen = SEEN
                .replace("view_definition", "REPLACE(view_definition, DATABASE(), '')")
                .replace("FROM t ", "FROM t WHERE id > 1 ");
            assert_eq!(ask(&url, &seen).await, wanted, "{mode:?} {native}");
            assert_eq!(fleet.observe(&at(&url)).await.state, State::AtTarget);
        }
    }
    // The URL still chooses the zone, and a mode of the server's does not make a tenant's names another.
    let mut url = database(server, "zoned").await;
    url.set_query(Some("timezone=%2B05:00"));
    let name = "0001_C:\\größe.sql";
    run(server, "SET GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES'").await;
    let fleet =
        Fleet::with_scripts(&Migrations::of([]), &[(name, "CREATE TABLE z AS SELECT @@time_zone AS zone;")]).await;
    migrated(&fleet.up(&at(&url)).await);
    assert_eq!(ask(&url, "SELECT zone FROM z").await, ["+05:00"]);
    assert_eq!(ask(&url, "SELECT version FROM fleet_scripts").await, ["0001_C:\\größe"]);
    assert_eq!(fleet.up(&at(&url)).await.outcome, Outcome::UpToDate);
    // Nor does it hide what native code left.
    let url = database(server, "native").await;
    let twice =
        Migrations::of([sql("m1", ["CREATE TABLE one (i int PRIMARY KEY)", "INSERT INTO one VALUES (1), (1)"])]);
    let record = Fleet::of(&twice).await.native(true).up(&at(&url)).await;
    assert!(matches!(record.outcome, Outcome::InDoubt(_)), "{record:?}");
}

/// One-row INSERTs of about this many bytes in all.
fn inserts(bytes: usize, row: usize) -> String {
    let mut text = String::new();
    while text.len() < bytes {
        writeln!(text, "INSERT INTO big VALUES ('{}');", "x".repeat(row)).unwrap();
    }
    text
}

#[tokio::test]
async fn a_message_is_divided_below_what_the_server_takes() {
    is_divided_below_what_the_server_takes(&OwnServers::start().mysql).await;
}

async fn is_divided_below_what_the_server_takes(server: &str) {
    const MOST: usize = 1_048_576;
    run(server, &format!("SET GLOBAL max_allowed_packet = {MOST}")).await;
    let none = Migrations::of([]);
    let table = ("0000_big.sql", "CREATE TABLE big (v longtext);");
    let half = inserts(500_000, 70);
    let files = [table, ("0001_a.sql", &*half), ("0002_b.sql", &*half), ("0003_c.sql", &*half)];
    let url = database(server, "three").await;
    migrated(&Fleet::with_scripts(&none, &files).await.up(&at(&url)).await);
    let rows = (3 * half.lines().count()).to_string();
    assert_eq!(ask(&url, "SELECT COUNT(*) FROM big").await, [rows]);

    // One script above the limit, in one session with settings and without; its last statement is refused.
    for set in ["", "SET @x = 1;\n", "CALL nothing();\n"] {
        let large = format!("{set}{}INSERT INTO nowhere VALUES (1);\n", inserts(3 * MOST, 200_000));
        let url = database(server, &format!("large{}", set.len())).await;
        run(url.as_str(), "CREATE PROCEDURE nothing() DO 1").await;
        let fleet = Fleet::with_scripts(&none, &[table, ("0001_a.sql", &large)]).await;
        let record = fleet.up(&at(&url)).await;
        let (at_line, lines) = (record.stopped_at.unwrap(), large.lines().count());
        assert!(at_line.file.as_deref().unwrap().ends_with(&format!("0001_a.sql:{lines}")), "{at_line:?}");
        assert_eq!(at_line.statement, Some(lines));
        assert_eq!(record.error.unwrap().class, FaultClass::Missing);
        let rows = large.matches("INTO big").count().to_string();
        assert_eq!(ask(&url, "SELECT COUNT(*) FROM big").await, [rows]);
    }

    // The longest statement that the server takes, and one of a byte more.
    let row = |length: usize| {
        format!("INSERT INTO big VALUES ('{}')", "x".repeat(length - "INSERT INTO big VALUES ('')".len()))
    };
    let url = database(server, "longest").await;
    migrated(&Fleet::with_scripts(&none, &[table, ("0001_a.sql", &row(MOST - 2))]).await.up(&at(&url)).await);
    for length in [MOST - 1, MOST, 1_500_000] {
        let url = database(server, &format!("longer{length}")).await;
        let script = format!("INSERT INTO big VALUES ('a');\n\n{};", row(length));
        let record = Fleet::with_scripts(&none, &[table, ("0001_a.sql", &script)]).await.up(&at(&url)).await;
        assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::Resources });
        let text = record.error.unwrap().message;
        assert!(text.contains(&length.to_string()) && text.contains(&MOST.to_string()), "{text}");
        assert!(record.stopped_at.unwrap().file.unwrap().ends_with("0001_a.sql:3"));
        assert_eq!(ask(&url, "SHOW TABLES").await, [""; 0], "nothing was sent");
    }
}

/// The configuration of a PostgreSQL is told to its administrators only: others see what the driver forces, and doctor
/// says so.
#[tokio::test]
async fn a_script_sees_the_date_style_in_the_configuration_of_a_postgresql_or_doctor_says_that_it_does_not() {
    let own = OwnServers::start();
    run(&own.postgres, "ALTER SYSTEM SET datestyle = 'ISO, DMY'").await;
    run(&own.postgres, "SELECT pg_reload_conf()").await;
    run(&own.postgres, "CREATE ROLE plain LOGIN PASSWORD 'x'").await;
    let script = "CREATE TABLE seen AS SELECT ('03/04/2026'::date - date '2026-01-01')::text AS days;";
    let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", script)]).await;
    for (name, user, days, unknown) in [("a", None, "92", 0), ("b", Some("plain"), "62", 1)] {
        run(&own.postgres, &format!("CREATE DATABASE {name}")).await;
        let mut url = Url::parse(&own.postgres).unwrap();
        url.set_path(name);
        run(url.as_str(), "GRANT CREATE ON SCHEMA public TO PUBLIC").await;
        let admin = url.clone();
        if let Some(user) = user {
            url.set_username(user).unwrap();
            url.set_password(Some("x")).unwrap();
        }
        let address = Address::Url(SecretString::from(url.to_string()));
        let tenant = Arc::new(tenant(name, Engine::Postgres, address, None));
        let record = fleet.up(&tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
        assert_eq!(ask(&admin, "SELECT days FROM seen").await, [days], "{name}");
        let mut session = fleet.database().connect(&tenant).await.unwrap();
        let ask = crate::model::health::Questions { server: true, ..Default::default() };
        let health = session.health(&ask).await.unwrap();
        session.close().await;
        let told = health.unknown.iter().filter(|text| text.contains("TimeZone") || text.contains("DateStyle")).count();
        assert_eq!(told, unknown, "{:?}", health.unknown);
    }
}
