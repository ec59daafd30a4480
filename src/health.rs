//! What a database says of itself and of its server, beside its history.
//!
//! Plain data. Whether any of it is a finding is for `doctor` to judge.

use serde::Serialize;

/// What one tenant's database said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The product and its version, as people write it: `PostgreSQL 15.4`.
    pub version: String,
    /// Major and minor version.
    pub number: (u32, u32),
    /// Whether nothing can be written: a standby, or set so.
    pub read_only: bool,
    /// Whether a pooler stands between.
    pub pooled: bool,
    /// The rights that the user lacks, in the engine's words.
    pub missing_rights: Vec<String>,
    /// Some tables that the user may not alter.
    pub foreign_tables: Vec<String>,
    /// Connections of the server, where it tells.
    pub connections: Option<Room>,
    /// The oldest open transactions in this database.
    pub transactions: Vec<OpenTransaction>,
    /// Locks on the tenant's tables that other sessions hold.
    pub locks: Vec<HeldLock>,
    /// Bytes that are free on the disk, where it can be known.
    pub free_bytes: Option<u64>,
    /// What could not be learnt, with the reason.
    pub unknown: Vec<String>,
}

/// Connections of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Room {
    /// In use, ours included.
    pub used: u64,
    /// How many this user can have with those in use by others.
    pub most: u64,
}

/// A session with an open transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenTransaction {
    /// The server's id of the session.
    pub id: i64,
    /// Its user.
    pub user: String,
    /// What its program calls itself; empty where that is not known.
    pub application: String,
    /// How long the transaction has been open.
    pub seconds: u64,
}

/// A lock on a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldLock {
    /// The table.
    pub table: String,
    /// The lock's mode, in the engine's words.
    pub mode: String,
    /// Who holds it.
    pub by: OpenTransaction,
}
