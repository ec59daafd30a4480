//! `[wave.gate]`: the gate behind a wave.
//!
//! Rules only: nothing is asked here.

use std::time::Duration;

use url::Url;

use crate::inputs::document::article;
use crate::inputs::{Diagnostics, Document, Reader, Variables};
use crate::model::gate::GateAction;
use crate::policy::{Check, Gate, Query};

const KEYS: [&str; 9] = ["soak", "every", "timeout", "verify", "command", "http", "prometheus", "then", "on_failure"];

/// The pause between two rounds of questions.
const EVERY: Duration = Duration::from_secs(10);

/// The longest time for one answer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The file, and the variables that its addresses may hold.
pub(super) type Source<'a, 'd> = (&'a Document<'d>, &'a Variables);

/// Reads the gate of a wave, if it has one.
pub(super) fn read(wave: &Reader<'_, '_>, source: Source<'_, '_>, drafts: &mut Diagnostics) -> Option<Gate> {
    let reader = Reader::of(wave.item("gate")?, "[wave.gate]", &KEYS, drafts)?;
    let checks = [
        verify(&reader, drafts),
        command(&reader, drafts),
        address(&reader, "http", source, drafts).map(Check::Http),
        prometheus(&reader, source, drafts).map(Check::Prometheus),
    ];
    let action = |key, words, drafts: &mut _| reader.choice(key, words, drafts)?.parse::<GateAction>().ok();
    let gate = Gate {
        soak: reader.duration("soak", true, drafts).unwrap_or_default(),
        every: reader.duration("every", false, drafts).unwrap_or(EVERY),
        timeout: reader.duration("timeout", false, drafts).unwrap_or(TIMEOUT),
        checks: checks.into_iter().flatten().collect(),
        then: action("then", &["continue", "pause"], drafts).unwrap_or(GateAction::Continue),
        on_failure: action("on_failure", &["stop", "pause", "rollback_wave"], drafts).unwrap_or(GateAction::Stop),
    };
    let is_said = ["soak", "verify", "command", "http", "prometheus", "then"].iter().any(|key| reader.has(key));
    if !is_said {
        let help = "say what has to hold, or that a person decides: soak = \"10m\", verify = true, command = [\"smoke\"], \
                    http = \"https://...\", prometheus = { ... }, then = \"pause\"";
        drafts.at(reader.span.clone(), "this gate lets every run pass at once").help(help).absence();
    }
    Some(gate)
}

fn verify(reader: &Reader<'_, '_>, drafts: &mut Diagnostics) -> Option<Check> {
    let item = reader.item("verify")?;
    if let Some(is_wanted) = item.get_ref().as_bool() {
        return is_wanted.then(|| Check::Verify(Vec::new()));
    }
    if item.get_ref().as_array().is_none_or(|names| names.is_empty()) {
        let message = format!("`verify` must be true, or a list of names of assertions, not {}", article(item));
        drafts.at(item.span(), message).help("write verify = true, or verify = [\"no_orphans\"]");
        return None;
    }
    let names = reader.names("verify", drafts)?;
    Some(Check::Verify(names.into_iter().map(|(name, _)| name.to_owned()).collect()))
}

fn command(reader: &Reader<'_, '_>, drafts: &mut Diagnostics) -> Option<Check> {
    let words = reader.texts("command", drafts)?;
    if words.first().is_none_or(|(program, _)| program.trim().is_empty()) {
        let help = "write command = [\"program\", \"argument\"]";
        drafts.at(reader.at("command"), "`command` names no program").help(help);
        return None;
    }
    Some(Check::Command(words.into_iter().map(|(word, _)| word.to_owned()).collect()))
}

/// An address, in which `${VAR}` stands for a variable. It may hold a secret, so it is not shown.
fn address(
    reader: &Reader<'_, '_>,
    key: &str,
    (document, variables): Source<'_, '_>,
    drafts: &mut Diagnostics,
) -> Option<Url> {
    let (text, item) = (reader.text(key, drafts)?, reader.item(key)?);
    let text = document.expand(item, text, variables, drafts)?.text;
    let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if url.is_none() {
        let draft =
            drafts.at(item.span(), format!("`{key}` must be an address such as \"https://shop.example/health\""));
        draft.hide();
    }
    url
}

fn prometheus(reader: &Reader<'_, '_>, source: Source<'_, '_>, drafts: &mut Diagnostics) -> Option<Query> {
    const WHAT: &str = "prometheus";
    let reader = Reader::of(reader.item(WHAT)?, WHAT, &["url", "query", "min", "max"], drafts)?;
    for key in ["url", "query"].into_iter().filter(|key| !reader.has(key)) {
        let help = "write prometheus = { url = \"http://prometheus:9090\", query = \"...\", max = 0.01 }";
        drafts.at(reader.span.clone(), format!("`{WHAT}` has no `{key}`")).help(help);
    }
    let (min, max) = (limit(&reader, "min", drafts), limit(&reader, "max", drafts));
    if !reader.has("min") && !reader.has("max") {
        let help = "write max = 0.01, min = 1, or both";
        drafts.at(reader.span.clone(), format!("any value of `{WHAT}` would hold")).help(help);
    }
    if min.zip(max).is_some_and(|(min, max)| min > max) {
        let help = "write the lower limit as `min` and the upper one as `max`";
        drafts.at(reader.span.clone(), format!("no value of `{WHAT}` would hold: `min` is above `max`")).help(help);
    }
    let url = address(&reader, "url", source, drafts);
    let query = reader.text("query", drafts)?.to_owned();
    Some(Query { url: url?, query, min, max })
}

fn limit(reader: &Reader<'_, '_>, key: &str, drafts: &mut Diagnostics) -> Option<f64> {
    let item = reader.item(key)?;
    let value = item.get_ref();
    let text =
        value.as_float().map(|float| float.as_str()).or_else(|| value.as_integer().map(|digits| digits.as_str()));
    let number = text.and_then(|text| text.replace('_', "").parse::<f64>().ok()).filter(|number| number.is_finite());
    if number.is_none() {
        drafts.at(item.span(), format!("`{key}` must be a number, not {}", article(item)));
    }
    number
}
