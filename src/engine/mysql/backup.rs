//! MySQL and MariaDB: the dump as SQL statements, and its restore through the engine's own client.
//!
//! These engines can't roll back a load. So a restore first tries the dump out on a scratch database (`trial`), and then
//! writes a journal row that marks it as running before it drops anything; the dump's own journal comes last and
//! replaces it. Dying in between, the tenant is in doubt, no run touches it, and the same restore starts again from the
//! first step.

use std::io::{BufRead, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use tokio::process::Command;

use crate::engine::address::{parameter, password};
use crate::engine::backup::secret::SecretFile;
use crate::engine::backup::tool;
use crate::engine::backup::{Shell, Transfer, broken, make_private};
use crate::engine::history;
use crate::engine::mysql::MysqlSession;
use crate::engine::mysql::codes;
use crate::engine::mysql::definers::{self, Account, definers};
use crate::engine::mysql::flavour::Flavour;
use crate::engine::mysql::tenant_lock::{LOCK_NAME, TenantLock, load_under};
use crate::engine::mysql::trial::feed;
use crate::engine::provision::MARK_TABLE;
use crate::engine::queries::{Queries as _, TextRow};
use crate::engine::{Dump, journal, literal};
use crate::model::fault::{Fault, FaultClass};
use crate::model::tenant::Engine;
use crate::sql::SessionUse;

/// The last line of a complete dump.
const COMPLETED: &str = "-- Dump completed";

/// The longest packet that the programs themselves take: the limit that counts is the server's.
const MOST_BYTES: &str = "--max-allowed-packet=1073741824";

/// Maximum number of definers, or events, named in a refusal.
const MOST_NAMES: usize = 5;

/// A program and its product: their options differ.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) name: &'static str,
    version: String,
    /// The server's version.
    server: String,
}

/// The program that loads, with its option file.
pub(super) struct Client {
    pub(super) program: Program,
    defaults: SecretFile,
}

impl Client {
    /// The client on a database. Bytes are taken verbatim, and a dump can't make it run commands.
    pub(super) fn loading(&self, database: &str) -> Command {
        let mut command = client(self.program.name, &self.defaults);
        command.args(["--binary-mode", "--batch", "--default-character-set=utf8mb4", MOST_BYTES]);
        command.arg(format!("--database={database}")).stdout(Stdio::null());
        command
    }
}

/// Appends what a dump program writes to the file of the dump.
async fn append(to: &Transfer<'_>, program: &Program, mut command: Command) -> Result<(), Fault> {
    let more = std::fs::OpenOptions::new().append(true).open(to.file);
    let more = more.map_err(|e| broken(format!("{}: {e}", to.file.display())))?;
    command.stdin(Stdio::null()).stdout(Stdio::from(more));
    tool::run_with_streams(command, program.name, &to.limits()).await.map_err(told)?;
    check_end(to.file)
}

impl Program {
    /// The first of these programs that is installed.
    async fn find(names: [&'static str; 2], server: &str) -> Result<Self, Fault> {
        let mut first = None;
        for name in names {
            match tool::version(name).await {
                Ok(version) => return Ok(Program { name, version, server: server.to_owned() }),
                Err(fault) => first = first.or(Some(fault)),
            }
        }
        Err(first.expect("there are two names"))
    }
}

#[async_trait]
impl Dump for MysqlSession {
    /// The size of the dump in bytes, as the engine estimates it.
    async fn footprint(&mut self) -> Result<Option<u64>, Fault> {
        let sql = "SELECT CAST(COALESCE(SUM(data_length + index_length), 0) AS SIGNED) FROM information_schema.tables \
                   WHERE table_schema = DATABASE()";
        let rows = self.rows(sql.to_owned()).await?;
        Ok(Some(rows.first().and_then(|row| row.parse(0)).unwrap_or(0)))
    }

    async fn dump(&mut self, to: &Transfer<'_>) -> Result<String, Fault> {
        let program = self.program("mariadb-dump", "mysqldump").await?;
        // A migration in progress, which no transaction could hide here, would make the dump inconsistent.
        self.hold(SessionUse::None).await?;
        let dumped = self.dump_to(to, &program).await;
        let _ = self.run(format!("DO RELEASE_LOCK({LOCK_NAME})")).await;
        dumped.map(|()| program.version)
    }

    async fn load(&mut self, from: &Transfer<'_>) -> Result<(), Fault> {
        let program = self.program("mariadb", "mysql").await?;
        check_end(from.file)?;
        let client = Client { defaults: self.defaults(&program).await?, program };
        let database = self.door.namespace().unwrap_or_default();
        self.check_definers(from.file).await?;
        let was = self.hold(SessionUse::None).await?;
        if let Some(trial) = &from.trial {
            self.try_out(&client, from, trial).await?;
        }
        let (create, mark) = (self.door.journal().create(), self.door.journal().restoring(from.run));
        self.run(format!("USE {};\n{create};\n{mark}", Engine::Mysql.quote(&database))).await?;
        self.empty(&was).await?;
        let mut command = client.loading(&database);
        // Dying here, the client ends with the part that it has, and the journal says that a restore is under way; until it
        // has ended, a later run detects it by its lock.
        command.arg(format!("--init-command={}", load_under(self.id.load(Ordering::Relaxed))));
        feed(from, client.program.name, command, None).await?;
        // A tenant that had no journal has none again; any other tenant's came with the end of the dump.
        let marked = self.entry().await?.flatten().is_some_and(|entry| entry.is_restore());
        if marked {
            self.run(format!("DROP TABLE {}", self.door.journal().table())).await?;
        }
        self.run(format!("DO RELEASE_LOCK({LOCK_NAME})")).await
    }

    async fn dump_script(&mut self, to: &Transfer<'_>) -> Result<(), Fault> {
        let program = self.program("mariadb-dump", "mysqldump").await?;
        self.dump_to(to, &program).await?;
        self.make_neutral(to.file).await
    }

    async fn check_trial(&mut self) -> Result<(), Fault> {
        self.check_scratch().await
    }

    async fn shell(&mut self) -> Result<Shell, Fault> {
        let rows = self.rows("SELECT VERSION()".to_owned()).await?;
        let version = rows.first().map(|row| row.must(0)).unwrap_or_default();
        let names = if Flavour::of(&version) == Flavour::MariaDb { ["mariadb", "mysql"] } else { ["mysql", "mariadb"] };
        let program = Program::find(names, &version).await?;
        let secret = self.defaults(&program).await?;
        let mut command = client(program.name, &secret);
        command.arg(format!("--database={}", self.door.namespace().unwrap_or_default()));
        Ok(Shell { command, secret: Some(secret) })
    }
}

impl MysqlSession {
    /// The program of a flavour that makes dumps of the server.
    async fn program(&mut self, of_mariadb: &'static str, of_mysql: &'static str) -> Result<Program, Fault> {
        let rows = self.rows("SELECT VERSION()".to_owned()).await?;
        let version = rows.first().map(|row| row.must(0)).unwrap_or_default();
        let server = Flavour::of(&version);
        if server == Flavour::MariaDb {
            return Program::find([of_mariadb, of_mysql], &version).await;
        }
        let program = Program::find([of_mysql, of_mysql], &version).await?;
        if Flavour::of(&program.version).dumps(server) {
            return Ok(program);
        }
        let text = format!(
            "the server is MySQL {version}, and {of_mysql} in PATH is MariaDB's ({}), whose dumps of MySQL can't all be loaded \
             again; put MySQL's own {of_mysql} first in PATH; nothing was changed",
            program.version
        );
        Err(Fault::new(FaultClass::Other, text))
    }

    async fn dump_to(&mut self, to: &Transfer<'_>, program: &Program) -> Result<(), Fault> {
        let database = self.door.namespace().unwrap_or_default();
        let defaults = self.defaults(program).await?;
        self.check_events(program).await?;
        make_private(to.file)?;
        self.write_defaults(to.file).await?;
        let own = self.own_tables().await?;
        // A view may read the history, whose rows come last.
        let history: Vec<&String> = own.iter().filter(|table| **table != journal::TABLE).collect();
        if !history.is_empty() {
            let mut command = self.dump_command(program, &defaults);
            command.args(["--no-data", "--skip-triggers", "--"]).arg(&database).args(&history);
            append(to, program, command).await?;
        }
        let mut command = self.dump_command(program, &defaults);
        command.args(["--routines", "--triggers", "--events"]);
        command.args(own.iter().map(|table| format!("--ignore-table={database}.{table}"))).arg("--").arg(&database);
        append(to, program, command).await?;
        if !own.is_empty() {
            let mut command = self.dump_command(program, &defaults);
            command.args(["--triggers", "--"]).arg(&database).args(&own);
            append(to, program, command).await?;
        }
        self.check_packets(to.file).await
    }

    /// Both dump programs look for a delimiter that the text of an event does not have, and never find one for `;;`.
    async fn check_events(&mut self, program: &Program) -> Result<(), Fault> {
        let sql = "SELECT event_name FROM information_schema.events WHERE event_schema = DATABASE() AND (INSTR(event_definition, \
                   ';;') > 0 OR INSTR(event_comment, ';;') > 0) ORDER BY 1";
        let rows = self.rows(sql.to_owned()).await?;
        let names: Vec<String> = rows.iter().take(MOST_NAMES).map(|row| row.must(0)).collect();
        if names.is_empty() {
            return Ok(());
        }
        Err(broken(format!(
            "{} never ends at an event whose text or comment has `;;`: {}; nothing was written; change the event (ALTER EVENT), \
             or back this tenant up by a command of your own ([backup] of the tenant file)",
            program.name,
            names.join(", ")
        )))
    }

    /// A dump with a statement that its own server does not take can't be loaded again.
    async fn check_packets(&mut self, file: &Path) -> Result<(), Fault> {
        let lost = |e: std::io::Error| broken(format!("{} can't be read: {e}", file.display()));
        let rows = self.rows("SELECT CAST(@@GLOBAL.max_allowed_packet AS CHAR)".to_owned()).await?;
        let most: u64 = rows.first().and_then(|row| row.parse(0)).unwrap_or(u64::MAX);
        if file.metadata().map_err(lost)?.len() < most {
            return Ok(());
        }
        let dump = file.to_owned();
        let read = tokio::task::spawn_blocking(move || longest(std::io::BufReader::new(std::fs::File::open(dump)?)));
        let longest = read.await.map_err(|e| broken(format!("the dump was not read: {e}")))?.map_err(lost)?;
        // The packet has a byte for its kind before the text.
        if longest < most {
            return Ok(());
        }
        let text = format!(
            "the dump has a statement of {longest} bytes, and this server takes {most} (max_allowed_packet), so that no restore \
             could load it; as an administrator: SET GLOBAL max_allowed_packet = {}, and in the server's configuration; then \
             again",
            (longest + 1).next_multiple_of(1 << 20)
        );
        Err(Fault::with_code(FaultClass::Backup, "1153", text))
    }

    /// The dump begins with the default character set of the database, which the tools leave out for one without its name.
    async fn write_defaults(&mut self, file: &Path) -> Result<(), Fault> {
        let sql = "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata WHERE schema_name = \
                   DATABASE()";
        let rows = self.rows(sql.to_owned()).await?;
        let line = |row: &TextRow| format!("ALTER DATABASE CHARACTER SET {} COLLATE {};\n", row.must(0), row.must(1));
        let lines: String = rows.iter().map(line).collect();
        let lost = |e: std::io::Error| broken(format!("{} can't be written: {e}", file.display()));
        std::fs::write(file, lines).map_err(lost)
    }

    /// The existing history and journal tables: they come last, so that a load that died does not make the tenant look
    /// up to date, and the journal marks it until the very end.
    async fn own_tables(&mut self) -> Result<Vec<String>, Fault> {
        let history = self.door.migrations.catalog().history_table.clone();
        let mut there = Vec::new();
        for table in [history.as_str(), history::SCRIPTS, journal::TABLE] {
            let name = literal(Engine::Mysql, table);
            let sql = format!(
                "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = {name}"
            );
            if !self.rows(sql).await?.is_empty() {
                there.push(table.to_owned());
            }
        }
        Ok(there)
    }

    fn dump_command(&self, program: &Program, defaults: &SecretFile) -> Command {
        let mut command = client(program.name, defaults);
        command.args(["--single-transaction", "--quick", "--hex-blob", "--skip-dump-date", "--no-tablespaces"]);
        command.args(["--default-character-set=utf8mb4", MOST_BYTES]);
        command.args(Flavour::of(&program.version).dump_options(&program.server));
        command
    }

    /// Checks, before anything is dropped, for a reason that would make the load fail midway: objects of another
    /// definer need a right of their own.
    async fn check_definers(&mut self, dump: &Path) -> Result<(), Fault> {
        let lost = |e: std::io::Error| broken(format!("{} can't be read: {e}", dump.display()));
        let file = dump.to_owned();
        let read = tokio::task::spawn_blocking(move || definers(std::io::BufReader::new(std::fs::File::open(file)?)));
        let mut others = read.await.map_err(|e| broken(format!("the dump was not read: {e}")))?.map_err(lost)?;
        let rows = self.rows("SELECT CURRENT_USER(), VERSION()".to_owned()).await?;
        let text = |column| rows.first().map(|row| row.must(column)).unwrap_or_default();
        let (user, version) = (definers::current(&text(0)), text(1));
        others.remove(&user);
        // A user who may assign an object to their role may create it; only MariaDB has roles as definers.
        if Flavour::of(&version).has_defining_roles() && others.iter().any(|(_, host)| host.is_empty()) {
            let rows = self.rows("SELECT CURRENT_ROLE()".to_owned()).await?;
            let role = rows.first().map(|row| row.must(0)).unwrap_or_default();
            others.remove(&(role, String::new()));
        }
        if others.is_empty() {
            return Ok(());
        }
        let grants = self.rows("SHOW GRANTS".to_owned()).await?;
        let grants: Vec<String> = grants.iter().filter_map(|row| row.text(0)).collect();
        if definers::may_define(&grants, &version) {
            return Ok(());
        }
        let names: Vec<String> = others.iter().take(MOST_NAMES).map(account).collect();
        let more =
            others.len().checked_sub(names.len() + 1).map(|n| format!(" and {} more", n + 1)).unwrap_or_default();
        let text = format!(
            "the dump has views, triggers, routines or events of {}{more}, which {} may not make again; nothing was \
             dropped, and this restore has changed nothing; as an administrator: GRANT {} ON *.* TO {}",
            names.join(", "),
            account(&user),
            definers::right(&version),
            account(&user)
        );
        Err(Fault::new(FaultClass::PermissionDenied, text))
    }

    /// Drops everything in the database but the journal, and the mark of a tenant that is being made; `was`: the tenant's state before the mark of this restore.
    ///
    /// All tables go in one statement, which takes their locks before it drops any. If a lock is not granted, the
    /// tenant is unchanged: the mark is removed again, unless the journal had a row before it.
    async fn empty(&mut self, was: &TenantLock) -> Result<(), Fault> {
        let tables = format!(
            "SELECT CONCAT('`', REPLACE(table_name, '`', '``'), '`') FROM information_schema.tables WHERE table_schema = \
             DATABASE() AND table_type NOT IN ('VIEW', 'SEQUENCE') AND table_name NOT IN ('{}', '{MARK_TABLE}')",
            journal::TABLE
        );
        let tables: Vec<String> = self.rows(tables).await?.iter().filter_map(|row| row.text(0)).collect();
        self.run("SET SESSION foreign_key_checks = 0".to_owned()).await?;
        if !tables.is_empty()
            && let Err(fault) = self.run(format!("DROP TABLE IF EXISTS {}", tables.join(", "))).await
        {
            if fault.class == FaultClass::LockTimeout && was.entry.is_none() {
                let table = self.door.journal().table().to_owned();
                let unmark = if was.has_journal { "DELETE FROM" } else { "DROP TABLE" };
                // If the mark stays, the tenant is reported correctly: in doubt.
                let _ = self.run(format!("{unmark} {table}")).await;
            }
            return Err(fault);
        }
        let sql = format!(
            "SELECT CONCAT(CASE table_type WHEN 'VIEW' THEN 'VIEW' WHEN 'SEQUENCE' THEN 'SEQUENCE' ELSE 'TABLE' END, ' ', \
             '`', REPLACE(table_name, '`', '``'), '`') FROM information_schema.tables WHERE table_schema = DATABASE() AND \
             table_name NOT IN ('{}', '{MARK_TABLE}') UNION ALL SELECT CONCAT(routine_type, ' `', REPLACE(routine_name, '`', '``'), '`') FROM \
             information_schema.routines WHERE routine_schema = DATABASE() AND routine_type IN ('PROCEDURE', 'FUNCTION') \
             /*!90200 UNION ALL SELECT CONCAT('LIBRARY `', REPLACE(library_name, '`', '``'), '`') FROM \
             information_schema.libraries WHERE library_schema = DATABASE() */ \
             UNION ALL SELECT CONCAT('EVENT `', REPLACE(event_name, '`', '``'), '`') FROM information_schema.events WHERE \
             event_schema = DATABASE()",
            journal::TABLE
        );
        for row in self.rows(sql).await? {
            self.run(format!("DROP {}", row.must(0).replacen(' ', " IF EXISTS ", 1))).await?;
        }
        let packages = "SELECT CONCAT('`', REPLACE(routine_name, '`', '``'), '`') FROM information_schema.routines WHERE \
                        routine_schema = DATABASE() AND routine_type = 'PACKAGE'";
        for row in self.rows(packages.to_owned()).await? {
            // Up to MariaDB 11.3 the statement is known in this mode alone.
            let mode = "SET @fleet_mode = @@sql_mode, sql_mode = 'ORACLE'";
            self.run(format!("{mode};\nDROP PACKAGE IF EXISTS {};\nSET sql_mode = @fleet_mode", row.must(0))).await?;
        }
        self.run("SET SESSION foreign_key_checks = 1".to_owned()).await
    }

    /// The only option file that the tool reads: a `~/.my.cnf` would be read later, and win.
    async fn defaults(&mut self, program: &Program) -> Result<SecretFile, Fault> {
        let rows = self.rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'".to_owned()).await?;
        let is_encrypted = rows.first().is_some_and(|row| !row.must(1).is_empty());
        let (tenant, options) = (&self.door.tenant, &self.options);
        let mut lines = vec!["[client]".to_owned()];
        let mut set = |key: &str, value: &str| lines.push(format!("{key}={}", quoted(value)));
        match options.get_socket() {
            Some(socket) => set("socket", &socket.display().to_string()),
            None => {
                set("protocol", "tcp");
                set("host", options.get_host());
                set("port", &options.get_port().to_string());
            }
        }
        set("user", options.get_username());
        if let Some(password) = password(tenant) {
            set("password", &password);
        }
        let ca = &["ssl-ca", "sslca"][..];
        for (key, names) in
            [("ssl-ca", ca), ("ssl-cert", &["ssl-cert", "sslcert"]), ("ssl-key", &["ssl-key", "sslkey"])]
        {
            if let Some(value) = parameter(tenant, names) {
                set(key, &value);
            }
        }
        let tls = Flavour::of(&program.version).tls_options(
            options.get_ssl_mode(),
            is_encrypted,
            parameter(tenant, ca).is_some(),
        );
        lines.extend(tls.iter().map(ToString::to_string));
        SecretFile::new(&(lines.join("\n") + "\n"))
    }
}

/// An account as statements name it.
pub(super) fn account((user, host): &Account) -> String {
    let host = if host.is_empty() { String::new() } else { format!("@{}", Engine::Mysql.quote(host)) };
    Engine::Mysql.quote(user) + &host
}

/// The fault of a failed tool, with the engine's error number if it printed one. It is not transient: the part of the
/// load that has run is not rolled back.
pub(super) fn told(mut fault: Fault) -> Fault {
    let Some(number) = number(&fault.message) else { return fault };
    if number == 1153 {
        fault.message.push_str(
            "; the dump has a statement that the server does not take: as an administrator, raise its max_allowed_packet (SET \
             GLOBAL max_allowed_packet = 1073741824), then restore again",
        );
    }
    let class = match codes::class(number) {
        class @ (FaultClass::PermissionDenied | FaultClass::Resources) => class,
        _ => fault.class,
    };
    Fault { class, code: Some(number.to_string()), ..fault }
}

/// The error number in `ERROR 1227 (42000) at line 51: …` and in `Got error: 1045: …`.
fn number(said: &str) -> Option<u16> {
    let mut words = said.split_whitespace();
    while let Some(word) = words.next() {
        let next = || words.clone().next();
        let digits = match word {
            "ERROR" => next(),
            "error:" => next().and_then(|number| number.strip_suffix(':')),
            _ => None,
        };
        if let Some(number) = digits.and_then(|digits| digits.parse().ok()) {
            return Some(number);
        }
    }
    None
}

/// The options must come first on the command line, or the tool ignores them.
fn client(program: &str, defaults: &SecretFile) -> Command {
    let mut command = Command::new(program);
    command.arg(format!("--defaults-file={}", defaults.path().display()));
    command.env_remove("MYSQL_PWD");
    command
}

/// A quoted value of an option file. A newline would end the value.
fn quoted(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The length of the longest statement with rows; it may have a line for each row, and no row has a line break in it.
fn longest(mut dump: impl BufRead) -> std::io::Result<u64> {
    let (mut most, mut length, mut end, mut head) = (0, 0, Vec::new(), Vec::new());
    loop {
        // A line may be longer than the memory that one wants to have for it: its ends are enough.
        let buffer = dump.fill_buf()?;
        if buffer.is_empty() {
            return Ok(most.max(length));
        }
        let at = buffer.iter().position(|&byte| byte == b'\n').map_or(buffer.len(), |at| at + 1);
        let part = &buffer[..at];
        if head.len() < 6 {
            head.extend_from_slice(&part[..part.len().min(6 - head.len())]);
        }
        end.extend_from_slice(&part[part.len().saturating_sub(2)..]);
        end.drain(..end.len().saturating_sub(2));
        length += part.len() as u64;
        dump.consume(at);
        if end.ends_with(b"\n") {
            // A statement of another kind is counted line by line: none of them is long.
            if end == b";\n" || !(head == b"INSERT" || head.starts_with(b"(")) {
                most = most.max(length);
                length = 0;
            }
            (head, end) = (Vec::new(), Vec::new());
        }
    }
}

fn check_end(file: &Path) -> Result<(), Fault> {
    let end = || -> std::io::Result<String> {
        let mut file = std::fs::File::open(file)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(200)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    match end() {
        Ok(text) if text.lines().rev().take(3).any(|line| line.starts_with(COMPLETED)) => Ok(()),
        Ok(_) => Err(broken(format!("{} does not end as a whole dump does", file.display()))),
        Err(error) => Err(broken(format!("{} can't be read: {error}", file.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_can_not_end_its_line_or_its_quotes() {
        assert_eq!(quoted(r#"p"a\ss#"#), r##""p\"a\\ss#""##);
        assert_eq!(quoted("a\nhost=b"), "\"a\\nhost=b\"");
    }

    #[test]
    fn what_a_tool_says_has_the_number_and_the_class_of_it() {
        let fault = told(broken("mariadb failed (exit status: 1): ERROR 1227 (42000) at line 51: Access denied"));
        assert_eq!((fault.class, fault.code.as_deref()), (FaultClass::PermissionDenied, Some("1227")));
        let fault = told(broken("mariadb-dump failed: mariadb-dump: Got error: 1205: Lock wait timeout exceeded"));
        assert_eq!((fault.class, fault.code.as_deref()), (FaultClass::Backup, Some("1205")));
        assert_eq!(told(broken("it said nothing")).code, None);
    }

    #[test]
    fn the_longest_statement_is_found_on_one_line_or_on_many() {
        let length = |text: &str| longest(std::io::BufReader::with_capacity(3, text.as_bytes())).unwrap();
        assert_eq!(length("-- a\nINSERT INTO a VALUES (1);\nINSERT INTO b VALUES (1),(2);\n"), 30);
        assert_eq!(length("INSERT INTO b VALUES\n(1),\n(2);\n-- a\nINSERT INTO a VALUES (1);\n"), 31);
        assert_eq!(length(""), 0);
    }

    #[test]
    fn a_dump_that_was_cut_is_found_out() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "CREATE TABLE a (b int);\n-- Dump completed\n").unwrap();
        assert!(check_end(file.path()).is_ok());
        std::fs::write(file.path(), "INSERT INTO a VALUES ('-- Dump completed').\n").unwrap();
        assert!(check_end(file.path()).unwrap_err().message.contains("whole dump"));
    }
}
