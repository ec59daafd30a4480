//! Consumers of a run's events: the ledger, the view on a terminal, a stream of JSON lines, later a server.

use async_trait::async_trait;

use crate::model::event::Event;

/// A consumer of events. It gets every event of a run once, in order.
#[async_trait]
pub(crate) trait EventSink: Send {
    /// Takes an event that happened at `at_ms`, in milliseconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// [`SinkLost`] where the run must start nothing new, because this consumer can't take any more events. A sink that
    /// is not essential to the run reports its failure itself and returns `Ok`.
    async fn take(&mut self, event: &Event, at_ms: i64) -> Result<(), SinkLost>;

    /// Called when time has passed without an event.
    fn tick(&mut self) {}
}

/// The error for the loss of an essential sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SinkLost;

/// Passes each event to all sinks, in order: events are recorded before they are shown.
#[derive(Default)]
pub(crate) struct FanOut<'s> {
    sinks: Vec<&'s mut dyn EventSink>,
}

impl<'s> FanOut<'s> {
    /// Adds a sink after the others.
    pub(crate) fn and(mut self, sink: &'s mut dyn EventSink) -> Self {
        self.sinks.push(sink);
        self
    }
}

#[async_trait]
impl EventSink for FanOut<'_> {
    async fn take(&mut self, event: &Event, at_ms: i64) -> Result<(), SinkLost> {
        let mut lost = Ok(());
        for sink in &mut self.sinks {
            lost = lost.and(sink.take(event, at_ms).await);
        }
        lost
    }

    fn tick(&mut self) {
        self.sinks.iter_mut().for_each(|sink| sink.tick());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::stats::RunStats;

    #[derive(Default)]
    struct Counting {
        events: usize,
        ticks: usize,
        is_lost: bool,
    }

    #[async_trait]
    impl EventSink for Counting {
        async fn take(&mut self, _: &Event, _: i64) -> Result<(), SinkLost> {
            self.events += 1;
            if self.is_lost { Err(SinkLost) } else { Ok(()) }
        }

        fn tick(&mut self) {
            self.ticks += 1;
        }
    }

    #[tokio::test]
    async fn a_lost_sink_is_told_and_keeps_no_event_from_the_others() {
        let (mut first, mut second) = (Counting { is_lost: true, ..Counting::default() }, Counting::default());
        let mut sinks = FanOut::default().and(&mut first).and(&mut second);
        let event = Event::RunFinished { stats: RunStats::default() };
        assert_eq!(sinks.take(&event, 1).await, Err(SinkLost));
        sinks.tick();
        assert_eq!((first.events, first.ticks, second.events, second.ticks), (1, 1, 1, 1));
    }
}
