//! What the programs of the benchmark share: reading the list of tenants and walking it with some at once.
//! It must not know what is done to a tenant.

pub mod many;

use std::fmt::Display;
use std::future::Future;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The tenants' URLs, one a line.
///
/// # Errors
/// When the file can't be read or names no tenant.
pub fn read_tenants(path: impl AsRef<Path>) -> Result<Vec<String>, String> {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let tenants: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if tenants.is_empty() { Err(format!("{}: no tenant in it", path.display())) } else { Ok(tenants) }
}

/// Runs `work` on each tenant, `concurrency` at once, and tells of the failures on stderr.
pub async fn for_each<F, Fut, E>(tenants: Vec<String>, concurrency: usize, work: F) -> ExitCode
where
    F: Fn(String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E>> + Send,
    E: Display + Send + 'static,
{
    let tenants = Arc::new(tenants);
    let next = Arc::new(AtomicUsize::new(0));
    let work = Arc::new(work);
    let workers: Vec<_> = (0..concurrency.max(1))
        .map(|_| {
            let (tenants, next, work) = (tenants.clone(), next.clone(), work.clone());
            tokio::spawn(async move {
                let mut failures = 0;
                while let Some(tenant) = tenants.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = work(tenant.clone()).await {
                        // Not the URL: it holds a password. Its last part tells which one it was.
                        eprintln!("{}: {error}", tenant.rsplit('/').next().unwrap_or_default());
                        failures += 1;
                    }
                }
                failures
            })
        })
        .collect();
    let mut failures = 0;
    for worker in workers {
        failures += worker.await.unwrap_or(1);
    }
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
