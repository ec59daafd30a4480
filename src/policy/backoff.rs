//! Pauses that grow with each try.

use std::time::Duration;

/// Pauses that grow up to a maximum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Backoff {
    /// The first pause.
    pub(crate) first: Duration,
    /// Maximum pause.
    pub(crate) longest: Duration,
    /// The factor from each pause to the next.
    pub(crate) growth: f64,
}

impl Backoff {
    /// Each pause is twice the one before.
    pub(crate) const fn doubling(first: Duration, longest: Duration) -> Self {
        Backoff { first, longest, growth: 2.0 }
    }

    /// Pause number `number`, counted from 0; see [`jittered`].
    pub(crate) fn pause(&self, number: u32, jitter: f64) -> Duration {
        let grown = self.first.as_secs_f64() * self.growth.powi(i32::try_from(number.min(20)).unwrap_or(20));
        jittered(Duration::try_from_secs_f64(grown).map_or(self.longest, |grown| grown.min(self.longest)), jitter)
    }
}

/// A pause shortened by up to half, so that tenants do not retry in step. `jitter` is a random number in 0.0..1.0.
pub(super) fn jittered(pause: Duration, jitter: f64) -> Duration {
    pause - pause.mul_f64(jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let ms = Duration::from_millis;
        let pauses = Backoff::doubling(ms(200), ms(10_000));
        assert_eq!(pauses.pause(0, 0.0), ms(200));
        assert_eq!(pauses.pause(2, 0.0), ms(800));
        assert_eq!(pauses.pause(60, 0.0), ms(10_000));
        assert_eq!(pauses.pause(0, 1.0), ms(100));
        let huge = Backoff::doubling(Duration::MAX, Duration::MAX);
        assert_eq!(huge.pause(u32::MAX, 0.0), Duration::MAX);
    }
}
