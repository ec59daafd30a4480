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
    /// Whether the server is a standby of PostgreSQL, on which nothing can be written.
    pub is_standby: bool,
    /// The server that this one follows, where it follows one; asked of one tenant of a server.
    pub follows: Option<Upstream>,
    /// Some servers that follow this one, the furthest behind first; asked of one tenant of a server.
    pub followers: Vec<Follower>,
    /// The extensions that were asked for; asked of one tenant of a database.
    pub extensions: Vec<Extension>,
    /// Whether a pooler stands between.
    pub pooled: bool,
    /// The rights that the user lacks, in the engine's words; some of them only some migrations need.
    pub missing_rights: Vec<String>,
    /// The user, as a `GRANT` names it; empty where there are no users.
    pub grantee: String,
    /// What a `GRANT` of rights in this tenant is on: a schema or a database.
    pub grant_on: String,
    /// The tenant's schema, where it does not exist and is not to be made.
    pub missing_schema: Option<String>,
    /// Some tables that the user may not alter, as SQL names them.
    pub foreign_tables: Vec<String>,
    /// How many tables the user may not alter.
    pub foreign_count: usize,
    /// Connections of the server, where it tells.
    pub connections: Option<Room>,
    /// The oldest open transactions in this database.
    pub transactions: Vec<OpenTransaction>,
    /// Locks on the tenant's tables that other sessions hold.
    pub locks: Vec<HeldLock>,
    /// Processes that hold the tenant's file.
    pub file_holders: Vec<FileHolder>,
    /// Bytes that are free on the disk, where it can be known; of a server asked of one of its tenants.
    pub free_bytes: Option<u64>,
    /// What could not be learnt, with the reason.
    pub unknown: Vec<String>,
}

/// What is asked of a database beside itself, since it is the same for others too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Questions {
    /// What is the same for all tenants of its server: replication, the disk.
    pub server: bool,
    /// Extensions, which are the same for all tenants of a PostgreSQL database.
    pub extensions: Vec<String>,
}

/// What the migrations take of a database, beside what every migration does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Extensions of PostgreSQL.
    pub extensions: Vec<NeededExtension>,
    /// Rights of MySQL and MariaDB.
    pub rights: Vec<&'static str>,
}

/// An extension of PostgreSQL that a migration creates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NeededExtension {
    /// Its name.
    pub name: String,
    /// The first migration that creates it.
    pub migration: String,
    /// That migration catches the error of one that can't be created, and goes on.
    pub is_optional: bool,
}

/// How it stands with an extension in a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// The database.
    pub database: String,
    /// It has been created there.
    pub is_installed: bool,
    /// The server has its files.
    pub is_available: bool,
    /// This user may create it.
    pub may_create: bool,
}

/// The server that a standby or a replica follows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Upstream {
    /// Its host, where that is told.
    pub host: String,
    /// Whether changes arrive and are applied.
    pub is_running: bool,
    /// How far behind it this server is, where that is told.
    pub lag_seconds: Option<u64>,
}

/// A server that follows this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Follower {
    /// What it calls itself, or its address.
    pub name: String,
    /// How far behind it is.
    pub lag_seconds: u64,
}

/// A process that holds a lock on a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileHolder {
    /// Its id.
    pub pid: i64,
    /// The program; empty where that is not told.
    pub program: String,
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
