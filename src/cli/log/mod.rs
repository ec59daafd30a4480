//! The log of a command: lines on stderr by `-v`, `FLEET_LOG` and `--trace-sql`, and with `--log-dir` a file a tenant.
//!
//! Every line goes through [`line`], which hides secrets. Without any of these nothing is set up and nothing is measured.

mod folder;
mod line;

use std::io::Write as _;
use std::sync::Arc;

use tracing::{Event, Subscriber, span};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::folder::Folder;
use self::line::Fields;
use super::args::Global;
use super::exit::CliError;
use super::terminal::{self, Terminal};
use crate::inputs::{LogFormat, Settings};

/// The target of spans: they are on wherever any line is.
const SPANS: &str = "fleet::span";

/// The drivers' own target for each text that they send. It is shown as [`SQL`], by which users ask for it.
const DRIVER_SQL: &str = "sqlx::query";
const SQL: &str = "fleet::sql";

/// The content of the files of tenants.
const IN_FILES: &str = "fleet=debug,fleet::span=info,sqlx::query=debug";

/// Sets the log up for the rest of the process.
///
/// # Errors
/// The folder of `--log-dir` can't be written.
pub(super) fn start(global: &Global, settings: &Settings, terminal: Terminal) -> Result<(), CliError> {
    let format = settings.log_format;
    let on_stderr = filter(global, terminal).map(|filter| Lines { format, out: Out::Stderr }.with_filter(filter));
    let folder = settings.log_dir.as_deref().map(|path| Folder::open(path, terminal)).transpose()?;
    let in_files =
        folder.map(|folder| Lines { format, out: Out::Files(Arc::new(folder)) }.with_filter(EnvFilter::new(IN_FILES)));
    if on_stderr.is_some() || in_files.is_some() {
        // A test may have set up a log of its own.
        let _ = tracing_subscriber::registry().with(on_stderr).with(in_files).try_init();
    }
    Ok(())
}

/// The lines for stderr; `None` where there are to be none.
fn filter(global: &Global, terminal: Terminal) -> Option<EnvFilter> {
    let by_flags = match global.verbose {
        0 => "",
        1 => "fleet=info",
        2 => "fleet=debug",
        _ => "fleet=trace,sqlx=debug",
    };
    let named = std::env::var("FLEET_LOG").ok().filter(|text| !text.trim().is_empty());
    let mut text = named.as_deref().unwrap_or(by_flags).replace(SQL, DRIVER_SQL);
    if let Err(error) = EnvFilter::builder().parse(&text) {
        terminal.warn(&format!(
            "FLEET_LOG is no filter, and is not used: {error}; write, for example, FLEET_LOG=fleet=debug"
        ));
        text = by_flags.to_owned();
    }
    let sql = if global.trace_sql { format!("{DRIVER_SQL}=debug") } else { String::new() };
    let parts: Vec<&str> = [text.as_str(), &sql].into_iter().filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then(|| EnvFilter::new(format!("{},{SPANS}=info", parts.join(","))))
}

/// Writes events as lines.
struct Lines {
    format: LogFormat,
    out: Out,
}

enum Out {
    Stderr,
    Files(Arc<Folder>),
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let Some(span) = context.span(id).filter(|span| span.metadata().target() == SPANS) else { return };
        let mut extensions = span.extensions_mut();
        // The other output may have read it already.
        if extensions.get_mut::<Fields>().is_none() {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            extensions.insert(fields);
        }
        if matches!(self.out, Out::Files(_)) && span.name() == "tenant" {
            extensions.insert(folder::TenantFile::default());
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        let spans = || context.event_scope(event).into_iter().flat_map(|scope| scope.from_root());
        for span in spans() {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.extend(of_span);
            }
        }
        let line = fields.line(event, self.format);
        match &self.out {
            Out::Stderr => terminal::around_the_bar(|| {
                let _ = std::io::stderr().lock().write_all(line.as_bytes());
            }),
            Out::Files(folder) => {
                let open = spans().find(|span| span.extensions().get::<folder::TenantFile>().is_some());
                let extensions = open.as_ref().map(|span| span.extensions());
                let file = extensions.as_ref().and_then(|extensions| extensions.get::<folder::TenantFile>());
                folder.write(fields.place(), file, &line);
            }
        }
    }
}
