//! The commands that change tenants, or plan to.

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use strum::VariantNames as _;

use super::settings::{ChangeFlags, PlanFlags, RunFlags};
use super::shared::{ReadArgs, RunArgs, Selection, ShowArgs};
use crate::model::saved_plan::LateJoiners;
use crate::policy::{RefreshGroup, parse_duration};

/// `older-than=30s`.
fn parse_kill(text: &str) -> Result<Duration, String> {
    match text.strip_prefix("older-than=").map(parse_duration) {
        Some(Ok(age)) if age >= Duration::from_secs(1) => Ok(age),
        Some(Err(error)) => Err(error.to_string()),
        _ => Err("write older-than=30s; less than a second is not taken".to_owned()),
    }
}

/// The ways to treat late joiners, by their words.
fn late_joiners() -> impl TypedValueParser<Value = LateJoiners> {
    PossibleValuesParser::new(LateJoiners::VARIANTS)
        .map(|word| word.parse().expect("clap has let only these words through"))
}

/// The options of every command that changes tenants.
#[derive(Debug, Args)]
pub(in crate::cli) struct Change {
    /// Runs every migration as Rust code through SeaORM, none as a compiled script
    #[arg(long)]
    pub(in crate::cli) native: bool,
    /// Shows the plan and touches nothing; `fleet plan --sql` shows the SQL too
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Backs each tenant up right before its first change; one whose backup fails is not touched
    #[arg(long)]
    pub(in crate::cli) backup: bool,
    /// Carries out a plan that `plan --save` has written; refuses, and says what differs, where it does not hold any more
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tenants", "tags", "servers", "exclude", "wave", "canary", "canary_percent", "limit", "partition", "failed_of"], conflicts_with = "native")]
    pub(in crate::cli) plan: Option<std::path::PathBuf>,
    /// Tenants that come into the fleet while the run goes on, or came after the plan of --plan: report (leave out), migrate,
    /// or with --plan refuse [default: report; with --plan refuse]
    #[arg(long, value_name = "WHAT", value_parser = late_joiners())]
    pub(in crate::cli) late_joiners: Option<LateJoiners>,
    #[command(flatten)]
    _flags: ChangeFlags,
    #[command(flatten)]
    _plan_flags: PlanFlags,
    #[command(flatten)]
    pub(in crate::cli) on: RunArgs,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct Backup {
    #[command(subcommand)]
    pub(in crate::cli) what: Option<Backups>,
    #[command(flatten)]
    pub(in crate::cli) on: RunArgs,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Backups {
    /// The runs that have backups: when, how many tenants, how large, and whether they are complete
    List(Box<BackupList>),
    /// Removes old backups, but none of a run with a tenant that is not at its target, or restored, since, and none
    /// that is the only one of a tenant
    Prune(Prune),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct BackupList {
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
    #[command(flatten)]
    pub(in crate::cli) show: ShowArgs,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("which").args(["older_than", "keep"]).required(true).multiple(true)))]
pub(in crate::cli) struct Prune {
    /// Only runs started before this age (e.g. 30d, 12h)
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    pub(in crate::cli) older_than: Option<Duration>,
    /// Keeps the newest N whole backups of each tenant [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) keep: Option<u32>,
    /// Says what would be removed, and removes nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Go ahead without asking
    #[arg(short, long)]
    pub(in crate::cli) yes: bool,
    #[command(flatten)]
    _flags: RunFlags,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("from").args(["run", "latest"]).required(true)))]
pub(in crate::cli) struct Restore {
    /// The run that made the backups (an id, its beginning or end, or "last": the last that made any)
    #[arg(long, value_name = "RUN")]
    pub(in crate::cli) run: Option<String>,
    /// The newest whole backup of each tenant, whichever run made it
    #[arg(long)]
    pub(in crate::cli) latest: bool,
    /// Shows from which backup each tenant would be restored, and touches nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    #[command(flatten)]
    pub(in crate::cli) on: RunArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Baseline {
    /// The version that the tenants' schemas have: its name, or a part that only one has
    #[arg(value_name = "VERSION")]
    pub(in crate::cli) version: String,
    /// The reason, for the ledger
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) reason: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) record: Record,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Stamp {
    /// The version that the tenants' schemas have: its name, or a part that only one has; `empty`: none
    #[arg(long, value_name = "VERSION")]
    pub(in crate::cli) to: String,
    /// The reason, for the ledger
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) reason: String,
    #[command(flatten)]
    pub(in crate::cli) record: Record,
}

/// The options of commands that record a version.
#[derive(Debug, Args)]
pub(in crate::cli) struct Record {
    /// Records it without comparing each tenant's schema with that of the version, made on a scratch database
    #[arg(long)]
    pub(in crate::cli) no_check: bool,
    /// Shows what would be recorded on each tenant, and touches nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    #[command(flatten)]
    pub(in crate::cli) on: RunArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Migrate {
    /// Up to and with this migration: its name, or a part that only one has
    #[arg(long, value_name = "MIGRATION", conflicts_with_all = ["steps", "plan"])]
    pub(in crate::cli) to: Option<String>,
    /// This many migrations from where each tenant is
    #[arg(long, value_name = "N", conflicts_with = "plan", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) steps: Option<u32>,
    /// Also applies a migration that is missing although a later one was applied
    #[arg(long, conflicts_with = "plan")]
    pub(in crate::cli) out_of_order: bool,
    /// Also makes a tenant anew that lost its database: nothing is applied, and a run left it at a version
    #[arg(long)]
    pub(in crate::cli) recreate: bool,
    /// Terminates the sessions that hold a lock in a tenant's own database for longer than this: older-than=30s
    #[arg(long, value_name = "older-than=DURATION", value_parser = parse_kill)]
    pub(in crate::cli) kill_blockers: Option<Duration>,
    /// Applies nothing: hands the tenants out to the runners that `fleet work` starts, on any number of machines; the
    /// ledger has to be on PostgreSQL
    #[cfg(feature = "queue")]
    #[arg(long, conflicts_with_all = ["dry_run", "backup", "plan", "recreate", "kill_blockers"])]
    pub(in crate::cli) enqueue: bool,
    #[command(flatten)]
    pub(in crate::cli) change: Change,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("goal").args(["to", "steps", "failed_of", "all", "run", "plan"]).required(true)))]
pub(in crate::cli) struct Rollback {
    /// Back to this migration, which stays applied: its name, or a part that only one has
    #[arg(long, value_name = "MIGRATION")]
    pub(in crate::cli) to: Option<String>,
    /// This many migrations from where each tenant is
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) steps: Option<u32>,
    /// Back to nothing applied
    #[arg(long)]
    pub(in crate::cli) all: bool,
    /// Exactly what a run has moved (an id, its beginning or end, or "last"), each tenant to its own version before, the last
    /// wave first
    #[arg(long, value_name = "RUN")]
    pub(in crate::cli) run: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) change: Change,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Plans {
    /// Records in the ledger that a person approved a saved plan
    Approve(ApprovePlan),
    /// A saved plan, for who is to approve it; reaches no database
    Show(ShowPlan),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ShowPlan {
    /// The file that `plan --save` has written
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: std::path::PathBuf,
    #[command(flatten)]
    _flags: RunFlags,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ApprovePlan {
    /// The file that `plan --save` has written
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: std::path::PathBuf,
    /// The person who approves it
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) by: String,
    #[command(flatten)]
    _flags: RunFlags,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct Plan {
    #[command(subcommand)]
    pub(in crate::cli) what: Option<Plans>,
    /// Up to and with this migration
    #[arg(long, value_name = "MIGRATION", conflicts_with = "steps")]
    pub(in crate::cli) to: Option<String>,
    /// This many migrations from where each tenant is
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) steps: Option<u32>,
    /// The plan of a rollback: with --to or --steps, else back to nothing applied
    #[arg(long)]
    pub(in crate::cli) down: bool,
    /// The plan of `rollback --run`: an id, its beginning or end, or "last"
    #[arg(long, value_name = "RUN", conflicts_with_all = ["to", "steps", "out_of_order", "failed_of"])]
    pub(in crate::cli) run: Option<String>,
    /// Also plans a migration that is missing although a later one was applied
    #[arg(long)]
    pub(in crate::cli) out_of_order: bool,
    /// As if every migration ran natively
    #[arg(long)]
    pub(in crate::cli) native: bool,
    /// Lists every script: how it runs, whether it is atomic, its statements and its checksum
    #[arg(long)]
    pub(in crate::cli) list_scripts: bool,
    /// Shows the SQL of each script, byte for byte as it is sent, with the locks that it takes
    #[arg(long)]
    pub(in crate::cli) sql: bool,
    /// With --sql: everything that is sent, with guards, transactions and history rows, once for all tenants that are sent the same
    #[arg(long, requires = "sql", conflicts_with = "out")]
    pub(in crate::cli) wire: bool,
    /// With --sql: writes files into a new folder that people run with psql, mariadb, mysql or sqlite3
    #[arg(long, value_name = "FOLDER", requires = "sql")]
    pub(in crate::cli) out: Option<std::path::PathBuf>,
    /// Writes the plan to a file, under a digest, for `plan approve` and `migrate --plan`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sql", "list_scripts"])]
    pub(in crate::cli) save: Option<std::path::PathBuf>,
    /// Exits with 2 when something is pending
    #[arg(long)]
    pub(in crate::cli) exit_code: bool,
    #[command(flatten)]
    _flags: PlanFlags,
    #[command(flatten)]
    pub(in crate::cli) read: ReadArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Refresh {
    /// Views of this group: hourly, daily, weekly, monthly or changes (repeatable) [default: all views]
    #[arg(long, value_name = "GROUP")]
    pub(in crate::cli) group: Vec<RefreshGroup>,
    /// This view (repeatable)
    #[arg(long, value_name = "NAME", conflicts_with = "group")]
    pub(in crate::cli) view: Vec<String>,
    /// Shows when each view was refreshed last, and changes nothing; --format json has every tenant
    #[arg(long)]
    pub(in crate::cli) status: bool,
    /// Why, for those who read of the run; it is recorded with its command
    #[arg(id = "reason", long = "reason", value_name = "TEXT", conflicts_with = "status")]
    _reason: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) on: RunArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Seed {
    /// Scale factor: 1 gives about 100 rows in a medium-sized table
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(in crate::cli) scale: u32,
    /// Rows to generate for TABLE, whatever the scale says (repeatable)
    #[arg(long, value_name = "TABLE=N", value_parser = parse_rows)]
    pub(in crate::cli) rows: Vec<(String, u64)>,
    /// Seed of the random numbers: the same rows for the same seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(in crate::cli) seed: u64,
    /// Also fills up tables that have rows; else only empty ones are filled
    #[arg(long)]
    pub(in crate::cli) append: bool,
    /// Percentage of rows with a malformed amount or day, where the seed rules mark columns as legacy text
    #[arg(long, value_name = "PERCENT", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(in crate::cli) malformed: u8,
    #[command(flatten)]
    pub(in crate::cli) on: RunArgs,
}

pub(super) fn parse_rows(text: &str) -> Result<(String, u64), String> {
    let parsed = text.split_once('=').and_then(|(table, rows)| Some((table, rows.parse().ok()?)));
    match parsed {
        Some((table, rows)) if !table.is_empty() => Ok((table.to_owned(), rows)),
        _ => Err("write TABLE=N, such as orders=5000".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Reset {
    /// The name of the fleet of development, as the setting `development` of the tenant file says it
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) confirm: String,
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
    #[command(flatten)]
    _flags: RunFlags,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Init {
    /// The project's folder [default: this one]
    #[arg(value_name = "FOLDER")]
    pub(in crate::cli) dir: Option<std::path::PathBuf>,
    /// A list of databases, a line ID,URL each, without passwords; -: from stdin. Then only the tenant file is made
    #[arg(long, value_name = "LIST")]
    pub(in crate::cli) from: Option<std::path::PathBuf>,
    /// Where the crate fleet is, as migration/Cargo.toml says it
    #[arg(long, value_name = "PATH", default_value = "../../fleet", conflicts_with = "from")]
    pub(in crate::cli) fleet: String,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Scripts {
    /// The scripts in the order in which they are applied, and what each is on each engine
    List(ShowArgs),
    /// Records the present text of edited scripts as what was applied: only their checksums change
    #[command(alias = "accept")]
    Repair {
        /// The scripts: their names, or parts that only one has
        #[arg(required = true, value_name = "SCRIPT")]
        names: Vec<String>,
        #[command(flatten)]
        on: RunArgs,
    },
    /// Forgets repeatable scripts whose files are gone: only their rows go, and what they made stays
    Forget {
        /// The scripts, by their whole names
        #[arg(required = true, value_name = "SCRIPT")]
        names: Vec<String>,
        #[command(flatten)]
        on: RunArgs,
    },
}
