//! The origin of a run, as the ledger keeps it: user, host, process, command line and selection. No secret is in it.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use clap::parser::ValueSource;
use clap::{Args as _, Command, CommandFactory as _};
use url::Url;

use super::args::{Cli, Selection};
use super::setup::quoted;
use crate::inputs::MASK;
use crate::ledger::current_process;
use crate::model::started_by::StartedBy;

/// The origin of this process' run.
pub(super) fn started_by() -> StartedBy {
    let command: Vec<String> = arguments().iter().enumerate().map(|(at, text)| shown(at, text)).collect();
    StartedBy { user: user(), host: host(), process: current_process(), command: command.join(" ") }
}

/// An argument as it is recorded: the program without its folder, the others without secrets.
fn shown(at: usize, argument: &str) -> String {
    let program = Path::new(argument).file_name().filter(|_| at == 0);
    quoted(&program.map_or_else(|| masked(argument), |name| name.to_string_lossy().into_owned()))
}

/// The flags of this process that select tenants.
pub(super) fn selection() -> Vec<String> {
    selecting(std::env::args_os())
}

fn arguments() -> Vec<String> {
    std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect()
}

/// In the order in which they were given, each as `--flag` or `--flag=value`, however it was written: `-tb`, `-t b`.
fn selecting(arguments: impl Iterator<Item = OsString>) -> Vec<String> {
    let mut command = Cli::command();
    // They were parsed before, or there would be no run.
    let Ok(mut matches) = command.try_get_matches_from_mut(arguments) else { return Vec::new() };
    while let Some((name, inner)) = matches.remove_subcommand() {
        let Some(found) = command.find_subcommand(&name) else { return Vec::new() };
        (command, matches) = (found.clone(), inner);
    }
    let known = Selection::augment_args(Command::new("fleet"));
    // A restore takes the tenants that a run backed up.
    let selects = |long: &str| long == "run" || known.get_arguments().any(|arg| arg.get_long() == Some(long));
    let mut given: Vec<(usize, String)> = Vec::new();
    for argument in command.get_arguments() {
        let id = argument.get_id().as_str();
        let Some(long) = argument.get_long().filter(|long| selects(long)) else { continue };
        if matches.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        let places = matches.indices_of(id).into_iter().flatten();
        let values = matches.get_raw(id).into_iter().flatten();
        given.extend(places.zip(values).map(|(place, value)| match argument.get_action().takes_values() {
            true => (place, format!("--{long}={}", value.to_string_lossy())),
            false => (place, format!("--{long}")),
        }));
    }
    given.sort();
    given.into_iter().map(|(_, text)| text).collect()
}

/// An argument without the password of a URL in it, whatever flag it belongs to.
fn masked(argument: &str) -> String {
    let (flag, value) = match argument.split_once('=') {
        Some((flag, value)) if flag.starts_with('-') => (format!("{flag}="), value),
        _ => (String::new(), argument),
    };
    if !value.contains("://") {
        return argument.to_owned();
    }
    // A URL that can't be parsed is hidden as a whole: the end of its password is unknown.
    let Ok(mut url) = Url::parse(value) else { return format!("{flag}{MASK}") };
    if url.password().is_some() && url.set_password(Some(MASK)).is_err() {
        return format!("{flag}{MASK}");
    }
    if url.query().is_some() {
        url.set_query(Some(MASK));
    }
    format!("{flag}{url}")
}

fn host() -> String {
    // A container's runtime may give it a more telling name than the kernel's.
    let named = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
    let name = named.or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok());
    name.map(|name| name.trim().to_owned()).unwrap_or_default()
}

fn user() -> String {
    let named = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()));
    let by_number = || std::fs::metadata("/proc/self").map(|own| format!("uid {}", own.uid())).ok();
    named.or_else(by_number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_kept_without_its_folder() {
        assert_eq!((shown(0, "/opt/bin/fleet"), shown(1, "/srv/x y")), ("fleet".to_owned(), "'/srv/x y'".to_owned()));
    }

    #[test]
    fn no_password_of_a_url_is_kept() {
        assert_eq!(masked("--ledger=postgres://me:s3cret@db/x?password=s3cret"), "--ledger=postgres://me:***@db/x?***");
        assert_eq!(masked("mysql://me:s3cret@db/x"), "mysql://me:***@db/x");
        assert_eq!(masked("--ledger=postgres://me:s3/cret@db:port/x"), "--ledger=***");
        assert_eq!(masked("--tag=tier=gold"), "--tag=tier=gold");
    }

    #[test]
    fn the_selection_is_the_flags_that_select() {
        let selection = |line: &str| selecting(line.split(' ').map(OsString::from));
        let line = "fleet migrate --yes --tenant a* --tag=tier=gold --canary --steps 1 -q --exclude x --tenant z";
        let wanted = ["--tenant=a*", "--tag=tier=gold", "--canary", "--exclude=x", "--tenant=z"];
        assert_eq!(selection(line), wanted);
        for form in ["-tb", "-t=b", "-t b", "--tenant=b", "--tenant b", "-ytb", "-yqt=b"] {
            assert_eq!(selection(&format!("fleet -q migrate {form} --lock-timeout 1s")), ["--tenant=b"], "{form}");
        }
        assert_eq!(selection("fleet restore --run 0193abcd -ta"), ["--run=0193abcd", "--tenant=a"]);
        assert!(selection("fleet runs resume last").is_empty(), "a run that is no flag");
        assert!(selection("fleet migrate --steps 1").is_empty());
    }
}
