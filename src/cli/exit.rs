//! Exit codes, and the errors that end a command before or instead of a run.

use crate::compile::CompileError;
use crate::compile::folder::ScriptMistake;
use crate::inputs::select::SelectError;
use crate::ledger::LedgerError;
use crate::model::schema::UnknownMigration;
use crate::model::stats::Verdict;
use crate::report::clean;

/// The exit codes, with the texts of `fleet help-exit-codes`.
pub(super) const MEANINGS: [(u8, &str); 12] = [
    (0, "every selected tenant is at its target"),
    (1, "could not start, or an internal error"),
    (
        2,
        "something is pending, or more tenants are gone than a source allows (with --exit-code), a tenant in doubt waits for an answer (runs resolve), a saved plan does not hold any more or lacks its approval, a script was edited before its run was gone on with, or check, verify, lint, prove or doctor found something",
    ),
    (4, "no tenant matched"),
    (
        5,
        "what ran passed, work is outstanding (a pause at a gate, --limit, --canary, --partition, a deadline, a maintenance window, a server beyond its limits)",
    ),
    (64, "usage: the command line can't be understood"),
    (
        75,
        "another run is at work on some of the tenants, the ledger can't be reached or written, or so many tenants are unreachable that it is an outage: try again",
    ),
    (78, "the tenant file or a setting is wrong"),
    (100, "at least one tenant failed"),
    (101, "a failure budget, a gate or a hook stopped the rollout; later tenants were not started"),
    (130, "interrupted (Ctrl-C), after what was in flight had ended"),
    (143, "terminated (SIGTERM, SIGHUP), after what was in flight had ended"),
];

/// The exit code of a run's verdict. `terminated`: the run was interrupted by another signal than Ctrl-C.
pub(super) fn code(verdict: Verdict, terminated: bool) -> u8 {
    match verdict {
        Verdict::AllAtTarget => 0,
        Verdict::NothingSelected => 4,
        Verdict::Outstanding => 5,
        Verdict::LedgerLost => 75,
        Verdict::Failures => 100,
        Verdict::BudgetExhausted | Verdict::GateFailed | Verdict::HookFailed => 101,
        Verdict::Interrupted if terminated => 143,
        Verdict::Interrupted => 130,
    }
}

/// A tenant file that is whole.
pub(super) const SMALLEST: &str = r#"    [[tenant]]
    id = "acme"
    url = "sqlite:acme.db"    # or postgres://user@host/database, mysql://user@host/database
    create_missing = true     # makes the SQLite file
"#;

/// The reason why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Migration(#[from] UnknownMigration),
    #[error("{0}")]
    Select(#[from] SelectError),
    #[error("{rendered}")]
    Mistakes { rendered: String },
    #[error(
        "no tenants.toml in this folder or any above it; name the file with --config FILE or FLEET_CONFIG, or write \
         one:\n\n{SMALLEST}"
    )]
    NoFile,
    #[error("no tenant matched: {0}")]
    NothingMatched(String),
    #[error("{}", script_mistakes(.0))]
    Scripts(Vec<ScriptMistake>),
    #[error("the migrations can't be used: {0}")]
    Compile(#[from] CompileError),
    #[error("failed to {0}; nothing was started")]
    Ledger(LedgerError),
    #[error("failed to {0}")]
    NoSuchRun(LedgerError),
    #[error("{0}")]
    Settings(String),
    #[error("{0}")]
    CanNotStart(String),
    #[error("{0}")]
    PlanRefused(String),
    #[error("{text}\nsee: {next}; nothing was started")]
    StillRunning { text: String, next: String },
    #[error("interrupted; no tenant was touched, and the scratch databases are dropped")]
    Interrupted(u8),
    #[error("{0}")]
    BudgetUsedUp(String),
    #[error("{text}\nsee: {next}; --no-preflight starts all the same")]
    Outage { text: String, next: String },
    #[error("can't write {what}: {error}")]
    Write { what: String, error: std::io::Error },
}

impl CliError {
    pub(super) fn code(&self) -> u8 {
        match self {
            CliError::Usage(_) | CliError::Migration(_) | CliError::Select(_) | CliError::NoSuchRun(_) => 64,
            CliError::Mistakes { .. } | CliError::NoFile | CliError::Scripts(_) | CliError::Settings(_) => 78,
            CliError::PlanRefused(_) => 2,
            CliError::Interrupted(code) => *code,
            CliError::NothingMatched(_) => 4,
            CliError::BudgetUsedUp(_) => 101,
            CliError::Ledger(_) | CliError::Outage { .. } | CliError::StillRunning { .. } => 75,
            CliError::Compile(_) | CliError::CanNotStart(_) | CliError::Write { .. } => 1,
        }
    }
}

/// All mistakes of the folder of SQL scripts, one a line.
fn script_mistakes(mistakes: &[ScriptMistake]) -> String {
    let lines: Vec<String> = mistakes.iter().map(|m| clean(&m.to_string())).collect();
    format!("the SQL scripts can't be used, and nothing was started:\n  {}", lines.join("\n  "))
}

/// The error for a ledger error: a wrong name of a run is a usage error, not a state of the ledger.
pub(super) fn run_error(error: LedgerError) -> CliError {
    match error {
        LedgerError::NoSuchRun { .. } | LedgerError::Ambiguous { .. } | LedgerError::NotAnId { .. } => {
            CliError::NoSuchRun(error)
        }
        other => CliError::Ledger(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_has_a_code_that_is_explained() {
        use Verdict::*;
        for verdict in
            [AllAtTarget, NothingSelected, Outstanding, LedgerLost, Failures, BudgetExhausted, HookFailed, Interrupted]
        {
            for terminated in [false, true] {
                assert!(MEANINGS.iter().any(|(c, _)| *c == code(verdict, terminated)), "{verdict:?}");
            }
        }
    }
}
