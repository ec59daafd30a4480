//! The limits on the load of a server, beyond which a run starts nothing new on it.

use std::time::Duration;

use super::format_duration;
use super::size::{Size, format_bytes};
use crate::model::load::{Excess, ServerLoad};

/// The limits; one that is `None` is not kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoadLimits {
    /// The most connections in use, in percent of those that there may be.
    pub(crate) connections: Option<u8>,
    /// The most sessions that wait for locks.
    pub(crate) lock_waits: Option<u32>,
    /// The furthest that a replica may be behind.
    pub(crate) replication_lag: Option<Duration>,
    /// The most bytes written to the log since the first reading.
    pub(crate) log_growth: Option<Size>,
    /// The least free space.
    pub(crate) free_space: Option<Size>,
    /// The time between two readings of a server.
    pub(crate) interval: Duration,
    /// How long a server may stay beyond a limit before the run pauses.
    pub(crate) patience: Duration,
}

/// The keys of the limits in `[fleet]`, and the numbers that they concern, by their names in a reading.
const LIMITS: [(&str, &str); 5] = [
    ("max_connections_share", "connections"),
    ("max_lock_waits", "lock_waits"),
    ("max_replication_lag", "replication_lag"),
    ("max_log_growth", "log_bytes"),
    ("min_free_space", "free_bytes"),
];

impl LoadLimits {
    /// The keys of the limits in `[fleet]`.
    pub(crate) fn keys() -> impl Iterator<Item = &'static str> {
        LIMITS.iter().map(|(key, _)| *key)
    }

    /// Whether there is any.
    pub(crate) fn is_any(&self) -> bool {
        self.set().contains(&true)
    }

    /// In the order of [`LIMITS`].
    fn set(&self) -> [bool; 5] {
        [
            self.connections.is_some(),
            self.lock_waits.is_some(),
            self.replication_lag.is_some(),
            self.log_growth.is_some(),
            self.free_space.is_some(),
        ]
    }

    /// The numbers of a reading that are beyond their limits, in the order of [`LIMITS`].
    pub(crate) fn excesses(&self, load: &ServerLoad) -> Vec<Excess> {
        let connections = self.connections.zip(load.connections).and_then(|(share, room)| {
            let is_over = u128::from(room.used) * 100 > u128::from(room.most) * u128::from(share);
            is_over.then(|| format!("{} of {} connections are in use (at most {share}%)", room.used, room.most))
        });
        let lock_waits = self.lock_waits.zip(load.lock_waits).and_then(|(most, waiting)| {
            let sessions = if waiting == 1 { "1 session waits".to_owned() } else { format!("{waiting} sessions wait") };
            (waiting > u64::from(most)).then(|| format!("{sessions} for locks (at most {most})"))
        });
        let replication_lag = self.replication_lag.zip(load.replication_lag).and_then(|(most, lag)| {
            let lag = Duration::from_secs(lag);
            let text = || format!("a replica is {} behind (at most {})", format_duration(lag), format_duration(most));
            (lag > most).then(text)
        });
        let log_growth = self.log_growth.zip(load.log_bytes).and_then(|(most, grown)| {
            let text = || format!("{} were written to its log during this run (at most {most})", format_bytes(grown));
            (grown > most.bytes()).then(text)
        });
        let free_space = self.free_space.zip(load.free_bytes).and_then(|(least, free)| {
            (free < least.bytes()).then(|| format!("{} of its disk are free (at least {least})", format_bytes(free)))
        });
        let texts = [connections, lock_waits, replication_lag, log_growth, free_space];
        let excess = |((limit, _), text): (&(&str, &str), Option<String>)| {
            text.map(|text| Excess { limit: (*limit).to_owned(), text })
        };
        LIMITS.iter().zip(texts).filter_map(excess).collect()
    }

    /// The limits that are set and can't be kept, each with the reason why its number is not known.
    pub(crate) fn unkept(&self, load: &ServerLoad) -> Vec<Excess> {
        let set = LIMITS.iter().zip(self.set()).filter(|(_, is_set)| *is_set);
        let unkept = |((limit, number), _): (&(&str, &str), bool)| {
            let why = load.unknown.get(*number)?;
            Some(Excess { limit: (*limit).to_owned(), text: format!("{limit} is not kept: {why}") })
        };
        set.filter_map(unkept).collect()
    }

    /// The same where the server can't be read, with the reason.
    pub(crate) fn none_kept(&self, why: &str) -> Vec<Excess> {
        let set = LIMITS.iter().zip(self.set()).filter(|(_, is_set)| *is_set).map(|((limit, _), _)| *limit);
        let limit = set.collect::<Vec<_>>().join(", ");
        let text = format!("it can't be read, and {limit} not be kept: {why}");
        (!limit.is_empty()).then_some(Excess { limit, text }).into_iter().collect()
    }

    /// The excess of a server that refuses even the connection of the reading.
    pub(crate) fn used_up(&self, text: &str) -> Vec<Excess> {
        let excess = |share: u8| Excess {
            limit: LIMITS[0].0.to_owned(),
            text: format!("it has no connection to spare (at most {share}%): {text}"),
        };
        self.connections.map(excess).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::health::Room;

    #[test]
    fn a_number_at_its_limit_is_within_it_and_one_that_is_not_told_breaks_none() {
        let limits = LoadLimits {
            connections: Some(80),
            lock_waits: Some(3),
            replication_lag: Some(Duration::from_secs(30)),
            log_growth: "1GB".parse().ok(),
            free_space: "2GB".parse().ok(),
            interval: Duration::from_secs(1),
            patience: Duration::from_secs(1),
        };
        let at = ServerLoad {
            connections: Some(Room { used: 80, most: 100 }),
            lock_waits: Some(3),
            replication_lag: Some(30),
            log_bytes: Some(1_000_000_000),
            free_bytes: Some(2_000_000_000),
            ..ServerLoad::default()
        };
        assert_eq!(limits.excesses(&at), []);
        let beyond = ServerLoad {
            connections: Some(Room { used: 81, most: 100 }),
            lock_waits: Some(4),
            replication_lag: Some(31),
            log_bytes: Some(1_200_000_000),
            free_bytes: Some(1_999_999_999),
            ..ServerLoad::default()
        };
        let told: Vec<_> = limits.excesses(&beyond).into_iter().map(|of| (of.limit, of.text)).collect();
        let told: Vec<_> = told.iter().map(|(limit, text)| (limit.as_str(), text.as_str())).collect();
        assert_eq!(
            told,
            [
                ("max_connections_share", "81 of 100 connections are in use (at most 80%)"),
                ("max_lock_waits", "4 sessions wait for locks (at most 3)"),
                ("max_replication_lag", "a replica is 31.0s behind (at most 30.0s)"),
                ("max_log_growth", "1.2 GB were written to its log during this run (at most 1GB)"),
                ("min_free_space", "2.0 GB of its disk are free (at least 2GB)"),
            ]
        );
        let unknown = [("lock_waits".to_owned(), "the right PROCESS is lacking".to_owned())].into();
        let silent = ServerLoad { unknown, ..ServerLoad::default() };
        assert_eq!(limits.excesses(&silent), []);
        let unkept = limits.unkept(&silent);
        assert_eq!(unkept[0].text, "max_lock_waits is not kept: the right PROCESS is lacking");
        let none = LoadLimits { connections: None, lock_waits: None, ..limits };
        assert!(none.unkept(&silent).is_empty() && none.used_up("53300").is_empty());
        let unread = none.none_kept("no answer");
        assert_eq!(unread[0].limit, "max_replication_lag, max_log_growth, min_free_space");
    }
}
