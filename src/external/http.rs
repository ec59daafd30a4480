//! Requests to addresses: one at a time, each with a thread of its own, so that whoever stops waiting for an address that is
//! silent, as a run does that is interrupted, is not held up by it.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::model::fault::bounded;
use crate::model::program;

/// The longest body that is read, in bytes.
const LONGEST: u64 = 1_000_000;

/// An answer: its status, and its body or why it can't be read. A redirect is an answer, and is not followed: behind it is
/// another address, perhaps a page to sign in.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Result<String, String>,
}

impl Reply {
    /// Whether the status is 200 to 299.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Asks an address, with a GET, or with a POST of a JSON document.
///
/// # Errors
/// The reason, without the address, which may hold a secret.
pub(crate) async fn ask(url: String, document: Option<String>, timeout: Duration) -> Result<Reply, String> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || sender.send(send(&url, document, timeout)));
    receiver.await.unwrap_or_else(|_| Err("the request ended unexpectedly".to_owned()))
}

fn send(url: &str, document: Option<String>, timeout: Duration) -> Result<Reply, String> {
    let said = |error: ureq::Error| match error {
        ureq::Error::Timeout(_) => format!("no answer within {}", humantime::format_duration(timeout)),
        ureq::Error::BadUri(_) => "the address can't be asked".to_owned(),
        other => bounded(other.to_string().replace(url, "the address")),
    };
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(format!("fleet/{}", program::version()));
    let agent = config.build().new_agent();
    let answered = match document {
        None => agent.get(url).call(),
        Some(document) => agent.post(url).content_type("application/json").send(document),
    };
    let mut response = answered.map_err(said)?;
    let body = response.body_mut().with_config().limit(LONGEST).read_to_string().map_err(said);
    Ok(Reply { status: response.status().as_u16(), body })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_not_followed() {
        for document in [None, Some("{}".to_owned())] {
            let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}/health", server.local_addr().unwrap());
            let answering = std::thread::spawn(move || {
                let (mut client, _) = server.accept().unwrap();
                let _ = client.read(&mut [0; 1_024]);
                client.write_all(b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n").unwrap();
            });
            let reply = ask(url, document, Duration::from_secs(10)).await.unwrap();
            assert_eq!((reply.status, reply.is_success()), (302, false));
            answering.join().unwrap();
        }
    }
}
