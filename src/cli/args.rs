//! The command line as it is typed. Nothing is resolved here: that needs the tenant file.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::scratch::Engines;
use crate::compile::folder::RefreshGroup;
use crate::config::Overrides;
use crate::policy::{FailureBudget, parse_duration};
use crate::select::{Filter, Partition};

/// Migrates the databases of a multi-tenant SaaS as one fleet.
#[derive(Debug, Parser)]
#[command(name = "fleet", version, max_term_width = 110, after_help = "Exit codes: fleet help-exit-codes")]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What every command takes. Help pages show it last.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global")]
pub(super) struct Global {
    /// The tenant file [default: tenants.toml in this folder or above]
    #[arg(long, global = true, display_order = 1000, env = "FLEET_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Colours: auto asks the terminal and NO_COLOR
    #[arg(long, global = true, display_order = 1001, env = "FLEET_COLOR", value_enum, default_value_t = When::Auto)]
    pub(super) color: When,
    /// Columns to lay tables out for [default: the terminal's, else 120]
    #[arg(long, global = true, display_order = 1002, value_name = "COLUMNS")]
    pub(super) width: Option<usize>,
    /// More about what is going on, on stderr (-vv: still more)
    #[arg(short, long, global = true, display_order = 1003, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// No progress on stderr
    #[arg(short, long, global = true, display_order = 1004)]
    pub(super) quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Brings the selected tenants to the newest migration, or to --to
    #[command(visible_alias = "up")]
    Migrate(Migrate),
    /// Takes migrations back on the selected tenants
    #[command(visible_alias = "down")]
    Rollback(Rollback),
    /// Shows what migrate would do, and the SQL it would send; touches nothing
    Plan(Plan),
    /// Counts tenants by state and version
    Status(Look),
    /// Shows who is at which migration
    Matrix(Matrix),
    /// Shows who holds and who waits for locks on the tenants' databases at this moment; touches nothing
    Locks(Look),
    /// Brings the views that SQL scripts make up to date
    Refresh(Refresh),
    /// Backs the selected tenants up, each by its engine's own means
    Backup(Backup),
    /// Brings tenants back from the backups that a run made
    Restore(Restore),
    /// The SQL scripts behind the migrations
    #[command(subcommand)]
    Scripts(Scripts),
    /// Fills the tenants' tables with made-up rows, the same each time
    Seed(Seed),
    /// Looks for what would make a run fail or wait, and says what to do; exits with 2 when it finds errors
    Doctor(Doctor),
    /// Compares what the migrations make with the program's entities, on scratch databases; exits with 2 on findings
    Check(Check),
    /// Proves on scratch databases that each migration comes down again, and is the same compiled and native
    Prove(Prove),
    /// What was run, and how it ended
    #[command(subcommand)]
    Runs(Runs),
    /// The tenants of the fleet
    #[command(subcommand)]
    Tenants(Tenants),
    /// The settings in force and where each comes from
    #[command(name = "config")]
    Config {
        #[command(flatten)]
        overrides: RunFlags,
    },
    /// Writes a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// What each exit code means
    HelpExitCodes,
}

/// Which tenants.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Selection")]
pub(super) struct Selection {
    /// Tenants by id or glob (repeatable)
    #[arg(short, long, value_name = "GLOB")]
    tenant: Vec<String>,
    /// Tenants by tag (repeatable: one key several times means any of the values, several keys mean all of them)
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_tag)]
    tag: Vec<(String, String)>,
    /// Tenants on a server (repeatable)
    #[arg(long, value_name = "SERVER")]
    server: Vec<String>,
    /// Not these tenants (repeatable)
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Tenants of a wave (repeatable)
    #[arg(long, value_name = "WAVE")]
    wave: Vec<String>,
    /// Only the wave named "canary"
    #[arg(long)]
    canary: bool,
    /// Only this share of the selected tenants, picked by a hash of their ids: the same ones each time
    #[arg(long, value_name = "PERCENT", conflicts_with = "canary")]
    canary_percent: Option<u8>,
    /// At most this many tenants, in plan order
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// One part of a fleet that several machines divide: hash:1/4
    #[arg(long, value_name = "hash:I/N")]
    partition: Option<Partition>,
    /// Exactly the tenants that failed in a run (an id, its beginning or end, or "last"), to the same goal
    #[arg(long, value_name = "RUN")]
    pub(super) failed_of: Option<String>,
}

impl Selection {
    /// The filter without what a former run says.
    pub(super) fn filter(&self) -> Filter {
        Filter {
            tenants: self.tenant.clone(),
            tags: self.tag.clone(),
            servers: self.server.clone(),
            exclude: self.exclude.clone(),
            wave: self.wave.clone(),
            only: None,
            canary: self.canary,
            canary_percent: self.canary_percent,
            limit: self.limit,
            partition: self.partition,
        }
    }
}

/// `older-than=30s`.
fn parse_kill(text: &str) -> Result<Duration, String> {
    match text.strip_prefix("older-than=").map(parse_duration) {
        Some(Ok(age)) if age >= Duration::from_secs(1) => Ok(age),
        Some(Err(error)) => Err(error.to_string()),
        _ => Err("write older-than=30s; less than a second is not taken".to_owned()),
    }
}

fn parse_tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, such as plan=pro".to_owned()),
    }
}

/// How a run goes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Run")]
pub(super) struct RunFlags {
    /// Tenants in flight at once, over the whole fleet
    #[arg(long, value_name = "N")]
    concurrency: Option<usize>,
    /// Tenants in flight at once on one server
    #[arg(long, value_name = "N")]
    per_server: Option<usize>,
    /// To reach a server and log in: 500ms, 10s
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    connect_timeout: Option<Duration>,
    /// To be granted a lock: 500ms, 3s
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    lock_timeout: Option<Duration>,
    /// For one statement; 0s means no limit
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    statement_timeout: Option<Duration>,
    /// Attempts for each tenant, the first included
    #[arg(long, value_name = "N")]
    attempts: Option<u32>,
    /// For how long another run's hold on a tenant is waited out
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    hold_wait: Option<Duration>,
    /// For how long a tenant's locks are tried for again and again, all tries and pauses together
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    lock_wait: Option<Duration>,
    /// How many tenants of the last wave may fail before nothing new is started: 3, 5% or unlimited
    #[arg(long, value_name = "BUDGET")]
    max_failures: Option<FailureBudget>,
    /// Where runs are recorded: a file, or a postgres:// or mysql:// URL
    #[arg(long, value_name = "FILE|URL", hide_env_values = true)]
    ledger: Option<String>,
    /// The folder of SQL scripts that come after the migrations
    #[arg(long, value_name = "FOLDER")]
    scripts: Option<String>,
    /// The folder of backups; each run has its own below it
    #[arg(long, value_name = "FOLDER")]
    backups: Option<String>,
}

impl RunFlags {
    pub(super) fn overrides(&self) -> Overrides {
        Overrides {
            concurrency: self.concurrency,
            per_server: self.per_server,
            connect_timeout: self.connect_timeout,
            lock_timeout: self.lock_timeout,
            statement_timeout: self.statement_timeout,
            attempts: self.attempts,
            hold_wait: self.hold_wait,
            lock_wait: self.lock_wait,
            max_failures: self.max_failures,
            ledger: self.ledger.clone(),
            scripts: self.scripts.clone(),
            backups: self.backups.clone(),
            ..Overrides::default()
        }
    }
}

/// What a run writes, and whether it looks and asks first.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct RunOutput {
    /// Starts without a look at the servers, also in an outage
    #[arg(long, help_heading = "Run")]
    pub(super) no_preflight: bool,
    /// Go ahead without asking
    #[arg(short, long)]
    pub(super) yes: bool,
    /// The form of the outcome on stdout: table, json, jsonl (one event a line while it runs), csv, md
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(super) format: RunFormat,
    /// Writes stdout's part to a file instead
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Also writes a report: junit=FILE, json=FILE, csv=FILE or md=FILE (repeatable)
    #[arg(long, value_name = "KIND=FILE", value_parser = parse_report)]
    pub(super) report: Vec<(ReportKind, PathBuf)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum RunFormat {
    #[default]
    Table,
    Json,
    Jsonl,
    Csv,
    Md,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReportKind {
    Junit,
    Json,
    Csv,
    Md,
}

fn parse_report(text: &str) -> Result<(ReportKind, PathBuf), String> {
    let wrong = || "write junit=FILE, json=FILE, csv=FILE or md=FILE".to_owned();
    let (kind, file) = text.split_once('=').ok_or_else(wrong)?;
    let kind = match kind {
        "junit" => ReportKind::Junit,
        "json" => ReportKind::Json,
        "csv" => ReportKind::Csv,
        "md" => ReportKind::Md,
        _ => return Err(wrong()),
    };
    if file.is_empty() { Err(wrong()) } else { Ok((kind, PathBuf::from(file))) }
}

/// What every command that changes tenants takes.
#[derive(Debug, Args)]
pub(super) struct Change {
    /// Runs every migration as Rust code through SeaORM, none as a compiled script
    #[arg(long)]
    pub(super) native: bool,
    /// Shows the plan and touches nothing; `fleet plan --sql` shows the SQL too
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Backs each tenant up right before its first change; one whose backup fails is not touched
    #[arg(long)]
    pub(super) backup: bool,
    /// With --backup: what becomes of a tenant that failed and could not be rolled back: leave or restore
    #[arg(long, value_name = "WHAT")]
    on_failure: Option<String>,
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) flags: RunFlags,
    #[command(flatten)]
    pub(super) output: RunOutput,
}

impl Change {
    pub(super) fn overrides(&self) -> Overrides {
        Overrides { on_failure: self.on_failure.clone(), ..self.flags.overrides() }
    }
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Backup {
    #[command(subcommand)]
    pub(super) what: Option<Backups>,
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) flags: RunFlags,
    #[command(flatten)]
    pub(super) output: RunOutput,
}

#[derive(Debug, Subcommand)]
pub(super) enum Backups {
    /// The runs that have backups: when, how many tenants, how large, and whether they are complete
    List {
        #[command(flatten)]
        flags: RunFlags,
        #[command(flatten)]
        output: Output,
    },
    /// Removes old backups, but none of a run that is unfinished, failed or left a tenant in doubt
    Prune(Prune),
}

#[derive(Debug, Args)]
pub(super) struct Prune {
    /// Of runs that began longer ago: 30d, 12h
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    pub(super) older_than: Duration,
    /// Go ahead without asking
    #[arg(short, long)]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) flags: RunFlags,
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The run that made the backups (an id, its beginning or end, or "last")
    #[arg(long, value_name = "RUN")]
    pub(super) run: String,
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) flags: RunFlags,
    #[command(flatten)]
    pub(super) output: RunOutput,
}

#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// Up to and with this migration: its name, or a part that only one has
    #[arg(long, value_name = "MIGRATION", conflicts_with = "steps")]
    pub(super) to: Option<String>,
    /// This many migrations from where each tenant is
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) steps: Option<u32>,
    /// Also applies a migration that is missing although a later one was applied
    #[arg(long)]
    pub(super) out_of_order: bool,
    /// Terminates the sessions that hold a lock in a tenant's own database for longer than this: older-than=30s
    #[arg(long, value_name = "older-than=DURATION", value_parser = parse_kill)]
    pub(super) kill_blockers: Option<Duration>,
    #[command(flatten)]
    pub(super) change: Change,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("goal").args(["to", "steps", "failed_of", "all"]).required(true)))]
pub(super) struct Rollback {
    /// Back to this migration, which stays applied: its name, or a part that only one has
    #[arg(long, value_name = "MIGRATION")]
    pub(super) to: Option<String>,
    /// This many migrations from where each tenant is
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) steps: Option<u32>,
    /// Back to nothing applied
    #[arg(long)]
    pub(super) all: bool,
    #[command(flatten)]
    pub(super) change: Change,
}

#[derive(Debug, Args)]
pub(super) struct Plan {
    /// Up to and with this migration
    #[arg(long, value_name = "MIGRATION", conflicts_with = "steps")]
    pub(super) to: Option<String>,
    /// This many migrations from where each tenant is
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) steps: Option<u32>,
    /// The plan of a rollback: with --to or --steps, else back to nothing applied
    #[arg(long)]
    pub(super) down: bool,
    /// Also plans a migration that is missing although a later one was applied
    #[arg(long)]
    pub(super) out_of_order: bool,
    /// As if every migration ran natively
    #[arg(long)]
    pub(super) native: bool,
    /// Shows the SQL of each script, byte for byte as it is sent
    #[arg(long)]
    pub(super) sql: bool,
    /// Exits with 2 when something is pending
    #[arg(long)]
    pub(super) exit_code: bool,
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) flags: RunFlags,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Look {
    /// Exits with 2 when a tenant is not at the newest migration, or can't be read
    #[arg(long)]
    pub(super) exit_code: bool,
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) flags: RunFlags,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) flags: RunFlags,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Check {
    /// The tables, columns, types, NULL and primary keys of the entities
    #[arg(long, required = true)]
    entities: bool,
    #[command(flatten)]
    pub(super) engines: Engines,
    #[command(flatten)]
    pub(super) flags: RunFlags,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Prove {
    /// No made-up rows: only those of the migrations themselves
    #[arg(long)]
    pub(super) empty: bool,
    /// So many made-up rows in a table (repeatable): 0 for one that only a migration fills
    #[arg(long, value_name = "TABLE=N", value_parser = parse_rows, conflicts_with = "empty")]
    pub(super) rows: Vec<(String, u64)>,
    /// A migration without a way down is a failure, too
    #[arg(long)]
    pub(super) strict: bool,
    #[command(flatten)]
    pub(super) engines: Engines,
    #[command(flatten)]
    pub(super) flags: RunFlags,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Matrix {
    /// Every tenant in a row of its own
    #[arg(long)]
    pub(super) all: bool,
    #[command(flatten)]
    pub(super) look: Look,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct Output {
    /// table, json, csv or md
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(super) format: Shape,
    /// Writes to a file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Shape {
    #[default]
    Table,
    Json,
    Csv,
    Md,
}

#[derive(Debug, Subcommand)]
pub(super) enum Runs {
    /// The last runs, newest first
    List {
        /// How many
        #[arg(long, default_value_t = 20)]
        limit: usize,
        #[command(flatten)]
        flags: RunFlags,
        #[command(flatten)]
        output: Output,
    },
    /// One run: its outcomes and failed attempts
    Show {
        /// The run: its id, its beginning or end, or "last"
        run: String,
        #[command(flatten)]
        flags: RunFlags,
        #[command(flatten)]
        output: Output,
    },
    /// Finishes what an interrupted or killed run left; touches nothing twice
    Resume {
        /// The run: its id, its beginning or end, or "last"
        run: String,
        /// Runs every migration as Rust code through SeaORM, none as a compiled script
        #[arg(long)]
        native: bool,
        #[command(flatten)]
        flags: RunFlags,
        #[command(flatten)]
        output: RunOutput,
    },
    /// Settles a tenant that is in doubt, after you have looked at its database
    Settle(Settle),
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("how").args(["applied", "not_applied", "resume_at"])))]
pub(super) struct Settle {
    /// The tenant's id; without one of the three flags, what is known of it is shown and nothing changes
    pub(super) tenant: String,
    /// All of the migration is in place: it counts as done
    #[arg(long)]
    pub(super) applied: bool,
    /// Nothing of the migration is in place (any more): it counts as not begun
    #[arg(long)]
    pub(super) not_applied: bool,
    /// Everything before statement K (from 1) is in place: the next run goes on at K
    #[arg(long, value_name = "K")]
    pub(super) resume_at: Option<usize>,
    /// Go ahead without asking
    #[arg(short, long)]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) flags: RunFlags,
}

#[derive(Debug, Args)]
pub(super) struct Refresh {
    /// Views of this group: hourly, daily, weekly or monthly (repeatable) [default: all views]
    #[arg(long, value_name = "GROUP")]
    pub(super) group: Vec<RefreshGroup>,
    /// This view (repeatable)
    #[arg(long, value_name = "NAME", conflicts_with = "group")]
    pub(super) view: Vec<String>,
    /// Shows when each view was refreshed last, and changes nothing; --format json has every tenant
    #[arg(long)]
    pub(super) status: bool,
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) flags: RunFlags,
    #[command(flatten)]
    pub(super) output: RunOutput,
}

#[derive(Debug, Args)]
pub(super) struct Seed {
    /// 1 is about a hundred rows in a middling table
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) scale: u32,
    /// So many rows in this table, whatever the scale says (repeatable)
    #[arg(long, value_name = "TABLE=N", value_parser = parse_rows)]
    pub(super) rows: Vec<(String, u64)>,
    /// Another number gives other rows
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    /// Also fills up tables that have rows; else only empty ones are filled
    #[arg(long)]
    pub(super) append: bool,
    /// How many of a hundred amounts and days are malformed in legacy tables
    #[arg(long, value_name = "PERCENT", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(super) malformed: u8,
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) flags: RunFlags,
    #[command(flatten)]
    pub(super) output: RunOutput,
}

fn parse_rows(text: &str) -> Result<(String, u64), String> {
    let parsed = text.split_once('=').and_then(|(table, rows)| Some((table, rows.parse().ok()?)));
    match parsed {
        Some((table, rows)) if !table.is_empty() => Ok((table.to_owned(), rows)),
        _ => Err("write TABLE=N, such as orders=5000".to_owned()),
    }
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one of it in a process")]
pub(super) enum Scripts {
    /// The scripts in the order in which they are applied, and what each is on each engine
    List {
        #[command(flatten)]
        flags: RunFlags,
        #[command(flatten)]
        output: Output,
    },
    /// Takes the present text of edited scripts for what was applied: only their checksums change
    Accept {
        /// The scripts: their names, or parts that only one has
        #[arg(required = true, value_name = "SCRIPT")]
        names: Vec<String>,
        #[command(flatten)]
        selection: Selection,
        #[command(flatten)]
        flags: RunFlags,
        #[command(flatten)]
        output: RunOutput,
    },
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one is made for a command line, and taken apart at once")]
pub(super) enum Tenants {
    /// All selected tenants, where they are and which wave they belong to
    List {
        #[command(flatten)]
        selection: Selection,
        #[command(flatten)]
        output: Output,
    },
    /// Checks the tenant file, and that each selected tenant can be reached and read; exits with 100 when one can't
    Check {
        #[command(flatten)]
        look: Look,
    },
}
