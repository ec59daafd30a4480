//! The order in which tables are filled, and their numbers of rows.
//!
//! It reads a schema and the rules; it knows nothing of generating rows.

use std::collections::BTreeSet;

use fleet_shape::{Column, ForeignKey, Shape, Table};

use crate::SeedError;
use crate::kind::{self, Kind};
use crate::partition::Bounds;
use crate::rules::{Rules, Size};

/// A table that is to be filled.
#[derive(Debug, Clone)]
pub(crate) struct Planned<'a> {
    pub(crate) table: &'a Table,
    /// The target number of rows.
    pub(crate) rows: u64,
    /// References, those of more columns first.
    pub(crate) references: Vec<Reference<'a>>,
    /// The values that have a partition.
    pub(crate) bounds: Option<Bounds>,
}

/// A foreign key, or columns that look like one.
#[derive(Debug, Clone)]
pub(crate) struct Reference<'a> {
    /// The columns of the table.
    pub(crate) columns: Vec<&'a Column>,
    /// The table that is referred to; `None`: it can't be read, and the columns stay NULL.
    pub(crate) to: Option<(&'a Table, Vec<&'a Column>)>,
    /// Whether it is NULL in all rows, because its tables refer to each other in a circle.
    pub(crate) is_cut: bool,
    /// Whether it is guessed from names, without a constraint.
    pub(crate) is_guessed: bool,
}

/// Rows of a medium-sized table at scale 1.
const ROWS: u64 = 100;

/// Puts parents before their children.
pub(crate) fn plan<'a>(shape: &'a Shape, rules: &Rules, scale: u32) -> Result<Vec<Planned<'a>>, SeedError> {
    let tables: Vec<&Table> = shape.tables.iter().filter(|table| is_filled(table)).collect();
    let mut left: Vec<Planned<'_>> = tables
        .iter()
        .map(|table| {
            let mut references: Vec<Reference<'_>> =
                table.foreign_keys.iter().map(|key| reference(shape, table, key)).collect();
            references.extend(guesses(&tables, table, rules));
            references.sort_by_key(|r| std::cmp::Reverse(r.columns.len()));
            let rows = rows(&tables, table, rules, u64::from(scale.max(1)));
            Planned { table, rows, references, bounds: Bounds::of(shape, table) }
        })
        .collect();
    let mut done: Vec<Planned<'_>> = Vec::new();
    while !left.is_empty() {
        let names: BTreeSet<String> = done.iter().map(|p| p.table.name.clone()).collect();
        let waits = |planned: &Planned<'_>| planned.references.iter().any(|r| r.waits(planned.table, &names));
        if let Some(at) = left.iter().position(|planned| !waits(planned)) {
            done.push(left.remove(at));
            continue;
        }
        // A circle: a reference guessed from names is cut first, then a key that may be NULL.
        let cut = |guessed: bool, left: &mut [Planned<'_>]| {
            left.iter_mut().any(|planned| {
                let table = planned.table;
                let found = planned
                    .references
                    .iter_mut()
                    .find(|r| r.waits(table, &names) && if guessed { r.is_guessed } else { r.may_be_null(table) });
                found.map(|r| r.is_cut = true).is_some()
            })
        };
        if !cut(true, &mut left) && !cut(false, &mut left) {
            return Err(SeedError::Circle(left.iter().map(|p| p.table.name.clone()).collect()));
        }
    }
    Ok(done)
}

impl Reference<'_> {
    fn waits(&self, table: &Table, done: &BTreeSet<String>) -> bool {
        let to = self.to.as_ref().filter(|_| !self.is_cut);
        to.is_some_and(|(to, _)| to.name != table.name && is_filled(to) && !done.contains(&to.name))
    }

    pub(crate) fn may_be_null(&self, table: &Table) -> bool {
        self.columns.iter().any(|column| is_nullable(table, column))
    }
}

/// SQLite calls the columns of a primary key nullable.
pub(crate) fn is_nullable(table: &Table, column: &Column) -> bool {
    column.nullable && !table.primary_key.contains(&column.name)
}

/// Partitions are filled through their table; foreign and virtual tables keep their rows elsewhere.
pub(crate) fn is_filled(table: &Table) -> bool {
    let elsewhere = |option: &String| {
        let option = option.to_lowercase();
        ["child of ", "server ", "create virtual "].iter().any(|start| option.starts_with(start))
    };
    !table.options.iter().any(elsewhere)
}

/// Whether the engine generates the column's values itself.
pub(crate) fn is_filled_by_the_engine(table: &Table, column: &Column) -> bool {
    let made =
        column.generated.as_deref().is_some_and(|how| !how.starts_with("on update") && !how.starts_with("default"));
    let next = column.default.as_deref().is_some_and(|default| default.to_lowercase().contains("nextval("));
    // The one INTEGER key of an SQLite table is its row's number. PostgreSQL's `integer` keys have a sequence.
    let is_row_number = table.primary_key == [column.name.clone()] && column.kind == "integer" && column.nullable;
    made || next || is_row_number
}

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

fn column<'a>(table: &'a Table, name: &str) -> Option<&'a Column> {
    table.columns.iter().find(|column| same(&column.name, name))
}

fn reference<'a>(shape: &'a Shape, table: &'a Table, key: &ForeignKey) -> Reference<'a> {
    let columns: Vec<&Column> = key.columns.iter().filter_map(|name| column(table, name)).collect();
    let to = shape.tables.iter().find(|t| same(&t.name, &key.to_table)).and_then(|to| {
        // Without columns the primary key is meant.
        let names = if key.to_columns.is_empty() { &to.primary_key } else { &key.to_columns };
        let found: Vec<&Column> = names.iter().filter_map(|name| column(to, name)).collect();
        (found.len() == columns.len()).then_some((to, found))
    });
    Reference { columns, to, is_cut: false, is_guessed: false }
}

/// A text `platform` where a table `platforms` has codes, an `item_sku` where some items have one: old tables often
/// refer without a key. Of the same tenant, where both tables have a `tenant_id`.
fn guesses<'a>(tables: &[&'a Table], table: &'a Table, rules: &Rules) -> Vec<Reference<'a>> {
    let is_key = |name: &String| table.foreign_keys.iter().any(|key| key.columns.contains(name));
    let is_unique =
        |name: &String| table.uniques.iter().any(|u| u.columns.contains(name)) || table.primary_key.contains(name);
    let texts = table.columns.iter().filter(|c| matches!(kind::parse(&c.kind), Kind::Text(_)));
    let keys = &rules.references.keys;
    let mut found = Vec::new();
    for own in texts.filter(|c| !is_key(&c.name) && !is_unique(&c.name)) {
        let name = own.name.to_lowercase();
        let named = name.rsplit_once('_').filter(|(_, last)| keys.iter().any(|key| key == last));
        let Some((thing, wanted)) = named.or_else(|| Some((&*name, keys.first()?))) else { continue };
        let is_meant = |to: &&&Table| {
            let to_name = to.name.to_lowercase();
            let plural = format!("{thing}s");
            to.name != table.name && (to_name == plural || to_name.ends_with(&format!("_{plural}")))
        };
        let Some((to, key)) = tables.iter().filter(is_meant).find_map(|to| Some((*to, column(to, wanted)?))) else {
            continue;
        };
        let (mut columns, mut to_columns) = (Vec::new(), Vec::new());
        for within in &rules.references.within {
            if let (Some(a), Some(b)) = (column(table, within), column(to, within)) {
                columns.push(a);
                to_columns.push(b);
            }
        }
        columns.push(own);
        to_columns.push(key);
        found.push(Reference { columns, to: Some((to, to_columns)), is_cut: false, is_guessed: true });
    }
    found
}

fn rows(tables: &[&Table], table: &Table, rules: &Rules, scale: u64) -> u64 {
    let name = table.name.to_lowercase();
    let size = rules.of_table(&name).find_map(|rule| rule.size);
    let to_others = table.foreign_keys.iter().filter(|key| !same(&key.to_table, &table.name));
    let refers = to_others.clone().count();
    let referred = tables.iter().filter(|t| t.foreign_keys.iter().any(|key| same(&key.to_table, &table.name))).count();
    // `order_items` belong to `orders`; `inventory_items` to nothing.
    let is_part = name.ends_with("_items")
        && to_others.into_iter().any(|key| {
            let parent = key.to_table.to_lowercase();
            name.starts_with(&format!("{}_", parent.strip_suffix('s').unwrap_or(&parent)))
        });
    match size {
        Some(Size::Lookup) => 6 + 2 * scale.min(50),
        _ if refers == 0 && referred >= 3 => 1 + scale.min(9),
        Some(Size::Events) => 3 * ROWS * scale,
        None if is_part => 3 * ROWS * scale,
        None => ROWS * scale,
    }
}

#[cfg(test)]
mod tests {
    use fleet_shape::Unique;

    use super::*;

    fn table(name: &str, keys: &[(&str, &str, bool)]) -> Table {
        let mut columns = vec![Column { name: "id".into(), kind: "uuid".into(), ..Column::default() }];
        let key = |(column, to, nullable): &(&str, &str, bool)| {
            columns.push(Column {
                name: (*column).into(),
                kind: "uuid".into(),
                nullable: *nullable,
                ..Column::default()
            });
            ForeignKey {
                columns: vec![(*column).into()],
                to_table: (*to).into(),
                to_columns: vec!["id".into()],
                ..ForeignKey::default()
            }
        };
        let foreign_keys = keys.iter().map(key).collect();
        Table { name: name.into(), columns, primary_key: vec!["id".into()], foreign_keys, ..Table::default() }
    }

    fn names(shape: &Shape) -> Vec<String> {
        plan(shape, &Rules::default(), 1).unwrap().iter().map(|p| p.table.name.clone()).collect()
    }

    #[test]
    fn parents_come_first_and_circles_are_cut_where_null_may_stand() {
        let shape = |tables| Shape { tables, ..Shape::default() };
        let chain = shape(vec![
            table("a", &[("b_id", "b", false), ("a_id", "a", true)]),
            table("b", &[("c_id", "c", false)]),
            table("c", &[]),
        ]);
        assert_eq!(names(&chain), ["c", "b", "a"]);
        let circle = shape(vec![table("a", &[("b_id", "b", false)]), table("b", &[("a_id", "a", true)])]);
        let planned = plan(&circle, &Rules::default(), 1).unwrap();
        assert_eq!(names(&circle), ["b", "a"]);
        assert!(planned[0].references[0].is_cut && !planned[1].references[0].is_cut);
        let hard = shape(vec![table("a", &[("b_id", "b", false)]), table("b", &[("a_id", "a", false)])]);
        assert_eq!(plan(&hard, &Rules::default(), 1).unwrap_err(), SeedError::Circle(vec!["a".into(), "b".into()]));
    }

    #[test]
    fn partitions_and_tables_of_elsewhere_are_left_alone() {
        let mut part = table("parts_1", &[]);
        part.options = vec!["child of parts".into(), "partition FOR VALUES FROM (1) TO (2)".into()];
        let mut parent = table("parts", &[]);
        parent.options = vec!["partition by RANGE (n)".into()];
        assert_eq!(names(&Shape { tables: vec![parent, part], ..Shape::default() }), ["parts"]);
    }

    #[test]
    fn a_role_tells_the_number_of_rows() {
        let tables = vec![
            table("tenants", &[]),
            table("platforms", &[]),
            table("orders", &[("tenant_id", "tenants", false), ("platform_id", "platforms", true)]),
            table("order_items", &[("order_id", "orders", false)]),
            table("inventory_items", &[("tenant_id", "tenants", false)]),
            table("users", &[("tenant_id", "tenants", false)]),
        ];
        let shape = Shape { tables, ..Shape::default() };
        let of = |name: &str, scale| {
            plan(&shape, &Rules::default(), scale).unwrap().iter().find(|p| p.table.name == name).unwrap().rows
        };
        assert_eq!((of("tenants", 1), of("platforms", 1), of("orders", 1)), (2, 8, 100));
        assert_eq!((of("order_items", 1), of("inventory_items", 1), of("orders", 5)), (300, 100, 500));
    }

    #[test]
    fn references_without_a_key_are_seen() {
        let text = |name: &str| Column { name: name.into(), kind: "varchar(64)".into(), ..Column::default() };
        let mut sales = table("transactions", &[("tenant_id", "tenants", false)]);
        sales.columns.extend([text("item_sku"), text("platform"), text("status")]);
        let mut items = table("inventory_items", &[("tenant_id", "tenants", false)]);
        items.columns.push(text("sku"));
        let mut platforms = table("platforms", &[]);
        platforms.columns.push(text("code"));
        platforms.uniques.push(Unique { name: "u".into(), columns: vec!["code".into()] });
        let shape = Shape { tables: vec![sales, items, platforms, table("tenants", &[])], ..Shape::default() };
        let planned = plan(&shape, &Rules::default(), 1).unwrap();
        let last = planned.last().unwrap();
        assert_eq!(last.table.name, "transactions");
        let told: Vec<Vec<&str>> =
            last.references.iter().map(|r| r.columns.iter().map(|c| c.name.as_str()).collect()).collect();
        assert_eq!(told, [vec!["tenant_id", "item_sku"], vec!["tenant_id"], vec!["platform"]]);
    }
}
