//! The hash bucket of a tenant, by which a percentage or a partition picks it.
//!
//! Frozen: changing it would move tenants between canary and rest, and between the machines of a partitioned run.

use sha2::{Digest, Sha256};

/// The first 8 bytes of the SHA-256 of the id, big endian.
pub(crate) fn bucket(id: &str) -> u64 {
    let digest = Sha256::digest(id.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first)
}

/// Marks the `percent` of `ids` with the lowest bucket; at least one for a percentage above zero, and never one that a
/// larger percentage would leave out.
pub(crate) fn smallest_percent(ids: &[&str], percent: u8) -> Vec<bool> {
    let buckets: Vec<u64> = ids.iter().map(|id| bucket(id)).collect();
    let limit = u128::from(percent) << 64;
    let mut picked: Vec<bool> = buckets.iter().map(|&bucket| u128::from(bucket) * 100 < limit).collect();
    if percent > 0
        && !picked.contains(&true)
        && let Some(i) = (0..ids.len()).min_by_key(|&i| (buckets[i], ids[i]))
    {
        picked[i] = true;
    }
    picked
}

/// Marks the `count` of `ids` with the lowest bucket.
pub(crate) fn smallest_count(ids: &[&str], count: usize) -> Vec<bool> {
    let mut order: Vec<(u64, &str, usize)> = ids.iter().enumerate().map(|(i, id)| (bucket(id), *id, i)).collect();
    order.sort_unstable();
    let mut picked = vec![false; ids.len()];
    for (_, _, i) in order.into_iter().take(count) {
        picked[i] = true;
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_frozen() {
        // printf acme | sha256sum
        assert_eq!(bucket("acme"), 0x822b_33ad_87c1_48a0);
        assert_eq!(bucket(""), 0xe3b0_c442_98fc_1c14);
    }

    #[test]
    fn a_small_fleet_still_has_its_one_canary() {
        let picked = smallest_percent(&["a", "b", "c"], 1);
        assert_eq!(picked.iter().filter(|p| **p).count(), 1);
        assert_eq!(smallest_percent(&["a", "b", "c"], 0), [false; 3]);
        assert_eq!(smallest_percent(&["a", "b", "c"], 100), [true; 3]);
        assert_eq!(smallest_count(&["a", "b", "c"], 2).iter().filter(|p| **p).count(), 2);
    }
}
