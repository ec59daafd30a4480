//! The settings that a statement gives a value: `SET` in its spellings, `RESET`, `set_config`, `ALTER ROLE … SET`, `PRAGMA`.
//!
//! It reads words; a value that is no literal has no text.

use super::statement::Statement;
use crate::sql::pragma::Pragma;

/// A setting with the value that a statement gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    /// In lower case; `all` for all of them.
    pub(super) name: String,
    /// In lower case and without quotes; `default` where it is set back, empty for a variable or an expression.
    pub(super) value: String,
    /// The statements that it holds for, as a finding calls them.
    pub(super) reach: &'static str,
}

/// `STRICT_TRANS_TABLES` and `STRICT_ALL_TABLES` where the modes are a number.
const STRICT_MODES: u64 = 0b11 << 21;

impl Statement<'_> {
    /// The settings that it gives a value.
    pub(super) fn settings(&self) -> Vec<Given> {
        const LATER: [&str; 7] = ["global", "persist", "persist_only", "role", "user", "database", "system"];
        let is_one = |words: &[&str]| (1..5).any(|at| words.iter().any(|word| self.words.is(at, word)));
        let reach = match self.verb().as_str() {
            "alter" | "create" if is_one(&["function", "procedure", "routine"]) => "in the routine",
            "alter" | "set" if is_one(&LATER) => "of each later session",
            _ => "behind it",
        };
        let given = |name: String, value: String| Given { name, value, reach };
        match self.verb().as_str() {
            "set" | "alter" | "create" => self.assigned().map(|(name, value)| given(name, value)).collect(),
            "reset" => {
                self.words.name(1).map(|name| given(name.to_lowercase(), "default".to_owned())).into_iter().collect()
            }
            "pragma" => {
                let pragma = Pragma::of(self.engine, self.sql);
                let value = pragma.and_then(|pragma| Some((pragma.is_on()?, pragma.name)));
                value
                    .map(|(is_on, name)| given(name, if is_on { "on" } else { "off" }.to_owned()))
                    .into_iter()
                    .collect()
            }
            "update" if self.target.as_deref().is_some_and(|table| table.ends_with("pg_settings")) => {
                let all = || (0..self.words.len()).filter_map(|at| self.words.string(at));
                all().map(|name| given(name.to_lowercase(), all().next().unwrap_or_default().to_lowercase())).collect()
            }
            _ => self.configured().map(|(name, value)| given(name, value)).collect(),
        }
    }

    /// Whether values that do not fit are refused behind a `SET sql_mode`; none where it is not set.
    pub(super) fn strict_mode(&self) -> Option<bool> {
        let (words, end) = (&self.words, self.words.len());
        let is_name = |at: &usize| {
            let is_own_variable = at.checked_sub(1).is_some_and(|at| words.is_symbol(at, b'@'))
                && at.checked_sub(2).is_none_or(|at| !words.is_symbol(at, b'@'));
            let is_set = words.is_symbol(at + 1, b'=') || words.is_symbol(at + 1, b':');
            let name = words.name(*at).is_some_and(|name| name.eq_ignore_ascii_case("sql_mode"));
            name && is_set && !is_own_variable
        };
        let name = self.outside(1..end).find(is_name).filter(|_| words.is(0, "set"))?;
        let value = name + 2 + usize::from(words.is_symbol(name + 1, b':'));
        let end = self.outside(value..end).find(|&at| words.is_symbol(at, b',')).unwrap_or(end);
        let is_strict = |text: &str| ["strict_", "traditional"].iter().any(|mode| text.to_lowercase().contains(mode));
        let names = (value..end).any(|at| words.written(at).is_some_and(|text| is_strict(&text)));
        // A variable of the server or of the script, whose value is not known.
        let keeps = (value..end).any(|at| words.is_symbol(at, b'@'));
        Some(match words.written(value) {
            _ if self.has_in(&(value..end), &["replace", "regexp_replace"]) => !names,
            Some(number) if end == value + 1 && number.parse::<u64>().is_ok() => {
                number.parse::<u64>().is_ok_and(|modes| modes & STRICT_MODES != 0)
            }
            Some(text) if text.eq_ignore_ascii_case("default") => true,
            _ => names || keeps,
        })
    }

    /// `name = value`, `name TO value` and `RESET name` outside of parentheses.
    fn assigned(&self) -> impl Iterator<Item = (String, String)> {
        let words = &self.words;
        self.outside(1..words.len()).filter_map(|at| {
            let name = words.name(at)?.to_lowercase();
            let is_at = |back: usize| at.checked_sub(back).is_some_and(|at| words.is_symbol(at, b'@'));
            if is_at(1) && !is_at(2) {
                // A variable of the script's own.
                return None;
            }
            if words.is_after(at, "reset") {
                return Some((name, "default".to_owned()));
            }
            let behind = at + 1 + usize::from(words.is_symbol(at + 1, b':'));
            (words.is(behind, "to") || words.is_symbol(behind, b'=')).then(|| (name, self.value(behind + 1)))
        })
    }

    /// `set_config(name, value, …)`, as PostgreSQL has it.
    fn configured(&self) -> impl Iterator<Item = (String, String)> {
        let words = &self.words;
        let calls = (0..words.len()).filter(|&at| words.is(at, "set_config") && words.is_symbol(at + 1, b'('));
        calls.filter_map(|at| Some((words.string(at + 2)?.to_lowercase(), self.value(at + 4))))
    }

    fn value(&self, at: usize) -> String {
        let at = at + usize::from(self.words.is_symbol(at, b'+'));
        self.words.written(at).unwrap_or_default().trim().to_lowercase()
    }
}

#[cfg(test)]
mod tests;
