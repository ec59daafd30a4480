//! A relay in front of a server: it passes bytes on, and at a given byte it cuts, resets or stalls the connection.
//!
//! It knows no protocol and asks the server nothing: a fault counts as injected when its byte is reached.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::process::block_on;

/// A fault of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Both ends are closed in order (FIN).
    Cut,
    /// Both ends are reset (RST).
    Reset,
    /// Nothing is passed any more, in either direction, and both ends stay open.
    Stall,
    /// Each piece of data is delayed by this much, from the first byte on.
    Delay(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// A fault with its position and duration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// The connection, counted from 0 without those opened while another is open; `None`: all of them.
    pub(crate) connection: Option<usize>,
    pub(crate) way: Way,
    /// The number of bytes passed in that direction before the fault; 0: before the first.
    pub(crate) at: u64,
    /// Whether later connections fail in the same way from their first byte on, so that no client gets through.
    pub(crate) lasts: bool,
}

/// A port of this machine that leads to a server, until it is dropped.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) port: u16,
    line: Arc<Line>,
    listening: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Line {
    server: String,
    state: Mutex<State>,
    /// Sent whenever held-up data is released.
    mended: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    fault: Option<Fault>,
    reached: bool,
    /// The number of open connections that lead through.
    open: usize,
    /// Bytes to the server and to the client, a pair for each connection that was not opened while another was open.
    passed: Vec<[u64; 2]>,
}

/// The end of passing data in one direction.
enum End {
    /// The byte of the fault was reached.
    Reached,
    /// One of the two ends has closed.
    Closed,
}

impl Relay {
    /// Listens for the server at `host:port`.
    pub(crate) fn to(server: &str) -> Relay {
        let line =
            Arc::new(Line { server: server.to_owned(), state: Mutex::default(), mended: watch::Sender::new(()) });
        let there = line.clone();
        block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let listening = tokio::spawn(async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(there.clone().serve(client));
                }
            });
            Relay { port, line, listening }
        })
    }

    /// Sets the fault from now on; connections are counted anew.
    pub(crate) fn set(&self, fault: Option<Fault>) {
        let mut state = self.line.state.lock().unwrap();
        *state = State { fault, open: state.open, ..State::default() };
    }

    /// Passes everything again. Connections with held-up data are closed: their bytes are lost, as in a network.
    pub(crate) fn mend(&self) {
        self.line.state.lock().unwrap().fault = None;
        self.line.mended.send_replace(());
    }

    /// Whether the fault was injected: its byte was passed.
    pub(crate) fn reached(&self) -> bool {
        self.line.state.lock().unwrap().reached
    }

    /// The bytes to the server and to the client, a pair for each connection since the last [`Relay::set`].
    pub(crate) fn passed(&self) -> Vec<[u64; 2]> {
        self.line.state.lock().unwrap().passed.clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listening.abort();
        self.mend();
    }
}

impl Line {
    async fn serve(self: Arc<Self>, mut client: TcpStream) {
        let mut mended = self.mended.subscribe();
        self.settled().await;
        let (number, fault) = self.opened();
        let mut server = TcpStream::connect(&self.server).await.unwrap();
        for end in [&client, &server] {
            end.set_nodelay(true).unwrap();
        }
        let end = {
            let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
            let up = self.pass(from_client, to_server, (number, Way::ToServer), fault);
            let down = self.pass(from_server, to_client, (number, Way::ToClient), fault);
            tokio::select! {
                end = up => end,
                end = down => end,
            }
        };
        self.state.lock().unwrap().open -= 1;
        let kind = match (end, fault) {
            (End::Reached, Some(fault)) => fault.kind,
            _ => Kind::Cut,
        };
        match kind {
            Kind::Stall => {
                let _ = mended.changed().await;
            }
            Kind::Reset => {
                for end in [&client, &server] {
                    let _ = end.set_zero_linger();
                }
            }
            Kind::Cut | Kind::Delay(_) => close(client, server).await,
        }
    }

    /// Waits for the end of the previous connection, which may still be in transit: at most 100 ms, because a connection
    /// that liveness checks go over is opened while another stays open.
    async fn settled(&self) {
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            if self.state.lock().unwrap().open == 0 {
                return;
            }
        }
    }

    /// The number of a new connection, and its fault. A connection opened while another is open has no number: it only
    /// observes, and depends on timing.
    fn opened(&self) -> (Option<usize>, Option<Fault>) {
        let mut state = self.state.lock().unwrap();
        let number = (state.open == 0).then_some(state.passed.len());
        state.open += 1;
        if number.is_some() {
            state.passed.push([0, 0]);
        }
        let fault = state.fault.and_then(|fault| {
            let is_meant = fault.connection.is_none_or(|n| number == Some(n));
            let is_after = fault.lasts && state.reached;
            (is_meant || is_after).then_some(if is_after { Fault { at: 0, ..fault } } else { fault })
        });
        (number, fault)
    }

    async fn pass(
        &self,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
        (number, way): (Option<usize>, Way),
        fault: Option<Fault>,
    ) -> End {
        let delay = fault.and_then(|fault| if let Kind::Delay(delay) = fault.kind { Some(delay) } else { None });
        let at = fault.filter(|fault| delay.is_none() && fault.way == way).map(|fault| fault.at);
        let mut buffer = vec![0; 16 * 1024];
        let mut passed = 0;
        loop {
            if at == Some(passed) {
                self.state.lock().unwrap().reached = true;
                return End::Reached;
            }
            let room = at.map_or(buffer.len(), |at| buffer.len().min(usize::try_from(at - passed).unwrap()));
            let Ok(count @ 1..) = from.read(&mut buffer[..room]).await else { return End::Closed };
            if let Some(delay) = delay {
                tokio::time::sleep(delay).await;
                self.state.lock().unwrap().reached = true;
            }
            if to.write_all(&buffer[..count]).await.is_err() {
                return End::Closed;
            }
            passed += count as u64;
            if let Some(number) = number {
                self.state.lock().unwrap().passed[number][way as usize] += count as u64;
            }
        }
    }
}

/// Closes both ends in order. Remaining data is read and discarded: closing a socket with unread bytes resets its
/// connection.
async fn close(mut client: TcpStream, mut server: TcpStream) {
    let _ = tokio::join!(client.shutdown(), server.shutdown());
    let mut waste = (vec![0; 4096], vec![0; 4096]);
    let rest = async {
        tokio::join!(async { while let Ok(1..) = client.read(&mut waste.0).await {} }, async {
            while let Ok(1..) = server.read(&mut waste.1).await {}
        })
    };
    let _ = tokio::time::timeout(Duration::from_secs(5), rest).await;
}
