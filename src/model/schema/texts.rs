//! The texts of a catalog's scripts, told apart from those of another time.

use super::Catalog;
use crate::model::saved_plan::{hash, short};

impl Catalog {
    /// By place the beginning of one checksum over a script's texts of all engines; empty for a Rust migration, whose code is
    /// the program's. Empty as a whole: there are no scripts.
    pub(crate) fn texts(&self) -> Vec<String> {
        let text = |index: usize| {
            let checksums = self.script(index).into_iter().flat_map(|script| script.checksums.iter());
            let all: String = checksums.map(|(variant, checksum)| format!("{variant:?} {checksum}\n")).collect();
            if all.is_empty() { all } else { short(&hash(&all)).to_owned() }
        };
        if self.scripts.is_empty() { Vec::new() } else { (0..self.migrations.len()).map(text).collect() }
    }
}
