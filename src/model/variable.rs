//! The variables of SQL scripts: their names, and a tenant's values.

use std::fmt;

use serde::Serialize;

use super::tenant::Tenant;

/// A variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Variable {
    /// The tenant's id.
    Tenant,
    /// The value of a tag.
    Tag(String),
}

impl Variable {
    /// The variable of this name: `tenant`, `tag.region`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let is_key = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
        match name.strip_prefix("tag.") {
            Some(key) => is_key(key).then(|| Variable::Tag(key.to_owned())),
            None => (name == "tenant").then_some(Variable::Tenant),
        }
    }

    /// The variable that a quoted text or name in a script stands for.
    pub(crate) fn marked(inside: &str) -> Option<Self> {
        Variable::named(inside.strip_prefix("{{")?.strip_suffix("}}")?)
    }

    /// The text that stands for it in a script.
    pub(crate) fn mark(&self) -> String {
        format!("{{{{{self}}}}}")
    }

    /// A tenant's value; `None` where the tag is not set.
    pub(crate) fn of<'t>(&self, tenant: &'t Tenant) -> Option<&'t str> {
        match self {
            Variable::Tenant => Some(tenant.id.as_str()),
            Variable::Tag(key) => tenant.tags.get(key).map(String::as_str),
        }
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Variable::Tenant => f.write_str("tenant"),
            Variable::Tag(key) => write!(f, "tag.{key}"),
        }
    }
}
