//! `shell`: the engine's own client on one tenant. The password goes through a private file, never through arguments.

use std::process::Stdio;

use tokio::signal::unix::{SignalKind, signal};

use super::args::Shell;
use super::command::Run;
use super::exit::CliError;
use super::setup::Program;
use super::terminal;
use crate::inputs::select::Filter;
use crate::report::clean;

impl Run for Shell {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        let set = program.set_or_code().await?;
        let filter = Filter { tenants: vec![self.id.clone()], ..Filter::default() };
        let selection = program.filter(filter).await?;
        let tenants: Vec<_> = selection.tenants().cloned().collect();
        let [tenant] = tenants.as_slice() else {
            let text = format!("{} matches {} tenants; a shell is opened on one", clean(&self.id), tenants.len());
            return Err(CliError::Usage(text));
        };
        let refused = |fault| {
            CliError::CanNotStart(format!("failed to open a shell on {}: {fault}; nothing was started", tenant.id))
        };
        let mut session = program.door(&set).connect(tenant).await.map_err(refused)?;
        let shell = session.shell().await;
        session.close().await;
        let mut shell = shell.map_err(refused)?;
        let own = terminal::stdout().try_clone().map_err(|error| not_started(&error))?;
        shell.command.args(&self.rest).stdout(Stdio::from(own));
        let status = attended(shell.command).await.map_err(|error| not_started(&error))?;
        drop(shell.secret);
        Ok(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1))
    }
}

fn not_started(error: &std::io::Error) -> CliError {
    CliError::CanNotStart(format!("the client can't be started: {error}"))
}

/// Waits for the client, which the terminal sends its Ctrl-C as well; other requests to end are passed on, so that the file
/// of the password is removed whatever ends it.
async fn attended(mut command: tokio::process::Command) -> std::io::Result<std::process::ExitStatus> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (mut terminate, mut hangup) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let mut child = command.spawn()?;
    let pid = child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
    let pass_on = |signal| pid.map(|pid| rustix::process::kill_process(pid, signal));
    loop {
        tokio::select! {
            status = child.wait() => return status,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => drop(pass_on(rustix::process::Signal::TERM)),
            _ = hangup.recv() => drop(pass_on(rustix::process::Signal::HUP)),
        }
    }
}
