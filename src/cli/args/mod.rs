//! The command line as it is typed. Nothing is resolved here: that needs the tenant file.

mod change;
mod inspect;
#[cfg(feature = "serve")]
mod serve;
mod settings;
mod shared;
mod tenants;
#[cfg(feature = "queue")]
mod work;

use clap::{Parser, Subcommand};

pub(super) use change::*;
pub(super) use inspect::*;
#[cfg(feature = "serve")]
pub(super) use serve::Serve;
pub(super) use settings::overrides;
pub(super) use shared::*;
pub(super) use tenants::*;
#[cfg(feature = "queue")]
pub(super) use work::Work;

/// Migrates the databases of a multi-tenant SaaS as one fleet.
#[derive(Debug, Parser)]
#[command(name = "fleet", version, max_term_width = 110, after_help = "Exit codes: fleet help-exit-codes")]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Brings the selected tenants to the newest migration, or to --to
    #[command(visible_alias = "up")]
    Migrate(Migrate),
    /// Takes tenants of a run that `migrate --enqueue` has handed out, beside other runners, until the run is over
    #[cfg(feature = "queue")]
    Work(Work),
    /// Takes migrations back on the selected tenants
    #[command(visible_alias = "down")]
    Rollback(Rollback),
    /// Shows what migrate would do, and the SQL it would send; touches no database, but the code of Rust migrations runs to be
    /// recorded
    Plan(Plan),
    /// Counts tenants by state and version
    Status(Status),
    /// Shows who is at which migration
    Matrix(Matrix),
    /// Lists the migrations and how many tenants have each; with --tenant ID, what that tenant has, since when and by whom
    History(History),
    /// Shows the version of each tenant
    Current(Current),
    /// Shows who holds and who waits for locks on the tenants' databases at this moment, and who has a transaction open;
    /// touches nothing
    Locks(Locks),
    /// Brings the views that SQL scripts make up to date
    Refresh(Refresh),
    /// Backs the selected tenants up, each by its engine's own means
    Backup(Backup),
    /// Brings tenants back from the backups that a run made
    Restore(Restore),
    /// Records a version on tenants that have its schema and no history: adopts what something else has made
    Baseline(Baseline),
    /// Makes the history of tenants that of a version and runs nothing: repairs it, up or down
    Stamp(Stamp),
    /// Asks each tenant with SQL, in a transaction that can't write; the rows come as one table. With --write it may change
    /// the tenants
    Exec(Exec),
    /// Opens the engine's own client on one tenant: psql, mariadb, mysql or sqlite3
    Shell(Shell),
    /// Makes a tenant file and a crate of migrations for a new project, or (--from) a tenant file for databases that are there
    Init(Init),
    /// Takes everything back and migrates anew; only on a fleet whose tenant file says that it is one of development
    Reset(Reset),
    /// Makes a migration with stubs for both ways and lists it in the migrator, or an SQL script (--sql)
    New(New),
    /// The SQL scripts behind the migrations
    #[command(subcommand)]
    Scripts(Scripts),
    /// Fills the tenants' tables with generated rows, the same each time
    Seed(Seed),
    /// Looks for what would make a run fail or wait, and says what to do; exits with 2 when it finds errors
    Doctor(Doctor),
    /// Compares each tenant's schema with that of its own version, or with --entities the program's entities with the
    /// migrations; touches nothing; exits with 2 on findings
    Check(Check),
    /// Asks tenants whether the assertions in verify/*.sql hold, and shows the rows that say no; touches nothing; exits with
    /// 2 when one does not hold
    Verify(Verify),
    /// Lints the SQL that the migrations send, on each engine and in both directions; exits with 2 on findings
    Lint(Lint),
    /// Proves on scratch databases that each migration comes down again, and is the same compiled and native
    Prove(Prove),
    /// The recorded runs and their outcomes
    #[command(subcommand)]
    Runs(Runs),
    /// The tenants of the fleet
    #[command(subcommand)]
    Tenants(Tenants),
    /// Serves pages, a REST interface and metrics of the fleet and its runs over HTTP, until Ctrl-C
    #[cfg(feature = "serve")]
    Serve(Serve),
    /// The settings in force and where each comes from
    #[command(name = "config")]
    Config(ShowArgs),
    /// Writes a completion script for a shell: commands, flags, tenants' ids and migrations
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Writes manual pages to a folder, one a command
    Man {
        /// The folder, which is made if it is missing
        #[arg(value_name = "FOLDER")]
        dir: std::path::PathBuf,
    },
    /// The meaning of each exit code
    HelpExitCodes,
    /// A reference page of the book, as Markdown
    #[command(hide = true)]
    HelpReference { page: super::reference::Page },
}
