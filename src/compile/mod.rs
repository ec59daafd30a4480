//! Compiles migrations to scripts: each is run against a recorder, and the SQL that it sends is kept.
//!
//! No database is accessed. A migration that can't be compiled safely is marked to run natively, with the reason.

mod around;
mod entities;
pub(crate) mod folder;
mod moment;
mod online;
mod purity;
mod recorder;
mod scripts;
mod seal;
mod squash;
mod values;
mod variables;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sea_orm::DbBackend;
use sea_orm_migration::{MigrationTrait, MigratorTraitSelf};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;

use crate::model::engine::{Capabilities, Engine, EngineMap, Flavour, Variant};
use crate::model::health::NeededExtension;
use crate::model::schema::{Catalog, Direction, Execution, HistoryChange, NativeReason, Record, Script, Unfinished};
use crate::model::text::hex;
use crate::policy::Limits;
use crate::sql::transaction::{Hindrance, hindrance};
use crate::sql::{MadeKind, made};

use around::Repeatable;

pub(crate) use around::Around;
pub use entities::Entities;
pub(crate) use folder::batches::{Left, left};
use folder::{SqlFolder, SqlScript};
use moment::Span;
pub(crate) use online::refused_online;
use purity::Judgement;
use recorder::Recording;
pub(crate) use recorder::{note_panic, panic_place, panic_text};
pub(crate) use scripts::{LazyScripts, Scripts};
pub use sea_orm_migration::MigratorTraitSelf as Migrator;
pub(crate) use seal::View;

/// Recordings that were made once and not compiled yet, by the index of the migration, each with the span of time in which it was made.
type FirstRecordings = HashMap<usize, Arc<(Recording, Span)>>;

/// The migrations of one program, and their catalog.
pub(crate) struct MigrationSet {
    catalog: Arc<Catalog>,
    migrations: Vec<Arc<dyn MigrationTrait>>,
    /// The recorded statement that creates the history table, by engine.
    install: EngineMap<String>,
    /// The SQL scripts after the migrations.
    folder: SqlFolder,
    views: Vec<View>,
    /// The operator's word on the online form of single migrations, by name.
    online: HashMap<Arc<str>, bool>,
    /// The scripts that were compiled so far, by engine.
    compiled: EngineMap<Mutex<Compiled>>,
    /// The first recordings of ways up that no script was compiled from yet, by engine and index.
    recorded_up: EngineMap<Mutex<FirstRecordings>>,
    /// The names of all views that the migrations make, once the online form asked for them.
    view_names: EngineMap<OnceCell<BTreeSet<String>>>,
}

/// The form in which migrations are compiled.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Form {
    /// As Rust code, although they could be compiled.
    pub(crate) native: bool,
    /// In the online form, unless a migration itself says otherwise; `None`: in none, whatever they say.
    pub(crate) online: Option<bool>,
}

/// Scripts by direction, index in the catalog, and the flavour of the servers that they are for, if not for both.
type Compiled = HashMap<(Direction, usize, Option<Flavour>), Arc<Script>>;

/// The wait after which a clock with a resolution of seconds has advanced for certain.
const NEXT_SECOND: Duration = Duration::from_millis(1_100);

/// The wait after which a clock with a resolution of milliseconds has advanced for certain.
const NEXT_MILLISECOND: Duration = Duration::from_millis(2);

/// The reason why a migrator can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CompileError {
    /// Two migrations share a name, so one history row would represent both.
    #[error("two migrations are named '{0}'; give one of them another name (the history could not tell them apart)")]
    DuplicateName(String),
    /// A name that can't be stored in the history table.
    #[error("a migration has an unusable name ({0:?}); a name has 1 to 255 characters and no control characters")]
    UnusableName(String),
    /// A migration replaces what it can't replace.
    #[error("{migration} says that it replaces {part}, {why}; take one of the two out")]
    Replaces {
        /// The migration that replaces others.
        migration: String,
        /// One of those others.
        part: String,
        /// The reason.
        why: &'static str,
    },
    /// A script replaces what can be no script.
    #[error(
        "{migration} says that it replaces {part}, which is no name of a script; write it as the history has it{near}"
    )]
    ReplacesNoName {
        /// The migration that replaces others.
        migration: String,
        /// The name.
        part: String,
        /// A name that is near, or an example.
        near: String,
    },
    /// A squash is not the same one on each engine.
    #[error(
        "{migration} replaces others, and on {variant} {what}; write the same `replaces` into a part for each \
         engine, also one without a statement"
    )]
    ReplacesInPart {
        /// The migration that replaces others.
        migration: String,
        /// Its file that names others, or that there is none.
        what: String,
        /// The servers that it is for.
        variant: Variant,
    },
    /// The migrator's own `install` does more than create the history table.
    #[error("the statement that creates the history table could not be recorded for {engine}: {reason}")]
    Install {
        /// The engine.
        engine: Engine,
        /// The recorder's finding.
        reason: String,
    },
}

impl MigrationSet {
    /// Reads a migrator: its migrations in order, its history table, and the statement that creates the table.
    ///
    /// # Errors
    /// [`CompileError`] for duplicate or unusable names, or an `install` that can't be recorded.
    pub(crate) async fn new<M: MigratorTraitSelf>(migrator: &M) -> Result<Self, CompileError> {
        let migrations: Vec<Arc<dyn MigrationTrait>> = migrator.migrations().into_iter().map(Arc::from).collect();
        let mut seen = HashSet::new();
        for migration in &migrations {
            let name = migration.name();
            if name.is_empty() || name.chars().count() > 255 || name.chars().any(char::is_control) {
                return Err(CompileError::UnusableName(name.to_owned()));
            }
            if !seen.insert(name.to_owned()) {
                return Err(CompileError::DuplicateName(name.to_owned()));
            }
        }
        let mut install = EngineMap::<String>::default();
        for engine in Engine::ALL {
            let recorder = recorder::Recorder::new(backend(engine), 0);
            let failed = migrator.install(&recorder.connection()).await.err().map(|e| e.to_string());
            match (failed, recorder.take().as_slice()) {
                (None, [recorder::Op::Execute(sql)]) => install[engine].clone_from(sql),
                (failed, ops) => {
                    let reason = failed.unwrap_or_else(|| format!("{} calls instead of one", ops.len()));
                    return Err(CompileError::Install { engine, reason });
                }
            }
        }
        let catalog = Catalog::new(migrations.iter().map(|m| m.name()), &migrator.migration_table_name().to_string());
        Ok(MigrationSet {
            catalog: Arc::new(catalog),
            migrations,
            install,
            folder: SqlFolder::default(),
            views: Vec::new(),
            online: HashMap::new(),
            compiled: EngineMap::default(),
            recorded_up: EngineMap::default(),
            view_names: EngineMap::default(),
        })
    }

    /// The same migrations followed by SQL scripts.
    ///
    /// # Errors
    /// [`CompileError`] when a script has the name of a migration, or replaces what it can't.
    pub(crate) fn with_scripts(mut self, folder: SqlFolder) -> Result<Self, CompileError> {
        let mut catalog = Catalog::new(self.migrations.iter().map(|m| m.name()), &self.catalog.history_table);
        for script in &folder.scripts {
            if self.catalog.position(&script.name).is_some() {
                return Err(CompileError::DuplicateName(script.name.to_string()));
            }
            catalog.migrations.push(script.name.clone());
            catalog.scripts.push(seal::entry(script));
        }
        let first = self.migrations.len();
        for (number, script) in folder.scripts.iter().enumerate().filter(|(_, script)| !script.replaces().is_empty()) {
            squash::replaces_on_each(script, &folder)?;
            squash::replace(&mut catalog, first + number, script.replaces())?;
        }
        self.views = seal::views(&folder, self.migrations.len());
        (self.catalog, self.folder) = (Arc::new(catalog), folder);
        Ok(self)
    }

    /// The same migrations, of which these replace others, by name.
    ///
    /// # Errors
    /// [`CompileError::Replaces`] when one replaces what it can't. A name that no migration has is ignored.
    pub(crate) fn with_replaced<'a>(
        mut self,
        replaces: impl Iterator<Item = (&'a str, &'a [String])>,
    ) -> Result<Self, CompileError> {
        let mut catalog = Catalog::clone(&self.catalog);
        for (name, parts) in replaces.filter(|(_, parts)| !parts.is_empty()) {
            if let Some(place) = catalog.position(name) {
                squash::replace(&mut catalog, place, parts.iter().map(|part| Arc::from(part.as_str())).collect())?;
            }
        }
        self.catalog = Arc::new(catalog);
        Ok(self)
    }

    /// The same migrations, of which the operator wants these in their online form, or not in it.
    pub(crate) fn with_online(self, online: impl Iterator<Item = (Arc<str>, bool)>) -> Self {
        MigrationSet { online: online.collect(), ..self }
    }

    /// The views that the SQL scripts create and that can be refreshed, in catalog order.
    pub(crate) fn views(&self) -> &[View] {
        &self.views
    }

    /// The names of the tables and views that the SQL scripts derive from other tables and that a refresh replaces.
    pub(crate) fn derived(&self) -> Vec<String> {
        self.views.iter().map(|view| view.name.clone()).collect()
    }

    /// The PostgreSQL extensions that the migrations create, by name, each with the first migration that creates it.
    /// Rust code is recorded once and not checked for purity, which takes negligible time.
    pub(crate) async fn extensions(&self) -> Vec<NeededExtension> {
        let mut found: BTreeMap<String, NeededExtension> = BTreeMap::new();
        for (index, (extension, is_optional)) in
            self.read_up(|can| can.extensions, crate::sql::extension::created).await
        {
            let migration = self.catalog.migrations[index].to_string();
            let needed = NeededExtension { name: extension.clone(), migration, is_optional };
            // A required extension takes precedence over an optional one.
            let known = found.entry(extension).or_insert_with(|| needed.clone());
            if known.is_optional && !is_optional {
                *known = needed;
            }
        }
        found.into_values().collect()
    }

    /// The MySQL and MariaDB privileges that the migrations need beyond those that all of them need; each once.
    pub(crate) async fn rights(&self) -> Vec<&'static str> {
        let found = self.read_up(|can| can.single_privileges, crate::sql::rights::needed).await;
        found.into_iter().map(|(_, right)| right).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The results of `read` for the statements of the migrations' up direction, on the engines that `have` it, each with the
    /// migration's index.
    async fn read_up<T>(&self, have: fn(&Capabilities) -> bool, read: fn(Engine, &str) -> Vec<T>) -> Vec<(usize, T)> {
        let mut found = Vec::new();
        for variant in self.variants().into_iter().filter(|variant| have(variant.engine().capabilities())) {
            for (index, statements) in self.statements_up(variant).await.iter().enumerate() {
                let all = statements.iter().flat_map(|sql| read(variant.engine(), sql));
                found.extend(all.map(|read| (index, read)));
            }
        }
        found
    }

    /// The statements of each migration's up direction, as far as a single recording shows.
    async fn statements_up(&self, variant: Variant) -> Vec<Vec<String>> {
        let rust: Vec<usize> = (0..self.migrations.len()).collect();
        let rust = self.first_recordings(&rust, (variant.engine(), Direction::Up)).await;
        let of_script = |script: &SqlScript| {
            let part = script.up.get(variant);
            part.map_or_else(Vec::new, |part| part.statements.iter().map(|s| s.sql.clone()).collect())
        };
        let rust = rust.iter().map(|first| first.0.statements());
        rust.chain(self.folder.scripts.iter().map(of_script)).collect()
    }

    /// Whether a script differs between MySQL and MariaDB, so that no tenant of theirs can be judged before its server has
    /// said which of them it is.
    pub(crate) fn has_flavours(&self) -> bool {
        self.folder.scripts.iter().any(SqlScript::has_flavours)
    }

    /// The variants that differ.
    pub(crate) fn variants(&self) -> Vec<Variant> {
        let is_own = |variant: &Variant| *variant != Variant::MariaDb || self.has_flavours();
        Variant::ALL.into_iter().filter(is_own).collect()
    }

    pub(crate) fn scripts(&self) -> &[SqlScript] {
        &self.folder.scripts
    }

    /// The SQL script at an index in the catalog; `None` for a Rust migration.
    fn sql_script(&self, index: usize) -> Option<&SqlScript> {
        self.folder.scripts.get(index.checked_sub(self.migrations.len())?)
    }

    /// The script that only records an SQL script's current checksum; `None` for a Rust migration.
    pub(crate) fn acceptance(&self, index: usize, variant: Variant) -> Option<Script> {
        self.sql_script(index).map(|script| seal::acceptance(script, variant))
    }

    /// The script that only removes a name from the table of applied scripts.
    pub(crate) fn forgetting(&self, name: &str, engine: Engine) -> Script {
        seal::forgetting(name, engine)
    }

    /// The script that only changes rows of the history, so that a tenant counts as at this version.
    pub(crate) fn recording(&self, version: &str, change: HistoryChange, engine: Engine) -> Script {
        seal::recording(version, change, engine)
    }

    /// The time limits of single migrations, by index in the catalog and variant: first the operator's, configured by
    /// name, then those in the SQL script itself. Names that match no migration are ignored.
    pub(crate) fn limits(
        &self,
        direction: Direction,
        configured: impl Fn(&str) -> Limits,
    ) -> HashMap<(usize, Variant), Limits> {
        let mut all = HashMap::new();
        for (index, name) in self.catalog.migrations.iter().enumerate() {
            let named = configured(name);
            for variant in Variant::ALL {
                let part = self.sql_script(index).and_then(|script| script.part(variant, direction));
                let limits = named.or(part.map(|part| part.limits).unwrap_or_default());
                if limits != Limits::default() {
                    all.insert((index, variant), limits);
                }
            }
        }
        all
    }

    /// The catalog of these migrations.
    pub(crate) fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// The migration at an index in the catalog.
    pub(crate) fn migration(&self, index: usize) -> &Arc<dyn MigrationTrait> {
        &self.migrations[index]
    }

    /// The statement that creates the history table if it is missing.
    pub(crate) fn install(&self, engine: Engine) -> &str {
        &self.install[engine]
    }

    /// The history record of a migration of this name in a tenant's database.
    pub(crate) fn record(&self, name: &str, variant: Variant) -> Record {
        match self.catalog.position(name).and_then(|index| self.sql_script(index)) {
            Some(script) => seal::record(script, variant),
            None => Record::Migration,
        }
    }

    /// The script that this program has for an unfinished migration, if any.
    pub(crate) async fn script_of(&self, variant: Variant, unfinished: &Unfinished) -> Option<Arc<Script>> {
        let place = self.catalog.position(&unfinished.migration)?;
        let compile = async |form| {
            let scripts = self.compile(variant, unfinished.direction, place..place + 1, form).await;
            scripts.get(place).cloned()
        };
        let plain = compile(Form::default()).await?;
        if plain.sha256 == unfinished.sha256 {
            return Some(plain);
        }
        // Its journal counts the statements of the form in which it was begun, whatever the operator says by now.
        let views = self.view_names[variant.engine()].get_or_init(|| self.views_made(variant.engine())).await;
        let online = online::online(&plain, views);
        let online = if online.sha256 == unfinished.sha256 { online } else { plain };
        Some(online)
    }

    /// The scripts of the migrations in `wanted` in one direction for one variant. Each is compiled once a process.
    pub(crate) async fn compile(
        &self,
        variant: impl Into<Variant>,
        direction: Direction,
        wanted: std::ops::Range<usize>,
        form: Form,
    ) -> Scripts {
        let variant = variant.into();
        let engine = variant.engine();
        let mut compiled = self.compiled[engine].lock().await;
        let all = self.catalog.migrations.len();
        let key = |index: usize| (direction, index, self.sql_script(index).and_then(|script| script.flavour(variant)));
        let is_new = |index: &usize| !compiled.contains_key(&key(*index));
        let (rust, sql): (Vec<usize>, Vec<usize>) =
            (wanted.start..wanted.end.min(all)).filter(is_new).partition(|index| *index < self.migrations.len());
        for index in sql {
            let script = self.sql_script(index).map(|script| Arc::new(seal::compile(script, variant, direction)));
            compiled.extend(script.map(|script| (key(index), script)));
        }
        for (index, script) in self.compile_rust(&rust, engine, direction).await {
            compiled.insert(key(index), Arc::new(script));
        }
        let is_online =
            |index: usize| form.online.is_some_and(|of_tenant| self.online_of(index, variant).unwrap_or(of_tenant));
        let no_views = BTreeSet::new();
        let views = match (wanted.start..wanted.end.min(all)).any(is_online) {
            true => self.view_names[engine].get_or_init(|| self.views_made(engine)).await,
            false => &no_views,
        };
        let script = |index: usize| {
            let script = compiled.get(&key(index)).filter(|_| wanted.contains(&index))?;
            let script = if form.native { forced(script) } else { script.clone() };
            Some(if is_online(index) { online::online(&script, views) } else { script })
        };
        let scripts: Vec<Option<Arc<Script>>> = (0..all).map(script).collect();
        Scripts::new(scripts)
    }

    /// The names, in lower case, of all views that any of the migrations makes on an engine.
    async fn views_made(&self, engine: Engine) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for variant in self.variants().into_iter().filter(|variant| variant.engine() == engine) {
            let statements = self.statements_up(variant).await;
            let made = statements.iter().flatten().flat_map(|sql| made(engine, sql));
            names.extend(made.filter(|made| made.kind == MadeKind::View).map(|made| made.name));
        }
        names
    }

    /// Whether a migration itself asks for its online form, or for none: first the operator's word, then the script's own.
    fn online_of(&self, index: usize, variant: Variant) -> Option<bool> {
        let part = || self.sql_script(index)?.up.get(variant)?.online;
        self.online.get(&self.catalog.migrations[index]).copied().or_else(part)
    }

    /// Whether any migration itself asks for its online form.
    pub(crate) fn asks_for_online(&self, variant: Variant) -> bool {
        (0..self.catalog.migrations.len()).any(|index| self.online_of(index, variant) == Some(true))
    }

    /// The repeatable scripts, as a tenant gets them.
    fn repeatables(&self, variant: Variant) -> Vec<Repeatable> {
        let places = (0..self.catalog.migrations.len()).filter(|&index| self.catalog.is_repeatable(index));
        places.filter_map(|index| Some(Repeatable::new(self.sql_script(index)?, index, variant))).collect()
    }

    /// Records Rust migrations, and judges them by their recordings.
    ///
    /// Two recordings are made in different milliseconds: a clock of a finer resolution, or a random value, makes them
    /// differ. Only one that may hold a time in whole seconds is recorded a third time, a second later.
    async fn compile_rust(&self, wanted: &[usize], engine: Engine, direction: Direction) -> Vec<(usize, Script)> {
        if wanted.is_empty() {
            return Vec::new();
        }
        let record = async |wanted: &[usize], answer| {
            let migrations = wanted.iter().map(|&index| self.migrations[index].clone()).collect();
            recorder::record(migrations, direction, backend(engine), answer).await
        };
        let first = self.first_recordings(wanted, (engine, direction)).await;
        if direction == Direction::Up {
            // They are not needed any more, and may be large.
            let mut known = self.recorded_up[engine].lock().await;
            wanted.iter().for_each(|index| drop(known.remove(index)));
        }
        tokio::time::sleep(NEXT_MILLISECOND).await;
        let ended = Instant::now();
        let second = record(wanted, 1).await;
        let mut judged: Vec<Judgement> = Vec::with_capacity(wanted.len());
        let mut candidates = Vec::new();
        for (at, (first, (second, _))) in first.iter().zip(&second).enumerate() {
            let (first, span) = &**first;
            let judgement = purity::judge(engine, direction, first, second);
            if judgement == Judgement::Pure && first.statements().iter().any(|sql| moment::may_hold(sql, *span)) {
                candidates.push(at);
            }
            judged.push(judgement);
        }
        if !candidates.is_empty() {
            tokio::time::sleep_until(ended + NEXT_SECOND).await;
            let again: Vec<usize> = candidates.iter().map(|&at| wanted[at]).collect();
            for (at, (third, _)) in candidates.into_iter().zip(record(&again, 1).await) {
                judged[at] = purity::judge(engine, direction, &first[at].0, &third);
            }
        }
        let mut scripts = Vec::with_capacity(wanted.len());
        for ((&index, first), judgement) in wanted.iter().zip(&first).zip(judged) {
            scripts.push((index, self.script(index, (engine, direction), first.0.statements(), judgement)));
        }
        scripts
    }

    /// The first recordings of Rust migrations. Those of the way up may have been made before, by a reader of their statements.
    async fn first_recordings(
        &self,
        wanted: &[usize],
        (engine, direction): (Engine, Direction),
    ) -> Vec<Arc<(Recording, Span)>> {
        let record = async |wanted: &[usize]| {
            let migrations = wanted.iter().map(|&index| self.migrations[index].clone()).collect();
            let recorded = recorder::record(migrations, direction, backend(engine), 0).await;
            recorded.into_iter().map(Arc::new).collect::<Vec<_>>()
        };
        if direction == Direction::Down {
            return record(wanted).await;
        }
        let mut known = self.recorded_up[engine].lock().await;
        let new: Vec<usize> = wanted.iter().copied().filter(|index| !known.contains_key(index)).collect();
        let recorded = record(&new).await;
        known.extend(new.into_iter().zip(recorded));
        wanted.iter().map(|index| known[index].clone()).collect()
    }

    fn script(
        &self,
        index: usize,
        (engine, direction): (Engine, Direction),
        statements: Vec<String>,
        judgement: Judgement,
    ) -> Script {
        let transaction = self.runs_in_transaction(index, engine, &statements);
        let can_take_back = engine.capabilities().transactional_ddl;
        let execution = match judgement {
            Judgement::Pure if transaction && !can_take_back => {
                Execution::Native { transaction, reason: NativeReason::RowsInTransaction }
            }
            Judgement::Pure => Execution::Compiled { transaction },
            Judgement::Irreversible(reason) => Execution::Irreversible { reason },
            // SQL that commits would end our transaction unnoticed, so it gets none. A transaction for rows alone has a
            // journal around it, and is as SeaORM would have it.
            Judgement::Impure { reason, raw_transaction_control } => {
                let is_own = can_take_back && raw_transaction_control;
                Execution::Native { transaction: transaction && !is_own, reason }
            }
        };
        let execution = match hindered(engine, &execution, &statements) {
            Some(reason) => Execution::Irreversible { reason },
            None => execution,
        };
        let migration = self.catalog.migrations[index].clone();
        let sha256 = digest(engine, direction, &execution, &statements);
        let (has_variables, record) = (false, Record::Migration);
        let (flavour, source, online) = (None, None, None);
        Script {
            migration,
            direction,
            engine,
            flavour,
            execution,
            statements,
            sha256,
            has_variables,
            record,
            source,
            online,
        }
    }

    /// Whether a migration runs in one transaction of ours.
    ///
    /// SeaORM's default is a transaction on PostgreSQL only; SQLite rolls DDL back just as well, and without one a
    /// failed migration leaves half its tables behind. MySQL and MariaDB commit each DDL, so there is one only for a
    /// migration that asks for it.
    ///
    /// A migration with a statement that can't run in a transaction (a journal mode of SQLite) gets none where SeaORM
    /// gives it none either.
    fn runs_in_transaction(&self, index: usize, engine: Engine, statements: &[String]) -> bool {
        let needs_none = |sql: &String| matches!(hindrance(engine, sql), Some((_, Hindrance::Transaction)));
        let wanted = self.migrations[index].use_transaction();
        let is_free = !engine.capabilities().server && wanted.is_none();
        wanted.unwrap_or(engine.capabilities().transactional_ddl) && !(is_free && statements.iter().any(needs_none))
    }
}

/// The script of a migration that is to run as Rust code although it was compiled.
fn forced(script: &Arc<Script>) -> Arc<Script> {
    let Execution::Compiled { transaction } = script.execution else { return script.clone() };
    if !matches!(script.record, Record::Migration) {
        return script.clone();
    }
    let execution = Execution::Native { transaction, reason: NativeReason::Forced };
    let sha256 = digest(script.engine, script.direction, &execution, &script.statements);
    Arc::new(Script { execution, sha256, ..Script::clone(script) })
}

/// The reason why a migration can't run in the transaction that it would get.
fn hindered(engine: Engine, execution: &Execution, statements: &[String]) -> Option<String> {
    let transaction = match execution {
        Execution::Compiled { transaction } | Execution::Native { transaction, .. } => *transaction,
        Execution::Irreversible { .. } => return None,
    };
    let (name, hindrance) = statements.iter().find_map(|sql| hindrance(engine, sql))?;
    match hindrance {
        Hindrance::Transaction | Hindrance::EndsTransaction if transaction => {
            Some(format!("`{name}` can't run in a transaction; let its use_transaction() return Some(false)"))
        }
        Hindrance::Transaction | Hindrance::EndsTransaction => None,
        Hindrance::Block => Some(format!(
            "a statement in a `{name}` block can't run in a transaction, and a block is one; send it by itself"
        )),
        Hindrance::Refused(instead) => Some(format!("`{name}` ends what fleet itself holds in the session; {instead}")),
    }
}

/// SeaORM's name for an engine.
pub(crate) fn backend(engine: Engine) -> DbBackend {
    const WORDS: EngineMap<DbBackend> =
        EngineMap { sqlite: DbBackend::Sqlite, postgres: DbBackend::Postgres, mysql: DbBackend::MySql };
    WORDS[engine]
}

fn digest(engine: Engine, direction: Direction, execution: &Execution, statements: &[String]) -> String {
    let mut hash = Sha256::new();
    let how = match execution {
        Execution::Compiled { transaction } => format!("compiled {transaction}"),
        Execution::Native { transaction, .. } => format!("native {transaction}"),
        Execution::Irreversible { .. } => "irreversible".to_owned(),
    };
    hash.update(format!("{engine}\n{direction}\n{how}\n{}\n", statements.len()));
    for statement in statements {
        hash.update(format!("{}\n", statement.len()));
        hash.update(statement);
    }
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests;
