//! One value of one row, by its recipe: the same random numbers give the same value.

use chrono::{DateTime, NaiveDate, NaiveTime};
use fleet_shape::Cell;
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::pattern::{Pattern, uuid};
use crate::recipe::{Recipe, What};
use crate::rng::Rng;
use crate::rules::Written;

pub(crate) const DAY: i64 = 86_400;

/// A moment of a row's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Moment {
    Created,
    Updated,
    /// Some time between creation and now.
    Later,
    /// An end that can lie in the future.
    End,
}

/// The life of a row, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeline {
    pub(crate) created: i64,
    pub(crate) now: i64,
}

impl Timeline {
    /// Created in the last eighteen months.
    pub(crate) fn new(rng: &mut Rng, now: i64) -> Self {
        Timeline { created: now - rng.between(3_600, 540 * DAY), now }
    }

    fn at(self, rng: &mut Rng, moment: Moment) -> i64 {
        match moment {
            Moment::Created => self.created,
            Moment::Updated | Moment::Later => rng.between(self.created, self.now),
            Moment::End => self.created + rng.between(DAY, 120 * DAY),
        }
    }
}

/// A point in time, from seconds since 1970.
pub(crate) fn moment(seconds: i64) -> Cell {
    Cell::Moment(DateTime::from_timestamp(seconds, 0).unwrap_or_default())
}

/// A day, from days since 1970.
pub(crate) fn day(days: i64) -> NaiveDate {
    i32::try_from(days).ok().and_then(NaiveDate::from_epoch_days).unwrap_or_default()
}

fn time(minute: u64) -> Cell {
    let minute = u32::try_from(minute % (24 * 60)).unwrap_or(0);
    Cell::Time(NaiveTime::from_hms_opt(minute / 60, minute % 60, 0).unwrap_or_default())
}

/// A value that need not be unique.
pub(crate) fn any(recipe: &Recipe<'_>, rng: &mut Rng, row: u64, life: Timeline) -> Cell {
    match &recipe.what {
        // The first is the default, or the usual one.
        What::OneOf(list) if list.len() < 2 || rng.percent(40) => list.first().cloned().unwrap_or(Cell::Null),
        What::OneOf(list) => rng.pick(list).clone(),
        What::Bool(percent) => Cell::Bool(rng.percent(*percent)),
        What::Int(low, high) => Cell::Int(rng.between(*low, *high)),
        What::Decimal(low, high, scale) => {
            Cell::Decimal(Decimal::new(with_a_fraction(rng.between(*low, *high), *high, *scale), *scale))
        }
        What::Uuid => Cell::Uuid(uuid(rng)),
        What::Bytes(length) => Cell::Bytes(bytes(rng, *length)),
        What::Moment(at) => moment(life.at(rng, *at)),
        What::Day(at) => Cell::Day(day(life.at(rng, *at).div_euclid(DAY))),
        What::Written(Written::Amount, _) => {
            Cell::Text(cut(&Decimal::new(rng.between(500, 90_000), 2).to_string(), recipe.longest))
        }
        What::Written(Written::Moment, at) => moment(life.at(rng, *at)),
        What::Written(Written::Day, at) => {
            Cell::Text(cut(&day(life.at(rng, *at).div_euclid(DAY)).to_string(), recipe.longest))
        }
        What::Time => time(rng.below(24 * 60)),
        What::Json(members) => {
            let members = members.iter().map(|(name, pattern)| {
                let (stem, end) = pattern.write(rng, row, false);
                (name.clone(), (stem + &end).into())
            });
            Cell::Json(serde_json::Value::Object(members.collect()).to_string())
        }
        What::Text(pattern) => Cell::Text(text(recipe, pattern, rng, row, pattern.is_unique())),
        What::Nothing => Cell::Null,
    }
}

/// A value unique to the row.
pub(crate) fn numbered(recipe: &Recipe<'_>, rng: &mut Rng, row: u64, life: Timeline) -> Cell {
    let step = i64::try_from(row).unwrap_or(i64::MAX);
    match &recipe.what {
        What::Text(pattern) => Cell::Text(text(recipe, pattern, rng, row, true)),
        What::Int(low, _) => Cell::Int(low.saturating_add(step).min(recipe.most)),
        What::Decimal(low, _, scale) => Cell::Decimal(Decimal::new(low.saturating_add(step).min(recipe.most), *scale)),
        What::Moment(_) | What::Written(Written::Moment, _) => moment(life.now - DAY - step.saturating_mul(97)),
        _ => any(recipe, rng, row, life),
    }
}

/// Number `position` of the few possible values.
pub(crate) fn nth(recipe: &Recipe<'_>, position: u64, life: Timeline) -> Cell {
    let step = i64::try_from(position).unwrap_or(i64::MAX);
    let days_ago = || day(life.now.div_euclid(DAY) - step);
    match &recipe.what {
        What::OneOf(list) => list.get(usize::try_from(position).unwrap_or(usize::MAX)).cloned().unwrap_or(Cell::Null),
        What::Bool(_) => Cell::Bool(position == 0),
        What::Int(low, _) => Cell::Int(low.saturating_add(step)),
        What::Day(_) => Cell::Day(days_ago()),
        What::Written(Written::Day, _) => Cell::Text(cut(&days_ago().to_string(), recipe.longest)),
        What::Time => time(position),
        What::Text(_) => Cell::Text(format!("{:0>width$}", base_36(position), width = recipe.longest)),
        _ => Cell::Null,
    }
}

/// SQLite keeps a whole number in a DECIMAL column as an integer, which SeaORM then can't read as a decimal.
fn with_a_fraction(mantissa: i64, high: i64, scale: u32) -> i64 {
    if scale > 0 && mantissa % 10_i64.pow(scale) == 0 {
        return if mantissa < high { mantissa + 1 } else { mantissa - 1 };
    }
    mantissa
}

/// The first eight bytes are the generator's state, which is unique to each row.
fn bytes(rng: &mut Rng, length: usize) -> Vec<u8> {
    (0..length.div_ceil(8)).flat_map(|_| rng.next().to_be_bytes()).take(length).collect()
}

fn base_36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit(u32::try_from(number % 36).expect("a digit"), 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

fn cut(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}

/// A text that fits its column. A unique one ends with the row's number, before which it is cut.
fn text(recipe: &Recipe<'_>, pattern: &Pattern, rng: &mut Rng, row: u64, unique: bool) -> String {
    let (stem, end) = pattern.write(rng, row, unique);
    let end_length = end.chars().count();
    let text = if end_length > recipe.longest {
        // Too short for anything but the number itself.
        let number = base_36(row);
        format!("{number:0>width$}", width = recipe.longest.min(number.len().max(1)))
    } else {
        cut(&stem, recipe.longest - end_length) + &end
    };
    let mut text = if unique { text.trim_start() } else { text.trim() }.to_owned();
    while text.chars().count() < recipe.shortest.min(recipe.longest) {
        text.insert(0, 'x');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use fleet_shape::{Column, Table};

    use super::*;
    use crate::check::Limits;
    use crate::kind;
    use crate::rules::Rules;

    fn recipe<'a>(rules: &'a Rules, table: &str, name: &str, kind_text: &str) -> Recipe<'a> {
        let table = Table { name: table.into(), ..Table::default() };
        let column = Column { name: name.into(), kind: kind_text.into(), ..Column::default() };
        Recipe::new(rules, (&table, &column), &kind::parse(kind_text), &Limits::default())
    }

    fn rng(row: u64) -> Rng {
        Rng::new(crate::rng::hash(1, &["t"]), row, 0)
    }

    const LIFE: Timeline = Timeline { created: 1_700_000_000, now: 1_710_000_000 };

    #[test]
    fn unique_texts_fit_and_never_meet() {
        let rules = Rules::default();
        let names = [
            "email", "sku", "barcode", "name", "code", "slug", "number", "url", "tracking", "key_hash", "id", "x",
            "street", "file", "ip", "feature", "note",
        ];
        for name in names {
            for length in [13, 20, 40, 64, 254] {
                let recipe = recipe(&rules, "users", name, &format!("varchar({length})"));
                let text = |row| match numbered(&recipe, &mut rng(row), row, LIFE) {
                    Cell::Text(text) => text,
                    other => panic!("{name}: {other:?}"),
                };
                let all: HashSet<String> = (0..3_000).map(text).collect();
                assert_eq!(all.len(), 3_000, "{name} {length}");
                assert!(all.iter().all(|text| text.chars().count() <= length), "{name} {length}");
            }
        }
        for length in 3..7 {
            let recipe = recipe(&rules, "users", "code", &format!("varchar({length})"));
            let value = |row| match recipe.domain() {
                Some(_) => nth(&recipe, row, LIFE),
                None => numbered(&recipe, &mut rng(row), row, LIFE),
            };
            let all: HashSet<Cell> = (0..900).map(value).collect();
            assert_eq!(all.len(), 900, "{length}");
        }
    }

    #[test]
    fn a_life_goes_forward() {
        let rules = Rules::default();
        let of = |name, kind| recipe(&rules, "o", name, kind);
        let (created, updated, ends) =
            (of("created_at", "timestamp"), of("updated_at", "timestamp"), of("ends_on", "date"));
        for row in 0..500 {
            let life = Timeline::new(&mut rng(row), LIFE.now);
            let of = |recipe| any(recipe, &mut rng(row + 1), row, life);
            let (Cell::Moment(created), Cell::Moment(updated), Cell::Day(end)) =
                (of(&created), of(&updated), of(&ends))
            else {
                panic!()
            };
            assert!(created <= updated && updated.timestamp() <= LIFE.now && created.date_naive() < end);
            assert!(created.timestamp() > LIFE.now - 541 * DAY);
        }
    }

    #[test]
    fn prices_are_never_whole() {
        let rules = Rules::default();
        let price = recipe(&rules, "o", "price", "numeric(12,2)");
        for row in 0..2_000 {
            let Cell::Decimal(amount) = any(&price, &mut rng(row), row, LIFE) else { panic!() };
            assert!(!amount.fract().is_zero() && (5..=900).contains(&amount.round().mantissa()), "{amount}");
        }
    }

    #[test]
    fn the_values_of_a_seed_stay_the_same() {
        let rules = Rules::default();
        let of = |name: &str, kind: &str, row| match any(&recipe(&rules, "users", name, kind), &mut rng(row), row, LIFE)
        {
            Cell::Text(text) => text,
            Cell::Decimal(number) => number.to_string(),
            other => panic!("{other:?}"),
        };
        // Existing rows must be reproduced, whatever a newer version of a library has in its lists or does with
        // numbers.
        assert_eq!(
            [of("email", "text", 7), of("country", "text", 7), of("total", "numeric(9,2)", 7)],
            ["anastacio.kessler.8@example.com", "New Caledonia", "397.24"]
        );
        let names: Vec<String> = (0..2_000).map(|row| of("full_name", "text", row)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(crate::rng::hash(1, &names), 3_304_542_590_257_418_988);
    }
}
