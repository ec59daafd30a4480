//! The server with a scripted fleet behind it: what becomes a question, what is refused before, and what every answer has.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::routes::{Ask, ROUTES};
use super::*;
use crate::report::site::Form;

const TOKEN: &str = "a-token-of-the-tests";

/// A server whose fleet answers each question with its own name.
struct Scripted {
    address: SocketAddr,
    end: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Scripted {
    async fn start(token: Option<&str>) -> Scripted {
        let server = listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let (questions, mut asked) = mpsc::channel::<Asked>(8);
        tokio::spawn(async move {
            while let Some(Asked { question, form, reply }) = asked.recv().await {
                let text = format!("{question:?}");
                let content = if form == Form::Json { Content::Json } else { Content::Html };
                let answer = match question {
                    Question::Events { since_ms: 1.., .. } => Ok(Answer::Ended),
                    Question::Events { .. } => {
                        let (sender, events) = mpsc::channel(1);
                        let sent = Sent { at_ms: 7, name: "wave_started".to_owned(), data: "{}".to_owned() };
                        tokio::spawn(async move { sender.send(sent).await });
                        Ok(Answer::Events(events))
                    }
                    Question::Tenant(id) if id == "slow" => continue,
                    Question::Tenant(id) if id != "a/b" => Err(Refused::NotFound(format!("no {id}"))),
                    Question::Change(_) => Ok(Answer::Accepted(text)),
                    _ => Ok(Answer::Text(content, text)),
                };
                let _ = reply.send(answer);
            }
        });
        let (address, end) = (server.address, CancellationToken::new());
        let token = token.map(|text| Token::new(text).unwrap_or_else(|e| panic!("{e}")));
        let guard = Guard { token, hosts: vec!["fleet.example".to_owned()] };
        let serving = tokio::spawn(server.run(guard, questions, end.clone()));
        Scripted { address, end, serving }
    }

    /// Sends a head with a body, and returns the status and the whole answer.
    async fn send(&self, head: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let host = if head.contains("\nHost:") { "" } else { "\nHost: localhost" };
        let text =
            format!("{head}{host}\nConnection: close\nContent-Length: {}\n\n", body.len()).replace('\n', "\r\n") + body;
        // It may be refused before all of it was sent.
        let _ = stream.write_all(text.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, answer)
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.send(&format!("GET {path} HTTP/1.1"), "").await
    }
}

#[tokio::test]
async fn every_route_asks_what_it_says_and_the_document_has_each() {
    let server = Scripted::start(Some(TOKEN)).await;
    let bearer = format!("Authorization: Bearer {TOKEN}\nContent-Type: application/json");
    let (status, document) = server.send(&format!("GET /api/v1/openapi.json HTTP/1.1\n{bearer}"), "").await;
    assert_eq!(status, 200);
    let document: Value = serde_json::from_str(document.split_once("\r\n\r\n").unwrap().1).unwrap();
    for route in ROUTES {
        let path = route.path.replace("{tenant}", "a%2Fb").replace("{run}", "last").replace("{migration}", "m1");
        let (method, body) = match route.ask {
            Ask::Change(_, _, fields) => {
                let given =
                    fields.iter().filter(|field| field.is_required).map(|field| format!("\"{}\":\"x\"", field.name));
                ("POST", format!("{{{}}}", given.collect::<Vec<_>>().join(",")))
            }
            _ => ("GET", String::new()),
        };
        let (status, answer) = server.send(&format!("{method} {path} HTTP/1.1\n{bearer}"), &body).await;
        assert!(status == 200 || status == 202, "{}: {answer}", route.path);
        assert_eq!(document["paths"].get(route.path).is_some(), route.form == Form::Json, "{}", route.path);
        for header in [
            "content-security-policy: default-src 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
        ] {
            assert!(answer.contains(header), "{}: {answer}", route.path);
        }
        assert!(!answer.contains("unsafe-inline") && !answer.contains("access-control"), "{answer}");
    }
    let listed = document["paths"].as_object().unwrap().len();
    assert_eq!(listed, ROUTES.iter().filter(|route| route.form == Form::Json).count() + 1, "and /healthz");
}

#[tokio::test]
async fn who_is_not_meant_is_refused() {
    let server = Scripted::start(Some(TOKEN)).await;
    let basic = "Authorization: Basic eDphLXRva2VuLW9mLXRoZS10ZXN0cw==";
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let json = "Content-Type: application/json";
    for (head, expected) in [
        ("GET /runs HTTP/1.1".to_owned(), 401),
        ("GET /runs HTTP/1.1\nAuthorization: Bearer another-token-than-that".to_owned(), 401),
        (format!("GET /runs HTTP/1.1\n{bearer}"), 200),
        (format!("GET /runs HTTP/1.1\n{basic}"), 200),
        ("GET /healthz HTTP/1.1".to_owned(), 200),
        (format!("GET /runs HTTP/1.1\n{bearer}\nHost: evil.example"), 421),
        (format!("GET /runs HTTP/1.1\n{bearer}\nHost: fleet.example"), 200),
        (format!("POST /api/v1/refresh HTTP/1.1\n{bearer}\n{json}"), 202),
        // A browser adds this by itself, for whichever page.
        (format!("POST /api/v1/refresh HTTP/1.1\n{basic}\n{json}"), 401),
        (format!("POST /api/v1/refresh HTTP/1.1\n{json}"), 401),
        (format!("POST /api/v1/refresh HTTP/1.1\n{bearer}\n{json}\nOrigin: http://evil.example"), 403),
        (format!("POST /api/v1/refresh HTTP/1.1\n{bearer}\n{json}\nOrigin: null"), 403),
        (format!("POST /api/v1/refresh HTTP/1.1\n{bearer}\n{json}\nSec-Fetch-Site: cross-site"), 403),
        (format!("POST /api/v1/refresh HTTP/1.1\n{bearer}\n{json}\nOrigin: http://localhost"), 202),
        (format!("POST /api/v1/refresh HTTP/1.1\n{bearer}\nContent-Type: text/plain"), 400),
        (format!("POST /runs HTTP/1.1\n{bearer}"), 405),
        (format!("GET /nothing HTTP/1.1\n{bearer}"), 404),
        (format!("GET /api/v1/tenants/nobody HTTP/1.1\n{bearer}"), 404),
        (format!("GET /api/v1/matrix?colour=red HTTP/1.1\n{bearer}"), 400),
        (format!("GET /api/v1/matrix?offset=-1 HTTP/1.1\n{bearer}"), 400),
        (format!("GET /api/v1/matrix?offset=1000000000000001 HTTP/1.1\n{bearer}"), 400),
        (format!("GET /api/v1/runs?limit=1000000000000001 HTTP/1.1\n{bearer}"), 400),
        (format!("GET /api/v1/runs/last/events?since_ms=-1 HTTP/1.1\n{bearer}"), 400),
    ] {
        let (status, answer) = server.send(&head, "{}").await;
        assert_eq!(status, expected, "{head}: {answer}");
        assert!(!answer.contains(TOKEN), "{answer}");
    }
    // The answer may be lost where the connection is closed before all was read; nothing else may come.
    let large = format!("GET /runs HTTP/1.1\n{bearer}\nX-Large: {}", "x".repeat(20_000));
    assert!(matches!(server.send(&large, "").await.0, 431 | 0));
    let change = format!("POST /api/v1/refresh HTTP/1.1\n{bearer}\n{json}");
    assert!(matches!(server.send(&change, &" ".repeat(70_000)).await.0, 400 | 0));
    let quarantine = format!("POST /api/v1/tenants/acme/quarantine HTTP/1.1\n{bearer}\n{json}");
    for (head, body, of) in [
        (&quarantine, r#"{"reason":"a\u0000b"}"#, "`reason`"),
        (&change, r#"{"views":["v","\u0000"]}"#, "`views`"),
        (&format!("POST /api/v1/runs/last/approve HTTP/1.1\n{bearer}\n{json}"), r#"{"by":"\u0000"}"#, "`by`"),
        (&quarantine.replace("acme", "a%00b"), r#"{"reason":"x"}"#, "the address"),
        (&format!("GET /api/v1/runs/%00 HTTP/1.1\n{bearer}"), "", "the address"),
        (&format!("GET /api/v1/runs?tenant=a%00 HTTP/1.1\n{bearer}"), "", "the address"),
    ] {
        let (status, answer) = server.send(head, body).await;
        assert!(status == 400 && answer.contains(&format!("{of} holds the character U+0000")), "{head}: {answer}");
    }
    let (status, answer) = server.send(&change, "{\"vews\":[]}").await;
    assert!(status == 400 && answer.contains("vews"), "{answer}");
}

#[tokio::test]
async fn without_a_token_all_is_read_and_nothing_changed() {
    let server = Scripted::start(None).await;
    assert_eq!(server.get("/").await.0, 200);
    let (status, answer) = server.send("POST /api/v1/refresh HTTP/1.1\nContent-Type: application/json", "{}").await;
    assert!(status == 403 && answer.contains("--token-file"), "{answer}");
}

#[tokio::test]
async fn events_are_streamed_and_a_stream_that_is_over_is_not_asked_for_again() {
    let server = Scripted::start(None).await;
    let (status, answer) = server.get("/api/v1/runs/last/events").await;
    assert!(status == 200 && answer.contains("text/event-stream"), "{answer}");
    assert!(answer.contains("event: wave_started") && answer.contains("id: 7"), "{answer}");
    assert_eq!(server.send("GET /api/v1/runs/last/events HTTP/1.1\nLast-Event-ID: 7", "").await.0, 204);
}

#[tokio::test]
async fn a_flood_from_one_address_is_slowed() {
    let server = Scripted::start(None).await;
    // On one connection and in one write: however slow the machine is, they come faster than the rate.
    let one = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n";
    let all = format!("{one}\r\n").repeat(399) + one + "Connection: close\r\n\r\n";
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(all.as_bytes()).await.unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    let refused = answers.matches("HTTP/1.1 429").count();
    assert_eq!(refused + answers.matches("HTTP/1.1 200").count(), 400);
    assert!(refused > 0);
}

#[tokio::test]
async fn it_ends_although_a_connection_is_open() {
    let server = Scripted::start(None).await;
    let _idle = TcpStream::connect(server.address).await.unwrap();
    server.end.cancel();
    tokio::time::timeout(Duration::from_secs(20), server.serving).await.unwrap().unwrap();
}
