//! Sources that are secrets of a Kubernetes cluster, as `kubectl` prints them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::{MOST_ROWS, Values, too_many, value};
use crate::inputs::registry::Secrets;

/// The command that prints the secrets.
pub(super) fn command(of: &Secrets) -> Vec<String> {
    let mut words = ["kubectl", "get", "secrets", "--output", "json", "--selector"].map(str::to_owned).to_vec();
    words.push(of.label.clone());
    for (flag, text) in [("--namespace", &of.namespace), ("--context", &of.context)] {
        words.extend(text.iter().flat_map(|text| [flag.to_owned(), text.clone()]));
    }
    words
}

/// A row for each secret: its address, its id, and its labels as tags.
pub(super) fn rows(text: &str, of: &Secrets) -> Result<Vec<Values>, String> {
    let list: Value = serde_json::from_str(text).map_err(|error| {
        let cut = if error.is_eof() { ", as if it was cut off" } else { "" };
        format!("its answer is no JSON{cut}: {error}")
    })?;
    if list["metadata"]["continue"].as_str().is_some_and(|more| !more.is_empty()) {
        return Err("its answer is a part of the list only".to_owned());
    }
    let items = list["items"].as_array().ok_or("its answer has no list of `items`")?;
    if items.len() > MOST_ROWS {
        return Err(too_many());
    }
    items.iter().map(|secret| row(secret, of)).collect()
}

fn row(secret: &Value, of: &Secrets) -> Result<Values, String> {
    let name = secret["metadata"]["name"].as_str().ok_or("a secret in its answer has no name")?;
    let data = |key: &str| -> Result<Value, String> {
        let text = secret["data"][key].as_str().ok_or_else(|| format!("secret {name} has no key `{key}`"))?;
        let bytes = BASE64_STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let text = bytes.ok_or_else(|| format!("key `{key}` of secret {name} is no text"))?;
        Ok(value(text.trim_end_matches('\n')))
    };
    let id = of.id_key.as_deref().map_or_else(|| Ok(value(name)), data)?;
    let mut values = Values::from_iter([("id".to_owned(), id), ("url".to_owned(), data(&of.url_key)?)]);
    if let Some(labels) = secret["metadata"].get("labels").filter(|labels| labels.is_object()) {
        values.insert("tags".to_owned(), labels.clone());
    }
    Ok(values)
}
