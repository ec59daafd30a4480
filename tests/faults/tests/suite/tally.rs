//! The counters of the suite, and the file that `scripts/faults` reads them from.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

/// The count of one kind of fault on one engine.
#[derive(Debug)]
pub(crate) struct Tally {
    fault: &'static str,
    engine: &'static str,
    faults: u64,
    tenants: u64,
    outcomes: BTreeMap<String, u64>,
    lost: u64,
    twice: u64,
}

impl Tally {
    /// `fault` and `engine` are the display names in the table: `connection cut`, `PostgreSQL`.
    pub(crate) fn new(fault: &'static str, engine: &'static str) -> Self {
        Tally { fault, engine, faults: 0, tenants: 0, outcomes: BTreeMap::new(), lost: 0, twice: 0 }
    }

    /// Counts one fault that was injected for certain: the byte was reached, the process is dead, the disk is full.
    pub(crate) fn fault(&mut self) {
        self.faults += 1;
    }

    /// Counts the reported outcome of every tenant, while the fault was present.
    pub(crate) fn report(&mut self, report: &Value) {
        for record in report["tenants"].as_array().unwrap() {
            self.tenants += 1;
            let outcome = record["outcome"].as_str().unwrap();
            *self.outcomes.entry(outcome.to_owned()).or_default() += 1;
        }
    }

    /// Counts the books of one tenant after all was settled and run to its end: missing rows, duplicate rows.
    pub(crate) fn books(&mut self, lost: u64, twice: u64) {
        self.lost += lost;
        self.twice += twice;
    }

    /// Writes the counts to the file and fails if anything was lost or done twice, or if nothing was injected.
    #[track_caller]
    pub(crate) fn close(self) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("{}-{}.json", self.fault, self.engine).replace([' ', '/', ','], "-"));
        let text = json!({
            "fault": self.fault, "engine": self.engine, "faults": self.faults, "tenants": self.tenants,
            "outcomes": self.outcomes, "lost": self.lost, "twice": self.twice,
        });
        std::fs::write(file, format!("{text:#}\n")).unwrap();
        assert!(self.faults > 0, "nothing was injected: {self:?}");
        assert_eq!((self.lost, self.twice), (0, 0), "rows lost, rows twice: {self:?}");
    }
}

/// Whether to take every step, as for the figures in docs/book/src/design/reliability.md, or only a sample.
pub(crate) fn thorough() -> bool {
    std::env::var_os("FAULTS_THOROUGH").is_some()
}
