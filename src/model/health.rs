//! A database's report on itself and its server, apart from its history.
//!
//! Plain data. `doctor` decides which of it is a finding.

use serde::{Deserialize, Serialize};

use super::outcome::Blocker;

/// The report of one tenant's database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Health {
    /// The product and its version, as commonly written: `PostgreSQL 15.4`.
    pub(crate) version: String,
    /// Major and minor version.
    pub(crate) number: (u32, u32),
    /// Whether the database is read-only: a standby, or set so.
    pub(crate) read_only: bool,
    /// The settings that make it so, where the engine names them.
    pub(crate) read_only_by: Vec<String>,
    /// Settings of the server that refuse some statements.
    pub(crate) obstacles: Vec<Obstacle>,
    /// Whether the server is a PostgreSQL standby, which rejects all writes.
    pub(crate) is_standby: bool,
    /// The primary that this server replicates from, if any; queried through one tenant of a server.
    pub(crate) follows: Option<Upstream>,
    /// Some replicas of this server, the furthest behind first; queried through one tenant of a server.
    pub(crate) followers: Vec<Follower>,
    /// The extensions asked about; queried through one tenant of a database.
    pub(crate) extensions: Vec<Extension>,
    /// Whether another run works on the tenant.
    pub(crate) is_held: bool,
    /// Whether the connection goes through a pooler.
    pub(crate) pooled: bool,
    /// The same for the same database, by whichever address, and for no other; none where the engine does not tell.
    pub(crate) identity: Option<String>,
    /// The privileges that the user lacks, in the engine's words; some of them are needed only by some migrations.
    pub(crate) missing_rights: Vec<String>,
    /// The user, as a `GRANT` names it; empty where there are no users.
    pub(crate) grantee: String,
    /// The object of a `GRANT` for this tenant: a schema or a database.
    pub(crate) grant_on: String,
    /// The tenant's schema, where it does not exist and must not be created.
    pub(crate) missing_schema: Option<String>,
    /// Some tables that the user may not alter, as quoted names.
    pub(crate) foreign_tables: Vec<String>,
    /// Some indexes that a build beside the writers has left, as quoted names; none that is being built.
    pub(crate) invalid_indexes: Vec<String>,
    /// Number of tables that the user may not alter.
    pub(crate) foreign_count: usize,
    /// Connections of the server, where it reports them.
    pub(crate) connections: Option<Room>,
    /// The oldest open transactions in this database.
    pub(crate) transactions: Vec<Blocker>,
    /// Locks on the tenant's tables that other sessions hold.
    pub(crate) locks: Vec<HeldLock>,
    /// Processes that hold the tenant's file.
    pub(crate) file_holders: Vec<Blocker>,
    /// Free bytes on the disk, where known; for a server, queried through one of its tenants.
    pub(crate) free_bytes: Option<u64>,
    /// Facts that could not be determined, with the reason.
    pub(crate) unknown: Vec<String>,
}

/// A setting of a server that refuses some statements of this user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Obstacle {
    /// Whether it refuses every run on the tenant.
    pub(crate) stops: bool,
    /// It refuses only statements that need one of these privileges; empty: any migration may have such a statement.
    pub(crate) concerns: &'static [&'static str],
    /// The setting and what it refuses.
    pub(crate) what: String,
    /// The remedy.
    pub(crate) fix: String,
}

/// Questions whose answers are the same for several databases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Questions {
    /// Facts shared by all tenants of its server: replication, the disk.
    pub(crate) server: bool,
    /// Extensions, which are the same for all tenants of a PostgreSQL database.
    pub(crate) extensions: Vec<String>,
    /// Facts that no run has to know before it begins: whether another one works on the tenant, the invalid
    /// indexes, the identity of the database, and the processes that hold a file.
    pub(crate) closely: bool,
}

/// Requirements of the migrations beyond those of every migration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// PostgreSQL extensions.
    pub(crate) extensions: Vec<NeededExtension>,
    /// MySQL and MariaDB privileges.
    pub(crate) rights: Vec<&'static str>,
}

/// An extension of PostgreSQL that a migration creates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NeededExtension {
    pub(crate) name: String,
    /// The first migration that creates it.
    pub(crate) migration: String,
    /// That migration catches the error if the extension can't be created, and continues.
    pub(crate) is_optional: bool,
}

/// The state of an extension in a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Extension {
    pub(crate) name: String,
    pub(crate) database: String,
    /// Whether it has been created there.
    pub(crate) is_installed: bool,
    /// Whether the server has its files.
    pub(crate) is_available: bool,
    /// Whether its files name the schema that it is made in.
    pub(crate) is_placed: bool,
    /// Whether this user may create it.
    pub(crate) may_create: bool,
}

/// The primary that a standby or a replica replicates from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Upstream {
    /// Its host, where reported.
    pub(crate) host: String,
    /// Whether changes arrive and are applied.
    pub(crate) is_running: bool,
    /// Replication lag of this server in seconds, where reported.
    pub(crate) lag_seconds: Option<u64>,
}

/// A replica of this server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Follower {
    /// Its own name, or its address.
    pub(crate) name: String,
    /// Its replication lag in seconds.
    pub(crate) lag_seconds: u64,
}

/// Connections of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Room {
    /// In use, this program's own included.
    pub(crate) used: u64,
    /// Maximum for this user, counting those in use by others.
    pub(crate) most: u64,
}

/// A lock on a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct HeldLock {
    pub(crate) table: String,
    /// The lock's mode, in the engine's words.
    pub(crate) mode: String,
    /// Its holder.
    pub(crate) by: Blocker,
}
