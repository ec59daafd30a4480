//! A session on an SQLite file observed from outside: a flag cancels it, and the operating system lists the processes
//! that lock the file.

use std::sync::atomic::Ordering;

use async_trait::async_trait;

use crate::engine::sqlite::file::FileLock;
use crate::engine::sqlite::{SqliteSession, file};
use crate::engine::{Canceller, Observe, Watch};
use crate::model::fault::Fault;
use crate::model::locks::LockWait;

#[async_trait]
impl Observe for SqliteSession {
    async fn is_held(&mut self) -> Result<bool, Fault> {
        Ok(FileLock::is_taken(&self.path))
    }

    fn canceller(&self) -> Canceller {
        let cancelled = self.cancelled.clone();
        Box::new(move || Box::pin(async move { cancelled.store(true, Ordering::Relaxed) }))
    }

    fn watch(&self) -> Option<Watch> {
        let path = self.path.clone();
        Some(Box::new(move |_| {
            let path = path.clone();
            Box::pin(async move {
                let look = move || (file::holders(&path), file::is_held_by_run(&path));
                let (holders, by_run) = tokio::task::spawn_blocking(look).await.unwrap_or_default();
                LockWait { holders, by_run, ..LockWait::default() }
            })
        }))
    }
}
