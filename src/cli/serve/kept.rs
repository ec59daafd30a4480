//! A value that takes long to make: made once at a time, and kept for a while.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// A kept value is good for this many times as long as it took to make, so that a page that is loaded again and again costs
/// the databases a fifth of their time at most.
const TIMES: u32 = 4;

/// The value, if it was made already.
pub(super) struct Kept<T>(Mutex<Option<Made<T>>>);

struct Made<T> {
    at: Instant,
    took: Duration,
    value: Rc<T>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Kept(Mutex::new(None))
    }
}

impl<T> Kept<T> {
    /// The value, made anew where it is older than `most`. Those who ask meanwhile wait, and get the same.
    pub(super) async fn get<E>(&self, most: Duration, make: impl AsyncFnOnce() -> Result<T, E>) -> Result<Rc<T>, E> {
        let mut kept = self.0.lock().await;
        if let Some(Made { at, took, value }) = &*kept
            && at.elapsed() < most.max(*took * TIMES)
        {
            return Ok(value.clone());
        }
        let begun = Instant::now();
        let value = Rc::new(make().await?);
        *kept = Some(Made { at: Instant::now(), took: begun.elapsed(), value: value.clone() });
        Ok(value)
    }

    /// Has it made anew when it is asked for next.
    pub(super) async fn forget(&self) {
        *self.0.lock().await = None;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn many_who_ask_at_once_have_it_made_once() {
        let (kept, made) = (Kept::<usize>::default(), Cell::new(0));
        let make = async || -> Result<usize, Infallible> {
            tokio::task::yield_now().await;
            made.set(made.get() + 1);
            Ok(made.get())
        };
        let hour = Duration::from_secs(3_600);
        let all = join_all((0..50).map(|_| kept.get(hour, make))).await;
        assert!(all.iter().all(|one| one.as_ref().is_ok_and(|n| **n == 1)) && made.get() == 1);
        kept.forget().await;
        assert!(kept.get(hour, make).await.is_ok_and(|n| *n == 2));
    }
}
