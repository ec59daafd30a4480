//! A database server for a single test, which may kill it and restart it on its data.
//!
//! It never touches the servers that the other tests share.

use std::process::Command;

use crate::process::{Fleet, database_of, sql};

/// A server in its own state folder, with its default crash safety; it and its data are removed when this value is
/// dropped.
pub(crate) struct Server {
    state: tempfile::TempDir,
    /// `postgres`, `mariadb` or `mysql`, as named by scripts/servers.
    pub(crate) name: &'static str,
    /// The URL of a database that always exists.
    url: String,
}

impl Server {
    pub(crate) fn start(name: &'static str) -> Server {
        // The script makes the folder itself.
        let mut server = Server { state: tempfile::tempdir().unwrap(), name, url: String::new() };
        let variables = server.script(&["start", "--durable", name]);
        server.url = variables.lines().find_map(|line| line.split_once('=')).unwrap().1.to_owned();
        if name == "postgres" {
            // Data handed to the system outlives the server's processes, and there is no power cut: the server still
            // writes its log before a commit is reported, but does not block the disk that all tests share.
            sql(&server.url, "ALTER SYSTEM SET fsync = off");
            // These tests connect thousands of times, and the rounds of SCRAM are 40 ms of each in an unoptimised
            // client.
            let rules = &sql(&server.url, "SHOW hba_file")[0];
            sql(&server.url, &format!("COPY (SELECT 'host all all 127.0.0.1/32 password') TO '{rules}'"));
            sql(&server.url, "SELECT CAST(pg_reload_conf() AS text)");
        }
        server
    }

    /// Sends SIGKILL to the server and each of its processes.
    pub(crate) fn kill(&self) {
        self.script(&["kill", self.name]);
    }

    /// Restarts it with its data, port and settings.
    pub(crate) fn restart(&self) {
        self.script(&["restart", self.name]);
    }

    /// Adds this many tenants, one database each.
    pub(crate) fn databases(&self, fleet: &mut Fleet, n: usize) {
        let names: Vec<String> = (0..n).map(|i| format!("t{i}")).collect();
        for (i, name) in names.iter().enumerate() {
            sql(&self.url, &format!("CREATE DATABASE {name}"));
            let prefix = match self.name {
                "postgres" => "pg",
                "mariadb" => "my",
                other => other,
            };
            fleet.add(&format!("{prefix}-{i:03}"), &database_of(&self.url, name));
        }
    }

    /// Adds this many tenants, as schemas of one database.
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
        // Output goes to a file: a server keeps inherited descriptors, and a pipe would never end.
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
