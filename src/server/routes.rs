//! The routes: one table, of which the router and the OpenAPI document are made, so that neither has what the other lacks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, RawPathParams, Request, State};
use axum::http::header::{self, HeaderValue};
use axum::http::{StatusCode, Uri};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::guard::{Guard, Guarded, guard, refusal};
use super::question::{Answer, Asked, Change, Content, Question, Refused};
use super::{events, openapi};
use crate::report::clean;
use crate::report::site::{self, Form, WANTED, WANTED_RUNS, Wanted, WantedRuns};

/// The time for an answer. A fleet that takes longer to read goes on being read, and is there for the next request.
const ANSWER: Duration = Duration::from_secs(30);
/// Requests at once.
const AT_ONCE: usize = 64;
/// The largest number in a query.
pub(super) const LARGEST: u64 = 1_000_000_000_000_000;
/// The most bytes of a request's body.
const BODY: usize = 64 * 1024;

/// A route.
pub(super) struct Route {
    /// With its parameters in braces.
    pub(super) path: &'static str,
    pub(super) about: &'static str,
    pub(super) form: Form,
    pub(super) ask: Ask,
}

/// The way from a request to a question.
pub(super) enum Ask {
    Plain(fn() -> Question),
    /// With the one parameter of the path.
    Named(fn(String) -> Question),
    /// With a choice of tenants.
    Tenants(fn(Wanted) -> Question),
    Runs,
    Events,
    /// With a JSON object as its body: the name of the change, and that of the path's parameter in it.
    Change(&'static str, Option<&'static str>, &'static [Field]),
}

impl Ask {
    /// The parameters of the query: name, type, meaning.
    pub(super) fn parameters(&self) -> &'static [(&'static str, &'static str, &'static str)] {
        match self {
            Ask::Tenants(_) => WANTED,
            Ask::Runs => WANTED_RUNS,
            Ask::Events => {
                &[("since_ms", "integer", "Only events from this time on, in milliseconds since 1970-01-01 UTC")]
            }
            _ => &[],
        }
    }
}

/// A field in the body of a changing call.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
    pub(super) about: &'static str,
}

/// The value of a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A day or a moment.
    Time,
    Names,
    Groups,
}

const fn list(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, kind, is_required: false, about }
}

const fn text(name: &'static str, is_required: bool, about: &'static str) -> Field {
    Field { name, kind: Kind::Text, is_required, about }
}

/// All routes but those of files, of the document itself and of `/healthz`.
pub(super) const ROUTES: &[Route] = &[
    json_route("/api/v1/tenants", "The tenants of the file; none is reached", Ask::Tenants(Question::Tenants)),
    json_route(
        "/api/v1/tenants/{tenant}",
        "A tenant: its place, its history with times, the runs that took it, its backups",
        Ask::Named(Question::Tenant),
    ),
    json_route(
        "/api/v1/matrix",
        "The tenants by migrations, as their own histories say",
        Ask::Tenants(Question::Matrix),
    ),
    json_route(
        "/api/v1/status",
        "The tenants by state, version and server, and those that need attention",
        Ask::Tenants(Question::Status),
    ),
    json_route("/api/v1/runs", "The newest runs", Ask::Runs),
    json_route("/api/v1/runs/{run}", "A run: its waves, outcomes, attempts and events", Ask::Named(Question::Run)),
    json_route(
        "/api/v1/runs/{run}/events",
        "The events of a run while it goes on, whoever runs it, as server-sent events",
        Ask::Events,
    ),
    json_route(
        "/api/v1/catalog",
        "The migrations, how many tenants have each, and the findings of lint",
        Ask::Plain(|| Question::Catalog),
    ),
    json_route(
        "/api/v1/catalog/{migration}",
        "A migration: its SQL on each engine and both ways, and its findings",
        Ask::Named(Question::Migration),
    ),
    json_route(
        "/api/v1/views",
        "The views that scripts make, and when each tenant refreshed them last",
        Ask::Plain(|| Question::Views),
    ),
    json_route(
        "/api/v1/dashboards",
        "The dashboards of the tenant file, with the views that each shows",
        Ask::Plain(|| Question::Dashboards),
    ),
    json_route(
        "/metrics",
        "The state of the fleet and of its last run, for Prometheus",
        Ask::Plain(|| Question::Metrics),
    ),
    json_route(
        "/api/v1/refresh",
        "Refreshes views; without names all views, without tenants on all of them",
        Ask::Change(
            "refresh",
            None,
            &[
                list("views", Kind::Names, "Names of views"),
                list("groups", Kind::Groups, "Groups of views"),
                list("tenants", Kind::Names, "Ids of tenants"),
                text("reason", false, "Why, for those who read of the run"),
            ],
        ),
    ),
    json_route(
        "/api/v1/runs/{run}/approve",
        "Has a run go on that paused at a gate",
        Ask::Change("approve", Some("run"), &[text("by", true, "The person who approves it, for the ledger")]),
    ),
    json_route(
        "/api/v1/runs/{run}/resume",
        "Goes on with a run that was interrupted",
        Ask::Change("resume", Some("run"), &[]),
    ),
    json_route(
        "/api/v1/runs/{run}/pause",
        "Has a run pause that goes on: it starts no new tenant, and those in flight come to their end",
        Ask::Change(
            "pause",
            Some("run"),
            &[
                text("by", false, "The person who has it pause, for the ledger"),
                text("reason", false, "Why, for whoever looks next"),
            ],
        ),
    ),
    json_route(
        "/api/v1/tenants/{tenant}/quarantine",
        "Puts a tenant in quarantine: no run takes it until then",
        Ask::Change(
            "quarantine",
            Some("tenant"),
            &[
                text("reason", true, "Why, for whoever looks next"),
                Field {
                    name: "until",
                    kind: Kind::Time,
                    is_required: false,
                    about: "A day, to its end in UTC, or a moment: 2026-12-24, or 2026-12-24T18:00:00Z",
                },
            ],
        ),
    ),
    json_route(
        "/api/v1/tenants/{tenant}/release",
        "Takes a tenant out of quarantine",
        Ask::Change("release", Some("tenant"), &[]),
    ),
    page("/", "The fleet", Ask::Tenants(Question::Matrix)),
    page("/runs", "The runs", Ask::Runs),
    page("/runs/{run}", "A run", Ask::Named(Question::Run)),
    page("/runs/{run}/progress", "The changing part of a run's page", Ask::Named(Question::Progress)),
    page("/tenants/{tenant}", "A tenant", Ask::Named(Question::Tenant)),
    page("/views", "The views and dashboards", Ask::Plain(|| Question::Views)),
    page("/catalog", "The migrations", Ask::Plain(|| Question::Catalog)),
    page("/catalog/{migration}", "A migration", Ask::Named(Question::Migration)),
];

const fn json_route(path: &'static str, about: &'static str, ask: Ask) -> Route {
    Route { path, about, form: Form::Json, ask }
}

const fn page(path: &'static str, about: &'static str, ask: Ask) -> Route {
    Route { path, about, form: Form::Page, ask }
}

/// The state of the handlers.
#[derive(Clone)]
struct App {
    questions: mpsc::Sender<Asked>,
    at_once: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    end: CancellationToken,
}

/// The router with its guards.
pub(super) fn router(guarded: Guard, questions: mpsc::Sender<Asked>, end: CancellationToken) -> Router {
    let app = App {
        questions,
        at_once: Arc::new(Semaphore::new(AT_ONCE)),
        streams: Arc::new(Semaphore::new(events::STREAMS)),
        end,
    };
    let mut router: Router<App> = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/style.css", get(|| file("text/css; charset=utf-8", site::STYLE)))
        .route("/fleet.js", get(|| file("text/javascript; charset=utf-8", site::SCRIPT)))
        .route("/favicon.svg", get(|| file("image/svg+xml", site::ICON)))
        .route("/api/v1/openapi.json", get(|| async { axum::Json(openapi::document()) }));
    for route in ROUTES {
        let handle = move |State(app): State<App>, path: RawPathParams, request: Request| async move {
            let parameter = path.iter().next().map(|(_, value)| value.to_owned());
            let answering = tokio::time::timeout(ANSWER, answer(route, app, parameter.unwrap_or_default(), request));
            answering.await.unwrap_or_else(|_| {
                let text = "this is not read yet; it goes on being read, so ask again in some seconds".to_owned();
                refused(route.form, Refused::Unavailable(text))
            })
        };
        let method = if matches!(route.ask, Ask::Change(..)) { post(handle) } else { get(handle) };
        router = router.route(route.path, method);
    }
    let nothing = |uri: Uri| async move {
        let form = if uri.path().starts_with("/api/") { Form::Json } else { Form::Page };
        refused(form, Refused::NotFound("there is nothing at this address".to_owned()))
    };
    router.fallback(nothing).layer(middleware::from_fn_with_state(Guarded::new(guarded), guard)).with_state(app)
}

async fn file(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn answer(route: &Route, app: App, parameter: String, request: Request) -> Response {
    let busy = || {
        let text = "too many requests are being answered at this moment; ask again".to_owned();
        refused(route.form, Refused::Unavailable(text))
    };
    let Ok(_permit) = app.at_once.clone().try_acquire_owned() else { return busy() };
    let stream = match route.ask {
        Ask::Events => match app.streams.clone().try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => return busy(),
        },
        _ => None,
    };
    let question = match question(route, parameter, request).await {
        Ok(question) => question,
        Err(why) => return refused(route.form, why),
    };
    let (reply, answered) = oneshot::channel();
    let gone = || Refused::Unavailable("the server is ending".to_owned());
    let asked = app.questions.send(Asked { question, form: route.form, reply }).await.map_err(|_| gone());
    let answer = match asked {
        Ok(()) => answered.await.unwrap_or_else(|_| Err(gone())),
        Err(gone) => Err(gone),
    };
    match (answer, stream) {
        (Ok(Answer::Text(content, text)), _) => {
            let kind = match content {
                Content::Json => "application/json",
                Content::Html => "text/html; charset=utf-8",
                Content::Metrics => "text/plain; version=0.0.4; charset=utf-8",
            };
            ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], text).into_response()
        }
        (Ok(Answer::Accepted(text)), _) => {
            (StatusCode::ACCEPTED, [(header::CONTENT_TYPE, "application/json")], text).into_response()
        }
        (Ok(Answer::Events(sent)), Some(permit)) => events::response(sent, permit, app.end),
        // A browser takes this for: do not come back.
        (Ok(Answer::Ended | Answer::Events(_)), _) => StatusCode::NO_CONTENT.into_response(),
        (Err(why), _) => refused(route.form, why),
    }
}

/// The key of the first text that holds U+0000.
fn with_nul(fields: &serde_json::Map<String, Value>) -> Option<&str> {
    let holds = |value: &Value| value.as_str().is_some_and(|text| text.contains('\0'));
    let any = |value: &Value| holds(value) || value.as_array().is_some_and(|list| list.iter().any(holds));
    fields.iter().find(|(key, value)| key.contains('\0') || any(value)).map(|(key, _)| key.as_str())
}

fn no_nul(of: &str) -> Refused {
    let of = clean(of);
    Refused::Wrong(format!("{of} holds the character U+0000, which no command line and no ledger takes; leave it out"))
}

async fn question(route: &Route, parameter: String, request: Request) -> Result<Question, Refused> {
    if parameter.contains('\0') || request.uri().query().is_some_and(|query| query.contains("%00")) {
        return Err(no_nul("the address"));
    }
    let is_number = |name: &str| route.ask.parameters().iter().any(|(of, kind, _)| *of == name && *kind == "integer");
    let given = url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    for (name, value) in given.filter(|(name, _)| is_number(name)) {
        if value.parse::<u64>().is_ok_and(|n| n <= LARGEST) {
            continue;
        }
        return Err(Refused::Wrong(format!("{name} is no number from 0 to {LARGEST}")));
    }
    Ok(match &route.ask {
        Ask::Plain(question) => question(),
        Ask::Named(question) => question(parameter),
        Ask::Tenants(question) => {
            let wanted: Wanted = query(request.uri())?;
            if let Some(why) = wanted.mistake() {
                return Err(Refused::Wrong(why));
            }
            question(wanted)
        }
        Ask::Runs => Question::Runs(query::<WantedRuns>(request.uri())?),
        Ask::Events => {
            let query: HashMap<String, String> = query(request.uri())?;
            let last = request.headers().get("last-event-id").and_then(|id| id.to_str().ok());
            let since = last.or(query.get("since_ms").map(String::as_str)).unwrap_or("0");
            let since_ms = since
                .parse()
                .map_err(|_| Refused::Wrong("since_ms, or Last-Event-ID, is no number of milliseconds".to_owned()))?;
            Question::Events { run: parameter, since_ms }
        }
        Ask::Change(name, of, _) => {
            let is_json = request
                .headers()
                .get(header::CONTENT_TYPE)
                .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
            if !is_json {
                return Err(Refused::Wrong("send a JSON object, as application/json".to_owned()));
            }
            let body = axum::body::to_bytes(request.into_body(), BODY).await;
            let body =
                body.map_err(|_| Refused::Wrong(format!("the body has more than {BODY} bytes, or broke off")))?;
            let wrong = |error: serde_json::Error| Refused::Wrong(format!("the body is no such change: {error}"));
            let mut fields: Value =
                if body.is_empty() { json!({}) } else { serde_json::from_slice(&body).map_err(wrong)? };
            let Some(object) = fields.as_object_mut() else {
                return Err(Refused::Wrong("the body is no JSON object".to_owned()));
            };
            if let Some(key) = with_nul(object) {
                return Err(no_nul(&format!("`{key}`")));
            }
            object.insert("change".to_owned(), (*name).into());
            of.iter().for_each(|of| drop(object.insert((*of).to_owned(), parameter.clone().into())));
            Question::Change(serde_json::from_value::<Change>(fields).map_err(wrong)?)
        }
    })
}

fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refused> {
    let read = Query::try_from_uri(uri).map(|Query(read)| read);
    read.map_err(|error| Refused::Wrong(format!("the query can't be understood: {}", error.body_text())))
}

fn refused(form: Form, why: Refused) -> Response {
    let status = match why {
        Refused::NotFound(_) => StatusCode::NOT_FOUND,
        Refused::Wrong(_) => StatusCode::BAD_REQUEST,
        Refused::Conflict(_) => StatusCode::CONFLICT,
        Refused::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let text = why.text().to_owned();
    let mut response = match form {
        Form::Json => refusal(status, text),
        Form::Page => {
            let page = site::problem(status.as_u16(), &text);
            (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
        }
    };
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    }
    response
}
