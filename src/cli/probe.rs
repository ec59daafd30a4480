//! The evidence of one statement in a tenant's system catalog: whether the object it creates exists, and the object it
//! drops is gone.
//!
//! It only reads the given shape; the conclusion is a person's decision.

use crate::model::shape::Shape;
use crate::model::tenant::Engine;
use crate::sql::{DdlEffect, SchemaObject};

/// A finding about one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Evidence {
    /// In words: `the index ix is there`.
    pub(super) text: String,
    /// Whether the statement was executed, as far as the evidence shows.
    pub(super) happened: Option<bool>,
}

/// The evidence of an effect in a shape; `schema` is the tenant's own namespace, where it has one: nothing is known of
/// others.
pub(super) fn evidence(engine: Engine, schema: Option<&str>, effect: &DdlEffect, shape: &Shape) -> Option<Evidence> {
    let look = Look { engine, schema, shape };
    let said = |(name, presence): (String, Presence)| format!("{name} is {}", presence.word());
    match effect {
        DdlEffect::Creates(thing) => {
            let found = look.at(thing)?;
            let happened = match found.1 {
                Presence::There => Some(true),
                Presence::Gone => Some(false),
                Presence::Invalid => None,
            };
            Some(Evidence { text: said(found), happened })
        }
        DdlEffect::Drops(thing) => {
            let found = look.at(thing)?;
            let happened = found.1 == Presence::Gone;
            Some(Evidence { text: said(found), happened: Some(happened) })
        }
        DdlEffect::Renames(from, to) => {
            let (from, to) = (look.at(from)?, look.at(to)?);
            let happened = match (from.1, to.1) {
                (Presence::Gone, Presence::There) => Some(true),
                (Presence::There, Presence::Gone) => Some(false),
                _ => None,
            };
            Some(Evidence { text: format!("{}, {}", said(from), said(to)), happened })
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    There,
    Gone,
    /// PostgreSQL has begun to create it concurrently, and not finished.
    Invalid,
}

impl Presence {
    fn word(self) -> &'static str {
        match self {
            Presence::There => "there",
            Presence::Gone => "not there",
            Presence::Invalid => "there, but invalid: it was begun and not finished",
        }
    }
}

struct Look<'a> {
    engine: Engine,
    schema: Option<&'a str>,
    shape: &'a Shape,
}

impl Look<'_> {
    fn is(&self, have: &str, wanted: &str) -> bool {
        // Only PostgreSQL distinguishes names by case everywhere; elsewhere names that differ only in case are the
        // same.
        if self.engine.capabilities().case_sensitive_names { have == wanted } else { have.eq_ignore_ascii_case(wanted) }
    }

    fn at(&self, thing: &SchemaObject) -> Option<(String, Presence)> {
        let (SchemaObject::Table(named)
        | SchemaObject::View(named)
        | SchemaObject::Index(named, _)
        | SchemaObject::Column(named, _)) = thing;
        if named.schema.as_deref().is_some_and(|schema| Some(schema) != self.schema) {
            return None;
        }
        let presence = |there: bool| if there { Presence::There } else { Presence::Gone };
        let name = &named.name;
        Some(match thing {
            SchemaObject::Table(_) => {
                (format!("the table {name}"), presence(self.shape.tables.iter().any(|t| self.is(&t.name, name))))
            }
            SchemaObject::View(_) => {
                let is_view = |kind: &str| matches!(kind, "view" | "materialized view");
                let there = self.shape.others.iter().any(|o| is_view(&o.kind) && self.is(&o.name, name));
                (format!("the view {name}"), presence(there))
            }
            SchemaObject::Column(_, column) => {
                let table = self.shape.tables.iter().find(|t| self.is(&t.name, name));
                let there = table.is_some_and(|t| t.columns.iter().any(|c| self.is(&c.name, column)));
                (format!("the column {column} of {name}"), presence(there))
            }
            SchemaObject::Index(_, table) => {
                (format!("the index {name}"), self.index(name, table.as_ref().map(|t| &*t.name)))
            }
        })
    }

    fn index(&self, name: &str, table: Option<&str>) -> Presence {
        let tables = self.shape.tables.iter().filter(|t| table.is_none_or(|wanted| self.is(&t.name, wanted)));
        let mut found = Presence::Gone;
        for table in tables {
            let described =
                table.indexes.iter().find(|index| index.split_once(':').is_some_and(|(head, _)| self.is(head, name)));
            match described {
                Some(index) if self.engine.capabilities().invalid_indexes && index.contains(" invalid") => {
                    return Presence::Invalid;
                }
                Some(_) => return Presence::There,
                None if table.uniques.iter().any(|unique| self.is(&unique.name, name)) => found = Presence::There,
                None => {}
            }
        }
        // An index of a materialized view is no table's.
        let is_it = |o: &crate::model::shape::Other| o.kind == "index" && o.name.rsplit('.').next() == Some(name);
        if self.shape.others.iter().any(is_it) { Presence::There } else { found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::shape::{Column, Other, Table, Unique};
    use crate::sql::effect;

    fn shape() -> Shape {
        let table = Table {
            name: "t".into(),
            columns: vec![Column { name: "a".into(), ..Column::default() }],
            uniques: vec![Unique { name: "uq".into(), columns: vec!["a".into()] }],
            indexes: vec!["ix: CREATE INDEX".into(), "half: CREATE INDEX invalid".into()],
            ..Table::default()
        };
        let view = Other { kind: "view".into(), name: "v".into(), definition: String::new() };
        Shape { tables: vec![table], others: vec![view], ..Shape::default() }
    }

    #[test]
    fn what_is_there_happened_and_what_is_not_did_not() {
        for (sql, text, happened) in [
            ("CREATE INDEX ix ON t (a)", "the index ix is there", Some(true)),
            ("CREATE INDEX other ON t (a)", "the index other is not there", Some(false)),
            ("CREATE UNIQUE INDEX uq ON t (a)", "the index uq is there", Some(true)),
            ("DROP INDEX ix", "the index ix is there", Some(false)),
            ("CREATE TABLE own.t (i int)", "the table t is there", Some(true)),
            ("ALTER TABLE t ADD COLUMN b int", "the column b of t is not there", Some(false)),
            ("ALTER TABLE t DROP COLUMN b", "the column b of t is not there", Some(true)),
            ("DROP VIEW v", "the view v is there", Some(false)),
            ("ALTER TABLE s RENAME TO t", "the table s is not there, the table t is there", Some(true)),
            ("ALTER TABLE s RENAME TO u", "the table s is not there, the table u is not there", None),
        ] {
            let effect = effect(Engine::Postgres, sql).unwrap();
            let found = evidence(Engine::Postgres, Some("own"), &effect, &shape()).unwrap();
            assert_eq!((found.text.as_str(), found.happened), (text, happened), "{sql}");
        }
    }

    #[test]
    fn nothing_is_said_of_an_invalid_index_or_of_another_schema() {
        let of = |sql| evidence(Engine::Postgres, Some("own"), &effect(Engine::Postgres, sql).unwrap(), &shape());
        assert_eq!(of("CREATE INDEX CONCURRENTLY half ON t (a)").unwrap().happened, None);
        assert_eq!(of("CREATE TABLE elsewhere.t (i int)"), None);
    }
}
