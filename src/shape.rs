//! What a database's schema looks like: tables, columns, keys, and everything else that SQL made there.
//!
//! Plain data: how it is read from an engine is not known here, and nothing here touches a database.

use serde::{Deserialize, Serialize};

/// Everything that SQL made in one tenant's namespace, in a fixed order. Fleet's own tables and the history are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Base tables, by name.
    pub tables: Vec<Table>,
    /// Views, materialized views, triggers, routines, types, sequences of their own, by kind and name.
    pub others: Vec<Other>,
}

/// A base table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name, without a namespace.
    pub name: String,
    /// Its columns in the table's own order.
    pub columns: Vec<Column>,
    /// The columns of the primary key, in key order; empty where there is none.
    pub primary_key: Vec<String>,
    /// Unique constraints and unique indexes without a condition, by name.
    pub uniques: Vec<Unique>,
    /// Other indexes as the engine describes them, name first, sorted.
    pub indexes: Vec<String>,
    /// Foreign keys, by name (by columns where the engine keeps no name).
    pub foreign_keys: Vec<ForeignKey>,
    /// CHECK constraints: name (empty where there is none) and expression as the engine prints it, sorted.
    pub checks: Vec<(String, String)>,
    /// Anything else that tells two tables apart: partitioning, comment, storage; as text, sorted.
    pub options: Vec<String>,
}

/// A column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as the engine prints it, in lower case: `character varying(64)`, `decimal(12,2)`, `uuid_text`.
    pub kind: String,
    /// Whether it takes NULL.
    pub nullable: bool,
    /// Its default as the engine prints it.
    pub default: Option<String>,
    /// Whether the engine computes it (generated, identity, auto-increment), and how.
    pub generated: Option<String>,
    /// Its comment, where the engine keeps one.
    pub comment: Option<String>,
}

/// A set of columns that holds no value twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unique {
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
}

/// A reference to another table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Its name; empty where the engine keeps none.
    pub name: String,
    /// The columns of this table, in order.
    pub columns: Vec<String>,
    /// The table that is referred to.
    pub to_table: String,
    /// Its columns, in the same order.
    pub to_columns: Vec<String>,
    /// `cascade`, `restrict`, `set null`, `set default`, `no action`.
    pub on_delete: String,
    /// As `on_delete`.
    pub on_update: String,
}

/// Something that is not a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Other {
    /// `view`, `materialized view`, `trigger`, `function`, `procedure`, `type`, `sequence`, `event`.
    pub kind: String,
    /// Its name; a trigger's with its table: `orders.set_total`.
    pub name: String,
    /// Its definition as the engine prints it, white space as it is.
    pub definition: String,
}
