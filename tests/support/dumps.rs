//! Dumps of a tenant by the engine's own tools, and runs with a report: for tests of backups and restores.

use std::process::Command;

use serde_json::Value;
use url::Url;

use crate::support::{Fleet, json_file, mysql, sql};

/// A full dump of a tenant, rows included, by the engine's own tool.
pub(crate) fn dump(fleet: &Fleet, id: &str) -> String {
    let tenant = fleet.tenant(id);
    let Some(file) = tenant.url.strip_prefix("sqlite:") else {
        let url = Url::parse(&tenant.url).unwrap();
        let mut command = if tenant.url.starts_with("postgres") {
            let mut command = Command::new("pg_dump");
            command.args(["--no-owner", "--dbname"]).arg(&tenant.url);
            command.args(tenant.schema.iter().map(|schema| format!("--schema={schema}")));
            command
        } else {
            // MySQL's own tool for MySQL: the other one leaves things out.
            let is_mysql = mysql::is_there() && mysql::url().contains(&port(&url));
            let mut command = Command::new(match is_mysql {
                true => mysql::program("mysqldump"),
                false => "mariadb-dump".to_owned(),
            });
            command.env("MYSQL_PWD", url.password().unwrap());
            command.args([
                "--no-defaults",
                "--skip-comments",
                "--routines",
                "--events",
                "--protocol=tcp",
                "--hex-blob",
            ]);
            if is_mysql {
                command.arg("--set-gtid-purged=OFF");
            }
            command.arg(format!("--host={}", url.host_str().unwrap())).arg(format!("--port={}", url.port().unwrap()));
            command.arg(format!("--user={}", url.username())).arg(url.path().trim_start_matches('/'));
            command
        };
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        // A random key in each dump, against injection by hostile names.
        let lines = text.lines().filter(|line| !line.contains("restrict "));
        return lines.collect::<Vec<_>>().join("\n");
    };
    let url = format!("sqlite:{}", fleet.path(file).display());
    let mut text = sql(&url, "SELECT coalesce(sql, name) FROM sqlite_master ORDER BY name");
    let tables = sql(&url, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name");
    for table in tables {
        let columns = sql(&url, &format!("SELECT quote(name) FROM pragma_table_info('{table}')"));
        let row: Vec<String> = columns.iter().map(|c| format!("quote(\"{}\")", c.trim_matches('\''))).collect();
        text.extend(sql(&url, &format!("SELECT {} FROM \"{table}\" ORDER BY 1", row.join("||','||"))));
    }
    text.join("\n")
}

/// The port as it stands in a URL.
fn port(url: &Url) -> String {
    format!(":{}/", url.port().unwrap())
}

/// Runs the program with a JSON report, and returns the report.
#[track_caller]
pub(crate) fn run(fleet: &Fleet, arguments: &[&str], code: i32) -> Value {
    let mut all = arguments.to_vec();
    all.extend(["--report", "json=report.json"]);
    fleet.run(&all).exits(code);
    json_file(&fleet.path("report.json"))
}

pub(crate) fn run_id(report: &Value) -> String {
    report["run"]["run"].as_str().or(report["run"].as_str()).unwrap_or_else(|| panic!("{report}")).to_owned()
}
