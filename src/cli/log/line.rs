//! One event as a line of text or JSON, without secrets.
//!
//! All text of an event passes [`masked`], whoever wrote it: the drivers' SQL, an error that quotes it, a note.

use std::fmt::{Debug, Write as _};
use std::time::SystemTime;

use serde_json::{Map, Value};
use tracing::Event;
use tracing::field::{Field, Visit};

use super::{DRIVER_SQL, SQL};
use crate::inputs::LogFormat;
use crate::model::engine::Engine;
use crate::model::text::excerpt;
use crate::report::clean;
use crate::sql::masked;

/// The most characters of a statement that is not shown as it was sent.
const HEAD: usize = 100;

/// The fields of an event and of the spans around it, outermost first.
#[derive(Debug, Default)]
pub(super) struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
}

impl Fields {
    /// Adds the fields of an inner span.
    pub(super) fn extend(&mut self, inner: &Fields) {
        self.0.extend(inner.0.clone());
    }

    /// Run and tenant, if the event belongs to both.
    pub(super) fn place(&self) -> Option<(&str, &str)> {
        self.0.get("run")?.as_str().zip(self.0.get("tenant")?.as_str())
    }

    /// The line of an event within these spans, with its line break.
    pub(super) fn line(&mut self, event: &Event<'_>, format: LogFormat) -> String {
        let engine = self.0.get("engine").and_then(Value::as_str).and_then(Engine::named);
        let mut own = Fields::default();
        event.record(&mut own);
        let (mut level, mut target) = (*event.metadata().level(), event.metadata().target());
        if target == DRIVER_SQL {
            (level, target) = (tracing::Level::DEBUG, SQL);
            own.read_as_sql();
        }
        own.0.values_mut().for_each(|value| hide(engine, value));
        if let Some(Value::String(head)) = own.0.get_mut("head") {
            *head = excerpt(&head.split_whitespace().collect::<Vec<_>>().join(" "), HEAD);
        }
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        let message =
            own.0.shift_remove("message").and_then(|text| Some(text.as_str()?.to_owned())).unwrap_or_default();
        self.0.extend(own.0.clone());
        match format {
            LogFormat::Json => {
                let mut all = Map::new();
                for (key, value) in
                    [("time", time.to_string()), ("level", level.to_string()), ("target", target.to_owned())]
                {
                    all.insert(key.to_owned(), value.into());
                }
                all.insert("message".to_owned(), message.into());
                all.extend(self.0.clone());
                format!("{}\n", Value::Object(all))
            }
            LogFormat::Text => self.text(&format!("{time} {level:>5} {target}: {}", clean(&message))),
        }
    }

    /// The text form: the SQL of a driver below its line.
    fn text(&self, head: &str) -> String {
        let mut line = head.to_owned();
        for (key, value) in self.0.iter().filter(|(key, _)| !["sql", "run", "engine"].contains(&key.as_str())) {
            let _ = match value {
                Value::String(text) if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"') => {
                    write!(line, " {key}={text:?}")
                }
                Value::String(text) => write!(line, " {key}={}", clean(text)),
                other => write!(line, " {key}={other}"),
            };
        }
        let sql = self.0.get("sql").and_then(Value::as_str).unwrap_or_default();
        sql.lines().for_each(|sql| _ = write!(line, "\n    {}", clean(sql)));
        line.push('\n');
        line
    }

    /// The fields of a driver's event: the text as sent, its rows and its time.
    fn read_as_sql(&mut self) {
        let given = std::mem::take(&mut self.0);
        // A text of at most four words is its own summary.
        let text = |key: &str| given.get(key).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
        let sql = text("db.statement").or_else(|| text("summary")).unwrap_or_default();
        let took = given.get("elapsed_secs").and_then(Value::as_f64).unwrap_or_default();
        self.0.insert("message".to_owned(), "sent".into());
        for rows in ["rows_affected", "rows_returned"] {
            self.0.extend(given.get(rows).map(|count| (rows.to_owned(), count.clone())));
        }
        self.0.insert("took_ms".to_owned(), ((took * 1e6).round() / 1e3).into());
        self.0.insert("sql".to_owned(), sql.into());
    }
}

/// Hides the secrets in a value. Where the engine is not known, it is read as each of them would.
fn hide(engine: Option<Engine>, value: &mut Value) {
    let Value::String(text) = value else { return };
    let engines: &[Engine] = engine.as_ref().map_or(&Engine::ALL, std::slice::from_ref);
    for engine in engines {
        if let std::borrow::Cow::Owned(hidden) = masked(*engine, text) {
            *text = hidden;
        }
    }
}
