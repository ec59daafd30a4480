//! Whole seeds of a database in memory: random schemas never get a duplicate key or a dangling reference.

use std::collections::{BTreeMap, HashSet};

use fleet_shape::{Cell, Column, ForeignKey, Key, Shape, Table, Unique};
use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::agree::text;

/// A database that refuses the same rows as a real one: duplicates, dangling references, NULLs.
#[derive(Default)]
struct Memory {
    shape: Shape,
    rows: BTreeMap<String, Vec<BTreeMap<String, Cell>>>,
    /// Refuses a batch that would bring a table to more rows than this.
    most: Option<usize>,
}

impl Memory {
    fn tuples(&self, table: &str, columns: &[String]) -> Vec<Vec<String>> {
        let rows = self.rows.get(table).map_or(&[][..], Vec::as_slice);
        rows.iter().filter_map(|row| columns.iter().map(|c| key(&row[c])).collect()).collect()
    }

    fn check(&self, table: &Table) -> Result<(), String> {
        for set in table.uniques.iter().map(|u| &u.columns).chain([&table.primary_key]) {
            let all = self.tuples(&table.name, set);
            let different: HashSet<&Vec<String>> = all.iter().collect();
            if different.len() != all.len() {
                return Err(format!("duplicate key in {} {set:?}", table.name));
            }
        }
        for foreign in &table.foreign_keys {
            let there: HashSet<Vec<String>> = self.tuples(&foreign.to_table, &foreign.to_columns).into_iter().collect();
            if let Some(lost) = self.tuples(&table.name, &foreign.columns).iter().find(|t| !there.contains(*t)) {
                return Err(format!("{} {foreign:?} dangles: {lost:?}", table.name));
            }
        }
        Ok(())
    }

    /// All of the rows or none of them.
    fn insert(&mut self, table: &Table, columns: &[&Column], rows: &[Vec<Cell>]) -> Result<(), String> {
        let before = self.rows.get(&table.name).cloned().unwrap_or_default();
        let all = self.rows.entry(table.name.clone()).or_default();
        for row in rows {
            let mut new: BTreeMap<String, Cell> =
                table.columns.iter().map(|c| (c.name.clone(), Cell::Int(all.len() as i64 + 1))).collect();
            for (column, cell) in columns.iter().zip(row) {
                if *cell == Cell::Null && !column.nullable {
                    return Err(format!("{}.{} is NULL", table.name, column.name));
                }
                new.insert(column.name.clone(), cell.clone());
            }
            all.push(new);
        }
        let is_full = self.most.is_some_and(|most| all.len() > most);
        let checked = if is_full { Err("full".to_owned()) } else { self.check(table) };
        if checked.is_err() {
            self.rows.insert(table.name.clone(), before);
        }
        checked
    }

    fn keys(&self, table: &Table, columns: &[&Column]) -> Vec<Vec<Option<Key>>> {
        let one = |cell: &Cell| key(cell).map(|text| Key::new(format!("'{}'", text.replace('\'', "''"))));
        let rows = self.rows.get(&table.name).map_or(&[][..], Vec::as_slice);
        rows.iter().map(|row| columns.iter().map(|c| one(&row[&c.name])).collect()).collect()
    }
}

fn key(cell: &Cell) -> Option<String> {
    (*cell != Cell::Null).then(|| text(cell).unwrap_or_else(|| format!("{cell:?}")))
}

/// A seed to its end, or to the refusal of a batch.
fn run(memory: &mut Memory, request: &SeedRequest) -> Result<SeedSummary, (SeedSummary, String)> {
    let shape = memory.shape.clone();
    let mut seeding = Seeding::new(&shape, request, 500).map_err(|e| (SeedSummary::default(), e.to_string()))?;
    let count = |table: &String| memory.rows.get(table).map_or(0, |rows| rows.len() as u64);
    seeding.counted(&seeding.tables().iter().map(count).collect::<Vec<_>>());
    loop {
        match seeding.next_step().map_err(|e| (seeding.summary().clone(), e.to_string()))? {
            None => return Ok(seeding.summary().clone()),
            Some(Step::Read { table, columns }) => seeding.read(memory.keys(table, &columns)),
            Some(Step::Insert { table, columns, rows }) => {
                memory.insert(table, &columns, &rows).map_err(|e| (seeding.summary().clone(), e))?;
                seeding.inserted(rows.len() as u64);
            }
        }
    }
}

/// Rules of a sales program, and of its predecessor.
fn rules() -> Arc<Rules> {
    let text = r#"
        [[table]]
        table = ["orders"]
        holds = ["line_total = quantity * unit_price"]

        [[column]]
        table = ["transactions"]
        nulls = 0
        malformed = ["abc", ""]
    "#;
    Arc::new(Rules::parse(text).unwrap())
}

fn column(name: &str, kind: &str, nullable: bool) -> Column {
    Column { name: name.into(), kind: kind.into(), nullable, ..Column::default() }
}

fn unique(columns: &[&str]) -> Unique {
    Unique { name: "u".into(), columns: columns.iter().map(|c| (*c).to_owned()).collect() }
}

fn foreign(column: &str, to: &str) -> ForeignKey {
    let one = |name: &str| vec![name.to_owned()];
    ForeignKey { columns: one(column), to_table: to.into(), to_columns: one("id"), ..ForeignKey::default() }
}

/// A table `t<n>` with references to some tables before it, or to itself, and unique sets of some columns.
fn table(n: usize, key: u8, links: &[(usize, bool)], itself: Option<bool>, sets: &[Vec<usize>]) -> Table {
    let name = format!("t{n}");
    let mut id = column("id", if key == 0 { "uuid" } else { "bigint" }, false);
    id.generated = (key == 2).then(|| "identity always".to_owned());
    let mut columns = vec![id];
    let mut foreign_keys = Vec::new();
    for (i, (to, nullable)) in links.iter().enumerate().filter(|_| n > 0) {
        let name = format!("ref{i}_id");
        foreign_keys.push(foreign(&name, &format!("t{}", to % n)));
        columns.push(column(&name, "uuid", *nullable));
    }
    if let Some(nullable) = itself {
        foreign_keys.push(foreign("parent_id", &name));
        columns.push(column("parent_id", "uuid", nullable || key == 2));
    }
    for (name, kind) in [
        ("email", "varchar(60)"),
        ("code", "varchar(5)"),
        ("initial", "char(1)"),
        ("currency", "char(3)"),
        ("position", "smallint"),
        ("starts_on", "date"),
        ("is_active", "boolean"),
        ("total", "numeric(6,2)"),
        ("created_at", "timestamp"),
    ] {
        columns.push(column(name, kind, name.len() % 2 == 0));
    }
    let width = columns.len();
    let set = |places: &Vec<usize>| {
        let mut names: Vec<String> = places.iter().map(|p| columns[1 + p % (width - 1)].name.clone()).collect();
        names.sort();
        names.dedup();
        Unique { name: String::new(), columns: names }
    };
    let uniques = sets.iter().map(set).collect();
    Table { name, primary_key: vec!["id".into()], columns, foreign_keys, uniques, ..Table::default() }
}

fn shapes() -> impl Strategy<Value = Shape> {
    let one = (
        0_u8..3,
        prop::collection::vec((0_usize..9, any::<bool>()), 0..3),
        prop::option::of(any::<bool>()),
        prop::collection::vec(prop::collection::vec(0_usize..12, 1..4), 0..3),
    );
    prop::collection::vec(one, 1..6).prop_map(|tables| {
        let made = tables.iter().enumerate();
        let tables = made.map(|(n, (key, links, itself, sets))| table(n, *key, links, *itself, sets)).collect();
        Shape { tables, ..Shape::default() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_key_comes_twice_and_no_reference_dangles(shape in shapes(), seed in any::<u64>()) {
        let mut memory = Memory { shape, ..Memory::default() };
        let request = SeedRequest { seed, ..SeedRequest::default() };
        let summary = run(&mut memory, &request).map_err(|(_, e)| TestCaseError::fail(e))?;
        for told in &summary.tables {
            prop_assert!(told.added > 0, "{told:?}");
            prop_assert_eq!(memory.rows[&told.table].len() as u64, told.added);
        }
        let mut again = Memory { shape: memory.shape.clone(), ..Memory::default() };
        run(&mut again, &request).unwrap();
        prop_assert_eq!(&memory.rows, &again.rows, "the same seed");
        let more = SeedRequest { scale: 2, append: true, ..request };
        let grown = run(&mut memory, &more).map_err(|(_, e)| TestCaseError::fail(e))?;
        for (told, before) in grown.tables.iter().zip(&summary.tables) {
            prop_assert_eq!(told.before, before.added);
        }
    }
}

fn orders() -> Shape {
    let mut customers = Table {
        name: "customers".into(),
        columns: vec![column("id", "uuid", false), column("name", "varchar(80)", false)],
        primary_key: vec!["id".into()],
        ..Table::default()
    };
    customers.options.push("comment people".into());
    let orders = Table {
        name: "orders".into(),
        columns: vec![
            column("id", "uuid", false),
            column("customer_id", "uuid", false),
            column("is_deleted", "boolean", false),
            column("deleted_at", "timestamp", true),
            column("low", "integer", false),
            column("high", "integer", false),
            column("quantity", "integer", false),
            column("unit_price", "numeric(12,2)", false),
            column("line_total", "numeric(12,2)", false),
            column("kind", "varchar(9)", false),
            column("note", "varchar(9)", true),
        ],
        primary_key: vec!["id".into()],
        foreign_keys: vec![foreign("customer_id", "customers")],
        checks: vec![
            ("order".into(), "(low < high)".into()),
            ("few".into(), "quantity >= 5 AND quantity <= 9".into()),
            ("known".into(), "kind IN ('in', 'out')".into()),
            ("paired".into(), "(kind = 'in' AND note IS NOT NULL) OR (kind = 'out' AND note IS NULL)".into()),
        ],
        ..Table::default()
    };
    let card = Table {
        name: "cards".into(),
        columns: vec![column("customer_id", "uuid", false), column("number", "varchar(19)", false)],
        primary_key: vec!["customer_id".into()],
        foreign_keys: vec![foreign("customer_id", "customers")],
        ..Table::default()
    };
    Shape { tables: vec![card, customers, orders], ..Shape::default() }
}

#[test]
fn values_of_a_row_agree() {
    let mut memory = Memory { shape: orders(), ..Memory::default() };
    run(&mut memory, &SeedRequest { scale: 5, rules: rules(), ..SeedRequest::default() }).unwrap();
    let rows = &memory.rows["orders"];
    assert_eq!((rows.len(), memory.rows["cards"].len(), memory.rows["customers"].len()), (500, 500, 500));
    let mut deleted = 0;
    for row in rows {
        let is_deleted = row["is_deleted"] == Cell::Bool(true);
        deleted += usize::from(is_deleted);
        assert_eq!(is_deleted, row["deleted_at"] != Cell::Null, "{row:?}");
        let (Cell::Int(low), Cell::Int(high), Cell::Int(quantity)) = (&row["low"], &row["high"], &row["quantity"])
        else {
            panic!("{row:?}")
        };
        assert!(low < high && (5..=9).contains(quantity), "{row:?}");
        let (Cell::Decimal(one), Cell::Decimal(total)) = (&row["unit_price"], &row["line_total"]) else {
            panic!("{row:?}")
        };
        assert_eq!((one * Decimal::from(*quantity), 2), (*total, total.scale()));
        assert_eq!(row["kind"] == Cell::Text("in".into()), row["note"] != Cell::Null, "{row:?}");
    }
    assert!((1..=100).contains(&deleted), "mostly not: {deleted}");
}

#[test]
fn a_table_with_rows_is_left_alone_unless_it_is_to_be_filled_up() {
    let mut memory = Memory { shape: orders(), most: Some(500), ..Memory::default() };
    let request = SeedRequest { scale: 10, ..SeedRequest::default() };
    let (done, stop) = run(&mut memory, &request).unwrap_err();
    assert_eq!((done.tables[0].table.as_str(), done.added(), stop.as_str()), ("customers", 500, "full"));
    memory.most = None;
    let summary = run(&mut memory, &request).unwrap();
    let customers = summary.tables.iter().find(|t| t.table == "customers").unwrap();
    assert_eq!(customers.note().unwrap(), "customers has 500 of 1,000 rows; `--append` goes on from there");
    assert_eq!(memory.rows["orders"].len(), 1_000);
    let appended = run(&mut memory, &SeedRequest { append: true, ..request.clone() }).unwrap();
    assert_eq!((appended.added(), memory.rows["customers"].len()), (500 + 500, 1_000), "cards, too");
    let mut whole = Memory { shape: orders(), ..Memory::default() };
    run(&mut whole, &request).unwrap();
    assert_eq!(memory.rows["customers"], whole.rows["customers"], "as if it had never stopped");
    let again = run(&mut memory, &request).unwrap();
    assert_eq!(again.added(), 0);
    assert_eq!(again.tables[0].note().unwrap(), "customers has 1,000 rows already");
}

#[test]
fn a_one_to_one_table_has_no_more_rows_than_its_parent() {
    let mut memory = Memory { shape: orders(), ..Memory::default() };
    memory.shape.tables[1].uniques.push(unique(&["name"]));
    memory.shape.tables[1].columns[1].kind = "char(1)".into();
    let summary = run(&mut memory, &SeedRequest::default()).unwrap();
    let told = |name: &str| summary.tables.iter().find(|t| t.table == name).unwrap().clone();
    assert_eq!((told("customers").added, told("cards").added, told("orders").added), (36, 36, 100));
    assert_eq!(told("customers").note(), None, "as far as its keys leave room");
}

#[test]
fn marked_texts_are_malformed_as_often_as_asked() {
    let texts = ["amount", "sold_on", "status"].map(|name| column(name, "varchar(64)", true));
    let mut columns = vec![column("id", "bigint", false)];
    columns.extend(texts);
    let transactions =
        Table { name: "transactions".into(), columns, primary_key: vec!["id".into()], ..Table::default() };
    let count = |percent: u8| {
        let shape = Shape { tables: vec![transactions.clone()], ..Shape::default() };
        let mut memory = Memory { shape, ..Memory::default() };
        let request = SeedRequest { scale: 10, malformed_percent: percent, rules: rules(), ..SeedRequest::default() };
        run(&mut memory, &request).unwrap();
        let is_malformed = |cell: &Cell| matches!(cell, Cell::Text(t) if ["abc", ""].contains(&t.as_str()));
        let rows = &memory.rows["transactions"];
        assert!(rows.iter().all(|row| !is_malformed(&row["status"])));
        let is_whole = |row: &BTreeMap<String, Cell>| row.values().all(|cell| *cell != Cell::Null);
        assert!(rows.iter().all(is_whole), "what is not malformed is sound");
        let wrong =
            |row: &BTreeMap<String, Cell>| ["amount", "sold_on"].iter().filter(|c| is_malformed(&row[**c])).count();
        assert!(rows.iter().all(|row| wrong(row) <= 1), "one text of a row");
        (rows.len(), rows.iter().filter(|row| wrong(row) == 1).count())
    };
    assert_eq!(count(0), (3_000, 0));
    let (_, few) = count(1);
    assert!((10..60).contains(&few), "{few}");
    assert_eq!(count(100), (3_000, 3_000));
}
