//! A PostgreSQL and a MariaDB for a single test, for anything that would disturb other tests: replication, plugins,
//! settings.
//!
//! They are started like the shared servers, and end with the test.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) struct OwnServers {
    pub(crate) postgres: String,
    pub(crate) mysql: String,
    state: tempfile::TempDir,
}

impl OwnServers {
    pub(crate) fn start() -> Self {
        let state = tempfile::tempdir().unwrap();
        let text = run(&mut script("start", state.path()));
        let variable = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("export {name}=")));
            line.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
        };
        let (postgres, mysql) = (variable("FLEET_TEST_POSTGRES_URL"), variable("FLEET_TEST_MARIADB_URL"));
        OwnServers { postgres, mysql, state }
    }

    /// The folder of both servers; `postgres/log` in it is PostgreSQL's log.
    pub(crate) fn base(&self) -> PathBuf {
        PathBuf::from(std::fs::read_to_string(self.state.path().join("base")).unwrap().trim())
    }

    /// Makes the MariaDB the only node of a Galera cluster. Its port stays.
    pub(crate) fn join_galera(&self) {
        let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let options = self.base().join("mariadb.options");
        let text = std::fs::read_to_string(&options).unwrap();
        let more = format!(
            "--wsrep-on=ON\n--wsrep-provider=/usr/lib/galera/libgalera_smm.so\n--wsrep-cluster-address=gcomm://\n\
             --wsrep-node-address=127.0.0.1\n--binlog-format=ROW\n\
             --wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:{};ist.recv_addr=127.0.0.1:{}\n",
            port(),
            port()
        );
        std::fs::write(&options, text + &more).unwrap();
        run(script("restart", self.state.path()).arg("mariadb"));
    }

    /// A standby of the PostgreSQL of this pair.
    pub(crate) fn standby(&self) -> Standby {
        let base = self.base();
        // Only the server's user may write there.
        let data = base.join("postgres/standby");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = self.postgres.rsplit_once('/').unwrap().0;
        let mut copy =
            as_server(&base, "pg_basebackup", &["-R", "-X", "stream", "-c", "fast", "-d", server, "-D"], &data);
        run(&mut copy);
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={} -c wal_receiver_status_interval=1s \
             -c fsync=off -c max_connections=400 -c max_locks_per_transaction=256",
            base.join("postgres").display()
        );
        let log = base.join("postgres/standby.log").display().to_string();
        let start = ["start", "-w", "-t", "60", "-s", "-l", &log, "-o", &options, "-D"];
        let mut start = as_server(&base, "pg_ctl", &start, &data);
        // The server would keep a pipe open.
        assert!(start.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
        let (before, _) = server.rsplit_once(':').unwrap();
        Standby { server: format!("{before}:{port}"), base, data }
    }
}

impl Drop for OwnServers {
    fn drop(&mut self) {
        let _ = script("stop", self.state.path()).output();
    }
}

/// A MySQL for a single test, with the binary log that it writes by default. It ends with the test.
pub(crate) struct OwnMysql {
    pub(crate) url: String,
    state: tempfile::TempDir,
}

impl OwnMysql {
    pub(crate) fn start() -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut command = script("start", state.path());
        let text = run(command.args(["--durable", "mysql"]).env_remove("FLEET_TEST_WITHOUT"));
        let line = text.lines().find_map(|line| line.strip_prefix("export FLEET_TEST_MYSQL_URL="));
        OwnMysql { url: line.unwrap_or_else(|| panic!("no MySQL in {text}")).to_owned(), state }
    }
}

impl Drop for OwnMysql {
    fn drop(&mut self) {
        let _ = script("stop", self.state.path()).output();
    }
}

pub(crate) struct Standby {
    /// Its URL without a database.
    pub(crate) server: String,
    base: PathBuf,
    data: PathBuf,
}

impl Drop for Standby {
    fn drop(&mut self) {
        let _ = as_server(&self.base, "pg_ctl", &["stop", "-m", "immediate", "-s", "-D"], &self.data).output();
    }
}

fn script(what: &str, state: &Path) -> Command {
    // The package is the repository itself, or a folder in it.
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("scripts/servers"));
    let mut command = Command::new(found.into_iter().find(|script| script.exists()).unwrap());
    // A MySQL of its own would take longer to start than most of these tests.
    command.arg(what).env("FLEET_SERVERS_STATE", state).env("FLEET_TEST_WITHOUT", "mysql").stdin(Stdio::null());
    command
}

/// A program of PostgreSQL as the user of its server; neither runs as root.
fn as_server(base: &Path, program: &str, arguments: &[&str], data: &Path) -> Command {
    let program = Path::new(std::fs::read_to_string(base.join("postgres.bin")).unwrap().trim()).join(program);
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout.starts_with(b"0\n");
    let mut command = Command::new(if is_root { Path::new("runuser") } else { &program });
    if is_root {
        command.args(["-u", "postgres", "--"]).arg(&program);
    }
    command.args(arguments).arg(data).current_dir(base).stdin(Stdio::null());
    command
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
