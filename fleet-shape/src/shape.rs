//! The schema of a database: tables, columns, keys, and all other objects.
//!
//! Plain data: nothing here reads it from an engine or touches a database.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// All objects in one tenant's namespace, in a fixed order. Fleet's own tables and the history are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Base tables, by name.
    pub tables: Vec<Table>,
    /// Views, materialized views, triggers, routines, types, sequences of their own, by kind and name.
    pub others: Vec<Other>,
    /// The privileges of others than the owner. They are no part of the fingerprint, and [`Shape::compared`] leaves them out:
    /// people grant them, and one database has other roles than the next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
    /// Defaults of the database itself, which whoever made it has chosen, by name: its character set. They are no part of the
    /// fingerprint either, as migrations seldom name them, and scratch databases have those of their server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub defaults: Vec<(String, String)>,
}

/// The privileges of one role on one object.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// The object by its kind and name: `table orders`.
    pub object: String,
    /// The role, in whose name `{tenant}` stands for the name of the tenant's database or schema.
    pub to: String,
    /// In lower case, sorted, with commas between them: `insert, select`.
    pub rights: String,
}

impl Grant {
    /// Stands for the name of the tenant's database or schema.
    pub const TENANT: &str = "{tenant}";
}

/// A base table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name, without a namespace.
    pub name: String,
    /// Its columns in the table's own order.
    pub columns: Vec<Column>,
    /// The columns of the primary key, in key order; empty where there is none.
    pub primary_key: Vec<String>,
    /// Unique constraints and unique indexes without a condition, by name.
    pub uniques: Vec<Unique>,
    /// Other indexes as the engine describes them, name first (`ix_total: …`), sorted. A unique index of PostgreSQL or
    /// SQLite is here and among `uniques`, because it is more than a unique constraint.
    pub indexes: Vec<String>,
    /// Foreign keys, by name (by columns where the engine keeps no name).
    pub foreign_keys: Vec<ForeignKey>,
    /// CHECK constraints: name (empty where there is none) and expression as the engine prints it, sorted.
    pub checks: Vec<(String, String)>,
    /// Other properties in which tables can differ: partitioning, comment, storage; as text, sorted.
    pub options: Vec<String>,
}

/// A column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as the engine prints it, in lower case: `character varying(64)`, `decimal(12,2)`, `uuid_text`.
    pub kind: String,
    /// Whether it is nullable.
    pub nullable: bool,
    /// Its default as the engine prints it.
    pub default: Option<String>,
    /// Whether the engine computes it (generated, identity, auto-increment), and how.
    pub generated: Option<String>,
    /// Its comment, where the engine keeps one.
    pub comment: Option<String>,
}

/// A set of columns with unique values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unique {
    /// Its name; empty where the engine keeps none.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
}

/// A reference to another table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Its name; empty where the engine keeps none.
    pub name: String,
    /// The columns of this table, in order.
    pub columns: Vec<String>,
    /// The referenced table.
    pub to_table: String,
    /// Its columns, in the same order; empty where SQLite's definition names none and means the primary key.
    pub to_columns: Vec<String>,
    /// `cascade`, `restrict`, `set null`, `set default`, `no action`.
    pub on_delete: String,
    /// As `on_delete`.
    pub on_update: String,
}

/// The first word of an event's definition that has a start of its own, on its first line.
pub const EVENT_START: &str = "starts ";

/// Something that is not a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Other {
    /// `view`, `materialized view`, `trigger`, `function`, `procedure`, `aggregate`, `type`, `sequence`, `event`,
    /// `rule`, `index` (of a materialized view), `collation`, `operator`, `extension`, `schema` and what else an engine has.
    pub kind: String,
    /// Its name; a trigger's with its table: `orders.set_total`; a routine's with its parameters on PostgreSQL.
    pub name: String,
    /// Its definition in one form for each meaning: as the engine prints it, or its text without the white space that means
    /// nothing.
    pub definition: String,
}

impl Other {
    /// Whether it stands beside the namespace: an extension, another schema, a setting or a publication of the database, which more
    /// than one tenant may share, or which was made for the server that it is on.
    pub fn is_beside(&self) -> bool {
        matches!(self.kind.as_str(), "extension" | "schema" | "publication" | "event trigger" | "database setting")
    }

    /// Whether a schema has it: an extension in any version, anything else in the same form.
    pub fn is_in(&self, shape: &Shape) -> bool {
        self.of(shape).is_some_and(|it| self.kind == "extension" || it.definition == self.definition)
    }

    /// The object of this kind and name in a schema.
    pub fn of<'a>(&self, shape: &'a Shape) -> Option<&'a Other> {
        shape.others.iter().find(|other| (&other.kind, &other.name) == (&self.kind, &self.name))
    }
}

/// An object, or a part of one, that two schemas do not have alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Difference {
    /// The object by its kind and name: `table orders`, `view sales`.
    pub object: String,
    /// The part of a table: `column total`, `index ix_total`, `primary key`, or an option in its own words; empty where it
    /// is the object itself.
    pub part: String,
    /// Its forms in the first schema, sorted; none where it is missing, and an empty text where it has but one form.
    pub first: Vec<String>,
    /// Its forms in the second schema.
    pub second: Vec<String>,
}

impl Difference {
    /// The object with its part: `table orders: column total`.
    pub fn title(&self) -> String {
        if self.part.is_empty() { self.object.clone() } else { format!("{}: {}", self.object, self.part) }
    }

    /// The first words of a part that is the rights of a role.
    pub const GRANTS: &str = "grants to ";

    /// The part of an object that is the rights of a role on it.
    pub fn part_of_grant(to: &str) -> String {
        format!("{}{to}", Self::GRANTS)
    }

    /// Whether it is one of [`Difference::part_of_grant`].
    pub fn is_of_grants(&self) -> bool {
        self.part.starts_with(Self::GRANTS)
    }

    /// Whether it was compared with what most tenants have, not with the version.
    pub fn is_of_most(&self) -> bool {
        self.is_of_grants() || self.object == "database"
    }

    /// One line, with names for the two sides that fit after "is bigint ...": `before`, `after`.
    pub fn in_words(&self, one: &str, other: &str) -> String {
        let (title, a, b) = (self.title(), &self.first, &self.second);
        match (a.is_empty(), b.is_empty()) {
            (false, true) => format!("{title} is only {one}"),
            (true, _) => format!("{title} is only {other}"),
            _ if a.iter().chain(b).all(String::is_empty) => {
                format!("{title} is {one} {} times, {other} {}", a.len(), b.len())
            }
            _ => format!("{title} is {} {one}, {} {other}", a.join("; "), b.join("; ")),
        }
    }
}

impl Shape {
    /// SHA-256, in lower-case hex, of the whole schema. Two databases with the same fingerprint have the same schema.
    ///
    /// The order of columns in a table is ignored: a column that is dropped and added again comes last, and up, down and up
    /// again must still be the same.
    pub fn fingerprint(&self) -> String {
        let canonical = serde_json::to_vec(&self.canonical()).expect("plain data becomes JSON");
        Sha256::digest(canonical).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// As [`Shape::fingerprint`], and different for other grants and defaults, too.
    pub fn fingerprint_of_all(&self) -> String {
        let grants = serde_json::to_vec(&(&self.grants, &self.defaults)).expect("plain data becomes JSON");
        let digest = Sha256::new().chain_update(self.fingerprint()).chain_update(grants).finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The differences of `other`, in plain words, one line each; empty exactly when the fingerprints are equal.
    /// This one is called "here", the other one "there".
    pub fn differences(&self, other: &Shape) -> Vec<String> {
        self.differences_between(other, "here", "there")
    }

    /// As [`Shape::differences`], with names for the two sides that fit after "is bigint ...": `before`, `after`.
    pub fn differences_between(&self, other: &Shape, one_side: &str, other_side: &str) -> Vec<String> {
        self.compared(other).iter().map(|difference| difference.in_words(one_side, other_side)).collect()
    }

    /// The differences of `other`; empty exactly when the fingerprints are equal.
    pub fn compared(&self, other: &Shape) -> Vec<Difference> {
        let (here, there) = (self.canonical(), other.canonical());
        let mut found = Vec::new();
        for (name, pair) in paired(&here.tables, &there.tables, |t| t.name.clone()) {
            let is_there = |table: Option<&Table>| table.map(|_| String::new()).into_iter().collect();
            match pair {
                (Some(a), Some(b)) => found.extend(a.compared(b)),
                (a, b) => found.push(Difference {
                    object: format!("table {name}"),
                    part: String::new(),
                    first: is_there(a),
                    second: is_there(b),
                }),
            }
        }
        let title = |o: &Other| format!("{} {}", o.kind, o.name);
        let others = told(&here.others, &there.others, title, |o: &Other| o.definition.clone());
        found.extend(others.map(|(object, first, second)| Difference { object, part: String::new(), first, second }));
        if found.is_empty() && here != there {
            let is = vec!["something that has the same words for both".to_owned()];
            found.push(Difference { object: "schema".into(), part: "rest".into(), first: is.clone(), second: is });
        }
        found
    }

    /// The canonical form of the schema: sorted, without grants and defaults.
    fn canonical(&self) -> Shape {
        let mut shape = Shape { grants: Vec::new(), defaults: Vec::new(), ..self.clone() };
        for table in &mut shape.tables {
            table.columns.sort_by(|a, b| a.name.cmp(&b.name));
            table.uniques.sort_by(|a, b| (&a.name, &a.columns).cmp(&(&b.name, &b.columns)));
            let key = |k: &ForeignKey| (k.name.clone(), k.columns.clone(), k.to_table.clone(), k.to_columns.clone());
            table.foreign_keys.sort_by_key(key);
            table.indexes.sort();
            table.options.sort();
            table.checks.sort();
        }
        shape.tables.sort_by(|a, b| a.name.cmp(&b.name));
        shape.others.sort();
        shape
    }
}

impl Table {
    /// Both tables must be canonical.
    fn compared(&self, other: &Table) -> Vec<Difference> {
        let mut found = Vec::new();
        let column = |c: &Column| format!("column {}", c.name);
        found.extend(told(&self.columns, &other.columns, column, Column::in_words));
        if self.primary_key != other.primary_key {
            let key = |key: &[String]| vec![if key.is_empty() { "nothing".to_owned() } else { key.join(", ") }];
            found.push(("primary key".to_owned(), key(&self.primary_key), key(&other.primary_key)));
        }
        // A unique set without a name is known by its columns.
        let unique = |u: &Unique| format!("unique {}", or(&u.name, || u.columns.join(", ")));
        found.extend(told(&self.uniques, &other.uniques, unique, |u| u.columns.join(", ")));
        let named = |text: &String| format!("index {}", text.split_once(": ").map_or(text.as_str(), |(name, _)| name));
        let rest = |text: &String| text.split_once(": ").map_or(String::new(), |(_, rest)| rest.to_owned());
        found.extend(told(&self.indexes, &other.indexes, named, rest));
        let key = |k: &ForeignKey| format!("foreign key {}", or(&k.name, || k.columns.join(", ")));
        found.extend(told(&self.foreign_keys, &other.foreign_keys, key, ForeignKey::in_words));
        let check = |(name, text): &(String, String)| format!("check {}", or(name, || text.clone()));
        found.extend(told(&self.checks, &other.checks, check, |(_, text)| text.clone()));
        found.extend(told(&self.options, &other.options, Clone::clone, |_| String::new()));
        let object = format!("table {}", self.name);
        let of_table = |(part, first, second)| Difference { object: object.clone(), part, first, second };
        found.into_iter().map(of_table).collect()
    }
}

impl Column {
    /// Its type and attributes, in the order of a definition in SQL.
    pub fn in_words(&self) -> String {
        let mut words = vec![self.kind.clone()];
        words.extend((!self.nullable).then(|| "not null".to_owned()));
        words.extend(self.default.as_ref().map(|d| format!("default {d}")));
        words.extend(self.generated.clone());
        words.extend(self.comment.as_ref().map(|c| format!("comment '{c}'")));
        words.join(" ")
    }
}

impl ForeignKey {
    fn in_words(&self) -> String {
        let (from, to) = (self.columns.join(", "), self.to_columns.join(", "));
        let (delete, update) = (&self.on_delete, &self.on_update);
        format!("({from}) to {}({to}) on delete {delete} on update {update}", self.to_table)
    }
}

fn or(name: &str, other: impl Fn() -> String) -> String {
    if name.is_empty() { other() } else { name.to_owned() }
}

/// The items of both sides paired by name, in order.
fn paired<'a, T>(
    here: &'a [T],
    there: &'a [T],
    name: impl Fn(&T) -> String,
) -> BTreeMap<String, (Option<&'a T>, Option<&'a T>)> {
    let mut pairs: BTreeMap<String, (Option<&T>, Option<&T>)> = BTreeMap::new();
    for item in here {
        pairs.entry(name(item)).or_default().0 = Some(item);
    }
    for item in there {
        pairs.entry(name(item)).or_default().1 = Some(item);
    }
    pairs
}

/// A name, and its forms on each side.
type Told = (String, Vec<String>, Vec<String>);

/// The differences among named items. Of several with one name all are listed when one differs.
fn told<'a, T>(
    here: &'a [T],
    there: &'a [T],
    name: impl Fn(&T) -> String,
    text: impl Fn(&T) -> String,
) -> impl Iterator<Item = Told> {
    let mut all: BTreeMap<String, (Vec<String>, Vec<String>)> = BTreeMap::new();
    for item in here {
        all.entry(name(item)).or_default().0.push(text(item));
    }
    for item in there {
        all.entry(name(item)).or_default().1.push(text(item));
    }
    all.into_iter().filter(|(_, (a, b))| a != b).map(|(name, (a, b))| (name, a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders() -> Shape {
        let column = |name: &str, kind: &str| Column { name: name.into(), kind: kind.into(), ..Column::default() };
        let table = Table {
            name: "orders".into(),
            columns: vec![column("id", "bigint"), column("total", "decimal(12,2)")],
            primary_key: vec!["id".into()],
            uniques: vec![Unique { name: "u".into(), columns: vec!["total".into()] }],
            indexes: vec!["i: on (total)".into()],
            foreign_keys: vec![ForeignKey {
                columns: vec!["id".into()],
                to_table: "x".into(),
                ..ForeignKey::default()
            }],
            checks: vec![("c".into(), "total > 0".into())],
            options: vec!["engine innodb".into()],
        };
        let view = Other { kind: "view".into(), name: "v".into(), definition: "SELECT 'a  b'".into() };
        Shape { tables: vec![table], others: vec![view], ..Shape::default() }
    }

    #[test]
    fn order_of_columns_does_not_count() {
        let (one, mut two) = (orders(), orders());
        two.tables[0].columns.reverse();
        assert_eq!(one.fingerprint(), two.fingerprint());
        assert_eq!(one.differences(&two), [""; 0]);
    }

    #[test]
    fn every_change_changes_the_fingerprint_and_is_told_in_words() {
        type Change = (fn(&mut Shape), &'static str);
        let changes: [Change; 20] = [
            (|s| s.tables[0].name = "orders2".into(), "table orders is only here"),
            (
                |s| s.tables[0].columns[1].kind = "decimal(10,2)".into(),
                "table orders: column total is decimal(12,2) not null here, decimal(10,2) not null there",
            ),
            (
                |s| s.tables[0].columns[1].nullable = true,
                "table orders: column total is decimal(12,2) not null here, decimal(12,2) there",
            ),
            (|s| s.tables[0].columns[1].default = Some("0".into()), "column total is"),
            (|s| s.tables[0].columns[1].generated = Some("identity".into()), "column total is"),
            (|s| s.tables[0].columns[1].comment = Some("!".into()), "column total is"),
            (|s| drop(s.tables[0].columns.pop()), "table orders: column total is only here"),
            (|s| s.tables[0].primary_key.clear(), "table orders: primary key is id here, nothing there"),
            (
                |s| s.tables[0].uniques[0].columns.push("id".into()),
                "table orders: unique u is total here, total, id there",
            ),
            (|s| s.tables[0].uniques.clear(), "table orders: unique u is only here"),
            (
                |s| s.tables[0].indexes[0] = "i: on (id)".into(),
                "table orders: index i is on (total) here, on (id) there",
            ),
            (|s| s.tables[0].indexes.clear(), "table orders: index i is only here"),
            (
                |s| s.tables[0].foreign_keys[0].on_delete = "cascade".into(),
                "table orders: foreign key id is (id) to x() on delete",
            ),
            (|s| s.tables[0].foreign_keys.clear(), "table orders: foreign key id is only here"),
            (
                |s| s.tables[0].checks[0].1 = "total > 1".into(),
                "table orders: check c is total > 0 here, total > 1 there",
            ),
            (|s| s.tables[0].checks[0].0 = "d".into(), "table orders: check c is only here"),
            (
                |s| s.tables[0].options.push("engine innodb".into()),
                "table orders: engine innodb is here 1 times, there 2",
            ),
            (|s| s.tables[0].options.clear(), "table orders: engine innodb is only here"),
            (|s| s.others[0].definition.push('x'), "view v is SELECT 'a  b' here, SELECT 'a  b'x there"),
            (|s| s.others.clear(), "view v is only here"),
        ];
        for (change, words) in changes {
            let mut changed = orders();
            change(&mut changed);
            let told = orders().differences(&changed);
            assert!(told.iter().any(|line| line.contains(words)), "{words}: {told:?}");
            assert!(!changed.differences(&orders()).is_empty(), "{words}: the other way round");
            assert_ne!(orders().fingerprint(), changed.fingerprint(), "{words}");
        }
    }
}
