//! Rows of one table: consistent values, keys of other rows, no duplicates in unique sets.
//!
//! A row depends on its number and on the existing keys, never on a batch.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use fleet_shape::{Cell, Column, Key, Table};

use crate::agree::{number_of, tuple};
use crate::check::{self, Check, Limits, Value};
use crate::keys::{Keys, plain};
use crate::kind::OwnTypes;
use crate::order::{Planned, is_filled_by_the_engine, is_nullable};
use crate::parents::{Parent, parents};
use crate::recipe::{Recipe, What};
use crate::rng::{Rng, hash};
use crate::sets::{Set, Wheel};
use crate::value::{self, DAY, Moment, Timeline};
use crate::{SeedError, SeedRequest, rules};

/// Attempts at one row before it is left to the engine to judge.
const ATTEMPTS: u64 = 60;

/// Attempts after which references guessed from names are given up.
const GUESSES: u64 = 20;

/// Number of consecutive rows that did not fit, after which a table counts as full.
const MISSES: u64 = 5_000;

/// Separates the random numbers of whole rows from those of their columns.
const OF_A_ROW: u64 = 0x5eed_0f00_0000_a201;

/// Makes the rows of one table.
#[derive(Debug)]
pub(crate) struct Generator<'a> {
    pub(crate) table: &'a Table,
    pub(crate) columns: Vec<&'a Column>,
    pub(crate) recipes: Vec<Recipe<'a>>,
    pub(crate) parents: Vec<Parent>,
    pub(crate) sets: Vec<Set>,
    /// The columns into whose values a row's number is encoded.
    numbered: Vec<bool>,
    /// Never NULL.
    pub(crate) fixed: Vec<bool>,
    hashes: Vec<u64>,
    pub(crate) checks: Vec<Check>,
    /// Pairs of columns whose first is not greater than the second.
    pub(crate) ordered: Vec<(usize, usize)>,
    request: &'a SeedRequest,
    /// The column whose values need a partition, and the ranges that have one.
    bounds: Option<(usize, Vec<(i64, i64)>)>,
    /// The existing tuples of each set.
    taken: Vec<HashSet<Vec<String>>>,
    /// The number of the next row, and the number of rows before it that did not fit.
    number: u64,
    missed: u64,
}

/// A row that is being made.
pub(crate) struct Draft {
    pub(crate) number: u64,
    /// Number of former attempts at the row.
    pub(crate) attempt: u64,
    life: Timeline,
    pub(crate) cells: Vec<Option<Cell>>,
}

/// All conditions on a table from CHECKs, domains and rules.
fn checks(table: &Table, own: &OwnTypes, request: &SeedRequest) -> Vec<Check> {
    let of_domains = table.columns.iter().flat_map(|column| {
        own.rules(&column.kind).into_iter().map(|text| text.replace("VALUE", &format!("\"{}\"", column.name)))
    });
    let of_rules = request.rules.of_table(&table.name).flat_map(|rule| rule.holds.iter().map(|all| all.0.clone()));
    let all = table.checks.iter().map(|(_, text)| text.clone()).chain(of_domains);
    all.filter_map(|text| check::parse(&text)).chain(of_rules).collect()
}

impl<'a> Generator<'a> {
    /// `keys`: those of the parents, one for each of the planned references; `known`: the existing rows.
    pub(crate) fn new(
        planned: &Planned<'a>,
        (own, request): (&OwnTypes, &'a SeedRequest),
        keys: &[Arc<Keys>],
        known: u64,
    ) -> Result<Self, SeedError> {
        let table = planned.table;
        let checks = checks(table, own, request);
        let mut limits: BTreeMap<String, Limits> = BTreeMap::new();
        checks.iter().for_each(|check| check::limit(check, &mut limits));
        let refers = |name: &String| {
            planned.references.iter().any(|r| !r.is_guessed && r.columns.iter().any(|c| c.name == *name))
        };
        let (mut columns, mut recipes) = (Vec::new(), Vec::new());
        for column in table.columns.iter().filter(|c| !is_filled_by_the_engine(table, c)) {
            let kind = own.kind(table, &column.name, &column.kind);
            let limits = limits.remove(&column.name).unwrap_or_default();
            let recipe = Recipe::new(&request.rules, (table, column), &kind, &limits);
            if recipe.what == What::Nothing && !refers(&column.name) {
                if column.nullable || column.default.is_some() {
                    continue;
                }
                return Err(SeedError::UnknownType { column: column.name.clone(), kind: column.kind.clone() });
            }
            columns.push(column);
            recipes.push(recipe);
        }
        let bounds = planned
            .bounds
            .as_ref()
            .and_then(|bounds| Some((columns.iter().position(|c| c.name == bounds.column)?, bounds.ranges.clone())));
        let mut generator = Generator {
            table,
            parents: parents(planned, &columns, keys)?,
            sets: Vec::new(),
            numbered: vec![false; columns.len()],
            fixed: columns.iter().map(|c| !is_nullable(table, c)).collect(),
            ordered: ordered(&columns, &checks, &request.rules.ordered),
            hashes: columns.iter().map(|c| hash(request.seed, &[&table.name, &c.name])).collect(),
            columns,
            recipes,
            checks,
            request,
            bounds,
            taken: Vec::new(),
            number: known,
            missed: 0,
        };
        generator.plan_sets(known + planned.rows);
        if known > 0 && generator.has_unread_sets() {
            // Numbers of rows that did not fit were skipped. Where a value with an encoded number can't be compared
            // with the existing ones, the rows begin after any number that was tried.
            generator.number += known / 2 + MISSES;
        }
        Ok(generator)
    }

    fn plan_sets(&mut self, rows: u64) {
        let mut all: Vec<&Vec<String>> = vec![&self.table.primary_key];
        all.extend(self.table.uniques.iter().map(|u| &u.columns));
        for names in all {
            let places: Option<Vec<usize>> =
                names.iter().map(|name| self.columns.iter().position(|c| c.name == *name)).collect();
            // A set with a column that the engine fills is left to the engine.
            let Some(places) = places.filter(|places| !places.is_empty()) else { continue };
            // A set with a NULL in all rows is never the same twice.
            let is_null = |p: &Parent| !p.is_guessed && (p.is_cut || (p.keys.len() == 0 && p.own.is_none()));
            if self
                .parents
                .iter()
                .any(|p| is_null(p) && p.columns.iter().any(|c| places.contains(c) && !self.fixed[*c]))
            {
                continue;
            }
            let has_parent =
                |place: &usize| self.parents.iter().any(|p| !p.is_guessed && !p.is_cut && p.columns.contains(place));
            let is_bound = |place: &usize| self.bounds.as_ref().is_some_and(|(key, _)| key == place);
            let free = places.iter().copied().filter(|place| !has_parent(place) && !is_bound(place));
            let best = free.max_by_key(|place| (self.numbered[*place], self.recipes[*place].strength()));
            let mut set = Set::new(self, &places, rows);
            let strength = best.map_or(0, |place| self.recipes[place].strength());
            let has_room = best.is_some_and(|place| self.recipes[place].room() >= rows);
            let is_numbered = strength >= 3 || (strength >= 1 && set.size < rows && has_room);
            if let Some(place) = best.filter(|_| is_numbered) {
                self.numbered[place] = true;
                self.fixed[place] = true;
                (set.odometer, set.is_loose) = (Vec::new(), false);
            } else {
                places.iter().for_each(|place| self.fixed[*place] |= !self.is_own_key(*place));
            }
            self.sets.push(set);
        }
        self.taken = vec![HashSet::new(); self.sets.len()];
    }

    fn is_own_key(&self, place: usize) -> bool {
        self.parents.iter().any(|p| p.own.is_some() && p.columns.contains(&place))
    }

    /// Maximum number of rows that the unique sets allow.
    pub(crate) fn room(&self) -> u64 {
        self.sets.iter().filter(|set| !set.odometer.is_empty()).map(|set| set.size).min().unwrap_or(u64::MAX)
    }

    /// The columns of a unique set.
    pub(crate) fn columns_of(&self, set: usize) -> Option<Vec<&'a Column>> {
        Some(self.sets.get(set)?.columns.iter().map(|place| self.columns[*place]).collect())
    }

    /// Records existing tuples, so that new rows differ from them; `rows` are the columns of set number `set`.
    pub(crate) fn take(&mut self, set: usize, rows: &[Vec<Option<Key>>]) {
        for row in rows {
            let tuple: Option<Vec<String>> = row.iter().map(|key| Some(plain(&key.as_ref()?.text))).collect();
            self.taken[set].extend(tuple);
        }
    }

    /// Whether values of a unique set are of a kind that is not compared with those that were read.
    fn has_unread_sets(&self) -> bool {
        let unread = |place: &usize| {
            use What::{Bytes, Json, Moment, Time, Written};
            matches!(
                self.recipes[*place].what,
                Moment(_) | Written(rules::Written::Moment, _) | Bytes(_) | Time | Json(_)
            )
        };
        self.sets.iter().any(|set| set.columns.iter().any(unread))
    }

    /// The next rows; fewer than `wanted` when the table is full.
    pub(crate) fn rows(&mut self, wanted: u64, own_keys: &Keys) -> Vec<Vec<Cell>> {
        let mut rows = Vec::new();
        while (rows.len() as u64) < wanted && self.missed < MISSES {
            match self.row(self.number, own_keys) {
                Some(row) => {
                    rows.push(row);
                    self.missed = 0;
                }
                None => self.missed += 1,
            }
            self.number += 1;
        }
        rows
    }

    /// A row; `None`: a unique value in it is taken, or its references are inconsistent.
    fn row(&mut self, number: u64, own_keys: &Keys) -> Option<Vec<Cell>> {
        let mut found = None;
        for attempt in 0..ATTEMPTS {
            let Some(row) = self.attempt(number, attempt, own_keys) else { continue };
            let is_right = self.is_right(&row);
            found = Some(row);
            if is_right {
                break;
            }
        }
        let row = found?;
        let tuples: Vec<Option<Vec<String>>> = self.sets.iter().map(|set| tuple(&row, &set.columns)).collect();
        if self.taken.iter().zip(&tuples).any(|(taken, tuple)| tuple.as_ref().is_some_and(|t| taken.contains(t))) {
            return None;
        }
        for ((taken, tuple), set) in self.taken.iter_mut().zip(tuples).zip(&self.sets) {
            // Where the row's number is encoded, no other row has the same value.
            taken.extend(tuple.filter(|_| !set.odometer.is_empty() || set.is_loose));
        }
        Some(row)
    }

    fn attempt(&self, number: u64, attempt: u64, own_keys: &Keys) -> Option<Vec<Cell>> {
        let mut rng = Rng::new(hash(self.request.seed, &[&self.table.name]), number, attempt);
        let life = Timeline::new(&mut rng, self.request.now.timestamp());
        let mut draft = Draft { number, attempt, life, cells: vec![None; self.columns.len()] };
        self.find_partition(&mut draft);
        self.work_number_in(&mut draft);
        for set in self.sets.iter().filter(|set| !set.odometer.is_empty()) {
            self.turn_wheels(set, &mut draft);
        }
        let created = |(recipe, cell): (&Recipe<'_>, &Option<Cell>)| match (&recipe.what, cell) {
            (What::Day(Moment::Created), Some(Cell::Day(day))) => Some(i64::from(day.to_epoch_days()) * DAY),
            _ => None,
        };
        draft.life.created = self.recipes.iter().zip(&draft.cells).find_map(created).unwrap_or(draft.life.created);
        let mut to_itself = Vec::new();
        for parent in self.parents.iter().filter(|parent| !parent.is_guessed || attempt < GUESSES) {
            let keys = if parent.own.is_some() { own_keys } else { &*parent.keys };
            if !self.refer(parent, keys, &mut draft)? {
                to_itself.push(parent);
            }
        }
        for place in 0..draft.cells.len() {
            if draft.cells[place].is_none() && !to_itself.iter().any(|parent| parent.columns.contains(&place)) {
                draft.cells[place] = Some(self.value(place, &draft));
            }
        }
        for parent in to_itself {
            for (place, own) in parent.columns.iter().zip(parent.own.iter().flatten()) {
                draft.cells[*place] = draft.cells[(*own)?].clone();
            }
        }
        let mut row: Vec<Cell> = draft.cells.into_iter().map(|cell| cell.unwrap_or(Cell::Null)).collect();
        for place in 0..row.len() {
            let of = |recipe: &Recipe<'_>| value::any(recipe, &mut self.rng(place, number, 0), number, draft.life);
            self.make_present(place, &mut row, of);
        }
        self.agree(&mut row);
        Some(row)
    }

    pub(crate) fn rng(&self, place: usize, number: u64, attempt: u64) -> Rng {
        Rng::new(self.hashes[place], number, attempt)
    }

    /// A value that has a partition, of the last eighteen months where there is one for these.
    fn find_partition(&self, draft: &mut Draft) {
        let Some((place, ranges)) = &self.bounds else { return };
        let mut rng = self.rng(*place, draft.number, draft.attempt);
        let (life, cell) = (&mut draft.life, &mut draft.cells[*place]);
        let now = life.now.div_euclid(DAY);
        let recent = |(from, to): &(i64, i64)| ((*from).max(now - 540), (*to).min(now));
        let fitting: Vec<(i64, i64)> = ranges.iter().map(recent).filter(|(from, to)| from < to).collect();
        let (from, to) = *rng.pick(if fitting.is_empty() { ranges } else { &fitting });
        let from = from.max(to.saturating_sub(540));
        match &self.recipes[*place].what {
            What::Moment(_) => {
                // The server prints bounds in its own time zone.
                let margin = if to - from > 3 { DAY } else { 0 };
                life.created = rng.between(from * DAY + margin, to * DAY - 1 - margin);
                *cell = Some(value::moment(life.created));
            }
            What::Day(_) => {
                let day = rng.between(from, to - 1);
                life.created = day * DAY;
                *cell = Some(Cell::Day(value::day(day)));
            }
            What::Int(low, high) => {
                let (from, to) = *rng.pick(ranges);
                let number = rng.between(from.max(*low).min(to - 1), (to - 1).min(*high).max(from));
                *cell = Some(Cell::Int(number));
            }
            _ => {}
        }
    }

    fn work_number_in(&self, draft: &mut Draft) {
        for place in (0..draft.cells.len()).filter(|place| self.numbered[*place]) {
            let (number, recipe) = (draft.number, &self.recipes[place]);
            let cell = value::numbered(recipe, &mut self.rng(place, number, 0), number, draft.life);
            if let (What::Moment(Moment::Created), Cell::Moment(created)) = (&recipe.what, &cell) {
                draft.life.created = created.timestamp();
            }
            draft.cells[place] = Some(cell);
        }
    }

    fn turn_wheels(&self, set: &Set, draft: &mut Draft) {
        let mut rest = set.place(draft.number);
        for wheel in &set.odometer {
            let (size, at) = (wheel.size(), rest % wheel.size());
            rest /= size;
            match wheel {
                Wheel::Parent(which, _) => {
                    let parent = &self.parents[*which];
                    for (place, key) in parent.columns.iter().zip(parent.keys.nth(at)) {
                        draft.cells[*place].get_or_insert_with(|| Cell::Key(key.clone()));
                    }
                }
                Wheel::Column(place, _) => {
                    draft.cells[*place].get_or_insert_with(|| value::nth(&self.recipes[*place], at, draft.life));
                }
            }
        }
    }

    fn value(&self, place: usize, draft: &Draft) -> Cell {
        let recipe = &self.recipes[place];
        if !recipe.malformed.is_empty() {
            // One malformed text per row: the percentage is of rows, not of each column.
            let mut rng = Rng::new(OF_A_ROW ^ self.request.seed, draft.number, 0);
            let may: Vec<usize> = (0..self.recipes.len()).filter(|i| !self.recipes[*i].malformed.is_empty()).collect();
            if rng.percent(u64::from(self.request.malformed_percent)) && *rng.pick(&may) == place {
                return Cell::Text(rng.pick(recipe.malformed).chars().take(recipe.longest).collect());
            }
        }
        let mut rng = self.rng(place, draft.number, draft.attempt);
        if !self.fixed[place] && rng.percent(recipe.nulls) {
            return Cell::Null;
        }
        value::any(recipe, &mut rng, draft.number, draft.life)
    }

    /// Whether no condition is violated.
    fn is_right(&self, row: &[Cell]) -> bool {
        self.checks.iter().all(|check| self.answer(row, check) != Value::Bool(false))
    }

    /// The value of an expression in a row.
    pub(crate) fn answer(&self, row: &[Cell], expression: &Check) -> Value {
        check::value(expression, &|name| self.place(name).map_or(Value::Unknown, |place| number_of(&row[place])))
    }

    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name))
    }
}

/// Pairs of columns whose first is not greater than the second: by CHECKs, and by the words in their names.
fn ordered(columns: &[&Column], checks: &[Check], words: &[(String, String)]) -> Vec<(usize, usize)> {
    let at = |name: &str| columns.iter().position(|c| c.name.eq_ignore_ascii_case(name));
    let by_check = checks.iter().flat_map(check::parts).filter_map(check::ordered);
    let mut all: Vec<(usize, usize)> = by_check.filter_map(|(a, b)| Some((at(a)?, at(b)?))).collect();
    for (place, column) in columns.iter().enumerate() {
        let parts: Vec<&str> = column.name.split('_').collect();
        for (low, high) in words.iter().filter(|(low, _)| parts.contains(&low.as_str())) {
            let other: Vec<&str> = parts.iter().map(|part| if part == low { high.as_str() } else { part }).collect();
            all.extend(at(&other.join("_")).map(|other| (place, other)));
        }
    }
    all
}
