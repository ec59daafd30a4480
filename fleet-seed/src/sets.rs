//! Unique sets of columns that have few values: each row gets another combination, as on an odometer.
//!
//! It only counts; it knows nothing of the values behind the positions of a wheel.

use crate::generator::Generator;
use crate::recipe::{DAYS, What};

/// A unique set.
#[derive(Debug, Clone)]
pub(crate) struct Set {
    /// Positions among the generator's columns.
    pub(crate) columns: Vec<usize>,
    /// Empty where a row's number is worked into one of the columns.
    pub(crate) odometer: Vec<Wheel>,
    /// The number of combinations.
    pub(crate) size: u64,
    /// Whether some column is on no wheel, so that combinations do not distinguish rows.
    pub(crate) is_loose: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Wheel {
    /// The keys of a parent, and their number.
    Parent(usize, u64),
    /// A column with few values, and their number.
    Column(usize, u64),
}

impl Wheel {
    fn is_days(&self, generator: &Generator<'_>) -> bool {
        matches!(self, Wheel::Column(place, _) if matches!(generator.recipes[*place].what, What::Day(_)))
    }

    pub(crate) fn size(&self) -> u64 {
        match self {
            Wheel::Parent(_, size) | Wheel::Column(_, size) => (*size).max(1),
        }
    }
}

impl Set {
    /// Days go back no further than the total number of `rows` requires.
    pub(crate) fn new(generator: &Generator<'_>, columns: &[usize], rows: u64) -> Self {
        let mut open: Vec<usize> = columns.to_vec();
        let mut wheels = Vec::new();
        for (which, reference) in generator.parents.iter().enumerate() {
            let touches = reference.columns.iter().any(|place| open.contains(place));
            // The keys of the table itself are still coming.
            if touches && !reference.is_guessed && !reference.is_cut && reference.own.is_none() {
                open.retain(|place| !reference.columns.contains(place));
                wheels.push(Wheel::Parent(which, reference.keys.len()));
            }
        }
        let is_own = |place: &usize| generator.parents.iter().any(|r| r.own.is_some() && r.columns.contains(place));
        let mut is_loose = false;
        for place in open {
            match generator.recipes[place].domain().filter(|_| !is_own(&place)) {
                Some(size) => wheels.push(Wheel::Column(place, size)),
                None => is_loose = true,
            }
        }
        let others =
            wheels.iter().filter(|w| !w.is_days(generator)).fold(1_u64, |size, w| size.saturating_mul(w.size()));
        let days = rows.saturating_mul(2).div_ceil(others).clamp(540, DAYS);
        for wheel in &mut wheels {
            if wheel.is_days(generator)
                && let Wheel::Column(_, size) = wheel
            {
                *size = days;
            }
        }
        let size = wheels.iter().fold(1_u64, |size, wheel| size.saturating_mul(wheel.size()));
        let size = if is_loose { u64::MAX } else { size };
        let wheels = if is_loose { Vec::new() } else { wheels };
        Set { columns: columns.to_vec(), odometer: wheels, size, is_loose }
    }

    /// The combination of a row: each of them once, and neighbours far apart.
    pub(crate) fn place(&self, row: u64) -> u64 {
        let size = u128::from(self.size);
        let mut step = (size * 618 / 1_000) | 1;
        while gcd(step, size) != 1 {
            step += 2;
        }
        u64::try_from((u128::from(row) * step) % size).expect("less than the size")
    }
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_combination_comes_once() {
        for size in [1, 2, 3, 10, 64, 97, 1_000, 3_650] {
            let set = Set { columns: vec![0], odometer: vec![Wheel::Column(0, size)], size, is_loose: false };
            let all: HashSet<u64> = (0..size).map(|row| set.place(row)).collect();
            assert_eq!(all.len() as u64, size);
        }
    }
}
