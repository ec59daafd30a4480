//! The listener: connections within limits, until the server is told to end.
//!
//! `axum::serve` has no limit for the head of a request; this loop does what it does, with limits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::guard::Guard;
use super::question::Asked;
use super::routes;

/// Connections at once; others wait until one ends.
const CONNECTIONS: usize = 256;
/// The time for the head of a request; a connection that is kept open and sends none ends with it, too.
const HEAD: Duration = Duration::from_secs(20);
/// The most bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;
/// The most header fields of a request.
const FIELDS: usize = 64;
/// The time for answers that are under way when the server ends.
const ENDING: Duration = Duration::from_secs(3);

/// A server that listens already.
pub(crate) struct Server {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

/// Binds an address; port 0 means any that is free.
///
/// # Errors
/// That of the system.
pub(crate) async fn listen(address: SocketAddr) -> std::io::Result<Server> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok(Server { listener, address })
}

impl Server {
    /// Serves until `end` is cancelled. Dying in it: nothing is lost, for it keeps nothing.
    pub(crate) async fn run(self, guard: Guard, questions: mpsc::Sender<Asked>, end: CancellationToken) {
        let router = routes::router(guard, questions, end.clone());
        let (permits, connections) = (Arc::new(Semaphore::new(CONNECTIONS)), TaskTracker::new());
        loop {
            let accepted = async {
                let permit = permits.clone().acquire_owned().await;
                (permit, self.listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                accepted = accepted => accepted,
                () = end.cancelled() => break,
            };
            let Ok((stream, from)) = accepted else {
                // Out of descriptors, or a connection that ended at once: neither is a reason to end.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let (router, end) = (router.clone(), end.clone());
            connections.spawn(async move {
                connection(router, stream, from, end).await;
                drop(permit);
            });
        }
        connections.close();
        let _ = tokio::time::timeout(ENDING, connections.wait()).await;
    }
}

async fn connection(router: Router, stream: TcpStream, from: SocketAddr, end: CancellationToken) {
    // The outermost layer: the guard asks who it is.
    let service = TowerToHyperService::new(router.layer(Extension(ConnectInfo(from))));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .max_headers(FIELDS)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = std::pin::pin!(served);
    tokio::select! {
        // A client that is gone is no error of the server.
        _ = served.as_mut() => {}
        () = end.cancelled() => {
            served.as_mut().graceful_shutdown();
            let _ = served.await;
        }
    }
}
