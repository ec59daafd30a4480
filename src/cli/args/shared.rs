//! The options that several commands share: the selection of tenants, and the output. It knows no command.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{ArgMatches, Args, ValueEnum};

use super::settings::{PlaceFlags, RunFlags};
use crate::inputs::Settings;
use crate::inputs::select::Filter;
use crate::model::engine::Engine;
use crate::policy::FailureBudget;
use crate::report::{Format, Style};

/// The options of every command. Help pages show them last.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global")]
pub(in crate::cli) struct Global {
    /// The tenant file [default: tenants.toml in this folder or above]
    #[arg(long, global = true, display_order = 1000, env = "FLEET_CONFIG", value_name = "FILE")]
    pub(in crate::cli) config: Option<PathBuf>,
    /// Colours: auto asks the terminal and NO_COLOR
    #[arg(long, global = true, display_order = 1001, env = "FLEET_COLOR", value_enum, default_value_t = When::Auto)]
    pub(in crate::cli) color: When,
    /// Columns to lay tables out for, 60 at least [default: the terminal's; in a pipe or a file as many as they need]
    #[arg(long, global = true, display_order = 1002, value_name = "COLUMNS", value_parser = columns)]
    pub(in crate::cli) width: Option<usize>,
    /// A log on stderr: -v runs, tenants and attempts, -vv also steps, statements and waits
    #[arg(short, long, global = true, display_order = 1003, action = clap::ArgAction::Count)]
    pub(in crate::cli) verbose: u8,
    /// Logs each text that is sent to a tenant, as it was sent, on stderr; passwords in it are hidden
    #[arg(long, global = true, display_order = 1004)]
    pub(in crate::cli) trace_sql: bool,
    /// No progress on stderr
    #[arg(short, long, global = true, display_order = 1005)]
    pub(in crate::cli) quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum When {
    Auto,
    Always,
    Never,
}

/// Which tenants.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::cli) struct Selection {
    #[command(flatten)]
    pub(in crate::cli) filter: Filter,
    /// Exactly the tenants that failed in a run (an id, its beginning or end, or "last"; to migrate, the last that migrated or
    /// rolled back), to the same goal
    #[arg(long, value_name = "RUN")]
    pub(in crate::cli) failed_of: Option<String>,
}

impl Selection {
    /// Whether a flag says which tenants; the others only leave some out.
    pub(in crate::cli) fn names_tenants(&self) -> bool {
        let Filter { tenants, tags, servers, wave, canary, .. } = &self.filter;
        let named = [tenants, servers, wave].iter().any(|words| !words.is_empty()) || !tags.is_empty();
        named || *canary || self.failed_of.is_some()
    }
}

/// Which engines.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Selection")]
pub(in crate::cli) struct Engines {
    /// Only this engine (repeatable) [default: every engine that a tenant of the file has]
    #[arg(long, value_name = "ENGINE", value_parser = engine())]
    pub(in crate::cli) engine: Vec<Engine>,
}

/// An engine by its name, or by what others call it.
fn engine() -> impl TypedValueParser<Value = Engine> {
    PossibleValuesParser::new(Engine::ALL.map(|engine| PossibleValue::new(engine.name()).aliases(engine.aliases())))
        .map(|name| Engine::named(&name).expect("clap has let only these names through"))
}

/// The output of a run, and whether it looks and asks first.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub(in crate::cli) struct RunOutput {
    /// Starts without a look at the servers, also in an outage
    #[arg(long, help_heading = "Run")]
    pub(in crate::cli) no_preflight: bool,
    /// The first failure stops the run, whichever wave it is in
    #[arg(long, help_heading = "Run", conflicts_with_all = ["keep_going", "run_max_failures"])]
    pub(in crate::cli) fail_fast: bool,
    /// No failure stops the run: lifts the failure budgets of all waves and of the run
    #[arg(long, help_heading = "Run", conflicts_with_all = ["max_failures", "run_max_failures"])]
    pub(in crate::cli) keep_going: bool,
    /// Go ahead without asking
    #[arg(short, long)]
    pub(in crate::cli) yes: bool,
    /// The form of the outcome on stdout: table, json, jsonl (one event a line while it runs), csv, md
    #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = one_of(Format::RUN))]
    pub(in crate::cli) format: Format,
    /// Writes stdout's part to a file instead
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,
    /// Adds the slowest tenants and steps to the outcome, and what their time was spent on
    #[arg(long)]
    pub(in crate::cli) timings: bool,
    /// Also writes the end of the run for Prometheus
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) metrics_file: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) reports: Reports,
}

/// The reports in files.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub(in crate::cli) struct Reports {
    /// Also writes a report: html=FILE (a page for a browser), junit=FILE, json=FILE, csv=FILE or md=FILE (repeatable)
    #[arg(long, value_name = "KIND=FILE", value_parser = parse_report)]
    pub(in crate::cli) report: Vec<(Format, PathBuf)>,
}

impl RunOutput {
    /// The failure budget of the whole run.
    pub(in crate::cli) fn run_budget(&self, settings: &Settings) -> FailureBudget {
        match (self.fail_fast, self.keep_going) {
            (true, _) => FailureBudget::NONE,
            (_, true) => FailureBudget::UNLIMITED,
            _ => settings.run_max_failures,
        }
    }
}

/// A form by its name, as far as it is one of `forms`.
pub(super) fn one_of(forms: &'static [Format]) -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(forms.iter().map(|form| form.name()))
        .map(|name| Format::named(&name, forms).expect("clap has let only these names through"))
}

/// A width that all tables fit into.
fn columns(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(columns) if columns >= Style::NARROWEST => Ok(columns),
        Ok(_) => Err(format!("nothing is laid out for less than {} columns", Style::NARROWEST)),
        Err(_) => Err("write a number of columns".to_owned()),
    }
}

/// A file to be written, with the flag that names it.
pub(in crate::cli) struct OutputFile {
    pub(in crate::cli) flag: &'static str,
    pub(in crate::cli) path: PathBuf,
}

/// The files of `--output`, `--save`, `--metrics-file` and `--report`, whichever command has them.
pub(in crate::cli) fn output_files(matches: &ArgMatches) -> Vec<OutputFile> {
    let levels = std::iter::successors(Some(matches), |matches| Some(matches.subcommand()?.1));
    let given = |matches: &ArgMatches| {
        let given = matches.try_get_one::<PathBuf>("output").ok().flatten().cloned();
        let counts = matches.try_get_one::<PathBuf>("save").ok().flatten().cloned();
        let metrics = matches.try_get_one::<PathBuf>("metrics_file").ok().flatten().cloned();
        let given = [("--output", given), ("--save", counts), ("--metrics-file", metrics)];
        let given = given.into_iter().filter_map(|(flag, path)| Some(OutputFile { flag, path: path? }));
        let reports = matches.try_get_many::<(Format, PathBuf)>("report").ok().flatten().unwrap_or_default();
        let reports = reports.map(|(_, path)| OutputFile { flag: "--report", path: path.clone() });
        given.chain(reports).collect::<Vec<_>>()
    };
    levels.flat_map(given).collect()
}

fn parse_report(text: &str) -> Result<(Format, PathBuf), String> {
    match text.split_once('=').map(|(kind, file)| (Format::named(kind, Format::REPORT), file)) {
        Some((Some(kind), file)) if !file.is_empty() => Ok((kind, PathBuf::from(file))),
        _ => Err("write html=FILE, junit=FILE, json=FILE, csv=FILE or md=FILE".to_owned()),
    }
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub(in crate::cli) struct Output {
    /// table, json, csv or md
    #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = one_of(Format::FINISHED))]
    pub(in crate::cli) format: Format,
    /// Writes to a file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,
}

/// A command that reads tenants.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::cli) struct ReadArgs {
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
    #[command(flatten)]
    _flags: RunFlags,
    #[command(flatten)]
    pub(in crate::cli) output: Output,
}

/// A command that runs on tenants.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::cli) struct RunArgs {
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
    #[command(flatten)]
    _flags: RunFlags,
    #[command(flatten)]
    pub(in crate::cli) output: RunOutput,
}

/// A command that shows something and reaches no tenant.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::cli) struct ShowArgs {
    #[command(flatten)]
    _flags: PlaceFlags,
    #[command(flatten)]
    pub(in crate::cli) output: Output,
}
