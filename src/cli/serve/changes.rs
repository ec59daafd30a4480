//! Changing calls: each is this program, started once more as an operator would start it.
//!
//! Dying in it: the process that was started goes on, in a group of its own, and the ledger has its run.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::task::JoinHandle;

use super::super::setup::Program;
use super::TOKEN;
use crate::inputs::SETTINGS;
use crate::model::tenant::TenantId;
use crate::model::typed::literal;
use crate::report::clean;
use crate::report::site::document;
use crate::server::{Change, Refused};

/// The time for a run to begin.
const BEGINNING: Duration = Duration::from_secs(25);
/// The most bytes of a refusal that are told.
const TOLD: u64 = 8_192;

/// A change that was made, or whose run has begun.
pub(super) struct Made {
    /// The answer, a JSON document.
    pub(super) answer: String,
    /// The run, and the end of its process.
    pub(super) run: Option<(String, JoinHandle<()>)>,
}

/// Makes a change, or begins its run.
pub(super) async fn make(program: &Program, change: Change) -> Result<Made, Refused> {
    // A request for something that exists may come at the wrong time; any other is wrong in itself.
    let is_new = matches!(change, Change::Refresh { .. });
    let (words, is_run) = words(change);
    let own =
        std::env::current_exe().map_err(|error| Refused::Unavailable(format!("this program is not found: {error}")))?;
    let mut command = Command::new(own);
    command.arg("--config").arg(&program.registry.path).args(&words).env_remove(TOKEN);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    for setting in SETTINGS {
        match (program.flags.get(setting.key), setting.flag) {
            // It may hold a password, which no list of processes shows; and not every command takes every flag.
            (Some(text), Some(_)) if !is_run || text.contains("://") => drop(command.env(setting.variable(), text)),
            (Some(text), Some((long, _))) => drop(command.arg(format!("--{long}={text}"))),
            _ => {}
        }
    }
    let unable = |error: std::io::Error| Refused::Unavailable(format!("the change could not be started: {error}"));
    let mut child = command.spawn().map_err(unable)?;
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut err = child.stderr.take().expect("it is piped");
    let errors = tokio::spawn(async move {
        let mut text = String::new();
        let _ = (&mut err).take(TOLD).read_to_string(&mut text).await;
        // The rest is read, so that nobody waits for a full pipe.
        let _ = tokio::io::copy(&mut err, &mut tokio::io::sink()).await;
        text
    });
    let begun = async {
        while let Ok(Some(line)) = lines.next_line().await {
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            if event["event"] == "run_started" {
                return event["run"].as_str().map(str::to_owned);
            }
        }
        None
    };
    let begun = tokio::time::timeout(BEGINNING, begun).await;
    if !matches!(begun, Ok(None)) {
        // It goes on by itself; its events are in the ledger.
        let end = tokio::spawn(async move {
            while let Ok(Some(_)) = lines.next_line().await {}
            let _ = child.wait().await;
        });
        let Ok(Some(run)) = begun else {
            return Err(Refused::Unavailable("the run has not begun yet; it is being prepared, see /runs".to_owned()));
        };
        let events = format!("/api/v1/runs/{run}/events");
        let answer = document(json!({ "run": run, "page": format!("/runs/{run}"), "events": events }));
        return Ok(Made { answer, run: Some((run, end)) });
    }
    let status = child.wait().await.map_err(unable)?;
    let text: Vec<String> = errors.await.unwrap_or_default().lines().map(clean).collect();
    let text = text.join("\n").trim_start_matches("error: ").to_owned();
    match status.code() {
        Some(0) => Ok(Made { answer: document(json!({ "done": true })), run: None }),
        Some(4) => Err(Refused::NotFound(text)),
        Some(64) if is_new => Err(Refused::Wrong(text)),
        _ => Err(Refused::Conflict(if text.is_empty() { format!("it ended with {status}") } else { text })),
    }
}

/// The command line of a change, and whether it begins a run. Texts of the caller can't be taken for flags: they follow an
/// equals sign, or `--`.
fn words(change: Change) -> (Vec<String>, bool) {
    const RUN: [&str; 3] = ["--yes", "--quiet", "--format=jsonl"];
    let with = |words: &[&str], more: Vec<String>| words.iter().map(|word| (*word).to_owned()).chain(more).collect();
    match change {
        Change::Refresh { views, groups, tenants, reason } => {
            let views = views.iter().map(|view| format!("--view={view}"));
            let groups = groups.iter().map(|group| format!("--group={group}"));
            let tenants = tenants.iter().map(|id| format!("--tenant={}", literal(&TenantId::from(&**id))));
            let reason = reason.map(|reason| format!("--reason={reason}"));
            let more = views.chain(groups).chain(tenants).chain(reason).chain(RUN.map(str::to_owned)).collect();
            (with(&["refresh"], more), true)
        }
        Change::Approve { run, by } => {
            let more = RUN.map(str::to_owned).into_iter().chain([format!("--by={by}"), "--".to_owned(), run]);
            (with(&["runs", "approve"], more.collect()), true)
        }
        Change::Resume { run } => {
            let more = RUN.map(str::to_owned).into_iter().chain(["--".to_owned(), run]);
            (with(&["runs", "resume"], more.collect()), true)
        }
        Change::Pause { run, by, reason } => {
            let by = by.map(|by| format!("--by={by}"));
            let reason = reason.map(|reason| format!("--reason={reason}"));
            let more = by.into_iter().chain(reason).chain(["--".to_owned(), run]);
            (with(&["runs", "pause"], more.collect()), false)
        }
        Change::Quarantine { tenant, reason, until } => {
            let until = until.map(|until| format!("--until={until}"));
            let more = [format!("--reason={reason}")].into_iter().chain(until).chain(["--".to_owned(), tenant]);
            (with(&["tenants", "quarantine"], more.collect()), false)
        }
        Change::Release { tenant } => (with(&["tenants", "release"], vec!["--".to_owned(), tenant]), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_the_caller_is_never_a_flag() {
        let run = "--config=/etc/passwd".to_owned();
        let changes = [
            Change::Refresh {
                views: vec!["--all".into()],
                groups: vec!["-y".into()],
                tenants: vec!["*".into()],
                reason: Some("--yes".into()),
            },
            Change::Approve { run: run.clone(), by: "--yes".into() },
            Change::Resume { run: run.clone() },
            Change::Pause { run: run.clone(), by: Some("--x".into()), reason: Some("-y".into()) },
            Change::Quarantine { tenant: run.clone(), reason: "--x".into(), until: Some("--y".into()) },
            Change::Release { tenant: run },
        ];
        for change in changes {
            let (words, _) = words(change.clone());
            let flags = words.iter().take_while(|word| *word != "--").filter(|word| word.starts_with('-'));
            let known =
                ["--yes", "--quiet", "--format=", "--view=", "--group=", "--tenant=", "--by=", "--reason=", "--until="];
            for flag in flags {
                assert!(known.iter().any(|known| flag.starts_with(known)), "{change:?}: {flag}");
            }
        }
        let (views, groups) = Default::default();
        let all = Change::Refresh { views, groups, tenants: vec!["*".into()], reason: None };
        assert!(words(all).0.contains(&"--tenant=[*]".to_owned()));
    }
}
