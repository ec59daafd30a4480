//! `locks`: the holders and waiters of locks on the tenants' databases at this moment. Read-only.

use std::sync::Arc;

use super::args::Locks;
use super::command::Run;
use super::exit::CliError;
use super::setup::Program;
use super::watch;
use crate::engine;
use crate::model::locks::LockHolder;
use crate::model::tenant::Tenant;
use crate::report::locks;

impl Run for Locks {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        let selection = program.select(&self.read.selection).await?;
        let tenants: Vec<Arc<Tenant>> = selection.tenants().cloned().collect();
        if let Some(every) = self.watch.every {
            return watch::repeat(every, async || Ok(self.text(program, &tenants).await.1)).await;
        }
        let (code, text) = self.text(program, &tenants).await;
        self.read.output.deliver(&text)?;
        Ok(code)
    }
}

impl Locks {
    /// The exit code, and the list.
    async fn text(&self, program: &Program, tenants: &[Arc<Tenant>]) -> (u8, String) {
        let (rows, faults) = engine::locks(tenants, program.settings().timeouts().connect).await;
        let output = &self.read.output;
        let unasked: Vec<(String, String)> =
            faults.into_iter().map(|(server, why)| (server, why.to_string())).collect();
        let text = locks::list(&rows, &unasked, output.format, &output.style(program));
        let code = match (unasked.is_empty(), self.exit_code && rows.iter().any(LockHolder::is_contended)) {
            (false, _) => 100,
            (true, true) => 2,
            (true, false) => 0,
        };
        (code, text)
    }
}
