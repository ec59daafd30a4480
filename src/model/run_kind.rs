//! The kind of a run: the work that it does on each tenant, as the header, the ledger and the events keep it.
//!
//! Plain data: enough to resume a run and to tell kinds apart. The inputs of the work (scripts, rules, files) stay in
//! the plan of the run.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::model::plan::Goal;

/// The work of a run. Only a migration moves versions; every other kind is a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum RunKind {
    /// Brings schemas to a goal.
    Migrate {
        /// The same for every tenant, but for a number of steps.
        #[serde(flatten)]
        goal: Goal,
        /// The folder of this run's backups, where it backs tenants up before their first change.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        backups: Option<String>,
        /// Whether a tenant that failed is brought back from them; `None`: recorded by a version that did not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        restore_on_failure: Option<bool>,
        /// The run that a rollback undoes, each tenant to its own version before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undoes: Option<Uuid>,
        /// The digest of the saved plan that it carries out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<String>,
    },
    /// Brings views up to date.
    Refresh {
        /// In the order in which they are refreshed. Version 0.1 recorded only those that a flag named.
        views: Vec<String>,
    },
    /// Records the present checksums of SQL scripts that were edited after they had been applied.
    Repair { scripts: Vec<String> },
    /// Removes repeatable scripts that are gone from the tables of applied scripts.
    Forget { scripts: Vec<String> },
    /// Generates rows.
    Seed {
        /// The scale factor.
        scale: u32,
        /// The seed of the random numbers.
        seed: u64,
        /// Tables with an explicit number of rows.
        rows: Vec<(String, u64)>,
        /// Whether tables that have rows are filled up.
        append: bool,
        /// The percentage of malformed values in columns of legacy text.
        malformed_percent: u8,
    },
    /// Backs tenants up.
    Backup {
        /// The folder of this run's backups.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        backups: Option<String>,
    },
    /// Restores tenants from backups.
    Restore {
        /// The run that made the backups.
        run: String,
    },
    /// Records a version on tenants that have its schema and no history.
    Baseline(RecordedVersion),
    /// Makes the history of tenants that of a version.
    Stamp(RecordedVersion),
    /// Sends an operator's SQL, whose text is not kept: it may hold data.
    Exec {
        /// SHA-256 of the text, in lower-case hex.
        sha256: String,
    },
    /// Reads the versions of tenants into the ledger.
    Rebuild,
    /// Recorded by a version that knows more kinds than this one.
    #[serde(other)]
    Unknown,
}

/// A version that is recorded without running anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordedVersion {
    /// Its name, or [`RecordedVersion::EMPTY`].
    pub(crate) version: String,
    /// The reason that a person gave; the author is who started the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Whether each tenant's schema is compared with that of the version.
    pub(crate) checked: bool,
}

impl RecordedVersion {
    /// The word for a history without any version.
    pub(crate) const EMPTY: &str = "empty";
}

impl RunKind {
    /// A migration that makes no backups.
    pub(crate) fn migrate(goal: Goal) -> Self {
        RunKind::Migrate { goal, backups: None, restore_on_failure: None, undoes: None, plan: None }
    }

    /// The goal of a migration.
    pub(crate) fn goal(&self) -> Option<Goal> {
        match self {
            RunKind::Migrate { goal, .. } => Some(*goal),
            _ => None,
        }
    }

    /// The rollback of a run.
    pub(crate) fn undoing(mut self, run: Option<Uuid>) -> Self {
        if let RunKind::Migrate { undoes, .. } = &mut self {
            *undoes = run;
        }
        self
    }

    /// The same work by a saved plan with this digest.
    pub(crate) fn planned(mut self, digest: String) -> Self {
        if let RunKind::Migrate { plan, .. } = &mut self {
            *plan = Some(digest);
        }
        self
    }

    /// The digest of the saved plan that it carries out.
    pub(crate) fn plan(&self) -> Option<&str> {
        match self {
            RunKind::Migrate { plan, .. } => plan.as_deref(),
            _ => None,
        }
    }

    /// The run that this one undoes.
    pub(crate) fn undoes(&self) -> Option<Uuid> {
        match self {
            RunKind::Migrate { undoes, .. } => *undoes,
            _ => None,
        }
    }

    /// Whether the run moves no version.
    pub(crate) fn is_task(&self) -> bool {
        !matches!(self, RunKind::Migrate { .. } | RunKind::Unknown)
    }

    /// Whether an attempt whose end is not known may be made again: its work, done twice, is the same.
    pub(crate) fn may_be_repeated(&self) -> bool {
        !matches!(self, RunKind::Exec { .. })
    }

    /// The folder of the backups that the run makes, where it makes any.
    pub(crate) fn backups(&self) -> Option<&str> {
        match self {
            RunKind::Migrate { backups, .. } | RunKind::Backup { backups } => backups.as_deref(),
            _ => None,
        }
    }

    /// Whether a tenant that failed is brought back from the run's own backup, where that was recorded.
    pub(crate) fn restores_on_failure(&self) -> Option<bool> {
        match self {
            RunKind::Migrate { restore_on_failure, .. } => *restore_on_failure,
            _ => None,
        }
    }

    /// The same work with backups in this folder; a migration may bring failed tenants back from them.
    pub(crate) fn with_backups(mut self, folder: String, restore: bool) -> Self {
        match &mut self {
            RunKind::Migrate { backups, restore_on_failure, .. } => {
                (*backups, *restore_on_failure) = (Some(folder), Some(restore));
            }
            RunKind::Backup { backups } => *backups = Some(folder),
            _ => {}
        }
        self
    }

    /// Reads the recorded form. Version 0.1 wrote the goal alone for a migration, and a command under `chore` for a
    /// task.
    pub(crate) fn from_ledger(mut recorded: Value) -> Self {
        if let Some(command) = recorded.get("chore").and_then(Value::as_str) {
            let backups = recorded.get("backups").and_then(Value::as_str);
            return of_command(command, backups);
        }
        if let Some(fields) = recorded.as_object_mut() {
            fields.entry("kind").or_insert_with(|| "migrate".into());
        }
        serde_json::from_value(recorded).unwrap_or(RunKind::Unknown)
    }
}

/// The task that version 0.1 recorded as the command that was given.
fn of_command(command: &str, backups: Option<&str>) -> RunKind {
    let words: Vec<&str> = command.split_whitespace().map(|word| word.trim_matches('\'')).collect();
    let values =
        |flag: &str| -> Vec<&str> { words.windows(2).filter(|pair| pair[0] == flag).map(|pair| pair[1]).collect() };
    let number = |flag: &str| values(flag).first().and_then(|text| text.parse().ok()).unwrap_or(1);
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    match words.as_slice() {
        ["refresh", ..] => RunKind::Refresh { views: owned(&values("--view")) },
        ["scripts", _, names @ ..] => RunKind::Repair { scripts: owned(names) },
        ["seed", ..] => RunKind::Seed {
            scale: u32::try_from(number("--scale")).unwrap_or(u32::MAX),
            seed: number("--seed"),
            rows: values("--rows")
                .into_iter()
                .filter_map(|text| {
                    text.split_once('=').and_then(|(table, n)| Some((table.to_owned(), n.parse().ok()?)))
                })
                .collect(),
            append: words.contains(&"--append"),
            malformed_percent: u8::try_from(number("--malformed")).unwrap_or(100),
        },
        ["backup", ..] => RunKind::Backup { backups: backups.map(str::to_owned) },
        ["restore", ..] => RunKind::Restore { run: values("--run").concat() },
        _ => RunKind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::plan::Target;
    use crate::model::schema::Direction;

    const GOAL: Goal = Goal { direction: Direction::Down, target: Target::Migration(3), out_of_order: true };

    #[test]
    fn every_kind_survives_the_ledger() {
        let seed = RunKind::Seed { scale: 2, seed: 7, rows: vec![("t".into(), 5)], append: true, malformed_percent: 0 };
        let recorded = RecordedVersion { version: "m1".into(), reason: Some("r".into()), checked: true };
        let all = [
            (RunKind::migrate(GOAL), "migrate"),
            (RunKind::migrate(GOAL).with_backups("/b/r".into(), true), "migrate"),
            (RunKind::migrate(GOAL).undoing(Some(Uuid::from_u128(7))).planned("ab".into()), "migrate"),
            (RunKind::Refresh { views: vec!["v".into()] }, "refresh"),
            (RunKind::Repair { scripts: vec!["0001_a".into()] }, "repair"),
            (RunKind::Forget { scripts: vec!["R__a".into()] }, "forget"),
            (seed, "seed"),
            (RunKind::Backup { backups: None }.with_backups("/b/r".into(), false), "backup"),
            (RunKind::Restore { run: "r".into() }, "restore"),
            (RunKind::Baseline(recorded.clone()), "baseline"),
            (RunKind::Stamp(recorded), "stamp"),
            (RunKind::Exec { sha256: "ab".into() }, "exec"),
            (RunKind::Rebuild, "rebuild"),
        ];
        for (kind, name) in all {
            let json = serde_json::to_value(&kind).unwrap();
            assert_eq!(json["kind"], name);
            assert_eq!(RunKind::from_ledger(json), kind);
        }
        let json = serde_json::to_value(RunKind::migrate(GOAL)).unwrap();
        let flat =
            json!({ "kind": "migrate", "direction": "down", "target": { "migration": 3 }, "out_of_order": true });
        assert_eq!(json, flat);
    }

    #[test]
    fn a_ledger_of_version_0_1_is_read() {
        let goal = json!({ "direction": "down", "target": { "migration": 3 }, "out_of_order": true });
        assert_eq!(RunKind::from_ledger(goal.clone()), RunKind::migrate(GOAL));
        let mut with_backups = goal;
        with_backups["backups"] = "/b/r".into();
        let kind = RunKind::from_ledger(with_backups);
        assert_eq!((kind.goal(), kind.backups(), kind.is_task()), (Some(GOAL), Some("/b/r"), false));
        assert_eq!(kind.restores_on_failure(), None);

        let task = |command: &str| RunKind::from_ledger(json!({ "chore": command }));
        assert_eq!(task("refresh --group hourly"), RunKind::Refresh { views: vec![] });
        assert_eq!(task("refresh --view a --view 'b'"), RunKind::Refresh { views: vec!["a".into(), "b".into()] });
        assert_eq!(task("scripts accept 0001_a"), RunKind::Repair { scripts: vec!["0001_a".into()] });
        let rows = vec![("orders".to_owned(), 5)];
        let seed = RunKind::Seed { scale: 3, seed: 9, rows, append: true, malformed_percent: 2 };
        assert_eq!(task("seed --scale 3 --seed 9 --malformed 2 --append --rows orders=5"), seed);
        assert_eq!(task("restore --run 0198c0de"), RunKind::Restore { run: "0198c0de".into() });
        let backup = RunKind::from_ledger(json!({ "chore": "backup", "backups": "/b/r" }));
        assert_eq!((backup.backups(), backup.is_task()), (Some("/b/r"), true));
    }

    #[test]
    fn the_kind_of_a_newer_version_is_unknown_and_no_error() {
        for recorded in [json!({ "kind": "verify", "x": 1 }), json!({ "direction": "sideways" }), Value::Null] {
            let kind = RunKind::from_ledger(recorded);
            assert_eq!((kind.goal(), kind.is_task()), (None, false));
            assert_eq!(kind, RunKind::Unknown);
        }
    }
}
