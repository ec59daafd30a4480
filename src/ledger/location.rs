//! Where a ledger is.
//!
//! A value: nothing here opens anything, and `Debug` shows no secret.

use std::path::PathBuf;

use secrecy::SecretString;

/// Where a ledger is.
#[derive(Debug, Clone)]
pub enum Location {
    /// An SQLite file, on a disk of this machine: its write-ahead log does not work between machines
    /// (<https://www.sqlite.org/wal.html>).
    File(PathBuf),
    /// A database on a server, for ledgers that several people or machines share: a `postgres://`, `mysql://` or
    /// `mariadb://` URL with its password filled in.
    Url(SecretString),
}
