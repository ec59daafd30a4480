//! Calls hooks: programs of an operator, and addresses that take a JSON document.
//!
//! It decides nothing: a run says when, and what a failure means.

use std::path::PathBuf;

use async_trait::async_trait;
use secrecy::ExposeSecret as _;

use crate::external::program::Program;
use crate::external::{Secrets, http};
use crate::inputs::{HookAction, HookTable};
use crate::model::hook::{HookCall, HookPoint, Hooks};

/// The hooks of a tenant file.
pub(crate) struct Callers {
    pub(crate) hooks: HookTable,
    /// The folder of the tenant file, where programs are started.
    pub(crate) folder: PathBuf,
    /// The passwords of the tenants.
    pub(crate) secrets: Secrets,
}

#[async_trait]
impl Hooks for Callers {
    fn has(&self, point: HookPoint) -> bool {
        self.hooks.contains_key(&point)
    }

    async fn call(&self, call: &HookCall) -> Result<(), String> {
        let Some(hook) = self.hooks.get(&call.hook) else { return Ok(()) };
        let (document, timeout) = (serde_json::to_string(call).map_err(|error| error.to_string())?, hook.timeout);
        match &hook.action {
            HookAction::Command(words) => {
                let (folder, variables) = (self.folder.as_path(), variables(call));
                let (input, secrets) = (document, &self.secrets);
                let ended = Program { words, folder, variables, input, timeout, secrets }.run().await;
                let name = words.first().map_or("", String::as_str);
                ended.map_err(|why| format!("`{name}` {why}"))
            }
            HookAction::Post(url) => {
                let reply = http::ask(url.expose_secret().to_owned(), Some(document), timeout).await?;
                match reply.is_success() {
                    true => Ok(()),
                    false => Err(format!("the address answered with status {}", reply.status)),
                }
            }
        }
    }
}

/// The names in a call, as a program gets them besides the document.
fn variables(call: &HookCall) -> Vec<(&'static str, String)> {
    let tenant = call.tenant.as_ref();
    vec![
        ("FLEET_HOOK", <&str>::from(call.hook).to_owned()),
        ("FLEET_RUN", call.run.to_string()),
        ("FLEET_WAVE", call.wave.clone().unwrap_or_default()),
        ("FLEET_TENANT", tenant.map_or(String::new(), |tenant| tenant.tenant.to_string())),
        ("FLEET_OUTCOME", tenant.and_then(|tenant| tenant.outcome).unwrap_or_default().to_owned()),
    ]
}
