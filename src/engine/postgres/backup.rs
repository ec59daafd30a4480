//! PostgreSQL: `pg_dump` in its custom format, and the restore through `pg_restore` and `psql` in one transaction.
//!
//! A restore drops the tenant's objects and creates those of the dump; the commit is sent only after `pg_restore` has
//! written all its output. Dying anywhere before it, the server rolls everything back. Extensions, which the dump can't
//! create without superuser rights, are kept.

use std::path::Path;
use std::process::Stdio;

use async_trait::async_trait;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::engine::address::{parameter, password};
use crate::engine::backup::secret::SecretFile;
use crate::engine::backup::{Shell, Transfer, broken, fault_undone, make_private, tool};
use crate::engine::postgres::PostgresSession;
use crate::engine::postgres::{codes, guards};
use crate::engine::queries::Queries as _;
use crate::engine::{Dump, literal};
use crate::model::fault::{Fault, FaultClass};
use crate::model::tenant::Engine;

/// Drops all objects that depend on a schema and do not belong to an extension, but not the schema itself; `$1` stands
/// for the schema.
///
/// An internal part of another object is dropped with that object: an identity's sequence, a table's row type. A
/// partitioned table lists its key's columns as parts of itself, which does not make it a part of another object.
const EMPTY_SCHEMA: &str = "
DO $fleet_empty$ DECLARE what record; BEGIN
  LOOP
    SELECT o.type, o.identity INTO what
    FROM pg_depend d, LATERAL pg_identify_object(d.classid, d.objid, 0) o
    WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = to_regnamespace($1) AND d.deptype = 'n'
      AND d.classid <> 'pg_extension'::regclass AND d.classid <> 'pg_default_acl'::regclass
      AND d.classid IS DISTINCT FROM to_regclass('pg_catalog.pg_publication_namespace')
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype IN ('e', 'i')
        AND NOT (e.refclassid = e.classid AND e.refobjid = e.objid))
    LIMIT 1;
    EXIT WHEN NOT FOUND;
    EXECUTE format('DROP %s %s CASCADE', replace(what.type, 'statistics object', 'statistics'), what.identity);
  END LOOP;
END $fleet_empty$;
";

/// Empties a whole database: drops its schemas except `public`, which is emptied afterwards, large objects, and
/// publications.
const EMPTY_DATABASE: &str = "
DO $fleet_empty$ DECLARE what record; BEGIN
  FOR what IN SELECT n.nspname FROM pg_namespace n
    WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT IN ('information_schema', 'public')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
  LOOP EXECUTE format('DROP SCHEMA %I CASCADE', what.nspname); END LOOP;
  FOR what IN SELECT pubname FROM pg_publication LOOP EXECUTE format('DROP PUBLICATION %I', what.pubname); END LOOP;
  PERFORM lo_unlink(oid) FROM pg_largeobject_metadata;
END $fleet_empty$;
";

/// Drops a schema, unless that would also drop objects outside it; `$1` stands for the schema.
const DROP_SCHEMA: &str = "
DO $fleet_empty$ DECLARE outside oid[]; BEGIN
  outside := ARRAY(SELECT oid FROM pg_class WHERE relnamespace IS DISTINCT FROM to_regnamespace($1) AND relkind <> 't' AND relnamespace <> 'pg_toast'::regnamespace
    UNION ALL SELECT oid FROM pg_constraint WHERE connamespace IS DISTINCT FROM to_regnamespace($1)
    UNION ALL SELECT oid FROM pg_proc WHERE pronamespace IS DISTINCT FROM to_regnamespace($1));
  EXECUTE 'DROP SCHEMA IF EXISTS ' || $1 || ' CASCADE';
  IF EXISTS (SELECT FROM unnest(outside) AS was(oid)
      WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = was.oid) AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.oid = was.oid)
        AND NOT EXISTS (SELECT FROM pg_proc p WHERE p.oid = was.oid)) THEN
    RAISE EXCEPTION 'other schemas hold something that depends on this one, and would lose it';
  END IF;
END $fleet_empty$;
";

#[async_trait]
impl Dump for PostgresSession {
    /// The size of the dump in bytes; `None` if the schema does not exist.
    async fn footprint(&mut self) -> Result<Option<u64>, Fault> {
        let sql = match &self.door.tenant.schema {
            None => "SELECT pg_database_size(current_database())".to_owned(),
            Some(schema) => {
                let name = literal(Engine::Postgres, &Engine::Postgres.quote(schema));
                format!(
                    "SELECT CASE WHEN to_regnamespace({name}) IS NULL THEN NULL ELSE (SELECT \
                     coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class WHERE relnamespace = \
                     to_regnamespace({name}) AND relkind IN ('r', 'm', 'S')) END"
                )
            }
        };
        Ok(self.rows(sql).await?.first().and_then(|row| row.parse(0)))
    }

    async fn dump(&mut self, to: &Transfer<'_>) -> Result<String, Fault> {
        let version = tool::version("pg_dump").await?;
        self.check_age(&version).await?;
        let key = guards::lock_key(&self.door);
        let locked = self.rows(format!("SELECT pg_try_advisory_lock({key})")).await?;
        if !locked.first().is_some_and(|row| row.is_true(0)) {
            return Err(Fault::new(FaultClass::TenantLocked, "another run holds this tenant"));
        }
        let dumped = self.dump_to(to).await;
        let _ = self.rows(format!("SELECT pg_advisory_unlock({key})")).await;
        dumped.map(|()| version)
    }

    async fn load(&mut self, from: &Transfer<'_>) -> Result<(), Fault> {
        for program in ["pg_restore", "psql"] {
            tool::version(program).await?;
        }
        // A failed step may have left the session its lock, which the transaction below takes.
        self.run("SELECT pg_advisory_unlock_all()".to_owned()).await?;
        let secret = self.secret()?;
        let mut load = self.command("psql", secret.as_ref());
        load.args(["--no-psqlrc", "--no-password", "--quiet", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=verbose"]);
        load.stdin(Stdio::piped()).stdout(Stdio::null());
        let work = self.pour(from.file, load);
        tool::within(&from.limits(), "psql", work).await
    }

    async fn dump_script(&mut self, to: &Transfer<'_>) -> Result<(), Fault> {
        self.write_script(to).await
    }

    async fn load_script(&mut self, from: &Transfer<'_>) -> Result<(), Fault> {
        self.run_script(from).await
    }

    async fn shell(&mut self) -> Result<Shell, Fault> {
        tool::version("psql").await?;
        let secret = self.secret()?;
        let mut command = self.command("psql", secret.as_ref());
        if let Some(schema) = &self.door.tenant.schema {
            // A blank or a backslash in it would end the option.
            let path = guards::search_path(&self.door.tenant, schema).replace('\\', "\\\\").replace(' ', "\\ ");
            let own = self.options.get_options().map(|options| format!("{options} ")).unwrap_or_default();
            command.env("PGOPTIONS", format!("{own}-c search_path={path}"));
        }
        Ok(Shell { command, secret })
    }
}

impl PostgresSession {
    async fn dump_to(&mut self, to: &Transfer<'_>) -> Result<(), Fault> {
        let secret = self.secret()?;
        make_private(to.file)?;
        let mut command = self.dump_command(to, secret.as_ref());
        command.arg("--format=custom");
        tool::run(command, "pg_dump", &to.limits()).await?;
        let mut list = Command::new("pg_restore");
        list.arg("--list").arg(to.file);
        tool::run(list, "pg_restore", &to.limits()).await
    }

    /// The program that dumps the tenant into a file, in a format that is still to be named.
    pub(super) fn dump_command(&self, to: &Transfer<'_>, secret: Option<&SecretFile>) -> Command {
        let mut command = self.command("pg_dump", secret);
        let patience = self.door.timeouts.lock.as_millis();
        command.arg("--no-password").arg(format!("--lock-wait-timeout={patience}")).arg("--file").arg(to.file);
        if let Some(schema) = &self.door.tenant.schema {
            // The value is a pattern, in which quoted text is literal.
            command.arg(format!("--schema={}", Engine::Postgres.quote(schema)));
        }
        command
    }

    /// `pg_dump` refuses a newer server, so check before creating anything.
    pub(super) async fn check_age(&mut self, version: &str) -> Result<(), Fault> {
        let rows = self.rows("SELECT current_setting('server_version_num')::int".to_owned()).await?;
        let server = rows.first().and_then(|row| row.parse::<i32>(0)).unwrap_or(0) / 10_000;
        match major(version) {
            Some(tool) if tool >= server => Ok(()),
            _ => Err(broken(format!(
                "{version} can't dump a server of version {server}; install postgresql-client-{server} or newer"
            ))),
        }
    }

    /// Sends `BEGIN`, the statements that empty the tenant, the dump as SQL, and `COMMIT` only when the dump was
    /// complete.
    async fn pour(&self, file: &Path, load: Command) -> Result<(), Fault> {
        let mut psql = tool::spawn(load, "psql")?;
        let mut script = Command::new("pg_restore");
        // Without the option it would begin and commit transactions of its own around large objects, and ours with them.
        script.args(["--no-owner", "--exit-on-error", "--single-transaction", "--file=-"]).arg(file);
        script.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut restore = tool::spawn(script, "pg_restore")?;
        let mut input = psql.stdin.take().ok_or_else(|| broken("psql has no input"))?;
        let mut output = restore.stdout.take().ok_or_else(|| broken("pg_restore has no output"))?;
        let (psql_said, restore_said) = (psql.stderr.take(), restore.stderr.take());
        let poured = async {
            // A stopped psql reads no further: its own output is the reason, not the broken pipe.
            let _ = input.write_all(self.preamble().as_bytes()).await;
            let copied = tokio::io::copy(&mut output, &mut input).await;
            drop(output);
            let (status, said) = tokio::join!(restore.wait(), tool::tail(restore_said));
            let restored = tool::verdict(status, &said, "pg_restore");
            let is_whole = copied.is_ok() && restored.is_ok();
            if is_whole {
                let _ = input.write_all(b"\nCOMMIT;\n").await;
            }
            let _ = input.shutdown().await;
            drop(input);
            (is_whole, restored)
        };
        let ((commits, restored), said, status) = tokio::join!(poured, tool::tail(psql_said), psql.wait());
        // This exit status means that the server refused a statement: even a commit after it only rolls back.
        let is_refused = status.as_ref().is_ok_and(|status| status.code() == Some(3));
        let ended = tool::verdict(status, &said, "psql").map_err(|fault| told(fault, &said)).and(restored);
        let not_whole = || Err(broken("the dump did not reach psql as a whole"));
        let ended = if commits { ended } else { ended.and_then(|()| not_whole()) };
        ended.map_err(|fault| if is_refused || !commits { fault_undone(fault) } else { fault })
    }

    fn preamble(&self) -> String {
        let engine = Engine::Postgres;
        // Notices list the dependent objects that are dropped, and would hide the reason of a failure. One snapshot of
        // the catalogs until the end: objects that other restores drop in other schemas meanwhile are not our business.
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ";
        let mut sql = vec!["SET client_min_messages = warning".to_owned(), begin.to_owned()];
        sql.extend(guards::local_settings(&self.door.timeouts));
        sql.push(format!(
            "DO $fleet_guard$ BEGIN IF NOT pg_try_advisory_xact_lock({}) THEN RAISE EXCEPTION 'another run holds this \
             tenant' USING ERRCODE = 'FL001'; END IF; END $fleet_guard$",
            guards::lock_key(&self.door)
        ));
        let mut text = sql.join(";\n") + ";\n";
        match &self.door.tenant.schema {
            None => {
                text.push_str(EMPTY_DATABASE);
                text.push_str(&EMPTY_SCHEMA.replace("$1", "'public'"));
            }
            Some(schema) => text.push_str(&DROP_SCHEMA.replace("$1", &literal(engine, &engine.quote(schema)))),
        }
        text
    }

    /// A tool with the tenant's connection settings in its environment, and nothing else of ours there.
    fn command(&self, program: &str, secret: Option<&SecretFile>) -> Command {
        let tenant = &self.door.tenant;
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let ours = name.to_string_lossy().starts_with("PG") && name != "PGPASSFILE";
            if ours {
                command.env_remove(name);
            }
        }
        let options = &self.options;
        let host = options.get_socket().map_or_else(|| options.get_host().to_owned(), |p| p.display().to_string());
        command.env("PGHOST", host).env("PGPORT", options.get_port().to_string());
        command.env("PGUSER", options.get_username()).env("PGDATABASE", options.get_database().unwrap_or_default());
        command.env("PGAPPNAME", &self.own.name).env("PGCLIENTENCODING", "UTF8");
        command.env("PGCONNECT_TIMEOUT", self.door.timeouts.connect.as_millis().div_ceil(1000).max(2).to_string());
        let tls = [
            ("PGSSLMODE", &["sslmode", "ssl-mode"][..]),
            ("PGSSLROOTCERT", &["sslrootcert", "ssl-root-cert", "ssl-ca"]),
            ("PGSSLCERT", &["sslcert", "ssl-cert"]),
            ("PGSSLKEY", &["sslkey", "ssl-key"]),
        ];
        for (variable, names) in tls {
            if let Some(value) = parameter(tenant, names) {
                let value = if variable == "PGSSLMODE" { value.to_ascii_lowercase() } else { value };
                command.env(variable, value);
            }
        }
        if let Some(options) = options.get_options() {
            command.env("PGOPTIONS", options);
        }
        if let Some(secret) = secret {
            command.env("PGPASSFILE", secret.path());
        }
        command
    }

    pub(super) fn secret(&self) -> Result<Option<SecretFile>, Fault> {
        let Some(password) = password(&self.door.tenant).or_else(|| std::env::var("PGPASSWORD").ok()) else {
            return Ok(None);
        };
        if password.contains(['\n', '\r']) {
            return Err(broken("a password with a line break can't be handed to PostgreSQL's tools"));
        }
        let escape = |text: &str| text.replace('\\', "\\\\").replace(':', "\\:");
        // The host may be any socket path libpq accepts: the file is for this one connection.
        let (user, password) = (escape(self.options.get_username()), escape(&password));
        SecretFile::new(&format!("*:*:*:{user}:{password}\n")).map(Some)
    }
}

/// The fault of a failed `psql`, with the server's SQLSTATE; a lock that was not granted is retried.
fn told(fault: Fault, said: &str) -> Fault {
    let Some(code) = sqlstate(said) else { return fault };
    // The source location in the server is of no use to the reader.
    let message = fault.message.split(" LOCATION:").next().unwrap_or_default().to_owned();
    let class = match codes::class(code, true) {
        class if class.is_transient() => class,
        class @ (FaultClass::PermissionDenied | FaultClass::Resources) => class,
        _ => FaultClass::Backup,
    };
    Fault::with_code(class, code, message)
}

/// The code in `ERROR: 55P03: canceling statement …`; the first word may be in any language.
fn sqlstate(said: &str) -> Option<&str> {
    let is_code = |word: &&str| {
        word.len() == 5
            && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            && word.bytes().any(|b| b.is_ascii_digit())
    };
    said.split_whitespace().filter_map(|word| word.strip_suffix(':')).find(is_code)
}

/// `pg_dump (PostgreSQL) 15.4 (Debian …)` is 15.
fn major(version: &str) -> Option<i32> {
    let rest = version.split_once(") ")?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_tool_is_read_from_what_it_says() {
        assert_eq!(major("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major("pg_dump (PostgreSQL) 17beta1"), Some(17));
        assert_eq!(major("something else"), None);
    }

    #[test]
    fn what_psql_says_has_the_class_of_its_code() {
        let said =
            "psql:<stdin>:4: ERROR: 55P03: canceling statement due to lock timeout LOCATION: ProcessInterrupts, a.c:1";
        let fault = told(broken(format!("psql failed: {said}")), said);
        assert_eq!((fault.class, fault.code.as_deref()), (FaultClass::LockTimeout, Some("55P03")));
        assert!(!fault.message.contains("LOCATION"), "{}", fault.message);
        assert_eq!(told(broken("x"), "ERROR: 42P01: no such table").class, FaultClass::Backup);
        assert_eq!(told(broken("x"), "psql: error: connection refused").code, None);
    }
}
