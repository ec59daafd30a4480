//! A session of ours as other connections find it in `pg_stat_activity`: by the name that it was given, and by its process
//! where code may change that name.
//!
//! Behind a pooler a process serves others too, so only one that is reached directly is noted.

use std::sync::{Arc, Mutex};

use crate::engine::literal;
use crate::engine::postgres::connect::MARK;
use crate::engine::queries::TextRow;
use crate::model::engine::Engine;

/// The start of a process, which tells it from a later one of the same number.
const SINCE: &str = "to_char(backend_start AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')";

/// A session of ours.
#[derive(Debug, Clone)]
pub(crate) struct OwnBackend {
    /// Its unique name.
    pub(crate) name: String,
    process: Arc<Mutex<Option<(i32, String)>>>,
}

impl OwnBackend {
    pub(crate) fn named(name: String) -> Self {
        OwnBackend { name, process: Arc::default() }
    }

    /// The query whose row [`OwnBackend::note`] takes: of the function behind `pg_stat_activity`, which needs none of its joins.
    pub(crate) fn ask() -> String {
        format!(
            "SELECT pid, {SINCE}, coalesce(current_setting('{}', true), '') FROM pg_stat_get_activity(pg_backend_pid())",
            MARK.0
        )
    }

    /// Notes the process, if the session is known to be `direct`, or its row says so.
    pub(crate) fn note(&self, row: Option<&TextRow>, is_direct: bool) {
        let row = row.filter(|row| is_direct || row.must(2) == MARK.1);
        let process = row.and_then(|row| Some((row.parse(0)?, row.text(1)?)));
        *self.process.lock().expect("nobody panics while holding it") = process;
    }

    /// The condition for its row in `pg_stat_activity`, under this alias there.
    pub(crate) fn is_it(&self, alias: &str) -> String {
        let named = format!("{alias}.application_name = {}", literal(Engine::Postgres, &self.name));
        let process = self.process.lock().expect("nobody panics while holding it").clone();
        let Some((pid, since)) = process else { return named };
        let start = SINCE.replace("backend_start", &format!("{alias}.backend_start"));
        format!("({named} OR ({alias}.pid = {pid} AND {start} = {}))", literal(Engine::Postgres, &since))
    }

    /// Whether this is its number, or its name.
    pub(crate) fn is(&self, pid: i64, name: Option<&String>) -> bool {
        let process = self.process.lock().expect("nobody panics while holding it");
        name == Some(&self.name) || process.as_ref().is_some_and(|(own, _)| i64::from(*own) == pid)
    }
}
