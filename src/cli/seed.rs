//! `seed`: generated rows for the tables of the selected tenants.

use super::args::Seed;
use super::command::Run;
use super::exit::CliError;
use super::setup::{Program, quoted};
use super::start::{Intent, Task, start};
use crate::compile::MigrationSet;
use crate::inputs::select::Selection;
use crate::model::run_kind::RunKind;
use crate::seed::SeedRequest;

impl Run for Seed {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        let set = program.set().await?;
        let kind = RunKind::Seed {
            scale: self.scale,
            seed: self.seed,
            rows: self.rows,
            append: self.append,
            malformed_percent: self.malformed,
        };
        let intent = seeding(program, &set, kind, program.select(&self.on.selection).await?)?;
        start(program, &set, intent, &self.on.output).await
    }
}

/// A seed of these tenants. The rules and the derived columns are those of today's files.
pub(super) fn seeding(
    program: &Program,
    set: &MigrationSet,
    kind: RunKind,
    selection: Selection,
) -> Result<Intent, CliError> {
    let RunKind::Seed { scale, seed, rows, append, malformed_percent } = kind.clone() else {
        return Err(CliError::Usage("this run was no seed".to_owned()));
    };
    let flags: String = rows.iter().map(|(table, n)| format!(" --rows {}", quoted(&format!("{table}={n}")))).collect();
    let and = if append { " --append" } else { "" };
    let task = Task {
        kind,
        command: format!("seed --scale {scale} --seed {seed} --malformed {malformed_percent}{and}{flags}"),
        question: "Add generated rows to".to_owned(),
    };
    let request = SeedRequest {
        scale,
        rows,
        seed,
        derived: set.derived(),
        append,
        malformed_percent,
        rules: program.seed_rules()?,
        ..SeedRequest::default()
    };
    Ok(Intent { seed: Some(request), ..Intent::task(task, selection) })
}
