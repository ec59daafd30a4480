//! A TCP relay that adds latency: `relay TARGET DELAY_MS` listens on a free loopback port, prints its address and passes
//! every byte on DELAY_MS later, in each direction. Bandwidth is not limited: what is under way waits in a queue.
//! The handshake of a connection is not delayed.

use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relay: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = || "usage: relay HOST:PORT DELAY_MS".to_owned();
    let [target, delay] = arguments.as_slice() else { return Err(usage()) };
    let delay = Duration::from_millis(delay.parse().map_err(|_| usage())?);

    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    println!("{}", listener.local_addr().map_err(|error| error.to_string())?);
    loop {
        let (client, _) = listener.accept().await.map_err(|error| error.to_string())?;
        let target = target.clone();
        tokio::spawn(async move {
            // A connection that can't be passed on is dropped, and the client sees that it was.
            if let Ok(server) = TcpStream::connect(target).await {
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(pass_on(from_client, to_server, delay));
                tokio::spawn(pass_on(from_server, to_client, delay));
            }
        });
    }
}

/// One direction. Reading never waits for writing, so that a chunk's delay starts when it arrives.
async fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (sender, mut due) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let reading = async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            if sender.send((Instant::now() + delay, buffer[..length].to_vec())).is_err() {
                break;
            }
        }
    };
    let writing = async move {
        while let Some((when, bytes)) = due.recv().await {
            sleep_until(when).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        // The end of the stream is passed on only after all that came before it.
        let _ = to.shutdown().await;
    };
    tokio::join!(reading, writing);
}
