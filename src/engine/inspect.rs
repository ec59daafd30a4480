//! Reads the shape of a tenant's schema from its engine's catalogs.
//!
//! It reads only the tenant's own namespace, and judges nothing. Exclusions are made here, once for all engines: the
//! history, fleet's own tables, and anything that differs between databases created alike (owners, privileges,
//! counters, dates, paths on disk).

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::provision::MARK_TABLE;
use super::queries::TextRow;
use super::{history, journal, literal};
use crate::model::fault::{Fault, FaultClass};
use crate::model::shape::{Grant, Other, Shape, Table};
use crate::model::tenant::Engine;

/// Reads the content of a tenant's database. It changes nothing and takes no lock visible to another session.
#[async_trait]
pub(crate) trait Inspect: Send {
    /// The shape of the tenant's own namespace, without the history and fleet's own tables. Read-only: one round trip,
    /// two on a server with MariaDB sequences.
    ///
    /// # Errors
    /// A [`Fault`] when the shape can't be read.
    async fn shape(&mut self) -> Result<Shape, Fault>;

    /// The number of tables of the tenant's own namespace, without the history and fleet's own; 0 where there is no database or
    /// schema yet. Read-only: one round trip.
    ///
    /// # Errors
    /// A [`Fault`] when they can't be counted.
    async fn table_count(&mut self) -> Result<usize, Fault>;

    /// A digest of the texts from which the shape follows: two databases with the same one have the same shape. `None`
    /// where an engine has no such texts, or there is no database. Read-only: one round trip.
    ///
    /// # Errors
    /// A [`Fault`] when they can't be read.
    async fn shape_text(&mut self) -> Result<Option<String>, Fault> {
        Ok(None)
    }

    /// The number of rows of each of these tables of the tenant's own namespace. Read-only: one round trip.
    ///
    /// # Errors
    /// A [`Fault`] when one of them can't be read, or does not exist.
    async fn row_counts(&mut self, tables: &[String]) -> Result<Vec<u64>, Fault>;

    /// The rows of these tables of the tenant's own namespace as its engine estimates them, without counting: from its
    /// statistics, on SQLite the largest rowid. `tables` are names in lower case; one that does not exist, or of which
    /// the engine knows nothing, is missing from the answer. Read-only: one round trip, two on SQLite.
    ///
    /// # Errors
    /// A [`Fault`] when the statistics can't be read.
    async fn row_estimates(&mut self, tables: &[String]) -> Result<Vec<(String, u64)>, Fault>;

    /// The tables of the tenant's own namespace with something that keeps statements of an online form from them, each with that in
    /// words: a full-text index, a trigger that fires for each statement; none where an engine has no such. Read-only: one round trip.
    ///
    /// # Errors
    /// A [`Fault`] when they can't be read.
    async fn online_hindrances(&mut self) -> Result<Vec<(String, String)>, Fault> {
        Ok(Vec::new())
    }

    /// The last refresh time of each view, in seconds since 1970-01-01 UTC; empty if none was ever refreshed.
    ///
    /// # Errors
    /// A [`Fault`] when the times can't be read.
    async fn refreshes(&mut self) -> Result<Vec<(String, i64)>, Fault>;
}

/// Fleet's own tables beside the history. Others may begin alike.
const OWN: [&str; 4] = [journal::TABLE, history::SCRIPTS, history::REFRESHES, MARK_TABLE];

/// The history's table and fleet's own as literals in a list: those that no shape has.
pub(crate) fn own_tables(engine: Engine, history_table: &str) -> String {
    let names: Vec<String> = [history_table].into_iter().chain(OWN).map(str::to_owned).collect();
    literals(engine, &names)
}

/// The number in the only row of an answer; 0 without one.
pub(crate) fn only_count(rows: &[TextRow]) -> usize {
    rows.first().and_then(|row| row.parse(0)).unwrap_or_default()
}

/// A shape under construction.
#[derive(Default)]
pub(crate) struct Gathered {
    tables: BTreeMap<String, Table>,
    pub(crate) others: Vec<Other>,
    grants: Vec<Grant>,
    pub(crate) defaults: Vec<(String, String)>,
}

impl Gathered {
    pub(crate) fn add_table(&mut self, name: String) {
        let table = Table { name: name.clone(), ..Table::default() };
        self.tables.entry(name).or_insert(table);
    }

    /// A table that was added; `None` for another kind of relation.
    pub(crate) fn table(&mut self, name: &str) -> Option<&mut Table> {
        self.tables.get_mut(name)
    }

    pub(crate) fn add_other(&mut self, kind: &str, name: String, definition: String) {
        self.others.push(Other { kind: kind.to_owned(), name, definition });
    }

    /// The privileges of a role, in a text with commas, on an object of this kind and name. The name of the tenant's database
    /// or schema in the role's is no difference.
    pub(crate) fn add_grant(&mut self, (kind, name): (&str, &str), to: &str, rights: &str, namespace: &str) {
        let to = with_mark(to, namespace);
        self.grants.push(Grant {
            object: format!("{kind} {name}").trim_end().to_owned(),
            to,
            rights: rights.to_lowercase(),
        });
    }

    /// The shape in a fixed order, without the history and fleet's own tables.
    pub(crate) fn finish(mut self, history_table: &str) -> Shape {
        let is_left_out = |name: &str| name == history_table || OWN.contains(&name);
        let is_on_left_out = |other: &Other| {
            let on = other.name.split_once('.').map(|(table, _)| table);
            matches!(other.kind.as_str(), "trigger" | "index" | "rule") && on.is_some_and(is_left_out)
        };
        self.tables.retain(|name, _| !is_left_out(name));
        self.others.retain(|other| !is_on_left_out(other));
        self.others.sort();
        self.grants.retain(|grant| !grant.object.strip_prefix("table ").is_some_and(is_left_out));
        self.grants.sort();
        let mut tables: Vec<Table> = self.tables.into_values().collect();
        for table in &mut tables {
            table.uniques.sort_by(|a, b| (&a.name, &a.columns).cmp(&(&b.name, &b.columns)));
            table.indexes.sort();
            table
                .foreign_keys
                .sort_by(|a, b| (&a.name, &a.columns, &a.to_table).cmp(&(&b.name, &b.columns, &b.to_table)));
            table.checks.sort();
            table.options.sort();
        }
        Shape { tables, others: self.others, grants: self.grants, defaults: self.defaults }
    }
}

/// A role's name with [`Grant::TENANT`] in place of a namespace that is a whole word of it. Only a comparison with the other tenants
/// can tell whether that is what it means.
fn with_mark(role: &str, namespace: &str) -> String {
    let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let found = role.match_indices(namespace).find(|(at, found)| {
        !found.is_empty()
            && !is_part(role[..*at].chars().next_back())
            && !is_part(role[at + found.len()..].chars().next())
    });
    match found {
        Some((at, found)) => format!("{}{}{}", &role[..at], Grant::TENANT, &role[at + found.len()..]),
        None => role.to_owned(),
    }
}

/// One count per table, all in one message. `tables` are names without a namespace.
pub(crate) fn count_queries(engine: Engine, namespace: Option<&str>, tables: &[String]) -> String {
    let qualifier = namespace.map(|name| format!("{}.", engine.quote(name))).unwrap_or_default();
    tables.iter().map(|table| format!("SELECT count(*) FROM {qualifier}{};\n", engine.quote(table))).collect()
}

/// The row counts of these tables, or the fault of a malformed answer.
pub(crate) fn counted(tables: &[String], rows: &[TextRow]) -> Result<Vec<u64>, Fault> {
    let counts: Option<Vec<u64>> = rows.iter().map(|row| row.parse(0)).collect();
    let unclear = || Fault::new(FaultClass::Other, "the server's answer to a count of rows was not understood");
    counts.filter(|counts| counts.len() == tables.len()).ok_or_else(unclear)
}

/// The names as literals in a list: `'a', 'b'`.
pub(crate) fn literals(engine: Engine, names: &[String]) -> String {
    names.iter().map(|name| literal(engine, name)).collect::<Vec<_>>().join(", ")
}

/// Tables with their estimated rows, from rows of a name and a number.
pub(crate) fn estimated(rows: &[TextRow]) -> Vec<(String, u64)> {
    rows.iter().filter_map(|row| Some((row.text(0)?.to_lowercase(), row.parse(1)?))).collect()
}

/// The refreshed views, from the rows of their table.
pub(crate) fn refreshed(rows: Vec<TextRow>) -> Vec<(String, i64)> {
    rows.iter().filter_map(|row| Some((row.text(0)?, row.parse(1)?))).collect()
}

/// Removes a namespace, quoted as the engine prints it, from a definition: `"shop".orders` becomes `orders`.
pub(crate) fn unqualified(definition: &str, quoted_namespace: &str) -> String {
    if is_alias(definition, quoted_namespace) {
        return definition.to_owned();
    }
    let prefix = format!("{quoted_namespace}.");
    let mut out = String::with_capacity(definition.len());
    let mut done = 0;
    for (at, _) in definition.match_indices(&prefix) {
        // `my_shop.orders` only ends in `shop.orders`, and `shop` in `other.shop.x` is a table.
        let before = definition[..at].chars().next_back();
        if !before.is_some_and(|c| c.is_alphanumeric() || "_$.\"`@".contains(c)) {
            out.push_str(&definition[done..at]);
            done = at + prefix.len();
        }
    }
    out.push_str(&definition[done..]);
    out
}

/// Whether a text has the word by itself, as the name of something else: of `FROM users app`, `app.id` is a column.
fn is_alias(definition: &str, name: &str) -> bool {
    let names_schema = |before: &str| {
        let word = before.split_whitespace().next_back().unwrap_or_default().to_lowercase();
        word.ends_with(['=', ',']) || ["to", "schema"].contains(&&*word)
    };
    !name.is_empty()
        && definition.match_indices(name).any(|(at, _)| {
            let (before, behind) = (&definition[..at], definition[at + name.len()..].chars().next());
            let is_word = before.ends_with(char::is_whitespace)
                && !behind.is_some_and(|c| c.is_alphanumeric() || "_$.".contains(c));
            is_word && !names_schema(before)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_taken_out_only_where_it_is_one() {
        assert_eq!(unqualified("SELECT a.x FROM a.t, la.t, b.a.t", "a"), "SELECT x FROM t, la.t, b.a.t");
        assert_eq!(unqualified(r#"ON "T 1".t, "T 1".u"#, r#""T 1""#), "ON t, u");
        assert_eq!(unqualified("a.a.t", "a"), "a.t");
        let alias = "SELECT app.id FROM users app";
        assert_eq!(unqualified(alias, "app"), alias);
        assert_eq!(
            unqualified("SET search_path TO app AS $$ SELECT id FROM app.users $$", "app").matches("app").count(),
            1
        );
    }

    #[test]
    fn a_tenants_own_role_is_told_from_one_that_only_begins_alike() {
        for (role, marked) in [
            ("acme", "{tenant}"),
            ("acme_app", "{tenant}_app"),
            ("app-acme", "app-{tenant}"),
            ("'acme'@'%'", "'{tenant}'@'%'"),
            ("acmeria", "acmeria"),
            ("reader", "reader"),
        ] {
            assert_eq!(with_mark(role, "acme"), marked);
            assert_eq!(with_mark(role, ""), role);
        }
    }

    #[test]
    fn what_is_not_the_tenants_is_left_out_with_what_hangs_on_it() {
        let mut gathered = Gathered::default();
        for name in ["history", "fleet_journal", "orders"] {
            gathered.add_table(name.to_owned());
            gathered.add_other("trigger", format!("{name}.t"), String::new());
        }
        let shape = gathered.finish("history");
        assert_eq!(shape.tables.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["orders"]);
        assert_eq!(shape.others.iter().map(|o| o.name.as_str()).collect::<Vec<_>>(), ["orders.t"]);
    }
}
