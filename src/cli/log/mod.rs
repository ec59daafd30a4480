//! The log of a command: lines on stderr by `-v`, `FLEET_LOG` and `--trace-sql`, and with `--log-dir` a file a tenant.
//!
//! Every line goes through [`mod@line`], which hides secrets. Without any of these nothing is set up and nothing is measured.

mod folder;
mod line;
#[cfg(feature = "otel")]
mod traces;

use std::io::Write as _;
use std::str::FromStr as _;

use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber, span};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::folder::{Folder, TenantFile};
use self::line::Fields;
use super::args::Global;
use super::terminal::{self, Terminal};
use crate::inputs::{LogFormat, Settings};

/// The target of spans: they are on wherever any line is.
const SPANS: &str = "fleet::span";

/// The drivers' own target for each text that they send. It is shown as [`SQL`], by which users ask for it.
const DRIVER_SQL: &str = "sqlx::query";
const SQL: &str = "fleet::sql";

/// The content of the files of tenants.
const IN_FILES: &str = "fleet=debug,sqlx::query=debug";

/// Sets the log up for the rest of the process. The folder of logs is checked where a run begins.
pub(super) fn start(global: &Global, settings: &Settings, terminal: Terminal) {
    let stderr = filter(global, terminal);
    let folder = settings.log_dir.as_deref().map(|path| Folder::new(path, terminal));
    let is_wanted = stderr.is_some() || folder.is_some();
    let files = folder.map(|folder| (Targets::from_str(IN_FILES).expect("a constant"), folder));
    let log = Log { format: settings.log_format, stderr, files };
    #[cfg(feature = "otel")]
    if let Some(traces) = traces::layer(terminal) {
        // Outside of the log, which says which spans there are.
        let _ = tracing_subscriber::registry().with(log).with(traces).try_init();
        return;
    }
    if is_wanted {
        // A test may have set up a log of its own.
        let _ = tracing_subscriber::registry().with(log).try_init();
    }
}

/// Has traces sent that were not yet.
#[cfg(feature = "otel")]
pub(super) fn end(terminal: Terminal) {
    traces::end(terminal);
}

/// The lines for stderr; `None` where there are to be none.
fn filter(global: &Global, terminal: Terminal) -> Option<Targets> {
    let by_flags = match global.verbose {
        0 => "",
        1 => "fleet=info",
        2 => "fleet=debug",
        _ => "fleet=trace,sqlx=debug",
    };
    let parsed = |text: &str| Targets::from_str(&text.replace(SQL, DRIVER_SQL));
    let named = std::env::var("FLEET_LOG").ok().filter(|text| !text.trim().is_empty());
    let asked = named.as_deref().map(parsed).transpose().unwrap_or_else(|error| {
        terminal.warn(&format!(
            "FLEET_LOG is no filter, and is not used: {error}; write, for example, FLEET_LOG=fleet=debug"
        ));
        None
    });
    let is_silent = asked.is_none() && by_flags.is_empty() && !global.trace_sql;
    let targets = asked.unwrap_or_else(|| parsed(by_flags).unwrap_or_default());
    let sql = global.trace_sql.then_some((DRIVER_SQL, LevelFilter::DEBUG));
    (!is_silent).then(|| targets.with_targets(sql))
}

/// Writes events as lines. It filters by itself, because a filter for each output keeps a state in each thread that the
/// drivers' threads and plain questions whether a line is wanted leave wrong.
struct Log {
    format: LogFormat,
    stderr: Option<Targets>,
    files: Option<(Targets, Folder)>,
}

fn takes(targets: &Targets, of: &Metadata<'_>) -> bool {
    targets.would_enable(of.target(), of.level())
}

impl Log {
    fn takes(&self, of: &Metadata<'_>) -> bool {
        let all = self.stderr.iter().chain(self.files.as_ref().map(|(targets, _)| targets));
        of.target() == SPANS || all.into_iter().any(|targets| takes(targets, of))
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Log {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.takes(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.takes(metadata)
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let Some(span) = context.span(id).filter(|span| span.metadata().target() == SPANS) else { return };
        // That is told by lines of its own.
        if span.name() == "wave" {
            return;
        }
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
        if span.name() == "tenant" {
            span.extensions_mut().insert(TenantFile::default());
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let spans = || context.event_scope(event).into_iter().flat_map(|scope| scope.from_root());
        let mut fields = Fields::default();
        for span in spans() {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.extend(of_span);
            }
        }
        let line = fields.line(event, self.format);
        if self.stderr.as_ref().is_some_and(|targets| takes(targets, event.metadata())) {
            terminal::around_the_bar(|| _ = std::io::stderr().lock().write_all(line.as_bytes()));
        }
        if let Some((targets, folder)) = &self.files
            && takes(targets, event.metadata())
        {
            let span = spans().find(|span| span.extensions().get::<TenantFile>().is_some());
            let extensions = span.as_ref().map(|span| span.extensions());
            let file = extensions.as_ref().and_then(|extensions| extensions.get::<TenantFile>());
            folder.write(fields.place(), file, &line);
        }
    }
}
