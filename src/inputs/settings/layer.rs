//! The layers of the settings: defaults, file, environment, flags.
//!
//! Every value is checked before it enters a layer, so that the mistakes of all layers are reported at once and each at
//! its place; `config` merges the layers. Nothing here interprets a setting.

use std::collections::BTreeMap;
use std::path::Path;

use config::{Map, Source, Value};

use super::environment::{Meaning, meaning};
use super::table::{SETTINGS, Setting, keys};
use super::{LedgerLocation, Origin, Sources};
use crate::inputs::document::{Document, Reader};
use crate::inputs::form::Form;
use crate::inputs::{Diagnostics, Overrides};

/// One layer of checked texts by key, each with its origin.
#[derive(Debug, Clone, Default)]
pub(super) struct Layer(BTreeMap<&'static str, (String, Origin)>);

impl Layer {
    fn set(&mut self, setting: &Setting, text: &str, origin: Origin) {
        self.0.insert(setting.key, (text.to_owned(), origin));
    }

    /// The default values.
    pub(super) fn defaults() -> Self {
        let mut layer = Layer::default();
        for setting in &SETTINGS {
            if let Some(default) = setting.default {
                layer.set(setting, default, Origin::Default);
            }
        }
        layer
    }

    /// `[fleet]` of the tenant file.
    pub(super) fn file(document: &Document<'_>, sources: Sources<'_>, drafts: &mut Diagnostics) -> Self {
        let mut layer = Layer::default();
        let item = document.root.get("fleet");
        let Some(fleet) = item.and_then(|item| Reader::of(item, "[fleet]", &keys(), drafts)) else { return layer };
        for setting in &SETTINGS {
            let Some(item) = fleet.item(setting.key) else { continue };
            let is_ledger = setting.form == Form::Ledger;
            let checked = match setting.form.read(item) {
                Ok(text) if is_ledger => {
                    let Some(expanded) = document.expand(item, &text, sources.variables, drafts) else { continue };
                    check_ledger(&expanded.text, sources.folder).map(|()| expanded.text)
                }
                Ok(text) => Ok(text),
                Err(wanted) => Err((wanted, None)),
            };
            match checked {
                Ok(text) => layer.set(setting, &text, Origin::File),
                Err((problem, help)) => {
                    let draft = drafts.at(item.span(), format!("`{}` {problem}", setting.key));
                    help.into_iter().for_each(|help| _ = draft.help(help));
                    if is_ledger {
                        draft.hide();
                    }
                }
            }
        }
        layer
    }

    /// The variables `FLEET_<KEY>`.
    pub(super) fn environment(sources: Sources<'_>, drafts: &mut Diagnostics) -> Self {
        let mut layer = Layer::default();
        for (name, text) in sources.variables.sorted() {
            let refused = match meaning(name) {
                Meaning::Foreign | Meaning::Near(_) | Meaning::Unknown => continue,
                Meaning::Refused(problem, help) => Err((problem.to_owned(), Some(help))),
                Meaning::Sets(setting) => check(setting, text, sources.folder)
                    .map(|()| layer.set(setting, text, Origin::Environment(name.to_owned()))),
            };
            if let Err((problem, help)) = refused {
                let help = help.unwrap_or_else(|| format!("correct it, or remove it with: unset {name}"));
                drafts.elsewhere(format!("the environment variable {name} {problem}")).help(help);
            }
        }
        layer
    }

    /// The flags of this command; relative paths in them start at the folder `current`.
    pub(super) fn flags(overrides: &Overrides, current: &Path, drafts: &mut Diagnostics) -> Self {
        let mut layer = Layer::default();
        for setting in &SETTINGS {
            let Some(text) = overrides.get(setting.key) else { continue };
            match check(setting, text, current) {
                Ok(()) => layer.set(setting, text, Origin::Flag),
                Err((problem, help)) => {
                    let long = setting.flag.map_or(setting.key, |(long, _)| long);
                    let draft = drafts.elsewhere(format!("--{long} {problem}"));
                    if let Some(help) = help {
                        draft.help(help);
                    }
                }
            }
        }
        layer
    }
}

/// The problem of a value, which follows its name in the message, and the remedy where it has its own.
type Problem = (String, Option<String>);

/// Checks a value that is not in the file.
fn check(setting: &Setting, text: &str, folder: &Path) -> Result<(), Problem> {
    setting.form.check(text).map_err(|wanted| (format!("must be {wanted}"), None))?;
    if setting.form == Form::Ledger { check_ledger(text, folder) } else { Ok(()) }
}

fn check_ledger(text: &str, folder: &Path) -> Result<(), Problem> {
    let place = LedgerLocation::from(text.to_owned()).beside(folder);
    place.map(drop).map_err(|problem| (problem.message, Some(problem.help)))
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        let value = |(text, origin): &(String, Origin)| Value::new(Some(&origin.to_string()), text.as_str());
        Ok(self.0.iter().map(|(key, entry)| ((*key).to_owned(), value(entry))).collect())
    }
}
