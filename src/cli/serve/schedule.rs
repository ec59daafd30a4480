//! The refreshes of `serve --schedule`: each group of views at its times.
//!
//! Nothing is kept: a time that passes while the server is down is not made up for. Dying between two refreshes: the next
//! server goes on with the next time; a refresh that has begun is a process of its own.

use std::time::Duration;

use crate::policy::RefreshGroup;

/// The longest sleep: the clock may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Calls `refresh` with the groups whose time has come, for ever: all of one moment together, because a second run over the
/// same tenants is refused while the first goes on. `now_ms` is the clock, in milliseconds since
/// 1970-01-01 UTC.
pub(super) async fn keep(now_ms: impl Fn() -> i64, refresh: impl AsyncFn(Vec<RefreshGroup>)) {
    let mut seen_ms = now_ms();
    loop {
        let next_ms = RefreshGroup::ALL.iter().filter_map(|group| group.next_ms(seen_ms)).min().unwrap_or(i64::MAX);
        let now = now_ms();
        if now < next_ms {
            let rest = Duration::from_millis(u64::try_from(next_ms - now).unwrap_or(u64::MAX));
            tokio::time::sleep(rest.min(LONGEST_SLEEP)).await;
            continue;
        }
        let due: Vec<RefreshGroup> =
            RefreshGroup::ALL.into_iter().filter(|group| group.next_ms(seen_ms).is_some_and(|ms| ms <= now)).collect();
        seen_ms = now;
        refresh(due).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_group_is_refreshed_at_its_times() {
        // Sunday, 2026-11-29, 21:30 UTC.
        let (begin_ms, begun) = (1_795_987_800_000_i64, tokio::time::Instant::now());
        let now_ms = || begin_ms + i64::try_from(begun.elapsed().as_millis()).unwrap();
        let called = RefCell::new(Vec::new());
        let refresh = async |groups: Vec<RefreshGroup>| {
            called.borrow_mut().push((begun.elapsed().as_secs() / 60, groups));
            // One that takes a while makes no other late, and is not done twice.
            tokio::time::sleep(Duration::from_secs(90)).await;
        };
        let _ = tokio::time::timeout(Duration::from_secs(4 * 3_600), keep(now_ms, refresh)).await;
        let hourly = |minute: u64| (minute, vec![RefreshGroup::Hourly]);
        let midnight = (150, vec![RefreshGroup::Hourly, RefreshGroup::Daily, RefreshGroup::Weekly]);
        assert_eq!(*called.borrow(), [hourly(30), hourly(90), midnight, hourly(210)]);
    }
}
