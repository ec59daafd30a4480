//! The commands that look and prove, and those about former runs. None of them changes a tenant but by finishing or
//! resolving what a run began.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use clap::{Args, Subcommand};
use strum::IntoEnumIterator as _;

use super::change::parse_rows;
use super::settings::{PlaceFlags, PlanFlags, RunFlags};
use super::shared::{Engines, ReadArgs, Reports, RunOutput, Selection, ShowArgs, one_of};
use crate::check::doctor::Severity;
use crate::model::run_summary::RunResult;
use crate::policy::parse_duration;
use crate::report::Format;

#[derive(Debug, Args)]
pub(in crate::cli) struct Status {
    /// Exits with 2 when a tenant is not at the newest migration, or can't be read
    #[arg(long)]
    pub(in crate::cli) exit_code: bool,
    /// Also writes the state of these tenants, and of the last run, for Prometheus
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(in crate::cli) metrics_file: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) watch: Watch,
    #[command(flatten)]
    pub(in crate::cli) read: ReadArgs,
}

/// Whether a command shows the same again and again.
#[derive(Debug, Args)]
pub(in crate::cli) struct Watch {
    /// Reads and shows it again and again on a terminal, every 2 seconds or at this interval, until Ctrl-C
    #[arg(long = "watch", value_name = "INTERVAL", num_args = 0..=1, require_equals = true, default_missing_value = "2s",
          value_parser = parse_interval, conflicts_with_all = ["exit_code", "output"])]
    pub(in crate::cli) every: Option<Duration>,
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(every) if every >= Duration::from_millis(100) => Ok(every),
        _ => Err("write an interval of 100ms or more, such as 10s".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Locks {
    /// Exits with 2 when somebody waits for a lock, or holds a file
    #[arg(long)]
    pub(in crate::cli) exit_code: bool,
    #[command(flatten)]
    pub(in crate::cli) watch: Watch,
    #[command(flatten)]
    pub(in crate::cli) read: ReadArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Doctor {
    #[command(flatten)]
    pub(in crate::cli) read: ReadArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Check {
    /// Instead, the program's entities against the tables of the migrations on scratch databases; no tenant is read
    #[arg(long, conflicts_with_all = ["ignore", "fix_sql"])]
    pub(in crate::cli) entities: bool,
    /// With --entities: also against the tables of live tenants
    #[arg(long, requires = "entities")]
    pub(in crate::cli) live: bool,
    /// Makes the schema of each version anew; else one that was made before is taken from the user's cache folder
    #[arg(long, conflicts_with = "entities")]
    pub(in crate::cli) no_cache: bool,
    /// Differences of no interest, by kind and name: "view tmp_*", "table orders: index tmp_*" (repeatable)
    #[arg(long, value_name = "PATTERN")]
    pub(in crate::cli) ignore: Vec<String>,
    /// Adds SQL that would make what is missing, with its danger, and comments on the rest; runs nothing of it
    #[arg(long)]
    pub(in crate::cli) fix_sql: bool,
    #[command(flatten)]
    pub(in crate::cli) engines: Engines,
    #[command(flatten)]
    pub(in crate::cli) read: ReadArgs,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("values").multiple(true)))]
pub(in crate::cli) struct Verify {
    /// Every tenant in the table, also those on which all assertions hold
    #[arg(long)]
    pub(in crate::cli) all: bool,
    /// Instead, counts the rows of every table
    #[arg(long, requires = "file", group = "values")]
    pub(in crate::cli) row_counts: bool,
    /// Instead, asks the measures in verify/*.measure.sql for their values; also beside --row-counts
    #[arg(long, requires = "file", group = "values")]
    pub(in crate::cli) measures: bool,
    /// Writes the counts and values to a file, before a run
    #[arg(long, value_name = "FILE", group = "file", requires = "values")]
    pub(in crate::cli) save: Option<PathBuf>,
    /// Compares them with those of a file, behind a run; exits with 2 when one changed
    #[arg(long, value_name = "FILE", group = "file", requires = "values")]
    pub(in crate::cli) against: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) read: ReadArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Lint {
    /// Only these migrations, each by a part of its name that no other has [default: all]
    #[arg(value_name = "MIGRATION")]
    pub(in crate::cli) migrations: Vec<String>,
    /// Only what this migration, the last that is applied everywhere, or this git revision does not have
    #[arg(long, value_name = "MIGRATION|REVISION", conflicts_with = "migrations")]
    pub(in crate::cli) since: Option<String>,
    /// Also asks live tenants for the rows of the tables and for their versions; reads only
    #[arg(long)]
    pub(in crate::cli) live: bool,
    /// Exits with 2 on findings of this severity or a higher one: error, warning, info, never
    #[arg(long, value_name = "SEVERITY", default_value = "warning", value_parser = severity("never"))]
    pub(in crate::cli) fail_on: Least,
    /// Shows findings of this severity or a higher one: error, warning, info; JSON and SARIF have all
    #[arg(long, value_name = "SEVERITY", default_value = "warning", value_parser = severity("info"))]
    pub(in crate::cli) show: Least,
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
    #[command(flatten)]
    pub(in crate::cli) engines: Engines,
    #[command(flatten)]
    _flags: RunFlags,
    /// table, json, csv, md, sarif (code scanners), github (annotations of a workflow), gitlab (code quality)
    #[arg(long, value_name = "FORMAT", default_value = "table", help_heading = "Output", value_parser = one_of(Format::FINDINGS))]
    pub(in crate::cli) format: Format,
    /// Writes to a file instead of stdout
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(in crate::cli) output: Option<PathBuf>,
}

/// The lowest severity that counts; none for `never`.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Least(pub(in crate::cli) Option<Severity>);

/// A severity by its name; `last` is the last name that is taken.
fn severity(last: &'static str) -> impl TypedValueParser<Value = Least> {
    let mut names = vec!["error", "warning", "info"];
    names.extend((!names.contains(&last)).then_some(last));
    PossibleValuesParser::new(names).map(|name| Least(name.parse().ok()))
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Prove {
    /// No generated rows: only those of the migrations themselves
    #[arg(long)]
    pub(in crate::cli) empty: bool,
    /// Rows to generate for TABLE (repeatable); 0 leaves it to the migrations
    #[arg(long, value_name = "TABLE=N", value_parser = parse_rows, conflicts_with = "empty")]
    pub(in crate::cli) rows: Vec<(String, u64)>,
    /// A migration without a way down is a failure, too
    #[arg(long)]
    pub(in crate::cli) strict: bool,
    /// Proves the online forms of the migrations, too: that each leaves the same schema
    #[arg(id = "online", long, overrides_with = "no-online")]
    _online: bool,
    /// Switches --online off
    #[arg(id = "no-online", long, overrides_with = "online")]
    _no_online: bool,
    #[command(flatten)]
    pub(in crate::cli) engines: Engines,
    #[command(flatten)]
    pub(in crate::cli) show: ShowArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Matrix {
    /// Every tenant in a row of its own
    #[arg(long)]
    pub(in crate::cli) all: bool,
    #[command(flatten)]
    pub(in crate::cli) status: Status,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("text").args(["sql", "file"]).required(true)))]
pub(in crate::cli) struct Exec {
    /// The SQL, one statement or several; -: from stdin
    pub(in crate::cli) sql: Option<String>,
    /// The SQL in a file
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) file: Option<std::path::PathBuf>,
    /// Lets it change the tenants, each in one transaction; a run of its own, with its outcomes in the ledger
    #[arg(long)]
    pub(in crate::cli) write: bool,
    /// Go ahead without asking
    #[arg(short, long, requires = "write")]
    pub(in crate::cli) yes: bool,
    /// Starts without a look at the servers, also in an outage
    #[arg(long, requires = "write")]
    pub(in crate::cli) no_preflight: bool,
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
    #[command(flatten)]
    _flags: RunFlags,
    /// table, json or md; csv or jsonl (an object a row), which are written as the tenants answer; with --write of the outcomes
    #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = one_of(Format::RUN), help_heading = "Output")]
    pub(in crate::cli) format: Format,
    /// Writes to a file instead of stdout
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(in crate::cli) output: Option<std::path::PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Shell {
    /// The tenant's id
    #[arg(value_name = "TENANT")]
    pub(in crate::cli) id: String,
    /// Arguments for the client, behind --
    #[arg(last = true, value_name = "ARGUMENT")]
    pub(in crate::cli) rest: Vec<String>,
    #[command(flatten)]
    _flags: RunFlags,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct New {
    /// Its name in words: add_phone_to_users
    pub(in crate::cli) name: String,
    /// A pair of SQL scripts in the folder of scripts, not Rust code
    #[arg(long)]
    pub(in crate::cli) sql: bool,
    /// The folder: a crate of migrations, or with --sql a folder of scripts [default: what is in this folder or above]
    #[arg(long, value_name = "FOLDER")]
    pub(in crate::cli) dir: Option<std::path::PathBuf>,
    #[command(flatten)]
    _flags: PlaceFlags,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct History {
    /// Newest first, each with the status, impact and known rollback issues that its comment notes
    #[arg(long)]
    pub(in crate::cli) timeline: bool,
    #[command(flatten)]
    pub(in crate::cli) read: ReadArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Current {
    #[command(flatten)]
    pub(in crate::cli) status: Status,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Runs {
    /// The last runs, newest first
    List {
        /// How many
        #[arg(long, default_value = "20", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
        limit: usize,
        /// Only runs that took this tenant
        #[arg(long, value_name = "ID")]
        tenant: Option<String>,
        /// Only runs started since: an age (2d, 12h), or a time in UTC (2026-11-28, "2026-11-28 22:00:00")
        #[arg(long, value_name = "AGE|TIME", value_parser = since)]
        since: Option<SystemTime>,
        /// Only runs with this result (repeatable): ok, failed, paused (waits for a person), stopped (by a budget, a gate, a
        /// hook, a deadline, a window, a signal, a lost ledger), outstanding (left tenants behind), alive, dead
        #[arg(long, value_name = "RESULT", value_parser = result())]
        status: Vec<RunResult>,
        #[command(flatten)]
        show: ShowArgs,
    },
    /// The story of one run: its waves, who went on with it, its outcomes and failed attempts
    Show {
        /// The run: its id, its beginning or end, or "last"
        run: String,
        /// Every tenant in a row of its own, with its version before and after
        #[arg(long)]
        all: bool,
        /// Follows a run that goes on, also from another machine, and exits as the run does
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        report: Reports,
        #[command(flatten)]
        show: ShowArgs,
    },
    /// Finishes what an interrupted or killed run left; touches nothing twice
    Resume(Resume),
    /// Has a run go on that paused at a gate, also one that failed; the ledger keeps who said so
    Approve(Approve),
    /// Has a run pause that goes on, also on another machine: it starts no new tenant, and those in flight come to their end
    Pause(PauseRun),
    /// Records the versions of the tenants, as their own tables have them, in the ledger: after one was lost
    Rebuild {
        #[command(flatten)]
        selection: Selection,
        #[command(flatten)]
        _flags: RunFlags,
    },
    /// Removes old runs from the ledger, but none that goes on, has a tenant in doubt, or that another command needs: to
    /// resume or take back a run, or to know the last version of a tenant
    Prune(PruneRuns),
    /// Resolves a tenant that is in doubt, after you have looked at its database
    #[command(alias = "settle")]
    Resolve(Resolve),
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("which_runs").args(["older_than", "keep"]).required(true).multiple(true)))]
pub(in crate::cli) struct PruneRuns {
    /// Keeps the newest N runs
    #[arg(long, value_name = "N")]
    pub(in crate::cli) keep: Option<u32>,
    /// Only runs started before this age (e.g. 90d, 12h)
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    pub(in crate::cli) older_than: Option<Duration>,
    /// Says what would be removed, and removes nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Go ahead without asking
    #[arg(short, long)]
    pub(in crate::cli) yes: bool,
    #[command(flatten)]
    _flags: PlaceFlags,
}

/// A time, or one that lies so long ago. A day begins at midnight UTC, as times are shown.
fn since(text: &str) -> Result<SystemTime, String> {
    let ago = humantime::parse_duration(text).ok().and_then(|age| SystemTime::now().checked_sub(age));
    let at =
        || humantime::parse_rfc3339_weak(text).or_else(|_| humantime::parse_rfc3339_weak(&format!("{text} 00:00:00")));
    ago.map_or_else(|| at().map_err(|_| "write an age (2d, 12h) or a time in UTC (2026-11-28)".to_owned()), Ok)
}

/// The result of a run by its name.
fn result() -> impl TypedValueParser<Value = RunResult> {
    let name = |result: &RunResult| <&'static str>::from(*result);
    PossibleValuesParser::new(RunResult::iter().map(move |result| name(&result))).map(move |text| {
        RunResult::iter().find(|result| name(result) == text).expect("clap has let only these names through")
    })
}

#[derive(Debug, Default, Args)]
pub(in crate::cli) struct Resume {
    /// The run: its id, its beginning or end, or "last"
    pub(in crate::cli) run: String,
    /// Runs every migration as Rust code through SeaORM, none as a compiled script
    #[arg(long)]
    pub(in crate::cli) native: bool,
    /// Also makes a tenant anew that lost its database: nothing is applied, and a run left it at a version
    #[arg(long)]
    pub(in crate::cli) recreate: bool,
    #[command(flatten)]
    _flags: RunFlags,
    #[command(flatten)]
    _plan_flags: PlanFlags,
    #[command(flatten)]
    pub(in crate::cli) output: RunOutput,
}

impl Resume {
    /// The same for another run.
    pub(in crate::cli) fn of(&self, run: String) -> Self {
        Resume { run, native: self.native, output: self.output.clone(), ..Resume::default() }
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PauseRun {
    /// The run: its id, its beginning or end, or "last"
    pub(in crate::cli) run: String,
    /// The person who has it pause, for the ledger; the user of this machine unless given
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(in crate::cli) by: Option<String>,
    /// Why, for whoever looks next
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) reason: Option<String>,
    #[command(flatten)]
    _flags: PlaceFlags,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Approve {
    /// The person who approves it, for the ledger
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(in crate::cli) by: String,
    #[command(flatten)]
    pub(in crate::cli) resume: Resume,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("how").args(["applied", "not_applied", "resume_at"])))]
pub(in crate::cli) struct Resolve {
    /// The tenants' ids; without one of the three flags, what is known of them is shown and nothing changes
    #[arg(value_name = "TENANT")]
    pub(in crate::cli) ids: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
    /// All of the migration is in place: it counts as done; of a way down: as taken back
    #[arg(long)]
    pub(in crate::cli) applied: bool,
    /// Nothing of the migration, or of the way down, is in place (any more): it counts as not begun
    #[arg(long)]
    pub(in crate::cli) not_applied: bool,
    /// Everything before statement K (from 1) is in place: the next run goes on at K
    #[arg(long, value_name = "K")]
    pub(in crate::cli) resume_at: Option<usize>,
    /// Go ahead without asking
    #[arg(short, long)]
    pub(in crate::cli) yes: bool,
    #[command(flatten)]
    _flags: RunFlags,
}
