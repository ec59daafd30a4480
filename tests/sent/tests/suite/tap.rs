//! A TCP relay in front of a server that records the bytes each client sends.
//!
//! It knows no protocol and changes no byte.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::process::block_on;

/// A port of this machine that leads to a server, until it is dropped.
#[derive(Debug)]
pub(crate) struct Tap {
    pub(crate) port: u16,
    line: Arc<Line>,
    listening: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Line {
    /// As `host:port`.
    server: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Connections that are open.
    open: usize,
    /// The bytes of each connection, in the order in which they were opened.
    sent: Vec<Vec<u8>>,
}

impl Tap {
    /// Listens for the server at `host:port`.
    pub(crate) fn on(server: &str) -> Tap {
        let line = Arc::new(Line { server: server.to_owned(), state: Mutex::default() });
        let there = line.clone();
        block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let listening = tokio::spawn(async move {
                while let Ok((client, _)) = listener.accept().await {
                    let number = there.opened();
                    tokio::spawn(there.clone().serve(number, client));
                }
            });
            Tap { port, line, listening }
        })
    }

    /// The bytes sent since the last call, by connection. The client must have ended.
    pub(crate) fn take(&self) -> Vec<Vec<u8>> {
        let begun = Instant::now();
        loop {
            let mut state = self.line.state.lock().unwrap();
            if state.open == 0 {
                return std::mem::take(&mut state.sent);
            }
            drop(state);
            assert!(begun.elapsed() < Duration::from_secs(20), "a connection is still open after its client has ended");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Line {
    fn opened(&self) -> usize {
        let mut state = self.state.lock().unwrap();
        state.open += 1;
        state.sent.push(Vec::new());
        state.sent.len() - 1
    }

    async fn serve(self: Arc<Self>, number: usize, mut client: TcpStream) {
        let mut server = TcpStream::connect(&self.server).await.unwrap();
        for end in [&client, &server] {
            end.set_nodelay(true).unwrap();
        }
        let ((mut from_client, mut to_client), (mut from_server, mut to_server)) = (client.split(), server.split());
        let up = async {
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
                self.state.lock().unwrap().sent[number].extend_from_slice(&buffer[..count]);
                if to_server.write_all(&buffer[..count]).await.is_err() {
                    break;
                }
            }
            let _ = to_server.shutdown().await;
        };
        let down = async {
            let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
            let _ = to_client.shutdown().await;
        };
        tokio::join!(up, down);
        self.state.lock().unwrap().open -= 1;
    }
}
