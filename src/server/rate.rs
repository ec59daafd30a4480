//! The rate of requests that one address may send: a bucket of tokens for each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Requests that may come at once.
const BURST: f64 = 120.0;
/// Requests a second in the long run.
const RATE: f64 = 40.0;
/// Addresses that are remembered; beyond that, full buckets are forgotten, and then all.
const MOST: usize = 1_024;

/// The buckets by address.
#[derive(Debug, Default)]
pub(super) struct Rates(HashMap<IpAddr, (f64, Instant)>);

impl Rates {
    /// Takes a token.
    ///
    /// # Errors
    /// The time after which there is one.
    pub(super) fn take(&mut self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let filled = |(tokens, at): &(f64, Instant)| {
            (tokens + now.saturating_duration_since(*at).as_secs_f64() * RATE).min(BURST)
        };
        if self.0.len() >= MOST && !self.0.contains_key(&from) {
            self.0.retain(|_, bucket| filled(bucket) < BURST);
            if self.0.len() >= MOST {
                self.0.clear();
            }
        }
        let bucket = self.0.entry(from).or_insert((BURST, now));
        *bucket = (filled(bucket), now);
        if bucket.0 < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.0) / RATE));
        }
        bucket.0 -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_the_rate() {
        let (mut rates, now, from) = (Rates::default(), Instant::now(), IpAddr::from([10, 0, 0, 1]));
        let taken = (0..1_000).take_while(|_| rates.take(from, now).is_ok()).count();
        assert_eq!(taken, 120);
        assert!(rates.take(IpAddr::from([10, 0, 0, 2]), now).is_ok(), "another address has its own");
        let later = now + Duration::from_secs(1);
        assert_eq!((0..1_000).take_while(|_| rates.take(from, later).is_ok()).count(), 40);
    }

    #[test]
    fn the_memory_is_bounded() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        for i in 0..100_000_u32 {
            let _ = rates.take(IpAddr::from(i.to_be_bytes()), now);
        }
        assert!(rates.0.len() <= MOST);
    }
}
