//! The dispatcher and the load of servers: nothing new is started on one that is beyond a limit, and the run pauses where
//! it stays there.

use tokio::time::Instant;

use super::Dispatcher;
use crate::model::event::Event;
use crate::model::outcome::NotStarted;
use crate::run::load::Reading;
use crate::run::wave::WaveRun;

impl Dispatcher {
    /// Whether tenants of a wave wait for their server to be read, or to come back within its limits.
    pub(super) fn is_waiting_for_load(&self, wave: &WaveRun<'_>) -> bool {
        wave.queue.is_waiting() && self.load.holds_any()
    }

    /// The time of the next reading, while there is anything to read a server for.
    pub(super) fn next_reading(&self, wave: &WaveRun<'_>) -> Option<Instant> {
        let is_wanted = !self.running.is_empty() || self.is_waiting_for_load(wave);
        self.load.next_wake().filter(|_| is_wanted)
    }

    /// Tells of a reading. The run pauses if tenants have waited for the server for too long: what only others wait for is no
    /// matter of this one.
    pub(super) async fn load_was_read(&mut self, wave: &WaveRun<'_>, reading: Reading) {
        let (event, overload) = self.load.judge(reading, Instant::now());
        if let Some(event) = event {
            self.emit(event).await;
        }
        let is_waited_for = |server: &str| wave.queue.waiting_servers().iter().any(|waiting| **waiting == *server);
        if let Some(overload) = overload.filter(|of| is_waited_for(&of.server))
            && self.cancel.reason().is_none()
        {
            self.emit(Event::Overloaded(overload)).await;
            self.cancel.drain(NotStarted::Overloaded);
        }
    }
}
