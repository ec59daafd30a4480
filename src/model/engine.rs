//! The database engines, their capabilities, and a value for each engine.
//!
//! Plain data. Talking to an engine is the job of `engine`, reading its SQL that of `sql`.

use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize, Serializer};

/// The database engines that `fleet` migrates. MariaDB and MySQL are one engine here, of two flavours.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Engine {
    /// An SQLite file.
    Sqlite,
    /// A PostgreSQL database, or a schema in one.
    Postgres,
    /// A MySQL or MariaDB database.
    Mysql,
}

/// A product that speaks MySQL's protocol and dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Flavour {
    MariaDb,
    MySql,
}

/// The part of a script that a tenant is sent: its engine's, or the one for MariaDB alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Variant {
    Of(Engine),
    MariaDb,
}

impl Variant {
    /// All variants, in the order in which they are shown.
    pub(crate) const ALL: [Variant; 4] =
        [Variant::Of(Engine::Sqlite), Variant::Of(Engine::Postgres), Variant::Of(Engine::Mysql), Variant::MariaDb];

    /// The variant for a server of an engine, and of this flavour where that makes a difference.
    pub(crate) fn new(engine: Engine, flavour: Option<Flavour>) -> Self {
        if flavour == Some(Flavour::MariaDb) { Variant::MariaDb } else { Variant::Of(engine) }
    }

    pub(crate) fn engine(self) -> Engine {
        match self {
            Variant::Of(engine) => engine,
            Variant::MariaDb => Engine::Mysql,
        }
    }

    /// The flavour of the servers that it is for, where it is not for both.
    pub(crate) fn flavour(self) -> Option<Flavour> {
        match self {
            Variant::Of(Engine::Mysql) => Some(Flavour::MySql),
            Variant::Of(_) => None,
            Variant::MariaDb => Some(Flavour::MariaDb),
        }
    }
}

impl From<Engine> for Variant {
    fn from(engine: Engine) -> Self {
        Variant::Of(engine)
    }
}

impl std::fmt::Display for Variant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Variant::Of(engine) => engine.fmt(f),
            Variant::MariaDb => Flavour::MariaDb.fmt(f),
        }
    }
}

/// One value for each variant. MariaDB has that of MySQL unless it has its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct VariantMap<T> {
    pub(crate) engines: EngineMap<T>,
    pub(crate) mariadb: Option<T>,
}

impl<T> VariantMap<T> {
    /// The values that are there, each with the variant that it is for.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Variant, &T)> {
        let engines = self.engines.iter().map(|(engine, value)| (Variant::Of(engine), value));
        engines.chain(self.mariadb.iter().map(|value| (Variant::MariaDb, value)))
    }
}

impl<T> Index<Variant> for VariantMap<T> {
    type Output = T;

    fn index(&self, variant: Variant) -> &T {
        match (variant, &self.mariadb) {
            (Variant::MariaDb, Some(own)) => own,
            _ => &self.engines[variant.engine()],
        }
    }
}

/// As a list in the order of [`Engine::ALL`], with MariaDB's own value at its end.
impl<T: Serialize> Serialize for VariantMap<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|(_, value)| value))
    }
}

/// The capabilities of an engine, for decisions that would otherwise compare engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// DDL is transactional, so that a migration either succeeds as a whole or leaves nothing behind.
    pub(crate) transactional_ddl: bool,
    /// A view or trigger that needs a table stops changes of it; otherwise it breaks, or goes on with what it finds.
    pub(crate) views_stop_changes: bool,
    /// A tenant is a database on a server; otherwise it is a file.
    pub(crate) server: bool,
    /// Databases have extensions, which a migration may create.
    pub(crate) extensions: bool,
    /// Privileges are granted one by one (`GRANT SELECT, TRIGGER`), and a migration may need more than the others do.
    pub(crate) single_privileges: bool,
    /// Names that differ only in case are distinct everywhere.
    pub(crate) case_sensitive_names: bool,
    /// An index can exist and be invalid.
    pub(crate) invalid_indexes: bool,
    /// A replica accepts writes, unless it is set read-only.
    pub(crate) writable_replicas: bool,
    /// Each statement of a message is answered when it ends; otherwise the answers of a whole message may come together.
    pub(crate) answers_each_statement: bool,
    /// The present time is that of the message for all transactions in it; otherwise that of each statement.
    pub(crate) one_time_a_message: bool,
    /// The client program that dumps a database refuses a server newer than itself.
    pub(crate) dump_refuses_newer: bool,
    /// Two products speak its dialect, and a script may have a part for one of them alone.
    pub(crate) flavours: bool,
    /// The file extension of a backup.
    pub(crate) dump_ending: &'static str,
    /// The expression for the seconds since 1970.
    pub(crate) unix_now: &'static str,
}

const SQLITE: Capabilities = Capabilities {
    transactional_ddl: true,
    views_stop_changes: true,
    server: false,
    extensions: false,
    single_privileges: false,
    case_sensitive_names: false,
    invalid_indexes: false,
    writable_replicas: false,
    answers_each_statement: true,
    one_time_a_message: false,
    dump_refuses_newer: false,
    flavours: false,
    dump_ending: "db",
    unix_now: "CAST(strftime('%s', 'now') AS INTEGER)",
};

const POSTGRES: Capabilities = Capabilities {
    server: true,
    extensions: true,
    case_sensitive_names: true,
    invalid_indexes: true,
    // Its buffer of answers is sent when it is full, or at the end of the message.
    answers_each_statement: false,
    one_time_a_message: true,
    dump_refuses_newer: true,
    dump_ending: "dump",
    unix_now: "extract(epoch FROM clock_timestamp())::bigint",
    ..SQLITE
};

/// MySQL and MariaDB commit each DDL statement by itself
/// (<https://dev.mysql.com/doc/refman/8.4/en/implicit-commit.html>).
const MYSQL: Capabilities = Capabilities {
    transactional_ddl: false,
    views_stop_changes: false,
    server: true,
    single_privileges: true,
    writable_replicas: true,
    flavours: true,
    dump_ending: "sql",
    unix_now: "UNIX_TIMESTAMP()",
    ..SQLITE
};

impl Engine {
    /// All engines, in the order in which they are shown.
    pub(crate) const ALL: [Engine; 3] = [Engine::Sqlite, Engine::Postgres, Engine::Mysql];

    /// The engine whose databases are files.
    pub(crate) const OF_FILES: Engine = Engine::Sqlite;

    pub(crate) fn capabilities(self) -> &'static Capabilities {
        match self {
            Engine::Sqlite => &SQLITE,
            Engine::Postgres => &POSTGRES,
            Engine::Mysql => &MYSQL,
        }
    }

    /// Quotes an identifier for this engine. A quote character inside the name is doubled.
    pub(crate) fn quote(self, identifier: &str) -> String {
        match self {
            Engine::Mysql => format!("`{}`", identifier.replace('`', "``")),
            Engine::Sqlite | Engine::Postgres => format!("\"{}\"", identifier.replace('"', "\"\"")),
        }
    }

    /// The lower-case name used in reports: `sqlite`, `postgres` or `mysql`.
    pub(crate) fn name(self) -> &'static str {
        self.into()
    }

    /// Aliases in file names and options, the usual one first.
    pub(crate) fn aliases(self) -> &'static [&'static str] {
        match self {
            Engine::Sqlite => &["sqlite3"],
            Engine::Postgres => &["postgresql", "postgre", "pgsql", "psql", "pg"],
            Engine::Mysql => &["mariadb", "maria"],
        }
    }

    /// The engine with this lower-case name or alias.
    pub(crate) fn named(word: &str) -> Option<Engine> {
        Engine::ALL.into_iter().find(|engine| engine.name() == word || engine.aliases().contains(&word))
    }
}

/// One value for each engine. A new engine is a new field, and the compiler names every place that lacks its value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct EngineMap<T> {
    pub(crate) sqlite: T,
    pub(crate) postgres: T,
    pub(crate) mysql: T,
}

impl<T> EngineMap<T> {
    /// The value that `make` gives for each engine.
    pub(crate) fn from_fn(mut make: impl FnMut(Engine) -> T) -> Self {
        EngineMap { sqlite: make(Engine::Sqlite), postgres: make(Engine::Postgres), mysql: make(Engine::Mysql) }
    }

    /// The engines with their values, in the order of [`Engine::ALL`].
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Engine, &T)> {
        Engine::ALL.into_iter().map(|engine| (engine, &self[engine]))
    }
}

impl<T> Index<Engine> for EngineMap<T> {
    type Output = T;

    fn index(&self, engine: Engine) -> &T {
        match engine {
            Engine::Sqlite => &self.sqlite,
            Engine::Postgres => &self.postgres,
            Engine::Mysql => &self.mysql,
        }
    }
}

impl<T> IndexMut<Engine> for EngineMap<T> {
    fn index_mut(&mut self, engine: Engine) -> &mut T {
        match engine {
            Engine::Sqlite => &mut self.sqlite,
            Engine::Postgres => &mut self.postgres,
            Engine::Mysql => &mut self.mysql,
        }
    }
}

/// As a list in the order of [`Engine::ALL`].
impl<T: Serialize> Serialize for EngineMap<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [&self.sqlite, &self.postgres, &self.mysql].serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_doubles_the_quote_character() {
        assert_eq!(Engine::Postgres.quote("a\"b"), "\"a\"\"b\"");
        assert_eq!(Engine::Mysql.quote("a`b"), "`a``b`");
    }

    #[test]
    fn an_engine_is_found_by_each_of_its_words() {
        for engine in Engine::ALL {
            assert_eq!(Engine::named(engine.name()), Some(engine));
            assert!(engine.aliases().iter().all(|word| Engine::named(word) == Some(engine)), "{engine}");
        }
        assert_eq!(Engine::named("oracle"), None);
    }

    #[test]
    fn a_value_for_each_engine_is_a_list_in_the_order_of_the_engines() {
        let mut map = EngineMap::from_fn(Engine::name);
        assert!(map.iter().all(|(engine, name)| *name == engine.name()));
        assert_eq!(serde_json::to_string(&map).unwrap(), r#"["sqlite","postgres","mysql"]"#);
        map[Engine::Postgres] = "other";
        assert_eq!(map.iter().map(|(_, name)| *name).collect::<Vec<_>>(), ["sqlite", "other", "mysql"]);
    }
}
