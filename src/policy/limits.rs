//! Time limits specific to one wave, tenant or migration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::timeouts::{Timeouts, share};

/// Configured time limits; `None` defers to the more general setting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// Maximum wait for a lock. Never zero.
    pub(crate) lock: Option<Duration>,
    /// Maximum time for one statement. Zero means no limit.
    pub(crate) statement: Option<Duration>,
}

impl Limits {
    /// Limits with only a lock timeout, if there is one.
    pub(crate) fn of_lock(lock: Option<Duration>) -> Self {
        Limits { lock, statement: None }
    }

    /// These limits, with unset ones taken from the more general ones.
    pub(crate) fn or(self, general: Limits) -> Limits {
        Limits { lock: self.lock.or(general.lock), statement: self.statement.or(general.statement) }
    }

    /// The effective limits when these override `general`.
    pub(crate) fn over(self, general: Timeouts) -> Timeouts {
        Timeouts {
            lock: self.lock.unwrap_or(general.lock),
            statement: self.statement.unwrap_or(general.statement),
            ..general
        }
    }

    /// The same with the lock timeout divided by `divisor`, which is at least 1.
    pub(crate) fn shortened(self, divisor: u32) -> Limits {
        Limits { lock: self.lock.map(|lock| share(lock, divisor)), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_specific_wins_and_says_nothing_of_the_rest() {
        let ms = Duration::from_millis;
        let wave = Limits::of_lock(Some(ms(500)));
        let migration = Limits { lock: None, statement: Some(ms(9)) };
        let both = migration.or(wave).over(Timeouts::default());
        assert_eq!((both.lock, both.statement), (ms(500), ms(9)));
        assert_eq!(both.connect, Timeouts::default().connect);
        assert_eq!(Limits::default().over(Timeouts::default()), Timeouts::default());
        assert_eq!(migration.or(wave).shortened(4).lock, Some(ms(125)));
    }
}
