//! Compiled scripts as a run and a plan ask for them: one direction, each engine compiled on first use.
//!
//! It compiles nothing itself.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use super::around::{self, Around, Repeatable, Touching};
use super::variables::with_names;
use super::{Form, MigrationSet};
use crate::model::engine::{Variant, VariantMap};
use crate::model::schema::{Direction, Execution, Script};
use crate::model::tenant::Tenant;
use crate::sql::outside::{NamedSchema, written};
use crate::sql::server_wide::{ServerWide, server_wide};
use crate::sql::{Touch, touched};

/// The scripts of one direction for one engine.
#[derive(Debug, Clone)]
pub(crate) struct Scripts {
    /// The scripts by index in the catalog; `None` if the migration was not requested.
    scripts: Vec<Option<Arc<Script>>>,
    /// The objects that each of them touches, once anybody has asked.
    touches: Vec<OnceLock<Vec<Touch>>>,
    /// Their changes beside a tenant's schema, by the same index; read for the first tenant that is a schema.
    beside: Arc<Vec<OnceLock<Beside>>>,
}

/// The changes that the statements (from 0) of a script may make beside a tenant's schema.
#[derive(Debug, Clone)]
struct Beside {
    /// The schemas that they name.
    written: Vec<(usize, NamedSchema)>,
    /// Of things that are in no schema.
    wide: Vec<(usize, ServerWide)>,
}

impl Beside {
    fn of(script: &Script) -> Self {
        let engine = script.engine;
        let statements = || script.statements.iter().enumerate();
        let written = statements().flat_map(|(at, sql)| written(engine, sql).into_iter().map(move |named| (at, named)));
        let wide = statements().flat_map(|(at, sql)| server_wide(engine, sql).into_iter().map(move |one| (at, one)));
        Beside { written: written.collect(), wide: wide.collect() }
    }
}

impl Scripts {
    /// Scripts by index in the catalog.
    pub(super) fn new(scripts: Vec<Option<Arc<Script>>>) -> Self {
        let (touches, beside) = (vec![OnceLock::new(); scripts.len()], vec![OnceLock::new(); scripts.len()]);
        Scripts { scripts, touches, beside: Arc::new(beside) }
    }

    /// The objects that a script touches, as far as its text is known.
    fn touches(&self, index: usize, tenant: &Tenant) -> Cow<'_, [Touch]> {
        let touches = |statements: &[String]| statements.iter().flat_map(|sql| touched(tenant.engine, sql)).collect();
        if let Some(script) = self.get(index).filter(|script| script.has_variables) {
            return Cow::Owned(touches(&with_names(script, tenant)));
        }
        let read = || self.get(index).map(|script| touches(&script.statements)).unwrap_or_default();
        Cow::Borrowed(self.touches[index].get_or_init(read))
    }

    /// The script of a compiled migration.
    pub(crate) fn get(&self, index: usize) -> Option<&Arc<Script>> {
        self.scripts.get(index).and_then(Option::as_ref)
    }

    /// The first place where a script writes in a schema other than these (the tenant's own, and those that it shares), or changes
    /// what is in no schema, with its file and line: that belongs to all tenants of the database, or to another one.
    pub(crate) fn foreign_schema(&self, index: usize, own: &[&str]) -> Option<String> {
        let script = self.get(index)?;
        let beside = self.beside.get(index)?.get_or_init(|| Beside::of(script));
        let place = |at: usize| match &script.source {
            Some(source) => format!("{}:{}", source.file, source.lines.get(at).copied().unwrap_or(1)),
            None => format!("statement {}", at + 1),
        };
        let has_transaction = !matches!(script.execution, Execution::Compiled { transaction: false });
        if let Some((at, named)) = beside.written.iter().find(|(_, named)| !named.is_of(own, has_transaction)) {
            return Some(format!(
                "{}: `{}` {}, or name it in shared_schemas = [\"{}\"] of the tenant file if all tenants share it",
                place(*at),
                named.by,
                named.why(),
                named.schema
            ));
        }
        // The value of a variable is known when it runs.
        let schema = own.first().filter(|_| !script.has_variables)?;
        let (at, ServerWide { words, .. }) = beside.wide.iter().find(|(_, one)| !one.is_of(schema))?;
        Some(format!(
            "{}: `{words} …` changes what is in no schema and all tenants of the database share; do it once, outside of the scripts \
             (what has the tenant's schema as a word in its name is taken for the tenant's own)",
            place(*at)
        ))
    }

    /// The compiled scripts, in catalog order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Script>> {
        self.scripts.iter().flatten()
    }
}

/// The scripts of one run, compiled on first use: a run with nothing to apply compiles nothing.
pub(crate) struct LazyScripts {
    migrations: Arc<MigrationSet>,
    direction: Direction,
    wanted: std::ops::Range<usize>,
    force_native: bool,
    /// Plain, then online where the migrations ask for it, then where the tenants do.
    compiled: VariantMap<[tokio::sync::OnceCell<Arc<Scripts>>; 3]>,
    repeatables: VariantMap<OnceLock<Vec<Repeatable>>>,
}

impl LazyScripts {
    /// A set that has compiled nothing yet. `wanted` are indexes in the catalog.
    pub(crate) fn new(
        migrations: Arc<MigrationSet>,
        direction: Direction,
        wanted: std::ops::Range<usize>,
        force_native: bool,
    ) -> Self {
        LazyScripts {
            migrations,
            direction,
            wanted,
            force_native,
            compiled: VariantMap { mariadb: Some(Default::default()), ..VariantMap::default() },
            repeatables: VariantMap { mariadb: Some(OnceLock::new()), ..VariantMap::default() },
        }
    }

    /// The repeatable scripts to take down for these steps of a tenant, and to make again behind them.
    pub(crate) async fn around(&self, tenant: &Tenant, history: &[String], steps: &[usize]) -> Around {
        let (catalog, variant) = (self.migrations.catalog(), tenant.variant());
        let all = self.repeatables[variant].get_or_init(|| self.migrations.repeatables(variant));
        // On the way down, one that is rolled back itself stands in nobody's way.
        let is_step = |index: usize| self.direction == Direction::Down && steps.contains(&index);
        if all.is_empty() {
            return Around::default();
        }
        let there = catalog.applied(history);
        let is_applied = |r: &&Repeatable| there.contains(&r.index()) && !is_step(r.index());
        let applied: Vec<Cow<'_, Repeatable>> = all.iter().filter(is_applied).map(|r| r.of_tenant(tenant)).collect();
        let applied: Vec<&Repeatable> = applied.iter().map(AsRef::as_ref).collect();
        if applied.is_empty() {
            return Around::default();
        }
        let scripts = self.get(variant).await;
        let touching = |&index: &usize| Touching {
            index,
            migration: &catalog.migrations[index],
            is_repeatable: catalog.is_repeatable(index),
            touches: scripts.touches(index, tenant),
        };
        around::around(&applied, &steps.iter().map(touching).collect::<Vec<_>>())
    }

    /// The migrations to compile.
    pub(crate) fn migrations(&self) -> &Arc<MigrationSet> {
        &self.migrations
    }

    /// The scripts for a variant, none in its online form.
    pub(crate) async fn get(&self, variant: impl Into<Variant>) -> Arc<Scripts> {
        self.in_form(variant.into(), None).await
    }

    /// The scripts for a tenant, in the form that it is to have.
    pub(crate) async fn of(&self, tenant: &Tenant) -> Arc<Scripts> {
        self.in_form(tenant.variant(), Some(tenant.online.unwrap_or_default())).await
    }

    /// The scripts for a variant in one form; concurrent callers wait for the same compilation.
    pub(crate) async fn in_form(&self, variant: Variant, online: Option<bool>) -> Arc<Scripts> {
        let form = Form { native: self.force_native, online };
        let cell = &self.compiled[variant][online.map_or(0, |online| 1 + usize::from(online))];
        let compile =
            || async { Arc::new(self.migrations.compile(variant, self.direction, self.wanted.clone(), form).await) };
        cell.get_or_init(compile).await.clone()
    }
}
