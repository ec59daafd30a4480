//! A run's events as a stream that a browser follows by itself: server-sent events.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

use super::question::Sent;

/// Streams that are sent at once: each keeps a reader of the ledger.
pub(super) const STREAMS: usize = 32;

/// The interval of signs of life between events, so that nothing on the way takes the connection for dead.
const ALIVE: Duration = Duration::from_secs(15);

/// Sends events until the run ends, the server ends, or the browser is gone.
pub(super) fn response(events: mpsc::Receiver<Sent>, permit: OwnedSemaphorePermit, end: CancellationToken) -> Response {
    let next = |(mut events, permit, end): (mpsc::Receiver<Sent>, OwnedSemaphorePermit, CancellationToken)| async move {
        let sent = tokio::select! {
            sent = events.recv() => sent?,
            () = end.cancelled() => return None,
        };
        let event = Event::default().id(sent.at_ms.to_string()).event(sent.name).data(sent.data);
        Some((Ok::<_, std::convert::Infallible>(event), (events, permit, end)))
    };
    Sse::new(stream::unfold((events, permit, end), next)).keep_alive(KeepAlive::new().interval(ALIVE)).into_response()
}
