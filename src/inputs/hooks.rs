//! `[hooks]`: the programs and addresses that are called around runs, waves and tenants.
//!
//! They come from the file only: the environment never sets a command to run.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use strum::IntoEnumIterator as _;
use url::Url;

use super::document::{Document, Item, Reader};
use super::{Diagnostics, Variables};
use crate::model::hook::HookPoint;
use crate::policy::{format_duration, program_of};

/// The time limit of a hook without one of its own.
const TIMEOUT: Duration = Duration::from_secs(30);

const KEYS: [&str; 3] = ["command", "post", "timeout"];

/// The hooks of a tenant file.
pub(crate) type HookTable = BTreeMap<HookPoint, Hook>;

/// One hook.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) action: HookAction,
    pub(crate) timeout: Duration,
}

/// The work of a hook.
#[derive(Debug, Clone)]
pub(crate) enum HookAction {
    /// Runs a program with arguments, in the folder of the tenant file.
    Command(Vec<String>),
    /// Sends a JSON document. Addresses of such receivers often are secrets.
    Post(SecretString),
}

impl Hook {
    /// The hook as it may be shown.
    pub(crate) fn shown(&self) -> String {
        let what = match &self.action {
            HookAction::Command(words) => program_of(words),
            HookAction::Post(url) => {
                let url = Url::parse(url.expose_secret()).ok();
                format!("POST to {}", url.as_ref().and_then(Url::host_str).unwrap_or("an address"))
            }
        };
        format!("{what} (at most {})", format_duration(self.timeout))
    }
}

/// Reads `[hooks]`.
pub(super) fn read(document: &Document<'_>, variables: &Variables, drafts: &mut Diagnostics) -> HookTable {
    let names: Vec<&'static str> = HookPoint::iter().map(<&'static str>::from).collect();
    let Some(reader) = document.root.get("hooks").and_then(|item| Reader::of(item, "[hooks]", &names, drafts)) else {
        return HookTable::new();
    };
    let mut hooks = HookTable::new();
    for point in HookPoint::iter() {
        let name = <&'static str>::from(point);
        let Some(item) = reader.item(name) else { continue };
        let hook = match item.get_ref().as_array() {
            Some(_) => command(&reader, name, drafts)
                .map(|words| Hook { action: HookAction::Command(words), timeout: TIMEOUT }),
            None => table(item, (name, document, variables), drafts),
        };
        hooks.extend(hook.map(|hook| (point, hook)));
    }
    hooks
}

fn command(reader: &Reader<'_, '_>, key: &str, drafts: &mut Diagnostics) -> Option<Vec<String>> {
    let words = reader.texts(key, drafts)?;
    if words.first().is_none_or(|(program, _)| program.trim().is_empty()) {
        drafts.at(reader.at(key), format!("`{key}` names no program")).help("write [\"program\", \"argument\"]");
        return None;
    }
    Some(words.into_iter().map(|(word, _)| word.to_owned()).collect())
}

fn table(
    item: &Item<'_>,
    (name, document, variables): (&str, &Document<'_>, &Variables),
    drafts: &mut Diagnostics,
) -> Option<Hook> {
    const HELP: &str =
        "write [\"program\", \"argument\"], { command = [..], timeout = \"10s\" } or { post = \"https://..\" }";
    let reader = Reader::of_secret(item, name, &KEYS, drafts)?;
    let timeout = reader.duration("timeout", false, drafts).unwrap_or(TIMEOUT);
    let action = match (reader.has("command"), reader.item("post")) {
        (true, None) => HookAction::Command(command(&reader, "command", drafts)?),
        (false, Some(post)) => {
            let text = reader.text("post", drafts)?;
            let text = document.expand(post, text, variables, drafts)?.text;
            let is_web = |url: Url| matches!(url.scheme(), "http" | "https") && url.has_host();
            if !Url::parse(&text).is_ok_and(is_web) {
                let draft = drafts.at(post.span(), "`post` must be an address: http:// or https://");
                draft.help("write post = \"https://host/path\", or ${VAR} for it").hide();
                return None;
            }
            HookAction::Post(text.into())
        }
        _ => {
            drafts.at(item.span(), format!("`{name}` must have either `command` or `post`")).help(HELP);
            return None;
        }
    };
    Some(Hook { action, timeout })
}
