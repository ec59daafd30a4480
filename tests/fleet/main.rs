//! The whole program, with the small catalog of `tests/small`, on real SQLite files, PostgreSQL and MariaDB: commands,
//! messages, and the content of the databases afterwards.
//!
//! Two servers are needed: `eval "$(scripts/servers start)"` gives the variables. Without them the tests fail; none is
//! skipped.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod adopting;
mod backups;
mod beginning;
mod browser;
mod budgets;
mod by_hand;
mod canary;
mod changing;
mod command_line;
mod crash_points;
mod dependencies;
mod doctor_agrees;
mod doctoring;
mod drifting;
#[path = "../support/dumps.rs"]
mod dumps;
mod everyday;
mod failovers;
mod flavours;
mod gates;
mod going_on;
mod half_gone;
mod holding;
mod hooks;
mod hostile;
mod hostile_ledger;
mod interrupted;
mod killed;
mod late_joiners;
mod ledger;
mod linting;
mod locks;
mod logging;
mod lost_databases;
mod mysql;
mod next_steps;
mod on_duty;
mod online;
mod output;
mod own_servers;
mod paused;
mod pausing;
#[path = "../support/pgbouncer.rs"]
mod pgbouncer;
mod provisioning;
mod pruning;
mod random_kills;
mod reading;
mod remedies;
mod restoring;
mod resuming;
mod resuming_past_failures;
mod rolling_back;
mod runners;
mod saved_plans;
mod script_folders;
mod secrets;
mod server_limits;
#[path = "../support/own_servers.rs"]
mod servers;
mod serving;
mod sources;
mod story;
mod support;
mod table_kinds;
mod taking_back;
mod tenant_file;
mod tenant_transaction;
mod terminal;
mod three_hundred;
mod trials;
mod two_at_once;
mod undoing;
mod verifying;
mod ways_out;
mod writing;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_small");
