//! `seed`: generated rows for the tables of the selected tenants.

use super::args::Seed;
use super::command::Run;
use super::exit::CliError;
use super::setup::{Program, quoted};
use super::start::{Intent, Task, start};
use crate::model::run_kind::RunKind;
use crate::seed::SeedRequest;

impl Run for Seed {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        let set = program.set().await?;
        let rows: String =
            self.rows.iter().map(|(table, n)| format!(" --rows {}", quoted(&format!("{table}={n}")))).collect();
        let append = if self.append { " --append" } else { "" };
        let task = Task {
            kind: RunKind::Seed {
                scale: self.scale,
                seed: self.seed,
                rows: self.rows.clone(),
                append: self.append,
                malformed_percent: self.malformed,
            },
            command: format!(
                "seed --scale {} --seed {} --malformed {}{append}{rows}",
                self.scale, self.seed, self.malformed
            ),
            question: "Add generated rows to".to_owned(),
        };
        let request = SeedRequest {
            scale: self.scale,
            rows: self.rows,
            seed: self.seed,
            derived: set.derived(),
            append: self.append,
            malformed_percent: self.malformed,
            rules: program.seed_rules()?,
            ..SeedRequest::default()
        };
        let selection = program.select(&self.on.selection).await?;
        let intent = Intent { seed: Some(request), ..Intent::task(task, selection) };
        start(program, &set, intent, &self.on.output).await
    }
}
