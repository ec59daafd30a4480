//! Repeatable scripts that stand in the way of other steps, or would be lost to them: they are taken down before those
//! steps and made again behind them.
//!
//! A decision from texts only: nothing here runs SQL, and a view that no repeatable script makes is not judged.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::folder::SqlScript;
use super::seal;
use super::variables::with_names;
use crate::model::engine::Variant;
use crate::model::schema::{Direction, Script};
use crate::model::tenant::Tenant;
use crate::sql::{How, Made, Touch, made, mentions, mentions_outside_texts, reads_all_columns, touched};

/// A repeatable script as a tenant gets it.
#[derive(Debug, Clone)]
pub(super) struct Repeatable {
    /// The index in the catalog.
    index: usize,
    up: Arc<Script>,
    /// Its own way down, if it has one.
    down: Option<Arc<Script>>,
    makes: Vec<Made>,
    /// The objects that its text drops before it makes them.
    drops: HashSet<String>,
    mentions: HashSet<String>,
    /// Of each routine that it makes the names that the engine itself knows it to need: those of its signature, and of a body
    /// that is no text.
    bound: HashMap<String, HashSet<String>>,
    /// Whether its text reads all columns of something.
    reads_all: bool,
}

/// The repeatable scripts to take down for the steps of one tenant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Around {
    /// The step before which they are taken down, as an index in the steps.
    pub(crate) at: usize,
    /// The scripts in the order in which they are taken down.
    pub(crate) taken: Vec<Taken>,
}

/// A repeatable script that is taken down.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    /// The index in the catalog.
    pub(crate) index: usize,
    pub(crate) down: Arc<Script>,
    pub(crate) up: Arc<Script>,
    /// The migration that it makes way for.
    pub(crate) because: Arc<str>,
    /// The object that this migration changes.
    pub(crate) object: String,
}

impl Around {
    /// The scripts that `is_wanted`, a line for each cause.
    pub(crate) fn in_words(&self, is_wanted: impl Fn(usize) -> bool) -> Vec<String> {
        const NAMED: usize = 5;
        let mut causes: Vec<(&Arc<str>, &str, Vec<&str>)> = Vec::new();
        for taken in self.taken.iter().rev().filter(|taken| is_wanted(taken.index)) {
            match causes.iter_mut().find(|(because, object, _)| **because == taken.because && *object == taken.object) {
                Some((_, _, names)) => names.push(&taken.up.migration),
                None => causes.push((&taken.because, &taken.object, vec![&taken.up.migration])),
            }
        }
        let line = |(because, object, names): (&Arc<str>, &str, Vec<&str>)| {
            let more = names.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let (are, some) = (if names.len() == 1 { "is" } else { "are" }, &names[..names.len().min(NAMED)]);
            format!("{}{more} {are} taken down and made again, because {because} changes {object}", some.join(", "))
        };
        causes.into_iter().map(line).collect()
    }
}

/// A step of a tenant, and the objects that its text touches.
pub(super) struct Touching<'a> {
    pub(super) index: usize,
    pub(super) migration: &'a Arc<str>,
    pub(super) is_repeatable: bool,
    pub(super) touches: Cow<'a, [Touch]>,
}

/// A place where a step touches an object.
struct Hit {
    /// The step, as an index in the steps.
    at: usize,
    /// The index in the catalog of the migration that touches it.
    by: usize,
    is_repeatable: bool,
    because: Arc<str>,
    touch: Touch,
}

impl Repeatable {
    pub(super) fn new(script: &SqlScript, index: usize, variant: Variant) -> Self {
        let up = Arc::new(seal::compile(script, variant, Direction::Up));
        let down = script.part(variant, Direction::Down);
        let down = down.map(|_| Arc::new(seal::compile(script, variant, Direction::Down)));
        let statements = &up.clone().statements;
        Repeatable::reading(statements, index, up, down)
    }

    /// The same with the names of a tenant's objects.
    pub(super) fn of_tenant(&self, tenant: &Tenant) -> Cow<'_, Self> {
        if !self.up.has_variables {
            return Cow::Borrowed(self);
        }
        let statements = with_names(&self.up, tenant);
        Cow::Owned(Repeatable::reading(&statements, self.index, self.up.clone(), self.down.clone()))
    }

    fn reading(statements: &[String], index: usize, up: Arc<Script>, down: Option<Arc<Script>>) -> Self {
        let (engine, mut all) = (up.engine, HashSet::new());
        statements.iter().for_each(|sql| mentions(engine, sql, &mut all));
        let touches = statements.iter().flat_map(|sql| touched(engine, sql));
        let drops = touches.filter(|t| t.how.is_drop()).map(|t| t.name).collect();
        let makes = statements.iter().flat_map(|sql| made(engine, sql)).collect();
        let reads_all = statements.iter().any(|sql| reads_all_columns(engine, sql));
        let mut bound: HashMap<String, HashSet<String>> = HashMap::new();
        for sql in statements {
            for routine in made(engine, sql).into_iter().filter(|made| made.kind.is_routine()) {
                mentions_outside_texts(engine, sql, bound.entry(routine.name).or_default());
            }
        }
        Repeatable { index, up, down, makes, drops, mentions: all, bound, reads_all }
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    fn makes(&self, name: &str) -> bool {
        self.makes.iter().any(|made| made.name == name)
    }

    /// Whether a touched object is one of its own, or one that it needs. Rows that it puts in, and rights that it
    /// grants, stay when a table is altered, and go with a table that is dropped.
    fn is_hit(&self, hit: &Hit) -> bool {
        let name = &hit.touch.name;
        // SQLite makes a view before what it reads, so that one may stand on a view whose script comes later.
        let any_order = self.up.engine.capabilities().views_stop_changes && !self.up.engine.capabilities().server;
        let order = hit.by != self.index && (!hit.is_repeatable || hit.by < self.index || any_order);
        let is_seen = match hit.touch.how {
            How::Widens => !self.makes.is_empty() && self.reads_all,
            How::Alters => !self.makes.is_empty(),
            How::Drops | How::DropsIfThere | How::Makes => true,
        };
        let needs = self.mentions.contains(name) && is_seen;
        order && (self.makes(name) || needs)
    }

    /// The script that takes it down before these hits.
    fn taken_down(&self, hits: &[Hit]) -> Arc<Script> {
        if let Some(down) = &self.down {
            return down.clone();
        }
        let first = hits.iter().position(|hit| self.is_hit(hit));
        // An object that a version drops or alters by its name, before anything else, must be there for it.
        let is_left = |made: &Made| {
            let own = hits.iter().position(|hit| !hit.is_repeatable && hit.touch.name == made.name);
            own.is_some() && own == first && own.is_some_and(|i| matches!(hits[i].touch.how, How::Drops | How::Alters))
        };
        let stops = self.up.engine.capabilities().views_stop_changes;
        // A table goes only after the routines that the engine knows to need it.
        let goes = |name: &String| hits.iter().any(|hit| hit.touch.name == *name && hit.touch.how.is_drop());
        let is_bound = |made: &Made| stops && self.bound.get(&made.name).is_some_and(|needs| needs.iter().any(goes));
        let is_replaced = |made: &Made| made.replaces || self.drops.contains(&made.name);
        let is_dropped = |made: &&Made| {
            let is_in_the_way = stops && made.kind.is_view_or_trigger();
            (is_in_the_way || is_bound(made) || !is_replaced(made)) && !is_left(made)
        };
        let statements = self.makes.iter().rev().filter(is_dropped).filter_map(|made| made.drop(&self.makes)).collect();
        Arc::new(seal::taken_down(&self.up, statements))
    }
}

/// Works out which of the applied repeatable scripts are to be taken down for these steps.
pub(super) fn around(applied: &[&Repeatable], steps: &[Touching<'_>]) -> Around {
    let hit = |at: usize, step: &Touching<'_>, touch: &Touch| Hit {
        at,
        by: step.index,
        is_repeatable: step.is_repeatable,
        because: step.migration.clone(),
        touch: touch.clone(),
    };
    let of_step =
        |(at, step): (usize, &Touching<'_>)| step.touches.iter().map(|t| hit(at, step, t)).collect::<Vec<_>>();
    let mut hits: Vec<Hit> = steps.iter().enumerate().flat_map(of_step).collect();
    let direct = hits.len();
    let mut taken: BTreeMap<usize, (usize, Arc<str>, String)> = BTreeMap::new();
    // An object of a script that is taken down takes those with it that need it.
    while let Some((repeatable, found)) = applied.iter().find_map(|repeatable| {
        let own = steps.iter().position(|step| step.index == repeatable.index).unwrap_or(steps.len());
        let is_new = !taken.contains_key(&repeatable.index);
        let found = hits.iter().find(|hit| is_new && hit.at < own && repeatable.is_hit(hit))?;
        Some((repeatable, (found.at, found.because.clone(), found.touch.name.clone())))
    }) {
        let gone = repeatable.makes.iter().map(|made| Hit {
            at: found.0,
            by: repeatable.index,
            is_repeatable: true,
            because: found.1.clone(),
            touch: Touch { name: made.name.clone(), how: How::Makes },
        });
        hits.extend(gone.collect::<Vec<_>>());
        taken.insert(repeatable.index, found);
    }
    let at = taken.values().map(|(at, ..)| *at).min().unwrap_or(0);
    let one = |repeatable: &&Repeatable| {
        let (_, because, object) = taken.get(&repeatable.index)?.clone();
        let down = repeatable.taken_down(&hits[..direct]);
        Some(Taken { index: repeatable.index, down, up: repeatable.up.clone(), because, object })
    };
    Around { at, taken: applied.iter().rev().filter_map(one).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::MigrationSet;
    use crate::compile::folder;
    use crate::model::engine::Engine;
    use crate::model::tenant::Address;

    /// The scripts that are taken down for a tenant that lacks these, or has them with another text if they are
    /// repeatable.
    async fn of(engine: Engine, files: &[(&str, &str)], missing: &[&str]) -> Vec<String> {
        struct None;
        impl sea_orm_migration::MigratorTrait for None {
            fn migrations() -> Vec<Box<dyn sea_orm_migration::MigrationTrait>> {
                Vec::new()
            }
        }
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let set = MigrationSet::new(&None).await.unwrap().with_scripts(folder::read(dir.path()).unwrap()).unwrap();
        let catalog = set.catalog().clone();
        let is_missing = |name: &str| missing.contains(&name);
        let entry = |i: usize| {
            let name = &catalog.migrations[i];
            let checksum = catalog.script(i).unwrap().checksums[engine.into()].clone();
            let edited = if is_missing(name) { "edited" } else { &*checksum };
            let is_there = catalog.is_repeatable(i) || !is_missing(name);
            is_there.then(|| crate::model::schema::history_entry(name, Some(edited)))
        };
        let history: Vec<String> = (0..catalog.migrations.len()).filter_map(entry).collect();
        let steps = catalog.missing(&history, engine);
        let lazy = super::super::LazyScripts::new(Arc::new(set), Direction::Up, 0..catalog.migrations.len(), false);
        let around = lazy.around(&tenant(engine), &history, &steps).await;
        let line = |t: &Taken| format!("{}@{}: {}", t.down.migration, around.at, t.down.statements.join("; "));
        around.taken.iter().map(line).collect()
    }

    /// A tenant of the region "North Sea".
    fn tenant(engine: Engine) -> Tenant {
        Tenant {
            tags: [("region".to_owned(), "North Sea".to_owned())].into(),
            ..Tenant::apart("t", engine, Address::Unusable(String::new()))
        }
    }

    #[tokio::test]
    async fn a_table_behind_a_variable_is_the_one_that_a_tenant_has() {
        let alter = ("0003_x.sql", "-- fleet: variables\nALTER TABLE {{name:tag.region}} DROP COLUMN due");
        let plain = ("0003_x.sql", "ALTER TABLE `North Sea` DROP COLUMN due");
        let reads = ("R__sea.sql", "CREATE OR REPLACE VIEW sea AS SELECT id FROM `North Sea`");
        let asks =
            ("R__sea.sql", "-- fleet: variables\nCREATE OR REPLACE VIEW sea AS SELECT id FROM {{name:tag.region}}");
        for (step, view) in [(alter, reads), (plain, asks), (alter, asks)] {
            assert_eq!(of(Engine::Mysql, &[step, view], &["0003_x"]).await.len(), 1, "{step:?} {view:?}");
        }
        let makes = ("R__sea.sql", "-- fleet: variables\nCREATE VIEW {{name:tag.region}} AS SELECT id FROM bills");
        let drop = ("0003_x.sql", "ALTER TABLE bills DROP COLUMN due");
        let taken = of(Engine::Postgres, &[BILLS, drop, makes], &["0003_x"]).await;
        assert_eq!(taken, ["R__sea@0: DROP VIEW IF EXISTS \"North Sea\""]);
    }

    const BILLS: (&str, &str) = ("0002_bills.sql", "CREATE TABLE bills (id int, amount int, paid int)");
    const VIEW: (&str, &str) = (
        "R__open_bills.sql",
        "DROP VIEW IF EXISTS open_bills; CREATE VIEW open_bills AS SELECT id, amount FROM bills WHERE paid = 0",
    );

    #[tokio::test]
    async fn a_view_is_taken_down_for_a_change_of_its_table_and_for_nothing_else() {
        let other = ("0003_other.sql", "CREATE TABLE other (id int)");
        let alter = ("0004_alter.sql", "ALTER TABLE bills DROP COLUMN due");
        let wider = ("0005_wider.sql", "ALTER TABLE bills ADD due int");
        for engine in Engine::ALL {
            assert_eq!(of(engine, &[BILLS, other, VIEW], &["0003_other"]).await, [""; 0]);
            assert_eq!(of(engine, &[BILLS, wider, VIEW], &["0005_wider"]).await, [""; 0]);
            let all = of(engine, &[BILLS, other, alter, VIEW], &["0003_other", "0004_alter"]).await;
            let drops = if engine == Engine::Mysql { "" } else { "DROP VIEW IF EXISTS open_bills" };
            assert_eq!(all, [format!("R__open_bills@1: {drops}")]);
        }
    }

    #[tokio::test]
    async fn a_routine_goes_before_a_table_that_the_engine_knows_it_to_need() {
        let anew = ("0003_anew.sql", "DROP TABLE bills; CREATE TABLE bills (id int)");
        let alter = ("0003_anew.sql", "ALTER TABLE bills DROP COLUMN due");
        let head = "DROP FUNCTION IF EXISTS f; CREATE FUNCTION f()";
        let atomic = format!("{head} RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM bills; END");
        let rows = format!("{head} RETURNS SETOF bills LANGUAGE sql AS 'SELECT * FROM bills'");
        let text = format!("{head} RETURNS bigint LANGUAGE sql AS $$SELECT count(*) FROM bills$$");
        for (function, step, drop) in [
            (&atomic, anew, "DROP FUNCTION IF EXISTS f"),
            (&rows, anew, "DROP FUNCTION IF EXISTS f"),
            (&text, anew, ""),
            (&atomic, alter, ""),
        ] {
            let taken = of(Engine::Postgres, &[BILLS, step, ("R__f.sql", function)], &["0003_anew"]).await;
            assert_eq!(taken, [format!("R__f@0: {drop}")], "{function} {}", step.1);
        }
    }

    #[tokio::test]
    async fn a_view_that_a_version_drops_by_its_name_is_left_for_it() {
        let drop = ("0003_drop.sql", "DROP VIEW open_bills; ALTER TABLE bills ADD due int");
        assert_eq!(of(Engine::Sqlite, &[BILLS, drop, VIEW], &["0003_drop"]).await, ["R__open_bills@0: "]);
        let later = ("0003_drop.sql", "ALTER TABLE bills ADD due int; DROP VIEW IF EXISTS open_bills");
        assert_eq!(
            of(Engine::Sqlite, &[BILLS, later, VIEW], &["0003_drop"]).await,
            ["R__open_bills@0: DROP VIEW IF EXISTS open_bills"]
        );
    }

    #[tokio::test]
    async fn a_script_on_top_of_another_goes_with_it_and_before_it() {
        let base = ("R__base.sql", "DROP VIEW IF EXISTS base CASCADE; CREATE VIEW base AS SELECT 1 AS a");
        let child = ("R__child.sql", "CREATE OR REPLACE VIEW child AS SELECT a FROM base");
        let grant = ("R__grant.sql", "GRANT SELECT ON child TO reader");
        let files = [BILLS, base, child, grant];
        assert_eq!(
            of(Engine::Postgres, &files, &["R__base"]).await,
            ["R__grant@0: ", "R__child@0: DROP VIEW IF EXISTS child"]
        );
        assert_eq!(of(Engine::Postgres, &files, &["R__grant"]).await, [""; 0]);
    }

    #[tokio::test]
    async fn on_sqlite_a_view_may_stand_on_one_whose_script_comes_later() {
        let early = ("R__a.sql", "DROP VIEW IF EXISTS a; CREATE VIEW a AS SELECT count(*) AS n FROM open_bills");
        let alter = ("0003_alter.sql", "ALTER TABLE bills DROP COLUMN due");
        let taken = of(Engine::Sqlite, &[BILLS, alter, early, VIEW], &["0003_alter"]).await;
        assert_eq!(taken, ["R__open_bills@0: DROP VIEW IF EXISTS open_bills", "R__a@0: DROP VIEW IF EXISTS a"]);
    }

    #[tokio::test]
    async fn rows_of_a_script_are_put_in_again_only_when_the_table_went() {
        let rows = ("R__rows.sql", "DELETE FROM bills; INSERT INTO bills VALUES (1, 2, 3)");
        let alter = ("0003_alter.sql", "ALTER TABLE bills ADD due int");
        assert_eq!(of(Engine::Postgres, &[BILLS, alter, rows], &["0003_alter"]).await, [""; 0]);
        let anew = ("0003_anew.sql", "DROP TABLE bills; CREATE TABLE bills (id int, amount int, paid int)");
        assert_eq!(of(Engine::Postgres, &[BILLS, anew, rows], &["0003_anew"]).await, ["R__rows@0: "]);
    }
}
