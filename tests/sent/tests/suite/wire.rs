//! The client side of the protocols of PostgreSQL and MySQL: recorded bytes become messages, with their SQL unchanged.
//!
//! Passwords and user names are left out.

use std::fmt::Write as _;

/// One message to an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: String,
    /// The SQL, or the other content.
    pub(crate) text: String,
}

impl Message {
    pub(crate) fn new(kind: impl Into<String>, text: impl Into<String>) -> Self {
        Message { kind: kind.into(), text: text.into() }
    }
}

/// A cursor over recorded bytes.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(count).expect("a message is shorter than it says");
        self.0 = rest;
        taken
    }

    fn rest(&mut self) -> &'a [u8] {
        self.take(self.0.len())
    }

    fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn be<const N: usize>(&mut self) -> usize {
        self.take(N).iter().fold(0, |number, byte| (number << 8) | usize::from(*byte))
    }

    fn le<const N: usize>(&mut self) -> usize {
        self.take(N).iter().rev().fold(0, |number, byte| (number << 8) | usize::from(*byte))
    }

    /// A NUL-terminated text.
    fn text(&mut self) -> String {
        let end = self.0.iter().position(|byte| *byte == 0).expect("a text has an end");
        let text = self.take(end);
        self.take(1);
        utf8(text)
    }
}

fn utf8(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("SQL is UTF-8")
}

/// The frontend's messages (<https://www.postgresql.org/docs/15/protocol-message-formats.html>).
pub(crate) fn postgres(sent: &[u8]) -> Vec<Message> {
    let mut sent = Bytes(sent);
    let mut all = Vec::new();
    let length = sent.be::<4>() - 4;
    let mut startup = Bytes(sent.take(length));
    match startup.be::<4>() {
        // Version 3.0, or 3.2.
        0x0003_0000 | 0x0003_0002 => all.push(Message::new("startup", parameters(&mut startup))),
        80_877_102 => return vec![Message::new("cancel", "")],
        code => panic!("unknown startup code {code}; the tenant's URL must disable TLS"),
    }
    while !sent.0.is_empty() {
        let kind = sent.u8();
        let length = sent.be::<4>() - 4;
        all.extend(frontend(kind, Bytes(sent.take(length))));
    }
    all
}

/// All parameters but the user, in their order.
fn parameters(startup: &mut Bytes<'_>) -> String {
    let mut text = String::new();
    while startup.0 != [0] {
        let (name, value) = (startup.text(), startup.text());
        if name != "user" {
            let _ = writeln!(text, "{name}={value}");
        }
    }
    text.trim_end().to_owned()
}

fn frontend(kind: u8, mut body: Bytes<'_>) -> Option<Message> {
    let message = match kind {
        b'Q' => Message::new("query", body.text()),
        b'P' => {
            let (name, sql) = (body.text(), body.text());
            let types = (0..body.be::<2>()).map(|_| body.be::<4>().to_string()).collect::<Vec<_>>().join(" ");
            Message::new(format!("parse {name} [{types}]"), sql)
        }
        b'B' => {
            let (portal, name) = (body.text(), body.text());
            Message::new(format!("bind {name} to {portal:?}"), shown(body.rest()))
        }
        b'E' => Message::new(format!("execute {:?}", body.text()), ""),
        b'D' => Message::new(format!("describe {}", shown(body.rest())), ""),
        b'C' => Message::new(format!("close {}", shown(body.rest())), ""),
        b'S' => Message::new("sync", ""),
        b'H' => Message::new("flush", ""),
        b'X' => Message::new("terminate", ""),
        b'p' => return None,
        kind => panic!("unknown frontend message {:?}", char::from(kind)),
    };
    Some(message)
}

/// The client's packets (<https://mariadb.com/kb/en/0-packet/>), which are those of MySQL.
pub(crate) fn mysql(sent: &[u8]) -> Vec<Message> {
    const FULL: usize = 0xff_ffff;
    let mut sent = Bytes(sent);
    let mut all = Vec::new();
    let mut login = true;
    while !sent.0.is_empty() {
        let mut length = sent.le::<3>();
        let sequence = sent.u8();
        let mut body = sent.take(length).to_vec();
        while length == FULL {
            length = sent.le::<3>();
            sent.u8();
            body.extend_from_slice(sent.take(length));
        }
        if std::mem::take(&mut login) {
            all.push(Message::new("login", format!("database={}", database(Bytes(&body)))));
        } else if sequence == 0 {
            all.push(command(Bytes(&body)));
        }
        // Other packets belong to the login.
    }
    all
}

fn database(mut login: Bytes<'_>) -> String {
    const CLIENT_SSL: usize = 1 << 11;
    const CLIENT_CONNECT_WITH_DB: usize = 1 << 3;
    let capabilities = login.le::<4>();
    assert_eq!(capabilities & CLIENT_SSL, 0, "the tenant's URL must disable TLS");
    if capabilities & CLIENT_CONNECT_WITH_DB == 0 {
        return String::new();
    }
    // The largest packet, the character set, and reserved bytes.
    login.take(4 + 1 + 23);
    login.text();
    let length = usize::from(login.u8());
    login.take(length);
    login.text()
}

fn command(mut body: Bytes<'_>) -> Message {
    match body.u8() {
        0x01 => Message::new("quit", ""),
        0x02 => Message::new("use", utf8(body.rest())),
        0x03 => Message::new("query", utf8(body.rest())),
        0x0e => Message::new("ping", ""),
        0x16 => Message::new("prepare", utf8(body.rest())),
        0x17 => Message::new("execute", shown(body.rest())),
        0x19 => Message::new("close statement", shown(body.rest())),
        code => panic!("unknown command {code:#x}"),
    }
}

/// Binary content in a printable form.
fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

#[test]
fn frontend_messages_of_postgres_are_parsed() {
    let mut sent = b"\0\0\0\x1f\0\x03\0\0user\0me\0database\0d\0\0".to_vec();
    sent[3] = u8::try_from(sent.len()).unwrap();
    sent.extend(b"p\0\0\0\x08key\0Q\0\0\0\x0dSELECT 1\0P\0\0\0\x10s1\0DO\0\0\x01\0\0\0\x17S\0\0\0\x04X\0\0\0\x04");
    let all = postgres(&sent);
    let kinds: Vec<&str> = all.iter().map(|message| message.kind.as_str()).collect();
    assert_eq!(kinds, ["startup", "query", "parse s1 [23]", "sync", "terminate"]);
    assert_eq!([&all[0].text, &all[1].text, &all[2].text], ["database=d", "SELECT 1", "DO"]);
}

#[test]
fn packets_of_mysql_are_parsed() {
    let mut login = 0b1000_u32.to_le_bytes().to_vec();
    login.extend([0; 28]);
    login.extend(b"me\0\x03keyd\0plugin\0");
    let mut sent = vec![u8::try_from(login.len()).unwrap(), 0, 0, 1];
    sent.extend(login);
    sent.extend(b"\x03\0\0\x03key\x09\0\0\0\x03SELECT 1\x01\0\0\0\x01");
    let expected = [Message::new("login", "database=d"), Message::new("query", "SELECT 1"), Message::new("quit", "")];
    assert_eq!(mysql(&sent), expected);
}
