//! The README's way to settle a tenant in doubt by hand, on MariaDB: both answers to "did that statement happen?".

#![expect(clippy::unwrap_used, reason = "a test ends with the first thing that is not as it should be")]

use std::path::Path;
use std::process::Command;

use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection as _};

/// A fleet of one tenant, in a database of its own that goes when the test ends.
struct Fleet {
    folder: tempfile::TempDir,
    database: String,
    server: MySqlConnection,
}

impl Fleet {
    async fn new(name: &str) -> Self {
        let url = std::env::var("FLEET_TEST_MYSQL_URL").expect("FLEET_TEST_MYSQL_URL names a server: scripts/servers");
        let database = format!("fleet_doubt_{name}_{}", std::process::id());
        let mut server = MySqlConnection::connect(&url).await.unwrap();
        run(&mut server, &format!("CREATE DATABASE {database}")).await;
        run(&mut server, &format!("USE {database}")).await;
        let folder = tempfile::tempdir().unwrap();
        let tenant = url.rsplit_once('/').unwrap().0;
        let file = format!("[[tenant]]\nid = \"acme\"\nurl = \"{tenant}/{database}\"\n");
        std::fs::write(folder.path().join("tenants.toml"), file).unwrap();
        Fleet { folder, database, server }
    }

    /// Runs `fleet` and returns its exit code and what it wrote to stdout.
    fn fleet(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleet"));
        let output =
            command.args(arguments).current_dir(self.folder.path()).env_remove("FLEET_CONFIG").output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }

    /// The second migration as if the server had died at its last statement; returns the statements.
    async fn die_at_the_last_statement(&mut self, file: &Path, happened: bool) {
        let (code, out) = self.fleet(&["migrate", "--to", "000001", "--yes"]);
        assert_eq!(code, 0, "{out}");
        let plan = ["plan", "--to", "000002", "--format", "json", "--sql", "-o", file.to_str().unwrap()];
        assert_eq!(self.fleet(&plan).0, 0);
        let plan: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let script = &plan["scripts"][0];
        let statements: Vec<&str> =
            script["statements"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
        let done = statements.len() - usize::from(!happened);
        for sql in &statements[..done] {
            run(&mut self.server, sql).await;
        }
        let row = format!(
            "INSERT INTO fleet_journal VALUES (1, '{}', 'up', {}, 'running', '{}', 'lost', 1)",
            script["migration"].as_str().unwrap(),
            statements.len(),
            script["sha256"].as_str().unwrap()
        );
        run(&mut self.server, &row).await;
        let (code, out) = self.fleet(&["migrate", "--yes", "-q"]);
        assert!(code == 100 && out.contains("IN DOUBT") && out.contains("fleet_journal"), "{code} {out}");
    }

    async fn settles(mut self, sql: &str) {
        run(&mut self.server, sql).await;
        let (code, out) = self.fleet(&["migrate", "--yes", "-q"]);
        assert_eq!(code, 0, "{out}");
        assert_eq!(self.fleet(&["status", "--exit-code"]).0, 0);
        run(&mut self.server, &format!("DROP DATABASE {}", self.database)).await;
    }
}

async fn run(server: &mut MySqlConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(server).await.unwrap();
}

#[tokio::test]
async fn mysql_a_statement_that_did_not_happen_is_sent_again() {
    let mut fleet = Fleet::new("no").await;
    let file = fleet.folder.path().join("plan.json");
    fleet.die_at_the_last_statement(&file, false).await;
    fleet.settles("UPDATE fleet_journal SET state = 'stopped'").await;
}

#[tokio::test]
async fn mysql_a_statement_that_happened_is_passed_over() {
    let mut fleet = Fleet::new("yes").await;
    let file = fleet.folder.path().join("plan.json");
    fleet.die_at_the_last_statement(&file, true).await;
    fleet.settles("UPDATE fleet_journal SET state = 'stopped', statement = statement + 1").await;
}
