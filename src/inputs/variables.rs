//! A snapshot of the environment, so that what is read from it can be tested without changing the process.
//!
//! It holds secrets: `Debug` shows names only, and nothing here can be displayed.

use std::collections::HashMap;
use std::fmt;

/// Environment variables by name. Variables that are not Unicode are left out.
#[derive(Clone, Default)]
pub(crate) struct Variables(HashMap<String, String>);

impl Variables {
    /// The environment of this process, as it is now.
    pub(crate) fn of_process() -> Self {
        let unicode =
            |(k, v): (std::ffi::OsString, std::ffi::OsString)| Some((k.into_string().ok()?, v.into_string().ok()?));
        Variables(std::env::vars_os().filter_map(unicode).collect())
    }

    /// The value of a variable; `None` where it is not set.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All variables, sorted by name.
    pub(crate) fn sorted(&self) -> Vec<(&str, &str)> {
        let mut all: Vec<_> = self.0.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        all.sort_unstable();
        all
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Variables {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Variables(pairs.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.sorted().iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_names_only() {
        let shown = format!("{:?}", Variables::from([("PGPASS", "s3cret")]));
        assert!(shown.contains("PGPASS") && !shown.contains("s3cret"), "{shown}");
    }
}
