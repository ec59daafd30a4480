//! Calls hooks: programs of an operator, and addresses that take a JSON document.
//!
//! It decides nothing: a run says when, and what a failure means.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStderr, Command};
use tokio::sync::oneshot;

use crate::inputs::{HookAction, HookTable};
use crate::model::hook::{HookCall, HookPoint, Hooks};
use crate::model::program;
use crate::policy::format_duration;

/// The end of a program's output that is kept, in bytes.
const TOLD: usize = 600;

/// How long its output is waited for when it has ended: a child of its own may hold it open.
const REST: Duration = Duration::from_millis(500);

/// The hooks of a tenant file.
pub(crate) struct Callers {
    pub(crate) hooks: HookTable,
    /// The folder of the tenant file, where programs are started.
    pub(crate) folder: PathBuf,
}

#[async_trait]
impl Hooks for Callers {
    fn has(&self, point: HookPoint) -> bool {
        self.hooks.contains_key(&point)
    }

    async fn call(&self, call: &HookCall) -> Result<(), String> {
        let Some(hook) = self.hooks.get(&call.hook) else { return Ok(()) };
        let body = serde_json::to_string(call).map_err(|error| error.to_string())?;
        match &hook.action {
            HookAction::Command(words) => self.run(words, call, (body, hook.timeout)).await,
            HookAction::Post(url) => post(url.expose_secret().to_owned(), body, hook.timeout).await,
        }
    }
}

impl Callers {
    /// Runs a program to its end. It gets the call on stdin, and its names as variables; it is killed with all that it has
    /// started when its time is over.
    async fn run(&self, words: &[String], call: &HookCall, (body, timeout): (String, Duration)) -> Result<(), String> {
        let Some((name, arguments)) = words.split_first() else { return Ok(()) };
        let mut command = Command::new(name);
        command.args(arguments).current_dir(&self.folder).kill_on_drop(true).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let tenant = call.tenant.as_ref();
        command.env("FLEET_HOOK", <&str>::from(call.hook)).env("FLEET_RUN", call.run.to_string());
        command.env("FLEET_WAVE", call.wave.as_deref().unwrap_or_default());
        command.env("FLEET_TENANT", tenant.map_or("", |tenant| tenant.tenant.as_str()));
        command.env("FLEET_OUTCOME", tenant.and_then(|tenant| tenant.outcome).unwrap_or_default());
        let mut child = command.spawn().map_err(|error| format!("`{name}` can't be started: {error}"))?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let said = tokio::spawn(tail(child.stderr.take()));
        let stdin = child.stdin.take();
        let ended = async {
            if let Some(mut stdin) = stdin {
                // A program that does not read it closes it.
                let _ = stdin.write_all(body.as_bytes()).await;
            }
            child.wait().await
        };
        let ended = tokio::time::timeout(timeout, ended).await;
        let Ok(ended) = ended else {
            if let Some(group) = group {
                let _ = kill_process_group(group, Signal::KILL);
            }
            return Err(format!("`{name}` did not end within {} and was killed", format_duration(timeout)));
        };
        let status = ended.map_err(|error| format!("`{name}` was lost: {error}"))?;
        if status.success() {
            return Ok(());
        }
        let said = tokio::time::timeout(REST, said).await.ok().and_then(Result::ok).unwrap_or_default();
        let said = if said.is_empty() { "it said nothing".to_owned() } else { said };
        Err(format!("`{name}` failed ({status}): {said}"))
    }
}

/// Reads all of a program's stderr, so that it never blocks on it, and keeps the end as one line.
async fn tail(stream: Option<ChildStderr>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let (mut kept, mut buffer) = (Vec::new(), vec![0; 4096]);
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..n]);
        kept.drain(..kept.len().saturating_sub(TOLD));
    }
    String::from_utf8_lossy(&kept).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Sends a document. It has a thread of its own: nobody who stops waiting is held up by it.
async fn post(url: String, body: String, timeout: Duration) -> Result<(), String> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || sender.send(send(&url, &body, timeout)));
    receiver.await.unwrap_or_else(|_| Err("the request ended unexpectedly".to_owned()))
}

fn send(url: &str, body: &str, timeout: Duration) -> Result<(), String> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        // Behind a redirect is another address, perhaps a page to sign in.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(format!("fleet/{}", program::version()));
    let agent = config.build().new_agent();
    match agent.post(url).content_type("application/json").send(body) {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => Err(format!("the address answered with status {}", response.status().as_u16())),
        Err(ureq::Error::Timeout(_)) => Err(format!("no answer within {}", format_duration(timeout))),
        // An address may hold a secret.
        Err(ureq::Error::BadUri(_)) => Err("the address can't be asked".to_owned()),
        Err(error) => Err(error.to_string().replace(url, "the address")),
    }
}
