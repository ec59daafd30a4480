//! `lint`: the rules over what the migrations send. No tenant is selected or reached; the tenant file says which engines
//! there are, and which findings are allowed.

use std::collections::BTreeMap;

use super::args::Lint;
use super::command::Run;
use super::exit::CliError;
use super::scratch;
use super::setup::Program;
use super::terminal;
use crate::check::lint::{self, Pair, Subject};
use crate::compile::{Form, MigrationSet};
use crate::model::engine::Engine;
use crate::model::schema::Direction;
use crate::report::lint::LintView;

impl Run for Lint {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        let set = program.set().await?;
        let catalog = set.catalog();
        let all = catalog.migrations.len();
        let (mut chosen, mut first_new) = (vec![self.migrations.is_empty(); all], all);
        for name in &self.migrations {
            chosen[catalog.resolve(name)?] = true;
        }
        if let Some(name) = &self.since {
            first_new = catalog.resolve(name)? + 1;
            chosen[..first_new].fill(false);
        }
        let engines = scratch::wanted(program, &self.engines);
        let compiling = compiled(&set, &engines);
        let scripts = program.looking("compiling migrations", 0, compiling).await;
        let allowed: BTreeMap<String, BTreeMap<String, String>> =
            program.settings().migrations.iter().map(|(name, of)| (name.clone(), of.allow.clone())).collect();
        let subject = Subject { scripts, chosen, first_new, allowed };
        // All cores are busy for a moment; the tasks of this runtime must not wait for that.
        let work = tokio::task::spawn_blocking(move || lint::lint(&subject));
        let linted = work.await.map_err(|e| CliError::CanNotStart(format!("linting ended unexpectedly: {e}")))?;
        let view = LintView { linted: &linted, engines: &engines, least: self.show.0 };
        let output = self.output.as_deref();
        terminal::deliver(&view.render(self.format, &program.terminal.style(output)), output)?;
        let fails = self.fail_on.0.is_some_and(|least| linted.counted(least) > 0);
        Ok(if fails { 2 } else { 0 })
    }
}

/// The scripts of both ways, by engine.
async fn compiled(set: &MigrationSet, engines: &[Engine]) -> Vec<(Engine, Vec<Pair>)> {
    let all = 0..set.catalog().migrations.len();
    let compile = async |engine: Engine| {
        let up = set.compile(engine, Direction::Up, all.clone(), Form::default()).await;
        let down = set.compile(engine, Direction::Down, all.clone(), Form::default()).await;
        let pairs = up.iter().zip(down.iter()).map(|(up, down)| Pair { up: up.clone(), down: down.clone() });
        (engine, pairs.collect())
    };
    futures_util::future::join_all(engines.iter().map(|engine| compile(*engine))).await
}
