//! Views that no longer fit the tables that they read: SQLite makes and keeps such a view without a word, and only who
//! reads it is refused.
//!
//! Reads only. What counts are tables that are missing, and columns that are missing, too many or in two tables: a function may
//! belong to the application.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use crate::engine::queries::Queries;
use crate::engine::{Work, literal};
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::{Direction, Script};
use crate::model::tenant::Engine;
use crate::sql::foreign_keys::mentions;
use crate::sql::{How, made, touched};

/// The views that repeatable scripts make in some steps, and those that read them.
pub(crate) struct ViewCheck {
    /// The names of the views, each with its script.
    made: BTreeMap<String, String>,
    /// The tables and views that later steps of the work make.
    later: BTreeSet<String>,
    /// The views that did not answer before the steps, with SQLite's reason.
    before: BTreeMap<String, String>,
}

impl ViewCheck {
    pub(super) fn of(work: &Work, steps: Range<usize>) -> Self {
        let scripts = work.steps[steps.clone()].iter().map(|step| &step.script);
        let repeatables = scripts.filter(|script| script.direction == Direction::Up && script.record.is_repeatable());
        let views = |script: &Arc<Script>| {
            let made = script.statements.iter().flat_map(|sql| made(Engine::Sqlite, sql));
            let views = made.filter(|made| made.kind.is_view_or_trigger());
            views.map(|made| (made.name, script.migration.to_string())).collect::<Vec<_>>()
        };
        let mut check =
            ViewCheck { made: repeatables.flat_map(views).collect(), later: BTreeSet::new(), before: BTreeMap::new() };
        if !check.made.is_empty() {
            let later = work.steps[steps.end..].iter().flat_map(|step| &step.script.statements);
            check.later = later.flat_map(|sql| made(Engine::Sqlite, sql)).map(|made| made.name).collect();
        }
        check
    }

    pub(super) async fn before(&mut self, tenant: &mut dyn Queries) -> Result<(), Fault> {
        self.before = self.look(tenant).await?;
        Ok(())
    }

    /// Fails if one of the views does not answer, unless a later step makes what it lacks.
    pub(super) async fn after(&self, tenant: &mut dyn Queries) -> Result<(), Fault> {
        let is_later = |why: &str| self.later.iter().any(|name| why.ends_with(&format!("no such table: main.{name}")));
        for (view, why) in self.look(tenant).await? {
            let script = self.made.get(&view);
            if is_later(&why.to_ascii_lowercase()) || script.is_none() && self.before.get(&view) == Some(&why) {
                continue;
            }
            let by = script.map(|script| format!(", which {script} makes,")).unwrap_or_default();
            let text = format!(
                "the view {view}{by} does not answer: {why}; it was rolled back. Let its script fit the tables as they are now, then \
                 run again"
            );
            return Err(Fault::new(FaultClass::Missing, text));
        }
        Ok(())
    }

    async fn look(&self, tenant: &mut dyn Queries) -> Result<BTreeMap<String, String>, Fault> {
        if self.made.is_empty() {
            return Ok(BTreeMap::new());
        }
        let reads = |name: &String| {
            let name = literal(Engine::Sqlite, name);
            format!("lower(name) = {name} OR instr(lower(sql), {name}) > 0")
        };
        let which = self.made.keys().map(reads).collect::<Vec<_>>().join(" OR ");
        unanswered(tenant, &which).await
    }
}

/// The views that work may take from under them what they read: a new column does so where a view names as many as it had.
pub(super) struct Endangered {
    /// The condition for them.
    which: String,
    /// Those that did not answer before the work, with SQLite's reason.
    before: BTreeMap<String, String>,
}

impl Endangered {
    /// Looks at them; `None` where the work takes nothing away.
    pub(super) async fn by(work: &Work, tenant: &mut dyn Queries) -> Option<Self> {
        let takes = |sql: &String| match mentions(sql, &["drop", "alter"]) {
            true => touched(Engine::Sqlite, sql),
            false => Vec::new(),
        };
        let touches = work.steps.iter().flat_map(|step| &step.script.statements).flat_map(takes);
        let taken = touches.filter(|touch| touch.how != How::Makes).map(|touch| touch.name);
        let taken: BTreeSet<String> = taken.collect();
        let which = (!taken.is_empty()).then(|| readers(&taken))?;
        let before = unanswered(tenant, &which).await.ok()?;
        Some(Endangered { which, before })
    }

    /// The views that the work has broken, in words.
    pub(super) async fn broken_since(&self, tenant: &mut dyn Queries) -> Vec<String> {
        let now = unanswered(tenant, &self.which).await.unwrap_or_default();
        let new = now.into_iter().filter(|(view, _)| !self.before.contains_key(view));
        new.map(|(view, why)| format!("the view {view} does not answer any more: {why}")).collect()
    }
}

/// The condition for the views that have one of these names in their texts, where a quote in a name is doubled, or that of such a
/// view; for all of them where their texts may write a name in another case than SQLite knows.
fn readers(names: &BTreeSet<String>) -> String {
    const MOST: usize = 100;
    if names.len() > MOST || !names.iter().all(|name| name.is_ascii()) {
        return "1".to_owned();
    }
    let names: Vec<String> = names.iter().map(|name| format!("({})", literal(Engine::Sqlite, name))).collect();
    format!(
        "lower(name) IN (WITH RECURSIVE taken (name) AS (VALUES {} UNION SELECT lower(v.name) FROM sqlite_master v, taken t WHERE \
         v.type = 'view' AND (instr(lower(v.sql), t.name) > 0 OR instr(replace(replace(lower(v.sql), '\"\"', '\"'), '``', '`'), t.name) > \
         0)) SELECT name FROM taken)",
        names.join(", ")
    )
}

/// SQLite's reasons why a view does not answer that come from the tables which it reads.
const OF_TABLES: [&str; 7] = [
    "no such table",
    "no such column",
    " columns for '",
    "ambiguous column name",
    "do not have the same number of result columns",
    "cannot join using column",
    "sub-select returns",
];

/// The views with this condition that do not answer because of the tables and columns that they read, in lower case.
async fn unanswered(tenant: &mut dyn Queries, which: &str) -> Result<BTreeMap<String, String>, Fault> {
    let views = format!("SELECT name FROM sqlite_master WHERE type = 'view' AND ({which})");
    let mut found = BTreeMap::new();
    for row in tenant.rows(views).await? {
        let view = row.must(0);
        // It is only prepared: no row is read. The plan of the query has a few rows, its program hundreds.
        let ask = format!("EXPLAIN QUERY PLAN SELECT * FROM main.{}", Engine::Sqlite.quote(&view));
        if let Err(fault) = tenant.run(ask).await {
            match fault.code.as_deref() {
                Some("1") if OF_TABLES.iter().any(|reason| fault.message.contains(reason)) => {
                    found.insert(view.to_lowercase(), fault.message);
                }
                Some("1") => {}
                _ => return Err(fault),
            }
        }
    }
    Ok(found)
}
