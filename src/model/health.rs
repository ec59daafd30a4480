//! What a database says of itself and of its server, beside its history.
//!
//! Plain data. Whether any of it is a finding is for `doctor` to judge.

use serde::Serialize;

use super::outcome::Blocker;

/// What one tenant's database said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Health {
    /// The product and its version, as people write it: `PostgreSQL 15.4`.
    pub(crate) version: String,
    /// Major and minor version.
    pub(crate) number: (u32, u32),
    /// Whether nothing can be written: a standby, or set so.
    pub(crate) read_only: bool,
    /// Whether the server is a standby of PostgreSQL, on which nothing can be written.
    pub(crate) is_standby: bool,
    /// The server that this one follows, where it follows one; asked of one tenant of a server.
    pub(crate) follows: Option<Upstream>,
    /// Some servers that follow this one, the furthest behind first; asked of one tenant of a server.
    pub(crate) followers: Vec<Follower>,
    /// The extensions that were asked for; asked of one tenant of a database.
    pub(crate) extensions: Vec<Extension>,
    /// Whether a pooler stands between.
    pub(crate) pooled: bool,
    /// The rights that the user lacks, in the engine's words; some of them only some migrations need.
    pub(crate) missing_rights: Vec<String>,
    /// The user, as a `GRANT` names it; empty where there are no users.
    pub(crate) grantee: String,
    /// What a `GRANT` of rights in this tenant is on: a schema or a database.
    pub(crate) grant_on: String,
    /// The tenant's schema, where it does not exist and is not to be made.
    pub(crate) missing_schema: Option<String>,
    /// Some tables that the user may not alter, as SQL names them.
    pub(crate) foreign_tables: Vec<String>,
    /// How many tables the user may not alter.
    pub(crate) foreign_count: usize,
    /// Connections of the server, where it tells.
    pub(crate) connections: Option<Room>,
    /// The oldest open transactions in this database.
    pub(crate) transactions: Vec<Blocker>,
    /// Locks on the tenant's tables that other sessions hold.
    pub(crate) locks: Vec<HeldLock>,
    /// Processes that hold the tenant's file.
    pub(crate) file_holders: Vec<Blocker>,
    /// Bytes that are free on the disk, where it can be known; of a server asked of one of its tenants.
    pub(crate) free_bytes: Option<u64>,
    /// What could not be learnt, with the reason.
    pub(crate) unknown: Vec<String>,
}

/// What is asked of a database beside itself, since it is the same for others too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Questions {
    /// What is the same for all tenants of its server: replication, the disk.
    pub(crate) server: bool,
    /// Extensions, which are the same for all tenants of a PostgreSQL database.
    pub(crate) extensions: Vec<String>,
}

/// What the migrations take of a database, beside what every migration does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Extensions of PostgreSQL.
    pub(crate) extensions: Vec<NeededExtension>,
    /// Rights of MySQL and MariaDB.
    pub(crate) rights: Vec<&'static str>,
}

/// An extension of PostgreSQL that a migration creates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NeededExtension {
    /// Its name.
    pub(crate) name: String,
    /// The first migration that creates it.
    pub(crate) migration: String,
    /// That migration catches the error of one that can't be created, and goes on.
    pub(crate) is_optional: bool,
}

/// How it stands with an extension in a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Extension {
    /// Its name.
    pub(crate) name: String,
    /// The database.
    pub(crate) database: String,
    /// It has been created there.
    pub(crate) is_installed: bool,
    /// The server has its files.
    pub(crate) is_available: bool,
    /// This user may create it.
    pub(crate) may_create: bool,
}

/// The server that a standby or a replica follows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Upstream {
    /// Its host, where that is told.
    pub(crate) host: String,
    /// Whether changes arrive and are applied.
    pub(crate) is_running: bool,
    /// How far behind it this server is, where that is told.
    pub(crate) lag_seconds: Option<u64>,
}

/// A server that follows this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Follower {
    /// What it calls itself, or its address.
    pub(crate) name: String,
    /// How far behind it is.
    pub(crate) lag_seconds: u64,
}

/// Connections of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Room {
    /// In use, ours included.
    pub(crate) used: u64,
    /// How many this user can have with those in use by others.
    pub(crate) most: u64,
}

/// A lock on a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct HeldLock {
    /// The table.
    pub(crate) table: String,
    /// The lock's mode, in the engine's words.
    pub(crate) mode: String,
    /// Who holds it.
    pub(crate) by: Blocker,
}
