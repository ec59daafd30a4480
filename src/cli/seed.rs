//! `seed`: generated rows for the tables of the selected tenants.

use std::sync::Arc;

use super::args::Seed;
use super::exit::CliError;
use super::migrate::Chore;
use super::scripts::start;
use super::setup::{Program, quoted};
use crate::compile::MigrationSet;
use crate::run::Task;
use crate::seed::SeedRequest;

pub(super) async fn seed(program: &Program, set: &Arc<MigrationSet>, args: Seed) -> Result<u8, CliError> {
    let rows: String =
        args.rows.iter().map(|(table, n)| format!(" --rows {}", quoted(&format!("{table}={n}")))).collect();
    let request = SeedRequest {
        scale: args.scale,
        rows: args.rows,
        seed: args.seed,
        derived: set.derived(),
        append: args.append,
        malformed_percent: args.malformed,
        rules: program.seed_rules()?,
        ..SeedRequest::default()
    };
    let append = if request.append { " --append" } else { "" };
    let chore = Chore {
        command: format!(
            "seed --scale {} --seed {} --malformed {}{append}{rows}",
            request.scale, request.seed, request.malformed_percent
        ),
        question: "Add generated rows to".to_owned(),
        task: Task::Seed(request),
    };
    start(program, set, chore, &args.selection, &args.output).await
}
