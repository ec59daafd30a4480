//! Traces for OpenTelemetry: the spans of the log, sent to a collector over HTTP.
//!
//! Spans and their fields alone leave the process: no line of the log, and so no SQL and no text of an engine. Dying with
//! spans that were not sent yet loses these; nothing waits for a collector but the end of the command, for a few seconds.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::{Subscriber, span};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::SPANS;
use crate::cli::terminal::Terminal;
use crate::model::fault::bounded;
use crate::model::program;

/// Where a collector is named. Its further variables are read by the exporter itself.
const ADDRESSES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// The most that a request, and the end of a command, waits for a collector.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most of an answer that is read.
const LONGEST: u64 = 100_000;

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Why spans were not sent, the first time.
static LOST: OnceLock<String> = OnceLock::new();

/// The layer that has spans sent; `None` where no collector is named.
pub(super) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(terminal: Terminal) -> Option<Spans<S>> {
    let is_named = |name: &str| std::env::var_os(name).is_some_and(|address| !address.is_empty());
    ADDRESSES.iter().find(|name| is_named(name))?;
    let exporter = match SpanExporter::builder().with_http().with_http_client(Sender::new()).build() {
        Ok(exporter) => exporter,
        Err(error) => {
            terminal.warn(&format!("no traces are sent: {}", bounded(error.to_string())));
            return None;
        }
    };
    let resource = Resource::builder();
    let resource = match std::env::var_os("OTEL_SERVICE_NAME") {
        Some(_) => resource,
        None => resource.with_service_name(program::name().to_owned()),
    };
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
    let tracer = provider.tracer("fleet");
    let layer = OpenTelemetryLayer::new(tracer).with_location(false).with_threads(false).with_tracked_inactivity(false);
    PROVIDER.set(provider).ok().map(|()| Spans(layer))
}

/// Sends the spans that have ended and were not sent yet.
pub(super) fn end(terminal: Terminal) {
    let Some(provider) = PROVIDER.get() else { return };
    let ended = provider.shutdown_with_timeout(PATIENCE);
    let why = LOST.get().cloned().or(ended.err().map(|error| bounded(error.to_string())));
    if let Some(why) = why {
        terminal.warn(&format!("not all traces were sent to the collector, and nothing else depends on them: {why}"));
    }
}

/// Hands the spans of the log on, and nothing else.
pub(super) struct Spans<S>(OpenTelemetryLayer<S, SdkTracer>);

fn is_ours<S: Subscriber + for<'a> LookupSpan<'a>>(id: &span::Id, context: &Context<'_, S>) -> bool {
    context.metadata(id).is_some_and(|metadata| metadata.target() == SPANS)
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans<S> {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        if attributes.metadata().target() == SPANS {
            self.0.on_new_span(attributes, id, context);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        if is_ours(id, &context) {
            self.0.on_record(id, values, context);
        }
    }

    fn on_enter(&self, id: &span::Id, context: Context<'_, S>) {
        if is_ours(id, &context) {
            self.0.on_enter(id, context);
        }
    }

    fn on_exit(&self, id: &span::Id, context: Context<'_, S>) {
        if is_ours(id, &context) {
            self.0.on_exit(id, context);
        }
    }

    fn on_close(&self, id: span::Id, context: Context<'_, S>) {
        if is_ours(&id, &context) {
            self.0.on_close(id, context);
        }
    }
}

/// Sends a request, in the thread that the exporter has for it.
#[derive(Debug)]
struct Sender(ureq::Agent);

impl Sender {
    fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(format!("fleet/{}", program::version()));
        Sender(config.build().new_agent())
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (parts, mut body) = self.0.run(request.map(|bytes| bytes.to_vec()))?.into_parts();
        let body = body.with_config().limit(LONGEST).read_to_vec()?;
        Ok(Response::from_parts(parts, body.into()))
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let address = request.uri().to_string();
        match self.send(request) {
            Ok(response) => {
                let status = response.status();
                if !status.is_success() {
                    let _ = LOST.set(format!("it answered {status}"));
                }
                Ok(response)
            }
            Err(error) => {
                // The address may hold a secret.
                let why = bounded(error.to_string().replace(&address, "the address"));
                let _ = LOST.set(why.clone());
                Err(why.into())
            }
        }
    }
}
