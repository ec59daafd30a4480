//! Rows whose foreign keys refer to nothing: counted before a step and compared before its commit, so that no step takes
//! or orphans rows that it does not name.
//!
//! Reads only, but for triggers of the session that never act and show which tables were dropped.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use async_trait::async_trait;

use crate::engine::native::Check;
use crate::engine::queries::Queries;
use crate::engine::sqlite::SqliteSession;
use crate::engine::sqlite::apply::require;
use crate::engine::{errors, literal};
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::{Execution, Script};
use crate::model::tenant::Engine;
use crate::sql::dialect::syntax;
use crate::sql::foreign_keys::{ForeignKeys, mentions, replaced_in, set_columns, taken_from};
use crate::sql::{DdlEffect, SchemaObject, effect, mentions as names_in, split};

/// A check of a step's foreign keys.
#[derive(Default)]
pub(crate) enum KeyCheck {
    /// Foreign keys are on, and act by themselves.
    #[default]
    Nothing,
    /// Foreign keys are off: no row may refer to nothing that did not before.
    Orphans {
        before: Orphans,
        /// The tables that the step renames: the old and the new name.
        renames: Vec<(String, String)>,
    },
    /// Foreign keys are on and native code may drop any table: the rows that would go or change with one.
    Dependents(Vec<Dependent>),
}

impl KeyCheck {
    pub(super) fn of(script: &Script) -> Self {
        match syntax(script.engine).foreign_keys(&script.statements) {
            keys if keys.are_off() => {
                KeyCheck::Orphans { before: Orphans::default(), renames: renames(&script.statements) }
            }
            // The recording of native code ends where it asks the tenant.
            ForeignKeys::Unmentioned if matches!(script.execution, Execution::Native { .. }) => {
                KeyCheck::Dependents(Vec::new())
            }
            _ => KeyCheck::Nothing,
        }
    }

    /// The check of a step without a transaction, once it has looked: such a step can't be rolled back, so its rows are
    /// only counted.
    pub(super) async fn begun(mut self, tenant: &mut dyn Queries) -> Self {
        let counts = matches!(self, KeyCheck::Orphans { .. }) && self.before(tenant).await.is_ok();
        if counts { self } else { KeyCheck::Nothing }
    }

    /// As [`KeyCheck::of`], for a tenant that can be asked: keys stay on where nothing refers to the tables that lose rows,
    /// so that every ON DELETE and ON UPDATE of others acts.
    pub(super) async fn for_tenant(script: &Script, tenant: &mut SqliteSession) -> Self {
        if syntax(script.engine).foreign_keys(&script.statements) == ForeignKeys::TakesRows
            && let Some(tables) = taken_from(script.engine, &script.statements)
            && let Some(tables) = with_former_names(tables, &script.statements)
            && !hands_down(script, tenant).await
        {
            let names: Vec<String> = tables.iter().map(|table| literal(Engine::Sqlite, table)).collect();
            let refer = format!(
                "SELECT count(*) || '' FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table' \
                 AND lower(f.\"table\") IN ({})",
                names.join(", ")
            );
            // A tenant that does not answer is told where its transaction begins.
            if number(tenant, &refer).await.is_ok_and(|refer| refer == 0) {
                return KeyCheck::Nothing;
            }
        }
        if replaces_unseen(script, tenant).await {
            return KeyCheck::Orphans { before: Orphans::default(), renames: renames(&script.statements) };
        }
        KeyCheck::of(script)
    }

    /// The statement that fails if more rows refer to nothing than did before.
    pub(super) fn by_hand(&self) -> String {
        match self {
            KeyCheck::Orphans { before, .. } => {
                let before: u64 = before.rows.values().sum();
                require(&format!("(SELECT count(*) FROM pragma_foreign_key_check) <= {before}"))
            }
            _ => String::new(),
        }
    }

    /// The rows that refer to nothing after a step without a transaction, and did not before; in words.
    pub(super) async fn left(self, tenant: &mut dyn Queries) -> Option<String> {
        let KeyCheck::Orphans { before, renames } = self else { return None };
        Orphans::count(tenant).await.ok()?.worse_than(&before, &renames)
    }

    /// Whether the step runs with foreign keys on.
    pub(super) fn are_keys_on(&self) -> bool {
        !matches!(self, KeyCheck::Orphans { .. })
    }
}

/// The tables with the names that they have before and behind the renames of a script; `None`: one of them is not understood.
fn with_former_names(mut tables: BTreeSet<String>, statements: &[String]) -> Option<BTreeSet<String>> {
    let pieces = statements.iter().filter(|sql| mentions(sql, &["rename"])).flat_map(|sql| split(Engine::Sqlite, sql));
    let is_understood = |piece: &str| !mentions(piece, &["rename"]) || effect(Engine::Sqlite, piece).is_some();
    if !pieces.into_iter().all(|piece| is_understood(piece.text)) {
        return None;
    }
    let renames = renames(statements);
    let mut before = 0;
    while before < tables.len() {
        before = tables.len();
        for (from, to) in &renames {
            if tables.contains(from) || tables.contains(to) {
                tables.extend([from.clone(), to.clone()]);
            }
        }
    }
    Some(tables)
}

/// Whether what a script replaces may have triggers: each of their statements replaces rows too
/// (<https://www.sqlite.org/lang_createtrigger.html>).
async fn hands_down(script: &Script, tenant: &mut SqliteSession) -> bool {
    if !script.statements.iter().any(|sql| mentions(sql, &["replace"])) {
        return false;
    }
    let triggers = "SELECT count(*) || '' FROM sqlite_master WHERE type = 'trigger'";
    // A tenant that does not answer is told where its transaction begins.
    script.statements.iter().any(|sql| mentions(sql, &["trigger"]))
        || number(tenant, triggers).await.is_ok_and(|triggers| triggers > 0)
}

/// Whether a script that says nothing of foreign keys may replace rows without a word of it: by a trigger's body, or by the
/// `ON CONFLICT REPLACE` of a table. With foreign keys on, that would take the rows that refer to them.
async fn replaces_unseen(script: &Script, tenant: &mut SqliteSession) -> bool {
    let is_native = matches!(script.execution, Execution::Native { .. });
    let writes = is_native || script.statements.iter().any(|sql| mentions(sql, &["insert", "update", "delete"]));
    let is_unmentioned = || syntax(script.engine).foreign_keys(&script.statements) == ForeignKeys::Unmentioned;
    let makes = |sql: &&String| mentions(sql, &["trigger"]) && mentions(sql, &["replace"]);
    let own: BTreeSet<String> =
        script.statements.iter().filter(makes).flat_map(|sql| replaced_in(Engine::Sqlite, sql)).collect();
    if !writes || tenant.may_replace == Some(false) && own.is_empty() || !is_unmentioned() {
        return false;
    }
    let referred = "SELECT DISTINCT lower(f.\"table\") FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = \
                    'table' AND f.on_delete IN ('CASCADE', 'SET NULL', 'SET DEFAULT')";
    let replacing = "SELECT type, lower(name), lower(tbl_name), sql FROM sqlite_master WHERE type = 'trigger' AND sql LIKE \
                     '%replace%' OR type = 'table' AND sql LIKE '%on%conflict%replace%'";
    // A tenant that does not answer is told where its transaction begins.
    let Ok(replacing) = tenant.rows(replacing.to_owned()).await else { return false };
    tenant.may_replace = Some(!replacing.is_empty());
    if replacing.is_empty() && own.is_empty() {
        return false;
    }
    let Ok(referred) = tenant.rows(referred.to_owned()).await else { return false };
    let is_referred = |table: &String| referred.iter().any(|row| row.must(0) == *table);
    // The script's own trigger may name a table that it renames.
    let renames = || script.statements.iter().any(|sql| mentions(sql, &["rename"]));
    if own.iter().any(is_referred) || !own.is_empty() && !referred.is_empty() && renames() {
        return true;
    }
    let mut named = HashSet::new();
    script.statements.iter().for_each(|sql| names_in(Engine::Sqlite, sql, &mut named));
    replacing.iter().any(|row| {
        // A trigger's own statements may write to such a table too.
        let is_reached = is_native || named.contains(&row.must(2)) || row.must(0) == "table";
        let tables = match row.must(0).as_str() {
            "trigger" => replaced_in(Engine::Sqlite, &row.must(3)),
            _ => BTreeSet::from([row.must(1)]),
        };
        is_reached && tables.iter().any(is_referred)
    })
}

/// The fault of a commit that SQLite refused for a deferred foreign key, with rows that refer to nothing.
pub(super) async fn at_commit(fault: Fault, tenant: &mut dyn Queries) -> Fault {
    const ROWS: &str = "SELECT c.\"table\" || coalesce(' (rowid ' || c.rowid || ')', '') || ' by ' || group_concat(f.\"from\", ', ') || \
                        ' to ' || c.parent FROM pragma_foreign_key_check c JOIN pragma_foreign_key_list(c.\"table\") f ON f.id = \
                        c.fkid GROUP BY c.\"table\", c.rowid, c.fkid LIMIT 6";
    if fault.code.as_deref() != Some("787") {
        return fault;
    }
    let mut fault = errors::at_commit(fault);
    let rows: Vec<String> =
        tenant.rows(ROWS.to_owned()).await.unwrap_or_default().iter().map(|row| row.must(0)).collect();
    if !rows.is_empty() {
        let more = if rows.len() > 5 { " and more" } else { "" };
        let rows = rows.into_iter().take(5).collect::<Vec<_>>().join(", ");
        fault.message.push_str(&format!("; rows that refer to nothing: {rows}{more}"));
    }
    fault
}

/// The refusal of a script that runs with foreign keys off and changes a key that others follow with ON UPDATE.
pub(super) async fn relies_on_update(script: &Script, tenant: &mut dyn Queries) -> Option<Fault> {
    let set = set_columns(Engine::Sqlite, &script.statements);
    let is_said = syntax(script.engine).foreign_keys(&script.statements) == ForeignKeys::Off;
    if set.is_empty() || is_said {
        return None;
    }
    let followed = "SELECT m.name, lower(f.\"table\"), lower(coalesce(f.\"to\", (SELECT c.name FROM pragma_table_info(f.\"table\") c \
                    WHERE c.pk = f.seq + 1))), f.on_update FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE \
                    m.type = 'table' AND f.on_update IN ('CASCADE', 'SET NULL', 'SET DEFAULT')";
    let rows = tenant.rows(followed.to_owned()).await.ok()?;
    let row = rows.iter().find(|row| set.contains(&(row.must(1), row.must(2))))?;
    let (child, parent, column, action) = (row.must(0), row.must(1), row.must(2), row.must(3));
    let text = format!(
        "it updates {parent}.{column}, which {child} follows with ON UPDATE {action}, and it drops a table or replaces rows: such \
         a migration runs with foreign keys off, so that {child} would not follow. Put that UPDATE into a script of its own, \
         before or behind this one; nothing was touched"
    );
    Some(Fault::new(FaultClass::ConstraintViolation, text))
}

#[async_trait]
impl Check for KeyCheck {
    async fn before(&mut self, tenant: &mut dyn Queries) -> Result<(), Fault> {
        match self {
            KeyCheck::Nothing => {}
            KeyCheck::Orphans { before, .. } => *before = Orphans::count(tenant).await?,
            KeyCheck::Dependents(dependents) => *dependents = watch(tenant).await?,
        }
        Ok(())
    }

    async fn after(&mut self, tenant: &mut dyn Queries) -> Result<(), Fault> {
        match self {
            KeyCheck::Nothing => Ok(()),
            KeyCheck::Orphans { before, renames } => {
                let worse = Orphans::count(tenant).await?.worse_than(before, renames);
                worse.map_or(Ok(()), |why| Err(refused(&why)))
            }
            KeyCheck::Dependents(dependents) => unwatch(tenant, dependents).await,
        }
    }
}

/// Maximum number of rows that refer to nothing which are told apart.
const MOST_IDS: usize = 100_000;

/// The rows whose foreign keys refer to nothing.
#[derive(Debug, Default)]
pub(crate) struct Orphans {
    /// Their number by child and parent table.
    rows: BTreeMap<(String, String), u64>,
    /// The first of them, by child, parent and row id: one that was mended must not make room for a new one.
    ids: BTreeSet<(String, String, String)>,
    /// The tables whose foreign keys can't be checked, each with SQLite's reason.
    unchecked: BTreeMap<String, String>,
}

impl Orphans {
    pub(super) async fn count(tenant: &mut dyn Queries) -> Result<Self, Fault> {
        let query = |of: &str| {
            format!(
                "SELECT lower(\"table\"), lower(parent), CAST(count(*) AS TEXT) FROM pragma_foreign_key_check{of} GROUP BY \
                 1, 2"
            )
        };
        let mut orphans = Orphans::default();
        match tenant.rows(query("")).await {
            Ok(rows) => orphans.add(&rows),
            // One key that refers to columns which are not unique ends the whole check: then each table by itself.
            Err(fault) if is_mismatch(&fault) => {
                let names = "SELECT name FROM sqlite_master m WHERE type = 'table' AND EXISTS (SELECT 1 FROM \
                             pragma_foreign_key_list(m.name))";
                for row in tenant.rows(names.to_owned()).await? {
                    let name = row.must(0);
                    match tenant.rows(query(&format!("({})", literal(Engine::Sqlite, &name)))).await {
                        Ok(rows) => orphans.add(&rows),
                        Err(fault) if is_mismatch(&fault) => {
                            orphans.unchecked.insert(name.to_ascii_lowercase(), fault.message);
                        }
                        Err(fault) => return Err(fault),
                    }
                }
            }
            Err(fault) => return Err(fault),
        }
        if !orphans.rows.is_empty() && orphans.unchecked.is_empty() {
            let ids = format!(
                "SELECT lower(\"table\"), lower(parent), CAST(rowid AS TEXT) FROM pragma_foreign_key_check WHERE rowid IS \
                 NOT NULL LIMIT {MOST_IDS}"
            );
            orphans.ids = tenant.rows(ids).await?.iter().map(|row| (row.must(0), row.must(1), row.must(2))).collect();
        }
        Ok(orphans)
    }

    fn add(&mut self, rows: &[crate::engine::queries::TextRow]) {
        self.rows.extend(rows.iter().map(|row| ((row.must(0), row.must(1)), row.parse(2).unwrap_or(0))));
    }

    /// The reason, in words, why there are more of them than before.
    pub(super) fn worse_than(&self, before: &Orphans, renames: &[(String, String)]) -> Option<String> {
        let former = |name: &str| renames.iter().rfind(|(_, to)| to == name).map(|(from, _)| from.clone());
        let names = |name: &String| [Some(name.clone()), former(name)].into_iter().flatten();
        for ((child, parent), now) in &self.rows {
            let pairs = names(child).flat_map(|child| names(parent).map(move |parent| (child.clone(), parent)));
            let then = pairs.filter_map(|pair| before.rows.get(&pair).copied()).max().unwrap_or(0);
            if *now > then {
                let n = now - then;
                let (rows, refer) = if n == 1 { ("row", "refers") } else { ("rows", "refer") };
                return Some(format!("{n} {rows} of {child} {refer} to rows of {parent} that are not there"));
            }
        }
        // The rows of a table that was built anew may have other ids.
        let is_kept = |child: &String| !renames.iter().any(|(from, to)| from == child || to == child);
        let are_all = self.ids.len().max(before.ids.len()) < MOST_IDS;
        let new = self.ids.difference(&before.ids).find(|(child, parent, _)| {
            are_all && is_kept(child) && is_kept(parent) && before.rows.contains_key(&(child.clone(), parent.clone()))
        });
        if let Some((child, parent, id)) = new {
            return Some(format!("row {id} of {child} refers to a row of {parent} that is not there"));
        }
        let is_new = |(table, _): &(&String, &String)| !names(table).any(|name| before.unchecked.contains_key(&name));
        self.unchecked.iter().find(is_new).map(|(_, why)| why.clone())
    }
}

/// Whether SQLite can't check a foreign key at all: an error in SQL and no other.
fn is_mismatch(fault: &Fault) -> bool {
    fault.code.as_deref() == Some("1")
}

fn refused(why: &str) -> Fault {
    let text = format!(
        "{why} after this migration, so everything it did was rolled back. It drops a table, replaces rows or says PRAGMA \
         foreign_keys = OFF: such a migration runs with foreign keys off, and they are checked before its commit. Let it \
         delete or change those rows itself; build a table anew in this order: create the new one, copy, drop the old one, \
         rename the new one. What relies on ON DELETE goes into a script of its own"
    );
    Fault::new(FaultClass::ConstraintViolation, text)
}

/// The tables that statements rename.
fn renames(statements: &[String]) -> Vec<(String, String)> {
    let texts = statements.iter().filter(|sql| mentions(sql, &["rename"]));
    let effects = texts.flat_map(|sql| split(Engine::Sqlite, sql)).map(|piece| effect(Engine::Sqlite, piece.text));
    let renames = effects.filter_map(|effect| match effect {
        Some(DdlEffect::Renames(SchemaObject::Table(from), SchemaObject::Table(to))) => {
            Some((from.name.to_ascii_lowercase(), to.name.to_ascii_lowercase()))
        }
        _ => None,
    });
    renames.collect()
}

/// Rows that go or change when the rows that they refer to do.
#[derive(Debug)]
pub(crate) struct Dependent {
    child: String,
    parent: String,
    /// The query that counts the rows as they are meant to stay.
    count: String,
    rows: u64,
}

/// The trigger that shows whether the table it belongs to was dropped: it would go with it.
fn trigger(parent: &str) -> String {
    format!("fleet keeps {parent}")
}

/// Counts the dependent rows, and puts a trigger on each table that they refer to.
async fn watch(tenant: &mut dyn Queries) -> Result<Vec<Dependent>, Fault> {
    const KEYS: &str = "SELECT m.name, p.name, f.\"from\", f.on_delete, (SELECT c.dflt_value FROM pragma_table_info(m.name) c WHERE \
         c.name = f.\"from\" COLLATE NOCASE) FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f JOIN \
         sqlite_master p ON p.type = 'table' AND p.name = f.\"table\" COLLATE NOCASE WHERE m.type = 'table' AND \
         f.on_delete IN ('CASCADE', 'SET NULL', 'SET DEFAULT') AND m.name <> p.name AND p.rootpage > 0";
    let quote = |name: &str| Engine::Sqlite.quote(name);
    let mut dependents = Vec::new();
    for row in tenant.rows(KEYS.to_owned()).await? {
        let (child, parent) = (row.must(0), row.must(1));
        let stays = match row.must(3).as_str() {
            "CASCADE" => "1".to_owned(),
            "SET NULL" => format!("{} IS NOT NULL", quote(&row.must(2))),
            _ => format!("{} IS NOT ({})", quote(&row.must(2)), row.text(4).unwrap_or_else(|| "NULL".to_owned())),
        };
        let count = format!("SELECT CAST(count(*) AS TEXT) FROM main.{} WHERE {stays}", quote(&child));
        let rows = number(tenant, &count).await?;
        dependents.push(Dependent { child, parent, count, rows });
    }
    for parent in dependents.iter().map(|dependent| &dependent.parent).collect::<BTreeSet<_>>() {
        // It never acts, and goes with the connection.
        let trigger = quote(&trigger(parent));
        let on = quote(parent);
        tenant
            .run(format!("CREATE TEMP TRIGGER {trigger} AFTER DELETE ON main.{on} WHEN 0 BEGIN SELECT 1; END"))
            .await?;
    }
    Ok(dependents)
}

/// Fails if rows went or changed with a table that was dropped.
async fn unwatch(tenant: &mut dyn Queries, dependents: &[Dependent]) -> Result<(), Fault> {
    for dependent in dependents {
        let Dependent { child, parent, count, rows } = dependent;
        let name = literal(Engine::Sqlite, &trigger(parent));
        let is_kept =
            number(tenant, &format!("SELECT count(*) || '' FROM sqlite_temp_master WHERE name = {name}")).await?;
        // A child that is gone or has other columns was changed by the migration itself.
        let now = if is_kept > 0 { *rows } else { number(tenant, count).await.unwrap_or(*rows) };
        if now < *rows {
            let text = format!(
                "the migration dropped {parent}, and that deleted or changed {} of the {rows} rows of {child} that refer to \
                 it (ON DELETE), so everything it did was rolled back. Let it begin with PRAGMA foreign_keys = OFF, which \
                 keeps the rows of {child}; or with PRAGMA foreign_keys = ON, if they are meant to go",
                rows - now
            );
            return Err(Fault::new(FaultClass::ConstraintViolation, text));
        }
    }
    Ok(())
}

async fn number(tenant: &mut dyn Queries, sql: &str) -> Result<u64, Fault> {
    let rows = tenant.rows(sql.to_owned()).await?;
    Ok(rows.first().and_then(|row| row.parse(0)).unwrap_or(0))
}
