//! The command line: arguments in, text and an exit code out. The only place that prints.
//!
//! It decides nothing about tenants: it resolves the arguments, passes them on, and shows the result.

mod adopt;
mod args;
mod backup;
mod cautions;
mod check;
mod code;
mod command;
mod complete;
mod doctor;
mod drift;
#[cfg(feature = "queue")]
mod enqueue;
mod exec;
mod exit;
mod files;
mod gates;
mod goals;
mod history;
mod hold;
mod init;
mod inspect;
mod late;
mod lint;
mod locks;
mod log;
mod metrics;
mod migrate;
mod neighbours;
mod new;
mod next;
mod notes;
mod online_limits;
mod origin;
mod output;
mod pace;
mod pause;
mod plan_files;
mod plan_settings;
mod previous_run;
mod probe;
mod prove;
mod provision;
mod prune_runs;
mod question;
mod rebuild;
mod reference;
mod refresh;
mod reset;
mod resolve;
mod resume;
mod rollback_run;
mod runs;
mod saved_plan;
mod schema_cache;
mod scratch;
mod scripts;
mod seed;
#[cfg(feature = "serve")]
mod serve;
mod servers;
mod session;
mod setup;
mod shell;
mod signals;
mod since;
mod sinks;
mod sizes;
mod sources;
mod start;
mod strata;
mod tenant_file;
mod tenants;
mod terminal;
mod undo_wave;
mod unjudged;
mod verify;
mod waiting;
mod watch;
mod wave_notes;
mod way_back;
mod words;
#[cfg(feature = "queue")]
mod work;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use futures_util::FutureExt;

use self::args::{Cli, Command, OutputFile, Tenants};
use self::code::Code;
use self::command::Run as _;
use self::exit::CliError;
use self::setup::Program;
use self::sources::Reads;
use self::terminal::Terminal;
use crate::compile::{Entities, Migrator};
use crate::inputs::Overrides;
use crate::model::program;

/// The whole program for one migrator: `fn main() -> ExitCode { fleet::cli::main(MyMigrator) }`.
///
/// Takes a [`sea_orm_migration::MigratorTrait`] as well as a [`sea_orm_migration::MigratorTraitSelf`]. It reads the
/// process's arguments and returns its exit code; see `fleet help-exit-codes`.
pub fn main<M: Migrator + 'static>(migrator: M) -> ExitCode {
    start(Code::new(migrator, None))
}

/// Has `--version` and the ledger say a version of the program's own: `env!("CARGO_PKG_VERSION")`. Its name is the one
/// that it is started by. Without this, and after [`main`], they say that of fleet.
pub fn set_version(version: &str) {
    program::set_version(version);
}

/// Says that the migrations of the program are those of fleet's own sample.
#[doc(hidden)]
pub fn set_sample() {
    program::set_sample();
}

/// As [`main`], with the program's entities, for `fleet check --entities`: any function that registers them with
/// SeaORM's schema builder; see [`Entities`].
pub fn main_with<M: Migrator + 'static>(migrator: M, entities: impl Into<Entities>) -> ExitCode {
    start(Code::new(migrator, Some(entities.into())))
}

fn start(code: Code) -> ExitCode {
    if complete::answered(&code, command) {
        return ExitCode::SUCCESS;
    }
    let parsed = command().try_get_matches().and_then(|given| Ok((Cli::from_arg_matches(&given)?, given)));
    let (cli, given) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            let typed: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
            match words::answer(&error, &command(), &typed) {
                Some(text) => terminal::refuse(&text),
                None => drop(error.print()),
            }
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    let terminal = Terminal::new(&cli.global);
    // Panics of a tenant's work are caught and reported there; their backtraces on stderr would help no one.
    std::panic::set_hook(Box::new(|info| {
        crate::compile::note_panic(info);
        tracing::debug!("panic: {info}");
    }));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal.tell(&format!("error: can't start the runtime: {error}"));
            return ExitCode::from(1);
        }
    };
    let flags = Flags { overrides: args::overrides(&given), files: args::output_files(&given) };
    let command = AssertUnwindSafe(run(cli, flags, code, terminal)).catch_unwind();
    let result = runtime.block_on(command);
    #[cfg(feature = "otel")]
    log::end(terminal);
    // Blocking work that hangs (a name look-up) must not keep the program from ending.
    runtime.shutdown_background();
    match result {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(error)) => {
            // Each mistake of the tenant file is marked as an error by itself.
            match error {
                CliError::Mistakes { .. } => terminal.tell(&error.to_string()),
                _ => terminal.error(&error.to_string()),
            }
            ExitCode::from(error.code())
        }
        Err(panic) => {
            let text = crate::compile::panic_text(panic.as_ref());
            let name = program::name();
            terminal.error(&format!("{name} itself failed: {text}; run `{name} runs list` for what was recorded"));
            ExitCode::from(1)
        }
    }
}

/// The command line under this program's own name and version, which its help pages say, too.
fn command() -> clap::Command {
    let command = Cli::command().name(program::name()).version(program::version());
    if program::name() == "fleet" { command } else { renamed(command) }
}

fn renamed(command: clap::Command) -> clap::Command {
    let name = program::name();
    let said = |text: &clap::builder::StyledStr| {
        text.to_string().replace("`fleet ", &format!("`{name} ")).replace(": fleet ", &format!(": {name} "))
    };
    let (about, after) = (command.get_about().map(said), command.get_after_help().map(said));
    let command = match about {
        Some(about) => command.about(about),
        None => command,
    };
    let command = match after {
        Some(after) => command.after_help(after),
        None => command,
    };
    let arg = |arg: clap::Arg| match arg.get_help().map(said) {
        Some(help) => arg.help(help),
        None => arg,
    };
    command.mut_args(arg).mut_subcommands(renamed)
}

/// Flags that are read for all commands at once.
struct Flags {
    overrides: Overrides,
    files: Vec<OutputFile>,
}

async fn run(cli: Cli, flags: Flags, code: Code, terminal: Terminal) -> Result<u8, CliError> {
    if let Command::Tenants(Tenants::Edit(edit)) = &cli.command {
        return tenant_file::edit(edit, cli.global.config.as_ref(), &flags.overrides, (terminal, &code)).await;
    }
    if let Command::Tenants(Tenants::Provision(args)) = &cli.command {
        let (config, overrides) = (cli.global.config.clone(), flags.overrides);
        return provision::provision(args, provision::Setting { config, overrides, terminal, code }).await;
    }
    let loaded = match Reads::of(&cli.command) {
        Reads::Nothing => None,
        reads => {
            let program = Program::load(&cli.global, flags.overrides, (terminal, code), reads).await?;
            files::check(&program, &flags.files)?;
            log::start(&cli.global, program.settings(), terminal);
            Some(program)
        }
    };
    let program = || Ok::<_, CliError>(loaded.expect("a command that asks for the tenant file reads it"));
    match cli.command {
        Command::Completions { shell } => {
            complete::script(shell)?;
            Ok(0)
        }
        Command::Man { dir } => {
            let pages = std::fs::create_dir_all(&dir).and_then(|()| clap_mangen::generate_to(command(), &dir));
            pages.map_err(|error| CliError::Write { what: format!("pages to {}", dir.display()), error })?;
            terminal::print(&format!(
                "pages are in {}; read one: man {}",
                dir.display(),
                dir.join(program::name()).display()
            ))?;
            Ok(0)
        }
        Command::Init(init) => init.run(terminal),
        Command::Reset(command) => command.run(&program()?).await,
        Command::HelpExitCodes => {
            let lines: Vec<String> = exit::MEANINGS.iter().map(|(code, what)| format!("{code:>4}  {what}")).collect();
            terminal::print(&lines.join("\n"))?;
            Ok(0)
        }
        Command::HelpReference { page } => {
            terminal::print(reference::page(page, Cli::command()).trim_end())?;
            Ok(0)
        }
        Command::Exec(command) => command.run(&program()?).await,
        Command::Shell(command) => command.run(&program()?).await,
        Command::New(new) if new.sql => new.script(&program()?),
        Command::New(new) => new.rust(),
        Command::Config(show) => tenants::config(&program()?, &show.output),
        Command::Migrate(command) => command.run(&program()?).await,
        #[cfg(feature = "queue")]
        Command::Work(command) => command.run(&program()?).await,
        Command::Rollback(command) => command.run(&program()?).await,
        Command::Plan(command) => command.run(&program()?).await,
        Command::Status(command) => command.run(&program()?).await,
        Command::Matrix(command) => command.run(&program()?).await,
        Command::History(command) => command.run(&program()?).await,
        Command::Current(command) => command.run(&program()?).await,
        Command::Locks(command) => command.run(&program()?).await,
        Command::Refresh(command) => command.run(&program()?).await,
        Command::Backup(command) => command.run(&program()?).await,
        Command::Baseline(command) => command.run(&program()?).await,
        Command::Stamp(command) => command.run(&program()?).await,
        Command::Restore(command) => command.run(&program()?).await,
        Command::Scripts(command) => command.run(&program()?).await,
        Command::Seed(command) => command.run(&program()?).await,
        Command::Doctor(command) => command.run(&program()?).await,
        Command::Check(command) => command.run(&program()?).await,
        Command::Verify(command) => command.run(&program()?).await,
        Command::Lint(command) => command.run(&program()?).await,
        Command::Prove(command) => command.run(&program()?).await,
        Command::Runs(command) => command.run(&program()?).await,
        #[cfg(feature = "serve")]
        Command::Serve(command) => command.run(program()?).await,
        Command::Tenants(command) => command.run(&program()?).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
