//! Columns that hold a key of another row.

use std::sync::Arc;

use fleet_shape::{Cell, Column, Table};

use crate::SeedError;
use crate::agree::text;
use crate::generator::{Draft, Generator};
use crate::keys::Keys;
use crate::order::Planned;
use crate::rng::Rng;

/// A reference of a table whose rows are generated, and its possible keys.
#[derive(Debug)]
pub(crate) struct Parent {
    /// Positions among the generator's columns.
    pub(crate) columns: Vec<usize>,
    pub(crate) keys: Arc<Keys>,
    /// For a table that refers to itself: where the key is among its own columns; `None` where the engine generates it.
    pub(crate) own: Option<Vec<Option<usize>>>,
    pub(crate) is_guessed: bool,
    pub(crate) is_cut: bool,
}

/// Percentage of NULLs in a reference that may be NULL.
const NULLS: u64 = 12;

pub(crate) fn parents(
    planned: &Planned<'_>,
    columns: &[&Column],
    keys: &[Arc<Keys>],
) -> Result<Vec<Parent>, SeedError> {
    let mut all = Vec::new();
    for (reference, keys) in planned.references.iter().zip(keys) {
        let place = |column: &&Column| columns.iter().position(|c| c.name == column.name);
        let Some(places) = reference.columns.iter().map(place).collect::<Option<Vec<usize>>>() else { continue };
        let is_own = |(to, _): &&(&Table, Vec<&Column>)| to.name == planned.table.name;
        let own = reference.to.as_ref().filter(is_own).map(|(_, to)| to.iter().map(place).collect::<Vec<_>>());
        let is_empty = keys.len() == 0 && !reference.is_guessed;
        let made_by_the_engine = own.as_ref().is_some_and(|own| own.contains(&None));
        if is_empty && !reference.may_be_null(planned.table) && (own.is_none() || made_by_the_engine) {
            return Err(SeedError::NoParent {
                columns: reference.columns.iter().map(|c| c.name.clone()).collect(),
                to: reference.to.as_ref().map_or("another schema".to_owned(), |(to, _)| to.name.clone()),
            });
        }
        all.push(Parent {
            columns: places,
            keys: keys.clone(),
            own,
            is_guessed: reference.is_guessed,
            is_cut: reference.is_cut || reference.to.is_none(),
        });
    }
    Ok(all)
}

impl Generator<'_> {
    /// Fills the columns of a reference. `Some(false)`: the row has to refer to itself; `None`: no row fits.
    pub(crate) fn refer(&self, parent: &Parent, keys: &Keys, draft: &mut Draft) -> Option<bool> {
        let Draft { number, attempt, ref mut cells, .. } = *draft;
        let open: Vec<usize> = parent.columns.iter().copied().filter(|place| cells[*place].is_none()).collect();
        let may_be_null: Vec<usize> = open.iter().copied().filter(|place| !self.fixed[*place]).collect();
        let to_null = |cells: &mut [Option<Cell>]| {
            may_be_null.iter().for_each(|place| cells[*place] = Some(Cell::Null));
            (!may_be_null.is_empty()).then_some(true)
        };
        if parent.is_cut {
            return if parent.is_guessed { Some(true) } else { to_null(cells) };
        }
        if parent.columns.iter().any(|place| cells[*place] == Some(Cell::Null)) {
            return Some(true);
        }
        let mut rng = open.first().map_or_else(|| Rng::new(0, number, attempt), |p| self.rng(*p, number, attempt));
        // A guessed reference is a text like others, and NULL as often as they are.
        let nulls = |place: &usize| if parent.is_guessed { self.recipes[*place].nulls } else { NULLS };
        let nulls = may_be_null.first().map_or(0, nulls);
        if nulls > 0 && rng.percent(nulls) {
            return to_null(cells);
        }
        if keys.len() == 0 {
            return match () {
                () if parent.is_guessed => Some(true),
                () if !may_be_null.is_empty() => to_null(cells),
                () if parent.own.is_some() => Some(false),
                () => None,
            };
        }
        let at = if open.len() == parent.columns.len() {
            rng.below(keys.len())
        } else {
            let known: Vec<Option<String>> =
                parent.columns.iter().map(|place| cells[*place].as_ref().and_then(text)).collect();
            match keys.with(&known) {
                [] if parent.is_guessed => return Some(true),
                [] => return to_null(cells),
                found => *rng.pick(found) as u64,
            }
        };
        for (place, key) in parent.columns.iter().zip(keys.nth(at)) {
            cells[*place].get_or_insert_with(|| Cell::Key(key.clone()));
        }
        Some(true)
    }
}
