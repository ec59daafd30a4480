//! The layers that settings are laid together from: defaults, file, environment, flags.
//!
//! Every value is checked before it enters a layer; nothing here decides what a setting means.

use std::collections::BTreeMap;

use config::{Config, Map, Source, Value};

use crate::model::text::suggestion;

use super::document::{Item, Reader};
use super::keys::{Form, KEYS, form};
use super::{Diagnostics, Overrides, Variables};

/// What the environment calls the keys of `[fleet]`: `FLEET__FLEET__LOCK_TIMEOUT`.
const PREFIX: &str = "fleet__";

/// One layer of checked texts by key.
#[derive(Debug, Clone, Default)]
pub(super) struct Layer {
    origin: &'static str,
    pub(super) values: BTreeMap<String, String>,
}

impl Layer {
    /// What holds when nobody says anything.
    pub(super) fn defaults() -> Self {
        let set = KEYS.iter().filter(|(.., default)| !default.is_empty());
        Layer {
            origin: "default",
            values: set.map(|(key, _, default)| (key.to_string(), default.to_string())).collect(),
        }
    }

    /// `[fleet]` of the tenant file.
    pub(super) fn file(item: &Item<'_>, drafts: &mut Diagnostics) -> Self {
        let mut layer = Layer { origin: "file", ..Layer::default() };
        let known: Vec<&str> = KEYS.iter().map(|(key, ..)| *key).collect();
        let Some(fleet) = Reader::of(item, "[fleet]", &known, drafts) else { return layer };
        for (key, form, _) in KEYS {
            let Some(item) = fleet.item(key) else { continue };
            match form.read(item) {
                Ok(text) => {
                    layer.values.insert(key.to_owned(), text);
                }
                Err(wanted) => {
                    let draft = drafts.at(item.span(), format!("`{key}` {wanted}"));
                    if form == Form::Ledger {
                        draft.hide();
                    }
                }
            }
        }
        layer
    }

    /// The `FLEET__FLEET__...` variables, and which variable set which key.
    pub(super) fn environment(variables: &Variables, drafts: &mut Diagnostics) -> (Self, BTreeMap<String, String>) {
        let mut names = BTreeMap::new();
        let mut wanted = Map::new();
        for (name, value) in variables.sorted() {
            let lower = name.to_ascii_lowercase();
            // Those hold URLs with passwords, which this layer would keep as plain texts.
            let Some(rest) = lower.strip_prefix(PREFIX).filter(|_| !lower.starts_with(super::scratch::PREFIX)) else {
                continue;
            };
            match environment_key(rest) {
                Err((problem, help)) => {
                    drafts.elsewhere(format!("the environment variable {name} {problem}")).help(help);
                }
                Ok((key, form)) => match form.check(value) {
                    Ok(()) => {
                        names.insert(key.to_owned(), name.to_owned());
                        wanted.insert(name.to_owned(), value.to_owned());
                    }
                    Err(form) => {
                        let message = format!("the environment variable {name} must be {form}");
                        drafts.elsewhere(message).help(format!("correct it, or remove it with: unset {name}"));
                    }
                },
            }
        }
        // No `try_parsing`: it turns a text such as "0123" into a number.
        let source = config::Environment::with_prefix("FLEET").separator("__").source(Some(wanted));
        let collected = source.collect().unwrap_or_default();
        let values = collected
            .into_iter()
            .filter_map(|(key, value)| Some((key.strip_prefix("fleet.")?.to_owned(), value.into_string().ok()?)));
        (Layer { origin: "environment", values: values.collect() }, names)
    }

    /// What flags say.
    pub(super) fn flags(overrides: &Overrides, drafts: &mut Diagnostics) -> Self {
        let mut layer = Layer { origin: "flag", ..Layer::default() };
        for (key, text) in overrides.texts() {
            match form(key).map_or(Ok(()), |form| form.check(&text)) {
                Ok(()) => {
                    layer.values.insert(key.to_owned(), text);
                }
                Err(wanted) => {
                    drafts.elsewhere(format!("--{} must be {wanted}", key.replace('_', "-")));
                }
            }
        }
        layer
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        let origin = self.origin.to_owned();
        let value = |text: &String| Value::new(Some(&origin), text.as_str());
        Ok(self.values.iter().map(|(key, text)| (format!("fleet.{key}"), value(text))).collect())
    }
}

/// Which key the rest of a variable's name means, or why it means none, with advice.
fn environment_key(rest: &str) -> Result<(&str, Form), (String, String)> {
    let (section, key) = rest.split_once("__").unwrap_or((rest, ""));
    match section {
        "tenant" | "tenants" | "wave" | "waves" | "defaults" => Err((
            "would change tenants or waves, which the environment never does".to_owned(),
            "write it in the tenant file; only [fleet] and [scratch] can be set by environment: FLEET__FLEET__LOCK_TIMEOUT=5s"
                .to_owned(),
        )),
        "fleet" => form(key).map(|form| (key, form)).ok_or_else(|| {
            let help = match suggestion(key, KEYS.iter().map(|(key, ..)| *key)) {
                Some(near) => format!("did you mean FLEET__FLEET__{}?", near.to_ascii_uppercase()),
                None => format!("[fleet] has: {}", KEYS.map(|(key, ..)| key).join(", ")),
            };
            ("names no key of [fleet]".to_owned(), help)
        }),
        _ => {
            let near = suggestion(section, KEYS.iter().map(|(key, ..)| *key)).unwrap_or("lock_timeout");
            let help = format!("the form is FLEET__FLEET__<KEY>, such as FLEET__FLEET__{}", near.to_ascii_uppercase());
            Err(("names no section that the environment can set".to_owned(), help))
        }
    }
}

/// Lays the layers over each other, the last on top.
pub(super) fn merge(layers: [Layer; 4]) -> Map<String, Value> {
    let builder = layers.into_iter().fold(Config::builder(), |builder, layer| builder.add_source(layer));
    let merged = builder.build().and_then(|config| config.get_table("fleet"));
    merged.expect("every layer holds checked texts under `fleet`, and the first has all defaults")
}
