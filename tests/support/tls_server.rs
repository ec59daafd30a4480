//! PostgreSQL and MariaDB servers for a single test that accept only TLS connections, and the certificates for them.
//!
//! The server's certificate is for `localhost` only. They end with the test.

use std::fs::Permissions;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::model::tenant::Engine;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// A server with a user `plain`, and a user `certified` who needs a client certificate. Its database is `app`.
pub(crate) struct TlsServer {
    pub(crate) port: u16,
    process: Child,
    folder: tempfile::TempDir,
}

impl TlsServer {
    pub(crate) fn start(engine: Engine) -> Self {
        let folder = tempfile::Builder::new().prefix("fleet-tls").tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let user = if engine == Engine::Postgres { "postgres" } else { "mysql" };
        certificates(folder.path());
        let home = folder.path().join("home");
        std::fs::create_dir(&home).unwrap();
        for file in ["server.pem", "server.key", "ca.pem"] {
            std::fs::copy(folder.path().join(file), home.join(file)).unwrap();
            std::fs::set_permissions(home.join(file), Permissions::from_mode(0o600)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if is_root() {
            run(Command::new("chown").args(["-R", user]).arg(&home));
        }
        let mut command = match engine {
            Engine::Postgres => postgres(&home, port),
            _ => mariadb(&home, port),
        };
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = TlsServer { port, process, folder };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{engine} with TLS does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        // PostgreSQL listens before it lets anyone in.
        std::thread::sleep(Duration::from_millis(500));
        server
    }

    /// The path of one of the files: `ca.pem`, `other-ca.pem`, `certified.pem`, `certified.key`.
    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        // PostgreSQL's parent process ends its children on this signal; MariaDB is one process.
        let _ = Command::new("kill").args(["-QUIT", &self.process.id().to_string()]).status();
        std::thread::sleep(Duration::from_millis(300));
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A command as the user that the server's package made; servers refuse root.
fn as_user(user: &str, program: impl AsRef<Path>) -> Command {
    if !is_root() {
        return Command::new(program.as_ref());
    }
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"]).arg(program.as_ref());
    command
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().unwrap().stdout == b"0\n"
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn postgres(home: &Path, port: u16) -> Command {
    let mut versions: Vec<PathBuf> =
        std::fs::read_dir("/usr/lib/postgresql").unwrap().map(|entry| entry.unwrap().path()).collect();
    versions.sort();
    let bin = versions.pop().unwrap().join("bin");
    let data = home.join("data");
    let mut initdb = as_user("postgres", bin.join("initdb"));
    run(initdb
        .arg("-D")
        .arg(&data)
        .args(["-U", "postgres", "--auth=trust", "--no-sync", "--locale=C", "-E", "UTF8"])
        .current_dir(home));
    // Roles and the database are created by a server that no one else can reach.
    let make =
        "CREATE ROLE plain LOGIN PASSWORD 'x';\nCREATE ROLE certified LOGIN;\nCREATE DATABASE app OWNER certified;\n";
    let mut single = as_user("postgres", bin.join("postgres"));
    single.args(["--single", "-D"]).arg(&data).arg("postgres").current_dir(home);
    let mut child = single.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), make.as_bytes()).unwrap();
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    let rules = "hostssl all certified 127.0.0.1/32 cert\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
    std::fs::write(data.join("pg_hba.conf"), rules).unwrap();
    let mut command = as_user("postgres", bin.join("postgres"));
    command.arg("-D").arg(&data).current_dir(home);
    for setting in [
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        "unix_socket_directories=".to_owned(),
        "fsync=off".to_owned(),
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", home.join("server.pem").display()),
        format!("ssl_key_file={}", home.join("server.key").display()),
        format!("ssl_ca_file={}", home.join("ca.pem").display()),
    ] {
        command.arg("-c").arg(setting);
    }
    command
}

fn mariadb(home: &Path, port: u16) -> Command {
    let data = home.join("data");
    let mut install = as_user("mysql", "mariadb-install-db");
    run(install
        .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"])
        .arg(format!("--datadir={}", data.display()))
        .env("TMPDIR", home)
        .current_dir(home));
    let init = home.join("init.sql");
    let make = "CREATE DATABASE app;\nCREATE USER 'plain'@'%' IDENTIFIED BY 'x' REQUIRE SSL;\nCREATE USER 'certified'@'%' \
                IDENTIFIED BY 'x' REQUIRE X509;\nGRANT ALL ON app.* TO 'plain'@'%';\nGRANT ALL ON app.* TO 'certified'@'%';\n";
    std::fs::write(&init, make).unwrap();
    let mut command = as_user("mysql", "/usr/sbin/mariadbd");
    command.args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve"]).current_dir(home);
    for (option, value) in [
        ("port", port.to_string()),
        ("datadir", data.display().to_string()),
        ("socket", home.join("socket").display().to_string()),
        ("pid-file", home.join("pid").display().to_string()),
        // Not /tmp: a server that starts removes the temporary tables there, those of the other servers too.
        ("tmpdir", home.display().to_string()),
        ("init-file", init.display().to_string()),
        ("ssl-cert", home.join("server.pem").display().to_string()),
        ("ssl-key", home.join("server.key").display().to_string()),
        ("ssl-ca", home.join("ca.pem").display().to_string()),
    ] {
        command.arg(format!("--{option}={value}"));
    }
    command
}

/// A certificate authority, another one, and the certificates that the first has signed for the server and for one
/// client.
fn certificates(folder: &Path) {
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    let authority = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut of = CertificateParams::new(Vec::new()).unwrap();
        of.distinguished_name.push(DnType::CommonName, name);
        of.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        of.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let pem = of.self_signed(&key).unwrap().pem();
        (Issuer::new(of, key), pem)
    };
    let (issuer, pem) = authority("fleet test");
    write("ca.pem", pem);
    write("other-ca.pem", authority("another").1);
    for (name, common, hosts) in
        [("server", "localhost", vec!["localhost".to_owned()]), ("certified", "certified", vec![])]
    {
        let key = KeyPair::generate().unwrap();
        let mut of = CertificateParams::new(hosts).unwrap();
        of.distinguished_name.push(DnType::CommonName, common);
        write(&format!("{name}.pem"), of.signed_by(&key, &issuer).unwrap().pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
}
