//! Pseudo-random numbers: the same for the same seed, table, column and row.
//!
//! It knows no clock and no state outside itself, so a value depends neither on the engine nor on the size of a batch.
//! It is written out here because rows must stay the same when a library's own generator changes.

/// The numbers of one value.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

/// A bijection on all numbers that looks random (the finalizer of `splitmix64`).
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// FNV-1a over texts, with an end for each.
pub(crate) fn hash(seed: u64, texts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ mixed(seed.wrapping_add(0x9e37_79b9_7f4a_7c15));
    for text in texts {
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    mixed(hash)
}

impl Rng {
    /// From the hash of a place, a row's number, and the number of attempts at the row before.
    pub(crate) fn new(hash: u64, row: u64, attempt: u64) -> Self {
        Rng(hash ^ mixed(row ^ (attempt << 48)))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// Less than `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// From `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = high.saturating_sub(low).max(0).unsigned_abs();
        low.saturating_add_unsigned(self.below(span.saturating_add(1)))
    }

    /// True in this percentage of cases.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// 0 to 9.
    pub(crate) fn digit(&mut self) -> u8 {
        self.next().to_be_bytes()[0] % 10
    }

    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let at = self.below(list.len() as u64);
        &list[usize::try_from(at).expect("less than a length")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_same_place_has_the_same_numbers_and_another_has_others() {
        let first = |seed, texts: &[&str], row| Rng::new(hash(seed, texts), row, 0).next();
        assert_eq!(first(1, &["a", "b"], 7), first(1, &["a", "b"], 7));
        let others = [first(2, &["a", "b"], 7), first(1, &["ab", ""], 7), first(1, &["a", "b"], 8)];
        assert!(!others.contains(&first(1, &["a", "b"], 7)));
        // Rows must not change with the program's version.
        assert_eq!(hash(1, &["orders", "total"]), 11_170_217_341_598_924_326);
    }

    #[test]
    fn no_two_rows_have_one_number() {
        let hash = hash(1, &["orders", "id"]);
        let all: HashSet<u64> = (0..50_000).map(|row| Rng::new(hash, row, 0).next()).collect();
        assert_eq!(all.len(), 50_000);
    }

    #[test]
    fn ranges_include_both_ends() {
        let mut rng = Rng::new(1, 1, 0);
        let seen: HashSet<i64> = (0..200).map(|_| rng.between(-1, 1)).collect();
        assert_eq!(seen, HashSet::from([-1, 0, 1]));
        assert_eq!(rng.between(5, 4), 5);
        rng.between(i64::MIN, i64::MAX);
    }
}
