//! A run as the log has it: spans by run, tenant and attempt, and the events as lines.
//!
//! It decides nothing, and where no log is wanted it costs nothing.

use tracing::field::Empty;
use tracing::{Span, debug, info, info_span, warn};

use super::RunPlan;
use super::unit::{Attempt, AttemptEnd};
use crate::engine::millis;
use crate::model::event::Event;
use crate::model::fault::Fault;
use crate::model::load::in_words;
use crate::model::tenant::Tenant;

/// The span of a run.
pub(super) fn run(plan: &RunPlan) -> Span {
    info_span!(target: "fleet::span", "run", run = %plan.header.run)
}

/// The span of a wave.
pub(super) fn wave(name: &str) -> Span {
    info_span!(target: "fleet::span", "wave", wave = name)
}

/// The span of work on a tenant.
pub(super) fn tenant(tenant: &Tenant) -> Span {
    info_span!(target: "fleet::span", "tenant", tenant = %tenant.id, engine = tenant.engine.name())
}

/// The span of an attempt, from 1, on a tenant.
pub(super) fn attempt(of: &Tenant, attempt: u32) -> Span {
    let tenant = tenant(of);
    // Borrowed: the log may not know the parent any more when it is given away.
    info_span!(
        target: "fleet::span", parent: &tenant, "attempt", attempt, end = Empty, class = Empty, code = Empty, "otel.status_code" = Empty
    )
}

/// Tells of an attempt that has ended, within its span.
pub(super) fn ended(attempt: &Attempt, took: std::time::Duration) {
    let (end, fault) = told(attempt.reread.as_ref().map_or(&attempt.end, |reread| &reread.end));
    let (took_ms, committed) = (millis(took), attempt.committed.len());
    let span = Span::current();
    span.record("end", end);
    if let Some(fault) = fault {
        span.record("class", fault.class.name())
            .record("code", fault.code.as_deref())
            .record("otel.status_code", "ERROR");
    }
    match fault {
        None => info!(target: "fleet::run", end, committed, took_ms, "attempt ended"),
        Some(fault) => {
            let (class, code, error) = (fault.class.name(), fault.code.as_deref(), fault.message.as_str());
            warn!(target: "fleet::run", end, committed, took_ms, class, code, error, "attempt ended");
        }
    }
}

fn told(end: &AttemptEnd) -> (&'static str, Option<&Fault>) {
    match end {
        AttemptEnd::Nothing => ("nothing to do", None),
        AttemptEnd::Task(outcome) => (outcome.name(), None),
        AttemptEnd::Done => ("done", None),
        AttemptEnd::Refused(_) => ("refused", None),
        AttemptEnd::Unreachable(fault) => ("unreachable", Some(fault)),
        AttemptEnd::Stopped { fault, .. } => ("stopped", Some(fault)),
        AttemptEnd::Restored { fault, .. } => ("restored", Some(fault)),
        AttemptEnd::Cancelled { .. } => ("cancelled", None),
    }
}

/// Tells of an event, within the span of the run.
pub(super) fn event(event: &Event) {
    match event {
        Event::RunStarted(header) => {
            info!(target: "fleet::run", tenants = header.tenants.len(), goal = header.goal, "run started");
        }
        Event::WaveStarted { wave, tenants, .. } => info!(target: "fleet::run", wave, tenants, "wave started"),
        Event::AttemptFailed { tenant, attempt, retry_in_ms, .. } => {
            info!(target: "fleet::run", %tenant, attempt, retry_in_ms, "another attempt follows");
        }
        Event::Progress { tenant, migration, statement, rows, .. } => {
            debug!(target: "fleet::run", %tenant, step = migration, statement, rows, "rows so far");
        }
        Event::TenantFinished(record) => {
            let (tenant, outcome, took_ms) = (&record.tenant, record.outcome.name(), millis(record.duration));
            let (version, attempts) = (record.version.as_deref(), record.attempts);
            info!(target: "fleet::run", %tenant, outcome, version, attempts, took_ms, "tenant finished");
        }
        Event::GateStarted { wave, soak_ms, .. } => info!(target: "fleet::run", wave, soak_ms, "gate started"),
        Event::GateFinished(gate) => {
            info!(target: "fleet::run", wave = gate.wave, took_ms = gate.took_ms, "{gate}");
        }
        Event::WaveClosed { wave, in_flight, .. } => {
            warn!(target: "fleet::run", wave, in_flight, "nothing new of the wave starts");
        }
        Event::RollbackDue { wave, .. } => warn!(target: "fleet::run", wave, "the wave is to be taken back"),
        Event::WaveFinished { wave, .. } => info!(target: "fleet::run", wave, "wave finished"),
        Event::RunFinished { stats } => {
            info!(target: "fleet::run", finished = stats.finished(), failed = stats.failures(), "run finished");
        }
        Event::Draining { in_flight, .. } => warn!(target: "fleet::run", in_flight, "nothing new starts"),
        Event::HookFinished { hook, took_ms, error: None, .. } => info!(target: "fleet::run", %hook, took_ms, "hook"),
        Event::HookFinished { hook, took_ms, error: Some(error), .. } => {
            warn!(target: "fleet::run", %hook, took_ms, error, "hook failed");
        }
        Event::OutsideWindow { wave, server, window, .. } => {
            info!(target: "fleet::run", wave, server, window, "waiting for the window")
        }
        Event::ServerLoad { server, load, over, unkept, .. } if over.is_empty() && unkept.is_empty() => {
            debug!(target: "fleet::run", server, ?load, "load of a server");
        }
        Event::ServerLoad { server, over, unkept, .. } => {
            let (over, unkept) = (in_words(over), in_words(unkept));
            info!(target: "fleet::run", server, over, unkept, "load of a server");
        }
        Event::Overloaded(overload) => {
            let (server, over) = (&overload.server, in_words(&overload.over));
            warn!(target: "fleet::run", server, over, "stayed beyond its limits: the run pauses");
        }
        Event::LeftOut { tenants } => info!(target: "fleet::run", tenants = tenants.len(), "in quarantine, left out"),
        Event::Uncovered { wave, kinds } => {
            warn!(target: "fleet::run", wave, kinds = kinds.len(), "kinds that a wave has none of")
        }
        // The command tells them; no run sends them.
        Event::LateJoiners { .. } | Event::PauseRequested(_) => {}
        Event::Cancelling { in_flight } => warn!(target: "fleet::run", in_flight, "cancelling"),
        Event::AttemptStarted { .. } => {}
    }
}
