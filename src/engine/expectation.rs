//! The history that each step of a work expects to find: all of it before the first, and behind that only what the step
//! before has changed, so that the checks of a long work grow with its length and not with its square.
//!
//! Plain data; the engines make SQL of it.

use std::collections::HashMap;

use super::Work;
use crate::model::schema::{Direction, Script, name_of};

/// The history that a step expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expectation {
    /// These entries and no other, sorted.
    Whole(Vec<String>),
    /// The history as the step before it left it.
    Next(NextHistory),
}

/// The history behind another step of the same work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NextHistory {
    /// The number of entries.
    pub(crate) entries: usize,
    /// Entries that are there: of the step before, and of this one if it is taken back or run again.
    pub(crate) there: Vec<String>,
    /// Entries that are not there.
    pub(crate) gone: Vec<String>,
}

/// Entries by the names of their migrations.
struct Entries(HashMap<String, Vec<String>>);

impl Entries {
    fn of(history: &[String]) -> Self {
        let mut entries = HashMap::<String, Vec<String>>::with_capacity(history.len());
        for entry in history {
            entries.entry(name_of(entry).to_owned()).or_default().push(entry.clone());
        }
        Entries(entries)
    }

    /// The entries of a script, under all its names.
    fn of_script(&self, script: &Script) -> Vec<String> {
        script.names().filter_map(|name| self.0.get(&**name)).flatten().cloned().collect()
    }

    /// Changes them as applying a script does; returns the entries that are there, and those that are not any more.
    fn enter(&mut self, script: &Script) -> [Vec<String>; 2] {
        let Some(entry) = script.history_entry() else { return [Vec::new(), Vec::new()] };
        let mut gone: Vec<String> = script.names().filter_map(|name| self.0.remove(&**name)).flatten().collect();
        if script.direction == Direction::Down {
            return [Vec::new(), gone];
        }
        gone.retain(|old| *old != entry);
        self.0.insert(script.migration.to_string(), vec![entry.clone()]);
        [vec![entry], gone]
    }
}

impl Work {
    /// The history that step number `step` expects.
    pub(crate) fn expectation(&self, step: usize) -> &Expectation {
        &self.expectations.get_or_init(|| self.all_expectations())[step]
    }

    /// The whole history before step number `step`, sorted.
    pub(crate) fn history_before(&self, step: usize) -> Vec<String> {
        let mut entries = Entries::of(&self.history);
        for done in &self.steps[..step] {
            entries.enter(&done.script);
        }
        let mut versions: Vec<String> = entries.0.into_values().flatten().collect();
        versions.sort_unstable();
        versions
    }

    fn all_expectations(&self) -> Vec<Expectation> {
        let mut entries = Entries::of(&self.history);
        let (mut count, mut before) = (self.history.len(), [Vec::new(), Vec::new()]);
        let mut all = Vec::with_capacity(self.steps.len());
        for (number, step) in self.steps.iter().enumerate() {
            let own = entries.of_script(&step.script);
            let is_new = own.is_empty();
            let [mut there, mut gone] = std::mem::take(&mut before);
            there.extend(own.iter().cloned());
            gone.extend(step.script.history_entry().filter(|_| is_new));
            all.push(match number {
                0 => Expectation::Whole(self.history.clone()),
                _ => Expectation::Next(NextHistory { entries: count, there, gone }),
            });
            before = entries.enter(&step.script);
            let left = entries.of_script(&step.script).len();
            count = count + left - own.len();
        }
        all
    }
}
