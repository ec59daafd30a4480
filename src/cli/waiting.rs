//! A sign of life on the terminal while a command has nothing to show yet: it reads tenants, compiles, or tries migrations out.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal::{self, Terminal};

/// A person does not notice a silence that is shorter.
const SILENCE: Duration = Duration::from_millis(200);

/// The interval at which the line is redrawn.
const REDRAW: Duration = Duration::from_millis(100);

/// The thing that is waited for, and how far it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait<'a> {
    /// `reading tenants`.
    pub(super) what: &'a str,
    /// The parts that are done; counted from 0 by the work itself.
    pub(super) done: &'a AtomicUsize,
    /// The number of parts; 0 where it is not known.
    pub(super) all: usize,
}

impl Wait<'_> {
    /// `reading tenants  120/812  4s`.
    fn text(&self, elapsed: Duration) -> String {
        let done = self.done.load(Ordering::Relaxed).min(self.all);
        let count = if self.all > 0 { format!("  {done}/{}", self.all) } else { String::new() };
        format!("{}{count}  {}s", self.what, elapsed.as_secs())
    }
}

/// Completes `work`. On a terminal a line says after a short silence what is waited for; it is gone when this returns.
pub(super) async fn waiting<T>(terminal: Terminal, wait: Wait<'_>, work: impl Future<Output = T>) -> T {
    if !terminal.live {
        return work.await;
    }
    let (begun, mut work) = (Instant::now(), pin!(work));
    if let Ok(done) = tokio::time::timeout(SILENCE, &mut work).await {
        return done;
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(if terminal.err.unicode { style } else { style.tick_chars("|/-\\ ") });
    }
    let bar = Shown(bar);
    terminal::set_bar(Some(bar.0.clone()));
    let mut tick = tokio::time::interval(REDRAW);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = tick.tick() => {
                bar.0.set_message(wait.text(begun.elapsed()));
                bar.0.tick();
            }
        }
    }
}

/// A line on the terminal, until it is dropped.
struct Shown(ProgressBar);

impl Drop for Shown {
    fn drop(&mut self) {
        self.0.finish_and_clear();
        terminal::set_bar(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_it_is() {
        let done = AtomicUsize::new(120);
        let wait = Wait { what: "reading tenants", done: &done, all: 812 };
        assert_eq!(wait.text(Duration::from_millis(4_200)), "reading tenants  120/812  4s");
        assert_eq!(Wait { all: 0, ..wait }.text(Duration::ZERO), "reading tenants  0s");
    }
}
