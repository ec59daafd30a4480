//! Consistent values within one row, and cells as texts and numbers to compare.

use fleet_shape::Cell;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::check::{self, Value};
use crate::generator::Generator;
use crate::keys::plain;
use crate::recipe::{Recipe, scaled};

impl Generator<'_> {
    /// Gives a column that depends on a boolean column its value, or NULL.
    pub(crate) fn make_present(&self, place: usize, row: &mut [Cell], value: impl FnOnce(&Recipe<'_>) -> Cell) {
        let recipe = &self.recipes[place];
        match recipe.present_if.and_then(|flag| self.place(flag)).map(|flag| &row[flag]) {
            Some(Cell::Bool(true)) => row[place] = value(recipe),
            Some(_) if !self.fixed[place] => row[place] = Cell::Null,
            _ => {}
        }
    }

    /// Puts pairs in their order, and computes columns that a condition defines.
    pub(crate) fn agree(&self, row: &mut [Cell]) {
        let is_free = |place: usize| !self.sets.iter().any(|set| set.columns.contains(&place));
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
        for (name, computed) in self.checks.iter().flat_map(check::parts).filter_map(check::assigned) {
            let Some(place) = self.place(name).filter(|place| is_free(*place)) else { continue };
            if let Value::Number(number) = self.answer(row, computed) {
                row[place] = computed_cell(&row[place], number, self.recipes[place].most);
            }
        }
    }
}

/// A number in the type of a cell; a number that is too large becomes the maximum.
fn computed_cell(cell: &Cell, number: Decimal, most: i64) -> Cell {
    match cell {
        Cell::Int(_) => Cell::Int(number.round().to_i64().unwrap_or(most).min(most)),
        Cell::Decimal(old) => {
            let largest = Decimal::new(most, old.scale());
            Cell::Decimal(scaled(number.min(largest), old.scale()))
        }
        _ => cell.clone(),
    }
}

/// A cell as text, to compare it with a key; `None` where engines write it differently.
pub(crate) fn text(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Int(number) => Some(number.to_string()),
        Cell::Text(text) => Some(plain(text)),
        Cell::Uuid(id) => Some(id.simple().to_string()),
        Cell::Key(key) => Some(plain(&key.text)),
        Cell::Bool(yes) => Some(u8::from(*yes).to_string()),
        Cell::Day(day) => Some(day.to_string()),
        Cell::Decimal(number) => Some(number.to_string()),
        Cell::Null | Cell::Bytes(_) | Cell::Moment(_) | Cell::Time(_) | Cell::Json(_) => None,
    }
}

/// The texts of a set's columns; `None` with a NULL among them, because two of these are not the same.
pub(crate) fn tuple(row: &[Cell], places: &[usize]) -> Option<Vec<String>> {
    // A cell without a text is compared among rows of one seed only.
    let of = |cell: &Cell| text(cell).or_else(|| (*cell != Cell::Null).then(|| format!("{cell:?}")));
    places.iter().map(|place| of(&row[*place])).collect()
}

/// A cell as a value of an expression: a day in days, a moment and a time in seconds.
pub(crate) fn number_of(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(yes) => Value::Bool(*yes),
        Cell::Int(number) => Value::Number((*number).into()),
        Cell::Decimal(number) => Value::Number(*number),
        Cell::Day(day) => Value::Number(day.to_epoch_days().into()),
        Cell::Moment(at) => Value::Number(at.timestamp().into()),
        Cell::Time(time) => Value::Number(time.signed_duration_since(chrono::NaiveTime::MIN).num_seconds().into()),
        Cell::Text(text) => Value::Text(text.clone()),
        Cell::Key(key) => check::number(&key.text),
        Cell::Bytes(_) | Cell::Uuid(_) | Cell::Json(_) => Value::Unknown,
    }
}
