//! Assertions: which there are, and what is wrong with the way they are written; row counts compared.
//!
//! Pure: files are read and tenants asked elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::assertion::Assertion;
use crate::model::engine::EngineMap;
use crate::model::tenant::{Engine, TenantId};
use crate::sql::split::scan;

/// An assertion as it is written: in a file or in the tenant file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    /// The place, for mistakes: `verify/orphans.sql`.
    pub(crate) place: String,
    pub(crate) name: String,
    /// `None`: for every engine without a text of its own.
    pub(crate) engine: Option<Engine>,
    pub(crate) sql: String,
}

impl Written {
    /// Whether a file's name looks like that of an assertion, and is none, or one for all engines that was meant for one.
    pub(crate) fn is_mistaken(file_name: &str) -> bool {
        let Some(stem) = file_name.strip_suffix(".sql") else { return file_name.to_lowercase().contains(".sql") };
        let engine = stem.rsplit_once('.').map(|(_, last)| last);
        engine.is_some_and(|last| Engine::named(last).is_none() && Engine::named(&last.to_lowercase()).is_some())
    }

    /// The assertion of a file: `NAME.sql`, or `NAME.ENGINE.sql` for one engine. `None`: it is no SQL file.
    pub(crate) fn of_file(place: String, file_name: &str, sql: String) -> Option<Self> {
        let stem = file_name.strip_suffix(".sql").filter(|stem| !stem.is_empty())?;
        let of_engine = stem.rsplit_once('.').and_then(|(name, last)| Some((name, Engine::named(last)?)));
        let (name, engine) = of_engine.map_or((stem, None), |(name, engine)| (name, Some(engine)));
        Some(Written { place, name: name.to_owned(), engine, sql })
    }
}

/// The assertions by name.
///
/// # Errors
/// All mistakes, one line each.
pub(crate) fn assertions(written: &[Written]) -> Result<Vec<Assertion>, Vec<String>> {
    let mut mistakes = Vec::new();
    let mut by_name: BTreeMap<&str, Vec<&Written>> = BTreeMap::new();
    for one in written {
        let others = by_name.entry(&one.name).or_default();
        if let Some(other) = others.iter().find(|other| other.engine == one.engine) {
            mistakes.push(format!("{}: {} has this name already", one.place, other.place));
        }
        others.push(one);
    }
    let mut all = Vec::new();
    for (name, written) in by_name {
        let of = |engine: Option<Engine>| written.iter().find(|one| one.engine == engine).copied();
        let mut sql = EngineMap::from_fn(|_| None);
        for engine in Engine::ALL {
            let Some(one) = of(Some(engine)).or_else(|| of(None)) else { continue };
            match single(engine, &one.sql) {
                Ok(text) => sql[engine] = Some(Arc::from(text)),
                Err(why) => mistakes.push(format!("{}: {why}", one.place)),
            }
        }
        all.push(Assertion { name: name.to_owned(), sql });
    }
    mistakes.sort();
    mistakes.dedup();
    if mistakes.is_empty() { Ok(all) } else { Err(mistakes) }
}

/// The one statement of a text, without its semicolon. An engine would run a second one behind the end of the read-only
/// transaction, if the first one ended it.
fn single(engine: Engine, sql: &str) -> Result<&str, &'static str> {
    if sql.contains('\0') {
        return Err("it holds a NUL character, behind which an engine reads nothing; remove it");
    }
    let (pieces, unclosed) = scan(engine, sql);
    match (pieces.as_slice(), unclosed) {
        (_, Some(_)) => Err("a quote or a comment in it is never closed"),
        ([piece], None) => Ok(piece.text),
        ([], None) => Err("it is empty; write one SELECT that returns no row while the assertion holds"),
        _ => Err("it has more than one statement; an assertion is one SELECT, so write a file for each"),
    }
}

/// The rows of each table, by tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RowCounts {
    pub(crate) tenants: BTreeMap<String, BTreeMap<String, u64>>,
}

/// A table whose number of rows changed. `None`: the table, or the whole tenant, was not counted then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Changed {
    pub(crate) tenant: TenantId,
    pub(crate) table: String,
    pub(crate) before: Option<u64>,
    pub(crate) now: Option<u64>,
}

impl RowCounts {
    /// The tables of the tenants counted now whose number of rows is another than before.
    pub(crate) fn changed_since(&self, before: &RowCounts) -> Vec<Changed> {
        let mut changed = Vec::new();
        for (id, tables) in &self.tenants {
            let nothing = BTreeMap::new();
            let then = before.tenants.get(id).unwrap_or(&nothing);
            let mut names: Vec<&String> = tables.keys().chain(then.keys()).collect();
            names.sort();
            names.dedup();
            for table in names {
                let (before, now) = (then.get(table).copied(), tables.get(table).copied());
                if before != now {
                    changed.push(Changed { tenant: TenantId::from(id.as_str()), table: table.clone(), before, now });
                }
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, sql: &str) -> Written {
        Written::of_file(format!("verify/{name}"), name, sql.to_owned()).unwrap()
    }

    #[test]
    fn a_file_is_for_all_engines_or_for_one() {
        let all = [
            written("b.sql", "select 1;\n-- end\n"),
            written("b.mysql.sql", "select 2"),
            written("a.sqlite.sql", "select 3"),
        ];
        let made = assertions(&all).unwrap();
        let texts = |at: usize| Engine::ALL.map(|engine| made[at].sql[engine].as_deref());
        assert_eq!((made[0].name.as_str(), texts(0)), ("a", [Some("select 3"), None, None]));
        assert_eq!((made[1].name.as_str(), texts(1)), ("b", [Some("select 1"), Some("select 1"), Some("select 2")]));
        assert_eq!(Written::of_file(String::new(), "README.md", String::new()), None);
    }

    #[test]
    fn only_one_statement_is_an_assertion() {
        for (sql, wanted) in [
            ("select 1; delete from t", "more than one statement"),
            ("select 1) as x; commit; delete from t; select * from (select 1", "more than one statement"),
            ("-- nothing", "it is empty"),
            ("select 'a", "never closed"),
            ("select 1 /* on and on", "never closed"),
            ("select 1\0; delete from t", "NUL"),
        ] {
            let told = assertions(&[written("x.sql", sql)]).unwrap_err();
            assert!(
                told.iter().any(|line| line.starts_with("verify/x.sql: ") && line.contains(wanted)),
                "{sql}: {told:?}"
            );
        }
        let twice = Written { place: "tenants.toml".into(), ..written("x.sql", "select 1") };
        assert!(assertions(&[written("x.sql", "select 1"), twice]).unwrap_err()[0].contains("has this name already"));
    }

    #[test]
    fn tables_whose_rows_changed_are_named() {
        let counts = |tables: &[(&str, u64)]| {
            let tables = tables.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
            RowCounts { tenants: [("acme".to_owned(), tables)].into() }
        };
        let (before, now) = (counts(&[("a", 1), ("b", 2), ("gone", 3)]), counts(&[("a", 1), ("b", 5), ("new", 0)]));
        let changed = now.changed_since(&before);
        let rows: Vec<_> = changed.iter().map(|c| (c.table.as_str(), c.before, c.now)).collect();
        assert_eq!(rows, [("b", Some(2), Some(5)), ("gone", Some(3), None), ("new", None, Some(0))]);
        assert!(before.changed_since(&before).is_empty());
    }
}
