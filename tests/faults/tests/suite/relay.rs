//! A relay in front of a server: it passes bytes on, and at a given byte it breaks off, resets or falls silent.
//!
//! It knows no protocol and asks the server nothing: whether a fault was injected is told by the byte that was reached.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::process::block_on;

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Both ends are closed in order (FIN).
    Cut,
    /// Both ends are reset (RST).
    Reset,
    /// Nothing is passed any more, in either direction, and both ends stay open.
    Stall,
    /// Each piece is passed so much later, from the first byte on.
    Delay(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// Where and for how long a relay does what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// The connection, counted from 0; `None`: each of them.
    pub(crate) connection: Option<usize>,
    pub(crate) way: Way,
    /// As soon as so many bytes have been passed in that direction; 0: before the first.
    pub(crate) at: u64,
    /// Whether connections behind it fare the same from their first byte on, so that nobody gets through any more.
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
    /// Sent whenever what is held up is let go of.
    mended: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    fault: Option<Fault>,
    reached: bool,
    /// Bytes to the server and to the client, a pair for each connection.
    passed: Vec<[u64; 2]>,
}

/// How passing in one direction came to its end.
enum End {
    /// The byte of the fault was reached.
    Reached,
    /// One of the two ends is gone.
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

    /// From now on; connections are counted anew.
    pub(crate) fn set(&self, fault: Option<Fault>) {
        *self.line.state.lock().unwrap() = State { fault, ..State::default() };
    }

    /// Passes everything again. What was held up is closed: its bytes are gone, as they are in a network.
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
        let (number, fault) = self.opened();
        let Ok(mut server) = TcpStream::connect(&self.server).await else { return };
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

    /// The number of a new connection, and what is to become of it.
    fn opened(&self) -> (usize, Option<Fault>) {
        let mut state = self.state.lock().unwrap();
        let number = state.passed.len();
        state.passed.push([0, 0]);
        let fault = state.fault.and_then(|fault| {
            let is_meant = fault.connection.is_none_or(|n| n == number);
            let is_after = fault.lasts && state.reached;
            (is_meant || is_after).then_some(if is_after { Fault { at: 0, ..fault } } else { fault })
        });
        (number, fault)
    }

    async fn pass(
        &self,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
        (number, way): (usize, Way),
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
            self.state.lock().unwrap().passed[number][way as usize] += count as u64;
        }
    }
}

/// Closes both ends in order. What they still send is read and thrown away: a socket that is closed over unread bytes
/// resets its connection instead.
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
