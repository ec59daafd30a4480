//! Rows of one table: values that belong together, keys of other rows, no unique set twice.
//!
//! It asks nothing of a database. A row depends on its number and on the keys that are there, never on a batch.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::dice::{Dice, hash};
use super::keys::{Keys, plain};
use super::kind::{Kind, OwnTypes};
use super::order::{Planned, is_filled_by_the_engine, is_nullable};
use super::recipe::{Recipe, What, When, carries};
use super::rule::{self, Expression, Limits, Value};
use super::sets::{Set, Wheel};
use super::value::{self, Life};
use super::words;
use crate::engine::{Cell, Key, decimal};
use crate::model::shape::{Column, Table};

/// Tries of one row before the engine is left to judge it.
const TRIES: u64 = 60;

/// After so many tries what only names say is given up.
const GUESSES: u64 = 20;

/// Sets the dice of whole rows apart from those of their columns.
const OF_A_ROW: u64 = 0x5eed_0f00_0000_a201;

/// What all tables of one seed have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Common {
    pub(super) seed: u64,
    pub(super) now: i64,
    pub(super) malformed_percent: u64,
}

/// Columns that hold a key of another row.
#[derive(Debug)]
pub(super) struct Ref {
    /// Places among the maker's columns.
    pub(super) columns: Vec<usize>,
    pub(super) keys: Arc<Keys>,
    /// For a table that refers to itself: where the key is among its own columns; `None` where the engine makes it.
    pub(super) own: Option<Vec<Option<usize>>>,
    pub(super) is_guessed: bool,
    pub(super) is_cut: bool,
}

/// Makes the rows of one table.
#[derive(Debug)]
pub(super) struct Maker<'a> {
    pub(super) table: &'a Table,
    pub(super) columns: Vec<&'a Column>,
    pub(super) recipes: Vec<Recipe>,
    pub(super) refs: Vec<Ref>,
    pub(super) sets: Vec<Set>,
    /// In which a row's number is worked.
    carriers: Vec<bool>,
    /// Never NULL.
    fixed: Vec<bool>,
    hashes: Vec<u64>,
    rules: Vec<Expression>,
    ordered: Vec<(usize, usize)>,
    common: Common,
    /// The column whose values need a partition, and what they take.
    bounds: Option<(usize, Vec<(i64, i64)>)>,
    /// Tuples that are there, for each of the sets.
    taken: Vec<HashSet<Vec<String>>>,
}

/// Why the rows of a table can't be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// These columns need a row of this table, and there is none.
    NoParent(Vec<String>, String),
    /// Nothing is known that this column takes.
    UnknownType(String, String),
}

/// Everything that CHECKs and domains say of a table.
fn rules(table: &Table, own: &OwnTypes) -> Vec<Expression> {
    let mut all: Vec<Expression> = table.checks.iter().map(|(_, text)| rule::parse(text)).collect();
    for column in &table.columns {
        let named = |text: &String| rule::parse(&text.replace("VALUE", &format!("\"{}\"", column.name)));
        all.extend(own.rules(&column.kind).iter().map(named));
    }
    all
}

impl<'a> Maker<'a> {
    /// `keys`: those of the parents, one for each of the planned references.
    pub(super) fn new(
        planned: &Planned<'a>,
        own: &OwnTypes,
        common: Common,
        keys: &[Arc<Keys>],
        known: u64,
    ) -> Result<Self, Trouble> {
        let table = planned.table;
        let rules = rules(table, own);
        let mut limits: BTreeMap<String, Limits> = BTreeMap::new();
        rules.iter().for_each(|rule| rule.limit(&mut limits));
        let referring = |name: &String| {
            planned.references.iter().any(|r| !r.is_guessed && r.columns.iter().any(|c| c.name == *name))
        };
        let mut columns = Vec::new();
        let mut recipes = Vec::new();
        for column in table.columns.iter().filter(|c| !is_filled_by_the_engine(table, c)) {
            let kind: Kind = own.kind(table, &column.name, &column.kind);
            let empty = Limits::default();
            let recipe = Recipe::new(table, column, &kind, limits.get(&column.name).unwrap_or(&empty));
            if recipe.what == What::Nothing && !referring(&column.name) {
                if column.nullable || column.default.is_some() {
                    continue;
                }
                return Err(Trouble::UnknownType(column.name.clone(), column.kind.clone()));
            }
            columns.push(column);
            recipes.push(recipe);
        }
        let bounds = planned
            .bounds
            .as_ref()
            .and_then(|bounds| Some((columns.iter().position(|c| c.name == bounds.column)?, bounds.ranges.clone())));
        let hashes = columns.iter().map(|c| hash(common.seed, &[&table.name, &c.name])).collect();
        let mut maker = Maker {
            table,
            refs: refs(planned, &columns, keys)?,
            sets: Vec::new(),
            carriers: vec![false; columns.len()],
            fixed: columns.iter().map(|c| !is_nullable(table, c)).collect(),
            ordered: ordered(&columns, &rules),
            columns,
            recipes,
            hashes,
            rules,
            common,
            bounds,
            taken: Vec::new(),
        };
        maker.plan_sets(known + planned.rows);
        Ok(maker)
    }

    fn plan_sets(&mut self, rows: u64) {
        let mut all: Vec<&Vec<String>> = vec![&self.table.primary_key];
        all.extend(self.table.uniques.iter().map(|u| &u.columns));
        for names in all {
            let places: Option<Vec<usize>> =
                names.iter().map(|name| self.columns.iter().position(|c| c.name == *name)).collect();
            // A set with a column that the engine fills is the engine's business.
            let Some(places) = places.filter(|places| !places.is_empty()) else { continue };
            // What is NULL in all rows is never the same.
            let is_null = |r: &Ref| !r.is_guessed && (r.is_cut || (r.keys.len() == 0 && r.own.is_none()));
            if self.refs.iter().any(|r| is_null(r) && r.columns.iter().any(|c| places.contains(c) && !self.fixed[*c])) {
                continue;
            }
            let in_ref =
                |place: &usize| self.refs.iter().any(|r| !r.is_guessed && !r.is_cut && r.columns.contains(place));
            let is_bound = |place: &usize| self.bounds.as_ref().is_some_and(|(key, _)| key == place);
            let free = places.iter().copied().filter(|place| !in_ref(place) && !is_bound(place));
            let best = free.max_by_key(|place| (self.carriers[*place], carries(&self.recipes[*place])));
            let set = Set::new(self, &places, rows);
            let strength = best.map_or(0, |place| carries(&self.recipes[place]));
            let has_room = best.is_some_and(|place| room(&self.recipes[place]) >= rows);
            let is_carried = strength >= 3 || (strength >= 1 && set.size < rows && has_room);
            if let Some(place) = best.filter(|_| is_carried) {
                self.carriers[place] = true;
                self.fixed[place] = true;
                self.sets.push(Set { wheels: Vec::new(), is_loose: false, ..set });
            } else {
                set.columns
                    .iter()
                    .for_each(|place| self.fixed[*place] = !self.is_self_reference(*place) || self.fixed[*place]);
                self.sets.push(set);
            }
        }
        self.taken = vec![HashSet::new(); self.sets.len()];
    }

    fn is_self_reference(&self, place: usize) -> bool {
        self.refs.iter().any(|r| r.own.is_some() && r.columns.contains(&place))
    }

    /// The most rows that the unique sets leave room for.
    pub(super) fn room(&self) -> u64 {
        self.sets.iter().filter(|set| !set.wheels.is_empty()).map(|set| set.size).min().unwrap_or(u64::MAX)
    }

    /// Takes the tuples that are there already; `rows` are the columns of set number `set`.
    pub(super) fn take(&mut self, set: usize, rows: &[Vec<Option<Key>>]) {
        for row in rows {
            let tuple: Option<Vec<String>> = row.iter().map(|key| Some(plain(&key.as_ref()?.text))).collect();
            self.taken[set].extend(tuple);
        }
    }

    /// Row number `number`; `None`: something in it is taken, or its references do not fit together.
    pub(super) fn row(&mut self, number: u64, own_keys: &Keys) -> Option<Vec<Cell>> {
        let mut found = None;
        for attempt in 0..TRIES {
            let Some(row) = self.attempt(number, attempt, own_keys) else { continue };
            let is_right = self.is_right(&row);
            found = Some(row);
            if is_right {
                break;
            }
        }
        let row = found?;
        let tuples: Vec<Option<Vec<String>>> = self.sets.iter().map(|set| tuple(&row, &set.columns)).collect();
        let is_taken = |(taken, tuple): (&HashSet<Vec<String>>, &Option<Vec<String>>)| {
            tuple.as_ref().is_some_and(|tuple| taken.contains(tuple))
        };
        if self.taken.iter().zip(&tuples).any(is_taken) {
            return None;
        }
        for ((taken, tuple), set) in self.taken.iter_mut().zip(tuples).zip(&self.sets) {
            // Where a number is worked in, no other row has the same.
            taken.extend(tuple.filter(|_| !set.wheels.is_empty() || set.is_loose));
        }
        Some(row)
    }

    /// Whether values of a unique set are of a kind that is not compared with what was read.
    pub(super) fn carries_unread(&self) -> bool {
        let unread = |place: &usize| {
            matches!(self.recipes[*place].what, What::Moment(_) | What::Bytes(_) | What::Time | What::Json)
        };
        self.sets.iter().any(|set| set.columns.iter().any(unread))
    }

    fn attempt(&self, number: u64, attempt: u64, own_keys: &Keys) -> Option<Vec<Cell>> {
        let mut cells: Vec<Option<Cell>> = vec![None; self.columns.len()];
        let common = self.common;
        let mut life = Life::new(&mut Dice::new(hash(common.seed, &[&self.table.name]), number, attempt), common.now);
        self.find_partition(number, attempt, &mut life, &mut cells);
        for place in (0..cells.len()).filter(|place| self.carriers[*place]) {
            let cell = value::carrier(&self.recipes[place], &mut self.dice(place, number, 0), number, life);
            if let (What::Moment(When::Born), Cell::Moment(born)) = (&self.recipes[place].what, &cell) {
                life.born = *born;
            }
            cells[place] = Some(cell);
        }
        for set in self.sets.iter().filter(|set| !set.wheels.is_empty()) {
            self.turn_wheels(set, number, life, &mut cells);
        }
        let born = |(recipe, cell): (&Recipe, &Option<Cell>)| match (&recipe.what, cell) {
            (What::Day(When::Born), Some(Cell::Day(day))) => Some(day * 86_400),
            _ => None,
        };
        life.born = self.recipes.iter().zip(&cells).find_map(born).unwrap_or(life.born);
        let mut to_itself = Vec::new();
        for reference in &self.refs {
            if reference.is_guessed && attempt >= GUESSES {
                continue;
            }
            let keys = if reference.own.is_some() { own_keys } else { &*reference.keys };
            if !self.refer(reference, keys, number, attempt, &mut cells)? {
                to_itself.push(reference);
            }
        }
        for (place, cell) in cells.iter_mut().enumerate() {
            if cell.is_none() && !to_itself.iter().any(|r| r.columns.contains(&place)) {
                *cell = Some(self.plain_value(place, number, attempt, life));
            }
        }
        for reference in to_itself {
            for (place, own) in reference.columns.iter().zip(reference.own.iter().flatten()) {
                cells[*place] = cells[(*own)?].clone();
            }
        }
        let mut row: Vec<Cell> = cells.into_iter().map(|cell| cell.unwrap_or(Cell::Null)).collect();
        self.agree(&mut row, number, life);
        Some(row)
    }

    fn dice(&self, place: usize, number: u64, attempt: u64) -> Dice {
        Dice::new(self.hashes[place], number, attempt)
    }

    /// A value that has a partition, of the last eighteen months where there is one for these.
    fn find_partition(&self, number: u64, attempt: u64, life: &mut Life, cells: &mut [Option<Cell>]) {
        const DAY: i64 = 86_400;
        let Some((place, ranges)) = &self.bounds else { return };
        let mut dice = self.dice(*place, number, attempt);
        let now = self.common.now.div_euclid(DAY);
        let recent = |(from, to): &(i64, i64)| ((*from).max(now - 540), (*to).min(now));
        let fitting: Vec<(i64, i64)> = ranges.iter().map(recent).filter(|(from, to)| from < to).collect();
        let (from, to) = *dice.pick(if fitting.is_empty() { ranges } else { &fitting });
        let from = from.max(to.saturating_sub(540));
        match &self.recipes[*place].what {
            What::Moment(_) => {
                // The server prints bounds in its own time zone.
                let margin = if to - from > 3 { DAY } else { 0 };
                life.born = dice.between(from * DAY + margin, to * DAY - 1 - margin);
                cells[*place] = Some(Cell::Moment(life.born));
            }
            What::Day(_) => {
                life.born = dice.between(from, to - 1) * DAY;
                cells[*place] = Some(Cell::Day(life.born.div_euclid(DAY)));
            }
            What::Int(low, high) => {
                let (from, to) = *dice.pick(ranges);
                let wide = dice.between(from.max(*low).min(to - 1), (to - 1).min(*high).max(from));
                cells[*place] = Some(Cell::Int(wide));
            }
            _ => {}
        }
    }

    fn turn_wheels(&self, set: &Set, number: u64, life: Life, cells: &mut [Option<Cell>]) {
        let mut rest = set.place(number);
        for wheel in &set.wheels {
            let (size, at) = (wheel.size(), rest % wheel.size());
            rest /= size;
            match wheel {
                Wheel::Ref(which, _) => {
                    let reference = &self.refs[*which];
                    for (place, key) in reference.columns.iter().zip(reference.keys.nth(at)) {
                        cells[*place].get_or_insert_with(|| Cell::Key(key.clone()));
                    }
                }
                Wheel::Column(place, _) => {
                    cells[*place].get_or_insert_with(|| value::nth(&self.recipes[*place], at, life));
                }
            }
        }
    }

    /// Fills the columns of a reference. `Some(false)`: the row has to refer to itself; `None`: no row fits.
    fn refer(
        &self,
        reference: &Ref,
        keys: &Keys,
        number: u64,
        attempt: u64,
        cells: &mut [Option<Cell>],
    ) -> Option<bool> {
        let open: Vec<usize> = reference.columns.iter().copied().filter(|place| cells[*place].is_none()).collect();
        let may_be_null: Vec<usize> = open.iter().copied().filter(|place| !self.fixed[*place]).collect();
        let to_null = |cells: &mut [Option<Cell>]| {
            may_be_null.iter().for_each(|place| cells[*place] = Some(Cell::Null));
            (!may_be_null.is_empty()).then_some(true)
        };
        if reference.is_cut {
            return if reference.is_guessed { Some(true) } else { to_null(cells) };
        }
        if reference.columns.iter().any(|place| cells[*place] == Some(Cell::Null)) {
            return Some(true);
        }
        let mut dice = match open.first() {
            Some(place) => self.dice(*place, number, attempt),
            None => Dice::new(0, number, attempt),
        };
        // A guessed reference is a text like others, and as often left out as they.
        let nulls =
            may_be_null.first().map_or(0, |place| if reference.is_guessed { self.recipes[*place].nulls } else { 12 });
        if nulls > 0 && dice.percent(nulls) {
            return to_null(cells);
        }
        if keys.len() == 0 {
            return match () {
                () if reference.is_guessed => Some(true),
                () if !may_be_null.is_empty() => to_null(cells),
                () if reference.own.is_some() => Some(false),
                () => None,
            };
        }
        let place = if open.len() == reference.columns.len() {
            dice.below(keys.len())
        } else {
            let known: Vec<Option<String>> =
                reference.columns.iter().map(|place| cells[*place].as_ref().and_then(text)).collect();
            let found = keys.with(&known);
            match () {
                () if !found.is_empty() => *dice.pick(found) as u64,
                () if reference.is_guessed => return Some(true),
                () => return to_null(cells),
            }
        };
        for (place, key) in reference.columns.iter().zip(keys.nth(place)) {
            cells[*place].get_or_insert_with(|| Cell::Key(key.clone()));
        }
        Some(true)
    }

    fn plain_value(&self, place: usize, number: u64, attempt: u64, life: Life) -> Cell {
        let recipe = &self.recipes[place];
        let mut dice = self.dice(place, number, attempt);
        if recipe.may_be_malformed {
            // One text of a malformed row: so many rows of a hundred, and not so many of each column.
            let mut dice = Dice::new(OF_A_ROW ^ self.common.seed, number, 0);
            let may: Vec<usize> = (0..self.recipes.len()).filter(|i| self.recipes[*i].may_be_malformed).collect();
            if dice.percent(self.common.malformed_percent) && *dice.pick(&may) == place {
                return Cell::Text(dice.pick(&words::MALFORMED).chars().take(recipe.longest).collect());
            }
        }
        if !self.fixed[place] && dice.percent(recipe.nulls) {
            return Cell::Null;
        }
        value::any(recipe, &mut dice, number, life)
    }

    /// Makes values agree that tell of one thing: what is deleted has a time of it, a line's total is its product.
    fn agree(&self, row: &mut [Cell], number: u64, life: Life) {
        let at = |name: &str| self.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name));
        let is_free = |place: usize| !self.sets.iter().any(|set| set.columns.contains(&place));
        if let (Some(flag), Some(time)) = (at("is_deleted"), at("deleted_at")) {
            row[time] = match row[flag] {
                Cell::Bool(true) => value::any(&self.recipes[time], &mut self.dice(time, number, 0), number, life),
                _ if self.fixed[time] => row[time].clone(),
                _ => Cell::Null,
            };
        }
        if let (Some(total), Some(quantity), Some(price)) = (at("line_total"), at("quantity"), at("unit_price"))
            && let (Cell::Decimal(_, scale), Cell::Int(n), Cell::Decimal(one, of)) =
                (&row[total], &row[quantity], &row[price])
            && scale == of
        {
            row[total] = Cell::Decimal(n.saturating_mul(*one).min(self.recipes[total].most), *scale);
        }
        // Chains like p25, p50, p75, p90 come in order within as many rounds as they are long.
        let pairs = self.ordered.iter().filter(|(a, b)| is_free(*a) && is_free(*b));
        for (low, high) in (0..3).flat_map(|_| pairs.clone()) {
            let is_wrong = match (number_of(&row[*low]), number_of(&row[*high])) {
                (Value::Number(a), Value::Number(b)) => a > b,
                _ => false,
            };
            if is_wrong && std::mem::discriminant(&row[*low]) == std::mem::discriminant(&row[*high]) {
                row.swap(*low, *high);
            }
        }
        for (name, computed) in self.rules.iter().flat_map(Expression::parts).filter_map(Expression::assigned) {
            let Some(place) = at(name).filter(|place| is_free(*place)) else { continue };
            if let Value::Number(number) = self.value(row, computed) {
                row[place] = rounded(&row[place], number);
            }
        }
    }

    fn value(&self, row: &[Cell], expression: &Expression) -> Value {
        expression.value(&|name| {
            let place = self.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name));
            place.map_or(Value::Unknown, |place| number_of(&row[place]))
        })
    }

    /// Whether no rule says no.
    fn is_right(&self, row: &[Cell]) -> bool {
        self.rules.iter().all(|rule| self.value(row, rule) != Value::Bool(false))
    }
}

/// How many rows a carrier can tell apart.
fn room(recipe: &Recipe) -> u64 {
    match &recipe.what {
        What::Int(low, _) | What::Decimal(low, _, _) => recipe.most.saturating_sub(*low).unsigned_abs(),
        _ => u64::MAX,
    }
}

fn refs(planned: &Planned<'_>, columns: &[&Column], keys: &[Arc<Keys>]) -> Result<Vec<Ref>, Trouble> {
    let mut all = Vec::new();
    for (reference, keys) in planned.references.iter().zip(keys) {
        let place = |column: &&Column| columns.iter().position(|c| c.name == column.name);
        let Some(places) = reference.columns.iter().map(place).collect::<Option<Vec<usize>>>() else { continue };
        let is_own = |(to, _): &&(&Table, Vec<&Column>)| to.name == planned.table.name;
        let own = reference.to.as_ref().filter(is_own).map(|(_, to)| to.iter().map(place).collect::<Vec<_>>());
        let is_empty = keys.len() == 0 && !reference.is_guessed;
        let made_by_the_engine = own.as_ref().is_some_and(|own| own.contains(&None));
        if is_empty && !reference.may_be_null(planned.table) && (own.is_none() || made_by_the_engine) {
            let names = reference.columns.iter().map(|c| c.name.clone()).collect();
            let to = reference.to.as_ref().map_or("another schema".to_owned(), |(to, _)| to.name.clone());
            return Err(Trouble::NoParent(names, to));
        }
        all.push(Ref {
            columns: places,
            keys: keys.clone(),
            own,
            is_guessed: reference.is_guessed,
            is_cut: reference.is_cut || reference.to.is_none(),
        });
    }
    Ok(all)
}

/// Pairs of columns whose first is not more than the second: by CHECKs, and by their names.
fn ordered(columns: &[&Column], rules: &[Expression]) -> Vec<(usize, usize)> {
    const PAIRS: [(&str, &str); 14] = [
        ("shipped", "delivered"),
        ("placed", "shipped"),
        ("placed", "sold"),
        ("sent", "received"),
        ("opened", "closed"),
        ("p25", "p50"),
        ("p50", "p75"),
        ("p75", "p90"),
        ("starts", "ends"),
        ("start", "end"),
        ("from", "to"),
        ("from", "until"),
        ("min", "max"),
        ("minimum", "maximum"),
    ];
    let at = |name: &str| columns.iter().position(|c| c.name.eq_ignore_ascii_case(name));
    let by_rule = rules.iter().flat_map(Expression::parts).filter_map(Expression::ordered);
    let mut all: Vec<(usize, usize)> = by_rule.filter_map(|(a, b)| Some((at(a)?, at(b)?))).collect();
    for (place, column) in columns.iter().enumerate() {
        let parts: Vec<&str> = column.name.split('_').collect();
        for (low, high) in PAIRS.iter().filter(|(low, _)| parts.contains(low)) {
            let other = parts.iter().map(|part| if part == low { *high } else { *part }).collect::<Vec<_>>().join("_");
            all.extend(at(&other).map(|other| (place, other)));
        }
    }
    all
}

/// A cell as text, to compare it with a key; `None` where engines write it differently.
pub(super) fn text(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Int(number) => Some(number.to_string()),
        Cell::Text(text) => Some(plain(text)),
        Cell::Uuid(id) => Some(format!("{id:032x}")),
        Cell::Key(key) => Some(plain(&key.text)),
        Cell::Bool(yes) => Some(u8::from(*yes).to_string()),
        Cell::Day(days) => Some(crate::engine::day(*days)),
        Cell::Decimal(mantissa, scale) => Some(decimal(*mantissa, *scale)),
        Cell::Null | Cell::Bytes(_) | Cell::Moment(_) | Cell::Time(_) | Cell::Json(_) => None,
    }
}

/// The texts of a set's columns; `None` with a NULL among them, because two of these are not the same.
fn tuple(row: &[Cell], places: &[usize]) -> Option<Vec<String>> {
    places.iter().map(|place| text(&row[*place]).or_else(|| same_text(&row[*place]))).collect()
}

/// What is compared among rows of one seed only.
fn same_text(cell: &Cell) -> Option<String> {
    (*cell != Cell::Null).then(|| format!("{cell:?}"))
}

#[expect(clippy::cast_precision_loss, reason = "the engine has the last word on what is beyond 2^53")]
fn number_of(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(yes) => Value::Bool(*yes),
        Cell::Int(number) | Cell::Day(number) | Cell::Moment(number) => Value::Number(*number as f64),
        Cell::Decimal(mantissa, scale) => decimal(*mantissa, *scale).parse().map_or(Value::Unknown, Value::Number),
        Cell::Text(text) => Value::Text(text.clone()),
        Cell::Time(seconds) => Value::Number(f64::from(*seconds)),
        Cell::Key(key) => key.text.parse().map_or(Value::Unknown, Value::Number),
        Cell::Bytes(_) | Cell::Uuid(_) | Cell::Json(_) => Value::Unknown,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a number too large stays what it was")]
fn rounded(cell: &Cell, number: f64) -> Cell {
    match cell {
        Cell::Int(_) if number.abs() < 9e15 => Cell::Int(number.round() as i64),
        Cell::Decimal(_, scale) => {
            let scaled = number * 10_f64.powi(i32::try_from(*scale).unwrap_or(0));
            if scaled.abs() < 9e15 { Cell::Decimal(scaled.round() as i64, *scale) } else { cell.clone() }
        }
        _ => cell.clone(),
    }
}
