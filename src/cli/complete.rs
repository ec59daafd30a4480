//! Completions of a shell: the commands and flags, the ids of the tenant file, and the names of the migrations.
//!
//! It reaches no database and asks no source of tenants, whose ids are not completed: a key that is pressed must not start
//! programs. A file that can't be read is no error: then there is nothing to complete with.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::Command;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};

use super::code::Code;
use super::exit::CliError;
use super::terminal;
use crate::compile::folder;
use crate::inputs::Overrides;
use crate::inputs::registry;
use crate::model::program;

/// The variable by which a shell's script asks for completions. Nobody else sets it.
const VARIABLE: &str = "FLEET_COMPLETE";

/// Answers the shell, if it was the shell that called.
pub(super) fn answered(code: &Code, command: fn() -> Command) -> bool {
    if std::env::var_os(VARIABLE).is_none() {
        return false;
    }
    let words: Vec<OsString> = std::env::args_os().collect();
    let file = tenant_file(&words);
    let (ids, migrations) = (ids(file.as_ref()), migrations(code, file.as_ref()));
    let known = move || with_names(command(), &ids, &migrations);
    let here = std::env::current_dir().ok();
    let complete = CompleteEnv::with_factory(known).var(VARIABLE).bin(program::name());
    complete.try_complete(words, here.as_deref()).unwrap_or(true)
}

/// The script that a shell reads once, for completions that it then asks for.
pub(super) fn script(shell: clap_complete::Shell) -> Result<(), CliError> {
    let (name, mut script) = (program::name(), Vec::new());
    let own = std::env::args_os().next().map(PathBuf::from).filter(|own| own.components().count() == 1);
    // A program that was called by its path is not in PATH.
    let called = own.or_else(|| std::env::current_exe().ok()).unwrap_or_else(|| PathBuf::from(name));
    let shells = Shells::builtins();
    let writer = shells.completer(&shell.to_string()).expect("clap_complete has each of its shells");
    writer
        .write_registration(VARIABLE, name, name, &called.to_string_lossy(), &mut script)
        .map_err(|error| CliError::Write { what: "the script".to_owned(), error })?;
    terminal::print(&String::from_utf8_lossy(&script))
}

/// The tenant file of the words so far, or else as every command finds it.
fn tenant_file(words: &[OsString]) -> Option<PathBuf> {
    let given = words.windows(2).rfind(|pair| pair[0] == "--config").map(|pair| PathBuf::from(&pair[1]));
    let named = || std::env::var_os("FLEET_CONFIG").map(PathBuf::from);
    given.or_else(named).or_else(|| registry::find(&std::env::current_dir().ok()?))
}

fn ids(file: Option<&PathBuf>) -> Vec<String> {
    let text = file.and_then(|file| crate::external::file::read_text(file).ok());
    text.map(|text| registry::ids_in(&text)).unwrap_or_default()
}

/// The names of the program's migrations, and of the scripts where the tenant file can be read.
fn migrations(code: &Code, file: Option<&PathBuf>) -> Vec<String> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return Vec::new() };
    let Ok(mut set) = runtime.block_on(code.migrations()) else { return Vec::new() };
    let names = |set: &crate::compile::MigrationSet| -> Vec<String> {
        set.catalog().migrations.iter().map(ToString::to_string).collect()
    };
    let own = names(&set);
    let folder = file.and_then(|file| registry::load(file, &Overrides::default(), None).ok()?.settings.scripts);
    let scripts = folder.and_then(|folder| folder::look(&folder).ok());
    let Some(scripts) = scripts else { return own };
    match set.with_scripts(scripts) {
        Ok(with) => {
            set = with;
            names(&set)
        }
        Err(_) => own,
    }
}

/// The command line whose values are completed by what their names say.
fn with_names(command: Command, ids: &[String], migrations: &[String]) -> Command {
    let arg = |arg: clap::Arg| {
        let value = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
        let names = match value.as_deref() {
            Some("GLOB" | "TENANT") => ids.to_vec(),
            Some("MIGRATION" | "VERSION" | "SCRIPT") => migrations.to_vec(),
            _ => return arg,
        };
        arg.add(ArgValueCompleter::new(move |typed: &OsStr| -> Vec<CompletionCandidate> {
            let typed = typed.to_string_lossy();
            names.iter().filter(|name| name.starts_with(&*typed)).map(CompletionCandidate::new).collect()
        }))
    };
    command.mut_args(arg).mut_subcommands(|inner| with_names(inner, ids, migrations))
}
