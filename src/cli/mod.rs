//! The command line: arguments in, text and an exit code out. The only place that prints.
//!
//! It decides nothing about tenants: it resolves what was asked for, hands it on, and shows what came back.

mod args;
mod backup;
mod check;
mod doctor;
mod exit;
mod goals;
mod inspect;
mod locks;
mod migrate;
mod next;
mod previous_run;
mod probe;
mod prove;
mod refresh;
mod resolve;
mod runs;
mod scratch;
mod scripts;
mod seed;
mod session;
mod setup;
mod signals;
mod tenants;
mod terminal;

use std::io::IsTerminal;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser};
use futures_util::FutureExt;

use self::args::{Backups, Cli, Command, Global, Runs, Scripts, Tenants};
use self::exit::CliError;
use self::setup::Program;
use self::terminal::Terminal;
use crate::compile::{Entities, MigrationSet, Migrator, folder};
use crate::model::text::suggestion;

/// The whole program for one migrator: `fn main() -> ExitCode { fleet::cli::main(MyMigrator) }`.
///
/// Takes a [`sea_orm_migration::MigratorTrait`] as well as a [`sea_orm_migration::MigratorTraitSelf`]. It reads the
/// process's arguments and returns its exit code; see `fleet help-exit-codes`.
pub fn main<M: Migrator + 'static>(migrator: M) -> ExitCode {
    start(migrator, None)
}

/// As [`main`], with the program's entities, for `fleet check --entities`: any function that registers them with SeaORM's
/// schema builder; see [`Entities`].
pub fn main_with<M: Migrator + 'static>(migrator: M, entities: impl Into<Entities>) -> ExitCode {
    start(migrator, Some(entities.into()))
}

fn start<M: Migrator>(migrator: M, entities: Option<Entities>) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { 64 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let terminal = Terminal::new(&cli.global);
    log_to_stderr(&cli.global);
    // Panics are caught where they belong to a tenant, and told there; a backtrace of them on stderr helps nobody.
    std::panic::set_hook(Box::new(|info| tracing::debug!("panic: {info}")));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal.tell(&format!("error: can't start the runtime: {error}"));
            return ExitCode::from(1);
        }
    };
    let command = AssertUnwindSafe(run(cli, &migrator, entities.as_ref(), terminal)).catch_unwind();
    let result = runtime.block_on(command);
    // Blocking work that hangs (a name look-up) must not keep the program from ending.
    runtime.shutdown_background();
    match result {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(error)) => {
            // Mistakes of the tenant file each say that they are errors.
            match error {
                CliError::Mistakes { .. } => terminal.tell(&error.to_string()),
                _ => terminal.error(&error.to_string()),
            }
            ExitCode::from(error.code())
        }
        Err(panic) => {
            let text = crate::compile::panic_text(panic.as_ref());
            terminal.error(&format!("fleet itself failed: {text}; run `fleet runs list` for what was recorded"));
            ExitCode::from(1)
        }
    }
}

async fn run<M: Migrator>(
    cli: Cli,
    migrator: &M,
    entities: Option<&Entities>,
    terminal: Terminal,
) -> Result<u8, CliError> {
    let global = cli.global;
    let program = |overrides| Program::load(&global, overrides, terminal);
    let both = async |overrides| -> Result<(Program, Arc<MigrationSet>), CliError> {
        let program = program(overrides)?;
        let set = set(&program, migrator).await?;
        Ok((program, set))
    };
    match cli.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "fleet", &mut script);
            terminal::print(&String::from_utf8_lossy(&script))?;
            Ok(0)
        }
        Command::HelpExitCodes => {
            let lines: Vec<String> = exit::MEANINGS.iter().map(|(code, what)| format!("{code:>4}  {what}")).collect();
            terminal::print(&lines.join("\n"))?;
            Ok(0)
        }
        Command::Config { overrides } => tenants::config(&program(overrides.overrides())?),
        Command::Tenants(Tenants::List { selection, output }) => {
            tenants::list(&program(Default::default())?, &selection, &output).await
        }
        Command::Tenants(Tenants::Check { look }) => {
            let (program, set) = both(look.flags.overrides()).await?;
            inspect::check(&program, &set, &look).await
        }
        Command::Status(look) => {
            let (program, set) = both(look.flags.overrides()).await?;
            inspect::status(&program, &set, &look).await
        }
        Command::Locks(look) => locks::locks(&program(look.flags.overrides())?, &look).await,
        Command::Matrix(matrix) => {
            let (program, set) = both(matrix.look.flags.overrides()).await?;
            inspect::matrix(&program, &set, &matrix).await
        }
        Command::Plan(plan) => {
            let (program, set) = both(plan.flags.overrides()).await?;
            inspect::plan(&program, &set, &plan).await
        }
        Command::Doctor(args) => {
            let (program, set) = both(args.flags.overrides()).await?;
            doctor::doctor(&program, &set, &args).await
        }
        Command::Check(check) => {
            // Entities are what the Rust migrations make; SQL scripts add what only SQL reads.
            let (program, set) = (program(check.flags.overrides())?, Arc::new(MigrationSet::new(migrator).await?));
            check::entities(&program, &set, entities, &check).await
        }
        Command::Prove(prove) => {
            let (program, set) = both(prove.flags.overrides()).await?;
            prove::prove(&program, &set, &prove).await
        }
        Command::Migrate(migrate) => {
            let (program, set) = both(migrate.change.overrides()).await?;
            migrate::migrate(&program, &set, migrate).await
        }
        Command::Rollback(rollback) => {
            let (program, set) = both(rollback.change.overrides()).await?;
            migrate::rollback(&program, &set, rollback).await
        }
        Command::Refresh(args) => {
            let (program, set) = both(args.flags.overrides()).await?;
            refresh::refresh(&program, &set, args).await
        }
        Command::Seed(args) => {
            let (program, set) = both(args.flags.overrides()).await?;
            seed::seed(&program, &set, args).await
        }
        Command::Backup(args) => match args.what {
            Some(Backups::List { flags, output }) => backup::list(&program(flags.overrides())?, &output).await,
            Some(Backups::Prune(prune)) => backup::prune(&program(prune.flags.overrides())?, &prune).await,
            None => {
                let (program, set) = both(args.flags.overrides()).await?;
                backup::backup(&program, &set, args).await
            }
        },
        Command::Restore(args) => {
            let (program, set) = both(args.flags.overrides()).await?;
            backup::restore(&program, &set, args).await
        }
        Command::Scripts(Scripts::List { flags, output }) => {
            let (program, set) = both(flags.overrides()).await?;
            scripts::list(&program, &set, &output)
        }
        Command::Scripts(Scripts::Accept { names, selection, flags, output }) => {
            let (program, set) = both(flags.overrides()).await?;
            scripts::accept(&program, &set, &names, &selection, &output).await
        }
        Command::Runs(Runs::List { limit, flags, output }) => {
            runs::list(&program(flags.overrides())?, limit, &output).await
        }
        Command::Runs(Runs::Show { run, flags, output }) => {
            runs::show(&program(flags.overrides())?, &run, &output).await
        }
        Command::Runs(Runs::Settle(args)) => {
            let (program, set) = both(args.flags.overrides()).await?;
            resolve::settle(&program, &set, &args).await
        }
        Command::Runs(Runs::Resume { run, native, flags, output }) => {
            let (program, set) = both(flags.overrides()).await?;
            runs::resume(&program, &set, &run, native, output).await
        }
    }
}

/// The migrations of this program, with the SQL scripts that its tenant file names behind them.
async fn set<M: Migrator>(program: &Program, migrator: &M) -> Result<Arc<MigrationSet>, CliError> {
    let mut set = MigrationSet::new(migrator).await?;
    if let Some(folder) = &program.settings().scripts {
        let folder = program.shown(folder);
        // Many files keep all cores busy for a moment; the tasks of this runtime must not wait for that.
        let read = tokio::task::spawn_blocking(move || folder::read(&folder)).await;
        let unread =
            |e| CliError::CanNotStart(format!("reading the scripts ended unexpectedly: {e}; nothing was changed"));
        let scripts = read.map_err(unread)?.map_err(CliError::Scripts)?;
        set = set.with_scripts(scripts)?;
    }
    check_names(program, &set)?;
    Ok(Arc::new(set))
}

/// A limit for a migration that does not exist is a spelling mistake, and the one that was meant would go without.
fn check_names(program: &Program, set: &MigrationSet) -> Result<(), CliError> {
    let catalog = set.catalog();
    let wrong: Vec<String> = program
        .settings()
        .migrations
        .keys()
        .filter(|name| !catalog.migrations.iter().any(|m| **m == ***name))
        .map(|name| {
            let near = suggestion(name, catalog.migrations.iter().map(|m| &**m));
            let near = near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
            format!(
                "{}: [migrations.\"{name}\"] names no migration of this program{near}",
                program.registry.path.display()
            )
        })
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(CliError::Settings(wrong.join("\n"))) }
}

/// Logs go to stderr, by `-v` or `FLEET_LOG`; the drivers' own logs could hold SQL and are left out below `-vv`.
fn log_to_stderr(global: &Global) {
    let default = match global.verbose {
        0 => "off",
        1 => "fleet=info",
        2 => "fleet=debug,sqlx=info",
        _ => "fleet=trace,sqlx=debug",
    };
    let filter = std::env::var("FLEET_LOG").unwrap_or_else(|_| default.to_owned());
    let filter = tracing_subscriber::EnvFilter::try_new(filter).unwrap_or_else(|_| default.into());
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour).try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
