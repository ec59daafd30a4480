//! A pgbouncer in front of the test server, in transaction pooling mode.
//!
//! It listens on a port of its own and ends with the test that started it.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use url::Url;

pub(crate) struct Pgbouncer {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Pgbouncer {
    /// Starts a pgbouncer in front of the server of this URL; `more` are lines of its section `[pgbouncer]`.
    pub(crate) fn start(server: &str, more: &str) -> Self {
        let server = Url::parse(server).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = format!(
            "[databases]\n* = host={} port={} user={} password={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n{more}\n",
            server.host_str().unwrap(),
            server.port().unwrap(),
            server.username(),
            server.password().unwrap()
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, text).unwrap();
        // Debian installs it in a folder that only root's PATH has, and it refuses to run as root.
        let mut command = Command::new("/usr/sbin/pgbouncer");
        if is_root() {
            command.args(["-u", "postgres"]);
        }
        let process = command.arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.expect("pgbouncer starts; `scripts/servers install` installs it");
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "pgbouncer does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Pgbouncer { process, port, _folder: folder }
    }

    /// The URL of a database through it.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://anyone@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Pgbouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout.starts_with(b"0\n")
}
