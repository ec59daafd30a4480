//! Programs, addresses and files of an operator: bounded in time, and whatever they say is short.
//!
//! It knows neither runs nor tenants, and decides nothing.

use std::sync::Arc;

pub(crate) mod file;
pub(crate) mod http;
pub(crate) mod program;

/// The shortest secret that is hidden: of a shorter one the output would tell nothing any more.
const SHORTEST: usize = 4;

/// Texts that are not shown when a program prints them.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Arc<[String]>);

impl Secrets {
    pub(crate) fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut secrets: Vec<String> = secrets.into_iter().filter(|secret| secret.len() >= SHORTEST).collect();
        // The longer first: one may be the beginning of another.
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Secrets(secrets.into())
    }

    /// The text with `***` for each secret.
    pub(crate) fn hide(&self, text: String) -> String {
        self.0.iter().fold(text, |text, secret| text.replace(secret.as_str(), "***"))
    }
}
