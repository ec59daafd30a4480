//! A database server of a test's own, which it may kill and start again on its data.
//!
//! It never touches the servers that the other tests share.

use std::process::Command;

use crate::process::{Fleet, database_of, sql};

/// A server in a state folder of its own, with what it does by default to survive a crash; it and its data are gone with
/// this value.
pub(crate) struct Server {
    state: tempfile::TempDir,
    /// `postgres` or `mariadb`, as scripts/servers calls it.
    pub(crate) name: &'static str,
    /// The URL of a database that is always there.
    url: String,
}

impl Server {
    pub(crate) fn start(name: &'static str) -> Server {
        // The script makes the folder itself.
        let mut server = Server { state: tempfile::tempdir().unwrap(), name, url: String::new() };
        let variables = server.script(&["start", "--durable", name]);
        server.url = variables.lines().find_map(|line| line.split_once('=')).unwrap().1.to_owned();
        if name == "postgres" {
            // What it handed to the system outlives its processes, and nobody cuts the power: it still writes its log
            // before a commit is told, but does not hold up the disk that all tests share.
            sql(&server.url, "ALTER SYSTEM SET fsync = off");
            // These tests connect thousands of times, and the rounds of SCRAM are 40 ms of each in an unoptimised client.
            let rules = &sql(&server.url, "SHOW hba_file")[0];
            sql(&server.url, &format!("COPY (SELECT 'host all all 127.0.0.1/32 password') TO '{rules}'"));
            sql(&server.url, "SELECT CAST(pg_reload_conf() AS text)");
        }
        server
    }

    /// SIGKILL for the server and each of its processes.
    pub(crate) fn kill(&self) {
        self.script(&["kill", self.name]);
    }

    /// On its data, its port and its settings.
    pub(crate) fn restart(&self) {
        self.script(&["restart", self.name]);
    }

    /// Adds so many tenants, a database each.
    pub(crate) fn databases(&self, fleet: &mut Fleet, n: usize) {
        let names: Vec<String> = (0..n).map(|i| format!("t{i}")).collect();
        for (i, name) in names.iter().enumerate() {
            sql(&self.url, &format!("CREATE DATABASE {name}"));
            let prefix = if self.name == "postgres" { "pg" } else { "my" };
            fleet.add(&format!("{prefix}-{i:03}"), &database_of(&self.url, name));
        }
    }

    /// Adds so many tenants, schemas of one database.
    pub(crate) fn schemas(&self, fleet: &mut Fleet, n: usize) {
        sql(&self.url, "CREATE DATABASE shared");
        let url = database_of(&self.url, "shared");
        let names: Vec<String> = (0..n).map(|i| format!("t{i}")).collect();
        let create: Vec<String> = names.iter().map(|name| format!("CREATE SCHEMA {name}")).collect();
        sql(&url, &create.join(";"));
        for (i, name) in names.into_iter().enumerate() {
            fleet.add(&format!("schema-{i:03}"), &url);
            fleet.tenants.last_mut().unwrap().schema = Some(name);
        }
    }

    fn script(&self, arguments: &[&str]) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/servers");
        // Into a file: a server keeps what it inherits, and a pipe would never end.
        let out = self.state.path().join("out");
        let err = self.state.path().join("err");
        let status = Command::new(script)
            .args(arguments)
            .env("FLEET_SERVERS_STATE", self.state.path().join("state"))
            .stdin(std::process::Stdio::null())
            .stdout(std::fs::File::create(&out).unwrap())
            .stderr(std::fs::File::create(&err).unwrap())
            .status()
            .unwrap();
        assert!(status.success(), "scripts/servers {arguments:?}: {}", std::fs::read_to_string(err).unwrap());
        std::fs::read_to_string(out).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopped = std::panic::catch_unwind(|| self.script(&["stop"]));
        drop(stopped);
    }
}
