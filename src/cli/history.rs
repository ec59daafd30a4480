//! `history` and `current`: the migrations with their spread over the fleet, one tenant's own history, and the version of
//! each tenant. They read and create nothing.

use std::sync::Arc;

use super::args::{Current, History};
use super::command::Run;
use super::exit::CliError;
use super::notes;
use super::setup::Program;
use crate::compile::MigrationSet;
use crate::ledger::Ledger;
use crate::model::observation::Observation;
use crate::model::schema::{MigrationNote, State};
use crate::model::tenant::Tenant;
use crate::report::history::{self, AppliedRow, CatalogRow};
use crate::run;

impl Run for Current {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        let set = program.set_to_look().await?;
        let observations = self.status.observe(program, &set).await?;
        let output = &self.status.read.output;
        output.deliver(&history::current(set.catalog(), &observations, output.format, &output.style(program)))?;
        Ok(self.status.code(program, &observations))
    }
}

impl Run for History {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        let set = program.set_to_look().await?;
        let selection = program.select(&self.read.selection).await?;
        let tenants: Vec<Arc<Tenant>> = selection.tenants().cloned().collect();
        let observations = program.observe(&set, &tenants).await;
        let (output, style) = (&self.read.output, self.read.output.style(program));
        let rows = described(&set);
        let text = match (tenants.as_slice(), observations.as_slice()) {
            _ if self.timeline => {
                history::timeline(&with_spread(&set, rows, &observations), &observations, output.format, &style)
            }
            ([tenant], [one]) if !self.read.selection.filter.tenants.is_empty() => {
                if one.state == State::Unreachable {
                    output.deliver(&history::current(set.catalog(), &observations, output.format, &style))?;
                    return Ok(100);
                }
                history::of_tenant(&applied(program, &set, tenant, one).await?, one, output.format, &style)
            }
            _ => history::spread(&with_spread(&set, rows, &observations), &observations, output.format, &style),
        };
        output.deliver(&text)?;
        Ok(0)
    }
}

/// The migrations with what is noted of them.
pub(super) fn described(set: &MigrationSet) -> Vec<CatalogRow> {
    let mut notes = notes::of(set);
    let mut row = |name: &Arc<str>| {
        let script = set.scripts().iter().find(|script| script.name == *name);
        let kind = script.map_or("rust", |script| script.kind.into());
        CatalogRow::new(name, kind, notes.remove(name).unwrap_or_default())
    };
    set.catalog().migrations.iter().map(&mut row).collect()
}

/// Counts the tenants that have each migration, and adds what only tenants have.
pub(super) fn with_spread(
    set: &MigrationSet,
    mut rows: Vec<CatalogRow>,
    observations: &[Observation],
) -> Vec<CatalogRow> {
    let catalog = set.catalog();
    for o in observations.iter().filter(|o| o.state != State::Unreachable) {
        let missing = catalog.missing(&o.history, o.variant());
        for (place, row) in rows.iter_mut().enumerate().take(catalog.migrations.len()) {
            row.have += usize::from(!missing.contains(&place));
        }
        if let State::Ahead { unknown } = &o.state {
            for name in unknown {
                let at = rows.iter().position(|row| row.name == *name);
                let at = at.unwrap_or_else(|| {
                    let description = Some("not known to this program".to_owned());
                    let note = MigrationNote { description, ..MigrationNote::default() };
                    rows.push(CatalogRow::new(name, "unknown", note));
                    rows.len() - 1
                });
                rows[at].have += 1;
            }
        }
    }
    rows
}

/// The entries of a tenant's own history in the order in which they were applied, each with the run that the ledger has
/// for it.
pub(super) async fn applied(
    program: &Program,
    set: &Arc<MigrationSet>,
    tenant: &Arc<Tenant>,
    observation: &Observation,
) -> Result<Vec<AppliedRow>, CliError> {
    let times = match observation.history.is_empty() {
        true => Vec::new(),
        false => run::observe_applied(tenant, &program.door(set), program.pace()).await.unwrap_or_default(),
    };
    let read = async |ledger: &Ledger| ledger.commits_of(&tenant.id).await.map_err(CliError::Ledger);
    let commits = program.read_ledger_if_any(read).await?.unwrap_or_default();
    let catalog = set.catalog();
    let row = |entry: &String| {
        let name = crate::model::schema::name_of(entry);
        let commit = commits.iter().find(|commit| commit.migrations.iter().any(|committed| committed == name));
        AppliedRow {
            name: name.to_owned(),
            known: catalog.position(name).is_some(),
            applied_at: times.iter().find(|(version, _)| version == name).map(|(_, at)| *at),
            run: commit.map(|commit| commit.run),
            by: commit.map(|commit| format!("{}@{}", commit.by.user, commit.by.host)).filter(|by| by.len() > 1),
        }
    };
    let mut rows: Vec<AppliedRow> = observation.history.iter().map(row).collect();
    rows.sort_by_key(|row| (row.applied_at, catalog.position(&row.name).unwrap_or(usize::MAX)));
    Ok(rows)
}
