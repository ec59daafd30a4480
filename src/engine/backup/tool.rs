//! External dump and load programs: started detached from the terminal, with a time limit.
//!
//! Reports shorten a tool's stderr and never contain anything that we pass to the tool.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, ChildStderr, Command};
use tokio_util::sync::CancellationToken;

use super::broken;
use crate::external::program;
use crate::model::fault::{Fault, FaultClass};

/// Maximum number of characters kept of the reason in a tool's output.
const MOST_TEXT: usize = 600;

/// The reasons to end a tool early: the time limit or a cancellation.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) limit: Duration,
    pub(crate) cancel: CancellationToken,
}

/// Starts a tool. It is killed when its handle is dropped. Ctrl-C in the terminal does not reach it, so work in flight
/// ends cleanly.
pub(crate) fn spawn(mut command: Command, name: &str) -> Result<Child, Fault> {
    command.stderr(Stdio::piped()).kill_on_drop(true).process_group(0);
    command.spawn().map_err(|error| missing(name, &error))
}

/// Runs a tool to completion.
pub(crate) async fn run(mut command: Command, name: &str, limits: &Limits) -> Result<(), Fault> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    run_with_streams(command, name, limits).await
}

/// As [`run`], with the command's own stdin and stdout.
pub(crate) async fn run_with_streams(command: Command, name: &str, limits: &Limits) -> Result<(), Fault> {
    let mut child = spawn(command, name)?;
    let said = child.stderr.take();
    let ended = async {
        let (status, said) = tokio::join!(child.wait(), tail(said));
        verdict(status, &said, name)
    };
    within(limits, name, ended).await
}

/// Runs work with tools until it ends, is cancelled or reaches its time limit. Tools that are dropped with it are
/// killed.
pub(crate) async fn within<T>(
    limits: &Limits,
    name: &str,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let limit = if limits.limit.is_zero() { Duration::from_secs(u64::from(u32::MAX)) } else { limits.limit };
    tokio::select! {
        biased;
        () = limits.cancel.cancelled() => Err(Fault::new(FaultClass::Cancelled, format!("{name} was ended"))),
        done = tokio::time::timeout(limit, work) => done.unwrap_or_else(|_| {
            let limit = crate::policy::format_duration(limits.limit);
            Err(broken(format!("{name} did not end within {limit} and was killed; backup_timeout sets that limit")))
        }),
    }
}

/// The result of a tool's exit status.
pub(crate) fn verdict(status: std::io::Result<ExitStatus>, said: &str, name: &str) -> Result<(), Fault> {
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            let text = if said.is_empty() { "it said nothing".to_owned() } else { said.to_owned() };
            Err(broken(format!("{name} failed ({status}): {text}")))
        }
        Err(error) => Err(broken(format!("{name} was lost: {error}"))),
    }
}

/// Reads all of a tool's stderr, so that the tool never blocks on it, and keeps the end.
pub(crate) async fn tail(stream: Option<ChildStderr>) -> String {
    let Some(stream) = stream else { return String::new() };
    essence(&String::from_utf8_lossy(&program::tail(stream, 4 * MOST_TEXT).await))
}

/// The reason in a tool's output, as one line. Some tools print the failed statement first, which hides the reason, so
/// all text before the error line is dropped. Without such a line it is the end of the output.
fn essence(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let is_mysql =
        |line: &&str| line.strip_prefix("ERROR ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let is_other = |line: &&str| ["ERROR: ", "error: ", "FATAL: "].iter().any(|word| line.contains(word));
    // A statement before the error may contain such a line too; text after the error describes it.
    let at = lines.iter().rposition(is_mysql).or_else(|| lines.iter().position(is_other));
    let told = lines[at.unwrap_or(0)..].join(" ");
    let words = told.split_whitespace().collect::<Vec<_>>().join(" ");
    let skipped = if at.is_some() { 0 } else { words.chars().count().saturating_sub(MOST_TEXT) };
    words.chars().skip(skipped).take(MOST_TEXT).collect()
}

/// The output of a program for `--version`.
pub(crate) async fn version(program: &str) -> Result<String, Fault> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).kill_on_drop(true);
    let asked = tokio::time::timeout(Duration::from_secs(20), command.output()).await;
    match asked {
        Ok(Ok(output)) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            Ok(text.lines().next().unwrap_or_default().trim().to_owned())
        }
        Ok(Ok(_)) | Err(_) => Err(broken(format!("`{program} --version` does not answer"))),
        Ok(Err(error)) => Err(missing(program, &error)),
    }
}

/// The fault of a program that can't be started, with the package to install.
fn missing(program: &str, error: &std::io::Error) -> Fault {
    let package = match program {
        "pg_dump" | "pg_restore" | "psql" => "postgresql-client",
        "mariadb-dump" | "mariadb" | "mysqldump" | "mysql" => "mariadb-client",
        "sqlite3" => "sqlite3",
        _ => return broken(format!("`{program}` can't be started: {error}")),
    };
    broken(format!("`{program}` can't be started ({error}); install it: apt-get install {package}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_kept_and_not_the_statement_before_it() {
        let view = "x".repeat(2 * MOST_TEXT);
        let said = format!(
            "--------------\nCREATE VIEW a AS {view}\n--------------\n\nERROR 1227 (42000) at line 51: Access denied\n"
        );
        assert_eq!(essence(&said), "ERROR 1227 (42000) at line 51: Access denied");
        let said =
            "NOTICE: b\npsql:<stdin>:9: ERROR:  42P07: relation \"a\" already exists\nLOCATION:  heap, heap.c:1\n";
        assert_eq!(
            essence(said),
            "psql:<stdin>:9: ERROR: 42P07: relation \"a\" already exists LOCATION: heap, heap.c:1"
        );
        assert_eq!(essence(&format!("{view} the end\n")).len(), MOST_TEXT);
        assert!(essence(&format!("{view} the end\n")).ends_with(" the end"));
        assert_eq!(essence(""), "");
    }
}
