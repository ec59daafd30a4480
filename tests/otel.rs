//! Traces, as a collector gets them: the program of the feature `otel` against a small HTTP server of the test's own.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc;

/// A field of a message: its number and its content; numbers are left out.
fn fields(mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
    fn number(bytes: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let (byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = number(&mut bytes);
        let length = match key & 7 {
            0 => {
                number(&mut bytes);
                continue;
            }
            1 => 8,
            2 => usize::try_from(number(&mut bytes)).unwrap(),
            5 => 4,
            other => panic!("wire type {other}"),
        };
        let (content, rest) = bytes.split_at(length);
        found.push((key >> 3, content));
        bytes = rest;
    }
    found
}

fn of(message: &[u8], number: u64) -> Vec<&[u8]> {
    fields(message).into_iter().filter(|(found, _)| *found == number).map(|(_, content)| content).collect()
}

#[derive(Debug, Default)]
struct Span {
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
    name: String,
    /// Those that are texts.
    attributes: HashMap<String, String>,
    has_failed: bool,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn first(message: &[u8], number: u64) -> &[u8] {
    of(message, number).first().copied().unwrap_or_default()
}

/// The spans of an `ExportTraceServiceRequest`.
fn spans(request: &[u8]) -> Vec<Span> {
    let scopes = of(request, 1).into_iter().flat_map(|resource| of(resource, 2));
    let spans = scopes.flat_map(|scope| of(scope, 2));
    let span = |span: &[u8]| Span {
        trace: first(span, 1).to_vec(),
        id: first(span, 2).to_vec(),
        parent: first(span, 4).to_vec(),
        name: text(first(span, 5)),
        attributes: of(span, 9)
            .into_iter()
            .map(|pair| (text(first(pair, 1)), text(first(first(pair, 2), 1))))
            .collect(),
        // A status with a code, whose number is not read: only errors have one.
        has_failed: !first(span, 15).is_empty(),
    };
    spans.map(span).collect()
}

/// The body of a request, which is answered with 200.
fn taken(stream: TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = n.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    reader.into_inner().write_all(answer.as_bytes()).unwrap();
    Some((head, body))
}

fn fleet(folder: &std::path::Path, words: &[&str], collector: &str) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleet"));
    command.args(words).current_dir(folder).env("OTEL_EXPORTER_OTLP_ENDPOINT", collector);
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=s3cret").output().unwrap()
}

#[test]
fn a_run_is_a_trace_of_runs_waves_tenants_attempts_and_steps_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let tenants = "[[wave]]\nname = \"canary\"\ntenants = [\"good\"]\n\
                   [[tenant]]\nid = \"good\"\nurl = \"sqlite:good.db\"\ncreate_missing = true\n\
                   [[tenant]]\nid = \"bad\"\nurl = \"postgres://me:h1dden@127.0.0.1:1/x\"\n";
    std::fs::write(folder.path().join("tenants.toml"), tenants).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let collector = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if let Some(request) = taken(stream.unwrap()) {
                sender.send(request).unwrap();
            }
        }
    });
    let words = ["migrate", "--yes", "--no-preflight", "--attempts", "1", "--keep-going"];
    let output = fleet(folder.path(), &words, &collector);
    assert_eq!(output.status.code(), Some(100), "{output:?}");
    let requests: Vec<_> = receiver.try_iter().collect();
    assert!(requests.iter().all(|(head, _)| head.starts_with("POST /v1/traces ") && head.contains("s3cret")));
    let all: Vec<Span> = requests.iter().flat_map(|(_, body)| spans(body)).collect();
    let body: Vec<u8> = requests.iter().flat_map(|(_, body)| body.clone()).collect();
    for word in ["h1dden", "s3cret", "CREATE TABLE", "create table"] {
        assert!(!body.windows(word.len()).any(|part| part == word.as_bytes()), "{word}");
    }

    assert!(all.iter().all(|span| span.trace == all[0].trace), "one trace: {all:#?}");
    let path = |span: &Span| {
        let mut path = vec![span.name.clone()];
        let mut at = span;
        while let Some(parent) = all.iter().find(|parent| parent.id == at.parent) {
            path.insert(0, parent.name.clone());
            at = parent;
        }
        path.join("/")
    };
    let paths: Vec<String> = all.iter().map(path).collect();
    for wanted in ["run", "run/wave", "run/wave/tenant", "run/wave/tenant/attempt"] {
        assert!(paths.iter().any(|path| path == wanted), "{wanted} is missing in {paths:?}");
    }
    let with = |name: &str, key: &str, value: &str| {
        all.iter().find(|span| span.name == name && span.attributes.get(key).is_some_and(|of| of == value))
    };
    assert!(with("tenant", "tenant", "good").is_some() && with("wave", "wave", "canary").is_some(), "{all:#?}");
    let bad = with("tenant", "tenant", "bad").unwrap();
    let attempt = all.iter().find(|span| span.parent == bad.id).unwrap();
    assert_eq!(attempt.attributes.get("class").map(String::as_str), Some("connection_refused"), "{attempt:?}");
    assert!(attempt.has_failed, "{attempt:?}");
    assert!(!all.iter().find(|span| span.parent == with("tenant", "tenant", "good").unwrap().id).unwrap().has_failed);
}

#[test]
fn a_collector_that_is_not_there_is_told_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let tenants = "[[tenant]]\nid = \"good\"\nurl = \"sqlite:good.db\"\ncreate_missing = true\n";
    std::fs::write(folder.path().join("tenants.toml"), tenants).unwrap();
    let output = fleet(folder.path(), &["migrate", "--yes", "-q"], "http://127.0.0.1:1");
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("not all traces were sent to the collector"), "{told}");
}
