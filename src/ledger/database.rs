//! The location of a ledger: its name in texts, and the meaning of a driver's error there.
//!
//! The engines define the meaning of their codes. No secret may pass through this file: SeaORM and sqlx quote URLs.

use std::path::PathBuf;

use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::Location;
use super::error::LedgerError;
use super::fence::TAKEN_OVER;
use crate::engine;
use crate::model::fault::{Fault, FaultClass};

/// The error codes for a full disk: SQLite, MySQL and MariaDB, PostgreSQL.
const FULL: [&str; 4] = ["13", "1021", "1114", "53100"];

/// SQLite's code for a file that is not a database; any other code of that class means a damaged file.
const NO_DATABASE: &str = "26";

/// The location of a ledger.
pub(super) struct LedgerDatabase {
    /// `ledger /path/to/file` or `ledger at postgres://host:port/database`.
    shown: String,
    /// Texts that must never be shown.
    secrets: Vec<SecretString>,
    is_file: bool,
}

impl LedgerDatabase {
    /// # Errors
    /// [`LedgerError::BadUrl`] for a text that is not a URL or has a scheme without an engine.
    pub(super) fn of(location: &Location) -> Result<LedgerDatabase, LedgerError> {
        match location {
            Location::File(file) => {
                Ok(LedgerDatabase { shown: format!("ledger {}", file.display()), secrets: Vec::new(), is_file: true })
            }
            Location::Url(secret) => LedgerDatabase::of_url(secret.expose_secret()),
        }
    }

    fn of_url(text: &str) -> Result<LedgerDatabase, LedgerError> {
        let url = Url::parse(text).map_err(|e| LedgerError::BadUrl { reason: e.to_string() })?;
        if !matches!(url.scheme(), "postgres" | "postgresql" | "mysql" | "mariadb") {
            return Err(LedgerError::BadUrl { reason: format!("'{}' is not the scheme of an engine", url.scheme()) });
        }
        let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
        let shown =
            format!("ledger at {}://{}{port}{}", url.scheme(), url.host_str().unwrap_or("localhost"), url.path());
        let mut secrets = vec![text.to_owned()];
        let passwords = url.password().map(str::to_owned).into_iter();
        let in_query = url.query_pairs().filter(|(k, _)| k.contains("password")).map(|(_, v)| v.into_owned());
        for password in passwords.chain(in_query) {
            secrets.push(percent_encoding::percent_decode_str(&password).decode_utf8_lossy().into_owned());
            secrets.push(password);
        }
        secrets.retain(|s| !s.is_empty());
        Ok(LedgerDatabase { shown, secrets: secrets.into_iter().map(SecretString::from).collect(), is_file: false })
    }

    /// Its name in texts.
    pub(super) fn name(&self) -> String {
        self.shown.clone()
    }

    /// Whether another write can help after `error`. The wait for a lock on a file is over already.
    pub(super) fn is_worth_another_try(&self, error: &LedgerError) -> bool {
        !self.is_file && matches!(error, LedgerError::Unreachable { .. } | LedgerError::LockWait { .. })
    }

    /// The ledger error for SeaORM's error.
    pub(super) fn explain(&self, action: &'static str, error: &DbErr) -> LedgerError {
        match error {
            DbErr::Conn(RuntimeErr::SqlxError(e))
            | DbErr::Exec(RuntimeErr::SqlxError(e))
            | DbErr::Query(RuntimeErr::SqlxError(e)) => self.explain_sqlx(action, e),
            DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => {
                // Those that were given up may still wait for a lock.
                let text = "no connection within 10 s; is the server down, or does another session lock its tables?";
                self.unreachable(action, &text)
            }
            DbErr::ConnectionAcquire(_) => self.unreachable(action, error),
            DbErr::Custom(text) if text == TAKEN_OVER => LedgerError::TakenOver { site: self.name() },
            other => LedgerError::Refused { action, site: self.name(), reason: self.scrub(other) },
        }
    }

    /// The ledger error for a driver's error.
    pub(super) fn explain_sqlx(&self, action: &'static str, error: &sqlx::Error) -> LedgerError {
        match error {
            sqlx::Error::Database(e) => self.explain_refusal(action, &engine::fault(error), e.message()),
            sqlx::Error::Configuration(e) if !self.is_file => LedgerError::BadUrl { reason: self.scrub(e) },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => self.unreachable(action, error),
            other => LedgerError::Refused { action, site: self.name(), reason: self.scrub(other) },
        }
    }

    /// The error for a ledger that did not answer.
    pub(super) fn unreachable(&self, action: &'static str, reason: &dyn std::fmt::Display) -> LedgerError {
        LedgerError::Unreachable { action, site: self.name(), reason: self.scrub(reason) }
    }

    /// The ledger error for a refusal, by its class, and by its code where the ledger distinguishes more than a run
    /// does.
    fn explain_refusal(&self, action: &'static str, fault: &Fault, text: &str) -> LedgerError {
        use FaultClass as F;
        let (site, code) = (self.name(), fault.code.as_deref().unwrap_or_default());
        let reason = self.scrub(&format!("[{code}] {text}"));
        match fault.class {
            F::Busy | F::LockTimeout | F::Deadlock | F::Serialization => LedgerError::LockWait { action, site, reason },
            F::ReadOnly | F::ServerReadOnly => LedgerError::NotWritable { action, site, reason },
            F::PermissionDenied | F::UnknownDatabase if self.is_file => {
                LedgerError::NotWritable { action, site, reason }
            }
            F::NotADatabase if code == NO_DATABASE => LedgerError::NotADatabase { action, site },
            F::NotADatabase => LedgerError::Damaged { action, site, reason },
            F::Resources if FULL.contains(&code) => LedgerError::Full { action, site, reason },
            F::Resources if self.is_file => {
                let reason = format!("the disk failed: {reason}; look at its free space and the system's log");
                LedgerError::Refused { action, site, reason }
            }
            F::TooManyConnections | F::ConnectionLost | F::ConnectionRefused => {
                LedgerError::Unreachable { action, site, reason }
            }
            _ => LedgerError::Refused { action, site, reason },
        }
    }

    fn scrub(&self, text: &dyn std::fmt::Display) -> String {
        self.secrets.iter().fold(text.to_string(), |text, secret| text.replace(secret.expose_secret(), "***"))
    }

    /// Distinguishes a path below a file, or a file in place of a folder, before SQLite says only "can't open".
    pub(super) fn check_path(file: &std::path::Path) -> Result<(), LedgerError> {
        let folder = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        if !folder.is_dir() {
            return Err(LedgerError::NoFolder { file: file.to_owned(), folder });
        }
        if file.exists() && !file.is_file() {
            return Err(LedgerError::NotAFile { file: file.to_owned() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(url: &str) -> LedgerDatabase {
        LedgerDatabase::of(&Location::Url(SecretString::from(url.to_owned()))).unwrap()
    }

    #[test]
    fn no_secret_is_shown() {
        let url = "postgres://fleet:s3%2Fcret@db:5433/ledger?sslpassword=k3y";
        let site = site(url);
        assert_eq!(site.name(), "ledger at postgres://db:5433/ledger");
        let quoting = DbErr::Custom(format!("no driver for '{url}', password s3/cret (s3%2Fcret), key k3y"));
        let text = site.explain("open", &quoting).to_string();
        assert!(!text.contains("cret") && !text.contains("k3y"), "{text}");
        assert_eq!(
            text,
            "open the ledger at postgres://db:5433/ledger: Custom Error: no driver for '***', password *** (***), key ***"
        );
    }

    #[test]
    fn a_url_without_an_engine_is_refused_without_being_quoted() {
        for bad in ["redis://u:s3cret@h/1", "s3cret", "sqlite:s3cret.db"] {
            let Err(error) = LedgerDatabase::of(&Location::Url(SecretString::from(bad.to_owned()))) else {
                panic!("{bad}")
            };
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_lost_server_is_worth_another_try_and_a_full_disk_is_not() {
        let site = site("mysql://h/ledger");
        assert!(site.is_worth_another_try(&site.explain_sqlx("write", &sqlx::Error::PoolTimedOut)));
        let full = LedgerError::Full { action: "write", site: site.name(), reason: String::new() };
        assert!(!site.is_worth_another_try(&full));
    }
}
