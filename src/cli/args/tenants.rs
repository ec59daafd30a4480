//! The commands about the tenants of the file, some of which change the file.

use clap::{Args, Subcommand};

use super::inspect::Status;
use super::settings::RunFlags;
use super::shared::{Output, Selection};
use crate::inputs::select::parse_tag;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Tenants {
    /// All selected tenants, where they are and which wave they belong to
    List {
        #[command(flatten)]
        selection: Selection,
        #[command(flatten)]
        output: Output,
    },
    /// Checks the tenant file, and that each selected tenant can be reached and read; exits with 100 when one can't
    Check(Status),
    /// The sources of the tenant file: how many tenants each has, and which are new or gone since the last run
    Sources {
        /// Takes the tenants of this source as they are now, where too many are gone for a run (repeatable)
        #[arg(long, value_name = "NAME")]
        accept: Vec<String>,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        _flags: RunFlags,
    },
    #[command(flatten)]
    Edit(TenantEdit),
    /// Makes a new tenant's database, schema or file, brings it to the newest version, from a template
    /// where there can be one, and adds it to the file; finishes one that died
    Provision(ProvisionArgs),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ProvisionArgs {
    #[command(flatten)]
    pub(in crate::cli) tenant: NewTenantArgs,
    /// The environment variable with the URL of a user who may make databases (and roles), where the tenant's own may not
    #[arg(long, value_name = "VAR")]
    pub(in crate::cli) admin_env: Option<String>,
    /// Also makes the user of the URL, with its password, if it is missing, and lets it use the new database
    #[arg(long, requires = "admin_env")]
    pub(in crate::cli) create_role: bool,
    /// Go ahead without asking
    #[arg(short, long)]
    pub(in crate::cli) yes: bool,
}

/// A change of the tenant file.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TenantEdit {
    /// Adds a tenant to the file, whose comments and order stay; reaches no database
    Add(NewTenantArgs),
    /// Removes a tenant from the file; its database is not touched
    Remove {
        /// The tenant's id
        #[arg(value_name = "TENANT")]
        id: String,
    },
    /// Puts a tenant in quarantine: no run takes it until then, and every report says why
    Quarantine {
        /// The tenant's id
        #[arg(value_name = "TENANT")]
        id: String,
        /// Why, for whoever looks next
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// When it is over: a day, to its end in UTC (2026-12-01), or a moment (2026-12-01T06:00:00Z) [default: never]
        #[arg(long, value_name = "DATE")]
        until: Option<String>,
    },
    /// Takes a tenant out of quarantine
    Release {
        /// The tenant's id
        #[arg(value_name = "TENANT")]
        id: String,
    },
    /// Gives a tenant another id, wherever the file names it
    Rename {
        /// The tenant's id
        #[arg(value_name = "TENANT")]
        id: String,
        /// Its new id
        #[arg(value_name = "NEW")]
        new: String,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct NewTenantArgs {
    /// Its id
    #[arg(value_name = "TENANT")]
    pub(in crate::cli) id: String,
    /// Its database, without a password: postgres://user@host/database, mysql://.., sqlite:FILE
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) url: String,
    /// Its schema, where several PostgreSQL tenants share a database
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) schema: Option<String>,
    /// The key of its server [default: host and port]
    #[arg(long, value_name = "SERVER")]
    pub(in crate::cli) server: Option<String>,
    /// A tag (repeatable)
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_tag)]
    pub(in crate::cli) tag: Vec<(String, String)>,
    /// The environment variable with its password
    #[arg(long, value_name = "VAR", group = "password")]
    pub(in crate::cli) password_env: Option<String>,
    /// The file with its password
    #[arg(long, value_name = "FILE", group = "password")]
    pub(in crate::cli) password_file: Option<String>,
    /// The program that prints its password, and its arguments, parted by spaces
    #[arg(long, value_name = "COMMAND", group = "password")]
    pub(in crate::cli) password_command: Option<String>,
    /// Lets migrate make its SQLite file or its schema
    #[arg(long)]
    pub(in crate::cli) create_missing: bool,
    #[command(flatten)]
    _flags: RunFlags,
}
