//! `lint`: the rules over what the migrations send. No tenant is reached without `--live`; the tenant file says which
//! engines there are, and which findings are allowed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::args::{Engines, Lint};
use super::command::Run;
use super::exit::CliError;
use super::scratch;
use super::setup::Program;
use super::since::Since;
use super::terminal;
use crate::check::lint::live::{self, Asked, LiveTenant};
use crate::check::lint::{self, Linted, Pair, Subject};
use crate::compile::{Form, MigrationSet};
use crate::inputs::select::Wave;
use crate::model::engine::{Engine, Variant};
use crate::model::schema::Direction;
use crate::model::tenant::Tenant;
use crate::report::lint::LintView;
use crate::run;

impl Run for Lint {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        if !self.live && self.selection.names_tenants() {
            let text = "lint reads no tenant, so none can be selected; leave the selection out, or add --live";
            return Err(CliError::Usage(text.to_owned()));
        }
        let set = program.set().await?;
        let catalog = set.catalog();
        let all = catalog.migrations.len();
        let mut chosen = vec![self.migrations.is_empty(); all];
        for name in &self.migrations {
            chosen[catalog.resolve(name)?] = true;
        }
        let since = self.since.as_ref().map(|name| Since::of(program, catalog, name)).transpose()?;
        let engines = scratch::wanted(program, &self.engines);
        let mut subject = Subject { chosen, ..subject(program, &set, &engines).await };
        since.iter().for_each(|since| since.choose(catalog, &mut subject));
        // All cores are busy for a moment; the tasks of this runtime must not wait for that.
        let work = tokio::task::spawn_blocking(move || {
            let mut linted = lint::lint(&subject);
            since.iter().for_each(|since| since.keep_new(&subject, &mut linted));
            linted
        });
        let linted = work.await.map_err(|e| CliError::CanNotStart(format!("linting ended unexpectedly: {e}")))?;
        let mut linted = linted;
        let asked = if self.live { Some(self.ask(program, &set, (&mut linted, &engines)).await?) } else { None };
        let view = LintView { linted: &linted, asked: asked.as_ref(), engines: &engines, least: self.show.0 };
        let output = self.output.as_deref();
        terminal::deliver(&view.render(self.format, &program.terminal.style(output)), output)?;
        let fails = self.fail_on.0.is_some_and(|least| linted.counted(least) > 0);
        let is_blind = asked.is_some_and(|asked| !asked.failed.is_empty());
        Ok(if fails || is_blind { 2 } else { 0 })
    }
}

impl Lint {
    /// Asks the selected tenants of these engines for their versions and for the rows of the tables that the findings name.
    async fn ask(
        &self,
        program: &Program,
        set: &Arc<MigrationSet>,
        (linted, engines): (&mut Linted, &[Engine]),
    ) -> Result<Asked, CliError> {
        let selection = program.select(&self.selection).await?;
        let of_wave = |wave: &Wave| wave.tenants.iter().map(|t| (wave.name.clone(), t.clone())).collect::<Vec<_>>();
        let tenants = selection.waves.iter().flat_map(of_wave).filter(|(_, tenant)| engines.contains(&tenant.engine));
        let (waves, tenants): (Vec<String>, Vec<Arc<Tenant>>) = tenants.unzip();
        let observations = program.observe(set, &tenants).await;
        let wanted = live::tables(linted).into_iter().map(|(engine, tables)| (engine, tables.into_iter().collect()));
        let (door, wanted) = (program.door(set), wanted.collect());
        let look = run::estimate_rows(&tenants, &door, program.pace(), wanted);
        let estimates = program.looking("estimating rows", tenants.len(), look).await;
        let catalog = set.catalog();
        let answers = observations.into_iter().zip(estimates).zip(waves).map(|((seen, rows), wave)| {
            let answer = match (seen.error, rows) {
                (Some(fault), _) | (None, Err(fault)) => Err(fault.to_string()),
                (None, Ok(rows)) => {
                    Ok((catalog.applied(&seen.history).into_iter().collect(), rows.into_iter().collect()))
                }
            };
            LiveTenant { tenant: seen.tenant, engine: seen.engine, wave, answer }
        });
        Ok(live::judge(linted, &answers.collect::<Vec<_>>()))
    }
}

/// All migrations on these engines.
pub(super) async fn subject(program: &Program, set: &MigrationSet, engines: &[Engine]) -> Subject {
    let all = set.catalog().migrations.len();
    let variants = set.variants().into_iter().filter(|variant| engines.contains(&variant.engine()));
    let scripts = program.looking("compiling migrations", 0, compiled(set, variants)).await;
    let allowed: BTreeMap<String, BTreeMap<String, String>> =
        program.settings().migrations.iter().map(|(name, of)| (name.clone(), of.allow.clone())).collect();
    let is_whole_fleet = scratch::wanted(program, &Engines::default()).iter().all(|engine| engines.contains(engine));
    Subject { scripts, chosen: vec![true; all], is_new: vec![false; all], is_whole_fleet, allowed }
}

/// The scripts of both ways, by engine; one whose scripts differ by flavour is there twice.
pub(super) async fn compiled(
    set: &MigrationSet,
    variants: impl IntoIterator<Item = Variant>,
) -> Vec<(Engine, Vec<Pair>)> {
    let all = 0..set.catalog().migrations.len();
    let compile = async |variant: Variant| {
        let up = set.compile(variant, Direction::Up, all.clone(), Form::default()).await;
        let down = set.compile(variant, Direction::Down, all.clone(), Form::default()).await;
        let pairs = up.iter().zip(down.iter()).map(|(up, down)| Pair { up: up.clone(), down: down.clone() });
        (variant.engine(), pairs.collect())
    };
    futures_util::future::join_all(variants.into_iter().map(compile)).await
}
