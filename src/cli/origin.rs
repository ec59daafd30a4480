//! The origin of a run, as the ledger keeps it: user, host, process, command line and selection. No secret is in it.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::LazyLock;

use clap::parser::ValueSource;
use clap::{Args as _, Command, CommandFactory as _};
use url::Url;

use super::args::{Cli, Selection};
use super::setup::quoted;
use crate::inputs::{Form, MASK, SETTINGS, Setting};
use crate::ledger::current_process;
use crate::model::engine::Engine;
use crate::model::started_by::StartedBy;

/// The origin of this process' run.
pub(super) fn started_by() -> StartedBy {
    let command: Vec<String> = arguments().iter().enumerate().map(|(at, text)| shown(at, text)).collect();
    StartedBy {
        user: user(),
        host: host(),
        process: current_process(),
        command: command.join(" "),
        awaits_waves: false,
    }
}

/// An argument as it is recorded: the program without its folder, the others without secrets.
fn shown(at: usize, argument: &str) -> String {
    let program = Path::new(argument).file_name().filter(|_| at == 0);
    quoted(&program.map_or_else(|| masked(argument), |name| name.to_string_lossy().into_owned()))
}

/// The flags of this process that select tenants.
pub(super) fn selection() -> Vec<String> {
    // The whole command line is made for it, which takes 1 to 2 ms.
    static SELECTION: LazyLock<Vec<String>> = LazyLock::new(|| selecting(std::env::args_os()));
    SELECTION.clone()
}

/// The file of `--plan` as it was given; without one, the word for it.
pub(super) fn plan_file() -> String {
    let given = given(std::env::args_os(), |long| long == "plan");
    given.into_iter().find_map(|(_, file)| file).map_or_else(|| "FILE".to_owned(), |file| quoted(&file))
}

/// The flags of a recorded command that say how it works, not on which tenants, to which goal or where it reports:
/// limits, budgets, retries, `--native`. They hold for a command that goes on with it, as far as `path` has them.
pub(super) fn kept(recorded: &str, path: &[&str]) -> Vec<String> {
    how(recorded, path).iter().map(Flag::text).collect()
}

/// A flag by its name without dashes, and its value if it takes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flag {
    pub(super) long: String,
    pub(super) value: Option<String>,
}

impl Flag {
    /// As it is typed.
    pub(super) fn text(&self) -> String {
        match &self.value {
            Some(value) => format!("--{} {}", self.long, quoted(value)),
            None => format!("--{}", self.long),
        }
    }

    /// The flag that gives a setting this value; `None`: it has none.
    pub(super) fn of_setting(key: &str, value: &str) -> Option<Flag> {
        let setting = SETTINGS.iter().find(|setting| setting.key == key)?;
        let long = setting.flag?.0;
        Some(match setting.form {
            Form::Switch { off } => Flag { long: if value == "false" { off } else { long }.to_owned(), value: None },
            _ => Flag { long: long.to_owned(), value: Some(value.to_owned()) },
        })
    }

    /// The setting that it sets, with its value.
    pub(super) fn setting(&self) -> Option<(&'static str, String)> {
        let of = |setting: &Setting| match setting.form {
            Form::Switch { off } if self.long == off => Some("false".to_owned()),
            Form::Switch { .. } if setting.flag?.0 == self.long => Some("true".to_owned()),
            _ if setting.flag?.0 == self.long => self.value.clone(),
            _ => None,
        };
        SETTINGS.iter().find_map(|setting| Some((setting.key, of(setting)?)))
    }

    /// Whether this flag takes the place of an earlier one.
    fn replaces(&self, earlier: &Flag) -> bool {
        const EXCLUSIVE: [[&str; 2]; 5] = [
            ["fail-fast", "keep-going"],
            ["fail-fast", "run-max-failures"],
            ["keep-going", "run-max-failures"],
            ["keep-going", "max-failures"],
            ["online", "no-online"],
        ];
        let are_both = |pair: &[&str; 2]| [self, earlier].iter().all(|flag| pair.contains(&flag.long.as_str()));
        self.long == earlier.long || EXCLUSIVE.iter().any(are_both)
    }
}

/// The text of `--reason` in a recorded command.
#[cfg(feature = "serve")]
pub(super) fn reason(recorded: &str) -> Option<String> {
    let words = words(recorded).into_iter().map(OsString::from);
    given(words, |long| long == "reason").into_iter().find_map(|(_, text)| text)
}

/// The limits of earlier commands that hold for `runs resume` as this process was told it: those that no later command, and no
/// flag of this one, takes the place of. The latest command comes first in `recorded`.
pub(super) fn carried<'a>(recorded: impl Iterator<Item = &'a str>) -> Vec<Flag> {
    let now: Vec<String> = arguments().iter().map(|argument| quoted(argument)).collect();
    carried_over(&now.join(" "), recorded)
}

fn carried_over<'a>(now: &str, recorded: impl Iterator<Item = &'a str>) -> Vec<Flag> {
    // A person allows each time anew what is not safe.
    const ONCE: [&str; 2] = ["no-preflight", "recreate"];
    let path = ["runs", "resume"];
    let own = how(now, &path);
    let mut all = own.clone();
    for earlier in recorded {
        let new = how(earlier, &path).into_iter().filter(|flag| !ONCE.contains(&&*flag.long));
        let new: Vec<Flag> = new.filter(|flag| !all.iter().any(|later| later.replaces(flag))).collect();
        all.extend(new);
    }
    all.split_off(own.len())
}

fn how(recorded: &str, path: &[&str]) -> Vec<Flag> {
    const HOW: [&str; 7] =
        ["native", "kill-blockers", "no-preflight", "no-online", "recreate", "fail-fast", "keep-going"];
    // A deadline is that of one evening.
    let settings = SETTINGS.iter().filter(|setting| !setting.is_place() && setting.key != "deadline");
    let settings = settings.filter_map(|setting| Some(setting.flag?.0));
    let how: Vec<&str> = HOW.into_iter().chain(settings).collect();
    let command = path.iter().try_fold(Cli::command(), |command, name| command.find_subcommand(name).cloned());
    let has = |long: &str| {
        let known = command.as_ref().is_some_and(|c| c.get_arguments().any(|arg| arg.get_long() == Some(long)));
        known && how.contains(&long)
    };
    let words = words(recorded).into_iter().map(OsString::from);
    given(words, has).into_iter().map(|(long, value)| Flag { long, value }).collect()
}

/// The words of a line that was written with [`quoted`].
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted, mut is_open) = (Vec::new(), String::new(), false, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => (is_quoted, is_open) = (!is_quoted, true),
            '\\' if !is_quoted => word.extend(chars.next()),
            ' ' if !is_quoted => {
                if is_open || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                is_open = false;
            }
            c => word.push(c),
        }
    }
    words.extend((is_open || !word.is_empty()).then_some(word));
    words
}

fn arguments() -> Vec<String> {
    std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect()
}

/// In the order in which they were given, each as `--flag` or `--flag=value`, however it was written: `-tb`, `-t b`.
fn selecting(arguments: impl Iterator<Item = OsString>) -> Vec<String> {
    let known = Selection::augment_args(Command::new("fleet"));
    // A restore takes the tenants that a run backed up.
    let selects = |long: &str| long == "run" || known.get_arguments().any(|arg| arg.get_long() == Some(long));
    let text = |(long, value): (String, Option<String>)| match value {
        Some(value) => format!("--{long}={value}"),
        None => format!("--{long}"),
    };
    given(arguments, selects).into_iter().map(text).collect()
}

/// The long flags of a command line that are wanted, in the order in which they were given, each with its value.
fn given(arguments: impl Iterator<Item = OsString>, wanted: impl Fn(&str) -> bool) -> Vec<(String, Option<String>)> {
    let mut command = Cli::command();
    // They were parsed before, or there would be no run.
    let Ok(mut matches) = command.try_get_matches_from_mut(arguments) else { return Vec::new() };
    while let Some((name, inner)) = matches.remove_subcommand() {
        let Some(found) = command.find_subcommand(&name) else { return Vec::new() };
        (command, matches) = (found.clone(), inner);
    }
    let mut given: Vec<(usize, (String, Option<String>))> = Vec::new();
    for argument in command.get_arguments() {
        let id = argument.get_id().as_str();
        let Some(long) = argument.get_long().filter(|long| wanted(long)) else { continue };
        if matches.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        let places = matches.indices_of(id).into_iter().flatten();
        let values = matches.get_raw(id).into_iter().flatten();
        let takes_values = argument.get_action().takes_values();
        given.extend(places.zip(values).map(|(place, value)| {
            (place, (long.to_owned(), takes_values.then(|| value.to_string_lossy().into_owned())))
        }));
    }
    given.sort();
    given.into_iter().map(|(_, flag)| flag).collect()
}

/// An argument without the password of a URL in it, whatever flag it belongs to.
fn masked(argument: &str) -> String {
    let (flag, value) = match argument.split_once('=') {
        Some((flag, value)) if flag.starts_with('-') => (format!("{flag}="), value),
        _ => (String::new(), argument),
    };
    // SQL that was typed.
    if value.contains(char::is_whitespace) {
        return crate::sql::masked(Engine::OF_FILES, argument).into_owned();
    }
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

    #[test]
    fn what_says_how_a_run_works_is_kept_for_the_command_that_repeats_it() {
        let line = "fleet migrate --yes -t 'a b' --native --lock-timeout=1s --max-failures 5% --backup --on-failure restore \
                    --ledger x.db --out-of-order --report json=x --kill-blockers older-than=30s";
        let flags = "--native --lock-timeout 1s --max-failures 5% --on-failure restore --kill-blockers older-than=30s";
        assert_eq!(kept(line, &["migrate"]).join(" "), flags);
        let resume = kept(line, &["runs", "resume"]).join(" ");
        assert_eq!(resume, "--native --lock-timeout 1s --max-failures 5%");
        assert_eq!(kept("not a command", &["migrate"]), [""; 0]);
        assert_eq!(words(r"a 'b c' ''\''x' ''"), ["a", "b c", "'x", ""]);
    }

    #[test]
    fn a_resumed_run_keeps_the_limits_of_those_before_it_unless_it_is_told_others() {
        let carried = |now: &str, before: &[&str]| -> String {
            let flags = carried_over(now, before.iter().copied());
            flags.iter().map(Flag::text).collect::<Vec<_>>().join(" ")
        };
        let first =
            "fleet migrate --yes --window '22:00-04:00 UTC' --max-failures 1 --rate 9/min --no-preflight --backup";
        let limits = "--window '22:00-04:00 UTC' --max-failures 1 --rate 9/min";
        assert_eq!(carried("fleet runs resume last", &[first]), limits);
        assert_eq!(carried("fleet runs approve last --by ann", &["fleet runs resume last --yes", first]), limits);
        assert_eq!(
            carried("fleet runs resume last --rate 1/min", &["fleet runs resume x --max-failures 3", first]),
            "--max-failures 3 --window '22:00-04:00 UTC'"
        );
        assert_eq!(carried("fleet runs resume last --keep-going", &["fleet migrate --fail-fast --max-failures 1"]), "");
        let run_budget = ["fleet migrate --run-max-failures 3 --no-online"];
        assert_eq!(carried("fleet runs resume last --fail-fast --online", &run_budget), "");
        let setting = |line: &str| carried_over("fleet runs resume x", [line].into_iter())[0].setting();
        assert_eq!(setting("fleet migrate --no-online"), Some(("online", "false".to_owned())));
        assert_eq!(setting("fleet migrate --max-failures 5%"), Some(("max_failures", "5%".to_owned())));
        assert_eq!(setting("fleet migrate --native"), None);
    }
}
