//! The origin of a run, as the ledger keeps it: user, host, process, command line and selection. No secret is in it.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use clap::{Arg, Args as _, Command};
use url::Url;

use super::args::Selection;
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
    selecting(&arguments())
}

fn arguments() -> Vec<String> {
    std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect()
}

fn selecting(arguments: &[String]) -> Vec<String> {
    // A restore takes the tenants that a run backed up.
    let known = Selection::augment_args(Command::new("fleet")).arg(Arg::new("run").long("run").num_args(1));
    let flag = |name: &str| {
        let is_it = |arg: &&Arg| {
            arg.get_long().is_some_and(|long| name.strip_prefix("--") == Some(long))
                || arg.get_short().is_some_and(|short| name.strip_prefix('-') == Some(short.encode_utf8(&mut [0; 4])))
        };
        known.get_arguments().find(is_it).map(|arg| arg.get_action().takes_values())
    };
    let mut found = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let name = argument.split_once('=').map_or(argument.as_str(), |(name, _)| name);
        let Some(takes_value) = flag(name) else { continue };
        found.push(argument.clone());
        if takes_value && !argument.contains('=') {
            found.extend(arguments.next().cloned());
        }
    }
    found
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
        let arguments = ["fleet", "migrate", "--yes", "--tenant", "a*", "--tag=tier=gold", "--canary", "--steps", "1"];
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        assert_eq!(selecting(&arguments), ["--tenant", "a*", "--tag=tier=gold", "--canary"]);
    }
}
