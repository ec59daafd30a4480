//! Assertions and measures: which there are, and what is wrong with the way they are written; row counts and measures compared.
//!
//! Pure: files are read and tenants asked elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::assertion::{Assertion, FirstRows};
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
    /// Whether it is a measure: one row of values that are compared, where an assertion is no row at all.
    pub(crate) is_measure: bool,
    pub(crate) sql: String,
}

/// The end of the name of a measure's file, before its engine.
const MEASURE: &str = "measure";

impl Written {
    /// Whether a file's name looks like that of an assertion, and is none, or one for all engines that was meant for one.
    pub(crate) fn is_mistaken(file_name: &str) -> bool {
        let Some(stem) = file_name.strip_suffix(".sql") else { return file_name.to_lowercase().contains(".sql") };
        let is_other_case = |last: &str| {
            let small = last.to_lowercase();
            let is_known = |word: &str| word == MEASURE || Engine::named(word).is_some();
            is_known(&small) && !is_known(last)
        };
        // `x.postgres.measure` would be a measure of the name `x.postgres`, for all engines.
        let mut ends = stem.rsplit('.');
        let (last, before) = (ends.next().unwrap_or_default(), ends.next().unwrap_or_default());
        stem.contains('.')
            && (is_other_case(last) || last == MEASURE && Engine::named(&before.to_lowercase()).is_some())
    }

    /// The assertion of a file: `NAME.sql`, or `NAME.ENGINE.sql` for one engine. A measure has `.measure` behind its name. `None`:
    /// it is no SQL file.
    pub(crate) fn of_file(place: String, file_name: &str, sql: String) -> Option<Self> {
        let stem = file_name.strip_suffix(".sql").filter(|stem| !stem.is_empty())?;
        let of_engine = stem.rsplit_once('.').and_then(|(name, last)| Some((name, Engine::named(last)?)));
        let (name, engine) = of_engine.map_or((stem, None), |(name, engine)| (name, Some(engine)));
        let measure =
            name.strip_suffix(MEASURE).and_then(|name| name.strip_suffix('.')).filter(|name| !name.is_empty());
        let (name, is_measure) = (measure.unwrap_or(name), measure.is_some());
        Some(Written { place, name: name.to_owned(), engine, is_measure, sql })
    }
}

/// The assertions, or the measures, by name.
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
        ([], None) => Err("it is empty; write one SELECT"),
        _ => Err("it has more than one statement, and only one SELECT is asked; write a file for each"),
    }
}

/// The values of a tenant's measures: each by its name, or where a measure has several columns by its name and theirs, as `sums.total`.
/// `None` is NULL.
pub(crate) type Values = BTreeMap<String, Option<String>>;

/// The values of a measure from its answer.
///
/// # Errors
/// The reason why the answer is none: a measure has one row.
pub(crate) fn values(name: &str, answer: FirstRows) -> Result<Values, String> {
    let [row] = answer.rows.as_slice() else {
        return Err(format!("the measure {name} has no row; write one SELECT of one row"));
    };
    if answer.more {
        return Err(format!("the measure {name} has more than one row; sum them up, or count them"));
    }
    let key = |column: &String| if row.len() == 1 { name.to_owned() } else { format!("{name}.{column}") };
    Ok(answer.columns.iter().map(key).zip(row.iter().cloned()).collect())
}

/// The rows of each table and the values of each measure, by tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RowCounts {
    #[serde(default)]
    pub(crate) tenants: BTreeMap<String, BTreeMap<String, u64>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) measures: BTreeMap<String, Values>,
}

/// A measure whose value changed. `None`: it, or the whole tenant, was not measured then; `Some(None)` is NULL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Moved {
    pub(crate) tenant: TenantId,
    pub(crate) measure: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) now: Option<Option<String>>,
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
        let changed = differences(&before.tenants, &self.tenants).into_iter();
        changed.map(|(tenant, table, before, now)| Changed { tenant, table, before, now }).collect()
    }

    /// The measures of the tenants measured now whose value is another than before.
    pub(crate) fn moved_since(&self, before: &RowCounts) -> Vec<Moved> {
        let moved = differences(&before.measures, &self.measures).into_iter();
        moved.map(|(tenant, measure, before, now)| Moved { tenant, measure, before, now }).collect()
    }
}

type Of<V> = BTreeMap<String, BTreeMap<String, V>>;

/// The values of the tenants of now that are other ones than before.
fn differences<V: Clone + PartialEq>(before: &Of<V>, now: &Of<V>) -> Vec<(TenantId, String, Option<V>, Option<V>)> {
    let mut all = Vec::new();
    for (id, values) in now {
        let nothing = BTreeMap::new();
        let then = before.get(id).unwrap_or(&nothing);
        let names: BTreeSet<&String> = values.keys().chain(then.keys()).collect();
        for name in names {
            let (before, now) = (then.get(name).cloned(), values.get(name).cloned());
            if before != now {
                all.push((TenantId::from(id.as_str()), name.clone(), before, now));
            }
        }
    }
    all
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
    fn a_measure_has_its_word_in_the_name_and_one_row() {
        let of = |file: &str| Some(written(file, "select 1")).map(|w| (w.name, w.engine, w.is_measure)).unwrap();
        assert_eq!(of("sums.measure.sql"), ("sums".to_owned(), None, true));
        assert_eq!(of("sums.measure.mysql.sql"), ("sums".to_owned(), Some(Engine::Mysql), true));
        assert_eq!(of("measure.sql"), ("measure".to_owned(), None, false));
        for wrong in ["sums.Measure.sql", "sums.mysql.measure.sql", "sums.measure.MySQL.sql"] {
            assert!(Written::is_mistaken(wrong), "{wrong}");
        }
        assert!(!Written::is_mistaken("sums.measure.mysql.sql") && !Written::is_mistaken("measure.sql"));

        let answer = |columns: &[&str], rows: &[&[Option<&str>]], more| FirstRows {
            columns: columns.iter().map(|c| (*c).to_owned()).collect(),
            rows: rows.iter().map(|row| row.iter().map(|v| v.map(str::to_owned)).collect()).collect(),
            more,
        };
        let one = values("sum", answer(&["n"], &[&[Some("5")]], false)).unwrap();
        assert_eq!(one, [("sum".to_owned(), Some("5".to_owned()))].into());
        let two = values("sum", answer(&["a", "b"], &[&[Some("5"), None]], false)).unwrap();
        assert_eq!(two, [("sum.a".to_owned(), Some("5".to_owned())), ("sum.b".to_owned(), None)].into());
        assert!(values("sum", answer(&["n"], &[], false)).unwrap_err().contains("no row"));
        assert!(values("sum", answer(&["n"], &[&[None]], true)).unwrap_err().contains("more than one row"));

        let of = |value| RowCounts { measures: [("acme".to_owned(), value)].into(), ..RowCounts::default() };
        let moved = of(two.clone()).moved_since(&of(one));
        let rows: Vec<_> = moved.iter().map(|m| (m.measure.as_str(), m.before.is_some(), m.now.is_some())).collect();
        assert_eq!(rows, [("sum", true, false), ("sum.a", false, true), ("sum.b", false, true)]);
        assert!(of(two.clone()).moved_since(&of(two)).is_empty());
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
            RowCounts { tenants: [("acme".to_owned(), tables)].into(), ..RowCounts::default() }
        };
        let (before, now) = (counts(&[("a", 1), ("b", 2), ("gone", 3)]), counts(&[("a", 1), ("b", 5), ("new", 0)]));
        let changed = now.changed_since(&before);
        let rows: Vec<_> = changed.iter().map(|c| (c.table.as_str(), c.before, c.now)).collect();
        assert_eq!(rows, [("b", Some(2), Some(5)), ("gone", Some(3), None), ("new", None, Some(0))]);
        assert!(before.changed_since(&before).is_empty());
    }
}
