//! The dispatcher outside of maintenance windows, those of waves and those of servers, and the servers on which nothing new is
//! started.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Dispatcher, InFlight};
use crate::model::event::Event;
use crate::model::outcome::NotStarted;
use crate::policy::Window;
use crate::run::decide::Conclusion;
use crate::run::pacing::Opening;
use crate::run::wave::WaveRun;

impl Dispatcher {
    /// Tells once that the window of a wave is closed.
    pub(super) async fn tell_opening(&self, wave: &mut WaveRun<'_>, opening: Opening) {
        if let Opening::At { opens_at_ms: Some(opens_at_ms), .. } = opening {
            self.tell_outside(wave, None, (wave.planned.window.as_ref(), opens_at_ms)).await;
        }
    }

    async fn tell_outside(
        &self,
        wave: &mut WaveRun<'_>,
        server: Option<Arc<str>>,
        (window, opens_at_ms): (Option<&Window>, i64),
    ) {
        if wave.told_openings.insert(server.clone(), opens_at_ms) != Some(opens_at_ms) {
            let (name, window) = (wave.planned.name.clone(), window.map(ToString::to_string).unwrap_or_default());
            let server = server.map(|server| server.to_string());
            self.emit(Event::OutsideWindow { wave: name, server, window, opens_at_ms }).await;
        }
    }

    /// Closes the servers of a wave that are outside of their windows, and opens the others. Their tenants wait, or are not
    /// started. Returns the time to look again. Those of servers that are beyond a limit on their load wait, too.
    pub(super) async fn close_servers(&mut self, wave: &mut WaveRun<'_>, now: Instant) -> Option<Instant> {
        let has_changed = self.load.take_change();
        if !self.pacer.has_servers() {
            if has_changed {
                wave.queue.close(|server| self.load.is_closed(server));
            }
            return None;
        }
        let closed = self.pacer.closed(wave.queue.waiting_servers());
        wave.queue.close(|server| closed.iter().any(|(closed, _)| **closed == *server));
        if self.pacer.stops_outside() {
            for index in wave.queue.drain_closed() {
                wave.is_outside = true;
                let conclusion = Conclusion::of(NotStarted::Window.outcome());
                self.conclude(wave, index, InFlight::fresh(), conclusion).await;
            }
            self.follow(wave).await;
        }
        wave.queue.close(|server| self.load.is_closed(server) || closed.iter().any(|(closed, _)| **closed == *server));
        if self.pacer.stops_outside() {
            return None;
        }
        for (server, opens_at_ms) in &closed {
            self.tell_outside(wave, Some(server.clone()), (self.pacer.window_of(server), *opens_at_ms)).await;
        }
        closed.iter().map(|(_, opens_at_ms)| self.pacer.look_at(*opens_at_ms, now)).min()
    }
}
