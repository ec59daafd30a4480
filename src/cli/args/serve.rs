//! The options of the server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::settings::RunFlags;
use crate::policy::parse_duration;

#[derive(Debug, Args)]
pub(in crate::cli) struct Serve {
    /// The address to listen on; port 0 takes a free one. One that others reach needs a token
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(in crate::cli) listen: SocketAddr,
    /// The file with the token, of 16 characters at least: reading needs it where there is one, and changing always
    /// [default: the environment variable FLEET_SERVE_TOKEN]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) token_file: Option<PathBuf>,
    /// A name under which the server is reached, besides its address and localhost (repeatable)
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) host: Vec<String>,
    /// Refresh the views of each group at its times, in UTC: at the full hour, at midnight, on Monday, on the first of the
    /// month. Those of one time are one run. Those of the group changes are refreshed when PostgreSQL tells that a tenant's data
    /// changed
    #[arg(long)]
    pub(in crate::cli) schedule: bool,
    /// The least time between two runs for changes, which gather meanwhile
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration, requires = "schedule")]
    pub(in crate::cli) changes_every: Duration,
    /// The most connections on one server that listen for changes, one for each database
    #[arg(long, value_name = "N", default_value_t = 20, requires = "schedule")]
    pub(in crate::cli) max_listeners: usize,
    #[command(flatten)]
    _flags: RunFlags,
}
