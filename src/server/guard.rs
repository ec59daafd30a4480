//! The guards before every request: its host, its rate, who may read, who may change; and the headers of every answer.
//!
//! A page of another site may have the browser of an operator send requests here. It can't read answers (no CORS header is
//! ever sent), can't pretend to be this site by a name of its own (the `Host` is checked), and can't change anything: that
//! needs `Authorization: Bearer`, which a browser never adds by itself.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::rate::Rates;

/// Nothing but this server's own style and script; pictures are drawn in the page.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The secret of those who may read where there is one, and who may change.
#[derive(Clone)]
pub(crate) struct Token(SecretString);

impl Token {
    /// The fewest characters of a token: it can be guessed over the network.
    const SHORTEST: usize = 16;

    /// # Errors
    /// The reason why a text can't be a token.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() < Self::SHORTEST {
            return Err(format!("it has {} characters, and {} are the least", text.len(), Self::SHORTEST));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(
                "it has characters that a header can't carry; letters, digits and marks of ASCII can".to_owned()
            );
        }
        Ok(Token(SecretString::from(text.to_owned())))
    }

    /// Compares in a time that tells nothing of the token: of digests, so that not even its length is told.
    fn is(&self, given: &str) -> bool {
        let digest = |text: &str| -> [u8; 32] { Sha256::digest(text.as_bytes()).into() };
        digest(self.0.expose_secret()).ct_eq(&digest(given)).into()
    }
}

/// The rules for requests.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) token: Option<Token>,
    /// The names besides addresses and `localhost` under which the server is reached.
    pub(crate) hosts: Vec<String>,
}

/// The state of the middleware.
#[derive(Clone)]
pub(super) struct Guarded {
    guard: Arc<Guard>,
    rates: Arc<Mutex<Rates>>,
}

impl Guarded {
    pub(super) fn new(guard: Guard) -> Self {
        Guarded { guard: Arc::new(guard), rates: Arc::default() }
    }
}

/// Lets a request through, or answers it with the reason why not.
pub(super) async fn guard(State(guarded): State<Guarded>, request: Request, next: Next) -> Response {
    let from = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(from)| from.ip());
    let waits = from.and_then(|from| {
        let mut rates = guarded.rates.lock().expect("nobody panics while holding it");
        rates.take(from, Instant::now()).err()
    });
    let mut response = match waits {
        Some(wait) => {
            let seconds = wait.as_secs() + 1;
            let text = "too many requests from this address".to_owned();
            ([(header::RETRY_AFTER, seconds)], refusal(StatusCode::TOO_MANY_REQUESTS, text)).into_response()
        }
        None => match guarded.guard.admits(&request) {
            Ok(()) => next.run(request).await,
            Err((status, text)) => {
                let asks = status == StatusCode::UNAUTHORIZED;
                let mut response = refusal(status, text);
                if asks {
                    // A browser asks for a name and a password: any name, and the token.
                    let scheme = HeaderValue::from_static("Basic realm=\"fleet\", charset=\"UTF-8\"");
                    response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
                }
                response
            }
        },
    };
    secure(response.headers_mut());
    response
}

/// An error as a JSON document.
pub(super) fn refusal(status: StatusCode, text: String) -> Response {
    (status, axum::Json(json!({ "error": text }))).into_response()
}

fn secure(headers: &mut HeaderMap) {
    const ALL: [(HeaderName, &str); 7] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in ALL {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

impl Guard {
    fn admits(&self, request: &Request) -> Result<(), (StatusCode, String)> {
        let headers = request.headers();
        let host = text(headers, &header::HOST);
        if !self.is_own(host) {
            let text = "this host name is not the server's own; start it with --host NAME to be reached under it";
            return Err((StatusCode::MISDIRECTED_REQUEST, text.to_owned()));
        }
        let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
        if changes {
            let is_foreign =
                |origin: &str| origin.split_once("://").is_none_or(|(_, of)| !of.eq_ignore_ascii_case(host));
            let (origin, site) =
                (text(headers, &header::ORIGIN), text(headers, &HeaderName::from_static("sec-fetch-site")));
            if (!origin.is_empty() && is_foreign(origin)) || !matches!(site, "" | "same-origin" | "none") {
                return Err((StatusCode::FORBIDDEN, "this call comes from a page of another site".to_owned()));
            }
        }
        if request.uri().path() == "/healthz" {
            return Ok(());
        }
        let authorization = text(headers, &header::AUTHORIZATION);
        let (scheme, given) = authorization.split_once(' ').unwrap_or_default();
        let is_bearer = scheme.eq_ignore_ascii_case("bearer");
        match &self.token {
            None if changes => {
                let text = "nothing can be changed here: the server was started without a token (--token-file)";
                Err((StatusCode::FORBIDDEN, text.to_owned()))
            }
            None => Ok(()),
            Some(token) if is_bearer && token.is(given.trim()) => Ok(()),
            Some(_) if changes => {
                let text = "a change needs the header `Authorization: Bearer TOKEN` with the server's token";
                Err((StatusCode::UNAUTHORIZED, text.to_owned()))
            }
            Some(token) if scheme.eq_ignore_ascii_case("basic") && password(given).is_some_and(|p| token.is(&p)) => {
                Ok(())
            }
            Some(_) => Err((StatusCode::UNAUTHORIZED, "the server's token is needed".to_owned())),
        }
    }

    /// Whether a request was meant for this server. A name of another site that leads here (DNS rebinding) is none of its own;
    /// an address can't be made to lead elsewhere.
    fn is_own(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None => host.rsplit_once(':').map_or(host, |(name, _)| name),
        };
        let is_named = |own: &String| own.eq_ignore_ascii_case(name) || own.eq_ignore_ascii_case(host);
        name.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost") || self.hosts.iter().any(is_named)
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The password of `Authorization: Basic`.
fn password(encoded: &str) -> Option<String> {
    let text = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_another_site_is_not_the_servers_own() {
        let guard = Guard { token: None, hosts: vec!["fleet.example".to_owned()] };
        for own in ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080", "10.1.2.3", "fleet.example:443"] {
            assert!(guard.is_own(own), "{own}");
        }
        for foreign in ["", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "[evil]", "1.2.3"] {
            assert!(!guard.is_own(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_token_is_long_and_fits_a_header() {
        assert!(Token::new("short").is_err());
        assert!(Token::new("with blanks within it").is_err());
        let token = Token::new("0123456789abcdef\n").unwrap_or_else(|e| panic!("{e}"));
        assert!(token.is("0123456789abcdef") && !token.is("0123456789abcdee") && !token.is(""));
    }

    #[test]
    fn the_password_of_a_browser_is_read() {
        // `fleet:0123456789abcdef`
        assert_eq!(password("ZmxlZXQ6MDEyMzQ1Njc4OWFiY2RlZg==").as_deref(), Some("0123456789abcdef"));
        assert_eq!((password("ZmxlZXQ="), password("%%%")), (None, None));
    }
}
