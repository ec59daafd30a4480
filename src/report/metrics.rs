//! The fleet and its last run for Prometheus.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::causes::group_by;
use super::summary;
use crate::model::load::ServerLoad;
use crate::model::observation::Observation;
use crate::model::outcome::{Standing, TenantRecord};
use crate::model::run_summary::{RunStatus, RunSummary};

/// A reading of the tenants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FleetReading<'a> {
    pub(crate) observations: &'a [Observation],
    /// Its time, in milliseconds since 1970-01-01 UTC.
    pub(crate) at_ms: i64,
    pub(crate) took: Duration,
}

/// The data of the metrics; what is not known has no line.
#[derive(Clone, Copy)]
pub(crate) struct MetricsView<'a> {
    pub(crate) reading: Option<FleetReading<'a>>,
    /// The newest run that is no refresh, with its outcomes.
    pub(crate) last: Option<(&'a RunSummary, &'a [TenantRecord])>,
    /// The end of the newest run that brought all its tenants to the target, in milliseconds since 1970-01-01 UTC.
    pub(crate) last_good_ms: Option<i64>,
    /// Runs that go on.
    pub(crate) running: usize,
    /// Tenants that failed in the refreshes of the last hour.
    pub(crate) refresh_failures: usize,
    /// The last readings of the servers on which the newest run works, by server.
    pub(crate) loads: &'a BTreeMap<String, ServerLoad>,
}

impl MetricsView<'_> {
    pub(crate) fn render(&self) -> String {
        let mut out = Text(String::new());
        if let Some(reading) = self.reading {
            fleet(reading, &mut out);
        }
        out.gauge("fleet_runs_running", "Runs that go on.", [(vec![], number(self.running))]);
        let about = "Tenants that failed in runs of the last hour that refreshed views.";
        out.gauge("fleet_refresh_failures", about, [(vec![], number(self.refresh_failures))]);
        if let Some((run, records)) = self.last {
            last_run(run, records, &mut out);
        }
        servers(self.loads, &mut out);
        if let Some(ms) = self.last_good_ms {
            let about = "End of the newest such run that brought all its tenants to the target.";
            out.gauge("fleet_last_success_timestamp_seconds", about, [(vec![], seconds(ms))]);
        }
        out.0
    }
}

fn fleet(reading: FleetReading<'_>, out: &mut Text) {
    let all = reading.observations;
    let states = summary::states(all).map(|(state, n)| (vec![("state", state.to_owned())], number(n)));
    out.gauge("fleet_tenants", "Tenants by state.", states);
    let servers = group_by(all, |o| (o.server.clone(), o.engine.name()));
    let servers = servers.into_iter().flat_map(|((server, engine), of)| {
        summary::by_state(of).into_iter().map(move |(state, n)| {
            (vec![("server", server.clone()), ("engine", engine.to_owned()), ("state", state.to_owned())], number(n))
        })
    });
    out.gauge("fleet_server_tenants", "Tenants by server and state.", servers);
    let held = all.iter().filter(|o| o.is_held()).count();
    out.gauge("fleet_tenants_held", "Tenants in quarantine, or frozen behind the target.", [(vec![], number(held))]);
    out.gauge("fleet_read_timestamp_seconds", "When the tenants were read.", [(vec![], seconds(reading.at_ms))]);
    out.gauge("fleet_read_duration_seconds", "How long reading them took.", [(vec![], reading.took.as_secs_f64())]);
}

fn last_run(run: &RunSummary, records: &[TenantRecord], out: &mut Text) {
    let status: &str = run.status().into();
    let direction = run.direction.to_string();
    let info = vec![("run", run.run.to_string()), ("direction", direction), ("status", status.to_owned())];
    out.gauge("fleet_run_info", "The newest run that is no refresh of views.", [(info, 1.0)]);
    let going = number(usize::from(run.status() == RunStatus::Running));
    out.gauge("fleet_run_running", "Whether it goes on.", [(vec![], going)]);
    let counts =
        [("at_target", run.counts.at_target()), ("failed", run.counts.failures()), ("outstanding", run.outstanding())];
    let counts = counts.map(|(standing, n)| (vec![("standing", standing.to_owned())], number(n)));
    out.gauge("fleet_run_tenants", "Its tenants by how they stand.", counts);
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    for record in records.iter().filter(|record| record.outcome.standing() == Standing::Failed) {
        *classes.entry(record.error.as_ref().map_or("none", |fault| fault.class.name())).or_default() += 1;
    }
    let classes = classes.into_iter().map(|(class, n)| (vec![("class", class.to_owned())], number(n)));
    out.gauge("fleet_run_failures", "Its failures by class.", classes);
    out.gauge("fleet_run_started_timestamp_seconds", "Its start.", [(vec![], seconds(run.started_at_ms))]);
    let ended = run.finished_at_ms.map(|ms| (vec![], seconds(ms)));
    out.gauge("fleet_run_finished_timestamp_seconds", "Its end.", ended);
    let took = run.elapsed().map(|elapsed| (vec![], elapsed.as_secs_f64()));
    out.gauge("fleet_run_duration_seconds", "How long it took.", took);
}

/// The servers on which a run works.
fn servers(loads: &BTreeMap<String, ServerLoad>, out: &mut Text) {
    let mut gauge = |name: &str, about: &str, of: fn(&ServerLoad) -> Option<u64>| {
        let values = loads.iter().filter_map(|(server, load)| Some((server, usize::try_from(of(load)?).ok()?)));
        out.gauge(name, about, values.map(|(server, n)| (vec![("server", server.clone())], number(n))));
    };
    gauge("fleet_server_connections", "Connections in use on a server on which a run works.", |load| {
        load.connections.map(|room| room.used)
    });
    gauge("fleet_server_connections_max", "The most connections that there may be.", |load| {
        load.connections.map(|room| room.most)
    });
    gauge("fleet_server_lock_waits", "Sessions that wait for locks on it.", |load| load.lock_waits);
    gauge("fleet_server_replication_lag_seconds", "How far its replica is behind that is furthest.", |load| {
        load.replication_lag
    });
    gauge("fleet_server_log_growth_bytes", "Bytes written to its WAL or binary log during the run.", |load| {
        load.log_bytes
    });
    gauge("fleet_server_free_bytes", "Free bytes on its disk.", |load| load.free_bytes);
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn number(n: usize) -> f64 {
    n as f64
}

#[expect(clippy::cast_precision_loss, reason = "a time in milliseconds is far below 2^52")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

/// The text as it grows.
struct Text(String);

impl Text {
    /// A gauge with its values by labels; without any it is left out.
    fn gauge(&mut self, name: &str, about: &str, values: impl IntoIterator<Item = (Vec<(&'static str, String)>, f64)>) {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return;
        }
        let _ = writeln!(self.0, "# HELP {name} {about}\n# TYPE {name} gauge");
        for (labels, value) in values {
            let pairs: Vec<String> =
                labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value))).collect();
            let labels = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
